package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/taolight/taolight/gossip"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/lightclient/tx"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/extrinsic"
)

// The calls that a TxCall knows by a name of their own; TxRaw is any other.
const (
	TxTransfer         = "transfer"
	TxAddStake         = "stake add"
	TxRemoveStake      = "stake remove"
	TxRegister         = "register"
	TxServeAxon        = "serve-axon"
	TxSetWeights       = "set-weights"
	TxCommitWeights    = "commit-weights"
	TxCommitTimelocked = "commit-timelocked"
	TxRevealWeights    = "reveal-weights"
	TxRaw              = "raw"
)

// A TxCall is a call as it is typed. What it is encoded to, the chain's metadata decides.
type TxCall struct {
	Kind    string      `json:"kind"`
	Words   []string    `json:"words,omitempty"` // TxRaw: PALLET.CALL and its arguments, or a call in hex
	Args    string      `json:"args,omitempty"`  // TxRaw: its arguments as JSON, in place of words
	To      string      `json:"to,omitempty"`    // address
	Hotkey  string      `json:"hotkey,omitempty"`
	Netuid  uint16      `json:"netuid,omitempty"`
	Mecid   uint8       `json:"mecid,omitempty"`
	Amount  uint64      `json:"amount,omitempty"` // rao
	Limit   *uint64     `json:"limit,omitempty"`  // rao
	Axon    string      `json:"axon,omitempty"`   // address and port
	Version uint32      `json:"version,omitempty"`
	Weights *tx.Weights `json:"weights,omitempty"`
	Hash    string      `json:"hash,omitempty"`   // TxCommitWeights
	Commit  string      `json:"commit,omitempty"` // TxCommitTimelocked: hex
	Round   uint64      `json:"round,omitempty"`
	Scheme  uint16      `json:"scheme,omitempty"` // TxCommitTimelocked: version of the scheme
}

// encode encodes the call by the metadata of a runtime.
func (c *TxCall) encode(m *metadata.Metadata) ([]byte, error) {
	var bad error
	account := func(text string) verify.AccountID {
		id, err := verify.ParseAccount(text)
		bad = errors.Join(bad, err)
		return id
	}
	b, err := c.compose(m, account)
	if bad != nil {
		return nil, bad
	}
	return b, err
}

func (c *TxCall) compose(m *metadata.Metadata, account func(string) verify.AccountID) ([]byte, error) {
	switch c.Kind {
	case TxTransfer:
		return tx.Transfer(m, account(c.To), c.Amount)
	case TxAddStake:
		return tx.AddStake(m, account(c.Hotkey), c.Netuid, c.Amount)
	case TxRemoveStake:
		return tx.RemoveStake(m, account(c.Hotkey), c.Netuid, c.Amount)
	case TxRegister:
		return tx.Register(m, c.Netuid, account(c.Hotkey), c.Limit)
	case TxServeAxon:
		at, err := netip.ParseAddrPort(c.Axon)
		if err != nil {
			return nil, fmt.Errorf("%w: %q is no ADDRESS:PORT", metadata.ErrInput, clip(c.Axon))
		}
		return tx.ServeAxon(m, c.Netuid, at, c.Version)
	case TxCommitWeights:
		h, err := verify.ParseHash(c.Hash)
		if err != nil {
			return nil, err
		}
		return tx.CommitWeights(m, c.Netuid, c.Mecid, h)
	case TxCommitTimelocked:
		b, err := verify.ParseHex(c.Commit)
		if err != nil {
			return nil, err
		}
		return tx.CommitTimelocked(m, c.Netuid, c.Mecid, b, c.Round, c.Scheme)
	case TxRaw:
		return tx.Raw(m, c.Words, []byte(c.Args))
	case TxSetWeights, TxRevealWeights:
		if c.Weights == nil {
			return nil, fmt.Errorf("%w: no weights", metadata.ErrInput)
		}
		if c.Kind == TxSetWeights {
			return tx.SetWeights(m, c.Weights)
		}
		return tx.RevealWeights(m, c.Weights)
	}
	return nil, fmt.Errorf("%w: call %q", metadata.ErrUnknown, clip(c.Kind))
}

