package page

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/lightclient"
)

func ptr[T any](v T) *T { return &v }

// sample is a node on a battery that watches a subnet and validates in it.
func sample() *Data {
	d := &Data{Status: &control.Status{
		Status: lightclient.Status{Network: "finney", Version: "0.1.0", State: "following", Uptime: 400000,
			Finalized: &lightclient.BlockStatus{Number: 8912406, Signers: 17}, Best: &lightclient.BlockStatus{Number: 8912408}, SetID: 6, Voters: 20,
			SlotAge: ptr(26.), Trust: lightclient.TrustStatus{Checkpoint: 8867448, AgeDays: ptr(uint64(8)), SetChanges: 1},
			Peers: lightclient.PeersStatus{Open: 7, Wanted: 8, Known: 40, Banned: 1}, Traffic: lightclient.TrafficStatus{In: 31e6, Out: 4e6},
			Clock: lightclient.ClockStatus{Trust: "witnessed"}, Memory: 29e6, Watch: &lightclient.WatchStatus{Pending: 3, Revealed: 40, Lost: 1},
			Health: []lightclient.Warning{{Code: "commit-lost", Severity: "warn", Title: "1 weight commitments of watched subnets were lost since the start", Remedy: "taolight commits NETUID tells whose and why"},
				{Code: "gossip-alone", Severity: "note", Title: "no other light node is near: nobody brings proofs when the peers are silent", Remedy: "name one with --peer, or leave it: finality does not need it"}}},
		Disk: &control.Disk{FileBytes: 9e6, BytesWritten: 11e5}, Gossip: &control.Talk{Neighbours: 4}},
		Power: &control.Power{Report: &power.Report{Level: power.Eco, SoC: ptr(57.), Net: ptr(-1.8), PV: ptr(0.4), Energy: power.EnergyToday{Self: 8, Measured: ptr(31.5)},
			Why:  power.Why{Text: "the battery is at 57 percent, below 60"},
			Next: []power.Next{{Level: power.Full, When: "from 65 percent on, while charging"}, {Level: power.Survive, When: "below 30 percent"}}}},
		Peers: &control.Peers{Banned: []lightclient.BanStatus{{ID: "12D3KooWQqTn", Reason: "storage proof does not lead to the root"}}},
		Neurons: []Neuron{{Name: "validator of subnet 18", Good: true, Text: "on duty", Rows: [][2]string{{"uid", "37"}, {"weights due", "#8,912,520, 23min"}, {"vtrust", "0.981"},
			{"last reveal", "round 21,774,113"}}}},
	}
	for i := range 7 {
		d.Peers.Open = append(d.Peers.Open, lightclient.PeerStatus{Agent: fmt.Sprintf("Bittensor Node/v4.0.0-dev-%x (full)", 0xabc1234+i), Addr: fmt.Sprintf("/ip4/203.0.113.%d/tcp/30333/ws", i+7),
			Best: 8912408, Seconds: float64(3000 * (i + 1))})
	}
	for i := range 144 {
		h := float64(i) / 6 // hours, the last being noon
		sun := math.Max(0, math.Sin((h-6+12)/24*2*math.Pi-math.Pi/2+math.Pi))
		p := Point{Ago: time.Duration(144-i) * 10 * time.Minute, Level: power.Full, SoC: ptr(72 - 22*math.Sin((h+3)/24*2*math.Pi)), PV: ptr(9 * sun * sun)}
		if *p.SoC < 60 {
			p.Level = power.Eco
		}
		d.Curve = append(d.Curve, p)
	}
	m := &control.Metagraph{}
	m.Netuid, m.Symbol, m.MaxUIDs = 18, "σ", 256
	m.Block = lightclient.BlockStatus{Number: 8912400, Trust: "finalized"}
	m.Schedule.NextEpoch, m.Schedule.ETA = ptr(uint32(8912520)), ptr(1440.)
	for i := range 256 {
		n := lightclient.Neuron{UID: uint16(i), Updated: uint64(i * 3 % 400)}
		if i%7 == 3 {
			n.Permit, n.Dividends, n.Emission = true, uint16(65535/(i+2)), uint64(1e9/(i+2))
		} else if i%3 > 0 {
			n.Incentive, n.Emission = uint16(20000/(1+(i*37)%97)), uint64(5e8/(1+(i*37)%97))
		}
		m.Neurons = append(m.Neurons, n)
	}
	c := &control.Commits{}
	c.Netuid = 18
	c.Pending = []*lightclient.Commitment{{State: lightclient.Pending, UID: ptr(uint16(37)), MadeAt: 8912288, RevealAt: ptr(uint32(8912520)), ETA: ptr(1400.)}}
	c.Past = []*lightclient.Commitment{{State: lightclient.Lost, UID: ptr(uint16(3)), MadeAt: 8911900, Reasons: []lightclient.ReasonStatus{{Word: "pulse", Text: "the pulse of its round never came on chain"}}},
		{State: lightclient.Revealed, UID: ptr(uint16(37)), MadeAt: 8911802, RevealAt: ptr(uint32(8912160))}}
	d.Subnets = []Subnet{{Netuid: 18, Meta: m, Commits: c, Age: 40 * time.Second}}
	return d
}

