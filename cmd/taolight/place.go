package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify/checkpoint"
)

// A place is a network, what is trusted to begin with, and where its data are.
type place struct {
	cfg       *config.Config
	settings  string                 // the settings file given, if any
	network   *checkpoint.Network    // what is compiled in about it; nil if nothing is
	root      *checkpoint.Checkpoint // what to start from; nil on a demo network that does not run
	from      string                 // who brought root, in words
	bootnodes []string
	demo      bool
	backDated bool // slots lie in the past on purpose
	warnings  []string
	dir       string
}

// demoSpecID is the id in the chain spec of a demo network.
const demoSpecID = "taolight_demo"

// place finds out where to start from. On the demo network that is nowhere before it runs.
func (a *app) place(cfg *config.Config) (*place, error) {
	p := &place{cfg: cfg, settings: a.configFile, dir: cfg.Dir()}
	// Before anything is made on disk: what cannot be dialled.
	book := lightclient.NewBook(nil)
	for _, addr := range cfg.Peers {
		if err := book.AddGiven(addr, "given"); err != nil {
			return nil, usage("%s: %w", cfg.Origin("peers"), err)
		}
	}
	switch cfg.Network {
	case config.Demo:
		p.demo, p.from = true, "genesis of this demo chain"
		if cfg.Checkpoint != "" {
			return nil, usage("--checkpoint: a demo chain starts from its own genesis")
		}
		return p, nil
	case config.Finney, config.Test:
		n, err := checkpoint.ByName(cfg.Network)
		if err != nil {
			return nil, err
		}
		p.network, p.bootnodes = n, n.Bootnodes
		p.root, p.from = n.Checkpoint, "built in"
	default:
		if err := p.readFile(cfg.Network); err != nil {
			return nil, err
		}
	}
	if err := p.imported(); err != nil {
		return nil, err
	}
	if cfg.Checkpoint == "" {
		return p, nil
	}
	given, err := p.readRoot(cfg.Checkpoint)
	if err == nil {
		err = forward(p.root, given, p.from)
	}
	if err != nil {
		return nil, err
	}
	p.root, p.from = given, cfg.Origin("checkpoint")+" "+cfg.Checkpoint
	return p, nil
}

// readFile takes the network from a chain spec or a checkpoint file.
func (p *place) readFile(path string) error {
	b, err := readBounded(path, checkpoint.MaxSize)
	if err != nil {
		return usage("network file: %w", err)
	}
	if p.root, err = checkpoint.Parse(b); err != nil {
		return usage("network file %s: %w", path, err)
	}
	p.from = "file " + path
	if p.root.Source != "" {
		p.from += ", " + p.root.Source
	}
	if n, err := checkpoint.ByGenesis(p.root.Genesis); err == nil {
		p.network, p.bootnodes = n, n.Bootnodes
	}
	if s, err := checkpoint.ParseSpec(b); err == nil {
		p.warnings = s.Warnings
		if len(s.BootNodes) > 0 {
			p.bootnodes = nil
		}
		// Specs are written for nodes that speak more transports; one address is enough.
		book := lightclient.NewBook(nil)
		for _, addr := range s.BootNodes {
			if err := book.AddGiven(addr, "bootnode"); err != nil {
				p.warnings = append(p.warnings, "bootNodes: "+printable(err.Error()))
				continue
			}
			p.bootnodes = append(p.bootnodes, addr)
		}
		if s.ID == demoSpecID {
			p.root.Network = demonet.Name
			p.demo = true
			// With a runtime a demo chain has that runtime's slots, which start back in time, and its spec says so.
			var properties struct {
				SlotsBackDated bool `json:"slotsBackDated"`
			}
			p.backDated = json.Unmarshal(s.Properties, &properties) == nil && properties.SlotsBackDated
		}
	}
	if p.root.Genesis.IsZero() {
		return usage("network file %s: it does not say of which network the checkpoint is", path).
			WithHint("give --network and, for the checkpoint, --checkpoint %s", path)
	}
	return nil
}

// importFile is where an imported checkpoint is kept: beside the network's folder, so that a backup
// that is restored does not touch it.
func (p *place) importFile() string { return p.dir + ".checkpoint.json" }

// imported takes the imported checkpoint if it is newer than the one at hand.
func (p *place) imported() error {
	b, err := readBounded(p.importFile(), checkpoint.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var c *checkpoint.Checkpoint
	if err == nil {
		c, err = checkpoint.Parse(b)
	}
	if err == nil && checkpoint.Newer(c, p.root) {
		if err = checkpoint.CheckForward(p.root, c); err == nil {
			p.root, p.from = c, "imported, "+p.importFile()
		}
	}
	if err != nil {
		return control.Errorf(control.Failure, "imported checkpoint %s: %w", p.importFile(), err).
			WithHint("remove the file, or import another checkpoint")
	}
	return nil
}

// readRoot reads a checkpoint from the command line: a file in any form that checkpoint.Parse knows,
// or NUMBER:HASH:SETID.
func (p *place) readRoot(arg string) (*checkpoint.Checkpoint, error) {
	if pin, err := checkpoint.ParsePin(arg); err == nil {
		n := p.network
		if n == nil {
			n = &checkpoint.Network{Name: p.root.Network, Genesis: p.root.Genesis, SlotDuration: p.root.SlotDuration}
		}
		c, err := pin.Checkpoint(n)
		if errors.Is(err, checkpoint.ErrNoSet) {
			return nil, usage("checkpoint %s: %w", arg, err).WithHint("add the GRANDPA set id: NUMBER:HASH:SETID; no peer can be trusted to tell it")
		}
		if err != nil {
			return nil, usage("checkpoint %s: %w", arg, err)
		}
		return c, nil
	}
	b, err := readBounded(arg, checkpoint.MaxSize)
	if errors.Is(err, fs.ErrNotExist) && strings.Contains(arg, ":") {
		_, perr := checkpoint.ParsePin(arg)
		return nil, usage("checkpoint %q: %w", arg, perr)
	}
	if err != nil {
		return nil, usage("checkpoint: %w", err)
	}
	c, err := checkpoint.Parse(b)
	if err != nil {
		return nil, usage("checkpoint %s: %w", arg, err)
	}
	if c.Genesis.IsZero() { // an upstream checkpoint does not name its network
		c.Genesis, c.Network = p.root.Genesis, p.root.Network
	}
	return c, nil
}

// forward refuses a checkpoint that would take us back.
func forward(from, to *checkpoint.Checkpoint, who string) error {
	err := checkpoint.CheckForward(from, to)
	if err == nil {
		return nil
	}
	e := control.Errorf(control.Failure, "checkpoint refused: %w", err)
	switch {
	case errors.Is(err, checkpoint.ErrOlder):
		return e.WithHint("what is in use is newer (%s): going back would let retired keys sign another history", who)
	case errors.Is(err, checkpoint.ErrConflict):
		return e.WithHint("one of the two is false: compare the hash with people you trust before going on")
	case errors.Is(err, checkpoint.ErrOtherNetwork):
		return e.WithHint("name its network with --network")
	}
	return e
}

// readBounded reads a file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > limit {
		return nil, fmt.Errorf("%s: %d bytes, at most %d allowed", path, info.Size(), limit)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s: more than %d bytes", path, limit)
	}
	return b, err
}
