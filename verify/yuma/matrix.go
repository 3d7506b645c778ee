package yuma

// A Cell is one entry of a row of a Matrix: the uid of whom it is for, and its value.
type Cell struct {
	UID   uint16
	Value I32F32
}

// A Matrix has a row of entries for each neuron. As in the chain's own, the order of the entries is
// theirs, and an entry that is 0 is another thing than none.
type Matrix struct {
	cells []Cell
	ends  []int32 // where each row ends in cells
}

// newMatrix returns one to append to, of rows rows and up to size entries.
func newMatrix(rows, size int) *Matrix {
	return &Matrix{cells: make([]Cell, 0, size), ends: make([]int32, 0, rows)}
}

// Rows returns the number of rows.
func (m *Matrix) Rows() int { return len(m.ends) }

// Row returns the entries of one neuron, none for a uid out of range. They must not be changed.
func (m *Matrix) Row(uid int) []Cell {
	if uid < 0 || uid >= len(m.ends) {
		return nil
	}
	start := int32(0)
	if uid > 0 {
		start = m.ends[uid-1]
	}
	end := m.ends[uid]
	return m.cells[start:end:end]
}

func (m *Matrix) add(uid uint16, value I32F32) { m.cells = append(m.cells, Cell{uid, value}) }

// endRow closes a row: what was added since the last one is its entries.
func (m *Matrix) endRow() { m.ends = append(m.ends, int32(len(m.cells))) }

func (m *Matrix) clone() *Matrix {
	return &Matrix{cells: append([]Cell(nil), m.cells...), ends: m.ends}
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
	if d == 0 {
		return
	}
	for i, x := range v {
		v[i] = x.SafeDiv(d)
	}
}

// normalize makes the sum of v 1, unless it is 0 (math.rs, inplace_normalize).
func normalize(v []I32F32) { divideAll(v, sum(v)) }

// rowSums returns the sum of each row (math.rs, row_sum_sparse).
func (m *Matrix) rowSums() []I32F32 {
	out := make([]I32F32, m.Rows())
	for i := range out {
		for _, c := range m.Row(i) {
			out[i] += c.Value
		}
	}
	return out
}

// normalizeRows makes the sum of each row 1 that has a sum above 0 (math.rs,
// inplace_row_normalize_sparse).
func (m *Matrix) normalizeRows() {
	for i, sum := range m.rowSums() {
		if sum <= 0 {
			continue
		}
		row := m.Row(i)
		for k := range row {
			row[k].Value = row[k].Value.SafeDiv(sum)
		}
	}
}

// columns returns for each column the values of its entries, put together by f. Entries for uids that
// are no column count for none.
func (m *Matrix) columns(f func(a, b I32F32) I32F32) []I32F32 {
	out := make([]I32F32, m.Rows())
	for _, c := range m.cells {
		if int(c.UID) < len(out) {
			out[c.UID] = f(out[c.UID], c.Value)
		}
	}
	return out
}

// divideColumns divides the entries of each column by what f makes of them, unless that is 0.
func (m *Matrix) divideColumns(f func(a, b I32F32) I32F32) {
	d := m.columns(f)
	for k, c := range m.cells {
		if int(c.UID) < len(d) && d[c.UID] != 0 {
			m.cells[k].Value = c.Value.SafeDiv(d[c.UID])
		}
	}
}

// normalizeColumns makes the sum of each column 1 (math.rs, inplace_col_normalize_sparse).
func (m *Matrix) normalizeColumns() { m.divideColumns(I32F32.Add) }

// upscaleColumns makes the greatest entry of each column 1 (math.rs, inplace_col_max_upscale_sparse).
func (m *Matrix) upscaleColumns() {
	m.divideColumns(func(a, b I32F32) I32F32 { return max(a, b) })
}

// timesByRow returns the product of each column with a vector by row: for each column the sum of its
// entries, each times the value of its row (math.rs, matmul_sparse).
func (m *Matrix) timesByRow(v []I32F32) []I32F32 {
	out := make([]I32F32, m.Rows())
	for i := range out {
		for _, c := range m.Row(i) {
			if int(c.UID) < len(out) {
				out[c.UID] = out[c.UID].Add(v[i].Mul(c.Value))
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
		for _, c := range m.Row(i) {
			if int(c.UID) < len(v) {
				out[i] = out[i].Add(v[c.UID].Mul(c.Value))
			}
		}
	}
	return out
}
