package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"
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
	return e, nil
}

// Interprets returns why this engine never compiles, nil if it can.
func (e *Engine) Interprets() error { return e.interprets }

func (e *Engine) warn(format string, args ...any) {
	if e.cfg.Log != nil {
		e.cfg.Log(LogWarn, "executor", fmt.Sprintf(format, args...))
	}
}

// A Runtime is the chain's code, ready to be called. It is safe for use by several goroutines: each
// call has an instance of its own.
type Runtime struct {
	engine    *Engine
	hash      verify.Hash
	version   Version
	heapPages uint64

	mu     sync.Mutex
	mod    *module // nil after Close
	source []byte  // the code in the form it was given, until it is compiled
}

// Load makes a runtime of code, the value of :code in the state, compressed or not; heapPages is
// the value of :heappages there, nil if there is none.
//
// If the cache has the compiled form it is used, else the interpreter; Compile changes that.
func (e *Engine) Load(ctx context.Context, code, heapPages []byte) (r *Runtime, err error) {
	defer catch("load", &err)
	r = &Runtime{engine: e, hash: verify.Blake2b256(code), heapPages: HeapPages}
	if len(heapPages) == 8 {
		r.heapPages = leU64(heapPages)
	}
	wasm, s, err := open(code)
	if err != nil {
		return nil, fmt.Errorf("runtime %s: %w", r.hash.Short(), err)
	}
	_ = wasm
	if r.mod, err = e.load(ctx, s.stripped, r); err != nil {
		return nil, fmt.Errorf("runtime %s: %w", r.hash.Short(), err)
	}
	if !r.mod.compiled && e.interprets == nil {
		r.source = code
	}
	v, ok, err := sectionVersion(s)
	if err == nil && !ok {
		var b []byte
		if b, err = r.Call(ctx, "Core_version", nil, nil); err == nil {
			v, err = readVersion(b)
		}
	}
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("runtime %s: %w", r.hash.Short(), err)
	}
	r.version = v
	return r, nil
}

// open decompresses code and reads its sections.
func open(code []byte) ([]byte, *sections, error) {
	wasm, err := decompress(code)
	if err != nil {
		return nil, nil, err
	}
	s, err := readSections(wasm)
	return wasm, s, err
}

// load makes a module of what the cache has, or else an interpreted one.
func (e *Engine) load(ctx context.Context, wasm []byte, r *Runtime) (*module, error) {
	return e.newModule(ctx, wasm, false, "", r.heapPages)
}

// versionOf returns the version of code that a runtime is about to set.
func (e *Engine) versionOf(ctx context.Context, code []byte) (Version, error) {
	_, s, err := open(code)
	if err != nil {
		return Version{}, err
	}
	if v, ok, err := sectionVersion(s); ok || err != nil {
		return v, err
	}
	r := &Runtime{engine: e, heapPages: HeapPages}
	if r.mod, err = e.newModule(ctx, s.stripped, false, "", HeapPages); err != nil {
		return Version{}, err
	}
	defer r.Close()
	b, err := r.Call(ctx, "Core_version", nil, nil)
	if err != nil {
		return Version{}, err
	}
	return readVersion(b)
}

// catch turns a panic of a library on hostile code into an error.
func catch(what string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s: %w: panic: %v", what, ErrCode, p)
	}
}

// CodeHash returns the Blake2b-256 of the code as it was given to Load, as the state has it.
func (r *Runtime) CodeHash() verify.Hash { return r.hash }

// Version returns what the runtime says of itself.
func (r *Runtime) Version() Version { return r.version }

// Compiled reports whether calls run compiled code.
func (r *Runtime) Compiled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mod != nil && r.mod.compiled
}

// Close frees the runtime. Calls that run come to their end.
func (r *Runtime) Close() {
	r.swap(nil)
}

// swap puts m in the place of the runtime's module, which is freed when its last call has ended.
func (r *Runtime) swap(m *module) {
	r.mu.Lock()
	old := r.mod
	r.mod, r.source = m, nil
	free := old != nil && old.calls == 0
	r.mu.Unlock()
	if free {
		old.close()
	}
}

func (r *Runtime) acquire() (*module, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mod == nil {
		return nil, ErrClosed
	}
	r.mod.calls++
	return r.mod, nil
}

