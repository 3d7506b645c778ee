package demonet

import (
	"errors"
	"fmt"
	"sort"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/grandpa"
)

// ErrNoFinality: nothing above the genesis block is final yet.
var ErrNoFinality = errors.New("nothing is final yet")

// A vote is a finished GRANDPA round. It is only the outcome: signatures are made when somebody
// asks for them, and come out the same each time, so ten thousand blocks of history cost none.
type vote struct {
	block *block
	round uint64
	ahead *block // child that one voter precommitted to in place of block, or nil
}

// finalize runs rounds until finality is lag blocks behind the best. It never steps over a block
// that changes the set, whose last act is that block, nor over one whose justification is kept.
func (c *chain) finalize() []vote {
	first := len(c.votes)
	best := c.best().header.Number
	if c.lag < 0 || uint64(best) < uint64(c.lag) {
		return nil
	}
	for goal := best - uint32(c.lag); c.final.header.Number < goal; {
		n := c.final.header.Number + 1
		for n < goal && !keeps(c.canon[n]) {
			n++
		}
		c.vote(c.canon[n])
	}
	c.prune()
	return c.votes[first:len(c.votes):len(c.votes)]
}

// keeps reports whether full nodes store the justification of b.
func keeps(b *block) bool {
	return b.header.Number != 0 && (b.change || b.header.Number%justificationPeriod == 0)
}

func (c *chain) vote(b *block) {
	if n := len(c.votes); n > 0 && c.votes[n-1].block.finalizer() == b.finalizer() {
		c.round++
	} else {
		c.round = 1 // rounds start anew with each set
	}
	v := vote{block: b, round: c.round}
	if child := c.at(b.header.Number + 1); child != nil && !b.change && b.hash[2]%4 == 0 {
		v.ahead = child
	}
	c.votes = append(c.votes, v)
	c.final = b
}

// lastVote returns the newest vote on a block that is not above number.
func (c *chain) lastVote(number uint32) (vote, bool) {
	i := sort.Search(len(c.votes), func(i int) bool { return c.votes[i].block.header.Number > number })
	if i == 0 {
		return vote{}, false
	}
	return c.votes[i-1], true
}

// voteOn returns the vote that finalized exactly this canonical block.
func (c *chain) voteOn(number uint32) (vote, bool) {
	v, ok := c.lastVote(number)
	return v, ok && v.block.header.Number == number
}

// precommits signs a vote. Up to a third of the set, chosen by the block hash, is absent.
func (k *keyring) precommits(v vote) []grandpa.Precommit {
	set, h := v.block.finalizer(), v.block.hash
	absent := int(h[0]) % ((k.size-1)/3 + 1)
	first := int(h[1]) % k.size
	var out []grandpa.Precommit
	for i := range k.size {
		if (i-first+k.size)%k.size < absent {
			continue
		}
		target := v.block
		if v.ahead != nil && len(out) == 0 {
			target = v.ahead
		}
		out = append(out, k.precommit(set, i, target.hash, target.header.Number, v.round))
	}
	return out
}

func (k *keyring) commit(v vote) *grandpa.CommitMessage {
	return &grandpa.CommitMessage{Round: v.round, SetID: v.block.finalizer(), Commit: grandpa.Commit{
		TargetHash: v.block.hash, TargetNumber: v.block.header.Number, Precommits: k.precommits(v),
	}}
}

func (k *keyring) justify(v vote) *grandpa.Justification {
	j := &grandpa.Justification{Round: v.round, Commit: k.commit(v).Commit}
	if v.ahead != nil {
		j.Ancestry = []*verify.Header{v.ahead.header}
	}
	return j
}

// warp answers a warp request as sc-consensus-grandpa does (warp_proof.rs): one fragment for each
// set change after begin, then the latest justification, if it is for a block after them or, with
// no change, not before begin itself. So asking from the newest block returns that block once more.
func (c *chain) warp(begin verify.Hash, final uint32) (*grandpa.WarpProof, error) {
	b := c.blocks[begin]
	if b == nil || !c.isFinal(b) || b.header.Number > final {
		return nil, fmt.Errorf("warp from %s: %w", begin.Short(), ErrNoFinality)
	}
	p := &grandpa.WarpProof{Finished: true}
	limit, size := b.header.Number, 0
	for n := b.header.Number + 1; n <= final; n++ {
		if !c.canon[n].change {
			continue
		}
		v, _ := c.voteOn(n)
		p.Fragments = append(p.Fragments, grandpa.Fragment{Header: v.block.header, Justification: c.keys.justify(v)})
		limit = n + 1
		if size += len(v.block.header.Encode()) + 200*c.keys.size; size > maxWarp {
			p.Finished = false
			return p, nil
		}
	}
	if v, ok := c.lastVote(final); ok && v.block.header.Number >= limit {
		p.Fragments = append(p.Fragments, grandpa.Fragment{Header: v.block.header, Justification: c.keys.justify(v)})
	}
	return p, nil
}

// conflict makes a block beside the finalized one and finalizes that too, with the same
// authorities in the same round. It does not insert it.
func (c *chain) conflict() (a, b vote, err error) {
	a, ok := c.lastVote(c.final.header.Number)
	if !ok {
		return a, b, ErrNoFinality
	}
	branch, err := c.branch(a.block.parent, 1)
	if err != nil {
		return a, b, err
	}
	return a, vote{block: branch[0], round: a.round}, nil
}
