package validator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/taolight/taolight/neuron/dendrite"
	"github.com/taolight/taolight/neuron/synapse"
)

// A Dendrite calls axons; *dendrite.Dendrite is one.
type Dendrite interface {
	Call(ctx context.Context, t dendrite.Target, in *synapse.Values, timeout time.Duration) (*dendrite.Reply, error)
}

// Options are what a Validator is made of, besides what its machine goes by. All but Timeout, Keep, Notes, Random and Moved are
// required.
type Options struct {
	Config
	Chain    Chain
	Sender   Sender
	Store    Store
	Dendrite Dendrite
	Scorer   Scorer
	Timeout  time.Duration // of a miner; 12 s
	DryRun   bool          // say what would be sent, and sign and send nothing
	// Keep keeps a bundle and returns what it is called; nil: none is kept.
	Keep   func(block uint32, b []byte) (name string, err error)
	Notes  func(Note) // nil: nobody is told
	Random io.Reader  // of secrets; nil: crypto/rand
	// Changed is told of the deadlines whenever they may have changed; nil: nobody.
	Changed func(deadlines []Deadline, missed uint64)
}

// A Validator runs the loop. Status may be asked by anybody at any time.
type Validator struct {
	o      Options
	events chan any

	mu sync.Mutex
	m  *Machine
}

// New returns a validator that goes on from what its store has. It starts nothing.
func New(o Options) (*Validator, error) {
	switch {
	case o.Chain == nil, o.Sender == nil, o.Store == nil, o.Dendrite == nil, o.Scorer == nil:
		return nil, errors.New("validator: a chain, a sender, a store, a dendrite and a scorer are needed")
	case o.Netuid == 0:
		return nil, errors.New("validator: no subnet; the root takes no weights")
	}
	if o.Timeout == 0 {
		o.Timeout = synapse.DefaultTimeout
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Rand == nil {
		var seed [32]byte
		if _, err := io.ReadFull(o.Random, seed[:]); err != nil {
			return nil, err
		}
		o.Rand = mathrand.New(mathrand.NewChaCha8(seed))
	}
	return &Validator{o: o, events: make(chan any, 16), m: NewMachine(o.Config, Load(o.Store))}, nil
}

// Run runs the loop until ctx ends, which is no error, or until the hotkey is seen to act elsewhere: ErrElsewhere.
func (v *Validator) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer func() {
		cancel()
		work.Wait()
		v.last()
	}()
	work.Go(func() { v.heads(ctx) })
	newest := make(chan duties, 1)
	work.Go(func() { v.duties(ctx, newest) })
	for {
		var e any
		select {
		case <-ctx.Done():
			return nil
		case e = <-v.events:
		}
		v.mu.Lock()
		actions := v.m.Process(e)
		notes, stopped := v.m.Notes(), v.m.Stopped()
		deadlines, missed := v.m.Deadlines(), v.m.journal.Missed
		idle := v.m.openIntent() == nil
		v.mu.Unlock()
		if v.o.Notes != nil {
			for _, n := range notes {
				v.o.Notes(n)
			}
		}
		select { // who is told of deadlines may be slow, and needs the newest alone
		case <-newest:
		default:
		}
		newest <- duties{deadlines, missed}
		if stopped != nil && idle {
			return stopped
		}
		for _, a := range actions {
			work.Go(func() {
				if e := v.do(ctx, a); e != nil {
					v.tell(ctx, e)
				}
			})
		}
	}
}

// duties are what is due, and how much was missed.
type duties struct {
	list   []Deadline
	missed uint64
}

