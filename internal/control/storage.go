package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/taolight/taolight/internal/item"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify"
)

// A GetQuestion asks for storage as it is typed: raw keys in hex, and items by their names with what their keys
// are made of. A map with fewer parts than its keys have stands for all its entries that begin so.
type GetQuestion struct {
	Words []string `json:"words"`
	At    *uint32  `json:"at,omitempty"`    // nil: the finalized head
	Limit int      `json:"limit,omitempty"` // of the entries of one map; 0: DefaultEntries
}

// Limits of a GetQuestion.
const (
	DefaultEntries = 64
	maxWords       = 4096
)

// A wanted is one thing that is asked for, and how its value is read.
type wanted struct {
	name   string
	key    []byte
	prefix bool // key is what the keys begin with
	meta   *metadata.Item
	known  *item.Item // without metadata
}

// Get implements Answerer.
func (l *Local) Get(ctx context.Context, q GetQuestion) (*Reading, error) {
	if q.Limit < 0 {
		return nil, Errorf(Usage, "%w: %d entries", ErrParams, q.Limit)
	}
	if q.Limit == 0 {
		q.Limit = DefaultEntries
	}
	list, m, err := l.wanted(ctx, q.Words, q.At)
	if err != nil {
		return nil, err
	}
	return l.get(ctx, list, q, m)
}

// wanted reads what was typed, by the metadata of the chain's own runtime if that is at hand or is needed.
func (l *Local) wanted(ctx context.Context, words []string, at *uint32) ([]wanted, *metadata.Metadata, error) {
	if len(words) == 0 || len(words) > maxWords {
		return nil, nil, Errorf(Usage, "%w: %d words, at most %d of them", ErrParams, len(words), maxWords)
	}
	m, err := l.Node.KnownMetadata(ctx, at)
	if err != nil {
		return nil, nil, l.whyNot(ctx, err)
	}
	list, err := want(m, words)
	if errors.Is(err, item.ErrUnknown) {
		unknown := err
		report(ctx, "asking the chain's runtime for its metadata")
		m, err = l.Node.Metadata(ctx, at)
		switch {
		case err == nil:
			list, err = want(m, words)
		case errors.Is(err, lightclient.ErrNoRuntime), errors.Is(err, lightclient.ErrNoEngine):
			return nil, nil, Errorf(Usage, "%w", unknown).WithHint("this chain's state has no runtime that could tell of more; a raw key in hex is read as it is")
		default:
			return nil, nil, l.whyNot(ctx, fmt.Errorf("%w; the chain's metadata: %w", unknown, err))
		}
	}
	if err != nil {
		return nil, nil, Errorf(Usage, "%w", err)
	}
	return list, m, nil
}

func (l *Local) get(ctx context.Context, list []wanted, q GetQuestion, m *metadata.Metadata) (*Reading, error) {
	at := q.At
	var short []string
	var keys [][]byte
	var of []wanted
	for _, w := range list {
		if !w.prefix {
			keys, of = append(keys, w.key), append(of, w)
			continue
		}
		if at == nil { // keys and values are to be of one block
			b, err := l.Node.WithHead(ctx, nothing)
			if err != nil {
				return nil, l.whyNot(ctx, err)
			}
			at = &b.Header.Number
		}
		report(ctx, "listing "+w.name)
		found, err := l.Node.KeysAt(ctx, *at, w.key, q.Limit)
		if errors.Is(err, lightclient.ErrTooMuch) && len(found) > 0 {
			short, err = append(short, fmt.Sprintf("%s has more than %d entries", w.name, len(found))), nil
		}
		if err != nil {
			return nil, l.whyNot(ctx, err)
		}
		for _, key := range found {
			entry := w
			entry.key, entry.name = key, w.meta.String()+argumentsOf(w.meta, key)
			keys, of = append(keys, key), append(of, entry)
		}
		if len(found) == 0 {
			short = append(short, w.name+" has no entries, which is proven")
		}
	}
	r := &Reading{Schema: Schema, Network: l.Checkpoint.Network, Demo: l.Demo, Joined: l.Joined, Trust: "finalized", Items: []Item{}, Keys: []string{}}
	if len(keys) > 0 {
		report(ctx, fmt.Sprintf("reading %d keys", len(keys)))
		var err error
		if r, err = l.read(ctx, at, keys); err != nil {
			return nil, err
		}
	} else if b, err := l.Node.Block(ctx, *at); err == nil {
		r.Number, r.Hash, r.StateRoot = b.Header.Number, b.Hash.String(), b.Header.StateRoot.String()
	}
	r.Notes, r.Layout = short, "built in"
	if m != nil {
		r.Layout = fmt.Sprintf("metadata V%d of the runtime at that block", m.Version)
	}
	for i := range r.Items {
		of[i].describe(&r.Items[i])
	}
	return r, nil
}

