package metadata

import (
	"encoding/hex"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/taolight/taolight/verify"
)

// A Form is what a value is, however many structs around one field it stands in.
type Form uint8

// The forms, and what they are in JSON.
const (
	_         Form = iota
	Truth          // bool: true, false
	Uint           // an integer, compact or not: a number, whatever its width
	Int            // the same
	Character      // char: a string of one character
	Text           // String: a string
	Octets         // Vec<u8>, [u8; N] and structs around them: a string of 0x and hex
	Account        // AccountId32: its address
	Bits           // BitVec: a string of 0 and 1, the first bit first
	List           // Vec, array, tuple, struct without names: an array
	Record         // a struct with names: an object
	Choice         // an enum: see MarshalJSON
)

// A Value is one value, decoded. It aliases the bytes that it was decoded from.
type Value struct {
	Type    *Type    // as its place declares it: TaoBalance, not the u64 in it
	Variant *Variant // of a Choice
	Form    Form

	lsb      bool  // of Bits: the first bit of a word is its lowest
	wordSize uint8 // of Bits, in bytes

	Raw   []byte  // its encoding
	Items []Value // of a List, Record or Choice

	shape *Type
	num   uint64 // of an integer that has 64 bits at most, a bool, a char; the number of bits
	data  []byte // of a wider integer, little-endian; of text, bytes and bits
}

// Uint64 returns an integer, or bool, that is not negative and has at most 64 bits.
func (v *Value) Uint64() (n uint64, ok bool) {
	switch v.Form {
	case Int:
		if v.data != nil || int64(v.num) < 0 {
			return 0, false
		}
		return v.num, true
	case Uint, Truth:
		if v.data == nil {
			return v.num, true
		}
		n := wide(v.data, false)
		return n.Uint64(), n.IsUint64()
	}
	return 0, false
}

// Big returns an integer of any width; nil if the value is none.
func (v *Value) Big() *big.Int {
	switch {
	case v.Form != Uint && v.Form != Int:
		return nil
	case v.data != nil:
		return wide(v.data, v.Form == Int)
	case v.Form == Int:
		return big.NewInt(int64(v.num))
	}
	return new(big.Int).SetUint64(v.num)
}

// Bytes returns what is in a value of the forms Octets, Account and Text.
func (v *Value) Bytes() []byte {
	switch v.Form {
	case Octets, Account, Text:
		return v.data
	}
	return nil
}

// Fields returns the names and types of Items of a Record or Choice, and of a struct without names.
func (v *Value) Fields() []Field {
	switch {
	case v.Variant != nil:
		return v.Variant.Fields
	case v.shape != nil:
		return v.shape.Fields
	}
	return nil
}

// Field returns a part by its name, of a Record or Choice; nil if there is none.
func (v *Value) Field(name string) *Value {
	for i, f := range v.Fields() {
		if f.Name == name && i < len(v.Items) {
			return &v.Items[i]
		}
	}
	return nil
}

// IsNone reports whether v is the None of an Option.
func (v *Value) IsNone() bool { return v.isOption() && len(v.Items) == 0 }

func (v *Value) isOption() bool {
	return v.Form == Choice && (v.shape.role == roleOption || v.shape.role == roleNested)
}

// integer appends an integer in decimal.
func (v *Value) integer(b []byte) []byte {
	switch {
	case v.data != nil:
		return wide(v.data, v.Form == Int).Append(b, 10)
	case v.Form == Int:
		return strconv.AppendInt(b, int64(v.num), 10)
	}
	return strconv.AppendUint(b, v.num, 10)
}

func (v *Value) bits(b []byte) []byte {
	for i := range int(v.num) {
		if bitAt(v.data, int(v.wordSize), v.lsb, i) {
			b = append(b, '1')
		} else {
			b = append(b, '0')
		}
	}
	return b
}

// MarshalJSON writes v as JSON, from which EncodeJSON makes the same bytes again. All integers are
// numbers in full, as everywhere in this program's JSON: a reader must not take them for floats. An
// Option is null or what is in it, and in an Option of an Option {"Some": …}. Any other enum is the
// variant's name if it has no fields, else {"Name": fields}: the field itself if it is one without a
// name, a list if they have no names, an object if they have.
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil), nil }

