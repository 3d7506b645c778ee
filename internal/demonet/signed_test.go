package demonet

import (
	"errors"
	"testing"

	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

func TestMetadata(t *testing.T) {
	m, err := Metadata(0)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := m.RuntimeVersion(); err != nil || v.SpecVersion != specNewest || v.TransactionVersion != transactionVersion {
		t.Errorf("%+v, %v", v, err)
	}
	// What it says of calls is what is executed.
	b, err := m.EncodeCall("SubtensorModule.commit_timelocked_mechanism_weights", []byte(`{"netuid":1,"mecid":0,"commit":"0x0102","reveal_round":7,"commit_reveal_version":4}`))
	if want := "\x07\x76\x01\x00\x00\x08\x01\x02\x07\x00\x00\x00\x00\x00\x00\x00\x04\x00"; err != nil || string(b) != want {
		t.Errorf("%x, %v", b, err)
	}
}

// signedBy signs a call for this chain.
func signedBy(n *Network, name string, nonce uint32, call []byte) []byte {
	return signer{genesis: n.chain.canon[0].hash, spec: specNewest, transaction: transactionVersion}.extrinsic(name, nonce, call)
}

func axonCall(netuid uint16, ip [4]byte, port uint16) []byte {
	args := append(u16(netuid), u32(1)...)
	args = append(args, ip[3], ip[2], ip[1], ip[0])
	args = append(args, make([]byte, 12)...)
	return append(append([]byte{palletSubtensor, callServeAxon}, append(args, u16(port)...)...), 4, 4, 0, 0)
}

// TestSigned: extrinsics of the well-known hotkeys are executed, and their end is in the events.
func TestSigned(t *testing.T) {
	n := network(t, Config{Peers: 1})
	m, err := Metadata(0)
	if err != nil {
		t.Fatal(err)
	}
	commit := func(netuid uint16) []byte {
		return append(append([]byte{palletSubtensor, callCommitMechanism}, append(u16(netuid), 0)...), make([]byte, 32)...)
	}
	nonces := map[string]uint32{}
	for _, x := range []struct {
		name string
		call []byte
		want error
	}{
		{"Bob", axonCall(1, [4]byte{127, 0, 0, 2}, 8091), nil},
		{"Bob", axonCall(1, [4]byte{127, 0, 0, 2}, 8092), errServing},
		{"Charlie", axonCall(1, [4]byte{127, 0, 0, 1}, 8091), errAddress},
		{"Charlie", axonCall(1, [4]byte{203, 0, 113, 9}, 0), errPort},
		{"Eve", axonCall(1, [4]byte{203, 0, 113, 9}, 1), errNotRegistered},
		{"Alice", commit(3), nil},
		{"Alice", commit(3), errTooFast},
		{"Alice", commit(99), errNoMechanism},
		{"Alice", append([]byte{palletSubtensor, callSetWeights}, append(append(u16(3), vecU16([]uint16{1})...), append(vecU16([]uint16{9}), u64(841)...)...)...), errHidden},
		{"Alice", []byte{0, 0, 4, 1}, nil}, // System.remark
	} {
		extrinsic := signedBy(n, x.name, nonces[x.name], x.call)
		nonces[x.name]++
		hash, err := n.Submit(extrinsic)
		if err != nil {
			t.Fatalf("%s %x: %v", x.name, x.call, err)
		}
		header, err := n.Step()
		if err != nil {
			t.Fatal(err)
		}
		f, ok := n.Fate(hash)
		if !ok || f.Number != header.Number || !errors.Is(f.Err, x.want) && f.Err != x.want {
			t.Errorf("%s %x: %+v, want %v", x.name, x.call, f, x.want)
		}
		// Whoever reads the block finds it there, and what it came to.
		b := n.chain.best()
		if string(b.body[f.Index]) != string(extrinsic) {
			t.Errorf("extrinsic %d of #%d is another", f.Index, f.Number)
		}
		if read, err := m.DecodeExtrinsic(b.body[f.Index]); err != nil || read.Form != metadata.Signed {
			t.Errorf("%v, %v", read, err)
		}
		raw, _ := b.state.Get(verify.StorageKey("System", "Events"))
		it, err := m.Item("System.Events")
		if err != nil {
			t.Fatal(err)
		}
		if v, _, err := it.Decode(raw); err != nil || len(v.Items) == 0 {
			t.Errorf("events of #%d: %v", f.Number, err)
		}
	}
	b := n.chain.best()
	bob, alice := accountOf(developer("Bob")), accountOf(developer("Alice"))
	axon, ok := b.state.Get(verify.AppendBlake2b128Concat(identity("Axons", 1), bob[:]))
	if want := []byte{2, 0, 0, 127}; !ok || len(axon) != 34 || string(axon[12:16]) != string(want) {
		t.Errorf("axon %x", axon)
	}
	p := &pallet{spec: specNewest, t: b.state}
	if p.nonce(alice) != uint64(nonces["Alice"]) || p.nonce(bob) != 2 {
		t.Errorf("nonces %d and %d", p.nonce(alice), p.nonce(bob))
	}
	if len(p.hashedQueue(hashedKey(3, alice))) != 1 {
		t.Error("the commitment is not in its queue")
	}
}

func TestSignedRefused(t *testing.T) {
	n := network(t, Config{Peers: 1})
	call := axonCall(1, [4]byte{203, 0, 113, 2}, 8091)
	other := signer{genesis: verify.Hash{1}, spec: specNewest, transaction: transactionVersion}
	for name, x := range map[string][]byte{
		"genesis":   other.extrinsic("Bob", 0, call),
		"spec":      signer{genesis: n.chain.canon[0].hash, spec: 424, transaction: transactionVersion}.extrinsic("Bob", 0, call),
		"signature": func() []byte { b := signedBy(n, "Bob", 0, call); b[60] ^= 1; return b }(),
	} {
		if _, err := n.Submit(x); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A nonce that is ahead waits for the one before it, one that is used is refused.
	second, err := n.Submit(signedBy(n, "Bob", 1, call))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Step(); err != nil {
		t.Fatal(err)
	}
	if f, _ := n.Fate(second); f != (Fate{}) {
		t.Errorf("%+v", f)
	}
	first, err := n.Submit(signedBy(n, "Bob", 0, []byte{0, 0, 4, 1}))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := n.Step(); err != nil {
			t.Fatal(err)
		}
	}
	f, _ := n.Fate(first)
	g, _ := n.Fate(second)
	if f.Number == 0 || f.Err != nil || g.Number != f.Number+1 && g.Number != f.Number || g.Err != nil {
		t.Errorf("%+v, %+v", f, g)
	}
	if _, err := n.Submit(signedBy(n, "Bob", 0, call)); !errors.Is(err, ErrInvalid) {
		t.Errorf("a used nonce: %v", err)
	}
}

func FuzzSigned(f *testing.F) {
	f.Add(scale.AppendBlob(nil, append([]byte{0x84, 0}, make([]byte, 110)...)))
	f.Add(signer{}.extrinsic("Bob", 0, axonCall(1, [4]byte{1, 2, 3, 4}, 5)))
	n := quiet(f, Config{History: 3}).best()
	f.Fuzz(func(t *testing.T, b []byte) {
		x, ok := parseSigned(b)
		if !ok {
			return
		}
		p := &pallet{spec: specNewest, block: uint64(n.header.Number) + 1, t: n.state}
		x.check(p, n)
		p.dispatch(x.who, x.call)
	})
}
