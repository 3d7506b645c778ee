package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// runtimeStep names, in the environment, what a process of its own measures: memory is a process's.
const runtimeStep = "TAOLIGHT_BENCH_RUNTIME"

// A runtimeFigure is what such a process found. Times are in milliseconds, memory in KiB.
type runtimeFigure struct {
	Load, Version, Metadata, Authorities, Block float64
	Base, Resident, Peak                        int
	Goroutines                                  int
	Idle                                        float64 // switches a second
	Code, Kept                                  int64   // bytes
}

// executed measures the chain's own runtime: spec 103, from the test network's chain spec in
// TAOLIGHT_VECTORS. The first column of times is from a study of the same code on another machine (two
// quiet amd64 cores, wazero v1.12.0); it says what to expect, and is no budget.
func executed() ([]row, error) {
	if os.Getenv("TAOLIGHT_VECTORS") == "" {
		return []row{{"the chain's own runtime", "", "SKIP: TAOLIGHT_VECTORS does not name the folder with the chain spec", true}}, nil
	}
	if _, err := os.Stat("/proc/self/task"); err != nil {
		return []row{{"the chain's own runtime", "", "SKIP: needs Linux's /proc", true}}, nil
	}
	dir, err := os.MkdirTemp("", "taolight-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	got := map[string]runtimeFigure{}
	for _, step := range []string{"interpreted", "compiled", "cached"} {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), runtimeStep+"="+step+":"+dir, "GOMEMLIMIT=64MiB")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step, err)
		}
		var f runtimeFigure
		if err := json.Unmarshal(out, &f); err != nil {
			return nil, fmt.Errorf("%s: %w", step, err)
		}
		got[step] = f
	}
	i, c, k := got["interpreted"], got["compiled"], got["cached"]
	ms := func(f float64) string {
		if f < 1 {
			return fmt.Sprintf("%.2f ms", f)
		}
		return fmt.Sprintf("%.0f ms", f)
	}
	mib := func(kb int) string { return fmt.Sprintf("%.0f MiB", float64(kb)/1024) }
	pair := func(name, known string, a, b float64) row {
		return row{name + ", interpreted / compiled", known, fmt.Sprintf("%s / %s: %.1f×", ms(a), ms(b), a/b), true}
	}
	described, err := parsed()
	if err != nil {
		return nil, err
	}
	return []row{
		described,
		{fmt.Sprintf("runtime spec 103 (%.2f MB): load and interpret", float64(i.Code)/1e6), "known: 74 ms",
			fmt.Sprintf("%s: %.0f× its Metadata_metadata", ms(i.Load), i.Load/i.Metadata), true},
		{"compile", "known: 599 ms", fmt.Sprintf("%s: %.0f× loading", ms(c.Load), c.Load/i.Load), true},
		{"load compiled code from the folder", "known: 20 ms", fmt.Sprintf("%s: 1/%.0f of compiling; %.1f MB kept", ms(k.Load), c.Load/k.Load, float64(k.Kept)/1e6), true},
		pair("Core_version", "known: 0.10 / 0.02 ms", i.Version, k.Version),
		pair("Metadata_metadata, 44,569 bytes", "known: 25 / 4 ms", i.Metadata, k.Metadata),
		pair("AuraApi_authorities, one key on a proof", "", i.Authorities, k.Authorities),
		pair("a block: initialize, one inherent, finalize with root", "", i.Block, k.Block),
		{"resident with the runtime loaded, from the folder", "≤ 96 MiB with the node", fmt.Sprintf("%s, of it the bare process %s; peak %s", mib(k.Resident), mib(k.Base), mib(k.Peak)), k.Resident <= 96<<10},
		{"resident with the runtime interpreted", "≤ 128 MiB with the node", fmt.Sprintf("%s, of it the bare process %s; peak %s", mib(i.Resident), mib(i.Base), mib(i.Peak)), i.Resident <= 128<<10},
		{"resident after compiling", "", fmt.Sprintf("%s; peak while compiling %s", mib(c.Resident), mib(c.Peak)), true},
		{"idle with the runtime loaded: goroutines, switches a second", "none of its own", fmt.Sprintf("%d, %.1f /s", k.Goroutines-1, k.Idle), k.Goroutines == 1},
	}, nil
}

// parsed measures the parsing of finney's metadata beside hashing it once.
func parsed() (row, error) {
	b, err := os.ReadFile(filepath.Join(os.Getenv("TAOLIGHT_VECTORS"), "metadata", "metadata-v16-spec424.scale"))
	if err != nil {
		return row{}, err
	}
	var failed error
	parse := testing.Benchmark(func(t *testing.B) {
		t.ReportAllocs()
		for t.Loop() {
			if _, err := metadata.Parse(b); err != nil {
				failed = err
			}
		}
	})
	hash := testing.Benchmark(func(t *testing.B) {
		for t.Loop() {
			verify.Blake2b256(b)
		}
	})
	ms, mb := float64(parse.NsPerOp())/1e6, float64(parse.AllocedBytesPerOp())/1e6
	return row{fmt.Sprintf("parse metadata V16 of spec 424, %d kB", len(b)/1000), "≤ 15 ms, ≤ 16 MB",
		fmt.Sprintf("%.2f ms, %.2f MB, %d allocations; %.1f× hashing its bytes", ms, mb, parse.AllocsPerOp(), float64(parse.NsPerOp())/float64(hash.NsPerOp())), ms <= 15 && mb <= 16}, failed
}

