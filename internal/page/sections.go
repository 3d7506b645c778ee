package page

import (
	"fmt"
	"slices"
	"strings"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/figure"
	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/lightclient"
)

// A tone is how something is.
type tone markup

const (
	good tone = "g"
	warn tone = "w"
	bad  tone = "b"
	mute tone = "m"
)

// colour is a tone's on an icon, which sees no style sheet.
func (t tone) colour() markup {
	switch t {
	case good:
		return "%231a9d5c"
	case warn, mute:
		return "%23d08a1e"
	}
	return "%23d23b3b"
}

// A verdict is how the node is, in a word and a sentence.
type verdict struct {
	word string
	tone tone
	text string
}

// verdicts are those of lightclient.Status.State.
var verdicts = map[string]verdict{
	"following": {"Following", good, ""},
	"warping":   {"Catching up", warn, "Proofs are fetched and verified, from the checkpoint on."},
	"resolving": {"Starting", warn, "The checkpoint’s header is fetched."},
	"asleep":    {"Asleep", mute, "To save power or traffic. What is shown is proven, and old."},
	"stale":     {"Head is old", bad, "What is shown is proven, but not the newest."},
	"no peers":  {"Nobody to ask", bad, "What is shown is proven, but nobody tells of more."},
	"upgrade":   {"Upgrade needed", bad, "The chain uses rules that this version does not know."},
	"conflict":  {"Finality conflict", bad, "Two valid finalities contradict each other. Sign nothing."},
}

func verdictOf(d *Data) verdict {
	s := d.Status
	v, ok := verdicts[s.State]
	if !ok {
		v = verdict{s.State, warn, ""}
	}
	if v.tone == good {
		for _, w := range s.Health {
			if w.Severity == "error" {
				v.tone = warn
			}
		}
	}
	return v
}

// seconds is how old the head is.
func seconds(s *control.Status) float64 {
	if s.SlotAge != nil {
		return max(*s.SlotAge, 0)
	}
	return s.FinalizedAge
}

func (w *writer) head(d *Data, v verdict) {
	s := d.Status
	w.f(`<header><p class="net"><span>taolight on %s</span>`, cut(network(s), 40))
	if s.Demo {
		w.put(`<span>nothing here is worth anything</span>`)
	}
	w.f(`</p><h1 class="%s"><i></i><span>%s</span></h1>`, markup(v.tone), cut(v.word, 40))
	if f := s.Finalized; f != nil {
		w.f(`<p class="big">%s is final, %s old</p>`, figure.Block(f.Number), figure.Span(seconds(s)))
		w.f(`<p class="m">`)
		if v.text != "" {
			w.f(`%s `, v.text)
		}
		if f.Signers > 0 {
			w.f(`Signed by %d of %d authorities of set %s`, f.Signers, s.Voters, figure.Group(s.SetID))
		} else {
			w.f(`Set %s of %s`, figure.Group(s.SetID), figure.Count(s.Voters, "key"))
		}
		if b := s.Best; b != nil && b.Number >= f.Number {
			w.f(`, best +%d`, int(b.Number-f.Number))
		}
		w.put(`.</p>`)
	} else {
		w.put(`<p class="big">Nothing is proven yet</p>`)
	}
	w.put(`</header>`)
}

// tones are those of severities.
func toneOf(severity string) tone {
	switch severity {
	case "error":
		return bad
	case "warn":
		return warn
	}
	return mute
}

func (w *writer) health(s *control.Status) {
	w.put(`<section>`)
	if len(s.Health) == 0 {
		w.put(`<h2>Health<small class="g">all is well</small></h2></section>`)
		return
	}
	w.f(`<h2>Health<small>%s</small></h2>`, figure.Count(len(s.Health), "remark"))
	for i, h := range s.Health {
		if i == maxWarnings {
			w.f(`<p class="m">and %d more: taolight status</p>`, len(s.Health)-i)
			break
		}
		w.f(`<div class="n %s"><b>%s</b><span>%s</span><em>%s</em></div>`, markup(toneOf(h.Severity)), cut(strings.ReplaceAll(h.Code, "-", " "), 40), sentence(h.Title), sentence(h.Remedy))
	}
	w.put(`</section>`)
}

// sentence begins with a capital and has an end.
func sentence(s string) string {
	s = cut(strings.TrimSpace(s), 260)
	if s == "" {
		return ""
	}
	if s[0] >= 'a' && s[0] <= 'z' && !strings.HasPrefix(s, "taolight ") {
		s = strings.ToUpper(s[:1]) + s[1:]
	}
	if !strings.ContainsAny(s[len(s)-1:], ".…!?") {
		s += "."
	}
	return s
}

func (w *writer) cell(name, value markup, args ...any) {
	w.f(`<div><dt>%s</dt><dd>`, name)
	w.f(value, args...)
	w.put(`</dd></div>`)
}

