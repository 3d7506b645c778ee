package lightclient

import (
	"slices"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/scale"
)

func list16(b []byte, v []uint16) []byte {
	b = scale.AppendCompact(b, uint64(len(v)))
	for _, x := range v {
		b = scale.AppendU16(b, x)
	}
	return b
}

// call encodes a reveal, of a mechanism or not.
func (r reveal) call(netuid uint16, mecid int) []byte {
	b := []byte{palletSubtensor, callReveal}
	if mecid >= 0 {
		b[1] = callRevealOfMechanism
	}
	b = scale.AppendU16(b, netuid)
	if mecid >= 0 {
		b = append(b, byte(mecid))
	}
	b = list16(list16(list16(b, r.uids), r.values), r.salt)
	return scale.AppendU64(b, r.version)
}

func batchCall(netuid uint16, list ...reveal) []byte {
	b := scale.AppendU16([]byte{palletSubtensor, callBatchReveal}, netuid)
	for _, part := range []func(reveal) []uint16{func(r reveal) []uint16 { return r.uids }, func(r reveal) []uint16 { return r.values }, func(r reveal) []uint16 { return r.salt }} {
		b = scale.AppendCompact(b, uint64(len(list)))
		for _, r := range list {
			b = list16(b, part(r))
		}
	}
	b = scale.AppendCompact(b, uint64(len(list)))
	for _, r := range list {
		b = scale.AppendU64(b, r.version)
	}
	return b
}

var (
	reveal1 = reveal{uids: []uint16{0, 1, 2, 7}, values: []uint16{10, 20, 30, 65535}, salt: []uint16{1, 2, 3, 4, 5, 6, 7, 8}, version: 841}
	reveal2 = reveal{uids: []uint16{3}, values: []uint16{1}, version: 7}
	whoever = verify.AccountID{1, 2, 3}
)

// TestFindReveals: a reveal is found as the call of an extrinsic, and within others.
func TestFindReveals(t *testing.T) {
	for name, c := range map[string]struct {
		extrinsic []byte
		index     uint16
		want      []reveal
	}{
		"plain":              {reveal1.call(7, -1), 7, []reveal{reveal1}},
		"mechanism":          {reveal1.call(7, 1), 4103, []reveal{reveal1}},
		"mechanism0":         {reveal1.call(7, 0), 7, []reveal{reveal1}},
		"batch":              {batchCall(7, reveal1, reveal2), 7, []reveal{reveal1, reveal2}},
		"two":                {append(reveal2.call(7, 0), reveal1.call(7, -1)...), 7, []reveal{reveal1, reveal2}},
		"other":              {reveal1.call(8, -1), 7, nil},
		"cut":                {reveal1.call(7, -1)[:40], 7, nil},
		"mechanism too high": {reveal1.call(7, 16), 7, nil},
	} {
		x := append([]byte{0x84, 7, 97, 7, 7}, c.extrinsic...)
		calls := findReveals([][]byte{nil, {7}, {7, 97}, append(x, 7, 116)})
		for _, r := range []reveal{reveal1, reveal2} {
			hash := commit.HashOf(whoever, c.index, r.uids, r.values, r.salt, r.version)
			got := matching(calls, whoever, c.index, hash)
			want := slices.ContainsFunc(c.want, func(o reveal) bool { return o.version == r.version })
			if (got != nil) != want {
				t.Errorf("%s: found %v, want %v", name, got, want)
			} else if got != nil && (!slices.Equal(got.uids, r.uids) || !slices.Equal(got.values, r.values) || !slices.Equal(got.salt, r.salt) || got.version != r.version) {
				t.Errorf("%s: found %+v", name, got)
			}
			if matching(calls, verify.AccountID{9}, c.index, hash) != nil {
				t.Errorf("%s: found for another hotkey", name)
			}
		}
	}
	// An extrinsic made of what looks like a call at every second byte costs no more than others.
	evil := make([]byte, 1<<20)
	for i := range evil {
		evil[i] = []byte{7, 97}[i%2]
	}
	if calls := findReveals([][]byte{evil}); len(calls) > maxReveals {
		t.Errorf("%d calls", len(calls))
	}
}

func FuzzFindReveals(f *testing.F) {
	f.Add(reveal1.call(7, -1))
	f.Add(reveal1.call(7, 1))
	f.Add(batchCall(7, reveal1, reveal2))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, r := range findReveals([][]byte{b}) {
			if len(r.uids)+len(r.values)+len(r.salt) > len(b) {
				t.Fatalf("%d numbers from %d bytes", len(r.uids)+len(r.values)+len(r.salt), len(b))
			}
		}
	})
}

func TestArchiveNames(t *testing.T) {
	name := archiveName(18, 3, 25000, 2)
	if e, p, ok := archiveEpoch(name); !ok || e != 25000 || p != 2 {
		t.Errorf("%q: %d %d %v", name, e, p, ok)
	}
	if name <= archiveName(18, 3, 24999, 10) || name >= archiveName(18, 3, 100000, 0) {
		t.Errorf("%q is out of order", name)
	}
	for _, bad := range []string{"", "commits/1/2/3", "commits/1/2/x/0", "commits/1/2/3/-1", "commits/1/2/3/4/5"} {
		if _, _, ok := archiveEpoch(bad); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}
