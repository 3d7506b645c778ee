package axon

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// errBusy: the queue is full of requests that come before this one.
var errBusy = errors.New("busy")

// A queue lets so many requests work at once and has so many others wait, the one with the highest priority
// first. When too many wait, the one with the lowest is sent away, be it the new one or an older one.
type queue struct {
	mu      sync.Mutex
	free    int
	max     int
	waiting []*ticket // by priority, the highest last; of equals the oldest last
}

type ticket struct {
	priority float64
	ready    chan error // gets nil or errBusy once
}

func newQueue(workers, waiting int) *queue { return &queue{free: workers, max: waiting} }

// enter waits for a place. Who got one has to leave it.
func (q *queue) enter(ctx context.Context, priority float64) error {
	q.mu.Lock()
	if q.free > 0 {
		q.free--
		q.mu.Unlock()
		return nil
	}
	t := &ticket{priority, make(chan error, 1)}
	at, _ := slices.BinarySearchFunc(q.waiting, priority, func(t *ticket, p float64) int {
		if t.priority < p {
			return -1
		}
		return 1 // before its equals: they have waited longer
	})
	q.waiting = slices.Insert(q.waiting, at, t)
	if len(q.waiting) > q.max {
		q.waiting[0].ready <- errBusy
		q.waiting = slices.Delete(q.waiting, 0, 1)
	}
	q.mu.Unlock()
	select {
	case err := <-t.ready:
		return err
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.waiting, t); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		return ctx.Err()
	}
	if err := <-t.ready; err != nil {
		return err
	}
	q.pass() // the place came too late
	return ctx.Err()
}

func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pass()
}

// pass gives a place to the next.
func (q *queue) pass() {
	n := len(q.waiting)
	if n == 0 {
		q.free++
		return
	}
	q.waiting[n-1].ready <- nil
	q.waiting = slices.Delete(q.waiting, n-1, n)
}