// levels says each power level as a tone.
func levelTone(l power.Level) tone {
	switch l {
	case power.Full:
		return good
	case power.Park:
		return bad
	}
	return warn
}

func (w *writer) power(d *Data) {
	if d.Power == nil || d.Power.Report == nil {
		return
	}
	r := d.Power.Report
	w.f(`<section><h2>Power<small class="%s">%s</small></h2><dl>`, markup(levelTone(r.Level)), r.Level.String())
	switch {
	case r.SoC != nil:
		w.cell("battery", "%s", fmt.Sprintf("%.0f %%", *r.SoC))
	case r.ByVolts != nil:
		w.cell("battery, by voltage", "%s", fmt.Sprintf("about %.0f %%", *r.ByVolts))
	}
	if r.Net != nil {
		w.cell("into it", "%s", fmt.Sprintf("%+.1f W", *r.Net))
	}
	if r.PV != nil {
		w.cell("panel", "%s", fmt.Sprintf("%.1f W", *r.PV))
	}
	if r.Energy.Measured != nil {
		w.cell("used today", "%s", fmt.Sprintf("%.1f Wh", *r.Energy.Measured))
	} else {
		w.cell("node today, est.", "%s", fmt.Sprintf("%.1f Wh", r.Energy.Self))
	}
	if m := r.Metered; m != nil {
		w.cell("data left today", "%s", figure.Size(m.Left))
	}
	if r.WakeIn != nil {
		w.cell("wakes in", "%s", figure.Span(*r.WakeIn))
	}
	w.put(`</dl>`)
	w.curve(d.Curve)
	w.f(`<p class="t">%s`, sentence(r.Why.Text))
	for i, n := range r.Next {
		if i == 2 {
			break
		}
		w.f(` <span class="m">%s %s.</span>`, strings.ToUpper(n.Level.String()[:1])+n.Level.String()[1:], cut(n.When, 120))
	}
	w.put(`</p></section>`)
}

func (w *writer) neuron(n *Neuron) {
	tone := good
	if !n.Good {
		tone = warn
	}
	w.f(`<section><h2>%s<small class="%s">%s</small></h2><dl>`, upper(cut(n.Name, 48)), markup(tone), cut(n.Text, 48))
	for i, r := range n.Rows {
		if i == maxRows {
			break
		}
		w.f(`<div><dt>%s</dt><dd>%s</dd></div>`, cut(r[0], 32), cut(r[1], 80))
	}
	w.put(`</dl></section>`)
}

func upper(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return strings.ToUpper(s[:1]) + s[1:]
	}
	return s
}

func (w *writer) subnet(n *Subnet, s *control.Status) {
	w.f(`<section><h2>Subnet %d`, int(n.Netuid))
	if n.Meta != nil && n.Meta.Symbol != "" {
		w.f(` %s`, cut(n.Meta.Symbol, 8))
	}
	switch {
	case n.Meta != nil:
		w.f(`<small>%s, %s</small></h2>`, cut(n.Meta.Block.Trust, 16), figure.Block(n.Meta.Block.Number))
	default:
		w.put(`<small>watched</small></h2>`)
	}
	if m := n.Meta; m != nil {
		w.put(`<dl>`)
		w.cell("neurons", "%d of %d", len(m.Neurons), int(m.MaxUIDs))
		if m.Schedule.NextEpoch != nil {
			left := ""
			if eta := m.Schedule.ETA; eta != nil && *eta > n.Age.Seconds() {
				left = ", in " + figure.Span(*eta-n.Age.Seconds())
			}
			w.cell("next epoch", "%s%s", figure.Block(*m.Schedule.NextEpoch), left)
		}
		w.put(`</dl>`)
		w.metagraph(m)
	}
	if c := n.Commits; c != nil {
		w.commits(c)
	} else if v := s.Watch; v != nil && n.Meta != nil {
		w.f(`<p class="m">Of all watched: %d pending, %d revealed, %d lost since the start.</p>`, v.Pending, v.Revealed, v.Lost)
	}
	if n.Note != "" {
		w.f(`<p class="m">%s</p>`, sentence(n.Note))
	}
	w.put(`</section>`)
}

// fates are the words and tones of lightclient.Commitment.State.
var fates = map[string]verdict{
	lightclient.Pending: {"pending", mute, ""}, lightclient.Revealed: {"revealed", good, ""}, lightclient.Lost: {"lost", bad, ""}, lightclient.Unclear: {"unclear", warn, ""},
}

