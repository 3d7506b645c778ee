package jsonfield

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/taolight/taolight/verify"
)

func TestInteger(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`0`, "0"},
		{`8867448`, "8867448"},
		{`"8867448"`, "8867448"},
		{`"0x8c0b90"`, "9178000"},
		{`"0X8C0b90"`, "9178000"},
		{`"0x0"`, "0"},
		{`"007"`, "7"},
		{`9007199254740993`, "9007199254740993"}, // 2^53+1: a float would lose the 1
		{`18446744073709551616`, "18446744073709551616"},
		{`340282366920938463463374607431768211455`, "340282366920938463463374607431768211455"},
		{`"0xffffffffffffffffffffffffffffffff"`, "340282366920938463463374607431768211455"},
	} {
		u, err := Integer([]byte(tt.in))
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		got := new(big.Int).Lsh(new(big.Int).SetUint64(u.Hi), 64)
		if got.Or(got, new(big.Int).SetUint64(u.Lo)).String() != tt.want {
			t.Errorf("%s: %v, want %s", tt.in, got, tt.want)
		}
	}
	for _, in := range []string{`-1`, `1.0`, `1e3`, `0.5`, `""`, `"0x"`, `" 1"`, `"+1"`, `"1_000"`, `"0x1g"`, `"ff"`, `null`, `true`, `[1]`, `{}`,
		`340282366920938463463374607431768211456`, `"0x100000000000000000000000000000000"`, `3402823669209384634633746074317682114550`} {
		if u, err := Integer([]byte(in)); !errors.Is(err, ErrInteger) {
			t.Errorf("%s: %v, %v", in, u, err)
		}
	}
	for _, tt := range []struct {
		in   string
		size int
		ok   bool
	}{{`255`, 8, true}, {`256`, 8, false}, {`4294967295`, 32, true}, {`4294967296`, 32, false}, {`18446744073709551615`, 64, true}, {`18446744073709551616`, 64, false}} {
		if _, err := Uint([]byte(tt.in), tt.size); (err == nil) != tt.ok {
			t.Errorf("%s in %d bits: %v", tt.in, tt.size, err)
		}
	}
}

func TestBytes(t *testing.T) {
	for _, in := range []string{`"0x00ff"`, `"00ff"`, `"0X00FF"`, `"\u0030x00ff"`} {
		if b, err := Bytes([]byte(in), 2); err != nil || !bytes.Equal(b, []byte{0, 255}) {
			t.Errorf("%s: %x, %v", in, b, err)
		}
	}
	for _, in := range []string{`""`, `"0x"`} {
		if b, err := Bytes([]byte(in), 0); err != nil || b == nil || len(b) != 0 {
			t.Errorf("%s: %v, %v", in, b, err)
		}
	}
	for _, tt := range []struct {
		in   string
		want error
	}{{`"0x0"`, verify.ErrHex}, {`"0xgg"`, verify.ErrHex}, {`"0x000000"`, ErrLimit}, {`1`, ErrType}, {`["00"]`, ErrType}, {`null`, ErrType}, {`"0x00 "`, verify.ErrHex}} {
		if _, err := Bytes([]byte(tt.in), 2); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.in, err, tt.want)
		}
	}
}

func TestObject(t *testing.T) {
	o, err := Parse([]byte(` {"a":1, "b" : null,"twice":1,"twice":1,"A":2,"\u0063":"x", "l":[1,"2",[3]] , "o":{"k":true}} `))
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := o.Uint("a", 64); !ok || v != 1 {
		t.Errorf("a: %d, %v", v, ok)
	}
	if o.Has("b") || o.Has("absent") {
		t.Error("null or nothing counts as there")
	}
	if _, ok := o.Raw("b"); !ok {
		t.Error("null cannot be told from nothing")
	}
	if s, ok := o.Text("c"); !ok || s != "x" {
		t.Errorf("an escaped name: %q, %v", s, ok)
	}
	if l, ok := o.Elements("l", 3); !ok || len(l) != 3 || string(l[2]) != "[3]" {
		t.Errorf("l: %q", l)
	}
	if sub, ok := o.Object("o"); !ok {
		t.Error("o")
	} else if b, ok := sub.Bool("k"); !ok || !b {
		t.Error("o.k")
	}
	if o.Err() != nil {
		t.Fatal(o.Err())
	}
	if _, ok := o.Uint("twice", 64); ok || !errors.Is(o.Err(), ErrDuplicate) {
		t.Errorf("twice: %v", o.Err())
	}
	// The first error sticks.
	if _, ok := o.Uint("a", 64); ok {
		t.Error("read on after an error")
	}
	o.Need("absent")
	if !errors.Is(o.Err(), ErrDuplicate) {
		t.Errorf("%v", o.Err())
	}
}

