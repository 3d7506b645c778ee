package rig

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/taolight/taolight/internal/power"
)

// Functions of Modbus that only read.
const (
	readHolding = 3
	readInput   = 4

	maxRegisters = 125
)

// ErrModbus: the device answered with an exception.
var ErrModbus = errors.New("modbus exception")

// crc16 is CRC-16/MODBUS, sent low byte first.
func crc16(b []byte) uint16 {
	crc := uint16(0xffff)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			low := crc & 1
			crc >>= 1
			if low != 0 {
				crc ^= 0xa001
			}
		}
	}
	return crc
}

// rtuRequest asks a slave for registers.
func rtuRequest(slave, function byte, first, count uint16) []byte {
	b := []byte{slave, function}
	b = binary.BigEndian.AppendUint16(b, first)
	b = binary.BigEndian.AppendUint16(b, count)
	return binary.LittleEndian.AppendUint16(b, crc16(b))
}

// rtuAnswer reads what a slave has sent so far. done is false while more has to come.
func rtuAnswer(b []byte, slave, function byte, count uint16) (regs []uint16, done bool, err error) {
	if len(b) < 5 {
		return nil, false, nil
	}
	n := 5 + 2*int(count)
	if b[1] == function|0x80 {
		n = 5
	}
	if len(b) < n {
		return nil, false, nil
	}
	b = b[:n]
	switch body := b[:n-2]; {
	case binary.LittleEndian.Uint16(b[n-2:]) != crc16(body):
		return nil, true, fmt.Errorf("%w: wrong CRC", ErrFormat)
	case body[0] != slave || body[1]&0x7f != function:
		return nil, true, fmt.Errorf("%w: an answer of slave %d to function %d", ErrFormat, body[0], body[1]&0x7f)
	case body[1] != function:
		return nil, true, fmt.Errorf("%w %d", ErrModbus, body[2])
	}
	regs, err = registers(b[2:n-2], count)
	return regs, true, err
}

// registers reads a length and as many registers.
func registers(b []byte, count uint16) ([]uint16, error) {
	if len(b) != 1+2*int(count) || int(b[0]) != 2*int(count) {
		return nil, fmt.Errorf("%w: %d bytes for %d registers", ErrFormat, len(b), count)
	}
	regs := make([]uint16, count)
	for i := range regs {
		regs[i] = binary.BigEndian.Uint16(b[1+2*i:])
	}
	return regs, nil
}

// epever reads an EPEver/Tracer charge controller: slave 1 at 115200, input registers, 32 bits with the low
// word first. Its charge is derived from the voltage.
type epever struct {
	path string
	m    Machine
	line
}

func (e *epever) Name() string { return "epever:" + e.path }

const epeverSlave = 1

func (e *epever) ask(ctx context.Context, first, count uint16) ([]uint16, error) {
	if _, err := e.port.Write(rtuRequest(epeverSlave, readInput, first, count)); err != nil {
		e.Close()
		return nil, err
	}
	var all []byte
	var regs []uint16
	err := e.read(ctx, func(b []byte) (done bool, err error) {
		all = append(all, b...)
		regs, done, err = rtuAnswer(all, epeverSlave, readInput, count)
		if len(all) > 512 && !done {
			err = fmt.Errorf("%w: %d bytes", ErrFormat, len(all))
		}
		return done, err
	})
	return regs, err
}

func (e *epever) Read(ctx context.Context, now time.Duration) (power.Sample, error) {
	if err := e.open(e.path, 115200, &e.m); err != nil {
		return power.Sample{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit*3/5)
	defer cancel()
	if err := e.port.ResetInputBuffer(); err != nil {
		e.Close()
		return power.Sample{}, err
	}
	battery, err := e.ask(ctx, 0x331a, 3)
	if err != nil {
		return power.Sample{}, fmt.Errorf("register 0x331a: %w", err)
	}
	s := power.Sample{At: now, Source: "epever", Confidence: power.Low}
	volts, amps := float64(battery[0])/100, float64(int32(uint32(battery[2])<<16|uint32(battery[1])))/100
	s.Volts, s.Amps = &volts, &amps
	// What an older model does not have it refuses; the battery's voltage does without.
	if regs, err := e.ask(ctx, 0x311a, 1); err == nil {
		soc := float64(regs[0])
		s.SoC = &soc
	} else if !errors.Is(err, ErrModbus) {
		return power.Sample{}, fmt.Errorf("register 0x311a: %w", err)
	}
	if regs, err := e.ask(ctx, 0x3102, 2); err == nil {
		pv := float64(uint32(regs[1])<<16|uint32(regs[0])) / 100
		s.PVWatts = &pv
	} else if !errors.Is(err, ErrModbus) {
		return power.Sample{}, fmt.Errorf("register 0x3102: %w", err)
	}
	return s, nil
}

// venus reads the system overview of a Victron GX device by Modbus TCP: unit 100, holding registers 840 V,
// 841 A, 842 W, 843 %, 844 state, 850 W of the panels (dbus_modbustcp, attributes.csv).
type venus struct {
	addr string
	m    Machine
}

const (
	venusUnit  = 100
	venusFirst = 840
	venusCount = 11
)

func newVenus(host string, m Machine) *venus {
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(strings.Trim(host, "[]"), "502")
	}
	return &venus{host, m}
}

func (v *venus) Name() string { return "venus:" + v.addr }
func (v *venus) Close() error { return nil }

func (v *venus) Read(ctx context.Context, now time.Duration) (power.Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	conn, err := v.m.Dial(ctx, "tcp", v.addr)
	if err != nil {
		return power.Sample{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	be := binary.BigEndian
	const id = 1
	request := be.AppendUint16(nil, id)
	request = append(request, 0, 0, 0, 6, venusUnit, readHolding)
	request = be.AppendUint16(request, venusFirst)
	request = be.AppendUint16(request, venusCount)
	if _, err := conn.Write(request); err != nil {
		return power.Sample{}, err
	}
	regs, err := tcpAnswer(conn, id, venusUnit, readHolding, venusCount)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", ErrTimeout, err)
		}
		return power.Sample{}, err
	}
	s := venusSample(regs)
	s.At = now
	return s, nil
}

// tcpAnswer reads one answer of Modbus TCP.
func tcpAnswer(r io.Reader, id uint16, unit, function byte, count uint16) ([]uint16, error) {
	head := make([]byte, 8) // id, protocol, length, unit, function
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	be := binary.BigEndian
	n := int(be.Uint16(head[4:])) - 2
	if be.Uint16(head) != id || be.Uint16(head[2:]) != 0 || head[6] != unit || head[7]&0x7f != function || n < 1 || n > 1+2*maxRegisters {
		return nil, fmt.Errorf("%w: an answer that begins with %x", ErrFormat, head)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	if head[7] != function {
		return nil, fmt.Errorf("%w %d", ErrModbus, body[0])
	}
	return registers(body, count)
}

func venusSample(regs []uint16) power.Sample {
	s := power.Sample{Source: "venus"}
	volts, amps, watts := float64(regs[0])/10, float64(int16(regs[1]))/10, float64(int16(regs[2]))
	soc, pv := float64(regs[3]), float64(regs[10])
	s.Volts, s.Amps, s.Watts, s.PVWatts = &volts, &amps, &watts, &pv
	if regs[3] <= 100 {
		s.SoC = &soc
	}
	switch regs[4] {
	case 1:
		charging := true
		s.Charging = &charging
	case 2:
		charging := false
		s.Charging = &charging
	}
	return s
}
