package bundle

import (
	"fmt"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
)

// A corpus is the chain that the corpus is about. Its README tells what happens on it.
type corpus struct {
	*chain
	timelocked, foreign, twice subtensor.TimelockedCommit // of uid 0, 2, 3
	hashed, late, first, second subtensor.HashCommit      // of uid 1, 2, 3, 3
	shown, shownSecond          *Reveal
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
	c := &corpus{chain: newChain(t, "corpus", 100, 20)}
	sealed(c.headers[0])

	// 101: the subnet, whose epoch 500 began here, and a hash commit of the epoch before.
	c.register(4)
	c.late = c.hash(2, epoch-1, &Reveal{UIDs: []uint16{1}, Values: []uint16{1}, Salt: []uint16{9}})
	c.hashQueue(2, c.late)
	c.to(101)

	// 102: commits of all four.
	c.timelocked = c.seal(0, corpusRound, []uint16{1, 2, 3}, []uint16{10, 20, 30})
	c.foreign = c.seal(0, corpusRound, []uint16{1}, []uint16{1}) // made for uid 0, committed by uid 2
	c.foreign.Hotkey = hotkey(2)
	c.twice = c.seal(3, corpusRound, []uint16{1, 1}, []uint16{5, 6})
	c.queue(epoch, c.timelocked, c.foreign, c.twice)
	c.shown = &Reveal{UIDs: []uint16{0, 2}, Values: []uint16{7, 9}, Salt: []uint16{1, 2, 3, 4}, VersionKey: 3}
	c.hashed = c.hash(1, epoch, c.shown)
	c.hashQueue(1, c.hashed)
	c.first = c.hash(3, epoch, &Reveal{UIDs: []uint16{0}, Values: []uint16{1}, Salt: []uint16{5}})
	c.hashQueue(3, c.first)
	c.to(102)

	// 103: another hash commit of uid 3.
	c.shownSecond = &Reveal{UIDs: []uint16{0, 1}, Values: []uint16{3, 4}, Salt: []uint16{6}}
	c.second = c.hash(3, epoch, c.shownSecond)
	c.hashQueue(3, c.first, c.second)
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

	// 117: uid 0 sets other weights.
	c.weights(0, []subtensor.Weight{{UID: 2, Value: 65535}})
	c.to(117)

	// 118 and 122: new authorities. 121: a runtime that nobody has read.
	c.change = voters("second", 20)
	c.to(120)
	c.runs(467)
	c.to(121)
	c.change = voters("third", 20)
	c.to(124)
	// 125: a value that is not laid out as its item.
	c.runs(425)
	c.put(subtensor.KeyUids(netuid, hotkey(0)), []byte{0})
	c.to(126)
	return c
}

func (c *corpus) hash(uid byte, epoch uint64, r *Reveal) subtensor.HashCommit {
	return subtensor.HashCommit{Hash: commit.HashOf(hotkey(uid), netuid, r.UIDs, r.Values, r.Salt, r.VersionKey), Epoch: epoch, Block: uint64(c.next())}
}

// make makes a bundle from block from to block final.
func (c *corpus) make(from, final uint32, claims ...Claim) *Bundle {
	return c.makeOf(DraftOptions{Beacon: c.beacon}, from, final, claims...)
}

func (c *corpus) makeOf(o DraftOptions, from, final uint32, claims ...Claim) *Bundle {
	c.t.Helper()
	d, err := c.draftOf(o, from, final, claims...)
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

// claiming makes a bundle with what proves some keys in the states of some blocks, and pulses, that claims
// something else.
func (c *corpus) claiming(claim Claim, keys map[uint32][][]byte, rounds ...uint64) *Bundle {
	var values []Claim
	for n, list := range keys {
		list = slices.Clone(list)
		slices.SortFunc(list, slices.Compare)
		values = append(values, StorageClaim{n, list})
	}
	x := c.make(100, 116, values...)
	x.Claims = []Claim{claim}
	for _, r := range rounds {
		x.Pulses = append(x.Pulses, c.pulse(r))
	}
	return x
}

func queueKey() []byte { return subtensor.KeyTimelockedWeightCommits(netuid, epoch) }

// checkpoints are those that the vectors name.
func (c *corpus) checkpoints() map[string]*checkpoint.Checkpoint {
	all := map[string]*checkpoint.Checkpoint{}
	add := func(name string, n uint32) *checkpoint.Checkpoint {
		k := c.checkpoint(n)
		k.Network, k.Source, k.Date = "corpus", "made for the corpus of bundles", "2025-10-09"
		k.Drand = &drand.Beacon{Name: "corpus", PublicKey: c.beacon.PublicKey, Period: c.beacon.Period, GenesisTime: c.beacon.GenesisTime}
		all[name] = k
		return k
	}
	for _, n := range []uint32{100, 110, 116, 118, 120} {
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
	stranger := add("100-strangers", 100)
	stranger.Set = *setOf(firstSet, voters("strangers", 20))
	return all
}
