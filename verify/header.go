package verify

import (
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify/scale"
)

// Errors of header decoding.
var (
	// ErrDigest: the digest breaks a rule of the chain (seal not last, two pre-runtime items, …).
	ErrDigest = errors.New("bad digest")
	// ErrUnknownEngine: a digest item belongs to a consensus engine that this version does not
	// know. The chain may have changed its rules; guessing would be worse than stopping.
	ErrUnknownEngine = errors.New("unknown consensus engine: upgrade taolight")
)

// EngineID names the consensus engine that a digest item is for.
type EngineID [4]byte

func (e EngineID) String() string { return string(e[:]) }

// The engines of this chain. Frontier ("fron") puts the hashes of EVM transactions in the digest;
// they decide nothing here and are let through.
var (
	EngineAura     = EngineID{'a', 'u', 'r', 'a'}
	EngineGrandpa  = EngineID{'F', 'R', 'N', 'K'}
	EngineFrontier = EngineID{'f', 'r', 'o', 'n'}
)

// DigestType is the tag of a digest item (sp_runtime::generic::DigestItem). Tags 1 to 3 and 7 are
// historic and refused.
type DigestType byte

const (
	DigestOther                     DigestType = 0
	DigestConsensus                 DigestType = 4
	DigestSeal                      DigestType = 5
	DigestPreRuntime                DigestType = 6
	DigestRuntimeEnvironmentUpdated DigestType = 8
)

// A DigestItem is one entry of a header's digest.
type DigestItem struct {
	Type   DigestType
	Engine EngineID // zero for Other and RuntimeEnvironmentUpdated
	Data   []byte
}

// Specification bounds and our own. A real header of a set change is under 2 KiB; a set of 1,000
// authorities would need 72 KiB.
const (
	MaxHeaderSize  = 256 << 10
	MaxDigestItems = 64
)

// A Header is a decoded block header (generic::Header<u32, BlakeTwo256>).
//
//	parent_hash[32] | compact(number) | state_root[32] | extrinsics_root[32] | Vec<DigestItem>
type Header struct {
	ParentHash     Hash
	Number         uint32
	StateRoot      Hash
	ExtrinsicsRoot Hash
	Digest         []DigestItem
}

// DecodeHeader decodes exactly one header. The digest's data aliases b.
//
// Only the form is judged here: which digest items a header must have is the rule of its engine
// (package aura). A seal that is not last is refused, since nothing can be signed after it.
func DecodeHeader(b []byte) (*Header, error) {
	r := scale.NewReader(b)
	h := new(Header)
	h.read(r)
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	return h, nil
}

// ReadHeader decodes a header from the front of r, whose error it leaves there.
func ReadHeader(r *scale.Reader) *Header {
	h := new(Header)
	h.read(r)
	if r.Err() != nil {
		return nil
	}
	return h
}

func (h *Header) read(r *scale.Reader) {
	start := r.Offset()
	r.Copy(h.ParentHash[:])
	number := r.Compact()
	if number > 1<<32-1 {
		r.Fail(fmt.Errorf("%w: block number %d", scale.ErrRange, number))
	}
	h.Number = uint32(number)
	r.Copy(h.StateRoot[:])
	r.Copy(h.ExtrinsicsRoot[:])
	n := r.Count(1, MaxDigestItems)
	if n > 0 {
		h.Digest = make([]DigestItem, n)
	}
	for i := range h.Digest {
		it := &h.Digest[i]
		it.Type = DigestType(r.Byte())
		switch it.Type {
		case DigestOther:
			it.Data = r.Blob(MaxHeaderSize)
		case DigestConsensus, DigestSeal, DigestPreRuntime:
			r.Copy(it.Engine[:])
			it.Data = r.Blob(MaxHeaderSize)
		case DigestRuntimeEnvironmentUpdated:
		default:
			if r.Err() == nil {
				r.Fail(fmt.Errorf("%w: item %d has tag %d", ErrDigest, i, it.Type))
			}
		}
		if it.Type == DigestSeal && i != n-1 && r.Err() == nil {
			r.Fail(fmt.Errorf("%w: seal is item %d of %d, not the last", ErrDigest, i, n))
		}
	}
	if size := r.Offset() - start; size > MaxHeaderSize {
		r.Fail(fmt.Errorf("%w: header of %d bytes, at most %d allowed", scale.ErrRange, size, MaxHeaderSize))
	}
}

// Append appends the SCALE encoding of h.
func (h *Header) Append(b []byte) []byte { return h.append(b, h.Digest) }

func (h *Header) append(b []byte, digest []DigestItem) []byte {
	b = append(b, h.ParentHash[:]...)
	b = scale.AppendCompact(b, uint64(h.Number))
	b = append(b, h.StateRoot[:]...)
	b = append(b, h.ExtrinsicsRoot[:]...)
	b = scale.AppendCompact(b, uint64(len(digest)))
	for i := range digest {
		b = digest[i].Append(b)
	}
	return b
}

// Append appends the SCALE encoding of one digest item.
func (it *DigestItem) Append(b []byte) []byte {
	b = append(b, byte(it.Type))
	switch it.Type {
	case DigestConsensus, DigestSeal, DigestPreRuntime:
		b = append(b, it.Engine[:]...)
		b = scale.AppendBlob(b, it.Data)
	case DigestOther:
		b = scale.AppendBlob(b, it.Data)
	}
	return b
}

// Encode returns the SCALE encoding of h.
func (h *Header) Encode() []byte { return h.Append(make([]byte, 0, 256)) }

// Hash returns the block hash: Blake2b-256 of the encoding.
func (h *Header) Hash() Hash { return Blake2b256(h.Encode()) }

// Seal returns the seal, or nil if the header carries none.
func (h *Header) Seal() *DigestItem {
	if n := len(h.Digest); n > 0 && h.Digest[n-1].Type == DigestSeal {
		return &h.Digest[n-1]
	}
	return nil
}

// PreSealHash returns what the author signed: the hash of the header without its seal.
func (h *Header) PreSealHash() Hash {
	d := h.Digest
	if h.Seal() != nil {
		d = d[:len(d)-1]
	}
	return Blake2b256(h.append(make([]byte, 0, 256), d))
}

// RuntimeUpdated reports whether this block changed :code, so that its children run on the new one.
func (h *Header) RuntimeUpdated() bool {
	for i := range h.Digest {
		if h.Digest[i].Type == DigestRuntimeEnvironmentUpdated {
			return true
		}
	}
	return false
}

// CheckEngines returns ErrUnknownEngine if a pre-runtime item, a seal or a consensus item belongs
// to an engine other than Aura, GRANDPA and Frontier.
func (h *Header) CheckEngines() error {
	for i := range h.Digest {
		it := &h.Digest[i]
		switch it.Type {
		case DigestPreRuntime, DigestSeal:
			if it.Engine != EngineAura {
				return fmt.Errorf("header %d: digest item %d: engine %q: %w", h.Number, i, it.Engine, ErrUnknownEngine)
			}
		case DigestConsensus:
			switch it.Engine {
			case EngineAura, EngineGrandpa, EngineFrontier:
			default:
				return fmt.Errorf("header %d: digest item %d: engine %q: %w", h.Number, i, it.Engine, ErrUnknownEngine)
			}
		}
	}
	return nil
}
