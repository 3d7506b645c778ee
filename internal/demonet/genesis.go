package demonet

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// ErrSpec: a chain spec has no genesis that a chain could be made from.
var ErrSpec = errors.New("chain spec")

// maxGenesisKeys is our bound on a genesis state, as a checkpoint has it.
const maxGenesisKeys = 1 << 18

// endowment is what each developer has at least: a million TAO, in RAO.
const endowment = 1_000_000_000_000_000

// A genesisSpec is the genesis of a chain spec: either raw, keys and values, or what its runtime builds them
// from (sc-chain-spec).
type genesisSpec struct {
	top      map[string][]byte
	children map[string]map[string][]byte // by the key without runtime.ChildPrefix

	code     []byte          // of a spec that is not raw
	patch    json.RawMessage // to be merged into what the runtime has by default
	complete json.RawMessage // or all of it
}

func readGenesis(spec []byte) (*genesisSpec, error) {
	var s struct {
		Genesis struct {
			Raw *struct {
				Top      map[string]string            `json:"top"`
				Children map[string]map[string]string `json:"childrenDefault"`
			} `json:"raw"`
			Runtime *struct {
				Code   string          `json:"code"`
				Patch  json.RawMessage `json:"patch"`
				Config json.RawMessage `json:"config"`
			} `json:"runtimeGenesis"`
		} `json:"genesis"`
	}
	if err := json.Unmarshal(spec, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpec, err)
	}
	g := &genesisSpec{}
	if r := s.Genesis.Runtime; r != nil {
		code, err := verify.ParseHex(r.Code)
		if err != nil {
			return nil, fmt.Errorf("%w: runtimeGenesis.code: %w", ErrSpec, err)
		}
		g.code, g.patch, g.complete = code, r.Patch, r.Config
	} else if r := s.Genesis.Raw; r != nil {
		var err error
		if g.top, err = readKeys(r.Top); err != nil {
			return nil, fmt.Errorf("%w: top: %w", ErrSpec, err)
		}
		g.children = make(map[string]map[string][]byte)
		for name, list := range r.Children {
			key, err := verify.ParseHex(name)
			if err != nil {
				return nil, fmt.Errorf("%w: childrenDefault: key %.80q: %w", ErrSpec, name, err)
			}
			if g.children[string(key)], err = readKeys(list); err != nil {
				return nil, fmt.Errorf("%w: childrenDefault: %s: %w", ErrSpec, name, err)
			}
		}
		g.code = g.top[string(keyCode)]
	} else {
		return nil, fmt.Errorf("%w: neither genesis.raw nor genesis.runtimeGenesis is there", ErrSpec)
	}
	if len(g.code) == 0 {
		return nil, fmt.Errorf("%w: no :code", ErrSpec)
	}
	return g, nil
}

// heapPages is :heappages, nil if there is none.
func (g *genesisSpec) heapPages() []byte { return g.top[string(keyHeapPages)] }

func readKeys(list map[string]string) (map[string][]byte, error) {
	if len(list) > maxGenesisKeys {
		return nil, fmt.Errorf("%d keys, at most %d", len(list), maxGenesisKeys)
	}
	out := make(map[string][]byte, len(list))
	for name, text := range list {
		key, err := verify.ParseHex(name)
		if err != nil {
			return nil, fmt.Errorf("key %.80q: %w", name, err)
		}
		if _, ok := out[string(key)]; ok {
			return nil, fmt.Errorf("key %.80q stands twice", name)
		}
		if out[string(key)], err = verify.ParseHex(text); err != nil {
			return nil, fmt.Errorf("value of key %.80q: %w", name, err)
		}
	}
	return out, nil
}

// state returns the state that the spec describes, untouched.
func (g *genesisSpec) state(ctx context.Context, r *runtime.Runtime) (*runtime.TrieState, error) {
	v := trie.Version(r.Version().State)
	empty := runtime.NewTrieState(trie.New(v))
	o := runtime.NewOverlay(empty)
	if g.top == nil {
		if err := g.build(ctx, r, o); err != nil {
			return nil, err
		}
	}
	for key, value := range g.top {
		if err := o.Set(nil, []byte(key), value); err != nil {
			return nil, err
		}
	}
	for name, list := range g.children {
		for key, value := range list {
			if err := o.Set([]byte(runtime.ChildPrefix+name), []byte(key), value); err != nil {
				return nil, err
			}
		}
	}
	if _, err := o.Root(v); err != nil {
		return nil, err
	}
	return empty.Apply(v, o.Changes()), nil
}

