package carrier

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/reedsolomon"

	"github.com/taolight/taolight/verify"
)

const (
	// MaxMessages bounds the messages that a Joiner holds, whole ones and parts.
	MaxMessages = 16
	// MaxHeld bounds the bytes that a Joiner holds. While a message is put together, there are once as
	// many more as the message has.
	MaxHeld = 64 << 20
)

// What is counted towards MaxHeld besides the shards themselves: about what maps and slices take.
const (
	chunkCost   = 64
	messageCost = 512
)

var (
	// ErrIncomplete: more chunks are needed.
	ErrIncomplete = errors.New("not whole yet")
	// ErrContent: the chunks of a message are in agreement with their checksums, and the message they
	// give is not the one that was split. All of them are forgotten, since any may be the false one.
	ErrContent = errors.New("chunks give another message than was split")
	// ErrConflict: another chunk with this number came before. The first one is kept.
	ErrConflict = errors.New("chunk differs from the one with its number")
	// ErrFull: whole messages fill the Joiner; take them out with Next.
	ErrFull = errors.New("too many messages at once")
)

// Counts are what a Joiner was given. Every chunk is in Taken or in one of the others.
type Counts struct {
	Taken     int // chunks kept, or that completed a message
	Damaged   int // not a whole chunk
	Duplicate int // known already
	Surplus   int // not needed any more: the group or the message has enough
	Conflict  int // another one has the same number
	Refused   int // no room

	Evicted int // parts of messages forgotten, to make room for others
	False   int // messages forgotten because their hash did not agree
}

// A Joiner puts messages together from their chunks. The zero value is ready. It must not be used by
// several goroutines at once.
//
// Chunks of up to MaxMessages messages are kept apart. When there are more, or more than MaxHeld bytes,
// the message with the fewest chunks is forgotten, the older of two: so chunks made up for messages
// that do not exist displace each other, not a message that is well under way. Whole messages are never
// forgotten.
type Joiner struct {
	parts  []*part // held, by the arrival of their first chunk
	whole  []*part // those of parts that are whole, the oldest first
	past   []key   // the last messages that were taken out, so that late chunks do not start them again
	cost   int
	counts Counts
}

// A key tells messages apart, and different ways to split the same one.
type key struct {
	id     [4]byte
	size   int
	shard  int
	parity byte
}

// A part is a message of which some chunks, or all that are needed, have come.
type part struct {
	key     key
	layout  layout
	shards  map[int][]byte // by index
	have    []uint16       // by group: shards of it
	need    int            // shards still wanted
	taken   int            // chunks kept: len(shards) until it is whole
	cost    int
	message []byte // once it is whole
}

// Add takes a chunk. It reports whether the chunk made its message whole. The chunk is copied.
//
// An error says what happened to this chunk; the Joiner can be used on: ErrChunk, ErrConflict and
// ErrFull (not taken), ErrContent (its message was forgotten). A chunk that is known or not needed is
// no error.
func (j *Joiner) Add(chunk []byte) (done bool, err error) {
	h, l, shard, err := parseChunk(chunk)
	if err != nil {
		j.counts.Damaged++
		return false, err
	}
	k := key{h.id, h.size, len(shard), h.parity}
	if slices.Contains(j.past, k) {
		j.counts.Surplus++
		return false, nil
	}
	var p *part
	if i := slices.IndexFunc(j.parts, func(p *part) bool { return p.key == k }); i >= 0 {
		p = j.parts[i]
	} else {
		p = &part{key: k, layout: l, need: l.data}
		if !j.room(p, messageCost+2*l.groups) {
			j.counts.Refused++
			return false, ErrFull
		}
		p.have = make([]uint16, l.groups)
		p.shards = make(map[int][]byte)
		j.parts = append(j.parts, p)
	}

	i := h.number - 1
	if old, ok := p.shards[i]; ok {
		if !bytes.Equal(old, shard) {
			j.counts.Conflict++
			return false, fmt.Errorf("%w: %d of message %x", ErrConflict, h.number, h.id)
		}
		j.counts.Duplicate++
		return false, nil
	}
	g, _ := l.group(i)
	if p.message != nil || int(p.have[g]) == l.members(g) {
		j.counts.Surplus++
		return false, nil
	}
	if !j.room(p, len(shard)+chunkCost) {
		j.counts.Refused++
		return false, ErrFull
	}
	j.counts.Taken++
	p.shards[i] = bytes.Clone(shard)
	p.have[g]++
	p.need--
	p.taken++
	if p.need > 0 {
		return false, nil
	}
	if err := p.join(); err != nil {
		j.counts.False++
		j.forget(p)
		return false, err
	}
	j.cost += l.size - p.cost
	p.cost = l.size
	j.whole = append(j.whole, p)
	return true, nil
}

// room accounts for n more bytes of p, and forgets other messages where they are in the way.
func (j *Joiner) room(p *part, n int) bool {
	isNew := p.cost == 0
	for j.cost+n > MaxHeld || isNew && len(j.parts) == MaxMessages {
		var least *part
		for _, q := range j.parts {
			if q != p && q.message == nil && (least == nil || q.taken < least.taken) {
				least = q
			}
		}
		if least == nil {
			return false
		}
		j.forget(least)
		j.counts.Evicted++
	}
	j.cost += n
	p.cost += n
	return true
}

func (j *Joiner) forget(p *part) {
	is := func(q *part) bool { return q == p }
	j.cost -= p.cost
	j.parts = slices.DeleteFunc(j.parts, is)
	j.whole = slices.DeleteFunc(j.whole, is)
}

