package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/fact"
)

func (a *app) verifyCommand() *cobra.Command {
	var kind, network string
	var j judge
	var inputs strings.Builder
	for _, k := range fact.Kinds() {
		fmt.Fprintf(&inputs, "\n  %s\n%s", k.Name, wrap(k.Input, "      "))
	}
	cmd := &cobra.Command{
		Use:     "verify FILE…",
		GroupID: "file",
		Short:   "judge bundles and facts in files: no network, no data, no clock",
		Long: `Judges bundles (taolight bundle make writes them), one line for each step and each
claim, from the compiled-in checkpoint of their network or from --checkpoint FILE.
With --kind, judges facts instead: a file holds a JSON object, a list of them, or one
after the other. - is stdin.

Nothing but the arguments is read: no settings, no data directory, no network, no
clock. Results that a fact states are compared; hex is taken with or without 0x.

Where the chain runs a runtime whose rules were not audited, claims that rest on them
are undecided; --assume-rules SPEC judges by those of SPEC, and says so in each line.

Kinds and their fields:
` + inputs.String() + `
Ends with 0 when all are proven, 3 when one failed, 7 when one is undecided, 1 when
a file cannot be read.`,
		Example: `  taolight verify sn18.tlb
  taolight verify --checkpoint demo.json demo.tlb
  taolight verify --kind header headers.json
  taolight get Timestamp.Now --json | taolight verify --kind proof -`,
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("verify: no file given").WithHint("- reads stdin")
			}
			if kind == "" {
				if network != "" {
					return usage("verify: --network is for --kind: a bundle names its own")
				}
				if err := j.read(cmd.Context()); err != nil {
					return err
				}
				return a.verifyBundles(&j, args)
			}
			if err := fact.CheckKind(kind); err != nil {
				return usage("verify: %w", err)
			}
			if j.file != "" || j.assume != 0 || j.code != nil {
				return usage("verify: --checkpoint, --assume-rules and --code are for bundles: a fact brings its own")
			}
			if network != "" {
				if _, err := checkpoint.ByName(network); err != nil {
					return usage("--network: %w", err)
				}
			}
			return a.verify(kind, network, args)
		}),
	}
	cmd.Flags().StringVar(&kind, "kind", "", "judge facts of a kind: "+strings.Join(kindNames(), ", "))
	cmd.Flags().StringVar(&network, "network", "", "network of facts that name none (default finney)")
	j.register(cmd)
	a.jsonFlag(cmd)
	return cmd
}

// verify judges the facts of all files. See ending.
func (a *app) verify(kind, network string, files []string) error {
	worst := fact.OK
	unread := false
	for _, name := range files {
		b, err := a.readBytes(name, fact.MaxInput)
		if err != nil {
			a.complain(err)
			unread = true
			continue
		}
		facts, err := fact.Split(b)
		if err != nil {
			// What cannot be read as facts proves none.
			facts = nil
			v := fact.Verdict{Kind: kind, Outcome: fact.Failed, Reason: "input: " + printable(err.Error()), Err: err}
			if err := a.printVerdict(name, 0, &v, len(files)); err != nil {
				return err
			}
			worst = fact.Worse(worst, v.Outcome)
		}
		for i, f := range facts {
			v := fact.Check(kind, f, fact.Options{Network: network})
			if err := a.printVerdict(name, i+1, &v, len(files)); err != nil {
				return err
			}
			worst = fact.Worse(worst, v.Outcome)
		}
	}
	return ending(worst, unread)
}

// ending is how a command ends that has judged several files: a failed proof says most, then a file that
// could not be read, then what is undecided.
func ending(worst fact.Outcome, unread bool) error {
	switch {
	case worst == fact.Failed:
		return quiet(control.Unproven)
	case unread:
		return quiet(control.Failure)
	case worst == fact.Undecided:
		return quiet(control.Undecided)
	}
	return nil
}

func (a *app) printVerdict(file string, n int, v *fact.Verdict, files int) error {
	if !a.json {
		if files > 1 {
			fmt.Fprintf(a.stdout, "%s: ", printable(file))
		}
		_, err := fmt.Fprintln(a.stdout, v.String())
		return err
	}
	// The verdict's own members follow ours, in their order.
	own, err := json.Marshal(struct {
		Schema int    `json:"schema"`
		File   string `json:"file"`
		Fact   int    `json:"fact"` // counted from 1; 0 if the file as a whole is meant
	}{1, file, n})
	if err != nil {
		return err
	}
	rest, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s,%s\n", own[:len(own)-1], rest[1:])
	return err
}
