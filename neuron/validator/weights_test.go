package validator

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify"
)

// The expected values are of a second rendering of the SDK's functions (bittensor/utils/weight_utils.py), in Python and in
// double precision, which may round the last place otherwise.
func TestNormalize(t *testing.T) {
	for _, x := range []struct {
		scores       []float64
		least        int
		limit        float64
		uids, values []uint16
	}{
		{[]float64{0, 0, 0}, 1, 1, []uint16{0, 1, 2}, []uint16{65535, 65535, 65535}},
		{[]float64{1, 0, 0, 3}, 1, 1, []uint16{0, 3}, []uint16{21845, 65535}},
		{[]float64{1, 0, 0, 3}, 4, 1, []uint16{0, 1, 2, 3}, []uint16{21846, 1, 1, 65535}},
		{[]float64{0.5}, 1, 1, []uint16{0}, []uint16{65535}},
		{[]float64{0.25, 0.5}, 8, 1, []uint16{0, 1}, []uint16{65535, 65535}},
		{[]float64{1, 2, 3, 4}, 1, 0.3, []uint16{0, 1, 2, 3}, []uint16{29127, 58253, 65535, 65535}},
		{[]float64{0.001, 0.9, 0.05, 0.03, 0.02}, 1, 0.3, []uint16{0, 1, 2, 3, 4}, []uint16{1713, 65535, 65535, 51400, 34267}},
		{[]float64{1, 1, 1}, 1, 0.2, []uint16{0, 1, 2}, []uint16{65535, 65535, 65535}},
		{[]float64{0, 0, 7, 0}, 3, 0.5, []uint16{0, 1, 2, 3}, []uint16{21992, 21992, 65535, 21992}},
		{[]float64{0.852, 0.062, 0.0, 0.554, 0.001, 0.198, 0.753, 0.01, 0.001}, 4, 1, []uint16{0, 1, 3, 4, 5, 6, 7, 8}, []uint16{65535, 4769, 42613, 77, 15230, 57920, 769, 77}},
		{[]float64{0.001, 0.077, 0.565, 0.002, 0.011, 0.247, 0.851}, 4, 1, []uint16{0, 1, 2, 3, 4, 5, 6}, []uint16{77, 5930, 43510, 154, 847, 19021, 65535}},
		{[]float64{0.0, 0.633, 0.024, 0.003, 0.002, 0.029, 0.544}, 1, 1, []uint16{1, 2, 3, 4, 5, 6}, []uint16{65535, 2485, 311, 207, 3002, 56321}},
		{[]float64{0.052, 0.164, 0.0, 0.0, 0.009, 0.315, 0.078}, 4, 0.5, []uint16{0, 1, 4, 5, 6}, []uint16{11247, 35471, 1947, 65535, 16870}},
		{[]float64{0.047, 0.015, 0.006, 0.474, 0.001, 0.027, 0.121, 0.041, 0.09, 0.226, 0.0}, 4, 1, []uint16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, []uint16{6498, 2074, 830, 65535, 138, 3733, 16729, 5669, 12443, 31247}},
		{[]float64{0.004, 0.117, 0.0, 0.298, 0.447, 0.188, 0.671, 0.031, 0.336}, 4, 0.25, []uint16{0, 1, 3, 4, 5, 6, 7, 8}, []uint16{553, 16188, 41230, 61846, 26011, 65535, 4289, 46488}},
	} {
		uids, values, err := Normalize(x.scores, x.least, x.limit)
		if err != nil || !slices.Equal(uids, x.uids) {
			t.Fatalf("%v: uids %v, %v", x.scores, uids, err)
		}
		for i, v := range values {
			if d := int(v) - int(x.values[i]); d < -1 || d > 1 {
				t.Errorf("%v, least %d, limit %v: %v, want %v", x.scores, x.least, x.limit, values, x.values)
				break
			}
		}
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), -1, 1e300} {
		if _, _, err := Normalize([]float64{1, bad}, 1, 1); !errors.Is(err, ErrScore) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if uids, _, err := Normalize(nil, 1, 1); uids != nil || err != nil {
		t.Errorf("nobody: %v, %v", uids, err)
	}
}

