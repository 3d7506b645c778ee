package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/taolight/taolight/internal/control"
)

// painted is a subnet of n neurons, of which v are validators that have something in a share of all.
func painted(n, v, mechanisms int, dense float64) *control.Yuma {
	r := rand.New(rand.NewPCG(uint64(n), uint64(v)))
	y := &control.Yuma{Network: "finney", Netuid: 64, Block: 8_912_400, Neurons: n, Rules: "spec 425", Finding: "equal"}
	y.Before.Number, y.Before.Trust = 8_912_399, "finalized"
	rows := func() []control.YumaRow {
		list := []control.YumaRow{}
		for i := range v {
			row := control.YumaRow{UID: uint16(i * n / v)}
			for _, uid := range r.Perm(n) { // as it stands in no order on the chain
				if r.Float64() < dense {
					row.Row = append(row.Row, [2]uint16{uint16(uid), uint16(1 + r.IntN(1+r.IntN(65_535)))})
				}
			}
			if row.Row != nil {
				list = append(list, row)
			}
		}
		return list
	}
	for range mechanisms {
		m := control.YumaMatrices{Weights: rows(), Bonds: rows(), Consensus: make([]uint16, n)}
		for uid := range n {
			m.Consensus[uid] = uint16(r.IntN(2) * r.IntN(65_536))
		}
		y.Matrices = append(y.Matrices, m)
	}
	return y
}

var (
	heatPath = regexp.MustCompile(`<path class="s" stroke-opacity="([0-9.]+)" d="([^"]*)"/>`)
	stroke   = regexp.MustCompile(`([Mm])(\d+) (\d+)h(\d+)`)
)

// TestHeatMap reads the picture again: each cell has the shade that its share calls for, and no other
// cell has one.
func TestHeatMap(t *testing.T) {
	for _, c := range []struct {
		n, v, mechanisms int
		dense            float64
		most             int // bytes
	}{
		{0, 0, 0, 0, 2_000}, {0, 0, 1, 0, 3_000}, {1, 1, 1, 1, 4_000}, {2, 2, 1, 0.5, 5_000}, {16, 3, 2, 0.7, 20_000},
		{64, 64, 1, 0.3, 60_000}, {256, 64, 1, 1, 330_000}, {256, 64, 1, 0.1, 130_000}, {256, 10, 16, 0.5, 900_000},
	} {
		name := fmt.Sprintf("n=%d v=%d m=%d", c.n, c.v, c.mechanisms)
		y := painted(c.n, c.v, c.mechanisms, c.dense)
		b := yumaSVG(y)
		if !bytes.Equal(b, yumaSVG(painted(c.n, c.v, c.mechanisms, c.dense))) {
			t.Errorf("%s: drawn otherwise the second time", name)
		}
		if len(b) > c.most {
			t.Errorf("%s: %d bytes, at most %d", name, len(b), c.most)
		}
		for d := xml.NewDecoder(bytes.NewReader(b)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for _, word := range []string{"<script", "href", "url(", "@import", "Infinity", "NaN", "%!"} {
			if bytes.Contains(b, []byte(word)) {
				t.Errorf("%s: has %s", name, word)
			}
		}
		for _, word := range []string{"finney subnet 64: epoch of block 8912400, from the state of block 8912399 (finalized)", "rules of spec 425", "equal", "prefers-color-scheme:dark"} {
			if !bytes.Contains(b, []byte(word)) {
				t.Errorf("%s: lacks %s", name, word)
			}
		}
		var maps [][]control.YumaRow
		for _, m := range y.Matrices {
			for _, rows := range [][]control.YumaRow{m.Weights, m.Bonds} {
				if len(rows) > 0 {
					maps = append(maps, rows)
				}
			}
		}
		groups := strings.Split(string(b), "<g ")[1:]
		if len(groups) != len(maps) {
			t.Fatalf("%s: %d maps, want %d", name, len(groups), len(maps))
		}
		for i, rows := range maps {
			got := make(map[[2]int]int)
			for _, p := range heatPath.FindAllStringSubmatch(groups[i], -1) {
				shade, _ := strconv.ParseFloat(p[1], 64)
				row, pen := 0, 0
				for _, s := range stroke.FindAllStringSubmatch(p[2], -1) {
					x, _ := strconv.Atoi(s[2])
					down, _ := strconv.Atoi(s[3])
					long, _ := strconv.Atoi(s[4])
					if s[1] == "M" {
						row, pen = down, x
					} else {
						row, pen = row+down, pen+x
					}
					for range long {
						if _, twice := got[[2]int{row, pen}]; twice {
							t.Fatalf("%s: row %d, uid %d is drawn twice", name, row, pen)
						}
						got[[2]int{row, pen}] = int(shade * 8)
						pen++
					}
				}
			}
			most, cells := uint16(0), 0
			for _, r := range rows {
				for _, c := range r.Row {
					most = max(most, c[1])
				}
			}
			for k, r := range rows {
				for _, c := range r.Row {
					cells++
					want := int(math.Ceil(8 * math.Sqrt(float64(c[1])/float64(most))))
					if got[[2]int{k, int(c[0])}] != want {
						t.Fatalf("%s: map %d, row %d, uid %d: shade %d, want %d", name, i, k, c[0], got[[2]int{k, int(c[0])}], want)
					}
				}
			}
			if len(got) != cells {
				t.Errorf("%s: map %d has %d cells, want %d", name, i, len(got), cells)
			}
		}
	}
}

// TestHeatMapWrong: cells that the chain has otherwise are marked, and uids that are none are not drawn.
func TestHeatMapWrong(t *testing.T) {
	y := painted(16, 4, 2, 1)
	y.Finding = "differs"
	zero, one, target, far := 0, 1, 5, 99
	y.Arrays = []control.YumaArray{
		{Name: "Consensus", Finding: "differs", Cells: []control.YumaCell{{UID: 7, Chain: "<&", Ours: "2"}, {UID: 77, Chain: "1", Ours: "2"}}},
		{Name: "Bonds", Mecid: &zero, Finding: "differs", Cells: []control.YumaCell{{UID: 4, Target: &target, Chain: "3", Ours: "4"}, {UID: 4, Target: &far}, {UID: 5, Target: &target}}},
		{Name: "Bonds", Mecid: &one, Finding: "equal"},
		{Name: "Dividends", Finding: "differs", Cells: []control.YumaCell{{UID: 1, Chain: "5", Ours: "6"}}},
	}
	b := string(yumaSVG(y))
	if n := strings.Count(b, `class="x"`); n != 3 { // the consensus on both mechanisms, and one bond
		t.Errorf("%d marks", n)
	}
	for _, want := range []string{"uid 7: &lt;&amp; on chain, 2 computed", "uid 4: 3 on chain, 4 computed", "what the chain stored: differs"} {
		if !strings.Contains(b, want) {
			t.Errorf("lacks %s", want)
		}
	}
	y.Matrices[0].Weights[0].Row = append(y.Matrices[0].Weights[0].Row, [2]uint16{9999, 1})
	if strings.Contains(string(yumaSVG(y)), "9999 ") {
		t.Error("draws a uid that is none")
	}
	y.Matrices = nil
	if b := string(yumaSVG(y)); !strings.Contains(b, "nothing was computed") {
		t.Errorf("without anything: %s", b)
	}
}
