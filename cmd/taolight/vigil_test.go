package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/health"
	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/lightclient"
)

// TestNeurons: the neurons beside a node are asked over their sockets; what is no neuron, or tells what it should not, is
// left out or bounded.
func TestNeurons(t *testing.T) {
	dir, err := os.MkdirTemp("", "tl") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if list := neuronsBeside(ctx, dir); len(list) > 0 {
		t.Errorf("%+v", list)
	}
	for name, answer := range map[string]string{
		"1-a": `{"schema":1,"role":"miner","netuid":1,"state":{"block":9,"registered":true,"uid":4,"incentive":656,"listen":"0.0.0.0:8091","announce":"announced"}}`,
		"2-b": `{"schema":1,"role":"validator","netuid":2,"state":{"state":"running","block":9,"uid":null,"deadlines":[{"name":"weights","due_block":900,"in_seconds":1800}]}}`,
		"3-c": `{"schema":1,"role":"validator","netuid":3,"dry_run":true,"state":{"state":"starting","block":0,"uid":null}}`,
		"4-d": `{"schema":1,"netuid":3}`,
		"5-e": `{"role":"miner","netuid":5,"state":{"block":1,"registered":false,"deadlines":[{"name":"\u001b[2J","in_seconds":1e300}]}}`,
	} {
		s, err := control.Listen(mkdir(t, filepath.Join(dir, "neurons", name)))
		if err != nil {
			t.Fatal(err)
		}
		go s.Serve(ctx, func(context.Context, string, json.RawMessage) (any, error) { return json.RawMessage(answer), nil })
	}
	mkdir(t, filepath.Join(dir, "neurons", "6-dead"))
	list := neuronsBeside(ctx, dir)
	if len(list) != 4 {
		t.Fatalf("%+v", list)
	}
	var in health.Input
	for i, want := range []struct {
		text string
		good bool
		rows string
	}{
		{"on duty", true, "uid 4 requests answered 0 emission a tempo 0.000000000"},
		{"deregistered", false, "due weights by #900, in 30min"},
		{"starting, a dry run", true, ""},
		{"deregistered", false, "requests answered 0"},
	} {
		p := shownNeuron(list[i])
		var rows []string
		for _, r := range p.Rows {
			rows = append(rows, r[0], r[1])
		}
		if p.Text != want.text || p.Good != want.good || strings.Join(rows, " ") != want.rows {
			t.Errorf("%d: %+v", i, p)
		}
		in.Duties = append(in.Duties, pressing(list[i], 10*time.Minute)...)
	}
	var titles []string
	w := health.Watch{Hasty: true}
	shown, _, _ := w.Look(&in)
	for _, s := range shown {
		titles = append(titles, s.Title)
	}
	got := strings.Join(titles, "; ")
	if got != "validator of subnet 2 has lost its uid; miner of subnet 5 has lost its uid; validator of subnet 2: weights in 20min" {
		t.Errorf("%q", got)
	}
}

func mkdir(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestVigil: one line when something begins and one when it is over; alerts as the owner wants them; the day's curve.
func TestVigil(t *testing.T) {
	var notes []string
	cfg := &config.Config{Alerts: config.Alerts{Exec: "false", On: []string{"power"}, Every: 60}}
	s := &instance{place: &place{cfg: cfg, dir: t.TempDir()}, governor: &governor{}}
	v := newVigil(s, func(n lightclient.Note) { notes = append(notes, n.Topic+" "+n.Text) })
	st := &control.Status{Measures: &control.Measures{ClockTrust: "synced", Report: &power.Report{Level: power.Full, Link: true}}}
	if list := v.look(st); len(list) > 0 {
		t.Errorf("%+v", list)
	}
	v.remember(st)
	v.remember(st) // nothing new
	soc := 7.
	st.Report.Level, st.Report.SoC = power.Park, &soc
	st.Report.Warnings = []power.Warning{{Code: "parked", Severity: "error", Title: "the node is parked", Remedy: "charge"}}
	st.Health = []lightclient.Warning{{Code: "finality-stale", Severity: "error", Title: "old", Remedy: "r"}} // explained by the other
	for range 2 {
		if list := v.look(st); len(list) != 1 || list[0].Code != "parked" {
			t.Errorf("%+v", list)
		}
	}
	v.remember(st)
	if len(v.curve) != 2 || len(v.points(st.Report)) != 3 {
		t.Errorf("%d points", len(v.curve))
	}
	v.closed("port in use", "")
	st.Report.Warnings, st.Health, st.Report.Level = nil, nil, power.Full
	if list := v.look(st); len(list) != 1 || list[0].Code != "rpc-closed" {
		t.Errorf("%+v", list)
	}
	if got := strings.Join(notes, "; "); got != "health parked: the node is parked; charge; health rpc-closed: port in use; another node may have the port: give another --rpc-listen ADDRESS:PORT, or none; health parked: over" {
		t.Errorf("%q", got)
	}
	v.deliver(context.Background())
	v.sending.Wait()
	if sent := v.sent(); sent == nil || sent.Failed != 1 { // the command fails; others wait for the next tick
		t.Errorf("%+v", sent)
	}
}
