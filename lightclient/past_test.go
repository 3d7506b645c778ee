package lightclient_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// joined runs a node on a network until it has caught up and every peer is open.
func joined(t *testing.T, net *demonet.Network, cfg lightclient.Config, n *notes) *lightclient.Node {
	t.Helper()
	node, _ := startNode(t, cfg)
	n.wait(0, "warp done")
	i := 0
	for range net.Peers() {
		_, i = n.wait(i, "peers joined")
	}
	return node
}

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// quiet is a chain whose states beyond 256 blocks are long gone.
var quiet = demonet.Config{Peers: 3, History: 2900, Quiet: true, SetChangeEvery: -1}

func TestPast(t *testing.T) {
	for name, archive := range map[string]bool{"pruned": false, "archive": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := quiet
			cfg.Archive = archive
			net := startDemo(t, cfg)
			n := newNotes(t)
			node := joined(t, net, config(net, n), n)
			head := status(t, node).Finalized.Number
			ctx := patient(t)
			key := verify.StorageKey("Timestamp", "Now")
			for _, back := range []uint32{0, 1, 2, 100, 240, 300, 2399, 2400, 2402, 2800, head} {
				number := head - back
				// A header within 2,400 blocks needs the head's state alone.
				b, err := node.Block(ctx, number)
				if !archive && back > 2401 && number != 0 {
					if !errors.Is(err, lightclient.ErrPruned) {
						t.Errorf("block #%d, %d back: %v", number, back, err)
					}
				} else if err != nil || b.Header.Number != number || b.Hash != net.Header(number).Hash() {
					t.Errorf("block #%d, %d back: %+v, %v", number, back, b, err)
				}
				r, err := node.ReadAt(ctx, number, key, []byte("no such key"))
				if !archive && back > 256 {
					var pruned *lightclient.PrunedError
					if !errors.As(err, &pruned) || !errors.Is(err, lightclient.ErrPruned) || pruned.Asked != 3 || pruned.None != 3 {
						t.Errorf("read at #%d, %d back: %v", number, back, err)
					} else if text := err.Error(); !strings.Contains(text, "3 peers asked keep 256 blocks; an archive peer or a bundle is needed") {
						t.Errorf("it says %q", text)
					}
					continue
				}
				if err != nil {
					t.Errorf("read at #%d, %d back: %v", number, back, err)
					continue
				}
				truth, ok, err := net.Storage(r.Hash, key)
				if err != nil && archive {
					continue // the network itself discards states, its archive peer does not
				}
				if err != nil || ok != (r.Values[0].Outcome == trie.Present) || string(truth) != string(r.Values[0].Value) || r.Values[1].Outcome != trie.Absent {
					t.Errorf("read at #%d: %+v, the chain has %x %v %v", number, r.Values, truth, ok, err)
				}
			}
			if _, err := node.Block(ctx, head+1000); !errors.Is(err, lightclient.ErrNotYet) {
				t.Errorf("a block of the future: %v", err)
			}
			if _, err := node.ReadAt(ctx, head+1000, key); !errors.Is(err, lightclient.ErrNotYet) {
				t.Errorf("a state of the future: %v", err)
			}
		})
	}
}

// TestPastLiars: peers that lie about storage are found out for a state of the past as for that of the
// head, and a state that the honest ones have pruned is not called a lie.
func TestPastLiars(t *testing.T) {
	for _, kind := range []demonet.FaultKind{demonet.LieRead, demonet.LieReadOther, demonet.LieReadMissing, demonet.LieReadUnused, demonet.LieHeader, demonet.LieBody} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			net := startDemo(t, demonet.Config{Peers: 3, History: 700, Quiet: true, SetChangeEvery: -1, Archive: true,
				Faults: []demonet.Fault{{Peer: 0, Kind: kind}, {Peer: 1, Kind: kind}}})
			n := newNotes(t)
			node := joined(t, net, config(net, n), n)
			head := status(t, node).Finalized.Number
			ctx := patient(t)
			for _, back := range []uint32{40, 200, 500} {
				var spec uint32
				b, err := node.With(ctx, head-back, func(s subtensor.State) (err error) {
					spec, err = subtensor.Spec(s)
					return err
				})
				if err != nil || b.Hash != net.Header(head-back).Hash() || spec != 425 {
					t.Errorf("%d back: spec %d, block %+v, %v", back, spec, b, err)
				}
			}
		})
	}
}

func TestWith(t *testing.T) {
	net := startDemo(t, demonet.Config{Peers: 2, History: 60, Quiet: true})
	n := newNotes(t)
	node := joined(t, net, config(net, n), n)
	ctx := patient(t)

	// Keys that depend on values, an error of the reader's own, and a reader without end.
	var hotkeys []verify.AccountID
	at, err := node.WithHead(ctx, func(s subtensor.State) (err error) {
		hotkeys, err = subtensor.ReadHotkeys(s, 1)
		return err
	})
	if err != nil || len(hotkeys) != 16 {
		t.Fatalf("%d hotkeys, %v", len(hotkeys), err)
	}
	for uid, h := range hotkeys {
		want, ok, err := net.Storage(at.Hash, subtensor.KeyKeys(1, uint16(uid)))
		if err != nil || !ok || string(want) != string(h[:]) {
			t.Errorf("uid %d is %v, the chain has %x %v", uid, h, want, err)
		}
	}
	own := errors.New("own")
	if _, err := node.WithHead(ctx, func(subtensor.State) error { return own }); !errors.Is(err, own) {
		t.Errorf("an error of f: %v", err)
	}
	i := uint32(0)
	if _, err := node.WithHead(ctx, func(s subtensor.State) error {
		i++
		_, err := s.Load(subtensor.KeyBlockHash(i))
		return err
	}); !errors.Is(err, lightclient.ErrTooMuch) {
		t.Errorf("a reader without end: %v", err)
	}

	number := at.Header.Number - 7
	for _, prefix := range [][]byte{subtensor.KeyWeights(1, 0)[:34], verify.StorageKey("SubtensorModule", "Keys"), verify.StorageKey("System", "BlockHash"), []byte("none"), nil} {
		want, err := net.StorageKeys(net.Header(number).Hash(), prefix)
		if err != nil {
			t.Fatal(err)
		}
		got, err := node.KeysAt(ctx, number, prefix, 4000)
		if err != nil || len(got) != len(want) {
			t.Errorf("prefix %x: %d keys, the chain has %d, %v", prefix, len(got), len(want), err)
			continue
		}
		for i := range got {
			if string(got[i]) != string(want[i]) {
				t.Errorf("prefix %x: key %d is %x, the chain has %x", prefix, i, got[i], want[i])
			}
		}
		if len(want) > 3 {
			if got, err := node.KeysAt(ctx, number, prefix, 3); !errors.Is(err, lightclient.ErrTooMuch) || len(got) != 3 {
				t.Errorf("prefix %x with a limit of 3: %d keys, %v", prefix, len(got), err)
			}
		}
	}
}
