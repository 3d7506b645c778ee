package yuma

import (
	"math/bits"
	"slices"
)

// A Cell is one entry of a row of a Matrix: the uid of whom it is for, and its value.
type Cell struct {
	UID   uint16
	Value I32F32
}

// A Matrix has a row of entries for each neuron. As in the chain's own, the order of the entries is
// theirs, and an entry that is 0 is another thing than none.
type Matrix struct {
	// The entries of all rows: uids, which matrices of the same shape share, and values.
	uids   []uint16
	values []I32F32
	ends   []int32 // where each row ends in them
}

// newMatrix returns one without rows, with room for rows rows and size entries.
func newMatrix(rows, size int) *Matrix {
	return &Matrix{uids: make([]uint16, 0, size), values: make([]I32F32, 0, size), ends: make([]int32, 0, rows)}
}

// shaped returns a matrix with the entries of m, and no values yet.
func (m *Matrix) shaped() *Matrix {
	return &Matrix{uids: m.uids, values: make([]I32F32, len(m.values)), ends: m.ends}
}

// clone returns a matrix with the entries of m.
func (m *Matrix) clone() *Matrix {
	return &Matrix{uids: m.uids, values: slices.Clone(m.values), ends: m.ends}
}

// Rows returns the number of rows.
func (m *Matrix) Rows() int { return len(m.ends) }

// Row returns the entries of one neuron, none for a uid out of range.
func (m *Matrix) Row(uid int) []Cell {
	if uid < 0 || uid >= len(m.ends) {
		return nil
	}
	uids, values := m.row(uid)
	out := make([]Cell, len(uids))
	for k, j := range uids {
		out[k] = Cell{j, values[k]}
	}
	return out
}

// row returns the entries of the neuron i, as many uids as values.
func (m *Matrix) row(i int) (uids []uint16, values []I32F32) {
	start := int32(0)
	if i > 0 {
		start = m.ends[i-1]
	}
	uids, values = m.uids[start:m.ends[i]], m.values[start:m.ends[i]]
	return uids, values[:len(uids)]
}

// room returns where to put the next row, of up to size entries. It is within what newMatrix was asked for.
func (m *Matrix) room(size int) (uids []uint16, values []I32F32) {
	start := len(m.uids)
	uids, values = m.uids[start:start+size], m.values[start:start+size]
	return uids, values[:len(uids)]
}

// endRow ends a row with the first n entries of its room.
func (m *Matrix) endRow(n int) {
	end := len(m.uids) + n
	m.uids, m.values, m.ends = m.uids[:end], m.values[:end], append(m.ends, int32(end))
}

// ascend reports whether uids are in order, each once.
func ascend(uids []uint16) bool {
	for k := 1; k < len(uids); k++ {
		if uids[k] <= uids[k-1] {
			return false
		}
	}
	return true
}

// sum is Iterator::sum, which wraps.
func sum(v []I32F32) (s I32F32) {
	for _, x := range v {
		s += x
	}
	return s
}

// divideAll divides by d, unless that is 0 (math.rs, inplace_normalize_using_sum).
func divideAll(v []I32F32, d I32F32) {
	by := newDivisor(d)
	for i, x := range v {
		q, ok := by.share(x)
		if !ok {
			q = by.other(x)
		}
		v[i] = q
	}
}

// normalize makes the sum of v 1, unless it is 0 (math.rs, inplace_normalize).
func normalize(v []I32F32) { divideAll(v, sum(v)) }

// A divisor is what many numbers are divided by, with what spares most of the work.
type divisor struct {
	m     uint64 // 2^(96-shift)/d, rounded down; 0 if d is not above 0
	d     I32F32
	shift uint
}

func newDivisor(d I32F32) (out divisor) {
	out.d = d
	if d > 0 {
		out.shift = uint(bits.LeadingZeros64(uint64(d)))
		out.m, _ = bits.Div64(1<<32-1, 1<<64-1, uint64(d)<<out.shift)
	}
	return out
}

// share is x.SafeDiv(d) for an x above 0 that is no more than d; ok is false for any other.
//
// With m rounded down, x·m is too little, but by less than 2^64, so that of the quotient at most 1 is lacking;
// what is left over tells, and is below 2·d, so that 64 bits hold it.
func (by *divisor) share(x I32F32) (q I32F32, ok bool) {
	n, _ := bits.Mul64(uint64(x)<<(by.shift&63), by.m)
	if uint64(x)<<32-n*uint64(by.d) >= uint64(by.d) {
		n++
	}
	return I32F32(n), x > 0 && x <= by.d
}

// other is what x is divided by d: x.SafeDiv(d), or x where d is 0.
func (by *divisor) other(x I32F32) I32F32 {
	if by.d == 0 {
		return x
	}
	return x.SafeDiv(by.d)
}

// part is x.Mul(y) if both are from 0 to below 1, as nearly all are; ok is false for others.
func part(x, y I32F32) (p I32F32, ok bool) {
	return I32F32(uint64(x) * uint64(y) >> 32), uint64(x|y)>>32 == 0
}

// columnSums returns the sum of each column, which saturates. Entries for uids that are no column count
// for none.
func (m *Matrix) columnSums() []I32F32 {
	out := make([]I32F32, m.Rows())
	for k, j := range m.uids {
		if int(j) < len(out) {
			out[j] = out[j].Add(m.values[k])
		}
	}
	return out
}

// divideColumns divides the entries of each column by that of d, unless that is 0.
func (m *Matrix) divideColumns(d []I32F32) {
	by := make([]divisor, len(d))
	for j, x := range d {
		by[j] = newDivisor(x)
	}
	values := m.values[:len(m.uids)]
	for k, j := range m.uids {
		if int(j) < len(by) {
			b := &by[j]
			q, ok := b.share(values[k])
			if !ok {
				q = b.other(values[k])
			}
			values[k] = q
		}
	}
}

// normalizeColumns makes the sum of each column 1 (math.rs, inplace_col_normalize_sparse).
func (m *Matrix) normalizeColumns() { m.divideColumns(m.columnSums()) }

// upscaleColumns makes the greatest entry of each column 1 (math.rs, inplace_col_max_upscale_sparse).
func (m *Matrix) upscaleColumns() {
	most := make([]I32F32, m.Rows())
	for k, j := range m.uids {
		if int(j) < len(most) {
			most[j] = max(most[j], m.values[k])
		}
	}
	m.divideColumns(most)
}

// timesByRow returns the product of each column with a vector by row: for each column the sum of its
// entries, each times the value of its row (math.rs, matmul_sparse).
func (m *Matrix) timesByRow(v []I32F32) []I32F32 {
	out := make([]I32F32, m.Rows())
	for i, x := range v {
		if x == 0 {
			continue
		}
		uids, values := m.row(i)
		for k, j := range uids {
			if int(j) < len(out) {
				p, ok := part(x, values[k])
				if !ok {
					p = x.Mul(values[k])
				}
				out[j] = out[j].Add(p)
			}
		}
	}
	return out
}

// timesByColumn returns the product of each row with a vector by column (math.rs,
// matmul_transpose_sparse).
func (m *Matrix) timesByColumn(v []I32F32) []I32F32 {
	out := make([]I32F32, m.Rows())
	for i := range out {
		uids, values := m.row(i)
		total := I32F32(0)
		for k, j := range uids {
			if int(j) < len(v) {
				p, ok := part(v[j], values[k])
				if !ok {
					p = v[j].Mul(values[k])
				}
				total = total.Add(p)
			}
		}
		out[i] = total
	}
	return out
}
