package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/demonet"
)

// crashes is how often TestCrashes kills the node: TAOLIGHT_CRASHES, 8 unless set.
func crashes(t *testing.T) int {
	s := os.Getenv("TAOLIGHT_CRASHES")
	if s == "" {
		return 8
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("TAOLIGHT_CRASHES=%q: want a number of crashes", s)
	}
	return n
}

var finalLine = regexp.MustCompile(`\bfinal\s+#([0-9,]+) (0x[0-9a-f]{4})…([0-9a-f]{4})`)
var restoredLine = regexp.MustCompile(`restored #([0-9,]+)`)

// TestCrashes kills a running node at random moments, every second time among lying peers, and between
// two runs in three changes bytes of what it had stored. Each time it must open or rebuild its store,
// get to the chain's finality again, show nothing false as final, and never go back by more than one
// batch of 150 blocks while its store is whole (and one for the line that the kill came between).
func TestCrashes(t *testing.T) {
	count := crashes(t)
	seed := uint64(20261121)
	r := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	bin := filepath.Join(dir, "taolight")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	net, err := demonet.New(demonet.Config{Peers: 3, History: 40, SetChangeEvery: 20, BlockTime: 50 * time.Millisecond, Slack: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer net.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { defer close(ran); net.Run(ctx) }()
	defer func() { cancel(); <-ran }()
	spec := filepath.Join(dir, "net.json")
	f, err := os.Create(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := net.SpecJSON(f); err != nil {
		t.Fatal(err)
	}
	f.Close()
	data := filepath.Join(dir, "data")

	kinds := demonet.FaultKinds()
	var shown, kills, finals, rebuilt int
	highest, whole := uint32(0), true
	for i := range count {
		for _, p := range net.Peers() {
			p.SetFault(demonet.Fault{})
		}
		if i%2 == 1 {
			// Two liars of three: the third has to be enough.
			for _, k := range r.Perm(3)[:2] {
				net.Peers()[k].SetFault(demonet.Fault{Peer: k, Kind: kinds[r.IntN(len(kinds))], Blocks: 5, Rate: 256 << 10})
			}
		}
		cmd := exec.Command(bin, "run", "--network", spec, "--data-dir", data, "--log-level", "debug")
		out, w := io.Pipe()
		cmd.Stdout, cmd.Stderr = w, w
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := make(chan string, 1024)
		go func() {
			defer close(lines)
			for sc := bufio.NewScanner(out); sc.Scan(); {
				lines <- sc.Text()
			}
		}()
		// The moment: at once, while it starts, or some blocks after it caught up.
		life := time.Duration(r.IntN(400)) * time.Millisecond
		until := 0
		if r.IntN(3) > 0 {
			until = 1 + r.IntN(40)
		}
		deadline := time.NewTimer(life)
		if until > 0 {
			deadline.Reset(90 * time.Second)
		}
		var log []string
		seen := 0
		first, before := uint32(0), highest
		for alive := true; alive; {
			select {
			case l := <-lines:
				log = append(log, l)
				if strings.Contains(l, "made anew") || strings.Contains(l, "dropped") {
					rebuilt++
				}
				m := finalLine.FindStringSubmatch(l)
				if at := restoredLine.FindStringSubmatch(l); at != nil {
					first = number(t, at[1])
				}
				if m == nil {
					continue
				}
				n := number(t, m[1])
				h := net.Header(n)
				if h == nil {
					t.Fatalf("run %d: FALSE FINAL: %s: the chain has no block %d", i, l, n)
				}
				if hash := h.Hash().String(); hash[:6] != m[2] || hash[62:] != m[3] {
					t.Fatalf("run %d: FALSE FINAL: %s: the chain's block is %s", i, l, hash)
				}
				if first == 0 {
					first = n
				}
				highest = max(highest, n)
				finals++
				if seen++; until > 0 && seen >= until {
					alive = false
				}
			case <-deadline.C:
				if until > 0 {
					t.Fatalf("run %d: only %d final blocks in 90 s:\n%s", i, seen, strings.Join(log, "\n"))
				}
				alive = false
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
		w.Close()
		for range lines {
		}
		kills++
		if seen > 0 {
			shown++
		}
		if whole && first > 0 && i > 0 && first+151 < before {
			t.Errorf("run %d: began at #%d, the run before had shown #%d final:\n%s", i, first, before, strings.Join(log[:min(len(log), 12)], "\n"))
		}
		// What was damaged is whole again when a run has kept a head after it: the second line says so.
		whole = whole || seen >= 2
		if r.IntN(3) > 0 && damage(t, r, data) {
			whole = false
		}
	}
	t.Logf("%d kills, %d runs showed finality, %d final blocks held against the chain, %d repairs of the store, up to #%d", kills, shown, finals, rebuilt, highest)
	if shown == 0 {
		t.Error("no run got to finality: nothing was tested")
	}
}

func number(t *testing.T, s string) uint32 {
	n, err := strconv.ParseUint(strings.ReplaceAll(s, ",", ""), 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

// damage changes one to three bytes of one stored file; it reports whether there was one.
func damage(t *testing.T, r *rand.Rand, dir string) bool {
	var files []string
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && (strings.HasSuffix(path, ".db") || strings.HasSuffix(path, ".slots")) {
			files = append(files, path)
		}
		return nil
	})
	if len(files) == 0 {
		return false
	}
	f, err := os.OpenFile(files[r.IntN(len(files))], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	for range 1 + r.IntN(3) {
		at := r.Int64N(info.Size())
		var b [1]byte
		// Most of a young database is unused; a damage there shows nothing.
		for range 1000 {
			if f.ReadAt(b[:], at); b[0] != 0 {
				break
			}
			at = r.Int64N(info.Size())
		}
		if _, err := f.ReadAt(b[:], at); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", f.Name(), err))
		}
		b[0] ^= byte(1 + r.IntN(255))
		if _, err := f.WriteAt(b[:], at); err != nil {
			t.Fatal(err)
		}
	}
	return true
}
