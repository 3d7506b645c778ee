package checkpoint

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/internal/jsonfield"
	"github.com/taolight/taolight/verify/trie"
)

// maxGenesisKeys is our bound on a genesis state; a spec of MaxSize bytes of real keys holds half.
const maxGenesisKeys = 1 << 18

// A Spec is what a light client takes from a raw chain spec.
type Spec struct {
	Name, ID, ChainType string
	ProtocolID, ForkID  string // ForkID is empty on Bittensor
	BootNodes           []string
	Properties          json.RawMessage // as they stand; nil if there are none
	SlotDuration        uint64          // properties.slotDurationMillis, our own extension, or DefaultSlotDuration
	Genesis             verify.Hash     // zero if the spec has no genesis
	GenesisHeader       *verify.Header  // nil likewise
	Checkpoint          *Checkpoint
	// Warnings are sentences about parts of the spec that full nodes obey and a light client
	// cannot: it may see another chain than they do.
	Warnings []string

	beacon *drand.Beacon // properties.drand, our own extension
}

// ParseSpec reads a raw chain spec; see Parse for the checkpoint it leads to. A spec needs a full
// genesis or a grandpaWarpSyncCheckpoint, or there is nothing to start from.
//
// The state version of the genesis is taken to be 1, as on every Bittensor chain (a spec does not
// say; it is in the runtime).
func ParseSpec(b []byte) (*Spec, error) {
	o, err := open(b)
	if err != nil {
		return nil, err
	}
	return readSpec(o)
}

func isSpec(o *jsonfield.Object) bool {
	raw, ok := o.Raw("genesis")
	return o.Has("grandpaWarpSyncCheckpoint") || ok && bytes.HasPrefix(raw, []byte("{"))
}

func readSpec(o *jsonfield.Object) (*Spec, error) {
	s := new(Spec)
	for _, f := range []struct {
		name string
		to   *string
	}{{"name", &s.Name}, {"id", &s.ID}, {"protocolId", &s.ProtocolID}, {"forkId", &s.ForkID}} {
		if *f.to, _ = o.Text(f.name); len(*f.to) > maxText {
			o.Fail(f.name, jsonfield.ErrLimit)
		}
	}
	// chainType is a word, or an object for a custom type, which does not matter here.
	if raw, ok := o.Raw("chainType"); ok && len(raw) <= maxText {
		s.ChainType, _ = jsonfield.Text(raw)
	}
	s.BootNodes = texts(o, "bootNodes")
	s.SlotDuration = DefaultSlotDuration
	if p, ok := o.Object("properties"); ok {
		raw, _ := o.Raw("properties")
		if len(raw) > maxText {
			o.Fail("properties", jsonfield.ErrLimit)
		}
		s.Properties = bytes.Clone(raw)
		if v, ok := p.Uint("slotDurationMillis", 64); ok {
			s.SlotDuration = v
		}
		beacon, err := readBeacon(p)
		if err != nil {
			o.Fail("properties", err)
		}
		s.beacon = beacon
		if err := p.Err(); err != nil {
			o.Fail("properties", err)
		}
	}
	s.warn(o)
	if err := o.Err(); err != nil {
		return nil, fmt.Errorf("chain spec: %w", err)
	}
	var state *genesisState
	if g, ok := o.Object("genesis"); ok {
		var err error
		if state, err = s.readGenesis(g); err != nil {
			return nil, fmt.Errorf("chain spec: genesis: %w", err)
		}
	}
	c, err := s.root(o, state)
	if err != nil {
		return nil, fmt.Errorf("chain spec: %w", err)
	}
	s.Checkpoint = c
	return s, nil
}

func (s *Spec) warn(o *jsonfield.Object) {
	for _, w := range []struct{ name, text string }{
		{"badBlocks", "full nodes refuse the blocks listed there, a light client does not"},
		{"codeSubstitutes", "full nodes run other code than the chain's for some blocks, so that runtime calls there may differ"},
		{"forkBlocks", "full nodes insist on the blocks listed there, a light client does not"},
	} {
		raw, ok := o.Raw(w.name)
		if !ok || string(raw) == "null" {
			continue
		}
		empty := len(bytes.Trim(raw, "[]{} \t\r\n")) == 0
		if !empty {
			s.Warnings = append(s.Warnings, w.name+": "+w.text)
		}
	}
}

