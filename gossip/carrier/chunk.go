package carrier

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/reedsolomon"

	"github.com/taolight/taolight/verify"
)

const (
	// MaxMessage bounds the bytes of a message.
	MaxMessage = 16 << 20
	// MinChunk and MaxChunk bound the bytes of a chunk.
	MinChunk, MaxChunk = 32, 2048
	// MaxChunks bounds the chunks of a message.
	MaxChunks = 1 << 18
	// LoRaChunk is the payload of a Meshtastic packet (DATA_PAYLOAD_LEN), the default for a chunk.
	LoRaChunk = 233
)

// The layout of a chunk; see the package comment.
const (
	mark      = 0xb1
	headSize  = 12
	sumSize   = 4
	around    = headSize + sumSize // what a chunk has besides its shard
	minShard  = MinChunk - around
	maxShard  = MaxChunk - around
	hashSize  = len(verify.Hash{})
	groupMost = 256 // elements of the field, so shards of a group
)

var (
	// ErrChunk: bytes or a line that are no chunk, or no longer one.
	ErrChunk = errors.New("not a whole chunk")
	// ErrSize: a message that cannot be split so: empty, too big, or into too many chunks.
	ErrSize = errors.New("message cannot be carried")
	// ErrOptions: options outside their bounds.
	ErrOptions = errors.New("no such way to split")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Options say how to split a message. The zero value stands for LoRaChunk and 2 in 7.
type Options struct {
	// ChunkSize is the most bytes of a chunk, MinChunk to MaxChunk.
	ChunkSize int
	// Lose of any Of chunks may be lost: at most half of them, and Of at most 15. Lose 0 of 1 is no
	// parity.
	Lose, Of int
}

// A layout is what the numbers in a chunk's head and its length say about all chunks of the message.
type layout struct {
	size   int // bytes of the message
	shard  int // bytes of a shard
	data   int // data shards, D
	groups int // G
	k, m   int // members and parity shards of a group
}

// newLayout computes the layout, or says why there is none.
func newLayout(size, shard, lose, of int) (layout, error) {
	if of < 1 || of > 15 || lose < 0 || 2*lose > of {
		return layout{}, fmt.Errorf("%w: %d in %d chunks to be lost", ErrOptions, lose, of)
	}
	if size < 1 || size > MaxMessage {
		return layout{}, fmt.Errorf("%w: %d bytes, not 1 to %d", ErrSize, size, MaxMessage)
	}
	l := layout{size: size, shard: shard}
	l.data = ceil(size+hashSize, shard)
	l.groups = ceil(l.data, groupMost*(of-lose)/of)
	l.k = ceil(l.data, l.groups)
	l.m = ceil(l.k*lose, of-lose)
	if l.chunks() > MaxChunks {
		return layout{}, fmt.Errorf("%w: %d chunks, at most %d allowed", ErrSize, l.chunks(), MaxChunks)
	}
	return l, nil
}

func ceil(a, b int) int { return (a + b - 1) / b }

func (l layout) chunks() int { return l.data + l.groups*l.m }

// group returns the group that the chunk at index i (its number less one) is of, and which shard of
// the group it is: members first, then parity.
func (l layout) group(i int) (group, shard int) {
	if i < l.data {
		return i % l.groups, i / l.groups
	}
	return i % l.groups, l.k + (i-l.data)/l.groups
}

// index is the inverse of group. A member that is not sent has an index from data on.
func (l layout) index(group, shard int) int {
	if shard < l.k {
		return shard*l.groups + group
	}
	first := (group + l.groups - l.data%l.groups) % l.groups // of the group's parity among all parity
	return l.data + (shard-l.k)*l.groups + first
}

// members returns how many members of a group are sent: k, or one less.
func (l layout) members(group int) int {
	if l.index(group, l.k-1) < l.data {
		return l.k
	}
	return l.k - 1
}

// encoder returns the Reed-Solomon code of the layout's groups. The Cauchy matrix is the one that can
// be written down in a line.
func (l layout) encoder() (reedsolomon.Encoder, error) {
	return reedsolomon.New(l.k, l.m, reedsolomon.WithCauchyMatrix(),
		reedsolomon.WithInversionCache(false), reedsolomon.WithMaxGoroutines(1))
}

// A head is what a chunk says besides its shard.
type head struct {
	id     [4]byte
	size   int // bytes of the message
	parity byte
	number int // from 1
}

// appendChunk appends h, the shard and their checksum to b.
func appendChunk(b []byte, h head, shard []byte) []byte {
	start := len(b)
	n := h.size - 1
	b = append(b, mark)
	b = append(b, h.id[:]...)
	b = append(b, byte(n), byte(n>>8), byte(n>>16), h.parity)
	b = append(b, byte(h.number), byte(h.number>>8), byte(h.number>>16))
	b = append(b, shard...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// parseChunk takes a chunk apart. The shard aliases b.
func parseChunk(b []byte) (h head, l layout, shard []byte, err error) {
	fail := func(format string, args ...any) (head, layout, []byte, error) {
		return head{}, layout{}, nil, fmt.Errorf("%w: %s", ErrChunk, fmt.Sprintf(format, args...))
	}
	if len(b) < MinChunk || len(b) > MaxChunk {
		return fail("%d bytes, not %d to %d", len(b), MinChunk, MaxChunk)
	}
	if b[0] != mark {
		return fail("first byte %#02x, not %#02x", b[0], mark)
	}
	body := b[:len(b)-sumSize]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[len(body):]) {
		return fail("its checksum is another")
	}
	h = head{
		id:     [4]byte(b[1:5]),
		size:   (int(b[5]) | int(b[6])<<8 | int(b[7])<<16) + 1,
		parity: b[8],
		number: int(b[9]) | int(b[10])<<8 | int(b[11])<<16,
	}
	shard = body[headSize:]
	if l, err = newLayout(h.size, len(shard), int(h.parity>>4), int(h.parity&15)); err != nil {
		return fail("%v", err)
	}
	if h.number < 1 || h.number > l.chunks() {
		return fail("number %d of %d", h.number, l.chunks())
	}
	return h, l, shard, nil
}

// Split cuts a message into chunks, numbered by their order and each of the same length, at most
// o.ChunkSize. The same message and options give the same chunks. Errors are ErrSize and ErrOptions.
func Split(message []byte, o Options) ([][]byte, error) {
	if o.ChunkSize == 0 {
		o.ChunkSize = LoRaChunk
	}
	if o.Lose == 0 && o.Of == 0 {
		o.Lose, o.Of = 2, 7
	}
	if o.ChunkSize < MinChunk || o.ChunkSize > MaxChunk {
		return nil, fmt.Errorf("%w: chunks of %d bytes, not %d to %d", ErrOptions, o.ChunkSize, MinChunk, MaxChunk)
	}
	l, err := newLayout(len(message), o.ChunkSize-around, o.Lose, o.Of)
	if err != nil {
		return nil, err
	}
	// Share the filling out among all shards: a packet that is shorter is sooner off the air.
	shard := max(ceil(len(message)+hashSize, l.data), minShard)
	if l, err = newLayout(len(message), shard, o.Lose, o.Of); err != nil {
		return nil, err
	}

	hash := verify.Blake2b256(message)
	data := make([]byte, l.data*l.shard)
	copy(data[copy(data, message):], hash[:])
	parity := make([]byte, l.groups*l.m*l.shard)
	if err := l.encode(data, parity); err != nil {
		return nil, err
	}

	chunks := make([][]byte, l.chunks())
	size := l.shard + around
	all := make([]byte, 0, len(chunks)*size)
	h := head{id: [4]byte(hash[:4]), size: len(message), parity: byte(o.Lose<<4 | o.Of)}
	for i := range chunks {
		from, at := data, i
		if i >= l.data {
			from, at = parity, i-l.data
		}
		h.number = i + 1
		all = appendChunk(all, h, from[at*l.shard:(at+1)*l.shard])
		chunks[i] = all[i*size : (i+1)*size : (i+1)*size]
	}
	return chunks, nil
}

// encode fills parity from data, both in the order of the chunks.
func (l layout) encode(data, parity []byte) error {
	if l.m == 0 {
		return nil
	}
	enc, err := l.encoder()
	if err != nil {
		return fmt.Errorf("%w: %v", ErrOptions, err)
	}
	zero := make([]byte, l.shard)
	shards := make([][]byte, l.k+l.m)
	for g := range l.groups {
		for j := range shards {
			i := l.index(g, j)
			switch {
			case j >= l.k:
				i -= l.data
				shards[j] = parity[i*l.shard : (i+1)*l.shard]
			case i < l.data:
				shards[j] = data[i*l.shard : (i+1)*l.shard]
			default:
				shards[j] = zero
			}
		}
		if err := enc.Encode(shards); err != nil {
			return fmt.Errorf("%w: %v", ErrOptions, err)
		}
	}
	return nil
}
