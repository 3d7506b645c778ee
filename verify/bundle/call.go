package bundle

import (
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// Limits of a CallClaim.
const (
	MaxMethod = 256     // bytes of a method's name
	MaxInput  = 1 << 20 // bytes of encoded arguments
	MaxOutput = 4 << 20 // bytes of an answer
)

// Errors of judging a CallClaim. They leave it undecided.
var (
	// ErrNoExecutor: whoever judges cannot execute a runtime.
	ErrNoExecutor = errors.New("nothing here executes a runtime")
	// ErrNoCode: the runtime's code is proven by its hash only, and was not given.
	ErrNoCode = errors.New("code of the runtime is neither in the bundle nor given")
	// ErrExecution: the call did not come to an end here.
	ErrExecution = errors.New("call was not executed to its end")
)

// An Executor executes a runtime. This package does not know how.
type Executor interface {
	// Execute calls a method of the runtime whose :code this is, over a state, and returns what it
	// answers. Where s returns an error, the execution ends. The slices must not be changed.
	Execute(code []byte, method string, input []byte, s Storage) (output []byte, err error)
}

// Storage is a state as a runtime reads it.
type Storage interface {
	// Get returns the value of a key; found is false if it has none.
	Get(key []byte) (value []byte, found bool, err error)
	// Next returns the smallest key above key; found is false if there is none.
	Next(key []byte) (next []byte, found bool, err error)
}

// A CallClaim says that a runtime API, called in the state after a block, answers Output. It is executed by
// the chain's own code, which that state has, or has the hash of.
type CallClaim struct {
	Number uint32
	Method string // such as "AccountNonceApi_account_nonce"; 1 to MaxMethod bytes
	Input  []byte // its arguments, each in SCALE, one after the other
	Code   verify.Hash
	Output []byte // what it answers, in SCALE
}

func (CallClaim) Kind() string { return "call" }

func (c CallClaim) String() string {
	return fmt.Sprintf("%s of code %s after block %s", c.Method, c.Code.Short(), number(c.Number))
}

func (c CallClaim) blocks() []uint32 { return []uint32{c.Number} }

func (c CallClaim) check() error {
	switch {
	case len(c.Method) == 0:
		return fmt.Errorf("%w: a call of no method", ErrForm)
	case len(c.Method) > MaxMethod || len(c.Input) > MaxInput || len(c.Output) > MaxOutput:
		return fmt.Errorf("%w: a method of %d bytes with %d of input and %d of output", ErrLimit, len(c.Method), len(c.Input), len(c.Output))
	}
	for _, b := range []byte(c.Method) {
		if b <= ' ' || b >= 0x7f {
			return fmt.Errorf("%w: method %q is no name of a function", ErrForm, c.Method)
		}
	}
	return nil
}

func (c CallClaim) judge(j *judge) error {
	b, err := j.known(c.Number)
	if err != nil {
		_, _ = b.code(j.embed)
		return err
	}
	hash, err := b.code(j.embed)
	if err != nil {
		return err
	}
	if hash != c.Code {
		return fail("code", fmt.Errorf("%w: the code after block %s has hash %s", ErrNotSo, number(c.Number), hash))
	}
	code, err := j.codeOf(b, hash)
	if err != nil {
		return err
	}
	if j.executor == nil {
		return lack("call", ErrNoExecutor)
	}
	s := &reading{block: b}
	output, err := j.executor.Execute(code, c.Method, c.Input, s)
	switch {
	case s.err != nil: // whatever came of it
		return s.err
	case err != nil:
		return lack("call", fmt.Errorf("%w: %w", ErrExecution, err))
	case string(output) != string(c.Output):
		return fail("call", fmt.Errorf("%w: it answers %s, not %s", ErrNotSo, short(output), short(c.Output)))
	}
	j.line.add("number", uint64(b.number))
	j.line.add("hash", b.hash.String())
	j.line.add("method", c.Method)
	j.line.add("input", fmt.Sprintf("0x%x", c.Input))
	j.line.add("code_hash", c.Code.String())
	j.line.add("output", fmt.Sprintf("0x%x", c.Output))
	j.line.Text = c.String() + ": " + short(output)
	return nil
}

// short writes bytes in hex, or how many there are.
func short(b []byte) string {
	if len(b) <= 40 {
		return fmt.Sprintf("0x%x", b)
	}
	return fmt.Sprintf("%s bytes, 0x%x…", group(uint64(len(b))), b[:8])
}

// code returns the hash of :code in the state after b. The value itself is asked for only if whole.
func (b *block) code(whole bool) (verify.Hash, error) {
	// A key below it leads through its node, and not to its value.
	below := append(subtensor.KeyCode(), 0)
	if whole {
		below = subtensor.KeyCode()
	}
	if _, err := b.Load(below); err != nil {
		return verify.Hash{}, err
	}
	hash, o, err := b.run.usage.ValueHash(b.header.StateRoot, subtensor.KeyCode())
	switch {
	case err != nil:
		return verify.Hash{}, fmt.Errorf("block %s: %w", number(b.number), err)
	case o == trie.Absent:
		return verify.Hash{}, fail("code", fmt.Errorf("%w: there is no code after block %s", ErrNotSo, number(b.number)))
	case o == trie.Incomplete:
		return verify.Hash{}, lack("storage", fmt.Errorf("%w: the node of :code after block %s", ErrMissing, number(b.number)))
	}
	return hash, nil
}

// codeOf returns the code with a proven hash: from the bundle if it is there, else from what was given.
func (r *run) codeOf(b *block, hash verify.Hash) ([]byte, error) {
	answers, err := r.usage.GetAll(b.header.StateRoot, [][]byte{subtensor.KeyCode()})
	if err != nil {
		return nil, fmt.Errorf("block %s: %w", number(b.number), err)
	}
	if answers[0].Outcome == trie.Present {
		return answers[0].Value, nil
	}
	for _, code := range r.codes {
		if verify.Blake2b256(code) == hash {
			return code, nil
		}
	}
	return nil, lack("code", fmt.Errorf("%w: %s", ErrNoCode, hash))
}

// A reading is the Storage of a block for one execution. Its first error stays: what an execution makes of
// it does not count.
type reading struct {
	block *block
	err   error
}

func (s *reading) Get(key []byte) ([]byte, bool, error) {
	if len(key) == 0 {
		return nil, false, nil // no state of this chain has the empty key, and no proof can be asked for it
	}
	values, err := s.block.Load(key)
	if err != nil {
		s.err = errors.Join(s.err, err)
		return nil, false, err
	}
	return values[0], values[0] != nil, nil
}

func (s *reading) Next(key []byte) ([]byte, bool, error) {
	r, root := s.block.run, s.block.header.StateRoot
	r.lookups++
	next, o, err := r.usage.Next(root, key)
	if err == nil && o == trie.Incomplete {
		err = fmt.Errorf("%w: key after 0x%x: %w", subtensor.ErrUnproven, key, trie.ErrIncomplete)
		if want, werr := r.pool.At(root).MissingKeys(nil, key, 1); werr == nil && len(want) == 1 {
			s.block.lack(want[0])
		}
	}
	if err != nil {
		err = fmt.Errorf("block %s: %w", number(s.block.number), err)
		s.err = errors.Join(s.err, err)
		return nil, false, err
	}
	return next, o == trie.Present, nil
}
