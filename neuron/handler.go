package neuron

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/taolight/taolight/verify"
)

// A Handler answers requests: it is what a subnet is about. Whoever writes a subnet in Go writes this one
// method. It is called by many goroutines at once, and has to end soon after ctx has ended; what it leaves
// running then still holds its place in the queue.
type Handler interface {
	// Handle answers one request. An *Error is told to the caller; of any other error, and of a panic, the
	// caller learns only that there was one.
	Handle(ctx context.Context, r *Request) (*Reply, error)
}

// HandlerFunc is a function that is a Handler.
type HandlerFunc func(ctx context.Context, r *Request) (*Reply, error)

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, r *Request) (*Reply, error) { return f(ctx, r) }

// A Request has passed every check: the signature is the caller's, over this request, to this axon, now,
// and for the first time. It must not be kept after Handle has returned.
type Request struct {
	Name    string        // the synapse, "Dummy"; for a signed HTTP request its path, "/generate"
	Method  string        // GET or POST
	Query   string        // of a signed HTTP request, undecoded; it is signed too
	Caller  Caller        // who signed it
	Timeout time.Duration // how long the caller waits
	// Input is, of a synapse, the JSON object of its own fields, each with the type that its Spec says and
	// none missing; of a signed HTTP request the body as it was sent.
	Input []byte
}

// A Caller is whoever signed a request.
type Caller struct {
	Hotkey   verify.AccountID
	Addr     netip.Addr // where the connection comes from: a proxy's, if there is one before the axon
	Standing            // on the subnet
}

// Standing is what the chain says of a hotkey on the subnet that is served.
type Standing struct {
	Registered bool
	UID        uint16 // if registered
	Permit     bool   // may validate
	Stake      uint64 // in rao, by whatever measure the subnet ranks its callers
}

// Callers tells the standing of a hotkey, from proven state that is kept ready: it is asked while a request
// waits, by many goroutines, and must not wait itself.
type Callers interface {
	Standing(hotkey verify.AccountID) Standing
}

// A Reply is a handler's answer: a Body, or a Stream.
type Reply struct {
	// Body is, to a synapse, a JSON object of the fields to set; the others are given back as they came. To
	// a signed HTTP request it is the body to send.
	Body        []byte
	ContentType string // to a signed HTTP request and of a stream; empty: application/json, text/event-stream
	// Stream writes the answer piece by piece; each Write is sent at once. What was sent cannot be taken
	// back: an error cuts the connection, which is all that the caller sees of it.
	Stream func(w io.Writer) error
}

// An Error is an answer that is none: its status and message are told to the caller.
type Error struct {
	Status  int // of HTTP, 400 to 599
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("%d: %s", e.Status, e.Message) }

// Errorf returns an Error.
func Errorf(status int, format string, args ...any) *Error {
	return &Error{status, fmt.Sprintf(format, args...)}
}
