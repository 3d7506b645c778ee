package rig

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/taolight/taolight/internal/power"
)

// A Frame is one block of Victron's VE.Direct text protocol: fields by their label.
type Frame map[string]string

// Bounds of VE.Direct: the protocol's own of a label and a value, and ours of a block.
const (
	maxLabel  = 8 + 1 // one more than any label there is
	maxValue  = 32 + 8
	maxFrame  = 8 << 10
	maxFields = 64

	checksumLabel = "Checksum"
)

// Frames takes VE.Direct blocks out of a stream of bytes, in any portions. The rules: each field is
// "\r\n", a label, a tab and a value; the field Checksum has one raw byte, which may be any, and makes the
// sum of all bytes of the block 0; messages of the HEX protocol, from a colon to the end of the line, may
// stand between any two bytes of text and are not part of the sum.
type Frames struct {
	state        vedirectState
	sum          byte
	n            int // bytes of this block
	label, value []byte
	bad          bool // this field is too long
	fields       Frame
	hex          bool // in a message of the other protocol
}

type vedirectState byte

const (
	between vedirectState = iota
	inLabel
	inValue
	inChecksum
)

// Feed takes one byte. It returns a block when that byte ends one whose sum is right; the caller owns it.
func (p *Frames) Feed(b byte) Frame {
	if p.hex {
		p.hex = b != '\n'
		return nil
	}
	if b == ':' && p.state != inChecksum {
		p.hex = true
		return nil
	}
	p.sum += b
	if p.n++; p.n > maxFrame {
		p.reset()
		return nil
	}
	switch p.state {
	case between:
		if b == '\n' {
			p.begin()
		}
	case inLabel:
		switch {
		case b == '\t':
			p.state = inValue
			if string(p.label) == checksumLabel {
				p.state = inChecksum
			}
		case b == '\n':
			p.begin()
		case b == '\r', len(p.label) >= maxLabel:
			p.state = between
		default:
			p.label = append(p.label, b)
		}
	case inValue:
		switch {
		case b == '\r':
			p.keep()
			p.state = between
		case b == '\n': // a lost \r
			p.keep()
			p.begin()
		case len(p.value) >= maxValue:
			p.bad = true
		default:
			p.value = append(p.value, b)
		}
	case inChecksum:
		f, ok := p.fields, p.sum == 0
		p.reset()
		if ok && len(f) > 0 {
			return f
		}
	}
	return nil
}

func (p *Frames) begin() {
	p.state, p.bad = inLabel, false
	p.label, p.value = p.label[:0], p.value[:0]
}

func (p *Frames) keep() {
	if p.bad || len(p.label) == 0 || len(p.fields) >= maxFields {
		return
	}
	if p.fields == nil {
		p.fields = Frame{}
	}
	p.fields[string(p.label)] = string(p.value)
}

func (p *Frames) reset() {
	p.state, p.sum, p.n, p.fields = between, 0, 0, nil
}

// value returns a field divided by scale; nil where it is missing or no number, such as "---".
func (f Frame) value(label string, scale float64) *float64 { return number(f[label], scale) }

// Sample reads a block of a charger, a battery monitor or a shunt. It reports false for a block without
// the battery's voltage, such as a monitor's history.
func (f Frame) Sample() (power.Sample, bool) {
	s := power.Sample{Source: "vedirect", Volts: f.value("V", 1000), Amps: f.value("I", 1000), PVWatts: f.value("PPV", 1)}
	if s.Volts == nil {
		return s, false
	}
	if pid := f["PID"]; pid != "" && len(pid) <= 8 {
		s.Source = "vedirect:" + clean(pid)
	}
	s.SoC = f.value("SOC", 10)
	s.YieldToday, s.YieldYesterday = tens(f.value("H20", 1)), tens(f.value("H22", 1))
	// A charger knows no charge. When it floats, or absorbs with hardly a current, the battery is full.
	if cs, err := strconv.Atoi(f["CS"]); err == nil && s.SoC == nil {
		if cs == 5 || cs == 4 && s.Amps != nil && *s.Amps >= 0 && *s.Amps < 1 {
			full := 100.0
			s.SoC, s.Confidence = &full, power.Low
		}
	}
	return s, true
}

// tens turns steps of 10 Wh into Wh.
func tens(steps *float64) *float64 {
	if steps == nil {
		return nil
	}
	v := *steps * 10
	return &v
}

// clean makes a text from outside fit to be shown.
func clean(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

// vedirectWait is how long a frame may take: devices send one a second, a monitor two in turn.
const vedirectWait = 3500 * time.Millisecond

// vedirect listens to a serial line for one block each time that it is asked.
type vedirect struct {
	path string
	m    Machine
	line
}

func (v *vedirect) Name() string { return "vedirect:" + v.path }

func (v *vedirect) Read(ctx context.Context, now time.Duration) (power.Sample, error) {
	if err := v.open(v.path, 19200, &v.m); err != nil {
		return power.Sample{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, vedirectWait)
	defer cancel()
	// What waited in the buffer is old.
	if err := v.port.ResetInputBuffer(); err != nil {
		v.Close()
		return power.Sample{}, err
	}
	var frames Frames
	var sample power.Sample
	heard := 0
	err := v.read(ctx, func(b []byte) (bool, error) {
		heard += len(b)
		for _, c := range b {
			if f := frames.Feed(c); f != nil {
				if s, ok := f.Sample(); ok {
					sample = s
					return true, nil
				}
			}
		}
		return false, nil
	})
	if err != nil {
		return power.Sample{}, fmt.Errorf("%w; %d bytes heard, none of them a whole block", err, heard)
	}
	sample.At = now
	return sample, nil
}
