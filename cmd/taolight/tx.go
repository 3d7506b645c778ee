package main

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"math/big"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/lightclient/tx"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/subtensor"
)

// A txDraft is the flags of what makes a transaction.
type txDraft struct {
	walletFlags
	from         string
	nonce        uint32
	period       uint64
	immortal     bool
	tip          string
	metadataHash bool
	dryRun       bool
	sending
	out, signer string // of tx build

	build bool
	cmd   *cobra.Command
}

// sending is the flags of what sends one.
type sending struct {
	again bool
	wait  time.Duration
}

func (s *sending) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.again, "again", false, "send it although the same call by the same account is under way")
	s.waiting(cmd, 5*time.Minute)
}

func (s *sending) waiting(cmd *cobra.Command, usual time.Duration) {
	cmd.Flags().DurationVar(&s.wait, "wait", usual, "how long to wait until it is final; 0 does not wait")
}

func (d *txDraft) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Uint32Var(&d.nonce, "nonce", 0, "nonce (default the account's next)")
	f.Uint64Var(&d.period, "period", tx.DefaultPeriod, "blocks that may hold it, a power of two from 4 to 2048")
	f.BoolVar(&d.immortal, "immortal", false, "any block may hold it: for signers that take days")
	f.StringVar(&d.tip, "tip", "0", "tip in TAO; on Bittensor it moves nothing")
	f.BoolVar(&d.metadataHash, "metadata-hash", false, "sign the hash of the metadata as well, for signers that show what they sign")
	if d.build {
		f.StringVar(&d.from, "from", "", "address that signs it")
		f.StringVarP(&d.out, "output", "o", "-", "file to write the payload to")
		f.StringVar(&d.signer, "signer-payload", "", "also write it to this file, as polkadot.js hands it to signers")
		return
	}
	f.BoolVar(&d.dryRun, "dry-run", false, "show the decoded call and the fee, sign and send nothing")
	d.walletFlags.flags(cmd, true)
	d.sending.flags(cmd)
}

func (a *app) txCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "tx",
		GroupID: "key",
		Short:   "make, sign and send transactions, and see proven what became of them",
		Long: `Makes transactions from proven state, has the chain's own runtime judge them here before
any peer hears of them, sends them, and tells from proofs how they ended.

What a hotkey signs goes in one step: tx set-weights and the like sign with a hotkey and
send. What a coldkey signs goes in three, since its key is never read here:
tx build makes a payload, its owner's own signer signs that, tx submit sends it.

A transaction is written down before it is sent: a node that is started again goes on
watching it, and the same one is never made anew. Calls and their arguments are found
by the metadata of the chain's runtime.

Ends with 1 if it is refused or fails, with 3 if a signature does not hold or it is for
another chain, with 4 if its era is over, with 7 if how it ended is not known yet.`,
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			if err := noCommand(cmd, args); err != nil {
				return err
			}
			return usage("tx what?").WithHint("taolight tx --help lists what")
		}),
	}
	cmd.AddCommand(a.txVerbs(false)...)
	build := &cobra.Command{
		Use:   "build",
		Short: "make the payload of a transaction, for another signer",
		Long: `Writes what is to be signed as a file: for tx sign on another machine, for tx submit with
a signature, and with --signer-payload as polkadot.js and other wallets take it.`,
		Example: `  taolight tx build transfer 5FHn…94ty 1.5 --from 5Grw…utQY -o pay.json --signer-payload wallet.json
  taolight tx submit pay.json --signature 0x01…`,
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			if err := noCommand(cmd, args); err != nil {
				return err
			}
			return usage("tx build what?").WithHint("taolight tx build --help lists what")
		}),
	}
	build.AddCommand(a.txVerbs(true)...)
	cmd.AddCommand(build, a.txSignCommand(), a.txSubmitCommand(), a.txStatusCommand())
	return cmd
}

// txVerbs are the calls that have a name of their own, and raw, as commands that sign and send or that build.
func (a *app) txVerbs(build bool) []*cobra.Command {
	stake := &cobra.Command{
		Use:   "stake",
		Short: "add or remove stake",
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			if err := noCommand(cmd, args); err != nil {
				return err
			}
			return usage("tx stake what?").WithHint("add or remove")
		}),
	}
	stake.AddCommand(a.stakeCommand(build, true), a.stakeCommand(build, false))
	return []*cobra.Command{
		a.transferCommand(build), stake, a.registerCommand(build), a.serveAxonCommand(build), a.setWeightsCommand(build),
		a.commitWeightsCommand(build), a.revealWeightsCommand(build), a.rawCommand(build),
	}
}

