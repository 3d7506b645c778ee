package main

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"

	schnorrkel "github.com/ChainSafe/go-schnorrkel"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
)

const authorities = 20 // as many as finney had in August 2026

// crypto measures the two signatures that make the chain final and its blocks authored.
func crypto() ([]row, error) {
	finality, err := justification()
	if err != nil {
		return nil, err
	}
	authorship, err := seal()
	if err != nil {
		return nil, err
	}
	return []row{finality, authorship}, nil
}

// sealed returns a header shaped as the chain's are: a slot, Frontier's post-log and a seal by one
// of the authorities returned with it.
func sealed() (*verify.Header, []aura.AuthorityID, error) {
	const slot = 180_000_007
	h := &verify.Header{
		ParentHash: verify.Blake2b256([]byte("parent")), Number: 9_000_000,
		StateRoot: verify.Blake2b256([]byte("state")), ExtrinsicsRoot: verify.Blake2b256([]byte("extrinsics")),
		Digest: []verify.DigestItem{
			{Type: verify.DigestPreRuntime, Engine: verify.EngineAura, Data: binary.LittleEndian.AppendUint64(nil, slot)},
			{Type: verify.DigestConsensus, Engine: verify.EngineFrontier, Data: make([]byte, 33)},
		},
	}
	ids := make([]aura.AuthorityID, authorities)
	for i := range ids {
		mini, err := schnorrkel.NewMiniSecretKeyFromRaw(verify.Blake2b256([]byte{'s', byte(i)}))
		if err != nil {
			return nil, nil, err
		}
		ids[i] = mini.Public().Encode()
		if i == slot%authorities {
			message := h.PreSealHash()
			sig, err := mini.ExpandEd25519().Sign(schnorrkel.NewSigningContext([]byte("substrate"), message[:]))
			if err != nil {
				return nil, nil, err
			}
			s := sig.Encode()
			h.Digest = append(h.Digest, verify.DigestItem{Type: verify.DigestSeal, Engine: verify.EngineAura, Data: s[:]})
		}
	}
	return h, ids, nil
}

// seal compares the check of a header's seal, the hashing of the header included, with the usual
// library's check of the same signature alone. Both have the author's key decompressed: one list of
// authorities seals thousands of headers.
func seal() (row, error) {
	h, ids, err := sealed()
	if err != nil {
		return row{}, err
	}
	author, err := aura.VerifySeal(h, ids)
	if err != nil {
		return row{}, err
	}
	message, key, sig := h.PreSealHash(), [32]byte(ids[author]), [64]byte(h.Seal().Data)
	keys := aura.NewKeys(ids)
	pub, err := schnorrkel.NewPublicKey(key)
	if err != nil {
		return row{}, err
	}
	t := race(
		func() { _, err := keys.VerifySeal(h); must(err) },
		func() {
			s := new(schnorrkel.Signature)
			must(s.Decode(sig))
			if ok, err := pub.Verify(s, schnorrkel.NewSigningContext([]byte("substrate"), message[:])); err != nil || !ok {
				must(fmt.Errorf("go-schnorrkel refuses the seal: %v", err))
			}
		})
	ratio := float64(t[0]) / float64(t[1])
	return row{
		figure: "seal of a header / go-schnorrkel", budget: "≤ 0.60",
		measured: fmt.Sprintf("%.2f  (%v, %v)", ratio, t[0], t[1]), ok: ratio <= 0.6,
	}, nil
}

// justification compares the check of one justification that every authority signed with as many
// single checks of the standard library.
func justification() (row, error) {
	const round, setID = 7, 6
	header, _, err := sealed()
	if err != nil {
		return row{}, err
	}
	target := header.Hash()
	payload := grandpa.PrecommitPayload(target, header.Number, round, setID)
	set := &grandpa.AuthoritySet{ID: setID}
	j := &grandpa.Justification{Round: round, Commit: grandpa.Commit{TargetHash: target, TargetNumber: header.Number}}
	for i := range authorities {
		seed := verify.Blake2b256([]byte{'g', byte(i)})
		key := ed25519.NewKeyFromSeed(seed[:])
		id := grandpa.AuthorityID(key.Public().(ed25519.PublicKey))
		set.Authorities = append(set.Authorities, grandpa.Authority{ID: id, Weight: 1})
		j.Commit.Precommits = append(j.Commit.Precommits, grandpa.Precommit{
			TargetHash: target, TargetNumber: header.Number, ID: id, Signature: [64]byte(ed25519.Sign(key, payload[:])),
		})
	}
	if err := j.Verify(set); err != nil {
		return row{}, err
	}
	one := j.Commit.Precommits[0]
	t := race(
		func() { must(j.Verify(set)) },
		func() {
			if !ed25519.Verify(one.ID[:], payload[:], one.Signature[:]) {
				must(fmt.Errorf("crypto/ed25519 refuses a precommit"))
			}
		})
	ratio := float64(t[0]) / float64(authorities*t[1])
	return row{
		figure: fmt.Sprintf("justification of %d / %d × one crypto/ed25519 check", authorities, authorities), budget: "≤ 0.60",
		measured: fmt.Sprintf("%.2f  (%v, %d × %v)", ratio, t[0], authorities, t[1]), ok: ratio <= 0.6,
	}, nil
}
