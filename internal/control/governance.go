package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify"
)

// A GovernanceQuestion asks who governs the chain, and what is under way.
type GovernanceQuestion struct {
	At    *uint32 `json:"at,omitempty"`    // nil: the finalized head
	Limit int     `json:"limit,omitempty"` // entries of one item; 0: DefaultGovernance
}

// DefaultGovernance is how many entries of an item are shown.
const DefaultGovernance = 20

// Governance is what `governance --json` prints. All of it is proven at one block.
type Governance struct {
	Schema  int              `json:"schema"`
	Network string           `json:"network"`
	Demo    bool             `json:"demo"`
	Joined  bool             `json:"joined_for_this_question"`
	Number  uint32           `json:"number"`
	Hash    string           `json:"hash"`
	Trust   string           `json:"trust"` // "finalized"
	Spec    uint32           `json:"spec_version"`
	Parts   []GovernancePart `json:"parts"`
	Lacks   []string         `json:"lacks"` // what this runtime has no pallet for
	Nodes   int              `json:"proof_nodes"`
}

// A GovernancePart is one thing that governs, of one pallet.
type GovernancePart struct {
	Name    string            `json:"name"`
	Pallet  string            `json:"pallet"`
	Entries []GovernanceEntry `json:"entries"`
	More    []string          `json:"more,omitempty"` // items that have more entries than are listed
}

// A GovernanceEntry is one entry of an item; an item without any has none.
type GovernanceEntry struct {
	Item    string `json:"item"`
	Key     string `json:"key,omitempty"` // what it is found under, in words
	Text    string `json:"text"`
	Decoded any    `json:"decoded,omitempty"`
	// Calls are those in it, decoded, that stand there as bytes or by their hash.
	Calls []string `json:"calls,omitempty"`
}

// An authority is a way to govern: a pallet of a name of its own, or any that has the items marks, and what of it is read.
type authority struct {
	name   string
	pallet string
	marks  []string
	items  []string
}

// authorities are looked for in the metadata, the first that fits a pallet deciding.
var authorities = []authority{
	{"sudo", "Sudo", nil, []string{"Key"}},
	{"safe mode", "SafeMode", nil, []string{"EnteredUntil"}},
	{"authorized upgrade", "System", []string{"AuthorizedUpgrade"}, []string{"AuthorizedUpgrade"}},
	{"change of authorities", "Grandpa", nil, []string{"PendingChange", "Stalled"}},
	{"scheduled calls", "Scheduler", nil, []string{"Agenda"}},
	{"multisigs", "Multisig", nil, []string{"Multisigs"}},
	{"proxies", "Proxy", nil, []string{"Proxies", "Announcements"}},
	{"collective", "", []string{"Proposals", "Voting"}, []string{"Members", "Prime", "Proposals", "ProposalOf", "Voting"}},
	{"referenda", "", []string{"ReferendumInfoFor"}, []string{"ReferendumCount", "ReferendumInfoFor", "DecidingCount"}},
	{"conviction voting", "", []string{"VotingFor", "ClassLocksFor"}, []string{"VotingFor"}},
	{"democracy", "", []string{"PublicProps"}, []string{"PublicProps", "ReferendumInfoOf", "NextExternal"}},
	{"treasury", "", []string{"Approvals"}, []string{"Proposals", "Approvals"}},
	{"membership", "", []string{"Members"}, []string{"Members", "Prime"}},
}

// fits reports whether a pallet is the authority's.
func (w *authority) fits(p *metadata.Pallet) bool {
	if w.pallet != "" && w.pallet != p.Name {
		return false
	}
	for _, mark := range w.marks {
		if itemOf(p, mark) == nil {
			return false
		}
	}
	return w.pallet != "" || len(w.marks) > 0
}

func itemOf(p *metadata.Pallet, name string) *metadata.Item {
	for i := range p.Items {
		if p.Items[i].Name == name {
			return &p.Items[i]
		}
	}
	return nil
}

// Governance implements Answerer.
func (l *Local) Governance(ctx context.Context, q GovernanceQuestion) (*Governance, error) {
	if q.Limit < 0 || q.Limit > maxWords {
		return nil, Errorf(Usage, "%w: %d entries", ErrParams, q.Limit)
	}
	if q.Limit == 0 {
		q.Limit = DefaultGovernance
	}
	if q.At == nil { // all is to be of one block
		at, err := l.Node.Finalized(ctx)
		if err != nil {
			return nil, l.whyNot(ctx, err)
		}
		q.At = &at.Header.Number
	}
	m, err := l.Node.Metadata(ctx, q.At)
	if errors.Is(err, lightclient.ErrNoRuntime) || errors.Is(err, lightclient.ErrNoEngine) {
		return nil, Errorf(Undecided, "%w", err).WithHint("what governs a chain is told by its runtime's metadata")
	}
	if err != nil {
		return nil, l.whyNot(ctx, err)
	}
	g := &Governance{Schema: Schema, Network: l.Checkpoint.Network, Demo: l.Demo, Joined: l.Joined, Trust: "finalized", Parts: []GovernancePart{}, Lacks: []string{}}
	if v, err := m.RuntimeVersion(); err == nil {
		g.Spec = v.SpecVersion
	}
	var list []wanted
	found := make(map[string]bool)
	for i := range m.Pallets {
		p := &m.Pallets[i]
		k := slices.IndexFunc(authorities, func(w authority) bool { return w.fits(p) })
		if k < 0 {
			continue
		}
		found[authorities[k].name] = true
		g.Parts = append(g.Parts, GovernancePart{Name: authorities[k].name, Pallet: p.Name, Entries: []GovernanceEntry{}})
		for _, name := range authorities[k].items {
			if it := itemOf(p, name); it != nil {
				list = append(list, wanted{name: it.String(), key: it.Prefix(), meta: it, prefix: len(it.Hashers) > 0})
			}
		}
	}
	slices.SortStableFunc(g.Parts, func(a, b GovernancePart) int { return rank(a.Name) - rank(b.Name) })
	for _, w := range authorities {
		if !found[w.name] {
			g.Lacks = append(g.Lacks, w.name)
		}
	}
	r, err := l.get(ctx, list, GetQuestion{At: q.At, Limit: q.Limit}, m)
	if err != nil {
		return nil, err
	}
	if r.Error != "" {
		return nil, Errorf(Undecided, "%s", r.Error).WithHint(AskAgain)
	}
	g.Number, g.Hash, g.Nodes = r.Number, r.Hash, len(r.Proof)
	if err := l.sort(ctx, g, r, m); err != nil {
		return nil, err
	}
	return g, nil
}

