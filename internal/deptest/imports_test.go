package deptest

import (
	"slices"
	"strings"
	"testing"
)

// A rule forbids packages to others. Paths that start with a dot are of this module: "./verify" is
// one package, "./verify/..." it and all below it; the same ending works for other modules. A minus
// before a path takes it out again.
type rule struct {
	from    []string // who
	forbids []string // whom
	deep    bool     // also through others; else only by an import of its own
	reason  string
}

var (
	libp2p = "github.com/libp2p/..."
	bbolt  = "go.etcd.io/bbolt/..."
)

// rules holds the arrows of the design, and the reason for each.
var rules = []rule{
	{
		from:    []string{"./verify/...", "-./verify/example/..."},
		forbids: []string{"os/...", "io/ioutil", "net/...", "log/...", "context", "time", "sync/...", "syscall", "unsafe"},
		reason: "a verdict depends on its arguments alone: no file, socket, clock, log or other goroutine, " +
			"so that it is the same on every machine and can be repeated from the bytes",
	},
	{
		from:    []string{"./verify/...", "-./verify/example/..."},
		forbids: []string{"math/rand/...", "crypto/rand"},
		reason:  "the coefficients of a batch come from a hash of all inputs: with random ones the same bytes could be judged twice differently",
	},
	{
		from:    []string{"./verify/..."},
		forbids: []string{"net", "net/http/...", "crypto/tls", libp2p, bbolt, "github.com/prometheus/..."},
		deep:    true,
		reason:  "a program that only verifies stays small and without a network stack; it also runs in a browser and under WASI",
	},
	{
		from:    []string{"./verify/..."},
		forbids: []string{"./...", "-./verify/..."},
		reason:  "the rules stand on nothing of taolight, so that they can be read and used alone",
	},
	{
		from:    []string{"./lightclient/..."},
		forbids: []string{"./...", "-./lightclient/...", "-./verify/..."},
		reason:  "the chain and its sync know the rules and nothing else; what lasts goes through the small Store they declare",
	},
	{
		from:    []string{"./lightclient/..."},
		forbids: []string{bbolt},
		deep:    true,
		reason:  "the light client does not choose how things are kept on disk",
	},
	{
		from:    []string{"./lightclient/...", "-./lightclient/runtime/..."},
		forbids: []string{"os", "io/ioutil"},
		reason:  "the light client writes no file: every byte that wears an SD card is counted in storage",
	},
	{
		from:    []string{"./lightclient/rpc/..."},
		forbids: []string{"./lightclient/p2p/...", "./lightclient/wire/...", libp2p, bbolt, "os/..."},
		reason:  "what tools are told is what the node has proven: who answers them knows no peer, no wire and no file",
	},
	{
		from:    []string{"./lightclient/...", "-./lightclient/rpc/..."},
		forbids: []string{"net/http/...", "github.com/gorilla/..."},
		reason:  "tools come in at one door",
	},
	{
		from:    []string{"./lightclient/runtime/..."},
		forbids: []string{"./...", "-./verify/...", libp2p, "net/..."},
		reason: "what executes a runtime knows its code and a state; it opens files for one folder only, that of compiled code, " +
			"which the compiler itself reads and writes",
	},
	{
		from:    []string{"./lightclient/wire/..."},
		forbids: []string{libp2p, "net/...", "os", "time", "context"},
		reason:  "codecs are functions from bytes to values, tested without a socket",
	},
	{
		from:    []string{"./lightclient/tx/..."},
		forbids: []string{libp2p, "net", "net/http/...", "time", "./lightclient/p2p/...", "./lightclient/wire/..."},
		reason:  "transactions ask the node for proven state and for peers' ears; blocks are their clock, and they hold neither a key nor a socket",
	},
	{
		from: []string{"./lightclient/runtime/metadata/..."},
		forbids: []string{"./...", "-./verify", "-./verify/scale", "-./lightclient/runtime/metadata/...", libp2p, "net/...", "os",
			"time", "context", "log/...", "sync/...", "reflect", "unsafe"},
		reason: "what a value means follows from the metadata and its bytes alone, so that it can be told offline, in a browser, and a million times without reflection",
	},
	{
		from:    []string{"./storage/..."},
		forbids: []string{"./...", "-./storage/...", "-./verify/..."},
		reason:  "storage keeps what was proven; it neither knows where it came from nor decides what is true",
	},
	{
		from:    []string{"./storage/..."},
		forbids: []string{libp2p, "net"},
		deep:    true,
		reason:  "what is on disk can be opened, checked and repaired where there is no network",
	},
	{
		from:    []string{"./gossip/..."},
		forbids: []string{"./...", "-./gossip/...", "-./verify/..."},
		reason:  "a gossiped bundle is verified from its own bytes before it is passed on, never by asking the node's own state",
	},
	{
		from:    []string{"./gossip/..."},
		forbids: []string{bbolt},
		deep:    true,
		reason:  "gossip keeps no state on disk",
	},
	{
		from:    []string{"./neuron/..."},
		forbids: []string{"./...", "-./neuron/...", "-./lightclient/...", "-./verify/..."},
		reason:  "a miner or validator works on proven facts and would work the same over another node",
	},
	{
		from:    []string{"./neuron/..."},
		forbids: []string{libp2p, bbolt},
		reason:  "a neuron does not know how its node reaches the network or keeps its data",
	},
	{
		from:    []string{"./neuron/synapse/...", "./neuron/btauth/..."},
		forbids: []string{"os/...", "net/...", "context", "./neuron/wallet/..."},
		reason:  "wire forms are functions from bytes to values, tested without a socket or a key",
	},
	{
		from:    []string{"./neuron/wallet/..."},
		forbids: []string{"net/...", "log/...", "./neuron/...", "-./neuron/wallet/...", "./lightclient/..."},
		reason:  "what holds secrets neither sends nor logs",
	},
	{
		from:    []string{"./neuron/axon/..."},
		forbids: []string{"os/...", "./neuron/dendrite/...", "./lightclient/..."},
		reason:  "a server that strangers call opens no file, starts no command and calls nobody",
	},
	{
		from:    []string{"./internal/demonet/..."},
		forbids: []string{"./...", "-./internal/demonet/...", "-./verify/...", "-./lightclient/wire/...", "-./lightclient/p2p/...", "-./lightclient/runtime/..."},
		reason: "the light node meets the demo network's peers over sockets only; sharing its sync would let both be wrong together; " +
			"the executor and what reads metadata are shared, as they go by rules that neither of them wrote, and a stock client judges it in internal/interop",
	},
	{
		from:    []string{"./...", "-./internal/demonet/...", "-./internal/interop/...", "-./cmd/..."},
		forbids: []string{"./internal/demonet/..."},
		reason:  "the demo network makes no verification easier: nothing but what starts it knows that it exists",
	},
	{
		from:    []string{"./internal/sim/..."},
		forbids: []string{"./...", "-./internal/sim/...", "-./gossip/...", "-./verify/...", "os", "net", "context", "sync/..."},
		reason:  "a run depends on its seed alone: one goroutine, no clock and no socket",
	},
	{
		from:    []string{"./internal/item/..."},
		forbids: []string{"./...", "-./internal/item/...", "-./verify/..."},
		reason:  "names and forms of storage items are read from bytes that were proven elsewhere",
	},
	{
		from:    []string{"./internal/control/..."},
		forbids: []string{"net/http/...", libp2p, bbolt, "./internal/...", "-./internal/control/...", "-./internal/item/...", "-./internal/power"},
		reason:  "the control socket passes on what the node, the store and the policy of power say; what it does not know it cannot leak",
	},
	{
		from:    []string{"./internal/power", "./internal/clock"},
		forbids: []string{"./...", "os/...", "net/...", "log/...", "context", "sync/...", "syscall", "unsafe", "golang.org/..."},
		reason: "the power level and the trust in a clock depend on their arguments alone, so that a year of weather " +
			"is replayed through the very code that a node obeys",
	},
	{
		from:    []string{"./internal/power/rig"},
		forbids: []string{"./...", "-./internal/power/...", libp2p, bbolt, "net/http/..."},
		reason:  "meters and hooks are read and run; what follows from them is decided in package power, and obeyed by whoever wires both",
	},
	{
		from:    []string{"./internal/health", "./internal/figure"},
		forbids: []string{"./...", "os/...", "net/...", "log/...", "context", "sync/...", "syscall", "unsafe"},
		reason:  "what is amiss, and how a figure is written, depend on their arguments alone, so that a screen, a page, a metric and an alert say the same",
	},
	{
		from:    []string{"./internal/page", "./internal/metrics"},
		forbids: []string{"os/...", "net", "sync/...", "./storage/...", "./internal/...", "-./internal/control", "-./internal/power", "-./internal/figure", "./cmd/...", libp2p, bbolt},
		reason:  "what a browser and Prometheus are shown is written from what the node said, when they ask: nothing is kept, opened or counted for them",
	},
	{
		from:    []string{"./internal/alert"},
		forbids: []string{"./...", "os/...", "net", "sync/...", libp2p, bbolt},
		reason:  "an alert goes to the one address of the settings and knows no other",
	},
	{
		from:    []string{"./internal/doctor"},
		forbids: []string{"./...", "-./verify/...", "net", "net/http/...", "os/exec", libp2p, bbolt},
		reason:  "what judges the ground that a node stands on dials nobody and starts nothing; what it judges is handed to it",
	},
	{
		from:    []string{"./internal/config/..."},
		forbids: []string{"./...", "-./internal/config/..."},
		reason:  "settings are words and numbers; whoever uses one gives it its meaning",
	},
	{
		from:    []string{"./...", "-./cmd/..."},
		forbids: []string{"./cmd/..."},
		reason:  "cmd parses, wires and prints; nothing stands on it",
	},
	{
		from: []string{"./..."},
		forbids: []string{"github.com/libp2p/go-libp2p", "github.com/libp2p/go-libp2p/config", "github.com/quic-go/...",
			"github.com/pion/...", "go.uber.org/..."},
		deep: true,
		reason: "the root package of go-libp2p links QUIC, WebRTC and a dependency injector: 8 MB that no Bittensor node " +
			"needs a light client to speak; the host is composed in lightclient/p2p",
	},
	{
		from:    []string{"./..."},
		forbids: []string{"text/template", "html/template"},
		reason:  "templates call methods by name, which, once reached, switches off the linker's removal of unused methods for the whole binary: 3 MB",
	},
	{
		from:    []string{"./..."},
		forbids: []string{"C", "runtime/cgo", "plugin"},
		deep:    true,
		reason:  "one static binary, cross-built on any machine",
	},
	{
		from:    []string{"./..."},
		forbids: []string{"github.com/rogpeppe/go-internal/...", "testing", "./internal/deptest/..."},
		deep:    true,
		reason:  "what tests need is not linked into the binary",
	},
}

