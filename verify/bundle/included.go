package bundle

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// ErrAmbiguous: events can be read in more than one way by who has no metadata.
var ErrAmbiguous = errors.New("events do not decide it without the runtime's metadata")

// An End is how the dispatch of an extrinsic ended.
type End byte

const (
	Unsaid    End = iota // the claim does not say
	Succeeded            // System.ExtrinsicSuccess
	Failed               // System.ExtrinsicFailed: it paid its fee, and did nothing else
)

func (e End) String() string {
	return [...]string{"not said", "succeeded", "failed"}[min(e, Failed)]
}

// MaxIndex bounds the position of an extrinsic in a block.
const MaxIndex = 1<<20 - 1

// An IncludedClaim says that a block has an extrinsic at a position and, unless End is Unsaid, how it ended.
type IncludedClaim struct {
	Block uint32
	Index uint32      // 0 to MaxIndex
	Hash  verify.Hash // Blake2b-256 of the extrinsic as the body has it, its length in front
	End   End
	Error []byte // of Failed: the sp_runtime::DispatchError, 1 to 6 bytes; else nil
}

func (IncludedClaim) Kind() string { return "included" }

func (c IncludedClaim) String() string {
	return fmt.Sprintf("transaction %s is extrinsic %d of block %s", c.Hash.Short(), c.Index, number(c.Block))
}

func (c IncludedClaim) blocks() []uint32 { return []uint32{c.Block} }

func (c IncludedClaim) check() error {
	switch {
	case c.Block == 0:
		return fmt.Errorf("%w: an extrinsic in the genesis block", ErrClaim)
	case c.Index > MaxIndex:
		return fmt.Errorf("%w: extrinsic %d", ErrLimit, c.Index)
	case c.End > Failed:
		return fmt.Errorf("%w: end %d", ErrForm, c.End)
	case c.End == Failed && (len(c.Error) == 0 || len(c.Error) != errorSize(c.Error[0])):
		return fmt.Errorf("%w: no DispatchError: 0x%x", ErrForm, c.Error[:min(len(c.Error), 8)])
	case c.End != Failed && len(c.Error) > 0:
		return fmt.Errorf("%w: an error of what did not fail", ErrForm)
	}
	return nil
}

func (c IncludedClaim) append(b []byte) []byte {
	b = appendU32(append(b, tagIncluded), c.Block)
	b = appendU32(b, c.Index)
	b = append(append(b, c.Hash[:]...), byte(c.End))
	return append(b, c.Error...)
}

func (r *reader) includedClaim() Claim {
	c := IncludedClaim{Block: r.u32(), Index: r.u32()}
	r.Copy(c.Hash[:])
	if c.End = End(r.Byte()); c.End == Failed {
		tag := r.Byte()
		c.Error = append([]byte{tag}, r.Bytes(errorSize(tag)-1)...)
	}
	return c
}

// errorSize is how many bytes a DispatchError has, by its first one: a module's has the pallet and four
// bytes of its own, and those of token, arithmetic, transaction and trie one more (sp_runtime::DispatchError).
func errorSize(tag byte) int {
	switch tag {
	case 3:
		return 6
	case 7, 8, 9, 14:
		return 2
	}
	return 1
}

// errorNames are the variants of sp_runtime::DispatchError.
var errorNames = [...]string{
	"Other", "CannotLookup", "BadOrigin", "Module", "ConsumerRemaining", "NoProviders", "TooManyConsumers", "Token", "Arithmetic",
	"Transactional", "Exhausted", "Corruption", "Unavailable", "RootNotAllowed", "Trie",
}

// ErrorText writes a DispatchError as far as it can be told without metadata, which has the names of a
// pallet and of its errors.
func ErrorText(e []byte) string {
	switch {
	case len(e) == 0 || int(e[0]) >= len(errorNames):
		return "an unknown error"
	case len(e) == 6:
		return fmt.Sprintf("error %d of pallet %d", e[2], e[1])
	case len(e) == 2:
		return fmt.Sprintf("%s.%d", errorNames[e[0]], e[1])
	}
	return errorNames[e[0]]
}

