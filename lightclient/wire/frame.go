package wire

import (
	"fmt"
)

// MaxFrameLen is the size in bytes of the longest length prefix accepted.
const MaxFrameLen = 5

// AppendFrameLen appends n as unsigned LEB128, the prefix of every handshake, message, request and
// response on a substream. n must fit 32 bits.
func AppendFrameLen(b []byte, n int) []byte {
	v := uint32(n)
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// AppendFrame appends body with its length in front.
func AppendFrame(b, body []byte) []byte { return append(AppendFrameLen(b, len(body)), body...) }

// FrameLen reads the length at the front of b. It returns size 0 and no error if b ends inside the
// prefix; otherwise size is the number of bytes that the prefix takes and n ≤ max the length of the
// body. A prefix that is longer than five bytes or than its value needs gives ErrMalformed, a
// length above max ErrTooMany, both as soon as they can be known.
func FrameLen(b []byte, max int) (n, size int, err error) {
	var v uint64
	for i, c := range b {
		if i == MaxFrameLen {
			break
		}
		v |= uint64(c&0x7f) << (7 * i)
		if v > uint64(max) {
			return 0, 0, fmt.Errorf("%w: frame of %d bytes or more, at most %d", ErrTooMany, v, max)
		}
		if c < 0x80 {
			if c == 0 && i > 0 {
				return 0, 0, fmt.Errorf("%w: frame length not in shortest form", ErrMalformed)
			}
			return int(v), i + 1, nil
		}
	}
	if len(b) >= MaxFrameLen {
		return 0, 0, fmt.Errorf("%w: frame length of more than %d bytes", ErrMalformed, MaxFrameLen)
	}
	return 0, 0, nil
}