// FuzzNormalize holds what the chain asks of weights: ascending uids, the largest 65535, enough of them, none above the limit
// by more than the rounding.
func FuzzNormalize(f *testing.F) {
	f.Add([]byte{0, 0, 255, 3}, uint16(2), uint16(65535))
	f.Add([]byte{9, 1, 1, 1, 1, 1}, uint16(6), uint16(20000))
	f.Fuzz(func(t *testing.T, b []byte, least, limit uint16) {
		if len(b) == 0 || len(b) > 300 || limit == 0 {
			return
		}
		scores := make([]float64, len(b))
		for i, v := range b {
			scores[i] = float64(v) / 255 * math.Pow(2, -float64(i%7))
		}
		share := float64(limit) / 65535
		uids, values, err := Normalize(scores, int(least)%(len(b)+1), share)
		if err != nil || len(uids) != len(values) || !slices.IsSorted(uids) || slices.Max(values) != 65535 || slices.Contains(values, 0) {
			t.Fatalf("%v %v %v", uids, values, err)
		}
		if len(uids) < int(least)%(len(b)+1) {
			t.Fatalf("%d uids, want %d", len(uids), int(least)%(len(b)+1))
		}
		sum := 0.
		for _, v := range values {
			sum += float64(v)
		}
		if got := 65535 / sum; got > share+0.001 && got > 1/float64(len(uids))+0.001 && float64(len(b))*share > 1 {
			positive := 0
			for _, s := range scores {
				if s > 0 {
					positive++
				}
			}
			if positive > 0 && float64(positive)*share > 1 {
				t.Fatalf("a share of %v, at most %v: %v", got, share, values)
			}
		}
	})
}

func TestScores(t *testing.T) {
	a, b, c := verify.AccountID{1}, verify.AccountID{2}, verify.AccountID{3}
	s := new(Scores)
	s.Fit([]verify.AccountID{a, b})
	s.Count([]Reward{{0, 1}, {1, 0.5}, {9, 1}}, 0.1)
	s.Count([]Reward{{0, 1}}, 0.1) // who is not asked pays for it, as in the template
	if s.Rounds != 2 || math.Abs(s.Values[0]-0.19) > 1e-12 || math.Abs(s.Values[1]-0.045) > 1e-12 {
		t.Errorf("%+v", s)
	}
	got, err := DecodeScores(s.Encode())
	if err != nil || got.Rounds != 2 || !slices.Equal(got.Values, s.Values) || !slices.Equal(got.Hotkeys, s.Hotkeys) {
		t.Errorf("%+v, %v", got, err)
	}
	s.Fit([]verify.AccountID{a, c, b}) // uid 1 changed hands
	if !slices.Equal(s.Values, []float64{got.Values[0], 0, 0}) {
		t.Errorf("%v", s.Values)
	}
}

func FuzzDecodeScores(f *testing.F) {
	s := Scores{3, []verify.AccountID{{1}, {2}}, []float64{0.5, 0}}
	f.Add(s.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := DecodeScores(b); err == nil && string(s.Encode()) != string(b) {
			t.Fatalf("%x encodes to %x", b, s.Encode())
		}
	})
}

func TestSample(t *testing.T) {
	self := verify.AccountID{9}
	list := []Neuron{
		{UID: 0, Axon: "a:1"}, {UID: 1}, {UID: 2, Axon: "b:1", Permit: true, Stake: 10}, {UID: 3, Axon: "c:1", Permit: true, Stake: 11},
		{UID: 4, Axon: "d:1", Stake: 99}, {UID: 5, Axon: "e:1", Hotkey: self},
	}
	seen := map[uint16]bool{}
	for seed := range uint64(50) {
		got := Sample(list, self, 2, 10, rand.New(rand.NewPCG(seed, 0)))
		if len(got) != 2 || got[0].UID >= got[1].UID {
			t.Fatalf("%v", got)
		}
		seen[got[0].UID], seen[got[1].UID] = true, true
	}
	if len(seen) != 3 || !seen[0] || !seen[2] || !seen[4] {
		t.Errorf("sampled %v", seen)
	}
}
