package service

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFromEnviron(t *testing.T) {
	for _, c := range []struct {
		name     string
		environ  []string
		there    bool
		patience time.Duration
		err      error
	}{
		{name: "nobody"},
		{name: "empty", environ: []string{"NOTIFY_SOCKET="}},
		{name: "a watchdog without a socket", environ: []string{"WATCHDOG_USEC=1000000"}},
		{name: "a socket", environ: []string{"A=b", "NOTIFY_SOCKET=/run/x"}, there: true},
		{name: "an abstract one", environ: []string{"NOTIFY_SOCKET=@x"}, there: true},
		{name: "relative", environ: []string{"NOTIFY_SOCKET=run/x"}, err: ErrSocket},
		{name: "vsock", environ: []string{"NOTIFY_SOCKET=vsock:2:1234"}, err: ErrSocket},
		{name: "no name", environ: []string{"NOTIFY_SOCKET=@"}, err: ErrSocket},
		{name: "longer than sun_path", environ: []string{"NOTIFY_SOCKET=/" + strings.Repeat("x", 107)}, err: ErrSocket},
		{name: "watched", environ: []string{"NOTIFY_SOCKET=/run/x", "WATCHDOG_USEC=120000000"}, there: true, patience: 2 * time.Minute},
		{name: "watched by pid", environ: []string{"NOTIFY_SOCKET=/run/x", "WATCHDOG_USEC=1", "WATCHDOG_PID=7"}, there: true, patience: time.Microsecond},
		{name: "another is watched", environ: []string{"NOTIFY_SOCKET=/run/x", "WATCHDOG_USEC=1", "WATCHDOG_PID=8"}, there: true},
		{name: "no number", environ: []string{"NOTIFY_SOCKET=/run/x", "WATCHDOG_USEC=2min"}, there: true, err: ErrWatchdog},
		{name: "zero", environ: []string{"NOTIFY_SOCKET=/run/x", "WATCHDOG_USEC=0"}, there: true, err: ErrWatchdog},
		{name: "overflows", environ: []string{"NOTIFY_SOCKET=/run/x", "WATCHDOG_USEC=9223372036854775807"}, there: true, err: ErrWatchdog},
		{name: "negative", environ: []string{"NOTIFY_SOCKET=/run/x", "WATCHDOG_USEC=-1"}, there: true, err: ErrWatchdog},
	} {
		m, err := FromEnviron(c.environ, 7)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.err)
		}
		if m == nil {
			t.Fatalf("%s: no Manager", c.name)
		}
		if (m.addr != nil) != c.there || m.Patience != c.patience {
			t.Errorf("%s: socket %v, patience %v", c.name, m.addr, m.Patience)
		}
	}
}

// listen makes a socket as a service manager has it, and returns what reads one message from it.
func listen(t *testing.T, name string) func() string {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return func() string {
		t.Helper()
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4096)
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func TestMessages(t *testing.T) {
	names := []string{filepath.Join(t.TempDir(), "s")}
	if runtime.GOOS == "linux" {
		names = append(names, "@taolight-test-"+filepath.Base(t.TempDir())+t.Name())
	}
	for _, name := range names {
		read := listen(t, name)
		m, err := FromEnviron([]string{"NOTIFY_SOCKET=" + name}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Ready("one\nWATCHDOG=1\x00" + strings.Repeat("é", 200)); err != nil {
			t.Fatal(err)
		}
		want := "READY=1\nSTATUS=one WATCHDOG=1 " + strings.Repeat("é", 92)
		if got := read(); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

// TestNobody: what is not there is not waited for, and is an error only if it was named.
func TestNobody(t *testing.T) {
	if err := new(Manager).Ready(""); err != nil {
		t.Error(err)
	}
	if err := new(Manager).Watch(context.Background(), nil); err != nil {
		t.Error(err)
	}
	m, err := FromEnviron([]string{"NOTIFY_SOCKET=" + filepath.Join(t.TempDir(), "none")}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Ready(""); err == nil {
		t.Error("a socket that is not there was written to")
	}
	if err := m.Watch(context.Background(), nil); err != nil { // no WATCHDOG_USEC
		t.Error(err)
	}
}

// TestWatch: a ping for each answer and none for a node that is stuck.
func TestWatch(t *testing.T) {
	name := filepath.Join(t.TempDir(), "s")
	read := listen(t, name)
	var asked, gaveUp int
	synctest.Test(t, func(t *testing.T) {
		m, err := FromEnviron([]string{"NOTIFY_SOCKET=" + name, "WATCHDOG_USEC=120000000"}, 1)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute+time.Second)
		defer cancel()
		began := time.Now()
		err = m.Watch(ctx, func(ctx context.Context) (string, error) {
			asked++
			if time.Since(began) > 90*time.Second { // stuck from here on
				<-ctx.Done()
				gaveUp++
				return "", ctx.Err()
			}
			return "finalized #" + string(rune('0'+asked)), nil
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended with %v", err)
		}
	})
	if asked != 6 || gaveUp != 4 {
		t.Errorf("asked %d times in five minutes, %d without an answer; want 6 and 4", asked, gaveUp)
	}
	for _, want := range []string{"WATCHDOG=1\nSTATUS=finalized #1", "WATCHDOG=1\nSTATUS=finalized #2"} {
		if got := read(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	// The socket is empty: what comes next is what is sent now.
	m, _ := FromEnviron([]string{"NOTIFY_SOCKET=" + name}, 1)
	if err := m.Ready(""); err != nil {
		t.Fatal(err)
	}
	if got := read(); got != "READY=1\nSTATUS=" {
		t.Errorf("a node that is stuck sent %q", got)
	}
}

func FuzzFromEnviron(f *testing.F) {
	f.Add("/run/x", "120000000", "7")
	f.Add("@", "0", "")
	f.Fuzz(func(t *testing.T, socket, usec, pid string) {
		m, err := FromEnviron([]string{"NOTIFY_SOCKET=" + socket, "WATCHDOG_USEC=" + usec, "WATCHDOG_PID=" + pid}, 7)
		if m == nil || m.Patience < 0 || m.Patience > 0 && m.addr == nil {
			t.Errorf("%+v, %v", m, err)
		}
	})
}
