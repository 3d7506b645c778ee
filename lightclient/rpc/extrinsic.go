package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/taolight/taolight/lightclient/tx"
	"github.com/taolight/taolight/verify"
)

// A Pool sends extrinsics and follows what becomes of them: a tx.Pool.
type Pool interface {
	Submit(ctx context.Context, extrinsic []byte, twice bool) (tx.Tracked, error)
	Wait(ctx context.Context, hash verify.Hash, step int) (tx.Tracked, error)
	List() []tx.Tracked
}

// Codes of author_* (client/rpc-api, author/error.rs).
const (
	codeVerification = 1002
	codeInvalidTx    = 1010
	codeUnknownTx    = 1011
	codePriority     = 1014
	codeDropped      = 1016
)

// refusals are the words that Substrate has for why a transaction is invalid (sp_runtime, transaction_validity.rs),
// by the names that package tx has for them. Clients show them, and some match on them.
var refusals = map[string]string{
	"Call":                "Transaction call is not expected",
	"Payment":             "Inability to pay some fees (e.g. account balance too low)",
	"Future":              "Transaction will be valid in the future",
	"Stale":               "Transaction is outdated",
	"BadProof":            "Transaction has a bad signature",
	"AncientBirthBlock":   "Transaction has an ancient birth block",
	"ExhaustsResources":   "Transaction would exhaust the block limits",
	"BadMandatory":        "A call was labelled as mandatory, but resulted in an Error.",
	"MandatoryValidation": "Transaction dispatch is mandatory; transactions must not be validated.",
	"BadSigner":           "Invalid signing address",
	"CannotLookup":        "Could not lookup information required to validate the transaction",
	"NoUnsignedValidator": "Could not find an unsigned validator for the unsigned transaction",
}

// customKind is the index of Custom in both InvalidTransaction and, less one known kind, UnknownTransaction.
const customInvalid, customUnknown = 7, 2

// refused gives what a pool says the form in which Substrate says it.
func refused(err error) error {
	var r *tx.Refusal
	switch {
	case errors.As(err, &r) && r.Unknown:
		return &Error{Code: codeUnknownTx, Message: "Unknown Transaction Validity", Data: words(r, customUnknown)}
	case errors.As(err, &r):
		return &Error{Code: codeInvalidTx, Message: "Invalid Transaction", Data: words(r, customInvalid)}
	case errors.Is(err, tx.ErrSignature):
		return &Error{Code: codeInvalidTx, Message: "Invalid Transaction", Data: refusals["BadProof"]}
	case errors.Is(err, tx.ErrLapsed):
		return &Error{Code: codeInvalidTx, Message: "Invalid Transaction", Data: refusals["Stale"]}
	case errors.Is(err, tx.ErrPayload):
		return &Error{Code: codeVerification, Message: "Verification Error: " + err.Error()}
	case errors.Is(err, tx.ErrAhead):
		return &Error{Code: codeInvalidTx, Message: "Invalid Transaction", Data: refusals["Future"]}
	case errors.Is(err, tx.ErrBusy):
		return &Error{Code: codePriority, Message: "Priority is too low", Data: err.Error()}
	case errors.Is(err, tx.ErrFull):
		return &Error{Code: codeDropped, Message: "Immediately Dropped", Data: err.Error()}
	}
	return err
}

func words(r *tx.Refusal, custom uint8) string {
	if r.Kind == custom {
		return fmt.Sprintf("Custom error: %d", r.Custom)
	}
	if s, ok := refusals[r.Name()]; ok {
		return s
	}
	return r.Error()
}

// send hands an extrinsic to the pool, which judges it by the chain's own code before anybody hears of it. One that
// does the same as another is the client's to want.
func (c *call) send() (tx.Tracked, error) {
	x, err := c.bytes(0, "extrinsic")
	if err != nil {
		return tx.Tracked{}, err
	}
	if len(x) == 0 || len(x) > tx.MaxExtrinsic {
		return tx.Tracked{}, &Error{Code: 1001, Message: fmt.Sprintf("Extrinsic has invalid format: %d bytes", len(x))}
	}
	if _, err := c.heads(); err != nil {
		return tx.Tracked{}, err
	}
	t, err := c.s.cfg.Pool.Submit(c.ctx, x, true)
	if err != nil {
		err = refused(err)
	}
	return t, err
}

func (c *call) submit() (any, error) {
	t, err := c.send()
	return t.Hash, err
}

