package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/item"
	"github.com/taolight/taolight/verify"
)

func (a *app) getCommand() *cobra.Command {
	var list strings.Builder
	for _, it := range item.All() {
		fmt.Fprintf(&list, "\n  %-34s %s", strings.TrimSpace(it.String()+" "+it.Arg), it.Says)
	}
	var q control.GetQuestion
	var at uint32
	cmd := a.reader(&cobra.Command{
		Use:   "get KEY|PALLET.ITEM [ARGUMENT]…",
		Short: "storage values at the finalized block, each proven",
		Long: `Reads storage at the finalized block from several peers and verifies it against the
block's state root. Several keys at once are of one block. A raw key is hex. Items are
found and decoded by the metadata of the chain's own runtime, which is fetched once and
proven; a map with fewer arguments than its keys have parts lists its entries. Without
a runtime at hand, these are known:
` + list.String() + `

ARGUMENTs are numbers, SS58 addresses, hex, text or JSON, as the key takes them. With
--json the answer carries the proof, as taolight verify --kind proof reads it.

Ends with 7 when a key stays undecided: no peer gave a complete proof.`,
		Example: `  taolight get Timestamp.Now Drand.LastStoredRound
  taolight get System.Account 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY
  taolight get SubtensorModule.Tempo --limit 200
  taolight get 0x26aa394eea5630e07c48ae0c9558cef702a5c1b19ab7a04f536c519aca4983ac`,
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			if err := checkWords("get", args); err != nil {
				return err
			}
			if q.Limit < 1 {
				return usage("get: --limit %d: want 1 or more", q.Limit)
			}
			if q.Words = args; cmd.Flags().Changed("at") {
				q.At = &at
			}
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				return a.get(ctx, who, q)
			})
		}),
	})
	cmd.Flags().Uint32Var(&at, "at", 0, "block to read it at (default the finalized head)")
	cmd.Flags().IntVar(&q.Limit, "limit", control.DefaultEntries, "entries of a map to list")
	return cmd
}

// checkWords finds what is wrong with keys before anybody is asked.
func checkWords(command string, words []string) error {
	if len(words) == 0 {
		return usage("%s: no key given", command).WithHint("taolight get --help lists some items that have names")
	}
	more := func() bool { return len(words) > 0 && !strings.Contains(words[0], ".") }
	for len(words) > 0 {
		name := words[0]
		words = words[1:]
		if !strings.Contains(name, ".") {
			if b, err := verify.ParseHex(name); err != nil || len(b) == 0 {
				return usage("%s: %q is neither a key in hex nor PALLET.ITEM", command, printable(name))
			}
			continue
		}
		it, err := item.Find(name)
		if err != nil {
			for more() { // how many words are its own, the chain's metadata tells
				words = words[1:]
			}
		} else if it.Arg != "" && more() {
			if _, err := it.Key(words[0]); err != nil {
				return usage("%s: %w", command, err)
			}
			words = words[1:]
		}
	}
	return nil
}

func (a *app) get(ctx context.Context, who control.Answerer, q control.GetQuestion) error {
	r, err := who.Get(a.telling(ctx), q)
	if err != nil {
		return err
	}
	if a.json {
		err = printJSON(a.stdout, r)
	} else {
		a.printReading(a.stdout, r)
	}
	if err == nil && r.Error != "" {
		return control.Errorf(control.Undecided, "%s", r.Error).WithHint(control.AskAgain)
	}
	return err
}

func (a *app) printReading(w io.Writer, r *control.Reading) {
	bytes := 0
	for _, node := range r.Proof {
		bytes += (len(node) - 2) / 2
	}
	joined := ""
	if r.Joined {
		joined = ", joined for this question"
	}
	fmt.Fprintf(w, "%s   %s %s %s\nproof    %s, %s, from %s%s\n", a.style.bold(networkName(r.Network, r.Demo)), r.Trust, block(r.Number),
		short(r.Hash), count(len(r.Proof), "node"), size(uint64(bytes)), count(r.Peers, "peer"), joined)
	if r.Layout != "" {
		fmt.Fprintf(w, "layout   %s\n", r.Layout)
	}
	for _, v := range r.Items {
		name := v.Name
		if name == "" {
			name = v.Key
		}
		fmt.Fprintf(w, "\n%s\n", a.style.bold(printable(name)))
		text := v.Text
		switch {
		case text != "":
		case v.Outcome == "present":
			text = v.Value
		case v.Outcome == "absent":
			text = "absent, which is proven"
		default:
			text = "not known: no peer gave a complete proof"
		}
		for _, line := range strings.Split(text, "\n") {
			fmt.Fprintf(w, "  %s\n", printable(line))
		}
	}
	for i, note := range r.Notes {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s\n", printable(note))
	}
}
