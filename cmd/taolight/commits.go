package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
)

func (a *app) commitsCommand() *cobra.Command {
	var q control.CommitsQuestion
	var hotkey string
	var uid uint16
	cmd := a.reader(&cobra.Command{
		Use:   "commits NETUID",
		Short: "weight commitments: pending and what will come of them, past and what came",
		Long: `Shows the weight commitments of a subnet, each proven. Pending ones: when they were
made, when the chain will reveal them, and what stands in the way. Past ones: the block
in which they were revealed, or were lost, and why, which the chain itself does not say.
Peers keep 256 blocks; what is older is shown from what a node has kept (run --watch) or
from an archive peer, and is otherwise said to be pruned.

Ends with 7 where the chain runs rules that were not audited, unless --assume-rules
says which to take.`,
		Example: `  taolight commits 18
  taolight commits 18 --uid 37 --epochs 5`,
		Args: oneSubnet,
		RunE: a.do(func(cmd *cobra.Command, args []string) (err error) {
			if q.Netuid, err = parseNetuid(args[0]); err != nil {
				return err
			}
			f := cmd.Flags()
			if f.Changed("uid") {
				q.UID = &uid
			}
			if f.Changed("hotkey") {
				id, err := verify.ParseAccount(hotkey)
				if err != nil {
					return usage("--hotkey: %w", err)
				}
				q.Hotkey = id.String()
			}
			if f.Changed("epochs") && q.Epochs <= 0 {
				q.Epochs = -1
			}
			if err := checkAssumed(q.AssumeRules); err != nil {
				return err
			}
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				c, err := who.Commits(ctx, q)
				if err != nil {
					return err
				}
				if a.json {
					return printJSON(a.stdout, c)
				}
				a.printCommits(a.stdout, c)
				return nil
			})
		}),
	})
	f := cmd.Flags()
	f.StringVar(&hotkey, "hotkey", "", "only of this hotkey")
	f.Uint16Var(&uid, "uid", 0, "only of the hotkey with this uid")
	f.IntVar(&q.Epochs, "epochs", 2, "how many reveals to look back at; 0 for none")
	mechanismFlag(cmd, &q.Mecid)
	assumeFlag(cmd, &q.AssumeRules)
	return cmd
}

func oneSubnet(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage("want one subnet, not %d", len(args))
	}
	return nil
}

func (a *app) printCommits(w io.Writer, c *control.Commits) {
	fmt.Fprintf(w, "%s   %s %s   rules of %s\n", a.style.bold(networkName(c.Network, c.Demo)+" "+subnetName(c.Netuid, c.Mecid)),
		c.Block.Trust, block(c.Block.Number), c.Rules)
	s := c.Schedule
	hidden := "weights are committed and revealed"
	if !s.CommitReveal {
		hidden = "weights are set openly: commit-reveal is off"
	}
	fmt.Fprintf(w, "epoch %s of tempo %d, revealed %s later; %s\n", group(s.Epoch), s.Tempo, count(int(s.RevealPeriod), "epoch"), hidden)
	if s.NextEpoch != nil {
		fmt.Fprintf(w, "next epoch at %s%s\n", block(*s.NextEpoch), in(s.ETA))
	}
	if len(c.Pending) == 0 {
		fmt.Fprintf(w, "\nnothing is pending\n")
	}
	for _, p := range c.Pending {
		a.printCommitment(w, p)
	}
	for _, p := range c.Past {
		a.printCommitment(w, p)
	}
	if c.Beyond != "" {
		fmt.Fprint(w, "\n", wrap(printable(c.Beyond), ""))
	}
}

