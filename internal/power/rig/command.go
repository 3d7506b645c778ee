package rig

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// ErrCommand: a command failed, printed too much, or was killed at its limit.
var ErrCommand = errors.New("command failed")

// grace is how long a killed command's pipes are waited for, which a child of it may hold.
const grace = time.Second

// Run runs a command without a shell, with env added to the environment, for at most limit.
func Run(ctx context.Context, argv, env []string, limit time.Duration) error {
	_, err := run(ctx, argv, env, limit, maxReading)
	return err
}

// run runs a command without a shell and returns what it printed. At its time limit, or when it prints
// over most bytes, it is killed with every process it started.
func run(ctx context.Context, argv, env []string, limit time.Duration, most int) ([]byte, error) {
	if len(argv) == 0 {
		return nil, fmt.Errorf("%w: no command", ErrCommand)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(cmd.Environ(), env...)
	ownGroup(cmd)
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = grace
	out := &bounded{most: most, full: cancel}
	cmd.Stdout = out
	complaint := &bounded{most: 512}
	cmd.Stderr = complaint
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil {
		err = nil // what it left running in the background holds its output
	}
	switch {
	case out.over:
		return nil, fmt.Errorf("%w: %s printed over %d bytes", ErrCommand, argv[0], most)
	case ctx.Err() == context.DeadlineExceeded:
		return nil, fmt.Errorf("%w: %s was killed after %v", ErrCommand, argv[0], limit)
	case err != nil:
		if text := clean(string(complaint.b)); text != "" {
			return nil, fmt.Errorf("%w: %s: %w: %.200s", ErrCommand, argv[0], err, text)
		}
		return nil, fmt.Errorf("%w: %s: %w", ErrCommand, argv[0], err)
	}
	return out.b, nil
}

// A bounded keeps the first bytes that are written to it.
type bounded struct {
	b    []byte
	most int
	over bool
	full func() // called when more comes
}

func (w *bounded) Write(p []byte) (int, error) {
	room := w.most - len(w.b)
	w.b = append(w.b, p[:min(len(p), room)]...)
	if len(p) > room && !w.over {
		w.over = true
		if w.full != nil {
			w.full()
		}
	}
	return len(p), nil
}
