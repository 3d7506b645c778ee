// Command interop lets clients from npm judge the demo network and what a node answers.
//
//	go run . [-spec RAW_SPEC.json] [-heads 80] [-through]
//
// It starts a demo network whose blocks are made by the runtime of a given chain spec, writes its chain
// spec to a file, and has follow.mjs join it with smoldot from nothing but that file. Everything
// that client believes it has verified itself: warp fragments, seals, commits, the runtime, storage
// and call proofs. The judgement is hard: no peer may have been banned, the head must have moved
// over a set change and a fork, every value that the client printed must be the chain's own, every call
// must have come out as the chain's own executor has it, and an extrinsic that the client sent must be in a
// block.
//
// Then a taolight joins that network, by the same file, and @polkadot/api and polkadot-api are pointed at it
// (tools.mjs, tools.go): what they were shown, and what became of what they sent, has to be so on the chain.
//
// With -through, the client is given one address only: that of a taolight node that follows the demo
// network and serves. So a stock client lives off a light node, and judges that too; there are no forks
// then, as a light node announces nothing that is not final, and the extrinsic is not judged, as a light
// node carries none for others: that the client sends one has it look into the blocks' bodies.
//
// The program never talks to a network but the loopback one and, to install what package.json pins,
// the npm registry. Without Node.js, npm, an answer of the registry or a runtime it prints SKIP with
// the reason and ends well, as there is nothing to judge by.
package main

import (
	"bufio"
	"context"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/verify"
)

//go:embed package.json follow.mjs tools.mjs
var script embed.FS

const (
	installTime = 2 * time.Minute
	followTime  = 5 * time.Minute
	blockTime   = 300 * time.Millisecond
	history     = 150
	setChanges  = 70
	leastHeads  = 5
)

func main() {
	spec := flag.String("spec", "", "raw chain spec with the runtime; default chain/raw_spec_testfinney.json in $TAOLIGHT_VECTORS")
	heads := flag.Int("heads", 80, "finalized heads to follow")
	through := flag.Bool("through", false, "let the client know a taolight node only")
	flag.Parse()
	err := run(*spec, *heads, *through)
	var skip skipped
	switch {
	case errors.As(err, &skip):
		fmt.Println("SKIP  interop:", skip)
	case err != nil:
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

// skipped is the reason why there is no judge.
type skipped string

func (s skipped) Error() string { return string(s) }

func run(specFile string, heads int, through bool) error {
	heads = max(heads, leastHeads+1)
	spec, err := readSpec(specFile)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "taolight-interop-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := install(dir); err != nil {
		return err
	}

	n, err := demonet.New(demonet.Config{
		ChainSpec: spec, BlockTime: blockTime, History: history, SetChangeEvery: setChanges,
	})
	if err != nil {
		return err
	}
	defer n.Stop()
	file := filepath.Join(dir, "spec.json")
	if err := writeSpec(n, file); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), followTime)
	defer cancel()
	go n.Run(ctx)
	if through {
		if err := serve(ctx, n, file); err != nil {
			return err
		}
	} else {
		go fork(ctx, n)
	}
	if err := judge(ctx, n, dir, file, heads, through); err != nil || through {
		return err
	}
	return judgeTools(ctx, n, dir, file)
}

// readSpec reads the chain spec with the runtime.
func readSpec(file string) ([]byte, error) {
	if file == "" {
		vectors := os.Getenv("TAOLIGHT_VECTORS")
		if vectors == "" {
			return nil, skipped("no runtime: give -spec a raw chain spec, or set TAOLIGHT_VECTORS")
		}
		file = filepath.Join(vectors, "chain", "raw_spec_testfinney.json")
	}
	return os.ReadFile(file)
}

// install puts the script and what it needs into dir.
func install(dir string) error {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			return skipped(tool + " is not installed")
		}
	}
	if err := os.CopyFS(dir, script); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), installTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return skipped(fmt.Sprintf("npm install: %v: %s", err, lastLine(out)))
	}
	return nil
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

func writeSpec(n *demonet.Network, file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return n.SpecJSON(f)
}