// A BuildQuestion asks for the payload of a call.
type BuildQuestion struct {
	Call         TxCall  `json:"call"`
	From         string  `json:"from"`
	Nonce        *uint32 `json:"nonce,omitempty"`  // nil: the account's next
	Period       uint64  `json:"period,omitempty"` // blocks; 0: the usual
	Immortal     bool    `json:"immortal,omitempty"`
	Tip          uint64  `json:"tip,omitempty"`
	MetadataHash bool    `json:"metadata_hash,omitempty"`
}

// Built is a payload with what is proven around it; what `tx … --dry-run --json` prints.
type Built struct {
	Schema  int               `json:"schema"`
	Network string            `json:"network"`
	Demo    bool              `json:"demo"`
	Joined  bool              `json:"joined_for_this_question"`
	Number  uint32            `json:"number"`
	Hash    string            `json:"hash"`
	Trust   string            `json:"trust"` // "finalized"
	Spec    uint32            `json:"spec_version"`
	Name    string            `json:"call"`
	Decoded json.RawMessage   `json:"decoded"`
	Text    string            `json:"text"`
	Free    uint64            `json:"free_rao"` // of the signer
	Fee     *tx.Fee           `json:"fee"`      // null if the runtime does not say
	Payload *tx.File          `json:"payload"`
	Signer  *tx.SignerPayload `json:"signer_payload"` // the same for polkadot.js
}

// An InspectQuestion asks what a payload of somebody else's would do, and whether it is for this chain.
type InspectQuestion struct {
	Payload json.RawMessage `json:"payload"` // as tx.Parse reads it
}

// A SubmitQuestion sends a transaction: one that is ready, or a payload with its signature.
type SubmitQuestion struct {
	Extrinsic string          `json:"extrinsic,omitempty"` // hex
	Payload   json.RawMessage `json:"payload,omitempty"`
	Signature string          `json:"signature,omitempty"` // hex; else that in the payload
	Twice     bool            `json:"twice,omitempty"`     // also if the same call is under way
}

// A TxQuestion asks what became of a transaction, or of all that are known.
type TxQuestion struct {
	Hash string `json:"hash,omitempty"`
	Step int    `json:"step,omitempty"` // waits a while for more than was known then
}

// Transactions is what `tx status --json` prints.
type Transactions struct {
	Schema  int          `json:"schema"`
	Network string       `json:"network"`
	Demo    bool         `json:"demo"`
	Joined  bool         `json:"joined_for_this_question"`
	List    []tx.Tracked `json:"transactions"`
	// Neighbours is to how many light nodes the transaction was handed, where there is no peer of the chain.
	Neighbours *int `json:"handed_to_light_nodes,omitempty"`
}

// txWait is how long a TxQuestion with a Step waits.
const txWait = 20 * time.Second

var (
	errNoPool   = errors.New("this node sends no transactions")
	errNoFields = errors.New("a ready extrinsic does not say what its signature covers beside it")
)

// Build implements Answerer.
func (l *Local) Build(ctx context.Context, q BuildQuestion) (*Built, error) {
	if l.Pool == nil {
		return nil, errNoPool
	}
	from, err := verify.ParseAccount(q.From)
	if err != nil {
		return nil, Errorf(Usage, "%w", err)
	}
	d := tx.Draft{From: from, Nonce: q.Nonce, Period: q.Period, Immortal: q.Immortal, Tip: q.Tip, MetadataHash: q.MetadataHash}
	p, err := l.Pool.Prepare(ctx, d, q.Call.encode)
	if err != nil {
		return nil, l.txError(ctx, err)
	}
	return l.built(p), nil
}

func (l *Local) built(p *tx.Prepared) *Built {
	text := string(p.Call.AppendText(nil))
	return &Built{
		Schema: Schema, Network: l.Checkpoint.Network, Demo: l.Demo, Joined: l.Joined, Number: p.Terms.Number, Hash: p.Terms.Hash.String(), Trust: "finalized",
		Spec: p.Terms.SpecVersion, Name: p.Call.String(), Decoded: p.Call.AppendJSON(nil), Text: text, Free: p.Account.Free, Fee: p.Fee,
		Payload: p.Payload.File(l.Checkpoint.Network, text, nil), Signer: p.Payload.SignerPayload(),
	}
}

