package lightclient_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/fact"
)

// mechanisms of the demo network that have commitments.
var mechanisms = []struct {
	netuid uint16
	mecid  uint8
}{{1, 0}, {1, 1}, {3, 0}}

// committing is a chain on which everything that can go wrong with a commitment does, in turn.
func committing(t *testing.T, cfg demonet.Config) *demonet.Network {
	t.Helper()
	cfg.CommitFaults, cfg.BlockTime, cfg.Tempo = demonet.CommitFaults(), 2*time.Second, 18
	return startDemo(t, cfg)
}

// records returns what the chain itself knows of the commits of a mechanism, by their hash.
func records(net *demonet.Network, netuid uint16, mecid uint8) map[string]demonet.CommitRecord {
	out := make(map[string]demonet.CommitRecord)
	for _, r := range net.Commits() {
		if r.Netuid == netuid && r.Mecid == mecid {
			out[r.Hash.String()] = r
		}
	}
	return out
}

// faithful holds what was told of a commitment against what the chain knows, as of a block.
func faithful(c *lightclient.Commitment, r demonet.CommitRecord, head uint32) error {
	hash := r.Kind == demonet.HashCommit
	if c.Kind != r.Kind.String() || c.Hotkey != r.Hotkey.String() || c.Epoch != r.Epoch || c.MadeAt != r.Block || c.Round != r.Round || c.Bytes != len(r.Ciphertext) {
		return fmt.Errorf("it is told as %+v", c)
	}
	over := r.RevealedAt != 0 && r.RevealedAt <= head || r.LostAt != 0 && r.LostAt <= head
	switch c.State {
	case lightclient.Pending:
		if over {
			return fmt.Errorf("it is pending")
		}
	case lightclient.Revealed:
		if r.Why != commit.Stored.String() || *c.RevealAt != r.RevealedAt {
			return fmt.Errorf("revealed in #%d", *c.RevealAt)
		}
		if c.Equal == nil || !*c.Equal {
			return fmt.Errorf("its weights are not those of the state: %v, %s", c.Equal, c.Note)
		}
		if !slices.Equal(c.UIDs, r.UIDs) || !slices.Equal(c.Values, r.Values) || hash && !slices.Equal(c.Salt, r.Salt) || *c.VersionKey != r.VersionKey {
			return fmt.Errorf("it held %v %v %v", c.UIDs, c.Values, c.Salt)
		}
	case lightclient.Lost:
		if r.Why != c.Why.String() || len(c.Reasons) != 1 || c.Reasons[0].Word != r.Why {
			return fmt.Errorf("lost for %v", c.Reasons)
		}
		if c.LostAt == nil || *c.LostAt != r.LostAt {
			return fmt.Errorf("lost at %v, %s", c.LostAt, c.Note)
		}
	default:
		return fmt.Errorf("state %q, %s", c.State, c.Note)
	}
	return nil
}

// TestCommitments compares what a node finds out, from proofs alone, with what the chain did, and then
// makes the bundle of each kind of end.
func TestCommitments(t *testing.T) {
	t.Parallel()
	net := committing(t, demonet.Config{Peers: 2, Archive: true, History: 450, Faults: []demonet.Fault{{Kind: demonet.LieBody}}})
	n := newNotes(t)
	node := joined(t, net, config(net, n), n)
	compareCommitments(t, net, node)
	proveCommitments(t, net, node)
}

// TestLegacyCommitments does the same under the rules of another scheduler.
func TestLegacyCommitments(t *testing.T) {
	t.Parallel()
	net := committing(t, demonet.Config{Peers: 1, History: 150, Spec: 422})
	n := newNotes(t)
	node := joined(t, net, config(net, n), n)
	compareCommitments(t, net, node)
}

func compareCommitments(t *testing.T, net *demonet.Network, node *lightclient.Node) {
	for _, m := range mechanisms {
		truth := records(net, m.netuid, m.mecid)
		c, err := node.Commitments(patient(t), m.netuid, m.mecid, lightclient.CommitmentsOptions{Epochs: 100})
		if err != nil {
			t.Errorf("subnet %d, mechanism %d: %v", m.netuid, m.mecid, err)
			continue
		}
		if c.Beyond == "" || c.Pruned {
			t.Errorf("subnet %d: beyond: %q", m.netuid, c.Beyond)
		}
		seen := make(map[string]bool)
		why := make(map[string]int)
		for _, e := range append(slices.Clone(c.Pending), c.Past...) {
			r, ok := truth[e.Hash]
			if !ok || seen[e.Hash] {
				t.Errorf("%s of %s, made in #%d: never made, or told twice", e.Hash, e.Hotkey, e.MadeAt)
				continue
			}
			seen[e.Hash] = true
			why[r.Why]++
			if err := faithful(e, r, c.Block.Number); err != nil {
				t.Errorf("subnet %d, %s: %v", m.netuid, story(r), err)
			}
		}
		for _, r := range truth {
			if r.Why == "no-mechanism" {
				continue // it was gone, with its mechanism, before the block ahead of its reveal
			}
			if !seen[r.Hash.String()] && r.Block <= c.Block.Number {
				t.Errorf("subnet %d, %s: not told", m.netuid, story(r))
			}
		}
		t.Logf("subnet %d, mechanism %d: %v", m.netuid, m.mecid, why)
	}
}

