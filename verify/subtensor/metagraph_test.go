package subtensor

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
)

// axonHex is an AxonInfo by hand: block 0x0102030405060708, version 10002000, 203.0.113.5, port 8091,
// IPv4, protocol 4.
const axonHex = "0807060504030201" + "509e9800" + "057100cb" + "000000000000000000000000" + "9b1f" + "04" + "04" + "0000"

// tables7 is subnet7 with what the tables have besides. Hotkey 1 is of coldkey 101, which has three
// quarters of its stake; hotkey 2 is all its owner's, in shares of the old kind.
func tables7() storage {
	s := subnet7()
	hot1, hot2, cold := account(1), account(2), account(101)
	s.put(KeySubnet("TokenSymbol", 7), scale.AppendBlob(nil, []byte("η")))
	s.put(KeySubnet("SubnetOwner", 7), cold[:])
	s.put(KeySubnet("Burn", 7), u64(123_456_789))
	s.put(KeySubnet("FirstEmissionBlockNumber", 7), u64(55))
	s.put(KeySubnet("SubnetIdentitiesV3", 7), append(scale.AppendBlob(nil, []byte("seven")), 0, 0, 0, 0, 0, 4, 'x', 0))
	s.put(KeyAxons(7, hot1), unhexed(axonHex))
	for uid := range byte(3) {
		owner := account(100 + uid)
		s.put(KeyOwner(account(uid)), owner[:])
		s.put(KeyTotalHotkeyAlpha(account(uid), 7), u64(1000*uint64(uid)))
	}
	s.put(KeyTotalHotkeyAlpha(hot1, 0), u64(77))
	s.put(KeySubnet("Rank", 7), vector(scale.AppendU16, 5, 6))
	s.put(KeySubnet("Trust", 7), vector(scale.AppendU16, 7, 8, 9))

	s.put(KeyAccount(cold), unhexed("05000000"+"00000000"+"01000000"+"00000000"+"00ca9a3b00000000"+"0100000000000000"+"0200000000000000"+"00000000000000000000000000000080"))
	list := append(scale.AppendCompact(nil, 2), hot1[:]...)
	s.put(key("OwnedHotkeys", cold[:]), append(list, hot2[:]...))
	s.put(key("StakingHotkeys", cold[:]), append(scale.AppendCompact(nil, 1), hot1[:]...))
	float := func(mantissa uint64, exponent int64) []byte {
		return u64s(mantissa, 0, uint64(exponent))
	}
	s.put(key("AlphaV2", hot1[:], cold[:], u16(7)), float(75, -1))
	s.put(key("TotalHotkeySharesV2", hot1[:], u16(7)), float(1, 1))
	s.put(key("Alpha", hot2[:], cold[:], u16(7)), u64s(1<<63, 4))
	s.put(key("TotalHotkeyShares", hot2[:], u16(7)), u64s(1<<63, 4))
	return s
}

func unhexed(s string) []byte {
	b, err := verify.ParseHex("0x" + s)
	if err != nil {
		panic(err)
	}
	return b
}

func u64s(v ...uint64) (b []byte) {
	for _, x := range v {
		b = scale.AppendU64(b, x)
	}
	return b
}

