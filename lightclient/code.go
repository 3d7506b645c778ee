package lightclient

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// Runtimes keeps what a node has fetched of the chain's code. What Code returns has the hash that was asked
// for; Metadata is what was put with that hash.
type Runtimes interface {
	Code(hash verify.Hash) ([]byte, error)
	PutCode(code []byte) error
	Metadata(hash verify.Hash) ([]byte, error)
	PutMetadata(hash verify.Hash, raw []byte) error
	Any() bool // metadata of whatever runtime
}

// Our own limits.
const (
	// maxCodes is how many runtimes are kept loaded: that of the head, and one of the past.
	maxCodes = 2
)

// Errors of the chain's code.
var (
	// ErrNoRuntime: what the state has for code is no runtime that can be executed.
	ErrNoRuntime = errors.New("no runtime")
	// ErrNoEngine: the node was made to execute nothing.
	ErrNoEngine = errors.New("this node executes no runtime")
)

func keyHeapPages() []byte { return []byte(":heappages") }

// A Code is a runtime of the chain with what it says of itself. Runtime and Metadata are made when they are
// first needed.
type Code struct {
	Hash      verify.Hash
	heapPages []byte

	mu       sync.Mutex
	raw      []byte // as it stands in :code; nil if it is kept elsewhere
	runtime  *runtime.Runtime
	metadata *metadata.Metadata
	layout   *subtensor.Layout
	looked   bool  // what is kept was looked through
	tried    bool  // it was compiled, or cannot be
	failed   error // why it cannot be loaded
}

// codes are the runtimes that a node knows.
type codes struct {
	mu   sync.Mutex
	any  bool    // metadata of one is known, here or where it is kept
	list []*Code // the last used one first
}

// of returns the runtime with a hash, known or new.
func (c *codes) of(hash verify.Hash) *Code {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.list, func(k *Code) bool { return k.Hash == hash })
	var k *Code
	if i >= 0 {
		k = c.list[i]
		c.list = slices.Delete(c.list, i, i+1)
	} else {
		k = &Code{Hash: hash}
	}
	c.list = slices.Insert(c.list, 0, k)
	for len(c.list) > maxCodes {
		last := c.list[len(c.list)-1]
		c.list = c.list[:len(c.list)-1]
		last.close()
	}
	return k
}

func (c *codes) close() {
	c.mu.Lock()
	list := c.list
	c.list = nil
	c.mu.Unlock()
	for _, k := range list {
		k.close()
	}
}

// close frees the runtime, unless it is being compiled: then whoever does that frees it.
func (k *Code) close() {
	if !k.mu.TryLock() {
		return
	}
	defer k.mu.Unlock()
	if k.runtime != nil {
		k.runtime.Close()
		k.runtime = nil
	}
}

// keyBelowCode leads through the node of :code and not to its value, which by the trie's rules is an entry of
// its own: so the code's hash is proven by a proof that is small.
func keyBelowCode() []byte { return append(subtensor.KeyCode(), 0) }

// codeHash returns the hash of the code in the state of a block.
func (l *look) codeHash(at FinalBlock) (verify.Hash, error) {
	for range 2 {
		p, err := l.proof(at)
		if err != nil {
			return verify.Hash{}, err
		}
		hash, outcome, err := p.ValueHash(subtensor.KeyCode())
		switch {
		case err != nil:
			return verify.Hash{}, err
		case outcome == trie.Present:
			return hash, nil
		case outcome == trie.Absent:
			return verify.Hash{}, fmt.Errorf("block #%d: %w: the state has no :code", at.Header.Number, ErrNoRuntime)
		}
		if err := l.extend(at, [][]byte{keyBelowCode(), keyHeapPages()}); err != nil {
			return verify.Hash{}, err
		}
	}
	return verify.Hash{}, fmt.Errorf("block #%d: :code: %w", at.Header.Number, ErrIncomplete)
}

// code returns the runtime in the state of a block, which may not be loaded yet.
func (l *look) code(at FinalBlock) (*Code, error) {
	hash, err := l.codeHash(at)
	if err != nil {
		return nil, err
	}
	return l.n.codes.of(hash), nil
}

