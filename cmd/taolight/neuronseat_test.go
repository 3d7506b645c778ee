package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/lightclient"
)

// A told is a node that gives one status.
type told struct {
	control.Answerer
	status *control.Status
	err    error
	asked  int
}

func (n *told) Status(context.Context) (*control.Status, error) {
	n.asked++
	return n.status, n.err
}

// TestNodeGate: a neuron signs only while its node says that it may; on a demo network the clock is not asked.
func TestNodeGate(t *testing.T) {
	status := func(state string, demo bool, m *control.Measures) *control.Status {
		return &control.Status{Status: lightclient.Status{State: state, Demo: demo}, Measures: m}
	}
	good := &control.Measures{MaySign: true, ClockTrust: "witnessed"}
	for _, c := range []struct {
		name   string
		node   told
		reason string // empty: it may
	}{
		{"witnessed", told{status: status("following", false, good)}, ""},
		{"floor", told{status: status("following", false, &control.Measures{ClockTrust: "floor", ClockWhy: "nothing else is known"})}, "trust floor: nothing else is known"},
		{"not looked after", told{status: status("following", false, nil)}, "does not look after its clock"},
		{"conflict", told{status: status("conflict", false, good)}, lightclient.ErrConflict.Error()},
		{"demo", told{status: status("following", true, nil)}, ""},
		{"demo with a conflict", told{status: status("conflict", true, nil)}, lightclient.ErrConflict.Error()},
		{"no answer", told{err: errors.New("connection refused")}, "connection refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &nodeGate{ctx: t.Context(), who: &c.node}
				err := g.MaySign()
				if (err == nil) != (c.reason == "") || err != nil && !strings.Contains(err.Error(), c.reason) {
					t.Errorf("%v, want %q", err, c.reason)
				}
				// What holds now need not hold in a while.
				g.MaySign()
				if c.node.asked != 1 {
					t.Errorf("asked %d times at once", c.node.asked)
				}
				time.Sleep(gateFor)
				c.node.status, c.node.err = status("conflict", false, good), nil
				if err := g.MaySign(); err == nil || c.node.asked != 2 {
					t.Errorf("%v later, %v, asked %d times", gateFor, err, c.node.asked)
				}
			})
		})
	}
}

// TestMinerPlan: who can be called answers, who is awake in windows only does not.
func TestMinerPlan(t *testing.T) {
	for l, serves := range map[power.Level]bool{power.Full: true, power.Eco: true, power.Survive: false, power.Park: false} {
		p := planOf(&power.Report{Level: l, Plan: power.PlanOf(l), Link: true})
		if p.Serve != serves || p.Level != l.String() {
			t.Errorf("%v: %+v", l, p)
		}
		if p := planOf(&power.Report{Level: l, Plan: power.PlanOf(l)}); p.Serve {
			t.Errorf("%v without a link: %+v", l, p)
		}
	}
	if p := planOf(&power.Report{Level: power.Eco, Plan: power.PlanOf(power.Eco), Link: true}); p.Every != ecoEvery {
		t.Errorf("in eco it looks every %d blocks", p.Every)
	}
}
