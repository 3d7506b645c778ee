package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/taolight/taolight/lightclient"
)

// A journal prints one line for each change of state: time, topic, text. Finalized heads come one
// after the other for ever, so only the first ones are all shown.
type journal struct {
	w     io.Writer
	style style
	now   func() time.Time
	level int // of levels

	mu     sync.Mutex
	heads  int
	headAt time.Time
}

// levels are the words of --log-level, the most talkative first.
var levels = map[string]int{"debug": 0, "info": 1, "warn": 2, "error": 3}

// Our own limits on lines about finalized heads.
const (
	firstHeads = 5
	headEvery  = 10 * time.Second
)

func newJournal(a *app, w io.Writer, level string) *journal {
	return &journal{w: w, style: a.style, now: a.now, level: levels[level]}
}

// note prints a change of state of the node.
func (j *journal) note(n lightclient.Note) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.now()
	if n.Topic == "final" && j.level > levels["debug"] {
		// A clock that was set back must not silence the head.
		if since := now.Sub(j.headAt); j.heads >= firstHeads && since >= 0 && since < headEvery {
			return
		}
		j.heads++
		j.headAt = now
	}
	level := levels["info"]
	if n.Warn {
		level = levels["warn"]
	}
	if level < j.level {
		return
	}
	j.print(now, n.Topic, n.Text, n.Warn)
}

// say prints a line of the program's own.
func (j *journal) say(topic, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.level <= levels["info"] {
		j.print(j.now(), topic, fmt.Sprintf(format, args...), false)
	}
}

// warn prints a line of the program's own that asks for something to be done.
func (j *journal) warn(topic, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.level <= levels["warn"] {
		j.print(j.now(), topic, fmt.Sprintf(format, args...), true)
	}
}

func (j *journal) print(now time.Time, topic, text string, warn bool) {
	name := fmt.Sprintf("%-7s", topic)
	switch {
	case warn:
		name = j.style.bad(name)
	case topic == "final":
		name = j.style.good(name)
	default:
		name = j.style.bold(name)
	}
	fmt.Fprintf(j.w, "%s %s %s\n", j.style.dim(now.Format(time.TimeOnly)), name, text)
}