func (w *writer) commits(c *control.Commits) {
	all := append(slices.Clone(c.Pending), c.Past...)
	if len(all) == 0 {
		w.put(`<h3>Commitments</h3><p class="m">Nothing is pending, and nothing came lately.</p>`)
		return
	}
	count := map[string]int{}
	for _, x := range all {
		count[x.State]++
	}
	w.put(`<h3>Commitments: `)
	said := false
	for _, state := range []string{lightclient.Pending, lightclient.Revealed, lightclient.Lost, lightclient.Unclear} {
		if count[state] > 0 {
			if said {
				w.put(`, `)
			}
			said = true
			w.f(`%d <span class="%s">%s</span>`, count[state], markup(fates[state].tone), fates[state].word)
		}
	}
	w.put(`</h3><ul>`)
	// What was lost first, then what is pending, then the rest.
	order := []string{lightclient.Lost, lightclient.Pending, lightclient.Unclear, lightclient.Revealed}
	slices.SortStableFunc(all, func(a, b *lightclient.Commitment) int {
		return slices.Index(order, a.State) - slices.Index(order, b.State)
	})
	for i, x := range all {
		if i == maxCommits {
			break
		}
		f, ok := fates[x.State]
		if !ok {
			f = verdict{x.State, mute, ""}
		}
		who := "no uid any more"
		if x.UID != nil {
			who = fmt.Sprintf("uid %d", *x.UID)
		}
		w.f(`<li><div class="r"><span><b>%s</b> <small>made at %s</small></span><b class="%s">%s</b></div>`, who, figure.Block(x.MadeAt), markup(f.tone), cut(f.word, 16))
		switch {
		case len(x.Reasons) > 0:
			w.f(`<div class="t m">%s</div>`, sentence(cut(x.Reasons[0].Text, 160)))
		case x.State == lightclient.Pending && x.RevealAt != nil:
			eta := ""
			if x.ETA != nil {
				eta = ", in about " + figure.Span(max(*x.ETA, 0))
			}
			w.f(`<div class="t m">The chain opens it at %s%s.</div>`, figure.Block(*x.RevealAt), eta)
		case x.RevealAt != nil:
			w.f(`<div class="t m">Opened at %s.</div>`, figure.Block(*x.RevealAt))
		}
		w.put(`</li>`)
	}
	w.put(`</ul>`)
	if len(all) > maxCommits {
		w.f(`<p class="m t">%d more: taolight commits %d</p>`, len(all)-maxCommits, int(c.Netuid))
	}
}

func (w *writer) peers(d *Data) {
	s := d.Status
	w.put(`<section><h2>Peers</h2><dl>`)
	w.cell("of the chain", "%d <small>of %d</small>", s.Peers.Open, s.Peers.Wanted)
	if g := s.Gossip; g != nil {
		w.cell("light nodes", "%d", g.Neighbours)
	}
	w.cell("received", "%s", figure.Size(s.Traffic.In))
	w.cell("sent", "%s", figure.Size(s.Traffic.Out))
	if s.Peers.Banned > 0 {
		w.cell("banned", "%d", s.Peers.Banned)
	}
	w.put(`</dl>`)
	if p := d.Peers; p != nil && len(p.Open)+len(p.Banned) > 0 {
		w.put(`<details><summary>Who they are</summary><ul>`)
		for i, x := range p.Open {
			if i == maxPeers {
				w.f(`<li class="m">%d more</li>`, len(p.Open)-i)
				break
			}
			w.f(`<li><div class="r"><span>%s</span><small>%s</small></div><div class="t m">%s, for %s</div></li>`,
				cut(x.Agent, 48), figure.Block(x.Best), cut(x.Addr, 80), figure.Span(x.Seconds))
		}
		for i, x := range p.Banned {
			if i == maxBans {
				break
			}
			w.f(`<li><div class="r"><span>%s</span><small class="w">banned</small></div><div class="t m">%s</div></li>`, cut(x.ID, 24), sentence(cut(x.Reason, 160)))
		}
		w.put(`</ul></details>`)
	}
	w.put(`</section>`)
}

func (w *writer) foot(d *Data, live bool) {
	s := d.Status
	age := ""
	if s.Trust.AgeDays != nil {
		age = ", " + figure.Count(int(min(*s.Trust.AgeDays, 1e6)), "day") + " old"
	}
	w.f(`<footer><p>Proven from checkpoint %s%s, over %s of the authorities.</p>`, figure.Block(s.Trust.Checkpoint), age, figure.Count(s.Trust.SetChanges, "change"))
	w.f(`<p>Clock %s. `, cut(s.Clock.Trust, 16))
	if k := s.Disk; k != nil {
		w.f(`Store %s, %s written. `, figure.Size(uint64(max(k.FileBytes, 0))), figure.Size(k.BytesWritten))
	}
	w.f(`Memory %s.</p><p>taolight %s, up %s. `, figure.Size(s.Memory), cut(s.Version, 24), figure.Span(s.Uptime))
	if live {
		w.f(`<a href="/">Stop reloading</a> (every %d s)`, LiveSeconds)
	} else {
		w.put(`<a href="/?live">Reload by itself</a>`)
	}
	w.put(` · <a href="/metrics">Metrics</a></p></footer>`)
}
