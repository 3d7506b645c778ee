// Package handler has the handlers that need no Go: the template's, one that asks a local HTTP server such
// as llama.cpp or ollama, and one that asks a command.
//
// It promises that what a server or a command answers is bounded before it is kept and read as a stranger's,
// that no more is waited for it than the caller waits, that a command which does not end in time is killed
// with all that it started, and that a command sees none of this program's environment but PATH, HOME,
// LANG and what it is given: passwords of keyfiles may be in the rest.
//
// It never follows a redirect or uses a proxy, and never tells a caller what went wrong inside: that goes
// to the log.
package handler
