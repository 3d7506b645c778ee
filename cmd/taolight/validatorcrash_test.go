package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/taolight/taolight/neuron/dendrite"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/neuron/validator"
	"github.com/taolight/taolight/storage"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/yuma"
)

// A dying is one life of a validator, in a process of its own, before a chain that is a file.
type dying struct {
	Dir     string
	Block   uint32 // finalized at its start
	Blocks  int    // after so many it ends well
	Die     string // where it is killed: "intended", "signed", "kept", "sent" or nowhere
	Lands   bool   // what was sent is in the state, in the block after
	Reserve int64  // of the disk, beyond which it is full

	mu   sync.Mutex
	stop context.CancelFunc
	out  *storage.Store

	lastMu sync.Mutex
	last   time.Time // when it was asked last
	busy   int       // questions under way
}

// quietFor is for how long the loop asks for nothing before there is another block.
const quietFor = 60 * time.Millisecond

// touch notes a question, and what it returns its end.
func (d *dying) touch() func() {
	d.lastMu.Lock()
	defer d.lastMu.Unlock()
	d.busy++
	d.last = time.Now()
	return func() {
		d.lastMu.Lock()
		defer d.lastMu.Unlock()
		d.busy--
		d.last = time.Now()
	}
}

func (d *dying) idle() time.Duration {
	d.lastMu.Lock()
	defer d.lastMu.Unlock()
	if d.busy > 0 {
		return 0
	}
	return time.Since(d.last)
}

const (
	dyingEnv   = "TAOLIGHT_TEST_VALIDATOR"
	dyingEra   = 32
	dyingNonce = 7
)

