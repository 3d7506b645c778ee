package runtime

import (
	"errors"
	"fmt"
)

// Errors. They come wrapped with the place: the method, the host function, the key.
var (
	// ErrCode: the code is no runtime that can be executed.
	ErrCode = errors.New("bad runtime code")
	// ErrNoMethod: the runtime has no function of that name.
	ErrNoMethod = errors.New("the runtime has no such method")
	// ErrTrap: the runtime gave up: it met a case that its authors excluded, or is broken.
	ErrTrap = errors.New("the runtime trapped")
	// ErrTimeout: the call took longer than its limit.
	ErrTimeout = errors.New("the runtime call timed out")
	// ErrMemory: the call wanted more memory than its limit.
	ErrMemory = errors.New("above the memory limit")
	// ErrHeap: the runtime freed what it did not allocate, or wrote over the headers of its heap.
	ErrHeap = errors.New("heap corrupted")
	// ErrPointer: the runtime passed a pointer that leads outside its memory.
	ErrPointer = errors.New("pointer outside the memory")
	// ErrIncomplete: the call needs to know more of the state than is known.
	ErrIncomplete = errors.New("state is incomplete")
	// ErrState: the state contradicts itself.
	ErrState = errors.New("bad state")
	// ErrUnknownImport: the runtime called a host function that is not there.
	ErrUnknownImport = errors.New("unknown host function")
	// ErrHost: the runtime called a host function that has no answer here (keys, offchain workers),
	// or called one as it must not be called.
	ErrHost = errors.New("host function refused")
	// ErrRoot: the storage root, or a child trie, was asked for of a state that does not have it.
	ErrRoot = errors.New("the state cannot tell")
	// ErrTransaction: a storage transaction was ended that was not begun.
	ErrTransaction = errors.New("no open transaction")
	// ErrClosed: the runtime was used after Close.
	ErrClosed = errors.New("the runtime is closed")
)

// An IncompleteError says which part of the state a call went on to need: fetch a proof of it, and
// run the call again. It wraps ErrIncomplete.
type IncompleteError struct {
	Child []byte // the child trie's key in the main trie, nil for the main trie
	Key   []byte
	Next  bool // the key after Key was asked for, not its value
}

// Error names the key.
func (e *IncompleteError) Error() string {
	what := "key"
	if e.Next {
		what = "key after"
	}
	if e.Child != nil {
		return fmt.Sprintf("%v: %s 0x%x of child trie %q", ErrIncomplete, what, e.Key, e.Child)
	}
	return fmt.Sprintf("%v: %s 0x%x", ErrIncomplete, what, e.Key)
}

// Unwrap returns ErrIncomplete.
func (e *IncompleteError) Unwrap() error { return ErrIncomplete }
