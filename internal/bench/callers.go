package main

import (
	"bytes"
	"fmt"
	"net/http"
	goruntime "runtime"
	"time"

	"github.com/taolight/taolight/neuron/axon"
	"github.com/taolight/taolight/neuron/handler"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/neuron/wallet"
)

const (
	manyCallers  = 1000
	eachRequests = 16 // of a caller, under as many uuids, each of which is remembered
	callersMost  = 24 << 20
)

// axonMemory measures what an axon remembers of 1,000 hotkeys that called it: real requests, with signatures, in
// process. What else the program holds is taken off, and what a garbage collector would take too.
func axonMemory() (row, error) {
	var none row
	bob, err := wallet.Parse([]byte("//Bob"))
	if err != nil {
		return none, err
	}
	a, err := axon.New(axon.Config{Hotkey: bob.Account(), Floor: 1, Routes: []axon.Route{{Synapse: synapse.Dummy(), Handler: handler.Dummy()}},
		Limits: axon.Limits{Rate: 1e9, Burst: 1e9, Strays: 1e9}})
	if err != nil {
		return none, err
	}
	v, err := synapse.Dummy().Read([]byte(`{"dummy_input":21}`))
	if err != nil {
		return none, err
	}
	before := heap()
	for i := range manyCallers {
		key, err := wallet.Parse(fmt.Appendf(nil, "//caller%d", i))
		if err != nil {
			return none, err
		}
		for k := range eachRequests {
			y := &synapse.Synapse{Values: v, Timeout: axonTimeout, BodyHash: synapse.EmptyHash,
				Dendrite: synapse.Terminal{IP: "127.0.0.1", Version: synapse.Version, Nonce: time.Now().UnixNano(), UUID: fmt.Sprintf("0995cd56-e5f5-11f1-a88c-%012d", k), Hotkey: key.String()},
				Axon:     synapse.Terminal{IP: "127.0.0.1", Port: 8091, Hotkey: bob.String()}}
			sig, err := key.Sign(synapse.Message(y.Dendrite.Nonce, y.Dendrite.Hotkey, y.Axon.Hotkey, y.Dendrite.UUID, y.BodyHash))
			if err != nil {
				return none, err
			}
			y.Dendrite.Signature = fmt.Sprintf("0x%x", sig)
			h := http.Header{}
			y.SetHeaders(h)
			r, err := http.NewRequest(http.MethodPost, "/Dummy", bytes.NewReader(y.Request()))
			if err != nil {
				return none, err
			}
			for name, x := range h {
				r.Header.Set(name, x[0]) // as it arrives
			}
			r.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1", i/250, i%250+1)
			a.ServeHTTP(&nowhere{h: http.Header{}}, r)
		}
	}
	size := heap() - before
	s := a.Stats()
	goruntime.KeepAlive(a)
	if s.Handled != manyCallers*eachRequests || s.Callers != manyCallers {
		return none, fmt.Errorf("the axon did something else: %+v", s)
	}
	return row{fmt.Sprintf("memory for %d callers of an axon, %d nonces each", manyCallers, eachRequests), "≤ 24 MiB",
		fmt.Sprintf("%.2f MiB", float64(size)/(1<<20)), size <= callersMost}, nil
}

// heap is what is in use after the garbage is collected.
func heap() int64 {
	goruntime.GC()
	goruntime.GC() // what had a finalizer
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
