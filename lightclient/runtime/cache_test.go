package runtime

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taolight/taolight/verify"
)

// answering is a program whose method says n, by the length of what it returns.
func answering(n int64) []byte {
	return program{pages: 1, functions: []function{method("test", span(0, n)...)}, tail: withVersion(uint32(n))}.build()
}

// A warned engine keeps what it has warned of.
type warned struct {
	*Engine
	says *[]string
}

func engine(t *testing.T, dir string) warned {
	t.Helper()
	says := new([]string)
	e, err := New(Config{CacheDir: dir, LogLevel: LogWarn, Log: func(_ int, target, message string) { *says = append(*says, message) }})
	if err != nil {
		t.Fatal(err)
	}
	if e.Interprets() != nil {
		t.Skip(e.Interprets())
	}
	return warned{e, says}
}

func (w warned) load(t *testing.T, code []byte, want int, compiled bool) *Runtime {
	t.Helper()
	r, err := w.Load(t.Context(), code, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	if r.Compiled() != compiled {
		t.Errorf("compiled: %v, want %v; %q", r.Compiled(), compiled, *w.says)
	}
	if b, err := r.Call(t.Context(), "test", nil, nil); err != nil || len(b) != want {
		t.Errorf("it says %d, %v, want %d", len(b), err, want)
	}
	return r
}

func TestCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	w := engine(t, dir)
	code := answering(11)
	r := w.load(t, code, 11, false)
	for range 2 { // the second time there is nothing to do
		if err := r.Compile(t.Context()); err != nil || !r.Compiled() {
			t.Fatal(err)
		}
	}
	w.load(t, code, 11, true)
	if len(*w.says) > 0 {
		t.Errorf("warnings: %q", *w.says)
	}

	// Each way in which what is kept may not be what was written. The next Load interprets and says
	// why, and the next Compile makes it good.
	entry := w.cache.entry(r.CodeHash())
	file := func() string {
		files, err := cacheFiles(entry)
		if err != nil {
			t.Fatal(err)
		}
		largest, size := "", int64(-1)
		for _, f := range files {
			if fi, err := os.Stat(filepath.Join(entry, f)); err == nil && fi.Size() > size {
				largest, size = filepath.Join(entry, f), fi.Size()
			}
		}
		return largest
	}
	change := func(path string, at func(size int64) int64) func() error {
		return func() error {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			fi, err := f.Stat()
			if err != nil {
				return err
			}
			b := make([]byte, 1)
			if _, err := f.ReadAt(b, at(fi.Size())); err != nil {
				return err
			}
			b[0] ^= 0x40
			_, err = f.WriteAt(b, at(fi.Size()))
			return err
		}
	}
	for name, c := range map[string]struct {
		damage func() error
		says   string
	}{
		"code":                {change(file(), func(n int64) int64 { return n / 2 }), "changed"},
		"number of functions": {change(file(), func(int64) int64 { return 14 }), "changed"},
		"a table":             {change(file(), func(n int64) int64 { return n - 1 }), "changed"},
		"cut short":           {func() error { return os.Truncate(file(), 10) }, "changed"},
		"the sum":             {change(filepath.Join(entry, sumFile), func(int64) int64 { return 0 }), "changed"},
		"no sum":              {func() error { return os.Remove(filepath.Join(entry, sumFile)) }, "no such file"},
		"a file more":         {func() error { return os.WriteFile(filepath.Join(entry, "more"), nil, 0o600) }, "changed"},
		"a link":              {func() error { return os.Symlink("/dev/zero", filepath.Join(entry, "link")) }, "unexpected"},
		"writable file":       {func() error { return os.Chmod(file(), 0o666) }, "others may write"},
		"writable folder":     {func() error { return os.Chmod(entry, 0o777) }, "others may write"},
		"a file for a folder": {func() error {
			return errors.Join(os.RemoveAll(entry), os.WriteFile(entry, nil, 0o600))
		}, "unexpected"},
		"of another processor": {func() error {
			if err := os.Rename(file(), file()+"0"); err != nil {
				return err
			}
			// The smallest module's entry is found by its name; without it the machine is another.
			files, err := cacheFiles(entry)
			for _, f := range files {
				err = errors.Join(err, os.Rename(filepath.Join(entry, f), filepath.Join(entry, f+"0")))
			}
			sum, err2 := sumFiles(entry)
			return errors.Join(err, err2, os.WriteFile(filepath.Join(entry, sumFile), sum, 0o600))
		}, "another processor"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.damage(); err != nil {
				t.Fatal(err)
			}
			w := engine(t, dir)
			r := w.load(t, code, 11, false)
			if len(*w.says) != 1 || !strings.Contains((*w.says)[0], c.says) {
				t.Errorf("says %q, want %q", *w.says, c.says)
			}
			if err := r.Compile(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.load(t, code, 11, true)
		})
	}
}

