package grandpa

import (
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

const (
	// minHeaderSize is the encoded size of a header with an empty digest and a small number.
	minHeaderSize = 32 + 1 + 32 + 32 + 1
	// digestAllowance is how many digest items the headers of one message may have, on average (a
	// handover of authorities has five). An item can take one byte of input and 32 of memory:
	// without a limit over the whole message, small headers could grow more than tenfold.
	digestAllowance = 8
)

// headerReader reads the headers of one message, and holds their digests to digestAllowance.
type headerReader struct{ headers, items int }

// one reads a header from the front of r, or returns nil with the error in r.
func (c *headerReader) one(r *scale.Reader) *verify.Header {
	h := verify.ReadHeader(r)
	if h == nil {
		return nil
	}
	c.headers++
	c.items += len(h.Digest)
	if c.items > verify.MaxDigestItems+digestAllowance*c.headers {
		r.Fail(fmt.Errorf("%w: %d digest items in %d headers", scale.ErrRange, c.items, c.headers))
		return nil
	}
	return h
}

// list reads a Vec<Header> of at most max headers.
func (c *headerReader) list(r *scale.Reader, max int) []*verify.Header {
	n := r.Count(minHeaderSize, max)
	if n == 0 {
		return nil
	}
	list := make([]*verify.Header, n)
	for i := range list {
		if list[i] = c.one(r); list[i] == nil {
			return nil
		}
	}
	return list
}

// appendHeaders appends list as a Vec<Header>.
func appendHeaders(b []byte, list []*verify.Header) []byte {
	b = scale.AppendCompact(b, uint64(len(list)))
	for _, h := range list {
		b = h.Append(b)
	}
	return b
}