// rawOf returns the code's bytes: those that are kept, or else from a peer. The caller holds k.mu.
func (l *look) rawOf(k *Code, at FinalBlock) ([]byte, error) {
	if k.raw != nil {
		return k.raw, nil
	}
	store := l.n.cfg.Runtimes
	if store != nil {
		if b, err := store.Code(k.Hash); err == nil {
			return b, nil
		}
	}
	l.note(fmt.Sprintf("fetching runtime %s", k.Hash.Short()))
	nodes, _, err := l.n.gather(l.ctx, at, l.depth(at), [][]byte{subtensor.KeyCode()}, func(int) {})
	if err != nil {
		return nil, fmt.Errorf("runtime %s: %w", k.Hash.Short(), err)
	}
	p, err := trie.NewProof(at.Header.StateRoot, nodes)
	if err != nil {
		return nil, err
	}
	b, outcome, err := p.Get(subtensor.KeyCode())
	if err != nil || outcome != trie.Present || verify.Blake2b256(b) != k.Hash {
		return nil, fmt.Errorf("runtime %s: %w (%v)", k.Hash.Short(), ErrIncomplete, err)
	}
	l.n.note("runtime", "fetched and proven: %s, %d bytes, at #%d", k.Hash.Short(), len(b), at.Header.Number)
	b = slices.Clone(b)
	if store == nil || !l.n.writable.Load() {
		k.raw = b
	} else if err := store.PutCode(b); err != nil {
		l.n.warn("runtime", "not kept: %v", err)
		k.raw = b
	}
	return b, nil
}

// load makes the code ready to be called. The caller holds k.mu.
func (l *look) load(k *Code, at FinalBlock) error {
	if k.runtime != nil || k.failed != nil {
		return k.failed
	}
	engine := l.n.cfg.Engine
	if engine == nil {
		return ErrNoEngine
	}
	raw, err := l.rawOf(k, at)
	if err != nil {
		return err
	}
	p, err := l.proof(at)
	if err != nil {
		return err
	}
	if pages, outcome, err := p.Get(keyHeapPages()); err == nil && outcome == trie.Present {
		k.heapPages = slices.Clone(pages)
	}
	r, err := engine.Load(l.ctx, raw, k.heapPages)
	if err != nil {
		if l.ctx.Err() == nil { // it will not get better
			k.failed = fmt.Errorf("%w: %w", ErrNoRuntime, err)
			return k.failed
		}
		return err
	}
	k.runtime = r
	if l.n.cfg.Compile && l.n.writable.Load() && !k.tried && !r.Compiled() && engine.Interprets() == nil {
		l.n.compile(k, raw)
	}
	return nil
}

// compile puts the compiled form of a runtime in the place of the interpreted one. What an interpreter holds and what
// compiling takes would together be more than a small board has, so the one is let go before the other begins; who wants
// to call it meanwhile waits. It cannot be stopped, and takes such a board half a minute, so nobody waits for it at the end.
func (n *Node) compile(k *Code, raw []byte) {
	go func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		old := k.runtime
		if old == nil || old.Compiled() {
			return
		}
		k.runtime = nil
		old.Close()
		debug.FreeOSMemory()
		began := time.Now()
		err := n.cfg.Engine.Precompile(context.Background(), raw)
		ended := func() bool {
			select {
			case <-n.done:
				return true
			default:
				return false
			}
		}
		if ended() {
			return
		}
		r, lerr := n.cfg.Engine.Load(context.Background(), raw, k.heapPages)
		if lerr != nil {
			n.warn("runtime", "%v", lerr)
			return
		}
		k.runtime, k.tried = r, true
		switch {
		case ended():
			r.Close()
			k.runtime = nil
		case err != nil:
			n.warn("runtime", "interpreted: %v", err)
		default:
			n.note("runtime", "compiled %s in %v", k.Hash.Short(), time.Since(began).Round(10*time.Millisecond))
		}
	}()
}

// runtimeAt returns the runtime in the state of a block, ready to be called.
func (l *look) runtimeAt(at FinalBlock) (*runtime.Runtime, error) {
	k, err := l.code(at)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := l.load(k, at); err != nil {
		return nil, err
	}
	return k.runtime, nil
}

