package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"go.bug.st/serial"
)

// A Port is an open serial line. A read that times out returns 0 and no error, as serial's does.
type Port interface {
	io.ReadWriteCloser
	SetReadTimeout(time.Duration) error
	ResetInputBuffer() error
}

// openSerial opens a line with 8 data bits, no parity, one stop bit and no flow control. DTR and RTS are
// on: an isolated cable takes its power from them.
func openSerial(path string, baud int) (Port, error) {
	return serial.Open(path, &serial.Mode{BaudRate: baud, DataBits: 8, Parity: serial.NoParity, StopBits: serial.OneStopBit})
}

// A line is a serial port that is opened when it is first needed and again after a failure.
type line struct {
	port Port
}

// open opens the port that path names, or the first that it matches.
func (l *line) open(path string, baud int, m *Machine) error {
	if l.port != nil {
		return nil
	}
	matches, err := filepath.Glob(path)
	if err != nil || len(matches) == 0 {
		return fmt.Errorf("%s: %w", path, ErrAbsent)
	}
	p, err := m.Serial(matches[0], baud)
	if err != nil {
		return fmt.Errorf("%s: %w", matches[0], err)
	}
	l.port = p
	return nil
}

func (l *line) Close() error {
	if l.port == nil {
		return nil
	}
	err := l.port.Close()
	l.port = nil
	return err
}

// read feeds what comes to a function until that is satisfied, fails, or ctx ends. A port that fails is
// closed: the next poll opens it again.
func (l *line) read(ctx context.Context, feed func([]byte) (done bool, err error)) error {
	port := l.port
	// The end of ctx closes the port under a read that waits.
	stop := context.AfterFunc(ctx, func() { port.Close() })
	defer stop()
	err := l.feed(ctx, feed)
	if !stop() { // it ran
		l.port = nil
		if err == nil {
			return nil
		}
		if errors.Is(context.Cause(ctx), context.Canceled) {
			return ctx.Err()
		}
		return ErrTimeout
	}
	return err
}

func (l *line) feed(ctx context.Context, feed func([]byte) (bool, error)) error {
	end, _ := ctx.Deadline()
	buf := make([]byte, 512)
	for {
		left := time.Until(end)
		if left <= 0 {
			return ErrTimeout
		}
		err := l.port.SetReadTimeout(left)
		n := 0
		if err == nil {
			n, err = l.port.Read(buf)
		}
		if err != nil {
			l.Close()
			return err
		}
		if n == 0 {
			return ErrTimeout
		}
		if done, err := feed(buf[:n]); done || err != nil {
			return err
		}
	}
}
