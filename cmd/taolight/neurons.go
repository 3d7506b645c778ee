package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/health"
	"github.com/taolight/taolight/internal/page"
)

// A neuronBrief is what a miner or a validator beside the node tells of itself: who it is, and its role's own state, of
// which the plain members are shown as they are.
type neuronBrief struct {
	Role   string                     `json:"role"`
	Netuid uint16                     `json:"netuid"`
	Hotkey string                     `json:"hotkey"`
	DryRun bool                       `json:"dry_run"`
	State  map[string]json.RawMessage `json:"state"`
}

// neuronWait is how long a neuron may take to answer, and maxNeuronsAsked how many are asked.
const (
	neuronWait      = time.Second
	maxNeuronsAsked = 8
)

// neuronsBeside asks the neurons that have a folder in a node's: those that do not run are left out.
func neuronsBeside(ctx context.Context, dir string) (list []neuronBrief) {
	folders, err := os.ReadDir(filepath.Join(dir, "neurons"))
	if err != nil {
		return nil
	}
	for _, f := range folders {
		if len(list) == maxNeuronsAsked {
			break
		}
		c, err := control.Find(filepath.Join(dir, "neurons", f.Name()))
		if err != nil {
			continue
		}
		late, cancel := context.WithTimeout(ctx, neuronWait)
		var n neuronBrief
		err = c.Call(late, "neuron", nil, &n)
		cancel()
		if err == nil && n.Role != "" {
			list = append(list, n)
		}
	}
	return list
}

func (n *neuronBrief) name() string { return n.Role + " of subnet " + strconv.Itoa(int(n.Netuid)) }

// truth returns a member that is true or false, and whether it is there.
func (n *neuronBrief) truth(key string) (v, ok bool) {
	b, ok := n.State[key]
	return v, ok && json.Unmarshal(b, &v) == nil
}

// duty says in the words of package health what it has to do, as it was told so long ago.
func (n *neuronBrief) duty(ago time.Duration) health.Duty {
	d := health.Duty{Name: n.name()}
	if registered, ok := n.truth("registered"); ok && !registered {
		d.Deregistered = true
	}
	var seconds float64
	if b, ok := n.State["deadline_seconds"]; ok && json.Unmarshal(b, &seconds) == nil {
		left := time.Duration(seconds*float64(time.Second)) - ago
		d.Due, d.In = "weights are due", &left
		var what string
		if json.Unmarshal(n.State["deadline"], &what) == nil && what != "" {
			d.Due = printable(what)
		}
	}
	return d
}

// shown is what the page shows of it: the members of its state that are a word or a number.
func (n *neuronBrief) shown() page.Neuron {
	p := page.Neuron{Name: n.name(), Good: true, Text: "on duty"}
	if n.DryRun {
		p.Text = "dry run: it sends nothing"
	}
	if registered, ok := n.truth("registered"); ok && !registered {
		p.Good, p.Text = false, "deregistered"
	}
	keys := make([]string, 0, len(n.State))
	for key := range n.State {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		var v any
		d := json.NewDecoder(strings.NewReader(string(n.State[key])))
		d.UseNumber()
		if d.Decode(&v) != nil {
			continue
		}
		text := ""
		switch v := v.(type) {
		case string:
			text = v
		case json.Number:
			text = v.String()
			if u, err := strconv.ParseUint(text, 10, 64); err == nil {
				text = group(u)
			}
		case bool:
			text = map[bool]string{true: "yes", false: "no"}[v]
		}
		if text != "" && key != "schema" {
			p.Rows = append(p.Rows, [2]string{strings.ReplaceAll(key, "_", " "), text})
		}
	}
	return p
}
