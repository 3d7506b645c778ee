package grandpa

import (
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

const (
	// minHeaderSize is the encoded size of a header with an empty digest and a small number.
	minHeaderSize = 32 + 1 + 32 + 32 + 1
	// digestAllowance is how many digest items a list of headers may have per header, on average
	// (a handover of authorities has five). An item can take one byte of input and 32 of memory:
	// without a limit over the whole list, small headers could grow thirteenfold.
	digestAllowance = 8
)

// readHeaders reads a Vec<Header> of at most max headers.
func readHeaders(r *scale.Reader, max int) []*verify.Header {
	n := r.Count(minHeaderSize, max)
	if n == 0 {
		return nil
	}
	list := make([]*verify.Header, 0, n)
	var items digestCount
	for range n {
		h := items.read(r)
		if h == nil {
			return nil
		}
		list = append(list, h)
	}
	return list
}

// digestCount counts the digest items of a list of headers, to hold them to digestAllowance.
type digestCount struct{ headers, items int }

func (c *digestCount) read(r *scale.Reader) *verify.Header {
	h := verify.ReadHeader(r)
	if h == nil {
		return nil
	}
	c.headers++
	c.items += len(h.Digest)
	if max := verify.MaxDigestItems + digestAllowance*c.headers; c.items > max {
		r.Fail(fmt.Errorf("%w: %d digest items in %d headers", scale.ErrRange, c.items, c.headers))
		return nil
	}
	return h
}

// appendHeaders appends list as a Vec<Header>.
func appendHeaders(b []byte, list []*verify.Header) []byte {
	b = scale.AppendCompact(b, uint64(len(list)))
	for _, h := range list {
		b = h.Append(b)
	}
	return b
}
