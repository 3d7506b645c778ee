package wire

import (
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// A ReadRequest asks on light/2 for a proof of the values of keys in the state of a block.
type ReadRequest struct {
	Block verify.Hash
	Keys  [][]byte // at least one: a node lowers its opinion of who asks for none
}

// A CallRequest asks on light/2 for a proof of what a runtime call reads in the state of a block.
type CallRequest struct {
	Block  verify.Hash
	Method string
	Data   []byte
}

// A LightRequest is a request on light/2: exactly one of its fields is set.
type LightRequest struct {
	Read *ReadRequest
	Call *CallRequest
}

// Append appends the encoding of q.
func (q *ReadRequest) Append(b []byte) []byte {
	n := bytesSize(2, len(q.Block))
	for _, k := range q.Keys {
		n += bytesSize(3, len(k))
	}
	b = appendMessage(b, 2, n)
	b = appendBytes(b, 2, q.Block[:])
	for _, k := range q.Keys {
		b = appendBytes(b, 3, k)
	}
	return b
}

// Append appends the encoding of q.
func (q *CallRequest) Append(b []byte) []byte {
	b = appendMessage(b, 1, bytesSize(2, len(q.Block))+bytesSize(3, len(q.Method))+bytesSize(4, len(q.Data)))
	b = appendBytes(b, 2, q.Block[:])
	b = appendBytes(b, 3, []byte(q.Method))
	return appendBytes(b, 4, q.Data)
}

// appendMessage appends the tag and the length of an embedded message of n bytes.
func appendMessage(b []byte, num protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.BytesType), uint64(n))
}

// DecodeLightRequest decodes a request on light/2. Reads of child tries and requests of newer
// versions give ErrUnknown.
func DecodeLightRequest(b []byte) (*LightRequest, error) {
	if err := checkSize(b, MaxRequest); err != nil {
		return nil, fmt.Errorf("light request: %w", err)
	}
	var q LightRequest
	r := fieldReader{b: b}
	other := protowire.Number(0)
	for r.next() {
		switch r.num {
		case 1:
			if v := r.bytes(MaxRequest); r.err == nil {
				q.Call = new(CallRequest)
				if err := q.Call.decode(v); err != nil {
					r.fail(fmt.Errorf("call: %w", err))
				}
			}
		case 2:
			if v := r.bytes(MaxRequest); r.err == nil {
				q.Read = new(ReadRequest)
				if err := q.Read.decode(v); err != nil {
					r.fail(fmt.Errorf("read: %w", err))
				}
			}
		default:
			other = r.num
			r.skip()
		}
	}
	switch {
	case r.err != nil:
		return nil, fmt.Errorf("light request: %w", r.err)
	case q.Call != nil && q.Read != nil:
		return nil, fmt.Errorf("light request: %w: both a call and a read", ErrMalformed)
	case q.Call == nil && q.Read == nil && other != 0:
		return nil, fmt.Errorf("light request: %w: field %d", ErrUnknown, other)
	case q.Call == nil && q.Read == nil:
		return nil, fmt.Errorf("light request: %w: neither a call nor a read", ErrMissing)
	}
	return &q, nil
}

func (q *CallRequest) decode(b []byte) error {
	r := fieldReader{b: b}
	for r.next() {
		switch r.num {
		case 2:
			q.Block = r.hash()
		case 3:
			v := r.bytes(MaxMethod)
			if r.err == nil && !utf8.Valid(v) {
				r.fail(fmt.Errorf("%w: method is not UTF-8", ErrMalformed))
			}
			q.Method = string(v)
		case 4:
			q.Data = r.bytes(MaxRequest)
		default:
			r.skip()
		}
	}
	if r.err == nil && !(r.has(2) && r.has(3)) {
		return fmt.Errorf("%w: a block and a method", ErrMissing)
	}
	return r.err
}

func (q *ReadRequest) decode(b []byte) error {
	r := fieldReader{b: b}
	for r.next() {
		switch r.num {
		case 2:
			q.Block = r.hash()
		case 3:
			k := r.element(MaxKey)
			if r.err == nil && len(q.Keys) >= MaxKeys {
				r.fail(fmt.Errorf("%w: more than %d keys", ErrTooMany, MaxKeys))
			}
			q.Keys = append(q.Keys, k)
		default:
			r.skip()
		}
	}
	switch {
	case r.err != nil:
		return r.err
	case !r.has(2):
		return fmt.Errorf("%w: block", ErrMissing)
	case len(q.Keys) == 0:
		return fmt.Errorf("%w: no keys", ErrMissing)
	}
	return nil
}

// AppendReadResponse appends the answer to a ReadRequest: a SCALE Vec<Vec<u8>> of trie nodes, or nil
// if there is no answer (the block is unknown, or its state pruned).
func AppendReadResponse(b, proof []byte) []byte { return appendLightResponse(b, 2, proof) }

// AppendCallResponse appends the answer to a CallRequest, as AppendReadResponse does; nil also
// stands for a call that failed.
func AppendCallResponse(b, proof []byte) []byte { return appendLightResponse(b, 1, proof) }

func appendLightResponse(b []byte, num protowire.Number, proof []byte) []byte {
	if proof == nil {
		return appendMessage(b, num, 0)
	}
	return appendBytes(appendMessage(b, num, bytesSize(2, len(proof))), 2, proof)
}

// DecodeLightResponse decodes the answer to either request. ok is false if the peer has no answer;
// why, the protocol does not say. The proof is undecoded.
func DecodeLightResponse(b []byte) (proof []byte, ok bool, err error) {
	if err := checkSize(b, MaxResponse); err != nil {
		return nil, false, fmt.Errorf("light response: %w", err)
	}
	r := fieldReader{b: b}
	for r.next() {
		if r.num != 1 && r.num != 2 {
			r.skip()
			continue
		}
		m := fieldReader{b: r.bytes(math.MaxInt)}
		for m.next() {
			if m.num == 2 {
				proof, ok = m.bytes(math.MaxInt), true
			} else {
				m.skip()
			}
		}
		if m.err != nil {
			r.fail(m.err)
		}
	}
	switch {
	case r.err != nil:
		return nil, false, fmt.Errorf("light response: %w", r.err)
	case r.has(1) == r.has(2):
		return nil, false, fmt.Errorf("light response: %w: want one of a read and a call", ErrMissing)
	}
	return proof, ok, nil
}

// AppendWarpRequest appends a request on sync/warp: the hash of a finalized block to prove from. The
// response is a grandpa.WarpProof.
func AppendWarpRequest(b []byte, from verify.Hash) []byte { return append(b, from[:]...) }

// DecodeWarpRequest decodes a request on sync/warp.
func DecodeWarpRequest(b []byte) (from verify.Hash, err error) {
	r := scale.NewReader(b)
	r.Copy(from[:])
	if err := r.Finish(); err != nil {
		return verify.Hash{}, fmt.Errorf("warp request: %w: %w", ErrMalformed, err)
	}
	return from, nil
}
