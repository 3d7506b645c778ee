package rpc

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// A conn is one WebSocket connection: a goroutine that reads, one that writes, and one for each subscription and
// each request that has to ask peers.
type conn struct {
	s      *Server
	ws     *websocket.Conn
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	from   string
	slots  chan struct{} // one token for each request that is worked on
	wg     sync.WaitGroup

	mu      sync.Mutex
	queue   [][]byte
	queued  int           // bytes in queue
	wake    chan struct{} // holds a token when there is something to write
	room    chan struct{} // closed and replaced when something was written
	subs    map[string]*subscription
	follows int
	sent    map[string]bool // of transaction_v1_broadcast
}

// A subscription is told things until its context ends.
type subscription struct {
	id     string
	ctx    context.Context
	cancel context.CancelFunc
	conn   *conn
	method string // of its notifications
	follow *follow
}

// serveSocket serves a connection until the client leaves or the server ends.
func (s *Server) serveSocket(ws *websocket.Conn, from string) {
	s.wg.Add(1)
	defer s.wg.Done()
	c := &conn{s: s, ws: ws, from: from, slots: make(chan struct{}, max(1, s.cfg.Limits.InFlight/4)),
		wake: make(chan struct{}, 1), room: make(chan struct{}), subs: make(map[string]*subscription)}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	stop := context.AfterFunc(c.ctx, func() { ws.Close() })
	defer stop()
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		c.write()
	}()
	c.read()
	c.cancel()
	ws.Close()
	c.wg.Wait()
	c.mu.Lock()
	left := len(c.subs)
	c.subs = nil
	c.mu.Unlock()
	s.subs.Add(-int64(left))
	s.out.Add(-int64(c.queued))
}

// read takes frames until there are no more. What is answered at once is answered in order; what has to ask peers
// is worked on meanwhile, so much of it at a time that the rest waits in the client's own buffers.
func (c *conn) read() {
	for {
		_, r, err := c.ws.NextReader()
		if err != nil {
			return
		}
		c.ws.SetReadDeadline(time.Now().Add(30 * time.Second)) // of the frame that has begun
		b, err := c.s.readFrame(c.ctx, r)
		c.ws.SetReadDeadline(time.Time{})
		if err != nil {
			if c.ctx.Err() == nil {
				text := websocket.FormatCloseMessage(websocket.CloseMessageTooBig, err.Error())
				c.ws.WriteControl(websocket.CloseMessage, text, time.Now().Add(time.Second))
			}
			return
		}
		f := parseFrame(b, c.s.cfg.Limits.Batch)
		if !c.s.asks(f) {
			c.answer(f)
			continue
		}
		select {
		case c.slots <- struct{}{}:
		case <-c.ctx.Done():
			return
		}
		c.wg.Add(1)
		go func() {
			defer c.wg.Done()
			defer func() { <-c.slots }()
			c.answer(f)
		}()
	}
}

// asks reports whether answering a frame may take long.
func (s *Server) asks(f frame) bool {
	for i := range f.list {
		if m := s.methods[f.list[i].Method]; m != nil && f.bad[i] == nil && m.kind == asking {
			return true
		}
	}
	return false
}

func (c *conn) answer(f frame) {
	b, after := c.s.answer(c.ctx, c, c.from, f)
	if b != nil && !c.send(b, f) {
		return
	}
	for _, f := range after {
		f()
	}
}

// send queues an answer, and waits for room: a client gets no more answers than it reads.
func (c *conn) send(b []byte, f frame) bool {
	for {
		c.mu.Lock()
		if c.full(len(b)) {
			room := c.room
			c.mu.Unlock()
			select {
			case <-room:
				continue
			case <-c.ctx.Done():
				return false
			}
		}
		if !c.enqueue(b) {
			c.enqueue(busy(f))
		}
		c.mu.Unlock()
		return c.ctx.Err() == nil
	}
}

// tell queues a notification. A client that has left so much unread is dropped: it asked to be told as things
// happen, and nobody waits for it.
func (c *conn) tell(b []byte) bool {
	c.mu.Lock()
	ok := !c.full(len(b)) && c.enqueue(b)
	c.mu.Unlock()
	if !ok {
		c.cancel()
	}
	return ok
}

// full reports whether there is no room for so much. What is larger than the queue goes in when it is empty. It needs
// c.mu, as enqueue does.
func (c *conn) full(n int) bool { return c.queued > 0 && c.queued+n > c.s.cfg.Limits.Queue }

