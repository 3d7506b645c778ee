package rig

import (
	"strconv"
	"strings"
	"testing"

	"github.com/taolight/taolight/internal/power"
)

// Blocks whose sums were worked out by hand: of a charger by day and by night, and of a shunt. The byte
// after the last tab makes the sum of all bytes 0 (mod 256).
const (
	dayBlock   = "\r\nPID\t0xA053\r\nFW\t159\r\nSER#\tHQ2132QY2KR\r\nV\t13320\r\nI\t60\r\nVPV\t18540\r\nPPV\t5\r\nCS\t3\r\nMPPT\t2\r\nOR\t0x00000000\r\nERR\t0\r\nLOAD\tON\r\nIL\t300\r\nH19\t144\r\nH20\t1\r\nH21\t6\r\nH22\t4\r\nH23\t14\r\nHSDS\t16\r\nChecksum\t\x10"
	nightBlock = "\r\nPID\t0xA053\r\nV\t12810\r\nI\t-310\r\nVPV\t10\r\nPPV\t0\r\nCS\t0\r\nERR\t0\r\nLOAD\tON\r\nIL\t300\r\nH20\t6\r\nChecksum\t\x8c"
	shuntBlock = "\r\nPID\t0xA389\r\nV\t13190\r\nI\t-812\r\nP\t-11\r\nCE\t-14210\r\nSOC\t874\r\nTTG\t7265\r\nAlarm\tOFF\r\nAR\t0\r\nBMV\tSmartShunt 500A/50mV\r\nFW\t0413\r\nMON\t0\r\nChecksum\t2"
)

func frames(text string) (list []Frame) {
	var p Frames
	for i := range len(text) {
		if f := p.Feed(text[i]); f != nil {
			list = append(list, f)
		}
	}
	return list
}

// sealed ends a block with the byte that makes it right.
func sealed(text string) string {
	text += "\r\nChecksum\t"
	var sum byte
	for i := range len(text) {
		sum += text[i]
	}
	return text + string([]byte{-sum})
}

func TestGoldenFrames(t *testing.T) {
	for _, c := range []struct {
		name, text                      string
		length                          int
		soc, volts, amps, pv, yesterday any
		fields                          int
		source                          string
	}{
		{"day", dayBlock, 183, nil, 13.32, 0.06, 5., 40., 19, "vedirect:0xA053"},
		{"night", nightBlock, 93, nil, 12.81, -0.31, 0., nil, 10, "vedirect:0xA053"},
		{"shunt", shuntBlock, 137, 87.4, 13.19, -0.812, nil, nil, 12, "vedirect:0xA389"},
	} {
		if len(c.text) != c.length {
			t.Errorf("%s: %d bytes, want %d", c.name, len(c.text), c.length)
		}
		list := frames(c.text)
		if len(list) != 1 || len(list[0]) != c.fields {
			t.Fatalf("%s: %v", c.name, list)
		}
		s, ok := list[0].Sample()
		if !ok || s.Source != c.source {
			t.Errorf("%s: %+v", c.name, s)
		}
		same(t, c.name+" charge", s.SoC, c.soc)
		same(t, c.name+" voltage", s.Volts, c.volts)
		same(t, c.name+" current", s.Amps, c.amps)
		same(t, c.name+" panel", s.PVWatts, c.pv)
		same(t, c.name+" yesterday", s.YieldYesterday, c.yesterday)
	}
	if f := frames(dayBlock)[0]; f["SER#"] != "HQ2132QY2KR" || f["OR"] != "0x00000000" || f["LOAD"] != "ON" {
		t.Errorf("%v", f)
	}
}

