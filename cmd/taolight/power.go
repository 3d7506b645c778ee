package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/internal/power/rig"
)

// powerSettings are the keys of the settings that decide about power.
func powerSettings() []string {
	keys := []string{"max_mb_per_day"}
	for _, s := range config.Settings() {
		if strings.HasPrefix(s.Key, "power.") {
			keys = append(keys, s.Key)
		}
	}
	return keys
}

// powerConfig gives the settings their meaning. Explicit and Board are the machine's to say.
func powerConfig(cfg *config.Config) (power.Config, error) {
	p := &cfg.Power
	assume, err := power.ParseLevel(p.Assume)
	if err != nil {
		return power.Config{}, usage("%s: %w", cfg.Origin("power.assume"), err)
	}
	window, err := power.ParseWindow(p.Uplink.Window)
	if err != nil {
		return power.Config{}, usage("%s: %w", cfg.Origin("power.uplink.window"), err)
	}
	c := power.Config{
		Chemistry: power.Chemistry(p.Chemistry), CapacityWh: p.CapacityWh, Cells: p.Cells,
		Eco: p.Eco, Survive: p.Survive, Park: p.Park, LeavePark: p.LeavePark, FloorLearning: p.FloorLearning, Assume: assume, NoMeters: slices.Contains(p.Sources, rig.None),
		Lat: p.Lat, Lon: p.Lon, YieldShare: p.YieldShare / 100, Board: power.Board{Idle: p.IdleWatts},
		Uplink:         power.Uplink{Switched: p.Uplink.On != "" || p.Uplink.Off != "", Watts: p.Uplink.Watts, Window: window, MaxWhPerDay: p.Uplink.MaxWhPerDay},
		MaxBytesPerDay: uint64(cfg.MaxMBPerDay * 1e6),
	}
	if err := c.Check(); err != nil {
		return power.Config{}, usage("settings: %w", err)
	}
	return c, nil
}

func (a *app) powerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "power",
		GroupID: "node",
		Short:   "meters, the level they lead to and why, what comes next and costs",
		Long: `Shows what each meter says, which level follows – full, eco, survive or park – and
why, what would change it, and what a day at each level costs. The node that runs here
is asked; with none running, or with flags that name meters or thresholds, the meters
are read by the command: a node watches for longer, and waits before it changes.
Figures called est. are arithmetic from published ones.`,
		Example: `  taolight power
  taolight power --power-source vedirect:/dev/ttyUSB0
  taolight power simulate --trace FILE --power-capacity-wh 120`,
		Args: cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.config(cmd)
			if err != nil {
				return err
			}
			r, err := a.askPower(cmd, cfg)
			if err != nil {
				return err
			}
			if a.json {
				return printJSON(a.stdout, r)
			}
			a.printPower(a.stdout, r)
			return nil
		}),
	}
	a.settings(cmd, append(powerSettings(), "network", "data_dir")...)
	a.jsonFlag(cmd)
	cmd.AddCommand(a.simulateCommand())
	return cmd
}

// checkPower finds what is wrong with the settings before anything is started.
func checkPower(cfg *config.Config) error {
	if _, err := powerConfig(cfg); err != nil {
		return err
	}
	meters, err := rig.New(cfg.Power.Sources, rig.Machine{}) // it reaches for nothing
	if err != nil {
		return usage("%s: %w", cfg.Origin("power.sources"), err)
	}
	return meters.Close()
}

// askPower asks the node that runs, or the meters.
func (a *app) askPower(cmd *cobra.Command, cfg *config.Config) (*control.Power, error) {
	for _, key := range powerSettings() {
		if strings.HasPrefix(cfg.Origin(key), "flag ") {
			return a.readPower(cmd.Context(), cfg)
		}
	}
	c, err := control.Find(cfg.Dir())
	if errors.Is(err, control.ErrNoNode) {
		return a.readPower(cmd.Context(), cfg)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), dialAndAnswer)
	defer cancel()
	return c.Power(ctx)
}

