package lightclient_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/subtensor"
)

// TestTables holds the metagraph, the subnets and an account to what the chain itself has in its state.
func TestTables(t *testing.T) {
	t.Parallel()
	net := committing(t, demonet.Config{Peers: 2, History: 60})
	n := newNotes(t)
	node := joined(t, net, config(net, n), n)
	ctx := patient(t)
	head := status(t, node).Finalized.Number
	hash := net.Header(head).Hash()
	raw := func(key []byte) []byte {
		b, _, err := net.Storage(hash, key)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	at := lightclient.StateOptions{At: &head}

	m, err := node.Metagraph(ctx, 1, at)
	if err != nil {
		t.Fatal(err)
	}
	if m.Block.Number != head || m.Block.Hash != hash.String() || m.Rules != "spec 425" || m.Proof == 0 || m.Symbol != "α" ||
		len(m.Neurons) != 16 || m.OwnerUID == nil || *m.OwnerUID != 5 || m.Ranks {
		t.Errorf("metagraph %+v", m)
	}
	permits := raw(subtensor.KeySubnet("ValidatorPermit", 1))
	for i, r := range m.Neurons {
		uid := uint16(i)
		hotkey := verify.AccountID(raw(subtensor.KeyKeys(1, uid)))
		coldkey := verify.AccountID(raw(subtensor.KeyOwner(hotkey)))
		if r.UID != uid || r.Hotkey != hotkey.String() || r.Coldkey != coldkey.String() || r.Permit != (permits[1+i] == 1) || r.Trust != nil ||
			r.Updated != uint64(head)-r.LastUpdate || r.LastUpdate != binary.LittleEndian.Uint64(raw(subtensor.KeySubnet("LastUpdate", 1))[1+8*i:]) {
			t.Errorf("uid %d: %+v", i, r)
		}
		var alpha uint64
		if b := raw(subtensor.KeyTotalHotkeyAlpha(hotkey, 1)); b != nil {
			alpha = binary.LittleEndian.Uint64(b)
		}
		if r.Alpha != alpha {
			t.Errorf("uid %d: alpha %d, the chain has %d", i, r.Alpha, alpha)
		}
		if served := raw(subtensor.KeyAxons(1, hotkey)) != nil; served != (r.Axon != nil) {
			t.Errorf("uid %d: axon %+v", i, r.Axon)
		}
	}
	// uid 2 has no relatives: its stake is alpha and root by the weight that a TAO has.
	weight := new(big.Int).SetUint64(971_718_665_099_567_868)
	weight.Div(weight.Lsh(weight, 32), new(big.Int).SetUint64(1<<64-1))
	root := new(big.Int).Mul(new(big.Int).SetUint64(m.Neurons[2].Root), weight)
	if want := m.Neurons[2].Alpha + root.Rsh(root, 32).Uint64(); m.Neurons[2].Stake != want || want == 0 {
		t.Errorf("stake of uid 2 is %d, want %d", m.Neurons[2].Stake, want)
	}
	if a := m.Neurons[1].Axon; a == nil || a.Address != "203.0.113.2:8091" || a.Version != 10_002_000 {
		t.Errorf("axon of uid 1: %+v", a)
	}

	list, err := node.Subnets(ctx, at)
	if err != nil || len(list.List) != 3 || list.List[1].Netuid != 1 || list.List[2].Netuid != 3 {
		t.Fatalf("subnets %+v, %v", list, err)
	}
	if root := list.List[0]; root.Netuid != 0 || root.Schedule.NextEpoch != nil || root.Neurons != 8 {
		t.Errorf("root %+v", root)
	}
	for _, s := range list.List {
		if s.Netuid != 0 && (s.Owner == "" || s.Name != "demo "+s.Symbol || s.Schedule.NextEpoch == nil || *s.Schedule.NextEpoch <= head || s.First == nil) {
			t.Errorf("subnet %+v", s)
		}
		if burn := raw(subtensor.KeySubnet("Burn", s.Netuid)); s.Burn != binary.LittleEndian.Uint64(burn) || s.Settings != nil {
			t.Errorf("subnet %d: burn %d", s.Netuid, s.Burn)
		}
	}
	one, err := node.Subnet(ctx, 3, at)
	if err != nil || len(one.List) != 1 || one.List[0].Settings == nil || one.List[0].Settings.MinAllowedWeights != 3 ||
		one.List[0].OwnerUID == nil || *one.List[0].OwnerUID != 4 || one.List[0].Settings.ActivityCutoff != nil || !one.List[0].Open {
		t.Errorf("subnet 3: %+v, %v", one, err)
	}

	// The coldkey of uid 2, whose hotkey is on subnet 3 as well: all of its stake is its own.
	cold, _ := verify.ParseAccount(m.Neurons[2].Coldkey)
	a, err := node.Account(ctx, cold, at)
	if err != nil || len(a.Hotkeys) != 1 || a.Coldkey != "" || a.More != 0 {
		t.Fatalf("account %+v, %v", a, err)
	}
	h := a.Hotkeys[0]
	if h.Hotkey != m.Neurons[2].Hotkey || !h.Owned || h.Itself || len(h.Stakes) != 2 || len(h.Neurons) != 2 || h.Neurons[0].Netuid != 1 || h.Neurons[1].Netuid != 3 ||
		h.Neurons[0].Stake != m.Neurons[2].Stake || h.Neurons[0].UID != 2 {
		t.Errorf("hotkey %+v", h)
	}
	for _, s := range h.Stakes {
		if s.Share == nil || *s.Share != s.Total || !s.Whole || s.Total == 0 {
			t.Errorf("stake %+v", s)
		}
	}
	hot, _ := verify.ParseAccount(m.Neurons[1].Hotkey)
	a, err = node.Account(ctx, hot, lightclient.StateOptions{})
	if err != nil || a.Exists || a.Coldkey != m.Neurons[1].Coldkey || len(a.Hotkeys) != 1 || !a.Hotkeys[0].Itself || len(a.Hotkeys[0].Neurons) != 1 {
		t.Fatalf("account of a hotkey %+v, %v", a, err)
	}
	if s := a.Hotkeys[0].Stakes; len(s) != 2 || s[0].Netuid != 0 || s[0].Share != nil || s[1].Total != m.Neurons[1].Alpha {
		t.Errorf("stakes of a hotkey %+v", s)
	}
	if a, err = node.Account(ctx, verify.AccountID{9}, at); err != nil || a.Exists || a.Free != 0 || len(a.Hotkeys) != 0 {
		t.Errorf("nobody: %+v, %v", a, err)
	}

	for _, netuid := range []uint16{2, 99} {
		if _, err := node.Metagraph(ctx, netuid, at); !errors.Is(err, lightclient.ErrNoSubnet) {
			t.Errorf("metagraph %d: %v", netuid, err)
		}
		if _, err := node.Subnet(ctx, netuid, at); !errors.Is(err, lightclient.ErrNoSubnet) {
			t.Errorf("subnet %d: %v", netuid, err)
		}
	}
	if _, err := node.Metagraph(ctx, 4096, at); err == nil {
		t.Error("no error for a netuid beyond all")
	}
	above := head + 1000
	if _, err := node.Account(ctx, cold, lightclient.StateOptions{At: &above}); !errors.Is(err, lightclient.ErrNotYet) {
		t.Errorf("above the head: %v", err)
	}
	if b, err := json.Marshal(m); err != nil || !strings.Contains(string(b), `"schema":1`) || !strings.Contains(string(b), `"trust":null`) {
		t.Errorf("%s %v", b, err)
	}
}

// TestTablesUnknownRules: the tables of a runtime that nobody has audited are not guessed at.
func TestTablesUnknownRules(t *testing.T) {
	t.Parallel()
	net := committing(t, demonet.Config{Peers: 1, History: 20, Spec: 467})
	n := newNotes(t)
	node := joined(t, net, config(net, n), n)
	ctx := patient(t)
	for _, assume := range []uint32{0, 425} {
		o := lightclient.StateOptions{AssumeRules: assume}
		m, errM := node.Metagraph(ctx, 1, o)
		_, errS := node.Subnets(ctx, o)
		_, errA := node.Account(ctx, verify.AccountID{}, o)
		for _, err := range []error{errM, errS, errA} {
			if unknown := errors.Is(err, lightclient.ErrUnknownRules); unknown != (assume == 0) || assume != 0 && err != nil {
				t.Errorf("assuming %d: %v", assume, err)
			}
		}
		if assume != 0 && (!m.Assumed || m.Rules != "spec 425 assumed for spec 467") {
			t.Errorf("%+v", m.Source)
		}
	}
}
