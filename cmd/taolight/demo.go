package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/demonet"
)

// demoFlags are the flags of a demo network, alone or beside a node.
type demoFlags struct {
	specOut, chainSpec      string
	peers, authorities      int
	blockTime               time.Duration
	history, setChangeEvery int
	faults                  []string
	archive                 bool
	tempo                   int
	spec                    uint32
	commitFaults            []string
	epochFaults             []string
	emissionFault           string
}

// register adds the flags. --chain-spec has no prefix, as no other network has a use for it.
func (d *demoFlags) register(cmd *cobra.Command, prefix string) {
	f := cmd.Flags()
	f.StringVar(&d.specOut, prefix+"spec-out", "", "write the chain's raw spec to this file, for others to join (- is stdout)")
	f.StringVar(&d.chainSpec, "chain-spec", "", "chain spec whose runtime makes the chain, a localnet: //Alice is its sudo key")
	f.IntVar(&d.peers, prefix+"peers", demonet.DefaultPeers, "full peers")
	f.IntVar(&d.authorities, prefix+"authorities", demonet.DefaultAuthorities, "authorities that make and finalize blocks")
	f.DurationVar(&d.blockTime, prefix+"block-time", demonet.DefaultBlockTime, "time between blocks")
	f.IntVar(&d.history, prefix+"history", demonet.DefaultHistory, "blocks that are there at the start")
	f.IntVar(&d.setChangeEvery, prefix+"set-change-every", demonet.DefaultSetChanges, "blocks between changes of the authority sets,\n0 for never; by default there is one in block 20 too")
	f.StringArrayVar(&d.faults, prefix+"fault", nil, "PEER:KIND, what is wrong with which peer (taolight demo --help lists the kinds)")
	f.IntVar(&d.tempo, prefix+"tempo", demonet.DefaultTempo, "blocks of an epoch: how often validators commit to weights")
	f.StringArrayVar(&d.commitFaults, prefix+"commit-fault", nil, "KIND, what is wrong with the commits of one validator of each subnet, one KIND\nan epoch, or all (taolight demo --help lists the kinds)")
	f.StringArrayVar(&d.epochFaults, prefix+"epoch-fault", nil, "ARRAY in which the chain gets a cell wrong, one an epoch in turn, or all")
	f.StringVar(&d.emissionFault, prefix+"emission-fault", "none", "RULE of the emission that the chain breaks in every block\n(taolight demo --help lists them)")
	f.Uint32Var(&d.spec, prefix+"spec-version", 0, "spec_version that the runtime says it has (default the newest known)")
	f.BoolVar(&d.archive, prefix+"archive", false, "let the last peer keep every state, not only those of 256 blocks")
}

// given reports whether any of the flags stands on the command line.
func (d *demoFlags) given(cmd *cobra.Command, prefix string) bool {
	for _, name := range []string{"spec-out", "peers", "authorities", "block-time", "history", "set-change-every", "fault", "archive", "tempo", "commit-fault", "epoch-fault", "emission-fault", "spec-version"} {
		if cmd.Flags().Changed(prefix + name) {
			return true
		}
	}
	return cmd.Flags().Changed("chain-spec")
}

