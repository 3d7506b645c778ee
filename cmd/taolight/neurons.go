package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/health"
	"github.com/taolight/taolight/internal/page"
)

// A neuronBrief is what a miner or a validator beside the node tells of itself: who it is, and of its role's own state what
// has a place on a screen. What one does not tell is not shown.
type neuronBrief struct {
	Role   string      `json:"role"`
	Netuid uint16      `json:"netuid"`
	Hotkey string      `json:"hotkey"`
	DryRun bool        `json:"dry_run"`
	State  neuronState `json:"state"`
}

// neuronState has members of both roles.
type neuronState struct {
	State      string  `json:"state"`
	Why        string  `json:"why"`
	Problem    string  `json:"problem"`
	Block      uint32  `json:"block"` // of which the rest is known; 0: none yet
	Registered *bool   `json:"registered"`
	UID        *uint16 `json:"uid"`
	Listen     string  `json:"listen"`
	Announce   string  `json:"announce"`
	Incentive  *uint16 `json:"incentive"`
	Rounds     *uint64 `json:"rounds"`
	Scored     *int    `json:"scored"`
	Next       *uint64 `json:"weights_due_block"`
	Missed     uint64  `json:"deadline_missed_total"`
	Deadlines  []struct {
		Name    string   `json:"name"`
		Due     uint32   `json:"due_block"`
		Seconds *float64 `json:"in_seconds"`
	} `json:"deadlines"`
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

// deregistered reports whether its hotkey is known to have no uid.
func (n *neuronBrief) deregistered() bool {
	s := &n.State
	if s.Registered != nil {
		return s.Block > 0 && !*s.Registered
	}
	return n.Role == "validator" && s.Block > 0 && s.UID == nil && s.State != "starting"
}

// duties say in the words of package health what it has to do, as it was told so long ago.
func (n *neuronBrief) duties(ago time.Duration) (list []health.Duty) {
	if n.deregistered() {
		list = append(list, health.Duty{Name: n.name(), Deregistered: true})
	}
	for _, d := range n.State.Deadlines {
		if d.Seconds == nil || len(list) > maxNeuronsAsked {
			continue
		}
		left := time.Duration(min(max(*d.Seconds, 0), 1e8)*float64(time.Second)) - ago
		list = append(list, health.Duty{Name: n.name(), Due: printable(d.Name), In: &left})
	}
	return list
}

// shown is what a page and a screen show of it.
func (n *neuronBrief) shown() page.Neuron {
	s := &n.State
	p := page.Neuron{Name: n.name(), Good: true, Text: "on duty"}
	switch {
	case n.deregistered():
		p.Good, p.Text = false, "deregistered"
	case s.Problem != "":
		p.Good, p.Text = false, "has a problem"
	case s.State != "" && s.State != "running":
		p.Good, p.Text = false, s.State
	case n.DryRun:
		p.Text = "dry run: it sends nothing"
	}
	add := func(name, text string) {
		if text != "" {
			p.Rows = append(p.Rows, [2]string{name, text})
		}
	}
	if s.UID != nil {
		add("uid", group(uint64(*s.UID)))
	}
	for _, d := range s.Deadlines {
		text := block(d.Due)
		if d.Seconds != nil {
			text += ", " + span(*d.Seconds)
		}
		add(d.Name, text)
	}
	if s.Next != nil && *s.Next > 0 {
		add("weights from", "#"+group(*s.Next))
	}
	if s.Incentive != nil {
		add("incentive", fraction(*s.Incentive, 4))
	}
	if s.Scored != nil && s.Rounds != nil {
		add("scored", fmt.Sprintf("%s in %s", count(*s.Scored, "miner"), count(int(min(*s.Rounds, 1e9)), "round")))
	}
	add("listens at", s.Listen)
	add("announced", s.Announce)
	if s.Missed > 0 {
		add("deadlines missed", group(s.Missed))
	}
	add("because", s.Why)
	add("problem", s.Problem)
	return p
}
