package demonet

import (
	"fmt"
	"slices"

	"github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
)

// What the liars do to honest answers. Values shared with the chain are copied before they are
// spoiled.

// forgers are the authorities of a chain of the liar's own.
func (k *keyring) forgers() *keyring { return newKeyring(k.seed+" forger", k.size) }

// distortBlock spoils one block of a sync/2 answer.
func (c *chain) distortBlock(kind FaultKind, b *block, e wire.Block) wire.Block {
	switch {
	case kind == LieHeader && e.Header != nil:
		h := *b.header
		h.StateRoot[7] ^= 1
		e.Header = h.Encode()
	case kind == LieBody && len(e.Body) > 0:
		e.Body = slices.Clone(e.Body)
		last := slices.Clone(e.Body[len(e.Body)-1])
		last[len(last)-1] ^= 1
		e.Body[len(e.Body)-1] = last
	}
	return e
}

// forgeRun replaces headers, ascending or descending as they were asked for, by a branch of the
// liar's own whose parts hang together: only the seals tell.
func (c *chain) forgeRun(blocks []wire.Block, descending bool) {
	order := func(i int) *wire.Block {
		if descending {
			i = len(blocks) - 1 - i
		}
		return &blocks[i]
	}
	var before *verify.Header
	for i := range blocks {
		e := order(i)
		b := c.blocks[e.Hash]
		if e.Header == nil || b.parent == nil {
			continue
		}
		h := *b.header
		if before != nil {
			h.ParentHash = before.Hash()
		}
		before = c.keys.forge(&h, b.slot)
		e.Header, e.Hash = before.Encode(), before.Hash()
	}
}

// forge returns a header in place of h with another state, sealed by an authority of another chain.
func (k *keyring) forge(h *verify.Header, slot uint64) *verify.Header {
	f := *h
	f.StateRoot = verify.Blake2b256(h.StateRoot[:])
	f.Digest = slices.Clone(h.Digest[:len(h.Digest)-1])
	f.Digest = append(f.Digest, verify.DigestItem{
		Type: verify.DigestSeal, Engine: verify.EngineAura, Data: k.forgers().seal(slot%uint64(k.size), f.PreSealHash()),
	})
	return &f
}

// justification signs a vote for sync/2, and spoils it.
func (c *chain) justification(kind FaultKind, v vote) *grandpa.Justification {
	j := c.keys.justify(v)
	switch kind {
	case LieJustification:
		spoilSignature(&j.Commit)
	case LieJustificationTarget:
		c.splice(&j.Commit, v)
		j.Ancestry = nil
	}
	return j
}

func spoilSignature(c *grandpa.Commit) {
	for i := range c.Precommits {
		c.Precommits[i].Signature[20] ^= 1
	}
}

// splice leaves a commit its target and gives it the genuine precommits of the parent's commit, or
// those of the target itself for a target that does not exist.
func (c *chain) splice(m *grandpa.Commit, v vote) {
	if parent, ok := c.voteOn(v.block.header.Number - 1); ok && parent.block.finalizer() == v.block.finalizer() {
		m.Precommits = c.keys.precommits(vote{block: parent.block, round: v.round})
		return
	}
	m.TargetHash = verify.Blake2b256(m.TargetHash[:])
}

// flipNode changes one byte of the longest node, copying what it changes.
func flipNode(nodes [][]byte) [][]byte {
	nodes = slices.Clone(nodes)
	longest := -1
	for i := range nodes {
		if longest < 0 || len(nodes[i]) > len(nodes[longest]) {
			longest = i
		}
	}
	if longest < 0 {
		return [][]byte{{0}} // a proof of nothing becomes one of an empty trie
	}
	n := slices.Clone(nodes[longest])
	n[len(n)-1] ^= 1
	nodes[longest] = n
	return nodes
}

func (c *chain) distortRead(kind FaultKind, hash verify.Hash, keys, nodes [][]byte) [][]byte {
	switch kind {
	case LieRead:
		return flipNode(nodes)
	case LieReadMissing:
		return nodes[:len(nodes)-1]
	case LieReadOther:
		if b := c.blocks[hash]; b.parent != nil && b.parent.state != nil {
			return b.parent.state.Prove(keys...)
		}
	case LieReadUnused:
		return append(slices.Clone(nodes), []byte("a node that leads to nothing, of more than 32 bytes"))
	}
	return nodes
}

