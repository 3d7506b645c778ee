package axon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/taolight/taolight/neuron"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/verify"
)

// Config is what an axon needs. Hotkey and one route are required.
type Config struct {
	Hotkey   verify.AccountID // ours: requests have to be signed for it
	IP       string           // as served on the chain; told in replies
	Port     int
	Routes   []Route
	Callers  neuron.Callers                             // nil: nobody is registered
	Policy   Policy                                     // who may call
	Priority func(c neuron.Caller, name string) float64 // who comes first when the queue is not empty; nil: who has more stake
	Limits   Limits                                     // zero members: the defaults
	Floor    int64                                      // nonces up to this are refused: HighWater of the last run; 0: the time of New
	Now      func() time.Time                           // nil: time.Now
	Log      *slog.Logger                               // errors of handlers; nil: nowhere
}

// A Route is one thing that can be called: as a synapse by its name, as a signed HTTP request by its path,
// or both.
type Route struct {
	Synapse     *synapse.Spec
	Path        string // as "/generate"
	AnyReceiver bool   // take signed HTTP requests that name no receiver: another axon could be sent the same
	Handler     neuron.Handler
}

// A Policy says who may call, after the signature has shown who does. The zero Policy lets everybody.
type Policy struct {
	Registered bool   // only hotkeys of the subnet
	Permit     bool   // only those that may validate
	Stake      uint64 // only those with as much stake, in rao
	Allow      []verify.AccountID
	Deny       []verify.AccountID // wins over Allow; Allow wins over the rest
	// Blacklist refuses what it returns a reason for. It must not wait.
	Blacklist func(c neuron.Caller, name string) (reason string)
}

// Limits bound what an axon takes on. A zero member stands for its default.
type Limits struct {
	Connections    int           // at once; 256
	PerAddress     int           // of them from one address, loopback apart: a proxy; 64
	Body           int64         // bytes of a request's body; 1 MiB
	Reply          int           // bytes of a handler's answer that is no stream; 8 MiB
	Memory         int64         // bytes of bodies at once; 32 MiB
	Workers        int           // handlers at once; 16
	Waiting        int           // requests that wait for one; 64
	Callers        int           // hotkeys that are remembered; 4096
	Rate, Burst    float64       // requests a second of one caller, and at once; 50, 200
	Strays         float64       // signatures a second that are checked for one address in vain or for somebody new; 50, four times as many at once
	HandlerTime    time.Duration // longest that a handler may take, if the caller waits as long; 60 s
	BodyTime       time.Duration // from a request's headers to the end of its body; 10 s
	WriteTime      time.Duration // to send an answer, or one piece of a stream; 10 s
	IdleTime       time.Duration // between two requests of a connection; 90 s
	Grace          time.Duration // for requests that are being answered when the axon stops; 15 s
	headerTime     time.Duration
	maxHeaderBytes int
}

func (l *Limits) fill() {
	l.Connections = cmp.Or(l.Connections, 256)
	l.PerAddress = cmp.Or(l.PerAddress, 64)
	l.Body = cmp.Or(l.Body, 1<<20)
	l.Reply = cmp.Or(l.Reply, 8<<20)
	l.Memory = cmp.Or(l.Memory, 32<<20)
	l.Workers = cmp.Or(l.Workers, 16)
	l.Waiting = cmp.Or(l.Waiting, 64)
	l.Callers = cmp.Or(l.Callers, 4096)
	l.Rate = cmp.Or(l.Rate, 50)
	l.Burst = cmp.Or(l.Burst, 200)
	l.Strays = cmp.Or(l.Strays, 50)
	l.HandlerTime = cmp.Or(l.HandlerTime, synapse.MaxTimeout)
	l.BodyTime = cmp.Or(l.BodyTime, 10*time.Second)
	l.WriteTime = cmp.Or(l.WriteTime, 10*time.Second)
	l.IdleTime = cmp.Or(l.IdleTime, 90*time.Second)
	l.Grace = cmp.Or(l.Grace, 15*time.Second)
	l.headerTime = 5 * time.Second
	l.maxHeaderBytes = 16 << 10
}

// Stats counts what an axon did since it was made.
type Stats struct {
	Requests   uint64        `json:"requests"`              // that had headers
	Unsigned   uint64        `json:"unsigned"`              // refused for want of what a signature needs
	Stale      uint64        `json:"stale"`                 // refused by their nonce
	Checked    uint64        `json:"signatures_checked"`    //
	BadSigned  uint64        `json:"signatures_wrong"`      // of them
	Denied     uint64        `json:"denied"`                // by the policy
	Limited    uint64        `json:"limited"`               // by a rate or a full queue
	BodiesRead uint64        `json:"bodies_read"`           //
	Handled    uint64        `json:"handled"`               // given to a handler
	Failed     uint64        `json:"failed"`                // of them with an error
	Turned     uint64        `json:"connections_refused"`   // closed at once because there were too many
	Callers    int           `json:"callers"`               // remembered now
	Skew       time.Duration `json:"last_skew_nanoseconds"` // of the last one admitted: how far its clock was ahead of ours, the way included
}

type counters struct {
	requests, unsigned, stale, checked, badSigned, denied, limited, bodies, handled, failed, turned atomic.Uint64

	skew atomic.Int64
}