func (r *Runtime) release(m *module) {
	r.mu.Lock()
	m.calls--
	free := m.calls == 0 && m != r.mod
	r.mu.Unlock()
	if free {
		m.close()
	}
}

// Call runs a method with SCALE-encoded arguments on the state of o, nil for a method that needs
// none, and returns what it returns, encoded as well.
//
// The changes of a call that succeeds are in o, in the transaction that was open; those of one that
// fails are not. A state that does not know enough gives ErrIncomplete (see IncompleteError).
func (r *Runtime) Call(ctx context.Context, method string, input []byte, o *Overlay) (out []byte, err error) {
	m, err := r.acquire()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	defer r.release(m)
	if o == nil {
		o = NewOverlay(nil)
	}
	ctx, cancel := context.WithTimeout(ctx, r.engine.cfg.Timeout)
	defer cancel()
	depth := o.Depth()
	if err := o.Begin(); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	defer func() {
		// What the runtime has left open it did not mean to keep.
		o.unwind(depth + 1)
		if err == nil {
			err = o.Commit()
		}
		if err != nil {
			o.unwind(depth)
			out, err = nil, fmt.Errorf("%s: %w", method, err)
		}
	}()
	defer catch("call", &err)
	return m.call(ctx, r.engine, method, input, o)
}

// hostModule is the name of the module of host functions; hostName of the i-th of them.
const hostModule = "host"

func hostName(i int) string { return fmt.Sprint(i) }

// A module is code in the form that one of the two engines of wazero executes.
type module struct {
	rt       wazero.Runtime
	cache    wazero.CompilationCache
	main     wazero.CompiledModule
	env      wazero.CompiledModule
	compiled bool
	maxPages uint32
	calls    int // that run now; guarded by Runtime.mu
}

func (m *module) close() {
	ctx := context.Background()
	_ = m.rt.Close(ctx)
	if m.cache != nil {
		_ = m.cache.Close(ctx)
	}
}

func (e *Engine) newModule(ctx context.Context, wasm []byte, compile bool, dir string, heapPages uint64) (m *module, err error) {
	m = &module{compiled: compile}
	cfg := wazero.NewRuntimeConfigInterpreter()
	if compile {
		cfg = wazero.NewRuntimeConfigCompiler()
	}
	cfg = cfg.WithMemoryLimitPages(e.cfg.MaxPages).WithCloseOnContextDone(true).WithDebugInfoEnabled(false)
	m.rt = wazero.NewRuntimeWithConfig(ctx, cfg)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: panic: %v", ErrCode, p)
		}
		if err != nil {
			m.close()
			m = nil
		}
	}()
	if m.main, err = m.rt.CompileModule(ctx, wasm); err != nil {
		return m, fmt.Errorf("%w: %v", ErrCode, err)
	}
	if err := m.bind(ctx, e, heapPages); err != nil {
		return m, err
	}
	// One instance to see that there can be any.
	inst, err := m.instantiate(ctx)
	if err != nil {
		return m, err
	}
	inst.close(ctx)
	return m, nil
}

// bind makes the host functions and the shim.
func (m *module) bind(ctx context.Context, e *Engine, heapPages uint64) error {
	host := m.rt.NewHostModuleBuilder(hostModule)
	var functions []imported
	known := map[string]bool{}
	for _, f := range m.main.ImportedFunctions() {
		from, name, _ := f.Import()
		if from != "env" {
			return fmt.Errorf("%w: it imports %q of module %q; there is none but env", ErrCode, name, from)
		}
		if known[name] {
			continue
		}
		known[name] = true
		im := imported{name, f.ParamTypes(), f.ResultTypes()}
		answer := lookup(im)
		host = host.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(ctx context.Context, stack []uint64) {
			answer(ctx.Value(callKey{}).(*call), stack)
		}), im.params, im.results).Export(hostName(len(functions)))
		functions = append(functions, im)
	}
	var mem *shimMemory
	m.maxPages = e.cfg.MaxPages
	for _, d := range m.main.ImportedMemories() {
		from, name, _ := d.Import()
		if from != "env" {
			return fmt.Errorf("%w: it imports memory %q of module %q; there is none but env", ErrCode, name, from)
		}
		m.maxPages = uint32(min(uint64(m.maxPages), uint64(d.Min())+min(heapPages, 1<<16)))
		mem = &shimMemory{name, d.Min(), m.maxPages}
	}
	if _, err := host.Instantiate(ctx); err != nil {
		return fmt.Errorf("%w: host functions: %v", ErrCode, err)
	}
	var err error
	if m.env, err = m.rt.CompileModule(ctx, shim(functions, mem)); err != nil {
		return fmt.Errorf("%w: its imports: %v", ErrCode, err)
	}
	return nil
}