func (a *app) printCommitment(w io.Writer, c *lightclient.Commitment) {
	st := a.style
	uid := "no uid now"
	if c.UID != nil {
		uid = fmt.Sprintf("uid %d", *c.UID)
	}
	fmt.Fprintf(w, "\n%s  %s\n", st.bold(uid), c.Hotkey)
	line := func(topic, format string, args ...any) {
		fmt.Fprintf(w, "  %-9s %s\n", topic, fmt.Sprintf(format, args...))
	}
	what := c.Kind + " commit of epoch " + group(c.Epoch)
	if c.Bytes > 0 {
		what += ", " + count(c.Bytes, "byte")
	}
	line("made", "%s: %s (%s)", block(c.MadeAt), what, c.Trust)
	if c.Round > 0 {
		state := "its pulse is not on the chain yet"
		if c.Pulse {
			state = "its pulse is on the chain"
		}
		line("opens", "with round %s of %s; %s", group(c.Round), orUnknown(c.RoundTime), state)
	}
	switch c.State {
	case lightclient.Pending:
		if c.RevealAt != nil {
			by := ""
			if c.RevealBy != nil && *c.RevealBy != *c.RevealAt {
				by = ", by " + block(*c.RevealBy) + " at the latest"
			}
			line("pending", "revealed at %s%s%s", block(*c.RevealAt), in(c.ETA), by)
		} else {
			line("pending", "no reveal is foreseen")
		}
		for _, r := range c.Reasons {
			fmt.Fprintf(w, "  %s%s", st.bad("would fail"), strings.TrimPrefix(wrap(r.Word+": "+r.Text, "             "), "            "))
		}
	case lightclient.Revealed:
		text := "at " + block(*c.RevealAt)
		if c.Row != nil {
			text += ": " + count(len(c.Row), "weight")
		}
		switch {
		case c.Equal == nil:
		case *c.Equal:
			text += ", and that is what is stored"
		default:
			text += ", and " + st.bad("something else is stored")
		}
		line(st.good("revealed")+" ", "%s", text)
	case lightclient.Lost:
		at := ""
		if c.LostAt != nil {
			at = "at " + block(*c.LostAt)
		}
		line(st.bad("lost")+"     ", "%s", at)
		for _, r := range c.Reasons {
			fmt.Fprint(w, wrap(r.Word+": "+r.Text, "            "))
		}
	default:
		line("unknown", "it is gone, and what is proven does not say how")
	}
	if c.Note != "" {
		fmt.Fprint(w, wrap(printable(c.Note), "            "))
	}
}

// in writes a time to go, if it is known.
func in(eta *float64) string {
	if eta == nil {
		return ""
	}
	return " in " + span(max(*eta, 0))
}

func orUnknown(s string) string {
	if s == "" {
		return "no known time"
	}
	return s
}

// subnetName is a subnet, and its mechanism unless that is the first.
func subnetName(netuid uint16, mecid uint8) string {
	if mecid == 0 {
		return fmt.Sprintf("subnet %d", netuid)
	}
	return fmt.Sprintf("subnet %d mechanism %d", netuid, mecid)
}

func (a *app) weightsCommand() *cobra.Command {
	var q control.WeightsQuestion
	var at uint32
	cmd := a.reader(&cobra.Command{
		Use:   "weights NETUID [UID]",
		Short: "the weights that neurons have set, proven",
		Long: `Shows the rows of weights that the chain holds, of all neurons of a subnet that have set
any, or of one. A weight is a share of 65535 of the largest in its row.`,
		Example: `  taolight weights 18 37`,
		Args:    cobra.RangeArgs(1, 2),
		RunE: a.do(func(cmd *cobra.Command, args []string) (err error) {
			if q.Netuid, err = parseNetuid(args[0]); err != nil {
				return err
			}
			if len(args) == 2 {
				uid, err := parseUID(args[1])
				if err != nil {
					return err
				}
				q.UID = &uid
			}
			if cmd.Flags().Changed("at") {
				q.At = &at
			}
			if err := checkAssumed(q.AssumeRules); err != nil {
				return err
			}
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				r, err := who.Weights(ctx, q)
				if err != nil {
					return err
				}
				if a.json {
					return printJSON(a.stdout, r)
				}
				a.printWeights(a.stdout, r)
				return nil
			})
		}),
	})
	cmd.Flags().Uint32Var(&at, "at", 0, "block to read it at (default the finalized head)")
	mechanismFlag(cmd, &q.Mecid)
	assumeFlag(cmd, &q.AssumeRules)
	return cmd
}

func (a *app) printWeights(w io.Writer, r *control.Weights) {
	fmt.Fprintf(w, "%s   %s %s   rules of %s   %s\n", a.style.bold(networkName(r.Network, r.Demo)+" "+subnetName(r.Netuid, r.Mecid)),
		r.Block.Trust, block(r.Block.Number), r.Rules, count(len(r.Rows), "row"))
	for _, row := range r.Rows {
		permit := ""
		if row.Permit {
			permit = "  permit"
		}
		fmt.Fprintf(w, "\n%s  %s  updated %s%s\n", a.style.bold(fmt.Sprintf("uid %d", row.UID)), row.Hotkey, block(uint32(row.LastUpdate)), permit)
		if len(row.Weights) == 0 {
			fmt.Fprintf(w, "  no weights\n")
			continue
		}
		words := make([]string, len(row.Weights))
		for i, x := range row.Weights {
			words[i] = fmt.Sprintf("%d:%d", x[0], x[1])
		}
		fmt.Fprint(w, wrap(strings.Join(words, " "), "  "))
	}
}
