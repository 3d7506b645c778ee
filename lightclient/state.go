package lightclient

import (
	"errors"
	"fmt"

	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/trie"
)

// stateRead is the reading of the Aura list at the finalized block, needed once after headers were
// skipped; from then on the list is followed through the headers' own announcements.
type stateRead struct{ asked *stateAsk }

type stateAsk struct {
	block verify.Hash
	root  verify.Hash
	set   grandpa.AuthoritySet
}

// keyAura and keyGrandpa are hard-coded because they are needed before any metadata can be had.
func keyAura() []byte    { return verify.StorageKey("Aura", "Authorities") }
func keyGrandpa() []byte { return verify.StorageKey("Grandpa", "Authorities") }

func (s *Sync) stepState() {
	if s.state.asked != nil || s.warp.needed || s.chain.Authorities() != nil {
		return
	}
	final := s.chain.Finalized()
	p := s.pick(func(*syncPeer) bool { return true })
	if p == nil {
		return
	}
	ask := &stateAsk{final.Hash, final.Header.StateRoot, final.Set}
	body := (&wire.ReadRequest{Block: final.Hash, Keys: [][]byte{keyAura(), keyGrandpa()}}).Append(nil)
	if s.ask(p, LightRequest, body, ask) {
		s.state.asked = ask
	}
}

func (s *Sync) stateAnswered(ask *stateAsk, e *Answered) {
	s.state.asked = nil
	if e.Err != nil {
		return
	}
	list, mismatch, err := readAuthorities(ask, e.Body)
	if errors.Is(err, ErrUnanswered) {
		// No proof, or not all of it: the state may be pruned there. Let another be asked.
		if p := s.peers[e.Request.Peer]; p != nil {
			p.busyUntil = s.now.Add(s.lag())
		}
		return
	}
	if err != nil {
		s.lied(e.Request.Peer, banLie, "authorities of block %s: %v", ask.block.Short(), err)
		return
	}
	if mismatch {
		s.do(Remark{fmt.Sprintf("Grandpa.Authorities in state differs from set %d that signs", ask.set.ID)})
	}
	s.chain.SetAuthorities(ask.block, list)
	for _, p := range s.peers {
		if p.wants == nil && p.best > s.chain.Best().Header.Number && len(s.pending) > 0 {
			c := s.pending[0].message.Commit
			s.wantHeader(p, c.TargetHash, c.TargetNumber)
		}
	}
}

// readAuthorities takes the Aura list from a read proof, and compares the GRANDPA list in state with
// the set that signs: they differ only when somebody intervened by hand (reference: the chain's set
// ids 1 to 6), which is worth a line and decides nothing.
func readAuthorities(ask *stateAsk, body []byte) (list []aura.AuthorityID, mismatch bool, err error) {
	raw, ok, err := wire.DecodeLightResponse(body)
	if err != nil {
		return nil, false, err
	}
	if !ok {
		return nil, false, ErrUnanswered
	}
	value, outcome, err := readProof(ask.root, raw, keyAura())
	if err != nil {
		return nil, false, err
	}
	if outcome == trie.Absent {
		return nil, false, fmt.Errorf("%w: Aura.Authorities is proven absent", verify.ErrUnknownEngine)
	}
	if outcome != trie.Present {
		return nil, false, ErrUnanswered
	}
	if list, err = aura.DecodeAuthorities(value); err != nil {
		return nil, false, err
	}
	if value, outcome, err = readProof(ask.root, raw, keyGrandpa()); err == nil && outcome == trie.Present {
		mismatch = string(value) != string(grandpa.AppendAuthorities(nil, ask.set.Authorities))
	}
	return list, mismatch, nil
}

// readProof looks one key up in a SCALE-encoded read proof.
func readProof(root verify.Hash, raw, key []byte) ([]byte, trie.Outcome, error) {
	nodes, err := trie.DecodeProof(raw)
	if err != nil {
		return nil, trie.Incomplete, err
	}
	proof, err := trie.NewProof(root, nodes)
	if err != nil {
		return nil, trie.Incomplete, err
	}
	return proof.Get(key)
}
