package runtime

import (
	"context"
	"fmt"
	"github.com/taolight/taolight/verify"
	"sync"
)

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
func (r *Runtime) Close() { r.swap(nil) }

// swap puts m in the place of the runtime's module, which is freed when its last call has ended. If
// the runtime is closed, m is freed instead.
func (r *Runtime) swap(m *module) bool {
	r.mu.Lock()
	old := r.mod
	closed := old == nil
	if closed {
		old = m
	} else {
		r.mod, r.source = m, nil
	}
	free := old != nil && old.calls == 0
	r.mu.Unlock()
	if free {
		old.close()
	}
	return !closed
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
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: panic: %v", ErrTrap, p)
		}
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
	return m.call(ctx, r.engine, method, input, o)
}
