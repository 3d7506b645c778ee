package validator

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// ErrScores: bytes are no kept moving averages.
var ErrScores = errors.New("not moving averages")

// Scores are the moving averages, by uid, of neurons that are known by their hotkeys.
type Scores struct {
	Rounds  uint64 // that were counted
	Hotkeys []verify.AccountID
	Values  []float64
}

// Fit makes room for the neurons that there are now. A uid that changed hands begins with nothing.
func (s *Scores) Fit(hotkeys []verify.AccountID) {
	values := make([]float64, len(hotkeys))
	for uid, hotkey := range hotkeys {
		if uid < len(s.Hotkeys) && s.Hotkeys[uid] == hotkey {
			values[uid] = s.Values[uid]
		}
	}
	s.Hotkeys, s.Values = slices.Clone(hotkeys), values
}

// A Reward is what a miner's answer is worth.
type Reward struct {
	UID   uint16
	Value float64
}

// Count counts a round: each average moves towards the reward by alpha, towards nothing for those that were not asked,
// as the subnet template does (template/base/validator.py, update_scores).
func (s *Scores) Count(rewards []Reward, alpha float64) {
	got := make([]float64, len(s.Values))
	for _, r := range rewards {
		if int(r.UID) < len(got) {
			got[r.UID] = r.Value
		}
	}
	for uid := range s.Values {
		s.Values[uid] = alpha*got[uid] + (1-alpha)*s.Values[uid]
	}
	s.Rounds++
}

// scoresVersion is what kept averages begin with.
const scoresVersion = 1

// Encode writes the averages down: 40 bytes a neuron.
func (s *Scores) Encode() []byte {
	b := scale.AppendU64([]byte{scoresVersion}, s.Rounds)
	b = scale.AppendCompact(b, uint64(len(s.Hotkeys)))
	for uid, hotkey := range s.Hotkeys {
		b = scale.AppendU64(append(b, hotkey[:]...), math.Float64bits(s.Values[uid]))
	}
	return b
}

// DecodeScores reads what Encode writes.
func DecodeScores(b []byte) (*Scores, error) {
	r := scale.NewReader(b)
	if v := r.Byte(); v != scoresVersion {
		return nil, fmt.Errorf("%w: version %d", ErrScores, v)
	}
	s := &Scores{Rounds: r.U64()}
	for range r.Count(40, math.MaxUint16) {
		var hotkey verify.AccountID
		r.Copy(hotkey[:])
		v := math.Float64frombits(r.U64())
		if math.IsNaN(v) || v < 0 || v > maxScore {
			return nil, fmt.Errorf("%w: %v", ErrScores, v)
		}
		s.Hotkeys, s.Values = append(s.Hotkeys, hotkey), append(s.Values, v)
	}
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScores, err)
	}
	return s, nil
}