// build has the runtime build the state from the spec's configuration: GenesisBuilder_build_state, of
// which older runtimes know the name build_config, and likewise get_preset and create_default_config.
func (g *genesisSpec) build(ctx context.Context, r *runtime.Runtime, o *runtime.Overlay) error {
	if err := o.Set(nil, keyCode, g.code); err != nil {
		return err
	}
	config := g.complete
	if config == nil {
		preset, err := callEither(ctx, r, o, "GenesisBuilder_get_preset", []byte{0}, "GenesisBuilder_create_default_config", nil)
		if err != nil {
			return err
		}
		if config, err = mergeJSON(preset, g.patch); err != nil {
			return err
		}
	}
	out, err := callEither(ctx, r, o, "GenesisBuilder_build_state", scale.AppendBlob(nil, config), "GenesisBuilder_build_config", scale.AppendBlob(nil, config))
	if err != nil {
		return err
	}
	if len(out) == 0 || out[0] != 0 { // Result<(), String>
		rd := scale.NewReader(out)
		rd.Byte()
		return fmt.Errorf("runtime refuses the genesis configuration: %.400q", rd.Blob(1<<16))
	}
	return nil
}

// callEither calls the first method, or the second if there is no such first.
func callEither(ctx context.Context, r *runtime.Runtime, o *runtime.Overlay, a string, in []byte, b string, inB []byte) ([]byte, error) {
	out, err := r.Call(ctx, a, in, o)
	if errors.Is(err, runtime.ErrNoMethod) {
		out, err = r.Call(ctx, b, inB, o)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a, err)
	}
	return out, nil
}

// mergeJSON merges a patch into what the runtime answered, Vec<u8> or Option<Vec<u8>> of JSON text, by the
// rules of RFC 7396.
func mergeJSON(answer, patch []byte) ([]byte, error) {
	text, err := presetText(answer)
	if err != nil {
		return nil, fmt.Errorf("default genesis configuration: %w", err)
	}
	if len(patch) == 0 {
		return text, nil
	}
	var to, from any
	if err := decodeNumbers(text, &to); err != nil {
		return nil, fmt.Errorf("default genesis configuration: %w", err)
	}
	if err := decodeNumbers(patch, &from); err != nil {
		return nil, fmt.Errorf("%w: patch: %w", ErrSpec, err)
	}
	return json.Marshal(merge(to, from))
}

func presetText(answer []byte) ([]byte, error) {
	r := scale.NewReader(answer)
	text := r.Blob(-1)
	if r.Finish() == nil {
		return text, nil
	}
	if r = scale.NewReader(answer); r.Byte() == 1 {
		text = r.Blob(-1)
	}
	return text, r.Finish()
}

// decodeNumbers decodes JSON and keeps the digits of numbers: balances do not fit a float.
func decodeNumbers(text []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(to)
}

func merge(to, from any) any {
	patch, ok := from.(map[string]any)
	if !ok {
		return from
	}
	object, ok := to.(map[string]any)
	if !ok {
		object = make(map[string]any)
	}
	for name, value := range patch {
		if value == nil {
			delete(object, name)
		} else {
			object[name] = merge(object[name], value)
		}
	}
	return object
}

// A Replacement is an item of a spec's genesis state that the network has put something else for.
type Replacement struct {
	Item string // such as Sudo.Key, or System.Account with the account
	Now  string // what it is, in words
}

