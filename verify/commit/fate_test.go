package commit

import (
	"errors"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/subtensor"
)

// A fault spoils a world by one change. The tables are in the order in which the chain looks.
type fault struct {
	name string
	why  Reason
	do   func(*world)
}

// What is wrong with the entry itself (coinbase/reveal_commits.rs).
var entryFaults = []fault{
	{"no pulse", PulseMissing, func(w *world) { w.pulse = nil }},
	{"empty ciphertext", CiphertextBad, func(w *world) { w.spoil = func([]byte) []byte { return nil } }},
	{"cut ciphertext", CiphertextBad, func(w *world) { w.spoil = func(b []byte) []byte { return b[:len(b)-1] } }},
	{"point of no group", CiphertextBad, func(w *world) { w.spoil = func(b []byte) []byte { b[95] ^= 1; return b } }},
	{"short signature", PulseBad, func(w *world) { w.pulse = round1000[:47] }},
	{"empty signature", PulseBad, func(w *world) { w.pulse = []byte{} }},
	{"signature is no point", PulseBad, func(w *world) { s := round1000; s[47] ^= 1; w.pulse = s[:] }},
	{"signature in hex", PulseBad, func(w *world) { w.pulse = []byte("0x" + round1000.String()) }},
	{"signature of another round", PulseBad, func(w *world) { w.pulse = round1001[:] }},
	{"sealed for another round", Undecryptable, func(w *world) { w.seal = 1001 }},
	{"damaged body", Undecryptable, func(w *world) { w.spoil = func(b []byte) []byte { b[200] ^= 1; return b } }},
	{"no payload", PayloadBad, func(w *world) { w.plain = func([]byte) []byte { return []byte("weights") } }},
	{"cut payload", PayloadBad, func(w *world) { w.plain = func(b []byte) []byte { return b[:len(b)-1] } }},
	{"payload of another", WrongHotkey, func(w *world) { w.payload.Hotkey = bob }},
}

// What is wrong with the weights or with whose they are (subnets/weights.rs, internal_set_weights).
var weightFaults = []fault{
	{"more uids than values", LengthsDiffer, func(w *world) { w.payload.Values = w.payload.Values[1:] }},
	{"more values than uids", LengthsDiffer, func(w *world) { w.payload.Values = append(slices.Clone(w.payload.Values), 1) }},
	{"too many", TooManyUIDs, func(w *world) { w.size = 2 }},
	{"not registered", NotRegistered, func(w *world) { w.registered = false }},
	{"stake", StakeTooLow, func(w *world) { w.threshold = 1001 }},
	{"version key", VersionKeyOld, func(w *world) { w.versionKey = 6 }},
	{"rate limit", RateLimited, func(w *world) { w.commitReveal, w.rateLimit = false, 101 }},
	{"permit", NoPermit, func(w *world) { w.permits = []bool{true, true, true, false} }},
	{"permits too short", NoPermit, func(w *world) { w.permits = w.permits[:3] }},
	{"duplicate", DuplicateUID, func(w *world) { w.payload.UIDs = []uint16{0, 2, 0} }},
	{"uid beyond", UnknownUID, func(w *world) { w.payload.UIDs = []uint16{0, 2, 8} }},
	{"too few", TooFewWeights, func(w *world) { w.minWeights = 4 }},
	{"too large", WeightTooLarge, func(w *world) { w.spec, w.maxWeight = 326, 43689; w.mecid, w.epoch = 1, 8; w.block = 902 }},
}

