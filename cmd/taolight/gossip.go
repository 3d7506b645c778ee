package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/gossip"
	"github.com/taolight/taolight/gossip/link"
	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/storage"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/grandpa"
)

// A talk joins a light client and the gossip on its host.
type talk struct {
	cfg   gossip.Config
	store *storage.Store
	notes func(lightclient.Note)
	light *lightclient.Node // set before it runs
	node  atomic.Pointer[gossip.Node]
	last  atomic.Pointer[lightclient.Standing]
	up    chan *p2p.Host // given the host once it stands
}

// Where contacts are kept in the store.
const talkKind, talkKey = "gossip", "contacts"

// maxKept bounds what is read back of them.
const maxKept = 1 << 18

func newTalk(cfg gossip.Config, store *storage.Store, notes func(lightclient.Note)) *talk {
	t := &talk{cfg: cfg, store: store, notes: notes, up: make(chan *p2p.Host, 1)}
	t.cfg.Notes = func(n gossip.Note) { notes(lightclient.Note{Topic: "gossip", Text: n.Text, Warn: n.Warn}) }
	if store != nil {
		if raw, ok := store.Get(talkKind, talkKey); ok && len(raw) <= maxKept {
			var list []json.RawMessage
			if json.Unmarshal(raw, &list) == nil {
				for _, r := range list {
					t.cfg.Kept = append(t.cfg.Kept, r)
				}
			}
		}
		t.cfg.Keep = t.keep
	}
	return t
}

func (t *talk) keep(records [][]byte) {
	list := make([]json.RawMessage, len(records))
	for i, r := range records {
		list[i] = r
	}
	raw, err := json.Marshal(list)
	if err == nil && len(raw) <= maxKept {
		err = t.store.Put(talkKind, talkKey, raw)
	}
	if err != nil {
		t.notes(lightclient.Note{Topic: "gossip", Text: "neighbours are not kept: " + err.Error(), Warn: true})
	}
}

// hosted starts the gossip on a host, for lightclient.Config.
func (t *talk) hosted(ctx context.Context, h *p2p.Host) (wait func()) {
	cfg := t.cfg
	cfg.Host, cfg.Light, cfg.Hold = h.Libp2p(), t.light, h.Hold
	n, err := gossip.New(cfg)
	if err != nil {
		t.notes(lightclient.Note{Topic: "gossip", Text: err.Error(), Warn: true})
		close(t.up)
		return nil
	}
	t.node.Store(n)
	if st := t.last.Load(); st != nil {
		n.Moved(standing(st))
	}
	t.up <- h
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := n.Run(ctx); err != nil {
			t.notes(lightclient.Note{Topic: "gossip", Text: err.Error(), Warn: true})
		}
	}()
	return func() { <-done }
}

// moved tells the gossip what the light client has proven, for lightclient.Config.
func (t *talk) moved(st *lightclient.Standing) {
	t.last.Store(st)
	if n := t.node.Load(); n != nil {
		n.Moved(standing(st))
	}
}

// standing says in the words of package gossip what a light client has proven.
func standing(st *lightclient.Standing) *gossip.Standing {
	out := &gossip.Standing{
		Trust: gossip.Trust{Root: st.Root, Head: st.Head, Signer: st.Signer},
		Proof: st.Proof, From: st.SignerFrom, Evidence: st.Evidence,
		Above: func(from verify.Hash, most int) (grandpa.Finalized, *grandpa.WarpProof, bool) {
			start, ok := st.Start(from)
			if !ok {
				return start, nil, false
			}
			proof, ok := st.Above(from, most)
			return start, proof, ok
		},
	}
	for _, b := range st.Recent {
		out.Recent = append(out.Recent, b.Hash)
	}
	return out
}

// listenAddrs are where light nodes may dial: what the settings say; else on loopback for a demo network,
// and the usual port for others, or a free one if that is taken.
func (p *place) listenAddrs() ([]ma.Multiaddr, error) {
	list := p.cfg.Listen
	if len(list) == 0 && p.demo {
		list = []string{"/ip4/127.0.0.1/tcp/0"}
	} else if len(list) == 0 {
		port := config.GossipPort
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			port = 0
		} else {
			l.Close()
		}
		list = []string{fmt.Sprintf("/ip4/0.0.0.0/tcp/%d", port), fmt.Sprintf("/ip6/::/tcp/%d", port)}
	}
	var out []ma.Multiaddr
	for _, s := range list {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			return nil, usage("%s: %q: %w", p.cfg.Origin("listen"), s, err)
		}
		out = append(out, a)
	}
	return out, nil
}

// links are the carriers of the settings.
func (p *place) links() ([]link.Link, error) {
	var out []link.Link
	for _, text := range p.cfg.Carriers {
		l, err := link.Parse(text)
		if err != nil {
			return nil, usage("%s: %w", p.cfg.Origin("carriers"), err)
		}
		out = append(out, l)
	}
	return out, nil
}

// talkConfig is what the settings say about gossip.
func (p *place) talkConfig() gossip.Config {
	return gossip.Config{
		Genesis: p.root.Genesis, Given: p.cfg.Peers, Private: p.demo, LAN: p.cfg.LAN && !p.demo, Dial: new(net.Dialer).DialContext,
	}
}

// talking returns a function that returns the node's gossip, nil while there is none.
func (t *talk) talking() func() *gossip.Node {
	if t == nil {
		return nil
	}
	return t.node.Load
}

// second starts a light node beside the first one of a demo network. It has no peer of the chain and
// nothing on disk: all that it has proven came to it by gossip.
func (s *instance) second(ctx context.Context, notes func(lightclient.Note)) (ended <-chan struct{}, err error) {
	var h *p2p.Host
	select {
	case h = <-s.talk.up:
		if h == nil {
			return nil, errors.New("no gossip for a second light node to hear")
		}
	case err := <-s.ended:
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	cfg := s.talkConfig()
	cfg.Given = nil
	for _, a := range h.FullAddrs() {
		cfg.Given = append(cfg.Given, a.String())
	}
	t := newTalk(cfg, nil, func(lightclient.Note) {})
	told := false
	t.light, err = lightclient.New(lightclient.Config{
		Checkpoint: s.root, Version: version, Demo: true, BackDated: s.backDated, MaxPeers: 1,
		Listen: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}, Hosted: t.hosted,
		Moved: func(st *lightclient.Standing) {
			t.moved(st)
			if st.Proof != nil && !told {
				told = true
				notes(lightclient.Note{Topic: "gossip", Text: fmt.Sprintf(
					"a second light node, with no peer of the chain, has proven #%d by what this one told it, and follows", st.Head.Number)})
			}
		},
	})
	if err != nil {
		return nil, err
	}
	s.local.Second.Store(t.light)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.light.Run(ctx)
	}()
	return done, nil
}
