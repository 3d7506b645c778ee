package lightclient_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/subtensor"
)

// TestUnknownRules: a runtime that nobody has audited is not guessed at.
func TestUnknownRules(t *testing.T) {
	t.Parallel()
	net := committing(t, demonet.Config{Peers: 1, History: 60, Spec: 467})
	n := newNotes(t)
	node := joined(t, net, config(net, n), n)
	ctx := patient(t)
	if _, err := node.Commitments(ctx, 1, 0, lightclient.CommitmentsOptions{}); !errors.Is(err, lightclient.ErrUnknownRules) {
		t.Errorf("commitments: %v", err)
	}
	if _, err := node.Epochs(ctx, 1, 0); !errors.Is(err, lightclient.ErrUnknownRules) {
		t.Errorf("epochs: %v", err)
	}
	if _, err := node.Weights(ctx, 1, 0, -1, nil, 0); !errors.Is(err, lightclient.ErrUnknownRules) {
		t.Errorf("weights: %v", err)
	}
	if _, err := node.Weights(ctx, 1, 0, -1, nil, 425); err != nil {
		t.Errorf("weights by assumed rules: %v", err)
	}
	c, err := node.Commitments(ctx, 1, 0, lightclient.CommitmentsOptions{AssumeRules: 425})
	if err != nil || !c.Assumed || c.Rules != "spec 425 assumed for spec 467" || len(c.Past) == 0 {
		t.Errorf("assumed: %+v, %v", c, err)
	}
	who := c.Past[0].ID.Hotkey
	if _, _, err := node.ProveCommitment(ctx, 1, 0, lightclient.CommitmentSelector{Hotkey: who}, lightclient.ProveOptions{}); !errors.Is(err, lightclient.ErrUnknownRules) {
		t.Errorf("prove: %v", err)
	}
	x, _, err := node.ProveCommitment(ctx, 1, 0, lightclient.CommitmentSelector{Hotkey: who}, lightclient.ProveOptions{AssumeRules: 425})
	if err != nil {
		t.Fatal(err)
	}
	if rep := x.Verify(bundle.Options{Checkpoint: net.Checkpoint(), Beacon: net.Beacon()}); rep.Outcome != fact.Undecided {
		t.Errorf("without the assumption: %s", rep)
	}
	if rep := x.Verify(bundle.Options{Checkpoint: net.Checkpoint(), Beacon: net.Beacon(), AssumeRules: 425}); rep.Outcome != fact.OK {
		t.Errorf("with it: %s", rep)
	}
}

// TestPrunedCommitments: where the states end, the answer says so, and how many peers were asked.
func TestPrunedCommitments(t *testing.T) {
	t.Parallel()
	net := committing(t, demonet.Config{Peers: 2, History: 300})
	n := newNotes(t)
	node := joined(t, net, config(net, n), n)
	ctx := patient(t)
	c, err := node.Commitments(ctx, 1, 1, lightclient.CommitmentsOptions{Epochs: 50})
	if err != nil || !c.Pruned || !strings.Contains(c.Beyond, "2 peers asked keep 256 blocks; an archive peer or a bundle is needed") || len(c.Past) < 12 {
		t.Fatalf("beyond %q, %d past, %v", c.Beyond, len(c.Past), err)
	}
	if b, err := json.Marshal(c); err != nil || !strings.Contains(string(b), `"made_at":`) || strings.Contains(string(b), `"ID"`) {
		t.Errorf("%s %v", b, err)
	}
	for _, r := range net.Commits() {
		if r.Netuid == 1 && r.Mecid == 1 && r.Block < 30 {
			_, _, err := node.ProveCommitment(ctx, 1, 1, lightclient.CommitmentSelector{Hotkey: r.Hotkey, Epoch: &r.Epoch}, lightclient.ProveOptions{})
			var pruned *lightclient.PrunedError
			if !errors.Is(err, lightclient.ErrNoCommitment) || !errors.As(err, &pruned) || pruned.Asked != 2 || !strings.Contains(err.Error(), "2 peers asked") {
				t.Errorf("%s: %v", story(r), err)
			}
			break
		}
	}
	// By default only the last reveals are looked at.
	c, err = node.Commitments(ctx, 1, 1, lightclient.CommitmentsOptions{})
	if err != nil || c.Pruned || !strings.Contains(c.Beyond, "were not asked for") {
		t.Errorf("beyond %q, %v", c.Beyond, err)
	}
	epochs := make(map[uint64]bool)
	for _, e := range c.Past {
		epochs[e.Epoch] = true
	}
	if len(epochs) != 2 {
		t.Errorf("epochs %v", epochs)
	}
	uid := uint16(1)
	c, err = node.Commitments(ctx, 1, 1, lightclient.CommitmentsOptions{UID: &uid})
	if err != nil || len(c.Past) == 0 {
		t.Errorf("of uid 1: %+v, %v", c, err)
	}
	for _, e := range c.Past {
		if e.UID == nil || *e.UID != 1 {
			t.Errorf("of uid 1: %+v", e)
		}
	}
	uid = 200
	if _, err := node.Commitments(ctx, 1, 1, lightclient.CommitmentsOptions{UID: &uid}); !errors.Is(err, lightclient.ErrNoSubnet) {
		t.Errorf("of uid 200: %v", err)
	}
	for _, netuid := range []uint16{2, 4096} {
		if _, err := node.Commitments(ctx, netuid, 0, lightclient.CommitmentsOptions{}); err == nil {
			t.Errorf("of subnet %d: no error", netuid)
		}
	}
}