// match reports whether path is one of the patterns, the last that fits deciding.
func match(patterns []string, path string) bool {
	hit := false
	for _, p := range patterns {
		p, not := strings.CutPrefix(p, "-")
		if p == "./..." {
			p = module + "/..."
		} else if rest, own := strings.CutPrefix(p, "./"); own {
			p = module + "/" + rest
		}
		tree, below := strings.CutSuffix(p, "/...")
		if path == p || below && under(path, tree) {
			hit = !not
		}
	}
	return hit
}

// broken returns a line for each package that breaks r, with the chain of imports that does.
func (r rule) broken(g graph) []string {
	var lines []string
	for _, p := range g.packages() {
		if !match(r.from, p) {
			continue
		}
		forbidden := func(q string) bool { return match(r.forbids, q) }
		var chain []string
		if r.deep {
			chain = g.path(p, forbidden)
		} else if i := slices.IndexFunc(g[p], forbidden); i >= 0 {
			chain = []string{p, g[p][i]}
		}
		if chain != nil {
			lines = append(lines, strings.Join(chain, " -> "))
		}
	}
	return lines
}

func TestImports(t *testing.T) {
	allSources(t) // so that a change of any file runs this again
	g, err := importGraph()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		for _, line := range r.broken(g) {
			t.Errorf("%s\n\t%v may not import %v:\n\t%s", line, r.from, r.forbids, r.reason)
		}
	}
}

