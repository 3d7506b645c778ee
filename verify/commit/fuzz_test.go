package commit

import (
	"slices"
	"testing"

	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
)

func FuzzJudge(f *testing.F) {
	f.Add(uint64(1000), uint16(7), uint8(1), uint16(8), uint16(3), uint8(0xff), uint64(5), []byte{0, 0, 2, 0, 7, 0}, []byte{10, 0, 0, 0, 20, 0})
	f.Add(uint64(0), uint16(0), uint8(0), uint16(0), uint16(0), uint8(0), uint64(0), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, block uint64, netuid uint16, mecid uint8, size, uid uint16, flags uint8, key uint64, a, b []byte) {
		list := func(p []byte) []uint16 {
			var out []uint16
			for ; len(p) > 1; p = p[2:] {
				out = append(out, uint16(p[0])|uint16(p[1])<<8)
			}
			return out
		}
		r, _ := rules.For(306 + uint32(key%120))
		facts := Facts{Rules: r, Netuid: netuid, Mecid: mecid, Exists: flags&1 != 0, Mechanisms: 2, Size: size, Registered: flags&2 != 0, UID: uid,
			Owner: flags&4 != 0, Permit: flags&8 != 0, CommitReveal: flags&16 != 0, RateLimit: uint64(flags), LastUpdate: key, VersionKey: key / 2,
			MinWeights: uint16(flags), MaxWeight: uint16(key)}
		if flags&32 != 0 {
			facts.StakeThreshold = key
		}
		uids, values := list(a), list(b)
		row, why := facts.Judge(block, uids, values, key)
		if (why == Stored) != (row != nil) || why == Unknown {
			t.Fatalf("%v, %v", row, why)
		}
		if why == Stored {
			var largest uint16
			for i, w := range row {
				if w.UID != uids[i] || w.Value < values[i] {
					t.Fatalf("%v of %v %v", row, uids, values)
				}
				largest = max(largest, w.Value)
			}
			if len(row) != len(uids) || len(values) != 0 && slices.Max(values) != 0 && largest != 65535 {
				t.Fatalf("%v of %v %v", row, uids, values)
			}
		}
		for _, why := range PreviewHash(&facts, subtensor.HashCommit{Epoch: key, Block: key}, Outlook{Block: block}) {
			if why <= Stored {
				t.Fatalf("%v is no reason", why)
			}
		}
	})
}

// Whatever stands in the state, there is an answer or an error.
func FuzzReadFate(f *testing.F) {
	w := newWorld()
	s, c := w.build(f)
	queue := s[string(subtensor.KeyTimelockedWeightCommits(4103, 41))]
	f.Add(queue, s[string(subtensor.KeyPulse(1000))], s[string(subtensor.KeyUids(7, alice))], s[string(subtensor.KeySubnet("ValidatorPermit", 7))], uint64(1000))
	f.Add(scale.AppendBlob(nil, nil), []byte{}, []byte{1}, []byte{4, 2}, uint64(0))
	f.Fuzz(func(t *testing.T, queue, pulse, uid, permits []byte, block uint64) {
		s, _ := w.build(t)
		s[string(subtensor.KeyTimelockedWeightCommits(4103, 41))] = queue
		s[string(subtensor.KeyPulse(1000))] = pulse
		s[string(subtensor.KeyUids(7, alice))] = uid
		s[string(subtensor.KeySubnet("ValidatorPermit", 7))] = permits
		hash := c.Hash()
		if list, err := subtensor.DecodeTimelockedCommits(queue); err == nil && len(list) > 0 {
			hash = list[0].Hash()
			if len(list) > 2 {
				return // each is a pairing
			}
		}
		fate, err := ReadFate(s, 7, 1, 41, hash, alice, block, nil, w.rules(t))
		if (fate == nil) == (err == nil) {
			t.Fatalf("%+v, %v", fate, err)
		}
		if fate != nil && (fate.Why == Unknown || (fate.Why == Stored) != (fate.Row != nil)) {
			t.Fatalf("%+v", fate)
		}
	})
}