func rank(name string) int {
	return slices.IndexFunc(authorities, func(w authority) bool { return w.name == name })
}

// sort puts what was read where it belongs.
func (l *Local) sort(ctx context.Context, g *Governance, r *Reading, m *metadata.Metadata) error {
	for i := range r.Items {
		v := &r.Items[i]
		name, key, _ := strings.Cut(v.Name, " ")
		part := g.part(name)
		if part == nil || v.Outcome != "present" {
			continue
		}
		e := GovernanceEntry{Item: name, Key: key, Text: v.Text, Decoded: v.Decoded}
		if raw, err := verify.ParseHex(v.Value); err == nil {
			if it, err := m.Item(name); err == nil {
				if d, ok, err := it.Decode(raw); err == nil && ok {
					if e.Calls, err = l.calls(ctx, &d, m, g.Number); err != nil {
						return err
					}
				}
			}
		}
		if strings.TrimSpace(e.Text) == "[]" && len(e.Calls) == 0 {
			continue // an agenda that is done, a list of nobody
		}
		part.Entries = append(part.Entries, e)
	}
	for _, note := range r.Notes {
		name, _, _ := strings.Cut(note, " ")
		if part := g.part(name); part != nil && strings.Contains(note, "more than") {
			part.More = append(part.More, note)
		}
	}
	return nil
}

// part returns the part that an item is of.
func (g *Governance) part(item string) *GovernancePart {
	pallet, _, _ := strings.Cut(item, ".")
	for i := range g.Parts {
		if g.Parts[i].Pallet == pallet {
			return &g.Parts[i]
		}
	}
	return nil
}

// maxCalls bounds the calls that are decoded out of one entry.
const maxCalls = 64

// calls decodes the calls in a value that stand there as a Bounded (frame_support::traits::preimages): as bytes, or by
// the hash of a preimage that the chain has.
func (l *Local) calls(ctx context.Context, v *metadata.Value, m *metadata.Metadata, at uint32) (out []string, err error) {
	if v.Form == metadata.Choice && v.Type != nil && v.Type.Last() == "Bounded" && v.Variant != nil {
		text, err := l.bounded(ctx, v, m, at)
		return []string{text}, err
	}
	for i := range v.Items {
		more, err := l.calls(ctx, &v.Items[i], m, at)
		if err != nil {
			return nil, err
		}
		if out = append(out, more...); len(out) >= maxCalls {
			return out[:maxCalls], nil
		}
	}
	return out, nil
}

func (l *Local) bounded(ctx context.Context, v *metadata.Value, m *metadata.Metadata, at uint32) (string, error) {
	switch v.Variant.Name {
	case "Inline":
		if len(v.Items) == 1 {
			return callText(m, v.Items[0].Bytes()), nil
		}
	case "Lookup":
		hash, size := v.Field("hash"), v.Field("len")
		it, err := m.Item("Preimage.PreimageFor")
		if hash == nil || size == nil || err != nil {
			break
		}
		n, _ := size.Uint64()
		arg, err := json.Marshal([]any{fmt.Sprintf("0x%x", hash.Bytes()), n})
		if err != nil {
			return "", err
		}
		key, err := it.KeyWords(string(arg))
		if err != nil {
			return "a call that is not shown: " + err.Error(), nil
		}
		r, err := l.Node.ReadAt(ctx, at, key)
		if err != nil {
			return "", l.whyNot(ctx, err)
		}
		raw, ok, err := it.Decode(r.Values[0].Value)
		if r.Values[0].Value == nil || err != nil || !ok {
			return fmt.Sprintf("the call with hash 0x%x, whose preimage the chain does not have", hash.Bytes()), nil
		}
		if verify.Blake2b256(raw.Bytes()) != verify.Hash(hash.Bytes()) {
			return "a preimage that has another hash", nil
		}
		return callText(m, raw.Bytes()), nil
	}
	return v.String(), nil
}

// callText decodes a call, or says that it is none.
func callText(m *metadata.Metadata, b []byte) string {
	c, err := m.DecodeCall(b)
	if err != nil {
		return fmt.Sprintf("0x%x, not decoded: %v", b[:min(len(b), 64)], err)
	}
	return string(c.AppendText(nil))
}

// Governance asks the other process.
func (c *Client) Governance(ctx context.Context, q GovernanceQuestion) (*Governance, error) {
	return call[Governance](ctx, c, methodGovernance, q)
}