// distortWarp spoils a warp proof.
func (c *chain) distortWarp(kind FaultKind, p *grandpa.WarpProof) *grandpa.WarpProof {
	if kind == LieWarpEmpty {
		return &grandpa.WarpProof{}
	}
	n := len(p.Fragments)
	if n == 0 {
		return p
	}
	last := &p.Fragments[n-1]
	switch kind {
	case LieWarpSignature:
		spoilSignature(&last.Justification.Commit)
	case LieWarpTarget:
		// The proof is whole but for the header, which is not the one that was voted for.
		h := *last.Header
		h.StateRoot = verify.Blake2b256(h.StateRoot[:])
		last.Header = &h
		last.Justification.Commit.TargetHash = h.Hash()
	case LieWarpSet:
		// A block that hands the chain over to the forgers, and one of theirs after it.
		v, _ := c.voteOn(last.Header.Number)
		forgers := c.keys.forgers()
		set := v.block.finalizer()
		next := forgers.grandpaSet(set + 1)
		h := *last.Header
		h.Digest = slices.Insert(slices.Clone(h.Digest), len(h.Digest)-1, verify.DigestItem{
			Type: verify.DigestConsensus, Engine: verify.EngineGrandpa,
			Data: scale.AppendU32(grandpa.AppendAuthorities([]byte{1}, next.Authorities), 0),
		})
		first := &block{header: &h, hash: h.Hash(), set: set + 1, change: true}
		child := verify.Header{ParentHash: first.hash, Number: h.Number + 1, StateRoot: h.StateRoot, ExtrinsicsRoot: h.ExtrinsicsRoot, Digest: last.Header.Digest}
		second := &block{header: &child, hash: child.Hash(), parent: first, set: set + 1}
		*last = grandpa.Fragment{Header: &h, Justification: forgers.justify(vote{block: first, round: 1})}
		p.Fragments = append(p.Fragments, grandpa.Fragment{Header: &child, Justification: forgers.justify(vote{block: second, round: 1})})
	}
	return p
}

// distortAnnounce returns the header to announce for a block.
func (k *keyring) distortAnnounce(kind FaultKind, b *block) *verify.Header {
	switch kind {
	case LieAnnounceSeal:
		return k.forge(b.header, b.slot)
	case LieAnnounceParent:
		h := *b.header
		h.Number += 1000
		h.ParentHash = verify.Blake2b256(h.ParentHash[:])
		return k.forge(&h, b.slot)
	}
	return b.header
}

// distortCommit signs the commit of a vote, and spoils it.
func (c *chain) distortCommit(kind FaultKind, v vote) *grandpa.CommitMessage {
	m := c.keys.commit(v)
	switch kind {
	case LieCommitSignature:
		spoilSignature(&m.Commit)
	case LieCommitTarget:
		// Precommits for the block, put under its child: whoever looks at signatures only takes the
		// child for final.
		m.Commit.Precommits = c.keys.precommits(vote{block: v.block, round: v.round})
		m.Commit.TargetHash, m.Commit.TargetNumber = verify.Blake2b256(m.Commit.TargetHash[:]), v.block.header.Number+1
		if child := c.at(v.block.header.Number + 1); child != nil {
			m.Commit.TargetHash = child.hash
		}
	}
	return m
}

// lyingNeighbors are packets that do not follow on one another.
func lyingNeighbors(n wire.Neighbor) [][]byte {
	ahead, behind := n, wire.Neighbor{Round: 1}
	ahead.SetID += 1000
	ahead.Height += 1 << 30
	return [][]byte{
		wire.AppendNeighbor(nil, ahead),
		wire.AppendNeighbor(nil, behind),
		{2, 99, 1, 2, 3}, // neighbour packet of version 99
		{77},             // no such message
	}
}

// inventPeers returns peers that do not exist, at addresses of TEST-NET-1, which leads nowhere.
func (n *Network) inventPeers(count int) []wire.KadPeer {
	out := make([]wire.KadPeer, count)
	for i := range out {
		k := n.keys.forgers().peerKey(i)
		addr := multiaddr.StringCast(fmt.Sprintf("/ip4/192.0.2.%d/tcp/30333", i%256))
		out[i] = wire.KadPeer{ID: []byte(peerID(k)), Addrs: [][]byte{addr.Bytes()}}
	}
	return out
}
