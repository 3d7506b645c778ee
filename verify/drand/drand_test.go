package drand

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

type recording struct {
	Pulses []struct {
		Round                 uint64
		Signature, Randomness hexBytes
	}
	Bad hexBytes
}

func recorded(t testing.TB) (r recording, ps []Pulse) {
	t.Helper()
	b, err := os.ReadFile("testdata/quicknet.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Pulses {
		ps = append(ps, Pulse{p.Round, Signature(p.Signature)})
	}
	if len(ps) != 4 {
		t.Fatal("pulses are missing")
	}
	return r, ps
}

func quicknet(t testing.TB) *Verifier {
	t.Helper()
	v, err := NewVerifier(Quicknet())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestQuicknet(t *testing.T) {
	r, ps := recorded(t)
	v := quicknet(t)
	for i, p := range ps {
		if err := v.Verify(p); err != nil {
			t.Errorf("round %d: %v", p.Round, err)
		}
		if got := p.Randomness(); string(got[:]) != string(r.Pulses[i].Randomness) {
			t.Errorf("round %d: randomness %x", p.Round, got)
		}
	}
	if err := v.VerifyAll(ps); err != nil {
		t.Error(err)
	}
}
