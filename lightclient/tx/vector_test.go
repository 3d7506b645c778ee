package tx

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify"
)

// vector reads a file of the folder that TAOLIGHT_VECTORS names, and skips the test without it.
func vector(t testing.TB, elem ...string) []byte {
	t.Helper()
	dir := os.Getenv("TAOLIGHT_VECTORS")
	if dir == "" {
		t.Skip("TAOLIGHT_VECTORS is not set")
	}
	b, err := os.ReadFile(filepath.Join(append([]string{dir}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func vectorMetadata(t testing.TB, name string) *metadata.Metadata {
	t.Helper()
	b := vector(t, "metadata", name)
	parse := metadata.Parse
	if !bytes.HasPrefix(b, []byte("meta")) {
		parse = metadata.FromAPI
	}
	m, err := parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := verify.ParseHex(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// snake writes burnedRegister as burned_register, as the metadata has it.
func snake(s string) string {
	var b strings.Builder
	for _, c := range s {
		if unicode.IsUpper(c) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// An oracleCall is a call as the vectors print it: names in camel case, numbers as text with commas.
type oracleCall struct {
	Section, Method string
	Args            map[string]json.RawMessage
}

// values turns what was printed into what EncodeCall reads.
func (c *oracleCall) values(t testing.TB) map[string]any {
	out := make(map[string]any)
	for name, raw := range c.Args {
		var inner oracleCall
		if json.Unmarshal(raw, &inner) == nil && inner.Section != "" {
			// A call inside of one: its pallet, then the call, each as an enum has it.
			pallet := strings.ToUpper(inner.Section[:1]) + inner.Section[1:]
			out[name] = map[string]any{pallet: map[string]any{snake(inner.Method): inner.values(t)}}
			continue
		}
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		out[name] = number(v)
	}
	return out
}

func number(v any) any {
	switch v := v.(type) {
	case string:
		if digits := strings.ReplaceAll(v, ",", ""); digits != "" && strings.Trim(digits, "0123456789") == "" {
			return json.Number(digits)
		}
	case []any:
		for i := range v {
			v[i] = number(v[i])
		}
	}
	return v
}

type oracleStep struct {
	Label, Signer, CallHex, ExtrinsicHex, ExtrinsicHash, SignedPayloadHex, Signature string
	Call                                                                             *oracleCall
	Events                                                                           []struct{ Event string }
}

func oracle(t testing.TB) (steps []oracleStep, terms *Terms) {
	t.Helper()
	var file struct {
		Runtime struct{ SpecVersion, TransactionVersion uint32 }
		Genesis verify.Hash
		Steps   []oracleStep
	}
	if err := json.Unmarshal(vector(t, "runtime-oracle-spec293.json"), &file); err != nil {
		t.Fatal(err)
	}
	terms, err := NewTerms(vectorMetadata(t, "metadata-v15-spec293.scale"), file.Genesis, 0, file.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	if terms.SpecVersion != file.Runtime.SpecVersion || terms.TransactionVersion != file.Runtime.TransactionVersion {
		t.Fatalf("metadata of spec %d, transactions %d", terms.SpecVersion, terms.TransactionVersion)
	}
	for _, s := range file.Steps {
		if s.Call != nil {
			steps = append(steps, s)
		}
	}
	return steps, terms
}

// TestOracle makes each call that a real runtime of spec 293 was given from its name and arguments, and each
// extrinsic from its call, and compares both with the bytes that another program made.
func TestOracle(t *testing.T) {
	steps, terms := oracle(t)
	nonces := make(map[string]uint32)
	for _, s := range steps {
		name := strings.ToUpper(s.Call.Section[:1]) + s.Call.Section[1:] + "." + snake(s.Call.Method)
		args, err := json.Marshal(s.Call.values(t))
		if err != nil {
			t.Fatal(err)
		}
		call, err := terms.Metadata.EncodeCall(name, args)
		if err != nil || !bytes.Equal(call, unhex(t, s.CallHex)) {
			t.Errorf("%s: call %x, %v, want %s", s.Label, call, err, s.CallHex)
			continue
		}
		from, err := verify.ParseAccount(s.Signer)
		if err != nil {
			t.Fatal(err)
		}
		p, err := terms.Payload(call, Options{From: from, Nonce: nonces[s.Signer]})
		if err != nil {
			t.Errorf("%s: %v", s.Label, err)
			continue
		}
		nonces[s.Signer]++
		if got := p.Bytes(); !bytes.Equal(got, unhex(t, s.SignedPayloadHex)) && !bytes.Equal(p.Whole(), unhex(t, s.SignedPayloadHex)) {
			t.Errorf("%s: payload %x, want %s", s.Label, got, s.SignedPayloadHex)
		}
		sig, err := ParseSignature(unhex(t, s.Signature), from, p.Bytes())
		if err != nil || sig.Scheme != Sr25519 {
			t.Errorf("%s: signature: %v, %v", s.Label, sig.Scheme, err)
		}
		x := p.Extrinsic(sig)
		if !bytes.Equal(x, unhex(t, s.ExtrinsicHex)) || HashOf(x).String() != s.ExtrinsicHash {
			t.Errorf("%s: extrinsic %x, want %s", s.Label, x, s.ExtrinsicHex)
		}
		again, err := terms.Open(x, nil)
		if err != nil || !bytes.Equal(again.Payload.Whole(), p.Whole()) || again.Signature != sig {
			t.Errorf("%s: taken apart: %v", s.Label, err)
		}
	}
	if len(steps) != 37 {
		t.Errorf("%d extrinsics", len(steps))
	}
}
