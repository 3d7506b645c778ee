package tx

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify"
)

// small is metadata that has all that a transaction touches, from the vectors; nil without them, and then what needs
// it is not fuzzed.
func small(f *testing.F) *Terms {
	m := vectorMetadata(f, "metadata-v16-spec424.scale")
	t, err := NewTerms(m, verify.Hash{1}, 5000, verify.Hash{2})
	if err != nil {
		f.Fatal(err)
	}
	return t
}

func FuzzDecodeValidity(f *testing.F) {
	for _, b := range [][]byte{{0, 1}, {1, 0, 3}, {1, 0, 7, 6}, {1, 1, 2, 9}, append(make([]byte, 8+1), 4, 8, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := DecodeValidity(b)
		var r *Refusal
		switch {
		case errors.As(err, &r):
			if r.Name() == "" || r.Error() == "" || len(b) > 4 {
				t.Errorf("%x: %+v", b, r)
			}
		case err == nil && (v == nil || len(b) < 8+1+1+8+1):
			t.Errorf("%x: %+v", b, v)
		}
	})
}

func FuzzParse(f *testing.F) {
	p := &Payload{From: verify.AccountID{1}, Nonce: 3, Call: []byte{0, 0}, Extra: []byte{1}, Implicit: []byte{2}, Era: Mortal(77, 64), EraBlock: 77}
	for _, v := range []any{p.File("finney", "text", &Signature{Scheme: Ecdsa}), p.SignerPayload()} {
		b, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"kind": "taolight payload", "period": 3}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, sig, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrPayload) {
				t.Errorf("%s: %v", b, err)
			}
			return
		}
		// What was read is written and read the same.
		again, _ := json.Marshal(p.File("", "", nil))
		back, _, err := Parse(again)
		if err != nil || !bytes.Equal(back.Bytes(), p.Bytes()) || back.Era != p.Era || back.From != p.From {
			t.Errorf("%s: %v", again, err)
		}
		if sig != nil {
			ParseSignature(sig, p.From, p.Bytes())
		}
	})
}

func FuzzOpen(f *testing.F) {
	terms := small(f)
	steps, _ := oracle(f)
	for _, s := range steps[:4] {
		f.Add(unhex(f, s.ExtrinsicHex))
	}
	call, err := terms.Metadata.EncodeCall("System.remark", []byte(`["0x00"]`))
	if err != nil {
		f.Fatal(err)
	}
	p, err := terms.Payload(call, Options{Period: 64, MetadataHash: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Extrinsic(Signature{Scheme: Ed25519}))
	f.Add(p.Extrinsic(Signature{Scheme: Ecdsa}))
	birth := func(uint32) (verify.Hash, error) { return verify.Hash{2}, nil }
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := terms.Open(b, birth)
		if err == nil && !bytes.Equal(s.Payload.Extrinsic(s.Signature), b) {
			t.Errorf("%x is not what it was read as", b)
		}
	})
}

func FuzzOutcomeOf(f *testing.F) {
	terms := small(f)
	m := terms.Metadata
	f.Add(record(f, m, `{"ApplyExtrinsic": 1}`, `{"System": {"ExtrinsicSuccess": {"dispatch_info": {"weight": {"ref_time": 1, "proof_size": 2}, "class": "Normal", "pays_fee": "Yes"}}}}`), uint32(1))
	f.Add(failed(f, m, 1, `{"Module": {"index": 5, "error": "0x02000000"}}`), uint32(1))
	f.Add([]byte{0}, uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, index uint32) {
		o, err := OutcomeOf(m, b, index)
		if err == nil && !o.OK && o.Failure == nil {
			t.Errorf("%x: failed, and nobody knows why", b)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	x := []byte{8, 1, 2}
	b, err := json.Marshal(Tracked{Hash: HashOf(x).String(), Extrinsic: hexText(x), From: verify.AccountID{}.String(), State: Pending, Last: 9})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(b)
		if err == nil && (e.Hash != HashOf(e.extrinsic).String() || e.Line() == "") {
			t.Errorf("%s: %+v", b, e)
		}
	})
}

func FuzzDecodeFee(f *testing.F) {
	f.Add([]byte{4, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if fee, err := decodeFee(b); err == nil && fee == nil {
			t.Error("neither fee nor error")
		}
	})
}

// record encodes System.Events with one event.
func record(t testing.TB, m *metadata.Metadata, phase, event string) []byte {
	t.Helper()
	it, err := m.Item("System.Events")
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Types.EncodeJSON(it.Value, []byte(`[{"phase": `+phase+`, "event": `+event+`, "topics": []}]`))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// failed encodes System.Events with an ExtrinsicFailed.
func failed(t testing.TB, m *metadata.Metadata, index int, dispatchError string) []byte {
	t.Helper()
	phase, _ := json.Marshal(map[string]int{"ApplyExtrinsic": index})
	return record(t, m, string(phase), `{"System": {"ExtrinsicFailed": {"dispatch_error": `+dispatchError+
		`, "dispatch_info": {"weight": {"ref_time": 1, "proof_size": 2}, "class": "Normal", "pays_fee": "Yes"}}}}`)
}
