package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/tx"
	"github.com/taolight/taolight/neuron/wallet"
	"github.com/taolight/taolight/verify"
)

// maxPayload bounds a payload file that is read.
const maxPayload = 4 << 20

// signerOf returns the key that signs, nil for tx build, and its account.
func (a *app) signerOf(d *txDraft) (*wallet.Hotkey, verify.AccountID, error) {
	if !d.build {
		key, err := a.hotkey(&d.walletFlags)
		if err != nil {
			return nil, verify.AccountID{}, err
		}
		return key, key.Account(), nil
	}
	if d.from == "" {
		return nil, verify.AccountID{}, usage("tx build: --from is the address that signs it")
	}
	id, err := verify.ParseAccount(d.from)
	if err != nil {
		return nil, id, usage("--from: %w", err)
	}
	for _, name := range []string{d.out, d.signer} {
		if err := checkOut(name); err != nil {
			return nil, id, err
		}
	}
	return nil, id, nil
}

// writePayload writes what tx build has made.
func (a *app) writePayload(d *txDraft, b *control.Built) error {
	write := func(name string, v any) error {
		var out bytes.Buffer
		if err := printJSON(&out, v); err != nil {
			return err
		}
		return a.writeOut(name, out.Bytes())
	}
	if d.signer != "" {
		if err := write(d.signer, b.Signer); err != nil {
			return err
		}
	}
	if err := write(d.out, b.Payload); err != nil {
		return err
	}
	a.warn("%s; sign it as %s, then taolight tx submit", printable(b.Text[:min(len(b.Text), 200)]), b.Payload.From)
	return nil
}

// A statusGate asks a node whether something may be signed, after what can be told without one.
type statusGate struct {
	ctx  context.Context
	who  control.Answerer
	then wallet.Gate
}

// MaySign implements wallet.Gate.
func (g statusGate) MaySign() error {
	s, err := g.who.Status(g.ctx)
	if err != nil {
		return err
	}
	switch {
	case s.State == "conflict":
		return control.Errorf(control.Unproven, "%w", lightclient.ErrConflict).WithHint("taolight status shows the evidence")
	case s.Clock.Trust == "none" && !s.Demo:
		return control.Errorf(control.Stale, "%w", lightclient.ErrClock).WithHint("set the clock")
	}
	return g.then.MaySign()
}

// signPayload signs a payload that the node has made or has looked at, and returns the file with its signature.
func (a *app) signPayload(ctx context.Context, who control.Answerer, f *tx.File, key *wallet.Hotkey) ([]byte, error) {
	var gate wallet.Gate = notBefore{a.now}
	if who != nil {
		gate = statusGate{ctx, who, gate}
	}
	raw, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	p, _, err := tx.Parse(raw)
	if err != nil {
		return nil, err
	}
	signer, err := wallet.NewSigner(key, gate)
	if err != nil {
		return nil, err
	}
	s, err := p.SignWith(signer)
	if err != nil {
		return nil, err
	}
	f.Signature = fmt.Sprintf("0x%x", s.Append(nil))
	return json.Marshal(f)
}

func (a *app) txSignCommand() *cobra.Command {
	var w walletFlags
	var out string
	offline := false
	cmd := a.reader(&cobra.Command{
		Use:   "sign FILE",
		Short: "sign a payload with a hotkey",
		Long: `Signs a payload of tx build, or one of polkadot.js, with a hotkey and writes it with its
signature, for tx submit. A node is asked first what it would do and whether it is for
this chain, and nothing is signed while that node knows of a conflict of finality or its
clock is wrong. With --offline nobody is asked, and the call is what the file says it is.

Coldkeys are never read: what one signs is signed by its owner's own signer.`,
		Args: oneFile,
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			b, err := a.readBytes(args[0], maxPayload)
			if err != nil {
				return err
			}
			if err := checkOut(out); err != nil {
				return err
			}
			p, _, err := tx.Parse(b)
			if err != nil {
				return usage("%s: %w", printable(args[0]), err)
			}
			key, err := a.hotkey(&w)
			if err != nil {
				return err
			}
			defer key.Wipe()
			if key.Account() != p.From {
				return control.Errorf(control.Failure, "the payload is for %v to sign, and the hotkey %s is %v", p.From, printable(w.hotkey), key.Account()).
					WithHint("a coldkey's payload is signed by its owner's own signer")
			}
			sign := func(ctx context.Context, who control.Answerer, f *tx.File) error {
				signed, err := a.signPayload(ctx, who, f, key)
				if err != nil {
					return err
				}
				return a.writeOut(out, append(signed, '\n'))
			}
			if offline {
				f := new(tx.File)
				if json.Unmarshal(b, f) != nil || f.Kind == "" {
					return usage("%s: without a node only a payload of tx build can be signed", printable(args[0]))
				}
				a.warn("not checked: %s", printable(f.Says[:min(len(f.Says), 200)]))
				return sign(cmd.Context(), nil, f)
			}
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				r, err := who.Inspect(a.telling(ctx), control.InspectQuestion{Payload: b})
				if err != nil {
					return err
				}
				a.warn("signing %s", printable(r.Text[:min(len(r.Text), 400)]))
				return sign(ctx, who, r.Payload)
			})
		}),
	})
	cmd.GroupID = ""
	w.flags(cmd, true)
	cmd.Flags().StringVarP(&out, "output", "o", "-", "file to write it to")
	cmd.Flags().BoolVar(&offline, "offline", false, "ask no node: sign what the file says")
	return cmd
}

