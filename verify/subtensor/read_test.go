package subtensor

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
	"github.com/taolight/taolight/verify/yuma"
)

// storage is a State that knows everything: a key it lacks is absent.
type storage map[string][]byte

func (s storage) Load(keys ...[]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, k := range keys {
		if len(k) == 0 {
			return nil, errors.New("the key of nothing")
		}
		values[i] = s[string(k)]
	}
	return values, nil
}

func (s storage) put(key, value []byte) { s[string(key)] = value }

// recorder is a State that learns: what it was asked for and does not know yet, it notes.
type recorder struct {
	from    storage
	known   map[string]bool
	missing []string
	loads   int
}

func (r *recorder) Load(keys ...[]byte) ([][]byte, error) {
	r.loads++
	for _, k := range keys {
		if !r.known[string(k)] {
			r.missing = append(r.missing, string(k))
		}
	}
	if len(r.missing) > 0 {
		return nil, fmt.Errorf("%w: %d keys", ErrUnproven, len(r.missing))
	}
	return r.from.Load(keys...)
}

// rounds runs a read until nothing is missing, and returns how many times it took and with how many
// keys.
func rounds(t *testing.T, s storage, read func(State) error) (times, keys int) {
	t.Helper()
	r := &recorder{from: s, known: map[string]bool{}}
	for times = 1; ; times++ {
		err := read(r)
		if err == nil {
			return times - 1, len(r.known)
		}
		if !errors.Is(err, ErrUnproven) || len(r.missing) == 0 || times > 10 {
			t.Fatalf("after %d times: %v", times, err)
		}
		for _, k := range r.missing {
			r.known[k] = true
		}
		r.missing = nil
	}
}

func account(b byte) (a verify.AccountID) {
	a[0], a[31] = b, 0xee
	return a
}

func vector[T any](appendTo func([]byte, T) []byte, v ...T) []byte {
	b := scale.AppendCompact(nil, uint64(len(v)))
	for _, x := range v {
		b = appendTo(b, x)
	}
	return b
}

// subnet7 is a state with a subnet of three neurons, of which the second owns it. Its vectors are of
// the lengths that the chain leaves them at: LastUpdate is short, StakeWeight was never written, and
// Emission is long.
func subnet7() storage {
	s := storage{}
	s.put(KeyLastRuntimeUpgrade(), RuntimeUpgrade{425, "node-subtensor"}.Append(nil))
	s.put(KeySubnet("NetworksAdded", 7), []byte{1})
	s.put(KeySubnet("SubnetworkN", 7), u16(3))
	s.put(KeySubnet("SubnetOwnerHotkey", 7), bytes.Clone(accountSlice(1)))
	s.put(KeySubnet("Tempo", 7), u16(99))
	s.put(KeySubnet("LastEpochBlock", 7), u64(1000))
	s.put(KeySubnet("PendingEpochAt", 7), u64(1050))
	s.put(KeySubnet("SubnetEpochIndex", 7), u64(12))
	s.put(KeySubnet("BlocksSinceLastStep", 7), u64(40))
	s.put(KeySubnet("LastMechansimStepBlock", 7), u64(999))
	s.put(KeySubnet("RevealPeriodEpochs", 7), u64(3))
	s.put(KeySubnet("CommitRevealWeightsEnabled", 7), []byte{0})
	s.put(KeySubnet("AlphaValues", 7), append(u16(1), u16(2)...))
	s.put(KeySubnet("AlphaSigmoidSteepness", 7), u16(0xfc18)) // -1000
	s.put(KeySubnet("Yuma3On", 7), []byte{1})
	s.put(KeySubnet("MechanismCountCurrent", 7), []byte{2})
	s.put(KeySubnet("ActivityCutoffFactorMilli", 7), u32(70_000))
	s.put(KeyValue("StakeThreshold"), u64(5_000))
	s.put(KeyValue("TaoWeight"), u64(math.MaxUint64))
	for uid := range byte(3) {
		s.put(KeyKeys(7, uint16(uid)), bytes.Clone(accountSlice(uid)))
		s.put(KeyUids(7, account(uid)), u16(uint16(uid)))
		s.put(KeyBlockAtRegistration(7, uint16(uid)), u64(100+uint64(uid)))
	}
	s.put(KeyLastUpdate(7), vector(scale.AppendU64, 900))
	s.put(KeySubnet("Emission", 7), vector(scale.AppendU64, 1, 2, 3, 4))
	s.put(KeySubnet("Active", 7), vector(scale.AppendBool, true, false, true))
	s.put(KeySubnet("ValidatorPermit", 7), vector(scale.AppendBool, false, true))
	s.put(KeySubnet("Incentive", 7), vector(scale.AppendU16, 10, 20, 30))
	s.put(KeySubnet("Consensus", 7), vector(scale.AppendU16, 11, 21, 31))
	s.put(KeySubnet("Dividends", 7), vector(scale.AppendU16, 12, 22, 32))
	s.put(KeySubnet("ValidatorTrust", 7), vector(scale.AppendU16, 13, 23, 33))
	s.put(KeyWeights(7, 1), AppendWeights(nil, []Weight{{2, 5}, {0, 65535}}))
	s.put(KeyWeights(7, 2), AppendWeights(nil, nil))
	s.put(KeyBonds(7, 1), AppendWeights(nil, []Weight{{0, 7}}))
	return s
}

