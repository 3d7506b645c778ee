package demonet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/grandpa"
)

// Name is the name of the network.
const Name = "demo"

// Defaults of Config.
const (
	DefaultBlockTime   = 2 * time.Second
	DefaultPeers       = 3
	DefaultAuthorities = 4
	DefaultHistory     = 30
	// Changes of the authority sets are rare on real networks. This is as often as no client that
	// asks for 64 blocks at a time sees two in one answer.
	DefaultSetChanges     = 70
	DefaultFirstSetChange = 20
	DefaultTempo          = 20
)

// Config says what network to make. The zero value is a good one.
type Config struct {
	// Seed is what all keys are derived from, and part of the genesis block. "" is "demo".
	Seed string
	// Start is when the network starts; it dates the genesis block. Zero: Clock().
	Start time.Time
	// BlockTime is the time between blocks, and the slot duration unless ChainSpec is set.
	BlockTime time.Duration
	// Peers is the number of full peers. Odd ones listen on WebSocket; a single one on both.
	Peers int
	// Authorities is the size of both authority sets.
	Authorities int
	// History is the number of blocks that are there at the start. Negative: none.
	History int
	// SetChangeEvery is the number of blocks between changes of the authority sets. 0: one in block
	// 20 and then every 70 blocks, or none with ChainSpec; negative: never.
	SetChangeEvery int
	// FirstSetChange is the block of the first change. 0: SetChangeEvery, if that is given.
	FirstSetChange int
	// ChainSpec is a chain spec with a runtime, which then makes the chain: see doc.go. Slots last as long
	// as the runtime says, whatever BlockTime is, and start back in time so that none is in the future.
	ChainSpec []byte
	// Executor says how that runtime is executed.
	Executor runtime.Config
	// Compile has it compiled first, where there is a compiler: a second or two and a hundred megabytes at
	// the start, and calls that take a fraction of the time from then on. Else it is interpreted, unless the
	// cache has it. Blocks with little in them gain little: they are mostly instances being made.
	Compile bool
	// Archive makes the last peer keep all states, not only those of the last 256 blocks.
	Archive bool
	// FinalityLag is how many blocks finality stays behind the best. 0 means 1; negative: none.
	FinalityLag int
	// Slack is the number of slots between the history's end and Start, to be filled by Step
	// without waiting. 0 means 256, or two years of slots of 12 s with ChainSpec.
	Slack int
	// Tempo is the number of blocks of an epoch of every subnet but the root, at least 18. 0: 20.
	Tempo int
	// Spec is the version that the runtime has by System.LastRuntimeUpgrade, and whose rules of
	// commits and epochs the chain follows, those of the newest known for one above it. 0: the
	// newest known.
	Spec uint32
	// Quiet leaves the validators without a commit and the chain without pulses of the beacon but
	// one, emission and what an epoch computes, which makes blocks ten times as fast. Epochs go by all
	// the same.
	Quiet bool
	// CommitFaults are what is wrong with the commits of one validator of each subnet, one after
	// the other, an epoch each, as far as they are of the subnet's kind. Nil: nothing.
	CommitFaults []CommitFault
	// EpochFaults are what is wrong with the epochs of each subnet but the root, one after the other.
	// Nil: nothing. Not with Quiet.
	EpochFaults []EpochFault
	// EmissionFault is what is wrong with the emission of each block. Not with Quiet.
	EmissionFault EmissionFault
	// Faults are what is wrong with which peers at the start.
	Faults []Fault
	// Clock tells the time. Nil: time.Now.
	Clock func() time.Time
	// Log gets one line for each change of state. Nil: none.
	Log *slog.Logger
}

