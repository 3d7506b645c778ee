package neuron_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/taolight/taolight/neuron"
	"github.com/taolight/taolight/neuron/axon"
	"github.com/taolight/taolight/neuron/dendrite"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/neuron/wallet"
)

// Shout is a subnet of one's own: its synapse, and the handler that answers it.
func Shout() axon.Route {
	spec := &synapse.Spec{Name: "Shout", Hash: []string{"text"}, Fields: []synapse.Field{
		{Name: "text", Kind: synapse.Str, Required: true},
		{Name: "loud", Kind: synapse.Str, Null: true},
	}}
	return axon.Route{Synapse: spec, Handler: neuron.HandlerFunc(func(_ context.Context, r *neuron.Request) (*neuron.Reply, error) {
		var in struct{ Text string }
		if err := json.Unmarshal(r.Input, &in); err != nil {
			return nil, err
		}
		if in.Text == "" {
			return nil, neuron.Errorf(400, "nothing to shout")
		}
		body, err := json.Marshal(map[string]string{"loud": strings.ToUpper(in.Text)})
		return &neuron.Reply{Body: body}, err
	})}
}

// trusted is the gate of a machine whose clock is known to be right.
type trusted struct{}

func (trusted) MaySign() error { return nil }

// A subnet written in Go: a miner that serves it, and a validator that asks.
func Example() {
	miner, err := wallet.Parse([]byte("//Bob")) // a real one: wallet.Folder.Hotkey
	if err != nil {
		log.Fatal(err)
	}
	route := Shout()
	a, err := axon.New(axon.Config{Hotkey: miner.Account(), Routes: []axon.Route{route}})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l, err := axon.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx, l) }()

	validator, err := wallet.Parse([]byte("//Alice"))
	if err != nil {
		log.Fatal(err)
	}
	signer, err := wallet.NewSigner(validator, trusted{})
	if err != nil {
		log.Fatal(err)
	}
	d, err := dendrite.New(dendrite.Config{Signer: signer, Private: true}) // Private: this axon is on loopback
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range []string{"hello", ""} {
		object, err := json.Marshal(map[string]string{"text": text})
		if err != nil {
			log.Fatal(err)
		}
		in, err := route.Synapse.Read(object)
		if err != nil {
			log.Fatal(err)
		}
		r, err := d.Call(ctx, dendrite.Target{Hotkey: miner.Account(), URL: "http://" + l.Addr().String()}, in, 5*time.Second)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%s\n", r.Values.Object())
	}
	d.Close()
	cancel()
	if err := <-done; err != nil {
		log.Fatal(err)
	}
	// Output:
	// {"text":"hello","loud":"HELLO"}
	// 400 nothing to shout
}
