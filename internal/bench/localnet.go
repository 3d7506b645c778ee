package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient/runtime"
)

// childEnv names the engine to a process of this program that measures it: how much memory one keeps
// shows only where the other has never been.
const childEnv = "TAOLIGHT_BENCH_LOCALNET"

const localnetBlocks = 500

// A localnetFigure is what a child has measured.
type localnetFigure struct {
	Skip     string
	Runtime  string
	Start    time.Duration // until the first block
	Block    time.Duration
	Check    time.Duration // one Ed25519 check of the standard library
	Resident int           // KiB, at the end
}

// localnets measures how fast a real runtime makes blocks, by each engine in a process of its own.
func localnets() ([]row, error) {
	dir := os.Getenv("TAOLIGHT_VECTORS")
	if dir == "" {
		return []row{{"localnet on a real runtime", "", "SKIP: TAOLIGHT_VECTORS does not name the folder with the chain spec", true}}, nil
	}
	var rows []row
	for _, e := range []struct {
		name     string
		resident int // MiB
	}{{"interpreted", 128}, {"compiled", 96}} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+e.name, "GOMEMLIMIT=64MiB")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		var f localnetFigure
		if err := json.Unmarshal(bytes.TrimSpace(out), &f); err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		name := fmt.Sprintf("localnet on %s, %s: ", f.Runtime, e.name)
		if f.Skip != "" {
			rows = append(rows, row{"localnet, " + e.name, "", "SKIP: " + f.Skip, true})
			continue
		}
		rows = append(rows,
			row{name + "a block", "", fmt.Sprintf("%.0f blocks/s, each %.1f × one Ed25519 check", float64(time.Second)/float64(f.Block),
				float64(f.Block)/float64(f.Check)), true},
			row{name + "start", "", fmt.Sprintf("%.0f × one block", float64(f.Start)/float64(f.Block)), true},
			row{name + fmt.Sprintf("resident after %d blocks, one peer", localnetBlocks), fmt.Sprintf("≤ %d MiB", e.resident),
				fmt.Sprintf("%.1f MiB", float64(f.Resident)/1024), f.Resident <= e.resident<<10},
		)
	}
	return rows, nil
}

// localnetChild measures one engine and prints the figure.
func localnetChild(engine string) {
	f, err := measureLocalnet(engine)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measureLocalnet(engine string) (f localnetFigure, err error) {
	spec, err := os.ReadFile(filepath.Join(os.Getenv("TAOLIGHT_VECTORS"), "chain", "raw_spec_testfinney.json"))
	if err != nil {
		return f, err
	}
	cfg := demonet.Config{ChainSpec: spec, Peers: 1, History: -1, Compile: engine == "compiled"}
	cfg.Executor.Interpreter = !cfg.Compile
	if cfg.Compile {
		e, err := runtime.New(cfg.Executor)
		if err != nil {
			return f, err
		}
		if reason := e.Interprets(); reason != nil {
			f.Skip = reason.Error()
			return f, nil
		}
	}
	begin := time.Now()
	net, err := demonet.New(cfg)
	if err != nil {
		return f, err
	}
	defer net.Stop()
	if err := net.Steps(1); err != nil {
		return f, err
	}
	f.Start = time.Since(begin)
	o := net.Origin()
	if o == nil {
		return f, errors.New("no runtime")
	}
	f.Runtime = fmt.Sprintf("%s %d", o.Runtime.SpecName, o.Runtime.Spec)
	begin = time.Now()
	if err := net.Steps(localnetBlocks); err != nil {
		return f, err
	}
	f.Block = time.Since(begin) / localnetBlocks

	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	message := []byte("a message")
	signature := ed25519.Sign(key, message)
	public := key.Public().(ed25519.PublicKey)
	f.Check = race(func() {
		if !ed25519.Verify(public, message, signature) {
			panic("a good signature is refused")
		}
	})[0]
	f.Resident, err = residentKB(os.Getpid())
	return f, err
}
