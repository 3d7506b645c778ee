package lightclient_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify/subtensor"
)

// TestReexecute: an epoch of a real runtime, in which neurons have stake and weights, is what its own code makes of the
// proven state before it.
func TestReexecute(t *testing.T) {
	t.Parallel()
	const netuid = 3 // the subnet that the test network began with; its tempo is 99
	net := localnet(t, demonet.Config{Peers: 2, History: -1, SetChangeEvery: -1})
	n := newNotes(t)
	ctx := patient(t)
	raw, err := net.Call(ctx, net.Best().Hash(), "Metadata_metadata", nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := metadata.FromAPI(raw)
	if err != nil {
		t.Fatal(err)
	}
	nonces := map[string]uint32{}
	send := func(who, call string, words ...string) {
		t.Helper()
		b, err := m.EncodeCallWords(call, words...)
		if err != nil {
			t.Fatal(err)
		}
		x, err := net.Sign(who, nonces[who], b)
		if err != nil {
			t.Fatalf("%s %s: %v", who, call, err)
		}
		nonces[who]++
		hash, err := net.Submit(x)
		if err != nil {
			t.Fatalf("%s %s: %v", who, call, err)
		}
		if err := net.Steps(1); err != nil {
			t.Fatal(err)
		}
		if fate, ok := net.Fate(hash); !ok || fate.Err != nil {
			t.Fatalf("%s %s %v: %+v", who, call, words, fate)
		}
	}
	sudo := func(call, args string) {
		t.Helper()
		send("Alice", "Sudo.sudo", fmt.Sprintf(`{"SubtensorModule": {%q: %s}}`, call, args))
	}
	for i, address := range []string{
		alice, "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty", "5FLSigC9HGRKVhB9FiEo4Y3koPsNmBmLJbpXg2mp1hXcS59Y",
	} {
		sudo("sudo_register", fmt.Sprintf(`{"netuid": 3, "hotkey": %q, "coldkey": %q, "stake": %d, "balance": 1000}`, address, address, uint64(3-i)*50_000_000_000_000))
	}
	sudo("sudo_set_emission_values", `{"netuids": [3], "emission": [1000000000]}`)
	sudo("sudo_set_min_allowed_weights", `{"netuid": 3, "min_allowed_weights": 1}`)
	sudo("sudo_set_max_weight_limit", `{"netuid": 3, "max_weight_limit": 65535}`)
	if err := net.Steps(100 - int(net.Best().Number)); err != nil { // past an epoch, which gives permits
		t.Fatal(err)
	}
	send("Alice", "SubtensorModule.set_weights", "3", "[0,1,2]", "[1,2,3]", "0")
	send("Bob", "SubtensorModule.set_weights", "3", "[0,1,2]", "[4,1,1]", "0")
	if err := net.Steps(100); err != nil {
		t.Fatal(err)
	}

	// Another epoch, in whose block somebody puts another incentive in the place of what was computed.
	for net.Best().Number%100 != 94 { // in this runtime, the epochs of subnet 3 are in blocks 95, 195, 295, …
		if err := net.Steps(1); err != nil {
			t.Fatal(err)
		}
	}
	forged := append([]byte{3 << 2}, 0xff, 0xff, 0, 0, 0, 0)
	send("Alice", "Sudo.sudo", fmt.Sprintf(`{"System": {"set_storage": {"items": [["0x%x", "0x%x"]]}}}`, subtensor.KeySubnet("Incentive", netuid), forged))
	forgery := net.Best().Number
	if err := net.Steps(2); err != nil {
		t.Fatal(err)
	}

	node := joined(t, net, executing(t, net, n, ""), n)
	var last uint32
	for number := forgery - 1; last == 0; number-- {
		_, err := node.With(ctx, number, func(s subtensor.State) error {
			var since uint64
			var q subtensor.Batch
			q.Subnet("BlocksSinceLastStep", netuid, &since)
			if err := q.Load(s); err != nil {
				return err
			}
			if since == 0 {
				last = number
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	r, err := node.Reexecute(ctx, netuid, &last, lightclient.StateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	written, cells := 0, 0
	for _, a := range r.Arrays {
		if a.Written {
			written++
		}
		cells += len(a.Cells)
	}
	t.Logf("block #%d: %d arrays, %d written, %d differing cells; proof of %d nodes, %d bytes, %d keys beside it", last, len(r.Arrays), written, cells, r.Nodes, r.Bytes, r.OnDemand)
	if !r.Equal() || written < 8 || r.Peers != 1 || r.OnDemand != 0 {
		t.Errorf("%+v", r)
	}
	// It was an epoch with something in it.
	at := net.Header(last)
	value, ok, err := net.Storage(at.Hash(), subtensor.KeySubnet("Incentive", netuid))
	if err != nil || !ok || len(value) != 1+2*3 || value[1]|value[2]|value[3]|value[4] == 0 {
		t.Errorf("incentive %x, %v, %v", value, ok, err)
	}
	// What was forged is found.
	if f, err := node.Reexecute(ctx, netuid, &forgery, lightclient.StateOptions{}); err != nil || f.Equal() {
		t.Errorf("#%d: %+v, %v", forgery, f, err)
	} else {
		for _, a := range f.Arrays {
			if (len(a.Cells) > 0) != (a.Name == "Incentive") {
				t.Errorf("%s differs in %v", a.Name, a.Cells)
			}
		}
	}
	// In the block before, it does not run.
	before := last - 1
	if _, err := node.Reexecute(ctx, netuid, &before, lightclient.StateOptions{}); !errors.Is(err, lightclient.ErrNotRun) {
		t.Errorf("in #%d: %v", before, err)
	}
	if _, err := node.Reexecute(ctx, netuid, new(uint32), lightclient.StateOptions{}); err == nil {
		t.Error("in the genesis block")
	}
}
