package wire

import (
	"fmt"

	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
)

// Kinds of message on grandpa/1, the first byte
// (sc_consensus_grandpa::communication::gossip::GossipMessage).
const (
	GrandpaVote           = 0
	GrandpaCommit         = 1
	GrandpaNeighbor       = 2
	GrandpaCatchUpRequest = 3
	GrandpaCatchUp        = 4
)

// neighborVersion is the only version of the neighbour packet there is.
const neighborVersion = 1

// A Neighbor packet tells a peer where its sender stands; a peer sends commits only to those whose
// set it knows to be its own.
//
//	2 u8 | version u8 = 1 | round u64 | set_id u64 | commit_finalized_height u32
//
// Set, then round, then height must never decrease from one packet to the next, and the same packet
// must not be sent again within a minute.
type Neighbor struct {
	Round, SetID uint64
	Height       uint32
}

// A GrandpaMessage is a message on grandpa/1. Votes and catch-ups are told by their kind only: a
// light client has no use for them.
type GrandpaMessage struct {
	Kind     byte
	Neighbor *Neighbor              // of GrandpaNeighbor
	Commit   *grandpa.CommitMessage // of GrandpaCommit
}

// AppendNeighbor appends a neighbour packet.
func AppendNeighbor(b []byte, n Neighbor) []byte {
	b = append(b, GrandpaNeighbor, neighborVersion)
	b = scale.AppendU64(b, n.Round)
	b = scale.AppendU64(b, n.SetID)
	return scale.AppendU32(b, n.Height)
}

// AppendCommit appends a commit message.
func AppendCommit(b []byte, c *grandpa.CommitMessage) []byte {
	return c.Append(append(b, GrandpaCommit))
}

// DecodeGrandpaMessage decodes a message on grandpa/1. Nothing in it is verified.
func DecodeGrandpaMessage(b []byte) (GrandpaMessage, error) {
	if err := checkSize(b, MaxGrandpa); err != nil {
		return GrandpaMessage{}, fmt.Errorf("grandpa message: %w", err)
	}
	if len(b) == 0 {
		return GrandpaMessage{}, fmt.Errorf("grandpa message: %w: empty", ErrMalformed)
	}
	m := GrandpaMessage{Kind: b[0]}
	switch m.Kind {
	case GrandpaVote, GrandpaCatchUpRequest, GrandpaCatchUp:
	case GrandpaCommit:
		c, err := grandpa.DecodeCommitMessage(b[1:])
		if err != nil {
			return GrandpaMessage{}, fmt.Errorf("grandpa message: %w: %w", ErrMalformed, err)
		}
		m.Commit = c
	case GrandpaNeighbor:
		r := scale.NewReader(b[1:])
		if v := r.Byte(); v != neighborVersion && r.Err() == nil {
			return GrandpaMessage{}, fmt.Errorf("grandpa message: %w: neighbour packet of version %d", ErrUnknown, v)
		}
		m.Neighbor = &Neighbor{Round: r.U64(), SetID: r.U64(), Height: r.U32()}
		if err := r.Finish(); err != nil {
			return GrandpaMessage{}, fmt.Errorf("grandpa message: neighbour packet: %w: %w", ErrMalformed, err)
		}
	default:
		return GrandpaMessage{}, fmt.Errorf("grandpa message: %w: tag %d", ErrUnknown, m.Kind)
	}
	return m, nil
}