// Compiled beforehand, nothing is ever interpreted.
func TestPrecompile(t *testing.T) {
	w := engine(t, t.TempDir())
	code := answering(17)
	for range 2 {
		if err := w.Precompile(t.Context(), code); err != nil {
			t.Fatal(err)
		}
	}
	w.load(t, code, 17, true)
	if err := w.Precompile(t.Context(), []byte("no code")); !errors.Is(err, ErrCode) {
		t.Errorf("no code: %v", err)
	}
	if err := engine(t, "").Precompile(t.Context(), code); err == nil || !strings.Contains(err.Error(), "no folder") {
		t.Errorf("no folder: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Precompile(ctx, answering(18)); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if len(*w.says) > 0 {
		t.Errorf("says %q", *w.says)
	}
}

// A sealed entry that wazero itself cannot read (it was written so): no crash, and interpreted.
func TestCacheOfNonsense(t *testing.T) {
	dir := t.TempDir()
	w := engine(t, dir)
	code := answering(12)
	if err := w.load(t, code, 12, false).Compile(t.Context()); err != nil {
		t.Fatal(err)
	}
	entry := w.cache.entry(verify.Blake2b256(code))
	files, err := cacheFiles(entry)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(entry, f), []byte("nonsense"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.cache.seal(verify.Blake2b256(code)); err != nil {
		t.Fatal(err)
	}
	w = engine(t, dir)
	w.load(t, code, 12, false)
	if len(*w.says) != 1 {
		t.Errorf("says %q", *w.says)
	}
}

// A folder that cannot be used is no error: it is said, and compiling works without it.
func TestCacheFolder(t *testing.T) {
	for name, c := range map[string]struct {
		make func(dir string) error
		says string
	}{
		"others may write": {func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)) }, "others may write"},
		"a file":           {func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, "not a directory"},
		"a link":           {func(dir string) error { return os.Symlink(os.TempDir(), dir) }, "unexpected"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			if err := c.make(dir); err != nil {
				t.Fatal(err)
			}
			w := engine(t, dir)
			if len(*w.says) != 1 || !strings.Contains((*w.says)[0], c.says) {
				t.Errorf("says %q, want %q", *w.says, c.says)
			}
			code := answering(13)
			r := w.load(t, code, 13, false)
			if err := r.Compile(t.Context()); err != nil || !r.Compiled() {
				t.Error(err)
			}
			w.load(t, code, 13, false) // nothing was kept
		})
	}
	// One that turns unwritable later.
	dir := t.TempDir()
	w := engine(t, dir)
	r := w.load(t, answering(14), 14, false)
	if err := errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := r.Compile(t.Context()); err != nil || !r.Compiled() || len(*w.says) == 0 {
		t.Errorf("%v, says %q", err, *w.says)
	}
}

func TestCacheTrims(t *testing.T) {
	dir := t.TempDir()
	w := engine(t, dir)
	other := filepath.Join(dir, "not ours")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	var hashes []verify.Hash
	for i := range 4 {
		r := w.load(t, answering(int64(20+i)), 20+i, false)
		if err := r.Compile(t.Context()); err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, r.CodeHash())
		at := time.Unix(int64(1_000_000*(i+1)), 0)
		if err := os.Chtimes(filepath.Join(w.cache.entry(r.CodeHash()), sumFile), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for i, h := range hashes {
		if _, err := os.Stat(w.cache.entry(h)); (err == nil) != (i >= 2) {
			t.Errorf("entry %d: %v", i, err)
		}
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("what is not an entry: %v", err)
	}
}

// Calls go on while compiled code takes the interpreter's place and when the runtime is closed, and
// nothing is left of them.
func TestSwap(t *testing.T) {
	w := engine(t, "")
	before := goruntime.NumGoroutine()
	r, err := w.Load(t.Context(), answering(15), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				b, err := r.Call(ctx, "test", nil, nil)
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil || len(b) != 15 {
					t.Errorf("%d, %v", len(b), err)
					return
				}
			}
		})
	}
	if err := r.Compile(t.Context()); err != nil || !r.Compiled() {
		t.Error(err)
	}
	r.Close()
	r.Close()
	wg.Wait()
	if _, err := r.Call(ctx, "test", nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := r.Compile(ctx); !errors.Is(err, ErrClosed) {
		t.Errorf("compile after Close: %v", err)
	}
	// Those of ended calls may still be on their way out; the machine may be busy.
	for end := time.Now().Add(time.Minute); goruntime.NumGoroutine() > before; goruntime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", goruntime.NumGoroutine(), before)
		}
	}
}

// What is replaced is freed with its last call, not before.
func TestSwapFrees(t *testing.T) {
	w := engine(t, "")
	r := w.load(t, answering(19), 19, false)
	old, err := r.acquire()
	if err != nil {
		t.Fatal(err)
	}
	closed := func() bool {
		_, err := old.rt.CompileModule(t.Context(), []byte("\x00asm\x01\x00\x00\x00"))
		return err != nil
	}
	if err := r.Compile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if closed() {
		t.Error("freed while a call runs it")
	}
	r.release(old)
	if !closed() {
		t.Error("not freed after its last call")
	}
	if now, err := r.acquire(); err != nil || now == old || !now.compiled {
		t.Errorf("%v, compiled %v", err, now.compiled)
	} else {
		r.release(now)
	}
}