func (d *dying) die(where string) {
	if d.Die == where {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (d *dying) lines(name string) []string {
	b, _ := os.ReadFile(filepath.Join(d.Dir, name))
	return strings.Fields(string(b))
}

func (d *dying) write(name string, line []byte) error {
	f, err := os.OpenFile(filepath.Join(d.Dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	fmt.Fprintf(f, "%x\n", line)
	return f.Close()
}

// An onPaper is what an extrinsic here says.
type onPaper struct {
	Last      uint32
	Made      uint32
	Signature uint64
}

func readPaper(line string) (x onPaper) {
	b, err := hex.DecodeString(line)
	if err != nil || json.Unmarshal(b, &x) != nil {
		panic("no extrinsic: " + line)
	}
	return x
}

func (d *dying) Head(ctx context.Context, above uint32) (validator.Head, error) {
	d.touch()()
	for above != 0 && d.idle() < quietFor {
		select {
		case <-time.After(quietFor / 3):
		case <-ctx.Done():
			return validator.Head{}, ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if above != 0 {
		if d.Blocks--; d.Blocks < 0 {
			d.stop()
			<-ctx.Done()
			return validator.Head{}, ctx.Err()
		}
		d.Block++
	}
	return validator.Head{Number: d.Block}, nil
}

// landed is the block that has what was sent last, 0 if none has.
func (d *dying) landed() uint32 {
	if s := d.lines("sent"); d.Lands && len(s) > 0 {
		return readPaper(s[0]).Made + 1
	}
	return 0
}

func (d *dying) View(context.Context) (*validator.View, error) {
	defer d.touch()()
	d.mu.Lock()
	defer d.mu.Unlock()
	r, err := rules.For(rules.Ceiling)
	if err != nil {
		return nil, err
	}
	v := &validator.View{Block: d.Block, Slot: 12 * time.Second, Rules: r, LastUpdate: uint64(d.landed())}
	v.Hyper.Tempo, v.Hyper.ActivityCutoffFactorMilli = 360, 13_889
	v.Facts = &commit.Facts{Rules: r, Netuid: 1, Hotkey: verify.AccountID{1}, Exists: true, Mechanisms: 1, Size: 2, Registered: true, Permit: true, MaxWeight: 65535,
		LastUpdate: v.LastUpdate, Schedule: yuma.Schedule{Tempo: 360, LastEpochBlock: 1}}
	return v, nil
}

func (d *dying) Neurons(context.Context) ([]validator.Neuron, error) {
	defer d.touch()()
	return []validator.Neuron{{UID: 0, Hotkey: verify.AccountID{1}}, {UID: 1, Hotkey: verify.AccountID{2}, Axon: "127.0.0.1:9"}}, nil
}

func (d *dying) Commitments(context.Context, int) ([]validator.Commitment, error) { return nil, nil }
func (d *dying) Prove(context.Context, validator.Commitment) ([]byte, error) {
	return nil, errors.New("there are none")
}

func (d *dying) MaySign() error { return nil }

func (d *dying) Build(context.Context, *validator.Call) (*validator.Payload, error) {
	defer d.touch()()
	d.mu.Lock()
	defer d.mu.Unlock()
	raw, err := json.Marshal(onPaper{Made: d.Block, Last: d.Block + dyingEra})
	return &validator.Payload{Raw: raw, Nonce: dyingNonce, Last: d.Block + dyingEra}, err
}

func (d *dying) Sign(_ context.Context, raw []byte) ([]byte, error) {
	defer d.touch()()
	d.die("intended")
	var x onPaper
	if err := json.Unmarshal(raw, &x); err != nil {
		return nil, err
	}
	x.Signature = rand.Uint64()
	b, err := json.Marshal(x)
	if err != nil {
		return nil, err
	}
	return b, d.write("signed-ones", b)
}

func (d *dying) Submit(_ context.Context, extrinsic []byte) (validator.Tracked, error) {
	defer d.touch()()
	d.die("kept")
	if err := d.write("sent", extrinsic); err != nil {
		return validator.Tracked{}, err
	}
	d.die("sent")
	return d.fate(extrinsic), nil
}

func (d *dying) Track(_ context.Context, extrinsic []byte) (validator.Tracked, error) {
	defer d.touch()()
	if !slices.Contains(d.lines("sent"), hex.EncodeToString(extrinsic)) {
		return validator.Tracked{}, validator.ErrUnsent
	}
	return d.fate(extrinsic), nil
}

func (d *dying) fate(extrinsic []byte) validator.Tracked {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := readPaper(hex.EncodeToString(extrinsic))
	switch b := d.landed(); {
	case b != 0 && d.lines("sent")[0] == hex.EncodeToString(extrinsic) && d.Block >= b:
		return validator.Tracked{Done: true, OK: true, Block: b, Line: "is there"}
	case d.Block > x.Last:
		return validator.Tracked{Done: true, Line: "can be in no block any more"}
	}
	return validator.Tracked{}
}

func (d *dying) Call(context.Context, dendrite.Target, *synapse.Values, time.Duration) (*dendrite.Reply, error) {
	defer d.touch()()
	v, err := synapse.Dummy().Read([]byte(`{"dummy_input": 0, "dummy_output": 0}`))
	return &dendrite.Reply{Values: v}, err
}

func (d *dying) Put(kind, key string, b []byte) error { return d.out.Put(kind, key, b) }
func (d *dying) Delete(kind, key string) error        { return d.out.Delete(kind, key) }
func (d *dying) All(kind string) map[string][]byte    { return d.out.All(kind) }
func (d *dying) Commit() error {
	defer d.touch()()
	d.mu.Lock()
	if len(d.lines("signed-ones")) > 0 {
		d.die("signed") // it is signed, and that is not on disk
	}
	d.mu.Unlock()
	return d.out.Commit()
}

// TestValidatorCrashes kills a validator at each moment of setting weights, with a real store. Whatever the moment, what
// was signed and may have left is what is sent again, and nothing else is while that could still be in a block.
func TestValidatorCrashes(t *testing.T) {
	if text := os.Getenv(dyingEnv); text != "" {
		liveAsValidator(t, text)
		return
	}
	run := func(t *testing.T, d *dying) {
		t.Helper()
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestValidatorCrashes$")
		cmd.Env = append(os.Environ(), dyingEnv+"="+string(b))
		out, err := cmd.CombinedOutput()
		killed := cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
		if killed != (d.Die != "") || !killed && err != nil {
			t.Fatalf("killed %v, want it at %q: %v\n%s", killed, d.Die, err, out)
		}
	}
	distinct := func(list []string) int { slices.Sort(list); return len(slices.Compact(list)) }
	for _, x := range []struct {
		die    string
		lands  bool
		before int // sent when it died
		signed int // signatures in the end
		sent   int // transactions in the end
	}{
		{"intended", true, 0, 1, 1},
		{"signed", true, 0, 2, 1}, // the first signature never left the process
		{"kept", true, 0, 1, 1},   // the one that is on disk is sent, none is made anew
		{"sent", true, 1, 1, 1},
		{"sent", false, 1, 2, 2}, // lost on the way: another one when no block can hold the first any more
	} {
		t.Run(fmt.Sprintf("%s, lands %v", x.die, x.lands), func(t *testing.T) {
			t.Parallel()
			d := &dying{Dir: t.TempDir(), Block: 1000, Blocks: 30, Die: x.die}
			run(t, d)
			if n := len(d.lines("sent")); n != x.before {
				t.Fatalf("sent %d times when it died, want %d", n, x.before)
			}
			d.Die, d.Block, d.Blocks = "", 1012, 10
			run(t, d)
			if n := distinct(d.lines("sent")); n != 1 {
				t.Fatalf("%d transactions soon after", n)
			}
			d.Lands, d.Block, d.Blocks = x.lands, 1022, 40
			run(t, d)
			if n, s := distinct(d.lines("sent")), distinct(d.lines("signed-ones")); n != x.sent || s != x.signed {
				t.Errorf("in the end %d transactions and %d signatures, want %d and %d", n, s, x.sent, x.signed)
			}
			if !x.lands {
				all := d.lines("sent")
				first, last := readPaper(all[0]), readPaper(all[len(all)-1])
				if last.Made <= first.Last {
					t.Errorf("the second was made at #%d, the first could be in #%d", last.Made, first.Last)
				}
			}
		})
	}
	t.Run("disk full", func(t *testing.T) {
		t.Parallel()
		d := &dying{Dir: t.TempDir(), Block: 1000, Blocks: 40, Reserve: 1 << 60}
		run(t, d)
		if s := d.lines("signed-ones"); len(s) != 0 {
			t.Errorf("%d signatures without an intent on disk", len(s))
		}
		b, err := os.ReadFile(filepath.Join(d.Dir, "notes"))
		if err != nil || !strings.Contains(string(b), "nothing is signed: the intent cannot be written down: ") || !strings.Contains(string(b), storage.ErrNoSpace.Error()) {
			t.Errorf("%s, %v", b, err)
		}
		d.Reserve, d.Block, d.Blocks = 0, 1040, 20
		run(t, d)
		if s := d.lines("sent"); len(s) != 1 {
			t.Errorf("%d sent when there is room", len(s))
		}
	})
}

func liveAsValidator(t *testing.T, text string) {
	d := new(dying)
	if err := json.Unmarshal([]byte(text), d); err != nil {
		t.Fatal(err)
	}
	s, _, err := storage.Open(storage.Config{Dir: filepath.Join(d.Dir, "store"), Genesis: verify.Hash{1}, Reserve: d.Reserve})
	if err != nil {
		t.Fatal(err)
	}
	d.out = s
	ctx, cancel := context.WithCancel(context.Background())
	d.stop = cancel
	v, err := validator.New(validator.Options{
		Config: validator.Config{Netuid: 1, Hotkey: verify.AccountID{1}, Epoch: 200, Every: 2},
		Chain:  d, Sender: d, Store: d, Dendrite: d, Scorer: validator.Dummy{},
		Notes: func(n validator.Note) {
			f, err := os.OpenFile(filepath.Join(d.Dir, "notes"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err == nil {
				fmt.Fprintln(f, n.Topic, n.Text)
				f.Close()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Run(ctx); err != nil {
		t.Fatal(err)
	}
	s.Close()
	os.Exit(0)
}
