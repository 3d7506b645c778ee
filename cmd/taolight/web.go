package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/metrics"
	"github.com/taolight/taolight/internal/page"
	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/lightclient/rpc"
)

// A web answers browsers and Prometheus on the port of tools. It knows nothing between two questions but the tables of
// watched subnets, which are asked of peers only while somebody looks.
type web struct {
	s    *instance
	rpc  func() rpc.Stats
	page func(w http.ResponseWriter, r *http.Request) bool

	mu     sync.Mutex
	tables map[uint16]*watchedTable
	busy   bool // tables are being read
}

// A watchedTable is what was read of a watched subnet.
type watchedTable struct {
	meta    *control.Metagraph
	commits *control.Commits
	at      time.Time // when that was; zero: not yet
	tried   time.Time
	err     error
}

// Our own limits on what a page asks for.
const (
	pageWait   = 4 * time.Second         // for the node's answers
	tableWait  = 1500 * time.Millisecond // for tables that are being read
	tableTime  = 2 * time.Minute         // for reading one
	tableSlots = 25                      // how old it may be, in slots: five minutes of finney's
	maxTables  = 3                       // as many as a page shows
)

func newWeb(s *instance, stats func() rpc.Stats) *web {
	w := &web{s: s, rpc: stats, tables: map[uint16]*watchedTable{}}
	w.page = page.Handler(w.collect)
	return w
}

// serve answers what is no JSON-RPC, for rpc.Config.
func (w *web) serve(out http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path == "/metrics" {
		w.metrics(out, r)
		return true
	}
	return w.page(out, r)
}

func (w *web) metrics(out http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), pageWait)
	defer cancel()
	st, err := w.s.local.Status(ctx)
	if err != nil {
		http.Error(out, err.Error(), http.StatusServiceUnavailable)
		return
	}
	stats := w.rpc()
	snap := &metrics.Snapshot{Status: st, Go: runtime.Version(), RPC: &metrics.RPC{Conns: stats.Conns, Subscriptions: stats.Subscriptions, Requests: stats.Requests}}
	if g, err := w.s.local.Gossip(ctx); err == nil {
		snap.Gossip = &g.Stats
	}
	snap.Neurons = w.s.vigil.neuronFigures()
	if a := w.s.vigil.sent(); a != nil {
		snap.Alerts = (*metrics.Alerts)(a)
	}
	var b bytes.Buffer
	metrics.Write(&b, snap)
	h := out.Header()
	h.Set("Content-Type", metrics.ContentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	out.Write(b.Bytes())
}

// collect finds what a page shows.
func (w *web) collect(ctx context.Context) (*page.Data, error) {
	ctx, cancel := context.WithTimeout(ctx, pageWait)
	defer cancel()
	st, err := w.s.local.Status(ctx)
	if err != nil {
		return nil, err
	}
	d := &page.Data{Status: st}
	d.Peers, _ = w.s.local.Peers(ctx)
	if p, err := w.s.local.Power(ctx); err == nil {
		d.Power = p
		d.Curve = w.s.vigil.points(p.Report)
	}
	for _, n := range w.s.vigil.askNeurons(ctx) {
		d.Neurons = append(d.Neurons, shownNeuron(n))
	}
	if len(w.s.cfg.Watch) > 0 {
		w.subnets(ctx, d)
	}
	return d, nil
}

// subnets adds what is known of the watched subnets, and has read what is old.
func (w *web) subnets(ctx context.Context, d *page.Data) {
	awake := d.Status.State == "following" && (d.Power == nil || d.Power.Report == nil || d.Power.Link && d.Power.Level >= power.Eco)
	done := w.read(awake)
	wait, cancel := context.WithTimeout(ctx, tableWait)
	defer cancel()
	select {
	case <-done:
	case <-wait.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, netuid := range w.s.cfg.Watch {
		n := page.Subnet{Netuid: netuid}
		if t := w.tables[netuid]; t != nil {
			n.Meta, n.Commits = t.meta, t.commits
			if !t.at.IsZero() {
				n.Age = time.Since(t.at)
			}
			switch {
			case t.err != nil:
				n.Note = t.err.Error()
			case t.at.IsZero():
				n.Note = "its table is being read: look again in a moment"
			}
		} else if !awake && len(d.Subnets) < maxTables {
			n.Note = "its table is read when the node follows the chain again"
		}
		d.Subnets = append(d.Subnets, n)
	}
}

// read begins to read the tables that are old, if none are being read. The channel is closed when that has ended.
func (w *web) read(awake bool) <-chan struct{} {
	done := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	old := time.Duration(tableSlots*w.s.root.SlotDuration) * time.Millisecond
	var due []uint16
	for i, netuid := range w.s.cfg.Watch {
		t := w.tables[netuid]
		if i < maxTables && (t == nil || time.Since(t.tried) > old) {
			due = append(due, netuid)
		}
	}
	if !awake || w.busy || len(due) == 0 {
		close(done)
		return done
	}
	w.busy = true
	for _, netuid := range due {
		if w.tables[netuid] == nil {
			w.tables[netuid] = &watchedTable{}
		}
		w.tables[netuid].tried = time.Now()
	}
	go func() {
		defer close(done)
		for _, netuid := range due {
			w.readOne(netuid)
		}
		w.mu.Lock()
		w.busy = false
		w.mu.Unlock()
	}()
	return done
}

// readOne reads one table, for whoever looks next if the one who asked has gone.
func (w *web) readOne(netuid uint16) {
	ctx, cancel := context.WithTimeout(context.Background(), tableTime)
	defer cancel()
	meta, err := w.s.local.Metagraph(ctx, control.TableQuestion{Netuid: &netuid})
	commits, cerr := w.s.local.Commits(ctx, control.CommitsQuestion{Netuid: netuid, Epochs: 2})
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.tables[netuid]
	if err == nil {
		t.meta, t.at = meta, time.Now()
	}
	if cerr == nil {
		t.commits = commits
	}
	t.err = errors.Join(err, cerr)
}
