package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/storage"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/grandpa"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"taolight": func() { os.Exit(realMain()) }})
}

// TestScript runs testdata/script: what somebody types, and what comes back. The facts that scripts
// verify are the public captures of verify/fact/testdata, see its README, and what a demo network made.
func TestScript(t *testing.T) {
	var files []string
	for _, name := range raced {
		files = append(files, filepath.Join("testdata", "script", name+".txtar"))
	}
	dir := ""
	if files == nil {
		dir = filepath.Join("testdata", "script")
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		Files:               files,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":    code,
			"waitfor": waitFor,
			"has":     has,
			"atleast": atLeast,
			"spoil":   spoil,
			"sparse":  sparse,
			"hold":    hold,
			"set":     set,
			"axon":    serveAxon,
			"rpc":     askRPC,
			"browse":  browse,
			"manager": serviceManager,
		},
	})
}

func setup(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	env.Setenv("HOME", home)
	env.Setenv("XDG_RUNTIME_DIR", "")
	env.Setenv("TAOLIGHT_RPC_LISTEN", "none")  // scripts run at once, and there is one usual port
	env.Setenv("TAOLIGHT_DEMO_NEURONS", "off") // which say what they do, and load the machine; neurons.txtar has them
	facts := filepath.Join(env.WorkDir, "facts")
	if err := os.Mkdir(facts, 0o700); err != nil {
		return err
	}
	captures, err := filepath.Glob("../../verify/fact/testdata/*.json")
	if err != nil || len(captures) == 0 {
		return fmt.Errorf("no captures: %v", err)
	}
	for _, path := range captures {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(facts, filepath.Base(path)), b, 0o600); err != nil {
			return err
		}
	}
	env.Setenv("FACTS", facts)
	example, err := filepath.Abs("../../contrib/power-30-days.csv")
	if err != nil {
		return err
	}
	env.Setenv("EXAMPLE", example)
	program, err := exec.LookPath("taolight") // testscript puts it there
	if err != nil {
		return err
	}
	env.Setenv("TAOLIGHT", program)
	env.Setenv("TAOLIGHT_VECTORS", os.Getenv("TAOLIGHT_VECTORS"))
	env.Setenv("TAOLIGHT_SPEC_293", os.Getenv("TAOLIGHT_SPEC_293"))
	return nil
}

func condition(name string) (bool, error) {
	switch name {
	case "vectors":
		return os.Getenv("TAOLIGHT_VECTORS") != "", nil
	case "spec293":
		return os.Getenv("TAOLIGHT_SPEC_293") != "", nil
	case "root":
		return os.Geteuid() == 0, nil
	case "namespace":
		return runtime.GOOS == "linux" && exec.Command("unshare", "-n", "true").Run() == nil, nil
	case "strace":
		return runtime.GOOS == "linux" && exec.Command("strace", "-f", "true").Run() == nil, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// code N command… runs a command that has to end with exit code N.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := run(ts, args[1:]); got != want {
		ts.Fatalf("ended with %d, want %d", got, want)
	}
}

// run runs a command and returns its exit code.
func run(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	ts.Fatalf("%v", err)
	return -1
}

// Bounds of waitfor.
const (
	waitMost  = 90 * time.Second
	waitEvery = 100 * time.Millisecond
)

// waitfor N [-out REGEXP] command… runs a command again and again until it ends with exit code N and
// its output matches. waitfor file PATH waits for a file, waitfor text PATH REGEXP for a text in one.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: waitfor N [-out REGEXP] command… | waitfor file PATH | waitfor text PATH REGEXP")
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitMost)
	defer cancel()
	tick := time.NewTicker(waitEvery)
	defer tick.Stop()
	ready := func() bool {
		_, err := os.Stat(ts.MkAbs(args[1]))
		return err == nil
	}
	switch args[0] {
	case "file":
	case "text":
		if len(args) != 3 {
			ts.Fatalf("usage: waitfor text PATH REGEXP")
		}
		text, err := regexp.Compile("(?m)" + args[2])
		ts.Check(err)
		ready = func() bool {
			b, err := os.ReadFile(ts.MkAbs(args[1]))
			return err == nil && text.Match(b)
		}
	default:
		want, err := strconv.Atoi(args[0])
		ts.Check(err)
		args = args[1:]
		out := regexp.MustCompile("")
		if args[0] == "-out" {
			out, err = regexp.Compile(args[1])
			ts.Check(err)
			args = args[2:]
		}
		ready = func() bool { return run(ts, args) == want && out.MatchString(ts.ReadFile("stdout")) }
	}
	for !ready() {
		select {
		case <-ctx.Done():
			ts.Fatalf("waited %v for %q", waitMost, args)
		case <-tick.C:
		}
	}
}

