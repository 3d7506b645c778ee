package bundle

import (
	"errors"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/tlock"
	"github.com/taolight/taolight/verify/trie"
)

// BlockHashCount is how many blocks back the chain remembers hashes, in System.BlockHash
// (subtensor runtime/src/lib.rs, BlockHashCount).
const BlockHashCount = 2_400

// Errors of verification. They are in Line.Err.
var (
	// ErrNetwork: the bundle is about another chain than the checkpoint.
	ErrNetwork = errors.New("bundle is for another network")
	// ErrCheckpoint: the bundle proves nothing from this checkpoint: it is too old, too new, or none.
	ErrCheckpoint = errors.New("nothing to start from")
	// ErrConflict: the bundle has another block than the checkpoint, or than the chain itself, at one
	// height, or another set of authorities.
	ErrConflict = errors.New("conflicting block at the same height")
	// ErrUnneeded: a part of the bundle is needed by none of its claims.
	ErrUnneeded = errors.New("not needed by any claim")
	// ErrMissing: the bundle lacks a part that a claim needs.
	ErrMissing = errors.New("not in the bundle")
	// ErrNotReached: an earlier step did not succeed, so this one was not taken.
	ErrNotReached = errors.New("not reached")
	// ErrNotSo: the evidence is complete and says another thing than the claim.
	ErrNotSo = errors.New("not so")
	// ErrProvesNothing: the evidence is as claimed, and would be so if the claim were false.
	ErrProvesNothing = errors.New("proves nothing")
)

// A run judges claims by the evidence there is. Verify makes one, and a Draft one for each time it looks for
// what is missing.
type run struct {
	pool     *trie.Pool
	usage    *trie.Usage
	final    *block            // nil if there is none
	blocks   map[uint32]*block // the final one, headers, fragments; with a Draft also those that are missing
	verifier *drand.Verifier   // see verifierOf
	beacon   drand.Beacon
	assume   uint32 // spec whose rules are assumed where those of the chain are unknown; 0: none
	lookups  int
	executor Executor
	codes    [][]byte // that were given
	embed    bool     // with a Draft: the code goes into the bundle

	pulses    map[uint64]*pulse
	badPulses error // why no pulse can be used
	culprit   uint64
	opened    map[opening]commit.Opening
	opener    *tlock.Opener // of the signature last used
	signature drand.Signature
	wanted    map[uint32][]uint64 // rounds that are missing, by a block whose state may have them
	draft     bool                // links and votes are checked elsewhere
}

type pulse struct {
	drand.Pulse
	used bool
}

type opening struct {
	hotkey verify.AccountID
	hash   verify.Hash
	round  uint64
}

// A block is one whose state claims read. It is a subtensor.State.
type block struct {
	run     *run
	number  uint32
	header  *verify.Header // nil if it is missing
	hash    verify.Hash    // of header
	linked  bool           // proven by a link or by votes; or the final one
	lacking map[string]bool
	body    map[uint32]bool // extrinsics that are missing
}

func newRun(pool *trie.Pool) *run {
	return &run{
		pool: pool, usage: pool.Usage(),
		blocks: make(map[uint32]*block), pulses: make(map[uint64]*pulse),
		opened: make(map[opening]commit.Opening), wanted: make(map[uint32][]uint64),
	}
}

// add puts a block with its header in r.
func (r *run) add(h *verify.Header) *block {
	b := &block{run: r, number: h.Number, header: h, hash: h.Hash()}
	r.blocks[h.Number] = b
	return b
}

// at returns a block, which is one without a header if it is missing.
func (r *run) at(n uint32) *block {
	b := r.blocks[n]
	if b == nil {
		b = &block{run: r, number: n}
		r.blocks[n] = b
	}
	return b
}

