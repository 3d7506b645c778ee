package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/storage"
)

// dialAndAnswer is how long a node on this machine may take for an answer it has at hand.
const dialAndAnswer = 10 * time.Second

// storeOf gives the command the running node of its data directory, or nil, and the place.
func (a *app) storeOf(cmd *cobra.Command) (*control.Client, *place, error) {
	cfg, err := a.config(cmd)
	if err != nil {
		return nil, nil, err
	}
	c, err := control.Find(cfg.Dir())
	if err == nil {
		return c, &place{cfg: cfg, dir: cfg.Dir(), demo: cfg.Network == config.Demo}, nil
	}
	if !errors.Is(err, control.ErrNoNode) {
		return nil, nil, err
	}
	p, err := a.place(cfg)
	if err == nil && p.root == nil {
		err = control.Errorf(control.Failure, "%s: %w, and a demo chain ends with its node", p.dir, control.ErrNoNode)
	}
	return nil, p, err
}

func (a *app) checkCommand() *cobra.Command {
	var readAll bool
	cmd := &cobra.Command{
		Use:     "check",
		GroupID: "file",
		Short:   "check the store's files",
		Long: `Looks at both head slots and at every page of the database; with --read-all at every
record too, and proves the stored head again from the checkpoint. Changes nothing.
Ends with 5 when something is damaged.`,
		Args: cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			c, p, err := a.storeOf(cmd)
			if err != nil {
				return err
			}
			var r *control.Report
			if c != nil {
				r, err = c.Check(cmd.Context(), readAll)
			} else {
				r, err = (&control.Local{Checkpoint: p.root, DataDir: p.dir, Demo: p.demo}).CheckDir(cmd.Context(), readAll)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return control.Errorf(control.Failure, "%s: there is no store", p.dir)
			}
			if err != nil {
				return p.storeError(err)
			}
			if a.json {
				err = printJSON(a.stdout, r)
			} else {
				a.printReport(r)
			}
			if err == nil && !r.OK {
				return quiet(control.Damaged)
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&readAll, "read-all", false, "read and prove every record")
	a.settings(cmd, fileSettings...)
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) printReport(r *control.Report) {
	what := "its structure"
	if r.ReadAll {
		what = "every record"
	}
	state := "not in use"
	if r.Running {
		state = "in use by a node that runs"
	}
	fmt.Fprintf(a.stdout, "%s   %s, %s\n", a.style.bold(networkName(r.Network, r.Demo)), r.Dir, state)
	if r.HeadHash != "" {
		fmt.Fprintf(a.stdout, "head     %s %s   slots %s\n", block(r.Head), short(r.HeadHash), strings.Join(r.Slots, ", "))
	} else {
		fmt.Fprintf(a.stdout, "head     none kept   slots %s\n", strings.Join(r.Slots, ", "))
	}
	fmt.Fprintf(a.stdout, "checked  %s of %s\n", what, size(uint64(r.FileBytes)))
	kinds := make([]string, 0, len(r.Records))
	for k := range r.Records {
		kinds = append(kinds, k)
	}
	sort.Strings(kinds)
	for _, k := range kinds {
		fmt.Fprintf(a.stdout, "         %-15s %d\n", k, r.Records[k])
	}
	if r.Unclean {
		fmt.Fprintln(a.stdout, "note     the last run did not end cleanly")
	}
	for _, p := range r.Problems {
		fmt.Fprintf(a.stdout, "%s  %s: %s\n", a.style.bad("damaged"), printable(p.Place), printable(p.Text))
	}
	if r.More > 0 {
		fmt.Fprintf(a.stdout, "         and %d more\n", r.More)
	}
	if r.OK {
		fmt.Fprintln(a.stdout, a.style.good("ok"))
	} else {
		fmt.Fprintln(a.stdout, "         taolight run moves damaged files aside and makes them anew from the checkpoint")
	}
}

func (a *app) backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "backup FILE",
		GroupID: "file",
		Short:   "copy the store to a file, also while a node runs",
		Long: `Writes a consistent copy of the store to FILE, reads it back in full, and only then
puts it in place. A node that runs goes on meanwhile. FILE must not exist.`,
		Args: cobra.ExactArgs(1),
		RunE: a.do(func(cmd *cobra.Command, args []string) error { return a.backup(cmd, args[0]) }),
	}
	a.settings(cmd, fileSettings...)
	a.jsonFlag(cmd)
	return cmd
}

