package runtime

import (
	"context"
	"errors"
	"fmt"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"
	"strings"
)

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
	unkept   bool // the compiled code could not be written
	maxPages uint32
	calls    int // that run now; guarded by Runtime.mu
}

func (m *module) close() {
	ctx := context.Background()
	if m.rt != nil {
		_ = m.rt.Close(ctx)
	}
	if m.cache != nil {
		_ = m.cache.Close(ctx)
	}
}

// newModule makes wasm ready. Compiled code is read from dir if it is there, and written to it if
// not, unless dir is empty.
func (e *Engine) newModule(ctx context.Context, wasm []byte, heapPages uint64, compile bool, dir string) (m *module, err error) {
	m = &module{compiled: compile}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: panic: %v", ErrCode, p)
		}
		if err != nil {
			m.close()
			m = nil
		}
	}()
	cfg := wazero.NewRuntimeConfigInterpreter()
	if compile {
		cfg = wazero.NewRuntimeConfigCompiler()
	}
	cfg = cfg.WithMemoryLimitPages(e.cfg.MaxPages).WithCloseOnContextDone(true).WithDebugInfoEnabled(false)
	if dir != "" {
		if m.cache, err = wazero.NewCompilationCacheWithDir(dir); err != nil {
			return m, err
		}
		cfg = cfg.WithCompilationCache(m.cache)
	}
	m.rt = wazero.NewRuntimeWithConfig(ctx, cfg)
	if dir != "" {
		if err := m.sameMachine(ctx, dir); err != nil {
			return m, err
		}
	}
	m.main, err = m.rt.CompileModule(ctx, wasm)
	if err != nil && dir != "" {
		// It may be the folder. What was compiled is there still, and is not asked of it twice.
		again, err2 := m.rt.CompileModule(ctx, wasm)
		if err2 == nil {
			e.warn("compiled code is not kept: %v", err)
			m.main, m.unkept, err = again, true, nil
		}
	}
	if err != nil {
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

// sameMachine looks whether the folder, if it has compiled code, has it for this processor and this
// version of the compiler. They are part of the names that wazero gives to its files: the smallest
// module there is either has a file already, or gets a new one.
func (m *module) sameMachine(ctx context.Context, dir string) error {
	before, err := cacheFiles(dir)
	if err != nil {
		return err
	}
	if _, err := m.rt.CompileModule(ctx, []byte("\x00asm\x01\x00\x00\x00")); err != nil {
		return nil // the folder cannot be written; what else that means is seen later
	}
	after, err := cacheFiles(dir)
	if err != nil {
		return err
	}
	if len(before) > 0 && len(after) != len(before) {
		return errors.New("it is of another version of the compiler, or of another processor")
	}
	return nil
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
	if mem == nil && len(m.main.ExportedMemories()) == 0 {
		return fmt.Errorf("%w: it has no memory", ErrCode)
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
	i.mem = i.main.Memory()
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
