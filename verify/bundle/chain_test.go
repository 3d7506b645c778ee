package bundle

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cloudflare/circl/ecc/bls12381"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/tlock"
	"github.com/taolight/taolight/verify/trie"
)

// A chain is one for tests: headers with real state roots, GRANDPA votes by real keys, a beacon of its own.
// Nothing runs on it: a test writes into the state of each block what the pallets would have written.
type chain struct {
	t       testing.TB
	genesis verify.Hash
	first   uint32
	headers []*verify.Header // from block first on
	states  []*trie.Trie
	state   *trie.Trie // of the block being made
	change  []voter    // who takes over after the block being made
	bodies  map[uint32][][]byte
	sets    []*grandpa.AuthoritySet
	voters  [][]voter // of each set
	ends    []uint32  // the last block of each set but the newest
	secret  *bls12381.Scalar
	beacon  drand.Beacon
}

type voter struct {
	key ed25519.PrivateKey
	id  grandpa.AuthorityID
}

func voters(name string, n int) []voter {
	list := make([]voter, n)
	for i := range list {
		seed := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, i))
		list[i].key = ed25519.NewKeyFromSeed(seed[:])
		list[i].id = grandpa.AuthorityID(list[i].key.Public().(ed25519.PublicKey))
	}
	return list
}

func setOf(id uint64, list []voter) *grandpa.AuthoritySet {
	s := &grandpa.AuthoritySet{ID: id}
	for _, v := range list {
		s.Authorities = append(s.Authorities, grandpa.Authority{ID: v.id, Weight: 1})
	}
	return s
}

const firstSet = 6

// newChain returns a chain whose first block, first, is the trust root. name makes chains differ.
func newChain(t testing.TB, name string, first uint32, authorities int) *chain {
	c := &chain{t: t, genesis: verify.Blake2b256([]byte(name)), first: first, state: trie.New(trie.V1)}
	c.voters = [][]voter{voters(name, authorities)}
	c.sets = []*grandpa.AuthoritySet{setOf(firstSet, c.voters[0])}
	seed := sha256.Sum256([]byte(name))
	c.secret = new(bls12381.Scalar)
	c.secret.SetBytes(seed[:])
	key := new(bls12381.G2)
	key.ScalarMult(c.secret, bls12381.G2Generator())
	c.beacon = drand.Beacon{Name: name, PublicKey: drand.PublicKey(key.BytesCompressed()), Period: 3, GenesisTime: 1_700_000_000}
	c.runs(425)
	// Enough keys that the state has a few levels.
	for i := range 200 {
		c.put(verify.StorageKey("Filler", fmt.Sprint(i)), bytes.Repeat([]byte{byte(i)}, 20+i%40))
	}
	c.block()
	return c
}

func (c *chain) put(key, value []byte) { c.state = c.state.Put(key, value) }
func (c *chain) del(key []byte)        { c.state = c.state.Delete(key) }

// runs writes which runtime made the block.
func (c *chain) runs(spec uint32) {
	c.put(subtensor.KeyLastRuntimeUpgrade(), subtensor.RuntimeUpgrade{SpecVersion: spec, SpecName: "node-subtensor"}.Append(nil))
}

// head returns the number of the newest block.
func (c *chain) head() uint32 { return c.first + uint32(len(c.headers)) - 1 }

// next returns the number of the block being made.
func (c *chain) next() uint32 { return c.head() + 1 }

func (c *chain) header(n uint32) *verify.Header { return c.headers[n-c.first] }

// block seals what was put since the last one.
func (c *chain) block() *verify.Header {
	h := &verify.Header{Number: c.first, ParentHash: verify.Blake2b256([]byte("before"))}
	if len(c.headers) > 0 {
		parent := c.headers[len(c.headers)-1]
		h.ParentHash, h.Number = parent.Hash(), parent.Number+1
	}
	// frame_system, on_initialize and on_finalize.
	c.put(subtensor.KeyBlockHash(h.Number-1), h.ParentHash[:])
	if h.Number > BlockHashCount+1 {
		c.del(subtensor.KeyBlockHash(h.Number - BlockHashCount - 1))
	}
	if c.change != nil {
		id := c.sets[len(c.sets)-1].ID + 1
		set := setOf(id, c.change)
		h.Digest = []verify.DigestItem{{
			Type: verify.DigestConsensus, Engine: verify.EngineGrandpa,
			Data: scale.AppendU32(grandpa.AppendAuthorities([]byte{1}, set.Authorities), 0),
		}}
		c.sets, c.voters, c.ends = append(c.sets, set), append(c.voters, c.change), append(c.ends, h.Number)
		c.change = nil
	}
	h.StateRoot = c.state.Root()
	if body := c.bodies[h.Number]; body != nil {
		h.ExtrinsicsRoot = trie.OrderedRoot(body)
	}
	c.headers, c.states = append(c.headers, h), append(c.states, c.state)
	return h
}

