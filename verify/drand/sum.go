package drand

import (
	"encoding/binary"

	"github.com/cloudflare/circl/ecc/bls12381"
)

// window is how many bits of a coefficient one addition settles, at the least. A coefficient's digits
// are odd and below 2^(window-1) either way, or zero, and of any window successive digits at most one
// is not: about 26 additions for 128 bits. Nothing here is secret, so time may depend on it.
const window = 4

// digits are those of a coefficient, the lowest first: one more than it has bits, for the last carry.
type digits [129]int8

// recode returns the digits of a coefficient. The chance of 0 is that of any other coefficient, and it
// would let its pulse pass unseen: it counts as 1.
func recode(c [16]byte) (d digits) {
	lo, hi := binary.LittleEndian.Uint64(c[:8]), binary.LittleEndian.Uint64(c[8:])
	if lo|hi == 0 {
		lo = 1
	}
	var top uint64 // bit 128
	for i := range d {
		if lo&1 != 0 {
			digit := int64(lo & (1<<window - 1))
			if digit >= 1<<(window-1) {
				digit -= 1 << window
			}
			d[i] = int8(digit)
			// Subtract the digit; a negative one carries.
			if digit > 0 {
				lo -= uint64(digit)
			} else if sum := lo + uint64(-digit); sum < lo {
				lo = sum
				if hi++; hi == 0 {
					top++
				}
			} else {
				lo = sum
			}
		}
		lo, hi, top = lo>>1|hi<<63, hi>>1|top<<63, top>>1
	}
	return d
}

// multiples are P, 3P, 5P and 7P.
type multiples [1 << (window - 2)]bls12381.G1

func newMultiples(p *bls12381.G1) *multiples {
	m := new(multiples)
	m[0] = *p
	twice := *p
	twice.Double()
	for i := 1; i < len(m); i++ {
		m[i].Add(&m[i-1], &twice)
	}
	return m
}

// addTo adds digit × P to sum.
func (m *multiples) addTo(sum *bls12381.G1, digit int8) {
	if digit > 0 {
		sum.Add(sum, &m[digit/2])
		return
	}
	p := m[-digit/2]
	p.Neg()
	sum.Add(sum, &p)
}

// A term is a pulse in a sum.
type term struct {
	signature, hash *multiples
	coefficient     digits
}

// sums returns the sums of coefficient × signature and of coefficient × hash. The doublings are made
// once for all terms.
func sums(terms []term) (signatures, hashes *bls12381.G1) {
	signatures, hashes = new(bls12381.G1), new(bls12381.G1)
	signatures.SetIdentity()
	hashes.SetIdentity()
	for i := len(digits{}) - 1; i >= 0; i-- {
		signatures.Double()
		hashes.Double()
		for j := range terms {
			if d := terms[j].coefficient[i]; d != 0 {
				terms[j].signature.addTo(signatures, d)
				terms[j].hash.addTo(hashes, d)
			}
		}
	}
	return signatures, hashes
}
