package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/lightclient/tx"
	"github.com/taolight/taolight/neuron"
	"github.com/taolight/taolight/neuron/axon"
	"github.com/taolight/taolight/neuron/handler"
	"github.com/taolight/taolight/neuron/miner"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/verify"
)

// sdkVersion is what the chain is told of the axon's software, as the SDK's 10.2.0 counts it: validators look at it to
// tell which wire form an axon speaks.
const sdkVersion = 10_002_000

func (a *app) minerCommand() *cobra.Command {
	dryRun := false
	cmd := &cobra.Command{
		Use:   "miner",
		Short: "answer the validators of a subnet",
		Long: `Serves an axon for a hotkey, tells the chain where it is, and watches its registration,
until it is stopped. It asks the node that runs on the data directory, or starts one.

What the chain says of the axon is changed (serve_axon, which costs nothing) only if it is
not so, as often as the subnet allows, and not while the clock or finality is in doubt.
The address is --axon.external_ip, or this machine's own if that is a public one; no
stranger is asked for it. Light nodes that are connected are asked once an hour whether
they reach the axon. The hotkey has to be registered by its coldkey, elsewhere.

Who may call is read from proven state: hotkeys of the subnet, unless --blacklist.… says
otherwise; who has more stake comes first. --handler says who answers: the template's
dummy, a local server (http:URL, openai:URL), or a command (exec:COMMAND, jsonl:COMMAND).

Flags and BT_… variables are those of the Python SDK; --subtensor.chain_endpoint beats
--subtensor.network, and names a network: a light client believes no server.`,
		Example: `  taolight neuron miner --netuid 18 -H first --axon.external_ip 192.0.2.1
  taolight neuron miner --netuid 18 --synapse talk.json --handler exec:./answer
  taolight neuron miner --netuid 18 --dry-run`,
		Args: cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error { return a.mine(cmd, dryRun) }),
	}
	a.neuronFlags(cmd, roleMiner, &dryRun)
	return cmd
}