// bare is a node that has just started, and knows nothing.
func bare() *Data {
	return &Data{Status: &control.Status{Status: lightclient.Status{Network: "demo", Demo: true, State: "no peers", Clock: lightclient.ClockStatus{Trust: "floor"},
		Health: []lightclient.Warning{{Code: "no-peers", Severity: "error", Title: "no peer to ask: tried /dns/bootnode.example/tcp/30333/ws: connection refused",
			Remedy: "check the link to the internet, or name a peer with --peer /ip4/ADDRESS/tcp/30333/ws/p2p/12D3Koo…"}}}}}
}

var void = []string{"meta", "link", "!doctype", "line", "rect", "path"} // of what is written here, what has no end of its own

var tag = regexp.MustCompile(`<(/?)(!?[a-zA-Z0-9]+)((?: [a-zA-Z0-9-]+(?:="[^"<>]*")?)*)(/?)>`)

// wellFormed reads a page as strictly as it is written: every tag is one this package writes, and ends.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	i := strings.Index(page, "<style>")
	j := strings.Index(page, "</style>")
	text := page[:i] + page[j+len("</style>"):]
	var open []string
	rest := tag.ReplaceAllStringFunc(text, func(s string) string {
		m := tag.FindStringSubmatch(s)
		name := strings.ToLower(m[2])
		if !slices.Contains(allowed, name) {
			t.Errorf("a tag that nobody here writes: %s", s)
		}
		for _, a := range regexp.MustCompile(` ([a-zA-Z0-9-]+)`).FindAllStringSubmatch(m[3], -1) {
			if strings.HasPrefix(a[1], "on") || a[1] == "style" || a[1] == "src" {
				if strings.Contains(m[3], a[0]+"=") {
					t.Errorf("attribute %s: %s", a[1], s)
				}
			}
		}
		switch {
		case m[1] == "/":
			if len(open) == 0 || open[len(open)-1] != name {
				t.Errorf("%s ends what is not open: %v", s, open)
			} else {
				open = open[:len(open)-1]
			}
		case m[4] == "" && !slices.Contains(void, name):
			open = append(open, name)
		}
		return ""
	})
	if len(open) > 0 {
		t.Errorf("left open: %v", open)
	}
	if k := strings.IndexAny(rest, "<>"); k >= 0 {
		t.Errorf("a bracket outside of tags: %.80q", rest[max(k-20, 0):])
	}
	if m := regexp.MustCompile(`&(?:amp|lt|gt|#34|#39);`).ReplaceAllString(rest, ""); strings.Contains(m, "&") {
		t.Error("a bare ampersand")
	}
}

var allowed = strings.Fields("!doctype html head meta title link body main header p span h1 i section h2 small dl div dt dd b em svg rect line text path table tr th td ul li h3 details summary footer a")

