package commit

import (
	"slices"
	"testing"

	"github.com/taolight/taolight/verify/subtensor"
)

func TestPreview(t *testing.T) {
	type reasons = []Reason
	twenty := func(w *world) {
		w.payload.UIDs, w.payload.Values = make([]uint16, 20), make([]uint16, 20)
	}
	for _, tt := range []struct {
		name           string
		edit           func(*world)
		sealed, opened reasons // what is seen before the pulse is there, and after
		look           func(*Outlook)
	}{
		{name: "good", edit: func(*world) {}},
		{name: "pulse in time", edit: func(*world) {}, look: func(o *Outlook) { o.PulseTime, o.RevealBy = 5000, 5000 }},
		{name: "pulse too late", edit: func(*world) {}, look: func(o *Outlook) { o.PulseTime, o.RevealBy = 5001, 5000 }, sealed: reasons{PulseMissing}, opened: reasons{PulseMissing}},
		{name: "times not known", edit: func(*world) {}, look: func(o *Outlook) { o.PulseTime = 5001 }},
		{name: "expired", edit: func(w *world) { w.epochIndex = 42 }, sealed: reasons{Expired}, opened: reasons{Expired}},
		{name: "not due yet", edit: func(w *world) { w.block = 990 }},
		{name: "no ciphertext", edit: func(w *world) { w.spoil = func([]byte) []byte { return nil } }, sealed: reasons{CiphertextBad}, opened: reasons{CiphertextBad}},
		{name: "cannot be opened", edit: func(w *world) { w.seal = 1001 }, opened: reasons{Undecryptable}},
		{name: "wrong hotkey", edit: func(w *world) { w.payload.Hotkey = bob }, opened: reasons{WrongHotkey}},
		{name: "wrong hotkey and more", edit: func(w *world) { w.payload.Hotkey, w.payload.VersionKey = bob, 0 }, opened: reasons{WrongHotkey, VersionKeyOld}},
		{name: "no payload", edit: func(w *world) { w.plain = func([]byte) []byte { return nil } }, opened: reasons{PayloadBad}},
		{name: "not registered", edit: func(w *world) { w.registered = false }, sealed: reasons{NotRegistered}, opened: reasons{NotRegistered}},
		{name: "stake and permit", edit: func(w *world) { w.alpha, w.permits = 0, nil }, sealed: reasons{StakeTooLow, NoPermit}, opened: reasons{StakeTooLow, NoPermit}},
		{name: "rate limit", edit: func(w *world) { w.commitReveal, w.rateLimit = false, 500 }, sealed: reasons{RateLimited}, opened: reasons{RateLimited}},
		{name: "version key", edit: func(w *world) { w.versionKey = 6 }, opened: reasons{VersionKeyOld}},
		{name: "too few", edit: func(w *world) { w.minWeights = 5 }, sealed: reasons{TooFewWeights}, opened: reasons{TooFewWeights}},
		{name: "too many", edit: twenty, sealed: reasons{TooManyUIDs}, opened: reasons{TooManyUIDs, DuplicateUID}},
		{name: "mechanism gone", edit: func(w *world) { w.mechanisms = 1 }, sealed: reasons{NoMechanism}, opened: reasons{NoMechanism}},
		{name: "on itself without a permit", edit: func(w *world) {
			w.permits, w.payload.UIDs, w.payload.Values = nil, []uint16{3}, []uint16{1}
		}},
		{name: "on another without a permit", edit: func(w *world) {
			w.permits, w.payload.UIDs, w.payload.Values = nil, []uint16{2}, []uint16{1}
		}, opened: reasons{NoPermit, TooFewWeights}},
	} {
		w := newWorld()
		tt.edit(w)
		f, err := ReadFacts(w.facts(t), w.netuid, w.mecid, w.hotkey, w.rules(t))
		if err != nil {
			t.Fatal(err)
		}
		c := w.commit(t)
		o := Outlook{Block: w.block, Epoch: w.epoch}
		if tt.look != nil {
			tt.look(&o)
		}
		if got := Preview(f, c, o); !slices.Equal(got, tt.sealed) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.sealed)
		}
		opening := Open(c, round1000)
		o.Opened = &opening
		if got := Preview(f, c, o); !slices.Equal(got, tt.opened) {
			t.Errorf("%s, opened: %v, want %v", tt.name, got, tt.opened)
		}
		// Without a pulse time, the first reason is the one that the chain would have.
		if opening.Why == Stored && o.PulseTime == 0 && len(tt.opened) > 0 && tt.opened[0] != Expired {
			p := opening.Payload
			if _, why := f.Judge(w.block, p.UIDs, p.Values, p.VersionKey); why != tt.opened[0] {
				t.Errorf("%s: judged %v", tt.name, why)
			}
		}
	}
}

func TestPreviewHash(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*world)
		want []Reason
	}{
		{"good", func(*world) {}, nil},
		{"few weights may be enough", func(w *world) { w.minWeights = 1000 }, nil},
		{"commit-reveal off", func(w *world) { w.commitReveal = false }, []Reason{RevealsOff}},
		{"expired", func(w *world) { w.epochIndex = 42 }, []Reason{Expired}},
		{"no permit", func(w *world) { w.permits = nil }, []Reason{NoPermit}},
		{"not registered", func(w *world) { w.registered = false }, []Reason{NotRegistered}},
	} {
		w := newWorld()
		tt.edit(w)
		f, err := ReadFacts(w.facts(t), w.netuid, w.mecid, w.hotkey, w.rules(t))
		if err != nil {
			t.Fatal(err)
		}
		if got := PreviewHash(f, subtensor.HashCommit{Epoch: 41, Block: 880}, Outlook{Block: w.block}); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestWeightsIn(t *testing.T) {
	for _, n := range []int{0, 1, 2, 62, 63, 64, 65, 255, 256, 1000} {
		for _, legacy := range []bool{false, true} {
			p := Payload{UIDs: make([]uint16, n), Values: make([]uint16, n), Legacy: legacy}
			if got, ok := weightsIn(len(p.Append(nil))); !ok || got != n {
				t.Errorf("%d weights, legacy %v: %d, %v", n, legacy, got, ok)
			}
		}
	}
	for _, length := range []int{-1, 0, 9, 11, 12, 300, 299, 1 << 20} {
		n, ok := weightsIn(length)
		if ok && length != 300 && length != 299 {
			t.Errorf("%d bytes: %d", length, n)
		}
	}
}
