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

// TestBlockOfAnotherSpec decodes the same block by a runtime 177 versions older. Where that does not fit,
// the error says where.
func TestBlockOfAnotherSpec(t *testing.T) {
	m := vectorMetadata(t, "metadata-v15-spec293.scale")
	var block struct{ Extrinsics []string }
	if err := json.Unmarshal(vector(t, "chain", "finney-9178000-header-body.json"), &block); err != nil {
		t.Fatal(err)
	}
	// By the call's own bytes: 293 had no pallet 30 (MevShield) and, in pallet 7, no calls 118 and 119.
	newer := map[string]string{"1e": "RuntimeCall", "0776": "Call", "0777": "Call"}
	for i, s := range block.Extrinsics {
		raw := unhex(t, s)
		x, err := m.DecodeExtrinsic(raw)
		if x == nil {
			t.Errorf("extrinsic %d: %v", i, err)
			continue
		}
		want, at := "", ""
		for prefix, typ := range newer {
			if bytes.HasPrefix(x.CallBytes, unhex(t, prefix)) {
				want, at = typ, prefix
			}
		}
		var d *DecodeError
		switch {
		case want == "" && err != nil:
			t.Errorf("extrinsic %d: %v", i, err)
		case want != "" && (!errors.As(err, &d) || !errors.Is(err, ErrUnknown) || d.Type != want || d.Offset != len(raw)-len(x.CallBytes)+len(at)/2-1):
			t.Errorf("extrinsic %d: %v", i, err)
		case err != nil:
			t.Logf("extrinsic %d: %v", i, err)
		}
	}
}

// TestSigningPayload splits a real extrinsic as its signer did.
func TestSigningPayload(t *testing.T) {
	m := vectorMetadata(t, "metadata-v16-spec424.scale")
	var v struct{ Extrinsic, Signer, Signature, Call, Extra, Implicit string }
	if err := json.Unmarshal(vector(t, "chain", "finney-9178000-xt15-signing-payload.json"), &v); err != nil {
		t.Fatal(err)
	}
	x, err := m.DecodeExtrinsic(unhex(t, v.Extrinsic))
	if err != nil {
		t.Fatal(err)
	}
	var extra []byte
	for i := range x.Extensions {
		extra = append(extra, x.Extensions[i].Raw...)
	}
	if !bytes.Equal(extra, unhex(t, v.Extra)) || !bytes.Equal(x.CallBytes, unhex(t, v.Call)) ||
		!bytes.Equal(x.Address.Items[0].Raw, unhex(t, v.Signer)) || !bytes.Equal(x.Signature.Items[0].Raw, unhex(t, v.Signature)) {
		t.Errorf("%+v", x)
	}
	// What is signed besides: its types are those of the extensions, in their order.
	r := m.Types.NewReader(unhex(t, v.Implicit))
	for _, e := range x.Defs {
		r.Skip(e.Implicit)
	}
	if err := r.Finish(); err != nil {
		t.Error(err)
	}
}

// TestOracleState decodes the storage that a real spec-293 runtime wrote and what its APIs answered, and
// encodes both again.
func TestOracleState(t *testing.T) {
	m := vectorMetadata(t, "metadata-v15-spec293.scale")
	var oracle struct {
		Steps []struct {
			Before, After map[string]map[string]json.RawMessage
		}
		RuntimeCalls map[string]string
	}
	if err := json.Unmarshal(vector(t, "runtime-oracle-spec293.json"), &oracle); err != nil {
		t.Fatal(err)
	}
	values := 0
	for _, s := range oracle.Steps {
		for _, state := range []map[string]map[string]json.RawMessage{s.Before, s.After} {
			for name, entries := range state {
				for key, raw := range entries {
					it := m.ItemOf(unhex(t, key))
					if it == nil || it.Name != name {
						t.Fatalf("%s is of %v, want %s", key, it, name)
					}
					parts, err := it.SplitKey(unhex(t, key))
					if err != nil {
						t.Errorf("%s: %v", key, err)
					}
					if k, err := it.Key(parts...); err != nil || !bytes.Equal(k, unhex(t, key)) {
						t.Errorf("%s: %x, %v", key, k, err)
					}
					var value string
					if json.Unmarshal(raw, &value) != nil || value == "" {
						continue // absent
					}
					v, _, err := it.Decode(unhex(t, value))
					if err != nil {
						t.Errorf("%s: %s: %v", key, value, err)
						continue
					}
					values++
					if back, err := m.Types.EncodeJSON(it.Value, v.AppendJSON(nil)); err != nil || !bytes.Equal(back, unhex(t, value)) {
						t.Errorf("%v: %v is %x, %v, want %s", it, v, back, err, value)
					}
				}
			}
		}
	}
	for name, answer := range oracle.RuntimeCalls {
		_, me, err := m.Method(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		v, err := m.Types.Decode(me.Output, unhex(t, answer))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if back, err := m.Types.EncodeJSON(me.Output, v.AppendJSON(nil)); err != nil || !bytes.Equal(back, unhex(t, answer)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if values < 100 || len(oracle.RuntimeCalls) == 0 {
		t.Errorf("%d values, %d calls", values, len(oracle.RuntimeCalls))
	}
	t.Logf("%d values, %d calls", values, len(oracle.RuntimeCalls))
}
