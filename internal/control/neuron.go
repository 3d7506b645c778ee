package control

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// methodNeuron is what a miner or a validator is asked, which has a folder and a socket of its own.
const methodNeuron = "neuron"

// neuronsName is the folder of the neurons' folders in the data directory of their node.
const neuronsName = "neurons"

// A Neuron is a miner or a validator as it tells of itself.
type Neuron struct {
	Schema  int    `json:"schema"`
	Role    string `json:"role"` // "miner" or "validator"
	Network string `json:"network"`
	Demo    bool   `json:"demo"`
	Netuid  uint16 `json:"netuid"`
	Hotkey  string `json:"hotkey"`
	PID     int    `json:"pid"`
	DryRun  bool   `json:"dry_run"` // it signs and sends nothing
	Dir     string `json:"dir"`
	// State is the role's own: neuron/miner.Status, or that of neuron/validator.
	State json.RawMessage `json:"state"`
}

// NeuronDir returns the folder of a neuron: what it keeps, and its socket, whose path is best short. Of the hotkey's
// address it has the beginning, of which two hotkeys share twelve letters by no accident.
func NeuronDir(nodeDir string, netuid uint16, hotkey string) string {
	return filepath.Join(nodeDir, neuronsName, fmt.Sprintf("%d-%s", netuid, hotkey[:min(len(hotkey), 12)]))
}

// NeuronDirs returns the folders of all neurons that have been beside a node, whether they run or not.
func NeuronDirs(nodeDir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(nodeDir, neuronsName))
	if os.IsNotExist(err) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, filepath.Join(nodeDir, neuronsName, e.Name()))
		}
	}
	return out, err
}

// ServeNeuron answers for a neuron on the socket of its folder until ctx ends. It returns when the socket is open.
func ServeNeuron(ctx context.Context, dir string, about func() (*Neuron, error)) error {
	s, err := Listen(dir)
	if err != nil {
		return err
	}
	go s.Serve(ctx, func(_ context.Context, method string, _ json.RawMessage) (any, error) {
		if method != methodNeuron {
			return nil, Errorf(Usage, "%w %q: this is a neuron", ErrMethod, method[:min(len(method), 64)])
		}
		return about()
	})
	return nil
}

// AskNeuron asks the neuron of a folder about itself; ErrNoNode: it does not run.
func AskNeuron(ctx context.Context, dir string) (*Neuron, error) {
	c, err := Find(dir)
	if err != nil {
		return nil, err
	}
	return call[Neuron](ctx, c, methodNeuron, nil)
}
