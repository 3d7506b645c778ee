package subtensor

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustRules(t testing.TB, spec uint32) rules.Set {
	t.Helper()
	r, err := rules.For(spec)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A codec decodes a value and encodes it again.
type codec struct {
	name  string
	again func([]byte) (encoded []byte, err error)
}

func codecs(t testing.TB) []codec {
	before, after := mustRules(t, 422), mustRules(t, 423)
	return []codec{
		{"Weights", func(b []byte) ([]byte, error) {
			v, err := DecodeWeights(b)
			return AppendWeights(nil, v), err
		}},
		{"WeightCommits", func(b []byte) ([]byte, error) {
			v, err := DecodeHashCommits(b, after)
			return AppendHashCommits(nil, v, after), err
		}},
		{"WeightCommits", func(b []byte) ([]byte, error) {
			v, err := DecodeHashCommits(b, before)
			return AppendHashCommits(nil, v, before), err
		}},
		{"TimelockedWeightCommits", func(b []byte) ([]byte, error) {
			v, err := DecodeTimelockedCommits(b)
			return AppendTimelockedCommits(nil, v), err
		}},
		{"ChildKeys or ParentKeys", func(b []byte) ([]byte, error) {
			v, err := DecodeRelations(b)
			return AppendRelations(nil, v), err
		}},
		{"LastRuntimeUpgrade", func(b []byte) ([]byte, error) {
			v, err := DecodeRuntimeUpgrade(b)
			return v.Append(nil), err
		}},
		{"Axons", func(b []byte) ([]byte, error) {
			v, err := DecodeAxon(b)
			return v.Append(nil), err
		}},
	}
}

const (
	hashText    = "2dc7c8e8f45e60bf3d84822e2b1389ce680ba6a9c2c7522d6eed00ae55370b0b"
	accountText = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
)

// Values laid out by hand after the SCALE types of pallets/subtensor/src/lib.rs.
var (
	weightsText    = "0c" + "0000 0a00" + "0700 ffff" + "0100 0000"
	commitsText    = "08" + hashText + "0500000000000000 e803000000000000 0000000000000000" + accountText + "0600000000000000 e903000000000000 0900000000000000"
	timelockedText = "08" + accountText + "e803000000000000" + "0c aabbcc" + "ef79ed0100000000" + hashText + "e903000000000000" + "00" + "0100000000000000"
	relationsText  = "08" + "ffffffffffffffff" + accountText + "0100000000000000" + hashText
	upgradeText    = "a506" + "38" + "6e6f64652d73756274656e736f72" // 425, node-subtensor
)

func TestDecode(t *testing.T) {
	var hash verify.Hash
	copy(hash[:], unhex(t, hashText))
	other := verify.AccountID(hash)

	weights, err := DecodeWeights(unhex(t, weightsText))
	if want := []Weight{{0, 10}, {7, 65535}, {1, 0}}; err != nil || !slices.Equal(weights, want) {
		t.Errorf("weights %v, %v", weights, err)
	}
	commits, err := DecodeHashCommits(unhex(t, commitsText), mustRules(t, 423))
	if want := []HashCommit{{Hash: hash, Epoch: 5, Block: 1000}, {Hash: verify.Hash(accountA), Epoch: 6, Block: 1001, Last: 9}}; err != nil || !slices.Equal(commits, want) {
		t.Errorf("commits %+v, %v", commits, err)
	}
	// The same bytes meant another thing before.
	commits, err = DecodeHashCommits(unhex(t, commitsText), mustRules(t, 422))
	if want := []HashCommit{{Hash: hash, Block: 5, First: 1000}, {Hash: verify.Hash(accountA), Block: 6, First: 1001, Last: 9}}; err != nil || !slices.Equal(commits, want) {
		t.Errorf("commits of spec 422 %+v, %v", commits, err)
	}
	locked, err := DecodeTimelockedCommits(unhex(t, timelockedText))
	if err != nil || len(locked) != 2 ||
		locked[0].Hotkey != accountA || locked[0].Block != 1000 || !bytes.Equal(locked[0].Ciphertext, []byte{0xaa, 0xbb, 0xcc}) || locked[0].Round != 32_340_463 ||
		locked[1].Hotkey != other || locked[1].Block != 1001 || len(locked[1].Ciphertext) != 0 || locked[1].Round != 1 {
		t.Errorf("timelocked commits %+v, %v", locked, err)
	}
	relations, err := DecodeRelations(unhex(t, relationsText))
	if want := []Relation{{1<<64 - 1, accountA}, {1, other}}; err != nil || !slices.Equal(relations, want) {
		t.Errorf("relations %+v, %v", relations, err)
	}
	upgrade, err := DecodeRuntimeUpgrade(unhex(t, upgradeText))
	if want := (RuntimeUpgrade{425, "node-subtensor"}); err != nil || upgrade != want {
		t.Errorf("upgrade %+v, %v", upgrade, err)
	}
	// The event's name for a commit: the hash of its bytes without their length.
	if got, want := locked[0].Hash(), verify.Blake2b256([]byte{0xaa, 0xbb, 0xcc}); got != want {
		t.Errorf("hash of a timelocked commit %v, want %v", got, want)
	}
}

func TestRoundTrips(t *testing.T) {
	for i, text := range []string{weightsText, commitsText, commitsText, timelockedText, relationsText, upgradeText, axonHex} {
		c, b := codecs(t)[i], unhex(t, text)
		if again, err := c.again(b); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s: %x becomes %x, %v", c.name, b, again, err)
		}
		// Every part of it, and anything after it, is refused by name.
		for n := range len(b) {
			if _, err := c.again(b[:n]); !errors.Is(err, ErrLayout) || !strings.HasPrefix(err.Error(), c.name+": ") {
				t.Errorf("%s: %d of %d bytes: %v", c.name, n, len(b), err)
			}
		}
		if _, err := c.again(append(b[:len(b):len(b)], 0)); !errors.Is(err, ErrLayout) || !errors.Is(err, scale.ErrTrailing) {
			t.Errorf("%s: one byte more: %v", c.name, err)
		}
	}
}