func (c IncludedClaim) judge(j *judge) error {
	b, errBlock := j.known(c.Block)
	value, err := b.extrinsic(c.Index)
	var events []byte
	if c.End != Unsaid {
		var eerr error
		var values [][]byte
		if values, eerr = b.Load(verify.StorageKey("System", "Events")); eerr == nil {
			events = values[0]
		}
		err = first(err, eerr)
	}
	if err := first(errBlock, err); err != nil {
		return err
	}
	if value == nil {
		return fail("extrinsics", fmt.Errorf("%w: block %s has no extrinsic %d", ErrNotSo, number(c.Block), c.Index))
	}
	if hash := verify.Blake2b256(value); hash != c.Hash {
		return fail("extrinsics", fmt.Errorf("%w: extrinsic %d of block %s is %s", ErrNotSo, c.Index, number(c.Block), hash.Short()))
	}
	end, dispatch, err := endOf(events, c.Index)
	switch {
	case c.End == Unsaid:
	case err != nil:
		return lack("events", fmt.Errorf("block %s: %w", number(c.Block), err))
	case end != c.End || !bytes.Equal(dispatch, c.Error):
		text := end.String()
		if end == Failed {
			text += ": " + ErrorText(dispatch)
		}
		return fail("events", fmt.Errorf("%w: extrinsic %d of block %s %s", ErrNotSo, c.Index, number(c.Block), text))
	}
	j.line.add("number", uint64(b.number))
	j.line.add("hash", b.hash.String())
	j.line.add("index", uint64(c.Index))
	j.line.add("extrinsic_hash", c.Hash.String())
	j.line.add("end", c.End.String())
	j.line.Text = c.String()
	switch c.End {
	case Succeeded:
		j.line.Text += ", and succeeded"
	case Failed:
		j.line.add("error", fmt.Sprintf("0x%x", c.Error))
		j.line.Text += ", and failed: " + ErrorText(c.Error)
	}
	return nil
}

// extrinsic returns the extrinsic at a position of the block's body; nil if it has none there.
func (b *block) extrinsic(index uint32) ([]byte, error) {
	b.run.lookups++
	answer := trie.Answer{}
	if b.header != nil {
		answers, err := b.run.usage.GetAll(b.header.ExtrinsicsRoot, [][]byte{scale.AppendCompact(nil, uint64(index))})
		if err != nil {
			return nil, fmt.Errorf("extrinsics of block %s: %w", number(b.number), err)
		}
		answer = answers[0]
	}
	switch answer.Outcome {
	case trie.Present:
		return answer.Value, nil
	case trie.Absent:
		return nil, nil
	}
	if b.body == nil {
		b.body = make(map[uint32]bool)
	}
	b.body[index] = true
	return nil, fmt.Errorf("block %s: %w: extrinsic %d: %w", number(b.number), subtensor.ErrUnproven, index, trie.ErrIncomplete)
}

// EndOf reads from the value of System.Events of a block how one of its extrinsics ended, without metadata:
// ErrAmbiguous where that does not decide it. The error is a DispatchError, if it failed.
func EndOf(events []byte, index uint32) (End, []byte, error) { return endOf(events, index) }

// endOf: the chain writes exactly one record of success or failure for each extrinsic, and that begins with
// these bytes: the phase ApplyExtrinsic(index), the pallet System, and its event 0 or 1 (frame_system; System is
// pallet 0 in every runtime of this chain). Other bytes may look the same, as whoever sends a transaction
// chooses some of what is in events: so it is decided only if all that look like an end are the same one.
func endOf(events []byte, index uint32) (End, []byte, error) {
	record := append(scale.AppendU32([]byte{0}, index), 0)
	end, dispatch := Unsaid, []byte(nil)
	for rest := events; ; {
		at := bytes.Index(rest, record)
		if at < 0 {
			break
		}
		tail := rest[at+len(record):]
		rest = rest[at+1:]
		if len(tail) == 0 || tail[0] > 1 {
			continue
		}
		this, e := Succeeded, []byte(nil)
		if tail[0] == 1 {
			this = Failed
			if len(tail) < 2 || len(tail) < 1+errorSize(tail[1]) {
				continue
			}
			e = tail[1 : 1+errorSize(tail[1])]
		}
		if end != Unsaid && (this != end || !bytes.Equal(e, dispatch)) {
			return Unsaid, nil, ErrAmbiguous
		}
		end, dispatch = this, e
	}
	if end == Unsaid {
		return end, nil, fmt.Errorf("%w: nothing in them about extrinsic %d", ErrAmbiguous, index)
	}
	return end, bytes.Clone(dispatch), nil
}