// AppendJSON appends what MarshalJSON returns.
func (v *Value) AppendJSON(b []byte) []byte {
	switch v.Form {
	case Truth:
		return strconv.AppendBool(b, v.num == 1)
	case Uint, Int:
		return v.integer(b)
	case Character:
		return appendString(b, string(rune(v.num)))
	case Text:
		return appendString(b, string(v.data))
	case Octets:
		return append(hex.AppendEncode(append(b, `"0x`...), v.data), '"')
	case Account:
		return appendString(b, verify.AccountID(v.data).String())
	case Bits:
		return append(v.bits(append(b, '"')), '"')
	case List:
		return v.jsonList(b)
	case Record:
		return v.jsonRecord(b, v.Fields())
	case Choice:
		return v.jsonChoice(b)
	}
	return append(b, "null"...)
}

func (v *Value) jsonList(b []byte) []byte {
	b = append(b, '[')
	for i := range v.Items {
		if i > 0 {
			b = append(b, ',')
		}
		b = v.Items[i].AppendJSON(b)
	}
	return append(b, ']')
}

func (v *Value) jsonRecord(b []byte, fields []Field) []byte {
	b = append(b, '{')
	for i := range v.Items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, fields[i].Name), ':')
		b = v.Items[i].AppendJSON(b)
	}
	return append(b, '}')
}

func (v *Value) jsonChoice(b []byte) []byte {
	switch {
	case v.IsNone():
		return append(b, "null"...)
	case v.shape.role == roleOption:
		return v.Items[0].AppendJSON(b)
	case len(v.Items) == 0:
		return appendString(b, v.Variant.Name)
	}
	b = append(appendString(append(b, '{'), v.Variant.Name), ':')
	switch f := v.Variant.Fields; {
	case f[0].Name != "":
		b = v.jsonRecord(b, f)
	case len(f) == 1:
		b = v.Items[0].AppendJSON(b)
	default:
		b = v.jsonList(b)
	}
	return append(b, '}')
}

// appendString appends a JSON string. Names and addresses need nothing escaped.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			q, err := json.Marshal(s)
			if err != nil {
				return append(b, `""`...) // a string always can
			}
			return append(b, q...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// String returns v as one line for people: bytes as text where they are printable, options as the
// value or none. It is not read back.
func (v Value) String() string { return string(v.AppendText(nil)) }

// AppendText appends what String returns.
func (v *Value) AppendText(b []byte) []byte {
	switch v.Form {
	case Truth:
		return strconv.AppendBool(b, v.num == 1)
	case Uint, Int:
		return v.integer(b)
	case Character:
		return strconv.AppendQuoteRune(b, rune(v.num))
	case Text:
		return strconv.AppendQuote(b, string(v.data))
	case Octets:
		if !v.isHash() && readable(v.data) {
			return strconv.AppendQuote(b, string(v.data))
		}
		return hex.AppendEncode(append(b, "0x"...), v.data)
	case Account:
		return append(b, verify.AccountID(v.data).String()...)
	case Bits:
		return v.bits(append(b, "0b"...))
	case List:
		return v.textList(b, "[", "]")
	case Record:
		return v.textRecord(b, v.Fields())
	case Choice:
		return v.textChoice(b)
	}
	return append(b, "none"...)
}

// isHash reports whether bytes have the size of a hash, key, signature or Ethereum address, which are no
// text, be their bytes letters.
func (v *Value) isHash() bool {
	switch len(v.data) {
	case 20, 32, 33, 64, 65:
		return v.shape.Kind == Array
	}
	return false
}

// readable reports whether bytes are text that says something: UTF-8 with nothing unprintable in it.
func readable(p []byte) bool {
	if len(p) == 0 || !utf8.Valid(p) {
		return false
	}
	return !strings.ContainsFunc(string(p), func(c rune) bool { return !strconv.IsPrint(c) && c != '\n' && c != '\t' })
}

func (v *Value) textList(b []byte, open, end string) []byte {
	b = append(b, open...)
	for i := range v.Items {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = v.Items[i].AppendText(b)
	}
	return append(b, end...)
}

func (v *Value) textRecord(b []byte, fields []Field) []byte {
	b = append(b, '{')
	for i := range v.Items {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(append(b, fields[i].Name...), ": "...)
		b = v.Items[i].AppendText(b)
	}
	return append(b, '}')
}

func (v *Value) textChoice(b []byte) []byte {
	switch {
	case v.IsNone():
		return append(b, "none"...)
	case v.shape.role == roleOption:
		return v.Items[0].AppendText(b)
	}
	b = append(b, v.Variant.Name...)
	switch {
	case len(v.Items) == 0:
		return b
	case v.Variant.Fields[0].Name != "":
		return v.textRecord(append(b, ' '), v.Variant.Fields)
	}
	return v.textList(b, "(", ")")
}