// duties tells whoever wants to know of deadlines.
func (v *Validator) duties(ctx context.Context, newest <-chan duties) {
	for {
		select {
		case d := <-newest:
			if v.o.Changed != nil {
				v.o.Changed(d.list, d.missed)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (v *Validator) tell(ctx context.Context, e any) {
	select {
	case v.events <- e:
	case <-ctx.Done():
	}
}

// heads tells of each finalized head.
func (v *Validator) heads(ctx context.Context) {
	above, said := uint32(0), ""
	for ctx.Err() == nil {
		h, err := v.o.Chain.Head(ctx, above)
		if err != nil {
			if ctx.Err() == nil && v.o.Notes != nil && err.Error() != said {
				said = err.Error()
				v.o.Notes(Note{"chain", said, true})
			}
			select {
			case <-time.After(headRetry):
			case <-ctx.Done():
			}
			continue
		}
		if said != "" {
			said = ""
			v.o.Notes(Note{"chain", fmt.Sprintf("the node answers again, at #%d", h.Number), false})
		}
		above = h.Number
		v.tell(ctx, headEvent(h))
	}
}

// headRetry is how long the next question waits after the node did not tell its head.
const headRetry = 5 * time.Second

// last writes down what is worth keeping.
func (v *Validator) last() {
	v.mu.Lock()
	puts := v.m.Last()
	v.mu.Unlock()
	if err := v.write(wantSave{what: saveRest, puts: puts}); err != nil && v.o.Notes != nil {
		v.o.Notes(Note{"store", fmt.Sprintf("what there is to keep is not written: %v", err), true})
	}
}

// do does what the machine wants, and returns the event that says how it went.
func (v *Validator) do(ctx context.Context, a any) any {
	switch a := a.(type) {
	case wantView:
		view, err := v.o.Chain.View(ctx)
		return viewEvent{view, err}
	case wantNeurons:
		list, err := v.o.Chain.Neurons(ctx)
		return neuronsEvent{list, err}
	case wantRound:
		return v.round(ctx, a.miners)
	case wantDraft:
		return v.draft(ctx, a.d)
	case wantSave:
		return savedEvent{a.what, v.write(a)}
	case wantSign:
		b, err := v.o.Sender.Sign(ctx, a.raw)
		return signedEvent{b, err}
	case wantSubmit:
		t, err := v.o.Sender.Submit(ctx, a.extrinsic)
		return trackedEvent{a.id, t, err}
	case wantTrack:
		t, err := v.o.Sender.Track(ctx, a.extrinsic)
		return trackedEvent{a.id, t, err}
	case wantQueue:
		list, err := v.o.Chain.Commitments(ctx, a.epochs)
		return queueEvent{list, err}
	case wantProof:
		if v.o.Keep == nil {
			return provedEvent{a.id, "-", nil}
		}
		b, err := v.o.Chain.Prove(ctx, a.c)
		name := ""
		if err == nil {
			name, err = v.o.Keep(a.c.Made, b)
		}
		return provedEvent{a.id, name, err}
	}
	panic(fmt.Sprintf("validator: nobody does %T", a))
}

// write writes records down and syncs them. An intent that could not be is taken back, so that it does not get there later.
func (v *Validator) write(w wantSave) error {
	var errs []error
	put := func(key string, value []byte) {
		kind, key, _ := strings.Cut(key, "/")
		errs = append(errs, v.o.Store.Put(kind, key, value))
	}
	for key, value := range w.puts {
		put(key, value)
	}
	for _, key := range w.drops {
		errs = append(errs, v.o.Store.Delete(kindIntent, key))
	}
	errs = append(errs, v.o.Store.Commit())
	err := errors.Join(errs...)
	if err != nil && w.what == saveIntent {
		for key := range w.puts {
			if kind, key, _ := strings.Cut(key, "/"); kind == kindIntent {
				v.o.Store.Delete(kind, key)
			}
		}
	}
	return err
}

// errDry says in the place of a signature what would have been signed.
type errDry struct{ call Call }

func (e *errDry) Error() string {
	c := &e.call
	what := fmt.Sprintf("%s, %d uids", c.Kind, len(c.UIDs))
	for i := range min(len(c.UIDs), 8) {
		what += fmt.Sprintf(" %d=%d", c.UIDs[i], c.Values[i])
	}
	if len(c.UIDs) > 8 {
		what += " …"
	}
	if c.Kind == CommitTimelock {
		what += fmt.Sprintf(", sealed for round %d in %d bytes", c.Round, len(c.Ciphertext))
	}
	return "this is a dry run: " + what
}

// draft makes a call ready to be signed.
func (v *Validator) draft(ctx context.Context, d draft) any {
	if err := v.o.Sender.MaySign(); err != nil {
		return draftEvent{err: err}
	}
	if d.call.Kind == CommitHash || d.call.Kind == CommitTimelock {
		if err := conceal(&d.call, v.o.Netuid, v.o.Mecid, v.o.Hotkey, d.beacon, v.o.Random); err != nil {
			return draftEvent{err: err}
		}
	}
	p, err := v.o.Sender.Build(ctx, &d.call)
	if err != nil {
		return draftEvent{err: err}
	}
	if v.o.DryRun {
		return draftEvent{err: &errDry{d.call}}
	}
	d.payload = *p
	return draftEvent{draft: &d}
}

// round asks miners and has their answers scored.
func (v *Validator) round(ctx context.Context, miners []Neuron) any {
	v.mu.Lock()
	round := v.m.scores.Rounds
	v.mu.Unlock()
	question, err := v.o.Scorer.Question(ctx, round)
	if err != nil {
		return roundEvent{err: fmt.Errorf("scorer: %w", err)}
	}
	answers := make([]Answer, len(miners))
	var calls sync.WaitGroup
	for i, miner := range miners {
		calls.Go(func() { answers[i] = v.call(ctx, miner, question) })
	}
	calls.Wait()
	if ctx.Err() != nil {
		return nil
	}
	scores, err := v.o.Scorer.Score(ctx, round, question, answers)
	if err == nil && len(scores) != len(answers) {
		err = fmt.Errorf("%w: %d scores for %d answers", ErrScore, len(scores), len(answers))
	}
	if err == nil {
		err = checkScores(scores)
	}
	if err != nil {
		return roundEvent{err: fmt.Errorf("scorer: %w", err)}
	}
	e := roundEvent{}
	for i, s := range scores {
		e.rewards = append(e.rewards, Reward{miners[i].UID, s})
		if answers[i].OK {
			e.answered++
		}
	}
	return e
}

func (v *Validator) call(ctx context.Context, miner Neuron, question *synapse.Values) Answer {
	a := Answer{UID: miner.UID, Hotkey: miner.Hotkey.String()}
	begin := time.Now()
	r, err := v.o.Dendrite.Call(ctx, dendrite.Target{Hotkey: miner.Hotkey, URL: "http://" + miner.Axon}, question, v.o.Timeout)
	a.Seconds = time.Since(begin).Seconds()
	if err != nil {
		a.Error = err.Error()
		var e *dendrite.Error
		if errors.As(err, &e) {
			a.Status = e.Status
		}
		return a
	}
	a.OK, a.Status, a.Output = true, 200, r.Values.Object()
	return a
}