func story(r demonet.CommitRecord) string {
	return fmt.Sprintf("%s commit of uid %d, fault %v, epoch %d, made in #%d, revealed in %d, lost in %d, gone in %d, %q, refused %q", r.Kind, r.UID, r.Fault, r.Epoch, r.Block, r.RevealedAt, r.LostAt, r.GoneAt, r.Why, r.Refused)
}

func proveCommitments(t *testing.T, net *demonet.Network, node *lightclient.Node) {
	finney, err := checkpoint.Builtin("finney")
	if err != nil {
		t.Fatal(err)
	}
	done := make(map[string]bool)
	ends := []string{"", "stored", "expired", "overtaken", "superseded", "pulse-missing", "undecryptable", "wrong-hotkey", "no-permit", "not-registered"}
	for _, r := range net.Commits() {
		if r.Mecid != 0 || done[r.Kind.String()+r.Why] || !slices.Contains(ends, r.Why) {
			continue
		}
		done[r.Kind.String()+r.Why] = true
		hash := r.Hash
		x, c, err := node.ProveCommitment(patient(t), r.Netuid, r.Mecid, lightclient.CommitmentSelector{Hotkey: r.Hotkey, Hash: &hash}, lightclient.ProveOptions{})
		if err != nil {
			t.Errorf("%s: %v", story(r), err)
			continue
		}
		data := x.Encode()
		if x, err = bundle.Decode(data); err != nil {
			t.Fatal(err)
		}
		if rep := x.Verify(bundle.Options{Checkpoint: net.Checkpoint(), Beacon: net.Beacon()}); rep.Outcome != fact.OK {
			t.Errorf("%s: %s", story(r), rep)
		}
		if rep := x.Verify(bundle.Options{Checkpoint: finney}); rep.Outcome == fact.OK {
			t.Errorf("%s: it verifies against finney", story(r))
		}
		want := []string{"made", map[bool]string{true: "revealed", false: "lost"}[r.Why == "stored"]}
		if r.Why == "" {
			want = want[:1]
		}
		var got []string
		for _, c := range x.Claims {
			got = append(got, c.Kind())
		}
		if made, ok := x.Claims[0].(bundle.MadeClaim); !slices.Equal(got, want) || !ok || made.At != r.Block {
			t.Errorf("%s: claims %v", story(r), x.Claims)
		}
		t.Logf("%s %q (%s): %d bytes", r.Kind, r.Why, c.State, len(data))
	}
	if len(done) < 12 {
		t.Errorf("only %v", done)
	}
	_, _, err = node.ProveCommitment(patient(t), 1, 0, lightclient.CommitmentSelector{Hotkey: verify.AccountID{1}}, lightclient.ProveOptions{})
	if !errors.Is(err, lightclient.ErrNoCommitment) || errors.Is(err, lightclient.ErrPruned) {
		t.Errorf("a hotkey that nobody has: %v", err)
	}
}

// TestForesight holds what is said of pending commitments against what becomes of them.
func TestForesight(t *testing.T) {
	t.Parallel()
	net := committing(t, demonet.Config{Peers: 1, History: 40})
	n := newNotes(t)
	node := joined(t, net, config(net, n), n)
	type said struct {
		*lightclient.Commitment
		netuid uint16
		mecid  uint8
		at     uint32
	}
	var list []said
	next := 0
	for range 26 {
		for _, m := range mechanisms {
			c, err := node.Commitments(patient(t), m.netuid, m.mecid, lightclient.CommitmentsOptions{Epochs: -1})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range c.Pending {
				list = append(list, said{e, m.netuid, m.mecid, c.Block.Number})
			}
		}
		if err := net.Steps(5); err != nil {
			t.Fatal(err)
		}
		_, next = n.wait(next, fmt.Sprintf("final #%d ", net.Finalized().Header.Number))
	}
	if err := net.Steps(40); err != nil {
		t.Fatal(err)
	}
	warned := make(map[string]int)
	exact := 0
	for _, s := range list {
		r := records(net, s.netuid, s.mecid)[s.Hash]
		var words []string
		for _, why := range s.Reasons {
			words = append(words, why.Word)
		}
		if len(words) > 0 {
			warned[words[0]]++
			if r.Why == "stored" {
				t.Errorf("at #%d: %v said of %s", s.at, words, story(r))
			}
			if r.Kind == demonet.TimelockedCommit && !slices.Contains(words, r.Why) {
				t.Errorf("at #%d: only %v said of %s", s.at, words, story(r))
			}
			continue
		}
		if r.RevealedAt == 0 {
			continue
		}
		if s.RevealAt == nil || s.RevealBy == nil || r.RevealedAt > *s.RevealBy || r.RevealedAt < *s.RevealAt ||
			r.Kind == demonet.TimelockedCommit && r.RevealedAt != *s.RevealAt {
			t.Errorf("at #%d: to be revealed in %v to %v said of %s", s.at, deref(s.RevealAt), deref(s.RevealBy), story(r))
		} else if r.Kind == demonet.TimelockedCommit {
			exact++
		}
	}
	t.Logf("%d foretold exactly, warned: %v", exact, warned)
	if exact < 50 || len(warned) < 4 {
		t.Errorf("%d foretold exactly, warned: %v", exact, warned)
	}
}

func deref(p *uint32) uint32 {
	if p == nil {
		return 0
	}
	return *p
}