func (a *app) mine(cmd *cobra.Command, dryRun bool) error {
	cfg, err := a.neuronConfig(cmd)
	if err != nil {
		return err
	}
	j := newJournal(a, a.stdout, cfg.LogLevel)
	route, done, err := a.minerRoute(cfg, j)
	if err != nil {
		return err
	}
	defer done()
	policy, err := minerPolicy(cfg)
	if err != nil {
		return err
	}
	key, err := a.neuronKey(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := stopSignals(cmd.Context(), func() { j.say("stop", "answering what is under way; again to leave at once") })
	defer cancel()
	s, err := a.sit(ctx, cfg, roleMiner, dryRun, key, j)
	if err != nil {
		return err
	}
	defer s.close()
	m, err := s.miner(route, policy)
	if err != nil {
		return err
	}
	s.serve(ctx, func() any { st := m.Status(); return &st })
	return s.work(ctx, m.Run)
}

// work runs a neuron until ctx or its own node ends.
func (s *seat) work(ctx context.Context, run func(context.Context) error) error {
	if s.own == nil {
		return run(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		err, ok := <-s.own.ended
		if ok && err == nil {
			err = errors.New("node ended by itself")
		}
		cancel(err)
	}()
	if err := run(ctx); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return control.Errorf(control.Failure, "%w", err)
	}
	return nil
}

// minerRoute makes what the settings say that is served, and by whom.
func (a *app) minerRoute(cfg *config.Config, j *journal) (axon.Route, func(), error) {
	n := &cfg.Neuron
	r := axon.Route{Synapse: synapse.Dummy(), Path: n.Path}
	nothing := func() {}
	if n.Synapse != "Dummy" {
		b, err := a.readBytes(n.Synapse, maxSpec)
		if err != nil {
			return r, nil, usage("%s: %w", cfg.Origin("neuron.synapse"), err)
		}
		if r.Synapse, err = synapse.ParseSpec(b); err != nil {
			return r, nil, usage("%s: %w", printable(n.Synapse), err)
		}
	}
	kind, what, _ := strings.Cut(n.Handler, ":")
	if kind == "dummy" {
		if r.Synapse.Name != "Dummy" {
			return r, nil, usage("the dummy handler answers Dummy alone, not %s", printable(r.Synapse.Name)).WithHint("say who answers with --handler")
		}
		r.Handler = handler.Dummy()
		return r, nothing, nil
	}
	var h interface {
		neuron.Handler
		Close() error
	}
	var err error
	switch kind {
	case "http":
		h, err = handler.NewHTTP(handler.HTTPConfig{URL: what})
	case "openai":
		h, err = handler.NewHTTP(handler.HTTPConfig{URL: what, OpenAI: new(handler.OpenAI)})
	case "exec", "jsonl":
		h, err = handler.NewExec(handler.ExecConfig{Command: strings.Fields(what), Lines: kind == "jsonl", Log: j.logger("handler")})
	}
	if err != nil {
		return r, nil, usage("%s: %w", cfg.Origin("neuron.handler"), err)
	}
	r.Handler = h
	return r, func() { h.Close() }, nil
}

// minerPolicy is whom the settings let call, and refuses an address that the chain would.
func minerPolicy(cfg *config.Config) (p axon.Policy, err error) {
	n := &cfg.Neuron
	if n.Axon.ExternalIP != "" {
		if err := miner.CheckAddress(netip.AddrPortFrom(netip.MustParseAddr(n.Axon.ExternalIP), 1)); err != nil {
			return p, usage("%s: %w", cfg.Origin("axon.external_ip"), err)
		}
	}
	p.Registered, p.Permit, p.Stake = !n.Blacklist.AllowNonRegistered, n.Blacklist.ForceValidatorPermit, uint64(n.Blacklist.MinStake*1e9)
	if p.Allow, err = accountsOf(cfg, "blacklist.allow", n.Blacklist.Allow); err == nil {
		p.Deny, err = accountsOf(cfg, "blacklist.deny", n.Blacklist.Deny)
	}
	return p, err
}

// miner makes the miner of a seat.
func (s *seat) miner(route axon.Route, policy axon.Policy) (*miner.Miner, error) {
	n := &s.cfg.Neuron
	c := miner.Config{
		Hotkey: s.key.Account(), Chain: &minerChain{s}, Gate: s.gate, Store: s.store, DryRun: s.dryRun, Version: sdkVersion,
		Listen: net.JoinHostPort(n.Axon.IP, strconv.Itoa(n.Axon.Port)), ToldOn: uint16(n.Axon.ExternalPort),
		Notes: func(warn bool, format string, args ...any) { s.say(warn, roleMiner, fmt.Sprintf(format, args...)) },
		Reach: (&minerChain{s}).Reach,
		Axon:  axon.Config{Routes: []axon.Route{route}, Policy: policy, Log: s.j.logger("axon"), Limits: axon.Limits{Workers: n.Axon.MaxWorkers, Waiting: n.Axon.MaxWaiting}},
	}
	if n.Axon.ExternalIP != "" {
		c.Told = netip.MustParseAddr(n.Axon.ExternalIP) // the settings were checked
	}
	if s.demo { // whose blocks are fast
		c.Block, c.Every, c.Tick = time.Second, 5, 1
	}
	return miner.New(c)
}

// A minerChain is the chain as a miner's node tells of it.
type minerChain struct{ s *seat }

// chainWait is how long a question to the node may take.
const chainWait = time.Minute

// View implements miner.Chain.
func (c *minerChain) View(ctx context.Context) (*miner.View, error) {
	ctx, cancel := context.WithTimeout(ctx, chainWait)
	defer cancel()
	m, err := c.s.who.Metagraph(ctx, control.TableQuestion{Netuid: &c.s.netuid})
	if err != nil {
		return nil, err
	}
	at := m.Block.Number
	sub, err := c.s.who.Subnets(ctx, control.TableQuestion{Netuid: &c.s.netuid, At: &at})
	if err != nil {
		return nil, err
	}
	v := &miner.View{Block: at, MaxUIDs: m.MaxUIDs, OwnerUID: m.OwnerUID}
	if len(sub.List) != 1 || sub.List[0].Settings == nil {
		return nil, fmt.Errorf("subnet %d has no settings", c.s.netuid)
	}
	v.ImmunityPeriod, v.ServingRateLimit = sub.List[0].Settings.ImmunityPeriod, sub.List[0].ServingRate
	for i := range m.Neurons {
		n := &m.Neurons[i]
		hotkey, err := verify.ParseAccount(n.Hotkey)
		if err != nil {
			return nil, err
		}
		x := miner.Neuron{UID: n.UID, Hotkey: hotkey, Stake: n.Stake, Permit: n.Permit, Incentive: n.Incentive, Emission: n.Emission, Registered: n.Registered}
		if n.Axon != nil {
			x.Axon = &miner.Served{Block: n.Axon.Block, Version: n.Axon.Version}
			if n.Axon.Address != "" {
				if x.Axon.At, err = netip.ParseAddrPort(n.Axon.Address); err != nil {
					return nil, err
				}
			}
		}
		v.Neurons = append(v.Neurons, x)
	}
	return v, nil
}

// Announce implements miner.Chain.
func (c *minerChain) Announce(ctx context.Context, at netip.AddrPort, version uint32) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, chainWait)
	defer cancel()
	notSent := func(err error) (string, error) { return "", fmt.Errorf("%w: %w", miner.ErrNotSent, err) }
	call := control.TxCall{Kind: control.TxServeAxon, Netuid: c.s.netuid, Axon: at.String(), Version: version}
	b, err := c.s.who.Build(ctx, control.BuildQuestion{Call: call, From: c.s.key.Account().String(), Period: miner.Era})
	if err != nil {
		return notSent(err)
	}
	raw, err := signWith(b.Payload, c.s)
	if err != nil {
		return notSent(err)
	}
	l, err := c.s.who.Submit(ctx, control.SubmitQuestion{Payload: raw})
	var said *control.Error
	switch {
	case err == nil && len(l.List) == 1:
		return l.List[0].Hash, nil
	case err == nil:
		return "", errors.New("the node does not say what it sent")
	case !errors.As(err, &said) || ctx.Err() != nil:
		return "", err // the node may have heard it
	}
	// The node has refused it, perhaps for the same one is under way.
	if hash, _, _, ferr := c.Fate(ctx, &miner.Intent{At: at, Version: version, Block: b.Number}); ferr != nil || hash != "" {
		return hash, ferr
	}
	return notSent(err)
}

