package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/taolight/taolight/neuron"
	"github.com/taolight/taolight/neuron/axon"
	"github.com/taolight/taolight/neuron/handler"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/neuron/wallet"
)

// serveAxon serves, until the script ends, what a subnet of //Bob's would: the template's synapse, and one that
// talks in a stream.
func serveAxon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: axon")
	}
	bob, err := wallet.Parse([]byte("//Bob"))
	ts.Check(err)
	talk := neuron.HandlerFunc(func(_ context.Context, r *neuron.Request) (*neuron.Reply, error) {
		var v struct{ Prompt string }
		if err := json.Unmarshal(r.Input, &v); err != nil {
			return nil, err
		}
		return &neuron.Reply{Stream: func(w io.Writer) error {
			for _, word := range []string{"you", " said", " ", v.Prompt, "\n"} {
				if _, err := io.WriteString(w, word); err != nil {
					return err
				}
			}
			return nil
		}}, nil
	})
	a, err := axon.New(axon.Config{Hotkey: bob.Account(), Routes: []axon.Route{
		{Synapse: synapse.Dummy(), Handler: handler.Dummy()},
		{Synapse: &synapse.Spec{Name: "Talk", Hash: []string{"prompt"}, Fields: []synapse.Field{{Name: "prompt", Kind: synapse.Str, Required: true}}}, Path: "/talk", Handler: talk},
	}})
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	l, err := axon.Listen(ctx, "127.0.0.1:0")
	ts.Check(err)
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx, l) }()
	ts.Defer(func() {
		cancel()
		if err := <-done; err != nil {
			fmt.Println("axon:", err)
		}
	})
	ts.Setenv("AXON", l.Addr().String())
}