// genesisState is what is needed from the state of block 0.
type genesisState struct {
	set  []grandpa.Authority
	aura []aura.AuthorityID
}

// root chooses the trust root of the spec.
func (s *Spec) root(o *jsonfield.Object, state *genesisState) (*Checkpoint, error) {
	c := &Checkpoint{Network: s.ID, Genesis: s.Genesis, SlotDuration: s.SlotDuration, Drand: s.beacon}
	if n, err := ByGenesis(s.Genesis); err == nil {
		c.Network = n.Name
	}
	if ext, ok := o.Object("grandpaWarpSyncCheckpoint"); ok {
		c.Source = "grandpaWarpSyncCheckpoint of a chain spec"
		if err := c.readUpstream(ext); err != nil {
			return nil, fmt.Errorf("grandpaWarpSyncCheckpoint: %w", err)
		}
		return c, nil
	}
	if err := o.Err(); err != nil {
		return nil, err
	}
	if state == nil {
		return nil, fmt.Errorf("%w: neither the full genesis nor grandpaWarpSyncCheckpoint is there", ErrFormat)
	}
	c.Source = "genesis of a chain spec"
	c.Hash, c.Header = s.Genesis, s.GenesisHeader
	c.Set.Authorities, c.Aura = state.set, state.aura
	if c.Set.Authorities == nil {
		return nil, fmt.Errorf("genesis: %w: neither :grandpa_authorities nor Grandpa.Authorities is there", ErrNoSet)
	}
	return c, c.settle()
}

// readUpstream reads {finalizedBlockHeader, grandpaAuthoritySet} into c: the header of a final
// block, and SCALE(set id u64, Vec<([32], u64)>) of the set that signed it, not of the one it
// announces.
func (c *Checkpoint) readUpstream(o *jsonfield.Object) error {
	o.Need("finalizedBlockHeader", "grandpaAuthoritySet")
	header, _ := o.Bytes("finalizedBlockHeader", verify.MaxHeaderSize)
	list, _ := o.Bytes("grandpaAuthoritySet", 64<<10)
	if err := o.Err(); err != nil {
		return err
	}
	var err error
	if c.Header, err = verify.DecodeHeader(header); err != nil {
		return fmt.Errorf("finalizedBlockHeader: %w", err)
	}
	c.Number, c.Hash = c.Header.Number, c.Header.Hash()
	set, err := grandpa.DecodeAuthoritySet(list)
	if err != nil {
		return fmt.Errorf("grandpaAuthoritySet: %w", err)
	}
	c.Set, c.SetSigned = *set, true
	return c.settle()
}

// readUpstream reads the extension object standing alone or under "checkpoint". It belongs to the
// compiled-in network whose checkpoint it is, or to one that the caller has to name.
func readUpstream(o *jsonfield.Object) (*Checkpoint, error) {
	ext := o
	if sub, ok := o.Object("checkpoint"); ok {
		ext = sub
	}
	if err := o.Err(); err != nil {
		return nil, err
	}
	c := &Checkpoint{SlotDuration: DefaultSlotDuration, Source: "grandpaWarpSyncCheckpoint"}
	if err := c.readUpstream(ext); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	for _, want := range []string{"hash", "block_hash"} {
		if h, ok := o.Hash(want); ok && h != c.Hash {
			return nil, fmt.Errorf("checkpoint: %s: %w: header has hash %v", want, ErrMismatch, c.Hash)
		}
	}
	if name, ok := o.Text("network"); ok {
		n, err := ByName(name)
		if err != nil {
			return nil, err
		}
		c.Network, c.Genesis = n.Name, n.Genesis
	} else {
		for _, name := range networkNames {
			if n, err := ByName(name); err == nil && n.Checkpoint.Hash == c.Hash {
				c.Network, c.Genesis = n.Name, n.Genesis
			}
		}
	}
	return c, o.Err()
}

