package axon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taolight/taolight/neuron"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/neuron/wallet"
)

func key(t testing.TB, suri string) *wallet.Hotkey {
	t.Helper()
	k, err := wallet.Parse([]byte(suri))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// start is when the axons of these tests are made.
var start = time.Date(2026, 11, 21, 21, 40, 0, 0, time.UTC)

// A clock is set by hand.
type clock struct{ ns atomic.Int64 }

func (c *clock) Now() time.Time       { return time.Unix(0, c.ns.Load()) }
func (c *clock) Add(d time.Duration)  { c.ns.Add(int64(d)) }
func newClock(t time.Time) (c *clock) { c = new(clock); c.ns.Store(t.UnixNano()); return c }

// double is the template's miner.
var double = neuron.HandlerFunc(func(_ context.Context, r *neuron.Request) (*neuron.Reply, error) {
	var v struct {
		N int64 `json:"dummy_input"`
	}
	if err := json.Unmarshal(r.Input, &v); err != nil {
		return nil, err
	}
	return &neuron.Reply{Body: fmt.Appendf(nil, `{"dummy_output":%d}`, 2*v.N)}, nil
})

// world is an axon of //Bob at a clock, and //Alice to call it.
type world struct {
	*Axon
	clock      *clock
	alice, bob *wallet.Hotkey
	last       *neuron.Request // what the handler of /generate saw
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	w := &world{clock: newClock(start), alice: key(t, "//Alice"), bob: key(t, "//Bob")}
	cfg := Config{Hotkey: w.bob.Account(), IP: "127.0.0.1", Port: 18990, Now: w.clock.Now, Floor: 1, Routes: []Route{
		{Synapse: synapse.Dummy(), Handler: double},
		{Synapse: &synapse.Spec{Name: "Boom"}, Handler: neuron.HandlerFunc(func(context.Context, *neuron.Request) (*neuron.Reply, error) { panic("boom") })},
		{Path: "/generate", Handler: neuron.HandlerFunc(func(_ context.Context, r *neuron.Request) (*neuron.Reply, error) {
			w.last = &neuron.Request{Name: r.Name, Method: r.Method, Query: r.Query, Caller: r.Caller, Input: bytes.Clone(r.Input)}
			return &neuron.Reply{Body: append([]byte("got "), r.Input...), ContentType: "text/plain"}, nil
		})},
	}}
	for _, f := range change {
		f(&cfg)
	}
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.Axon = a
	return w
}

// A call is a v10 request that can be spoiled.
type call struct {
	path, method, body string
	nonce              int64
	uuid, hash         string
	version            string
	signer             *wallet.Hotkey
	receiver           string
	header             map[string]string // put in after signing; "" takes it out
}

func (w *world) call() *call {
	return &call{path: "/Dummy", method: "POST", body: `{"dummy_input": 21}`, nonce: w.clock.Now().UnixNano(), uuid: "u1", hash: synapse.EmptyHash, version: "10002000",
		signer: w.alice, receiver: w.bob.String(), header: map[string]string{}}
}

func (c *call) request(t testing.TB) *http.Request {
	t.Helper()
	sig, err := c.signer.Sign(synapse.Message(c.nonce, c.signer.String(), c.receiver, c.uuid, c.hash))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
	for k, v := range map[string]string{"name": "Dummy", "timeout": "12.0", "bt_header_dendrite_version": c.version, "bt_header_dendrite_nonce": fmt.Sprint(c.nonce), "bt_header_dendrite_uuid": c.uuid,
		"bt_header_dendrite_hotkey": c.signer.String(), "bt_header_dendrite_signature": fmt.Sprintf("0x%x", sig), "bt_header_input_obj_dummy_input": "MA==", "computed_body_hash": c.hash,
		"Content-Type": "application/json"} {
		r.Header.Set(k, v)
	}
	for k, v := range c.header {
		if v == "" {
			r.Header.Del(k)
		} else {
			r.Header.Set(k, v)
		}
	}
	return r
}

func (w *world) do(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}

// lower is headers that are looked for letter by letter, as the SDK's client does.
func lower(h synapse.Header) synapse.Header { return h }

// reply is what a v10 client looks at.
type reply struct {
	Output   *int64 `json:"dummy_output"`
	Message  string
	Dendrite struct {
		Hotkey string
		Nonce  int64
	}
	Axon struct {
		Status int `json:"status_code"`
		Hotkey string
	}
}

func read(t testing.TB, rec *httptest.ResponseRecorder) (v reply) {
	t.Helper()
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
		t.Fatalf("%d %s: %v", rec.Code, rec.Body, err)
	}
	return v
}