// An instance is a module with a memory of its own.
type instance struct {
	env, main api.Module
	mem       api.Memory
	heapBase  uint32
}

func (m *module) instantiate(ctx context.Context) (*instance, error) {
	anonymous := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	i := &instance{}
	var err error
	if i.env, err = m.rt.InstantiateModule(ctx, m.env, anonymous); err != nil {
		return nil, fmt.Errorf("%w: its imports: %v", ErrCode, firstLine(err))
	}
	linked := experimental.WithImportResolver(ctx, func(name string) api.Module {
		if name == "env" {
			return i.env
		}
		return nil
	})
	if i.main, err = m.rt.InstantiateModule(linked, m.main, anonymous); err != nil {
		i.close(ctx)
		return nil, fmt.Errorf("%w: %v", ErrCode, firstLine(err))
	}
	if i.mem = i.main.Memory(); i.mem == nil {
		i.close(ctx)
		return nil, fmt.Errorf("%w: it has no memory", ErrCode)
	}
	base := i.main.ExportedGlobal("__heap_base")
	if base == nil || base.Type() != api.ValueTypeI32 {
		i.close(ctx)
		return nil, fmt.Errorf("%w: it does not export __heap_base", ErrCode)
	}
	i.heapBase = uint32(base.Get())
	return i, nil
}

func (i *instance) close(ctx context.Context) {
	if i.main != nil {
		_ = i.main.Close(ctx)
	}
	_ = i.env.Close(ctx)
}

func (m *module) call(ctx context.Context, e *Engine, method string, input []byte, o *Overlay) ([]byte, error) {
	inst, err := m.instantiate(ctx)
	if err != nil {
		return nil, err
	}
	defer inst.close(context.WithoutCancel(ctx))
	f := inst.main.ExportedFunction(method)
	if f == nil {
		return nil, ErrNoMethod
	}
	if d := f.Definition(); signature(imported{params: d.ParamTypes(), results: d.ResultTypes()}) != "ii:I" {
		return nil, fmt.Errorf("%w: the export has another signature", ErrNoMethod)
	}
	c := &call{
		ctx: ctx, engine: e, versionOf: e.versionOf, mem: inst.mem, overlay: o, depth: o.Depth(),
		heap: newAllocator(inst.mem, inst.heapBase, m.maxPages),
	}
	ptr, err := c.heap.malloc(uint32(min(len(input), maxBlock+1)))
	if err != nil {
		return nil, fmt.Errorf("input of %d bytes: %w", len(input), err)
	}
	if !inst.mem.Write(ptr, input) {
		return nil, fmt.Errorf("input of %d bytes: %w", len(input), ErrHeap)
	}
	res, err := f.Call(context.WithValue(ctx, callKey{}, c), uint64(ptr), uint64(len(input)))
	if err != nil {
		return nil, c.why(err)
	}
	out, ok := inst.mem.Read(uint32(res[0]), uint32(res[0]>>32))
	if !ok {
		return nil, fmt.Errorf("result: %w: %d bytes at %#x", ErrPointer, res[0]>>32, uint32(res[0]))
	}
	return append([]byte(nil), out...), nil
}

// why makes an error of what ended a call.
func (c *call) why(err error) error {
	if c.err != nil {
		return c.err
	}
	var exit *sys.ExitError
	if errors.As(err, &exit) && c.ctx.Err() != nil {
		return timeout(c.ctx)
	}
	if c.said != "" {
		return fmt.Errorf("%w: %v; it said: %s", ErrTrap, firstLine(err), c.said)
	}
	return fmt.Errorf("%w: %v", ErrTrap, firstLine(err))
}

// firstLine leaves out the stack: a runtime has no names for its functions.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimSuffix(strings.TrimPrefix(line, "wasm error: "), " (recovered by wazero)")
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

func leU64(b []byte) (v uint64) {
	for i := range 8 {
		v |= uint64(b[i]) << (8 * i)
	}
	return v
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