func (a *app) txSubmitCommand() *cobra.Command {
	var s sending
	signature, toFile := "", ""
	cmd := a.reader(&cobra.Command{
		Use:   "submit FILE|HEX",
		Short: "send a signed transaction",
		Long: `Sends a payload with its signature: one that tx sign wrote, or one of tx build or of
polkadot.js with --signature; or a ready extrinsic in hex. The signature may be of any
scheme of Substrate (sr25519, ed25519, ecdsa). It is verified here, and the chain's own
runtime is asked, before any peer hears of it.

A node without a peer of the chain verifies the signature and hands the transaction to
other light nodes, of which one that has such peers may carry it (setting "carry"). The
proof of what became of it comes back. With --to-file it is written for a stick instead,
and no node is asked: taolight gossip import FILE takes it elsewhere. Both need the
payload, and one that has an era.`,
		Args: oneFile,
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			var q control.SubmitQuestion
			q.Twice, q.Signature = s.again, signature
			if strings.HasPrefix(args[0], "0x") {
				if _, err := verify.ParseHex(args[0]); err != nil {
					return usage("extrinsic: %w", err)
				}
				if q.Extrinsic = args[0]; signature != "" {
					return usage("--signature is for a payload: an extrinsic has its own")
				}
			} else {
				b, err := a.readBytes(args[0], maxPayload)
				if err != nil {
					return err
				}
				if text := strings.TrimSpace(string(b)); strings.HasPrefix(text, "0x") {
					q.Extrinsic = text
				} else if _, _, err := tx.Parse(b); err != nil {
					return usage("%s: %w", printable(args[0]), err)
				} else {
					q.Payload = b
				}
			}
			if toFile != "" {
				return a.pack(toFile, q)
			}
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				return a.send(a.telling(ctx), who, q, s.wait)
			})
		}),
	})
	cmd.GroupID = ""
	cmd.Flags().StringVar(&signature, "signature", "", "the signature, in hex, as the signer gave it")
	cmd.Flags().StringVar(&toFile, "to-file", "", "write it to this file for others to carry, and send nothing")
	s.flags(cmd)
	return cmd
}

// pack writes a transaction as it travels between light nodes.
func (a *app) pack(name string, q control.SubmitQuestion) error {
	if err := checkOut(name); err != nil {
		return err
	}
	if len(q.Payload) == 0 {
		return usage("--to-file: a ready extrinsic does not say what its signature covers beside it; give the payload with its signature")
	}
	var signature []byte
	if q.Signature != "" {
		var err error
		if signature, err = verify.ParseHex(q.Signature); err != nil {
			return usage("--signature: %w", err)
		}
	}
	p, err := tx.Pack(q.Payload, signature)
	switch {
	case errors.Is(err, tx.ErrSignature):
		return control.Errorf(control.Unproven, "%w", err)
	case err != nil:
		return usage("%w", err)
	}
	if err := a.writeOut(name, p.Append(nil)); err != nil {
		return err
	}
	a.warn("%s of %v, nonce %d: blocks from %s to %s may hold it; take it elsewhere with taolight gossip import", short(p.Hash().String()), p.From, p.Nonce, block(p.Birth), block(p.Last()))
	return nil
}

