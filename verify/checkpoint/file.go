package checkpoint

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/internal/jsonfield"
)

// Schema is the version of the checkpoint file form. A file of another is refused.
const Schema = 1

// MaxSize bounds what Parse and ParseSpec look at: finney's raw chain spec has 12.1 MB.
const MaxSize = 16 << 20

// fileForm is the canonical file, in the order it is written.
type fileForm struct {
	Schema       int                `json:"schema"`
	Network      string             `json:"network"`
	Source       string             `json:"source,omitempty"`
	Genesis      *verify.Hash       `json:"genesis,omitempty"`
	SlotDuration uint64             `json:"slot_duration"`
	Drand        *beaconForm        `json:"drand,omitempty"`
	Number       uint32             `json:"number"`
	Hash         verify.Hash        `json:"hash"`
	Date         string             `json:"date,omitempty"`
	HeaderScale  string             `json:"header_scale,omitempty"`
	SetID        uint64             `json:"set_id"`
	SetSigned    bool               `json:"set_signed"`
	Authorities  []any              `json:"authorities,omitempty"`
	Aura         []aura.AuthorityID `json:"aura_authorities,omitempty"`
}

type weighted struct {
	ID     grandpa.AuthorityID `json:"id"`
	Weight uint64              `json:"weight"`
}

// MarshalJSON returns the canonical file form: always the same text for the same checkpoint, which
// Parse reads back to an equal value.
func (c *Checkpoint) MarshalJSON() ([]byte, error) {
	f := fileForm{
		Schema: Schema, Network: c.Network, Source: c.Source, SlotDuration: c.SlotDuration,
		Number: c.Number, Hash: c.Hash, Date: c.Date,
		SetID: c.Set.ID, SetSigned: c.SetSigned, Aura: c.Aura, Drand: beaconFile(c.Drand),
	}
	if !c.Genesis.IsZero() {
		f.Genesis = &c.Genesis
	}
	if c.Header != nil {
		f.HeaderScale = fmt.Sprintf("0x%x", c.Header.Encode())
	}
	for _, a := range c.Set.Authorities {
		if a.Weight == 1 {
			f.Authorities = append(f.Authorities, a.ID)
		} else {
			f.Authorities = append(f.Authorities, weighted(a))
		}
	}
	return json.Marshal(f)
}

// File returns the canonical form indented, as a file that people review.
func (c *Checkpoint) File() ([]byte, error) {
	b, err := c.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// UnmarshalJSON reads what MarshalJSON writes, with all checks of Parse.
func (c *Checkpoint) UnmarshalJSON(b []byte) error {
	n, err := Parse(b)
	if err == nil {
		*c = *n
	}
	return err
}

// Parse reads a trust root in one of these forms of JSON:
//
//   - our checkpoint file, as File writes it, also under the name "checkpoint";
//   - a raw chain spec with grandpaWarpSyncCheckpoint, which wins over its genesis;
//   - a raw chain spec with the full genesis (genesis.raw.top), whose state root, header and hash
//     are computed: the trust root is then block 0 with set 0;
//   - the grandpaWarpSyncCheckpoint object alone, or under the name "checkpoint".
//
// Whatever it does not know is ignored. The checkpoint returned has passed Check.
func Parse(b []byte) (*Checkpoint, error) {
	o, err := open(b)
	if err != nil {
		return nil, err
	}
	switch {
	case isSpec(o):
		s, err := readSpec(o)
		if err != nil {
			return nil, err
		}
		return s.Checkpoint, nil
	case o.Has("checkpoint"), o.Has("finalizedBlockHeader"):
		// Our own form stands under that name in what `checkpoint show --json` prints.
		if sub, ok := o.Object("checkpoint"); ok && sub.Has("schema") {
			o = sub
			break
		}
		return readUpstream(o)
	}
	c, err := readFile(o)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return c, nil
}

func open(b []byte) (*jsonfield.Object, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d allowed", ErrFormat, len(b), MaxSize)
	}
	o, err := jsonfield.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return o, nil
}

