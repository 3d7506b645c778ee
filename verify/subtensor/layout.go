package subtensor

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/taolight/taolight/verify"
)

// A form is of what types the keys of an item and its value are. Types are written as they are encoded: names
// of structs and newtypes are left out, and so are the brackets of a struct with one field. An array is
// [u8;32], a sequence Vec<T>, a struct or tuple (T,T).
type form struct{ keys, value string }

const (
	accountForm = "[u8;32]"
	byAll       = "Vec<u16>"
)

// forms has every item of the table. What the chain's own types are is said there.
var forms = map[string]form{
	"Weights":                 {"u16 u16", "Vec<(u16,u16)>"},
	"Bonds":                   {"u16 u16", "Vec<(u16,u16)>"},
	"LastUpdate":              {"u16", "Vec<u64>"},
	"Incentive":               {"u16", byAll},
	"WeightCommits":           {"u16 " + accountForm, "Vec<([u8;32],u64,u64,u64)>"},
	"TimelockedWeightCommits": {"u16 u64", "Vec<([u8;32],u64,Vec<u8>,u64)>"},

	"Keys":                {"u16 u16", accountForm},
	"Uids":                {"u16 " + accountForm, "u16"},
	"BlockAtRegistration": {"u16 u16", "u64"},
	"TotalHotkeyAlpha":    {accountForm + " u16", "u64"},
	"ChildKeys":           {accountForm + " u16", "Vec<(u64,[u8;32])>"},
	"ParentKeys":          {accountForm + " u16", "Vec<(u64,[u8;32])>"},

	"IsNetworkMember":     {accountForm + " u16", "bool"},
	"Axons":               {"u16 " + accountForm, "(u64,u32,u128,u16,u8,u8,u8,u8)"},
	"Owner":               {accountForm, accountForm},
	"OwnedHotkeys":        {accountForm, "Vec<[u8;32]>"},
	"StakingHotkeys":      {accountForm, "Vec<[u8;32]>"},
	"Alpha":               {accountForm + " " + accountForm + " u16", "u128"},
	"TotalHotkeyShares":   {accountForm + " u16", "u128"},
	"AlphaV2":             {accountForm + " " + accountForm + " u16", "(u128,i64)"},
	"TotalHotkeySharesV2": {accountForm + " u16", "(u128,i64)"},

	"Active":          {"u16", "Vec<bool>"},
	"ValidatorPermit": {"u16", "Vec<bool>"},
	"Consensus":       {"u16", byAll},
	"Dividends":       {"u16", byAll},
	"ValidatorTrust":  {"u16", byAll},
	"StakeWeight":     {"u16", byAll},
	"Emission":        {"u16", "Vec<u64>"},
	"Rank":            {"u16", byAll},
	"Trust":           {"u16", byAll},

	"NetworksAdded":              {"u16", "bool"},
	"SubnetworkN":                {"u16", "u16"},
	"SubnetOwnerHotkey":          {"u16", accountForm},
	"MechanismCountCurrent":      {"u16", "u8"},
	"MechanismEmissionSplit":     {"u16", byAll},
	"Tempo":                      {"u16", "u16"},
	"Kappa":                      {"u16", "u16"},
	"MaxAllowedValidators":       {"u16", "u16"},
	"MinAllowedWeights":          {"u16", "u16"},
	"MaxWeightsLimit":            {"u16", "u16"},
	"WeightsVersionKey":          {"u16", "u64"},
	"WeightsSetRateLimit":        {"u16", "u64"},
	"ImmunityPeriod":             {"u16", "u16"},
	"ActivityCutoff":             {"u16", "u16"},
	"ActivityCutoffFactorMilli":  {"u16", "u32"},
	"BondsPenalty":               {"u16", "u16"},
	"BondsMovingAverage":         {"u16", "u64"},
	"AlphaSigmoidSteepness":      {"u16", "i16"},
	"AlphaValues":                {"u16", "(u16,u16)"},
	"Yuma3On":                    {"u16", "bool"},
	"LiquidAlphaOn":              {"u16", "bool"},
	"CommitRevealWeightsEnabled": {"u16", "bool"},
	"RevealPeriodEpochs":         {"u16", "u64"},
	"LastMechansimStepBlock":     {"u16", "u64"},
	"BlocksSinceLastStep":        {"u16", "u64"},
	"LastEpochBlock":             {"u16", "u64"},
	"PendingEpochAt":             {"u16", "u64"},
	"SubnetEpochIndex":           {"u16", "u64"},
	"PendingServerEmission":      {"u16", "u64"},
	"PendingValidatorEmission":   {"u16", "u64"},
	"PendingRootAlphaDivs":       {"u16", "u64"},
	"PendingOwnerCut":            {"u16", "u64"},

	"SubnetOwner":                   {"u16", accountForm},
	"TokenSymbol":                   {"u16", "Vec<u8>"},
	"SubnetIdentitiesV3":            {"u16", "(" + strings.Repeat("Vec<u8>,", 7) + "Vec<u8>)"},
	"MaxAllowedUids":                {"u16", "u16"},
	"NetworkRegistrationAllowed":    {"u16", "bool"},
	"NetworkPowRegistrationAllowed": {"u16", "bool"},
	"NetworkRegisteredAt":           {"u16", "u64"},
	"FirstEmissionBlockNumber":      {"u16", "u64"},
	"SubtokenEnabled":               {"u16", "bool"},
	"ServingRateLimit":              {"u16", "u64"},
	"Burn":                          {"u16", "u64"},
	"MinBurn":                       {"u16", "u64"},
	"MaxBurn":                       {"u16", "u64"},
	"Difficulty":                    {"u16", "u64"},
	"SubnetTAO":                     {"u16", "u64"},
	"SubnetAlphaIn":                 {"u16", "u64"},
	"SubnetAlphaOut":                {"u16", "u64"},
	"SubnetAlphaOutEmission":        {"u16", "u64"},

	"TaoWeight":                  {"", "u64"},
	"StakeThreshold":             {"", "u64"},
	"MaxEpochsPerBlock":          {"", "u8"},
	"CommitRevealWeightsVersion": {"", "u16"},

	"Pulses":             {"u64", "(u64,Vec<u8>,Vec<u8>)"},
	"LastStoredRound":    {"", "u64"},
	"OldestStoredRound":  {"", "u64"},
	"BeaconConfig":       {"", "(Vec<u8>,u32,u32,Vec<u8>,Vec<u8>,Vec<u8>,Vec<u8>)"},
	"Account":            {accountForm, "(u32,u32,u32,u32,(u64,u64,u64,u128))"},
	"BlockHash":          {"u32", "[u8;32]"},
	"LastRuntimeUpgrade": {"", "(Compact<u32>,str)"},
	"Now":                {"", "u64"},
}

