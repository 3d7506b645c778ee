package control

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"time"
)

// progressKey is under what a context holds its listener.
type progressKey struct{}

// WithProgress returns a context whose long questions tell f how far they are, a line at a time,
// whether they are answered in this process or in another.
func WithProgress(ctx context.Context, f func(line string)) context.Context {
	return context.WithValue(ctx, progressKey{}, f)
}

// report tells the listener of a context how far a question is.
func report(ctx context.Context, line string) {
	if f, ok := ctx.Value(progressKey{}).(func(string)); ok && line != "" {
		f(line)
	}
}

// maxProgress bounds a line, in bytes.
const maxProgress = 512

// progressTo passes lines on to a client. A client that does not read them is not waited for long,
// and finds out at the answer.
func progressTo(conn net.Conn) func(string) {
	var mu sync.Mutex
	broken := false
	return func(line string) {
		b, err := json.Marshal(response{Progress: line[:min(len(line), maxProgress)]})
		mu.Lock()
		defer mu.Unlock()
		if err != nil || broken {
			return
		}
		conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, err = conn.Write(append(b, '\n'))
		broken = err != nil
	}
}

// timeFor is how long a question of a method may take.
func timeFor(method string) time.Duration {
	if method == methodProve {
		return proveTimeout
	}
	return answerTimeout
}