// An Axon is a server. It is an http.Handler too, for whoever has a listener of their own; the limits on
// connections and headers are then theirs.
type Axon struct {
	cfg      Config
	lim      Limits
	hotkey   string
	routes   map[string]*Route // by the path of a request
	names    string
	callers  *callers
	queue    *queue
	memory   atomic.Int64
	draining atomic.Bool
	seed     maphash.Seed
	deny     map[verify.AccountID]bool
	allow    map[verify.AccountID]bool
	n        counters
	canned   canned

	interval, burst, strayInterval, strayBurst int64
}

// Windows of a v10 nonce: the SDK takes 4 s and what the client is willing to wait; so do we on both sides
// of the clock.
const slack = 4 * time.Second

// New checks a configuration and makes an axon of it.
func New(cfg Config) (*Axon, error) {
	if cfg.Hotkey == (verify.AccountID{}) {
		return nil, errors.New("axon: no hotkey")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Floor == 0 {
		cfg.Floor = cfg.Now().UnixNano()
	}
	a := &Axon{cfg: cfg, lim: cfg.Limits, hotkey: cfg.Hotkey.String(), routes: map[string]*Route{}, seed: maphash.MakeSeed(),
		deny: map[verify.AccountID]bool{}, allow: map[verify.AccountID]bool{}}
	a.lim.fill()
	a.canned = newCanned(a.hotkey)
	for _, id := range cfg.Policy.Deny {
		a.deny[id] = true
	}
	for _, id := range cfg.Policy.Allow {
		a.allow[id] = true
	}
	a.callers = newCallers(a.lim.Callers, slack+synapse.MaxTimeout, cfg.Floor)
	a.queue = newQueue(a.lim.Workers, a.lim.Waiting)
	a.interval, a.burst = int64(float64(time.Second)/max(a.lim.Rate, 0.001)), int64(max(a.lim.Burst, 1))
	a.strayInterval, a.strayBurst = int64(float64(time.Second)/max(a.lim.Strays, 0.001)), int64(max(4*a.lim.Strays, 1))
	if err := a.addRoutes(); err != nil {
		return nil, fmt.Errorf("axon: %w", err)
	}
	return a, nil
}

func (a *Axon) addRoutes() error {
	if len(a.cfg.Routes) == 0 {
		return errors.New("no route")
	}
	ping := Route{Synapse: synapse.Ping(), Handler: neuron.HandlerFunc(func(context.Context, *neuron.Request) (*neuron.Reply, error) { return nil, nil })}
	var names []string
	for i, r := range append(slices.Clone(a.cfg.Routes), ping) {
		if r.Handler == nil || r.Synapse == nil && r.Path == "" {
			return fmt.Errorf("route %d has no handler, or neither a synapse nor a path", i+1)
		}
		paths := []string{}
		if r.Synapse != nil {
			if err := r.Synapse.Check(); err != nil {
				return err
			}
			names = append(names, "'"+r.Synapse.Name+"'")
			paths = append(paths, "/"+r.Synapse.Name)
		}
		if r.Path != "" {
			if !strings.HasPrefix(r.Path, "/") || strings.ContainsAny(r.Path, "?#%") {
				return fmt.Errorf("path %q of route %d", r.Path, i+1)
			}
			paths = append(paths, r.Path)
		}
		for _, p := range slices.Compact(paths) {
			if a.routes[p] != nil {
				if r.Synapse != nil && r.Synapse.Name == ping.Synapse.Name && i == len(a.cfg.Routes) {
					continue // the subnet's own
				}
				return fmt.Errorf("two routes at %s", p)
			}
			a.routes[p] = &r
		}
	}
	a.names = strings.Join(names, ", ")
	return nil
}

// Stats returns the counters.
func (a *Axon) Stats() Stats {
	return Stats{a.n.requests.Load(), a.n.unsigned.Load(), a.n.stale.Load(), a.n.checked.Load(), a.n.badSigned.Load(), a.n.denied.Load(),
		a.n.limited.Load(), a.n.bodies.Load(), a.n.handled.Load(), a.n.failed.Load(), a.n.turned.Load(), a.callers.count(),
		time.Duration(a.n.skew.Load())}
}

// HighWater returns the highest nonce that was admitted, or now if that lies ahead: the Floor of the next run,
// so that nothing of this one can be replayed to it.
func (a *Axon) HighWater() int64 {
	a.callers.mu.Lock()
	defer a.callers.mu.Unlock()
	return min(max(a.callers.high, a.cfg.Floor), a.cfg.Now().UnixNano())
}

// Listen opens a port for an axon. An address without a host is all of IPv4: Python's dendrites cannot reach
// an axon by IPv6.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	network := "tcp4"
	if host, _, err := net.SplitHostPort(addr); err == nil {
		if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
			network = "tcp6"
		}
	}
	return new(net.ListenConfig).Listen(ctx, network, addr)
}

// Serve answers on a listener until ctx ends; then it takes no more, lets what is being answered end within
// the grace, and returns nil.
func (a *Axon) Serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{
		Handler: a, ReadHeaderTimeout: a.lim.headerTime, IdleTimeout: a.lim.IdleTime, MaxHeaderBytes: a.lim.maxHeaderBytes,
		ErrorLog: log.New(io.Discard, "", 0), // strangers would write it
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(newListener(l, a.lim, &a.n.turned)) }()
	select {
	case err := <-failed:
		return fmt.Errorf("axon: %w", err)
	case <-ctx.Done():
	}
	a.draining.Store(true)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.lim.Grace)
	defer cancel()
	if err := s.Shutdown(grace); err != nil {
		s.Close()
	}
	return nil
}