// Inspect implements Answerer.
func (l *Local) Inspect(ctx context.Context, q InspectQuestion) (*Built, error) {
	if l.Pool == nil {
		return nil, errNoPool
	}
	if err := l.Node.MaySign(); err != nil {
		return nil, l.txError(ctx, err)
	}
	payload, _, err := tx.Parse(q.Payload)
	if err != nil {
		return nil, l.txError(ctx, err)
	}
	p, err := l.Pool.Inspect(ctx, payload)
	if err != nil {
		return nil, l.txError(ctx, err)
	}
	return l.built(p), nil
}

// Submit implements Answerer.
func (l *Local) Submit(ctx context.Context, q SubmitQuestion) (*Transactions, error) {
	if l.Pool == nil {
		return nil, errNoPool
	}
	if n, err := l.talk(); err == nil && !l.Joined && !l.Node.Linked() {
		return l.handOver(ctx, n, q)
	}
	ready, err := verify.ParseHex(q.Extrinsic)
	if err != nil {
		return nil, Errorf(Usage, "extrinsic: %w", err)
	}
	if len(q.Payload) > 0 {
		if ready, err = l.signed(ctx, q); err != nil {
			return nil, l.txError(ctx, err)
		}
	}
	t, err := l.Pool.Submit(ctx, ready, q.Twice)
	if err != nil {
		return nil, l.txError(ctx, err)
	}
	return l.transactions(t), nil
}

// handOver gives a transaction to other light nodes, for there is no peer of the chain.
func (l *Local) handOver(ctx context.Context, n *gossip.Node, q SubmitQuestion) (*Transactions, error) {
	if len(q.Payload) == 0 {
		return nil, Errorf(NoPeers, "no peer of the chain, and %w", errNoFields).WithHint("give the payload with its signature")
	}
	signature, err := verify.ParseHex(q.Signature)
	if err != nil {
		return nil, Errorf(Usage, "signature: %w", err)
	}
	if q.Signature == "" {
		signature = nil
	}
	p, err := tx.Pack(q.Payload, signature)
	if err != nil {
		return nil, l.txError(ctx, err)
	}
	if p.Genesis != l.Checkpoint.Genesis {
		return nil, l.txError(ctx, fmt.Errorf("%w: its genesis is %v, that of this network %v", tx.ErrOther, p.Genesis, l.Checkpoint.Genesis))
	}
	at, err := l.Node.Finalized(ctx)
	if err != nil {
		return nil, l.whyNot(ctx, err)
	}
	if known, err := l.Pool.Status(p.Hash()); err == nil {
		return l.transactions(known), nil
	}
	r, err := n.Import(ctx, p.Append(nil))
	if err == nil && !r.News && !errors.Is(r.Reason, gossip.ErrKnown) {
		err = r.Reason
	}
	if err != nil {
		return nil, l.txError(ctx, err)
	}
	var says struct {
		Says string `json:"call_text"`
	}
	_ = json.Unmarshal(q.Payload, &says) // for people
	t, err := l.Pool.Await(p, at.Header.Number, says.Says)
	if err != nil {
		return nil, l.txError(ctx, err)
	}
	out := l.transactions(t)
	neighbours := n.Stats().Neighbours
	out.Neighbours = &neighbours
	return out, nil
}

// signed puts a payload and its signature together.
func (l *Local) signed(ctx context.Context, q SubmitQuestion) ([]byte, error) {
	payload, signature, err := tx.Parse(q.Payload)
	if err != nil {
		return nil, err
	}
	if q.Signature != "" {
		if signature, err = verify.ParseHex(q.Signature); err != nil {
			return nil, fmt.Errorf("%w: signature: %w", tx.ErrPayload, err)
		}
	}
	if signature == nil {
		return nil, fmt.Errorf("%w: no signature is given, and none is in the payload", tx.ErrPayload)
	}
	if _, err := l.Pool.Inspect(ctx, payload); err != nil {
		return nil, err
	}
	s, err := tx.ParseSignature(signature, payload.From, payload.Bytes())
	if err != nil {
		return nil, err
	}
	return payload.Extrinsic(s), nil
}

