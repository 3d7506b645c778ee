// Command bench prints what taolight costs beside what it may cost.
//
// It promises that a time is never printed alone: it is a ratio to something everybody knows (one
// signature check of the standard library, one plain hash of the same bytes, another library's
// answer to the same question), taken in the same run, in turns, the best of many rounds each. So
// the figures mean the same on a Raspberry Pi and on a noisy server. Sizes and allocations are
// printed as they are.
//
// It is a module of its own, so that the rivals it measures against never enter taolight's go.mod.
// It never reaches out: everything it measures it makes, from fixed seeds.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A row is one line of the table.
type row struct {
	figure   string
	budget   string
	measured string
	ok       bool
}

// sections measure one thing each.
var sections = []struct {
	name string
	run  func() ([]row, error)
}{
	{"crypto", crypto},
	{"header", headers},
	{"trie", proofs},
	{"pairing", pairings},
	{"yuma", computations},
	{"bundle", bundles},
	{"runtime", executed},
	{"localnet", localnets},
	{"rpc", served},
	{"axon", axons},
	{"validator", validations},
	{"size", sizes},
	{"node", node},
	{"levels", levels},
	{"lossy", lossy},
	{"village", village},
	{"windows", windows},
}

// apart are the sections that run only when they are named: each takes five minutes and more.
var apart = []string{"levels", "lossy", "village", "windows"}

func main() {
	if engine := os.Getenv(childEnv); engine != "" {
		localnetChild(engine)
		return
	}
	if step := os.Getenv(runtimeStep); step != "" {
		if err := measureRuntime(step); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	strict := flag.Bool("strict", false, "exit 1 if a figure is over its budget")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: bench [-strict] [SECTION…]\nsections: %s\n", strings.Join(names, " "))
	}
	flag.Parse()
	for _, a := range flag.Args() {
		if !slices.Contains(names, a) {
			fmt.Fprintf(os.Stderr, "bench: no section %q; there are %s\n", a, strings.Join(names, ", "))
			os.Exit(2)
		}
	}
	over, err := run(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if over > 0 && *strict {
		os.Exit(1)
	}
}

// run prints the rows of the named sections, of all if none is named, and returns how many figures
// are over their budget.
func run(names []string) (over int, err error) {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "figure\tbudget\tmeasured\tok")
	for _, s := range sections {
		if len(names) > 0 && !slices.Contains(names, s.name) || len(names) == 0 && slices.Contains(apart, s.name) {
			continue
		}
		rows, err := s.run()
		if err != nil {
			w.Flush()
			return over, fmt.Errorf("%s: %w", s.name, err)
		}
		for _, r := range rows {
			ok := "yes"
			if !r.ok {
				ok = "NO"
				over++
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.figure, r.budget, r.measured, ok)
		}
	}
	return over, w.Flush()
}

// race runs each function in turns and returns the best time one call of each took. Taking turns
// lets whatever else the machine does disturb all of them alike; the best of many rounds is the one
// it disturbed least.
func race(fs ...func()) []time.Duration {
	const rounds, slice = 25, 20 * time.Millisecond
	best := make([]time.Duration, len(fs))
	calls := make([]int, len(fs))
	for i, f := range fs {
		f()
		for n := 1; ; n *= 2 {
			if best[i] = timed(f, n) / time.Duration(n); best[i]*time.Duration(n) >= slice {
				calls[i] = n
				break
			}
		}
	}
	for range rounds {
		for i, f := range fs {
			best[i] = min(best[i], timed(f, calls[i])/time.Duration(calls[i]))
		}
	}
	return best
}

func timed(f func(), n int) time.Duration {
	begin := time.Now()
	for range n {
		f()
	}
	return time.Since(begin)
}

// must ends a measurement whose subject failed: a figure of something that does not work is none.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
