package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/lightclient/rpc"
	"github.com/taolight/taolight/verify/checkpoint"
)

// serveRPC answers tools by JSON-RPC until ctx ends or stop is called, which returns when nobody is served any more.
// A port that is taken is an error only where somebody has asked for it.
func (s *instance) serveRPC(ctx context.Context, j *journal) (stop func(), err error) {
	cfg := s.cfg.RPC
	if cfg.Listen == config.None {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		if s.cfg.Origin("rpc.listen") == "default" {
			j.warn("rpc", "%v: no JSON-RPC (--rpc-listen)", err)
			s.vigil.closed(err.Error(), "")
			return func() {}, nil
		}
		return nil, control.Errorf(control.Failure, "JSON-RPC: %w", err).WithHint("give another --rpc-listen ADDRESS:PORT, or none")
	}
	addr := netip.MustParseAddrPort(l.Addr().String())
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	stop = func() {
		cancel()
		l.Close()
		running.Wait()
	}
	c := rpc.Config{
		Chain: s.node, Genesis: s.root.Genesis, Version: version, Best: cfg.Best, Hosts: cfg.Hosts, Origins: cfg.Origins,
		Limits: rpc.Limits{Rate: cfg.Rate},
	}
	var server *rpc.Server
	web := newWeb(s, func() rpc.Stats { return server.Stats() })
	c.Pages = web.serve
	c.Name, c.Type, c.Properties = s.chainWords()
	if sends(cfg, addr) {
		c.Pool = s.local.Pool
	}
	if server, err = rpc.New(c); err != nil {
		stop()
		return nil, err
	}
	running.Go(func() {
		if err := server.Serve(ctx, l); err != nil && !errors.Is(err, net.ErrClosed) {
			j.warn("rpc", "%v", err)
		}
	})
	shown := "finalized blocks"
	if cfg.Best {
		shown = "blocks that may still be replaced"
	}
	j.say("rpc", "JSON-RPC on ws://%s and http://%s, showing %s", addr, addr, shown)
	j.say("page", "status page on http://%s/, figures for Prometheus on /metrics", addr)
	if !addr.Addr().IsLoopback() {
		j.warn("rpc", "whoever reaches %s can ask this node, without a password", addr)
	}
	return stop, nil
}

// sends reports whether those who may ask may also send: from this machine yes, from others if the owner wants it.
func sends(cfg config.RPC, addr netip.AddrPort) bool { return addr.Addr().IsLoopback() || cfg.Submit }

// chainWords returns what tools are told of a network by name. A spec of one's own says it itself.
func (p *place) chainWords() (name, kind string, properties json.RawMessage) {
	words := func(symbol string) json.RawMessage {
		return json.RawMessage(fmt.Sprintf(`{"ss58Format":42,"tokenDecimals":9,"tokenSymbol":%q}`, symbol))
	}
	switch {
	case p.demo:
		return "taolight demo", "Development", words("demoTAO")
	case p.network != nil && p.network.Name == config.Finney:
		return "Bittensor", "Live", words("TAO")
	case p.network != nil && p.network.Name == config.Test:
		return "Bittensor", "Live", words("testTAO")
	}
	if b, err := readBounded(p.cfg.Network, checkpoint.MaxSize); err == nil {
		if spec, err := checkpoint.ParseSpec(b); err == nil && strings.TrimSpace(spec.Name) != "" {
			return spec.Name, "Local", spec.Properties
		}
	}
	return networkName(p.root.Network, p.demo), "Local", nil
}
