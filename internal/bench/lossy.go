package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/taolight/taolight/internal/control"
)

// Light nodes as processes of their own, each in a network namespace, on one bridge that loses packets. The first
// has the peers of a demo chain beside it, the others have nothing but the bridge. A packet is lost where it comes
// in, by nftables' random numbers: this needs root, the commands ip and nft, and a kernel with nft_numgen.
const (
	lossyNodes  = 24
	lossPercent = 5
	lossyBlocks = 6 * time.Second
	lossySettle = 40 * time.Second // with the loss, before anything is counted
	lossyFor    = 4 * time.Minute
	lossyPoll   = 100 * time.Millisecond
)

// A lossyNode is one of them.
type lossyNode struct {
	ns, dir string
	cmd     *exec.Cmd
	client  *control.Client
	addr    string
	seen    map[uint32]time.Time // when each block was final here
}

func lossy() ([]row, error) {
	skip := func(format string, args ...any) ([]row, error) {
		return []row{{"24 processes with packet loss", "", "skipped: " + fmt.Sprintf(format, args...), true}}, nil
	}
	if os.Geteuid() != 0 {
		return skip("network namespaces need root")
	}
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			return skip("no command %s", tool)
		}
	}
	dir, err := os.MkdirTemp("", "taolight-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	name := func(i int) string { return fmt.Sprintf("tl%dx%d", os.Getpid(), i) }
	hub := name(99)
	tidy := sync.OnceFunc(func() {
		for i := range lossyNodes {
			exec.Command("ip", "netns", "del", name(i)).Run()
		}
		exec.Command("ip", "netns", "del", hub).Run()
	})
	defer tidy()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(stop)
	go func() { // the processes end with this one (Pdeathsig)
		<-stop
		tidy()
		os.RemoveAll(dir)
		os.Exit(1)
	}()
	if err := lines(fmt.Sprintf("ip netns add %[1]s\nip -n %[1]s link add br0 type bridge\nip -n %[1]s link set br0 up", hub)); err != nil {
		return skip("%v", err)
	}
	for i := range lossyNodes {
		// Each in a /16 of its own, as nodes at different places are.
		err := lines(fmt.Sprintf(`ip netns add %[1]s
ip -n %[1]s link set lo up
ip -n %[2]s link add v%[3]d type veth peer name eth0 netns %[1]s
ip -n %[2]s link set v%[3]d master br0 up
ip -n %[1]s addr add 10.%[4]d.0.1/8 dev eth0
ip -n %[1]s link set eth0 up`, name(i), hub, i, i+1))
		if err != nil {
			return skip("%v", err)
		}
	}
	// Told now, so that a kernel without is told from a measurement that failed.
	if err := lose(name(0)); err != nil {
		return skip("%v", err)
	}
	if err := lines("ip netns exec " + name(0) + " nft flush ruleset"); err != nil {
		return nil, err
	}
	bin := filepath.Join(dir, "taolight")
	if err := build(bin, "cmd/taolight"); err != nil {
		return nil, err
	}
	return measureLossy(bin, dir, name)
}

