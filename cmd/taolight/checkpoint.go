package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/storage"
	"github.com/taolight/taolight/verify/checkpoint"
)

func (a *app) checkpointCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "checkpoint",
		GroupID: "file",
		Short:   "the trust root: show it, export a newer one, import one",
		Long: `A checkpoint is the block that a node takes on trust; everything else is proven from
it. One is built in for each network; --checkpoint names another for one command, and
checkpoint import keeps one for all.

The policy: a checkpoint older than three months is warned about, since keys that
have retired since could be sold and sign another history. One that is older than
what is in use, or than what has been proven, is refused, as is one that names
another block of the same height.`,
		Args: noCommand,
		RunE: a.do(func(*cobra.Command, []string) error { return usage("checkpoint: show, export or import is missing") }),
	}
	cmd.AddCommand(a.checkpointShow(), a.checkpointExport(), a.checkpointImport())
	return cmd
}

// shownCheckpoint is what `checkpoint show --json` prints.
type shownCheckpoint struct {
	Schema     int             `json:"schema"`
	Network    string          `json:"network"`
	Demo       bool            `json:"demo"`
	From       string          `json:"from"`
	AgeDays    *uint64         `json:"age_days"`
	WarnAge    uint64          `json:"warn_age_days"`
	Old        bool            `json:"old"`
	Pin        string          `json:"pin"`
	Running    bool            `json:"running"` // a node runs from it
	Finalized  *uint32         `json:"finalized"`
	SetChanges *int            `json:"set_changes_verified"`
	Checkpoint json.RawMessage `json:"checkpoint"`
}

func (a *app) checkpointShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "what is trusted to begin with, and how old it is",
		Long: `Shows the checkpoint that this data directory starts from, and with a node running
how far it has been proven from there. Joins no network.`,
		Args: cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error { return a.showCheckpoint(cmd) }),
	}
	a.settings(cmd, fileSettings...)
	a.jsonFlag(cmd)
	a.timeoutFlag(cmd)
	return cmd
}

func (a *app) showCheckpoint(cmd *cobra.Command) error {
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
	defer cancel()
	var root *control.Root
	var st *control.Status
	c, err := control.Find(cfg.Dir())
	switch {
	case err == nil:
		if root, err = c.Root(ctx); err == nil {
			st, err = c.Status(ctx)
		}
	case errors.Is(err, control.ErrNoNode) && cfg.Network == config.Demo:
		return control.Errorf(control.Failure, "%w: a demo chain's checkpoint is its genesis, new with each start", err)
	case errors.Is(err, control.ErrNoNode):
		var p *place
		if p, err = a.place(cfg); err == nil {
			root = &control.Root{Checkpoint: p.root, From: p.from, Demo: p.demo}
		}
	}
	if err != nil {
		return err
	}
	cp := root.Checkpoint
	file, err := cp.MarshalJSON()
	if err != nil {
		return err
	}
	out := shownCheckpoint{
		Schema: 1, Network: cp.Network, Demo: root.Demo, From: root.From, WarnAge: checkpoint.WarnAge, Pin: cp.Pin().String(), Checkpoint: file,
	}
	if now := a.now().UnixMilli(); now > 0 {
		if days, ok := cp.Age(uint64(now)); ok {
			out.AgeDays = &days
		}
		out.Old = cp.Stale(uint64(now))
	}
	if st != nil {
		out.Running, out.SetChanges = true, &st.Trust.SetChanges
		if st.Finalized != nil {
			out.Finalized = &st.Finalized.Number
		}
	}
	if a.json {
		err = printJSON(a.stdout, out)
	} else {
		a.printCheckpoint(cp, &out)
	}
	if out.Old && !out.Demo {
		a.warnOld(*out.AgeDays)
	}
	return err
}

func (a *app) warnOld(days uint64) {
	a.warn("the checkpoint is %d days old, more than three months: keys retired since could\n"+
		"  sign another history; upgrade taolight, or import a newer checkpoint", days)
}

func (a *app) printCheckpoint(cp *checkpoint.Checkpoint, out *shownCheckpoint) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(a.stdout, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	age := "age not known"
	if out.AgeDays != nil {
		age = fmt.Sprintf("%s, %d days old", cp.Date, *out.AgeDays)
	}
	if cp.Header == nil {
		age = "header not fetched yet"
	}
	fmt.Fprintf(a.stdout, "%s   checkpoint %s   set %d   %s\n", a.style.bold(networkName(out.Network, out.Demo)), block(cp.Number), setOf(cp), age)
	line("hash", "%s", cp.Hash)
	line("genesis", "%s", cp.Genesis)
	line("from", "%s", out.From)
	if cp.Source != "" {
		line("says", "%s", printable(cp.Source))
	}
	if f := cp.Start(); f.Header != nil {
		line("keys", "%s, more than two thirds of them are trusted", count(len(f.Set.Authorities), "authority key"))
	}
	line("pin", "%s", out.Pin)
	if out.Finalized != nil {
		line("proven", "finalized %s, %s from here", block(*out.Finalized), count(*out.SetChanges, "set change"))
	}
}