// takeOver replaces in the genesis state what belongs to those who made the spec: the authorities become
// those of the network, the sudo key //Alice's; the developers get something to spend; and the state gets
// the date of the start, by which each start has a genesis hash of its own. empty is an account that has nothing.
func takeOver(s *runtime.TrieState, v trie.Version, keys *keyring, empty []byte, now uint64) (*runtime.TrieState, []Replacement, error) {
	var done []Replacement
	o := runtime.NewOverlay(s)
	var failed error
	put := func(item, words string, key, value []byte) {
		if err := o.Set(nil, key, value); err != nil {
			failed = err
		}
		done = append(done, Replacement{item, words})
	}
	t := s.Trie()
	has := func(key []byte) bool { _, ok := t.Get(key); return ok }

	auraKey := verify.StorageKey("Aura", "Authorities")
	if !has(auraKey) {
		return nil, nil, fmt.Errorf("%w: no Aura.Authorities: blocks of this chain are not sealed by Aura", ErrSpec)
	}
	put("Aura.Authorities", fmt.Sprintf("%d of this network", keys.size), auraKey, aura.AppendAuthorities(nil, keys.auraSet(0)))
	list := grandpa.AppendAuthorities(nil, keys.grandpaSet(0).Authorities)
	grandpaKey := verify.StorageKey("Grandpa", "Authorities")
	if !has(grandpaKey) && !has(keyGrandpaAuthorities) {
		return nil, nil, fmt.Errorf("%w: neither Grandpa.Authorities nor :grandpa_authorities: GRANDPA does not finalize this chain", ErrSpec)
	}
	if has(grandpaKey) {
		put("Grandpa.Authorities", fmt.Sprintf("%d of this network", keys.size), grandpaKey, list)
	}
	if has(keyGrandpaAuthorities) {
		put(":grandpa_authorities", fmt.Sprintf("%d of this network", keys.size), keyGrandpaAuthorities, append([]byte{1}, list...))
	}
	put("Grandpa.CurrentSetId", "0", verify.StorageKey("Grandpa", "CurrentSetId"), u64(0))
	if key := verify.StorageKey("Sudo", "Key"); has(key) {
		who := accountOf(developer(developers[0]))
		put("Sudo.Key", "//"+developers[0], key, who[:])
	}
	issuance := verify.StorageKey("Balances", "TotalIssuance")
	total, err := number(t, issuance)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: Balances.TotalIssuance: %w", ErrSpec, err)
	}
	for _, name := range developers {
		who := accountOf(developer(name))
		key := verify.AppendBlake2b128Concat(verify.StorageKey("System", "Account"), who[:])
		more := uint64(endowment)
		info, ok := t.Get(key)
		if len(info) >= 24 {
			info = append([]byte(nil), info...)
			if free := binary.LittleEndian.Uint64(info[16:]); free < more {
				more -= free
				binary.LittleEndian.PutUint64(info[16:], endowment)
			} else {
				continue
			}
		} else if ok {
			return nil, nil, fmt.Errorf("%w: System.Account %v has %d bytes", ErrSpec, who, len(info))
		} else {
			info = newAccount(empty, endowment)
		}
		total += more
		put("System.Account", fmt.Sprintf("//%s %v has %d TAO", name, who, uint64(endowment)/1_000_000_000), key, info)
	}
	put("Balances.TotalIssuance", fmt.Sprintf("%d RAO", total), issuance, u64(total))
	put("Timestamp.Now", fmt.Sprintf("%d", now), verify.StorageKey("Timestamp", "Now"), u64(now))
	if failed != nil {
		return nil, nil, failed
	}
	return s.Apply(v, o.Changes()), done, nil
}

// newAccount is System.Account of an account with something to spend, made of one that has nothing: nonce,
// consumers, providers, sufficients u32; free and more, which runtimes do not agree on.
func newAccount(empty []byte, free uint64) []byte {
	b := append([]byte(nil), empty...)
	binary.LittleEndian.PutUint32(b[8:], 1)
	binary.LittleEndian.PutUint64(b[16:], free)
	return b
}

// emptyAccount is what a runtime reads for an account that does not exist.
func emptyAccount(ctx context.Context, r *runtime.Runtime) ([]byte, error) {
	answer, err := r.Call(ctx, "Metadata_metadata", nil, nil)
	if err != nil {
		return nil, err
	}
	m, err := metadata.FromAPI(answer)
	if err != nil {
		return nil, err
	}
	it, err := m.Item("System.Account")
	if err != nil {
		return nil, err
	}
	if len(it.Default) < 24 {
		return nil, fmt.Errorf("%w: an account has %d bytes", ErrSpec, len(it.Default))
	}
	return it.Default, nil
}

func number(t *trie.Trie, key []byte) (uint64, error) {
	b, ok := t.Get(key)
	if !ok {
		return 0, nil
	}
	r := scale.NewReader(b)
	v := r.U64()
	return v, r.Finish()
}

// An Origin is what a chain with a runtime was made from.
type Origin struct {
	Runtime  runtime.Version // of block 0
	Replaced []Replacement   // of the genesis state in its chain spec

	spec *genesisSpec
}

// Origin returns what the chain was made from, nil if it has no runtime.
func (n *Network) Origin() *Origin { return n.chain.producer.origin() }

// children is childrenDefault of a raw chain spec. The network replaces nothing there.
func (o *Origin) children() map[string]map[string]string {
	out := make(map[string]map[string]string)
	if o == nil {
		return out
	}
	for name, list := range o.spec.children {
		keys := make(map[string]string, len(list))
		for key, value := range list {
			keys["0x"+hex.EncodeToString([]byte(key))] = "0x" + hex.EncodeToString(value)
		}
		out["0x"+hex.EncodeToString([]byte(name))] = keys
	}
	return out
}
