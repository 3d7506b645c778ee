package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/storage"
	"github.com/taolight/taolight/verify/checkpoint"
)

func (a *app) runCommand() *cobra.Command {
	var d demoFlags
	cmd := &cobra.Command{
		Use:     "run",
		GroupID: "node",
		Short:   "join a network, verify it, answer questions about it",
		Long: `Joins a network as a light client, catches up with its finalized head and follows
it, until it is stopped (Ctrl-C; a second one leaves at once). One line for each
change of state. Other commands with the same --network and --data-dir ask it,
and tools made for a full node by JSON-RPC (btcli --network local, polkadot.js).

The network is finney, test, demo, or a file: a raw chain spec, or a checkpoint.
demo is a small chain in this process, with real sockets, seals and votes; with
--chain-spec FILE it executes the runtime in that file (taolight demo --help).`,
		Example: `  taolight run --network demo
  taolight run
  taolight run --network ./spec.json --data-dir /tmp/t --log-level debug`,
		Args: cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error { return a.runNode(cmd, &d) }),
	}
	a.settings(cmd)
	d.register(cmd, "demo-")
	return cmd
}

// sameSignal is the time within which a second signal is taken for the first.
const sameSignal = 250 * time.Millisecond

// stopSignals ends a context at the first SIGINT or SIGTERM, and the program at the second.
func stopSignals(ctx context.Context, stopping func()) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
			return
		}
		stopping()
		cancel()
		// One key press or one stop can arrive twice, to the process and to its group.
		for first := time.Now(); time.Since(first) < sameSignal; {
			<-signals
		}
		os.Exit(int(control.Failure))
	}()
	return ctx, cancel
}

func (a *app) runNode(cmd *cobra.Command, d *demoFlags) error {
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	if cfg.Network != config.Demo && d.given(cmd, "demo-") {
		return usage("--demo-… flags and --chain-spec are for --network demo")
	}
	demo, err := d.config()
	if err != nil {
		return err
	}
	if err := checkPower(cfg); err != nil {
		return err
	}
	if c, err := control.Find(cfg.Dir()); err == nil {
		return control.Errorf(control.Failure, "%s: %w (%s answers)", cfg.Dir(), control.ErrInUse, c.Path()).
			WithHint("ask the one that runs, or give another --data-dir")
	}
	j := newJournal(a, a.stdout, cfg.LogLevel)
	ctx, cancel := stopSignals(cmd.Context(), func() { j.say("stop", "writing what is worth keeping; again to leave at once") })
	defer cancel()
	s, err := a.startNode(ctx, cfg, demo, d, j)
	if err != nil {
		return err
	}
	stopNeurons := a.startNeurons(ctx, s, j)
	select {
	case err = <-s.ended:
		if err == nil && ctx.Err() == nil {
			err = control.Errorf(control.Failure, "node ended by itself")
		}
	case <-ctx.Done():
	}
	stopNeurons()
	s.leave(j)
	return err
}

// A staying is an instance that answers others, by its socket and by JSON-RPC, until it is stopped.
type staying struct {
	*instance
	stopRPC func()
}