func (c *chain) run(n int) {
	for range n {
		c.block()
	}
}

// setAt returns which set finalizes a block.
func (c *chain) setAt(n uint32) int {
	i := 0
	for i < len(c.ends) && c.ends[i] < n {
		i++
	}
	return i
}

// sign returns a precommit. What is signed is written out here.
func (v voter) sign(h *verify.Header, round, setID uint64) grandpa.Precommit {
	hash := h.Hash()
	msg := append([]byte{1}, hash[:]...)
	msg = binary.LittleEndian.AppendUint32(msg, h.Number)
	msg = binary.LittleEndian.AppendUint64(msg, round)
	msg = binary.LittleEndian.AppendUint64(msg, setID)
	return grandpa.Precommit{TargetHash: hash, TargetNumber: h.Number, Signature: [64]byte(ed25519.Sign(v.key, msg)), ID: v.id}
}

// final returns a block with as many votes as it needs.
func (c *chain) final(n uint32) grandpa.Fragment {
	set := c.sets[c.setAt(n)]
	return c.voted(c.header(n), c.setAt(n), int(set.Threshold()))
}

// voted returns a header with votes of a set, in an order that is not that of the set.
func (c *chain) voted(h *verify.Header, set, votes int) grandpa.Fragment {
	j := &grandpa.Justification{Round: 1_204_881, Commit: grandpa.Commit{TargetHash: h.Hash(), TargetNumber: h.Number}}
	list := slices.Clone(c.voters[set])
	rand.New(rand.NewPCG(1, uint64(h.Number))).Shuffle(len(list), func(a, b int) { list[a], list[b] = list[b], list[a] })
	for _, v := range list[:votes] {
		j.Commit.Precommits = append(j.Commit.Precommits, v.sign(h, j.Round, c.sets[set].ID))
	}
	return grandpa.Fragment{Header: h, Justification: j}
}

// fragments returns the set changes above one block and below another.
func (c *chain) fragments(above, below uint32) (list []grandpa.Fragment) {
	for _, n := range c.ends {
		if above < n && n < below {
			list = append(list, c.final(n))
		}
	}
	return list
}

// start returns a block as verification goes on from it.
func (c *chain) start(n uint32) grandpa.Finalized {
	return grandpa.Finalized{Header: c.header(n), Hash: c.header(n).Hash(), Set: *c.sets[c.setAt(n+1)]}
}

func (c *chain) root(n uint32) RootRef {
	s := c.start(n)
	return RootRef{n, s.Hash, s.Set.ID}
}

func (c *chain) checkpoint(n uint32) *checkpoint.Checkpoint {
	s := c.start(n)
	beacon := c.beacon
	return &checkpoint.Checkpoint{Network: "demo", Genesis: c.genesis, Number: n, Hash: s.Hash, Header: s.Header, Set: s.Set, SlotDuration: 12_000, Drand: &beacon}
}

func (c *chain) pulse(round uint64) drand.Pulse {
	sig := new(bls12381.G1)
	sig.ScalarMult(c.secret, drand.HashToG1(round))
	return drand.Pulse{Round: round, Signature: drand.Signature(sig.BytesCompressed())}
}

// draft begins a bundle from the first block.
func (c *chain) draft(final uint32, claims ...Claim) (*Draft, error) {
	return c.draftOf(DraftOptions{Beacon: c.beacon}, c.first, final, claims...)
}

func (c *chain) draftOf(o DraftOptions, from, final uint32, claims ...Claim) (*Draft, error) {
	return NewDraft(c.genesis, c.root(from), c.start(from), c.fragments(from, final), c.final(final), claims, o)
}