// serve starts a light node that serves, and makes it the only boot node of a chain spec.
func serve(ctx context.Context, n *demonet.Network, file string) error {
	up := make(chan *p2p.Host, 1)
	cfg := lightclient.Config{
		Checkpoint: n.Checkpoint(), Demo: true, BackDated: true, Version: "interop", Serve: true,
		Listen: []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/127.0.0.1/tcp/0/ws")},
		Hosted: func(_ context.Context, h *p2p.Host) func() { up <- h; return nil },
	}
	for _, a := range n.Bootnodes() {
		cfg.Bootnodes = append(cfg.Bootnodes, a.String())
	}
	node, err := lightclient.New(cfg)
	if err != nil {
		return err
	}
	go node.Run(ctx)
	if err := node.WaitFinal(ctx); err != nil {
		return err
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var spec map[string]json.RawMessage
	if err := json.Unmarshal(b, &spec); err != nil {
		return err
	}
	var addrs []string
	for _, a := range (<-up).FullAddrs() {
		addrs = append(addrs, a.String())
	}
	if spec["bootNodes"], err = json.Marshal(addrs); err != nil {
		return err
	}
	if b, err = json.Marshal(spec); err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o600)
}

// fork makes a branch now and then: one that stays beside the chain, and one that takes its place.
func fork(ctx context.Context, n *demonet.Network) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for length := 1; ; length = 3 - length {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			n.Fork(1, length)
		}
	}
}

// A line is what the script prints.
type line struct {
	Log       string
	Level     int
	Warp      *uint32 // block that the warp sync ended on
	Fragments int     // of the warp proof
	Ban       string  // why a peer was banned
	Finalized *uint32

	StateRoot, ParentHash, Hash verify.Hash

	Storage string // key
	Value   *string
	Number  uint32
	Prefix  string
	Keys    []string // under Prefix
	Call    string
	Args    string
	Sent    *verify.Hash // extrinsic
	Version string
	Peers   int
	Done    bool
	First   uint32
	Last    uint32
}

// What the client is asked to list and to read; the last value is not there.
var (
	prefix = "System.Account"
	values = []string{
		"Timestamp.Now", "System.Number", "System.Events", "Aura.Authorities",
		"SubtensorModule.TotalNetworks", "Sudo.Key", ":heappages",
	}
)

// key returns the storage key of a name in hex.
func key(name string) string {
	if pallet, item, ok := strings.Cut(name, "."); ok {
		return "0x" + hex.EncodeToString(verify.StorageKey(pallet, item))
	}
	return "0x" + hex.EncodeToString([]byte(name))
}

// judge runs the script and compares what it prints with the chain.
func judge(ctx context.Context, n *demonet.Network, dir, file string, heads int, through bool) error {
	x, err := n.Sign("Bob", 0, []byte{0, 0, 0}) // System.remark of nothing
	if err != nil {
		return err
	}
	args := []string{"follow.mjs", file, fmt.Sprint(heads), "0x" + hex.EncodeToString(x)}
	for _, name := range append([]string{prefix}, values...) {
		args = append(args, key(name))
	}
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	var w witness
	readErr := w.read(out, n)
	io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("node: %w (last words: %s)", err, w.lastLog)
	}
	if readErr != nil {
		return readErr
	}
	return w.verdict(n, heads, through, time.Since(begin))
}

// A witness is what the client has said.
type witness struct {
	warp      *uint32
	fragments int
	finalized []uint32
	bans      []string
	values    int
	keys      int
	calls     int
	sent      *verify.Hash
	last      line
	lastLog   string
}

func (w *witness) read(r io.Reader, n *demonet.Network) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("the script printed %q: %w", lines.Text(), err)
		}
		switch {
		case l.Log != "":
			w.lastLog = l.Log
			if l.Level <= 2 {
				fmt.Println("smoldot:", l.Log)
			}
		case l.Ban != "":
			w.bans = append(w.bans, l.Ban)
		case l.Fragments > 0:
			w.fragments = max(w.fragments, l.Fragments)
		case l.Warp != nil:
			w.warp = l.Warp
		case l.Finalized != nil:
			w.finalized = append(w.finalized, *l.Finalized)
			if h := n.Header(*l.Finalized); h == nil || h.StateRoot != l.StateRoot || h.ParentHash != l.ParentHash {
				return fmt.Errorf("the client finalized block %d with state %v, the chain did not", *l.Finalized, l.StateRoot)
			}
		case l.Storage != "":
			if err := compare(n, l); err != nil {
				return err
			}
			w.values++
		case l.Prefix != "":
			if err := compareKeys(n, l); err != nil {
				return err
			}
			w.keys = len(l.Keys)
		case l.Call != "":
			want, err := call(n, l)
			if err != nil {
				return err
			}
			if l.Value == nil || *l.Value != want {
				return fmt.Errorf("the client executed %s to %v, want %s", l.Call, text(l.Value), want)
			}
			w.calls++
			fmt.Printf("smoldot executed    %s = %s\n", l.Call, text(l.Value))
		case l.Sent != nil:
			w.sent = l.Sent
		case l.Version != "":
			fmt.Printf("smoldot's runtime   %s, %d peers\n", l.Version, l.Peers)
		case l.Done:
			w.last = l
		}
	}
	return lines.Err()
}

