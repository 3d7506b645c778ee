package rig

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A Hook runs a command when a state that it follows changes: the uplink's switch, or whatever the owner
// wants done at another power level. It is told the state at every tick and runs one command at a time:
// what was wanted meanwhile and is not any more is never run. A command that fails is tried again; what one
// leaves in the background is its own business.
type Hook struct {
	cfg HookConfig

	mu      sync.Mutex
	running chan struct{} // closed when the command that runs has ended; nil: none runs
	done    string        // the state that the last command that succeeded was for
	last    time.Duration // when the last command was started
	started bool
	result  HookResult
}

// HookConfig says what a Hook runs.
type HookConfig struct {
	// Commands are by state; a state without one is reached by doing nothing. Any is run for states that
	// have none of their own.
	Commands map[string][]string
	Any      []string
	// Limit is how long a command may take until it is killed with its children; 0: 10 s.
	Limit time.Duration
	// Every is the least time between the starts of two commands; 0: 30 s.
	Every time.Duration
	// First is the state that holds at the start without a command; empty: unknown, so that the first tick
	// runs one, which puts right what a crash left on.
	First string
}

// HookResult is how the last command ended.
type HookResult struct {
	State string // what it was for
	Runs  uint64
	Took  time.Duration
	Err   error
}

// NewHook returns a hook that has run nothing yet.
func NewHook(cfg HookConfig) *Hook {
	if cfg.Limit <= 0 {
		cfg.Limit = 10 * time.Second
	}
	if cfg.Every <= 0 {
		cfg.Every = 30 * time.Second
	}
	return &Hook{cfg: cfg, done: cfg.First}
}

func (h *Hook) command(state string) []string {
	if argv, ok := h.cfg.Commands[state]; ok {
		return argv
	}
	return h.cfg.Any
}

// Tick tells the hook which state is wanted now, and the environment for its command. It starts one if the
// state is another than the last, none runs, and Every has passed; it never waits. It reports whether the
// state has been reached.
func (h *Hook) Tick(ctx context.Context, now time.Duration, state string, env ...string) (reached bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case state == h.done && h.running == nil:
		return true
	case h.running != nil || h.started && now >= h.last && now-h.last < h.cfg.Every:
		return false
	}
	argv := h.command(state)
	if len(argv) == 0 {
		h.done = state
		return true
	}
	h.running, h.last, h.started = make(chan struct{}), now, true
	go h.run(ctx, argv, state, env, h.running)
	return false
}

func (h *Hook) run(ctx context.Context, argv []string, state string, env []string, end chan struct{}) {
	begin := time.Now()
	_, err := run(ctx, argv, append(env, "TAOLIGHT_STATE="+state), h.cfg.Limit, maxReading)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.result = HookResult{State: state, Runs: h.result.Runs + 1, Took: time.Since(begin), Err: err}
	if err == nil {
		h.done = state
	} else {
		h.done = "" // it may have done half of it
	}
	h.running = nil
	close(end)
}

// Result returns how the last command ended.
func (h *Hook) Result() HookResult {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.result
}

// Close waits for the command that runs and then, if final is not empty and not reached, runs its command
// without waiting for Every: an uplink is switched off when the node leaves. What ctx ends is killed. No
// Tick may follow.
func (h *Hook) Close(ctx context.Context, final string, env ...string) error {
	h.mu.Lock()
	running := h.running
	h.mu.Unlock()
	if running != nil {
		select {
		case <-running: // ends at its limit at the latest
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	h.mu.Lock()
	argv, reached := h.command(final), final == "" || h.done == final
	h.mu.Unlock()
	if reached || len(argv) == 0 {
		return nil
	}
	end := make(chan struct{})
	h.mu.Lock()
	h.running = end
	h.mu.Unlock()
	h.run(ctx, argv, final, env, end)
	if err := h.Result().Err; err != nil {
		return fmt.Errorf("hook for %q: %w", final, err)
	}
	return nil
}