func accountSlice(b byte) []byte { a := account(b); return a[:] }

func TestSnapshot(t *testing.T) {
	want := &Snapshot{
		Netuid: 7,
		Hyperparameters: Hyperparameters{
			Exists: true, N: 3, Owner: account(1), Mechanisms: 2,
			Tempo: 99, MaxAllowedValidators: 128, ImmunityPeriod: 4096,
			MinAllowedWeights: 1024, MaxWeightsLimit: 65535, WeightsSetRateLimit: 100,
			CommitRevealWeightsEnabled: false, RevealPeriodEpochs: 3,
			Kappa: 32767, BondsPenalty: 65535, BondsMovingAverage: 900000, Yuma3On: true,
			AlphaLow: 1, AlphaHigh: 2, AlphaSigmoidSteepness: -1000, ActivityCutoff: 5000, ActivityCutoffFactorMilli: 70000,
			TaoWeight: math.MaxUint64, StakeThreshold: 5000, MaxEpochsPerBlock: 2, CommitRevealWeightsVersion: 4,
		},
		Schedule: yuma.Schedule{Tempo: 99, LastEpochBlock: 1000, PendingEpochAt: 1050, SubnetEpochIndex: 12, BlocksSinceLastStep: 40},
		LastStep: 999,
		OwnerUID: 1,

		Hotkeys:             []verify.AccountID{account(0), account(1), account(2)},
		BlockAtRegistration: []uint64{100, 101, 102},
		LastUpdate:          []uint64{900, 0, 0},
		Active:              []bool{true, false, true},
		ValidatorPermit:     []bool{false, true, false},
		Consensus:           []uint16{11, 21, 31},
		Incentive:           []uint16{10, 20, 30},
		Dividends:           []uint16{12, 22, 32},
		ValidatorTrust:      []uint16{13, 23, 33},
		StakeWeight:         []uint16{0, 0, 0},
		Emission:            []uint64{1, 2, 3},
	}
	got, err := ReadSnapshot(subnet7(), 7)
	if err != nil {
		t.Fatal(err)
	}
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("got  %s\nwant %s", g, w)
	}
	// A subnet that does not exist has nobody.
	got, err = ReadSnapshot(subnet7(), 8)
	if err != nil || got.Exists || got.N != 0 || got.OwnerUID != -1 || len(got.Hotkeys)+len(got.LastUpdate)+len(got.StakeWeight) != 0 {
		t.Errorf("subnet 8: %+v, %v", got, err)
	}
}

