package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/gossip"
	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/internal/power/rig"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/lightclient/tx"
	"github.com/taolight/taolight/storage"
	"github.com/taolight/taolight/verify/bundle"
)

// demoWatchEvery is how many blocks lie between two looks at the commitments of a demo network.
const demoWatchEvery = 5

// leaveTime is how long a node that is told to stop may take.
const leaveTime = 1500 * time.Millisecond

// An instance is a running node with all that it needs.
type instance struct {
	*place
	node     *lightclient.Node
	store    *storage.Store
	recovery *storage.Recovery
	local    *control.Local
	talk     *talk            // nil: it does not gossip
	governor *governor        // nil: joined for one question
	vigil    *vigil           // the same
	governed <-chan struct{}  // closed when that has ended
	net      *demonet.Network // our own, on the demo network
	cancel   context.CancelFunc
	ended    <-chan error // gives the node's error, then is closed
	netEnded <-chan struct{}
	others   <-chan struct{} // closed when the second node has ended
}

// startDemo starts the demo network and makes its genesis the place to start from.
func (p *place) startDemo(ctx context.Context, cfg demonet.Config, notes func(lightclient.Note)) (*demonet.Network, <-chan struct{}, error) {
	net, err := demonet.New(cfg)
	if err != nil {
		return nil, nil, &control.Error{Code: control.Usage, Err: err}
	}
	p.root = net.Checkpoint()
	p.backDated = cfg.ChainSpec != nil
	p.bootnodes = nil
	for _, b := range net.Bootnodes() {
		p.bootnodes = append(p.bootnodes, b.String())
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := net.Run(ctx); ctx.Err() == nil {
			notes(lightclient.Note{Topic: "demo", Text: err.Error() + "; there are no more blocks", Warn: true})
		}
	}()
	return net, ended, nil
}