// readPower asks the meters once.
func (a *app) readPower(ctx context.Context, cfg *config.Config) (*control.Power, error) {
	c, err := powerConfig(cfg)
	if err != nil {
		return nil, err
	}
	m := rig.Machine{Invert: cfg.Power.InvertCurrent}
	meters, err := rig.New(cfg.Power.Sources, m)
	if err != nil {
		return nil, usage("%s: %w", cfg.Origin("power.sources"), err)
	}
	defer meters.Close()
	c.Explicit = meters.Explicit
	r := &control.Power{Schema: control.Schema, From: "meters", Hooks: []control.PowerHook{}}
	name, board := rig.Board(m)
	if c.Board.Idle == 0 {
		c.Board = board
	}
	r.Board, r.Costed = name, c.BoardName()
	in := power.Input{Wall: a.now(), Samples: meters.Poll(ctx, 0)}
	if synced := rig.KernelSynced(); synced != nil {
		in.Trusted = *synced
	}
	s, actions := power.Step(&c, power.State{}, in)
	r.Report = actions.Report(&c, &s, &in)
	r.Sources = powerSources(meters)
	return r, nil
}

func (a *app) printPower(w io.Writer, r *control.Power) {
	line := func(topic, format string, args ...any) {
		fmt.Fprintf(w, "%s %s\n", a.style.bold(fmt.Sprintf("%-8s", topic)), fmt.Sprintf(format, args...))
	}
	level := r.Level.String()
	if r.Level == power.Full {
		level = a.style.good(level)
	} else {
		level = a.style.bad(level)
	}
	line("level", "%s: %s", level, r.Why.Text)
	charge := "charge not known"
	switch {
	case r.SoC != nil:
		charge = fmt.Sprintf("%.0f %%", *r.SoC)
	case r.ByVolts != nil:
		charge = fmt.Sprintf("about %.0f %% by voltage", *r.ByVolts)
	}
	switch {
	case r.Source == nil:
		line("battery", "none is seen")
	case r.Net != nil:
		line("battery", "%s, %+.1f W   from %s (%s confidence)", charge, *r.Net, printable(r.Source.Name), confidence(r.Source.Conf))
	default:
		line("battery", "%s   from %s (%s confidence)", charge, printable(r.Source.Name), confidence(r.Source.Conf))
	}
	for i, n := range r.Next {
		topic := ""
		if i == 0 {
			topic = "next"
		}
		in := ""
		if n.In != nil {
			in = fmt.Sprintf(" (est. in %s)", span(*n.In))
		}
		line(topic, "%s %s%s", n.Level, n.When, in)
	}
	if m := r.Metered; m != nil {
		line("link", "%s of %s left today, enough for %s", size(m.Left), size(m.Limit), m.Level)
	}
	plan := fmt.Sprintf("finality by %s", r.Plan.Finality)
	switch {
	case r.Plan.SyncEvery == 1:
		plan += " of each block"
	case r.Plan.SyncEvery > 1:
		plan += fmt.Sprintf(" every %s", span(float64(r.Plan.SyncEvery)*power.BlockTime.Seconds()))
	}
	line("plan", "%s; %s out and %d in; writes: %s", plan, count(r.Plan.PeersOut, "peer"), r.Plan.PeersIn, r.Write)
	fmt.Fprintf(w, "\nest. cost of a day on %s, from published figures:\n", printable(r.Costed))
	for _, c := range r.Costs {
		mark := "  "
		if c.Level == r.Level {
			mark = "* "
		}
		fmt.Fprintf(w, "%s%-8s %6.2f W %7.1f Wh %10s of traffic, at most %s\n", mark, c.Level, c.Watts, c.WhPerDay, size(c.BytesPerDay), size(c.BytesMost))
	}
	fmt.Fprintln(w, "\nsources:")
	if len(r.Sources) == 0 {
		fmt.Fprintln(w, "  none")
	}
	for _, s := range r.Sources {
		word := s.State
		if s.State == "failed" {
			word = a.style.bad(word)
		}
		fmt.Fprintf(w, "  %-9s %s\n", word, printable(s.Name))
		if s.Error != "" && s.State == "failed" {
			fmt.Fprint(w, wrap(printable(s.Error), "            "))
		}
		if s.Sample != nil {
			fmt.Fprint(w, wrap(measured(s.Sample), "            "))
		}
	}
	for _, h := range r.Hooks {
		word := "has not run yet"
		switch {
		case h.Error != "":
			word = a.style.bad("failed") + ": " + printable(h.Error)
		case h.Runs > 0:
			word = fmt.Sprintf("ran %s, the last time for %s", count(int(h.Runs), "time"), h.State)
		}
		fmt.Fprintf(w, "%s command %s\n", h.Name, word)
	}
	if r.From == "meters" {
		fmt.Fprint(w, "\n", wrap("These are the meters of now, read by this command: a running node has watched for longer and waits before it changes its level.", ""))
	}
	for i, x := range r.Warnings {
		if i == 0 {
			fmt.Fprintln(w, "\n# health")
		}
		word := x.Severity + " " + x.Code
		if x.Severity == "error" {
			word = a.style.bad(word)
		}
		fmt.Fprintln(w, word)
		fmt.Fprint(w, wrap(printable(x.Title), "  "), wrap("-> "+printable(x.Remedy), "  "))
	}
}