func TestPages(t *testing.T) {
	for name, d := range map[string]*Data{"sample": sample(), "bare": bare()} {
		page := string(Render(d, false))
		wellFormed(t, page)
		if strings.Contains(page, "<script") || strings.Contains(page, "http://") && !strings.Contains(page, "www.w3.org") || strings.Contains(page, "https://") || strings.Contains(page, "url(") || strings.Contains(page, "@import") {
			t.Errorf("%s: a script, or something from elsewhere", name)
		}
		if len(page) > MaxBytes {
			t.Errorf("%s: %d bytes", name, len(page))
		}
		t.Logf("%s: %d bytes, of which the style sheet is %d", name, len(page), len(sheet))
	}
}

// TestShows: what the node knows stands there, and what it does not know does not.
func TestShows(t *testing.T) {
	page := string(Render(sample(), false))
	for _, want := range []string{"Following", "#8,912,406 is final, 26s old", "17 of 20 authorities of set 6", "best +2", "57 %", "-1.8 W", "31.5 Wh", "<svg", "charge, %", "panel, up to", "From 65 percent on"[1:],
		"Subnet 18", "256 of 256", "incentive", "in about 23min", "1 <span class=\"b\">lost</span>", "The pulse of its round never came on chain.", "commit lost", "tells whose and why.", "Validator of subnet 18",
		"23min", "7 <small>of 8", "203.0.113.7", "banned", "checkpoint #8,867,448, 8 days old", "Clock witnessed", "/metrics", "/?live"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not shown", want)
		}
	}
	if strings.Contains(page, "http-equiv") {
		t.Error("a page that loads itself, unasked")
	}
	if !strings.Contains(string(Render(sample(), true)), `<meta http-equiv="refresh" content="20">`) {
		t.Error("a live page does not load itself")
	}
	page = string(Render(bare(), false))
	for _, want := range []string{"Nobody to ask", "Nothing is proven yet", "nothing here is worth anything", "connection refused", "--peer"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not shown", want)
		}
	}
	for _, not := range []string{"Power", "Subnet", "<svg", "alidator", "all is well", "light nodes"} {
		if strings.Contains(page, not) {
			t.Errorf("%q is shown of a node that has none", not)
		}
	}
	d := sample()
	d.Status.Health = nil
	if page = string(Render(d, false)); !strings.Contains(page, "all is well") {
		t.Error("not all is well")
	}
	// A state without faults and an error beside it is not shown in green.
	d.Status.Health = []lightclient.Warning{{Code: "under-voltage", Severity: "error", Title: "t", Remedy: "r"}}
	if page = string(Render(d, false)); !strings.Contains(page, `<h1 class="w">`) {
		t.Error("good, in spite of an error")
	}
	for state := range verdicts {
		d.Status.State = state
		wellFormed(t, string(Render(d, false)))
	}
}