// start opens the store and starts a node, and on the demo network that network first.
func (p *place) start(ctx context.Context, demo demonet.Config, joined bool, notes func(lightclient.Note)) (*instance, error) {
	ctx, cancel := context.WithCancel(ctx)
	nothing, none := make(chan error), make(chan struct{})
	close(nothing)
	close(none)
	s := &instance{place: p, cancel: cancel, ended: nothing, netEnded: none, others: none, governed: none}
	fail := func(err error) (*instance, error) {
		s.stop(time.Second)
		return nil, err
	}
	var err error
	if p.cfg.Network == config.Demo { // its genesis, and so its root, is new with each start
		net, ended, err := p.startDemo(ctx, demo, notes)
		if err != nil {
			return fail(err)
		}
		s.net, s.netEnded = net, ended
	}
	// A board whose supply sags writes nothing, so not that a run has begun either. The governor says when it may; of
	// whoever has joined for one question nothing is kept.
	sagging := rig.Sagging(ctx, p.cfg.Power.Sources, rig.Machine{})
	if s.store, s.recovery, err = p.openStore(sagging); err != nil {
		return fail(err)
	}
	watchEvery := uint32(0)
	if p.demo { // its epochs are shorter than the pause between two looks
		watchEvery = demoWatchEvery
	}
	engine, err := runtime.New(runtime.Config{
		CacheDir: filepath.Join(p.dir, "runtimes", "compiled"), LogLevel: runtime.LogWarn,
		Log: func(_ int, target, message string) {
			if notes != nil {
				notes(lightclient.Note{Topic: "runtime", Text: target + ": " + message})
			}
		},
	})
	if err != nil {
		return fail(err)
	}
	light := lightclient.Config{
		Engine: engine, Compile: !joined, Runtimes: storage.OpenRuntimes(filepath.Join(p.dir, "runtimes")),
		Checkpoint: p.root, Bootnodes: p.bootnodes, Peers: p.cfg.Peers, Store: nodeStore{s.store},
		Finality: lightclient.Finality(p.cfg.Finality), MaxPeers: p.cfg.MaxPeers, Version: version,
		Demo: p.demo, BackDated: p.backDated, Notes: notes, Watch: p.cfg.Watch, WatchEvery: watchEvery,
	}
	if sagging {
		light.Write = lightclient.WriteNone
	}
	if p.cfg.Gossip && !joined {
		if light.Listen, err = p.listenAddrs(); err != nil {
			return fail(err)
		}
		talk := p.talkConfig()
		if talk.Links, err = p.links(); err != nil {
			return fail(err)
		}
		s.talk = newTalk(talk, s.store, notes)
		light.Hosted, light.Moved, light.Serve = s.talk.hosted, s.talk.moved, true
		light.MaxConns = max(48, p.cfg.MaxPeers+32) // 24 neighbours, 8 light clients that we serve
	}
	if !joined {
		if s.governor, err = p.govern(notes); err != nil {
			return fail(err)
		}
		s.governor.attach(s, &light)
		s.vigil = newVigil(s, notes)
		light.HealthTold, s.governor.after = true, s.vigil.tick
	}
	told := &herald{talk: s.talk, ctx: ctx}
	if s.talk != nil {
		moved := light.Moved
		light.Moved = func(st *lightclient.Standing) {
			moved(st)
			told.moved(st)
		}
		light.Shown = told.shown
	}
	s.node, err = lightclient.New(light)
	if err != nil {
		return fail(&control.Error{Code: control.Usage, Err: err})
	}
	if s.talk != nil {
		s.talk.light = s.node
	}
	gate := s.governor
	if p.demo { // whose slots may lie years back, and on which nothing is worth anything
		gate = nil
	}
	var sender tx.Node = signing{s.node, gate}
	if p.demo {
		if sender, err = newImitated(sender, demo.Spec); err != nil {
			return fail(err)
		}
	}
	pool, err := tx.New(tx.Config{Node: sender, Store: s.store, Linked: s.node.Linked, Notes: func(format string, args ...any) {
		if notes != nil {
			notes(lightclient.Note{Topic: "tx", Text: fmt.Sprintf(format, args...)})
		}
	}})
	if err != nil {
		return fail(err)
	}
	carrier, err := s.courier(ctx, notes)
	if err != nil {
		return fail(err)
	}
	if s.talk != nil {
		if carrier != nil {
			s.talk.cfg.Courier = carrier
		}
		fact := s.talk.cfg.Fact
		told.node, told.pool = s.node, pool
		s.talk.cfg.Fact = func(k gossip.Kind, x *bundle.Bundle) {
			if fact != nil {
				fact(k, x)
			}
			told.fact(k, x)
		}
	}
	s.local = &control.Local{
		Talk: s.talk.talking(), Pool: pool,
		Node: s.node, Checkpoint: p.root, Root: p.from, Store: s.store, DataDir: p.dir,
		Version: version, Demo: p.demo, Joined: joined,
	}
	if s.governor != nil {
		s.governor.node, s.local.Governor, s.local.Health = s.node, s.governor, s.vigil.look
		done := make(chan struct{})
		s.governed = done
		go func() {
			defer close(done)
			s.governor.run(ctx)
			s.vigil.sending.Wait()
		}()
	}
	ended := make(chan error, 1)
	s.ended = ended
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		pool.Run(ctx)
	}()
	if carrier != nil {
		go carrier.pool.Run(ctx)
	}
	go func() {
		err := s.node.Run(ctx)
		cancel()
		<-followed // it writes to the store
		ended <- err
		close(ended)
	}()
	if s.net != nil && s.talk != nil {
		if s.others, err = s.second(ctx, notes); err != nil {
			s.others = none
			return fail(err)
		}
	}
	return s, nil
}

// stop ends the node, which writes what is worth keeping, and closes the store. It waits for at most
// the given time.
func (s *instance) stop(wait time.Duration) error {
	s.cancel()
	late, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	var err error
	select {
	case err = <-s.ended:
	case <-late.Done():
	}
	for _, end := range []<-chan struct{}{s.others, s.governed} {
		select {
		case <-end:
		case <-late.Done():
		}
	}
	if s.store != nil {
		err = errors.Join(err, s.store.Close())
	}
	select {
	case <-s.netEnded:
	case <-late.Done():
	}
	return err
}