func confidence(c power.Confidence) string {
	if c == "" {
		return "no"
	}
	return string(c)
}

// measured lists what a source measures.
func measured(s *control.PowerSample) string {
	var words []string
	add := func(p *float64, format string) {
		if p != nil {
			words = append(words, fmt.Sprintf(format, *p))
		}
	}
	add(s.SoC, "%.1f %%")
	add(s.Volts, "%.2f V")
	add(s.Amps, "%+.2f A")
	add(s.Watts, "%+.2f W")
	add(s.PV, "panel %.0f W")
	flag := func(p *bool, yes, no string) {
		if p != nil && *p {
			words = append(words, yes)
		} else if p != nil && no != "" {
			words = append(words, no)
		}
	}
	flag(s.Charging, "charging", "discharging")
	flag(s.External, "power from outside", "no power from outside")
	flag(s.Critical, "the battery ends", "")
	flag(s.Sag, "supply too low", "supply not too low")
	if len(words) == 0 {
		return "nothing that is known"
	}
	return strings.Join(words, ", ")
}

func (a *app) simulateCommand() *cobra.Command {
	var path, svg string
	o := power.Options{}
	cmd := &cobra.Command{
		Use:   "simulate --trace FILE",
		Short: "replay a trace of sun or of meters through the rules that a node obeys",
		Long: `Replays a trace, a day or a year, through the very rules by which a node picks its
level, and shows the levels, the energy, the traffic and the deadlines that it met.

A trace is a CSV file. Its first line names its columns: time (seconds, or RFC 3339),
and any of pv_w, load_w, soc, volts, amps, watts, external, critical, undervoltage.
With pv_w and no soc the battery is computed, for which --power-capacity-wh is needed.
An empty field was not measured; a value holds until the next line.
contrib/power-30-days.csv is an example: 30 days with clouds, made by a formula.

What the node draws and moves are estimates from published figures and arithmetic.`,
		Example: `  taolight power simulate --trace contrib/power-30-days.csv --power-capacity-wh 120 --svg power.svg`,
		Args:    cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.config(cmd)
			if err != nil {
				return err
			}
			if path == "" {
				return usage("--trace names the file to replay")
			}
			c, err := powerConfig(cfg)
			if err != nil {
				return err
			}
			if o.StartSoC < 0 || o.StartSoC > 100 {
				return usage("--start-soc: want 0 to 100")
			}
			if c.Board.Idle == 0 {
				_, c.Board = rig.Board(rig.Machine{})
			}
			s, err := a.simulate(path, &c, o)
			if err != nil {
				return err
			}
			if svg != "" {
				if err := os.WriteFile(svg, simulationSVG(s), 0o644); err != nil {
					return err
				}
			}
			if a.json {
				return printJSON(a.stdout, struct {
					Schema int    `json:"schema"`
					Costed string `json:"board_costed_as"`
					*power.Simulation
				}{1, c.BoardName(), s})
			}
			a.printSimulation(a.stdout, &c, s)
			return nil
		}),
	}
	cmd.Flags().StringVar(&path, "trace", "", "CSV file to replay; - is standard input")
	cmd.Flags().StringVar(&svg, "svg", "", "write a picture of it to this file")
	cmd.Flags().Float64Var(&o.StartSoC, "start-soc", 80, "charge at the start, in percent, where the battery is computed")
	cmd.Flags().Uint32Var(&o.Cutoff, "cutoff", power.Cutoff5000, "in how many blocks weights have to be set; 0: none are")
	a.settings(cmd, powerSettings()...)
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) simulate(path string, c *power.Config, o power.Options) (*power.Simulation, error) {
	in, name := a.stdin, "standard input"
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, control.Errorf(control.Usage, "trace: %w", err)
		}
		defer f.Close()
		in, name = f, path
	}
	t, err := power.NewTrace(in)
	var s *power.Simulation
	if err == nil {
		s, err = power.Simulate(c, t, o)
	}
	switch {
	case errors.Is(err, power.ErrConfig):
		return nil, control.Errorf(control.Usage, "%w", err).WithHint("give --power-capacity-wh")
	case err != nil:
		return nil, control.Errorf(control.Usage, "%s: %w", name, err)
	}
	return s, nil
}

