package subtensor

import (
	"errors"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
)

const tao = 1_000_000_000 // rao

// TestIssuances: the thresholds are those of 21 million TAO: half of what is left at each halving.
func TestIssuances(t *testing.T) {
	const all, half = 21_000_000 * tao, 10_500_000 * tao
	of := func(total, balances uint64) Issuance { return Issuance{425, total, balances} }
	for name, c := range map[string]struct {
		before, after Issuance
		want          [4]Finding // issuance, balances, growth, mint
	}{
		"the whole emission":         {of(half-30*tao, half), of(half-29*tao, half+tao), [4]Finding{OK, OK, OK, OK}},
		"a rao more":                 {of(half-30*tao, half), of(half-29*tao+1, half+tao), [4]Finding{OK, OK, Differs, OK}},
		"some recycled":              {of(half-30*tao, half), of(half-30*tao+1, half+tao), [4]Finding{OK, OK, OK, OK}},
		"all recycled":               {of(half-30*tao, half), of(half-30*tao, half), [4]Finding{OK, OK, OK, OK}},
		"more recycled":              {of(half-30*tao, half), of(half-30*tao-1, half), [4]Finding{OK, OK, Undecided, Undecided}},
		"the last before the first":  {of(half-1, half), of(half-1+tao, half+tao), [4]Finding{OK, OK, OK, OK}},
		"the first halved":           {of(half, half), of(half+tao/2, half+tao), [4]Finding{OK, OK, OK, OK}},
		"not halved":                 {of(half, half), of(half+tao/2+1, half+tao), [4]Finding{OK, OK, Differs, OK}},
		"halved twice":               {of(15_750_000*tao, half), of(15_750_000*tao+tao/4, half), [4]Finding{OK, OK, OK, OK}},
		"not halved twice":           {of(15_750_000*tao, half), of(15_750_000*tao+tao/2, half), [4]Finding{OK, OK, Differs, OK}},
		"room for all of it":         {of(half, all-tao/2), of(half+tao/2, all), [4]Finding{OK, OK, OK, OK}},
		"room for less":              {of(half, all-tao/2+1), of(half+tao/2, all), [4]Finding{OK, OK, OK, Differs}},
		"no room":                    {of(half, all), of(half+1, all), [4]Finding{OK, OK, OK, Differs}},
		"balances beyond all":        {of(half, all+1), of(half, all+1), [4]Finding{OK, Differs, OK, OK}},
		"the end":                    {of(all, all), of(all, all), [4]Finding{OK, OK, OK, OK}},
		"beyond the end":             {of(all, all), of(all+1, all), [4]Finding{Differs, OK, Differs, Differs}},
		"numbers that no chain has":  {of(0, 1<<64-1), of(1<<64-1, 1<<64-1), [4]Finding{Differs, Differs, Differs, Differs}},
		"an upgrade in the block":    {Issuance{424, half, half}, of(half+5*tao, half), [4]Finding{OK, OK, Undecided, Undecided}},
		"an upgrade, and too many":   {Issuance{424, half, half}, of(all+1, half), [4]Finding{Differs, OK, Undecided, Undecided}},
		"from nothing at the start":  {of(0, 0), of(tao, tao), [4]Finding{OK, OK, OK, OK}},
		"too much at the start":      {of(0, 0), of(tao+1, tao), [4]Finding{OK, OK, Differs, OK}},
		"a fall of all to nothing":   {of(all, all), of(0, 0), [4]Finding{OK, OK, Undecided, Undecided}},
		"less than one rao a block":  {of(all-1, all-1), of(all-1, all-1), [4]Finding{OK, OK, OK, OK}},
		"a rao where none is issued": {of(all-1, all-1), of(all, all), [4]Finding{OK, OK, Differs, OK}},
	} {
		for i, got := range CheckIssuances(&c.before, c.after, "never") {
			if got.Finding != c.want[i] || got.Netuid != -1 || (got.Finding == Undecided) != (got.Why != "") || got.Why == "never" {
				t.Errorf("%s: %+v, want %v", name, got, c.want[i])
			}
		}
	}
	for _, c := range CheckIssuances(nil, of(all+1, all), "pruned") {
		want := map[string]Finding{"issuance": Differs, "balances": OK, "growth": Undecided, "mint": Undecided}[c.Name]
		if c.Finding != want || (want == Undecided) != (c.Why == "pruned") {
			t.Errorf("nothing before: %+v", c)
		}
	}
}