// startNode starts a node that stays, and tells what comes of that.
func (a *app) startNode(ctx context.Context, cfg *config.Config, demo demonet.Config, d *demoFlags, j *journal) (*staying, error) {
	p, err := a.place(cfg)
	if err != nil {
		return nil, err
	}
	began := a.now()
	if p.demo {
		j.say("demo", "taolight %s on a demo network: nothing here is worth anything", version)
	} else {
		j.say("start", "taolight %s on %s", version, p.root.Network)
	}
	for _, w := range p.warnings {
		j.warn("spec", "%s", w)
	}
	s, err := p.start(context.WithoutCancel(ctx), demo, false, j.note)
	for waited := time.Duration(0); errors.Is(err, storage.ErrLocked) && waited < lockWait; waited += lockPoll {
		if waited == 0 { // a command that has joined for a question is soon gone
			j.say("store", "another taolight has %s open, waiting for it", p.dir)
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(lockPoll):
		}
		s, err = p.start(context.WithoutCancel(ctx), demo, false, j.note)
	}
	if err != nil {
		return nil, err
	}
	a.saySetup(j, s, d.blockTime)
	if s.net != nil {
		if err := d.writeSpec(a, s.net); err != nil {
			s.stop(leaveTime)
			return nil, err
		}
	}
	stopRPC, err := s.serveRPC(ctx, j)
	if err != nil {
		s.stop(leaveTime)
		return nil, err
	}
	// The store's lock says that this is the only node here, so a socket that is there is dead.
	server, err := control.Listen(p.dir)
	if err != nil {
		j.warn("control", "%v; taolight status and the like cannot ask this node", err)
		s.vigil.closed("", err.Error())
	} else {
		go server.Serve(ctx, s.local.Handle)
	}
	a.tellManager(ctx, s, j)
	go a.sayNext(ctx, s, j, began)
	return &staying{s, stopRPC}, nil
}

// leave stops the node and tells what is kept.
func (s *staying) leave(j *journal) {
	s.stopRPC()
	head, _ := s.store.Head()
	if serr := s.stop(leaveTime); serr != nil {
		j.warn("store", "%v", serr)
	}
	if h, ok := s.store.Head(); ok {
		head = h
	}
	if head.Number > 0 {
		j.say("stop", "finalized head %s is kept in %s", block(head.Number), s.dir)
	}
}

// saySetup tells what is trusted to begin with and where data are kept.
func (a *app) saySetup(j *journal, s *instance, blockTime time.Duration) {
	text := fmt.Sprintf("checkpoint %s set %d, %s", block(s.root.Number), setOf(s.root), s.from)
	now := a.now().UnixMilli()
	if days, ok := s.root.Age(uint64(max(now, 0))); ok {
		text = fmt.Sprintf("checkpoint %s set %d, %d days old, %s", block(s.root.Number), setOf(s.root), days, s.from)
	}
	j.say("trust", "%s", text)
	if now > 0 && s.root.Stale(uint64(now)) && !s.demo {
		j.warn("trust", "the checkpoint is older than three months: upgrade taolight or import a newer one (taolight checkpoint import)")
	}
	j.say("store", "%s", s.dir)
	for _, line := range s.recovery.Lines() {
		j.warn("store", "%s", line)
	}
	if s.net != nil {
		j.say("demo", "%s and %d authorities on loopback, a block each %v", count(len(s.net.Peers()), "full peer"),
			len(s.root.Set.Authorities), blockTime)
		sayRuntime(j, s.net)
	}
}

// setOf is the id of the set that finalizes the checkpoint's children, as far as it is known.
func setOf(c *checkpoint.Checkpoint) uint64 {
	if f := c.Start(); f.Header != nil {
		return f.Set.ID
	}
	return c.Set.ID
}

// sayNext waits until the node has caught up, and then tells what can be asked.
func (a *app) sayNext(ctx context.Context, s *instance, j *journal, began time.Time) {
	if s.node.WaitFinal(ctx) != nil {
		return
	}
	st, err := s.node.Status(ctx)
	if err != nil || st.Finalized == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.level > levels["info"] {
		return
	}
	j.print(a.now(), "ready", fmt.Sprintf("%s %s is proven final, %s received, %v after the start",
		block(st.Finalized.Number), short(st.Finalized.Hash), size(st.Traffic.In), a.now().Sub(began).Round(10*time.Millisecond)), false)
	program, flags := a.called(), s.flags()
	more := ""
	if s.neurons() {
		more = fmt.Sprintf("  %s neuron status%s\n", program, flags)
	}
	fmt.Fprintf(a.stdout, "\nAsk in another terminal:\n\n  %s status%s\n  %s head%s\n  %s get Timestamp.Now%s\n  %s peers%s\n  %s commits 1%s\n%s\n",
		program, flags, program, flags, program, flags, program, flags, program, flags, more)
}
