package grandpa

import (
	stded25519 "crypto/ed25519"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify"
)

// accepts is what Justification.Verify should say, written a second time from the rules, without a
// thought for cost: every path is built in full, every signature checked alone by the standard
// library (the keys and signatures made here are ordinary, where all rules of ed25519 agree).
func accepts(j *Justification, set *AuthoritySet) error {
	header := func(hash verify.Hash) *verify.Header {
		i := slices.IndexFunc(j.Ancestry, func(h *verify.Header) bool { return h.Hash() == hash })
		if i < 0 {
			return nil
		}
		return j.Ancestry[i]
	}
	total, voted := new(big.Int), new(big.Int)
	used := map[verify.Hash]bool{}
	for i, a := range set.Authorities {
		total.Add(total, new(big.Int).SetUint64(a.Weight))
		votes := 0
		for _, p := range j.Commit.Precommits {
			if p.ID == a.ID {
				votes++
			}
		}
		if votes > 0 {
			voted.Add(voted, new(big.Int).SetUint64(a.Weight))
		}
		if votes > 2 {
			return fmt.Errorf("authority %d voted %d times", i, votes)
		}
	}
	// More than two thirds of the weight: 3 · voted > 2 · total.
	if new(big.Int).Mul(voted, big.NewInt(3)).Cmp(new(big.Int).Mul(total, big.NewInt(2))) <= 0 {
		return fmt.Errorf("weight %v of %v", voted, total)
	}
	for i, p := range j.Commit.Precommits {
		if !slices.ContainsFunc(set.Authorities, func(a Authority) bool { return a.ID == p.ID }) {
			return fmt.Errorf("precommit %d: stranger", i)
		}
		msg := PrecommitPayload(p.TargetHash, p.TargetNumber, j.Round, set.ID)
		if !stded25519.Verify(p.ID[:], msg[:], p.Signature[:]) {
			return fmt.Errorf("precommit %d: signature", i)
		}
		// Walk from the vote down to the commit, by hash alone, and compare the numbers after.
		var path []*verify.Header
		at := p.TargetHash
		for at != j.Commit.TargetHash {
			h := header(at)
			if h == nil {
				return fmt.Errorf("precommit %d: no path", i)
			}
			path = append(path, h)
			used[at] = true
			at = h.ParentHash
		}
		if int64(p.TargetNumber) != int64(j.Commit.TargetNumber)+int64(len(path)) {
			return fmt.Errorf("precommit %d: %d steps from %d to %d", i, len(path), p.TargetNumber, j.Commit.TargetNumber)
		}
		for k, h := range path {
			if int64(h.Number) != int64(p.TargetNumber)-int64(k) {
				return fmt.Errorf("precommit %d: header number", i)
			}
		}
	}
	if len(used) != len(j.Ancestry) {
		return fmt.Errorf("%d of %d headers used", len(used), len(j.Ancestry))
	}
	return nil
}

// Random rounds, right and wrong in all sorts of ways, get the reference's verdict.
func TestAgainstReference(t *testing.T) {
	n := 3000
	if testing.Short() {
		n = 300
	}
	rng := rand.New(rand.NewPCG(1, 2))
	all := voters("a", 7)
	stranger := voters("stranger", 1)[0]
	const round, id = 5, 6

	// A tree of twelve blocks above number 50, with forks, and one header with a wrong number.
	tree := []*verify.Header{at(50)}
	for i := range 12 {
		tree = append(tree, block(tree[max(0, len(tree)-1-rng.IntN(3))], byte(i)))
	}
	odd := block(tree[4], 99)
	odd.Number += 1 + uint32(rng.IntN(3))
	tree = append(tree, odd, block(odd, 0))

	accepted, deep, refused := 0, 0, 0
	for i := range n {
		size := 1 + rng.IntN(len(all))
		set := &AuthoritySet{ID: id}
		for _, v := range all[:size] {
			set.Authorities = append(set.Authorities, Authority{v.id, 1 + uint64(rng.IntN(3))})
		}
		target := tree[rng.IntN(6)]
		// Votes mostly for the target or above it.
		above := func() *verify.Header {
			for range 20 {
				h := tree[rng.IntN(len(tree))]
				if h.Number >= target.Number && rng.IntN(10) > 0 || rng.IntN(40) == 0 {
					return h
				}
			}
			return target
		}
		single := rng.IntN(2) == 0 // half of the rounds are all for the target
		var votes []Precommit
		for _, v := range all[:size] {
			if rng.IntN(8) == 0 {
				continue
			}
			for range 1 + max(0, rng.IntN(12)-9) {
				h := target
				if !single {
					h = above()
				}
				p := v.vote(h, round, id)
				switch rng.IntN(60) {
				case 0:
					p = v.sign(h.Hash(), h.Number+1, round, id)
				case 1:
					p = v.sign(h.Hash(), h.Number, round+1, id)
				case 2:
					p.Signature[rng.IntN(64)] ^= 1 << rng.IntN(8)
				case 3:
					p = stranger.vote(h, round, id)
				}
				votes = append(votes, p)
			}
		}
		rng.Shuffle(len(votes), func(a, b int) { votes[a], votes[b] = votes[b], votes[a] })
		// The ancestry that is needed, sometimes with a header too few or too many.
		var ancestry []*verify.Header
		have := map[*verify.Header]bool{}
		byHash := lookup(tree...)
		for _, p := range votes {
			for h := byHash(p.TargetHash); h != nil && h != target && !have[h] && h.Number > target.Number; h = byHash(h.ParentHash) {
				have[h] = true
				ancestry = append(ancestry, h)
			}
		}
		if rng.IntN(12) == 0 && len(ancestry) > 0 {
			ancestry = ancestry[1:]
		}
		if rng.IntN(12) == 0 {
			ancestry = append(ancestry, tree[rng.IntN(len(tree))])
		}
		rng.Shuffle(len(ancestry), func(a, b int) { ancestry[a], ancestry[b] = ancestry[b], ancestry[a] })

		j := justify(target, round, votes, ancestry...)
		got, want := j.Verify(set), accepts(j, set)
		if (got == nil) != (want == nil) {
			t.Fatalf("round %d: %v; the reference says %v", i, got, want)
		}
		if want == nil {
			accepted++
			if len(ancestry) > 0 {
				deep++
			}
		} else {
			refused++
		}
	}
	t.Logf("%d accepted (%d with ancestry), %d refused", accepted, deep, refused)
	if accepted < n/10 || deep < n/50 || refused < n/10 {
		t.Error("the rounds are too much alike")
	}
}
