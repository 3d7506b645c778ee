package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/neuron/wallet"
	"github.com/taolight/taolight/verify"
)

// Which settings are of one role alone, by their key.
var (
	minerSettings     = []string{"neuron.handler", "neuron.path"}
	validatorSettings = []string{"neuron.timeout", "neuron.sample_size", "neuron.epoch_length", "neuron.moving_average_alpha",
		"neuron.vpermit_tao_limit", "neuron.disable_set_weights", "neuron.scorer", "neuron.query_every", "neuron.version_key", "neuron.commit"}
)

// shownSettings are those of a neuron's own node that its help lists.
var shownSettings = []string{"network", "data_dir", "peers", "log_level"}

// servesOnly are the settings of who has an axon.
func servesOnly(key string) bool {
	return strings.HasPrefix(key, "axon.") || strings.HasPrefix(key, "blacklist.") || strings.HasPrefix(key, "priority.")
}

// neuronFlags adds the flags of a miner or a validator: those of its node, which it starts if none runs, and
// its own but for the other role's. They can be written with dashes and underscores as well.
func (a *app) neuronFlags(cmd *cobra.Command, role string, dryRun *bool) {
	theirs := validatorSettings
	if role == roleValidator {
		theirs = minerSettings
	}
	var keys []string
	spelled := map[string]string{}
	for _, s := range config.Settings() {
		if slices.Contains(theirs, s.Key) || role == roleValidator && servesOnly(s.Key) {
			continue
		}
		keys = append(keys, s.Key)
		spelled[plainFlag(s.Flag)] = s.Flag
	}
	a.settings(cmd, keys...)
	for _, s := range config.Settings() { // `run --help` lists the others of a node
		f := cmd.Flags().Lookup(s.Flag)
		if f != nil && (!s.Neuron && !slices.Contains(shownSettings, s.Key) || strings.HasPrefix(s.Key, "logging.")) {
			f.Hidden = true
		}
	}
	f := cmd.Flags()
	f.BoolVar(dryRun, "dry-run", false, "sign and send nothing to the chain: say what would be")
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if n, ok := walletNames[name]; ok {
			name = n
		} else if n, ok := spelled[plainFlag(name)]; ok {
			name = n
		}
		return pflag.NormalizedName(name)
	})
}

// plainFlag is what a flag's spellings have in common.
func plainFlag(name string) string { return strings.NewReplacer("_", "-", ".", "-").Replace(name) }

// neuronConfig puts the settings of a neuron together, and finds out which network is meant.
func (a *app) neuronConfig(cmd *cobra.Command) (*config.Config, error) {
	cfg, err := a.load(cmd, true)
	if err != nil {
		return nil, err
	}
	if cfg.Neuron.Netuid == 0 {
		return nil, usage("--netuid is missing: which subnet is it for?")
	}
	network, err := cfg.Subtensor()
	if err != nil {
		return nil, usage("%w", err)
	}
	if network == config.Local {
		if cfg.Network, err = nodeHere(cfg.DataDir); err != nil {
			return nil, err
		}
	}
	return cfg, nil
}

// nodeHere returns the network of the one node that runs on this machine's data directories, by the name of
// its folder.
func nodeHere(dataDir string) (string, error) {
	entries, err := os.ReadDir(dataDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	var found []string
	for _, e := range entries {
		if _, err := control.Find(filepath.Join(dataDir, e.Name())); e.IsDir() && err == nil {
			found = append(found, e.Name())
		}
	}
	switch len(found) {
	case 1:
		if found[0] == config.Finney || found[0] == config.Test || found[0] == config.Demo {
			return found[0], nil
		}
		return "./" + found[0] + ".json", nil // its folder is named after the file
	case 0:
		return "", control.Errorf(control.Failure, "no node runs in %s", dataDir).
			WithHint("start one with taolight run, or name the network: then the neuron starts its own")
	}
	return "", usage("several nodes run in %s: %s", dataDir, strings.Join(found, ", ")).WithHint("name one with --network")
}

// neuronKey reads the hotkey that the settings name.
func (a *app) neuronKey(cfg *config.Config) (*wallet.Hotkey, error) {
	w := cfg.Neuron.Wallet
	return a.hotkey(&walletFlags{name: w.Name, hotkey: w.Hotkey, path: w.Path})
}

// accountsOf reads addresses that came by a setting.
func accountsOf(cfg *config.Config, key string, list []string) ([]verify.AccountID, error) {
	var out []verify.AccountID
	for _, text := range list {
		id, err := verify.ParseAccount(text)
		if err != nil {
			return nil, usage("%s: %w", cfg.Origin(key), err)
		}
		out = append(out, id)
	}
	return out, nil
}

// askNeurons asks every neuron that runs beside the node of a data directory.
func askNeurons(ctx context.Context, nodeDir string) ([]*control.Neuron, error) {
	dirs, err := control.NeuronDirs(nodeDir)
	if err != nil {
		return nil, err
	}
	var out []*control.Neuron
	for _, dir := range dirs {
		n, err := control.AskNeuron(ctx, dir)
		if errors.Is(err, control.ErrNoNode) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}
