package tx

import (
	"errors"
	"fmt"
	"strings"

	"github.com/taolight/taolight/lightclient/runtime/metadata"
)

// ErrEvents: System.Events of a block does not say what became of an extrinsic of it.
var ErrEvents = errors.New("events do not tell")

// maxEvents bounds the events of one extrinsic that are kept.
const maxEvents = 64

// An Event is an event of an extrinsic.
type Event struct {
	Name string `json:"event"` // PALLET.NAME
	Text string `json:"text"`  // with its values
	// Failure is what failed inside, in a call of a call: Sudo.Sudid, Utility.BatchInterrupted.
	Failure *Failure `json:"failure,omitempty"`
}

// An Outcome is how the dispatch of an extrinsic ended.
type Outcome struct {
	OK     bool    `json:"ok"`
	Events []Event `json:"events"`
	// Failure is why it failed: it paid its fee and did nothing.
	Failure *Failure `json:"failure,omitempty"`
	// Fee is what TransactionPayment says was paid, in rao; nil if it says nothing.
	Fee *uint64 `json:"fee_rao,omitempty"`
}

// A Failure is a sp_runtime::DispatchError.
type Failure struct {
	Name string `json:"name"`           // PALLET.ERROR as the pallet names it, or a name of sp_runtime: BadOrigin, Token.FundsUnavailable
	Docs string `json:"docs,omitempty"` // the pallet's own line about it
}

// Error returns the name and the docs.
func (f *Failure) Error() string {
	if f.Docs == "" {
		return f.Name
	}
	return f.Name + ": " + f.Docs
}

// Failed returns the failure of the dispatch, or else the first one inside; nil if there is none.
func (o *Outcome) Failed() *Failure {
	if o.Failure != nil {
		return o.Failure
	}
	for _, e := range o.Events {
		if e.Failure != nil {
			return e.Failure
		}
	}
	return nil
}

// OutcomeOf reads what became of the extrinsic of an index in a block from the value of System.Events there.
func OutcomeOf(m *metadata.Metadata, events []byte, index uint32) (*Outcome, error) {
	it, err := m.Item("System.Events")
	if err != nil {
		return nil, err
	}
	v, ok, err := it.Decode(events)
	if err != nil {
		return nil, fmt.Errorf("System.Events: %w", err)
	}
	if !ok || v.Form != metadata.List {
		return nil, fmt.Errorf("%w: System.Events is no list", ErrEvents)
	}
	o := new(Outcome)
	ended := false
	for i := range v.Items {
		record := &v.Items[i]
		if !ofExtrinsic(record.Field("phase"), index) {
			continue
		}
		name, inner := eventOf(record.Field("event"))
		if inner == nil {
			continue
		}
		failure := dispatchError(m, inner, 0)
		switch {
		case name == "System.ExtrinsicSuccess":
			ended, o.OK = true, true
			continue
		case name == "System.ExtrinsicFailed":
			if ended, o.OK, o.Failure = true, false, failure; failure == nil {
				o.Failure = &Failure{Name: "an error that its event does not tell"}
			}
			continue
		case name == "TransactionPayment.TransactionFeePaid":
			if fee := inner.Field("actual_fee"); fee != nil {
				if n, ok := fee.Uint64(); ok {
					o.Fee = &n
				}
			}
		}
		if len(o.Events) < maxEvents {
			o.Events = append(o.Events, Event{Name: name, Text: clip(inner.AppendText(nil)), Failure: failure})
		}
	}
	if !ended {
		return nil, fmt.Errorf("%w: nothing about extrinsic %d", ErrEvents, index)
	}
	return o, nil
}

// ofExtrinsic reports whether a phase is ApplyExtrinsic(index).
func ofExtrinsic(phase *metadata.Value, index uint32) bool {
	if phase == nil || phase.Variant == nil || phase.Variant.Name != "ApplyExtrinsic" || len(phase.Items) != 1 {
		return false
	}
	n, ok := phase.Items[0].Uint64()
	return ok && n == uint64(index)
}

// eventOf returns the name of an event, and its value inside that of its pallet.
func eventOf(v *metadata.Value) (string, *metadata.Value) {
	if v == nil || v.Variant == nil || len(v.Items) != 1 || v.Items[0].Variant == nil {
		return "", nil
	}
	return v.Variant.Name + "." + v.Items[0].Variant.Name, &v.Items[0]
}

// dispatchError finds the first DispatchError in a value.
func dispatchError(m *metadata.Metadata, v *metadata.Value, depth int) *Failure {
	if depth > 8 {
		return nil
	}
	if v.Form == metadata.Choice && v.Type != nil && v.Type.Last() == "DispatchError" {
		return failureOf(m, v)
	}
	for i := range v.Items {
		if f := dispatchError(m, &v.Items[i], depth+1); f != nil {
			return f
		}
	}
	return nil
}

func failureOf(m *metadata.Metadata, v *metadata.Value) *Failure {
	if e := m.DispatchError(v); e != nil {
		return &Failure{e.Pallet.Name + "." + e.Def.Name, e.Def.Docs.String()}
	}
	if v.Variant == nil {
		return &Failure{Name: "an unknown error"}
	}
	f := &Failure{Name: v.Variant.Name, Docs: strings.TrimSpace(v.Variant.Docs.String())}
	switch {
	case v.Variant.Name == "Module" && len(v.Items) == 1:
		f.Name = "Module " + v.Items[0].String() // of a pallet that the metadata does not have
	case len(v.Items) == 1 && v.Items[0].Variant != nil:
		f.Name += "." + v.Items[0].Variant.Name
		f.Docs = strings.TrimSpace(v.Items[0].Variant.Docs.String())
	}
	return f
}
