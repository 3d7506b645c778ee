package main

import (
	"testing"
	"time"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/power"
)

// TestGovernorDuties: what neurons told of their deadlines is shown, opens the link of a node that sleeps, and is forgotten
// when nobody tells it any more.
func TestGovernorDuties(t *testing.T) {
	governTest(t, []string{"file:/meter.json"}, power.Config{}, func(t *testing.T, g *governed) {
		if m := g.Measures(t.Context()); m.Missed != nil || m.DueBlock != nil {
			t.Fatalf("%+v before anybody told", m)
		}
		g.moved(g.at(1010, time.Now()))
		g.meter(5*time.Minute, `{"soc":20,"watts":-2}`)
		if g.level() != power.Survive || !g.node.last().Closed {
			t.Fatalf("level %s, %+v", g.level(), g.node.last())
		}
		height := g.Measures(t.Context()).DueBlock
		if height != nil {
			t.Fatalf("due %d", *height)
		}
		duty := func(neuron string, missed uint64, list ...power.Deadline) {
			g.Duty(control.Duties{Neuron: neuron, List: list, Missed: missed})
		}
		duty("18-a", 2, power.Deadline{Name: "weights on subnet 18", Wake: 2000, Due: 4000})
		duty("7-b", 1, power.Deadline{Name: "weights on subnet 7", Wake: 1040, Due: 1200})
		g.meter(10*time.Second, `{"soc":20,"watts":-2}`)
		m, p := g.Measures(t.Context()), g.Power(t.Context())
		if m.Missed == nil || *m.Missed != 3 || p.Missed == nil || *p.Missed != 3 || m.DueName == nil || *m.DueName != "weights on subnet 7" || *m.DueBlock != 1200 || *m.DueIn <= 0 {
			t.Errorf("%+v, %+v", m.Report, p.Missed)
		}
		if !g.node.last().Closed {
			t.Error("the link is open before the deadline's time")
		}
		g.meter(5*time.Minute, `{"soc":20,"watts":-2}`) // past block 1040, before the next window at 1200
		if o := g.node.last(); o.Closed {
			t.Errorf("the link is not opened for the deadline: %+v", o)
		}
		duty("7-b", 1) // done
		g.meter(2*time.Minute, `{"soc":20,"watts":-2}`)
		if o := g.node.last(); !o.Closed {
			t.Errorf("the link stays open: %+v", o)
		}
		if m := g.Measures(t.Context()); *m.DueBlock != 4000 {
			t.Errorf("due %d", *m.DueBlock)
		}
		g.wait(7 * time.Hour)
		if m := g.Measures(t.Context()); m.DueBlock != nil || *m.Missed != 3 {
			t.Errorf("due %v, %d missed", m.DueBlock, *m.Missed)
		}
	})
}
