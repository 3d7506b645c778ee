package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/neuron/miner"
	"github.com/taolight/taolight/neuron/validator"
)

func (a *app) neuronStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "what the miners and validators that run here are doing",
		Long: `Asks every miner and validator that runs beside the node of the data directory: where it
stands on its subnet, what it has on chain and what is due by when.

Ends with 4 if none runs, with 1 if one has stopped for its hotkey acts elsewhere.`,
		Args: cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.config(cmd)
			if err != nil {
				return err
			}
			list, err := askNeurons(cmd.Context(), cfg.Dir())
			if err != nil {
				return err
			}
			if a.json {
				if list == nil {
					list = []*control.Neuron{}
				}
				if err := printJSON(a.stdout, struct {
					Schema  int               `json:"schema"`
					Neurons []*control.Neuron `json:"neurons"`
				}{control.Schema, list}); err != nil {
					return err
				}
			}
			if len(list) == 0 {
				return control.Errorf(control.Stale, "no neuron runs beside %s", cfg.Dir()).WithHint("taolight neuron miner or taolight neuron validator starts one")
			}
			stopped := false
			for i, n := range list {
				if i > 0 && !a.json {
					fmt.Fprintln(a.stdout)
				}
				if !a.json {
					a.printNeuron(n)
				}
				var v validator.Status
				stopped = stopped || n.Role == roleValidator && json.Unmarshal(n.State, &v) == nil && v.State == "stopped"
			}
			if stopped {
				return quiet(control.Failure)
			}
			return nil
		}),
	}
	a.settings(cmd, readerSettings...)
	a.jsonFlag(cmd)
	return cmd
}

// neuronLine says in a line how a neuron is doing.
func neuronLine(n *control.Neuron) string {
	line := fmt.Sprintf("%s on subnet %d", n.Role, n.Netuid)
	uid := func(u *uint16) string {
		if u == nil {
			return ", not registered"
		}
		return fmt.Sprintf(" uid %d", *u)
	}
	switch n.Role {
	case roleMiner:
		var s miner.Status
		if json.Unmarshal(n.State, &s) == nil {
			return line + uid(s.UID) + ": " + s.Brief()
		}
	case roleValidator:
		var s validator.Status
		if json.Unmarshal(n.State, &s) == nil {
			line += fmt.Sprintf("%s: %s, round %d, %d of %d miners answered", uid(s.UID), s.State, s.Rounds, s.Answered, s.Asked)
			if len(s.Intents) > 0 {
				line += fmt.Sprintf("; last %s %s", s.Intents[0].Kind, s.Intents[0].State)
			}
			return line
		}
	}
	return line
}

// printNeuron prints what one neuron tells of itself.
func (a *app) printNeuron(n *control.Neuron) {
	dry := ""
	if n.DryRun {
		dry = "   a dry run"
	}
	fmt.Fprintf(a.stdout, "%s   %s on subnet %d   %s%s\n", a.style.bold(networkName(printable(n.Network), n.Demo)), printable(n.Role), n.Netuid, printable(n.Hotkey), dry)
	switch n.Role {
	case roleValidator:
		var s validator.Status
		if json.Unmarshal(n.State, &s) == nil {
			a.printValidator(&s)
			return
		}
	case roleMiner:
		var s miner.Status
		if json.Unmarshal(n.State, &s) == nil {
			for _, line := range s.Lines() {
				fmt.Fprint(a.stdout, wrap(printable(line), "  "))
			}
			return
		}
	}
	fmt.Fprint(a.stdout, wrap(printable(string(n.State)), "  "))
}

func (a *app) row(topic, format string, args ...any) {
	text := strings.TrimPrefix(wrap(printable(fmt.Sprintf(format, args...)), "           "), "           ")
	fmt.Fprintf(a.stdout, "%s %s", a.style.bold(fmt.Sprintf("%-10s", topic)), text)
}

func (a *app) printValidator(s *validator.Status) {
	state := s.State
	if s.Why != "" {
		state += ": " + s.Why
	}
	a.row("state", "%s", state)
	if s.Block == 0 {
		return
	}
	uid := "not registered"
	if s.UID != nil {
		uid = fmt.Sprintf("uid %d", *s.UID)
		if !s.Permit {
			uid += ", no validator permit"
		}
	}
	a.row("subnet", "%s, last update in %s; finalized %s", uid, block(uint32(s.Updated)), block(s.Head))
	a.row("miners", "%s; %d of %d answered the last one; %s with a score", count(int(s.Rounds), "round"), s.Answered, s.Asked, count(s.Scored, "neuron"))
	if s.Duty == "all" {
		a.row("weights", "%s, due from %s on", s.Subnet, block(uint32(s.Next)))
	} else {
		a.row("weights", "%s, due from %s on; the power level leaves %s", s.Subnet, block(uint32(s.Next)), s.Duty)
	}
	for i, d := range s.Deadlines {
		topic := ""
		if i == 0 {
			topic = "deadlines"
		}
		a.row(topic, "%s by %s, in %s", d.Name, block(d.Due), span(max(d.Seconds, 0)))
	}
	if s.Missed > 0 {
		a.row("missed", "%s", count(int(s.Missed), "deadline"))
	}
	for _, i := range s.Intents {
		line := fmt.Sprintf("%s of %s, made at %s", i.Kind, count(i.Weights, "weight"), block(i.Made))
		if i.Block != 0 {
			line += ", in " + block(i.Block)
		}
		switch {
		case i.Revealed != 0:
			line += ", revealed in " + block(i.Revealed)
		case i.State == validator.Included && i.RevealAt != 0:
			line += ", to be revealed in " + block(i.RevealAt)
		}
		if i.Why != "" {
			line += ": " + i.Why
		}
		a.row(i.State, "%s", line)
		if i.Proof != "" {
			a.row("", "proof %s", i.Proof)
		}
	}
}