// A Declaration is what the metadata of a runtime says of a storage item.
type Declaration struct {
	Hashers  []string // of its keys, in order, such as "Blake2_128Concat"
	Keys     []string // the type of each key, written as it is encoded: see the package's own table
	Value    string   // the type of the value, likewise
	Default  []byte   // what is read where there is no value
	Optional bool     // where there is no value, none is read
}

// A Layout is how one runtime lays its storage out, as far as it differs from what this package takes for
// granted. So a runtime newer than this package is read by its own word where that is enough, and with
// ErrLayout where it is not: never wrongly.
type Layout struct {
	declared map[string]Declaration
	moved    map[string]*movedItem // by what the keys of the item begin with
}

type movedItem struct {
	name string
	item item
	Declaration
	err error // why values of it cannot be read
}

// NewLayout compares what a runtime declares of the items of this package with what they are here. declared
// tells what its metadata says of an item, or that it has none.
func NewLayout(declared func(pallet, item string) (Declaration, bool)) *Layout {
	l := &Layout{declared: make(map[string]Declaration), moved: make(map[string]*movedItem)}
	for name, it := range items {
		d, ok := declared(it.pallet, name)
		if !ok {
			continue // it is read as absent, and whether that is so its proof says
		}
		l.declared[name] = d
		var hashers []string
		for _, h := range it.hashers {
			hashers = append(hashers, h.String())
		}
		f := forms[name]
		m := &movedItem{name: name, item: it, Declaration: d}
		switch {
		case strings.Join(d.Keys, " ") != f.keys || len(d.Hashers) != len(d.Keys):
			m.err = fmt.Errorf("%s.%s: %w: its keys are (%s) in this runtime, not (%s)", it.pallet, name, ErrLayout, strings.Join(d.Keys, " "), f.keys)
		case d.Value != f.value:
			m.err = fmt.Errorf("%s.%s: %w: it is a %s in this runtime, not a %s", it.pallet, name, ErrLayout, d.Value, f.value)
		case !slices.Equal(d.Hashers, hashers):
		case it.absent != nil && !d.Optional && !bytes.Equal(it.absent, d.Default):
		default:
			continue
		}
		for _, h := range d.Hashers {
			if m.err == nil && !slices.Contains(hasherNames[:], h) {
				m.err = fmt.Errorf("%s.%s: %w: its keys are hashed by %q", it.pallet, name, ErrLayout, h)
			}
		}
		l.moved[string(verify.StorageKey(it.pallet, name))] = m
	}
	return l
}

