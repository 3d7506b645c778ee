package commit

import (
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// A Payload is what a timelocked commitment holds (pallets/subtensor/src/coinbase/reveal_commits.rs,
// WeightsTlockPayload and LegacyWeightsTlockPayload).
type Payload struct {
	Hotkey       verify.AccountID // whom it was made for; zero in a legacy payload, which does not say
	UIDs, Values []uint16         // as many as each says: the chain compares their lengths later
	VersionKey   uint64
	Legacy       bool
	Trailing     int // bytes after the payload, which the chain ignores
}

// DecodePayload reads an opened plaintext as the chain does: as the layout with a hotkey, or, if that
// does not decode or its hotkey is of fewer than 32 bytes, as the legacy one on the same bytes. A
// hotkey of more than 32 bytes counts by its first 32. Bytes after the payload are ignored.
//
// The reason is Stored if the payload is one that committer may reveal, else PayloadBad (and the
// payload nil) or WrongHotkey (the payload is returned to be shown).
func DecodePayload(plain []byte, committer verify.AccountID) (*Payload, Reason) {
	r := scale.NewReader(plain)
	hotkey := r.Blob(-1)
	p := readPayload(r)
	if p == nil || len(hotkey) < len(p.Hotkey) {
		if p = readPayload(scale.NewReader(plain)); p == nil {
			return nil, PayloadBad
		}
		p.Legacy = true
		return p, Stored
	}
	p.Hotkey = verify.AccountID(hotkey[:len(p.Hotkey)])
	if p.Hotkey != committer {
		return p, WrongHotkey
	}
	return p, Stored
}

// readPayload reads what both layouts end with, or nil.
func readPayload(r *scale.Reader) *Payload {
	p := &Payload{UIDs: readU16s(r), Values: readU16s(r), VersionKey: r.U64()}
	if r.Err() != nil {
		return nil
	}
	p.Trailing = r.Len()
	return p
}

func readU16s(r *scale.Reader) []uint16 {
	out := make([]uint16, r.Count(2, -1))
	for i := range out {
		out[i] = r.U16()
	}
	return out
}

// Append appends the payload in its layout, without what trailed it.
func (p *Payload) Append(b []byte) []byte {
	if !p.Legacy {
		b = scale.AppendBlob(b, p.Hotkey[:])
	}
	b = appendU16s(b, p.UIDs)
	b = appendU16s(b, p.Values)
	return scale.AppendU64(b, p.VersionKey)
}

func appendU16s(b []byte, list []uint16) []byte {
	b = scale.AppendCompact(b, uint64(len(list)))
	for _, v := range list {
		b = scale.AppendU16(b, v)
	}
	return b
}

// Preimage returns the bytes whose hash a hash commit is (pallets/subtensor/src/subnets/weights.rs,
// get_commit_hash). index is the storage index of subnet and mechanism; values are those that will be
// revealed, before they are scaled.
func Preimage(who verify.AccountID, index uint16, uids, values, salt []uint16, versionKey uint64) []byte {
	b := make([]byte, 0, len(who)+2+3*5+2*(len(uids)+len(values)+len(salt))+8)
	b = append(b, who[:]...)
	b = scale.AppendU16(b, index)
	b = appendU16s(b, uids)
	b = appendU16s(b, values)
	b = appendU16s(b, salt)
	return scale.AppendU64(b, versionKey)
}

// HashOf returns the Blake2b-256 hash of the preimage: what is committed.
func HashOf(who verify.AccountID, index uint16, uids, values, salt []uint16, versionKey uint64) verify.Hash {
	return verify.Blake2b256(Preimage(who, index, uids, values, salt, versionKey))
}
