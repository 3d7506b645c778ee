package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/neuron/wallet"
	"github.com/taolight/taolight/storage"
	"github.com/taolight/taolight/verify"
)

// The roles of a neuron.
const (
	roleMiner     = "miner"
	roleValidator = "validator"
)

// A seat is where a neuron sits: its node, which runs beside it or inside it, its hotkey and the gate before
// that, and a store of its own, whose lock says that no second one signs for this hotkey from here.
type seat struct {
	cfg     *config.Config
	role    string
	netuid  uint16
	dryRun  bool
	network string
	demo    bool
	key     *wallet.Hotkey
	gate    *nodeGate
	who     control.Answerer
	own     *staying // nil: the node is another process's
	dir     string
	store   *storage.Store
	j       *journal
	name    string // before its lines, where several write to one journal; empty: none
}

// say tells of a change.
func (s *seat) say(warn bool, topic, text string) {
	if s.name != "" {
		text = s.name + ": " + text
	}
	if warn {
		s.j.warn(topic, "%s", printable(text))
	} else {
		s.j.say(topic, "%s", printable(text))
	}
}

// sit finds the node of a neuron or starts one, and opens the neuron's store. It takes the key over.
func (a *app) sit(ctx context.Context, cfg *config.Config, role string, dryRun bool, key *wallet.Hotkey, j *journal) (*seat, error) {
	s := &seat{cfg: cfg, role: role, netuid: cfg.Neuron.Netuid, dryRun: dryRun, key: key, j: j}
	fail := func(err error) (*seat, error) {
		s.close()
		return nil, err
	}
	c, err := control.Find(cfg.Dir())
	switch {
	case err == nil:
		s.who = c
		j.say("node", "the one that runs in %s", cfg.Dir())
	case !errors.Is(err, control.ErrNoNode):
		return fail(err)
	case cfg.Network == config.Demo:
		return fail(control.Errorf(control.Failure, "no demo network runs in %s", cfg.Dir()).WithHint("start one with taolight run --network demo"))
	default:
		if s.own, err = a.startNode(ctx, cfg, demonet.Config{}, new(demoFlags), j); err != nil {
			return fail(err)
		}
		s.who = s.own.local
	}
	if err := s.open(ctx); err != nil {
		return fail(err)
	}
	return s, nil
}

// open does what is left when there is a node to ask.
func (s *seat) open(ctx context.Context) error {
	s.gate = &nodeGate{ctx: ctx, who: s.who}
	st, err := s.who.Status(ctx)
	if err != nil {
		return err
	}
	s.network, s.demo = st.Network, st.Demo
	genesis, err := verify.ParseHash(st.Genesis)
	if err != nil {
		return err
	}
	s.dir = control.NeuronDir(s.cfg.Dir(), s.netuid, s.key.Account().String())
	c := storage.Config{Dir: s.dir, Genesis: genesis}
	var rec *storage.Recovery
	s.store, rec, err = storage.Open(c)
	if errors.Is(err, storage.ErrGenesis) && s.demo { // of an older demo chain, which is gone
		if err = discard(s.dir); err == nil {
			s.store, rec, err = storage.Open(c)
		}
	}
	switch {
	case errors.Is(err, storage.ErrLocked):
		return control.Errorf(control.Failure, "%s: a neuron runs for this hotkey already", s.dir).WithHint("two would sign against each other: stop that one first")
	case err != nil:
		return fmt.Errorf("%s: %w", s.dir, err)
	}
	for _, line := range rec.Lines() {
		s.j.warn("store", "%s", line)
	}
	return nil
}

// serve answers `neuron status` with what state returns.
func (s *seat) serve(ctx context.Context, state func() any) {
	err := control.ServeNeuron(ctx, s.dir, func() (*control.Neuron, error) {
		raw, err := json.Marshal(state())
		return &control.Neuron{Schema: control.Schema, Role: s.role, Network: s.network, Demo: s.demo, Netuid: s.netuid, Hotkey: s.key.Account().String(),
			PID: os.Getpid(), DryRun: s.dryRun, Dir: s.dir, State: raw}, err
	})
	if err != nil {
		s.j.warn("control", "%v; taolight neuron status cannot ask this one", err)
	}
}

// signer returns a signer behind the gate.
func (s *seat) signer() (*wallet.Signer, error) { return wallet.NewSigner(s.key, s.gate) }

// close leaves the seat: the store first, for the node may take a while to end.
func (s *seat) close() {
	if s.store != nil {
		if err := s.store.Close(); err != nil {
			s.j.warn("store", "%v", err)
		}
	}
	if s.own != nil {
		s.own.leave(s.j)
	}
	s.key.Wipe()
}

// gateFor is how long an answer of the node holds good: a validator signs fifty requests at a time.
const gateFor = 2 * time.Second

// A nodeGate lets a neuron sign while its node knows of no conflict of finality and its clock is witnessed.
type nodeGate struct {
	ctx context.Context
	who control.Answerer

	mu    sync.Mutex
	asked time.Time
	err   error
}

// MaySign implements wallet.Gate.
func (g *nodeGate) MaySign() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d := time.Since(g.asked); g.asked.IsZero() || d < 0 || d >= gateFor { // the monotonic clock
		g.err = maySign(g.ctx, g.who)
		g.asked = time.Now()
	}
	return g.err
}

func maySign(ctx context.Context, who control.Answerer) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := who.Status(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("the node does not answer: %w", err)
	case s.State == "conflict":
		return control.Errorf(control.Unproven, "%w", lightclient.ErrConflict).WithHint("taolight status shows the evidence")
	case s.Demo: // whose slots may lie years back, and on which nothing is worth anything
		return nil
	case s.Measures == nil:
		return control.Errorf(control.Stale, "the node does not look after its clock")
	case !s.MaySign:
		return control.Errorf(control.Stale, "clock: trust %s: %s", s.ClockTrust, s.ClockWhy)
	}
	return nil
}