func (a *app) printSimulation(w io.Writer, c *power.Config, s *power.Simulation) {
	battery := "as the trace measured it"
	if s.Computed {
		battery = fmt.Sprintf("computed, of %.0f Wh", c.CapacityWh)
	}
	fmt.Fprintf(w, "%s   %s, %.1f days, battery %s\n\n", a.style.bold("simulated"), count(s.Rows, "row"), s.Days, battery)
	total := s.Days * 24
	for _, cost := range s.Costs {
		name := cost.Level.String()
		fmt.Fprintf(w, "%-8s %8.1f h %5.1f %%\n", name, s.Hours[name], 100*s.Hours[name]/max(total, 1e-9))
	}
	fmt.Fprintf(w, "\nlevel    changed %s, at most %d in a day\n", count(s.Changes, "time"), s.MostChanges)
	fmt.Fprintf(w, "energy   node est. %.1f Wh on %s", s.SelfWh, c.BoardName())
	if s.PVWh != nil {
		fmt.Fprintf(w, "; panel %.1f Wh", *s.PVWh)
	}
	if s.SpilledWh != nil {
		fmt.Fprintf(w, "\n         %.1f Wh not stored for a full battery, %.1f Wh missing for an empty one", *s.SpilledWh, *s.UnservedWh)
	}
	fmt.Fprintln(w)
	if s.LeastSoC != nil {
		last := "not measured"
		if s.LastSoC != nil {
			last = fmt.Sprintf("%.0f %%", *s.LastSoC)
		}
		fmt.Fprintf(w, "charge   at least %.0f %%, at the end %s\n", *s.LeastSoC, last)
	}
	fmt.Fprintf(w, "traffic  est. %s, at most %s in a day\n", size(s.Bytes), size(s.MostBytes))
	if s.UplinkHours != nil {
		fmt.Fprintf(w, "uplink   on for %.1f h, %s in survive\n", *s.UplinkHours, count(s.Windows, "window"))
	} else {
		fmt.Fprintf(w, "windows  %d in survive\n", s.Windows)
	}
	if s.Deadlines > 0 {
		word := fmt.Sprintf("%d of %d met", s.Met, s.Deadlines)
		if s.Met < s.Deadlines {
			word = a.style.bad(word)
		}
		fmt.Fprintf(w, "weights  %s\n", word)
	}
	fmt.Fprintln(w)
	for i, e := range s.Events {
		if i == maxShownEvents {
			fmt.Fprintf(w, "… %d more; --json has all\n", len(s.Events)-i)
			break
		}
		at := e.Time
		if at == "" {
			at = (time.Duration(e.At) * time.Second).String()
		}
		fmt.Fprintf(w, "%-20s %-8s %s\n", at, e.Level, e.Why)
	}
}

// maxShownEvents bounds the list of changes on a screen.
const maxShownEvents = 40