// TestRulesCanFail builds for each rule the smallest graph that breaks it.
func TestRulesCanFail(t *testing.T) {
	name := func(pattern string) string {
		pattern = strings.TrimSuffix(strings.TrimSuffix(pattern, "..."), "/")
		if rest, own := strings.CutPrefix(pattern, "."); own {
			return module + rest
		}
		return pattern
	}
	for i, r := range rules {
		if r.reason == "" {
			t.Errorf("rule %d has no reason", i)
		}
		from, to := name(r.from[0]), ""
		if from == module {
			from = module + "/gossip"
		}
		for _, f := range r.forbids {
			if strings.HasPrefix(f, "-") {
				continue
			}
			if to = name(f); to == module {
				to = module + "/zebra"
			}
			if got := r.broken(graph{from: {"fmt", to}, "fmt": nil, to: nil}); len(got) != 1 {
				t.Errorf("rule %d: %s importing %s is found %d times", i, from, to, len(got))
			}
			if got := r.broken(graph{from: {"fmt"}, "fmt": {to}, to: nil}); (len(got) == 1) != r.deep {
				t.Errorf("rule %d: %s importing %s through fmt: %v", i, from, to, got)
			}
		}
		if got := r.broken(graph{from: {"fmt"}, "fmt": nil}); got != nil {
			t.Errorf("rule %d: an innocent graph breaks it: %v", i, got)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		path     string
		want     bool
	}{
		{[]string{"net/..."}, "net", true},
		{[]string{"net/..."}, "net/http", true},
		{[]string{"net/..."}, "network", false},
		{[]string{"net"}, "net/http", false},
		{[]string{"./verify/..."}, module + "/verify", true},
		{[]string{"./verify/...", "-./verify/example/..."}, module + "/verify/example", false},
		{[]string{"./verify"}, module + "/verify/trie", false},
		{[]string{"./..."}, module, true},
		{[]string{"./..."}, module + "x", false},
		{[]string{"github.com/libp2p/go-libp2p"}, "github.com/libp2p/go-libp2p/core/host", false},
	} {
		if got := match(c.patterns, c.path); got != c.want {
			t.Errorf("match(%v, %q) = %v", c.patterns, c.path, got)
		}
	}
}

// TestContribIsData: what is installed beside the binary can be read without a compiler.
func TestContribIsData(t *testing.T) {
	for _, s := range allSources(t) {
		if strings.HasPrefix(s.Path, "contrib/") {
			t.Errorf("%s: contrib holds data, not Go", s.Path)
		}
	}
}
