package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/lightclient"
)

func (a *app) reader(cmd *cobra.Command) *cobra.Command {
	cmd.GroupID = "ask"
	a.settings(cmd, readerSettings...)
	a.jsonFlag(cmd)
	a.timeoutFlag(cmd)
	return cmd
}

func (a *app) statusCommand() *cobra.Command {
	var every time.Duration
	cmd := a.reader(&cobra.Command{
		Use:   "status",
		Short: "one screen: finality, trust, peers, store, power, health",
		Long: `Shows how the node of this data directory is doing, each line beginning with what it
is about, and last what is not as it should be, with its remedy. With no node running,
joins the network once to answer. Ends with 4 when the head is old or not caught up,
with 6 when there is no peer. --watch shows it again and again, until Ctrl-C.`,
		Example: `  taolight status
  taolight status --watch
  taolight status | grep ^peers`,
		Args: cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("watch") {
				if every < watchLeast {
					return usage("--watch=%v: want %v or more", every, watchLeast)
				}
				return a.watchStatus(cmd, every)
			}
			return a.ask(cmd, false, func(ctx context.Context, who control.Answerer) error {
				s, err := who.Status(ctx)
				if err != nil {
					return err
				}
				return a.showStatus(s)
			})
		}),
	})
	cmd.Flags().DurationVar(&every, "watch", 0, "show it every so often (without a value: 2s)")
	cmd.Flags().Lookup("watch").NoOptDefVal = "2s"
	return cmd
}

// watchLeast is how often a status is looked at the most.
const watchLeast = 500 * time.Millisecond

