package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/item"
	"github.com/taolight/taolight/verify"
)

// A question is one key that get asks for.
type question struct {
	name string     // as it is shown
	item *item.Item // nil for a raw key
	key  []byte
}

func (a *app) getCommand() *cobra.Command {
	var list strings.Builder
	for _, it := range item.All() {
		fmt.Fprintf(&list, "\n  %-34s %s", strings.TrimSpace(it.String()+" "+it.Arg), it.Says)
	}
	return a.reader(&cobra.Command{
		Use:   "get KEY|PALLET.ITEM [ARGUMENT]…",
		Short: "storage values at the finalized block, each proven",
		Long: `Reads storage at the finalized block from several peers and verifies it against the
block's state root. Several keys at once are of one block. A raw key is hex; known
items are decoded:
` + list.String() + `

ADDRESS is an SS58 address or 32 bytes of hex. With --json the answer carries the
proof, as taolight verify --kind proof reads it.

Ends with 7 when a key stays undecided: no peer gave a complete proof.`,
		Example: `  taolight get Timestamp.Now Drand.LastStoredRound
  taolight get System.Account 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY
  taolight get 0x26aa394eea5630e07c48ae0c9558cef702a5c1b19ab7a04f536c519aca4983ac`,
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			questions, err := parseQuestions(args)
			if err != nil {
				return err
			}
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				return a.get(ctx, who, questions)
			})
		}),
	})
}

func parseQuestions(args []string) ([]question, error) {
	if len(args) == 0 {
		return nil, usage("get: no key given").WithHint("taolight get --help lists the items that have names")
	}
	var out []question
	for len(args) > 0 {
		name := args[0]
		args = args[1:]
		if !strings.Contains(name, ".") {
			key, err := verify.ParseHex(name)
			if err != nil || len(key) == 0 {
				return nil, usage("get: %q is neither a key in hex nor PALLET.ITEM", printable(name))
			}
			out = append(out, question{name: "0x" + hex.EncodeToString(key), key: key})
			continue
		}
		it, err := item.Find(name)
		if err != nil {
			pallet, rest, _ := strings.Cut(name, ".")
			return nil, usage("get: %w", err).
				WithHint("taolight get --help lists those with names; a plain value of this name has the key 0x%x", verify.StorageKey(pallet, rest))
		}
		arg := ""
		if it.Arg != "" && len(args) > 0 {
			arg, args = args[0], args[1:]
		}
		key, err := it.Key(arg)
		if err != nil {
			return nil, usage("get: %w", err)
		}
		out = append(out, question{name: strings.TrimSpace(it.String() + " " + arg), item: it, key: key})
	}
	return out, nil
}

func (a *app) get(ctx context.Context, who control.Answerer, questions []question) error {
	keys := make([][]byte, len(questions))
	for i, q := range questions {
		keys[i] = q.key
	}
	r, err := who.Read(ctx, keys)
	if err != nil {
		return err
	}
	if len(r.Items) != len(questions) {
		return fmt.Errorf("%w: %d values for %d keys", control.ErrProtocol, len(r.Items), len(questions))
	}
	for i, q := range questions {
		v := &r.Items[i]
		if q.item == nil {
			continue
		}
		v.Name = q.name
		if value, err := verify.ParseHex(v.Value); v.Outcome == "present" && err == nil {
			if d, err := q.item.Decode(value); err == nil {
				v.Decoded = d.JSON
			}
		}
	}
	if a.json {
		err = printJSON(a.stdout, r)
	} else {
		a.printReading(a.stdout, r, questions)
	}
	if err == nil && r.Error != "" {
		return control.Errorf(control.Undecided, "%s", r.Error).WithHint(control.AskAgain)
	}
	return err
}

func (a *app) printReading(w io.Writer, r *control.Reading, questions []question) {
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
	for i, v := range r.Items {
		fmt.Fprintf(w, "\n%s\n", a.style.bold(questions[i].name))
		switch v.Outcome {
		case "present":
			fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(shown(questions[i].item, v.Value), "\n", "\n  "))
		case "absent":
			fmt.Fprintln(w, "  absent, which is proven")
		default:
			fmt.Fprintln(w, "  not known: no peer gave a complete proof")
		}
	}
}

// shown returns a value in words, or as it is.
func shown(it *item.Item, text string) string {
	value, err := verify.ParseHex(text)
	if it == nil || err != nil {
		return text
	}
	d, err := it.Decode(value)
	if err != nil {
		return fmt.Sprintf("%s\nnot decoded: %v", text, err)
	}
	return d.Text
}