func TestObjectErrors(t *testing.T) {
	const in = `{"n":1,"s":"x","l":[1,2],"o":{},"t":true}`
	for _, tt := range []struct {
		name string
		read func(o *Object)
		want error
	}{
		{"text of a number", func(o *Object) { o.Text("n") }, ErrType},
		{"number of a text", func(o *Object) { o.Uint("s", 64) }, ErrInteger},
		{"128 bits of a list", func(o *Object) { o.Uint128("l") }, ErrInteger},
		{"bool of a number", func(o *Object) { o.Bool("n") }, ErrType},
		{"hash of a text", func(o *Object) { o.Hash("s") }, verify.ErrHex},
		{"list of an object", func(o *Object) { o.Elements("o", 9) }, ErrType},
		{"object of a list", func(o *Object) { o.Object("l") }, ErrType},
		{"long list", func(o *Object) { o.Elements("l", 1) }, ErrLimit},
		{"absent", func(o *Object) { o.Need("n", "absent") }, ErrMissing},
		{"a good one", func(o *Object) { o.Bool("t"); o.Elements("l", 2); o.Need("n", "o") }, nil},
	} {
		o, err := Parse([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		if tt.read(o); !errors.Is(o.Err(), tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, o.Err(), tt.want)
		}
	}
	for _, in := range []string{``, `[]`, `1`, `{`, `{}}`, `{}{}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, "{\"a\":\"\n\"}", strings.Repeat(`{"a":`, 20000) + `1` + strings.Repeat(`}`, 20000)} {
		if _, err := Parse([]byte(in)); err == nil {
			t.Errorf("%.40q: accepted", in)
		}
	}
	var many strings.Builder
	many.WriteString(`{"a":1`)
	for range MaxMembers {
		many.WriteString(`,"a":1`)
	}
	many.WriteByte('}')
	if _, err := Parse([]byte(many.String())); !errors.Is(err, ErrLimit) {
		t.Errorf("too many members: %v", err)
	}
}

func TestNext(t *testing.T) {
	in := []byte(" {\"a\":\"}\"}\r\n[1]\n2 \"x\"true{}\n")
	var got []string
	for rest := in; ; {
		v, next, err := Next(rest)
		if err != nil {
			t.Fatal(err)
		}
		if v == nil {
			break
		}
		got, rest = append(got, string(v)), next
	}
	if want := `{"a":"}"}|[1]|2|"x"|true|{}`; strings.Join(got, "|") != want {
		t.Errorf("%q", got)
	}
	for _, in := range []string{`{`, `}`, `"`, `"\`, `,`, `:`, `nul`, `[1`, `{]`} {
		if v, _, err := Next([]byte(in)); err == nil {
			t.Errorf("%q: %s", in, v)
		}
	}
}

// FuzzValue holds the scanner against the standard decoder: the same values, members and elements.
func FuzzValue(f *testing.F) {
	for _, s := range []string{`{"a":[1,"]",{"b":null}],"\u0061":2}`, ` [ ] `, `{}`, `{"a":1}{"b":2}`, `"\\\""`, `1 2`, `[[],{}]`, `{"a" : "x" , "b":-1.5e3}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := json.NewDecoder(bytes.NewReader(b))
		rest := b
		for {
			var want json.RawMessage
			werr := d.Decode(&want)
			got, next, err := Next(rest)
			if err != nil || got == nil {
				if werr == nil && got == nil && err == nil {
					t.Fatalf("nothing, want %s", want)
				}
				// The standard decoder may see a value where ours sees the start of a bad one ("1x"):
				// ours must only never accept what the other refuses.
				return
			}
			if werr != nil {
				t.Fatalf("got %s, want error %v", got, werr)
			}
			if string(got) != string(want) {
				t.Fatalf("got %s, want %s", got, want)
			}
			check(t, got)
			rest = next
		}
	})
}

func check(t *testing.T, raw json.RawMessage) {
	switch raw[0] {
	case '[':
		var want []json.RawMessage
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		got, err := Elements(raw, len(want))
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d elements, want %d, %v", len(got), len(want), err)
		}
		for i := range want {
			if string(got[i]) != string(want[i]) {
				t.Fatalf("element %d: %s, want %s", i, got[i], want[i])
			}
		}
	case '{':
		// The last of equal names wins there.
		want := make(map[string]json.RawMessage)
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		got := make(map[string]json.RawMessage)
		err := Members(raw, func(name string, value json.RawMessage) error {
			got[name] = value
			return nil
		})
		if err != nil {
			if utf8.Valid(raw) {
				t.Fatal(err)
			}
			return
		}
		if len(got) != len(want) {
			t.Fatalf("%d names, want %d", len(got), len(want))
		}
		for name, v := range want {
			if string(got[name]) != string(v) {
				t.Fatalf("%q: %s, want %s", name, got[name], v)
			}
		}
	case '"':
		var want string
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		got, err := Text(raw)
		if err != nil {
			if utf8.Valid(raw) {
				t.Fatal(err)
			}
		} else if got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
}