func TestAxon(t *testing.T) {
	a, err := DecodeAxon(unhexed(axonHex))
	want := Axon{Block: 0x0102030405060708, Version: 10_002_000, IP: [16]byte{12: 203, 0, 113, 5}, Port: 8091, IPType: 4, Protocol: 4}
	if err != nil || a != want {
		t.Errorf("%+v, %v", a, err)
	}
	if b := a.Append(nil); !bytes.Equal(b, unhexed(axonHex)) {
		t.Errorf("encodes to %x", b)
	}
	for _, b := range [][]byte{nil, unhexed(axonHex)[:33], append(unhexed(axonHex), 0)} {
		if _, err := DecodeAxon(b); !errors.Is(err, ErrLayout) || !strings.Contains(err.Error(), "Axons") {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}

func TestReadMetagraph(t *testing.T) {
	old, err := rules.For(343)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ReadMetagraph(tables7(), 7, mustRules(t, 425))
	if err != nil {
		t.Fatal(err)
	}
	if string(m.Symbol) != "η" || m.N != 3 || m.Rank != nil || m.Trust != nil || m.Axons[0] != nil || m.Axons[1].Port != 8091 ||
		m.Coldkeys[2] != account(102) || !slices.Equal(m.Alpha, []uint64{0, 1000, 2000}) || !slices.Equal(m.Root, []uint64{0, 77, 0}) {
		t.Errorf("%+v", m)
	}
	// TaoWeight is all of a TAO there, less what the division to 32 places cuts.
	if got := m.Stake[1].U64(); got != 1077 {
		t.Errorf("stake %d", got)
	}
	m, err = ReadMetagraph(tables7(), 7, old)
	if err != nil || !slices.Equal(m.Rank, []uint16{5, 6, 0}) || !slices.Equal(m.Trust, []uint16{7, 8, 9}) {
		t.Errorf("with ranks: %+v, %v", m, err)
	}
	if m, err := ReadMetagraph(storage{}, 9, mustRules(t, 425)); err != nil || m.N != 0 || string(m.Symbol) != "𝜏" || len(m.Stake) != 0 {
		t.Errorf("none: %+v, %v", m, err)
	}
	set := mustRules(t, 425)
	times, _ := rounds(t, tables7(), func(s State) error { _, err := ReadMetagraph(s, 7, set); return err })
	if times != 3 {
		t.Errorf("it takes %d rounds, want 3: the table, the neurons, what is theirs", times)
	}
}

func TestReadSubnets(t *testing.T) {
	list, err := ReadSubnets(tables7(), []uint16{7, 8})
	if err != nil || len(list) != 2 {
		t.Fatal(err)
	}
	s := list[0]
	if !s.Exists || string(s.Symbol) != "η" || string(s.Name) != "seven" || s.Owner != account(101) || s.Burn != 123_456_789 || s.MinBurn != 500_000 ||
		s.FirstEmission == nil || *s.FirstEmission != 55 || s.MaxN != 256 || s.Schedule.LastEpochBlock != 1000 || !s.RegistrationAllowed || s.SubtokenEnabled {
		t.Errorf("%+v", s)
	}
	if s = list[1]; s.Exists || s.Name != nil || s.FirstEmission != nil || s.Burn != 100_000_000 || s.RevealPeriodEpochs != 1 {
		t.Errorf("none: %+v", s)
	}
	if netuid, ok := SplitKeyNetworksAdded(KeySubnet("NetworksAdded", 258)); !ok || netuid != 258 {
		t.Errorf("netuid %d, %v", netuid, ok)
	}
	for _, k := range [][]byte{nil, KeySubnet("Tempo", 258), append(KeySubnet("NetworksAdded", 1), 0)} {
		if _, ok := SplitKeyNetworksAdded(k); ok {
			t.Errorf("key %x", k)
		}
	}
}

func TestReadAccount(t *testing.T) {
	s := tables7()
	a, err := ReadAccount(s, account(101))
	if err != nil || !a.Exists || a.Nonce != 5 || a.Free != 1_000_000_000 || a.Reserved != 1 || a.Frozen != 2 || a.Coldkey != (verify.AccountID{}) ||
		!slices.Equal(a.Owned, []verify.AccountID{account(1), account(2)}) || !slices.Equal(a.Staking, []verify.AccountID{account(1)}) {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := ReadAccount(s, account(1)); err != nil || a.Exists || a.Coldkey != account(101) || a.Owned != nil {
		t.Errorf("a hotkey: %+v, %v", a, err)
	}
	for _, c := range []struct {
		hotkey byte
		want   Share
	}{
		{1, Share{Total: 1000, About: 750}}, {2, Share{Total: 2000, About: 2000, Whole: true}}, {0, Share{}},
	} {
		if got, err := ReadShare(s, account(c.hotkey), account(101), 7); err != nil || got != c.want {
			t.Errorf("hotkey %d: %+v, %v, want %+v", c.hotkey, got, err, c.want)
		}
	}
	prefix := PrefixIsNetworkMember(account(1))
	if got, err := NetuidsOf(prefix, [][]byte{append(slices.Clone(prefix), 3, 1)}); err != nil || !slices.Equal(got, []uint16{259}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, k := range [][]byte{nil, prefix, append(slices.Clone(prefix), 1, 2, 3), append(PrefixTotalHotkeyAlpha(account(1)), 1, 0)} {
		if _, err := NetuidsOf(prefix, [][]byte{k}); !errors.Is(err, ErrLayout) {
			t.Errorf("key %x: %v", k, err)
		}
	}
}

// TestPortion holds portions to rational numbers.
func TestPortion(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	value := func(f fraction) *big.Rat {
		p := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(f.base), big.NewInt(max(f.exponent, -f.exponent)), nil))
		if f.exponent < 0 {
			p.Inv(p)
		}
		return p.Mul(p, new(big.Rat).SetInt(f.mantissa))
	}
	for range 2000 {
		total := r.Uint64()
		one := func() fraction {
			f := fraction{new(big.Int).SetUint64(r.Uint64() >> r.IntN(64)), 10, r.Int64N(41) - 20}
			if r.IntN(4) == 0 {
				f.base, f.exponent = 2, -64
			}
			return f
		}
		mine, all := one(), one()
		if r.IntN(8) == 0 {
			all = mine
		}
		got, whole := portion(total, mine, all)
		var want uint64
		exact := false
		if mine.sign() != 0 && all.sign() != 0 {
			q := new(big.Rat).Quo(value(mine), value(all))
			exact = q.Cmp(big.NewRat(1, 1)) == 0
			q.Mul(q, new(big.Rat).SetInt(new(big.Int).SetUint64(total)))
			floor := new(big.Int).Quo(q.Num(), q.Denom())
			if want = total; floor.IsUint64() && floor.Uint64() < total {
				want = floor.Uint64()
			}
		}
		if got != want || whole != exact {
			t.Fatalf("%d of %v / %v: %d %v, want %d %v", total, mine, all, got, whole, want, exact)
		}
	}
	for _, e := range []int64{-1 << 63, 1<<63 - 1, 201, -201} {
		if got, whole := portion(5, fraction{big.NewInt(1), 10, e}, fraction{big.NewInt(1), 10, e}); got != 0 || whole {
			t.Errorf("exponent %d: %d %v", e, got, whole)
		}
	}
}

// readTables puts every read of the tables, and returns their errors.
func readTables(s State, set rules.Set) []error {
	_, errM := ReadMetagraph(s, 7, set)
	_, errS := ReadSubnets(s, []uint16{7})
	_, errA := ReadAccount(s, account(101))
	_, err1 := ReadShare(s, account(1), account(101), 7)
	_, err2 := ReadShare(s, account(2), account(101), 7)
	return []error{errM, errS, errA, err1, err2}
}

// TestTablesName: a value with a byte too many is ErrLayout by its item's name.
func TestTablesName(t *testing.T) {
	set, err := rules.For(343)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"TokenSymbol", "SubnetOwner", "Burn", "FirstEmissionBlockNumber", "SubnetIdentitiesV3", "Axons", "Owner", "Rank", "Trust",
		"Account", "OwnedHotkeys", "StakingHotkeys", "AlphaV2", "TotalHotkeySharesV2", "Alpha", "TotalHotkeyShares", "TotalHotkeyAlpha"} {
		s := tables7()
		for k, v := range s {
			if strings.HasPrefix(k, string(Prefix(name))) {
				s[k] = append(bytes.Clone(v), 0)
			}
		}
		found := false
		for _, err := range readTables(s, set) {
			if err != nil && (!errors.Is(err, ErrLayout) || !strings.Contains(err.Error(), name)) {
				t.Errorf("%s: %v", name, err)
			}
			found = found || err != nil
		}
		if !found {
			t.Errorf("%s: nobody minds a byte too many", name)
		}
	}
}

// noting is a State that notes what it is asked for.
type noting struct {
	storage
	asked map[string]bool
}

func (n noting) Load(keys ...[]byte) ([][]byte, error) {
	for _, k := range keys {
		n.asked[string(k)] = true
	}
	return n.storage.Load(keys...)
}

// FuzzTables gives hostile values to the reads of the tables, under every key that they ask for: an error or an
// answer, never a panic.
func FuzzTables(f *testing.F) {
	set, err := rules.For(343)
	if err != nil {
		f.Fatal(err)
	}
	s := noting{tables7(), map[string]bool{}}
	for _, err := range readTables(s, set) {
		if err != nil {
			f.Fatal(err)
		}
	}
	keys := slices.Sorted(maps.Keys(s.asked))
	for i, k := range keys {
		f.Add(uint16(i), s.storage[k])
	}
	f.Add(uint16(0), bytes.Repeat([]byte{0xff}, 24))
	f.Add(uint16(len(keys)-1), scale.AppendCompact(nil, 1<<16))
	f.Fuzz(func(t *testing.T, which uint16, value []byte) {
		s := tables7()
		k := keys[int(which)%len(keys)]
		if k == string(KeySubnet("SubnetworkN", 7)) && len(value) > 1 {
			value = append([]byte{value[0], value[1] & 1}, value[2:]...) // few neurons
		}
		s[k] = value
		for i, err := range readTables(s, set) {
			if err != nil && !errors.Is(err, ErrLayout) {
				t.Fatal(fmt.Errorf("read %d: %w", i, err))
			}
		}
	})
}