// config turns the flags into a network's configuration, in which 0 means a default and a negative
// number none.
func (d *demoFlags) config() (demonet.Config, error) {
	cfg := demonet.Config{Slack: noSlack, Peers: d.peers, Authorities: d.authorities, BlockTime: d.blockTime, Archive: d.archive,
		Spec: d.spec}
	if d.tempo != demonet.DefaultTempo {
		cfg.Tempo = d.tempo
	}
	for _, c := range []struct {
		name string
		n    int
	}{{"peers", d.peers}, {"authorities", d.authorities}} {
		if c.n < 1 {
			return cfg, usage("%s %d: want at least 1", c.name, c.n)
		}
	}
	if d.blockTime <= 0 {
		return cfg, usage("block time %v: want more than nothing", d.blockTime)
	}
	cfg.History = orNone(d.history)
	if d.setChangeEvery != demonet.DefaultSetChanges {
		cfg.SetChangeEvery = orNone(d.setChangeEvery) // 0 stands for the default, which has an early first one
	}
	if cfg.History < -1 || cfg.SetChangeEvery < -1 {
		return cfg, usage("history and set-change-every cannot be negative")
	}
	for _, text := range d.faults {
		f, err := parseFault(text)
		if err != nil {
			return cfg, err
		}
		cfg.Faults = append(cfg.Faults, f)
	}
	for _, name := range d.commitFaults {
		if name == "all" {
			cfg.CommitFaults = append(cfg.CommitFaults, demonet.CommitFaults()...)
			continue
		}
		f, err := demonet.ParseCommitFault(name)
		if err != nil {
			return cfg, usage("--commit-fault: %w", err).WithHint("taolight demo --help lists the kinds")
		}
		cfg.CommitFaults = append(cfg.CommitFaults, f)
	}
	for _, name := range d.epochFaults {
		if name == "all" {
			cfg.EpochFaults = append(cfg.EpochFaults, demonet.EpochFaults()...)
			continue
		}
		f, err := demonet.ParseEpochFault(name)
		if err != nil {
			return cfg, usage("--epoch-fault: %w", err).WithHint("taolight demo --help lists the arrays")
		}
		cfg.EpochFaults = append(cfg.EpochFaults, f)
	}
	var err error
	if cfg.EmissionFault, err = demonet.ParseEmissionFault(d.emissionFault); err != nil {
		return cfg, usage("--emission-fault: %w", err).WithHint("taolight demo --help lists the rules")
	}
	if d.chainSpec != "" {
		b, err := readBounded(d.chainSpec, maxChainSpec)
		if err != nil {
			return cfg, usage("--chain-spec: %w", err)
		}
		cfg.ChainSpec = b
		cfg.Slack = 0 // its slots last longer than its blocks, and have to start back in time
	}
	return cfg, nil
}

// noSlack lets the history end at the start: these networks run by the clock, and a head that is minutes
// old to begin with would be called so.
const noSlack = -1

const maxChainSpec = 64 << 20

func orNone(n int) int {
	if n == 0 {
		return -1
	}
	if n < 0 {
		return -2 // refused
	}
	return n
}

// parseFault reads PEER:KIND, with BLOCKS for late-finality and RATE for slow-link after another colon.
func parseFault(text string) (demonet.Fault, error) {
	var f demonet.Fault
	part := strings.Split(text, ":")
	if len(part) < 2 || len(part) > 3 {
		return f, usage("--fault %q: want PEER:KIND", text)
	}
	n, err := strconv.Atoi(part[0])
	if err != nil || n < 0 {
		return f, usage("--fault %q: want the number of a peer, from 0 on, before the colon", text)
	}
	f.Peer = n
	if f.Kind, err = demonet.ParseFaultKind(part[1]); err != nil {
		return f, usage("--fault %q: %w", text, err).WithHint("taolight demo --help lists the kinds")
	}
	if len(part) == 3 {
		v, err := strconv.Atoi(part[2])
		switch {
		case err != nil || v <= 0:
			return f, usage("--fault %q: want a number after the second colon", text)
		case f.Kind == demonet.LateFinality:
			f.Blocks = v
		case f.Kind == demonet.SlowLink:
			f.Rate = v
		default:
			return f, usage("--fault %q: %s takes no number", text, f.Kind)
		}
	}
	return f, nil
}

// writeSpec writes the chain spec where --spec-out says.
func (d *demoFlags) writeSpec(a *app, net *demonet.Network) error {
	if d.specOut == "" {
		return nil
	}
	var b bytes.Buffer
	if err := net.SpecJSON(&b); err != nil {
		return err
	}
	if d.specOut == "-" {
		_, err := a.stdout.Write(b.Bytes())
		return err
	}
	return writeFile(d.specOut, b.Bytes(), 0o644)
}