func TestGoodFate(t *testing.T) {
	for name, edit := range map[string]func(*world){
		"as it is":          func(*world) {},
		"prefixed pulse":    func(w *world) { w.pulse = append([]byte("0x"), round1000[:]...) },
		"trailing in pulse": func(w *world) { w.pulse = append(round1000[:], 1, 2, 3) },
		"trailing bytes":    func(w *world) { w.spoil = func(b []byte) []byte { return append(b, 1, 2, 3) } },
		"another suite":     func(w *world) { w.spoil = func(b []byte) []byte { b[len(b)-1] ^= 0xff; return b } },
		"trailing payload":  func(w *world) { w.plain = func(b []byte) []byte { return append(b, 0xff) } },
		"legacy payload":    func(w *world) { w.payload.Legacy = true },
		"version key above": func(w *world) { w.versionKey = 4 },
		"any version key":   func(w *world) { w.versionKey, w.payload.VersionKey = 0, 0 },
		"no threshold":      func(w *world) { w.threshold, w.alpha = 0, 0 },
		"limit not in use":  func(w *world) { w.maxWeight = 1 },
		"fewer than asked for, all there are": func(w *world) {
			w.minWeights, w.size, w.uid, w.permits = 4, 3, 2, []bool{false, false, true}
			w.payload.UIDs = []uint16{0, 2, 1}
		},
		"rate limit just met":    func(w *world) { w.commitReveal, w.rateLimit = false, 100 },
		"no rate limit":          func(w *world) { w.commitReveal, w.rateLimit, w.updates[3] = false, 0, 1000 },
		"never updated":          func(w *world) { w.commitReveal, w.rateLimit, w.updates = false, 5000, nil },
		"rate limit not asked":   func(w *world) { w.rateLimit = 5000 },
		"the epoch's last block": func(w *world) { w.block, w.lastEpoch, w.epochIndex = 1099, 1000, 42 },
	} {
		w := newWorld()
		edit(w)
		f, err := w.fate(t, quicknet)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		row := slices.Clone(wantRow)
		if name == "fewer than asked for, all there are" {
			row[2].UID = 1
		}
		if f.Why != Stored || f.Kept || f.Payload == nil || !slices.Equal(f.Row, row) {
			t.Errorf("%s: %v %+v", name, f.Why, f)
		}
	}
}

// One change at a time from a good state.
func TestFaults(t *testing.T) {
	for _, ft := range append(slices.Clone(entryFaults), weightFaults...) {
		w := newWorld()
		ft.do(w)
		f, err := w.fate(t, quicknet)
		if err != nil {
			t.Errorf("%s: %v", ft.name, err)
			continue
		}
		if f.Why != ft.why || f.Row != nil || f.Kept != (ft.why == PulseMissing) {
			t.Errorf("%s: %v, want %v; %+v", ft.name, f.Why, ft.why, f)
		}
		if opened := f.Payload != nil; opened != (ft.why >= WrongHotkey) {
			t.Errorf("%s: payload %+v", ft.name, f.Payload)
		}
	}
}

// Two changes at once: the one that the chain meets first is named.
func TestOrder(t *testing.T) {
	one := func(list []fault) []fault { // the first of each reason: the others are variants
		var out []fault
		for _, ft := range list {
			if !slices.ContainsFunc(out, func(o fault) bool { return o.why == ft.why }) {
				out = append(out, ft)
			}
		}
		return out
	}
	entry, weight := one(entryFaults), one(weightFaults)
	pair := func(a, b fault) {
		w := newWorld()
		b.do(w)
		a.do(w)
		f, err := w.fate(t, nil)
		if err != nil {
			t.Errorf("%s, %s: %v", a.name, b.name, err)
		} else if f.Why != a.why {
			t.Errorf("%s, %s: %v, want %v", a.name, b.name, f.Why, a.why)
		}
	}
	for i, a := range entry {
		for _, b := range entry[i+1:] {
			if a.why != PayloadBad || b.why != WrongHotkey { // what does not decode has no hotkey
				pair(a, b)
			}
		}
		pair(a, weight[0])
		pair(a, weight[len(weight)-1])
	}
	// These need no ciphertext.
	for i, a := range weight {
		for _, b := range weight[i+1:] {
			w := newWorld()
			b.do(w)
			a.do(w)
			f, err := ReadFacts(w.facts(t), w.netuid, w.mecid, w.hotkey, w.rules(t))
			if err != nil {
				t.Fatal(err)
			}
			row, why := f.Judge(w.block, w.payload.UIDs, w.payload.Values, w.payload.VersionKey)
			if why != a.why || row != nil {
				t.Errorf("%s, %s: %v, want %v", a.name, b.name, why, a.why)
			}
		}
	}
	// Root and mechanism are asked before all of these but the lengths.
	judge := func(edit func(*Facts), p Payload) Reason {
		w := newWorld()
		f, err := ReadFacts(w.facts(t), w.netuid, w.mecid, w.hotkey, w.rules(t))
		if err != nil {
			t.Fatal(err)
		}
		edit(f)
		_, why := f.Judge(w.block, p.UIDs, p.Values, p.VersionKey)
		return why
	}
	bad := Payload{UIDs: []uint16{1, 1}, Values: []uint16{1}}
	none := Payload{UIDs: slices.Repeat([]uint16{9}, 9), Values: make([]uint16, 9)}
	if why := judge(func(f *Facts) { f.Netuid, f.Exists = 0, false }, bad); why != RootSubnet {
		t.Errorf("root: %v", why)
	}
	if why := judge(func(f *Facts) { f.Exists = false }, bad); why != LengthsDiffer {
		t.Errorf("lengths: %v", why)
	}
	if why := judge(func(f *Facts) { f.Exists, f.Registered = false, false }, none); why != NoMechanism {
		t.Errorf("no subnet: %v", why)
	}
	if why := judge(func(f *Facts) { f.Mechanisms = 1 }, none); why != NoMechanism {
		t.Errorf("no mechanism: %v", why)
	}
}

