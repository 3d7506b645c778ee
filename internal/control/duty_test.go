package control

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/subtensor"
)

// A duteous governor keeps what it is told.
type duteous struct{ told []Duties }

func (g *duteous) Power(context.Context) *Power       { return &Power{} }
func (g *duteous) Measures(context.Context) *Measures { return nil }
func (g *duteous) Duty(d Duties)                      { g.told = append(g.told, d) }

// TestNeuronQuestions: a state is read over the socket as in this process, in as many steps as it takes and all of it at one
// block; and deadlines arrive.
func TestNeuronQuestions(t *testing.T) {
	net := network(t)
	l := local(t, net)
	c := serveDir(t, l.DataDir, l.Handle)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.Node.WaitFinal(ctx); err != nil {
		t.Fatal(err)
	}
	for _, who := range []Answerer{l, c} {
		var size uint16
		var hotkey verify.AccountID
		var none subtensor.Bytes
		number, err := WithState(ctx, who, func(s subtensor.State) error {
			var b, d subtensor.Batch
			b.Subnet("SubnetworkN", 1, &size)
			if err := b.Load(s); err != nil {
				return err
			}
			d.Key("Keys", subtensor.KeyKeys(1, size-1), &hotkey) // that is known after the first
			d.Key("Keys", subtensor.KeyKeys(1, size), &none)
			return d.Load(s)
		})
		if err != nil || number != net.Finalized().Header.Number || size == 0 || hotkey == (verify.AccountID{}) || none != nil {
			t.Errorf("#%d, %d neurons, %v, %x: %v", number, size, hotkey, none, err)
		}
		own := errors.New("its own")
		if _, err := WithState(ctx, who, func(subtensor.State) error { return own }); !errors.Is(err, own) {
			t.Error(err)
		}
		// What asks for more without an end gets none.
		n := uint16(0)
		if _, err := WithState(ctx, who, func(s subtensor.State) error {
			n++
			_, err := s.Load(subtensor.KeyKeys(1, n))
			return err
		}); !errors.Is(err, subtensor.ErrUnproven) {
			t.Error(err)
		}
		if _, err := who.Duty(ctx, Duties{Neuron: "1-a"}); CodeOf(err) != Failure {
			t.Errorf("a node without a governor: %v", err)
		}
		if _, err := who.Load(ctx, LoadQuestion{Keys: []string{"0xz"}}); CodeOf(err) != Usage {
			t.Error(err)
		}
		if _, err := who.Load(ctx, LoadQuestion{Keys: make([]string, maxLoad+1)}); CodeOf(err) != Usage {
			t.Error(err)
		}
	}
	g := new(duteous)
	l.Governor = g
	d := Duties{Neuron: "1-a", List: []power.Deadline{{Name: "weights", Wake: 5, Due: 9}}, Missed: 2}
	if _, err := c.Duty(ctx, d); err != nil || len(g.told) != 1 || g.told[0].Missed != 2 || g.told[0].List[0] != d.List[0] {
		t.Errorf("%+v, %v", g.told, err)
	}
	if _, err := c.Duty(ctx, Duties{Neuron: "1-a", List: make([]power.Deadline, maxDuties+1)}); CodeOf(err) != Usage {
		t.Error(err)
	}
}
