package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/control"
)

func (a *app) governanceCommand() *cobra.Command {
	var q control.GovernanceQuestion
	var at uint32
	cmd := a.reader(&cobra.Command{
		Use:   "governance",
		Short: "who governs the chain, and what is under way",
		Long: `Shows what the chain's own metadata has of governance, each entry proven at one block:
the sudo key, safe mode, calls that are scheduled or wait for signatures, proxies, and any
pallet with members, proposals, votes or referenda. What the runtime has no pallet for is
named too. That an item has no entries is proven as well.`,
		Args: cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			if q.Limit < 1 {
				return usage("governance: --limit %d: want 1 or more", q.Limit)
			}
			if cmd.Flags().Changed("at") {
				q.At = &at
			}
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				g, err := who.Governance(a.telling(ctx), q)
				if err != nil {
					return err
				}
				if a.json {
					return printJSON(a.stdout, g)
				}
				a.printGovernance(g)
				return nil
			})
		}),
	})
	cmd.Flags().Uint32Var(&at, "at", 0, "block to read it at (default the finalized head)")
	cmd.Flags().IntVar(&q.Limit, "limit", control.DefaultGovernance, "entries of one item to list")
	return cmd
}

// maxShown is how much of an entry a screen shows, in characters.
const maxShown = 300

func (a *app) printGovernance(g *control.Governance) {
	joined := ""
	if g.Joined {
		joined = ", joined for this question"
	}
	fmt.Fprintf(a.stdout, "%s   %s %s %s\nruntime  spec %d; %s%s\n", a.style.bold(networkName(g.Network, g.Demo)), g.Trust, block(g.Number), short(g.Hash),
		g.Spec, count(g.Nodes, "node")+" of proof", joined)
	for _, p := range g.Parts {
		title := p.Name + " (" + p.Pallet + ")"
		if len(p.Entries) == 0 {
			fmt.Fprintf(a.stdout, "\n%s   none, which is proven\n", a.style.bold(printable(title)))
			continue
		}
		fmt.Fprintf(a.stdout, "\n%s\n", a.style.bold(printable(title)))
		for _, e := range p.Entries {
			_, item, _ := strings.Cut(e.Item, ".")
			text := e.Text
			if len(e.Calls) > 0 {
				text = strings.Join(e.Calls, "; ")
			}
			text = printable(strings.TrimSpace(item+" "+e.Key) + ": " + text)
			if r := []rune(text); len(r) > maxShown { // all of it is in --json
				text = string(r[:maxShown]) + "…"
			}
			fmt.Fprint(a.stdout, wrap(text, "  "))
		}
		for _, m := range p.More {
			fmt.Fprintf(a.stdout, "  %s\n", printable(m))
		}
	}
	if len(g.Lacks) > 0 {
		fmt.Fprintln(a.stdout)
		fmt.Fprintln(a.stdout, a.style.bold("no pallet of this runtime is for"))
		fmt.Fprint(a.stdout, wrap(strings.Join(g.Lacks, ", "), "  "))
	}
}
