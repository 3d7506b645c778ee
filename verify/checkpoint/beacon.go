package checkpoint

import (
	"fmt"

	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/internal/jsonfield"
)

// A network that is compiled in has drand's quicknet, whose key is pinned in package drand. Only a
// network that nobody compiled in, a demo chain or a private one, may have a beacon of its own, and
// says so in its trust root: in a file as the member "drand", in a chain spec under properties, where
// strict readers look away.

// beaconForm is the member of a file.
type beaconForm struct {
	Name        string `json:"name,omitempty"`
	PublicKey   string `json:"public_key"`
	Period      uint64 `json:"period"`
	GenesisTime uint64 `json:"genesis_time"`
}

func beaconFile(b *drand.Beacon) *beaconForm {
	if b == nil {
		return nil
	}
	return &beaconForm{b.Name, fmt.Sprintf("0x%x", b.PublicKey[:]), b.Period, b.GenesisTime}
}

// readBeacon reads the member "drand" of o, nil if there is none.
func readBeacon(o *jsonfield.Object) (*drand.Beacon, error) {
	d, ok := o.Object("drand")
	if !ok {
		return nil, o.Err()
	}
	d.Need("public_key", "period", "genesis_time")
	b := new(drand.Beacon)
	b.Name, _ = d.Text("name")
	key, _ := d.Bytes("public_key", len(b.PublicKey))
	b.Period, _ = d.Uint("period", 32)
	b.GenesisTime, _ = d.Uint("genesis_time", 40)
	if err := d.Err(); err != nil {
		return nil, fmt.Errorf("drand: %w", err)
	}
	if copy(b.PublicKey[:], key) != len(b.PublicKey) || len(key) != len(b.PublicKey) {
		return nil, fmt.Errorf("drand: %w: public key of %d bytes, want %d", ErrFormat, len(key), len(b.PublicKey))
	}
	return b, nil
}

// Beacon returns the beacon of the checkpoint's network: its own, or quicknet.
func (c *Checkpoint) Beacon() drand.Beacon {
	if c.Drand != nil {
		return *c.Drand
	}
	return drand.Quicknet()
}

// checkBeacon refuses a key that is no key, and any beacon for a network that has the pinned one: a file
// must not be able to say which signatures open finney's commitments.
func (c *Checkpoint) checkBeacon() error {
	if c.Drand == nil {
		return nil
	}
	if c.Genesis.IsZero() {
		return fmt.Errorf("drand: %w: a beacon of its own for a network that is not named", ErrMismatch)
	}
	if n, err := ByGenesis(c.Genesis); err == nil {
		return fmt.Errorf("drand: %w: %s has the beacon that is compiled in, and no other", ErrMismatch, n.Name)
	}
	if len(c.Drand.Name) > maxText {
		return fmt.Errorf("drand: %w: name over %d bytes", ErrFormat, maxText)
	}
	if c.Drand.Period == 0 {
		return fmt.Errorf("drand: %w: period of 0 s", ErrMismatch)
	}
	if _, err := drand.NewVerifier(*c.Drand); err != nil {
		return fmt.Errorf("drand: %w", err)
	}
	return nil
}