func TestSelfWeight(t *testing.T) {
	self := Payload{Hotkey: alice, UIDs: []uint16{3}, Values: []uint16{9}, VersionKey: 5}
	w := newWorld()
	w.payload, w.permits, w.spec, w.maxWeight, w.minWeights, w.mecid = self, nil, 326, 1, 5, 0
	s := w.facts(t)
	f, err := ReadFacts(s, w.netuid, w.mecid, w.hotkey, w.rules(t))
	if err != nil {
		t.Fatal(err)
	}
	row, why := f.Judge(w.block, self.UIDs, self.Values, 5)
	if why != Stored || !slices.Equal(row, []subtensor.Weight{{UID: 3, Value: 65535}}) {
		t.Errorf("on itself: %v %v", row, why)
	}
	if _, why = f.Judge(w.block, []uint16{2}, []uint16{9}, 5); why != NoPermit {
		t.Errorf("on another: %v", why)
	}
	if _, why = f.Judge(w.block, nil, nil, 5); why != NoPermit {
		t.Errorf("none: %v", why)
	}
	f.Permit = true
	if _, why = f.Judge(w.block, nil, nil, 5); why != TooFewWeights {
		t.Errorf("none with a permit: %v", why)
	}
	f.MinWeights = 0
	if row, why = f.Judge(w.block, nil, nil, 5); why != Stored || len(row) != 0 {
		t.Errorf("none where none is asked for: %v", why)
	}
	// The first uid 0 is not that of a hotkey without one.
	f.Registered, f.UID = false, 0
	if _, why = f.Judge(w.block, []uint16{0}, []uint16{9}, 5); why != NotRegistered {
		t.Errorf("without a uid: %v", why)
	}
}

