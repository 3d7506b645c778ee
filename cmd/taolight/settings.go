package main

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
)

// Which settings a command takes, by their key. What reads takes all but a node's own, because it
// starts a node with the same settings when none runs; what works on files needs to know where.
var (
	readerSettings = []string{"network", "data_dir", "peers", "max_peers", "checkpoint", "log_level"}
	fileSettings   = []string{"network", "data_dir", "checkpoint"}
)

// settings adds the flags of these settings, all of them if none is named, and --config.
func (a *app) settings(cmd *cobra.Command, keys ...string) {
	for _, s := range config.Settings() {
		if len(keys) > 0 && !slices.Contains(keys, s.Key) || len(keys) == 0 && s.Neuron {
			continue
		}
		help := s.Help
		if len(s.Also) > 0 {
			help += " (" + s.Also[0] + ")"
		}
		if s.Default != "" {
			help += " (default " + s.Default + ")"
		}
		// The values are read by internal/config, which also says what is wrong with them.
		cmd.Flags().VarP(new(words), s.Flag, s.Short, help)
		if s.Switch {
			cmd.Flags().Lookup(s.Flag).NoOptDefVal = "true"
		}
		if len(keys) == 0 && strings.HasPrefix(s.Key, "power.") {
			cmd.Flags().Lookup(s.Flag).Hidden = true // `power --help` lists them
		}
	}
	cmd.Flags().String("config", "", "settings file (default taolight/taolight.toml in ~/.config or /etc)")
}

// words are the values of a flag each time that it is given.
type words []string

func (w *words) Set(s string) error { *w = append(*w, s); return nil }
func (w *words) String() string     { return strings.Join(*w, " ") }
func (w *words) Type() string       { return "string" }

// config puts the settings of a command together.
func (a *app) config(cmd *cobra.Command) (*config.Config, error) { return a.load(cmd, false) }

// load does so for a neuron too, which also reads the SDK's environment.
func (a *app) load(cmd *cobra.Command, neuron bool) (*config.Config, error) {
	src := config.Sources{Flags: map[string][]string{}, Environ: a.environ}
	known := map[string]bool{}
	for _, s := range config.Settings() {
		known[s.Flag] = true
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch {
		case f.Name == "config":
			src.File = f.Value.String()
		case known[f.Name]:
			if w, ok := f.Value.(*words); ok {
				src.Flags[f.Name] = *w
			}
		}
	})
	a.configFile, src.Neuron = src.File, neuron
	cfg, err := config.Load(src)
	if err != nil {
		return nil, &control.Error{Code: control.Usage, Err: err}
	}
	return cfg, nil
}

func (a *app) jsonFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON, and nothing else")
}

func (a *app) timeoutFlag(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&a.timeout, "timeout", time.Minute, "how long to wait for an answer")
}
