package main

import (
	"context"
	"sync"

	"github.com/taolight/taolight/neuron/axon"
	"github.com/taolight/taolight/neuron/handler"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/neuron/validator"
	"github.com/taolight/taolight/neuron/wallet"
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

// neurons reports whether this instance brings neurons along.
func (s *instance) neurons() bool {
	return s.net != nil && s.net.Origin() == nil && s.cfg.DemoNeurons && !s.local.Joined
}

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
		for _, n := range demoNeurons {
			all.Go(func() {
				if err := a.runDemoNeuron(ctx, s, n, j); err != nil && ctx.Err() == nil {
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

func (a *app) runDemoNeuron(ctx context.Context, of *staying, n demoNeuron, j *journal) error {
	key, err := wallet.Parse([]byte("//" + n.name))
	if err != nil {
		return err
	}
	cfg := *of.cfg
	c := &cfg.Neuron
	c.Netuid, c.QueryEvery, c.EpochLength, c.SampleSize, c.DisableWeights = demoNetuid, demoQueryEvery, demoEpochLength, 50, false
	c.Axon.IP, c.Axon.ExternalIP, c.Axon.Port, c.Axon.ExternalPort = n.ip, n.ip, 0, 0
	s := &seat{cfg: &cfg, role: n.role, netuid: demoNetuid, key: key, who: of.local, j: j, name: "//" + n.name}
	defer s.close()
	if err := s.open(ctx); err != nil {
		return err
	}
	if n.role == roleValidator {
		v, err := s.validator(ctx, new(validating), validator.Dummy{})
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
