package miner

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

var (
	here  = netip.MustParseAddrPort("198.41.0.4:8091")
	there = netip.MustParseAddrPort("198.41.0.5:8091")
)

// TestDecide: what the chain says, what is under way and what forbids it, in the order in which they count.
func TestDecide(t *testing.T) {
	me := func(at netip.AddrPort, block uint64) *Neuron {
		return &Neuron{UID: 3, Axon: &Served{At: at, Block: block, Version: 7}}
	}
	gate := errors.New("two conflicting finalities are known")
	for _, c := range []struct {
		name  string
		s     Situation
		step  Step
		state string
		why   string
		after uint32
	}{
		{name: "not registered", s: Situation{Serves: true, Want: here}, state: "unregistered", why: "coldkey"},
		{name: "nothing on chain", s: Situation{Me: &Neuron{}, Serves: true}, step: Send, state: "sent"},
		{name: "the same", s: Situation{Me: me(here, 40), Serves: true}, state: "true"},
		{name: "the same, gate shut", s: Situation{Me: me(here, 40), Serves: true, Gate: gate}, state: "true"},
		{name: "another address", s: Situation{Me: me(there, 40), Serves: true}, step: Send, state: "sent"},
		{name: "another port", s: Situation{Me: me(netip.AddrPortFrom(here.Addr(), 1), 40), Serves: true}, step: Send, state: "sent"},
		{name: "another version", s: Situation{Me: &Neuron{Axon: &Served{At: here, Block: 40, Version: 6}}, Serves: true}, step: Send, state: "sent"},
		{name: "too soon", s: Situation{Me: me(there, 60), Serves: true, Limit: 50}, state: "waits", why: "9 to go", after: 109},
		{name: "soon enough", s: Situation{Block: 109, Me: me(there, 60), Serves: true, Limit: 50}, step: Send, state: "sent"},
		{name: "no limit", s: Situation{Me: me(there, 99), Serves: true}, step: Send, state: "sent"},
		{name: "never served", s: Situation{Me: me(netip.AddrPort{}, 0), Serves: true, Limit: 5000}, step: Send, state: "sent"},
		{name: "gate", s: Situation{Me: &Neuron{}, Serves: true, Gate: gate}, state: "waits", why: "conflicting"},
		{name: "closed", s: Situation{Me: &Neuron{}, Off: "power level survive answers nobody"}, state: "closed", why: "survive"},
		{name: "closed, and true", s: Situation{Me: me(here, 40)}, state: "true"},
		{name: "no address", s: Situation{Me: &Neuron{}, Serves: true, NoWant: ErrNoAddress}, state: "no address"},
		{name: "dry", s: Situation{Me: &Neuron{}, Serves: true, DryRun: true, Gate: gate}, state: "would send", why: "serve_axon 198.41.0.4:8091, version 7"},
		{name: "dry, too soon", s: Situation{Me: me(there, 60), Serves: true, Limit: 50, DryRun: true}, state: "waits", after: 109},
		{name: "just failed", s: Situation{Me: &Neuron{}, Serves: true, Failed: 90, FateText: "refused"}, state: "failed", why: "refused", after: 115},
		{name: "failed a while ago", s: Situation{Me: &Neuron{}, Serves: true, Failed: 75}, step: Send, state: "sent"},

		{name: "under way", s: Situation{Me: &Neuron{}, Serves: true, Intent: &Intent{At: here, Version: 7, Block: 95, Hash: "0x1"}, Fate: Pending}, state: "sent", why: "not final yet", after: 162},
		{name: "perhaps sent", s: Situation{Me: &Neuron{}, Serves: true, Intent: &Intent{At: here, Version: 7, Block: 95}}, state: "sent", why: "not known whether", after: 162},
		{name: "under way, another wanted", s: Situation{Me: &Neuron{}, Serves: true, Intent: &Intent{At: there, Version: 7, Block: 95, Hash: "0x1"}, Fate: Pending}, state: "sent", after: 162},
		{name: "arrived", s: Situation{Me: me(here, 97), Serves: true, Intent: &Intent{At: here, Version: 7, Block: 95}}, step: Forget, state: "true"},
		{name: "what is there is older", s: Situation{Me: me(here, 90), Serves: true, Intent: &Intent{At: here, Version: 7, Block: 95}}, state: "sent", after: 162},
		{name: "final, not read yet", s: Situation{Me: &Neuron{}, Serves: true, Intent: &Intent{At: here, Version: 7, Block: 95, Hash: "0x1"}, Fate: Good}, state: "sent", after: 162},
		{name: "failed", s: Situation{Me: &Neuron{}, Serves: true, Intent: &Intent{At: here, Version: 7, Block: 95, Hash: "0x1"}, Fate: Bad, FateText: "ServingRateLimitExceeded"}, step: Forget, state: "failed", why: "ServingRateLimitExceeded"},
		{name: "lapsed", s: Situation{Block: 162, Me: &Neuron{}, Serves: true, Intent: &Intent{At: here, Version: 7, Block: 95}}, step: Forget, state: "failed", why: "#161"},
		{name: "may be in the last block", s: Situation{Block: 161, Me: &Neuron{}, Serves: true, Intent: &Intent{At: here, Version: 7, Block: 95}}, state: "sent", after: 162},
		{name: "replaced meanwhile", s: Situation{Block: 161, Serves: true, Intent: &Intent{At: here, Version: 7, Block: 95}}, state: "unregistered"},
		{name: "replaced, and lapsed", s: Situation{Block: 162, Serves: true, Intent: &Intent{At: here, Version: 7, Block: 95}}, step: Forget, state: "unregistered"},
		{name: "under way, closed", s: Situation{Me: &Neuron{}, Intent: &Intent{At: here, Version: 7, Block: 95}}, state: "sent", after: 162},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.s.Block == 0 {
				c.s.Block = 100
			}
			c.s.Want, c.s.Version = here, 7
			d := Decide(&c.s)
			if d.Step != c.step || d.State != c.state || !strings.Contains(d.Why, c.why) || d.After != c.after {
				t.Errorf("%+v, want step %d, %q, why %q, after %d", d, c.step, c.state, c.why, c.after)
			}
			if d.Step == Send && (c.s.Gate != nil || c.s.Intent != nil || c.s.DryRun || c.s.Me == nil) {
				t.Error("it is sent against what forbids it")
			}
		})
	}
}

