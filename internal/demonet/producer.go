package demonet

import (
	"context"
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// A producer says what is in blocks; seals, finality and forks are the chain's. There are two: an
// imitation, which writes what the pallets would have written, and a localnet, which executes a runtime.
//
// Its methods may be called by several goroutines, build by one at a time.
type producer interface {
	// genesis sets the state of block 0. now is the start of its slot in milliseconds.
	genesis(b *block, now uint64) error
	// build makes a block on parent that lacks its seal and hash. Unless fork is 0, it differs from every
	// block with another fork. There is an outcome for each extrinsic that is offered.
	build(parent *block, slot uint64, fork int, offered [][]byte) (*block, []outcome, error)
	// admit says whether an extrinsic may wait for a block after at.
	admit(at *block, extrinsic []byte) error
	// call calls a method of the runtime API over the state of a block. It returns the nodes of the trie
	// that prove what was read as well.
	call(ctx context.Context, at *block, method string, args []byte) (answer []byte, nodes [][]byte, err error)
	// drand is the beacon whose pulses the chain takes.
	drand() drand.Beacon
	// origin is what the chain was made from, nil if it has no runtime.
	origin() *Origin
}

// An outcome is what came of an extrinsic that was offered to a block.
type outcome struct {
	in    bool  // in the body, at index
	index int   //
	later bool  // not in, and may be offered again
	err   error // in: why its dispatch failed; neither in nor later: why it is refused
}

// ErrNoRuntime: the chain has no runtime that could be called.
var ErrNoRuntime = errors.New("no runtime to execute")

// An imitation is a chain in the layout of the real one, with no runtime behind it.
type imitation struct {
	keys   *keyring
	layout *layout
	crowd  *crowd
	tempo  uint16
	change schedule
}

// A schedule says in which blocks the authority sets change.
type schedule struct {
	first uint32 // block of the first change
	every uint32 // blocks from one change to the next, 0 = never
}

func (s schedule) due(number uint32) bool {
	return s.every != 0 && number >= s.first && (number-s.first)%s.every == 0
}

// newImitation makes the producer of a chain whose genesis is at now, in milliseconds.
func newImitation(keys *keyring, cfg Config, now, slotMS uint64) *imitation {
	return &imitation{
		keys: keys, layout: newLayout(), tempo: uint16(cfg.Tempo),
		change: cfg.schedule(),
		crowd: &crowd{
			keys: keys, slotMS: slotMS, spec: cfg.Spec, faults: cfg.CommitFaults, epochFaults: cfg.EpochFaults,
			emissionFault: cfg.EmissionFault, quiet: cfg.Quiet,
			beacon: newBeacon(keys, now, slotMS),
		},
	}
}

func (m *imitation) genesis(b *block, now uint64) error {
	b.state = m.layout.genesis(now, m.keys, m.crowd, m.crowd.spec, m.tempo)
	return nil
}

func (m *imitation) drand() drand.Beacon { return m.crowd.beacon.Beacon }

func (m *imitation) origin() *Origin { return nil }

// call fails as it does for a full node whose runtime has no such method.
func (m *imitation) call(_ context.Context, _ *block, method string, _ []byte) ([]byte, [][]byte, error) {
	return nil, nil, fmt.Errorf("%s: %w", method, ErrNoRuntime)
}

// build puts the extrinsics offered after those of the network itself. Signed ones are judged and executed, others are
// carried.
func (m *imitation) build(parent *block, slot uint64, fork int, offered [][]byte) (*block, []outcome, error) {
	number := parent.header.Number + 1
	b := &block{parent: parent, slot: slot, aura: parent.aura, set: parent.set}
	if fork != 0 {
		offered = append(offered[:len(offered):len(offered)], remark(fmt.Sprintf("fork %d", fork)))
	}
	x := m.crowd.execute(parent, number, slot*m.crowd.slotMS, offered)
	b.body, b.notes, b.epochs, b.waiting = x.body, x.notes, x.epochs, x.waiting
	outcomes := x.outcomes

	h := &verify.Header{ParentHash: parent.hash, Number: number, ExtrinsicsRoot: trie.OrderedRoot(b.body)}
	h.Digest = append(h.Digest, verify.DigestItem{
		Type: verify.DigestPreRuntime, Engine: verify.EngineAura, Data: scale.AppendU64(nil, slot),
	})
	if m.change.due(number) {
		// AdminUtils.swap_authorities and schedule_grandpa_change in one block, as on finney in
		// block 8,867,448.
		b.change, b.aura, b.set = true, parent.aura+1, parent.set+1
		next := m.keys.grandpaSet(b.set)
		h.Digest = append(h.Digest,
			verify.DigestItem{Type: verify.DigestConsensus, Engine: verify.EngineAura,
				Data: aura.AppendAuthorities([]byte{1}, m.keys.auraSet(b.aura))},
			verify.DigestItem{Type: verify.DigestConsensus, Engine: verify.EngineGrandpa,
				Data: scale.AppendU32(grandpa.AppendAuthorities([]byte{1}, next.Authorities), 0)},
		)
	}
	// Frontier's post-log: tag 1, the hash of the Ethereum block, no transactions.
	eth := verify.Blake2b256(append([]byte("ethereum block"), parent.hash[:]...))
	h.Digest = append(h.Digest, verify.DigestItem{
		Type: verify.DigestConsensus, Engine: verify.EngineFrontier,
		Data: append(append([]byte{1}, eth[:]...), 0),
	})

	b.state = m.layout.apply(x.state, b, h, x, m.keys)
	h.StateRoot = b.state.Root()
	b.header = h
	return b, outcomes, nil
}
