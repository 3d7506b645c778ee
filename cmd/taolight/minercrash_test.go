package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/taolight/taolight/neuron/axon"
	"github.com/taolight/taolight/neuron/handler"
	"github.com/taolight/taolight/neuron/miner"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/storage"
	"github.com/taolight/taolight/verify"
)

// A crashing is one life of a miner, in a process of its own.
type crashing struct {
	Dir   string
	Block uint32 // finalized at its start; each look is at the next one
	Looks int    // after so many it ends well
	Die   string // where it is killed: "kept", "sent", "told" or nowhere
	Lands bool   // what was sent is in the state

	commits int
	out     *storage.Store
}

const crashEnv = "TAOLIGHT_TEST_MINER"

func (c *crashing) log() string { return filepath.Join(c.Dir, "sent") }

func (c *crashing) die(where string) {
	if c.Die == where {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (c *crashing) sent() []string {
	b, _ := os.ReadFile(c.log())
	return strings.Fields(string(b))
}

func (c *crashing) View(context.Context) (*miner.View, error) {
	if c.Looks--; c.Looks < 0 {
		if err := c.out.Close(); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	me := miner.Neuron{UID: 1, Hotkey: verify.AccountID{1}}
	if s := c.sent(); c.Lands && len(s) > 0 {
		me.Axon = &miner.Served{At: netip.MustParseAddrPort(s[len(s)-1]), Block: uint64(c.Block), Version: 1}
	}
	v := &miner.View{Block: c.Block, MaxUIDs: 8, Neurons: []miner.Neuron{me}}
	c.Block++
	return v, nil
}

func (c *crashing) Announce(_ context.Context, at netip.AddrPort, _ uint32) (string, error) {
	c.die("kept")
	f, err := os.OpenFile(c.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	fmt.Fprintln(f, at)
	if err := f.Close(); err != nil {
		return "", err
	}
	c.die("sent")
	return "0xabc", nil
}

func (c *crashing) Fate(context.Context, *miner.Intent) (string, miner.Fate, string, error) {
	return "", miner.Unknown, "", nil
}
func (c *crashing) Plan(context.Context) (miner.Plan, error) {
	return miner.Plan{Serve: true, Block: c.Block}, nil
}
func (c *crashing) MaySign() error { return nil }

func (c *crashing) Put(kind, key string, b []byte) error { return c.out.Put(kind, key, b) }
func (c *crashing) Get(kind, key string) ([]byte, bool)  { return c.out.Get(kind, key) }
func (c *crashing) Delete(kind, key string) error        { return c.out.Delete(kind, key) }
func (c *crashing) Commit() error {
	if c.commits++; c.commits == 2 {
		c.die("told") // the hash is with the store, and not on disk
	}
	return c.out.Commit()
}

// TestMinerCrashes kills a miner at each moment of an announcement. Whatever the moment, it is not sent twice while
// the first could still be in a block, and it is sent in the end.
func TestMinerCrashes(t *testing.T) {
	if text := os.Getenv(crashEnv); text != "" {
		liveAndDie(t, text)
		return
	}
	run := func(t *testing.T, c crashing) {
		t.Helper()
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestMinerCrashes$")
		cmd.Env = append(os.Environ(), crashEnv+"="+string(b))
		out, err := cmd.CombinedOutput()
		killed := cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
		if killed != (c.Die != "") || !killed && err != nil {
			t.Fatalf("killed %v, want it at %q: %v\n%s", killed, c.Die, err, out)
		}
	}
	for _, x := range []struct {
		die    string
		before int // sent when it died
		lands  bool
		atLast int // sent in the end
	}{
		{"kept", 0, true, 1},
		{"sent", 1, true, 1},
		{"sent", 1, false, 2}, // lost on the way: sent again when no block can hold it any more
		{"told", 1, true, 1},
		{"told", 1, false, 2},
	} {
		t.Run(fmt.Sprintf("%s, lands %v", x.die, x.lands), func(t *testing.T) {
			t.Parallel()
			c := crashing{Dir: t.TempDir(), Block: 1000, Looks: 5}
			expect := func(n int, when string) {
				t.Helper()
				if s := c.sent(); len(s) != n {
					t.Fatalf("%s it was sent %d times, want %d", when, len(s), n)
				}
			}
			c.Die = x.die
			run(t, c)
			expect(x.before, "when it died")
			c.Die, c.Block = "", 1010
			run(t, c)
			expect(x.before, "soon after")
			c.Block = 1000 + miner.Era
			c.Looks = 2
			run(t, c)
			expect(x.before, "in the last block that could hold it")
			c.Lands, c.Block, c.Looks = x.lands, 1000+miner.Era+40, 40
			run(t, c)
			expect(x.atLast, "in the end")
		})
	}
}

func liveAndDie(t *testing.T, text string) {
	c := new(crashing)
	if err := json.Unmarshal([]byte(text), c); err != nil {
		t.Fatal(err)
	}
	s, _, err := storage.Open(storage.Config{Dir: filepath.Join(c.Dir, "store"), Genesis: verify.Hash{1}})
	if err != nil {
		t.Fatal(err)
	}
	c.out = s
	m, err := miner.New(miner.Config{
		Hotkey: verify.AccountID{1}, Chain: c, Gate: c, Store: c, Version: 1, Listen: "127.0.0.1:0", Told: netip.MustParseAddr("127.0.0.2"), ToldOn: 8091,
		Block: time.Millisecond, Every: 1, Tick: 1, Axon: axon.Config{Routes: []axon.Route{{Synapse: synapse.Dummy(), Handler: handler.Dummy()}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Fatalf("it ended by itself: %v", m.Run(context.Background()))
}
