package wire

import (
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// Parts of a block that a BlockRequest asks for: the bits of one byte, which the protocol puts in
// the top byte of a uint32.
const (
	FieldHeader        uint32 = 0x01 << 24
	FieldBody          uint32 = 0x02 << 24
	FieldJustification uint32 = 0x10 << 24
)

// A BlockRequest asks for a run of blocks on sync/2, from one given by hash or else by number.
//
// A node bans a peer that sends it the same request with FieldBody a third time, and thinks less of
// one that does so without: ask another peer, or vary Max.
type BlockRequest struct {
	Fields         uint32 // FieldHeader | …
	Hash           *verify.Hash
	Number         uint32 // if Hash is nil
	Descending     bool   // towards the genesis block
	Max            uint32 // 0: as many as the server gives
	Justifications bool   // all engines' justifications, in the form of Block.Justifications
}

// Append appends the encoding of q.
func (q *BlockRequest) Append(b []byte) []byte {
	b = appendUint(b, 1, uint64(q.Fields))
	if q.Hash != nil {
		b = appendBytes(b, 2, q.Hash[:])
	} else {
		b = appendBytes(b, 3, binary.LittleEndian.AppendUint32(nil, q.Number))
	}
	b = appendBool(b, 5, q.Descending)
	b = appendUint(b, 6, uint64(q.Max))
	return appendBool(b, 7, q.Justifications)
}

// DecodeBlockRequest decodes a BlockRequest.
func DecodeBlockRequest(b []byte) (*BlockRequest, error) {
	if err := checkSize(b, MaxRequest); err != nil {
		return nil, fmt.Errorf("block request: %w", err)
	}
	q := new(BlockRequest)
	r := fieldReader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			q.Fields = r.uint32()
		case 2:
			h := r.hash()
			q.Hash = &h
		case 3:
			v := r.bytes(4)
			if r.err == nil && len(v) != 4 {
				r.fail(fmt.Errorf("%w: block number of %d bytes", ErrMalformed, len(v)))
			}
			if r.err == nil {
				q.Number = binary.LittleEndian.Uint32(v)
			}
		case 5:
			q.Descending = r.bool()
		case 6:
			q.Max = r.uint32()
		case 7:
			q.Justifications = r.bool()
		default:
			r.skip()
		}
	}
	switch {
	case r.err != nil:
		return nil, fmt.Errorf("block request: %w", r.err)
	case r.has(2) && r.has(3):
		return nil, fmt.Errorf("block request: %w: both a hash and a number", ErrMalformed)
	case !r.has(2) && !r.has(3):
		return nil, fmt.Errorf("block request: %w: neither a hash nor a number", ErrMissing)
	}
	return q, nil
}

// An EngineJustification is a proof of finality as a node stores it beside a block.
type EngineJustification struct {
	Engine verify.EngineID
	Data   []byte
}

// A Block is one block of a response, with the parts that were asked for.
type Block struct {
	Hash           verify.Hash // as claimed: hash Header instead
	Header         []byte      // SCALE, nil if not asked for
	Body           [][]byte    // extrinsics, each with its own compact length in front
	Justifications []EngineJustification
}

// AppendBlockResponse appends the response with these blocks.
func AppendBlockResponse(b []byte, blocks []Block) []byte {
	for i := range blocks {
		bl := &blocks[i]
		justs := bl.justifications()
		n := bytesSize(1, len(bl.Hash))
		if bl.Header != nil {
			n += bytesSize(2, len(bl.Header))
		}
		for _, x := range bl.Body {
			n += bytesSize(3, len(x))
		}
		if justs != nil {
			n += bytesSize(8, len(justs))
		}
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(n))
		b = appendBytes(b, 1, bl.Hash[:])
		if bl.Header != nil {
			b = appendBytes(b, 2, bl.Header)
		}
		for _, x := range bl.Body {
			b = appendBytes(b, 3, x)
		}
		if justs != nil {
			b = appendBytes(b, 8, justs)
		}
	}
	return b
}

// justifications returns the SCALE Vec<([u8; 4], Vec<u8>)> of field 8, nil for none.
func (bl *Block) justifications() []byte {
	if len(bl.Justifications) == 0 {
		return nil
	}
	b := scale.AppendCompact(nil, uint64(len(bl.Justifications)))
	for i := range bl.Justifications {
		b = append(b, bl.Justifications[i].Engine[:]...)
		b = scale.AppendBlob(b, bl.Justifications[i].Data)
	}
	return b
}

// DecodeBlockResponse decodes a response of at most maxBlocks blocks. Whether they are the blocks
// asked for, in order and joined by their hashes, is the caller's to check.
func DecodeBlockResponse(b []byte, maxBlocks int) ([]Block, error) {
	if err := checkSize(b, MaxResponse); err != nil {
		return nil, fmt.Errorf("block response: %w", err)
	}
	var blocks []Block
	extrinsics := 0
	r := fieldReader{b: b}
	for r.next() {
		if r.num != 1 {
			r.skip()
			continue
		}
		v := r.element(MaxResponse)
		if r.err != nil {
			break
		}
		if len(blocks) >= maxBlocks {
			r.fail(fmt.Errorf("%w: more than %d blocks", ErrTooMany, maxBlocks))
			break
		}
		var bl Block
		if err := bl.decode(v, &extrinsics); err != nil {
			return nil, fmt.Errorf("block response: block %d: %w", len(blocks), err)
		}
		blocks = append(blocks, bl)
	}
	if r.err != nil {
		return nil, fmt.Errorf("block response: %w", r.err)
	}
	return blocks, nil
}

func (bl *Block) decode(b []byte, extrinsics *int) error {
	r := fieldReader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			bl.Hash = r.hash()
		case 2:
			// Servers write an empty field for a header that was not asked for.
			if v := r.bytes(verify.MaxHeaderSize); len(v) > 0 {
				bl.Header = v
			}
		case 3:
			x := r.element(MaxResponse)
			if *extrinsics++; *extrinsics > MaxExtrinsics {
				r.fail(fmt.Errorf("%w: more than %d extrinsics", ErrTooMany, MaxExtrinsics))
			}
			if r.err == nil && len(x) == 0 {
				r.fail(fmt.Errorf("%w: extrinsic %d is empty", ErrMalformed, len(bl.Body)))
			}
			bl.Body = append(bl.Body, x)
		case 8:
			// Empty for a block that has none.
			v := r.bytes(MaxResponse)
			if len(v) == 0 {
				continue
			}
			s := scale.NewReader(v)
			n := s.Count(5, MaxJustifications)
			if n > 0 {
				bl.Justifications = make([]EngineJustification, n)
			}
			for i := range bl.Justifications {
				s.Copy(bl.Justifications[i].Engine[:])
				bl.Justifications[i].Data = s.Blob(-1)
			}
			if err := s.Finish(); err != nil {
				r.fail(fmt.Errorf("%w: justifications: %w", ErrMalformed, err))
			}
		default:
			r.skip()
		}
	}
	if r.err == nil && !r.has(1) {
		return fmt.Errorf("%w: hash", ErrMissing)
	}
	return r.err
}
