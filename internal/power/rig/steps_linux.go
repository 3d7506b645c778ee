package rig

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ClockSteps calls step each time that the wall clock is set, until ctx ends: within a moment and without
// a timer of its own, since the kernel cancels a timer that waits for a time of day when that is changed.
// Slewing is no step. It returns when ctx ends, or an error at once where the kernel has no such timer.
func ClockSteps(ctx context.Context, step func()) error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("timer: %w", err)
	}
	f := os.NewFile(uintptr(fd), "timerfd") // with the runtime's poller: no thread waits
	defer f.Close()
	defer context.AfterFunc(ctx, func() { f.Close() })()
	// The last second that 32 bits hold, in 2038.
	far := unix.ItimerSpec{Value: unix.Timespec{Sec: 1<<31 - 1}}
	raw, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("timer: %w", err)
	}
	buf := make([]byte, 8)
	for {
		var setErr error
		err := raw.Control(func(fd uintptr) {
			setErr = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &far, nil)
		})
		if err = errors.Join(err, setErr); err == nil {
			_, err = f.Read(buf)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, unix.ECANCELED):
			step()
		case err != nil:
			return fmt.Errorf("timer: %w", err)
		default: // it expired: the clock was set past it
			step()
			<-ctx.Done()
			return ctx.Err()
		}
	}
}
