package control

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/taolight/taolight/gossip"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/tx"
	"github.com/taolight/taolight/storage"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/trie"
)

// A Local answers for a node of this process. Node and Checkpoint are required.
type Local struct {
	Node       *lightclient.Node
	Checkpoint *checkpoint.Checkpoint // what the node started from
	Root       string                 // who brought it, in words
	Store      *storage.Store         // nil: nothing is kept
	DataDir    string
	Version    string
	Demo       bool
	Joined     bool // the node was started for one question
	Talk       func() *gossip.Node
	Governor   Governed                         // nil: nobody looks after its power
	Second     atomic.Pointer[lightclient.Node] // set later: the light node beside this one on a demo network, which has no peer of the chain
	Pool       *tx.Pool                         // nil: no transactions
	// Health says what is amiss, by a status that tells the rest; nil: what node and power say.
	Health func(*Status) []lightclient.Warning
}

// Handle answers one question of a Client.
func (l *Local) Handle(ctx context.Context, method string, params json.RawMessage) (any, error) {
	switch method {
	case methodStatus:
		return l.Status(ctx)
	case methodPeers:
		return l.Peers(ctx)
	case methodHead:
		return l.Head(ctx)
	case methodRead:
		var p readParams
		if err := decodeParams(params, &p); err != nil {
			return nil, err
		}
		keys := make([][]byte, len(p.Keys))
		for i, text := range p.Keys {
			var err error
			if keys[i], err = verify.ParseHex(text); err != nil {
				return nil, Errorf(Usage, "%w: key %d: %w", ErrParams, i, err)
			}
		}
		return l.Read(ctx, keys)
	case methodRoot:
		return &Root{l.Checkpoint, l.Root, l.Demo}, nil
	case methodExport:
		file, err := l.Export(ctx)
		return exportResult{string(file)}, err
	case methodCheck:
		var p checkParams
		if err := decodeParams(params, &p); err != nil {
			return nil, err
		}
		return l.Check(ctx, p.ReadAll)
	case methodCommits:
		return answer(ctx, params, l.Commits)
	case methodWeights:
		return answer(ctx, params, l.Weights)
	case methodProve:
		return answer(ctx, params, l.Prove)
	case methodYuma:
		return answer(ctx, params, l.Yuma)
	case methodMetagraph:
		return answer(ctx, params, l.Metagraph)
	case methodSubnets:
		return answer(ctx, params, l.Subnets)
	case methodAccount:
		return answer(ctx, params, l.Account)
	case methodChain:
		return answer(ctx, params, l.Chain)
	case methodGet:
		return answer(ctx, params, l.Get)
	case methodCall:
		return answer(ctx, params, l.Execute)
	case methodRuntime:
		return answer(ctx, params, l.Runtime)
	case methodAgain:
		return answer(ctx, params, l.Reexecute)
	case methodCode:
		return answer(ctx, params, l.Code)
	case methodGossip:
		return l.Gossip(ctx)
	case methodPublish:
		return answer(ctx, params, l.Publish)
	case methodReach:
		return answer(ctx, params, l.Reach)
	case methodGovernance:
		return answer(ctx, params, l.Governance)
	case methodTxBuild:
		return answer(ctx, params, l.Build)
	case methodTxInspect:
		return answer(ctx, params, l.Inspect)
	case methodTxSubmit:
		return answer(ctx, params, l.Submit)
	case methodTxStatus:
		return answer(ctx, params, l.Transactions)
	case methodPower:
		return l.Power(ctx)
	case methodLoad:
		return answer(ctx, params, l.Load)
	case methodDuty:
		return answer(ctx, params, l.Duty)
	case methodBackup:
		if l.Store == nil {
			return nil, errNoStore
		}
		return backup{l, ctx}, nil
	}
	return nil, Errorf(Usage, "%w %q", ErrMethod, method[:min(len(method), 64)])
}

var errNoStore = errors.New("this node keeps nothing")

func decodeParams(params json.RawMessage, v any) error {
	if err := json.Unmarshal(params, v); err != nil {
		return Errorf(Usage, "%w: %w", ErrParams, err)
	}
	return nil
}

// answer decodes a question and puts it.
func answer[Q, A any](ctx context.Context, params json.RawMessage, f func(context.Context, Q) (*A, error)) (any, error) {
	var q Q
	if err := decodeParams(params, &q); err != nil {
		return nil, err
	}
	a, err := f(ctx, q)
	if err != nil {
		return nil, err
	}
	return a, nil
}

type backup struct {
	l   *Local
	ctx context.Context
}

