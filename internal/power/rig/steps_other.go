//go:build !linux

package rig

import (
	"context"
	"errors"
)

// ClockSteps returns an error: only Linux tells.
func ClockSteps(context.Context, func()) error { return errors.ErrUnsupported }
