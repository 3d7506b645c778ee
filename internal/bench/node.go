package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/taolight/taolight/internal/demonet"
)

// node measures the running light node, as a process of its own, against a demo network in this one:
// what it costs is read from the kernel (/proc), not from the node, apart from bytes received.
func node() ([]row, error) {
	if _, err := os.Stat("/proc/self/task"); err != nil {
		return []row{{"running node", "", "skipped: needs Linux's /proc", true}}, nil
	}
	dir, bin, err := built()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var rows []row
	for _, f := range []func(bin, dir string) ([]row, error){coldStart, idle, writes, startTime} {
		sub, err := os.MkdirTemp(dir, "")
		if err != nil {
			return nil, err
		}
		r, err := f(bin, sub)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r...)
	}
	return rows, nil
}

// coldStart: 10,000 blocks and 40 set changes behind the head.
func coldStart(bin, dir string) ([]row, error) {
	net, err := demonet.New(demonet.Config{History: 10_000, SetChangeEvery: 249, Authorities: 20, Peers: 3, Quiet: true})
	if err != nil {
		return nil, err
	}
	defer net.Stop()
	p, err := join(bin, dir, net)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	begin := p.begin
	if err := p.wait("warp", "done"); err != nil {
		return nil, err
	}
	took := time.Since(begin)
	s, err := p.status()
	if err != nil {
		return nil, err
	}
	return []row{
		{fmt.Sprintf("cold start to verified finality, #%d through %d set changes of 20 authorities", s.Finalized.Number, s.Trust.SetChanges),
			"≤ 2 s", fmt.Sprintf("%.2f s", took.Seconds()), took <= 2*time.Second},
		{"received until then", "≤ 5 MB", fmt.Sprintf("%.2f MB", float64(s.Traffic.In)/1e6), s.Traffic.In <= 5_000_000},
	}, nil
}