// verb makes a command of a call. parse is given the signer's account.
func (a *app) verb(build bool, cmd *cobra.Command, n int, parse func(args []string, who verify.AccountID) (control.TxCall, error)) *cobra.Command {
	d := &txDraft{build: build, cmd: cmd}
	cmd.RunE = a.do(func(cmd *cobra.Command, args []string) error {
		if n >= 0 && len(args) != n || len(args) < -n {
			return usage("%s: %s, want %s", cmd.CommandPath(), count(len(args), "argument"), strings.SplitN(cmd.Use, " ", 2)[1])
		}
		return a.draft(d, func(who verify.AccountID) (control.TxCall, error) { return parse(args, who) })
	})
	a.reader(cmd)
	cmd.GroupID = ""
	d.flags(cmd)
	return cmd
}

func (a *app) transferCommand(build bool) *cobra.Command {
	return a.verb(build, &cobra.Command{
		Use:   "transfer ADDRESS TAO",
		Short: "move TAO to another account",
	}, 2, func(args []string, _ verify.AccountID) (c control.TxCall, err error) {
		c.Kind = control.TxTransfer
		if c.To, err = addressWord(args[0]); err == nil {
			c.Amount, err = parseTAO(args[1])
		}
		return c, err
	})
}

func (a *app) stakeCommand(build, add bool) *cobra.Command {
	cmd, kind := &cobra.Command{Use: "add HOTKEY NETUID TAO", Short: "stake TAO on a hotkey in a subnet"}, control.TxAddStake
	if !add {
		cmd, kind = &cobra.Command{Use: "remove HOTKEY NETUID ALPHA", Short: "take stake back: alpha of the subnet"}, control.TxRemoveStake
	}
	return a.verb(build, cmd, 3, func(args []string, _ verify.AccountID) (c control.TxCall, err error) {
		c.Kind = kind
		if c.Hotkey, err = addressWord(args[0]); err == nil {
			c.Netuid, err = netuidWord(args[1])
		}
		if err == nil {
			c.Amount, err = parseTAO(args[2])
		}
		return c, err
	})
}

func (a *app) registerCommand(build bool) *cobra.Command {
	limit := ""
	cmd := a.verb(build, &cobra.Command{
		Use:   "register NETUID HOTKEY",
		Short: "register a hotkey on a subnet for what that costs; its coldkey signs",
	}, 2, func(args []string, _ verify.AccountID) (c control.TxCall, err error) {
		c.Kind = control.TxRegister
		if c.Netuid, err = netuidWord(args[0]); err == nil {
			c.Hotkey, err = addressWord(args[1])
		}
		if err == nil && limit != "" {
			rao := uint64(0)
			rao, err = parseTAO(limit)
			c.Limit = &rao
		}
		return c, err
	})
	cmd.Flags().StringVar(&limit, "limit", "", "fail if it costs more than so many TAO")
	return cmd
}

func (a *app) serveAxonCommand(build bool) *cobra.Command {
	software := uint32(0)
	cmd := a.verb(build, &cobra.Command{
		Use:   "serve-axon NETUID ADDRESS:PORT",
		Short: "announce where the hotkey's axon is",
	}, 2, func(args []string, _ verify.AccountID) (c control.TxCall, err error) {
		c.Kind, c.Axon, c.Version = control.TxServeAxon, args[1], software
		if _, perr := netip.ParseAddrPort(args[1]); perr != nil {
			return c, usage("%q is no ADDRESS:PORT", printable(args[1]))
		}
		c.Netuid, err = netuidWord(args[0])
		return c, err
	})
	cmd.Flags().Uint32Var(&software, "axon-version", 0, "version of the axon's software")
	return cmd
}

// A weighing is the flags of calls about weights.
type weighing struct {
	mechanism uint8
	version   uint64
	salt      string
}

func (w *weighing) flags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Uint8Var(&w.mechanism, "mechanism", 0, "mechanism of the subnet")
	cmd.Flags().Uint64Var(&w.version, "version-key", 0, "version that the subnet wants with weights")
	return cmd
}

// read reads NETUID UID=WEIGHT….
func (w *weighing) read(args []string) (*tx.Weights, error) {
	netuid, err := netuidWord(args[0])
	if err != nil {
		return nil, err
	}
	out := &tx.Weights{Netuid: netuid, Mecid: w.mechanism, Version: w.version}
	for _, word := range args[1:] {
		uid, weight, ok := strings.Cut(word, "=")
		u, err1 := strconv.ParseUint(uid, 10, 16)
		v, err2 := strconv.ParseUint(weight, 10, 16)
		if !ok || err1 != nil || err2 != nil {
			return nil, usage("%q is no UID=WEIGHT of two numbers up to 65535", printable(word))
		}
		out.Uids, out.Values = append(out.Uids, uint16(u)), append(out.Values, uint16(v))
	}
	if w.salt == "" {
		return out, nil
	}
	for _, word := range strings.Split(w.salt, ",") {
		v, err := strconv.ParseUint(strings.TrimSpace(word), 10, 16)
		if err != nil {
			return nil, usage("--salt %q: want numbers up to 65535 with commas between", printable(w.salt))
		}
		out.Salt = append(out.Salt, uint16(v))
	}
	return out, nil
}

