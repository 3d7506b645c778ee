package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/neuron/dendrite"
	"github.com/taolight/taolight/neuron/handler"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/neuron/validator"
	"github.com/taolight/taolight/verify/checkpoint"
)

// A validating is the flags of a validator that are no settings.
type validating struct {
	dryRun, moved bool
	mechanism     uint8
	assume        uint32
}

func (a *app) validatorCommand() *cobra.Command {
	var f validating
	cmd := &cobra.Command{
		Use:   "validator",
		Short: "ask the miners of a subnet, score them, and set weights in time",
		Long: `Asks miners of the proven metagraph, keeps moving averages of their scores, and gets
weights on chain in the way that the subnet wants: plain, committed by a hash and revealed
in its window, or timelocked, until it is stopped. It asks the node that runs on the data
directory, or starts one.

What is to be signed is written down and synced before it is, and again before it is sent,
so that a crash sends nothing twice. Stake, permit, version key and rate limits are looked
at before. Nothing is signed while the clock or finality is in doubt. Each commitment is
followed to its reveal, with the proof kept in the neuron's folder, or the reason named.

A hotkey that did something on the subnet that was not done from here ends the command;
--i-moved says that this was you, before. --scorer says who asks and scores: the template's
dummy, or a command (exec:COMMAND, jsonl:COMMAND) that is asked for a "question" and for
the "score" of the answers, in JSON.

Below the highest power level nothing is probed, and weights wait for half of the subnet's
activity cutoff. Flags and BT_… variables are those of the Python SDK.`,
		Example: `  taolight neuron validator --netuid 18 -H first
  taolight neuron validator --netuid 18 --synapse talk.json --scorer jsonl:./score
  taolight neuron validator --netuid 18 --dry-run`,
		Args: cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error { return a.validate(cmd, &f) }),
	}
	a.neuronFlags(cmd, roleValidator, &f.dryRun)
	cmd.Flags().BoolVar(&f.moved, "i-moved", false, "what the hotkey did on the subnet before was done by me, elsewhere")
	cmd.Flags().Uint8Var(&f.mechanism, "mechanism", 0, "mechanism of the subnet")
	assumeFlag(cmd, &f.assume)
	return cmd
}

