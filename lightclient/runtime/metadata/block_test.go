package metadata

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
)

// TestOracleCalls decodes the calls and whole extrinsics that a real spec-293 runtime executed, and
// encodes them again from the names and arguments.
func TestOracleCalls(t *testing.T) {
	m := vectorMetadata(t, "metadata-v15-spec293.scale")
	var oracle struct {
		Steps []struct{ Label, Signer, CallHex, ExtrinsicHex, Signature string }
	}
	if err := json.Unmarshal(vector(t, "runtime-oracle-spec293.json"), &oracle); err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, s := range oracle.Steps {
		if s.CallHex == "" {
			continue
		}
		calls++
		raw := unhex(t, s.CallHex)
		c, err := m.DecodeCall(raw)
		if err != nil {
			t.Errorf("%s: %v", s.Label, err)
			continue
		}
		var j struct {
			Pallet, Call string
			Args         json.RawMessage
		}
		if err := json.Unmarshal(c.AppendJSON(nil), &j); err != nil {
			t.Fatal(err)
		}
		back, err := m.EncodeCall(j.Pallet+"."+j.Call, j.Args)
		if err != nil || !bytes.Equal(back, raw) {
			t.Errorf("%s: %s encodes to %x, %v, want %x", s.Label, j.Args, back, err, raw)
		}
		words := make([]string, len(c.Args))
		for i := range c.Args {
			words[i] = strings.Trim(string(c.Args[i].AppendJSON(nil)), `"`)
		}
		if back, err := m.EncodeCallWords(c.String(), words...); err != nil || !bytes.Equal(back, raw) {
			t.Errorf("%s: %q encodes to %x, %v, want %x", s.Label, words, back, err, raw)
		}
		x, err := m.DecodeExtrinsic(unhex(t, s.ExtrinsicHex))
		if err != nil {
			t.Errorf("%s: %v", s.Label, err)
			continue
		}
		if x.Form != Signed || x.Call.String() != c.String() || !bytes.Equal(x.CallBytes, raw) {
			t.Errorf("%s: extrinsic of kind %d with %v %x", s.Label, x.Form, x.Call, x.CallBytes)
		}
		if got := x.Address.String(); got != "Id("+s.Signer+")" {
			t.Errorf("%s: signed by %s, not %s", s.Label, got, s.Signer)
		}
		if got := x.Signature.String(); got != "Sr25519("+s.Signature+")" {
			t.Errorf("%s: signature %s, not %s", s.Label, got, s.Signature)
		}
	}
	if calls != 37 {
		t.Errorf("%d calls, want 37", calls)
	}
}

// TestBlock9178000 decodes a block of spec 470 with the nearest metadata that is at hand, of spec 424.
func TestBlock9178000(t *testing.T) {
	m := vectorMetadata(t, "metadata-v16-spec424.scale")
	var block struct{ Extrinsics []string }
	if err := json.Unmarshal(vector(t, "chain", "finney-9178000-header-body.json"), &block); err != nil {
		t.Fatal(err)
	}
	for i, s := range block.Extrinsics {
		x, err := m.DecodeExtrinsic(unhex(t, s))
		if err != nil {
			var d *DecodeError
			if !errors.As(err, &d) {
				t.Fatalf("extrinsic %d: %v is no DecodeError", i, err)
			}
			t.Errorf("extrinsic %d: %v", i, err)
			continue
		}
		j := x.Call.AppendJSON(nil)
		if !json.Valid(j) {
			t.Errorf("extrinsic %d: %s", i, j)
		}
		text := string(x.Call.AppendText(nil))
		t.Logf("extrinsic %d: v%d kind %d %s", i, x.Version, x.Form, text[:min(len(text), 100)])
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := verify.ParseHex(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
