package checkpoint

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/grandpa"
)

// Every day for 800 years against the standard library, which this package must not link.
func TestCivil(t *testing.T) {
	for day := uint64(0); day < 293_000; day++ {
		want := time.Unix(int64(day)*86400, 0).UTC()
		y, m, d := civil(day)
		if y != uint64(want.Year()) || m != uint64(want.Month()) || d != uint64(want.Day()) {
			t.Fatalf("day %d: %d-%d-%d, want %v", day, y, m, d, want)
		}
	}
}

func TestDate(t *testing.T) {
	const last = 2_932_896*86_400 + 86_399 // 9999-12-31T23:59:59
	for _, tt := range []struct {
		slot, duration uint64
		want           string
	}{
		{0, 12000, "1970-01-01"},
		{149228213, 12000, "2026-09-30"}, // block 9,178,000: Timestamp.set 1790738556000
		{last, 1000, "9999-12-31"},
		{last + 1, 1000, ""},
		{math.MaxUint64, 12000, ""},
		{math.MaxUint64, 1, ""},
	} {
		if got := dateOf(header(1, tt.slot), tt.duration); got != tt.want {
			t.Errorf("slot %d of %d ms: %q, want %q", tt.slot, tt.duration, got, tt.want)
		}
	}
	if got := dateOf(nil, 12000); got != "" {
		t.Errorf("no header: %q", got)
	}
}

func TestAge(t *testing.T) {
	c := &Checkpoint{Number: 1, Header: header(1, 1000), SlotDuration: 12000}
	const born = 12_000_000
	for _, tt := range []struct {
		now   uint64
		days  uint64
		ok    bool
		stale bool
	}{
		{0, 0, false, false}, // a clock in 1970
		{born - 1, 0, false, false},
		{born, 0, true, false},
		{born + dayMillis - 1, 0, true, false},
		{born + dayMillis, 1, true, false},
		{born + WarnAge*dayMillis, 92, true, false},
		{born + (WarnAge+1)*dayMillis, 93, true, true},
		{math.MaxUint64, (math.MaxUint64 - born) / dayMillis, true, true},
	} {
		days, ok := c.Age(tt.now)
		if days != tt.days || ok != tt.ok || c.Stale(tt.now) != tt.stale {
			t.Errorf("at %d: %d days, %v, stale %v", tt.now, days, ok, c.Stale(tt.now))
		}
	}
	if _, ok := new(Checkpoint).Age(1 << 60); ok {
		t.Error("an age without a header")
	}
}

func TestCheckForward(t *testing.T) {
	changing := header(10, 5, setChange(authorities(1)))
	at := func(number uint32, id uint64) *Checkpoint {
		return &Checkpoint{Genesis: verify.Hash{1}, Number: number, Hash: verify.Hash{byte(number)}, Set: grandpa.AuthoritySet{ID: id}}
	}
	with := func(c *Checkpoint, f func(*Checkpoint)) *Checkpoint { f(c); return c }
	signed := func(c *Checkpoint) { c.SetSigned = true }
	for _, tt := range []struct {
		name     string
		from, to *Checkpoint
		want     error
	}{
		{"newer", at(10, 5), at(11, 5), nil},
		{"newer set", at(10, 5), at(11, 7), nil},
		{"same", at(10, 5), at(10, 5), nil},
		{"older", at(10, 5), at(9, 5), ErrOlder},
		{"older set at a higher block", at(10, 5), at(11, 4), ErrOlder},
		{"same height, other block", at(10, 5), with(at(10, 5), func(c *Checkpoint) { c.Hash = verify.Hash{99} }), ErrConflict},
		{"other genesis", at(10, 5), with(at(11, 5), func(c *Checkpoint) { c.Genesis = verify.Hash{2} }), ErrOtherNetwork},
		{"genesis not stated", at(10, 5), with(at(11, 5), func(c *Checkpoint) { c.Genesis = verify.Hash{} }), nil},
		{"signed by the set before, header unknown", at(10, 5), with(at(11, 4), signed), nil},
		{"signed by the set before, and no change", at(10, 5), with(at(11, 4), func(c *Checkpoint) { c.SetSigned, c.Header = true, header(11, 5) }), ErrOlder},
		{"signed by the set before, and a change", at(10, 5), with(at(11, 4), func(c *Checkpoint) { c.SetSigned, c.Header = true, changing }), nil},
		{"behind a change", with(at(10, 5), func(c *Checkpoint) { c.SetSigned, c.Header = true, changing }), at(11, 5), ErrOlder},
	} {
		if err := CheckForward(tt.from, tt.to); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if !Newer(at(11, 1), at(10, 9)) || Newer(at(10, 1), at(10, 1)) {
		t.Error("Newer")
	}
}

func TestPin(t *testing.T) {
	n, err := ByName("finney")
	if err != nil {
		t.Fatal(err)
	}
	hash := "0x511948e96e1d479d0a92d89bb976638780f2c65a93a5d5be710f22ee15c60200"
	for _, s := range []string{"8867448:" + hash, "8867448:" + hash[2:], "8867448:" + hash + ":6"} {
		p, err := ParsePin(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		c, err := p.Checkpoint(n)
		if err != nil || c.Start().Set.ID != 6 {
			t.Errorf("%s: %v", s, err)
		}
	}
	if p := n.Checkpoint.Pin(); p.String() != "8867448:"+hash+":6" {
		t.Errorf("pin of the built-in checkpoint: %v", p)
	}
	other := "9000000:0x" + hash[2:]
	for _, tt := range []struct {
		s    string
		want error
	}{
		{"8867448:" + hash + ":5", ErrMismatch},
		{"8867448:" + hash + ":7", ErrMismatch},
		{other, ErrNoSet},
		{other + ":6", nil},
		{"0:" + hash + ":0", ErrMismatch}, // block 0 with another hash than genesis
	} {
		p, err := ParsePin(tt.s)
		if err != nil {
			t.Fatalf("%s: %v", tt.s, err)
		}
		if _, err := p.Checkpoint(n); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.s, err, tt.want)
		}
	}
	for _, s := range []string{"", ":", "1", "1:", "1:2", "x:" + hash, "-1:" + hash, "4294967296:" + hash, "1:" + hash + ":", "1:" + hash + ":x",
		"1:" + hash + ":18446744073709551616", "1:" + hash + ":6:7", " 1:" + hash, "8,867,448:" + hash} {
		if p, err := ParsePin(s); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v, %v", s, p, err)
		}
	}
}
