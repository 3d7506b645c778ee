package lightclient_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/trie"
)

// patience bounds every wait of these tests; none of them is about time.
const patience = 60 * time.Second

// notes collects what a node says and lets a test wait for a line.
type notes struct {
	t    *testing.T
	mu   sync.Mutex
	list []string
	more chan struct{}
}

func newNotes(t *testing.T) *notes { return &notes{t: t, more: make(chan struct{}, 1)} }

func (n *notes) add(note lightclient.Note) {
	n.mu.Lock()
	n.list = append(n.list, note.Topic+" "+note.Text)
	n.mu.Unlock()
	select {
	case n.more <- struct{}{}:
	default:
	}
}

// all returns the lines so far.
func (n *notes) all() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.list, "\n")
}

// wait returns the first line that contains text, from the from-th on.
func (n *notes) wait(from int, text string) (line string, next int) {
	n.t.Helper()
	deadline := time.After(patience)
	for {
		n.mu.Lock()
		for i := from; i < len(n.list); i++ {
			if strings.Contains(n.list[i], text) {
				line = n.list[i]
				n.mu.Unlock()
				return line, i + 1
			}
		}
		n.mu.Unlock()
		select {
		case <-n.more:
		case <-deadline:
			n.mu.Lock()
			defer n.mu.Unlock()
			n.t.Fatalf("no line with %q; the last of %d lines:\n%s", text, len(n.list), strings.Join(n.list[max(0, len(n.list)-30):], "\n"))
		}
	}
}

func startDemo(t *testing.T, cfg demonet.Config) *demonet.Network {
	t.Helper()
	if cfg.BlockTime == 0 {
		cfg.BlockTime = 100 * time.Millisecond
	}
	net, err := demonet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(net.Stop)
	return net
}

// runDemo authors blocks until the test ends.
func runDemo(t *testing.T, net *demonet.Network) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); net.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func config(net *demonet.Network, n *notes) lightclient.Config {
	cfg := lightclient.Config{Checkpoint: net.Checkpoint(), Version: "test", Demo: true, Notes: n.add, BackDated: true, Seed: 1}
	for _, a := range net.Bootnodes() {
		cfg.Bootnodes = append(cfg.Bootnodes, a.String())
	}
	return cfg
}

// startNode runs a node until the test ends.
func startNode(t *testing.T, cfg lightclient.Config) (node *lightclient.Node, stop func()) {
	t.Helper()
	node, err := lightclient.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return node, stop
}

func status(t *testing.T, n *lightclient.Node) *lightclient.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := n.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// check holds a node's finalized head against the chain itself.
func check(t *testing.T, net *demonet.Network, s *lightclient.Status) {
	t.Helper()
	if s.Finalized == nil {
		t.Fatal("nothing is final")
	}
	h := net.Header(s.Finalized.Number)
	if h == nil || h.Hash().String() != s.Finalized.Hash {
		t.Fatalf("FALSE FINAL: block %d %s is not the chain's", s.Finalized.Number, s.Finalized.Hash)
	}
}

func TestFollow(t *testing.T) {
	for _, finality := range []lightclient.Finality{lightclient.Follow, lightclient.Pull} {
		t.Run(string(finality), func(t *testing.T) {
			net := startDemo(t, demonet.Config{History: 30, SetChangeEvery: 12})
			n := newNotes(t)
			cfg := config(net, n)
			cfg.Finality, cfg.PullEvery = finality, 200*time.Millisecond
			node, _ := startNode(t, cfg)
			_, i := n.wait(0, "warp done")
			runDemo(t, net)
			for range 5 {
				_, i = n.wait(i, "final #")
			}
			_, i = n.wait(i, "authority set") // and over a set change
			n.wait(i, "final #")
			s := status(t, node)
			check(t, net, s)
			if s.State != "following" {
				t.Errorf("state %q, health %+v", s.State, s.Health)
			}

			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			keys := [][]byte{verify.StorageKey("System", "Number"), verify.StorageKey("Timestamp", "Now"), []byte("no such key")}
			r, err := node.Read(ctx, keys...)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range r.Values {
				want, ok, err := net.Storage(r.Hash, keys[i])
				if err != nil {
					t.Fatal(err)
				}
				if ok != (v.Outcome == trie.Present) || string(want) != string(v.Value) {
					t.Errorf("key %q: %v %x, the chain has %v %x", keys[i], v.Outcome, v.Value, ok, want)
				}
			}
		})
	}
}

