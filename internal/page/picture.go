package page

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/figure"
	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/lightclient"
)

// Places of the day's curve.
const (
	curveWide = 320
	curveHigh = 84
	curveLeft = 22
)

// curve draws the last day: the charge as a line, the panel's power as an area, levels below full as bands.
func (w *writer) curve(points []Point) {
	if len(points) > maxPoints {
		points = points[len(points)-maxPoints:]
	}
	drawn, most := 0, 0.
	for _, p := range points {
		if p.SoC != nil || p.PV != nil {
			drawn++
		}
		if p.PV != nil {
			most = max(most, *p.PV)
		}
	}
	if drawn < 2 {
		return
	}
	day := 24 * time.Hour
	x := func(p Point) float64 {
		return curveLeft + (curveWide-curveLeft)*(1-min(max(p.Ago.Seconds()/day.Seconds(), 0), 1))
	}
	y := func(share float64) float64 { return 4 + curveHigh*(1-min(max(share, 0), 1)) }
	w.f(`<svg viewBox="0 0 %d %d" role="img"><title>Charge and sun of the last 24 hours</title>`, curveWide, curveHigh+22)
	for i := 0; i < len(points); { // a run of one level is one band
		j := i + 1
		for j < len(points) && points[j].Level == points[i].Level {
			j++
		}
		end := float64(curveWide)
		if j < len(points) {
			end = x(points[j])
		}
		if l := points[i].Level; l < power.Full {
			w.f(`<rect class="l%d" x="%s" y="4" width="%s" height="%d"/>`, int(l), tenth(x(points[i])), tenth(end-x(points[i])), curveHigh)
		}
		i = j
	}
	for _, share := range []int{0, 50, 100} {
		at := tenth(y(float64(share) / 100))
		w.f(`<line class="gr" x1="%d" x2="%d" y1="%s" y2="%s"/><text x="0" y="%s">%d</text>`, curveLeft, curveWide, at, at, tenth(y(float64(share)/100)+3), share)
	}
	var line, area strings.Builder
	pen := markup("M")
	var first, last float64
	for _, p := range points {
		if p.SoC == nil {
			pen = "M"
		} else {
			line.WriteString(string(pen) + tenth(x(p)) + " " + tenth(y(*p.SoC/100)))
			pen = "L"
		}
		if p.PV != nil && most > 0 {
			if area.Len() == 0 {
				first = x(p)
				area.WriteString("M" + tenth(first) + " " + tenth(y(0)))
			}
			area.WriteString("L" + tenth(x(p)) + " " + tenth(y(*p.PV/most)))
			last = x(p)
		}
	}
	if area.Len() > 0 {
		w.f(`<path class="fc" d="%sL%s %sZ"/>`, area.String(), tenth(last), tenth(y(0)))
	}
	w.f(`<path class="la" d="%s"/>`, line.String())
	w.f(`<text x="%d" y="%d">24 h ago</text><text x="%d" y="%d" text-anchor="end">now</text></svg>`, curveLeft, curveHigh+17, curveWide, curveHigh+17)
	w.put(`<p class="key">`)
	if line.Len() > 0 {
		w.put(`<span><i></i>charge, %</span>`)
	}
	if area.Len() > 0 {
		w.f(`<span class="k2"><i></i>panel, up to %s</span>`, fmt.Sprintf("%.1f W", most))
	}
	w.put(`</p>`)
}

// tenth writes a place in a picture.
func tenth(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

// Places of the small metagraph.
const (
	graphWide = 320
	graphHalf = 34
)

// metagraph draws what each neuron earns, incentive up and dividends down, each as a share of the greatest, and lists
// those that earn most.
func (w *writer) metagraph(m *control.Metagraph) {
	list := slices.Clone(m.Neurons)
	slices.SortFunc(list, func(a, b lightclient.Neuron) int { return cmp.Compare(a.UID, b.UID) })
	if len(list) > maxBars {
		list = list[:maxBars]
	}
	if len(list) == 0 {
		return
	}
	up, down := uint16(1), uint16(1)
	for _, n := range list {
		up, down = max(up, n.Incentive), max(down, n.Dividends)
	}
	step := min(float64(graphWide)/float64(len(list)), 20)
	var a, c strings.Builder
	bar := func(b *strings.Builder, i, from, to int) {
		fmt.Fprintf(b, "M%s %dV%d", tenth((float64(i)+0.5)*step), from, to)
	}
	for i, n := range list {
		if n.Incentive > 0 {
			bar(&a, i, graphHalf, graphHalf-tall(n.Incentive, up))
		}
		if n.Dividends > 0 {
			bar(&c, i, graphHalf+1, graphHalf+1+tall(n.Dividends, down))
		}
	}
	w.f(`<svg viewBox="0 0 %d %d" role="img" stroke-width="%s"><title>Incentive and dividends by uid, as square roots</title><path class="sa" d="%s"/><path class="sc" d="%s"/><line class="gr" x1="0" x2="%d" y1="%d.5" y2="%d.5"/></svg>`,
		graphWide, 2*graphHalf+2, tenth(step*0.75), a.String(), c.String(), graphWide, graphHalf, graphHalf)
	w.f(`<p class="key"><span><i></i>incentive</span><span class="k2"><i></i>dividends</span><span>by uid, 0 to %d</span></p>`, int(list[len(list)-1].UID))
	slices.SortStableFunc(list, func(a, b lightclient.Neuron) int { return cmp.Compare(b.Emission, a.Emission) })
	w.put(`<table><tr><th>uid</th><th>incentive</th><th>dividends</th><th>updated</th><th></th></tr>`)
	for i, n := range list {
		if i == 4 || n.Emission == 0 && i > 0 {
			break
		}
		role := markup("")
		if n.Permit {
			role = "validates"
		}
		w.f(`<tr><td>%d</td><td>%s</td><td>%s</td><td>%s</td><td class="m">%s</td></tr>`, int(n.UID), share(n.Incentive), share(n.Dividends), figure.Group(n.Updated), role)
	}
	w.put(`</table>`)
}

// tall is the height of a bar: by the square root, since most shares are small beside the greatest.
func tall(v, most uint16) int {
	return max(1, int(graphHalf*math.Sqrt(float64(v)/float64(most))))
}

// maxBars bounds the neurons of a picture; no subnet has more.
const maxBars = 256

// share writes a share of 65535.
func share(v uint16) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.4f", float64(v)/65535)
}