// idle: memory and wakeups after a minute with eight peers and the real chain's pace, 12 s blocks.
func idle(bin, dir string) ([]row, error) {
	net, err := demonet.New(demonet.Config{Peers: 8, Authorities: 20, BlockTime: 12 * time.Second})
	if err != nil {
		return nil, err
	}
	defer net.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go net.Run(ctx)
	p, err := join(bin, dir, net, "--max-peers", "8")
	if err != nil {
		return nil, err
	}
	defer p.kill()
	if err := p.wait("warp", "done"); err != nil {
		return nil, err
	}
	time.Sleep(30 * time.Second)
	from, err := switches(p.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	time.Sleep(30 * time.Second)
	to, err := switches(p.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	rss, err := residentKB(p.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	s, err := p.status()
	if err != nil {
		return nil, err
	}
	rate := float64(to-from) / 30
	return []row{
		{fmt.Sprintf("resident after 60 s with %d peers", s.Peers.Open), "≤ 64 MiB", fmt.Sprintf("%.1f MiB", float64(rss)/1024), rss <= 64<<10 && s.Peers.Open == 8},
		{fmt.Sprintf("wakeups with %d peers, 12 s blocks (voluntary switches, all threads)", s.Peers.Open), "≤ 25 /s", fmt.Sprintf("%.1f /s", rate), rate <= 25},
	}, nil
}

// writes: what 1,000 finalized blocks cost the card. The system calls are counted from outside with
// strace where it is installed; without it there is no figure.
func writes(bin, dir string) ([]row, error) {
	const blocks = 1000
	if _, err := exec.LookPath("strace"); err != nil {
		return []row{{"written over 1,000 blocks", "", "skipped: needs strace to count from outside", true}}, nil
	}
	net, err := demonet.New(demonet.Config{Peers: 3, Authorities: 20, History: 10, SetChangeEvery: -1, BlockTime: 20 * time.Millisecond, Quiet: true})
	if err != nil {
		return nil, err
	}
	defer net.Stop()
	trace := filepath.Join(dir, "trace")
	p, err := joinUnder([]string{"strace", "-f", "-o", trace, "-e", "trace=pwrite64,write,fsync,fdatasync,openat,close"}, bin, dir, net)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	if err := p.wait("warp", "done"); err != nil {
		return nil, err
	}
	s, err := p.status()
	if err != nil {
		return nil, err
	}
	target := s.Finalized.Number + blocks
	before, err := countTrace(trace)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go net.Run(ctx)
	for until := time.Now().Add(3 * time.Minute); s.Finalized.Number < target; {
		if time.Now().After(until) {
			return nil, fmt.Errorf("only #%d of #%d is final after three minutes", s.Finalized.Number, target)
		}
		time.Sleep(time.Second)
		if s, err = p.status(); err != nil {
			return nil, err
		}
	}
	cancel()
	after, err := countTrace(trace)
	if err != nil {
		return nil, err
	}
	scale := 7200.0 / float64(s.Finalized.Number-(target-blocks))
	bytes, syncs := after.bytes-before.bytes, after.syncs-before.syncs
	return []row{
		{"handed to the kernel for the store over 1,000 blocks, as a day of 7,200", "≤ 2 MB/day",
			fmt.Sprintf("%.1f kB, %.2f MB/day", float64(bytes)/1e3, float64(bytes)*scale/1e6), float64(bytes)*scale <= 2e6},
		{"syncs over 1,000 blocks, as a day", "≤ 300 /day",
			fmt.Sprintf("%d, %.0f /day", syncs, float64(syncs)*scale), float64(syncs)*scale <= 300},
	}, nil
}

// startTime: a program that is only asked its version, beside the same for an empty Go program's
// nearest relative here, /bin/true, started the same way.
func startTime(bin, _ string) ([]row, error) {
	start := func(args ...string) func() {
		return func() { must(exec.Command(args[0], args[1:]...).Run()) }
	}
	best := race(start(bin, "version"), start(bin, "--help"), start("/bin/true"))
	var rows []row
	for i, name := range []string{"version", "--help"} {
		rows = append(rows, row{"taolight " + name + ", whole process", "≤ 20 ms",
			fmt.Sprintf("%.1f ms, %.1f × /bin/true", best[i].Seconds()*1e3, best[i].Seconds()/best[2].Seconds()), best[i] <= 20*time.Millisecond})
	}
	return rows, nil
}

// built builds the program in a new folder.
func built() (dir, bin string, err error) {
	if dir, err = os.MkdirTemp("", "taolight-bench-"); err != nil {
		return "", "", err
	}
	bin = filepath.Join(dir, "taolight")
	if err = build(bin, "cmd/taolight"); err != nil {
		os.RemoveAll(dir)
		return "", "", err
	}
	return dir, bin, nil
}

// process is a running taolight.
type process struct {
	cmd       *exec.Cmd
	bin, spec string
	data      string
	begin     time.Time

	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func join(bin, dir string, net *demonet.Network, args ...string) (*process, error) {
	return joinUnder(nil, bin, dir, net, args...)
}

// joinUnder starts a node on the network's own spec file, as any other process would.
func joinUnder(wrap []string, bin, dir string, net *demonet.Network, args ...string) (*process, error) {
	p := &process{bin: bin, spec: filepath.Join(dir, "net.json"), data: filepath.Join(dir, "data"), more: make(chan struct{}, 1)}
	f, err := os.Create(p.spec)
	if err != nil {
		return nil, err
	}
	if err := net.SpecJSON(f); err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	all := append(wrap, append([]string{bin, "run", "--network", p.spec, "--data-dir", p.data}, args...)...)
	p.cmd = exec.Command(all[0], all[1:]...)
	p.cmd.Env = append(os.Environ(), "GOMEMLIMIT=64MiB")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // strace does not pass a signal on to what it traces
	out, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	go func() {
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			p.mu.Lock()
			p.lines = append(p.lines, sc.Text())
			p.mu.Unlock()
			select {
			case p.more <- struct{}{}:
			default:
			}
		}
	}()
	p.begin = time.Now()
	return p, p.cmd.Start()
}

func (p *process) wait(words ...string) error {
	deadline := time.After(60 * time.Second)
	for {
		p.mu.Lock()
		for _, l := range p.lines {
			all := true
			for _, w := range words {
				all = all && strings.Contains(l, w)
			}
			if all {
				p.mu.Unlock()
				return nil
			}
		}
		p.mu.Unlock()
		select {
		case <-p.more:
		case <-deadline:
			return fmt.Errorf("no line with %q:\n%s", words, strings.Join(p.lines, "\n"))
		}
	}
}

func (p *process) kill() {
	group := -p.cmd.Process.Pid
	syscall.Kill(group, syscall.SIGINT)
	done := make(chan struct{})
	go func() { p.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		syscall.Kill(group, syscall.SIGKILL)
		<-done
	}
}

// nodeStatus is the part of `status --json` that is needed here.
type nodeStatus struct {
	Finalized struct {
		Number uint32 `json:"number"`
	} `json:"finalized"`
	Peers struct {
		Open int `json:"open"`
	} `json:"peers"`
	Traffic struct {
		In  uint64 `json:"in_bytes"`
		Out uint64 `json:"out_bytes"`
	} `json:"traffic"`
	Disk struct {
		Written uint64 `json:"written_bytes"`
		Syncs   uint64 `json:"syncs"`
	} `json:"disk"`
	Trust struct {
		SetChanges int `json:"set_changes_verified"`
	} `json:"trust"`
}

func (p *process) status() (*nodeStatus, error) {
	out, err := exec.Command(p.bin, "status", "--json", "--network", p.spec, "--data-dir", p.data).Output()
	if err != nil && len(out) == 0 {
		return nil, fmt.Errorf("status: %w", err)
	}
	s := new(nodeStatus)
	return s, json.Unmarshal(out, s)
}

// switches sums the voluntary context switches of all threads of a process.
func switches(pid int) (int, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, t := range tasks {
		n, err := field(t, "voluntary_ctxt_switches:")
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func residentKB(pid int) (int, error) { return field(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:") }

func field(file, name string) (int, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	return 0, fmt.Errorf("%s: no %s", file, name)
}

// traced is what a trace says went into regular files.
type traced struct{ bytes, syncs int }

// countTrace sums writes to the store's files, told by the descriptors that openat gave them; sockets
// and the terminal are not among them.
func countTrace(file string) (traced, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return traced{}, err
	}
	var t traced
	files := make(map[string]bool)
	open := make(map[string]string) // unfinished openat, by thread
	for line := range strings.Lines(string(b)) {
		thread, call, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		call = strings.TrimSpace(call)
		result := ""
		if i := strings.LastIndex(call, " = "); i >= 0 {
			result = strings.Fields(call[i+3:] + " ?")[0]
		}
		name, args, _ := strings.Cut(call, "(")
		switch {
		case name == "openat":
			if strings.Contains(call, "unfinished") {
				open[thread] = args
			} else if stored(args) {
				files[result] = true
			}
		case strings.HasPrefix(call, "<... openat resumed"):
			if stored(open[thread]) {
				files[result] = true
			}
		case name == "close":
			fd, _, _ := strings.Cut(args, ")")
			delete(files, fd)
		case name == "fsync", name == "fdatasync":
			t.syncs++
		case name == "pwrite64", name == "write":
			fd, _, _ := strings.Cut(args, ",")
			if !files[fd] {
				continue
			}
			if n, err := strconv.Atoi(result); err == nil {
				t.bytes += n
			} else if i := strings.LastIndex(args, ", "); i >= 0 {
				// unfinished: count what was asked for
				for _, part := range strings.Split(args, ", ") {
					if n, err := strconv.Atoi(strings.Fields(part + " ?")[0]); err == nil && n > 64 {
						t.bytes += n
						break
					}
				}
			}
		}
	}
	return t, nil
}

func stored(args string) bool {
	return strings.Contains(args, "head.slots") || strings.Contains(args, ".db")
}
