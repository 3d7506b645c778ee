package wire

import (
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// Roles of a node, the first byte of a block-announces handshake and the whole handshake of
// grandpa/1 and transactions/1 (sc_network_common::role::Roles).
const (
	RoleFull      = 1
	RoleLight     = 2
	RoleAuthority = 4
)

// HandshakeSize is the size of a block-announces handshake.
const HandshakeSize = 69

// A Handshake opens a block-announces/1 substream.
//
//	role u8 | best_number u32 | best_hash[32] | genesis_hash[32]
type Handshake struct {
	Role       byte
	BestNumber uint32
	BestHash   verify.Hash
	Genesis    verify.Hash
}

// Append appends the 69 bytes of h.
func (h *Handshake) Append(b []byte) []byte {
	b = append(b, h.Role)
	b = scale.AppendU32(b, h.BestNumber)
	b = append(b, h.BestHash[:]...)
	return append(b, h.Genesis[:]...)
}

// DecodeHandshake decodes a block-announces handshake. It does not compare the genesis hash.
func DecodeHandshake(b []byte) (*Handshake, error) {
	r := scale.NewReader(b)
	h := &Handshake{Role: r.Byte(), BestNumber: r.U32()}
	r.Copy(h.BestHash[:])
	r.Copy(h.Genesis[:])
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("handshake: %w: %w", ErrMalformed, err)
	}
	if err := checkRole(h.Role); err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return h, nil
}

// AppendRole appends the one-byte handshake of grandpa/1 and transactions/1.
func AppendRole(b []byte, role byte) []byte { return append(b, role) }

// DecodeRole decodes the handshake of grandpa/1 and transactions/1.
func DecodeRole(b []byte) (byte, error) {
	if len(b) != 1 {
		return 0, fmt.Errorf("handshake: %w: %d bytes, want the one of a role", ErrMalformed, len(b))
	}
	return b[0], checkRole(b[0])
}

func checkRole(role byte) error {
	switch role {
	case RoleFull, RoleLight, RoleAuthority:
		return nil
	}
	return fmt.Errorf("%w: role %d", ErrUnknown, role)
}

// An Announce tells of a new block.
//
//	Header | state u8 (0 normal, 1 best) | Vec<u8> data
type Announce struct {
	Header *verify.Header
	Best   bool   // the sender's best block
	Data   []byte // nothing on this chain
}

// Append appends a in its full form; some clients refuse one without the last two fields.
func (a *Announce) Append(b []byte) []byte {
	b = a.Header.Append(b)
	b = scale.AppendBool(b, a.Best)
	return scale.AppendBlob(b, a.Data)
}

// DecodeAnnounce decodes an announce. The last two fields may be absent, as older nodes leave them.
func DecodeAnnounce(b []byte) (*Announce, error) {
	if err := checkSize(b, MaxAnnounce); err != nil {
		return nil, fmt.Errorf("announce: %w", err)
	}
	r := scale.NewReader(b)
	a := &Announce{Header: verify.ReadHeader(r)}
	if r.Err() == nil && r.Len() > 0 {
		a.Best = r.Bool()
		if r.Err() == nil && r.Len() > 0 {
			a.Data = r.Blob(-1)
		}
	}
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("announce: %w: %w", ErrMalformed, err)
	}
	return a, nil
}

// AppendTransaction appends a transactions/1 message with one extrinsic, given as it stands in a
// block: with its own compact length in front.
func AppendTransaction(b, extrinsic []byte) []byte {
	return append(scale.AppendCompact(b, 1), extrinsic...)
}

// DecodeTransactions decodes a transactions/1 message. Each extrinsic has its own compact length in
// front.
func DecodeTransactions(b []byte) ([][]byte, error) {
	if err := checkSize(b, MaxTransactionsMessage); err != nil {
		return nil, fmt.Errorf("transactions: %w", err)
	}
	r := scale.NewReader(b)
	n := r.Count(2, MaxExtrinsics)
	xts := make([][]byte, n)
	for i := range xts {
		start := r.Offset()
		if body := r.Blob(-1); len(body) == 0 {
			r.Fail(fmt.Errorf("%w: extrinsic %d is empty", ErrMalformed, i))
			break
		}
		xts[i] = b[start:r.Offset():r.Offset()]
	}
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("transactions: %w: %w", ErrMalformed, err)
	}
	return xts, nil
}
