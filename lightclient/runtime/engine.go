package runtime

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"golang.org/x/crypto/blake2b"

	"github.com/taolight/taolight/verify"
)

// Limits by default.
const (
	// HeapPages is how many pages of 64 KiB a runtime may add to what it declares, where the state
	// has no :heappages (sc-executor's DEFAULT_HEAP_ALLOC_PAGES).
	HeapPages = 2048
	// MaxPages is how many pages an instance may have in all.
	MaxPages = HeapPages + 512
	// Timeout is how long a call may take: the slowest of this chain, an epoch of a large subnet in
	// the interpreter of a small board, with room.
	Timeout = 2 * time.Minute
)

// Config is how an Engine works. Its zero value is usable.
type Config struct {
	// CacheDir is the folder that keeps compiled code. It must belong to this user, and nobody else
	// may write to it: what is in it is executed. Empty: none is kept.
	CacheDir string
	// Interpreter forbids compiling.
	Interpreter bool
	// Log is given what runtimes log up to LogLevel, and, as target "executor", why something is not
	// used that should be. It may be called by several goroutines.
	Log      func(level int, target, message string)
	LogLevel int
	// MaxPages is how many pages of 64 KiB an instance may have; 0 is the MaxPages of this package.
	MaxPages uint32
	// Timeout is how long a call may take; 0 is the Timeout of this package.
	Timeout time.Duration
}

// An Engine loads runtimes. It holds nothing but its settings, has no goroutine, and is safe for
// use by several.
type Engine struct {
	cfg Config
	// interprets says why nothing is compiled; nil if something can be.
	interprets error
	cache      *cache // nil: no folder for compiled code
	// compiling lets one compilation run at a time: each takes a hundred megabytes. Loading does not
	// wait for it. It may meet an entry of the cache that is on its way out or in; wazero puts whole
	// files in their places, and the same code compiles to the same bytes.
	compiling sync.Mutex
}

// New returns an engine. That the compiler or the cache cannot be used is no error: it is logged,
// and the interpreter is used instead.
func New(cfg Config) (*Engine, error) {
	if cfg.MaxPages == 0 {
		cfg.MaxPages = MaxPages
	}
	if cfg.MaxPages >= 4<<30/pageSize {
		return nil, fmt.Errorf("runtime: %d pages are more than fit an address space of 32 bits", cfg.MaxPages)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = Timeout
	}
	e := &Engine{cfg: cfg}
	if cfg.Interpreter {
		e.interprets = errors.New("by the settings")
	} else if e.interprets = probeCompiler(); e.interprets != nil {
		e.warn("no compiler: %v; runtimes are interpreted", e.interprets)
	}
	if e.interprets == nil && cfg.CacheDir != "" {
		var err error
		if e.cache, err = openCache(cfg.CacheDir); err != nil {
			e.warn("compiled code is not kept: %v", err)
		}
	}
	return e, nil
}

// Interprets returns why this engine never compiles, nil if it can.
func (e *Engine) Interprets() error { return e.interprets }

func (e *Engine) warn(format string, args ...any) {
	if e.cfg.Log != nil {
		e.cfg.Log(LogWarn, "executor", fmt.Sprintf(format, args...))
	}
}

// Load makes a runtime of code, the value of :code in the state, compressed or not; heapPages is
// the value of :heappages there, nil if there is none. The code is kept for Compile, and must not be
// changed.
//
// If the cache has the compiled form it is used, else the interpreter, which is ready sooner;
// Compile changes that.
func (e *Engine) Load(ctx context.Context, code, heapPages []byte) (r *Runtime, err error) {
	r = &Runtime{engine: e, hash: verify.Blake2b256(code), heapPages: HeapPages}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: panic: %v", ErrCode, p)
		}
		if err != nil {
			r.Close()
			r, err = nil, fmt.Errorf("runtime %s: %w", r.hash.Short(), err)
		}
	}()
	if len(heapPages) == 8 { // anything else is no number of pages, and a node takes the default
		r.heapPages = binary.LittleEndian.Uint64(heapPages)
	}
	s, err := open(code)
	if err != nil {
		return r, err
	}
	if e.interprets == nil {
		r.source = code
		r.mod = e.cached(ctx, s.stripped, r)
	}
	if r.mod == nil {
		if r.mod, err = e.newModule(ctx, s.stripped, r.heapPages, false, ""); err != nil {
			return r, err
		}
	}
	r.version, err = r.readVersion(ctx, s)
	return r, err
}

// open decompresses code and reads its sections.
func open(code []byte) (*sections, error) {
	wasm, err := decompress(code)
	if err != nil {
		return nil, err
	}
	return readSections(wasm)
}