// writeFile puts a file in place in one step, so that who waits for it never reads half of it.
func writeFile(path string, b []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".taolight-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

func (a *app) demoCommand() *cobra.Command {
	var d demoFlags
	var kinds strings.Builder
	for _, k := range demonet.FaultKinds() {
		fmt.Fprintf(&kinds, "\n  %-24s %s", k, k.What())
	}
	var commits strings.Builder
	for _, f := range demonet.CommitFaults() {
		fmt.Fprintf(&commits, "\n  %-24s %s", f, f.What())
	}
	var epochs strings.Builder
	for _, f := range demonet.EpochFaults() {
		fmt.Fprintf(&epochs, "\n  %-24s %s", f, f.What())
	}
	var emission strings.Builder
	for _, f := range demonet.EmissionFaults() {
		fmt.Fprintf(&emission, "\n  %-24s %s", f, f.What())
	}
	cmd := &cobra.Command{
		Use:     "demo",
		GroupID: "node",
		Short:   "run the full peers of a demo network, for other processes to join",
		Long: `Runs a demo network in the foreground: a small chain with real Aura seals and
GRANDPA rounds, and its full peers on loopback sockets. Others join it by the chain
spec that --spec-out writes. taolight run --network demo has its own and needs none.

With --chain-spec FILE the chain is made by executing the runtime in that file, with
its genesis state but for what makes it ours: authorities, sudo key, funds. Sign as
//Alice. Tempo, commit and epoch faults are of the chain without a runtime.

What can be wrong with a peer (--fault PEER:KIND, peers count from 0; late-finality
takes :BLOCKS and slow-link :BYTES_PER_SECOND after it):
` + kinds.String() + `

What can be wrong with a validator's weight commitment, or odd and still good
(--commit-fault KIND, or all):
` + commits.String() + `

What the chain can get wrong in an epoch (--epoch-fault ARRAY, or all):
` + epochs.String() + `

What rule of the emission the chain can break (--emission-fault RULE):
` + emission.String(),
		Example: `  taolight demo --spec-out demo.json
  taolight run --network ./demo.json      in another terminal
  taolight demo --spec-out demo.json --fault 1:lie-read --fault 2:silent
  taolight run --network demo --demo-commit-fault all
  taolight run --network demo --chain-spec raw_spec_testfinney.json`,
		Args: cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error { return a.runDemo(cmd, &d) }),
	}
	d.register(cmd, "")
	return cmd
}

// sayRuntime tells what a localnet runs, and what of its chain spec it did not take over.
func sayRuntime(j *journal, net *demonet.Network) {
	o := net.Origin()
	if o == nil {
		return
	}
	j.say("runtime", "%s %d makes the blocks, in slots of %v", o.Runtime.SpecName, o.Runtime.Spec, time.Duration(net.SlotDuration())*time.Millisecond)
	for _, r := range o.Replaced {
		j.say("genesis", "%s: %s", r.Item, r.Now)
	}
}

func (a *app) runDemo(cmd *cobra.Command, d *demoFlags) error {
	cfg, err := d.config()
	if err != nil {
		return err
	}
	out := a.stdout
	if d.specOut == "-" {
		out = a.stderr
	}
	j := newJournal(a, out, "info")
	ctx, cancel := stopSignals(cmd.Context(), func() {})
	defer cancel()
	net, err := demonet.New(cfg)
	if err != nil {
		return &control.Error{Code: control.Usage, Err: err}
	}
	defer net.Stop()
	if err := d.writeSpec(a, net); err != nil {
		return err
	}
	best := net.Best()
	j.say("demo", "chain %s at %s, a block each %v, %s", net.Genesis().Short(), block(best.Number), d.blockTime, count(d.authorities, "authority"))
	for _, addr := range net.Bootnodes() {
		j.say("peer", "%s", addr)
	}
	sayRuntime(j, net)
	for _, f := range cfg.Faults {
		j.say("fault", "peer %d %s", f.Peer, f.Kind.What())
	}
	if d.specOut != "" && d.specOut != "-" {
		path := absolute(d.specOut)
		j.say("join", "%s run --network %s", a.called(), quote(path))
	} else if d.specOut == "" {
		j.say("join", "others need the chain spec: --spec-out FILE")
	}
	ended := make(chan error, 1)
	go func() { ended <- net.Run(ctx) }()
	tick := time.NewTicker(headEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if ctx.Err() != nil {
				return nil
			}
			return err
		case <-tick.C:
			j.say("final", "%s, best %s (demo)", block(net.Finalized().Header.Number), block(net.Best().Number))
		}
	}
}