// Has reports whether the runtime has an item of this package.
func (l *Layout) Has(item string) bool {
	_, ok := l.declared[item]
	return ok
}

// Differs says of each item that this runtime has otherwise than this package what it is like, by name.
func (l *Layout) Differs() []string {
	var list []string
	for _, m := range l.moved {
		switch {
		case m.err != nil:
			list = append(list, m.err.Error())
		default:
			list = append(list, fmt.Sprintf("%s.%s: hashed by %s, 0x%x where there is none", m.item.pallet, m.name, strings.Join(m.Hashers, "+"), m.Default))
		}
	}
	slices.Sort(list)
	return list
}

// Over returns a State that reads s, which is laid out as l says: it is asked by the keys of this package.
func (l *Layout) Over(s State) State {
	if l == nil || len(l.moved) == 0 {
		return s
	}
	return laidOut{l, s}
}

type laidOut struct {
	layout *Layout
	state  State
}

func (s laidOut) Load(keys ...[]byte) ([][]byte, error) {
	asked := slices.Clone(keys)
	for i, k := range keys {
		var err error
		if asked[i], err = s.layout.Key(k); err != nil {
			return nil, err
		}
	}
	values, err := s.state.Load(asked...)
	if err != nil {
		return nil, err
	}
	for i, k := range keys {
		if m := s.layout.of(k); m != nil && values[i] == nil && m.item.absent != nil && !m.Optional {
			values[i] = m.Default
		}
	}
	return values, nil
}

func (l *Layout) of(key []byte) *movedItem {
	if l == nil || len(key) < prefixSize {
		return nil
	}
	return l.moved[string(key[:prefixSize])]
}

const prefixSize = 32 // of what all keys of an item begin with

// Key returns what a key of this package, or the beginning of one up to the end of a part, is in this
// runtime's layout. ErrLayout if that cannot be said.
func (l *Layout) Key(key []byte) ([]byte, error) {
	m := l.of(key)
	if m == nil {
		return key, nil
	}
	if m.err != nil {
		return nil, m.err
	}
	parts, err := m.split(key, func(i int) string { return m.item.hashers[i].String() })
	if err != nil {
		return nil, err
	}
	out := bytes.Clone(key[:prefixSize])
	for i, p := range parts {
		out = appendHashed(out, m.Hashers[i], p)
	}
	return out, nil
}

// Back returns what a key of this runtime's layout is as a key of this package: the way back from Key.
func (l *Layout) Back(key []byte) ([]byte, error) {
	m := l.of(key)
	if m == nil {
		return key, nil
	}
	if m.err != nil {
		return nil, m.err
	}
	parts, err := m.split(key, func(i int) string { return m.Hashers[i] })
	if err != nil {
		return nil, err
	}
	out := bytes.Clone(key[:prefixSize])
	for i, p := range parts {
		out = appendHashed(out, m.item.hashers[i].String(), p)
	}
	return out, nil
}

// split takes a key apart into what was hashed.
func (m *movedItem) split(key []byte, by func(int) string) (parts [][]byte, err error) {
	rest := key[prefixSize:]
	for i, t := range m.Keys {
		if len(rest) == 0 {
			return parts, nil // the beginning of a key
		}
		skip, size := hashSize(by(i)), sizes[t]
		if len(rest) < skip+size {
			return nil, fmt.Errorf("%s.%s: %w: a key of %d bytes", m.item.pallet, m.name, ErrLayout, len(key))
		}
		parts, rest = append(parts, rest[skip:skip+size]), rest[skip+size:]
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("%s.%s: %w: a key of %d bytes", m.item.pallet, m.name, ErrLayout, len(key))
	}
	return parts, nil
}

var sizes = map[string]int{"u16": 2, "u32": 4, "u64": 8, accountForm: 32}

// hasherNames are the hashers as metadata names them. frame_support has others, which keep no key.
var hasherNames = [...]string{identity: "Identity", twox64: "Twox64Concat", blake2: "Blake2_128Concat"}

// String returns the hasher as metadata names it.
func (h hasher) String() string { return hasherNames[h] }

// hashSize returns how many bytes of a hash stand before a key.
func hashSize(hasher string) int {
	switch hasher {
	case "Twox64Concat":
		return 8
	case "Blake2_128Concat":
		return 16
	}
	return 0
}

func appendHashed(b []byte, hasher string, key []byte) []byte {
	switch hasher {
	case "Twox64Concat":
		return verify.AppendTwox64Concat(b, key)
	case "Blake2_128Concat":
		return verify.AppendBlake2b128Concat(b, key)
	}
	return append(b, key...)
}
