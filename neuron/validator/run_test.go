package validator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taolight/taolight/neuron/dendrite"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/verify"
)

// A lived world is one that a whole Validator lives in: a block each 12 s.
type lived struct {
	mu     sync.Mutex
	w      *world
	closed error // the gate
	called []string
	kept   []uint32
	notes  []string
	duties []Deadline
	late   bool // nobody answers
}

func (l *lived) Head(ctx context.Context, above uint32) (Head, error) {
	if above != 0 {
		select {
		case <-time.After(12 * time.Second):
		case <-ctx.Done():
			return Head{}, ctx.Err()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if above != 0 {
		l.w.block()
	}
	return Head{Number: l.w.head}, nil
}

func (l *lived) View(context.Context) (*View, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.w.view()
	v.Beacon, _ = aBeacon()
	return v, nil
}

func (l *lived) Neurons(context.Context) ([]Neuron, error) { return l.w.neurons(), nil }

func (l *lived) Commitments(context.Context, int) ([]Commitment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.w.queue), nil
}

func (l *lived) Prove(_ context.Context, c Commitment) ([]byte, error) {
	return []byte(fmt.Sprint("proof of ", c.Made)), nil
}

func (l *lived) MaySign() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

func (l *lived) Build(_ context.Context, c *Call) (*Payload, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.w.drafts++
	x := sent{Draft: l.w.drafts, Nonce: l.w.nextNonce(), Last: l.w.head + 20, Call: *c}
	raw, err := json.Marshal(x)
	return &Payload{raw, x.Nonce, x.Last}, err
}

func (l *lived) Sign(_ context.Context, raw []byte) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.do(wantSign{raw}).(signedEvent).extrinsic, l.closed
}

func (l *lived) Submit(_ context.Context, extrinsic []byte) (Tracked, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range uint64(1000) { // the world wants to know whose it is
		i, err := DecodeIntent(l.w.store.durable[kindIntent+"/"+intentKey(id)])
		if err == nil && string(i.Extrinsic) == string(extrinsic) {
			e := l.w.submit(id, extrinsic).(trackedEvent)
			return e.t, e.err
		}
	}
	l.w.t.Error("a transaction is sent that is not written down")
	return Tracked{}, errors.New("not written down")
}

func (l *lived) Track(_ context.Context, extrinsic []byte) (Tracked, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.w.do(wantTrack{0, extrinsic}).(trackedEvent)
	return e.t, e.err
}

func (l *lived) Put(kind, key string, b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.store.Put(kind, key, b)
}
func (l *lived) Delete(kind, key string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.store.Delete(kind, key)
}
func (l *lived) All(kind string) map[string][]byte { return l.w.store.All(kind) }
func (l *lived) Commit() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.store.Commit()
}

func (l *lived) Call(_ context.Context, t dendrite.Target, in *synapse.Values, timeout time.Duration) (*dendrite.Reply, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.called = append(l.called, t.URL)
	if l.late || strings.Contains(t.URL, "127.0.0.3") {
		return nil, &dendrite.Error{Status: 408, Message: "late"}
	}
	var q struct {
		Input int `json:"dummy_input"`
	}
	if err := json.Unmarshal(in.Object(), &q); err != nil {
		return nil, err
	}
	v, err := synapse.Dummy().Read(fmt.Appendf(nil, `{"dummy_input": %d, "dummy_output": %d}`, q.Input, 2*q.Input))
	return &dendrite.Reply{Values: v}, err
}

func live(t *testing.T, l *lived, set func(o *Options)) (*Validator, func() error) {
	t.Helper()
	o := Options{Config: l.w.cfg, Chain: l, Sender: l, Store: l, Dendrite: l, Scorer: Dummy{},
		Keep: func(block uint32, b []byte) (string, error) {
			l.kept = append(l.kept, block)
			return fmt.Sprint("proof-", block), nil
		},
		Notes:   func(n Note) { l.notes = append(l.notes, n.Topic+" "+n.Text) },
		Changed: func(d []Deadline, _ uint64) { l.duties = d },
	}
	if set != nil {
		set(&o)
	}
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- v.Run(ctx) }()
	return v, func() error {
		select {
		case err := <-over:
			cancel()
			return err
		default:
		}
		cancel()
		return <-over
	}
}

// TestRun: the whole loop, with real timelocks, in virtual time.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lived{w: newWorld(t, 11, true)}
		v, stop := live(t, l, nil)
		time.Sleep(40 * time.Minute) // 200 blocks, 5 epochs
		s := v.Status()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if s.State != "running" || s.Subnet != "commit timelocked" || s.Asked != 5 || s.Answered != 4 || s.Scored != 4 || len(s.Deadlines) != 1 {
			t.Errorf("%+v", s)
		}
		if len(l.w.revealed) < 3 || len(l.kept) < 3 {
			t.Errorf("%d revealed, %d proofs: %v", len(l.w.revealed), len(l.kept), l.notes)
		}
		for hash := range l.w.revealed {
			if hash == (verify.Hash{}) {
				t.Error("a commitment of nothing")
			}
		}
		if len(l.duties) != 1 || l.duties[0].Name != "weights on subnet 7" {
			t.Errorf("%+v", l.duties)
		}
		// The averages are kept, and the one that never answers has none.
		k := Load(l.w.store)
		if k.Scores == nil || k.Scores.Rounds < 30 || k.Scores.Values[1] != 0 || k.Scores.Values[0] < 0.9 {
			t.Errorf("%+v", k.Scores)
		}
	})
}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lived{w: newWorld(t, 12, false), closed: errors.New("clock: trust floor: nobody has witnessed it")}
		_, stop := live(t, l, nil)
		time.Sleep(20 * time.Minute)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if l.w.signs != 0 || !slices.ContainsFunc(l.notes, func(s string) bool { return strings.Contains(s, "nothing is signed: clock: trust floor") }) {
			t.Errorf("%d signatures: %v", l.w.signs, l.notes)
		}
	})
}

func TestDryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lived{w: newWorld(t, 13, true)}
		_, stop := live(t, l, func(o *Options) { o.DryRun = true })
		time.Sleep(20 * time.Minute)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if l.w.signs != 0 || len(l.w.submitted) != 0 || !slices.ContainsFunc(l.notes, func(s string) bool { return strings.Contains(s, "this is a dry run: commit timelocked, 4 uids 0=") }) {
			t.Errorf("%d signatures: %v", l.w.signs, l.notes)
		}
	})
}

// TestSilence: a round that nobody answers costs no miner anything, for it may be our own link that is down.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lived{w: newWorld(t, 14, false)}
		v, stop := live(t, l, nil)
		time.Sleep(10 * time.Minute)
		rounds := v.Status().Rounds
		l.mu.Lock()
		l.late = true
		l.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if got := v.Status(); got.Rounds != rounds || got.Scored != 4 || got.Answered != 0 {
			t.Errorf("%+v after %d rounds", got, rounds)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRunStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lived{w: newWorld(t, 15, false)}
		v, stop := live(t, l, nil)
		time.Sleep(10 * time.Minute)
		l.mu.Lock()
		l.w.nonce++
		l.w.updated = uint64(l.w.head) // somebody else's weights
		l.mu.Unlock()
		time.Sleep(20 * time.Minute)
		if err := stop(); !errors.Is(err, ErrElsewhere) || v.Status().State != "stopped" {
			t.Errorf("%v, %+v", err, v.Status())
		}
	})
}