func TestReads(t *testing.T) {
	s := subnet7()
	if spec, err := Spec(s); spec != 425 || err != nil {
		t.Errorf("Spec: %d, %v", spec, err)
	}
	if _, err := Spec(storage{}); !errors.Is(err, ErrLayout) {
		t.Errorf("Spec of nothing: %v", err)
	}
	if uid, ok, err := ReadUID(s, 7, account(2)); uid != 2 || !ok || err != nil {
		t.Errorf("ReadUID: %d, %t, %v", uid, ok, err)
	}
	if uid, ok, err := ReadUID(s, 8, account(2)); uid != 0 || ok || err != nil {
		t.Errorf("ReadUID of a stranger: %d, %t, %v", uid, ok, err)
	}
	if uid, ok, err := ReadOwnerUID(s, 7); uid != 1 || !ok || err != nil {
		t.Errorf("ReadOwnerUID: %d, %t, %v", uid, ok, err)
	}
	if _, ok, err := ReadOwnerUID(s, 8); ok || err != nil {
		t.Errorf("ReadOwnerUID without one: %t, %v", ok, err)
	}
	if row, ok, err := ReadWeights(s, 7, 1); !slices.Equal(row, []Weight{{2, 5}, {0, 65535}}) || !ok || err != nil {
		t.Errorf("ReadWeights: %v, %t, %v", row, ok, err)
	}
	if row, ok, err := ReadWeights(s, 7, 2); len(row) != 0 || !ok || err != nil {
		t.Errorf("ReadWeights, empty: %v, %t, %v", row, ok, err)
	}
	if row, ok, err := ReadWeights(s, 7, 0); row != nil || ok || err != nil {
		t.Errorf("ReadWeights, absent: %v, %t, %v", row, ok, err)
	}
	if row, ok, err := ReadBonds(s, 7, 1); !slices.Equal(row, []Weight{{0, 7}}) || !ok || err != nil {
		t.Errorf("ReadBonds: %v, %t, %v", row, ok, err)
	}
	if got, err := ReadHotkeys(s, 7); !slices.Equal(got, []verify.AccountID{account(0), account(1), account(2)}) || err != nil {
		t.Errorf("ReadHotkeys: %v, %v", got, err)
	}
	delete(s, string(KeyKeys(7, 1)))
	if got, err := ReadHotkeys(s, 7); !slices.Equal(got, []verify.AccountID{account(0), {}, account(2)}) || err != nil {
		t.Errorf("ReadHotkeys with a hole: %v, %v", got, err)
	}

	after := mustRules(t, 425)
	queue := []HashCommit{{Hash: verify.Hash{1}, Epoch: 3, Block: 4}}
	locked := []TimelockedCommit{{Hotkey: account(1), Block: 5, Ciphertext: []byte{6}, Round: 7}}
	s.put(KeyWeightCommits(4103, account(1)), AppendHashCommits(nil, queue, after))
	s.put(KeyTimelockedWeightCommits(4103, 12), AppendTimelockedCommits(nil, locked))
	if got, err := ReadHashCommits(s, 4103, account(1), after); !slices.Equal(got, queue) || err != nil {
		t.Errorf("ReadHashCommits: %v, %v", got, err)
	}
	if got, err := ReadHashCommits(s, 7, account(1), after); got != nil || err != nil {
		t.Errorf("ReadHashCommits, absent: %v, %v", got, err)
	}
	if got, err := ReadTimelockedCommits(s, 4103, 12); len(got) != 1 || got[0].Hash() != locked[0].Hash() || err != nil {
		t.Errorf("ReadTimelockedCommits: %v, %v", got, err)
	}
	if got, err := ReadTimelockedCommits(s, 4103, 13); got != nil || err != nil {
		t.Errorf("ReadTimelockedCommits, absent: %v, %v", got, err)
	}
}

func TestReadStake(t *testing.T) {
	const all, half = math.MaxUint64, 1 << 63
	s := subnet7() // the TAO weight is 1
	stake := func(who byte, alpha, root uint64) {
		s.put(KeyTotalHotkeyAlpha(account(who), 7), u64(alpha))
		s.put(KeyTotalHotkeyAlpha(account(who), 0), u64(root))
	}
	stake(0, 1000, 100)
	stake(1, 500, 0)
	stake(50, 8000, 40) // a parent that is no neuron
	s.put(KeyChildKeys(account(0), 7), AppendRelations(nil, []Relation{{half, account(1)}}))
	s.put(KeyParentKeys(account(1), 7), AppendRelations(nil, []Relation{{half, account(0)}, {all, account(50)}, {all, account(99)}}))

	// 2^63 of 2^64-1 is a little above a half, and exactly that at 32 bits; all of 2^64-1 is 1.
	want := []uint64{500 + 50, 500 + 500 + 8000 + 50 + 40, 0}
	got, err := ReadStakes(s, 7, []verify.AccountID{account(0), account(1), account(2)})
	if err != nil {
		t.Fatal(err)
	}
	for uid, w := range want {
		if got[uid].U64() != w {
			t.Errorf("stake of uid %d is %d, want %d", uid, got[uid].U64(), w)
		}
		one, err := ReadStake(s, 7, account(byte(uid)))
		if err != nil || one != got[uid] {
			t.Errorf("stake of uid %d alone is %d, %v", uid, one.U64(), err)
		}
	}
	// On another subnet, root stake alone counts, and all of it.
	if got, err := ReadStake(s, 8, account(0)); err != nil || got.U64() != 100 {
		t.Errorf("stake on subnet 8 is %d, %v", got.U64(), err)
	}
}

