package checkpoint

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
)

// WarnAge is the age in days past which a checkpoint should be warned about. The keys of a set that
// has retired can be sold or stolen without harm to their owners, and whoever holds two thirds of
// them can sign another history from there: the older a trust root, the likelier. Three months is
// the release rhythm that the project holds itself to.
const WarnAge = 92

const dayMillis = 86_400_000

// slotMillis returns the Unix time of the header's slot in milliseconds.
func slotMillis(h *verify.Header, slotDuration uint64) (uint64, bool) {
	if h == nil || h.Number == 0 {
		return 0, false
	}
	slot, err := aura.Slot(h)
	if err != nil {
		return 0, false
	}
	hi, ms := bits.Mul64(slot, slotDuration)
	return ms, hi == 0
}

// dateOf returns the UTC day of the header's slot as YYYY-MM-DD, or nothing for a header without a
// slot or one past the year 9999.
func dateOf(h *verify.Header, slotDuration uint64) string {
	ms, ok := slotMillis(h, slotDuration)
	if !ok || ms/dayMillis > 2_932_896 { // 9999-12-31
		return ""
	}
	y, m, d := civil(ms / dayMillis)
	return fmt.Sprintf("%04d-%02d-%02d", y, m, d)
}

// civil turns days since 1970-01-01 into a date of the Gregorian calendar. Years are counted from
// March, so that the leap day is the last of its year and the calendar repeats every 400 years.
func civil(days uint64) (year, month, day uint64) {
	const era = 146_097 // days of 400 years
	days += 719_468     // days from 0000-03-01 to 1970-01-01
	n := days % era     // day of the era
	y := (n - n/1460 + n/36_524 - n/146_096) / 365
	n -= 365*y + y/4 - y/100 // day of the year from March
	m := (5*n + 2) / 153     // months from March: 31, 30, 31, 30, 31, and again
	day = n - (153*m+2)/5 + 1
	year, month = days/era*400+y, m+3
	if month > 12 {
		year, month = year+1, month-12
	}
	return year, month, day
}

// Age returns how many days before now (Unix milliseconds) the block's slot was. It is not known
// for a genesis, for a header not fetched yet, and for a clock that is behind the block.
func (c *Checkpoint) Age(now uint64) (days uint64, ok bool) {
	ms, ok := slotMillis(c.Header, c.SlotDuration)
	if !ok || now < ms {
		return 0, false
	}
	return (now - ms) / dayMillis, true
}

// Stale reports whether c is known to be older than WarnAge.
func (c *Checkpoint) Stale(now uint64) bool {
	days, ok := c.Age(now)
	return ok && days > WarnAge
}

// Newer reports whether a is of a later block than b.
func Newer(a, b *Checkpoint) bool { return a.Number > b.Number }

// setIDs returns the least and the greatest id that the set of the block's children can have. They
// differ only while the header is not known.
func (c *Checkpoint) setIDs() (least, most uint64) {
	if !c.SetSigned || c.Set.ID == 1<<64-1 {
		return c.Set.ID, c.Set.ID
	}
	if c.Header == nil {
		return c.Set.ID, c.Set.ID + 1
	}
	if change, err := grandpa.ScheduledChange(c.Header); err == nil && change != nil {
		return c.Set.ID + 1, c.Set.ID + 1
	}
	return c.Set.ID, c.Set.ID
}

// CheckForward returns an error unless to may take the place of from: ErrOtherNetwork if their
// genesis differs, ErrConflict if they name two blocks of one height, ErrOlder if to is behind from
// in height or in set id. A node that has proven a block never goes back behind it, whoever asks.
func CheckForward(from, to *Checkpoint) error {
	if !from.Genesis.IsZero() && !to.Genesis.IsZero() && from.Genesis != to.Genesis {
		return fmt.Errorf("genesis %v, here %v: %w", to.Genesis.Short(), from.Genesis.Short(), ErrOtherNetwork)
	}
	if to.Number < from.Number {
		return fmt.Errorf("block %d, proven is %d: %w", to.Number, from.Number, ErrOlder)
	}
	if to.Number == from.Number && to.Hash != from.Hash {
		return fmt.Errorf("block %d: %v and %v: %w", to.Number, from.Hash.Short(), to.Hash.Short(), ErrConflict)
	}
	least, _ := from.setIDs()
	if _, most := to.setIDs(); most < least {
		return fmt.Errorf("block %d: set %d, proven is %d: %w", to.Number, most, least, ErrOlder)
	}
	return nil
}

// A Pin is a checkpoint in one word: what a person reads out, or a release note states.
type Pin struct {
	Number uint32
	Hash   verify.Hash
	SetID  uint64 // of the set that finalizes the block's children
	HasSet bool
}

// ParsePin reads NUMBER:HASH or NUMBER:HASH:SETID.
func ParsePin(s string) (Pin, error) {
	var p Pin
	part := strings.Split(s, ":")
	if len(part) < 2 || len(part) > 3 {
		return p, fmt.Errorf("%w: want NUMBER:HASH or NUMBER:HASH:SETID", ErrFormat)
	}
	n, err := strconv.ParseUint(part[0], 10, 32)
	if err != nil {
		return p, fmt.Errorf("%w: block number %q", ErrFormat, part[0])
	}
	p.Number = uint32(n)
	if p.Hash, err = verify.ParseHash(part[1]); err != nil {
		return p, fmt.Errorf("%w: hash: %w", ErrFormat, err)
	}
	if len(part) == 3 {
		if p.SetID, err = strconv.ParseUint(part[2], 10, 64); err != nil {
			return p, fmt.Errorf("%w: set id %q", ErrFormat, part[2])
		}
		p.HasSet = true
	}
	return p, nil
}

// String returns p as ParsePin reads it.
func (p Pin) String() string {
	s := strconv.FormatUint(uint64(p.Number), 10) + ":" + p.Hash.String()
	if p.HasSet {
		s += ":" + strconv.FormatUint(p.SetID, 10)
	}
	return s
}

// Pin returns the pin of c. It has a set id unless the header is still to be fetched and may raise it.
func (c *Checkpoint) Pin() Pin {
	least, most := c.setIDs()
	p := Pin{Number: c.Number, Hash: c.Hash}
	if least == most {
		p.SetID, p.HasSet = most, true
	}
	return p
}

// Checkpoint returns the checkpoint that p pins on network n. If it is the block of the compiled-in
// one, that is returned (ErrMismatch if the set ids differ); otherwise header and authorities are
// still to be fetched, and p needs a set id (ErrNoSet), which no peer can be trusted to tell.
func (p Pin) Checkpoint(n *Network) (*Checkpoint, error) {
	b := n.Checkpoint
	if b != nil && b.Number == p.Number && b.Hash == p.Hash {
		if least, most := b.setIDs(); p.HasSet && (p.SetID < least || p.SetID > most) {
			return nil, fmt.Errorf("%w: set id %d, compiled in is %d", ErrMismatch, p.SetID, most)
		}
		return b, nil
	}
	if !p.HasSet {
		return nil, fmt.Errorf("pin %d:%v: %w", p.Number, p.Hash.Short(), ErrNoSet)
	}
	c := &Checkpoint{
		Network: n.Name, Source: "pinned by hand", Genesis: n.Genesis, SlotDuration: n.SlotDuration,
		Number: p.Number, Hash: p.Hash, Set: grandpa.AuthoritySet{ID: p.SetID},
	}
	return c, c.Check()
}