// copied is what `backup --json` and `restore --json` print.
type copied struct {
	Schema   int              `json:"schema"`
	File     string           `json:"file"`
	Bytes    int64            `json:"bytes"`
	DataDir  string           `json:"data_dir"`
	Manifest storage.Manifest `json:"manifest"`
}

func (a *app) backup(cmd *cobra.Command, path string) error {
	c, p, err := a.storeOf(cmd)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return control.Errorf(control.Failure, "%s: %w", path, fs.ErrExist).WithHint("a backup never replaces a file: name another, or remove it")
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".taolight-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), 10*time.Minute)
	defer cancel()
	if c != nil {
		err = c.Backup(ctx, f)
	} else {
		err = p.backupTo(ctx, f)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return err
	}
	m, err := readBack(f)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil { // never over a file that has come since
		return err
	}
	if a.json {
		return printJSON(a.stdout, copied{1, path, info.Size(), p.dir, *m})
	}
	fmt.Fprintf(a.stdout, "%s: %s, finalized head %s, read back and sound\n", path, size(uint64(info.Size())), block(m.Number))
	return nil
}

// backupTo copies a store that no node has open.
func (p *place) backupTo(ctx context.Context, f *os.File) error {
	if !storage.Exists(p.dir) {
		return control.Errorf(control.Failure, "%s: there is no store", p.dir)
	}
	st, _, err := p.openStore(false)
	if err != nil {
		return err
	}
	defer st.Close()
	return (&control.Local{Store: st}).Backup(ctx, f)
}

// readBack restores a copy into a folder beside it, which proves that it can be, and removes that.
func readBack(f *os.File) (*storage.Manifest, error) {
	if _, err := f.Seek(0, 0); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(f.Name()), ".taolight-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	m, err := storage.Restore(filepath.Join(dir, "store"), f)
	if err != nil {
		return nil, &control.Error{Code: control.Damaged, Err: fmt.Errorf("copy is not sound: %w", err)}
	}
	return m, nil
}

func (a *app) restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "restore FILE",
		GroupID: "file",
		Short:   "make the store from a backup",
		Long: `Checks a backup in full and makes the data directory's store from it. No node may run
there, and no store may be there. Nothing in it is believed: a node proves the head
again from its checkpoint.`,
		Args: cobra.ExactArgs(1),
		RunE: a.do(func(cmd *cobra.Command, args []string) error { return a.restore(cmd, args[0]) }),
	}
	a.settings(cmd, fileSettings...)
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) restore(cmd *cobra.Command, path string) error {
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	p, err := a.place(cfg)
	if err != nil {
		return err
	}
	if c, err := control.Find(p.dir); err == nil {
		return control.Errorf(control.Failure, "%s: %w (%s answers)", p.dir, control.ErrInUse, c.Path()).WithHint("stop it first")
	}
	if storage.Exists(p.dir) {
		return control.Errorf(control.Failure, "%s: there is a store already", p.dir).WithHint("move it away first, for example to %s.old", p.dir)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := makeDir(cfg.DataDir); err != nil {
		return err
	}
	// Beside its place first: whose chain it is of is known when it has been read.
	tmp, err := os.MkdirTemp(cfg.DataDir, ".taolight-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	made := filepath.Join(tmp, "store")
	m, err := storage.Restore(made, f)
	if err != nil {
		e := &control.Error{Code: control.Failure, Err: fmt.Errorf("%s: %w", path, err)}
		if errors.Is(err, storage.ErrDamaged) {
			e.Code = control.Damaged
		}
		return e
	}
	if p.root != nil && !p.root.Genesis.IsZero() && m.Genesis != p.root.Genesis {
		return control.Errorf(control.Failure, "%s: %w: genesis %v, here %v", path, storage.ErrGenesis, m.Genesis.Short(), p.root.Genesis.Short()).
			WithHint("name its network with --network")
	}
	control.RemoveDead(p.dir)
	os.Remove(p.dir) // an empty one; any other stays, and is refused here
	if err := os.Rename(made, p.dir); err != nil {
		return err
	}
	if a.json {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		return printJSON(a.stdout, copied{1, path, info.Size(), p.dir, *m})
	}
	fmt.Fprintf(a.stdout, "%s: restored from %s, finalized head %s\n", p.dir, path, block(m.Number))
	return nil
}

// makeDir makes a data directory.
func makeDir(dir string) error { return os.MkdirAll(dir, 0o700) }
