package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/verify/epoch"
)

func (a *app) yumaCommand() *cobra.Command {
	var q control.YumaQuestion
	var at uint32
	var uid uint16
	var svg string
	var byRuntime bool
	cmd := a.reader(&cobra.Command{
		Use:   "yuma NETUID",
		Short: "recompute the last epoch from proven state, compare cell by cell",
		Long: `Recomputes Yuma Consensus for an epoch of a subnet, from the proven state before its
block, bit for bit as the runtime does, and compares each array that the chain stored.
What differs is named by uid, with the first step of the computation that nothing else
confirms. Peers keep the states of 256 blocks: an older epoch takes an archive peer, or a
node that has kept it (taolight run --watch).

--by-runtime knows no rules: it executes the chain's own code on the state before the
block, proven, and compares what that stores. It works for any spec_version, and finds
a chain that did not do as its code says, not a code that is wrong.

Ends with 3 when the chain's values differ from the computed ones, with 7 when it
cannot be decided: pruned states, rules that were not audited, a block that did more.`,
		Example: `  taolight yuma 18
  taolight yuma 18 --explain 37
  taolight yuma 18 --svg sn18.svg
  taolight yuma 18 --by-runtime`,
		Args: oneSubnet,
		RunE: a.do(func(cmd *cobra.Command, args []string) (err error) {
			if q.Netuid, err = parseNetuid(args[0]); err != nil {
				return err
			}
			if cmd.Flags().Changed("epoch") {
				q.Block = &at
			}
			if cmd.Flags().Changed("explain") {
				q.Explain = &uid
			}
			if err := checkAssumed(q.AssumeRules); err != nil {
				return err
			}
			if byRuntime {
				if svg != "" || q.Explain != nil || q.AssumeRules != 0 {
					return usage("yuma: --by-runtime has no steps to show, to draw or to assume rules of")
				}
				return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
					return a.reexecute(a.telling(ctx), who, control.ReexecuteQuestion{Netuid: q.Netuid, Block: q.Block})
				})
			}
			if err := checkOut(svg); err != nil {
				return err
			}
			q.Matrices = svg != ""
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				y, err := who.Yuma(a.telling(ctx), q)
				if err != nil {
					return err
				}
				if svg != "" {
					if err := a.writeOut(svg, yumaSVG(y)); err != nil {
						return err
					}
				}
				switch {
				case svg == "-":
				case a.json:
					err = printJSON(a.stdout, y)
				default:
					a.printYuma(a.stdout, y)
				}
				switch {
				case err != nil:
					return err
				case y.Finding == epoch.Differs.String():
					return quiet(control.Unproven)
				case y.Finding != epoch.Equal.String():
					return quiet(control.Undecided)
				}
				return nil
			})
		}),
	})
	f := cmd.Flags()
	f.Uint32Var(&at, "epoch", 0, "block of the epoch (default the last that ran)")
	f.Uint16Var(&uid, "explain", 0, "show each step of the computation for this uid")
	f.BoolVar(&byRuntime, "by-runtime", false, "by the chain's own code, executed on proofs, in place of the rules known here")
	f.StringVar(&svg, "svg", "", "also draw weights, consensus and bonds into this file; - for stdout alone")
	assumeFlag(cmd, &q.AssumeRules)
	return cmd
}

func (a *app) printYuma(w io.Writer, y *control.Yuma) {
	joined := ""
	if y.Joined {
		joined = "   joined for this question"
	}
	fmt.Fprintf(w, "%s   epoch of %s   rules of %s\n", a.style.bold(networkName(y.Network, y.Demo)+" "+subnetName(y.Netuid, 0)), block(uint32(y.Block)), y.Rules)
	fmt.Fprintf(w, "from the states of %s and %s (%s)%s\n", block(y.Before.Number), block(y.After.Number), y.After.Trust, joined)
	if y.Ahead > 0 {
		fmt.Fprintf(w, "the chain's spec is %d ahead of the newest that was audited\n", y.Ahead)
	}
	fmt.Fprintf(w, "%s, %s rao to hand out, %s opened first\n\n", count(y.Neurons, "neuron"), group(y.Rao), count(y.Reveals, "commitment"))
	a.printArrays(w, y.Arrays, "computed")
	if len(y.Excluded) > 0 {
		fmt.Fprintf(w, "left out, registered in the block after its epoch: uids %v\n", y.Excluded)
	}
	for i, s := range y.Explain {
		switch several := y.Explain[len(y.Explain)-1].Mecid > 0; {
		case several && (i == 0 || y.Explain[i-1].Mecid != s.Mecid):
			fmt.Fprintf(w, "\n%s\n", a.style.bold(fmt.Sprintf("mechanism %d", s.Mecid)))
		case i == 0:
			fmt.Fprintln(w)
		}
		if s.Raw != nil {
			fmt.Fprintf(w, "%-29s %s\n", s.Name, fixed(*s.Raw))
			continue
		}
		if len(s.Row) == 0 {
			fmt.Fprintf(w, "%-29s none\n", s.Name)
			continue
		}
		words := make([]string, len(s.Row))
		for i, c := range s.Row {
			words[i] = fmt.Sprintf("%d:%s", c[0], fixed(c[1]))
		}
		fmt.Fprintf(w, "%s\n%s", s.Name, wrap(strings.Join(words, " "), "    "))
	}
	fmt.Fprintf(w, "\nverdict: %s\n", y.Finding)
}

