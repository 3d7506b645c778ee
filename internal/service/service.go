// Package service tells the service manager that started this process how it is: that it serves,
// and at intervals that it still works. It speaks the protocol of sd_notify(3), which is a
// datagram on a socket that the environment names.
//
// It promises that without a service manager nothing happens, that a ping is sent only after the node
// answered, and that it waits for nobody: a manager that does not read costs a message, not a node.
//
// It never decides what to do about a node that does not answer; that is the manager's.
package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// ErrSocket: NOTIFY_SOCKET names nothing that can be written to.
var ErrSocket = errors.New("bad NOTIFY_SOCKET")

// ErrWatchdog: WATCHDOG_USEC is no number of microseconds.
var ErrWatchdog = errors.New("bad WATCHDOG_USEC")

// maxStatus bounds the text that is shown beside the service, in bytes.
const maxStatus = 200

// patience is how long a message may wait in a full socket.
const patience = time.Second

// A Manager is who started this process. The zero Manager is nobody.
type Manager struct {
	// Patience is the time after which the manager takes this process for stuck if it hears nothing;
	// 0 if it does not watch.
	Patience time.Duration

	addr *net.UnixAddr
}

// FromEnviron reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID from an environment as os.Environ
// gives it. A watchdog that is meant for another process than pid is not ours. The error wraps
// ErrSocket or ErrWatchdog; the Manager can be used all the same, and does what it can.
func FromEnviron(environ []string, pid int) (*Manager, error) {
	m := new(Manager)
	env := map[string]string{}
	for _, e := range environ {
		key, value, _ := strings.Cut(e, "=")
		env[key] = value
	}
	path := env["NOTIFY_SOCKET"]
	switch {
	case path == "":
		return m, nil
	case path[0] != '/' && path[0] != '@', len(path) < 2, len(path) > 107:
		return m, fmt.Errorf("%w: %.120q: want an absolute path, or @ and a name", ErrSocket, path)
	}
	m.addr = &net.UnixAddr{Name: path, Net: "unixgram"} // net reads @ as the abstract namespace too
	usec, who := env["WATCHDOG_USEC"], env["WATCHDOG_PID"]
	if usec == "" || who != "" && who != strconv.Itoa(pid) {
		return m, nil
	}
	n, err := strconv.ParseUint(usec, 10, 63)
	if err != nil || n == 0 || n > uint64(365*24*time.Hour/time.Microsecond) {
		return m, fmt.Errorf("%w: %.40q", ErrWatchdog, usec)
	}
	m.Patience = time.Duration(n) * time.Microsecond
	return m, nil
}

// Ready says that this process serves, and what to show beside it.
func (m *Manager) Ready(status string) error { return m.send("READY=1\nSTATUS=" + oneLine(status)) }

// Watch asks the node how it is, twice in the manager's patience, and tells the manager what it
// answered. It does not ping when there is no answer: after its patience the manager starts the
// process anew. It returns when ctx ends, at once if the manager does not watch.
func (m *Manager) Watch(ctx context.Context, ask func(context.Context) (status string, err error)) error {
	if m.addr == nil || m.Patience == 0 {
		return nil
	}
	every := m.Patience / 2
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		asking, cancel := context.WithTimeout(ctx, every)
		status, err := ask(asking)
		cancel()
		if err == nil {
			// A message that was not taken shows by itself: the manager's patience ends.
			_ = m.send("WATCHDOG=1\nSTATUS=" + oneLine(status))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// send writes one message.
func (m *Manager) send(message string) error {
	if m.addr == nil {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, m.addr)
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	defer c.Close()
	if err := c.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	if _, err := c.Write([]byte(message)); err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	return nil
}

// oneLine keeps a status from becoming another assignment of the message.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxStatus {
		s = strings.ToValidUTF8(s[:maxStatus], "")
	}
	return s
}