// join puts the message together from p.shards, of which each group has enough.
func (p *part) join() error {
	l := p.layout
	body := make([]byte, l.data*l.shard)
	at := func(i int) []byte { return body[i*l.shard:][:l.shard] }
	var code reedsolomon.Encoder
	for g := range l.groups {
		shards := make([][]byte, l.k+l.m)
		lost := false
		for s := range shards {
			i := l.index(g, s)
			if s < l.k && i >= l.data { // a member that is not sent
				shards[s] = make([]byte, l.shard)
				continue
			}
			shards[s] = p.shards[i]
			delete(p.shards, i)
			lost = lost || s < l.k && shards[s] == nil
		}
		if lost {
			var err error
			if code == nil {
				code, err = l.encoder()
			}
			if err == nil {
				err = code.ReconstructData(shards)
			}
			if err != nil { // cannot be: there are k shards of one length
				return fmt.Errorf("%w: %v", ErrContent, err)
			}
		}
		for s := range l.members(g) {
			copy(at(l.index(g, s)), shards[s])
		}
	}
	message, rest := body[:l.size:l.size], body[l.size:]
	hash := verify.Blake2b256(message)
	if !bytes.Equal(rest[:hashSize], hash[:]) || [4]byte(hash[:4]) != p.key.id {
		return fmt.Errorf("%w: message %x", ErrContent, p.key.id)
	}
	if len(bytes.Trim(rest[hashSize:], "\x00")) > 0 {
		return fmt.Errorf("%w: message %x: filled up with other than zeros", ErrContent, p.key.id)
	}
	p.message, p.shards = message, nil
	return nil
}

// Bytes returns the oldest whole message, until Next. While there is none, it returns an ErrIncomplete
// that says how far the fullest one is.
func (j *Joiner) Bytes() ([]byte, error) {
	if len(j.whole) > 0 {
		return j.whole[0].message, nil
	}
	if p := j.fullest(); p != nil {
		return nil, fmt.Errorf("%w: %s", ErrIncomplete, p.progress())
	}
	return nil, fmt.Errorf("%w: no chunk yet", ErrIncomplete)
}

// Next forgets the message that Bytes returns, and reports whether there is another.
func (j *Joiner) Next() bool {
	if len(j.whole) > 0 {
		if len(j.past) == MaxMessages {
			j.past = slices.Delete(j.past, 0, 1)
		}
		j.past = append(j.past, j.whole[0].key)
		j.forget(j.whole[0])
	}
	return len(j.whole) > 0
}

// Missing returns the numbers of the chunks that would help the fullest message that is not whole, nil
// if there is none. Not all of them are needed; Progress says how many.
func (j *Joiner) Missing() []int {
	if p := j.fullest(); p != nil {
		return p.missing()
	}
	return nil
}

// fullest returns the message with the most chunks of those that are not whole, the newest of several.
func (j *Joiner) fullest() *part {
	var most *part
	for _, p := range j.parts {
		if p.message == nil && (most == nil || p.taken >= most.taken) {
			most = p
		}
	}
	return most
}

func (p *part) missing() []int {
	var numbers []int
	for i := range p.layout.chunks() {
		if g, _ := p.layout.group(i); p.shards[i] == nil && int(p.have[g]) < p.layout.members(g) {
			numbers = append(numbers, i+1)
		}
	}
	return numbers
}

// Counts returns what became of the chunks so far.
func (j *Joiner) Counts() Counts { return j.counts }

// Progress is how far a message is.
type Progress struct {
	ID      [4]byte
	Size    int    // bytes of the message
	Chunks  int    // how many there are
	Taken   int    // how many are there, not counting those without use
	Need    int    // how many more are needed at least; 0: the message is whole
	Missing string // the numbers of those that would help, "2, 4-9"; at most eight runs of them
}

// Progress returns how far each message is, in the order of their first chunks.
func (j *Joiner) Progress() []Progress {
	all := make([]Progress, len(j.parts))
	for i, p := range j.parts {
		all[i] = p.progress()
	}
	return all
}

func (p *part) progress() Progress {
	s := Progress{ID: p.key.id, Size: p.layout.size, Chunks: p.layout.chunks(), Taken: p.taken, Need: p.need}
	if p.need > 0 {
		s.Missing = runs(p.missing())
	}
	return s
}

// String returns "message 0a1b2c3d: 3 of 7 chunks, 2 more needed of 2, 4-7".
func (p Progress) String() string {
	s := fmt.Sprintf("message %x: %d of %d chunks", p.ID, p.Taken, p.Chunks)
	if p.Need == 0 {
		return s + ", whole"
	}
	return fmt.Sprintf("%s, %d more needed of %s", s, p.Need, p.Missing)
}

// runs returns rising numbers as a list, in which neighbours are one entry.
func runs(numbers []int) string {
	const most = 8
	var b strings.Builder
	for i, n := 0, 0; i < len(numbers); n++ {
		if n > 0 {
			b.WriteString(", ")
		}
		if n == most {
			b.WriteString("…")
			break
		}
		first := i
		for i++; i < len(numbers) && numbers[i] == numbers[i-1]+1; i++ {
		}
		b.WriteString(strconv.Itoa(numbers[first]))
		if i > first+1 {
			b.WriteString("-" + strconv.Itoa(numbers[i-1]))
		}
	}
	return b.String()
}
