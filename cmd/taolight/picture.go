package main

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"slices"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/lightclient"
)

// metagraphSVG draws the incentive and the dividends of a subnet by uid: one bar each, incentive up
// and dividends down, in scales of their own. It is whole by itself: no script, no font, nothing
// fetched.
func metagraphSVG(m *control.Metagraph) []byte {
	const left, top, half, bottom = 46, 44, 120, 40
	list := slices.Clone(m.Neurons)
	slices.SortFunc(list, func(a, b lightclient.Neuron) int { return cmp.Compare(a.UID, b.UID) })
	step := 6
	if len(list) <= 64 {
		step = 14
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

	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", width, height, width, height)
	title := fmt.Sprintf("%s subnet %d at block %d (%s)", networkName(m.Network, m.Demo), m.Netuid, m.Block.Number, m.Block.Trust)
	fmt.Fprintf(&b, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n", escape(title))
	fmt.Fprintf(&b, `<text x="%d" y="18" font-size="13">%s</text>`+"\n", left, escape(title))
	fmt.Fprintf(&b, `<text x="%d" y="34" fill="#1f6f43">incentive, up to %s</text><text x="%d" y="34" fill="#8a4b08">dividends, down to %s</text>`+"\n",
		left, fraction(up, 4), left+180, fraction(down, 4))
	for i, n := range list {
		x := left + i*step
		name := fmt.Sprintf("uid %d %s incentive %s dividends %s", n.UID, n.Hotkey, fraction(n.Incentive, 6), fraction(n.Dividends, 6))
		fmt.Fprintf(&b, "<g><title>%s</title>", escape(name))
		if h := int(n.Incentive) * half / int(up); h > 0 {
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="#2a9d5c"/>`, x, zero-h, step-1, h)
		}
		if h := int(n.Dividends) * half / int(down); h > 0 {
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="#d98324"/>`, x, zero, step-1, h)
		}
		b.WriteString("</g>\n")
		if i%16 == 0 {
			fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#555">%d</text>`+"\n", x, zero+half+16, n.UID)
		}
	}
	fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#333"/>`+"\n", left-4, zero, width-12, zero)
	fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#555">uid</text>`+"\n</svg>\n", 16, zero+half+16)
	return b.Bytes()
}

// escape makes a text fit for XML, where control characters have no place at all.
func escape(s string) string {
	var b bytes.Buffer
	xml.EscapeText(&b, []byte(printable(s))) // to memory, which does not fail
	return b.String()
}
