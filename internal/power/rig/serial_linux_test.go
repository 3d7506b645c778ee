package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pty opens a pair of pseudo-terminals: what is written to one end comes out of the port at path.
func pty(t *testing.T) (device *os.File, path string) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	f := os.NewFile(uintptr(fd), "ptmx") // not blocking, so that Close ends a Write that waits
	t.Cleanup(func() { f.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	return f, fmt.Sprintf("/dev/pts/%d", n)
}

// talk writes to a device again and again, as a meter does, until the test ends or the port is gone.
func talk(t *testing.T, device *os.File, text string) {
	t.Helper()
	done := make(chan struct{})
	t.Cleanup(func() { device.Close(); <-done })
	go func() {
		defer close(done)
		for {
			// A pseudo-terminal that nobody reads takes some kilobytes and then waits.
			if _, err := device.WriteString(text); err != nil {
				return
			}
		}
	}()
}

func TestSerial(t *testing.T) {
	device, path := pty(t)
	r, err := New([]string{"vedirect:" + path}, Machine{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if !r.Explicit {
		t.Error("a named port is not explicit")
	}
	talk(t, device, ":A0002000148\n"+dayBlock)
	before := runtime.NumGoroutine()
	for poll := range 3 {
		now := time.Duration(poll+1) * time.Minute
		list := r.Poll(t.Context(), now)
		if len(list) != 1 || list[0].At != now {
			t.Fatalf("poll %d: %+v, %v", poll, list, r.Status()[0].Err)
		}
		same(t, "voltage", list[0].Volts, 13.32)
		same(t, "current", list[0].Amps, 0.06)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

// TestUnplugged: the meter goes away in mid-block, and another is there at the next poll.
func TestUnplugged(t *testing.T) {
	device, path := pty(t)
	link := t.TempDir() + "/meter"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	r, err := New([]string{"vedirect:" + link}, Machine{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	v := r.sources[0].(*vedirect)
	ctx, cancel := context.WithTimeout(t.Context(), readLimit)
	defer cancel()
	if err := v.open(v.path, 19200, &v.m); err != nil {
		t.Fatal(err)
	}
	if _, err := device.WriteString(dayBlock[:100]); err != nil {
		t.Fatal(err)
	}
	got := 0
	err = v.read(ctx, func(b []byte) (bool, error) {
		if got += len(b); got == 100 {
			device.Close()
		}
		return false, nil
	})
	if err == nil || v.port != nil {
		t.Fatalf("the port is gone, but read says %v", err)
	}
	if list := r.Poll(t.Context(), time.Minute); len(list) != 0 || r.Status()[0].Err == nil {
		t.Errorf("%+v, %v", list, r.Status()[0].Err)
	}
	os.Remove(link)
	if r.Poll(t.Context(), 2*time.Minute); !errors.Is(r.Status()[0].Err, ErrAbsent) {
		t.Errorf("%v", r.Status()[0].Err)
	}
	device, path = pty(t)
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	talk(t, device, shuntBlock)
	if list := r.Poll(t.Context(), 3*time.Minute); len(list) != 1 || *list[0].SoC != 87.4 {
		t.Errorf("%+v, %v", list, r.Status()[0].Err)
	}
}

// TestSilentPort: a port on which nothing whole comes costs one wait, and the end of the context none.
func TestSilentPort(t *testing.T) {
	device, path := pty(t)
	v := &vedirect{path: path}
	v.m.fill()
	defer v.Close()
	ctx, cancel := context.WithCancel(t.Context())
	if err := v.open(v.path, 19200, &v.m); err != nil {
		t.Fatal(err)
	}
	device.WriteString(dayBlock[:50])
	wait, end := context.WithTimeout(ctx, time.Minute)
	defer end()
	err := v.read(wait, func([]byte) (bool, error) { cancel(); return false, nil })
	if !errors.Is(err, context.Canceled) || v.port != nil {
		t.Errorf("%v", err)
	}
	if _, err := v.Read(ctx, 0); err == nil {
		t.Error("a context that has ended reads")
	}
}