// compare checks a storage value that the client has proven.
func compare(n *demonet.Network, l line) error {
	k, err := verify.ParseHex(l.Storage)
	if err != nil {
		return err
	}
	want, ok, err := n.Storage(l.Hash, k)
	if err != nil {
		return err
	}
	if ok != (l.Value != nil) || ok && *l.Value != "0x"+hex.EncodeToString(want) {
		return fmt.Errorf("the client read %s at block %d as %s, the chain has %x", l.Storage, l.Number, text(l.Value), want)
	}
	name := values[slices.IndexFunc(values, func(name string) bool { return key(name) == l.Storage })]
	fmt.Printf("smoldot read        %s at block %d = %s\n", name, l.Number, text(l.Value))
	return nil
}

// compareKeys checks that the client found all keys under a prefix, and no other.
func compareKeys(n *demonet.Network, l line) error {
	p, err := verify.ParseHex(l.Prefix)
	if err != nil {
		return err
	}
	want, err := n.StorageKeys(l.Hash, p)
	if err != nil {
		return err
	}
	if len(want) != len(l.Keys) {
		return fmt.Errorf("the client found %d keys under %s, the chain has %d", len(l.Keys), l.Prefix, len(want))
	}
	slices.Sort(l.Keys) // the client lists them as it finds them
	for i := range want {
		if l.Keys[i] != "0x"+hex.EncodeToString(want[i]) {
			return fmt.Errorf("the client found key %s, the chain has %x", l.Keys[i], want[i])
		}
	}
	fmt.Printf("smoldot listed      %d keys under %s\n", len(want), prefix)
	return nil
}

// call is what a runtime call gives where the chain executes it.
func call(n *demonet.Network, l line) (string, error) {
	args, err := verify.ParseHex(l.Args)
	if err != nil {
		return "", err
	}
	out, err := n.Call(context.Background(), l.Hash, l.Call, args)
	return "0x" + hex.EncodeToString(out), err
}

func text(v *string) string {
	switch {
	case v == nil:
		return "nothing (proven absent)"
	case len(*v) > 80:
		return (*v)[:80] + "…"
	}
	return *v
}

func (w *witness) verdict(n *demonet.Network, heads int, through bool, took time.Duration) error {
	switch {
	case !w.last.Done:
		return fmt.Errorf("the client did not finish: %d of %d finalized heads (last words: %s)", len(w.finalized), heads, w.lastLog)
	case len(w.bans) > 0:
		return fmt.Errorf("the client banned a peer: %s", strings.Join(w.bans, ", "))
	case w.warp == nil || *w.warp < history-2 || w.fragments < history/setChanges:
		return fmt.Errorf("no warp sync over %d set changes: %d fragments, to block %v", history/setChanges, w.fragments, w.warp)
	case len(w.finalized) < heads:
		return fmt.Errorf("%d of %d finalized heads", len(w.finalized), heads)
	case w.values != len(values):
		return fmt.Errorf("%d of %d storage values", w.values, len(values))
	case w.keys == 0:
		return errors.New("no keys under a prefix")
	case w.calls == 0:
		return errors.New("no runtime call")
	case w.sent == nil:
		return errors.New("no extrinsic was sent")
	}
	if fate, ok := n.Fate(*w.sent); through {
		fmt.Println("smoldot sent        an extrinsic that the light node did not carry: not judged")
	} else if !ok || fate.Number == 0 || fate.Err != nil {
		return fmt.Errorf("the client's extrinsic %v came to nothing: %+v", w.sent, fate)
	} else {
		fmt.Printf("smoldot sent        an extrinsic that is in block %d\n", fate.Number)
	}
	first, last := w.finalized[0], w.last.Last
	if last < first+leastHeads {
		return fmt.Errorf("finalized head went from %d to %d only", first, last)
	}
	changed := last/setChanges - first/setChanges
	if heads > setChanges && changed == 0 {
		return fmt.Errorf("no set change from block %d to %d", first, last)
	}
	fmt.Printf("smoldot warped      to block %d in %d fragments\n", *w.warp, w.fragments)
	fmt.Printf("smoldot followed    finalized heads %d to %d, over %d set changes, %v in all\n", first, last, changed, took.Round(100*time.Millisecond))
	for i, p := range n.Peers() {
		s := p.Stats()
		fmt.Printf("peer %d              requests %v, %d repeated, %d commits sent, %d odd messages\n", i, s.Requests, s.Repeats, s.Commits, s.BadMessages+s.BadNeighbor)
	}
	fmt.Println("ok    interop")
	return nil
}