func TestFramesApart(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"one after the other":    {dayBlock + nightBlock + shuntBlock, 3},
		"begun in the middle":    {dayBlock[70:] + nightBlock, 1},
		"cut in the middle":      {dayBlock[:90] + nightBlock + nightBlock, 1},
		"one bit wrong":          {strings.Replace(dayBlock, "13320", "13321", 1) + nightBlock, 1},
		"wrong checksum":         {dayBlock[:182] + "\x11" + nightBlock, 1},
		"hex between":            {":A0002000148\n" + dayBlock + ":7F0ED0071\n" + nightBlock, 2},
		"hex in a block":         {dayBlock[:40] + ":A0102000543\n" + dayBlock[40:], 1},
		"hex in a value":         {dayBlock[:43] + ":A\n" + dayBlock[43:], 1},
		"noise":                  {strings.Repeat("\xff", 4095) + dayBlock + nightBlock, 1},
		"a block without end":    {strings.Repeat("\r\nV\t1", 4000) + nightBlock + nightBlock, 1},
		"hex without end":        {":" + strings.Repeat("A", 9000) + nightBlock + nightBlock, 1},
		"label too long":         {sealed("\r\nAVERYLONGLABEL\t1\r\nV\t1"), 1},
		"value too long":         {sealed("\r\nX\t" + strings.Repeat("9", 100) + "\r\nV\t1"), 1},
		"many fields":            {sealed(strings.Repeat("\r\nA\t1\r\nB\t2", 90)), 1},
		"glued, as a noisy port": {sealed("\r\nFWH3\t0\r\nH50\r\nV\t12\nI\t3"), 1},
		"right but too long":     {sealed(strings.Repeat("\r\nA\t1", 2000)), 0},
		"empty":                  {"", 0},
		"checksum of nothing":    {sealed(""), 0},
	} {
		if list := frames(c.text); len(list) != c.want {
			t.Errorf("%s: %d blocks, want %d: %v", name, len(list), c.want, list)
		}
	}
	if f := frames(sealed("\r\nAVERYLONGLABEL\t1\r\nX\t" + strings.Repeat("9", 100) + "\r\nV\t1"))[0]; len(f) != 1 || f["V"] != "1" {
		t.Errorf("%v", f)
	}
	var many strings.Builder
	for i := range 200 {
		many.WriteString("\r\nL" + strconv.Itoa(i) + "\t1")
	}
	if list := frames(sealed(many.String())); len(list) != 1 || len(list[0]) != maxFields {
		t.Errorf("%d blocks of 200 fields", len(list))
	}
	// A lost \r: the fields on both sides stand.
	if f := frames(sealed("\r\nV\t12\nI\t3"))[0]; f["V"] != "12" || f["I"] != "3" {
		t.Errorf("%v", f)
	}
}

// TestChecksumBytes: the byte of the checksum may be one that means something elsewhere.
func TestChecksumBytes(t *testing.T) {
	seen := map[byte]bool{}
	for i := 0; i < 10_000 && len(seen) < 256; i++ {
		text := sealed("\r\nV\t13320\r\nX\t" + strings.Repeat("z", i%37) + string(rune('0'+i%75)) + string(rune('0'+i/37%75)))
		if strings.Contains(text[:len(text)-1], ":") {
			continue
		}
		last := text[len(text)-1]
		if list := frames(text + nightBlock); len(list) != 2 {
			t.Fatalf("checksum %q: %d blocks", last, len(list))
		}
		seen[last] = true
	}
	for _, b := range []byte("\r\n\t:") {
		if !seen[b] {
			t.Errorf("checksum %q was not tried", b)
		}
	}
}

func TestFrameSample(t *testing.T) {
	full := 100.
	for _, c := range []struct {
		f    Frame
		soc  any
		conf power.Confidence
		ok   bool
	}{
		{Frame{"V": "13500", "SOC": "---"}, nil, "", true},
		{Frame{"V": "13500", "SOC": "1000"}, 100., "", true},
		{Frame{"V": "13500", "CS": "5", "I": "-20"}, full, power.Low, true},
		{Frame{"V": "13500", "CS": "4", "I": "900"}, full, power.Low, true},
		{Frame{"V": "13500", "CS": "4", "I": "9000"}, nil, "", true},
		{Frame{"V": "13500", "CS": "3", "I": "90"}, nil, "", true},
		{Frame{"V": "---"}, nil, "", false},
		{Frame{"H1": "-100"}, nil, "", false},
	} {
		s, ok := c.f.Sample()
		if ok != c.ok || s.Confidence != c.conf {
			t.Errorf("%v: %v, %+v", c.f, ok, s)
		}
		same(t, "charge", s.SoC, c.soc)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte(dayBlock + ":A0\n" + nightBlock))
	f.Add([]byte(shuntBlock))
	f.Add([]byte(sealed("\r\nV\t12\nI\t3")))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Frames
		for _, c := range b {
			frame := p.Feed(c)
			if len(p.label) > maxLabel || len(p.value) > maxValue || len(p.fields) > maxFields {
				t.Fatalf("%d, %d, %d", len(p.label), len(p.value), len(p.fields))
			}
			if frame != nil {
				s, _ := frame.Sample()
				s.Sane()
			}
		}
		// A whole block after anything is found at the second go at the latest, wherever that stopped.
		got := 0
		for _, c := range []byte("\n\n" + nightBlock + "\n" + nightBlock + nightBlock) {
			if p.Feed(c) != nil {
				got++
			}
		}
		if got == 0 {
			t.Fatalf("deaf after %q", b)
		}
	})
}
