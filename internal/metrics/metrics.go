// Package metrics writes what a node is and does in the text form that Prometheus reads (version 0.0.4).
//
// It promises that every name it writes stands in Families with its kind and what it means, that what is not known or
// not there has no line, and never a 0 in its place, and that nothing is counted or kept for it: the figures are those of
// a status, written when somebody asks. With nobody asking it costs nothing.
//
// It opens no socket and reads no clock; whoever serves it gives it a Snapshot.
package metrics

import (
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/taolight/taolight/gossip"
	"github.com/taolight/taolight/internal/control"
)

// ContentType is what an answer in this form is.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// A Snapshot is what is known at one moment. Status is required; nil is what there is not.
type Snapshot struct {
	Status *control.Status
	Gossip *gossip.Stats
	RPC    *RPC
	Alerts *Alerts
	Go     string // version of the compiler

	Neurons []Neuron
}

// A Neuron is a miner or a validator beside the node, as it last told.
type Neuron struct {
	Role       string
	Netuid     uint16
	Registered bool
	Missed     uint64 // deadlines
	Deadlines  []Deadline
}

// A Deadline is something that it has to do on the chain.
type Deadline struct {
	Name    string
	Seconds float64 // until then
}

// RPC is what the server for tools does.
type RPC struct {
	Conns, Subscriptions int64
	Requests             uint64
}

// Alerts counts what was sent to the owner.
type Alerts struct{ Sent, Failed, Held uint64 }

// Prefix begins every name.
const Prefix = "taolight_"

// A Family is one name, and what it means.
type Family struct {
	Name string // without Prefix
	Kind string // "gauge" or "counter"
	Help string

	write func(s *Snapshot, add func(value float64, labels ...string))
}

// Names returns every name that can be written.
func Names() []string {
	var list []string
	for _, f := range Families {
		list = append(list, Prefix+f.Name)
	}
	return list
}

// Write writes a snapshot.
func Write(w io.Writer, s *Snapshot) error {
	var b strings.Builder
	for _, f := range Families {
		begun := false
		f.write(s, func(v float64, labels ...string) {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return // of a meter that lies
			}
			if !begun {
				begun = true
				b.WriteString("# HELP " + Prefix + f.Name + " " + helpText.Replace(f.Help) + "\n# TYPE " + Prefix + f.Name + " " + f.Kind + "\n")
			}
			b.WriteString(Prefix + f.Name)
			for i := 0; i+1 < len(labels); i += 2 {
				sep := ","
				if i == 0 {
					sep = "{"
				}
				b.WriteString(sep + labels[i] + `="` + labelText.Replace(strings.ToValidUTF8(labels[i+1], "?")) + `"`)
			}
			if len(labels) > 0 {
				b.WriteByte('}')
			}
			b.WriteString(" " + strconv.FormatFloat(v, 'f', -1, 64) + "\n")
		})
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// What the form wants escaped.
var (
	helpText  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelText = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)
