package main

import (
	"context"
	"sync"

	"github.com/taolight/taolight/neuron/axon"
	"github.com/taolight/taolight/neuron/handler"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/neuron/validator"
	"github.com/taolight/taolight/neuron/wallet"
	"github.com/taolight/taolight/verify/rules"
)

// A demoNeuron is one of those that a demo network brings along, on a subnet that wants timelocked commitments: what
// anybody would start with `taolight neuron`, with a hotkey whose secret everybody knows.
type demoNeuron struct {
	name, role string
	ip         string // of its axon: any of 127.0.0.0/8 but the first, which the chain refuses
}

const demoNetuid = 1

var demoNeurons = []demoNeuron{
	{"Bob", roleMiner, "127.0.0.2"},
	{"Charlie", roleMiner, "127.0.0.3"},
	{"Alice", roleValidator, ""},
}

// Blocks from one round of questions to the next, and from one setting of weights to the next: the demo's epochs are
// of 20.
const (
	demoQueryEvery  = 3
	demoEpochLength = 10
)

// neurons reports whether this instance brings neurons along. On a chain with a runtime they change its state before
// anybody else does, so somebody has to want them.
func (s *instance) neurons() bool {
	return s.net != nil && s.cfg.DemoNeurons && !s.local.Joined && (s.net.Origin() == nil || s.cfg.Origin("demo_neurons") != "default")
}

// demoSubnet returns the subnet of the neurons, which a chain with a runtime has to be given first, and what is left
// to do for it beside them.
func (a *app) demoSubnet(ctx context.Context, s *staying, j *journal) (netuid uint16, then func(), err error) {
	if s.net.Origin() == nil {
		return demoNetuid, func() {}, nil
	}
	key, err := wallet.Parse([]byte("//Alice"))
	if err != nil {
		return 0, nil, err
	}
	var hotkeys []string
	for _, n := range demoNeurons {
		k, err := wallet.Parse([]byte("//" + n.name))
		if err != nil {
			return 0, nil, err
		}
		hotkeys = append(hotkeys, k.String())
	}
	f := &founder{&seat{cfg: s.cfg, key: key, who: s.local, gate: &nodeGate{ctx: ctx, who: s.local}, j: j}}
	if netuid, err = f.found(ctx, hotkeys); err != nil {
		return 0, nil, err
	}
	j.say("subnet", "//Alice has founded subnet %d, with //Alice, //Bob and //Charlie on it", netuid)
	return netuid, func() {
		switch err := f.start(ctx, netuid); {
		case err == nil:
			j.say("subnet", "the emission of subnet %d has begun", netuid)
		case ctx.Err() == nil:
			j.warn("subnet", "the emission of subnet %d does not begin: %v", netuid, err)
		}
	}, nil
}

// assumedRules are those by which a demo chain's commitments are understood whose runtime is of no audited version:
// before the scheduler kept its place in the state they were these.
const assumedRules = 422

// startNeurons starts the neurons of a demo network once its node has caught up. stop ends them and waits for that.
func (a *app) startNeurons(ctx context.Context, s *staying, j *journal) (stop func()) {
	if !s.neurons() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		if s.node.WaitFinal(ctx) != nil {
			return
		}
		netuid, then, err := a.demoSubnet(ctx, s, j)
		if err != nil {
			if ctx.Err() == nil {
				j.warn("subnet", "this chain has no neurons: %v", err)
			}
			return
		}
		all.Go(then)
		for _, n := range demoNeurons {
			all.Go(func() {
				if err := a.runDemoNeuron(ctx, s, n, netuid, j); err != nil && ctx.Err() == nil {
					j.warn("neuron", "//%s: %v", n.name, err)
				}
			})
		}
	})
	return func() {
		cancel()
		all.Wait()
	}
}

func (a *app) runDemoNeuron(ctx context.Context, of *staying, n demoNeuron, netuid uint16, j *journal) error {
	key, err := wallet.Parse([]byte("//" + n.name))
	if err != nil {
		return err
	}
	cfg := *of.cfg
	c := &cfg.Neuron
	c.Netuid, c.QueryEvery, c.EpochLength, c.SampleSize, c.DisableWeights = netuid, demoQueryEvery, demoEpochLength, 50, false
	c.Axon.IP, c.Axon.ExternalIP, c.Axon.Port, c.Axon.ExternalPort = n.ip, n.ip, 0, 0
	s := &seat{cfg: &cfg, role: n.role, netuid: netuid, key: key, who: of.local, j: j, name: "//" + n.name}
	defer s.close()
	if err := s.open(ctx); err != nil {
		return err
	}
	if n.role == roleValidator {
		f := new(validating)
		if o := of.net.Origin(); o != nil {
			if _, err := rules.For(o.Runtime.Spec); err != nil {
				f.assume = assumedRules
			}
		}
		v, err := s.validator(ctx, f, validator.Dummy{})
		if err != nil {
			return err
		}
		s.serve(ctx, func() any { return v.Status() })
		return v.Run(ctx)
	}
	route := axon.Route{Synapse: synapse.Dummy(), Handler: handler.Dummy()}
	m, err := s.miner(route, axon.Policy{Registered: true})
	if err != nil {
		return err
	}
	s.serve(ctx, func() any { st := m.Status(); return &st })
	return m.Run(ctx)
}
