package validator

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Errors of what is kept.
var (
	// ErrIntent: a record is no intent that this package wrote.
	ErrIntent = errors.New("not an intent")
	// ErrRefused: the chain would not take a transaction, and nobody was told of it.
	ErrRefused = errors.New("the chain refuses it")
	// ErrUnsent: a transaction is not known where it is asked for.
	ErrUnsent = errors.New("it was not sent from there")
)

// What an intent has come to.
const (
	Intended = "intended" // written down, and maybe signed, but nothing has left this process
	Signed   = "signed"   // written down with its signature: from here on it may have been sent
	Included = "included" // in a finalized block, and did what it should; a commitment waits for its reveal
	Failed   = "failed"   // in a finalized block, and did nothing
	Lapsed   = "lapsed"   // in no block, and can be in none any more
	Dropped  = "dropped"  // never sent
	Revealed = "revealed" // a commitment whose weights are stored
	Lost     = "lost"     // a commitment whose weights were not stored
)

// An Intent is a call that is to be on chain, with all that is needed to go on after a crash. It is written down before
// it is signed, again with its signature before it is sent, and with each thing that it comes to.
type Intent struct {
	ID    uint64 `json:"id"`
	State string `json:"state"`
	Call  Call   `json:"call"`
	Of    uint64 `json:"of,omitempty"` // of a reveal: the intent whose commitment it reveals
	Made  uint32 `json:"made"`         // the finalized block then

	Payload   []byte `json:"payload,omitempty"` // until it has ended
	Nonce     uint32 `json:"nonce"`
	Last      uint32 `json:"last_block"` // that may hold it
	Extrinsic []byte `json:"extrinsic,omitempty"`

	Block  uint32 `json:"block,omitempty"`     // that holds it
	Epoch  uint64 `json:"epoch,omitempty"`     // of a commitment
	Due    uint32 `json:"reveal_at,omitempty"` // of a commitment: the block in which the reveal is expected, or may be
	Until  uint32 `json:"reveal_by,omitempty"` // of a hash commitment: the last block in which it may be revealed
	At     uint32 `json:"revealed,omitempty"`  // the block in which it was revealed
	Why    string `json:"why,omitempty"`       // it ended as it did
	Proof  string `json:"proof,omitempty"`     // name of the bundle that is kept
	Missed bool   `json:"missed,omitempty"`    // its reveal was missed, and that is counted

	saved   bool   // the record with the signature is in the store
	refused uint32 // the head when the chain would not take it, and it was not clear whether it is there already
}

// open reports whether a transaction of it can still come into a block, or is yet to be sent.
func (i *Intent) open() bool { return i.State == Intended || i.State == Signed }

// waits reports whether it is a commitment that is on chain and not revealed.
func (i *Intent) waits() bool {
	return i.State == Included && (i.Call.Kind == CommitHash || i.Call.Kind == CommitTimelock)
}

var intentStates = []string{Intended, Signed, Included, Failed, Lapsed, Dropped, Revealed, Lost}

// Kinds and keys of records in the store.
const (
	kindIntent  = "validator-intent"
	kindState   = "validator"
	keyScores   = "scores"
	keyJournal  = "journal"
	maxIntents  = 64 // that are kept, besides those that have not ended
	maxIntentKB = 64
)

func intentKey(id uint64) string { return fmt.Sprintf("%016x", id) }

func (i *Intent) encode() []byte {
	b, err := json.Marshal(i)
	if err != nil {
		panic(err) // of numbers, strings and bytes
	}
	return b
}

// DecodeIntent reads a record, which is believed no more than a file.
func DecodeIntent(b []byte) (*Intent, error) {
	i := new(Intent)
	if len(b) > maxIntentKB<<10 {
		return nil, fmt.Errorf("%w: %d bytes", ErrIntent, len(b))
	}
	if err := json.Unmarshal(b, i); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIntent, err)
	}
	switch c := &i.Call; {
	case !slices.Contains(intentStates, i.State):
		return nil, fmt.Errorf("%w: state %.20q", ErrIntent, i.State)
	case c.Kind != Set && c.Kind != CommitHash && c.Kind != CommitTimelock && c.Kind != Reveal:
		return nil, fmt.Errorf("%w: kind %.20q", ErrIntent, c.Kind)
	case len(c.UIDs) != len(c.Values):
		return nil, fmt.Errorf("%w: %d uids and %d values", ErrIntent, len(c.UIDs), len(c.Values))
	case i.State == Signed && len(i.Extrinsic) == 0:
		return nil, fmt.Errorf("%w: signed, and there is no extrinsic", ErrIntent)
	}
	i.saved = i.State == Signed
	return i, nil
}

// A journal is what is kept beside intents and scores.
type journal struct {
	Next     uint64 `json:"next"`      // id of the next intent
	Baseline uint32 `json:"baseline"`  // what the hotkey did up to this block is its owner's own affair
	Missed   uint64 `json:"missed"`    // deadlines
	LastMiss uint64 `json:"last_miss"` // the LastUpdate whose activity cutoff was missed last
}

func encodeJournal(j journal) []byte {
	b, err := json.Marshal(j)
	if err != nil {
		panic(err) // of numbers
	}
	return b
}

// Kept is what a store has of an earlier run.
type Kept struct {
	Intents []*Intent // the oldest first
	Scores  *Scores   // nil: none
	Journal journal
	Notes   []string // what could not be read
	fresh   bool     // nothing was there
}

// Load reads what a store has. A record that cannot be read is left out and told of; but of intents that stops nothing:
// one that may have been sent shows on the chain, as a hotkey that acted elsewhere.
func Load(s Store) *Kept {
	k := &Kept{}
	state := s.All(kindState)
	intents := s.All(kindIntent)
	k.fresh = len(state) == 0 && len(intents) == 0
	for key, b := range intents {
		i, err := DecodeIntent(b)
		if err == nil && intentKey(i.ID) != key {
			err = fmt.Errorf("%w: id %d under %.20q", ErrIntent, i.ID, key)
		}
		if err != nil {
			k.Notes = append(k.Notes, fmt.Sprintf("an intent is left out: %v", err))
			continue
		}
		k.Intents = append(k.Intents, i)
		k.Journal.Next = max(k.Journal.Next, i.ID+1)
	}
	slices.SortFunc(k.Intents, func(a, b *Intent) int { return cmp.Compare(a.ID, b.ID) })
	if b, ok := state[keyJournal]; ok {
		var j journal
		if err := json.Unmarshal(b, &j); err != nil {
			k.Notes = append(k.Notes, fmt.Sprintf("the journal is left out: %v", err))
		} else {
			j.Next = max(j.Next, k.Journal.Next)
			k.Journal = j
		}
	}
	if b, ok := state[keyScores]; ok {
		s, err := DecodeScores(b)
		if err != nil {
			k.Notes = append(k.Notes, fmt.Sprintf("the moving averages begin anew: %v", err))
		}
		k.Scores = s
	}
	return k
}