func (cfg Config) withDefaults() (Config, error) {
	if cfg.Seed == "" {
		cfg.Seed = Name
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Start.IsZero() {
		cfg.Start = cfg.Clock()
	}
	if cfg.BlockTime == 0 {
		cfg.BlockTime = DefaultBlockTime
	}
	if cfg.Peers == 0 {
		cfg.Peers = DefaultPeers
	}
	if cfg.Authorities == 0 {
		cfg.Authorities = DefaultAuthorities
	}
	orDefault := func(v *int, zero int) {
		if *v == 0 {
			*v = zero
		} else if *v < 0 {
			*v = 0
		}
	}
	orDefault(&cfg.History, DefaultHistory)
	if cfg.SetChangeEvery == 0 && cfg.ChainSpec != nil {
		cfg.SetChangeEvery = -1
	} else if cfg.SetChangeEvery == 0 {
		cfg.SetChangeEvery = DefaultSetChanges
		orDefault(&cfg.FirstSetChange, DefaultFirstSetChange)
	}
	orDefault(&cfg.SetChangeEvery, 0)
	orDefault(&cfg.FirstSetChange, cfg.SetChangeEvery)
	orDefault(&cfg.FinalityLag, 1)
	if cfg.ChainSpec != nil {
		orDefault(&cfg.Slack, runtimeSlack)
	} else {
		orDefault(&cfg.Slack, plainSlack)
	}
	if cfg.ChainSpec != nil && (cfg.Spec != 0 || cfg.Tempo != 0 || len(cfg.CommitFaults)+len(cfg.EpochFaults) > 0 || cfg.EmissionFault != NoEmissionFault) {
		return cfg, errors.New("demo network: spec version, tempo, commit, epoch and emission faults are of the chain without a runtime; a runtime has its own")
	}
	if cfg.Tempo == 0 {
		cfg.Tempo = DefaultTempo
	}
	if cfg.Spec == 0 {
		cfg.Spec = specNewest
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case cfg.Peers < 0 || cfg.Peers > 64:
		return cfg, fmt.Errorf("demo network: %d peers, want 1 to 64", cfg.Peers)
	case cfg.Authorities < 1 || cfg.Authorities > 32:
		return cfg, fmt.Errorf("demo network: %d authorities, want 1 to 32 as the runtime allows", cfg.Authorities)
	case cfg.BlockTime < time.Millisecond || cfg.BlockTime%time.Millisecond != 0:
		return cfg, fmt.Errorf("demo network: block time %v, want whole milliseconds", cfg.BlockTime)
	case cfg.SetChangeEvery > 1<<30 || cfg.FirstSetChange > 1<<30:
		return cfg, fmt.Errorf("demo network: set changes from block %d every %d, at most 2^30", cfg.FirstSetChange, cfg.SetChangeEvery)
	case cfg.SetChangeEvery != 0 && cfg.FirstSetChange < 1:
		return cfg, fmt.Errorf("demo network: first set change in block %d, want 1 or later", cfg.FirstSetChange)
	case cfg.History > 1_000_000:
		return cfg, fmt.Errorf("demo network: history of %d blocks, at most a million", cfg.History)
	case cfg.Tempo < minTempo || cfg.Tempo > maxTempo:
		return cfg, fmt.Errorf("demo network: tempo of %d blocks, want %d to %d", cfg.Tempo, minTempo, maxTempo)
	case cfg.Spec < specTimelocked && !cfg.Quiet:
		return cfg, fmt.Errorf("demo network: no rules of commits for spec %d, want %d or later", cfg.Spec, specTimelocked)
	}
	for _, f := range cfg.CommitFaults {
		if f <= NoCommitFault || int(f) >= len(commitFaults) {
			return cfg, fmt.Errorf("demo network: there is no %v", f)
		}
	}
	for _, f := range cfg.EpochFaults {
		if f < NoEpochFault || int(f) >= len(epochFaults) {
			return cfg, fmt.Errorf("demo network: there is no %v", f)
		}
	}
	if f := cfg.EmissionFault; f < NoEmissionFault || int(f) >= len(emissionFaults) {
		return cfg, fmt.Errorf("demo network: there is no %v", f)
	}
	if cfg.Quiet && cfg.EmissionFault != NoEmissionFault {
		return cfg, errors.New("demo network: a quiet one emits nothing that could be wrong")
	}
	if cfg.Quiet && len(cfg.EpochFaults) > 0 {
		return cfg, errors.New("demo network: a quiet one computes no epochs that could be wrong")
	}
	for _, f := range cfg.Faults {
		if f.Peer < 0 || f.Peer >= cfg.Peers {
			return cfg, fmt.Errorf("demo network: fault %s for peer %d of %d", f.Kind, f.Peer, cfg.Peers)
		}
	}
	return cfg, nil
}

func (cfg *Config) schedule() schedule {
	return schedule{uint32(cfg.FirstSetChange), uint32(cfg.SetChangeEvery)}
}

// A Network is a chain and the full peers that serve it. Its methods are safe for concurrent use.
type Network struct {
	cfg   Config
	keys  *keyring
	names wire.Protocols
	peers []*Peer

	making sync.Mutex   // held by whoever makes blocks, before mu: only that one changes the chain, but for its pool
	mu     sync.RWMutex // guards chain
	chain  *chain
}

// New makes the chain with its history and starts the peers. Stop ends them.
func New(cfg Config) (*Network, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	n := &Network{cfg: cfg, keys: newKeyring(cfg.Seed, cfg.Authorities)}
	if n.chain, err = newChain(n.keys, cfg.Clock, cfg); err != nil {
		return nil, fmt.Errorf("demo network: %w", err)
	}
	n.names = wire.Names(n.Genesis())
	for i := range cfg.Peers {
		p := newPeer(n, i)
		for _, f := range cfg.Faults {
			if f.Peer == i {
				p.fault = f
			}
		}
		n.peers = append(n.peers, p)
	}
	if err := n.StartAll(); err != nil {
		n.Stop()
		return nil, err
	}
	return n, nil
}

// Stop stops all peers. The chain stays and may be read.
func (n *Network) Stop() { n.StopAll() }

// StopAll stops all peers: their sockets close.
func (n *Network) StopAll() {
	for _, p := range n.peers {
		p.Stop()
	}
}

// StartAll starts all stopped peers, on the addresses that they had before.
func (n *Network) StartAll() error {
	for _, p := range n.peers {
		if err := p.Start(); err != nil {
			return fmt.Errorf("demo network: peer %d: %w", p.index, err)
		}
	}
	return nil
}

// Peers returns the full peers.
func (n *Network) Peers() []*Peer { return n.peers }

// Bootnodes returns the addresses of all running peers, each with its /p2p part.
func (n *Network) Bootnodes() []multiaddr.Multiaddr {
	var out []multiaddr.Multiaddr
	for _, p := range n.peers {
		out = append(out, p.Addrs()...)
	}
	return out
}

// Run makes a block every BlockTime until ctx ends, and then stops the peers.
func (n *Network) Run(ctx context.Context) error {
	defer n.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		if _, err := n.produce(true); err != nil && !errors.Is(err, ErrNoSlot) {
			return err
		}
		now := time.Now()
		timer.Reset(now.Truncate(n.cfg.BlockTime).Add(n.cfg.BlockTime).Sub(now))
	}
}

