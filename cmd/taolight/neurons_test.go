package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/health"
)

// TestNeuronsOnThePage: what a neuron tells of itself becomes what the page shows and what health looks at, and
// nonsense becomes nothing worse than a name.
func TestNeuronsOnThePage(t *testing.T) {
	for _, c := range []struct {
		name, role, state string
		good              bool
		text              string
		rows              []string // "name: value", some of them
		gone              bool     // deregistered
		due               string
		in                time.Duration
	}{
		{name: "a miner that answers", role: "miner", good: true, text: "on duty",
			state: `{"block":7,"registered":true,"uid":3,"listen":"127.0.0.1:8091","on_chain":"192.0.2.1:8091","emission_rao":1500000000,"axon":{"handled":9,"failed":2}}`,
			rows:  []string{"uid: 3", "requests answered: 7", "address on chain: 192.0.2.1:8091", "emission a tempo: 1.500000000"}},
		{name: "a miner that lost its uid", role: "miner", state: `{"block":7,"listen":"x"}`, text: "deregistered", gone: true},
		{name: "a miner that knows nothing yet", role: "miner", state: `{}`, good: true, text: "starting"},
		{name: "a validator with a deadline", role: "validator", good: true, text: "on duty",
			state: `{"state":"running","block":100,"uid":2,"asked":8,"answered":5,"deadlines":[{"name":"weights on subnet 1","due_block":400,"in_seconds":3600}],
				"intents":[{"kind":"commit timelocked","state":"included","block":1044,"reveal_at":1060}],"deadline_missed_total":1}`,
			rows: []string{"uid: 2", "miners answering: 5 of 8", "last weights: commit timelocked included in #1,044", "reveal: about #1,060", "deadlines missed: 1"},
			due:  "weights on subnet 1", in: time.Hour - time.Minute},
		{name: "a validator that stopped", role: "validator", state: `{"state":"stopped","why":"the hotkey acts elsewhere","block":9,"uid":1,"deadlines":[]}`, text: "stopped",
			rows: []string{"why: the hotkey acts elsewhere"}},
		{name: "a role of a newer program", role: "oracle", state: `{"block":1}`, good: true, text: "on duty"},
		{name: "nonsense", role: "miner", state: `[1,2`, good: true, text: "on duty"},
		{name: "wrong types", role: "validator", state: `{"block":"<script>","uid":-4}`, good: true, text: "on duty"},
	} {
		n := &control.Neuron{Role: c.role, Netuid: 1, State: json.RawMessage(c.state)}
		p := shownNeuron(n)
		if p.Good != c.good || p.Text != c.text || !strings.HasPrefix(p.Name, c.role) {
			t.Errorf("%s: %+v", c.name, p)
		}
		for _, want := range c.rows {
			name, value, _ := strings.Cut(want, ": ")
			if !slices.Contains(p.Rows, [2]string{name, value}) {
				t.Errorf("%s: no %q in %q", c.name, want, p.Rows)
			}
		}
		duties := pressing(n, time.Minute)
		if got := slices.ContainsFunc(duties, func(d health.Duty) bool { return d.Deregistered }); got != c.gone {
			t.Errorf("%s: %+v", c.name, duties)
		}
		i := slices.IndexFunc(duties, func(d health.Duty) bool { return d.In != nil })
		if (i >= 0) != (c.due != "") || i >= 0 && (duties[i].Due != c.due || *duties[i].In != c.in) {
			t.Errorf("%s: %+v", c.name, duties)
		}
	}
}
