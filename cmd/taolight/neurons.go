package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/health"
	"github.com/taolight/taolight/internal/page"
	"github.com/taolight/taolight/neuron/miner"
	"github.com/taolight/taolight/neuron/validator"
)

// neuronWait is how long a neuron may take to answer, and maxNeuronsAsked how many are asked.
const (
	neuronWait      = time.Second
	maxNeuronsAsked = 8
)

// neuronsBeside asks the neurons that have a folder in a node's: those that do not run, or do not answer, are left out.
func neuronsBeside(ctx context.Context, dir string) (list []*control.Neuron) {
	dirs, err := control.NeuronDirs(dir)
	if err != nil {
		return nil
	}
	for _, d := range dirs {
		if len(list) == maxNeuronsAsked {
			break
		}
		late, cancel := context.WithTimeout(ctx, neuronWait)
		n, err := control.AskNeuron(late, d)
		cancel()
		if err == nil && n.Role != "" {
			list = append(list, n)
		}
	}
	return list
}

// neuronState reads the state of a neuron by its role; both are nil for a role of a newer program.
func neuronState(n *control.Neuron) (m *miner.Status, v *validator.Status) {
	switch n.Role {
	case roleMiner:
		var s miner.Status
		if json.Unmarshal(n.State, &s) == nil {
			m = &s
		}
	case roleValidator:
		var s validator.Status
		if json.Unmarshal(n.State, &s) == nil {
			v = &s
		}
	}
	return m, v
}

func neuronName(n *control.Neuron) string {
	return printable(n.Role) + " of subnet " + strconv.Itoa(int(n.Netuid))
}

// deregistered reports whether a neuron's hotkey is known to have no uid.
func deregistered(n *control.Neuron) bool {
	m, v := neuronState(n)
	return m != nil && m.Block != 0 && !m.Registered || v != nil && v.Block != 0 && v.UID == nil
}

// pressing says in the words of package health what a neuron has to do, the nearest first, as it was told so long ago.
func pressing(n *control.Neuron, ago time.Duration) (list []health.Duty) {
	if deregistered(n) {
		list = append(list, health.Duty{Name: neuronName(n), Deregistered: true})
	}
	_, v := neuronState(n)
	if v == nil {
		return list
	}
	for i, d := range v.Deadlines {
		if i == maxNeuronsAsked {
			break
		}
		left := time.Duration(min(max(d.Seconds, 0), 1e8)*float64(time.Second)) - ago
		list = append(list, health.Duty{Name: neuronName(n), Due: printable(d.Name), In: &left})
	}
	return list
}

// shownNeuron is what the page shows of a neuron.
func shownNeuron(n *control.Neuron) page.Neuron {
	p := page.Neuron{Name: neuronName(n), Good: true, Text: "on duty"}
	row := func(name, format string, args ...any) {
		p.Rows = append(p.Rows, [2]string{name, printable(fmt.Sprintf(format, args...))})
	}
	bad := func(text string) { p.Good, p.Text = false, printable(text) }
	m, v := neuronState(n)
	switch {
	case m != nil:
		switch {
		case deregistered(n):
			bad("deregistered")
		case m.Problem != "":
			bad("has a problem")
		case m.Block == 0:
			p.Text = "starting"
		case m.Listen == "":
			bad("the axon is closed")
		}
		if m.UID != nil {
			row("uid", "%d", *m.UID)
		}
		row("requests answered", "%s", group(m.Axon.Handled-m.Axon.Failed))
		if m.OnChain != "" {
			row("address on chain", "%s", m.OnChain)
		}
		if m.Registered {
			row("emission a tempo", "%.9f", float64(m.Emission)/1e9)
		}
		if m.Risk != nil {
			row("its place", "%s", m.Risk.Line())
		}
		if m.Problem != "" {
			row("problem", "%s", m.Problem)
		}
	case v != nil:
		switch {
		case deregistered(n):
			bad("deregistered")
		case v.State == "starting":
			p.Text = v.State
		case v.State != "running":
			bad(v.State)
		}
		if v.UID != nil {
			row("uid", "%d", *v.UID)
		}
		if v.Asked > 0 {
			row("miners answering", "%d of %d", v.Answered, v.Asked)
		}
		if len(v.Intents) > 0 {
			i := v.Intents[0]
			text := string(i.Kind) + " " + i.State
			if i.Block != 0 {
				text += " in #" + group(uint64(i.Block))
			}
			row("last weights", "%s", text)
			if i.Revealed != 0 {
				row("revealed", "in #%s", group(uint64(i.Revealed)))
			} else if i.RevealAt != 0 && i.State == validator.Included {
				row("reveal", "about #%s", group(uint64(i.RevealAt)))
			}
		}
		if len(v.Deadlines) > 0 {
			d := v.Deadlines[0]
			row("due", "%s by #%s, in %s", d.Name, group(uint64(d.Due)), span(d.Seconds))
		}
		if v.Missed > 0 {
			row("deadlines missed", "%s", group(v.Missed))
		}
		if v.Why != "" {
			row("why", "%s", v.Why)
		}
	}
	if n.DryRun {
		p.Text += ", a dry run"
	}
	return p
}