func TestTyped(t *testing.T) {
	t.Parallel()
	net := committing(t, demonet.Config{Peers: 2, History: 80})
	n := newNotes(t)
	node := joined(t, net, config(net, n), n)
	ctx := patient(t)
	head := status(t, node).Finalized.Number
	hash := net.Header(head).Hash()
	for _, m := range mechanisms {
		w, err := node.Weights(ctx, m.netuid, m.mecid, -1, nil, 0)
		if err != nil || w.Block.Number != head {
			t.Errorf("%v: %v", m, err)
			continue
		}
		index, _ := subtensor.Index(m.netuid, m.mecid)
		keys, err := net.StorageKeys(hash, subtensor.KeyWeights(index, 0)[:34])
		if err != nil || len(keys) != len(w.Rows) || len(keys) == 0 {
			t.Errorf("%v: %d rows, the chain has %d, %v", m, len(w.Rows), len(keys), err)
		}
		for _, r := range w.Rows {
			raw, _, _ := net.Storage(hash, subtensor.KeyWeights(index, r.UID))
			row, err := subtensor.DecodeWeights(raw)
			hotkey, _, _ := net.Storage(hash, subtensor.KeyKeys(m.netuid, r.UID))
			if err != nil || len(row) != len(r.Weights) || verify.AccountID(hotkey).String() != r.Hotkey || r.LastUpdate == 0 {
				t.Errorf("%v uid %d: %+v, the chain has %v %v", m, r.UID, r, row, err)
				continue
			}
			for i := range row {
				if r.Weights[i] != [2]uint16{row[i].UID, row[i].Value} {
					t.Errorf("%v uid %d: weight %d is %v", m, r.UID, i, r.Weights[i])
				}
			}
		}
		one, err := node.Weights(ctx, m.netuid, m.mecid, int(w.Rows[0].UID), &head, 0)
		if err != nil || len(one.Rows) != 1 || one.Rows[0].Hotkey != w.Rows[0].Hotkey {
			t.Errorf("%v one: %+v %v", m, one, err)
		}
		// A claim of the same, all and one.
		for _, uid := range []int32{-1, int32(w.Rows[0].UID)} {
			var lines []string
			x, err := node.Prove(ctx, []bundle.Claim{bundle.WeightsClaim{Netuid: m.netuid, Mecid: m.mecid, At: head, UID: uid}, bundle.HeaderClaim{Number: head - 30}, bundle.SubnetClaim{Netuid: m.netuid, At: head - 3}},
				lightclient.ProveOptions{Progress: func(s string) { lines = append(lines, s) }})
			if err != nil || len(lines) == 0 {
				t.Errorf("%v uid %d: %v", m, uid, err)
			} else if rep := x.Verify(bundle.Options{Checkpoint: net.Checkpoint()}); rep.Outcome != fact.OK {
				t.Errorf("%v uid %d: %s", m, uid, rep)
			}
		}
	}
	for _, uid := range []int{16, 70000} {
		if _, err := node.Weights(ctx, 1, 0, uid, nil, 0); !errors.Is(err, lightclient.ErrNoSubnet) {
			t.Errorf("uid %d: %v", uid, err)
		}
	}
	if _, err := node.Weights(ctx, 1, 2, -1, nil, 0); !errors.Is(err, lightclient.ErrNoSubnet) {
		t.Errorf("mechanism 2: %v", err)
	}
	var refused *bundle.ClaimError
	for _, r := range net.Commits() {
		if r.Why != "stored" || r.RevealedAt > head || r.Kind != demonet.TimelockedCommit {
			continue
		}
		id := bundle.CommitID{Kind: commit.Timelocked, Netuid: r.Netuid, Mecid: r.Mecid, Hotkey: r.Hotkey, Epoch: r.Epoch, Block: r.Block, Hash: r.Hash}
		if _, err := node.Prove(ctx, []bundle.Claim{bundle.LostClaim{CommitID: id, At: r.RevealedAt, Why: commit.NoPermit}}, lightclient.ProveOptions{}); !errors.As(err, &refused) {
			t.Errorf("a false claim of %s: %v", story(r), err)
		}
		break
	}

	e, err := node.Epochs(ctx, 1, 0)
	if err != nil || e.Scheduler != "stateful" || e.Tempo != 18 || e.NextEpoch == nil {
		t.Fatalf("%+v, %v", e, err)
	}
	if err := net.Steps(int(*e.NextEpoch-head) + 2); err != nil {
		t.Fatal(err)
	}
	for at := *e.NextEpoch - 1; at <= *e.NextEpoch; at++ {
		raw, _, err := net.Storage(net.Header(at).Hash(), subtensor.KeySubnet("LastEpochBlock", 1))
		if err != nil || (raw[0] == byte(at)) != (at == *e.NextEpoch) {
			t.Errorf("foretold for %d, at #%d the last is %x, %v", *e.NextEpoch, at, raw, err)
		}
	}
	h, b, err := node.Hyperparameters(ctx, 3)
	if err != nil || h.Tempo != 18 || h.N != 8 || b.Trust != "finalized" {
		t.Errorf("%+v %+v %v", h, b, err)
	}
	if _, _, err := node.Hyperparameters(ctx, 77); !errors.Is(err, lightclient.ErrNoSubnet) {
		t.Errorf("subnet 77: %v", err)
	}
}