// fill answers a draft's questions from what the chain has, and returns how often it asked.
func (c *chain) fill(d *Draft) (rounds int, err error) {
	for ; rounds < 50; rounds++ {
		wants, err := d.Missing()
		if err != nil {
			return rounds, err
		}
		if len(wants) == 0 {
			return rounds, nil
		}
		for _, w := range wants {
			if w.Header {
				if err := d.AddHeader(c.header(w.Number)); err != nil {
					return rounds, err
				}
			}
			if len(w.Keys) > 0 {
				if err := d.AddProof(w.Number, c.states[w.Number-c.first].Prove(w.Keys...)); err != nil {
					return rounds, err
				}
			}
			for _, index := range w.Extrinsics {
				if err := d.AddExtrinsics(w.Number, trie.Ordered(c.bodies[w.Number]).Prove(scale.AppendCompact(nil, uint64(index)))); err != nil {
					return rounds, err
				}
			}
			for _, round := range w.Pulses {
				if err := d.AddPulse(c.pulse(round)); err != nil {
					return rounds, err
				}
			}
		}
	}
	return rounds, fmt.Errorf("the draft never has enough")
}

// try makes a bundle.
func (c *chain) try(final uint32, claims ...Claim) (*Bundle, error) {
	d, err := c.draft(final, claims...)
	if err != nil {
		return nil, err
	}
	if _, err := c.fill(d); err != nil {
		return nil, err
	}
	return d.Bundle()
}

// make makes a bundle that is good, and one whose encoding decodes to itself.
func (c *chain) make(final uint32, claims ...Claim) *Bundle {
	c.t.Helper()
	x, err := c.try(final, claims...)
	if err != nil {
		c.t.Fatal(err)
	}
	b := x.Encode()
	y, err := Decode(b)
	if err != nil {
		c.t.Fatal(err)
	}
	if !bytes.Equal(y.Encode(), b) {
		c.t.Fatal("what was decoded encodes to something else")
	}
	return y
}

// verify verifies with the first block as the checkpoint.
func (c *chain) verify(x *Bundle) *Report {
	return x.Verify(Options{Checkpoint: c.checkpoint(c.first)})
}

// force returns the bundle of claims that are not true, as somebody would make it who does not care: with the
// whole state of each block that they name, and every pulse they could want.
func (c *chain) force(final uint32, rounds []uint64, claims ...Claim) *Bundle {
	c.t.Helper()
	d, err := c.draft(final, claims...)
	if err != nil {
		c.t.Fatal(err)
	}
	x := d.bundle()
	nodes := map[verify.Hash][]byte{}
	whole := func(n uint32) {
		for _, node := range c.states[n-c.first].ProveQuery(trie.Query{Keys: c.states[n-c.first].Keys(nil, nil, 0)}) {
			nodes[verify.Blake2b256(node)] = node
		}
	}
	whole(final)
	for _, n := range slices.Backward(d.plan) {
		x.Headers = append(x.Headers, c.header(n))
		whole(n)
	}
	for i := range x.Fragments {
		whole(x.Fragments[i].Header.Number)
	}
	hashes := make([]verify.Hash, 0, len(nodes))
	for h := range nodes {
		hashes = append(hashes, h)
	}
	slices.SortFunc(hashes, func(a, b verify.Hash) int { return bytes.Compare(a[:], b[:]) })
	for _, h := range hashes {
		x.Nodes = append(x.Nodes, nodes[h])
	}
	slices.Sort(rounds)
	for _, round := range rounds {
		x.Pulses = append(x.Pulses, c.pulse(round))
	}
	return x
}

// A neuron of subnet 7, whose tempo is 10.
const (
	netuid = 7
	tempo  = 10
)

func hotkey(n byte) verify.AccountID { return verify.AccountID{n, 0xaa, n} }

func u16(v uint16) []byte { return scale.AppendU16(nil, v) }
func u64(v uint64) []byte { return scale.AppendU64(nil, v) }

func vec[T any](list []T, one func([]byte, T) []byte) []byte {
	b := scale.AppendCompact(nil, uint64(len(list)))
	for _, v := range list {
		b = one(b, v)
	}
	return b
}

func bools(list ...bool) []byte { return vec(list, scale.AppendBool) }