// readGenesis computes the header of block 0 from genesis.raw.top, or takes it from
// genesis.stateRootHash, which gives a hash but no authorities.
func (s *Spec) readGenesis(g *jsonfield.Object) (*genesisState, error) {
	var state *genesisState
	var root verify.Hash
	if raw, ok := g.Object("raw"); ok {
		if kids, ok := raw.Object("childrenDefault"); ok && len(kids.All()) != 0 {
			// Their roots are part of the main state and would have to be computed first. No
			// Bittensor chain has any.
			return nil, fmt.Errorf("%w: child tries in the genesis", ErrFormat)
		}
		top, ok := raw.Raw("top")
		if err := raw.Err(); err != nil {
			return nil, fmt.Errorf("raw: %w", err)
		}
		if !ok {
			return nil, fmt.Errorf("%w: raw.top is missing", ErrFormat)
		}
		var err error
		if root, state, err = readTop(top); err != nil {
			return nil, fmt.Errorf("raw.top: %w", err)
		}
	} else if hash, ok := g.Hash("stateRootHash"); ok {
		root = hash
	} else if err := g.Err(); err != nil {
		return nil, err
	} else {
		return nil, nil // not raw: nothing to start from, unless a checkpoint is there
	}
	s.GenesisHeader = &verify.Header{StateRoot: root, ExtrinsicsRoot: trie.EmptyRoot}
	s.Genesis = s.GenesisHeader.Hash()
	return state, nil
}

// keyGrandpaAuthorities is where GRANDPA keeps its list at genesis, with a version byte before it
// (sp_consensus_grandpa::GRANDPA_AUTHORITIES_KEY). Newer runtimes use Grandpa.Authorities.
const keyGrandpaAuthorities = ":grandpa_authorities"

func readTop(raw json.RawMessage) (root verify.Hash, state *genesisState, err error) {
	top := make(map[string][]byte)
	err = jsonfield.Members(raw, func(name string, value json.RawMessage) error {
		if len(top) == maxGenesisKeys {
			return fmt.Errorf("%w: more than %d keys", jsonfield.ErrLimit, maxGenesisKeys)
		}
		key, err := verify.ParseHex(name)
		if err != nil {
			return fmt.Errorf("key %.80q: %w", name, err)
		}
		if _, ok := top[string(key)]; ok {
			return fmt.Errorf("key %.80q: %w", name, jsonfield.ErrDuplicate)
		}
		v, err := jsonfield.Bytes(value, MaxSize)
		if err != nil {
			return fmt.Errorf("key %.80q: %w", name, err)
		}
		top[string(key)] = v
		return nil
	})
	if err != nil {
		return root, nil, err
	}
	state = new(genesisState)
	if state.set, err = genesisSet(top); err != nil {
		return root, nil, err
	}
	if v, ok := top[string(verify.StorageKey("Aura", "Authorities"))]; ok {
		if state.aura, err = aura.DecodeAuthorities(v); err != nil {
			return root, nil, fmt.Errorf("Aura.Authorities: %w", err)
		}
	}
	return trie.Root(trie.V1, top), state, nil
}

func genesisSet(top map[string][]byte) ([]grandpa.Authority, error) {
	var list []grandpa.Authority
	v, early := top[keyGrandpaAuthorities]
	if early {
		if len(v) == 0 || v[0] != 1 {
			return nil, fmt.Errorf("%s: %w: unknown version", keyGrandpaAuthorities, ErrFormat)
		}
		var err error
		if list, err = grandpa.DecodeAuthorities(v[1:]); err != nil {
			return nil, fmt.Errorf("%s: %w", keyGrandpaAuthorities, err)
		}
	}
	w, ok := top[string(verify.StorageKey("Grandpa", "Authorities"))]
	if !ok {
		return list, nil
	}
	if early && !bytes.Equal(v[1:], w) {
		return nil, fmt.Errorf("%w: %s and Grandpa.Authorities differ", ErrMismatch, keyGrandpaAuthorities)
	}
	list, err := grandpa.DecodeAuthorities(w)
	if err != nil {
		return nil, fmt.Errorf("Grandpa.Authorities: %w", err)
	}
	return list, nil
}