func TestReadIssuance(t *testing.T) {
	s := make(storage)
	s.put(KeyLastRuntimeUpgrade(), append(scale.AppendCompact(nil, 425), scale.AppendBlob(nil, []byte("node-subtensor"))...))
	s.put(verify.StorageKey("SubtensorModule", "TotalIssuance"), u64(7))
	if got, err := ReadIssuance(s); err != nil || got != (Issuance{425, 7, 0}) {
		t.Errorf("%+v, %v", got, err)
	}
	s.put(verify.StorageKey("Balances", "TotalIssuance"), u64(8))
	if got, err := ReadIssuance(s); err != nil || got != (Issuance{425, 7, 8}) {
		t.Errorf("%+v, %v", got, err)
	}
	s.put(verify.StorageKey("Balances", "TotalIssuance"), make([]byte, 9))
	if _, err := ReadIssuance(s); !errors.Is(err, ErrLayout) {
		t.Errorf("9 bytes: %v", err)
	}
	if _, err := ReadIssuance(make(storage)); !errors.Is(err, ErrLayout) {
		t.Errorf("no runtime: %v", err)
	}
}

// TestEmissionOfAlpha: a subnet's participants get what a block emits at the issuance of its alpha.
func TestEmissionOfAlpha(t *testing.T) {
	set := func(spec uint32) rules.Set {
		r, err := rules.For(spec)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := uint64(5)
	good := Subnet{Exists: true, FirstEmission: &first, SubtokenEnabled: true, RegistrationAllowed: true, AlphaIn: 100 * tao, AlphaOut: 200 * tao}
	with := func(f func(*Subnet)) *Subnet { s := good; f(&s); return &s }
	emitted := func(v uint64) *Subnet { return with(func(s *Subnet) { s.Emission = v }) }
	for name, c := range map[string]struct {
		before, after *Subnet
		was, spec     uint32
		want          Finding
		none          bool
	}{
		"right":             {&good, emitted(tao), 425, 425, OK, false},
		"a rao more":        {&good, emitted(tao + 1), 425, 425, Differs, false},
		"a rao less":        {&good, emitted(tao - 1), 425, 425, Differs, false},
		"after its halving": {with(func(s *Subnet) { s.AlphaOut = 10_500_000 * tao }), emitted(tao / 2), 425, 425, OK, false},
		"not halved":        {with(func(s *Subnet) { s.AlphaOut = 10_500_000 * tao }), emitted(tao), 425, 425, Differs, false},
		"a sum beyond all":  {with(func(s *Subnet) { s.AlphaIn, s.AlphaOut = 1<<64-1, 2 }), emitted(0), 425, 425, OK, false},
		"not started":       {with(func(s *Subnet) { s.FirstEmission = nil }), emitted(9), 425, 425, 0, true},
		"token not enabled": {with(func(s *Subnet) { s.SubtokenEnabled = false }), emitted(9), 425, 425, 0, true},
		"no token needed":   {with(func(s *Subnet) { s.SubtokenEnabled = false }), emitted(9), 343, 343, Differs, false},
		"closed":            {with(func(s *Subnet) { s.RegistrationAllowed = false }), emitted(9), 425, 425, 0, true},
		"closed in it":      {&good, with(func(s *Subnet) { s.RegistrationAllowed, s.Emission = false, 9 }), 425, 425, Differs, false},
		"gone":              {&good, &Subnet{}, 425, 425, 0, true},
		"new in the block":  {&good, with(func(s *Subnet) { s.RegisteredAt = 70 }), 425, 425, Undecided, false},
		"upgraded":          {&good, emitted(9), 424, 425, Undecided, false},
		"unknown before":    {nil, emitted(9), 425, 425, Undecided, false},
	} {
		got, ok := CheckEmission(7, 70, c.before, c.after, c.was, set(c.spec), "pruned")
		if ok == c.none || ok && (got.Finding != c.want || got.Netuid != 7 || got.Name != "alpha" || (got.Finding == Undecided) != (got.Why != "")) {
			t.Errorf("%s: %+v, %t", name, got, ok)
		}
	}
}

func TestReadEmitting(t *testing.T) {
	s := tables7()
	s.put(KeySubnet("SubnetAlphaIn", 7), u64(11))
	s.put(KeySubnet("SubnetAlphaOut", 7), u64(12))
	list, err := ReadEmitting(s, []uint16{7, 8})
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	if x := list[0]; !x.Exists || x.FirstEmission == nil || *x.FirstEmission != 55 || x.SubtokenEnabled || !x.RegistrationAllowed || x.AlphaIn != 11 || x.AlphaOut != 12 {
		t.Errorf("%+v", x)
	}
	if x := list[1]; x.Exists || x.FirstEmission != nil || !x.RegistrationAllowed || x.AlphaIn != 0 {
		t.Errorf("one that does not exist: %+v", x)
	}
}