// TestStopped: with the peers gone the head stands still, and the node says why.
func TestStopped(t *testing.T) {
	net := startDemo(t, demonet.Config{})
	n := newNotes(t)
	node, _ := startNode(t, config(net, n))
	stop := runDemo(t, net)
	_, i := n.wait(0, "warp done")
	_, i = n.wait(i, "final #")
	stop()
	net.StopAll()
	_, i = n.wait(i, "health no-peers")
	s := status(t, node)
	check(t, net, s)
	if s.State != "no peers" || len(s.Health) == 0 || s.Health[0].Code != "no-peers" || !strings.Contains(s.Health[0].Title, "127.0.0.1") {
		t.Errorf("state %q, health %+v", s.State, s.Health)
	}
	if err := net.StartAll(); err != nil {
		t.Fatal(err)
	}
	runDemo(t, net)
	n.wait(i, "final #")
}

// TestDiscovery: from one address the others are found.
func TestDiscovery(t *testing.T) {
	net := startDemo(t, demonet.Config{Peers: 5})
	runDemo(t, net)
	n := newNotes(t)
	cfg := config(net, n)
	cfg.Bootnodes = cfg.Bootnodes[:1]
	node, _ := startNode(t, cfg)
	i := 0
	for range 5 {
		_, i = n.wait(i, "peers joined")
	}
	if s := status(t, node); s.Peers.Known < 5 {
		t.Errorf("%d peers known of 5", s.Peers.Known)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	open, _, err := node.Peers(ctx)
	if err != nil || len(open) != 5 {
		t.Errorf("%d peers open, %v", len(open), err)
	}
}

// TestLocalnet follows a chain that the test network's first runtime makes, over changes of the set, and reads
// what an extrinsic has done there.
func TestLocalnet(t *testing.T) {
	dir := os.Getenv("TAOLIGHT_VECTORS")
	if dir == "" {
		t.Skip("TAOLIGHT_VECTORS is not set: no chain spec with a runtime")
	}
	spec, err := os.ReadFile(filepath.Join(dir, "chain", "raw_spec_testfinney.json"))
	if err != nil {
		t.Fatal(err)
	}
	net := startDemo(t, demonet.Config{ChainSpec: spec, History: 100, SetChangeEvery: 30})
	n := newNotes(t)
	node, _ := startNode(t, config(net, n))
	_, i := n.wait(0, "warp done")
	x, err := net.Sign("Bob", 0, append([]byte{0, 7}, 4*3, 'h', 'i', '!')) // System.remark_with_event
	if err != nil {
		t.Fatal(err)
	}
	hash, err := net.Submit(x)
	if err != nil {
		t.Fatal(err)
	}
	runDemo(t, net)
	_, i = n.wait(i, "authority set")
	n.wait(i, "final #")
	s := status(t, node)
	check(t, net, s)
	if s.State != "following" {
		t.Errorf("state %q, health %+v", s.State, s.Health)
	}
	if f, ok := net.Fate(hash); !ok || f.Number == 0 || f.Err != nil {
		t.Fatalf("the extrinsic: %+v", f)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	bob, err := verify.ParseAccount("5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty")
	if err != nil {
		t.Fatal(err)
	}
	account := verify.AppendBlake2b128Concat(verify.StorageKey("System", "Account"), bob[:])
	r, err := node.Read(ctx, account, []byte(":code"), verify.StorageKey("Drand", "LastStoredRound"))
	if err != nil {
		t.Fatal(err)
	}
	if v := r.Values[0]; v.Outcome != trie.Present || v.Value[0] != 1 {
		t.Errorf("Bob's account, whose nonce is 1: %v %x", v.Outcome, v.Value)
	}
	if v := r.Values[1]; v.Outcome != trie.Present || len(v.Value) != 286_766 {
		t.Errorf(":code is %v with %d bytes", v.Outcome, len(v.Value))
	}
	if v := r.Values[2]; v.Outcome != trie.Absent {
		t.Errorf("an item that spec 103 does not have is %v", v.Outcome)
	}
}
