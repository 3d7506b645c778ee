package rig

import (
	"context"
	"errors"
	"testing"
)

// TestClockSteps: it waits, and ends with its context. That a jump wakes it is not tried here: a test sets
// no machine's clock.
func TestClockSteps(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- ClockSteps(ctx, func() { t.Log("the clock was set") }) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