func (a *app) setWeightsCommand(build bool) *cobra.Command {
	var w weighing
	return w.flags(a.verb(build, &cobra.Command{
		Use:     "set-weights NETUID UID=WEIGHT…",
		Short:   "set weights, where the subnet does not want commitments",
		Example: "  taolight tx set-weights 18 3=65535 7=20000",
	}, -1, func(args []string, _ verify.AccountID) (c control.TxCall, err error) {
		c.Kind = control.TxSetWeights
		c.Weights, err = w.read(args)
		return c, err
	}))
}

func (a *app) commitWeightsCommand(build bool) *cobra.Command {
	var w weighing
	var timelocked string
	var round uint64
	var scheme uint16
	cmd := w.flags(a.verb(build, &cobra.Command{
		Use:   "commit-weights NETUID UID=WEIGHT… | --timelocked HEX --round N",
		Short: "commit to weights by a hash, or with a ciphertext that drand opens",
		Long: `Commits to weights by their hash, to be revealed with tx reveal-weights and the same salt,
which is printed. With --timelocked it is a ciphertext that the chain opens by itself.`,
	}, -1, func(args []string, who verify.AccountID) (c control.TxCall, err error) {
		weights, err := w.read(args)
		if err != nil {
			return c, err
		}
		c.Netuid, c.Mecid = weights.Netuid, weights.Mecid
		if timelocked != "" {
			if len(args) > 1 || round == 0 {
				return c, usage("--timelocked wants --round, and no weights beside it")
			}
			c.Kind, c.Commit, c.Round, c.Scheme = control.TxCommitTimelocked, timelocked, round, scheme
			return c, nil
		}
		if len(args) == 1 {
			return c, usage("commit-weights: no weights")
		}
		if weights.Salt == nil {
			var b [16]byte
			crand.Read(b[:])
			words := make([]string, 8)
			for i := range words {
				v := binary.LittleEndian.Uint16(b[2*i:])
				weights.Salt, words[i] = append(weights.Salt, v), strconv.Itoa(int(v))
			}
			w.salt = strings.Join(words, ",")
		}
		index, err := subtensor.Index(c.Netuid, c.Mecid)
		if err != nil {
			return c, usage("%w", err)
		}
		a.warn("to reveal it: taolight tx reveal-weights %s --mechanism %d --version-key %d --salt %s", strings.Join(args, " "), c.Mecid, w.version, w.salt)
		c.Kind, c.Hash = control.TxCommitWeights, commit.HashOf(who, index, weights.Uids, weights.Values, weights.Salt, weights.Version).String()
		return c, nil
	}))
	cmd.Flags().StringVar(&w.salt, "salt", "", "numbers with commas between (default eight random ones)")
	cmd.Flags().StringVar(&timelocked, "timelocked", "", "commit to this ciphertext, in hex")
	cmd.Flags().Uint64Var(&round, "round", 0, "drand round that opens it")
	cmd.Flags().Uint16Var(&scheme, "scheme", 4, "version of that scheme")
	return cmd
}

func (a *app) revealWeightsCommand(build bool) *cobra.Command {
	var w weighing
	cmd := w.flags(a.verb(build, &cobra.Command{
		Use:   "reveal-weights NETUID UID=WEIGHT… --salt N,…",
		Short: "reveal weights that were committed to by a hash",
	}, -1, func(args []string, _ verify.AccountID) (c control.TxCall, err error) {
		c.Kind = control.TxRevealWeights
		if w.salt == "" {
			return c, usage("reveal-weights: --salt is part of what was committed to")
		}
		c.Weights, err = w.read(args)
		return c, err
	}))
	cmd.Flags().StringVar(&w.salt, "salt", "", "the salt of the commitment")
	return cmd
}

