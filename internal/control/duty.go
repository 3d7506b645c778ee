package control

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/subtensor"
)

// What a neuron asks of its node and tells it, beside what others ask.

// A LoadQuestion asks for values of package subtensor's keys, read as the chain's own runtime lays them out.
type LoadQuestion struct {
	Keys []string `json:"keys"` // hex
}

// Loaded is values at a finalized block, proven. Null is what is proven to be absent.
type Loaded struct {
	Number uint32    `json:"number"`
	Hash   string    `json:"hash"`
	Values []*string `json:"values"`
}

// maxLoad bounds the keys of a LoadQuestion.
const maxLoad = 1024

// Load implements Answerer.
func (l *Local) Load(ctx context.Context, q LoadQuestion) (*Loaded, error) {
	if len(q.Keys) > maxLoad {
		return nil, Errorf(Usage, "%w: %d keys, at most %d", ErrParams, len(q.Keys), maxLoad)
	}
	keys := make([][]byte, len(q.Keys))
	for i, k := range q.Keys {
		var err error
		if keys[i], err = verify.ParseHex(k); err != nil {
			return nil, Errorf(Usage, "%w", err)
		}
	}
	var values [][]byte
	at, err := l.Node.WithHead(ctx, func(s subtensor.State) (err error) {
		values, err = s.Load(keys...)
		return err
	})
	if err != nil {
		return nil, l.whyNot(ctx, err)
	}
	out := &Loaded{Number: at.Header.Number, Hash: at.Hash.String(), Values: make([]*string, len(values))}
	for i, v := range values {
		if v != nil {
			text := "0x" + hex.EncodeToString(v)
			out.Values[i] = &text
		}
	}
	return out, nil
}

// A LoadState reads a state by questions to a node: all that was ever asked of it, at one finalized block.
type LoadState struct {
	known  map[string][]byte
	wanted []string
	read   map[string]bool
}

// Load implements subtensor.State.
func (s *LoadState) Load(keys ...[]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	missing := false
	for i, k := range keys {
		key := string(k)
		if !s.read[key] {
			missing = true
			if !slices.Contains(s.wanted, key) {
				s.wanted = append(s.wanted, key)
			}
			continue
		}
		values[i] = s.known[key]
	}
	if missing {
		return nil, subtensor.ErrUnproven
	}
	return values, nil
}

// maxLoads is how often a LoadState asks: what is read depends on what was read before.
const maxLoads = 8

// WithState runs f on the state after the finalized head of a node, and returns its number. It runs f again as long as
// that asks for more.
func WithState(ctx context.Context, who Answerer, f func(subtensor.State) error) (uint32, error) {
	s := &LoadState{}
	number := uint32(0)
	for range maxLoads {
		err := f(s)
		if !errors.Is(err, subtensor.ErrUnproven) {
			return number, err
		}
		q := LoadQuestion{}
		for _, k := range s.wanted {
			q.Keys = append(q.Keys, "0x"+hex.EncodeToString([]byte(k)))
		}
		got, err := who.Load(ctx, q)
		if err != nil {
			return 0, err
		}
		if len(got.Values) != len(q.Keys) {
			return 0, ErrProtocol
		}
		number, s.known, s.read = got.Number, map[string][]byte{}, map[string]bool{}
		for i, k := range s.wanted {
			s.read[k] = true
			if v := got.Values[i]; v != nil {
				if s.known[k], err = verify.ParseHex(*v); err != nil {
					return 0, err
				}
				if s.known[k] == nil {
					s.known[k] = []byte{}
				}
			}
		}
	}
	return 0, Errorf(Undecided, "%w", subtensor.ErrUnproven).WithHint(AskAgain)
}

// Duties are the deadlines of one neuron, in place of those that it told before.
type Duties struct {
	Neuron string           `json:"neuron"` // the folder of NeuronDir, without its path
	List   []power.Deadline `json:"deadlines"`
	Missed uint64           `json:"missed"` // ever
}

// maxDuties bounds the deadlines of one neuron.
const maxDuties = 32

// Told is an answer of no content.
type Told struct{}

// Duty implements Answerer.
func (l *Local) Duty(_ context.Context, d Duties) (*Told, error) {
	if l.Governor == nil {
		return nil, Errorf(Failure, "%w", errUngoverned)
	}
	if d.Neuron == "" || len(d.Neuron) > 80 || len(d.List) > maxDuties {
		return nil, Errorf(Usage, "%w: %d deadlines", ErrParams, len(d.List))
	}
	l.Governor.Duty(d)
	return &Told{}, nil
}

// Load asks the other process.
func (c *Client) Load(ctx context.Context, q LoadQuestion) (*Loaded, error) {
	return call[Loaded](ctx, c, methodLoad, q)
}

// Duty tells the other process.
func (c *Client) Duty(ctx context.Context, d Duties) (*Told, error) {
	return call[Told](ctx, c, methodDuty, d)
}