func (a *app) validate(cmd *cobra.Command, f *validating) error {
	if err := checkAssumed(f.assume); err != nil {
		return err
	}
	cfg, err := a.neuronConfig(cmd)
	if err != nil {
		return err
	}
	j := newJournal(a, a.stdout, cfg.LogLevel)
	scorer, done, err := a.scorerOf(cfg, j)
	if err != nil {
		return err
	}
	defer done()
	key, err := a.neuronKey(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := stopSignals(cmd.Context(), func() { j.say("stop", "writing what is worth keeping; again to leave at once") })
	defer cancel()
	s, err := a.sit(ctx, cfg, roleValidator, f.dryRun, key, j)
	if err != nil {
		return err
	}
	defer s.close()
	v, err := s.validator(ctx, f, scorer)
	if err != nil {
		return err
	}
	s.serve(ctx, func() any { return v.Status() })
	err = s.work(ctx, v.Run)
	if errors.Is(err, validator.ErrElsewhere) {
		return control.Errorf(control.Failure, "%w", err).WithHint("two that sign for one hotkey overwrite each other: if that was you, before, start it once with --i-moved")
	}
	return err
}

// scorerOf makes what the settings say that asks and scores.
func (a *app) scorerOf(cfg *config.Config, j *journal) (validator.Scorer, func(), error) {
	spec := synapse.Dummy()
	if name := cfg.Neuron.Synapse; name != "Dummy" {
		b, err := a.readBytes(name, maxSpec)
		if err != nil {
			return nil, nil, usage("%s: %w", cfg.Origin("neuron.synapse"), err)
		}
		if spec, err = synapse.ParseSpec(b); err != nil {
			return nil, nil, usage("%s: %w", printable(name), err)
		}
	}
	kind, what, _ := strings.Cut(cfg.Neuron.Scorer, ":")
	if kind == "dummy" {
		if spec.Name != "Dummy" {
			return nil, nil, usage("the dummy scorer knows Dummy alone, not %s", printable(spec.Name)).WithHint("say who scores with --scorer")
		}
		return validator.Dummy{}, func() {}, nil
	}
	h, err := handler.NewExec(handler.ExecConfig{Command: strings.Fields(what), Lines: kind == "jsonl", Log: j.logger("scorer")})
	if err != nil {
		return nil, nil, usage("%s: %w", cfg.Origin("neuron.scorer"), err)
	}
	return &validator.Command{Handler: h, Spec: spec}, func() { h.Close() }, nil
}

// validator makes the validator of a seat.
func (s *seat) validator(ctx context.Context, f *validating, scorer validator.Scorer) (*validator.Validator, error) {
	n := &s.cfg.Neuron
	root, err := s.root(ctx)
	if err != nil {
		return nil, err
	}
	signer, err := s.signer()
	if err != nil {
		return nil, err
	}
	// What serves on a demo network is on this machine, and nobody else is called for it (validatorChain.Neurons).
	d, err := dendrite.New(dendrite.Config{Signer: signer, Private: s.demo, Agent: "taolight/" + version})
	if err != nil {
		return nil, err
	}
	c := &validatorChain{seat: s, mechanism: f.mechanism, assume: f.assume, root: root}
	duties := &dutyTeller{seat: s}
	return validator.New(validator.Options{
		Config: validator.Config{Netuid: s.netuid, Mecid: f.mechanism, Hotkey: s.key.Account(), Alpha: n.Alpha, Sample: n.SampleSize,
			Limit: uint64(n.PermitLimit * rao), Every: uint32(n.QueryEvery), Epoch: uint32(n.EpochLength), Version: n.VersionKey,
			Unset: n.DisableWeights, Moved: f.moved, ByHash: n.CommitHash},
		Chain: c, Sender: &validatorSender{c}, Store: s.store, Dendrite: d, Scorer: scorer, DryRun: f.dryRun,
		Timeout: time.Duration(n.Timeout * float64(time.Second)), Keep: s.keepProof, Changed: func(list []validator.Deadline, missed uint64) { duties.tell(ctx, list, missed) },
		Notes: func(n validator.Note) { s.say(n.Warn, n.Topic, n.Text) },
	})
}

// root returns the checkpoint that the node started from, which says what beacon and what slots its network has.
func (s *seat) root(ctx context.Context) (*checkpoint.Checkpoint, error) {
	switch who := s.who.(type) {
	case *control.Local:
		return who.Checkpoint, nil
	case *control.Client:
		r, err := who.Root(ctx)
		if err != nil {
			return nil, err
		}
		return r.Checkpoint, nil
	}
	return nil, errors.New("the node does not tell what it trusts")
}

// maxProofs bounds the bundles that are kept of a validator's commitments.
const maxProofs = 100

// keepProof writes a bundle into the neuron's folder; the oldest go.
func (s *seat) keepProof(block uint32, b []byte) (string, error) {
	dir := filepath.Join(s.dir, "proofs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	name := filepath.Join(dir, fmt.Sprintf("commitment-%010d.tlb", block))
	if err := os.WriteFile(name+".new", b, 0o600); err != nil {
		os.Remove(name + ".new")
		return "", err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return "", err
	}
	if all, err := filepath.Glob(filepath.Join(dir, "commitment-*.tlb")); err == nil && len(all) > maxProofs {
		slices.Sort(all)
		for _, old := range all[:len(all)-maxProofs] {
			os.Remove(old)
		}
	}
	return name, nil
}

// A dutyTeller tells the node of a neuron's deadlines when they change, and now and then that they still hold.
type dutyTeller struct {
	*seat
	mu    sync.Mutex
	said  bool
	last  control.Duties
	lasts time.Time
}

// dutyAgain is how often what holds is told again.
const dutyAgain = time.Hour

func (t *dutyTeller) tell(ctx context.Context, list []validator.Deadline, missed uint64) {
	d := control.Duties{Neuron: filepath.Base(t.dir), Missed: missed, List: []power.Deadline{}}
	for _, x := range list {
		d.List = append(d.List, power.Deadline{Name: x.Name, Wake: x.Wake, Due: x.Due})
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.said && slices.Equal(d.List, t.last.List) && d.Missed == t.last.Missed && time.Since(t.lasts) < dutyAgain {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, dialAndAnswer)
	defer cancel()
	if _, err := t.who.Duty(ctx, d); err != nil {
		return // it is told again with the next event
	}
	t.said, t.last, t.lasts = true, d, time.Now()
}

// loopback reports whether an axon is on this machine.
func loopback(address string) bool {
	ap, err := netip.ParseAddrPort(address)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}