// watchStatus shows a status until it is interrupted: on a terminal in one place, elsewhere one below the other.
func (a *app) watchStatus(cmd *cobra.Command, every time.Duration) error {
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, s, err := a.findOrJoin(ctx, cfg)
	if err != nil {
		return err
	}
	var who control.Answerer = c
	if c == nil {
		defer s.stop(leaveTime)
		who = s.local
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		asking, cancel := context.WithTimeout(ctx, max(a.timeout, time.Second))
		st, err := who.Status(asking)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if bool(a.style) && !a.json {
			fmt.Fprint(a.stdout, "\x1b[H\x1b[2J")
		}
		if err := a.showStatus(st); err != nil && !errors.As(err, new(quiet)) {
			return err
		}
		if !bool(a.style) && !a.json {
			fmt.Fprintln(a.stdout)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// showStatus prints a status and ends with its code.
func (a *app) showStatus(s *control.Status) error {
	ctx, cancel := context.WithTimeout(context.Background(), dialAndAnswer)
	defer cancel()
	// The miners and validators beside a node answer for themselves; one that does not is none of the node's.
	neurons, err := askNeurons(ctx, s.DataDir)
	if err != nil {
		a.warn("neurons: %v", err)
	}
	if a.json {
		if err := printJSON(a.stdout, struct {
			*control.Status
			Neurons []*control.Neuron `json:"neurons,omitempty"`
		}{s, neurons}); err != nil {
			return err
		}
	} else {
		a.printStatus(a.stdout, s, neurons)
	}
	if code := codeOf(&s.Status); code != control.Good {
		return quiet(code)
	}
	return nil
}

// codeOf is the exit code of a status.
func codeOf(s *lightclient.Status) control.Code {
	switch {
	case s.State == "no peers":
		return control.NoPeers
	case s.State == "upgrade":
		return control.Undecided
	case s.Stale():
		return control.Stale
	}
	return control.Good
}

func (a *app) printStatus(w io.Writer, s *control.Status, neurons []*control.Neuron) {
	st := a.style
	name := s.Network
	if s.Demo {
		name = "demo"
	}
	state := s.State
	if codeOf(&s.Status) == control.Good {
		state = st.good(state)
	} else {
		state = st.bad(state)
	}
	last := ""
	line := func(topic, format string, args ...any) {
		if topic == "" { // it goes on: for grep each line says what it is about
			topic = last
		}
		last = topic
		text := fmt.Sprintf(format, args...)
		if len(text) > 71 && !strings.Contains(text, "\x1b") {
			text = strings.TrimSpace(wrap(text, "         "))
		}
		for part := range strings.SplitSeq(text, "\n") {
			fmt.Fprintf(w, "%s %s\n", st.bold(fmt.Sprintf("%-8s", topic)), strings.TrimSpace(part))
		}
	}
	if f := s.Finalized; f != nil {
		best := ""
		if s.Best != nil {
			best = fmt.Sprintf("   best +%d", int64(s.Best.Number)-int64(f.Number))
		}
		line(name, "%s   %s %s %s ago%s", state, f.Trust, block(f.Number), span(age(s.SlotAge, s.FinalizedAge)), best)
		line("head", "%s", f.Hash)
		proof := ""
		if f.Round > 0 {
			proof = fmt.Sprintf("round %s signed by %d, ", group(f.Round), f.Signers)
		}
		line("finality", "%sset %d of %s is next, by %s", proof, s.SetID, count(s.Voters, "key"), s.Source)
	} else {
		line(name, "%s   nothing is proven yet", state)
	}
	old := ""
	if s.Trust.AgeDays != nil {
		old = fmt.Sprintf(", %d days old", *s.Trust.AgeDays)
	}
	line("trust", "checkpoint %s set %d%s, %s", block(s.Trust.Checkpoint), s.Trust.SetID, old, s.Root)
	line("", "%s verified since", count(s.Trust.SetChanges, "set change"))
	line("peers", "%d open of %d wanted, %d known, %d banned   in %s out %s", s.Peers.Open, s.Peers.Wanted, s.Peers.Known,
		s.Peers.Banned, size(s.Traffic.In), size(s.Traffic.Out))
	if s.Disk != nil {
		line("store", "%s", s.DataDir)
		line("", "head %s, %s, %s written since the start", block(s.Store.Head), size(uint64(s.Disk.FileBytes)), size(s.Disk.BytesWritten))
	}
	if v := s.Watch; v != nil {
		names := make([]string, len(v.Netuids))
		for i, n := range v.Netuids {
			names[i] = strconv.Itoa(int(n))
		}
		line("watch", "subnet %s: %s revealed, %s lost, %s pending; looked at %s", strings.Join(names, ", "),
			group(uint64(v.Revealed)), group(uint64(v.Lost)), group(uint64(v.Pending)), block(v.LastLook))
		line("", "%s of %s since the start", count(v.Epochs, "epoch"), size(uint64(v.EpochBytes)))
		if v.Error != "" {
			line("", "the last look: %s", printable(v.Error))
		}
		if s.Disk != nil {
			line("", "%s kept of at most %s", size(uint64(s.Disk.ArchiveBytes)), size(uint64(s.Disk.ArchiveLimit)))
		}
	}
	if g := s.Gossip; g != nil {
		line("gossip", "%s, level %s; %s proven here, %s rejected", count(g.Neighbours, "neighbour"), g.Level, group(g.Accepted), group(g.Rejected))
		if o := g.Second; o != nil {
			line("", "a second light node, with no peer of the chain: %s %s by %s", o.State, block(o.Number), o.Source)
		}
	}
	for _, n := range neurons {
		fmt.Fprint(w, st.bold("neuron  "), strings.TrimPrefix(wrap(printable(neuronLine(n)), "         "), "        "))
	}
	if m := s.Measures; m != nil {
		if m.Report != nil {
			a.printLevel(line, m)
		}
		line("clock", "%s: %s", m.ClockTrust, m.ClockWhy)
	} else {
		line("clock", "%s", s.Clock.Text)
	}
	up := "up " + span(s.Uptime)
	if s.Joined {
		up = "joined for this question"
	}
	line("process", "%s, taolight %s, %s of memory", up, s.Version, size(s.Memory))
	a.printHealth(w, s.Health)
}

// printLevel prints the level that the node follows, and what is left of a limited link.
func (a *app) printLevel(line func(topic, format string, args ...any), m *control.Measures) {
	level := m.Level.String()
	if m.Level == power.Full {
		level = a.style.good(level)
	} else {
		level = a.style.bad(level)
	}
	line("power", "%s: %s", level, printable(m.Why.Text))
	if !m.Link {
		why := "closed"
		if m.WakeIn != nil {
			why = fmt.Sprintf("closed, for about %s more", span(*m.WakeIn))
		}
		line("", "link %s", why)
	} else if m.LinkWhy != "" {
		line("", "link open: %s", printable(m.LinkWhy))
	}
	if m.Write != power.WriteFree {
		line("", "nothing is written to the store")
	}
	if l := m.Metered; l != nil {
		line("link", "%s of %s left today, enough for %s", size(l.Left), size(l.Limit), l.Level)
	}
}

// age is how old a block is: since its slot began, or, where the clock or the chain's slots say nothing
// about that, since it came.
func age(slot *float64, moved float64) float64 {
	if slot != nil {
		return max(*slot, 0)
	}
	return moved
}

func (a *app) printHealth(w io.Writer, health []lightclient.Warning) {
	if len(health) == 0 {
		return
	}
	fmt.Fprintln(w, "\n# health")
	for _, h := range health {
		word := h.Severity + " " + h.Code
		if h.Severity == "error" {
			word = a.style.bad(word)
		}
		fmt.Fprintln(w, word)
		fmt.Fprint(w, wrap(h.Title, "  "))
		fmt.Fprint(w, wrap("-> "+h.Remedy, "  "))
	}
}

func (a *app) peersCommand() *cobra.Command {
	light := false
	cmd := a.reader(&cobra.Command{
		Use:   "peers",
		Short: "whom the node talks to, and who is banned and why",
		Args:  cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			if light {
				return a.lightPeers(cmd)
			}
			return a.ask(cmd, false, func(ctx context.Context, who control.Answerer) error {
				p, err := who.Peers(ctx)
				if err != nil {
					return err
				}
				if a.json {
					err = printJSON(a.stdout, p)
				} else {
					a.printPeers(a.stdout, p)
				}
				if err == nil && len(p.Open) == 0 {
					return quiet(control.NoPeers)
				}
				return err
			})
		}),
	})
	cmd.Flags().BoolVar(&light, "gossip", false, "the light nodes that it hands proofs to instead")
	return cmd
}

func (a *app) printPeers(w io.Writer, p *control.Peers) {
	fmt.Fprintf(w, "%s   %s open, %d banned\n", networkName(p.Network, p.Demo), count(len(p.Open), "peer"), len(p.Banned))
	for _, o := range p.Open {
		pinned := ""
		if o.Pinned {
			pinned = "  pinned"
		}
		fmt.Fprintf(w, "\n%s\n  %s\n  %s, %s   best %s unproven   for %s%s\n  %d answers, %d missed, %d in flight\n", a.style.bold(o.ID), o.Addr,
			o.Role, printable(o.Agent), block(o.Best), span(o.Seconds), pinned, o.Answers, o.Missed, o.InFlight)
	}
	for _, b := range p.Banned {
		fmt.Fprintf(w, "\n%s\n  %s until %s\n%s", a.style.bold(b.ID), a.style.bad("banned"), b.Until.Format("2006-01-02 15:04:05"),
			wrap(printable(b.Reason), "  "))
	}
}

func networkName(name string, demo bool) string {
	if demo {
		return "demo"
	}
	return name
}

// printable keeps what a peer wrote from moving the cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func (a *app) headCommand() *cobra.Command {
	var chain bool
	var assume uint32
	cmd := a.reader(&cobra.Command{
		Use:   "head",
		Short: "the finalized header, and who signed it",
		Long: `Shows the finalized header and who signed it. With --chain also how much TAO is issued,
how far the next halving is, and whether the block kept to the rules of emission; what
each subnet gets is checked by taolight subnets.

With --chain ends with 3 if the block broke a rule, with 7 if that cannot be decided.`,
		Example: `  taolight head
  taolight head --chain`,
		Args: cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("assume-rules") && !chain {
				return usage("--assume-rules is for --chain")
			}
			if err := checkAssumed(assume); err != nil {
				return err
			}
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				h, err := who.Head(ctx)
				if err != nil {
					return err
				}
				var checks error
				if chain {
					if h.Chain, err = who.Chain(ctx, control.TableQuestion{At: &h.Number, AssumeRules: assume}); err != nil {
						return err
					}
					checks = checked(&h.Chain.Emission)
				}
				if a.json {
					err = printJSON(a.stdout, h)
				} else {
					a.printHead(a.stdout, h)
				}
				switch {
				case err != nil:
					return err
				case control.CodeOf(checks) == control.Unproven:
					return checks
				case h.State == "no peers":
					return quiet(control.NoPeers)
				case h.Stale:
					return quiet(control.Stale)
				}
				return checks
			})
		}),
	})
	cmd.Flags().BoolVar(&chain, "chain", false, "also what is issued, and whether the rules of emission are kept")
	assumeFlag(cmd, &assume)
	return cmd
}

