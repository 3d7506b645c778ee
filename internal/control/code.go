package control

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/taolight/taolight/lightclient"
)

// A Code is what a command ends with. The numbers are part of the program's interface.
type Code int

// The exit codes.
const (
	Good      Code = 0
	Failure   Code = 1 // any error that has no code of its own
	Usage     Code = 2 // the command line, a setting or an argument is wrong
	Unproven  Code = 3 // a proof failed
	Stale     Code = 4 // the node has not caught up, or its head is old
	Damaged   Code = 5 // the store is damaged
	NoPeers   Code = 6 // nobody to ask
	Undecided Code = 7 // incomplete proof, discarded state, unknown rules
)

// Codes says each code in words, for the help.
var Codes = [...]string{
	Good:      "good",
	Failure:   "error",
	Usage:     "usage: the command line, a setting or an argument is wrong",
	Unproven:  "a proof failed",
	Stale:     "stale or not synced",
	Damaged:   "the store is damaged",
	NoPeers:   "no peers",
	Undecided: "undecided: incomplete proof, discarded state or unknown rules",
}

// Errors of finding and asking a node.
var (
	// ErrNoNode: no node runs on that data directory.
	ErrNoNode = errors.New("no node runs here")
	// ErrInUse: a node runs on that data directory already.
	ErrInUse = errors.New("data directory is in use by another taolight")
	// ErrProtocol: the other end does not speak this protocol, or not this version of it.
	ErrProtocol = errors.New("unexpected answer on the control socket")
	// ErrMethod: no such question.
	ErrMethod = errors.New("unknown method")
	// ErrParams: the question's arguments cannot be read.
	ErrParams = errors.New("bad parameters")
)

// An Error is an error with the code to end with, and what to do about it.
type Error struct {
	Code Code
	Err  error
	Hint string // a sentence, or empty
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// AskAgain is the hint where a proof is incomplete.
const AskAgain = "peers may be busy or have discarded that state: ask again"

// Errorf returns an Error without a hint.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// WithHint returns e with a hint.
func (e *Error) WithHint(format string, args ...any) *Error {
	return &Error{e.Code, e.Err, fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of an error: its own if it is an Error, else by what it is.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case err == nil:
		return Good
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, lightclient.ErrNoPeers):
		return NoPeers
	case errors.Is(err, lightclient.ErrIncomplete):
		return Undecided
	case errors.Is(err, lightclient.ErrNotFinal), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return Stale
	}
	return Failure
}

// HintOf returns the hint of an error, or nothing.
func HintOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}