// Transactions implements Answerer.
func (l *Local) Transactions(ctx context.Context, q TxQuestion) (*Transactions, error) {
	if l.Pool == nil {
		return nil, errNoPool
	}
	if q.Hash == "" {
		return l.transactions(l.Pool.List()...), nil
	}
	hash, err := verify.ParseHash(q.Hash)
	if err != nil {
		return nil, Errorf(Usage, "%w", err)
	}
	wctx, cancel := context.WithTimeout(ctx, txWait)
	defer cancel()
	t, err := l.Pool.Wait(wctx, hash, q.Step)
	if err != nil && (ctx.Err() != nil || wctx.Err() == nil) {
		return nil, l.txError(ctx, err)
	}
	return l.transactions(t), nil
}

func (l *Local) transactions(list ...tx.Tracked) *Transactions {
	if list == nil {
		list = []tx.Tracked{}
	}
	return &Transactions{Schema: Schema, Network: l.Checkpoint.Network, Demo: l.Demo, Joined: l.Joined, List: list}
}

// txError gives an error about a transaction its code and a hint.
func (l *Local) txError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, metadata.ErrInput), errors.Is(err, metadata.ErrUnknown), errors.Is(err, tx.ErrPayload), errors.Is(err, tx.ErrCall), errors.Is(err, verify.ErrAddress),
		errors.Is(err, verify.ErrHex):
		return Errorf(Usage, "%w", err)
	case errors.Is(err, extrinsic.ErrImmortal), errors.Is(err, extrinsic.ErrLayout):
		return Errorf(Usage, "other light nodes do not take it: %w", err)
	case errors.Is(err, tx.ErrLapsed), errors.Is(err, gossip.ErrStale):
		return Errorf(Stale, "%w", err).WithHint("build it anew: what was signed can be in no block any more")
	case errors.Is(err, lightclient.ErrNotYet):
		return Errorf(Stale, "%w", err).WithHint("whoever made it has seen a newer block: try again in a moment")
	case errors.Is(err, tx.ErrSignature):
		return Errorf(Unproven, "%w", err).WithHint("it may be made for another network or another runtime, or signed with another key")
	case errors.Is(err, tx.ErrOther):
		return Errorf(Unproven, "%w", err).WithHint("build it anew on this network")
	case errors.Is(err, lightclient.ErrConflict):
		return Errorf(Unproven, "nothing is signed or sent: %w", err).WithHint("taolight status shows the evidence")
	case errors.Is(err, lightclient.ErrClock):
		return Errorf(Stale, "nothing is signed: %w", err).WithHint("set the clock")
	case errors.Is(err, tx.ErrBusy):
		return Errorf(Failure, "%w", err).WithHint("taolight tx status shows what is under way; --again sends it all the same, as another transaction")
	case errors.Is(err, lightclient.ErrNoRuntime), errors.Is(err, lightclient.ErrNoEngine):
		return Errorf(Undecided, "%w", err).WithHint("transactions are made by what the chain's own runtime says of itself")
	}
	return l.whyNot(ctx, err)
}

// Build asks the other process.
func (c *Client) Build(ctx context.Context, q BuildQuestion) (*Built, error) {
	return call[Built](ctx, c, methodTxBuild, q)
}

// Inspect asks the other process.
func (c *Client) Inspect(ctx context.Context, q InspectQuestion) (*Built, error) {
	return call[Built](ctx, c, methodTxInspect, q)
}

// Submit asks the other process.
func (c *Client) Submit(ctx context.Context, q SubmitQuestion) (*Transactions, error) {
	return call[Transactions](ctx, c, methodTxSubmit, q)
}

// Transactions asks the other process.
func (c *Client) Transactions(ctx context.Context, q TxQuestion) (*Transactions, error) {
	return call[Transactions](ctx, c, methodTxStatus, q)
}
