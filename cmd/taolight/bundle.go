package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/checkpoint"
)

func (a *app) bundleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "bundle",
		GroupID: "file",
		Short:   "portable proofs: make, show, carry",
		Long: `A bundle is a file of facts with all that proves them, from a checkpoint on. Whoever
gets it checks it with taolight verify, with no network and no trust in its maker.`,
		Example: `  taolight bundle make commitment 18 --uid 37 -o commit.tlb
  taolight verify commit.tlb`,
		Args: noCommand,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			return usage("bundle: which?").WithHint("make, show, split, join or qr; taolight bundle --help")
		}),
	}
	cmd.AddCommand(a.makeCommand(), a.showCommand(), a.splitCommand(), a.joinCommand(), a.qrCommand())
	return cmd
}

func (a *app) makeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "make",
		Short: "prove facts and write them to a file",
		Long: `Fetches what proves a fact from the network, or takes it from what the running node
has kept (taolight run --watch), and writes it as a bundle. With no node running, joins
the network once. Peers keep the states of 256 blocks; what is older takes an archive
peer (--peer) or a node that watched.`,
		Args: noCommand,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			return usage("bundle make: what?").WithHint("header, storage, commitment, weights, subnet or epoch")
		}),
	}
	cmd.AddCommand(a.makeHeader(), a.makeStorage(), a.makeCommitment(), a.makeWeights(), a.makeSubnet(), a.makeEpoch())
	return cmd
}

// A making is what the commands of bundle make have in common.
type making struct {
	question control.ProveQuestion
	out      string
	at       uint32
	mecid    uint8
	uid      uint16
	epoch    uint64
	made     uint32
}

// maker adds the flags that all have, and a command's code that asks for a bundle once parse has put
// the question together.
func (a *app) maker(cmd *cobra.Command, m *making, parse func(cmd *cobra.Command, args []string) error) *cobra.Command {
	cmd.RunE = a.do(func(cmd *cobra.Command, args []string) error {
		if m.out == "" {
			return usage("-o is missing: where to write the bundle; - is stdout")
		}
		if err := parse(cmd, args); err != nil {
			return err
		}
		if err := checkOut(m.out); err != nil {
			return err
		}
		f := cmd.Flags()
		if f.Changed("at") {
			m.question.At = &m.at
		}
		if err := checkAssumed(m.question.AssumeRules); err != nil {
			return err
		}
		return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error { return a.make(ctx, cmd, who, m) })
	})
	a.settings(cmd, readerSettings...)
	// Fetching all that a subnet's bundle needs takes minutes over a slow link.
	cmd.Flags().DurationVar(&a.timeout, "timeout", 15*time.Minute, "how long to wait for an answer")
	cmd.Flags().StringVarP(&m.out, "output", "o", "", "file to write, - for stdout")
	return cmd
}

// atFlag adds the block that is asked about.
func (m *making) atFlag(cmd *cobra.Command) {
	cmd.Flags().Uint32Var(&m.at, "at", 0, "block to prove it at (default the finalized head)")
}

// make asks for a bundle, judges it as its readers will, and writes it.
func (a *app) make(ctx context.Context, cmd *cobra.Command, who control.Answerer, m *making) error {
	ctx = control.WithProgress(ctx, func(line string) { fmt.Fprintf(a.stderr, "  %s\n", printable(line)) })
	p, err := who.Prove(ctx, m.question)
	if err != nil {
		return err
	}
	x, err := bundle.Decode(p.Bundle)
	if err != nil {
		return fmt.Errorf("the bundle that was made: %w", err)
	}
	if err := a.writeOut(m.out, p.Bundle); err != nil {
		return err
	}
	for _, c := range x.Claims {
		fmt.Fprintf(a.stderr, "  %-8s %s\n", c.Kind(), c)
	}
	fmt.Fprintf(a.stderr, "%s of %s", count(len(p.Bundle), "byte"), networkName(p.Network, p.Demo))
	if m.out == "-" {
		fmt.Fprintln(a.stderr)
		return nil
	}
	fmt.Fprintf(a.stderr, " in %s. Who gets it types:\n\n", m.out)
	if _, err := checkpoint.ByGenesis(x.Genesis); err != nil {
		// Nothing about this chain is compiled in: its trust root has to come from somebody.
		fmt.Fprintf(a.stderr, "  taolight checkpoint show --json%s >root.json   (from you, once)\n  taolight verify --checkpoint root.json %s\n", m.flags(cmd), quote(m.out))
		return nil
	}
	fmt.Fprintf(a.stderr, "  taolight verify %s\n", quote(m.out))
	return nil
}

// flags returns the flags that lead another command to the same network, as they were typed.
func (m *making) flags(cmd *cobra.Command) string {
	var b strings.Builder
	for _, name := range []string{"network", "data-dir", "config"} {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			fmt.Fprintf(&b, " --%s %s", name, quote(f.Value.String()))
		}
	}
	return b.String()
}