// metadataAt returns what the runtime in the state of a block says of itself: what is kept, or else what the
// runtime answers. That needs nothing of the state.
func (l *look) metadataAt(at FinalBlock) (*Code, *metadata.Metadata, error) {
	k, err := l.code(at)
	if err != nil {
		return nil, nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.n.recall(k); k.metadata != nil {
		return k, k.metadata, nil
	}
	if err := l.load(k, at); err != nil {
		return nil, nil, err
	}
	raw, err := askMetadata(l.ctx, k.runtime)
	if err != nil {
		return nil, nil, fmt.Errorf("runtime %s: %w", k.Hash.Short(), err)
	}
	m, err := metadata.Parse(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("runtime %s: %w", k.Hash.Short(), err)
	}
	k.describe(m)
	l.n.codes.met()
	if store := l.n.cfg.Runtimes; store != nil && l.n.writable.Load() {
		if err := store.PutMetadata(k.Hash, raw); err != nil {
			l.n.warn("runtime", "metadata is not kept: %v", err)
		}
	}
	return k, m, nil
}

// recall takes the metadata that is kept, if there is any. The caller holds k.mu.
func (n *Node) recall(k *Code) {
	if k.metadata != nil || k.looked || n.cfg.Runtimes == nil {
		return
	}
	k.looked = true
	raw, err := n.cfg.Runtimes.Metadata(k.Hash)
	if err != nil {
		return
	}
	if m, err := metadata.Parse(raw); err == nil {
		k.describe(m)
	}
}

// describe sets the metadata. The caller holds k.mu.
func (k *Code) describe(m *metadata.Metadata) {
	k.metadata, k.layout = m, subtensor.NewLayout(func(pallet, item string) (subtensor.Declaration, bool) {
		return declared(m, pallet, item)
	})
}

// askMetadata asks a runtime for its metadata, the newest version that is understood here.
func askMetadata(ctx context.Context, r *runtime.Runtime) ([]byte, error) {
	answer, err := r.Call(ctx, "Metadata_metadata_versions", nil, nil)
	if errors.Is(err, runtime.ErrNoMethod) { // before version 2 of the API there was one version
		answer, err = r.Call(ctx, "Metadata_metadata", nil, nil)
		if err != nil {
			return nil, err
		}
		return metadata.Unwrap(answer)
	}
	if err != nil {
		return nil, err
	}
	list := scale.NewReader(answer)
	best := uint32(0)
	for range list.Count(4, 1024) {
		if v := list.U32(); v <= metadata.Newest {
			best = max(best, v)
		}
	}
	if err := list.Finish(); err != nil {
		return nil, fmt.Errorf("versions of the metadata: %w", err)
	}
	if answer, err = r.Call(ctx, "Metadata_metadata_at_version", binary.LittleEndian.AppendUint32(nil, best), nil); err != nil {
		return nil, err
	}
	return metadata.Unwrap(answer)
}

// layoutIn returns the layout of the state that a proof is of, if the metadata of its code is known; nil if it
// is not, or nothing is executed. open says that the proof does not tell which code that is.
func (n *Node) layoutIn(p *trie.Proof) (layout *subtensor.Layout, open bool) {
	if !n.codes.known() {
		return nil, false
	}
	hash, outcome, err := p.ValueHash(subtensor.KeyCode())
	if err != nil || outcome != trie.Present {
		return nil, err == nil && outcome == trie.Incomplete
	}
	k := n.codes.of(hash)
	k.mu.Lock()
	defer k.mu.Unlock()
	n.recall(k)
	return k.layout, false
}

// met notes that metadata is known now; known reports whether any is. As long as none is, nobody asks a state
// which code it has.
func (c *codes) met() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.any = true
}

func (c *codes) known() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.any
}

// declared returns what metadata says of a storage item, its types written as they are encoded.
func declared(m *metadata.Metadata, pallet, name string) (subtensor.Declaration, bool) {
	p, err := m.Pallet(pallet)
	if err != nil || p.Name != pallet {
		return subtensor.Declaration{}, false
	}
	i := slices.IndexFunc(p.Items, func(it metadata.Item) bool { return it.Name == name })
	if i < 0 {
		return subtensor.Declaration{}, false
	}
	it := &p.Items[i]
	d := subtensor.Declaration{Value: m.Types.Encoding(it.Value), Default: it.Default, Optional: it.Optional}
	for i, h := range it.Hashers {
		d.Hashers = append(d.Hashers, h.String())
		d.Keys = append(d.Keys, m.Types.Encoding(it.Keys[i]))
	}
	return d, true
}
