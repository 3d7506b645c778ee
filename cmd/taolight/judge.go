package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/storage"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/rules"
)

// A judge is what bundles are judged by. Nothing of it ever comes from a bundle.
type judge struct {
	file   string // --checkpoint
	given  *checkpoint.Checkpoint
	assume uint32
	code   []string // --code
	codes  [][]byte
	run    bundle.Executor
}

func (j *judge) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&j.file, "checkpoint", "", "trust this checkpoint or chain spec file, and its drand key, for bundles")
	assumeFlag(cmd, &j.assume)
	cmd.Flags().StringArrayVar(&j.code, "code", nil, "runtime of the chain, for bundles of calls that have only its hash\n(taolight runtime export writes it)")
}

// assumeFlag adds the flag that takes the rules of one runtime for another's.
func assumeFlag(cmd *cobra.Command, to *uint32) {
	cmd.Flags().Uint32Var(to, "assume-rules", 0, fmt.Sprintf("spec_version whose rules to take where the chain's own were not audited\n(those of %d to %d were)", rules.Floor, rules.Ceiling))
}

// checkAssumed refuses rules that nobody has audited.
func checkAssumed(spec uint32) error {
	if spec == 0 {
		return nil
	}
	if _, err := rules.For(spec); err != nil {
		return usage("--assume-rules: %w", err)
	}
	return nil
}

// read reads the checkpoint and the runtimes that were given.
func (j *judge) read(ctx context.Context) (err error) {
	if err := checkAssumed(j.assume); err != nil {
		return err
	}
	for _, name := range j.code {
		b, err := readBounded(name, storage.MaxCode)
		if err != nil {
			return usage("--code: %w", err)
		}
		j.codes = append(j.codes, b)
	}
	if j.run, err = executor(ctx); err != nil || j.file == "" {
		return err
	}
	b, err := readBounded(j.file, checkpoint.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s: no such file", j.file)
	}
	if err != nil {
		return usage("--checkpoint: %w", err)
	}
	if j.given, err = checkpoint.Parse(b); err != nil {
		return usage("--checkpoint %s: %w", j.file, err)
	}
	if j.given.Genesis.IsZero() {
		return usage("--checkpoint %s: it does not say of which network it is", j.file)
	}
	return nil
}

// options returns what a bundle of a network is judged by.
func (j *judge) options(genesis verify.Hash) bundle.Options {
	o := bundle.Options{Checkpoint: j.given, AssumeRules: j.assume, Executor: j.run, Codes: j.codes}
	if o.Checkpoint == nil {
		if n, err := checkpoint.ByGenesis(genesis); err == nil {
			o.Checkpoint = n.Checkpoint
		}
	}
	if o.Checkpoint != nil {
		o.Beacon = o.Checkpoint.Beacon()
	}
	return o
}

// networkOf names the network of a bundle, as far as its genesis is known.
func (j *judge) networkOf(x *bundle.Bundle) string {
	if n, err := checkpoint.ByGenesis(x.Genesis); err == nil {
		return n.Name
	}
	if j.given != nil && j.given.Genesis == x.Genesis {
		return printable(networkName(j.given.Network, j.given.Network == demoSpecID))
	}
	return "unknown network"
}

// verifyBundles judges the bundles of all files. The worst outcome is the end, as for facts.
func (a *app) verifyBundles(j *judge, files []string) error {
	worst := fact.OK
	unread := false
	for i, name := range files {
		b, err := a.readBytes(name, bundle.MaxSize)
		if err != nil {
			a.complain(err)
			unread = true
			continue
		}
		if len(b) > 0 && (b[0] == '{' || b[0] == '[') {
			return usage("verify: %s is JSON and no bundle: --kind is missing", fileName(name)).WithHint("it is one of %s", strings.Join(kindNames(), ", "))
		}
		x, r := bundle.Judge(b, j.options)
		worst = fact.Worse(worst, r.Outcome)
		if a.json {
			if err := a.printReportJSON(name, len(b), x, r); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		fmt.Fprintf(a.stdout, "%s  %s\n", a.style.bold(fileName(name)), j.title(x, len(b)))
		for _, l := range r.Lines {
			text := l.String()
			switch l.Outcome {
			case fact.OK:
				text = a.style.good(text[:2]) + text[2:]
			case fact.Failed:
				text = a.style.bad(text[:4]) + text[4:]
			}
			fmt.Fprintf(a.stdout, "  %s\n", text)
		}
		fmt.Fprintf(a.stdout, "verdict: %s\n", r.Verdict())
	}
	return ending(worst, unread)
}

// title says what a file is, without a verdict.
func (j *judge) title(x *bundle.Bundle, size int) string {
	if x == nil {
		return count(size, "byte")
	}
	return fmt.Sprintf("bundle v%d  %s %s  %s", bundle.Version, j.networkOf(x), x.Genesis.Short(), count(size, "byte"))
}

// printReportJSON prints a verdict as one line: ours first, then the report's own members.
func (a *app) printReportJSON(name string, size int, x *bundle.Bundle, r *bundle.Report) error {
	head := struct {
		Schema  int    `json:"schema"`
		File    string `json:"file"`
		Bytes   int    `json:"bytes"`
		Version int    `json:"bundle,omitempty"`
		Genesis string `json:"genesis,omitempty"`
	}{Schema: 1, File: name, Bytes: size}
	if x != nil {
		head.Version, head.Genesis = bundle.Version, x.Genesis.String()
	}
	own, err := json.Marshal(head)
	if err != nil {
		return err
	}
	rest, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s,%s\n", own[:len(own)-1], rest[1:])
	return err
}

func kindNames() []string {
	var names []string
	for _, k := range fact.Kinds() {
		names = append(names, k.Name)
	}
	return names
}

func fileName(name string) string {
	if name == "-" {
		return "stdin"
	}
	return printable(name)
}