func (a *app) makeHeader() *cobra.Command {
	m := &making{question: control.ProveQuestion{What: control.ProveHeader}}
	return a.maker(&cobra.Command{
		Use:     "header [NUMBER]",
		Short:   "that a block is final",
		Example: `  taolight bundle make header -o head.tlb`,
		Args:    cobra.MaximumNArgs(1),
	}, m, func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		n, err := strconv.ParseUint(args[0], 10, 32)
		if err != nil {
			return usage("%q: want the number of a block", args[0])
		}
		number := uint32(n)
		m.question.At = &number
		return nil
	})
}

func (a *app) makeStorage() *cobra.Command {
	m := &making{question: control.ProveQuestion{What: control.ProveStorage}}
	cmd := a.maker(&cobra.Command{
		Use:     "storage KEY|PALLET.ITEM [ARGUMENT]…",
		Short:   "storage values, or that there are none; keys as for taolight get",
		Example: `  taolight bundle make storage Timestamp.Now Drand.LastStoredRound -o now.tlb`,
		Args:    cobra.MinimumNArgs(1),
	}, m, func(_ *cobra.Command, args []string) error {
		m.question.Words = args
		return checkWords("bundle make storage", args)
	})
	m.atFlag(cmd)
	return cmd
}

func (a *app) makeCommitment() *cobra.Command {
	m := &making{question: control.ProveQuestion{What: control.ProveCommitment}}
	var hotkey string
	cmd := a.maker(&cobra.Command{
		Use:   "commitment NETUID",
		Short: "that a validator committed, and what became of it",
		Long: `Proves that the hotkey made a weight commitment, and that it was revealed and is what
the chain stores, or that it was lost and why, or no more than that it was made while it
is pending. Without --epoch and --made it is the newest one whose fate is known, or else
the newest.`,
		Example: `  taolight bundle make commitment 18 --uid 37 -o commit.tlb`,
		Args:    oneSubnet,
	}, m, func(cmd *cobra.Command, args []string) error {
		f := cmd.Flags()
		if f.Changed("hotkey") == f.Changed("uid") {
			return usage("want --hotkey ADDRESS or --uid UID, one of them")
		}
		if f.Changed("hotkey") {
			id, err := verify.ParseAccount(hotkey)
			if err != nil {
				return usage("--hotkey: %w", err)
			}
			m.question.Hotkey = id.String()
		} else {
			m.question.UID = &m.uid
		}
		if f.Changed("epoch") {
			m.question.Epoch = &m.epoch
		}
		if f.Changed("made") {
			m.question.Made = &m.made
		}
		m.question.Mecid = m.mecid
		return m.netuid(args[0])
	})
	f := cmd.Flags()
	f.StringVar(&hotkey, "hotkey", "", "the validator's hotkey")
	f.Uint16Var(&m.uid, "uid", 0, "its uid")
	f.Uint64Var(&m.epoch, "epoch", 0, "epoch that it is of")
	f.Uint32Var(&m.made, "made", 0, "block that it was made in")
	f.BoolVar(&m.question.Still, "still", false, "also that the weights at the finalized head are still those")
	mechanismFlag(cmd, &m.mecid)
	assumeFlag(cmd, &m.question.AssumeRules)
	return cmd
}

func (a *app) makeWeights() *cobra.Command {
	m := &making{question: control.ProveQuestion{What: control.ProveWeights}}
	cmd := a.maker(&cobra.Command{
		Use:     "weights NETUID [UID]",
		Short:   "the weights that neurons have set",
		Example: `  taolight bundle make weights 18 -o weights.tlb`,
		Args:    cobra.RangeArgs(1, 2),
	}, m, func(_ *cobra.Command, args []string) error {
		m.question.Mecid = m.mecid
		if len(args) == 2 {
			uid, err := parseUID(args[1])
			if err != nil {
				return err
			}
			m.question.UID = &uid
		}
		return m.netuid(args[0])
	})
	m.atFlag(cmd)
	mechanismFlag(cmd, &m.mecid)
	assumeFlag(cmd, &m.question.AssumeRules)
	return cmd
}

func (a *app) makeSubnet() *cobra.Command {
	m := &making{question: control.ProveQuestion{What: control.ProveSubnet}}
	cmd := a.maker(&cobra.Command{
		Use:     "subnet NETUID",
		Short:   "a subnet's parameters and all that is kept of its neurons",
		Example: `  taolight bundle make subnet 18 -o sn18.tlb`,
		Args:    oneSubnet,
	}, m, func(_ *cobra.Command, args []string) error { return m.netuid(args[0]) })
	m.atFlag(cmd)
	assumeFlag(cmd, &m.question.AssumeRules)
	return cmd
}

func (a *app) makeEpoch() *cobra.Command {
	m := &making{question: control.ProveQuestion{What: control.ProveEpoch}}
	cmd := a.maker(&cobra.Command{
		Use:   "epoch NETUID",
		Short: "that a Yuma epoch was computed right",
		Long: `Proves that every array that the chain stored in an epoch of a subnet follows from the
state before its block. An epoch that was not computed right is no bundle; taolight yuma
shows where it differs.`,
		Example: `  taolight bundle make epoch 18 -o epoch.tlb`,
		Args:    oneSubnet,
	}, m, func(_ *cobra.Command, args []string) error { return m.netuid(args[0]) })
	cmd.Flags().Uint32Var(&m.at, "at", 0, "block of the epoch (default the last that ran)")
	assumeFlag(cmd, &m.question.AssumeRules)
	return cmd
}