// has FILE KEY VALUE looks at a member of the JSON object in FILE, of each if there are many; a dot in KEY goes inside. VALUE is a
// regular expression on the member as JSON.
func has(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: has FILE KEY VALUE")
	}
	want, err := regexp.Compile("^(?:" + args[2] + ")$")
	ts.Check(err)
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	dec.UseNumber()
	n := 0
	for ; dec.More(); n++ {
		var v any
		if err := dec.Decode(&v); err != nil {
			ts.Fatalf("%s is not JSON alone: %v", args[0], err)
		}
		for _, key := range strings.Split(args[1], ".") {
			switch x := v.(type) {
			case map[string]any:
				var ok bool
				if v, ok = x[key]; !ok {
					ts.Fatalf("no member %q in %q", key, args[1])
				}
			case []any:
				i, err := strconv.Atoi(key)
				if err != nil || i < 0 || i >= len(x) {
					ts.Fatalf("no element %q in %q, which has %d", key, args[1], len(x))
				}
				v = x[i]
			default:
				ts.Fatalf("%q leads into %T", args[1], v)
			}
		}
		text, err := json.Marshal(v)
		ts.Check(err)
		if want.Match(text) == neg {
			ts.Fatalf("%s is %s", args[1], text)
		}
	}
	if n == 0 {
		ts.Fatalf("%s holds no JSON", args[0])
	}
}

// atleast FILE KEY N wants a number in the JSON object in FILE that is N or more.
func atLeast(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: atleast FILE KEY N")
	}
	var v map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	least, err := strconv.ParseFloat(args[2], 64)
	ts.Check(err)
	if n, ok := v[args[1]].(float64); !ok || n < least {
		ts.Fatalf("%s is %v, want %v or more", args[1], v[args[1]], least)
	}
}

// set NAME FILE REGEXP sets a variable to what the regular expression's group matches in a file.
func set(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: set NAME FILE REGEXP")
	}
	re, err := regexp.Compile(args[2])
	ts.Check(err)
	m := re.FindStringSubmatch(ts.ReadFile(args[1]))
	if len(m) != 2 {
		ts.Fatalf("no match for %s", args[2])
	}
	ts.Setenv(args[0], m[1])
}

// spoil FILE OFFSET flips the bits of one byte; a negative offset counts from the end.
func spoil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: spoil FILE OFFSET")
	}
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 0xff
	ts.Check(os.WriteFile(path, b, 0o600))
}

// sparse FILE BYTES makes a file that is long and takes no room.
func sparse(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sparse FILE BYTES")
	}
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	ts.Check(f.Truncate(n))
}

// hold DIR command… has a folder's store open, as another process would, and lets go of it when a
// command has ended.
func hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: hold DIR command…")
	}
	st, _, err := storage.Open(storage.Config{Dir: ts.MkAbs(args[0]), Genesis: verify.Hash{1}})
	ts.Check(err)
	defer st.Close()
	if args[1] == "waitfor" {
		waitFor(ts, false, args[2:])
		return
	}
	ts.Check(ts.Exec(args[1], args[2:]...))
}

// TestWarpFact verifies a warp proof that leads over set changes: of the real chain no capture of one
// is public, so a demo network makes it.
func TestWarpFact(t *testing.T) {
	net, err := demonet.New(demonet.Config{History: 30, FirstSetChange: 8, SetChangeEvery: 8, BlockTime: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer net.Stop()
	cp := net.Checkpoint()
	proof := grandpa.WarpProof{Finished: true}
	for n := uint32(8); n <= 24; n += 8 {
		j, err := net.Justification(n)
		if err != nil {
			t.Fatal(err)
		}
		proof.Fragments = append(proof.Fragments, grandpa.Fragment{Header: net.Header(n), Justification: j})
	}
	root, err := cp.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		spoil func()
		code  int
	}{
		{"sound", func() {}, 0},
		{"signature", func() { proof.Fragments[1].Justification.Commit.Precommits[0].Signature[3] ^= 1 }, 3},
	} {
		c.spoil()
		fact, err := json.Marshal(map[string]any{"checkpoint": json.RawMessage(root), "proof": fmt.Sprintf("0x%x", proof.Append(nil))})
		if err != nil {
			t.Fatal(err)
		}
		var out, errOut strings.Builder
		a := &app{stdin: strings.NewReader(string(fact)), stdout: &out, stderr: &errOut, now: time.Now}
		if got := a.run(context.Background(), []string{"verify", "--kind", "warp", "--json", "-"}); int(got) != c.code || errOut.Len() > 0 {
			t.Errorf("%s: ended with %d, want %d: %s%s", c.name, got, c.code, &out, &errOut)
		}
		var v struct {
			Number uint32
			Hash   verify.Hash
		}
		if err := json.Unmarshal([]byte(out.String()), &v); err != nil || c.code == 0 && (v.Number != 24 || v.Hash != net.Header(24).Hash()) {
			t.Errorf("%s: %s, %v", c.name, &out, err)
		}
	}
}