// signWith signs a payload of the node's own making behind the gate, and returns it as a node takes it.
func signWith(f *tx.File, s *seat) (json.RawMessage, error) {
	raw, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	p, _, err := tx.Parse(raw)
	if err != nil {
		return nil, err
	}
	signer, err := s.signer()
	if err != nil {
		return nil, err
	}
	signature, err := p.SignWith(signer)
	if err != nil {
		return nil, err
	}
	f.Signature = fmt.Sprintf("0x%x", signature.Append(nil))
	return json.Marshal(f)
}

// Fate implements miner.Chain.
func (c *minerChain) Fate(ctx context.Context, i *miner.Intent) (string, miner.Fate, string, error) {
	ctx, cancel := context.WithTimeout(ctx, chainWait)
	defer cancel()
	l, err := c.s.who.Transactions(ctx, control.TxQuestion{})
	if err != nil {
		return "", miner.Unknown, "", err
	}
	me := c.s.key.Account().String()
	var found *tx.Tracked
	for k := range l.List {
		t := &l.List[k]
		if i.Hash != "" && t.Hash == i.Hash || i.Hash == "" && t.From == me && t.Submitted >= i.Block && strings.HasPrefix(t.Call, "SubtensorModule.serve_axon ") {
			if found == nil || t.Submitted > found.Submitted {
				found = t
			}
		}
	}
	if found == nil {
		return "", miner.Unknown, "", nil
	}
	f := miner.Bad
	switch {
	case found.State == tx.Pending || found.State == tx.Included:
		f = miner.Pending
	case found.State == tx.Succeeded && (found.Outcome == nil || found.Outcome.Failed() == nil):
		f = miner.Good
	}
	return found.Hash, f, short(found.Hash) + " " + found.Line(), nil
}

// Plan implements miner.Chain.
func (c *minerChain) Plan(ctx context.Context) (miner.Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := c.s.who.Status(ctx)
	if err != nil {
		return miner.Plan{}, err
	}
	p := miner.Plan{Serve: true}
	if s.Measures != nil && s.Report != nil {
		p = planOf(s.Report)
	}
	if s.Finalized != nil {
		p.Block = s.Finalized.Number
	}
	return p, nil
}

// Reach asks the node's neighbours, for miner.Config.
func (c *minerChain) Reach(ctx context.Context, port uint16) (miner.Reach, error) {
	ctx, cancel := context.WithTimeout(ctx, chainWait)
	defer cancel()
	r, err := c.s.who.Reach(ctx, control.ReachQuestion{Port: port})
	if err != nil {
		return miner.Reach{}, err
	}
	return miner.Reach{OK: r.OK, Tried: r.Tried, By: r.By, Over: r.Over, Why: r.Why}, nil
}

// ecoEvery is how many blocks lie between two looks at a subnet in eco: four hours.
const ecoEvery = 1200

// planOf is what a power level lets a miner do: who is awake in windows only cannot be called.
func planOf(r *power.Report) miner.Plan {
	p := miner.Plan{Level: r.Level.String(), Serve: r.Link && (r.Plan.Duty == power.DutyAll || r.Plan.Duty == power.DutyDeadlines)}
	if r.Level < power.Full {
		p.Every = ecoEvery
	}
	return p
}

// logger writes what a part of the neuron logs into the journal.
func (j *journal) logger(topic string) *slog.Logger { return slog.New(journalHandler{j, topic, ""}) }

type journalHandler struct {
	j     *journal
	topic string
	attrs string
}

func (h journalHandler) Enabled(_ context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn || h.j.level == levels["debug"]
}

func (h journalHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(printable(strings.TrimPrefix(r.Message, h.topic+": ")))
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, ", %s %s", a.Key, printable(a.Value.String()))
		return true
	})
	h.j.warn(h.topic, "%s", b.String())
	return nil
}

func (h journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		h.attrs += fmt.Sprintf(", %s %s", a.Key, printable(a.Value.String()))
	}
	return h
}

func (h journalHandler) WithGroup(string) slog.Handler { return h }