// The owner's hotkey needs neither stake nor permit, from spec 401 on.
func TestOwner(t *testing.T) {
	for _, tt := range []struct {
		spec          uint32
		stake, permit bool
		want          Reason
	}{
		{425, false, false, Stored},
		{401, false, false, Stored},
		{393, false, true, StakeTooLow},
		{393, true, false, NoPermit},
		{393, true, true, Stored},
	} {
		w := newWorld()
		w.spec, w.owner, w.permits[3] = tt.spec, alice, tt.permit
		if !tt.stake {
			w.alpha = 0
		}
		f, err := ReadFacts(w.facts(t), w.netuid, w.mecid, w.hotkey, w.rules(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, why := f.Judge(w.block, w.payload.UIDs, w.payload.Values, 5); why != tt.want {
			t.Errorf("%+v: %v", tt, why)
		}
	}
	w := newWorld()
	w.owner, w.registered = alice, false
	f, err := ReadFacts(w.facts(t), w.netuid, w.mecid, w.hotkey, w.rules(t))
	if err != nil {
		t.Fatal(err)
	}
	if f.Owner {
		t.Error("an owner without a uid is exempt")
	}
}

func TestMaxWeight(t *testing.T) {
	// 20 of 30 is two thirds, of 65535 exactly 43690.
	for _, tt := range []struct {
		spec  uint32
		limit uint16
		want  Reason
	}{{326, 43689, WeightTooLarge}, {326, 43690, Stored}, {326, 65535, Stored}, {334, 1, Stored}, {425, 1, Stored}} {
		w := newWorld()
		w.spec, w.maxWeight = tt.spec, tt.limit
		f, err := ReadFacts(w.facts(t), w.netuid, w.mecid, w.hotkey, w.rules(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, why := f.Judge(w.block, []uint16{0, 1}, []uint16{10, 20}, 5); why != tt.want {
			// The scaled values are 32768 and 65535: a share of 2184505/3276810, just below two thirds.
			t.Errorf("%+v: %v", tt, why)
		}
		if _, why := f.Judge(w.block, []uint16{0, 1}, []uint16{0, 0}, 5); why != Stored {
			t.Errorf("%+v, zeros: %v", tt, why)
		}
	}
}

// Thirds meet their limit exactly.
func TestMaxWeightMet(t *testing.T) {
	for limit, want := range map[uint16]Reason{21844: WeightTooLarge, 21845: Stored} {
		w := newWorld()
		w.spec, w.maxWeight = 326, limit
		f, err := ReadFacts(w.facts(t), w.netuid, w.mecid, w.hotkey, w.rules(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, why := f.Judge(w.block, []uint16{0, 1, 2}, []uint16{9, 9, 9}, 5); why != want {
			t.Errorf("limit %d: %v", limit, why)
		}
	}
}

// Who has no uid has not that of uid 0 either.
func TestNoUID(t *testing.T) {
	w := newWorld()
	w.registered, w.permits, w.updates, w.commitReveal = false, []bool{true}, []uint64{999}, false
	f, err := ReadFacts(w.facts(t), w.netuid, w.mecid, w.hotkey, w.rules(t))
	if err != nil {
		t.Fatal(err)
	}
	if f.Permit || f.LastUpdate != 0 {
		t.Errorf("%+v", f)
	}
	f.LastUpdate = 999
	if got := f.faults(w.block, []uint16{0}, []uint16{1}, 5); !slices.Equal(got, []Reason{NotRegistered, TooFewWeights}) {
		t.Errorf("%v", got)
	}
	// A uid that the subnet has no longer is asked for in vain.
	f.Registered, f.UID, f.Size, f.LastUpdate = true, 3, 3, 0
	if got := f.faults(w.block, []uint16{0, 1}, []uint16{1, 1}, 5); !slices.Equal(got, []Reason{RateLimited, NoPermit}) {
		t.Errorf("%v", got)
	}
}

// Several commitments of one hotkey in one queue.
func TestQueue(t *testing.T) {
	first := newWorld()
	c := first.commit(t)
	later := newWorld()
	later.payload.Values = []uint16{1, 1, 2}
	d := later.commit(t)
	broken := d
	broken.Ciphertext = []byte("nothing")
	others := d
	others.Hotkey = bob
	late := d
	late.Round = 1001
	read := func(w *world, s store, of subtensor.TimelockedCommit) Reason {
		f, err := ReadFate(s, 7, 1, 41, of.Hash(), alice, 1000, quicknet, w.rules(t))
		if err != nil {
			t.Fatal(err)
		}
		if (f.Row != nil) != (f.Why == Stored) {
			t.Errorf("%v with row %v", f.Why, f.Row)
		}
		return f.Why
	}
	for _, tt := range []struct {
		name         string
		edit         func(*world)
		first, other Reason
		of           subtensor.TimelockedCommit
	}{
		{"later one", func(w *world) { w.after = []subtensor.TimelockedCommit{d} }, Superseded, Stored, d},
		{"earlier one", func(w *world) { w.before = []subtensor.TimelockedCommit{d} }, Stored, Superseded, d},
		{"later one that fails", func(w *world) { w.after = []subtensor.TimelockedCommit{broken} }, Stored, CiphertextBad, broken},
		{"later one without a pulse", func(w *world) { w.after = []subtensor.TimelockedCommit{late} }, Stored, PulseMissing, late},
		{"later one of another", func(w *world) { w.after = []subtensor.TimelockedCommit{others} }, Stored, Stored, c},
		{"the same again", func(w *world) { w.after = []subtensor.TimelockedCommit{c} }, Stored, Stored, c},
		{"the same earlier and late", func(w *world) { e := c; e.Round = 1001; w.after = []subtensor.TimelockedCommit{e} }, Stored, Stored, c},
		{"commit-reveal is off", func(w *world) {
			w.commitReveal, w.after = false, []subtensor.TimelockedCommit{d}
		}, Stored, RateLimited, d},
		{"commit-reveal is off, without a limit", func(w *world) {
			w.commitReveal, w.rateLimit, w.after = false, 0, []subtensor.TimelockedCommit{d}
		}, Superseded, Stored, d},
		{"commit-reveal is off, a failure before", func(w *world) {
			w.commitReveal, w.before = false, []subtensor.TimelockedCommit{broken}
		}, Stored, CiphertextBad, broken},
	} {
		w := newWorld()
		tt.edit(w)
		s, _ := w.build(t)
		if why := read(w, s, c); why != tt.first {
			t.Errorf("%s: %v, want %v", tt.name, why, tt.first)
		}
		if why := read(w, s, tt.of); why != tt.other {
			t.Errorf("%s, the other: %v, want %v", tt.name, why, tt.other)
		}
	}
}

func TestWhen(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*world)
		why  Reason
		kept bool
		err  error
	}{
		{"epoch not over", func(w *world) { w.block = 999 }, 0, false, ErrNotDue},
		{"due by a pending slot", func(w *world) { w.epochIndex, w.tempo = 42, 360 }, Stored, false, nil},
		{"longer period", func(w *world) { w.period = 2 }, 0, false, ErrNotDue},
		{"no epoch for so long", func(w *world) { w.period = 1 << 63 }, 0, false, ErrNotDue},
		{"period beyond all numbers", func(w *world) { w.period = 1<<64 - 1 }, 0, false, ErrNotDue},
		{"epoch over, pulse there", func(w *world) { w.epochIndex = 42 }, Expired, false, nil},
		{"epoch over, no pulse", func(w *world) { w.epochIndex, w.pulse = 42, nil }, PulseMissing, false, nil},
		{"mechanism gone", func(w *world) { w.mechanisms = 1 }, NoMechanism, true, nil},
		{"subnet gone", func(w *world) { w.exists = false }, NoMechanism, true, nil},
		{"root", func(w *world) { w.netuid, w.mecid, w.mechanisms = 0, 0, 1 }, RootSubnet, true, nil},
		{"second mechanism without mechanisms", func(w *world) { w.spec = 319 }, NoMechanism, true, nil},
		// (900+8) div 101 = 8 and (901+8) div 101 = 9, up to spec 422.
		{"before its epoch, old rules", func(w *world) { w.spec, w.epoch, w.block = 422, 8, 900 }, 0, false, ErrNotDue},
		{"first of its epoch, old rules", func(w *world) { w.spec, w.epoch, w.block = 422, 8, 901 }, Stored, false, nil},
		{"last of its epoch, old rules", func(w *world) { w.spec, w.epoch, w.block = 422, 8, 1001 }, Stored, false, nil},
		{"after its epoch, old rules", func(w *world) { w.spec, w.epoch, w.block = 422, 8, 1002 }, Expired, false, nil},
	} {
		w := newWorld()
		tt.edit(w)
		f, err := w.fate(t, quicknet)
		if !errors.Is(err, tt.err) || (f == nil) != (tt.err != nil) {
			t.Errorf("%s: %v", tt.name, err)
		} else if f != nil && (f.Why != tt.why || f.Kept != tt.kept) {
			t.Errorf("%s: %v, kept %v", tt.name, f.Why, f.Kept)
		}
	}
	w := newWorld()
	s, c := w.build(t)
	for name, ask := range map[string]func() (*Fate, error){
		"another hash":   func() (*Fate, error) { return ReadFate(s, 7, 1, 41, verify.Hash{}, alice, 1000, quicknet, w.rules(t)) },
		"another hotkey": func() (*Fate, error) { return ReadFate(s, 7, 1, 41, c.Hash(), bob, 1000, quicknet, w.rules(t)) },
		"another epoch":  func() (*Fate, error) { return ReadFate(s, 7, 1, 40, c.Hash(), alice, 1000, quicknet, w.rules(t)) },
		"another index":  func() (*Fate, error) { return ReadFate(s, 7, 0, 41, c.Hash(), alice, 1000, quicknet, w.rules(t)) },
	} {
		if f, err := ask(); !errors.Is(err, ErrNoEntry) || f != nil {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	if _, err := ReadFate(s, 4096, 0, 41, c.Hash(), alice, 1000, quicknet, w.rules(t)); !errors.Is(err, subtensor.ErrMechanism) {
		t.Errorf("no such netuid: %v", err)
	}
}

// A pulse that the chain took from another beacon, and a caller who does not ask.
func TestBeacon(t *testing.T) {
	w := newWorld()
	w.pulse = round1001[:]
	if f, err := w.fate(t, nil); err != nil || f.Why != Undecryptable {
		t.Errorf("another round's, nobody asks: %+v, %v", f, err)
	}
	w = newWorld()
	w.seal, w.pulse = 1001, round1001[:]
	if f, err := w.fate(t, nil); err != nil || f.Why != Stored {
		t.Errorf("opens with what stands there, nobody asks: %+v, %v", f, err)
	}
	if f, err := w.fate(t, quicknet); !errors.Is(err, ErrOtherBeacon) || !errors.Is(err, drand.ErrSignature) || f != nil {
		t.Errorf("opens with what is no pulse: %+v, %v", f, err)
	}
	w = newWorld()
	s, c := w.build(t)
	s[string(subtensor.KeyPulse(1000))] = drand.Stored{Round: 5, Signature: round1000[:]}.Append(nil)
	if f, err := ReadFate(s, 7, 1, 41, c.Hash(), alice, 1000, quicknet, w.rules(t)); err != nil || f.Why != Stored {
		t.Errorf("the round inside the value, which the chain does not read: %+v, %v", f, err)
	}
	s[string(subtensor.KeyPulse(1000))] = []byte{1, 2}
	if _, err := ReadFate(s, 7, 1, 41, c.Hash(), alice, 1000, quicknet, w.rules(t)); !errors.Is(err, drand.ErrStored) {
		t.Errorf("no pulse at all: %v", err)
	}
}

// ReadFate comes to an end on a state that is fetched as it asks, in few rounds, and asks for nothing
// that it does not need.
func TestFetched(t *testing.T) {
	// The queue and the pulse; whether it is due, 5 of it of the schedule; the other facts.
	const due = 2 + 3 + 5
	const always = due + 8
	for _, tt := range []struct {
		name         string
		edit         func(*world)
		rounds, keys int
	}{
		{"no pulse", func(w *world) { w.pulse = nil }, 2, due},
		{"undecryptable", func(w *world) { w.seal = 1001 }, 2, due},
		{"no threshold", func(w *world) { w.threshold = 0 }, 3, always},
		{"owner", func(w *world) { w.owner = alice }, 3, always},
		{"stake", func(*world) {}, 4, always + 5},
		{"commit-reveal off", func(w *world) { w.commitReveal = false }, 4, always + 5 + 2},
		{"a parent", func(w *world) { w.parent = true }, 5, always + 5 + 2},
		{"old rules", func(w *world) { w.spec, w.epoch, w.block = 319, 8, 901; w.mecid = 0 }, 4, 2 + 10 + 1 + 5}, // with MaxWeightsLimit
	} {
		w := newWorld()
		tt.edit(w)
		all, c := w.build(t)
		s := &sparse{all: all, known: store{}, asked: map[string]bool{}}
		rounds := 0
		for {
			rounds++
			_, err := ReadFate(s, w.netuid, w.mecid, w.epoch, c.Hash(), w.hotkey, w.block, nil, w.rules(t))
			if err == nil {
				break
			}
			if !errors.Is(err, subtensor.ErrUnproven) || rounds > 10 {
				t.Fatalf("%s: %v", tt.name, err)
			}
			for k := range s.asked {
				s.known[k] = all[k]
			}
		}
		if rounds-1 != tt.rounds || len(s.asked) != tt.keys {
			t.Errorf("%s: %d rounds for %d keys, want %d for %d", tt.name, rounds-1, len(s.asked), tt.rounds, tt.keys)
		}
	}
}