func (b backup) WriteTo(w io.Writer) (int64, error) { return 0, b.l.Backup(b.ctx, w) }

// Status implements Answerer.
func (l *Local) Status(ctx context.Context) (*Status, error) {
	s, err := l.Node.Status(ctx)
	if err != nil {
		return nil, err
	}
	out := &Status{Status: *s, Joined: l.Joined, Root: l.Root, DataDir: l.DataDir, PID: os.Getpid(), Gossip: l.told(ctx)}
	if l.Store != nil {
		st := l.Store.Stats()
		out.Disk = &Disk{st.FileBytes, st.BytesWritten, st.Syncs, st.Commits, st.Pending, st.BundleBytes, st.BundleLimit}
	}
	if l.Governor != nil {
		m := l.Governor.Measures(ctx)
		out.Measures = m
		// The node alone knows no more than whether the clock is behind the chain.
		out.Clock = lightclient.ClockStatus{Trust: m.ClockTrust, Text: m.ClockWhy}
		if m.Report != nil && l.Health == nil { // which takes them from there
			for _, w := range m.Warnings {
				out.Health = append(out.Health, lightclient.Warning(w))
			}
		}
	}
	if l.Health != nil {
		out.Health = l.Health(out)
	}
	return out, nil
}

// Peers implements Answerer.
func (l *Local) Peers(ctx context.Context) (*Peers, error) {
	open, banned, err := l.Node.Peers(ctx)
	if err != nil {
		return nil, err
	}
	p := &Peers{Schema: Schema, Network: l.Checkpoint.Network, Demo: l.Demo, Joined: l.Joined, Open: open, Banned: banned}
	if p.Open == nil {
		p.Open = []lightclient.PeerStatus{}
	}
	if p.Banned == nil {
		p.Banned = []lightclient.BanStatus{}
	}
	return p, nil
}

// Head implements Answerer.
func (l *Local) Head(ctx context.Context) (*Head, error) {
	// The header and the figures beside it come from two looks at the node; a block that becomes
	// final between them is looked at again.
	for range 5 {
		cp, err := l.Node.Checkpoint(ctx, "")
		if err != nil {
			return nil, l.notFinal(ctx, err)
		}
		s, err := l.Node.Status(ctx)
		if err != nil {
			return nil, err
		}
		if s.Finalized != nil && s.Finalized.Hash == cp.Hash.String() {
			return l.head(cp, s), nil
		}
	}
	return nil, Errorf(Failure, "head moves too fast to look at")
}

func (l *Local) head(cp *checkpoint.Checkpoint, s *lightclient.Status) *Head {
	h := cp.Header
	out := &Head{
		Schema: Schema, Network: s.Network, Demo: l.Demo, Joined: l.Joined,
		Number: h.Number, Hash: cp.Hash.String(), Trust: s.Finalized.Trust,
		ParentHash: h.ParentHash.String(), StateRoot: h.StateRoot.String(), ExtrinsicsRoot: h.ExtrinsicsRoot.String(),
		Age: s.FinalizedAge, SlotAge: s.SlotAge, SetID: s.SetID, Voters: s.Voters, Round: s.Finalized.Round, Signers: s.Finalized.Signers,
		Stale: s.Stale(), State: s.State, Header: hexText(h.Encode()), Best: s.Best, Health: s.Health,
	}
	if slot, err := aura.Slot(h); err == nil {
		t := time.UnixMilli(int64(slot * cp.SlotDuration)).UTC()
		out.Slot, out.Time = slot, &t
	}
	return out
}

// notFinal turns "nothing is proven" into the reason that status knows.
func (l *Local) notFinal(ctx context.Context, err error) error {
	if !errors.Is(err, lightclient.ErrNotFinal) {
		return err
	}
	if s, serr := l.Node.Status(ctx); serr == nil {
		return NotReady(s, err)
	}
	return err
}

// NotReady returns err with the code, the cause and the remedy that a status gives.
func NotReady(s *lightclient.Status, err error) error {
	e := &Error{Code: Stale, Err: err}
	if s.Peers.Open == 0 {
		e.Code = NoPeers
	}
	for _, w := range s.Health {
		if w.Severity == "error" {
			e.Err = fmt.Errorf("%w: %s: %s", err, w.Code, w.Title)
			e.Hint = w.Remedy
			break
		}
	}
	return e
}

// Read implements Answerer. If some keys stay undecided, the answer says why and has no proof.
func (l *Local) Read(ctx context.Context, keys [][]byte) (*Reading, error) {
	return l.read(ctx, nil, keys)
}