// Step makes one block in the slot after the best one's, runs finality as far as it goes, and hands
// both to the peers' clients. ErrNoSlot: that slot has not begun.
func (n *Network) Step() (*verify.Header, error) { return n.produce(false) }

// Steps makes count blocks.
func (n *Network) Steps(count int) error {
	for range count {
		if _, err := n.Step(); err != nil {
			return err
		}
	}
	return nil
}

func (n *Network) produce(live bool) (*verify.Header, error) {
	n.making.Lock()
	defer n.making.Unlock()
	m, err := n.next(live)
	if err != nil {
		return nil, fmt.Errorf("demo network: %w", err)
	}
	n.mu.Lock()
	votes := n.chain.take(m)
	n.mu.Unlock()
	n.publish([]*block{m.block}, votes)
	return m.block.header, nil
}

// next makes a block without keeping anybody from reading the chain, or from submitting to it.
func (n *Network) next(live bool) (made, error) {
	n.mu.RLock()
	p, err := n.chain.plan(live)
	n.mu.RUnlock()
	if err != nil {
		return made{}, err
	}
	return n.chain.make(p)
}

// publish tells every peer's clients of new blocks and finality.
func (n *Network) publish(blocks []*block, votes []vote) {
	for _, b := range blocks {
		for _, p := range n.peers {
			p.announce(b)
		}
	}
	for _, v := range votes {
		n.cfg.Log.Debug("finalized", "number", v.block.header.Number, "hash", v.block.hash.Short(), "set", v.block.finalizer())
		for _, p := range n.peers {
			p.finalized(v)
		}
	}
}

// Fork makes a branch of length blocks on the block back blocks below the best and announces it. A
// branch longer than back becomes the best chain. The branch cannot leave below the finalized
// block, so forks deeper than one need a FinalityLag.
func (n *Network) Fork(back, length int) ([]*verify.Header, error) {
	n.making.Lock()
	defer n.making.Unlock()
	branch, err := n.chain.fork(back, length)
	if err != nil {
		return nil, fmt.Errorf("demo network: %w", err)
	}
	n.mu.Lock()
	n.chain.insert(branch...)
	votes := n.chain.finalize()
	n.mu.Unlock()
	n.publish(branch, votes)
	headers := make([]*verify.Header, len(branch))
	for i, b := range branch {
		headers[i] = b.header
	}
	return headers, nil
}