func TestFindAddress(t *testing.T) {
	addr := func(s string) netip.Addr {
		if s == "" {
			return netip.Addr{}
		}
		return netip.MustParseAddr(s)
	}
	for _, c := range []struct {
		name, told, bound string
		own               []string
		want              string
		warns             bool
		err               error
	}{
		{name: "told", told: "8.8.4.4", bound: "0.0.0.0", own: []string{"9.9.9.9"}, want: "8.8.4.4:8091"},
		{name: "told a private one", told: "192.168.1.7", bound: "0.0.0.0", want: "192.168.1.7:8091", warns: true},
		{name: "told one of this machine alone", told: "127.0.0.2", bound: "0.0.0.0", want: "127.0.0.2:8091", warns: true},
		{name: "told what the chain refuses", told: "127.0.0.1", bound: "0.0.0.0", warns: true, err: ErrAddress},
		{name: "told everybody", told: "255.255.255.255", bound: "0.0.0.0", warns: true, err: ErrAddress},
		{name: "told nobody", told: "0.0.0.0", bound: "0.0.0.0", warns: true, err: ErrAddress},
		{name: "told by six", told: "2a01:4f8::1", bound: "0.0.0.0", want: "[2a01:4f8::1]:8091", warns: true},
		{name: "told itself by six", told: "::1", bound: "0.0.0.0", warns: true, err: ErrAddress},
		{name: "listens on one", bound: "9.9.9.9", own: []string{"8.8.8.8", "9.9.9.9"}, want: "9.9.9.9:8091"},
		{name: "listens on a private one", bound: "10.0.0.3", own: []string{"8.8.8.8"}, err: ErrNoAddress},
		{name: "own", bound: "0.0.0.0", own: []string{"127.0.0.1", "10.0.0.3", "::1", "fe80::1", "2a01:4f8::1", "8.8.8.8"}, want: "8.8.8.8:8091"},
		{name: "own mapped", bound: "0.0.0.0", own: []string{"::ffff:8.8.8.8"}, want: "8.8.8.8:8091"},
		{name: "only six", bound: "0.0.0.0", own: []string{"10.0.0.3", "2a01:4f8::1"}, want: "[2a01:4f8::1]:8091", warns: true},
		{name: "behind a carrier's NAT", bound: "0.0.0.0", own: []string{"100.72.3.4", "127.0.0.1"}, err: ErrNoAddress},
		{name: "documentation", bound: "0.0.0.0", own: []string{"192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"}, err: ErrNoAddress},
		{name: "none", bound: "0.0.0.0", err: ErrNoAddress},
	} {
		t.Run(c.name, func(t *testing.T) {
			var own []netip.Addr
			for _, s := range c.own {
				own = append(own, addr(s))
			}
			a, err := FindAddress(addr(c.told), addr(c.bound), 8091, own)
			if !errors.Is(err, c.err) || err == nil && a.At.String() != c.want || (a.Warning != "") != c.warns {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	if err := CheckAddress(netip.MustParseAddrPort("8.8.8.8:0")); !errors.Is(err, ErrAddress) {
		t.Errorf("port 0: %v", err)
	}
}

func TestRisk(t *testing.T) {
	id := func(uid uint16) (a [32]byte) { a[0], a[1] = byte(uid), byte(uid>>8); return a }
	// n neurons that are not immune at 10000, with emission uid+1, and more by change.
	view := func(n, limit int, change func(v *View)) *View {
		v := &View{Block: 10_000, MaxUIDs: uint16(limit), ImmunityPeriod: 4096}
		for i := range uint16(n) {
			v.Neurons = append(v.Neurons, Neuron{UID: i, Hotkey: id(i), Emission: uint64(i) + 1, Registered: 100})
		}
		if change != nil {
			change(v)
		}
		return v
	}
	owner := uint16(0)
	for _, c := range []struct {
		name   string
		v      *View
		uid    uint16
		before int // -1: not in line
		immune uint64
		rank   int
	}{
		{"least", view(16, 16, nil), 0, 0, 0, 16},
		{"most", view(16, 16, nil), 15, -1, 0, 1},
		{"spared, as ten are left", view(16, 16, nil), 6, -1, 0, 10},
		{"the last to go", view(16, 16, nil), 5, 5, 0, 11},
		{"uids are free", view(16, 20, nil), 0, 4, 0, 16},
		{"the owner's", view(16, 16, func(v *View) { v.OwnerUID = &owner }), 0, -1, 0, 16},
		{"after the owner's", view(16, 16, func(v *View) { v.OwnerUID = &owner }), 1, 0, 0, 15},
		{"young", view(16, 16, func(v *View) { v.Neurons[0].Registered = 9_990 }), 0, 5, 4086, 16},
		{"young no more", view(16, 16, func(v *View) { v.Neurons[0].Registered = 10_000 - 4096 }), 0, 0, 0, 16},
		{"equal, older first", view(16, 16, func(v *View) { v.Neurons[3].Emission, v.Neurons[3].Registered = 1, 50 }), 0, 1, 0, 15},
		{"equal, lower uid first", view(16, 16, func(v *View) { v.Neurons[3].Emission = 1 }), 3, 1, 0, 15},
		{"all young", view(16, 16, func(v *View) {
			for i := range v.Neurons {
				v.Neurons[i].Registered = 9_000
			}
		}), 2, 2, 3096, 14},
		{"few", view(8, 8, nil), 0, -1, 0, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := RiskOf(c.v, id(c.uid))
			before := -1
			if r.Before != nil {
				before = *r.Before
			}
			if before != c.before || r.Immune != c.immune || r.Rank != c.rank || r.Of != len(c.v.Neurons) {
				t.Errorf("%+v goes after %d; want %d, immune %d, rank %d", r, before, c.before, c.immune, c.rank)
			}
			if r.Line() == "" {
				t.Error("no words for it")
			}
		})
	}
	if r := RiskOf(view(4, 4, nil), id(99)); r.Before != nil {
		t.Errorf("of nobody: %+v", r)
	}
}