// TestBounds: a length above a bound is refused from the length alone.
func TestBounds(t *testing.T) {
	after := mustRules(t, 425)
	for _, c := range []struct {
		name      string
		at, above []byte
		decode    func([]byte) error
	}{
		{"weights",
			AppendWeights(nil, make([]Weight, MaxByUID)), AppendWeights(nil, make([]Weight, MaxByUID+1)),
			func(b []byte) error { _, err := DecodeWeights(b); return err }},
		{"hash commits",
			AppendHashCommits(nil, make([]HashCommit, MaxHashCommits), after), AppendHashCommits(nil, make([]HashCommit, MaxHashCommits+1), after),
			func(b []byte) error { _, err := DecodeHashCommits(b, after); return err }},
		{"timelocked commits",
			AppendTimelockedCommits(nil, make([]TimelockedCommit, MaxTimelockedCommits)), AppendTimelockedCommits(nil, make([]TimelockedCommit, MaxTimelockedCommits+1)),
			func(b []byte) error { _, err := DecodeTimelockedCommits(b); return err }},
		{"ciphertext",
			AppendTimelockedCommits(nil, []TimelockedCommit{{Ciphertext: make([]byte, MaxCiphertext)}}), AppendTimelockedCommits(nil, []TimelockedCommit{{Ciphertext: make([]byte, MaxCiphertext+1)}}),
			func(b []byte) error { _, err := DecodeTimelockedCommits(b); return err }},
		{"relations",
			AppendRelations(nil, make([]Relation, MaxRelations)), AppendRelations(nil, make([]Relation, MaxRelations+1)),
			func(b []byte) error { _, err := DecodeRelations(b); return err }},
		{"spec name",
			RuntimeUpgrade{1, strings.Repeat("x", maxSpecName)}.Append(nil), RuntimeUpgrade{1, strings.Repeat("x", maxSpecName+1)}.Append(nil),
			func(b []byte) error { _, err := DecodeRuntimeUpgrade(b); return err }},
		{"spec version", unhex(t, "03ffffffff"+"00"), unhex(t, "070000000001"+"00"),
			func(b []byte) error { _, err := DecodeRuntimeUpgrade(b); return err }},
	} {
		if err := c.decode(c.at); err != nil {
			t.Errorf("%s: at the bound: %v", c.name, err)
		}
		if err := c.decode(c.above); !errors.Is(err, ErrLayout) || !errors.Is(err, scale.ErrRange) {
			t.Errorf("%s: above the bound: %v", c.name, err)
		}
	}
	// A length that promises what is not there.
	for _, c := range codecs(t) {
		if c.name == "LastRuntimeUpgrade" || c.name == "Axons" {
			continue
		}
		b := scale.AppendCompact(nil, 40)
		if n := testing.AllocsPerRun(10, func() { c.again(b) }); n > 20 {
			t.Errorf("%s: %v allocations for a length", c.name, n)
		}
		if _, err := c.again(b); !errors.Is(err, scale.ErrShort) {
			t.Errorf("%s: a length alone: %v", c.name, err)
		}
	}
}

// FuzzValues checks for every decoder that what decodes encodes to the bytes it came from, and that
// what does not is ErrLayout.
func FuzzValues(f *testing.F) {
	list := codecs(f)
	for i, text := range []string{weightsText, commitsText, commitsText, timelockedText, relationsText, upgradeText, axonHex} {
		f.Add(uint8(i), unhex(f, text))
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		c := list[int(which)%len(list)]
		again, err := c.again(b)
		if err != nil {
			if !errors.Is(err, ErrLayout) {
				t.Fatalf("%s: %x: %v", c.name, b, err)
			}
			return
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%s: %x encodes to %x", c.name, b, again)
		}
	})
}