func (a *app) rawCommand(build bool) *cobra.Command {
	text := ""
	cmd := a.verb(build, &cobra.Command{
		Use:   "raw PALLET.CALL [ARGUMENT]… | HEX",
		Short: "any call of the runtime",
		Example: `  taolight tx raw System.remark 0x746573740a
  taolight tx raw Utility.batch --args '{"calls": [{"System": {"remark": {"remark": "0x00"}}}]}'`,
	}, -1, func(args []string, _ verify.AccountID) (control.TxCall, error) {
		c := control.TxCall{Kind: control.TxRaw, Words: args, Args: text}
		if file, ok := strings.CutPrefix(text, "@"); ok {
			b, err := a.readBytes(file, tx.MaxExtrinsic)
			if err != nil {
				return c, err
			}
			c.Args = string(b)
		}
		return c, nil
	})
	cmd.Flags().StringVar(&text, "args", "", "the arguments as a JSON object, or list; @FILE reads one")
	return cmd
}

func addressWord(word string) (string, error) {
	id, err := verify.ParseAccount(word)
	if err != nil {
		return "", usage("%q: %w", printable(word), err)
	}
	return id.String(), nil
}

func netuidWord(word string) (uint16, error) {
	n, err := strconv.ParseUint(word, 10, 16)
	if err != nil {
		return 0, usage("netuid %q: want a number up to 65535", printable(word))
	}
	return uint16(n), nil
}

// parseTAO reads an amount: 1.5 is TAO, or alpha, and 1500000000rao the same.
func parseTAO(word string) (uint64, error) {
	digits, isRao := strings.CutSuffix(word, "rao")
	r, ok := new(big.Rat), len(digits) < 40 && strings.Trim(digits, "0123456789.") == ""
	if ok {
		_, ok = r.SetString(digits)
	}
	if ok && !isRao {
		r.Mul(r, big.NewRat(rao, 1))
	}
	if !ok || !r.IsInt() || !r.Num().IsUint64() {
		return 0, usage("%q is no amount: want TAO with at most nine decimals, or a whole number of rao as 500rao", printable(word))
	}
	return r.Num().Uint64(), nil
}

// draft makes a transaction and does with it what the command is for.
func (a *app) draft(d *txDraft, parse func(who verify.AccountID) (control.TxCall, error)) error {
	key, from, err := a.signerOf(d)
	if err != nil {
		return err
	}
	if key != nil {
		defer key.Wipe()
	}
	q := control.BuildQuestion{From: from.String(), Period: d.period, Immortal: d.immortal, MetadataHash: d.metadataHash}
	if q.Call, err = parse(from); err != nil {
		return err
	}
	if q.Tip, err = parseTAO(d.tip); err != nil {
		return err
	}
	if !d.immortal && (d.period < tx.MinPeriod || d.period > tx.MaxPeriod || d.period&(d.period-1) != 0) {
		return usage("--period %d: want a power of two from %d to %d", d.period, tx.MinPeriod, tx.MaxPeriod)
	}
	if d.cmd.Flags().Changed("nonce") {
		q.Nonce = &d.nonce
	}
	return a.ask(d.cmd, true, func(ctx context.Context, who control.Answerer) error {
		b, err := who.Build(a.telling(ctx), q)
		if err != nil {
			return err
		}
		switch {
		case d.build:
			return a.writePayload(d, b)
		case d.dryRun && a.json:
			return printJSON(a.stdout, b)
		case d.dryRun:
			a.printBuilt(b)
			return nil
		}
		if !a.json {
			a.printBuilt(b)
		}
		signed, err := a.signPayload(ctx, who, b.Payload, key)
		if err != nil {
			return err
		}
		return a.send(ctx, who, control.SubmitQuestion{Payload: signed, Twice: d.again}, d.wait)
	})
}

// printBuilt shows a payload and what is proven around it.
func (a *app) printBuilt(b *control.Built) {
	joined := ""
	if b.Joined {
		joined = ", joined for this question"
	}
	row := func(name, format string, args ...any) {
		fmt.Fprintf(a.stdout, "%-8s %s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintf(a.stdout, "%s   %s %s %s%s\n", a.style.bold(networkName(b.Network, b.Demo)), b.Trust, block(b.Number), short(b.Hash), joined)
	fmt.Fprint(a.stdout, a.style.bold("call"), strings.TrimPrefix(wrap(printable(b.Text), "         "), "    "))
	row("from", "%s", b.Payload.From)
	row("", "nonce %d, has %s TAO", b.Payload.Nonce, tao(b.Free, 9))
	if b.Payload.LastBlock == nil {
		row("era", "any block may hold it")
	} else {
		row("era", "blocks to %s may hold it", block(*b.Payload.LastBlock))
	}
	row("runtime", "spec %d", b.Spec)
	if b.Payload.MetadataHash != "" {
		row("", "metadata hash %s", b.Payload.MetadataHash)
	}
	if b.Fee != nil {
		row("fee", "%s TAO", tao(b.Fee.Partial, 9))
	}
	if b.Payload.Tip > 0 {
		row("tip", "%s TAO", tao(b.Payload.Tip, 9))
	}
}
