package main

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"slices"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/lightclient"
)

// metagraphSVG draws the incentive and the dividends of a subnet by uid: one bar each, incentive up
// and dividends down, in scales of their own.
func metagraphSVG(m *control.Metagraph) []byte {
	const left, top, half, bottom = 46, 44, 120, 40
	list := slices.Clone(m.Neurons)
	slices.SortFunc(list, func(a, b lightclient.Neuron) int { return cmp.Compare(a.UID, b.UID) })
	step, every := 6, 8 // bars, and labels
	if len(list) <= 64 {
		step, every = 14, 4
	}
	width := left + max(step*len(list), 420) + 16
	height := top + 2*half + bottom
	zero := top + half

	most := func(of func(lightclient.Neuron) uint16) uint16 {
		var v uint16 = 1
		for _, n := range list {
			v = max(v, of(n))
		}
		return v
	}
	incentive := func(n lightclient.Neuron) uint16 { return n.Incentive }
	dividends := func(n lightclient.Neuron) uint16 { return n.Dividends }
	up, down := most(incentive), most(dividends)

	title := fmt.Sprintf("%s subnet %d at block %d (%s)", networkName(m.Network, m.Demo), m.Netuid, m.Block.Number, m.Block.Trust)
	b := newPicture(width, height, title)
	fmt.Fprintf(b, `<text x="%d" y="34" class="a">incentive, up to %s</text><text x="%d" y="34" class="b">dividends, down to %s</text>`+"\n",
		left, fraction(up, 4), left+180, fraction(down, 4))
	for i, n := range list {
		x := left + i*step
		name := fmt.Sprintf("uid %d %s incentive %s dividends %s", n.UID, n.Hotkey, fraction(n.Incentive, 6), fraction(n.Dividends, 6))
		fmt.Fprintf(b, "<g><title>%s</title>", escape(name))
		if h := int(n.Incentive) * half / int(up); h > 0 {
			fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" class="a"/>`, x, zero-h, step-1, h)
		}
		if h := int(n.Dividends) * half / int(down); h > 0 {
			fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" class="b"/>`, x, zero, step-1, h)
		}
		b.WriteString("</g>\n")
		if i%(every) == 0 {
			fmt.Fprintf(b, `<text x="%d" y="%d" class="l">%d</text>`+"\n", x, zero+half+16, n.UID)
		}
	}
	fmt.Fprintf(b, `<line x1="%d" y1="%d" x2="%d" y2="%d" class="r"/>`+"\n", left-4, zero, width-12, zero)
	fmt.Fprintf(b, `<text x="%d" y="%d" class="l">uid</text>`+"\n</svg>\n", 16, zero+half+16)
	return b.Bytes()
}

// newPicture begins a picture: what it is, in the title and above all, and the colours of its classes on
// a light and on a dark screen. It is whole by itself: no script, no font, nothing fetched.
//
// The classes are: a and b, the two colours of what is shown, s, the first of them for lines; l, labels; r, rules; x, what is wrong.
func newPicture(width, height int, title string) *bytes.Buffer {
	b := new(bytes.Buffer)
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", width, height, width, height)
	fmt.Fprintf(b, "<title>%s</title>\n", escape(title))
	b.WriteString(`<style>rect.p{fill:#fff}text{fill:#222}.a{fill:#16794a}.s{stroke:#16794a}.b{fill:#b05c0a}.l{fill:#555}.r{stroke:#999;fill:none}.x{stroke:#d00;stroke-width:2;fill:none}.h{fill:transparent}
@media(prefers-color-scheme:dark){rect.p{fill:#16181c}text{fill:#eee}.a{fill:#4cc98a}.s{stroke:#4cc98a}.b{fill:#f0a04a}.l{fill:#aaa}.r{stroke:#666}.x{stroke:#f66}}</style>
<rect class="p" width="100%" height="100%"/>
`)
	fmt.Fprintf(b, `<text x="12" y="18" font-size="13">%s</text>`+"\n", escape(title))
	return b
}

// simulationSVG draws a simulation: the level as a band behind the charge and the panel's power.
func simulationSVG(s *power.Simulation) []byte {
	const left, top, high, wide = 46, 44, 240, 960
	colours := map[power.Level]string{power.Full: "#dff3e4", power.Eco: "#fff6d6", power.Survive: "#ffe1c4", power.Park: "#f6cccc"}
	var b bytes.Buffer
	width, height := left+wide+46, top+high+46
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", width, height, width, height)
	title := fmt.Sprintf("%.1f days simulated", s.Days)
	fmt.Fprintf(&b, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n", title)
	fmt.Fprintf(&b, `<text x="%d" y="18" font-size="13">%s</text>`+"\n", left, title)
	x := left
	for l := power.Full; ; l-- {
		fmt.Fprintf(&b, `<rect x="%d" y="26" width="12" height="12" fill="%s"/><text x="%d" y="36">%s %.0f h</text>`+"\n", x, colours[l], x+16, l, s.Hours[l.String()])
		x += 110
		if l == power.Park {
			break
		}
	}
	fmt.Fprintf(&b, `<text x="%d" y="36" fill="#1f5f9f">charge</text><text x="%d" y="36" fill="#d98324">panel</text>`+"\n", x, x+60)

	span := max(s.Days*86400, 1)
	at := func(p power.Point) float64 { return left + wide*p.At.Seconds()/span }
	most := 1.
	for _, p := range s.Points {
		if p.PV != nil {
			most = max(most, *p.PV)
		}
	}
	for i := 0; i < len(s.Points); { // a run of one level is one rectangle
		j := i + 1
		for j < len(s.Points) && s.Points[j].Level == s.Points[i].Level {
			j++
		}
		end := float64(left + wide)
		if j < len(s.Points) {
			end = at(s.Points[j])
		}
		fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"><title>%s</title></rect>`+"\n", at(s.Points[i]), top, max(end-at(s.Points[i]), 0), high, colours[s.Points[i].Level], s.Points[i].Level)
		i = j
	}
	curve := func(colour string, of func(power.Point) *float64, scale float64) {
		pen := "M"
		fmt.Fprintf(&b, `<path fill="none" stroke="%s" d="`, colour)
		for _, p := range s.Points {
			v := of(p)
			if v == nil { // a gap where nothing was measured
				pen = "M"
				continue
			}
			fmt.Fprintf(&b, "%s%.1f %.1f", pen, at(p), top+high-high*min(max(*v/scale, 0), 1))
			pen = "L"
		}
		b.WriteString("\"/>\n")
	}
	curve("#d98324", func(p power.Point) *float64 { return p.PV }, most)
	curve("#1f5f9f", func(p power.Point) *float64 { return p.SoC }, 100)
	for pct := 0; pct <= 100; pct += 25 {
		y := top + high - high*pct/100
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#1f5f9f">%d %%</text><text x="%d" y="%d" fill="#d98324">%.0f W</text>`+"\n", 8, y+4, pct, left+wide+6, y+4, most*float64(pct)/100)
	}
	every := 1 + int(s.Days)/15
	for day := 0; float64(day) <= s.Days; day += every {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" fill="#555">%d</text>`+"\n", left+wide*float64(day)*86400/span, top+high+16, day)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#555">days</text>`+"\n</svg>\n", left, top+high+34)
	return b.Bytes()
}

// escape makes a text fit for XML, where control characters have no place at all.
func escape(s string) string {
	var b bytes.Buffer
	xml.EscapeText(&b, []byte(printable(s))) // to memory, which does not fail
	return b.String()
}
