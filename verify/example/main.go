// Example checks bundles and single facts about the Bittensor chain from files, offline.
//
//	example bundle ROOT FILE…
//	example KIND FILE…
//
// ROOT is the checkpoint or chain spec file that bundles are judged from, or - for the one that is
// compiled in for their network. KIND is a kind of fact, as header, justification, proof or timelock;
// a FILE then holds a JSON object, a list or JSON lines with the fields of package fact (the captures
// in verify/fact/testdata are such files):
//
//	go run ./verify/example proof verify/fact/testdata/finney-8867448-aura-readproof.json
//	go run ./verify/example justification verify/fact/testdata/testnet-5534451-grandpa-justification.json
//
// It prints a line for each step, claim or fact and ends with 0 if all are proven, 3 if one failed, 7
// if one is not decided by what the file holds, 2 if it was called wrongly and 1 if a file cannot be
// read.
//
// It is here to show how little a program needs that only verifies: it links package verify and
// nothing else of taolight, no network, no store, and stays under 4 MB.
package main

import (
	"fmt"
	"os"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/fact"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: example bundle ROOT FILE… | example KIND FILE…")
		for _, k := range fact.Kinds() {
			fmt.Fprintf(os.Stderr, "  %-14s %s\n", k.Name, k.Input)
		}
		return 2
	}
	kind, files := args[0], args[1:]
	judge := func(b []byte) (fact.Outcome, error) { return facts(kind, b) }
	if kind == "bundle" {
		root, err := readRoot(args[1])
		if err != nil {
			fmt.Fprintln(os.Stderr, "example:", err)
			return 2
		}
		files, judge = args[2:], func(b []byte) (fact.Outcome, error) { return proofs(root, b) }
	} else if err := fact.CheckKind(kind); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		return 2
	}
	worst := fact.OK
	for _, name := range files {
		b, err := read(name, fact.MaxInput)
		outcome := fact.Undecided
		if err == nil {
			if outcome, err = judge(b); err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "example:", err)
			return 1
		}
		worst = fact.Worse(worst, outcome)
	}
	return worst.ExitCode()
}

// read reads a file of at most limit bytes.
func read(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s: %d bytes, at most %d allowed", name, info.Size(), limit)
	}
	return os.ReadFile(name)
}

// facts prints a verdict for each fact and returns the worst.
func facts(kind string, b []byte) (fact.Outcome, error) {
	list, err := fact.Split(b)
	if err != nil {
		return fact.Undecided, err
	}
	worst := fact.OK
	for _, f := range list {
		v := fact.Check(kind, f, fact.Options{})
		fmt.Println(v)
		worst = fact.Worse(worst, v.Outcome)
	}
	return worst, nil
}

// readRoot reads what bundles are judged from; nil is what is compiled in.
func readRoot(name string) (*checkpoint.Checkpoint, error) {
	if name == "-" {
		return nil, nil
	}
	b, err := read(name, checkpoint.MaxSize)
	if err != nil {
		return nil, err
	}
	return checkpoint.Parse(b)
}

// proofs prints the verdict on a bundle.
func proofs(root *checkpoint.Checkpoint, b []byte) (fact.Outcome, error) {
	_, report := bundle.Judge(b, func(genesis verify.Hash) bundle.Options {
		if n, err := checkpoint.ByGenesis(genesis); root == nil && err == nil {
			return bundle.Options{Checkpoint: n.Checkpoint}
		}
		return bundle.Options{Checkpoint: root}
	})
	fmt.Print(report)
	return report.Outcome, nil
}