// lines runs commands, one in each line.
func lines(text string) error {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %.200s", strings.Join(f, " "), err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// lose has a namespace lose packets that come in from the bridge.
func lose(ns string) error {
	cmd := exec.Command("ip", "netns", "exec", ns, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`table inet loss {
	chain in {
		type filter hook input priority 0; policy accept;
		iifname "eth0" numgen random mod 100 < %d counter drop
	}
}
`, lossPercent))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %.200s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

func measureLossy(bin, dir string, name func(int) string) (rows []row, err error) {
	var started []*exec.Cmd
	defer func() {
		for _, c := range slices.Backward(started) {
			stopGroup(c)
		}
	}()
	start := func(ns string, args ...string) (*exec.Cmd, error) {
		c := exec.Command("ip", append([]string{"netns", "exec", ns, bin}, args...)...)
		c.Env = append(os.Environ(), "GOMEMLIMIT=64MiB", "TAOLIGHT_RPC_LISTEN=none", "HOME="+dir)
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		log, err := os.Create(filepath.Join(dir, fmt.Sprintf("log%d", len(started))))
		if err != nil {
			return nil, err
		}
		defer log.Close()
		c.Stdout, c.Stderr = log, log
		if err := c.Start(); err != nil {
			return nil, err
		}
		started = append(started, c)
		return c, nil
	}
	spec, alone := filepath.Join(dir, "net.json"), filepath.Join(dir, "alone.json")
	if _, err := start(name(0), "demo", "--block-time", lossyBlocks.String(), "--spec-out", spec); err != nil {
		return nil, err
	}
	if err := until(20*time.Second, func() error { _, err := os.Stat(spec); return err }); err != nil {
		return nil, err
	}
	if err := without(spec, alone); err != nil {
		return nil, err
	}
	nodes := make([]*lossyNode, lossyNodes)
	for i := range nodes {
		n := &lossyNode{ns: name(i), dir: filepath.Join(dir, fmt.Sprint("data", i)), seen: make(map[uint32]time.Time)}
		network := alone
		if i == 0 {
			network = spec
		}
		args := []string{"run", "--network", network, "--data-dir", n.dir, "--lan", "off", "--listen", fmt.Sprintf("/ip4/10.%d.0.1/tcp/30334", i+1)}
		if i > 0 { // listening to votes, they would have each block of each other over the chain's protocols first
			args = append(args, "--finality", "pull")
		}
		for _, other := range slices.Compact([]int{i - 1, (i - 1) / 2}) { // the rest they tell each other
			if i > 0 {
				args = append(args, "--peer", nodes[other].addr)
			}
		}
		if n.cmd, err = start(n.ns, args...); err != nil {
			return nil, err
		}
		if err := until(30*time.Second, func() error {
			found, err := filepath.Glob(filepath.Join(n.dir, "*", "control.sock"))
			if err != nil || len(found) == 0 {
				return errors.New("it does not answer yet")
			}
			if n.client, err = control.Find(filepath.Dir(found[0])); err != nil {
				return err
			}
			g, err := n.client.Gossip(context.Background())
			if err != nil || len(g.Addrs) == 0 {
				return errors.Join(err, errors.New("it has no address yet"))
			}
			n.addr = g.Addrs[0]
			return nil
		}); err != nil {
			return nil, fmt.Errorf("node %d: %w", i, err)
		}
		nodes[i] = n
	}
	for _, n := range nodes {
		if err := lose(n.ns); err != nil {
			return nil, err
		}
	}
	time.Sleep(lossySettle)
	return watchLossy(nodes)
}

// watchLossy looks at all nodes for a while, and tells what it saw.
func watchLossy(nodes []*lossyNode) ([]row, error) {
	type count struct {
		wire, packets, lost uint64
		in, twice           float64
		accepted            uint64
	}
	counts := func() (list []count, err error) {
		for i, n := range nodes {
			b, err := exec.Command("ip", "netns", "exec", n.ns, "cat", "/proc/net/dev").Output()
			if err != nil {
				return nil, err
			}
			g, err := n.client.Gossip(context.Background())
			if err != nil {
				return nil, fmt.Errorf("node %d: %w", i, err)
			}
			wire, packets := wireCount(string(b))
			list = append(list, count{wire: wire, packets: packets, lost: lostPackets(n.ns), in: float64(g.Traffic.In), twice: float64(g.Traffic.Duplicates), accepted: g.Messages.Accepted})
		}
		return list, nil
	}
	before, err := counts()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lossyFor)
	defer cancel()
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() {
			last := uint32(0)
			tick := time.NewTicker(lossyPoll)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				s, err := n.client.Status(ctx)
				if err != nil || s.Finalized == nil || s.Finalized.Number <= last {
					continue
				}
				for b := last + 1; b <= s.Finalized.Number && last > 0; b++ {
					n.seen[b] = time.Now()
				}
				last = s.Finalized.Number
			}
		})
	}
	wg.Wait()
	after, err := counts()
	if err != nil {
		return nil, err
	}
	first, newest := make(map[uint32]time.Time), uint32(0)
	for _, n := range nodes {
		for b, at := range n.seen {
			if old, ok := first[b]; !ok || at.Before(old) {
				first[b] = at
			}
			newest = max(newest, b)
		}
	}
	var delays []time.Duration
	missing := 0
	for b, at := range first {
		if b+2 > newest {
			continue // may still be on its way
		}
		for _, n := range nodes {
			if got, ok := n.seen[b]; ok {
				delays = append(delays, got.Sub(at))
			} else if _, ok := n.seen[b-1]; ok {
				missing++
			}
		}
	}
	if len(delays) == 0 {
		return nil, errors.New("no block was delivered")
	}
	slices.Sort(delays)
	at := func(part float64) time.Duration { return delays[min(int(part*float64(len(delays))), len(delays)-1)] }
	var wire, twice, in, packets, lost float64
	accepted := uint64(0)
	for i := range nodes {
		wire += float64(after[i].wire - before[i].wire)
		packets += float64(after[i].packets - before[i].packets)
		lost += float64(after[i].lost - before[i].lost)
		twice += after[i].twice - before[i].twice
		in += after[i].in - before[i].in
		accepted += after[i].accepted - before[i].accepted
	}
	seconds, n := lossyFor.Seconds(), float64(len(nodes))
	p99, blocks := at(0.99), float64(len(first))
	return []row{
		{fmt.Sprintf("%d processes, %d %% of packets lost, %.0f blocks: final after the first node, 50 and 99 in 100", len(nodes), lossPercent, blocks), "≤ 3 s (99 in 100)",
			fmt.Sprintf("%.1f s, %.1f s; worst %.1f s of %d", at(0.5).Seconds(), p99.Seconds(), delays[len(delays)-1].Seconds(), len(delays)), p99 <= 3*time.Second},
		{"the same: not delivered", "0", strconv.Itoa(missing), missing == 0},
		{"the same: copies after the first, for each node and block", "≤ 3", fmt.Sprintf("%.1f", twice/n/blocks), twice/n/blocks <= 3},
		{"the same: bytes for each node and second, both ways, with all of TCP/IP and Ethernet", "", fmt.Sprintf("%.0f B/s", wire/n/seconds), true},
		{"the same: packets lost, by nftables' count", "", fmt.Sprintf("%.1f %% of %.0f", 100*lost/packets, packets), lost > 0},
		{"the same: gossip messages for each node and block; of these proven here first", "", fmt.Sprintf("%.1f, %.2f", in/n/blocks, float64(accepted)/n/blocks), true},
	}, nil
}