// Load implements subtensor.State, and remembers what it lacked.
func (b *block) Load(keys ...[]byte) ([][]byte, error) {
	b.run.lookups += len(keys)
	answers := make([]trie.Answer, len(keys)) // incomplete, each
	if b.header != nil {
		var err error
		if answers, err = b.run.usage.GetAll(b.header.StateRoot, keys); err != nil {
			return nil, fmt.Errorf("block %s: %w", number(b.number), err)
		}
	}
	values := make([][]byte, len(keys))
	var missing error
	for i, a := range answers {
		switch a.Outcome {
		case trie.Present:
			values[i] = a.Value
		case trie.Incomplete:
			if len(keys[i]) == 0 {
				// An item that is not known has no key, and can be neither proven nor fetched.
				return nil, fmt.Errorf("block %s: %w: empty key", number(b.number), subtensor.ErrLayout)
			}
			b.lack(keys[i])
			if missing == nil {
				missing = fmt.Errorf("block %s: %w: key 0x%x: %w", number(b.number), subtensor.ErrUnproven, keys[i], trie.ErrIncomplete)
			}
		}
	}
	if missing != nil {
		return nil, missing
	}
	return values, nil
}

// lack remembers that the proof of a key is missing.
func (b *block) lack(key []byte) {
	if b.lacking == nil {
		b.lacking = make(map[string]bool)
	}
	b.lacking[string(key)] = true
}

// plan returns the blocks whose headers a bundle must hold beside the final one and those of fragments, in
// descending order: those that claims need (none is above the final one), and where there are more than BlockHashCount blocks between
// one and the next above it, stations in between, each as far down as the chain remembers.
func plan(final uint32, votes func(uint32) bool, need []uint32) ([]uint32, error) {
	need = slices.Clone(need)
	slices.Sort(need)
	need = slices.Compact(need)
	var list []uint32
	above := final
	for _, n := range slices.Backward(need) {
		if n >= final || votes(n) {
			continue
		}
		for above-n > BlockHashCount {
			next := above - BlockHashCount
			// A block with votes of its own is no station, because whoever starts from a newer
			// checkpoint does not check these.
			for votes(next) {
				next++
			}
			if next == above || len(list) >= MaxHeaders {
				return nil, fmt.Errorf("%w: block %s is too far below %s", ErrLimit, number(n), number(final))
			}
			list = append(list, next)
			above = next
		}
		if above != n {
			list = append(list, n)
			above = n
		}
	}
	if len(list) > MaxHeaders {
		return nil, fmt.Errorf("%w: %d headers, at most %d allowed", ErrLimit, len(list), MaxHeaders)
	}
	return list, nil
}

// link proves the headers of a plan from the final block down. Each is the parent of the one above it, or
// its hash is in System.BlockHash of that one's state. An error about what is missing does not keep the
// rest from being looked at.
func (r *run) link(plan []uint32) error {
	if r.final == nil {
		return nil
	}
	var first error
	note := func(err error) {
		var s *stop
		if first == nil || errors.As(first, &s) && s.undecided {
			if errors.As(err, &s) && !s.undecided || first == nil {
				first = err
			}
		}
	}
	r.final.linked = true
	above := r.final
	for _, n := range plan {
		b := r.at(n)
		if b.header == nil {
			note(lack("headers", fmt.Errorf("%w: block %s", ErrMissing, number(n))))
		}
		if err := r.linkOne(b, above); err != nil {
			note(err)
		}
		above = b
	}
	return first
}

func (r *run) linkOne(b, above *block) error {
	if above.number-b.number == 1 {
		if b.header == nil || above.header == nil {
			return nil // said already
		}
		if above.header.ParentHash != b.hash {
			return fail("headers", fmt.Errorf("%w: block %s is %s, and the parent of %s is %s", ErrConflict, number(b.number), b.hash.Short(), number(above.number), above.header.ParentHash.Short()))
		}
		b.linked = above.linked
		return nil
	}
	values, err := above.Load(subtensor.KeyBlockHash(b.number))
	switch {
	case errors.Is(err, subtensor.ErrUnproven):
		return lack("headers", fmt.Errorf("link of block %s: %w", number(b.number), err))
	case err != nil:
		return fail("headers", err)
	case b.header == nil:
		return nil
	case values[0] == nil:
		return lack("headers", fmt.Errorf("%w: the state of block %s does not hold the hash of block %s", ErrMissing, number(above.number), number(b.number)))
	case string(values[0]) != string(b.hash[:]):
		return fail("headers", fmt.Errorf("%w: block %s is %s, and the state of block %s says 0x%x", ErrConflict, number(b.number), b.hash.Short(), number(above.number), values[0][:min(len(values[0]), 32)]))
	}
	b.linked = above.linked
	return nil
}