// ask puts a question to the node of the command's data directory, or, if none runs, starts one for
// it: this joins the network, answers and leaves. With wait, the question is put when that node has
// caught up.
func (a *app) ask(cmd *cobra.Command, wait bool, question func(ctx context.Context, who control.Answerer) error) error {
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	if a.timeout <= 0 {
		return usage("--timeout %v: want more than nothing", a.timeout)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
	defer cancel()
	c, s, err := a.findOrJoin(ctx, cfg)
	if err != nil {
		return err
	}
	if c != nil {
		return question(ctx, c)
	}
	defer s.stop(leaveTime)
	if err := s.node.WaitFinal(ctx); err != nil && wait {
		if ctx.Err() != nil {
			err = fmt.Errorf("not caught up within %v", a.timeout)
		}
		return s.late(err)
	}
	// The time was for joining; the question has its own.
	qctx, qcancel := context.WithTimeout(context.WithoutCancel(ctx), max(a.timeout, 30*time.Second))
	defer qcancel()
	return question(qctx, s.local)
}

// findOrJoin returns the node that runs, or an instance of its own. Another command that has joined for a
// question holds the store for a moment and answers nobody: this waits for it.
func (a *app) findOrJoin(ctx context.Context, cfg *config.Config) (*control.Client, *instance, error) {
	notes := func(lightclient.Note) {}
	if cfg.LogLevel == "debug" {
		notes = newJournal(a, a.stderr, cfg.LogLevel).note
	}
	for said := false; ; {
		c, err := control.Find(cfg.Dir())
		if !errors.Is(err, control.ErrNoNode) {
			return c, nil, err
		}
		p, err := a.place(cfg)
		if err != nil {
			return nil, nil, err
		}
		if !said && p.root == nil {
			a.warn("no demo network runs in %s: starting one for this question", p.dir)
		} else if !said {
			a.warn("no node runs in %s: joining %s for this question", p.dir, networkName(p.root.Network, p.demo))
		}
		said = true
		s, err := p.start(context.WithoutCancel(ctx), demonet.Config{Slack: noSlack}, true, notes)
		if !errors.Is(err, storage.ErrLocked) {
			return nil, s, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, err
		case <-time.After(lockPoll):
		}
	}
}

// A store that another command has open is looked at so often, and by run for so long.
const (
	lockPoll = 250 * time.Millisecond
	lockWait = 5 * time.Second
)

// late adds to err why the node has not caught up.
func (s *instance) late(err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if st, serr := s.node.Status(ctx); serr == nil {
		return control.NotReady(st, err)
	}
	return control.Errorf(control.Stale, "%w", err)
}

// flags returns the flags that lead another command to this place, as they are typed: those settings
// that come from the command line or the environment of this one.
func (p *place) flags() string {
	var b strings.Builder
	add := func(key, flag, value string) {
		o := p.cfg.Origin(key)
		if strings.HasPrefix(o, "flag ") || strings.HasPrefix(o, "environment ") {
			fmt.Fprintf(&b, " --%s %s", flag, quote(value))
		}
	}
	network := p.cfg.Network
	if strings.ContainsAny(network, `./\`) { // as internal/config tells a file from a name
		network = absolute(network)
	}
	add("network", "network", network)
	add("data_dir", "data-dir", absolute(p.cfg.DataDir))
	if p.settings != "" {
		fmt.Fprintf(&b, " --config %s", quote(absolute(p.settings)))
	}
	return b.String()
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// quote makes one word of a text for a shell.
func quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@%,=", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// called returns how this program can be called from anywhere.
func (a *app) called() string {
	if !strings.ContainsRune(a.program, filepath.Separator) {
		return a.program // found on the PATH
	}
	if p, err := os.Executable(); err == nil {
		return quote(p)
	}
	return quote(absolute(a.program))
}
