// Package rig asks the machine and what hangs on it: meters of batteries, the board's supply, the
// kernel's opinion of its clock; and it runs the commands that switch an uplink.
//
// It promises that a source which is absent, slow, unplugged in mid-sentence or lying gives an error or
// no value, and never a wrong zero; that it reads no more than a bound and waits no longer than a limit;
// that whatever it starts ends with the context, process groups and all. Sources have no clock and no
// ticker: they are asked at a tick from outside, once per poll.
//
// It decides nothing and writes nothing to sysfs or to a meter; package power weighs what it says.
package rig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/taolight/taolight/internal/power"
)

// The errors of sources. Each is wrapped with the source's name.
var (
	// ErrAbsent: what the source reads is not there. It is no fault.
	ErrAbsent = errors.New("not there")
	// ErrStale: the other end answers, but has heard nothing from the meter itself.
	ErrStale = errors.New("the meter does not answer")
	// ErrFormat: what came is not what the meter should send.
	ErrFormat = errors.New("unreadable")
	// ErrTimeout: nothing whole came in time.
	ErrTimeout = errors.New("no answer in time")
	// ErrSpec: no such source.
	ErrSpec = errors.New("no such source")
)

// readLimit is how long one source may take for one answer.
const readLimit = 5 * time.Second

// A Source is asked for one sample at a time and from one goroutine at a time.
type Source interface {
	// Name is the source as the settings name it.
	Name() string
	// Read returns what it measures now, within readLimit. At is now, or earlier when the measurement is old.
	Read(ctx context.Context, now time.Duration) (power.Sample, error)
	// Close frees what it holds open.
	Close() error
}

// Machine is what sources reach the world through. What is nil is the real one.
type Machine struct {
	Sys    fs.FS // /sys
	Files  fs.FS // /
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Serial func(path string, baud int) (Port, error)
	Wall   func() time.Time
	Invert bool // the current of a hwmon meter is wired the other way round
}

func (m *Machine) fill() {
	if m.Sys == nil {
		m.Sys = os.DirFS("/sys")
	}
	if m.Files == nil {
		m.Files = os.DirFS("/")
	}
	if m.Dial == nil {
		m.Dial = new(net.Dialer).DialContext
	}
	if m.Serial == nil {
		m.Serial = openSerial
	}
	if m.Wall == nil {
		m.Wall = time.Now
	}
}

// Auto is the source that finds what there is: sysfs, and Victron's own cable.
const Auto = "auto"

// None is no source: a board on mains, whatever there is.
const None = "none"

// victronCable is how udev names the FTDI chip in it.
const victronCable = "/dev/serial/by-id/usb-VictronEnergy_*"

// A Rig is the sources of one node.
type Rig struct {
	Explicit bool // a source was named, so that its silence is a fault

	sources []Source
	mu      sync.Mutex
	last    []Status
}

// Status is what a source last said.
type Status struct {
	Name   string
	Sample *power.Sample // the newest; nil: none yet
	Err    error         // of the last reading; wraps ErrAbsent where there is nothing to read
}

// New opens the sources that the settings name: auto, none, sysfs, vedirect:PORT, nut:UPS@HOST[:PORT],
// file:PATH, exec:COMMAND, epever:PORT, venus:HOST[:PORT]. It reaches for nothing yet.
func New(specs []string, m Machine) (*Rig, error) {
	m.fill()
	r := &Rig{}
	if len(specs) == 0 {
		specs = []string{Auto}
	}
	for _, spec := range specs {
		kind, rest, _ := strings.Cut(spec, ":")
		var s Source
		var err error
		switch {
		case spec == None && len(specs) == 1:
		case spec == Auto:
			r.sources = append(r.sources, &sysfs{m: m})
			s = &vedirect{path: victronCable, m: m}
		case spec == "sysfs":
			s = &sysfs{m: m}
		case rest == "":
			err = fmt.Errorf("%w: %q", ErrSpec, spec)
		case kind == "vedirect":
			s = &vedirect{path: rest, m: m}
		case kind == "nut":
			s, err = newNUT(rest, m)
		case kind == "file":
			s = &file{path: rest, m: m}
		case kind == "exec":
			s = &program{argv: strings.Fields(rest)}
		case kind == "epever":
			s = &epever{path: rest, m: m}
		case kind == "venus":
			s = newVenus(rest, m)
		default:
			err = fmt.Errorf("%w: %q; want auto, none, sysfs or one of vedirect, nut, file, exec, epever, venus with a colon and what to ask", ErrSpec, spec)
		}
		if err != nil {
			return nil, err
		}
		if s != nil {
			r.sources = append(r.sources, s)
			r.Explicit = r.Explicit || rest != ""
		}
	}
	r.last = make([]Status, len(r.sources))
	for i, s := range r.sources {
		r.last[i].Name = s.Name()
	}
	return r, nil
}

// Poll asks every source once, all at the same time, and returns the newest sample of each in the order
// of the settings, also of those that gave none this time. It returns within some seconds, or when ctx
// ends, and leaves nothing running.
func (r *Rig) Poll(ctx context.Context, now time.Duration) []power.Sample {
	var wg sync.WaitGroup
	for i, s := range r.sources {
		ask := func() {
			sample, err := s.Read(ctx, now)
			r.mu.Lock()
			defer r.mu.Unlock()
			if err != nil {
				r.last[i].Err = fmt.Errorf("%s: %w", s.Name(), err)
				return
			}
			r.last[i].Err, r.last[i].Sample = nil, &sample
		}
		if i == len(r.sources)-1 {
			ask() // no goroutine for the only one
			break
		}
		wg.Go(ask)
	}
	wg.Wait()
	var list []power.Sample
	for _, s := range r.Status() {
		if s.Sample != nil {
			list = append(list, *s.Sample)
		}
	}
	return list
}

// Sagging asks the sources that watch the board's own supply, once, and reports whether one says that it is too low
// now: for whoever must know before anything is started. Meters that know a battery only are not waited for.
func Sagging(ctx context.Context, specs []string, m Machine) bool {
	var watching []string
	if len(specs) == 0 {
		specs = []string{Auto}
	}
	for _, spec := range specs {
		switch kind, _, _ := strings.Cut(spec, ":"); kind {
		case Auto, "sysfs":
			watching = append(watching, "sysfs")
		case "file", "exec":
			watching = append(watching, spec)
		}
	}
	if len(watching) == 0 {
		return false
	}
	r, err := New(watching, m)
	if err != nil {
		return false // the governor says so
	}
	defer r.Close()
	return slices.ContainsFunc(r.Poll(ctx, 0), func(s power.Sample) bool { return s.UnderVoltage != nil && *s.UnderVoltage })
}

// Status returns what each source last said.
func (r *Rig) Status() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.last)
}

// Close closes the sources.
func (r *Rig) Close() error {
	var errs []error
	for _, s := range r.sources {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