// enqueue is false if there is no room among all that wait to be read.
func (c *conn) enqueue(b []byte) bool {
	if c.ctx.Err() != nil || !c.s.reserve(len(b)) {
		return false
	}
	c.queue = append(c.queue, b)
	c.queued += len(b)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return true
}

// write sends what is queued. Bytes count as queued until they are written.
func (c *conn) write() {
	for {
		select {
		case <-c.wake:
		case <-c.ctx.Done():
			return
		}
		for {
			c.mu.Lock()
			if len(c.queue) == 0 {
				c.queue = nil
				c.mu.Unlock()
				break
			}
			b := c.queue[0]
			c.queue[0] = nil
			c.queue = c.queue[1:]
			c.mu.Unlock()
			c.ws.SetWriteDeadline(time.Now().Add(writeTime(len(b))))
			if c.ws.WriteMessage(websocket.TextMessage, b) != nil {
				c.cancel()
				return
			}
			c.s.out.Add(-int64(len(b)))
			c.mu.Lock()
			c.queued -= len(b)
			close(c.room)
			c.room = make(chan struct{})
			c.mu.Unlock()
		}
	}
}

// subscribe makes a subscription, whose run begins when the client has been told its id.
func (c *call) subscribe(method string, f *follow, run func(s *subscription)) (any, error) {
	k := c.conn
	k.mu.Lock()
	defer k.mu.Unlock()
	l := &c.s.cfg.Limits
	switch {
	case len(k.subs) >= l.Subscriptions:
		return nil, &Error{Code: codeTooMany, Message: "Too many subscriptions on the connection", Data: "Exceeded max limit of " + strconv.Itoa(l.Subscriptions)}
	case f != nil && k.follows >= l.Follows:
		return nil, &Error{Code: codeFollows, Message: "Too many follow subscriptions", Data: "Exceeded max limit of " + strconv.Itoa(l.Follows)}
	}
	if c.s.subs.Add(1) > int64(l.All) {
		c.s.subs.Add(-1)
		return nil, &Error{Code: codeTooMany, Message: "Too many subscriptions on the node", Data: "Exceeded max limit of " + strconv.Itoa(l.All)}
	}
	s := &subscription{id: newID(), conn: k, method: method, follow: f}
	s.ctx, s.cancel = context.WithCancel(k.ctx)
	k.subs[s.id] = s
	if f != nil {
		k.follows++
	}
	c.after = func() {
		k.wg.Add(1)
		go func() {
			defer k.wg.Done()
			defer k.drop(s.id)
			run(s)
		}()
	}
	return s.id, nil
}

// drop ends a subscription; false if there is none.
func (c *conn) drop(id string) bool {
	c.mu.Lock()
	s := c.subs[id]
	if s != nil {
		delete(c.subs, id)
		c.s.subs.Add(-1)
		if s.follow != nil {
			c.follows--
		}
	}
	c.mu.Unlock()
	if s == nil {
		return false
	}
	s.cancel()
	return true
}

// tell sends a notification; false if there is nobody to tell any more.
func (s *subscription) tell(result any) bool {
	b, err := notification(s.method, s.id, result)
	if err != nil {
		return false
	}
	return s.raw(b)
}

// raw is tell for what is encoded already. Nothing is told after an unsubscribe was answered.
func (s *subscription) raw(b []byte) bool {
	s.conn.mu.Lock()
	alive := s.conn.subs[s.id] == s
	s.conn.mu.Unlock()
	return alive && s.conn.tell(b)
}

// unsubscribe ends a subscription, and tells whether there was one.
func (c *call) unsubscribe() (any, error) {
	id, err := c.subscriptionID()
	if err != nil {
		return nil, err
	}
	return c.conn.drop(id), nil
}

// subscriptionID reads one: a text, but some clients send back whatever they take for a number.
func (c *call) subscriptionID() (string, error) {
	var id json.RawMessage
	if err := c.read(0, "subscription", &id); err != nil {
		return "", err
	}
	var s string
	if json.Unmarshal(id, &s) != nil {
		s = string(id)
	}
	return s, nil
}

// newID returns a name that nobody can guess.
func newID() string {
	var b [10]byte
	rand.Read(b[:])
	return base32.StdEncoding.EncodeToString(b[:])
}
