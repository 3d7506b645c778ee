package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/taolight/taolight/internal/control"
)

// shades is how many shades there are. A share is as dark as the square root of it: weights are small
// numbers mostly, and those are to be told from none.
const shades = 8

// shade returns how dark a share is, 0 to shades: the least that is not lighter than the root.
func shade(v, most uint16) int {
	n := 0
	for uint64(n*n)*uint64(most) < shades*shades*uint64(v) {
		n++
	}
	return n
}

// Places of a heat map.
const (
	mapLeft = 56
	mapTop  = 62
	barHigh = 36
	mapGap  = 36
)

// yumaSVG draws, for each mechanism, who weighs whom, the consensus on each, and the bonds that come
// of it: validators from above to below, all uids from left to right.
func yumaSVG(y *control.Yuma) []byte {
	wide := cellSize(y.Neurons)
	width := max(mapLeft+y.Neurons*wide+16, 640)
	height := mapTop
	for _, m := range y.Matrices {
		height += mapGap + barHigh + mapGap + mapHeight(m.Weights) + mapGap + mapHeight(m.Bonds) + mapGap
	}
	title := fmt.Sprintf("%s subnet %d: epoch of block %d, from the state of block %d (%s)", networkName(y.Network, y.Demo), y.Netuid,
		y.Block, y.Before.Number, y.Before.Trust)
	b := newPicture(width, height, title)
	fmt.Fprintf(b, `<text x="12" y="36">%s</text>`+"\n", escape(fmt.Sprintf("%s, rules of %s; recomputed, and what the chain stored: %s",
		count(y.Neurons, "neuron"), y.Rules, y.Finding)))
	b.WriteString(`<text x="12" y="56" class="l">none</text>`)
	for n := range shades {
		fmt.Fprintf(b, `<rect x="%d" y="46" width="14" height="12" class="a" fill-opacity="%s"/>`, 46+15*n, opacity(n+1))
	}
	fmt.Fprintf(b, `<text x="%d" y="56" class="l">the greatest, by square roots</text>`+"\n", 46+15*shades+6)
	if len(y.Matrices) == 0 {
		fmt.Fprintf(b, `<text x="12" y="%d" class="l">nothing was computed: there is nothing to draw</text>`+"\n", mapTop-2)
	}
	at := mapTop
	for mecid, m := range y.Matrices {
		d := drawing{Buffer: b, uids: y.Neurons, wide: wide, right: width}
		of := ""
		if len(y.Matrices) > 1 {
			of = fmt.Sprintf(" of mechanism %d", mecid)
		}
		at += mapGap
		d.heat(at, m.Weights, "weights"+of+", each validator's being 1", "weight", nil)
		at += mapHeight(m.Weights) + mapGap
		d.bars(at, m.Consensus, "consensus"+of, wrongCells(y, "Consensus", mecid))
		at += barHigh + mapGap
		d.heat(at, m.Bonds, "bonds"+of+" after the epoch", "bond", wrongCells(y, "Bonds", mecid))
		at += mapHeight(m.Bonds) + mapGap
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// wrongCells are the cells of an array that differ from what was computed.
func wrongCells(y *control.Yuma, name string, mecid int) (cells []control.YumaCell) {
	for _, r := range y.Arrays {
		if r.Name == name && (r.Mecid == nil || *r.Mecid == mecid) {
			cells = append(cells, r.Cells...)
		}
	}
	return cells
}

// cellSize is how wide a cell is of so many.
func cellSize(n int) int {
	switch {
	case n <= 32:
		return 16
	case n <= 64:
		return 11
	case n <= 128:
		return 7
	}
	return 4
}

func mapHeight(rows []control.YumaRow) int { return max(1, len(rows)) * max(cellSize(len(rows)), 6) }

func opacity(level int) string {
	if level == shades {
		return "1"
	}
	return fmt.Sprintf("0.%03d", 1000*level/shades)
}

// A drawing is a picture on which the uids have their places.
type drawing struct {
	*bytes.Buffer
	uids, wide, right int
}

func (d *drawing) x(uid int) int { return mapLeft + uid*d.wide }

// head writes what a part is, above it, and below it the uids.
func (d *drawing) head(y, high int, title string) {
	fmt.Fprintf(d, `<text x="%d" y="%d">%s</text>`+"\n", mapLeft, y-8, escape(title))
	every := 1
	for every*d.wide < 4+6*len(strconv.Itoa(d.uids)) {
		every *= 2
	}
	fmt.Fprintf(d, `<text x="%d" y="%d" font-size="9" text-anchor="end" class="l">uid</text>`, mapLeft-4, y+high+11)
	for uid := 0; uid < d.uids; uid += every {
		fmt.Fprintf(d, `<text x="%d" y="%d" font-size="9" class="l">%d</text>`, d.x(uid), y+high+11, uid)
	}
	fmt.Fprintf(d, `<rect x="%d" y="%d" width="%d" height="%d" class="r"/>`+"\n", mapLeft, y, d.uids*d.wide, high)
}

// heat draws rows of shares. Cells of one shade are one path, in which neighbours are one stroke.
func (d *drawing) heat(y int, rows []control.YumaRow, title, noun string, wrong []control.YumaCell) {
	most := uint16(0)
	for _, r := range rows {
		for _, c := range r.Row {
			most = max(most, c[1])
		}
	}
	if most == 0 {
		d.head(y, mapHeight(nil), title+": none")
		return
	}
	high := mapHeight(rows) / len(rows)
	d.head(y, mapHeight(rows), fmt.Sprintf("%s; the greatest is %s", title, fraction(most, 4)))
	var paths [shades + 1]strings.Builder
	var ends [shades + 1]struct{ row, uid int } // where the pen of each stands
	for i, r := range rows {
		cells := slices.Clone(r.Row)
		slices.SortStableFunc(cells, func(a, b [2]uint16) int { return cmp.Compare(a[0], b[0]) })
		for k := 0; k < len(cells); {
			level, end := shade(cells[k][1], most), k+1
			for end < len(cells) && int(cells[end][0]) == int(cells[k][0])+end-k && shade(cells[end][1], most) == level {
				end++
			}
			if at := int(cells[k][0]); at+end-k <= d.uids {
				pen := &ends[level]
				if p := &paths[level]; p.Len() == 0 || pen.row != i {
					fmt.Fprintf(p, "M%d %dh%d", at, i, end-k)
				} else {
					fmt.Fprintf(p, "m%d 0h%d", at-pen.uid, end-k)
				}
				pen.row, pen.uid = i, at+end-k
			}
			k = end
		}
	}
	// In units of cells, each row a line as high as it.
	fmt.Fprintf(d, `<g transform="translate(%d %d) scale(%d %d) translate(0 .5)">`+"\n", mapLeft, y, d.wide, high)
	for level := 1; level <= shades; level++ {
		if paths[level].Len() > 0 {
			fmt.Fprintf(d, `<path class="s" stroke-opacity="%s" d="%s"/>`+"\n", opacity(level), &paths[level])
		}
	}
	d.WriteString("</g>\n")
	for i, r := range rows {
		if every := (9 + high) / high; i%every == 0 {
			fmt.Fprintf(d, `<text x="%d" y="%d" font-size="9" text-anchor="end" class="l">%d</text>`, mapLeft-4, y+i*high+min(high, 9), r.UID)
		}
		top := slices.MaxFunc(r.Row, func(a, b [2]uint16) int { return cmp.Compare(a[1], b[1]) })
		fmt.Fprintf(d, `<rect class="h" x="%d" y="%d" width="%d" height="%d"><title>uid %d: %s, the greatest %s in uid %d</title></rect>`+"\n",
			mapLeft, y+i*high, d.uids*d.wide, high, r.UID, count(len(r.Row), noun), fraction(top[1], 6), top[0])
	}
	for _, c := range wrong {
		if i := slices.IndexFunc(rows, func(r control.YumaRow) bool { return r.UID == c.UID }); i >= 0 && c.Target != nil {
			d.wrong(*c.Target, y+i*high, high, c)
		}
	}
}

// bars draws a vector.
func (d *drawing) bars(y int, v []uint16, title string, wrong []control.YumaCell) {
	most := uint16(0)
	if len(v) > 0 {
		most = slices.Max(v)
	}
	d.head(y, barHigh, fmt.Sprintf("%s; the greatest is %s", title, fraction(most, 4)))
	for uid, x := range v {
		if x == 0 {
			continue
		}
		h := max(1, int(x)*barHigh/int(most))
		fmt.Fprintf(d, `<rect x="%d" y="%d" width="%d" height="%d" class="b"><title>uid %d: %s</title></rect>`+"\n",
			d.x(uid), y+barHigh-h, max(1, d.wide-1), h, uid, fraction(x, 6))
	}
	for _, c := range wrong {
		d.wrong(int(c.UID), y, barHigh, c)
	}
}

// wrong marks a cell that the chain has otherwise.
func (d *drawing) wrong(uid, y, high int, c control.YumaCell) {
	if uid >= 0 && uid < d.uids {
		fmt.Fprintf(d, `<rect x="%d" y="%d" width="%d" height="%d" class="x"><title>uid %d: %s on chain, %s computed</title></rect>`+"\n",
			d.x(uid), y, d.wide, high, c.UID, escape(c.Chain), escape(c.Ours))
	}
}