// pending is what was sent from here. What others have sent cannot be told.
func (c *call) pending() (any, error) {
	list := []string{}
	for _, t := range c.s.cfg.Pool.List() {
		if !t.Done() {
			list = append(list, t.Extrinsic)
		}
	}
	return list, nil
}

// A step is something that has become of an extrinsic.
type step uint8

const (
	ready step = iota
	broadcast
	inBlock
	finalized
	replaced // its nonce is another's
	lapsed   // it can be in no block any more
)

// older is how author_extrinsicUpdate tells it.
func (s step) older(t *tx.Tracked) any {
	switch s {
	case ready:
		return "ready"
	case broadcast:
		return map[string]any{"broadcast": []string{}} // whom it went to is nobody's business
	case inBlock:
		return map[string]any{"inBlock": t.BlockHash}
	case finalized:
		return map[string]any{"finalized": t.BlockHash}
	case replaced:
		return "invalid"
	}
	return "dropped"
}

// newer is how transactionWatch_v1_watchEvent tells it; nil: not at all.
func (s step) newer(t *tx.Tracked) any {
	block := map[string]any{"hash": t.BlockHash, "index": t.Index}
	switch s {
	case ready:
		return event{"event": "validated"}
	case broadcast:
		return nil
	case inBlock:
		return event{"event": "bestChainBlockIncluded", "block": block}
	case finalized:
		return event{"event": "finalized", "block": block}
	case replaced:
		return event{"event": "invalid", "error": t.Line()}
	}
	return event{"event": "dropped", "error": t.Line()}
}

// submitAndWatch tells of an extrinsic in the older words.
func (c *call) submitAndWatch() (any, error) { return c.watch("author_extrinsicUpdate", step.older) }

// watchTransaction tells of one in the words of transactionWatch_v1.
func (c *call) watchTransaction() (any, error) {
	return c.watch("transactionWatch_v1_watchEvent", step.newer)
}

// watch sends an extrinsic and tells what becomes of it. Blocks are finalized ones, so that "inBlock" and
// "finalized" come together.
func (c *call) watch(method string, say func(step, *tx.Tracked) any) (any, error) {
	if c.conn == nil {
		return nil, errSocket
	}
	sent, err := c.send()
	if err != nil {
		return nil, err
	}
	hash, err := parseHash(sent.Hash)
	if err != nil {
		return nil, err
	}
	pool := c.s.cfg.Pool
	return c.subscribe(method, nil, func(sub *subscription) {
		tell := func(s step, t *tx.Tracked) bool {
			v := say(s, t)
			return v == nil || sub.tell(v)
		}
		if !tell(ready, &sent) {
			return
		}
		told := false
		for t := sent; ; {
			if t.Sent > 0 && !told {
				if told = true; !tell(broadcast, &t) {
					return
				}
			}
			if t.Done() {
				switch t.State {
				case tx.Replaced:
					tell(replaced, &t)
				case tx.Lapsed:
					tell(lapsed, &t)
				default:
					if tell(inBlock, &t) {
						tell(finalized, &t)
					}
				}
				return
			}
			var err error
			if t, err = pool.Wait(sub.ctx, hash, t.Step); err != nil {
				return
			}
		}
	})
}

func (c *call) unwatchTransaction() (any, error) {
	_, err := c.unsubscribe()
	return nil, err
}

// maxBroadcasts bounds what one connection has sent at a time.
const maxBroadcasts = 16

// broadcast sends an extrinsic. One that the chain refuses is an error, though the specification would keep silent.
func (c *call) broadcast() (any, error) {
	if c.conn == nil {
		return nil, errSocket
	}
	c.conn.mu.Lock()
	full := len(c.conn.sent) >= maxBroadcasts
	c.conn.mu.Unlock()
	if full {
		return nil, nil // as the specification has it
	}
	if _, err := c.send(); err != nil {
		return nil, err
	}
	id := newID()
	c.conn.mu.Lock()
	defer c.conn.mu.Unlock()
	if c.conn.sent == nil {
		c.conn.sent = make(map[string]bool)
	}
	c.conn.sent[id] = true
	return id, nil
}

// stopBroadcast forgets the client's interest. What peers have heard cannot be taken back, and what became of it is
// followed all the same.
func (c *call) stopBroadcast() (any, error) {
	id, err := c.subscriptionID()
	if err != nil {
		return nil, err
	}
	c.conn.mu.Lock()
	defer c.conn.mu.Unlock()
	if !c.conn.sent[id] {
		return nil, invalid("no such operation")
	}
	delete(c.conn.sent, id)
	return nil, nil
}