func readFile(o *jsonfield.Object) (*Checkpoint, error) {
	o.Need("schema", "network", "number", "hash", "set_id")
	if v, _ := o.Uint("schema", 32); v != Schema && o.Err() == nil {
		return nil, fmt.Errorf("%w: schema %d, this version reads %d", ErrFormat, v, Schema)
	}
	c := &Checkpoint{SlotDuration: DefaultSlotDuration}
	c.Network, _ = o.Text("network")
	c.Network = Canonical(c.Network)
	c.Source, _ = o.Text("source")
	c.Genesis, _ = o.Hash("genesis")
	if v, ok := o.Uint("slot_duration", 64); ok {
		c.SlotDuration = v
	}
	number, _ := o.Uint("number", 32)
	c.Number = uint32(number)
	c.Hash, _ = o.Hash("hash")
	c.Date, _ = o.Text("date")
	c.Set.ID, _ = o.Uint("set_id", 64)
	c.SetSigned, _ = o.Bool("set_signed")
	beacon, err := readBeacon(o)
	if err != nil {
		return nil, err
	}
	c.Drand = beacon
	scale, hasHeader := o.Bytes("header_scale", verify.MaxHeaderSize)
	set, hasSet := o.Raw("authorities")
	list, hasAura := o.Raw("aura_authorities")
	err = o.Err()
	if err == nil && hasHeader {
		c.Header, err = verify.DecodeHeader(scale)
	}
	if err == nil && hasSet {
		c.Set.Authorities, err = ParseAuthorities(set)
	}
	if err == nil && hasAura {
		c.Aura, err = ParseAura(list)
	}
	if err == nil {
		err = c.settle()
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ParseAuthorities reads a JSON list of GRANDPA authorities: hex keys of weight 1, or objects
// {id, weight}. The list is checked as a set is (grandpa.AuthoritySet.Check).
func ParseAuthorities(raw json.RawMessage) ([]grandpa.Authority, error) {
	items, err := jsonfield.Elements(raw, grandpa.MaxAuthorities)
	if err != nil {
		return nil, fmt.Errorf("authorities: %w", err)
	}
	set := grandpa.AuthoritySet{Authorities: make([]grandpa.Authority, len(items))}
	for i, item := range items {
		if set.Authorities[i], err = readAuthority(item); err != nil {
			return nil, fmt.Errorf("authorities: %d: %w", i, err)
		}
	}
	if err := set.Check(); err != nil {
		return nil, fmt.Errorf("authorities: %w", err)
	}
	return set.Authorities, nil
}

func readAuthority(raw json.RawMessage) (grandpa.Authority, error) {
	if len(raw) == 0 || raw[0] != '{' {
		id, err := jsonfield.Hash(raw)
		return grandpa.Authority{ID: grandpa.AuthorityID(id), Weight: 1}, err
	}
	o, err := jsonfield.Parse(raw)
	if err != nil {
		return grandpa.Authority{}, err
	}
	o.Need("id", "weight")
	id, _ := o.Hash("id")
	weight, _ := o.Uint("weight", 64)
	return grandpa.Authority{ID: grandpa.AuthorityID(id), Weight: weight}, o.Err()
}

// ParseAura reads a JSON list of Aura authorities as hex keys.
func ParseAura(raw json.RawMessage) ([]aura.AuthorityID, error) {
	items, err := jsonfield.Elements(raw, aura.MaxAuthorities)
	if err != nil {
		return nil, fmt.Errorf("aura_authorities: %w", err)
	}
	list := make([]aura.AuthorityID, len(items))
	for i, item := range items {
		id, err := jsonfield.Hash(item)
		if err != nil {
			return nil, fmt.Errorf("aura_authorities: %d: %w", i, err)
		}
		list[i] = aura.AuthorityID(id)
	}
	return list, checkAura(list)
}

// texts reads a list of short strings.
func texts(o *jsonfield.Object, name string) []string {
	items, _ := o.Elements(name, 1024)
	var out []string
	for i, item := range items {
		s, err := jsonfield.Text(item)
		if err == nil && len(s) > maxText {
			err = fmt.Errorf("%w: %d bytes", jsonfield.ErrLimit, len(s))
		}
		if err != nil {
			o.Fail(fmt.Sprintf("%s: %d", name, i), err)
			return nil
		}
		out = append(out, s)
	}
	return out
}
