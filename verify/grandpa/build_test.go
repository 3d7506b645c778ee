package grandpa

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// What this file builds is signed with real keys, by the standard library, so that the tests have
// their signatures from elsewhere than the code under test.

// A voter is an authority with its key.
type voter struct {
	key ed25519.PrivateKey
	id  AuthorityID
}

// voters returns n voters, always the same ones for the same name.
func voters(name string, n int) []voter {
	list := make([]voter, n)
	for i := range list {
		seed := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, i))
		list[i].key = ed25519.NewKeyFromSeed(seed[:])
		list[i].id = AuthorityID(list[i].key.Public().(ed25519.PublicKey))
	}
	return list
}

// setOf returns a set of the voters, of weight 1 each.
func setOf(id uint64, list []voter) *AuthoritySet {
	s := &AuthoritySet{ID: id}
	for _, v := range list {
		s.Authorities = append(s.Authorities, Authority{v.id, 1})
	}
	return s
}

// weighted returns s with the given weights.
func weighted(s *AuthoritySet, weights ...uint64) *AuthoritySet {
	c := &AuthoritySet{ID: s.ID}
	for i, w := range weights {
		c.Authorities = append(c.Authorities, Authority{s.Authorities[i].ID, w})
	}
	return c
}

// block returns a child of parent (nil: a header 0). salt makes siblings differ.
func block(parent *verify.Header, salt byte, digest ...verify.DigestItem) *verify.Header {
	h := &verify.Header{StateRoot: verify.Hash{salt}, Digest: digest}
	if parent != nil {
		h.ParentHash, h.Number = parent.Hash(), parent.Number+1
	}
	return h
}

// blocks returns n blocks, each the child of the one before, the first the child of parent.
func blocks(parent *verify.Header, salt byte, n int) []*verify.Header {
	list := make([]*verify.Header, n)
	for i := range list {
		list[i] = block(parent, salt)
		parent = list[i]
	}
	return list
}

// at returns a header with the given number, which stands for a chain of that many before it.
func at(number uint32) *verify.Header {
	return &verify.Header{ParentHash: verify.Hash{0xaa}, Number: number}
}

// scheduled returns the digest item that announces the set's list.
func scheduled(next *AuthoritySet, delay uint32) verify.DigestItem {
	return grandpaLog(scale.AppendU32(AppendAuthorities([]byte{logScheduledChange}, next.Authorities), delay))
}

func grandpaLog(data []byte) verify.DigestItem {
	return verify.DigestItem{Type: verify.DigestConsensus, Engine: verify.EngineGrandpa, Data: data}
}

// sign returns v's precommit for a block, in a round of a set. The payload is written out here
// rather than taken from PrecommitPayload.
func (v voter) sign(hash verify.Hash, number uint32, round, setID uint64) Precommit {
	msg := append([]byte{1}, hash[:]...)
	msg = binary.LittleEndian.AppendUint32(msg, number)
	msg = binary.LittleEndian.AppendUint64(msg, round)
	msg = binary.LittleEndian.AppendUint64(msg, setID)
	return Precommit{TargetHash: hash, TargetNumber: number, Signature: [64]byte(ed25519.Sign(v.key, msg)), ID: v.id}
}

func (v voter) vote(h *verify.Header, round, setID uint64) Precommit {
	return v.sign(h.Hash(), h.Number, round, setID)
}

// ballot returns the votes of all in list for h.
func ballot(list []voter, h *verify.Header, round, setID uint64) []Precommit {
	var votes []Precommit
	for _, v := range list {
		votes = append(votes, v.vote(h, round, setID))
	}
	return votes
}

// justify returns a justification of target with the given votes.
func justify(target *verify.Header, round uint64, votes []Precommit, ancestry ...*verify.Header) *Justification {
	return &Justification{Round: round, Commit: Commit{target.Hash(), target.Number, votes}, Ancestry: ancestry}
}

// finalize returns a justification of h by all in list.
func finalize(list []voter, h *verify.Header, round, setID uint64) *Justification {
	return justify(h, round, ballot(list, h, round, setID))
}

// join concatenates lists of precommits.
func join(lists ...[]Precommit) []Precommit {
	var all []Precommit
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = verify.ParseHex(string(b))
	return err
}

func load(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile("../testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// recordedJustification returns a justification of the test network, with the set that signed it.
func recordedJustification(t testing.TB) (encoded []byte, hash verify.Hash, set *AuthoritySet) {
	t.Helper()
	var v struct {
		BlockHash     verify.Hash `json:"block_hash"`
		SetID         uint64      `json:"set_id_signed"`
		Authorities   []AuthorityID
		Justification hexBytes
	}
	load(t, "test-5534451-justification.json", &v)
	set = &AuthoritySet{ID: v.SetID}
	for _, id := range v.Authorities {
		set.Authorities = append(set.Authorities, Authority{id, 1})
	}
	return v.Justification, v.BlockHash, set
}