// A judge judges one claim.
type judge struct {
	*run
	line *Line
}

// judge judges a claim.
func (r *run) judge(c Claim) Line {
	l := Line{Step: c.Kind(), Text: c.String()}
	l.conclude(settle(c.judge(&judge{r, &l})))
	return l
}

// settle gives an error that is no stop its step and outcome.
func settle(err error) error {
	var s *stop
	switch {
	case err == nil || errors.As(err, &s):
		return err
	case errors.Is(err, subtensor.ErrUnproven):
		return lack("storage", err)
	case errors.Is(err, rules.ErrUnknown):
		return lack("rules", err)
	case errors.Is(err, subtensor.ErrLayout):
		// The value is proven; it is our knowledge of its layout that ends here.
		return lack("layout", err)
	}
	return fail("storage", err)
}

// first returns the error that decides: one that says more than that something is missing, or else the
// first.
func first(errs ...error) error {
	var missing error
	for _, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, subtensor.ErrUnproven) || errors.Is(err, errPulse):
			if missing == nil {
				missing = err
			}
		default:
			return err
		}
	}
	return missing
}

// rulesAt returns the rules of the runtime that made a block.
func (j *judge) rulesAt(b *block) (rules.Set, error) {
	spec, err := subtensor.Spec(b)
	if err != nil {
		return rules.Set{}, err
	}
	set, err := rules.For(spec)
	if err != nil && j.assume != 0 {
		set, err = rules.Assume(spec, j.assume)
	}
	if err != nil {
		return set, fmt.Errorf("block %s: %w", number(b.number), err)
	}
	return set, nil
}

// label puts the rules in the line, and in its text if they were only assumed.
func (j *judge) label(set rules.Set) {
	j.line.add("rules", set.String())
	if set.Assumed() {
		j.line.Text += " (" + set.String() + ")"
	}
}

// verifierOf returns the verifier of the beacon's pulses, which costs as much as a header bundle's votes
// and so is made when the first is looked at.
func (r *run) verifierOf() (*drand.Verifier, error) {
	if r.verifier == nil {
		v, err := drand.NewVerifier(r.beacon)
		if err != nil {
			return nil, err
		}
		r.verifier = v
	}
	return r.verifier, nil
}

// decrypt opens a commitment. What openers share is worth making from the second one on.
func (r *run) decrypt(c subtensor.TimelockedCommit, sig drand.Signature) commit.Opening {
	if len(r.opened) == 0 {
		return commit.Open(c, sig)
	}
	if r.opener == nil || r.signature != sig {
		fresh := tlock.NewOpener
		if r.opener != nil {
			fresh = r.opener.With
		}
		o, err := fresh(sig)
		if err != nil {
			return commit.Open(c, sig) // it says what is wrong
		}
		r.opener, r.signature = o, sig
	}
	return commit.OpenWith(c, r.opener)
}

var errPulse = errors.New("pulse missing")

// pulse returns the pulse of a round. at is a block whose state may have it.
func (r *run) pulse(round uint64, at uint32) (*pulse, error) {
	if r.badPulses != nil {
		return nil, lack("pulses", fmt.Errorf("%w: %w", ErrNotReached, r.badPulses))
	}
	p := r.pulses[round]
	if p == nil {
		if !slices.Contains(r.wanted[at], round) {
			r.wanted[at] = append(r.wanted[at], round)
		}
		return nil, lack("pulses", fmt.Errorf("%w: the %w: round %s", ErrMissing, errPulse, group(round)))
	}
	p.used = true
	return p, nil
}