// hostile is a node all of whose neighbours write this.
func hostile(text string) *Data {
	d := sample()
	s := d.Status
	s.Network, s.Version, s.State, s.Clock.Trust = text, text, text, text
	s.Health = nil
	for range 40 {
		s.Health = append(s.Health, lightclient.Warning{Code: text, Severity: text, Title: text, Remedy: text})
	}
	for len(d.Peers.Open) < 40 {
		d.Peers.Open = append(d.Peers.Open, d.Peers.Open[0])
		d.Peers.Banned = append(d.Peers.Banned, d.Peers.Banned[0])
	}
	for i := range d.Peers.Open {
		d.Peers.Open[i].Agent, d.Peers.Open[i].Addr, d.Peers.Open[i].Best, d.Peers.Open[i].Seconds = text, text, math.MaxUint32, 1e17
	}
	for i := range d.Peers.Banned {
		d.Peers.Banned[i].ID, d.Peers.Banned[i].Reason = text, text
	}
	d.Power.Why.Text = text
	for i := range d.Power.Next {
		d.Power.Next[i].When = text
	}
	n := &d.Subnets[0]
	n.Note, n.Meta.Symbol, n.Meta.Block.Trust = text, text, text
	for len(n.Meta.Neurons) < 4096 {
		n.Meta.Neurons = append(n.Meta.Neurons, n.Meta.Neurons[0])
	}
	for i := range n.Meta.Neurons {
		x := &n.Meta.Neurons[i]
		x.UID, x.Permit, x.Incentive, x.Dividends, x.Emission, x.Updated = uint16(i), true, 65535, 65535, math.MaxUint64, math.MaxUint64
	}
	for len(n.Commits.Past) < 1000 {
		n.Commits.Past = append(n.Commits.Past, n.Commits.Past[0])
	}
	for _, c := range n.Commits.Past {
		c.State, c.Reasons = text, []lightclient.ReasonStatus{{Word: text, Text: text}}
	}
	for len(d.Subnets) < 64 {
		d.Subnets = append(d.Subnets, *n)
	}
	row := [2]string{text, text}
	d.Neurons[0] = Neuron{Name: text, Text: text, Rows: slices.Repeat([][2]string{row}, 100)}
	for len(d.Neurons) < 50 {
		d.Neurons = append(d.Neurons, d.Neurons[0])
	}
	for len(d.Curve) < 5000 {
		d.Curve = append(d.Curve, Point{Level: power.Level(len(d.Curve) % 4), SoC: ptr(33.3), PV: ptr(77.7), Ago: time.Duration(5000-len(d.Curve)) * time.Minute})
	}
	return d
}

// TestBound: whatever is known, a page is no larger than promised, and no text of others is markup.
func TestBound(t *testing.T) {
	for _, text := range []string{strings.Repeat(`"`, 5000), strings.Repeat("\U0001f600", 5000), `<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `javascript:alert(1)`,
		"</style><script>", "' onmouseover='x", "%s%d%%", "\x00\x1b[31m\u202e", strings.Repeat("<b>", 2000), "&lt;", "\xff\xfe<"} {
		page := string(Render(hostile(text), true))
		wellFormed(t, page)
		if len(page) > MaxBytes {
			t.Errorf("%.20q: %d bytes", text, len(page))
		}
		if strings.ContainsAny(page, "\x00\x1b\u202e") {
			t.Errorf("%.20q: control characters", text)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"<script>", `"onload="`, "&", "\u202e", "%s", "</title>", "a\xffb", "'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		page := string(Render(hostile(text), false))
		wellFormed(t, page)
		if len(page) > MaxBytes {
			t.Errorf("%d bytes", len(page))
		}
	})
}

func TestHandler(t *testing.T) {
	fail := false
	h := Handler(func(context.Context) (*Data, error) {
		if fail {
			return nil, errors.New("node has ended <b>")
		}
		return sample(), nil
	})
	ask := func(method, path, accept string) (*httptest.ResponseRecorder, bool) {
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		return w, h(w, r)
	}
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	w, ok := ask("GET", "/", browser)
	if !ok || w.Code != 200 || w.Body.Len() < 1000 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%v %d %v", ok, w.Code, w.Header())
	}
	csp := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "style-src 'sha256-", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("policy %q: no %s", csp, want)
		}
	}
	for _, not := range []string{"unsafe", "script-src", "http", "*"} {
		if strings.Contains(csp, not) {
			t.Errorf("policy %q has %s", csp, not)
		}
	}
	for k, v := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"} {
		if w.Header().Get(k) != v {
			t.Errorf("%s: %q", k, w.Header().Get(k))
		}
	}
	if w, ok = ask("HEAD", "/?live", browser); !ok || w.Body.Len() > 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %v, %d bytes", ok, w.Body.Len())
	}
	for _, c := range [][2]string{{"/", "*/*"}, {"/", "application/json"}, {"/", ""}, {"/other", browser}, {"/../", browser}} {
		if _, ok := ask("GET", c[0], c[1]); ok {
			t.Errorf("%v is answered", c)
		}
	}
	fail = true
	if w, ok = ask("GET", "/", browser); !ok || w.Code != http.StatusServiceUnavailable || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func BenchmarkRender(b *testing.B) {
	d := sample()
	for b.Loop() {
		Render(d, false)
	}
}