// argumentsOf writes what the key of a map's entry is made of, as it would be typed.
func argumentsOf(it *metadata.Item, key []byte) string {
	parts, err := it.SplitKeyValues(key)
	if err != nil {
		return fmt.Sprintf(" 0x%x", key[min(len(it.Prefix()), len(key)):])
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte(' ')
		b.WriteString(p.String())
	}
	return b.String()
}

// describe adds to what a proof says of a key what the item makes of it.
func (w *wanted) describe(v *Item) {
	v.Name = w.name
	value, err := verify.ParseHex(v.Value)
	present := v.Outcome == "present" && err == nil
	switch {
	case w.known != nil && present:
		d, err := w.known.Decode(value)
		if err != nil {
			v.Text = fmt.Sprintf("%s\nnot decoded: %v", v.Value, err)
			return
		}
		v.Decoded, v.Text = d.JSON, d.Text
	case w.meta != nil && (present || v.Outcome == "absent"):
		if !present {
			value = nil
		}
		d, ok, err := w.meta.Decode(value)
		switch {
		case err != nil:
			v.Text = fmt.Sprintf("%s\nnot decoded: %v", v.Value, err)
		case !ok && w.meta.Optional:
		default:
			if raw, err := d.MarshalJSON(); err == nil {
				v.Decoded = json.RawMessage(raw)
			}
			if v.Text = d.String(); !present {
				v.Text += "   (the default: there is no value, which is proven)"
			}
		}
	}
}

// want reads what was typed: by metadata, or by the list that is built in.
func want(m *metadata.Metadata, words []string) ([]wanted, error) {
	var out []wanted
	for len(words) > 0 {
		name := words[0]
		words = words[1:]
		if !strings.Contains(name, ".") {
			key, err := verify.ParseHex(name)
			if err != nil || len(key) == 0 {
				return nil, fmt.Errorf("%q is neither a key in hex nor PALLET.ITEM", clip(name))
			}
			w := wanted{name: hexText(key), key: key}
			if m != nil {
				if it := m.ItemOf(key); it != nil && len(key) > len(it.Prefix()) == (len(it.Hashers) > 0) {
					if _, err := it.SplitKey(key); err == nil || errors.Is(err, metadata.ErrOneWay) {
						w.meta, w.name = it, it.String()+argumentsOf(it, key)
					}
				}
			}
			out = append(out, w)
			continue
		}
		w, used, err := wantItem(m, name, words)
		if err != nil {
			return nil, err
		}
		out, words = append(out, w), words[used:]
	}
	return out, nil
}

// wantItem reads the name of an item, and of the words after it those that its key is made of.
func wantItem(m *metadata.Metadata, name string, words []string) (w wanted, used int, err error) {
	if m == nil {
		it, err := item.Find(name)
		if err != nil {
			return w, 0, err
		}
		arg := ""
		if it.Arg != "" && len(words) > 0 {
			arg, used = words[0], 1
		}
		key, err := it.Key(arg)
		if err != nil {
			return w, 0, err
		}
		return wanted{name: strings.TrimSpace(it.String() + " " + arg), key: key, known: it}, used, nil
	}
	it, err := m.Item(name)
	if err != nil {
		return w, 0, err
	}
	for used < len(words) && used < len(it.Hashers) {
		if _, err := m.Item(words[used]); err == nil {
			break // the next item
		}
		used++
	}
	key, err := it.KeyWords(words[:used]...)
	if err != nil {
		return w, 0, fmt.Errorf("%v: %w (want %s)", it, err, it.Wants())
	}
	w = wanted{name: strings.Join(append([]string{it.String()}, words[:used]...), " "), key: key, meta: it, prefix: !it.Complete(used)}
	return w, used, nil
}

func clip(s string) string { return s[:min(len(s), 80)] }
