package checkpoint

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/internal/jsonfield"
)

// The compiled-in trust roots. NAME.json holds what a network is called and where it begins,
// NAME.checkpoint.json the newest checkpoint, in the form that `checkpoint export` writes: a
// release replaces that file and nothing else.
//
//go:embed networks/*.json
var files embed.FS

var networkNames = []string{"finney", "test"}

// aliases are the other names that files and users give a network.
var aliases = map[string]string{"testfinney": "test"}

// A Network is what is compiled in about a chain.
type Network struct {
	Name         string
	Source       string // where the figures come from
	Genesis      verify.Hash
	ProtocolID   string // of the legacy protocol names, which two networks share: never use it
	SlotDuration uint64 // milliseconds
	Bootnodes    []string
	AuraHistory  []AuraRange
	Checkpoint   *Checkpoint
}

// An AuraRange says which authorities seal the blocks from First to Last.
type AuraRange struct {
	First, Last uint32 // Last is 1<<32-1 for the newest known list, which a rotation may end
	Authorities []aura.AuthorityID
}

// Canonical returns the name that a network goes by here: "test" for "testfinney", and any other
// name as it is.
func Canonical(name string) string {
	if n, ok := aliases[name]; ok {
		return n
	}
	return name
}

// Names returns the compiled-in networks.
func Names() []string { return slices.Clone(networkNames) }

// ByName returns the compiled-in network of that name or alias, freshly decoded and checked, or
// ErrUnknownNetwork.
func ByName(name string) (*Network, error) {
	name = Canonical(name)
	if !slices.Contains(networkNames, name) {
		return nil, fmt.Errorf("%w: %q", ErrUnknownNetwork, name[:min(len(name), 64)])
	}
	n, err := readNetwork(name)
	if err != nil {
		return nil, fmt.Errorf("compiled-in network %s: %w", name, err)
	}
	return n, nil
}

// ByGenesis returns the compiled-in network with that genesis hash, or ErrUnknownNetwork.
func ByGenesis(genesis verify.Hash) (*Network, error) {
	for _, name := range networkNames {
		n, err := ByName(name)
		if err != nil {
			return nil, err
		}
		if n.Genesis == genesis {
			return n, nil
		}
	}
	return nil, fmt.Errorf("%w: genesis %v", ErrUnknownNetwork, genesis.Short())
}

// Builtin returns the compiled-in checkpoint of a network: "finney", or "test" (also
// "testfinney"), whose header is to be fetched by its hash and given to Resolve.
func Builtin(network string) (*Checkpoint, error) {
	n, err := ByName(network)
	if err != nil {
		return nil, err
	}
	return n.Checkpoint, nil
}

// AuraAuthorities returns the compiled-in list that seals the block of that height, or false if
// none is known for it.
func (n *Network) AuraAuthorities(number uint32) ([]aura.AuthorityID, bool) {
	for _, r := range n.AuraHistory {
		if r.First <= number && number <= r.Last {
			return r.Authorities, true
		}
	}
	return nil, false
}

func readNetwork(name string) (*Network, error) {
	b, err := files.ReadFile("networks/" + name + ".json")
	if err != nil {
		return nil, err
	}
	o, err := jsonfield.Parse(b)
	if err != nil {
		return nil, err
	}
	o.Need("schema", "network", "genesis", "slot_duration")
	if v, _ := o.Uint("schema", 32); v != Schema && o.Err() == nil {
		return nil, fmt.Errorf("%w: schema %d", ErrFormat, v)
	}
	n := new(Network)
	n.Name, _ = o.Text("network")
	n.Source, _ = o.Text("source")
	n.Genesis, _ = o.Hash("genesis")
	n.ProtocolID, _ = o.Text("protocol_id")
	n.SlotDuration, _ = o.Uint("slot_duration", 64)
	n.Bootnodes = texts(o, "bootnodes")
	ranges, _ := o.Elements("aura_history", 1024)
	if err := o.Err(); err != nil {
		return nil, err
	}
	for i, raw := range ranges {
		r, err := readAuraRange(raw)
		if err != nil {
			return nil, fmt.Errorf("aura_history %d: %w", i, err)
		}
		n.AuraHistory = append(n.AuraHistory, r)
	}
	if b, err = files.ReadFile("networks/" + name + ".checkpoint.json"); err != nil {
		return nil, err
	}
	if n.Checkpoint, err = Parse(b); err != nil {
		return nil, err
	}
	if n.Name != name || n.Checkpoint.Network != name || n.Checkpoint.Genesis != n.Genesis {
		return nil, fmt.Errorf("%w: network and checkpoint differ", ErrMismatch)
	}
	return n, nil
}

func readAuraRange(raw json.RawMessage) (AuraRange, error) {
	var r AuraRange
	o, err := jsonfield.Parse(raw)
	if err != nil {
		return r, err
	}
	o.Need("first", "authorities")
	first, _ := o.Uint("first", 32)
	last, ok := o.Uint("last", 32)
	if !ok {
		last = 1<<32 - 1
	}
	list, _ := o.Raw("authorities")
	if err := o.Err(); err != nil {
		return r, err
	}
	r.First, r.Last = uint32(first), uint32(last)
	r.Authorities, err = ParseAura(list)
	return r, err
}