func (a *app) printHead(w io.Writer, h *control.Head) {
	joined := ""
	if h.Joined {
		joined = "   joined for this question"
	}
	fmt.Fprintf(w, "%s   %s %s   %s ago   %s%s\n", a.style.bold(networkName(h.Network, h.Demo)), h.Trust, block(h.Number), span(age(h.SlotAge, h.Age)), h.State, joined)
	line := func(name, value string) { fmt.Fprintf(w, "%-11s %s\n", name, value) }
	line("hash", h.Hash)
	line("parent", h.ParentHash)
	line("state", h.StateRoot)
	line("extrinsics", h.ExtrinsicsRoot)
	if h.Time != nil {
		line("slot", fmt.Sprintf("%s, %s", group(h.Slot), h.Time.Format("2006-01-02 15:04:05 UTC")))
	}
	if h.Round > 0 {
		line("finality", fmt.Sprintf("round %s, signed by %d", group(h.Round), h.Signers))
	}
	line("next set", fmt.Sprintf("%d of %s", h.SetID, count(h.Voters, "key")))
	if h.Best != nil {
		line("best", fmt.Sprintf("%s %s, not final", block(h.Best.Number), short(h.Best.Hash)))
	}
	if h.Chain != nil {
		fmt.Fprintln(w)
		a.printEmission(w, &h.Chain.Source, &h.Chain.Emission)
	}
	if h.Stale {
		a.printHealth(w, h.Health)
	}
}

// bare is taolight without a command: the status of a node that runs here, else how to start one.
func (a *app) bare(cmd *cobra.Command, _ []string) error {
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	for _, name := range []string{"", config.Finney, config.Test, config.Demo} {
		dir := cfg.Dir()
		if name != "" {
			dir = filepath.Join(cfg.DataDir, name)
		}
		c, err := control.Find(dir)
		if errors.Is(err, control.ErrNoNode) {
			continue
		}
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), dialAndAnswer)
		defer cancel()
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		return a.showStatus(s)
	}
	program := a.called()
	fmt.Fprintf(a.stdout, `No node runs in %s. To start one:

  %s run --network demo     try it: a small chain in this process
  %s run                    join finney, the main network

%s --help lists everything else.
`, cfg.DataDir, program, program, program)
	return nil
}