func (a *app) checkpointExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [FILE]",
		Short: "the finalized head as a checkpoint file",
		Long: `Writes the finalized head, as this node has proven it, as a checkpoint that other
nodes can start from: to stdout, or to FILE. With no node running, joins once.

The file is in the form that is compiled in. A release takes a new one so:

  taolight checkpoint export verify/checkpoint/networks/finney.checkpoint.json

and whoever reviews it compares number, hash and set id with a source of their own.`,
		Args: cobra.MaximumNArgs(1),
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				b, err := who.Export(ctx)
				if err != nil {
					return err
				}
				if len(args) == 0 || args[0] == "-" {
					_, err = a.stdout.Write(b)
					return err
				}
				if err := writeFile(args[0], b, 0o644); err != nil {
					return err
				}
				cp, err := checkpoint.Parse(b)
				if err == nil {
					fmt.Fprintf(a.stderr, "%s: %s checkpoint %s, set %d, pin %s\n", args[0], cp.Network, block(cp.Number), setOf(cp), cp.Pin())
				}
				return err
			})
		}),
	}
	a.settings(cmd, readerSettings...)
	a.timeoutFlag(cmd)
	return cmd
}

func (a *app) checkpointImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE|NUMBER:HASH:SETID",
		Short: "start from this checkpoint from now on",
		Long: `Keeps a checkpoint in the data directory; nodes start from it instead of an older
built-in one. It is a checkpoint file, a raw chain spec with a
grandpaWarpSyncCheckpoint, or one word: the block's number, its hash, and the id of
the GRANDPA set that finalizes the blocks after it.

Compare it with people you trust first: nobody can prove a checkpoint. One that goes
back is refused (see taolight checkpoint --help).`,
		Args: cobra.ExactArgs(1),
		RunE: a.do(func(cmd *cobra.Command, args []string) error { return a.importCheckpoint(cmd, args[0]) }),
	}
	a.settings(cmd, "network", "data_dir")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) importCheckpoint(cmd *cobra.Command, arg string) error {
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	if cfg.Network == config.Demo {
		return usage("checkpoint import: a demo chain starts from its own genesis")
	}
	p, err := a.place(cfg)
	if err != nil {
		return err
	}
	next, err := p.readRoot(arg)
	if err != nil {
		return err
	}
	if err := forward(p.root, next, p.from); err != nil {
		return err
	}
	running, err := a.checkProven(cmd, p, next)
	if err != nil {
		return err
	}
	b, err := next.File()
	if err != nil {
		return err
	}
	if err := makeDir(p.cfg.DataDir); err != nil {
		return err
	}
	if err := writeFile(p.importFile(), b, 0o600); err != nil {
		return err
	}
	if a.json {
		err = printJSON(a.stdout, map[string]any{"schema": 1, "network": next.Network, "pin": next.Pin().String(), "file": p.importFile(), "restart": running})
	} else {
		fmt.Fprintf(a.stdout, "%s starts from checkpoint %s %s, set %d, from now on\n  kept in %s\n", networkName(next.Network, p.demo),
			block(next.Number), short(next.Hash.String()), setOf(next), p.importFile())
	}
	if now := a.now().UnixMilli(); now > 0 && next.Stale(uint64(now)) {
		days, _ := next.Age(uint64(now))
		a.warnOld(days)
	}
	if running {
		a.warn("the node that runs here goes on from its own checkpoint until it is started again")
	}
	return err
}

// checkProven refuses a checkpoint behind what a node here has proven already.
func (a *app) checkProven(cmd *cobra.Command, p *place, next *checkpoint.Checkpoint) (running bool, err error) {
	refuse := func(number uint32) error {
		return control.Errorf(control.Failure, "checkpoint refused: block %d, proven here is %d: %w", next.Number, number, checkpoint.ErrOlder).
			WithHint("this node has proven more than the checkpoint says")
	}
	c, err := control.Find(p.dir)
	if err == nil {
		ctx, cancel := context.WithTimeout(cmd.Context(), dialAndAnswer)
		defer cancel()
		b, err := c.Export(ctx)
		if control.CodeOf(err) == control.Stale || control.CodeOf(err) == control.NoPeers {
			return true, nil // nothing is proven yet
		}
		if err != nil {
			return true, err
		}
		proven, err := checkpoint.Parse(b)
		if err == nil {
			err = forward(proven, next, "proven by the node that runs here")
		}
		return true, err
	}
	if !errors.Is(err, control.ErrNoNode) {
		return false, err
	}
	if !storage.Exists(p.dir) {
		return false, nil
	}
	// Not storage.Open, which would mend what is damaged: this only looks.
	r, err := storage.CheckDir(cmd.Context(), p.dir, p.root.Genesis, false, nil)
	if err != nil {
		return false, p.storeError(err)
	}
	if r.HasHead && r.Head.Number > next.Number {
		return false, refuse(r.Head.Number)
	}
	return false, nil
}
