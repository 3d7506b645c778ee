// Package alert wakes the owner of a node: each event is sent to a command or a web address of the settings, is tried again
// when that fails, and is held back when the same was just told.
//
// It promises that nothing is sent but what was added, nowhere but where the settings say, at most Burst at once and then
// one in each Refill, and never twice the same within the time that the owner set; what was held back is counted, and told
// with the next one that goes out. A Queue reads no clock and waits for nobody, so that each of its branches is tested.
package alert

import (
	"fmt"
	"time"
)

// Our own limits.
const (
	Burst    = 6
	Refill   = 10 * time.Minute
	maxWait  = 32 // messages that wait; the oldest go
	Tries    = 6
	maxCodes = 64
)

// waits are the times between the tries of one message.
var waits = [Tries]time.Duration{30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, time.Hour}

// A Message is what the owner is told. Its JSON form is what a web address is sent; fields are added, never renamed.
type Message struct {
	Schema   int       `json:"schema"` // 1
	Source   string    `json:"source"` // "taolight"
	Node     string    `json:"node"`   // the machine's name
	Network  string    `json:"network"`
	Demo     bool      `json:"demo"`
	Code     string    `json:"code"`
	Severity string    `json:"severity"`
	Topic    string    `json:"topic"`
	Over     bool      `json:"over"` // it is not so any more
	Title    string    `json:"title"`
	Remedy   string    `json:"remedy"`
	Time     time.Time `json:"time"`
	Held     int       `json:"held"` // others that were held back since the last one
	// The same in one line, by the names that Slack, Mattermost and others (text) and Discord (content) show.
	Text    string `json:"text"`
	Content string `json:"content"`
}

// Line is a message in one line.
func (m *Message) Line() string {
	name := "taolight"
	if m.Node != "" {
		name += " on " + m.Node
	}
	if m.Demo {
		name += " (demo)"
	}
	s := fmt.Sprintf("%s: %s: %s", name, m.Code, m.Title)
	if m.Over {
		s = fmt.Sprintf("%s: %s is over", name, m.Code)
	} else if m.Remedy != "" {
		s += " – " + m.Remedy
	}
	if m.Held > 0 {
		s += fmt.Sprintf(" (and %d others that were held back)", m.Held)
	}
	return s
}

// A Queue is what waits to be sent to one receiver. The zero value is ready; it is for one goroutine at a time.
type Queue struct {
	Every time.Duration // least time between two of one code; 0: an hour

	list    []entry
	trying  bool
	last    map[string]time.Duration // by code and end
	tokens  float64
	filled  time.Duration
	started bool
	held    int
	stats   Stats
	err     error
	failing int // tries in a row
}

type entry struct {
	Message
	tries int
	next  time.Duration
}

// Stats counts since the start.
type Stats struct{ Sent, Failed, Held uint64 }

// Stats returns the counts.
func (q *Queue) Stats() Stats { return q.stats }

// Failing returns why messages do not arrive, once three tries in a row have failed.
func (q *Queue) Failing() error {
	if q.failing < 3 {
		return nil
	}
	return q.err
}

// Add takes an event. now is a monotonic time of this process.
func (q *Queue) Add(now time.Duration, m Message) {
	every := q.Every
	if every <= 0 {
		every = time.Hour
	}
	key := m.Code
	if m.Over {
		key += " over"
	}
	if at, ok := q.last[key]; ok && now-at < every {
		q.hold()
		return
	}
	if q.last == nil || len(q.last) >= maxCodes {
		q.last = map[string]time.Duration{}
	}
	q.last[key] = now
	if len(q.list) >= maxWait {
		i := 0
		if q.trying { // the first one is on its way
			i = 1
		}
		q.list = append(q.list[:i], q.list[i+1:]...)
		q.hold()
	}
	q.list = append(q.list, entry{Message: m, next: now})
}

func (q *Queue) hold() {
	q.held++
	q.stats.Held++
}

// Next returns the message to send now, if there is one: Done has to tell how that ended before there is another.
func (q *Queue) Next(now time.Duration) (Message, bool) {
	if !q.started {
		q.started, q.tokens, q.filled = true, Burst, now
	}
	q.tokens = min(Burst, q.tokens+(now-q.filled).Seconds()/Refill.Seconds())
	q.filled = now
	if q.trying || len(q.list) == 0 || q.list[0].next > now || q.list[0].tries == 0 && q.tokens < 1 {
		return Message{}, false
	}
	e := &q.list[0]
	if e.tries == 0 {
		q.tokens--
		e.Held, q.held = q.held, 0
		e.Text = e.Line()
		e.Content = e.Text
	}
	q.trying = true
	return e.Message, true
}

// Done tells how sending the last message ended. One that failed is tried again, later each time, and given up at last.
func (q *Queue) Done(now time.Duration, err error) {
	if !q.trying {
		return
	}
	q.trying, q.err = false, err
	e := &q.list[0]
	if err == nil {
		q.stats.Sent++
		q.failing = 0
		q.list = q.list[1:]
		return
	}
	q.stats.Failed++
	q.failing++
	e.next = now + waits[e.tries]
	if e.tries++; e.tries == Tries {
		q.held += 1 + e.Held
		q.list = q.list[1:]
	}
}
