package link

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"go.bug.st/serial"

	"github.com/taolight/taolight/gossip/carrier"
)

// KISS framing, as packet radio modems speak it: a frame is between two FENDs and begins with the
// number of the port, and FEND and FESC inside are escaped.
const (
	fend, fesc, tfend, tfesc = 0xc0, 0xdb, 0xdc, 0xdd
	kissData                 = 0x00 // port 0, data
	maxFrame                 = 2 + carrier.MaxChunk
)

// defaultBudget is in bytes an hour: ten a second, a tenth of what packet radio of 1,200 baud carries,
// and an hour of LongFast LoRa within its tenth of the airtime.
const defaultBudget = 36_000

// chunkSize is that of a LoRa packet, so that a modem need not cut a chunk.
const chunkSize = carrier.LoRaChunk

// appendFrame appends a chunk as a KISS frame.
func appendFrame(b, chunk []byte) []byte {
	b = append(b, fend, kissData)
	for _, c := range chunk {
		switch c {
		case fend:
			b = append(b, fesc, tfend)
		case fesc:
			b = append(b, fesc, tfesc)
		default:
			b = append(b, c)
		}
	}
	return append(b, fend)
}

// A deframer takes bytes as they come and gives frames. Noise between frames is dropped.
type deframer struct {
	frame   []byte
	escaped bool
	bad     bool // the frame is too long, or wrongly escaped: wait for the next
}

func (d *deframer) add(bytes []byte, f func(chunk []byte)) {
	for _, c := range bytes {
		switch {
		case c == fend:
			if !d.bad && !d.escaped && len(d.frame) > 1 && d.frame[0] == kissData {
				f(d.frame[1:])
			}
			d.frame, d.escaped, d.bad = d.frame[:0], false, false
			continue
		case d.bad:
			continue
		case d.escaped:
			d.escaped = false
			switch c {
			case tfend:
				c = fend
			case tfesc:
				c = fesc
			default:
				d.bad = true
				continue
			}
		case c == fesc:
			d.escaped = true
			continue
		}
		if len(d.frame) >= maxFrame {
			d.bad = true
			continue
		}
		d.frame = append(d.frame, c)
	}
}

// airtime counts the bytes that may be sent.
type airtime struct {
	perHour int
	left    float64
	at      time.Time
}

// spend takes n bytes, if an hour's budget has them.
func (a *airtime) spend(now time.Time, n int) bool {
	if a.at.IsZero() {
		a.left = float64(a.perHour)
	} else if d := now.Sub(a.at); d > 0 {
		a.left = min(float64(a.perHour), a.left+d.Hours()*float64(a.perHour))
	}
	a.at = now
	if a.left < float64(n) {
		return false
	}
	a.left -= float64(n)
	return true
}

// line is a serial device: a null-modem cable, a packet radio, a LoRa modem.
type line struct {
	device       string
	baud, budget int
	open         func() (io.ReadWriteCloser, error) // of tests; nil: the device
}

func (s *line) String() string { return "serial:" + s.device }

// Run sends the newest head in chunks with parity, as far as the budget goes, and takes chunks.
func (s *line) Run(ctx context.Context, out <-chan Load, in func([]byte)) error {
	open := s.open
	if open == nil {
		open = func() (io.ReadWriteCloser, error) { return serial.Open(s.device, &serial.Mode{BaudRate: s.baud}) }
	}
	port, err := open()
	if err != nil {
		return fmt.Errorf("%v: %w", s, err)
	}
	var once sync.Once
	end := func() { once.Do(func() { port.Close() }) }
	stop := context.AfterFunc(ctx, end)
	defer stop()
	defer end()

	var mu sync.Mutex
	var heard uint32 // the highest block that came over this line: it need not go back
	broken := make(chan error, 1)
	go func() {
		var j carrier.Joiner
		var d deframer
		buf := make([]byte, 1024)
		for {
			n, err := port.Read(buf)
			d.add(buf[:n], func(chunk []byte) {
				if _, err := j.Add(chunk); err == nil {
					take(&j, func(b []byte) {
						mu.Lock()
						heard = max(heard, finalOf(b))
						mu.Unlock()
						in(b)
					})
				}
			})
			if err != nil || n == 0 {
				if err == nil {
					err = io.ErrUnexpectedEOF // a port without a timeout gives nothing when it is gone
				}
				broken <- err
				return
			}
		}
	}()
	air := airtime{perHour: s.budget}
	var told uint32
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-broken:
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("%v: %w", s, err)
		case l := <-out:
			mu.Lock()
			known := heard
			mu.Unlock()
			m := l.short()
			if l.Number <= max(told, known) || len(m) == 0 {
				continue
			}
			chunks, err := carrier.Split(m, carrier.Options{ChunkSize: chunkSize})
			if err != nil {
				continue
			}
			var b []byte
			for _, c := range chunks {
				b = appendFrame(b, c)
			}
			if !air.spend(time.Now(), len(b)) {
				continue // a newer head will do as well
			}
			if _, err := port.Write(b); err != nil {
				return fmt.Errorf("%v: %w", s, err)
			}
			told = l.Number
		}
	}
}