func (l *Local) read(ctx context.Context, at *uint32, keys [][]byte) (*Reading, error) {
	var r *lightclient.Reading
	var err error
	if at == nil {
		r, err = l.Node.Read(ctx, keys...)
	} else {
		r, err = l.Node.ReadAt(ctx, *at, keys...)
	}
	if r == nil && errors.Is(err, lightclient.ErrIncomplete) {
		return nil, Errorf(Undecided, "%w", err).WithHint(AskAgain)
	}
	if r == nil {
		return nil, l.whyNot(ctx, err)
	}
	out := &Reading{
		Schema: Schema, Network: l.Checkpoint.Network, Demo: l.Demo, Joined: l.Joined,
		Number: r.Number, Hash: r.Hash.String(), Trust: "finalized", StateRoot: r.Root.String(), Peers: r.Peers,
		Items: make([]Item, len(r.Values)), Keys: make([]string, len(r.Values)), Proof: make([]string, len(r.Proof)),
	}
	if err != nil {
		out.Error = err.Error()
	}
	for i, v := range r.Values {
		out.Keys[i] = hexText(v.Key)
		out.Items[i] = Item{Key: out.Keys[i], Outcome: "incomplete"}
		var value *string
		switch v.Outcome {
		case trie.Present:
			out.Items[i].Outcome, out.Items[i].Value = "present", hexText(v.Value)
			value = &out.Items[i].Value
		case trie.Absent:
			out.Items[i].Outcome = "absent"
		}
		if err == nil {
			out.Values = append(out.Values, value)
		}
	}
	for i, node := range r.Proof {
		out.Proof[i] = hexText(node)
	}
	return out, nil
}

// Export implements Answerer.
func (l *Local) Export(ctx context.Context) ([]byte, error) {
	source := fmt.Sprintf("proven from checkpoint #%d set %d by taolight %s", l.Checkpoint.Number, l.Checkpoint.Set.ID, l.Version)
	// The Aura list is read by proof soon after a warp. A checkpoint without it is one too, and makes
	// its reader do the same.
	deadline := time.Now().Add(auraWait)
	for {
		cp, err := l.Node.Checkpoint(ctx, source)
		if err != nil {
			return nil, l.notFinal(ctx, err)
		}
		if cp.Aura != nil || time.Now().After(deadline) {
			return cp.File()
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(auraPoll):
		}
	}
}

// How long and how often Export looks for the Aura list.
const (
	auraWait = 5 * time.Second
	auraPoll = 100 * time.Millisecond
)

// Check implements Answerer.
func (l *Local) Check(ctx context.Context, readAll bool) (*Report, error) {
	if l.Store == nil {
		return nil, errNoStore
	}
	c := newRecordCheck(l.Checkpoint)
	r, err := l.Store.Check(ctx, readAll, c.verify)
	if err != nil {
		return nil, err
	}
	return l.report(r, c, readAll, true), nil
}

// CheckDir checks a store that no process has open.
func (l *Local) CheckDir(ctx context.Context, readAll bool) (*Report, error) {
	c := newRecordCheck(l.Checkpoint)
	r, err := storage.CheckDir(ctx, l.DataDir, l.Checkpoint.Genesis, readAll, c.verify)
	if err != nil {
		return nil, err
	}
	return l.report(r, c, readAll, false), nil
}

func (l *Local) report(r *storage.Report, c *recordCheck, readAll, running bool) *Report {
	out := &Report{
		Schema: Schema, Network: l.Checkpoint.Network, Demo: l.Demo, Dir: l.DataDir, Running: running, ReadAll: readAll,
		Slots: r.Slots[:], Unclean: r.Unclean && !running, FileBytes: r.FileBytes, Records: r.Records, Problems: []Problem{}, More: r.More,
	}
	if r.HasHead {
		out.Head, out.HeadHash = r.Head.Number, r.Head.Hash.String()
	}
	for _, p := range r.Problems {
		out.Problems = append(out.Problems, Problem{p.Place, p.Err.Error()})
	}
	if readAll {
		if err := c.finish(); err != nil {
			out.Problems = append(out.Problems, Problem{"head", err.Error()})
		}
	}
	out.OK = len(out.Problems) == 0
	return out
}

// Backup implements Answerer.
func (l *Local) Backup(ctx context.Context, w io.Writer) error {
	if l.Store == nil {
		return errNoStore
	}
	return l.Store.Backup(ctxWriter{ctx, w})
}

// ctxWriter ends a copy when nobody waits for it any more.
type ctxWriter struct {
	ctx context.Context
	w   io.Writer
}

func (w ctxWriter) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(b)
}

func hexText(b []byte) string { return "0x" + hex.EncodeToString(b) }