func (a *app) txStatusCommand() *cobra.Command {
	var s sending
	cmd := a.reader(&cobra.Command{
		Use:   "status [HASH]",
		Short: "what became of transactions that were sent from here",
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("tx status: one hash, or none for all")
			}
			q := control.TxQuestion{}
			if len(args) == 1 {
				if _, err := verify.ParseHash(args[0]); err != nil {
					return usage("tx status: %w", err)
				}
				q.Hash = args[0]
			}
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				l, err := who.Transactions(ctx, q)
				if err != nil {
					return err
				}
				if q.Hash != "" {
					return a.await(ctx, who, l, s.wait)
				}
				if a.json {
					return printJSON(a.stdout, l)
				}
				fmt.Fprintf(a.stdout, "%s   %s\n", a.style.bold(networkName(l.Network, l.Demo)), count(len(l.List), "transaction"))
				for i := range l.List {
					a.printTracked(&l.List[i])
				}
				return nil
			})
		}),
	})
	cmd.GroupID = ""
	s.waiting(cmd, 0)
	return cmd
}

// send sends a transaction and waits for its end.
func (a *app) send(ctx context.Context, who control.Answerer, q control.SubmitQuestion, wait time.Duration) error {
	l, err := who.Submit(ctx, q)
	if err != nil {
		return err
	}
	if t := &l.List[0]; l.Neighbours != nil && !t.Done() {
		to := "held for light nodes that come, for there is none now"
		if *l.Neighbours > 0 {
			to = "handed to " + count(*l.Neighbours, "light node")
		}
		a.warn("no peer of the chain: %s is %s; one that has such peers may carry it, and sends the proof back", short(t.Hash), to)
	} else if !t.Done() {
		to := "to nobody yet, for there is no peer"
		if t.Sent > 0 {
			to = "to " + count(t.Sent, "peer")
		}
		a.warn("%s is sent %s; taolight tx status %s tells more", short(t.Hash), to, t.Hash)
	}
	return a.await(ctx, who, l, wait)
}

// await waits until a transaction has come to an end, prints it, and ends with its code.
func (a *app) await(ctx context.Context, who control.Answerer, l *control.Transactions, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(wait, time.Millisecond))
	defer cancel()
	t := &l.List[0]
	for wait > 0 && !t.Done() {
		next, err := who.Transactions(ctx, control.TxQuestion{Hash: t.Hash, Step: t.Step})
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return err
		}
		l = next
		t = &l.List[0]
	}
	if a.json {
		if err := printJSON(a.stdout, l); err != nil {
			return err
		}
	} else {
		a.printTracked(t)
	}
	return ended(t, wait > 0)
}

// ended gives the end of a transaction its code.
func ended(t *tx.Tracked, waited bool) error {
	err := errors.New(short(t.Hash) + " " + printable(t.Line()))
	switch {
	case t.State == tx.Succeeded && (t.Outcome == nil || t.Outcome.Failed() == nil):
		return nil
	case t.State == tx.Pending && !waited:
		return nil
	case t.State == tx.Pending:
		return control.Errorf(control.Undecided, "%w", err).WithHint("taolight tx status %s tells when it is decided", t.Hash)
	case t.State == tx.Included:
		return control.Errorf(control.Undecided, "%w", err)
	case t.State == tx.Unheard:
		return control.Errorf(control.Undecided, "%w", err).WithHint("whoever has a peer of the chain can tell by the account's nonce")
	case t.State == tx.Lapsed:
		return control.Errorf(control.Stale, "%w", err).WithHint("make it anew")
	}
	return control.Errorf(control.Failure, "%w", err)
}

func (a *app) printTracked(t *tx.Tracked) {
	fmt.Fprintf(a.stdout, "\n%s\n", a.style.bold(t.Hash))
	line := printable(t.Line())
	if t.State == tx.Succeeded {
		line = a.style.good(line)
	} else if t.Done() {
		line = a.style.bad(line)
	}
	fmt.Fprint(a.stdout, wrap(line, "  "))
	fmt.Fprint(a.stdout, wrap(printable(t.Call), "  "))
	fmt.Fprintf(a.stdout, "  %s, nonce %d\n", printable(t.From), t.Nonce)
	if t.Outcome == nil {
		return
	}
	for _, e := range t.Outcome.Events {
		pallet, _, _ := strings.Cut(e.Name, ".")
		fmt.Fprint(a.stdout, wrap(printable(pallet+"."+e.Text), "    "))
	}
	if t.Outcome.Fee != nil {
		fmt.Fprintf(a.stdout, "  fee %s TAO\n", tao(*t.Outcome.Fee, 9))
	}
}