// TestRounds: how often a reader has to be sent for more keys, and that they are those that it needs.
// Children and parents are bounded for all hotkeys together: a list as long as the bound for one, which stands
// under the keys of many, is decoded once, and not for each.
func TestManyRelations(t *testing.T) {
	longest := AppendRelations(nil, make([]Relation, MaxRelations))
	for _, c := range []struct {
		hotkeys, parents, children int
		ok                         bool
	}{
		{1, 2048, 0, true}, {1, 2047, 1, true}, {1, 2049, 0, false}, {1, 2048, 1, false}, {1, 0, 2049, false},
		{64, 32, 0, true}, {64, 16, 16, true}, {64, 33, 0, false}, {256, 32, 0, true}, {256, 33, 0, false},
	} {
		s := storage{}
		var hotkeys []verify.AccountID
		for i := range c.hotkeys {
			hotkeys = append(hotkeys, account(byte(i)))
			s.put(KeyParentKeys(hotkeys[i], 7), AppendRelations(nil, make([]Relation, c.parents)))
			s.put(KeyChildKeys(hotkeys[i], 7), AppendRelations(nil, make([]Relation, c.children)))
		}
		_, err := ReadStakes(s, 7, hotkeys)
		if c.ok != (err == nil) || err != nil && (!errors.Is(err, ErrLayout) || !errors.Is(err, scale.ErrRange) || !strings.Contains(err.Error(), "Keys: ")) {
			t.Errorf("%+v: %v", c, err)
		}
		for _, h := range hotkeys {
			s.put(KeyParentKeys(h, 7), longest)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = ReadStakes(s, 7, hotkeys)
		runtime.ReadMemStats(&after)
		if size := after.TotalAlloc - before.TotalAlloc; err == nil || size > 1<<20 {
			t.Errorf("%d lists of %d: %v, %d bytes allocated", c.hotkeys, MaxRelations, err, size)
		}
	}
}

func TestRounds(t *testing.T) {
	s := subnet7()
	s.put(KeyParentKeys(account(1), 7), AppendRelations(nil, []Relation{{1, account(0)}, {1, account(50)}}))
	for _, c := range []struct {
		name        string
		read        func(State) error
		times, keys int
	}{
		{"Spec", func(s State) error { _, err := Spec(s); return err }, 1, 1},
		{"ReadSchedule", func(s State) error { _, err := ReadSchedule(s, 7); return err }, 1, 5},
		{"ReadHyperparameters", func(s State) error { _, err := ReadHyperparameters(s, 7); return err }, 1, 26},
		{"ReadUID", func(s State) error { _, _, err := ReadUID(s, 7, account(1)); return err }, 1, 1},
		{"ReadOwnerUID", func(s State) error { _, _, err := ReadOwnerUID(s, 7); return err }, 2, 2},
		{"ReadWeights", func(s State) error { _, _, err := ReadWeights(s, 7, 1); return err }, 1, 1},
		{"ReadHotkeys", func(s State) error { _, err := ReadHotkeys(s, 7); return err }, 2, 1 + 3},
		{"ReadStake", func(s State) error { _, err := ReadStake(s, 7, account(1)); return err }, 2, 1 + 4 + 2*2},
		{"ReadStake without parents", func(s State) error { _, err := ReadStake(s, 7, account(0)); return err }, 1, 1 + 4},
		{"ReadStakes", func(s State) error {
			_, err := ReadStakes(s, 7, []verify.AccountID{account(0), account(1), account(2)})
			return err
		}, 2, 1 + 3*4 + 2},
		// Tempo is asked for as a hyperparameter and for the schedule.
		{"ReadSnapshot", func(s State) error { _, err := ReadSnapshot(s, 7); return err }, 2, 26 + 4 + 10 + 3*2 + 1},
	} {
		if times, keys := rounds(t, s, c.read); times != c.times || keys != c.keys {
			t.Errorf("%s: %d times with %d keys, want %d with %d", c.name, times, keys, c.times, c.keys)
		}
	}
}

// TestLayoutNamesItem: each item, when its value has a byte too many, is ErrLayout by its name
// wherever it is read.
func TestLayoutNamesItem(t *testing.T) {
	read := func(s State) error {
		if _, err := Spec(s); err != nil {
			return err
		}
		if _, _, err := ReadOwnerUID(s, 7); err != nil {
			return err
		}
		if _, err := ReadSnapshot(s, 7); err != nil {
			return err
		}
		if _, _, err := ReadWeights(s, 7, 1); err != nil {
			return err
		}
		if _, _, err := ReadBonds(s, 7, 1); err != nil {
			return err
		}
		_, err := ReadStake(s, 7, account(0))
		return err
	}
	if err := read(subnet7()); err != nil {
		t.Fatal(err)
	}
	for key, value := range subnet7() {
		name := ""
		for item := range items {
			if strings.HasPrefix(key, string(Prefix(item))) {
				name = item
			}
		}
		for _, bad := range [][]byte{append(bytes.Clone(value), 0), value[:len(value)-1], {}} {
			s := subnet7()
			s[key] = bad
			err := read(s)
			if err != nil && errors.Is(err, ErrLayout) && strings.HasPrefix(err.Error(), name+": ") {
				continue
			}
			// Not every key of the state is read by these.
			if name == "Uids" && key != string(KeyUids(7, account(1))) || name == "Weights" && key != string(KeyWeights(7, 1)) {
				continue
			}
			t.Errorf("%s with %x: %v", name, bad, err)
		}
	}
}

// A State that breaks its word.
type liar struct{ values [][]byte }

func (l liar) Load(...[]byte) ([][]byte, error) { return l.values, nil }

func TestBatch(t *testing.T) {
	var v uint64
	for _, l := range []liar{{}, {make([][]byte, 2)}} {
		var q Batch
		q.Value("TaoWeight", &v)
		if err := q.Load(l); !errors.Is(err, ErrUnproven) {
			t.Errorf("%d values for a key: %v", len(l.values), err)
		}
	}
	// An empty batch asks nobody.
	if err := (&Batch{}).Load(nil); err != nil {
		t.Error(err)
	}
	for name, q := range map[string]func(*Batch){
		"no such item": func(q *Batch) { q.Subnet("Tempos", 7, &v) },
		"no place":     func(q *Batch) { q.Value("TaoWeight", v) },
		"wrong width":  func(q *Batch) { q.Value("CommitRevealWeightsVersion", &v) },
	} {
		var b Batch
		if q(&b); !errors.Is(b.Load(storage{}), ErrLayout) {
			t.Errorf("%s: %v", name, b.Load(storage{}))
		}
	}
	// Absent without a default leaves the place alone; present and empty is not absent.
	keep := []uint16{9}
	raw := Bytes{1}
	var q Batch
	q.Subnet("Consensus", 7, &keep)
	q.Subnet("Dividends", 7, &raw)
	if err := q.Load(storage{}); err != nil || !slices.Equal(keep, []uint16{9}) || raw != nil {
		t.Errorf("absent: %v, %x, %v", keep, raw, err)
	}
	if err := q.Load(storage{string(KeySubnet("Dividends", 7)): {}}); err != nil || raw == nil || len(raw) != 0 {
		t.Errorf("present and empty: %x, %v", raw, err)
	}
	// A bool is 0 or 1.
	var on bool
	q = Batch{}
	q.Subnet("Yuma3On", 7, &on)
	if err := q.Load(storage{string(KeySubnet("Yuma3On", 7)): {2}}); !errors.Is(err, ErrLayout) || !errors.Is(err, scale.ErrRange) {
		t.Errorf("a bool of 2: %v", err)
	}
}

// TestFromTrie reads a subnet out of the proof of exactly the keys that a recorder saw asked for, and
// finds every smaller proof unproven.
func TestFromTrie(t *testing.T) {
	s := subnet7()
	read := func(st State) (string, error) {
		snapshot, err := ReadSnapshot(st, 7)
		return fmt.Sprintf("%+v", snapshot), err
	}
	want, err := read(s)
	if err != nil {
		t.Fatal(err)
	}
	state := trie.From(trie.V1, s)
	var keys [][]byte
	r := &recorder{from: s, known: map[string]bool{}}
	for _, err := read(r); err != nil; _, err = read(r) {
		for _, k := range r.missing {
			r.known[k], keys = true, append(keys, []byte(k))
		}
		r.missing = nil
	}
	nodes := state.Prove(keys...)
	proof, err := trie.NewProof(state.Root(), nodes)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read(FromTrie(proof)); err != nil || got != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	for i := range nodes {
		less, err := trie.NewProof(state.Root(), slices.Concat(nodes[:i], nodes[i+1:]))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read(FromTrie(less)); !errors.Is(err, ErrUnproven) {
			t.Errorf("without entry %d: %v", i, err)
		}
	}
	if _, err := FromTrie(proof).Load(nil); !errors.Is(err, ErrUnproven) {
		t.Errorf("the key of nothing: %v", err)
	}
	values, err := FromTrie(proof).Load(KeySubnet("Tempo", 7), KeySubnet("Kappa", 7))
	if err != nil || !bytes.Equal(values[0], u16(99)) || values[1] != nil {
		t.Errorf("present and absent: %x, %v", values, err)
	}
}

// An empty value is present: the trie keeps it, and nil would mean absent.
func TestFromTrieEmptyValue(t *testing.T) {
	k := KeySubnet("Dividends", 7)
	state := trie.From(trie.V1, map[string][]byte{string(k): {}, string(KeySubnet("Tempo", 7)): u16(1)})
	proof, err := trie.NewProof(state.Root(), state.Prove(k))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := FromTrie(proof).Load(k); err != nil || v[0] == nil || len(v[0]) != 0 {
		t.Errorf("%x, %v", v, err)
	}
}

// FuzzReads gives hostile values to every typed read: an error or an answer, never a panic, and
// vectors of the subnet's length.
func FuzzReads(f *testing.F) {
	f.Add([]byte{3, 0}, []byte{0}, uint16(0))
	f.Add([]byte{3, 0}, []byte{4, 1, 0, 0, 0, 0, 0, 0, 0}, uint16(9))
	f.Add([]byte{255, 1}, []byte{1}, uint16(40))
	f.Fuzz(func(t *testing.T, n, value []byte, which uint16) {
		if len(n) > 1 {
			n[1] &= 1 // few neurons: it is their vectors that are looked at
		}
		s := subnet7()
		keys := make([]string, 0, len(s))
		for k := range s {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		s[keys[int(which)%len(keys)]] = value
		s.put(KeySubnet("SubnetworkN", 7), n)
		if got, err := ReadSnapshot(s, 7); err == nil {
			for _, l := range []int{len(got.Hotkeys), len(got.LastUpdate), len(got.Active), len(got.StakeWeight), len(got.Emission)} {
				if l != int(got.N) {
					t.Fatalf("%d entries for %d neurons", l, got.N)
				}
			}
		} else if !errors.Is(err, ErrLayout) {
			t.Fatal(err)
		}
		for _, err := range []error{
			func() error { _, err := Spec(s); return err }(),
			func() error { _, _, err := ReadOwnerUID(s, 7); return err }(),
			func() error { _, _, err := ReadWeights(s, 7, 1); return err }(),
			func() error { _, err := ReadStake(s, 7, account(1)); return err }(),
			func() error { _, err := ReadIssuance(s); return err }(),
			func() error { _, err := ReadEmitting(s, []uint16{7, 8}); return err }(),
		} {
			if err != nil && !errors.Is(err, ErrLayout) {
				t.Fatal(err)
			}
		}
	})
}