// cached returns the module that the cache has, nil if it has none that can be used.
func (e *Engine) cached(ctx context.Context, wasm []byte, r *Runtime) *module {
	if e.cache == nil {
		return nil
	}
	if ok, err := e.cache.valid(r.hash); !ok {
		if err != nil {
			e.warn("compiled code of runtime %s is not used: %v", r.hash.Short(), err)
		}
		return nil
	}
	m, err := e.newModule(ctx, wasm, r.heapPages, true, e.cache.entry(r.hash))
	if err != nil {
		e.warn("compiled code of runtime %s is not used: %v", r.hash.Short(), err)
		return nil
	}
	return m
}

// Compile compiles the runtime, keeps the result in the cache, and from then on calls run it. It
// takes seconds, and twenty times the size of the WebAssembly in memory beside the interpreter's; it
// cannot be stopped, and calls go on meanwhile. It is no error that it was done before, and one if
// the engine only interprets.
func (r *Runtime) Compile(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("compile runtime %s: %w", r.hash.Short(), err)
		}
	}()
	r.engine.compiling.Lock() // one at a time
	defer r.engine.compiling.Unlock()
	if r.Compiled() {
		return nil
	}
	r.mu.Lock()
	code := r.source
	r.mu.Unlock()
	if code == nil && r.engine.interprets == nil {
		return ErrClosed
	}
	m, err := r.engine.compile(ctx, code, r.hash, r.heapPages)
	if err != nil {
		return err
	}
	if !r.swap(m) {
		return ErrClosed
	}
	// The interpreter's form and what compiling took is the most memory that a light node ever
	// has; it should not wait for the next collection.
	debug.FreeOSMemory()
	return nil
}

// Precompile puts the compiled form of code into the cache and loads nothing: for a board that has
// not the memory for Compile beside the interpreter. A Load that follows takes it from there. It is
// no error that it was there, and one if there is no cache.
func (e *Engine) Precompile(ctx context.Context, code []byte) (err error) {
	hash := verify.Blake2b256(code)
	defer func() {
		if err != nil {
			err = fmt.Errorf("compile runtime %s: %w", hash.Short(), err)
		}
	}()
	if e.interprets == nil && e.cache == nil {
		return errors.New("there is no folder to keep it in")
	}
	e.compiling.Lock()
	defer e.compiling.Unlock()
	if e.cache != nil {
		if ok, _ := e.cache.valid(hash); ok {
			return nil
		}
	}
	m, err := e.compile(ctx, code, hash, HeapPages)
	if err != nil {
		return err
	}
	m.close()
	debug.FreeOSMemory()
	if m.unkept {
		return errors.New("it could not be written")
	}
	return nil
}

// compile makes a compiled module of code, and keeps its form in the cache if there is one.
func (e *Engine) compile(ctx context.Context, code []byte, hash verify.Hash, heapPages uint64) (m *module, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: panic: %v", ErrCode, p)
		}
	}()
	if e.interprets != nil {
		return nil, fmt.Errorf("no compiler: %w", e.interprets)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := open(code)
	if err != nil {
		return nil, err
	}
	dir := ""
	if e.cache != nil {
		dir = e.cache.entry(hash)
		if err := e.cache.drop(hash); err != nil {
			e.warn("compiled code is not kept: %v", err)
			dir = ""
		}
	}
	if m, err = e.newModule(ctx, s.stripped, heapPages, true, dir); err != nil {
		return nil, err
	}
	if dir == "" {
		m.unkept = true
	} else if !m.unkept {
		if err := e.cache.seal(hash); err != nil {
			e.warn("compiled code is not kept: %v", err)
			m.unkept = true
		}
	}
	return m, nil
}

// versionOf returns the version of code that a runtime is about to set.
func (e *Engine) versionOf(ctx context.Context, code []byte) (Version, error) {
	s, err := open(code)
	if err != nil {
		return Version{}, err
	}
	r := &Runtime{engine: e, heapPages: HeapPages}
	defer r.Close()
	if s.version == nil || s.apis == nil {
		if r.mod, err = e.newModule(ctx, s.stripped, HeapPages, false, ""); err != nil {
			return Version{}, err
		}
	}
	return r.readVersion(ctx, s)
}

// readVersion returns what the sections say, or else Core_version.
func (r *Runtime) readVersion(ctx context.Context, s *sections) (Version, error) {
	if v, ok, err := sectionVersion(s); ok || err != nil {
		return v, err
	}
	b, err := r.Call(ctx, "Core_version", nil, nil)
	if err != nil {
		return Version{}, err
	}
	return readVersion(b)
}

// probeCompiler returns why compiled code cannot be executed here, if so.
func probeCompiler() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	ctx := context.Background()
	return wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler()).Close(ctx)
}

// apiID is how a runtime API is named in a Version: Blake2b-64.
func apiID(name string) (id [8]byte) {
	h, err := blake2b.New(8, nil)
	if err != nil {
		panic(err) // 8 is a valid size
	}
	h.Write([]byte(name))
	return [8]byte(h.Sum(nil))
}