// SetFinalityLag changes how many blocks finality stays behind; negative stops it.
func (n *Network) SetFinalityLag(blocks int) {
	n.mu.Lock()
	n.chain.lag = blocks
	n.mu.Unlock()
}

// Conflict makes the authorities finalize a second block beside the newest final one, in the same
// round, and sends its announce and commit to every client, wanted or not. a is the finality of the
// chain, b the other.
func (n *Network) Conflict() (set grandpa.AuthoritySet, a, b grandpa.Proof, err error) {
	n.making.Lock()
	defer n.making.Unlock()
	va, vb, err := n.chain.conflict()
	if err != nil {
		return set, a, b, fmt.Errorf("demo network: %w", err)
	}
	n.mu.Lock()
	n.chain.insert(vb.block)
	n.mu.Unlock()
	for _, p := range n.peers {
		p.announce(vb.block)
		p.forceCommit(n.keys.commit(vb))
	}
	a = grandpa.Proof{Header: va.block.header, Justification: n.keys.justify(va)}
	b = grandpa.Proof{Header: vb.block.header, Justification: n.keys.justify(vb)}
	return n.keys.grandpaSet(va.block.finalizer()), a, b, nil
}

// Genesis returns the hash of block 0.
func (n *Network) Genesis() verify.Hash {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.chain.canon[0].hash
}

// SlotDuration returns the length of a slot in milliseconds.
func (n *Network) SlotDuration() uint64 { return n.chain.slotMS }

// Checkpoint returns the trust root: the genesis block and its authorities.
func (n *Network) Checkpoint() *checkpoint.Checkpoint {
	n.mu.RLock()
	defer n.mu.RUnlock()
	g := n.chain.canon[0]
	return &checkpoint.Checkpoint{
		Network: Name, Genesis: g.hash, Number: 0, Hash: g.hash, Header: g.header,
		Set: n.keys.grandpaSet(0), Aura: n.keys.auraSet(0), SlotDuration: n.chain.slotMS,
		Drand: new(n.Beacon()),
	}
}

// Beacon returns the drand network whose pulses are on the chain.
func (n *Network) Beacon() drand.Beacon { return n.chain.producer.drand() }

// Best returns the best header.
func (n *Network) Best() *verify.Header {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.chain.best().header
}

// Finalized returns the newest finalized header and the set that finalizes its children.
func (n *Network) Finalized() grandpa.Finalized {
	n.mu.RLock()
	defer n.mu.RUnlock()
	f := n.chain.final
	return grandpa.Finalized{Header: f.header, Hash: f.hash, Set: n.keys.grandpaSet(f.set)}
}

// Header returns the canonical header of a number, nil above the best.
func (n *Network) Header(number uint32) *verify.Header {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if b := n.chain.at(number); b != nil {
		return b.header
	}
	return nil
}

// Body returns the extrinsics of a block, nil if there is no such block.
func (n *Network) Body(hash verify.Hash) [][]byte {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if b := n.chain.blocks[hash]; b != nil {
		return b.body
	}
	return nil
}

// Storage returns a value in the state of a block. ErrPruned: there is no such state any more.
func (n *Network) Storage(hash verify.Hash, key []byte) (value []byte, ok bool, err error) {
	b, err := n.at(hash)
	if err != nil {
		return nil, false, err
	}
	value, ok = b.state.Get(key)
	return value, ok, nil
}

// at returns a block as it stands now, with its state.
func (n *Network) at(hash verify.Hash) (*block, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	b := n.chain.blocks[hash]
	if b == nil || b.state == nil {
		return nil, fmt.Errorf("demo network: %s: %w", hash.Short(), ErrPruned)
	}
	now := *b
	return &now, nil
}

// StorageKeys returns the keys with a prefix in the state of a block, in ascending order.
func (n *Network) StorageKeys(hash verify.Hash, prefix []byte) ([][]byte, error) {
	b, err := n.at(hash)
	if err != nil {
		return nil, err
	}
	return b.state.Keys(prefix, nil, 0), nil
}

// Justification returns a justification of a finalized canonical block that a round ended on.
func (n *Network) Justification(number uint32) (*grandpa.Justification, error) {
	n.mu.RLock()
	v, ok := n.chain.voteOn(number)
	n.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("demo network: block %d: %w", number, ErrNoFinality)
	}
	return n.keys.justify(v), nil
}
