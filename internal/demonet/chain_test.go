package demonet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/trie"
)

// start is a fixed instant, so that tests make the same chain every time.
var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// quiet makes a chain without sockets.
func quiet(t testing.TB, cfg Config) *chain {
	t.Helper()
	if cfg.Clock == nil {
		cfg.Clock = func() time.Time { return start }
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	c, err := newChain(newKeyring(cfg.Seed, cfg.Authorities), cfg.Clock, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// imitated returns the producer of a chain without a runtime.
func imitated(c *chain) *imitation { return c.producer.(*imitation) }

// forked makes a branch and inserts it.
func forked(c *chain, back, length int) ([]*block, error) {
	branch, err := c.fork(back, length)
	c.insert(branch...)
	return branch, err
}

// judge walks a chain from its genesis by the rules of verify alone.
func judge(t *testing.T, c *chain) {
	t.Helper()
	authorities, set := c.keys.auraSet(0), c.keys.grandpaSet(0)
	clock := aura.Clock{SlotDuration: c.slotMS, Now: uint64(c.clock().UnixMilli())}
	votes := 0
	for n, b := range c.canon[1:] {
		h := b.header
		parent := c.canon[n].header
		if err := aura.VerifyHeader(h, parent, authorities, clock); err != nil {
			t.Fatalf("block %d: %v", h.Number, err)
		}
		if next, err := aura.AuthoritiesChange(h); err != nil {
			t.Fatalf("block %d: %v", h.Number, err)
		} else if next != nil {
			authorities = next
		}
		if got := trie.OrderedRoot(b.body); got != h.ExtrinsicsRoot {
			t.Fatalf("block %d: extrinsics root %v, body has %v", h.Number, h.ExtrinsicsRoot, got)
		}
		// Every state of a short chain, some of a long one: rebuilding them is slow.
		if b.state != nil && (len(c.canon) < 100 || n%40 == 0) {
			judgeState(t, b, authorities, c)
		}
		v, ok := c.voteOn(h.Number)
		if !ok {
			continue
		}
		votes++
		j, err := grandpa.DecodeJustification(c.keys.justify(v).Append(nil))
		if err != nil {
			t.Fatalf("block %d: justification: %v", h.Number, err)
		}
		if err := j.Verify(&set); err != nil {
			t.Fatalf("block %d: justification: %v", h.Number, err)
		}
		if j.Commit.TargetHash != h.Hash() {
			t.Fatalf("block %d: justification is for %v", h.Number, j.Commit.TargetHash)
		}
		if set, err = grandpa.Advance(set, h); err != nil {
			t.Fatalf("block %d: %v", h.Number, err)
		}
	}
	if votes != len(c.votes) {
		t.Fatalf("%d votes are on the canonical chain, %d in all", votes, len(c.votes))
	}
}

// judgeState rebuilds the state root from the bare keys and values, and looks at the values that
// must agree with the header.
func judgeState(t *testing.T, b *block, authorities []aura.AuthorityID, c *chain) {
	t.Helper()
	kv := make(map[string][]byte)
	b.state.Range(nil, func(k, v []byte) bool { kv[string(k)] = v; return true })
	if got := trie.Root(trie.V1, kv); got != b.header.StateRoot {
		t.Fatalf("block %d: state root %v, rebuilt %v", b.header.Number, b.header.StateRoot, got)
	}
	slot, err := aura.Slot(b.header)
	if err != nil {
		t.Fatal(err)
	}
	key := func(pallet, item string) string { return string(verify.StorageKey(pallet, item)) }
	for _, x := range []struct {
		name, key string
		want      []byte
	}{
		{"Number", key("System", "Number"), binary.LittleEndian.AppendUint32(nil, b.header.Number)},
		{"ParentHash", key("System", "ParentHash"), b.header.ParentHash[:]},
		{"CurrentSlot", key("Aura", "CurrentSlot"), binary.LittleEndian.AppendUint64(nil, slot)},
		{"Now", key("Timestamp", "Now"), binary.LittleEndian.AppendUint64(nil, slot*c.slotMS)},
		{"Authorities", key("Aura", "Authorities"), aura.AppendAuthorities(nil, authorities)},
	} {
		if !bytes.Equal(kv[x.key], x.want) {
			t.Fatalf("block %d: %s is %x, want %x", b.header.Number, x.name, kv[x.key], x.want)
		}
	}
	old, list := kv[":grandpa_authorities"], kv[key("Grandpa", "Authorities")]
	if old != nil && list != nil && !bytes.Equal(old[1:], list) { // a runtime has one of the two
		t.Fatalf("block %d: the two GRANDPA lists differ", b.header.Number)
	}
}

func TestBlocksVerify(t *testing.T) {
	for name, cfg := range map[string]Config{
		"default":        {},
		"archive":        {History: 700, SetChangeEvery: 50, Archive: true, Quiet: true},
		"first change":   {SetChangeEvery: 9, FirstSetChange: 4, Quiet: true},
		"one authority":  {Authorities: 1, History: 60, Quiet: true},
		"20 authorities": {Authorities: 20, History: 30, Quiet: true},
		"no set changes": {SetChangeEvery: -1, History: 600, Quiet: true},
		"late finality":  {FinalityLag: 7, History: 40},
		"ring":           {History: 2500, SetChangeEvery: 1000, Quiet: true},
	} {
		t.Run(name, func(t *testing.T) { judge(t, quiet(t, cfg)) })
	}
}

func TestBlockHashRing(t *testing.T) {
	c := quiet(t, Config{History: 2500, SetChangeEvery: -1, Quiet: true})
	state, prefix := c.best().state, verify.StorageKey("System", "BlockHash")
	have := make(map[uint32]verify.Hash)
	state.Range(prefix, func(k, v []byte) bool {
		have[binary.LittleEndian.Uint32(k[len(k)-4:])] = verify.Hash(v)
		return true
	})
	// frame_system keeps the last 2400, and block 0 is never removed.
	if len(have) != 2401 {
		t.Fatalf("%d hashes are in the ring, want 2401", len(have))
	}
	for n := uint32(100); n < 2500; n++ {
		if have[n] != c.canon[n].hash {
			t.Fatalf("hash of block %d is %v, want %v", n, have[n], c.canon[n].hash)
		}
	}
}

func TestDeterministic(t *testing.T) {
	a := quiet(t, Config{Seed: "x", History: 40, Quiet: true})
	if b := quiet(t, Config{Seed: "x", History: 40, Quiet: true}); a.best().hash != b.best().hash {
		t.Error("the same configuration gives another chain")
	}
	if b := quiet(t, Config{Seed: "y", History: 40, Quiet: true}); a.canon[0].hash == b.canon[0].hash {
		t.Error("another seed gives the same genesis")
	}
	later := func() time.Time { return start.Add(time.Minute) }
	if b := quiet(t, Config{Seed: "x", History: 40, Clock: later, Quiet: true}); a.canon[0].hash == b.canon[0].hash {
		t.Error("another start gives the same genesis")
	}
}

func TestNeverInTheFuture(t *testing.T) {
	now := start
	c := quiet(t, Config{Slack: 3, Clock: func() time.Time { return now }})
	for range 3 {
		if _, _, err := c.step(false); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := c.step(false); !errors.Is(err, ErrNoSlot) {
		t.Fatalf("a block beyond the clock: %v", err)
	}
	now = now.Add(20 * time.Second)
	b, _, err := c.step(true)
	if err != nil {
		t.Fatal(err)
	}
	if want := uint64(now.UnixMilli()) / 2000; b.slot != want {
		t.Errorf("live block in slot %d, the clock says %d", b.slot, want)
	}
	judge(t, c)
}

func TestPruning(t *testing.T) {
	c := quiet(t, Config{History: 400, Quiet: true})
	final := c.final.header.Number
	for n, b := range c.canon {
		if kept := b.state != nil; kept != (uint32(n)+256 >= final) {
			t.Fatalf("state of block %d of %d final: kept is %v", n, final, kept)
		}
	}
	if c := quiet(t, Config{History: 400, Archive: true, Quiet: true}); c.canon[0].state == nil || c.canon[399].state == nil {
		t.Error("an archive has discarded a state")
	}
}

func TestForks(t *testing.T) {
	c := quiet(t, Config{FinalityLag: 5, History: 26, SetChangeEvery: 25})
	best := c.best()
	side, err := forked(c, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if c.best() != best || side[0].header.Number != best.header.Number || side[0].header.ParentHash != best.header.ParentHash {
		t.Fatal("a fork of one block is not beside the best")
	}
	// Over the set change: the fork announces it too.
	long, err := forked(c, 4, 6)
	if err != nil {
		t.Fatal(err)
	}
	if c.best() != long[5] || !slices.ContainsFunc(long, func(b *block) bool { return b.change }) {
		t.Fatal("a longer fork is not the best chain")
	}
	if _, err := c.fork(8, 1); !errors.Is(err, ErrFork) {
		t.Fatalf("a fork below finality: %v", err)
	}
	c.lag = 0
	c.finalize()
	if c.final != long[5] {
		t.Fatal("the fork did not become final")
	}
	judge(t, c)
}

func TestFinalityStall(t *testing.T) {
	c := quiet(t, Config{SetChangeEvery: 10, History: 25, Quiet: true})
	final := c.final
	c.lag = -1
	for range 40 {
		if _, votes, err := c.step(false); err != nil || len(votes) != 0 {
			t.Fatalf("%d votes in a stall, %v", len(votes), err)
		}
	}
	if c.final != final {
		t.Fatal("finality went on")
	}
	c.lag = 1
	_, votes, err := c.step(false)
	if err != nil {
		t.Fatal(err)
	}
	var numbers []uint32
	for _, v := range votes {
		numbers = append(numbers, v.block.header.Number)
	}
	if want := []uint32{30, 40, 50, 60, 65}; !slices.Equal(numbers, want) {
		t.Fatalf("after the stall rounds ended on %v, want %v", numbers, want)
	}
	judge(t, c)
}

func TestWarpVerifies(t *testing.T) {
	c := quiet(t, Config{History: 700, SetChangeEvery: 60, Quiet: true})
	from := grandpa.Finalized{Header: c.canon[0].header, Hash: c.canon[0].hash, Set: c.keys.grandpaSet(0)}
	for _, begin := range []uint32{0, 1, 59, 60, 61, 512, 660, 698} {
		p, err := c.warp(c.canon[begin].hash, c.final.header.Number)
		if err != nil {
			t.Fatal(err)
		}
		p, err = grandpa.DecodeWarpProof(p.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		b := c.canon[begin]
		from := grandpa.Finalized{Header: b.header, Hash: b.hash, Set: c.keys.grandpaSet(b.set)}
		to, _, err := p.Verify(from)
		if err != nil {
			t.Fatalf("warp from %d: %v", begin, err)
		}
		if to.Hash != c.final.hash || to.Set.ID != c.final.set || !p.Finished {
			t.Errorf("warp from %d leads to block %d, set %d", begin, to.Header.Number, to.Set.ID)
		}
	}
	// A server with a late view gives what it knows.
	p, err := c.warp(from.Hash, 300)
	if err != nil {
		t.Fatal(err)
	}
	if to, _, err := p.Verify(from); err != nil || to.Header.Number != 300 {
		t.Errorf("late warp: %v, %v", to.Header, err)
	}
	// A change as the newest block is there once.
	p, err = c.warp(from.Hash, 660)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(p.Fragments); n != 11 || p.Fragments[n-1].Header.Number != 660 || p.Fragments[n-2].Header.Number != 600 {
		t.Errorf("%d fragments to block 660", n)
	}
	if _, err := c.warp(c.best().hash, c.final.header.Number); err == nil {
		t.Error("warp from a block that is not final")
	}
}

// TestWarpFromNewest pins what a real server does when asked from its newest block: it gives that
// block again, and after a set change that is proven by the set before.
func TestWarpFromNewest(t *testing.T) {
	c := quiet(t, Config{History: 25, SetChangeEvery: 12, FinalityLag: 1})
	if !c.final.change {
		t.Fatal("the test wants a set change as the newest final block")
	}
	p, err := c.warp(c.final.hash, c.final.header.Number)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Fragments) != 1 || p.Fragments[0].Header.Number != c.final.header.Number {
		t.Fatalf("%d fragments", len(p.Fragments))
	}
	old := c.keys.grandpaSet(c.final.set - 1)
	if err := p.Fragments[0].Justification.Verify(&old); err != nil {
		t.Error(err)
	}
}

func TestJustificationsVary(t *testing.T) {
	c := quiet(t, Config{History: 200, Authorities: 7, Quiet: true})
	ancestry, absent := 0, 0
	for _, v := range c.votes {
		j := c.keys.justify(v)
		if len(j.Ancestry) > 0 {
			ancestry++
		}
		if len(j.Commit.Precommits) < 7 {
			absent++
		}
	}
	if ancestry == 0 || absent == 0 || ancestry == len(c.votes) || absent == len(c.votes) {
		t.Errorf("of %d justifications %d have ancestry and %d lack a voter", len(c.votes), ancestry, absent)
	}
}

func TestConflictIsEvidence(t *testing.T) {
	c := quiet(t, Config{})
	a, b, err := c.conflict()
	if err != nil {
		t.Fatal(err)
	}
	set := c.keys.grandpaSet(a.block.finalizer())
	proof := func(v vote) grandpa.Proof {
		return grandpa.Proof{Header: v.block.header, Justification: c.keys.justify(v)}
	}
	e, err := grandpa.NewEvidence(&set, proof(a), proof(b))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Verify(&set); err != nil {
		t.Error(err)
	}
	authorities := c.keys.auraSet(b.block.parent.set)
	if err := aura.VerifyHeader(b.block.header, b.block.parent.header, authorities, aura.Clock{SlotDuration: c.slotMS}); err != nil {
		t.Errorf("conflicting block: %v", err)
	}
}

func TestReadProofs(t *testing.T) {
	c := quiet(t, Config{Quiet: true})
	state, root := c.best().state, c.best().header.StateRoot
	absent := append(verify.StorageKey("System", "Account"), 1, 2, 3)
	for name, keys := range map[string][][]byte{
		"one":     {verify.StorageKey("Timestamp", "Now")},
		"code":    {[]byte(":code"), []byte(":heappages")},
		"absent":  {absent},
		"several": {verify.StorageKey("Aura", "Authorities"), verify.StorageKey("System", "Events"), absent},
	} {
		nodes, err := trie.DecodeProof(c.readProof(Honest, c.best().hash, keys))
		if err != nil {
			t.Fatal(err)
		}
		p, err := trie.NewProof(root, nodes)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := p.CheckUsed(keys...); err != nil {
			t.Errorf("%s: not minimal: %v", name, err)
		}
		for _, key := range keys {
			want, there := state.Get(key)
			got, o, err := p.Get(key)
			if err != nil || (o == trie.Present) != there || o == trie.Incomplete || !bytes.Equal(got, want) {
				t.Errorf("%s: key %x: %v, %v", name, key, o, err)
			}
		}
	}
}

func BenchmarkHistory(b *testing.B) {
	for b.Loop() {
		quiet(b, Config{History: 10_000, SetChangeEvery: 250, Quiet: true})
	}
}
