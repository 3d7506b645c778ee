package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/doctor"
	"github.com/taolight/taolight/internal/power/rig"
)

// benchAnswer is what `bench --json` prints.
type benchAnswer struct {
	Schema int    `json:"schema"`
	Board  string `json:"board"` // as its device tree names it; empty: it has none
	*doctor.Speed
	Memory  *uint64 `json:"memory_bytes"`
	Suggest string  `json:"power_assume"`
	Why     string  `json:"why"`
}

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "bench",
		GroupID: "node",
		Short:   "what this board can do, and the power level it suggests",
		Long: `Measures for about a second how fast this board checks signatures, pulses and hashes,
and how long a small write takes until it is safe, and says at which power level it can
be held. A battery is for the meters to judge: taolight power.`,
		Args: cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.config(cmd)
			if err != nil {
				return err
			}
			x := &examination{a: a, cfg: cfg}
			b := &benchAnswer{Schema: 1}
			b.Board, _ = rig.Board(rig.Machine{})
			b.Memory, _ = rig.Memory(rig.Machine{})
			if b.Speed, err = doctor.Measure(x.place()); errors.Is(err, fs.ErrPermission) {
				b.Speed, err = doctor.Measure("")
			}
			if err != nil {
				return err
			}
			total := uint64(0)
			if b.Memory != nil {
				total = *b.Memory
			}
			b.Suggest, b.Why = doctor.Suggest(b.Speed, total)
			if a.json {
				return printJSON(a.stdout, b)
			}
			a.printBench(b)
			return nil
		}),
	}
	a.settings(cmd, "network", "data_dir")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) printBench(b *benchAnswer) {
	line := func(topic, format string, args ...any) {
		text := strings.TrimSpace(wrap(fmt.Sprintf(format, args...), "               "))
		fmt.Fprintf(a.stdout, "%s %s\n", a.style.bold(fmt.Sprintf("%-14s", topic)), text)
	}
	board := b.Board
	if board == "" {
		board = "no device tree names it"
	}
	line("board", "%s, %s/%s, %s", printable(board), runtime.GOOS, runtime.GOARCH, count(b.Cores, "core"))
	if b.Memory != nil {
		line("memory", "%d MB", *b.Memory>>20)
	}
	line("justification", "%.2f ms with 14 votes, %s signatures a second", b.Justification, group(uint64(b.Signatures)))
	line("pulse", "%.2f ms", b.Pulse)
	line("hashing", "%.0f MB a second", b.Hash)
	if b.Sync > 0 {
		line("write", "%.2f ms until it is safe", b.Sync)
	} else {
		line("write", "not tried: the data directory is another user's")
	}
	line("suggests", "%s: %s", b.Suggest, b.Why)
}

func (a *app) bugreportCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:     "bugreport",
		GroupID: "node",
		Short:   "one file for whoever helps, without what strangers need not know",
		Long: `Writes one file of text with what helps to find a fault: versions, board, settings that
are not the defaults, doctor, status, power and gossip. The last parts of addresses, names
of people and machines, and all but the beginning of keys, hashes and ids are taken
out, and commands and web addresses of the settings are not named. Nothing is sent
anywhere: read it, and send it to whom you like. - writes to standard output.`,
		Example: `  taolight bugreport
  taolight bugreport -o -`,
		Args: cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.config(cmd)
			if err != nil {
				return err
			}
			text, err := a.report(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if path == "-" {
				_, err := a.stdout.Write(text)
				return err
			}
			if path == "" {
				path = "taolight-bugreport-" + a.now().UTC().Format("20060102-150405") + ".txt"
			}
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			_, err = f.Write(text)
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "%s: %s. Read it before you send it.\n", path, size(uint64(len(text))))
			return nil
		}),
	}
	cmd.Flags().StringVarP(&path, "output", "o", "", "file to write, which must not be there; - is standard output")
	a.settings(cmd)
	return cmd
}

// private are settings of which a report says only that they are set.
var private = []string{"alerts.exec", "alerts.webhook", "power.on_level", "power.uplink.on", "power.uplink.off", "power.lat", "power.lon", "carriers", "power.sources"}

// report puts a bug report together.
func (a *app) report(ctx context.Context, cfg *config.Config) ([]byte, error) {
	x, err := a.examine(ctx, cfg, false)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	head := func(title string) { fmt.Fprintf(&b, "\n== %s\n", title) }
	fmt.Fprintf(&b, "taolight %s, commit %s, %s %s/%s\n", version, builtFrom, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	fmt.Fprintf(&b, "written %s\n", a.now().UTC().Format(time.RFC3339))
	name, _ := rig.Board(rig.Machine{})
	fmt.Fprintf(&b, "board %q, %d processors, network %s\n", name, runtime.NumCPU(), cfg.Network)

	head("settings that are not the defaults")
	for _, s := range config.Settings() {
		if o := cfg.Origin(s.Key); o != "default" {
			if slices.Contains(private, s.Key) || strings.HasPrefix(o, "flag") || strings.HasPrefix(o, "environment") {
				o, _, _ = strings.Cut(o, " ")
			}
			fmt.Fprintf(&b, "%s (%s)\n", s.Key, o)
		}
	}
	head("doctor")
	plain := *a
	plain.style = false
	plain.printChecks(&b, x.list)
	if x.status != nil {
		head("status")
		soon, cancel := context.WithTimeout(ctx, dialAndAnswer)
		neurons, err := askNeurons(soon, x.status.DataDir)
		cancel()
		if err != nil {
			fmt.Fprintln(&b, "neurons:", err)
		}
		plain.printStatus(&b, x.status, neurons)
		for _, part := range []struct {
			name string
			ask  func(ctx context.Context) (any, error)
		}{
			{"status as JSON", func(context.Context) (any, error) { return x.status, nil }},
			{"power", func(ctx context.Context) (any, error) { return x.c.Power(ctx) }},
			{"peers", func(ctx context.Context) (any, error) { return x.c.Peers(ctx) }},
			{"gossip", func(ctx context.Context) (any, error) { return x.c.Gossip(ctx) }},
			{"transactions", func(ctx context.Context) (any, error) { return x.c.Transactions(ctx, control.TxQuestion{}) }},
		} {
			head(part.name)
			late, cancel := context.WithTimeout(ctx, dialAndAnswer)
			v, err := part.ask(late)
			cancel()
			if err != nil {
				fmt.Fprintln(&b, err)
				continue
			}
			text, err := json.MarshalIndent(v, "", " ")
			if err != nil {
				return nil, err
			}
			b.Write(append(text, '\n'))
		}
	}
	host, _ := os.Hostname()
	login := ""
	if u, err := user.Current(); err == nil {
		login = u.Username
	}
	home, _ := os.UserHomeDir()
	return []byte(doctor.NewRedactor(home, login, host).Redact(b.String())), nil
}
