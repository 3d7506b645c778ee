package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/yuma"
)

// A corpus is the chain that the corpus is about. Its README tells what happens on it.
type corpus struct {
	*chain
	assume uint32 // whose rules are taken in making bundles

	timelocked, empty, foreign, twice          subtensor.TimelockedCommit // of uid 0, 1, 2, 3
	hashed, late, stale, early, second, legacy subtensor.HashCommit       // of uid 1, 2, 2, 3, 3, 1
	shown, shownLate, shownStale, shownSecond  *Reveal

	computed map[uint32]yuma.Outputs // what epochs should have stored, by block
	last     uint64                  // the block of the last one
}

const (
	otherNetuid = netuid + 1
	corpusRound = 4_711
	// Round 4,711 is due 4,710 times three seconds after 2023-11-14 22:13:20.
	corpusRoundTime = "2023-11-15 02:08:50 UTC"
)

// sealed puts a slot and a seal in a header, as a checkpoint must have. The seal is zeros: nothing in a
// bundle looks at it.
func sealed(h *verify.Header) {
	slot := verify.DigestItem{Type: verify.DigestPreRuntime, Engine: verify.EngineAura, Data: scale.AppendU64(nil, 146_666_666+uint64(h.Number))}
	seal := verify.DigestItem{Type: verify.DigestSeal, Engine: verify.EngineAura, Data: make([]byte, 64)}
	h.Digest = slices.Concat([]verify.DigestItem{slot}, h.Digest, []verify.DigestItem{seal})
}

// to makes blocks up to n.
func (c *corpus) to(n uint32) {
	for c.head() < n {
		sealed(c.block())
	}
}

func newCorpus(t testing.TB) *corpus {
	c := &corpus{chain: newChain(t, "corpus", 100, 20), computed: map[uint32]yuma.Outputs{}}
	sealed(c.headers[0])

	// 101: the subnet, whose epoch 500 began here, and two hash commits of the epoch before.
	c.register(4)
	c.shownLate = &Reveal{UIDs: []uint16{1}, Values: []uint16{1}, Salt: []uint16{9}}
	c.late = c.hash(2, epoch-1, c.shownLate)
	c.shownStale = &Reveal{UIDs: []uint16{1}, Values: []uint16{1}, Salt: []uint16{10}}
	c.stale = c.hash(2, epoch-1, c.shownStale)
	c.hashQueue(2, c.late, c.stale)
	c.weights(1, nil) // a row of none, which is not the same as no row
	c.to(101)

	// 102: commits of all four.
	c.timelocked = c.seal(0, corpusRound, []uint16{1, 2, 3}, []uint16{10, 20, 30})
	c.foreign = c.seal(0, corpusRound, []uint16{1}, []uint16{1}) // made for uid 0, committed by uid 2
	c.foreign.Hotkey = hotkey(2)
	c.twice = c.seal(3, corpusRound, []uint16{1, 1}, []uint16{5, 6})
	c.empty = c.seal(1, corpusRound, nil, nil)
	c.queue(epoch, c.timelocked, c.empty, c.foreign, c.twice)
	c.shown = &Reveal{UIDs: []uint16{0, 2}, Values: []uint16{7, 9}, Salt: []uint16{1, 2, 3, 4}, VersionKey: 3}
	c.hashed = c.hash(1, epoch, c.shown)
	c.hashQueue(1, c.hashed)
	c.early = c.hash(3, epoch, &Reveal{UIDs: []uint16{0}, Values: []uint16{1}, Salt: []uint16{5}})
	c.hashQueue(3, c.early)
	c.to(102)

	// 103: another hash commit of uid 3.
	c.shownSecond = &Reveal{UIDs: []uint16{0, 1}, Values: []uint16{3, 4}, Salt: []uint16{6}}
	c.second = c.hash(3, epoch, c.shownSecond)
	c.hashQueue(3, c.early, c.second)
	c.to(110)

	// 111: the beacon.
	c.storePulse(corpusRound)
	c.to(111)

	// 112: epoch 501. What is timelocked is revealed, or dropped.
	c.tick(epoch + 1)
	c.put(subtensor.KeySubnet("LastMechansimStepBlock", netuid), u64(112))
	c.queue(epoch)
	c.weights(0, commit.Row([]uint16{1, 2, 3}, []uint16{10, 20, 30}))
	c.to(113)

	// 114: uid 1 reveals.
	c.hashQueue(1)
	c.weights(1, commit.Row(c.shown.UIDs, c.shown.Values))
	c.to(114)

	// 115: uid 3 reveals its second commit, which throws the first away.
	c.hashQueue(3)
	c.weights(3, commit.Row(c.shownSecond.UIDs, c.shownSecond.Values))
	c.to(116)

	// 117: uid 0 sets other weights, and uid 2 those that it committed and never revealed.
	c.weights(0, []subtensor.Weight{{UID: 2, Value: 65535}})
	c.weights(2, commit.Row([]uint16{1}, []uint16{1}))
	c.to(117)

	// 118: new authorities. 119: a commit that has expired is swept away. 120: another, by a new runtime.
	c.change = voters("second", 20)
	c.to(118)
	c.hashQueue(2, c.stale)
	c.to(119)
	c.hashQueue(2)
	c.runs(424)
	c.to(120)

	// 121: a runtime that nobody has read. 122: new authorities again.
	c.runs(467)
	c.to(121)
	c.change = voters("third", 20)
	c.to(122)

	// 123: an older runtime, under which hash commits are laid out otherwise, and one such.
	c.runs(422)
	old, err := rules.For(422)
	if err != nil {
		t.Fatal(err)
	}
	c.legacy = c.hash(1, 0, c.shown)
	c.legacy.First, c.legacy.Last = 134, 144
	c.put(subtensor.KeyWeightCommits(netuid, hotkey(1)), subtensor.AppendHashCommits(nil, []subtensor.HashCommit{c.legacy}, old))
	c.to(124)

	// 125: a runtime that is known, and weights that are none: one of them is promised, and not there.
	c.runs(425)
	c.put(subtensor.KeyWeights(netuid, 1), []byte{4})
	c.to(126)

	// From 127 on: epochs of another subnet.
	c.epochs()
	return c
}

