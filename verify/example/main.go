// Example checks facts about the Bittensor chain from a file, offline: a header's seal, a GRANDPA
// justification, a warp proof, a storage proof, a block's extrinsics.
//
//	example KIND FILE…
//
// KIND is header, justification, warp, proof or extrinsics; a FILE holds a JSON object, a list or
// JSON lines with the fields of package fact (the captures in verify/fact/testdata are such files):
//
//	go run ./verify/example proof verify/fact/testdata/finney-8867448-aura-readproof.json
//	go run ./verify/example justification verify/fact/testdata/testnet-5534451-grandpa-justification.json
//
// It prints a line for each fact and ends with 0 if all are proven, 3 if one failed, 7 if one is
// not decided by what the file holds, 2 if it was called wrongly and 1 if a file cannot be read.
//
// It is here to show how little a program needs that only verifies: it links package verify and
// nothing else of taolight, no network, no store, and stays under 4 MB.
package main

import (
	"fmt"
	"os"

	"github.com/taolight/taolight/verify/fact"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: example KIND FILE…")
		for _, k := range fact.Kinds() {
			fmt.Fprintf(os.Stderr, "  %-14s %s\n", k.Name, k.Input)
		}
		return 2
	}
	kind := args[0]
	if err := fact.CheckKind(kind); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		return 2
	}
	worst := fact.OK
	for _, name := range args[1:] {
		outcome, err := check(kind, name)
		if err != nil {
			fmt.Fprintln(os.Stderr, "example:", err)
			return 1
		}
		worst = fact.Worse(worst, outcome)
	}
	return worst.ExitCode()
}

// check prints a verdict for each fact in a file and returns the worst.
func check(kind, name string) (fact.Outcome, error) {
	info, err := os.Stat(name)
	if err != nil {
		return fact.Undecided, err
	}
	if info.Size() > fact.MaxInput {
		return fact.Undecided, fmt.Errorf("%s: %d bytes, at most %d allowed", name, info.Size(), fact.MaxInput)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return fact.Undecided, err
	}
	facts, err := fact.Split(b)
	if err != nil {
		return fact.Undecided, fmt.Errorf("%s: %w", name, err)
	}
	worst := fact.OK
	for _, f := range facts {
		v := fact.Check(kind, f, fact.Options{})
		fmt.Println(v)
		worst = fact.Worse(worst, v.Outcome)
	}
	return worst, nil
}