// reexecute shows an epoch beside what the chain's own code makes of it.
func (a *app) reexecute(ctx context.Context, who control.Answerer, q control.ReexecuteQuestion) error {
	r, err := who.Reexecute(ctx, q)
	if err != nil {
		return err
	}
	if a.json {
		err = printJSON(a.stdout, r)
	} else {
		a.printReexecuted(a.stdout, r)
	}
	if err == nil && r.Finding != epoch.Equal.String() {
		return quiet(control.Unproven)
	}
	return err
}

func (a *app) printReexecuted(w io.Writer, r *control.Reexecuted) {
	joined := ""
	if r.Joined {
		joined = "   joined for this question"
	}
	fmt.Fprintf(w, "%s   epoch of %s   by the runtime itself\n", a.style.bold(networkName(r.Network, r.Demo)+" "+subnetName(r.Netuid, 0)), block(r.Block))
	fmt.Fprintf(w, "code %s, spec %d, executed on the state of %s (%s)\n", short(r.CodeHash), r.Spec, block(r.Before.Number), r.Before.Trust)
	fmt.Fprintf(w, "%s of proof, %s read beside it; compared with the state of %s%s\n\n", size(uint64(r.Proof)), count(r.OnDemand, "key"), block(r.After.Number), joined)
	a.printArrays(w, r.Arrays, "by the code")
	if len(r.Excluded) > 0 {
		fmt.Fprintf(w, "left out, registered in the block after its epoch: uids %v\n", r.Excluded)
	}
	fmt.Fprintf(w, "\nverdict: %s\n", r.Finding)
}

// printArrays prints what was found of each array.
func (a *app) printArrays(w io.Writer, arrays []control.YumaArray, how string) {
	for _, r := range arrays {
		name := r.Name
		if r.Mecid != nil && *r.Mecid > 0 {
			name += fmt.Sprintf(" of mechanism %d", *r.Mecid)
		}
		word := r.Finding
		switch r.Finding {
		case epoch.Equal.String():
			word = a.style.good(word)
		case epoch.Differs.String():
			word = a.style.bad(word)
		}
		fmt.Fprintf(w, "%-28s %s", name, word)
		if r.Count > 0 {
			fmt.Fprintf(w, " in %s", count(r.Count, "cell"))
		}
		fmt.Fprintln(w)
		if r.Why != "" {
			fmt.Fprint(w, wrap(printable(r.Why), "    "))
		}
		for _, c := range r.Cells {
			target := ""
			if c.Target != nil {
				target = fmt.Sprintf(" in uid %d", *c.Target)
			}
			step := ""
			if c.Step != "" {
				step = "; first unconfirmed: " + c.Step
			}
			text := fmt.Sprintf("uid %d%s: %s on chain, %s %s%s", c.UID, target, c.Chain, c.Ours, how, step)
			fmt.Fprint(w, "    ", strings.TrimPrefix(wrap(text, "      "), "      "))
		}
	}
}

// fixed writes a raw I32F32 with the nine digits that its 32 fractional bits are worth, cut.
func fixed(raw int64) string {
	sign := ""
	u := uint64(raw)
	if raw < 0 {
		sign, u = "-", -u
	}
	return fmt.Sprintf("%s%d.%09d", sign, u>>32, (u&(1<<32-1))*1_000_000_000>>32)
}