// netuid reads the subnet.
func (m *making) netuid(s string) (err error) {
	m.question.Netuid, err = parseNetuid(s)
	return err
}

func parseNetuid(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n >= 4096 {
		return 0, usage("%q: want the number of a subnet", s)
	}
	return uint16(n), nil
}

func parseUID(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, usage("%q: want a uid", s)
	}
	return uint16(n), nil
}

func mechanismFlag(cmd *cobra.Command, to *uint8) {
	cmd.Flags().Uint8Var(to, "mechanism", 0, "mechanism of the subnet")
}

// readBundle reads a bundle whose form is right; nothing is said about its truth.
func (a *app) readBundle(name string) ([]byte, error) {
	b, err := a.readBytes(name, bundle.MaxSize)
	if err != nil {
		return nil, err
	}
	if _, err := bundle.Decode(b); err != nil {
		return nil, control.Errorf(control.Failure, "%s: %w", fileName(name), err)
	}
	return b, nil
}

// A part is one section of a bundle, for show.
type part struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
	Bytes int    `json:"bytes"`
	Text  string `json:"text,omitempty"`
}

func (a *app) showCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "what a bundle claims and holds; no verdict",
		Args:  oneFile,
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			b, err := a.readBundle(args[0])
			if err != nil {
				return err
			}
			x, err := bundle.Decode(b)
			if err != nil {
				return err
			}
			return a.show(args[0], x, len(b))
		}),
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) show(name string, x *bundle.Bundle, size int) error {
	parts := partsOf(x)
	if a.json {
		type claim struct {
			Kind string `json:"kind"`
			Text string `json:"text"`
		}
		out := struct {
			Schema  int     `json:"schema"`
			File    string  `json:"file"`
			Bytes   int     `json:"bytes"`
			Version int     `json:"bundle"`
			Network string  `json:"network"`
			Genesis string  `json:"genesis"`
			Trust   string  `json:"trust"` // "unproven": nothing was judged
			Parts   []part  `json:"parts"`
			Claims  []claim `json:"claims"`
		}{1, name, size, bundle.Version, new(judge).networkOf(x), x.Genesis.String(), "unproven", parts, []claim{}}
		for _, c := range x.Claims {
			out.Claims = append(out.Claims, claim{c.Kind(), c.String()})
		}
		return printJSON(a.stdout, out)
	}
	fmt.Fprintf(a.stdout, "%s  %s\n", a.style.bold(fileName(name)), new(judge).title(x, size))
	for _, p := range parts {
		if p.Count > 0 {
			fmt.Fprintf(a.stdout, "  %-8s %6s  %8s   %s\n", p.Name, group(uint64(p.Count)), count(p.Bytes, "byte"), p.Text)
		}
	}
	fmt.Fprintf(a.stdout, "claims, unproven:\n")
	for _, c := range x.Claims {
		fmt.Fprintf(a.stdout, "  %-8s %s\n", c.Kind(), c)
	}
	return nil
}

// partsOf lists the sections of a bundle in their order.
func partsOf(x *bundle.Bundle) []part {
	var parts []part
	if x.Final != nil {
		parts = append(parts, part{"root", 1, 44, fmt.Sprintf("%s %s, set %d", block(x.Root.Number), x.Root.Hash.Short(), x.Root.SetID)})
	}
	fragment := func(f *bundle.Fragment) (n int) { return len(f.Header.Encode()) + len(f.Votes.Append(nil)) }
	sets := part{Name: "sets", Count: len(x.Fragments)}
	for i := range x.Fragments {
		sets.Bytes += fragment(&x.Fragments[i])
		sets.Text = fmt.Sprintf("the last in %s", block(x.Fragments[i].Header.Number))
	}
	parts = append(parts, sets)
	if f := x.Final; f != nil {
		parts = append(parts, part{"final", 1, fragment(f), fmt.Sprintf("%s, round %s, %s", block(f.Header.Number), group(f.Votes.Round), count(len(f.Votes.List), "vote"))})
	}
	headers := part{Name: "headers", Count: len(x.Headers)}
	for i, h := range x.Headers {
		headers.Bytes += len(h.Encode())
		if i < 6 {
			headers.Text += block(h.Number) + " "
		} else if i == 6 {
			headers.Text += "…"
		}
	}
	nodes := part{Name: "nodes", Count: len(x.Nodes)}
	for _, n := range x.Nodes {
		nodes.Bytes += len(n)
	}
	pulses := part{Name: "pulses", Count: len(x.Pulses), Bytes: 56 * len(x.Pulses)}
	for i, p := range x.Pulses {
		if i < 6 {
			pulses.Text += "round " + group(p.Round) + " "
		} else if i == 6 {
			pulses.Text += "…"
		}
	}
	return append(parts, headers, nodes, pulses)
}