func (c *corpus) hash(uid byte, epoch uint64, r *Reveal) subtensor.HashCommit {
	return subtensor.HashCommit{Hash: commit.HashOf(hotkey(uid), netuid, r.UIDs, r.Values, r.Salt, r.VersionKey), Epoch: epoch, Block: uint64(c.next())}
}

func (c *corpus) draft(from, final uint32, claims ...Claim) (*Draft, error) {
	return c.draftOf(DraftOptions{Beacon: c.beacon, AssumeRules: c.assume}, from, final, claims...)
}

// make makes a bundle from block from to block final.
func (c *corpus) make(from, final uint32, claims ...Claim) *Bundle {
	c.t.Helper()
	d, err := c.draft(from, final, claims...)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.fill(d); err != nil {
		c.t.Fatal(err)
	}
	x, err := d.Bundle()
	if err != nil {
		c.t.Fatal(err)
	}
	return x
}

// pulses makes a bundle about rounds alone.
func (c *corpus) pulses(rounds ...uint64) *Bundle {
	x := &Bundle{Genesis: c.genesis}
	for _, r := range rounds {
		x.Claims = append(x.Claims, PulseClaim{r})
		x.Pulses = append(x.Pulses, c.pulse(r))
	}
	return x
}

// untrue makes a bundle of a claim that is not so, or not known, with what it takes to see that. The values
// of keys that it looks up besides are added.
func (c *corpus) untrue(from, final uint32, claim Claim, besides ...StorageClaim) *Bundle {
	c.t.Helper()
	d, err := c.draft(from, final, claim)
	if err != nil {
		c.t.Fatal(err)
	}
	var not *ClaimError
	if _, err := c.fill(d); !errors.As(err, &not) {
		c.t.Fatalf("%v: %v", claim, err)
	}
	for _, v := range besides {
		if err := d.AddProof(v.Number, c.states[v.Number-c.first].Prove(v.Keys...)); err != nil {
			c.t.Fatal(err)
		}
	}
	x := d.bundle()
	for _, n := range slices.Backward(d.plan) {
		x.Headers = append(x.Headers, c.header(n))
	}
	x.Nodes = d.nodes
	byHash(x.Nodes)
	for _, p := range d.pulses {
		x.Pulses = append(x.Pulses, p)
	}
	return x
}

// byHash puts nodes in the order of a bundle.
func byHash(nodes [][]byte) {
	slices.SortFunc(nodes, func(a, b []byte) int {
		h, g := verify.Blake2b256(a), verify.Blake2b256(b)
		return bytes.Compare(h[:], g[:])
	})
}

// alter returns the encoding of x after f has changed a copy of it. f may change lists, and the final
// fragment, and nothing that they point to.
func alter(x *Bundle, f func(x *Bundle)) []byte {
	y := *x
	y.Fragments, y.Headers = slices.Clone(x.Fragments), slices.Clone(x.Headers)
	y.Nodes, y.Pulses, y.Claims = slices.Clone(x.Nodes), slices.Clone(x.Pulses), slices.Clone(x.Claims)
	for i := range y.Fragments {
		y.Fragments[i].Votes.List = slices.Clone(y.Fragments[i].Votes.List)
	}
	if x.Final != nil {
		final := *x.Final
		final.Votes.List = slices.Clone(final.Votes.List)
		y.Final = &final
	}
	f(&y)
	return y.Encode()
}

// trusted returns a block as a checkpoint that can stand in a file.
func (c *corpus) trusted(n uint32) *checkpoint.Checkpoint {
	k := c.checkpoint(n)
	k.Network, k.Source, k.Date = c.beacon.Name, "made for the corpus of bundles", "2025-10-09"
	return k
}

// checkpoints are those that the vectors name.
func (c *corpus) checkpoints() map[string]*checkpoint.Checkpoint {
	all := map[string]*checkpoint.Checkpoint{}
	add := func(name string, n uint32) *checkpoint.Checkpoint {
		all[name] = c.trusted(n)
		return all[name]
	}
	for _, n := range []uint32{100, 110, 116, 118, 120, 126} {
		add(fmt.Sprint(n), n)
	}
	add("110-set-9", 110).Set.ID = 9
	add("other-network", 100).Genesis = verify.Blake2b256([]byte("another"))
	fork := func(name string, n uint32) {
		k := add(name, n)
		h := *k.Header
		h.ExtrinsicsRoot = verify.Blake2b256([]byte("other extrinsics"))
		k.Header, k.Hash = &h, h.Hash()
	}
	fork("100-fork", 100)
	fork("110-fork", 110)
	add("100-strangers", 100).Set = *setOf(firstSet, voters("strangers", 20))
	return all
}

// newFar returns a chain that is longer than the chain remembers hashes.
func newFar(t testing.TB) *corpus {
	c := &corpus{chain: newChain(t, "far", 100, 20)}
	sealed(c.headers[0])
	c.to(2_700)
	return c
}