// wireCount sums the bytes that eth0 received and sent, and tells the packets that it received, from /proc/net/dev.
func wireCount(text string) (bytes, packets uint64) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "eth0:"); ok {
			if f := strings.Fields(rest); len(f) > 8 {
				in, _ := strconv.ParseUint(f[0], 10, 64)
				out, _ := strconv.ParseUint(f[8], 10, 64)
				packets, _ = strconv.ParseUint(f[1], 10, 64)
				bytes += in + out
			}
		}
	}
	return bytes, packets
}

// lostPackets reads the counter of the rule that loses packets.
func lostPackets(ns string) uint64 {
	out, err := exec.Command("ip", "netns", "exec", ns, "nft", "list", "table", "inet", "loss").Output()
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(out), "counter packets ")
	count, _, _ := strings.Cut(rest, " ")
	n, _ := strconv.ParseUint(count, 10, 64)
	return n
}

// without writes a chain spec without its peers.
func without(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var spec map[string]json.RawMessage
	if err := json.Unmarshal(b, &spec); err != nil {
		return err
	}
	spec["bootNodes"] = json.RawMessage("[]")
	if b, err = json.Marshal(spec); err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

// until tries until it works, for a time.
func until(most time.Duration, f func() error) error {
	for end := time.Now().Add(most); ; time.Sleep(100 * time.Millisecond) {
		if err := f(); err == nil || time.Now().After(end) {
			return err
		}
	}
}

// stopGroup ends a process that was started in a group of its own.
func stopGroup(c *exec.Cmd) {
	syscall.Kill(-c.Process.Pid, syscall.SIGINT)
	done := make(chan struct{})
	go func() { c.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		<-done
	}
}
