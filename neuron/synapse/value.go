package synapse

import (
	"bytes"
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// EmptyHash is the body hash of a synapse without hash fields: SHA3-256 of nothing.
const EmptyHash = "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"

// maxDepth and maxDigits bound the nesting of a value and the digits of a whole number; Python's own limit
// is the latter.
const (
	maxDepth  = 64
	maxDigits = 4300
)

// Values are the fields of one synapse, each as JSON of the kind that its Spec says.
type Values struct {
	spec *Spec
	raw  []json.RawMessage
}

// Read reads the members of a JSON object that are the synapse's own. Others are left out, as the SDK does;
// so are those of the base class, whose truth is in the headers.
func (s *Spec) Read(object []byte) (*Values, error) {
	v := &Values{s, make([]json.RawMessage, len(s.Fields))}
	if err := members(object, func(name, raw []byte) error {
		if i := s.indexBytes(name); i >= 0 {
			v.raw[i] = raw // of two with one name the later one, as in Python
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		raw := v.raw[i]
		switch {
		case raw != nil:
		case f.Required:
			return nil, fmt.Errorf("%w: field %s is missing", ErrBody, f.Name)
		case f.Default != nil:
			raw = f.Default
		default:
			v.raw[i] = json.RawMessage("null")
			continue
		}
		var err error
		if v.raw[i], err = f.coerce(raw); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Set lays the members of a JSON object over the values. Members that are no fields are an error: here it is
// not a stranger who writes, but a handler that means another field.
func (v *Values) Set(object []byte) error {
	return members(object, func(name, raw []byte) (err error) {
		i := v.spec.indexBytes(name)
		if i < 0 {
			return fmt.Errorf("%w: %s has no field %.64q", ErrBody, v.spec.Name, name)
		}
		v.raw[i], err = v.spec.Fields[i].coerce(raw)
		return err
	})
}

// Spec returns the description of the synapse.
func (v *Values) Spec() *Spec { return v.spec }

// Reply reads the body of a reply to v. What the caller gave, the required fields, stays as it was: a reply
// has to have them, and has no say in them.
func (v *Values) Reply(body []byte) (*Values, error) {
	out, err := v.spec.Read(body)
	if err != nil {
		return nil, err
	}
	for i := range v.spec.Fields {
		if v.spec.Fields[i].Required {
			out.raw[i] = v.raw[i]
		}
	}
	return out, nil
}

// Get returns the JSON of a field, or nil if there is no such field.
func (v *Values) Get(name string) json.RawMessage {
	if i := v.spec.index(name); i >= 0 {
		return v.raw[i]
	}
	return nil
}

// Object returns the values as a JSON object, in the order of the Spec.
func (v *Values) Object() []byte {
	b := v.appendMembers([]byte{'{'}, compact)
	if len(v.raw) > 0 {
		b = append(b[:1], b[2:]...) // the comma before the first
	}
	return append(b, '}')
}

// A style is what stands behind commas and colons: nothing in replies, a space in requests.
type style string

const (
	compact style = ""
	spaced  style = " "
)

// appendMembers writes `,"name":value` for each field.
func (v *Values) appendMembers(b []byte, s style) []byte {
	for i, raw := range v.raw {
		b = append(append(append(b, ','), s...), '"')
		b = append(append(b, v.spec.Fields[i].Name...), `":`...)
		b = append(append(b, s...), raw...)
	}
	return b
}

// members calls f with the name, unquoted, and the value of each member of a JSON object. The standard
// library says whether it is JSON; then finding where values end is a matter of counting brackets, which
// takes a fraction of what decoding them does.
func members(b []byte, f func(name, raw []byte) error) error {
	if !utf8.Valid(b) {
		return fmt.Errorf("%w: not UTF-8", ErrJSON)
	}
	if !json.Valid(b) {
		return ErrJSON
	}
	b = bytes.TrimSpace(b)
	if b[0] != '{' {
		return fmt.Errorf("%w: not an object", ErrBody)
	}
	for i := skipSpace(b, 1); b[i] != '}'; {
		end := skipValue(b, i)
		name := b[i+1 : end-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			var s string
			if err := json.Unmarshal(b[i:end], &s); err != nil {
				return fmt.Errorf("%w: %w", ErrJSON, err)
			}
			name = []byte(s)
		}
		i = skipSpace(b, skipSpace(b, end)+1) // over the colon
		end = skipValue(b, i)
		if err := f(name, b[i:end]); err != nil {
			return err
		}
		if i = skipSpace(b, end); b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return nil
}

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t' {
		i++
	}
	return i
}

// skipValue returns where the value that begins at i ends, in JSON that is known to be valid.
func skipValue(b []byte, i int) int {
	for depth := 0; ; i++ {
		switch b[i] {
		case '"':
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 {
				return i // of what the value stands in: it was a number or a word
			}
			depth--
		case ',', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
}

// coerce turns a value, which is valid JSON, into one of the field's kind where pydantic would, and refuses it where that would
// not: "7" and 7.0 are whole numbers, 7.5 is not.
func (f *Field) coerce(raw json.RawMessage) (json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	wrong := func() (json.RawMessage, error) {
		return nil, fmt.Errorf("%w: field %s wants %s", ErrBody, f.Name, f.Kind)
	}
	if string(raw) == "null" {
		if f.Null || f.Kind == Any || !f.Required && f.Default == nil {
			return raw, nil
		}
		return wrong()
	}
	switch f.Kind {
	case Any:
		return raw, nil
	case Str:
		if raw[0] == '"' {
			return raw, nil
		}
	case List:
		if raw[0] == '[' {
			return raw, nil
		}
	case Dict:
		if raw[0] == '{' {
			return raw, nil
		}
	case Tensor:
		if _, err := ParseTensor(raw); err != nil {
			return nil, fmt.Errorf("%w: field %s: %w", ErrBody, f.Name, err)
		}
		return raw, nil
	case Bool:
		if b, ok := boolOf(raw); ok {
			return b, nil
		}
	case Int:
		if n, ok := wholeOf(raw); ok {
			return n, nil
		}
	case Float:
		if b, ok := floatOf(raw); ok {
			return b, nil
		}
	}
	return wrong()
}

// scalar returns the text of a number, or of the string that one stands in.
func scalar(raw json.RawMessage) string {
	switch string(raw) {
	case "true":
		return "1"
	case "false":
		return "0"
	}
	if raw[0] == '"' {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return ""
		}
		return strings.TrimSpace(s)
	}
	if raw[0] == '{' || raw[0] == '[' {
		return ""
	}
	return string(raw)
}

func wholeOf(raw json.RawMessage) (json.RawMessage, bool) {
	s := scalar(raw)
	if whole, zeros, dot := strings.Cut(s, "."); dot && zeros != "" && strings.Trim(zeros, "0") == "" {
		s = whole
	} else if f, err := strconv.ParseFloat(s, 64); strings.ContainsAny(s, "eE") && raw[0] != '"' && err == nil && f == float64(int64(f)) && f < 1<<62 && f > -1<<62 {
		s = strconv.FormatInt(int64(f), 10)
	}
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || digits == "" || len(digits) > maxDigits || strings.Trim(digits, "0123456789") != "" {
		return nil, false
	}
	digits = strings.TrimLeft(digits, "0")
	switch {
	case digits == "":
		digits = "0"
	case s[0] == '-':
		digits = "-" + digits
	}
	return json.RawMessage(digits), true
}

func floatOf(raw json.RawMessage) (json.RawMessage, bool) {
	s := scalar(raw)
	if s == "" || strings.Trim(s, "0123456789+-.eE") != "" { // no inf, no nan, no hex
		return nil, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, false
	}
	return json.RawMessage(floatRepr(f)), true
}

func boolOf(raw json.RawMessage) (json.RawMessage, bool) {
	switch strings.ToLower(scalar(raw)) {
	case "1", "1.0", "true", "t", "yes", "y", "on":
		return json.RawMessage("true"), true
	case "0", "0.0", "-0", "-0.0", "false", "f", "no", "n", "off":
		return json.RawMessage("false"), true
	}
	return nil, false
}

// floatRepr writes a float as Python does: the shortest digits that give it again, with .0 or an exponent
// of two digits.
func floatRepr(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e6 && f != 0 { // a timeout, most of the time
		return strconv.Itoa(int(f)) + ".0"
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	if e, err := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:]); err != nil || e < -4 || e >= 16 {
		return s
	}
	s = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// BodyHash returns what the signature is over instead of the body: SHA3-256 of the hashes, in hex, of each
// hash field as Python's str() writes it.
func (v *Values) BodyHash() (string, error) {
	if len(v.spec.Hash) == 0 {
		return EmptyHash, nil
	}
	var all []byte
	for _, name := range v.spec.Hash {
		text, err := pythonStr(v.Get(name))
		if err != nil {
			return "", fmt.Errorf("%w: field %s: %w", ErrBody, name, err)
		}
		sum := sha3.Sum256(text)
		all = hex.AppendEncode(all, sum[:])
	}
	sum := sha3.Sum256(all)
	return hex.EncodeToString(sum[:]), nil
}

// pythonStr writes a JSON value as str() of what Python's json makes of it.
func pythonStr(raw json.RawMessage) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '"' {
		var s string
		err := d.Decode(&s)
		return []byte(s), err
	}
	var b bytes.Buffer
	err := pythonRepr(&b, d, 0)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = ErrJSON
		}
	}
	return b.Bytes(), err
}

func pythonRepr(b *bytes.Buffer, d *json.Decoder, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		if t {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case json.Number:
		return numberRepr(b, string(t))
	case string:
		stringRepr(b, t)
	case json.Delim:
		if t == '[' {
			return listRepr(b, d, depth)
		}
		return dictRepr(b, d, depth)
	}
	return nil
}

func numberRepr(b *bytes.Buffer, s string) error {
	if !strings.ContainsAny(s, ".eE") {
		if len(s) > maxDigits {
			return fmt.Errorf("a number of %d digits", len(s))
		}
		if s == "-0" {
			s = "0"
		}
		b.WriteString(s)
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return fmt.Errorf("a number that no float can hold")
	}
	b.WriteString(floatRepr(f))
	return nil
}

func listRepr(b *bytes.Buffer, d *json.Decoder, depth int) error {
	b.WriteByte('[')
	for first := true; d.More(); first = false {
		if !first {
			b.WriteString(", ")
		}
		if err := pythonRepr(b, d, depth+1); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	_, err := d.Token()
	return err
}

// dictRepr keeps the order of the members; of two with one name the later value stands in the first's place.
func dictRepr(b *bytes.Buffer, d *json.Decoder, depth int) error {
	type item struct {
		key  string
		text []byte
	}
	var items []item
	at := map[string]int{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		key, _ := t.(string)
		var v bytes.Buffer
		if err := pythonRepr(&v, d, depth+1); err != nil {
			return err
		}
		if i, again := at[key]; again {
			items[i].text = v.Bytes()
			continue
		}
		at[key] = len(items)
		items = append(items, item{key, v.Bytes()})
	}
	b.WriteByte('{')
	for i, it := range items {
		if i > 0 {
			b.WriteString(", ")
		}
		stringRepr(b, it.key)
		b.WriteString(": ")
		b.Write(it.text)
	}
	b.WriteByte('}')
	_, err := d.Token()
	return err
}

func stringRepr(b *bytes.Buffer, s string) {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	b.WriteByte(quote)
	for _, r := range s {
		switch {
		case r == '\\' || r == rune(quote):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			fmt.Fprintf(b, `\U%08x`, r)
		}
	}
	b.WriteByte(quote)
}