// measureRuntime is the process of its own.
func measureRuntime(step string) error {
	how, dir, _ := strings.Cut(step, ":")
	kv, err := readGenesis()
	if err != nil {
		return err
	}
	code := kv[":code"]
	ctx := context.Background()
	state := runtime.NewTrieState(trie.From(trie.V1, kv))
	root := state.Trie().Root()
	e, err := runtime.New(runtime.Config{Interpreter: how == "interpreted", CacheDir: dir, LogLevel: runtime.LogWarn, Log: func(_ int, target, m string) {
		if target == "executor" {
			fmt.Fprintln(os.Stderr, m)
		}
	}})
	if err != nil {
		return err
	}
	f := runtimeFigure{Code: int64(len(code))}
	if f.Base, err = residentKB(os.Getpid()); err != nil {
		return err
	}
	begin := time.Now()
	r, err := e.Load(ctx, code, nil)
	if err != nil {
		return err
	}
	if how == "compiled" {
		begin = time.Now()
		if err := r.Compile(ctx); err != nil {
			return err
		}
	}
	f.Load = since(begin)
	if r.Compiled() != (how != "interpreted") {
		return errors.New("another engine than was asked for")
	}
	// A first call of each, and what a node would then hold.
	key := verify.StorageKey("Aura", "Authorities")
	proof := state.Trie().Prove(key)
	calls := []struct {
		into *float64
		f    func() error
	}{
		{&f.Version, func() error { _, err := r.Call(ctx, "Core_version", nil, nil); return err }},
		{&f.Metadata, func() error { _, err := r.Call(ctx, "Metadata_metadata", nil, nil); return err }},
		{&f.Authorities, func() error {
			s, err := runtime.NewProofState(root, proof)
			if err != nil {
				return err
			}
			_, err = r.Call(ctx, "AuraApi_authorities", nil, runtime.NewOverlay(s))
			return err
		}},
		{&f.Block, func() error { return block(ctx, r, state, root) }},
	}
	for _, c := range calls {
		if err := c.f(); err != nil {
			return err
		}
	}
	if f.Resident, err = residentKB(os.Getpid()); err != nil {
		return err
	}
	if f.Peak, err = field("/proc/self/status", "VmHWM:"); err != nil {
		return err
	}
	from, err := switches(os.Getpid())
	if err != nil {
		return err
	}
	time.Sleep(5 * time.Second)
	to, err := switches(os.Getpid())
	if err != nil {
		return err
	}
	f.Idle, f.Goroutines = float64(to-from)/5, goruntime.NumGoroutine()
	for _, c := range calls {
		*c.into = 1e9
		for range 20 {
			begin := time.Now()
			if err := c.f(); err != nil {
				return err
			}
			*c.into = min(*c.into, since(begin))
		}
	}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var fi os.FileInfo
			if fi, err = d.Info(); err == nil {
				f.Kept += fi.Size()
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}

func since(t time.Time) float64 { return float64(time.Since(t).Microseconds()) / 1000 }

// block authors block 1 on the genesis state, and drops it.
func block(ctx context.Context, r *runtime.Runtime, state *runtime.TrieState, root verify.Hash) error {
	const slot = 141_666_666
	parent := verify.Header{StateRoot: root, ExtrinsicsRoot: trie.EmptyRoot}
	head := verify.Header{ParentHash: parent.Hash(), Number: 1, Digest: []verify.DigestItem{{
		Type: verify.DigestPreRuntime, Engine: [4]byte{'a', 'u', 'r', 'a'}, Data: scale.AppendU64(nil, slot),
	}}}
	o := runtime.NewOverlay(state)
	if _, err := r.Call(ctx, "Core_initialize_block", head.Encode(), o); err != nil {
		return err
	}
	inherents := append(scale.AppendCompact(nil, 1), "timstap0"...)
	b, err := r.Call(ctx, "BlockBuilder_inherent_extrinsics", scale.AppendBlob(inherents, scale.AppendU64(nil, slot*12_000)), o)
	if err != nil {
		return err
	}
	if _, err := r.Call(ctx, "BlockBuilder_apply_extrinsic", b[1:], o); err != nil {
		return err
	}
	_, err = r.Call(ctx, "BlockBuilder_finalize_block", nil, o)
	return err
}

func readGenesis() (map[string][]byte, error) {
	b, err := os.ReadFile(filepath.Join(os.Getenv("TAOLIGHT_VECTORS"), "chain", "raw_spec_testfinney.json"))
	if err != nil {
		return nil, err
	}
	var spec struct {
		Genesis struct {
			Raw struct{ Top map[string]string }
		}
	}
	if err := json.Unmarshal(b, &spec); err != nil {
		return nil, err
	}
	kv := map[string][]byte{}
	for k, v := range spec.Genesis.Raw.Top {
		key, err := verify.ParseHex(k)
		if err != nil {
			return nil, errors.New("key " + strconv.Quote(k))
		}
		if kv[string(key)], err = verify.ParseHex(v); err != nil {
			return nil, err
		}
	}
	return kv, nil
}
