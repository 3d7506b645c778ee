package demonet

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
)

// A spec is a chain spec file in raw form. Its fields are the ones that strict readers know: a
// stock smoldot refuses a file with any other.
type spec struct {
	Name            string            `json:"name"`
	ID              string            `json:"id"`
	ChainType       string            `json:"chainType"`
	BootNodes       []string          `json:"bootNodes"`
	Telemetry       *struct{}         `json:"telemetryEndpoints"`
	ProtocolID      *string           `json:"protocolId"` // names go by genesis hash, not by this
	Properties      properties        `json:"properties"`
	ForkBlocks      *struct{}         `json:"forkBlocks"`
	BadBlocks       *struct{}         `json:"badBlocks"`
	CodeSubstitutes map[string]string `json:"codeSubstitutes"`
	Genesis         struct {
		Raw struct {
			Top             map[string]string            `json:"top"`
			ChildrenDefault map[string]map[string]string `json:"childrenDefault"`
		} `json:"raw"`
	} `json:"genesis"`
}

type properties struct {
	SS58Format    int    `json:"ss58Format"`
	TokenDecimals int    `json:"tokenDecimals"`
	TokenSymbol   string `json:"tokenSymbol"`
	// SlotDurationMillis is this network's own word, where strict readers look away. It is there
	// only if slots are not what the runtime says.
	SlotDurationMillis uint64 `json:"slotDurationMillis,omitempty"`
	// SlotsBackDated says that the slots of a localnet lie in the past on purpose: our own word again.
	SlotsBackDated bool `json:"slotsBackDated,omitempty"`
	// Drand is the beacon whose pulses are on the chain, likewise our own word.
	Drand beaconSpec `json:"drand"`
}

type beaconSpec struct {
	Name        string `json:"name"`
	PublicKey   string `json:"public_key"`
	Period      uint64 `json:"period"`       // seconds
	GenesisTime uint64 `json:"genesis_time"` // of round 1, Unix time
}

// SpecJSON writes the chain spec: raw genesis state and the running peers as boot nodes. A client
// that executes the runtime can use it only if the network was made with one.
func (n *Network) SpecJSON(w io.Writer) error {
	s := spec{
		Name: "taolight demo", ID: "taolight_demo", ChainType: "Development",
		Properties:      properties{SS58Format: 42, TokenDecimals: 9, TokenSymbol: "demoTAO"},
		CodeSubstitutes: map[string]string{},
		BootNodes:       []string{},
	}
	for _, a := range n.Bootnodes() {
		s.BootNodes = append(s.BootNodes, a.String())
	}
	if ms := n.SlotDuration(); ms != runtimeSlot {
		s.Properties.SlotDurationMillis = ms
	}
	s.Properties.SlotsBackDated = n.chain.dense
	b := n.Beacon()
	s.Properties.Drand = beaconSpec{Name: b.Name, PublicKey: "0x" + b.PublicKey.String(), Period: b.Period, GenesisTime: b.GenesisTime}
	s.Genesis.Raw.Top = make(map[string]string)
	s.Genesis.Raw.ChildrenDefault = n.chain.producer.origin().children()
	n.chain.genesisState.Range(nil, func(key, value []byte) bool {
		s.Genesis.Raw.Top["0x"+hex.EncodeToString(key)] = "0x" + hex.EncodeToString(value)
		return true
	})
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		return fmt.Errorf("demo network: chain spec: %w", err)
	}
	return nil
}