// register makes a subnet with n neurons that all have permits.
func (c *chain) register(n int) {
	c.put(subtensor.KeySubnet("NetworksAdded", netuid), []byte{1})
	c.put(subtensor.KeySubnet("SubnetworkN", netuid), u16(uint16(n)))
	c.put(subtensor.KeySubnet("Tempo", netuid), u16(tempo))
	c.put(subtensor.KeySubnet("CommitRevealWeightsEnabled", netuid), []byte{1})
	c.put(subtensor.KeySubnet("RevealPeriodEpochs", netuid), u64(1))
	c.put(subtensor.KeySubnet("MinAllowedWeights", netuid), u16(1))
	c.put(subtensor.KeySubnet("LastEpochBlock", netuid), u64(uint64(c.next())))
	c.put(subtensor.KeySubnet("SubnetEpochIndex", netuid), u64(500))
	permits := make([]bool, n)
	for uid := range n {
		permits[uid] = true
		key := hotkey(byte(uid))
		c.put(subtensor.KeyUids(netuid, key), u16(uint16(uid)))
		c.put(subtensor.KeyKeys(netuid, uint16(uid)), key[:])
		c.put(subtensor.KeyBlockAtRegistration(netuid, uint16(uid)), u64(3))
	}
	c.put(subtensor.KeySubnet("ValidatorPermit", netuid), bools(permits...))
	c.put(subtensor.KeySubnet("LastUpdate", netuid), vec(make([]uint64, n), scale.AppendU64))
}

// tick runs the scheduler of the block being made: a new epoch begins.
func (c *chain) tick(epoch uint64) {
	c.put(subtensor.KeySubnet("LastEpochBlock", netuid), u64(uint64(c.next())))
	c.put(subtensor.KeySubnet("SubnetEpochIndex", netuid), u64(epoch))
}

func (c *chain) storePulse(round uint64) {
	p := c.pulse(round)
	r := p.Randomness()
	c.put(subtensor.KeyPulse(round), drand.Stored{Round: round, Randomness: r[:], Signature: p.Signature[:]}.Append(nil))
}

// seal returns a timelocked commit of a neuron, made in the block being made.
func (c *chain) seal(uid byte, round uint64, uids, values []uint16) subtensor.TimelockedCommit {
	p := &commit.Payload{Hotkey: hotkey(uid), UIDs: uids, Values: values}
	ct, err := tlock.Seal(c.beacon, round, p.Append(nil), rand.NewChaCha8(sha256.Sum256(fmt.Append(nil, uid, round, c.next(), uids, values))))
	if err != nil {
		c.t.Fatal(err)
	}
	return subtensor.TimelockedCommit{Hotkey: hotkey(uid), Block: uint64(c.next()), Ciphertext: ct, Round: round}
}

func (c *chain) queue(epoch uint64, commits ...subtensor.TimelockedCommit) {
	index, _ := subtensor.Index(netuid, 0)
	key := subtensor.KeyTimelockedWeightCommits(index, epoch)
	if len(commits) == 0 {
		c.del(key)
		return
	}
	c.put(key, subtensor.AppendTimelockedCommits(nil, commits))
}

func (c *chain) hashQueue(uid byte, commits ...subtensor.HashCommit) {
	set, err := rules.For(425)
	if err != nil {
		c.t.Fatal(err)
	}
	index, _ := subtensor.Index(netuid, 0)
	key := subtensor.KeyWeightCommits(index, hotkey(uid))
	if len(commits) == 0 {
		c.del(key)
		return
	}
	c.put(key, subtensor.AppendHashCommits(nil, commits, set))
}

func (c *chain) weights(uid uint16, row []subtensor.Weight) {
	c.put(subtensor.KeyWeights(netuid, uid), subtensor.AppendWeights(nil, row))
}

func idOf(t subtensor.TimelockedCommit, epoch uint64) CommitID {
	return CommitID{Kind: commit.Timelocked, Netuid: netuid, Hotkey: t.Hotkey, Epoch: epoch, Block: uint32(t.Block), Hash: t.Hash()}
}

func idOfHash(uid byte, h subtensor.HashCommit) CommitID {
	return CommitID{Kind: commit.Hash, Netuid: netuid, Hotkey: hotkey(uid), Epoch: h.Epoch, Block: uint32(h.Block), Hash: h.Hash}
}
