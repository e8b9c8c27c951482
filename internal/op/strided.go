package op

import (
	"fmt"
	"unsafe"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// StridedCopy is the machine operator behind every rearrangement of elements:
//
//	out[i0, i1, ...] = in[Offset + i0·Strides[0] + i1·Strides[1] + ...]
//
// Offset and Strides count elements of the dense input; strides may be zero,
// to repeat, or negative, to reverse.
type StridedCopy struct {
	Shape   []int
	Offset  int
	Strides []int
}

// Infer returns Shape with the element type of the input, and an error where
// an address falls outside of the input.
func (c *StridedCopy) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	if len(c.Strides) != len(c.Shape) {
		return nil, fmt.Errorf("%d strides for shape %v: %w", len(c.Strides), tensor.Shape(c.Shape), ErrShape)
	}
	types, err := typed(in[0].Type.DType, c.Shape)
	if err != nil || tensor.Shape(c.Shape).Elems() == 0 {
		return types, err
	}
	// The limits on sizes keep each product below 2^60.
	n := int64(in[0].Type.Shape.Elems())
	lo, hi := int64(c.Offset), int64(c.Offset)
	for a := 0; lo >= 0 && hi < n && a < len(c.Shape); a++ {
		stride := int64(c.Strides[a])
		if c.Shape[a] > 1 && (stride < -n || stride > n) {
			return nil, fmt.Errorf("stride %d in an input of %d elements: %w", stride, n, ErrShape)
		}
		span := int64(c.Shape[a]-1) * stride
		lo, hi = lo+min(span, 0), hi+max(span, 0)
	}
	if lo < 0 || hi >= n {
		return nil, fmt.Errorf("elements %d to %d are read of an input of %d: %w", lo, hi, n, ErrShape)
	}
	return types, nil
}

// Pitched allows a pitched output; strides address a dense input.
func (c *StridedCopy) Pitched() (in, out bool) { return false, true }

func (c *StridedCopy) move(out *tensor.Tensor) move {
	m, st := move{srcOff: c.Offset}, stridesOf(out)
	for a, e := range c.Shape {
		m.add(e, st[a], c.Strides[a])
	}
	return m
}

// Eval copies one element at a time in the order of the output.
func (c *StridedCopy) Eval(in, out []*tensor.Tensor) error {
	m := c.move(out[0])
	m.run(out[0], in[0])
	return nil
}

// Prepare cuts the copy into tiles.
func (c *StridedCopy) Prepare(env *Env) ([]Step, error) {
	return moveSteps(env, c.move(env.Out[0])), nil
}

// moveAxes is the largest number of axes of a move: Tile has two for each of
// its input.
const moveAxes = 2 * tensor.MaxRank

// move copies a box of elements from one strided place to another. Strides
// and offsets count elements. Places that are written must not be read.
type move struct {
	n              int // axes in use, outermost first
	ext, dst, src  [moveAxes]int
	dstOff, srcOff int
}

// add appends an inner axis.
func (m *move) add(ext, dst, src int) {
	m.ext[m.n], m.dst[m.n], m.src[m.n] = ext, dst, src
	m.n++
}

func (m *move) elems() int {
	n := 1
	for _, e := range m.ext[:m.n] {
		n *= e
	}
	return n
}

// plan drops axes of one element, merges neighbours that are one run in both
// places, and brings an axis of consecutive source elements next to the
// innermost one, so that the two of them make a matrix to transpose.
func (m *move) plan() {
	n := 0
	for a := range m.n {
		if m.ext[a] != 1 {
			m.ext[n], m.dst[n], m.src[n] = m.ext[a], m.dst[a], m.src[a]
			n++
		}
	}
	m.n = n
	for a := n - 2; a >= 0; a-- {
		b := a + 1
		if m.dst[a] == m.dst[b]*m.ext[b] && m.src[a] == m.src[b]*m.ext[b] {
			m.ext[a], m.dst[a], m.src[a] = m.ext[a]*m.ext[b], m.dst[b], m.src[b]
			copy(m.ext[b:], m.ext[b+1:m.n])
			copy(m.dst[b:], m.dst[b+1:m.n])
			copy(m.src[b:], m.src[b+1:m.n])
			m.n--
		}
	}
	if m.n < 3 || m.src[m.n-1] == 1 || m.src[m.n-1] == 0 {
		return
	}
	for a := m.n - 3; a >= 0; a-- {
		if m.src[a] == 1 {
			for ; a < m.n-2; a++ {
				m.ext[a], m.ext[a+1] = m.ext[a+1], m.ext[a]
				m.dst[a], m.dst[a+1] = m.dst[a+1], m.dst[a]
				m.src[a], m.src[a+1] = m.src[a+1], m.src[a]
			}
			return
		}
	}
}

// run plans and performs the move between two tensors of one element type.
func (m *move) run(dst, src *tensor.Tensor) {
	m.plan()
	m.exec(dst, src)
}

// exec performs a planned move.
func (m *move) exec(dst, src *tensor.Tensor) {
	switch dst.DType.Size() {
	case 1:
		execMove(m, dst.Data, src.Data)
	case 2:
		execMove(m, bytesAs[uint16](dst.Data), bytesAs[uint16](src.Data))
	case 4:
		execMove(m, bytesAs[uint32](dst.Data), bytesAs[uint32](src.Data))
	case 8:
		execMove(m, bytesAs[uint64](dst.Data), bytesAs[uint64](src.Data))
	}
}

type word interface {
	uint8 | uint16 | uint32 | uint64
}

// bytesAs views aligned bytes as elements.
func bytesAs[T word](b []byte) []T {
	var e T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(e)))
}

func execMove[T word](m *move, dst, src []T) {
	if m.elems() == 0 {
		return
	}
	p := plane[T]{dst: dst, src: src, rows: 1, cols: 1}
	if m.n > 0 {
		p.cols, p.dstCol, p.srcCol = m.ext[m.n-1], m.dst[m.n-1], m.src[m.n-1]
	}
	if m.n > 1 {
		p.rows, p.dstRow, p.srcRow = m.ext[m.n-2], m.dst[m.n-2], m.src[m.n-2]
	}
	for o := m.outer(2); o.more; o.next() {
		p.copy(o.d, o.s)
	}
}

// outer walks over all axes of a move but the inner ones.
func (m *move) outer(inner int) odometer {
	return odometer{m: m, n: m.n - inner, d: m.dstOff, s: m.srcOff, more: true}
}

// odometer holds the places that a walk over the outer axes of a move is at.
type odometer struct {
	m    *move
	n    int // axes
	at   [moveAxes]int
	d, s int
	more bool
}

func (o *odometer) next() {
	for a := o.n - 1; a >= 0; a-- {
		o.at[a]++
		o.d, o.s = o.d+o.m.dst[a], o.s+o.m.src[a]
		if o.at[a] < o.m.ext[a] {
			return
		}
		o.d, o.s = o.d-o.at[a]*o.m.dst[a], o.s-o.at[a]*o.m.src[a]
		o.at[a] = 0
	}
	o.more = false
}

// plane is the two innermost axes of a move.
type plane[T word] struct {
	dst, src       []T
	rows, cols     int
	dstRow, srcRow int
	dstCol, srcCol int
}

// copy moves the plane whose first elements are dst[d] and src[s].
func (p *plane[T]) copy(d, s int) {
	switch {
	case p.dstCol != 1 && p.cols > 1:
		p.scatter(d, s)
	case p.srcCol == 1 || p.cols == 1:
		for r := range p.rows {
			d, s := d+r*p.dstRow, s+r*p.srcRow
			copy(p.dst[d:d+p.cols], p.src[s:s+p.cols])
		}
	case p.srcCol == 0:
		for r := range p.rows {
			d, v := d+r*p.dstRow, p.src[s+r*p.srcRow]
			row := p.dst[d : d+p.cols]
			for i := range row {
				row[i] = v
			}
		}
	case p.srcRow == 1 && p.rows > 1:
		p.transpose(d, s)
	default:
		for r := range p.rows {
			d, s := d+r*p.dstRow, s+r*p.srcRow
			row := p.dst[d : d+p.cols]
			for i := range row {
				row[i] = p.src[s]
				s += p.srcCol
			}
		}
	}
}

// scatter is the loop for destinations that are not consecutive.
func (p *plane[T]) scatter(d, s int) {
	for r := range p.rows {
		d, s := d+r*p.dstRow, s+r*p.srcRow
		for range p.cols {
			p.dst[d] = p.src[s]
			d, s = d+p.dstCol, s+p.srcCol
		}
	}
}

// zip interleaves two runs: rows of two elements.
func (p *plane[T]) zip(d, s int) {
	a, b := p.src[s:s+p.rows], p.src[s+p.srcCol:][:p.rows]
	if p.dstRow == 2 {
		to := p.dst[d:][:2*len(a)]
		for i, v := range a {
			pair := to[2*i : 2*i+2 : 2*i+2]
			pair[0], pair[1] = v, b[i]
		}
		return
	}
	for i, v := range a {
		pair := p.dst[d : d+2 : d+2]
		pair[0], pair[1] = v, b[i]
		d += p.dstRow
	}
}

// unzip takes pairs of consecutive elements apart into two rows.
func (p *plane[T]) unzip(d, s int) {
	a, b := p.dst[d:][:p.cols], p.dst[d+p.dstRow:][:p.cols]
	for i := range a {
		pair := p.src[s : s+2 : s+2]
		a[i], b[i] = pair[0], pair[1]
		s += p.srcCol
	}
}

// transpose handles rows that are consecutive in the source while columns are
// consecutive in the destination, in blocks that stay in the first cache.
func (p *plane[T]) transpose(d, s int) {
	const block, wide, tall = 8, 64, 512
	switch {
	case p.cols == 2:
		p.zip(d, s)
		return
	case p.rows == 2:
		p.unzip(d, s)
		return
	case p.cols < block:
		for r := 0; r < p.rows; r += tall {
			q := plane[T]{p.dst, p.src, p.cols, min(tall, p.rows-r), p.dstCol, p.srcCol, p.dstRow, p.srcRow}
			q.scatter(d+r*p.dstRow, s+r)
		}
		return
	}
	full := p.rows &^ (block - 1)
	for c := 0; c < p.cols; c += wide {
		cols := min(wide, p.cols-c)
		from, to := s+c*p.srcCol, d+c
		for r := 0; r < full; r += block {
			var row [block][]T
			for i := range row {
				at := to + (r+i)*p.dstRow
				row[i] = p.dst[at : at+cols]
			}
			at := from + r
			for i := range cols {
				v := p.src[at : at+block : at+block]
				row[0][i], row[1][i], row[2][i], row[3][i] = v[0], v[1], v[2], v[3]
				row[4][i], row[5][i], row[6][i], row[7][i] = v[4], v[5], v[6], v[7]
				at += p.srcCol
			}
		}
		for r := full; r < p.rows; r++ {
			at := to + r*p.dstRow
			row := p.dst[at : at+cols]
			at = from + r
			for i := range row {
				row[i] = p.src[at]
				at += p.srcCol
			}
		}
	}
}

// stridesOf returns the strides of t's axes in elements, observing its pitch.
func stridesOf(t *tensor.Tensor) (st [tensor.MaxRank]int) {
	n := 1
	for a := len(t.Shape) - 1; a >= 0; a-- {
		st[a] = n
		if n *= t.Shape[a]; a == len(t.Shape)-1 && t.Pitch != 0 {
			n = t.Pitch
		}
	}
	return st
}

// moveJob is one move of a step, with its places.
type moveJob struct {
	move
	dst, src *tensor.Tensor
	set      *kernels.Set // for interleaving words of four bytes, and back; nil: plain Go

	axis, chunk int // tiles are chunk elements of this axis
	first       int // the first tile
}

// tileElems is about the number of elements that one tile of a copy moves.
const tileElems = 16 << 10

// moveStep makes one step of independent moves, each cut along its longest
// axis.
func moveStep(jobs []moveJob) Step {
	tiles, elems := 0, 0
	for i := range jobs {
		j := &jobs[i]
		j.plan()
		n := j.elems()
		j.first, j.chunk, elems = tiles, 1, elems+n
		if n == 0 {
			continue
		}
		long := 1
		for a, e := range j.ext[:j.n] {
			if e > long {
				long, j.axis = e, a
			}
		}
		// Whole blocks, so that transposing loops stay full.
		j.chunk = max(1, tileElems*long/n)
		if j.chunk > 16 {
			j.chunk &^= 15
		}
		tiles += (long + j.chunk - 1) / j.chunk
	}
	return Step{Kernel: "copy", Tiles: tiles, Cost: elems, Run: func(_, tile int) {
		i := len(jobs) - 1
		for jobs[i].first > tile {
			i--
		}
		jobs[i].tile(tile - jobs[i].first)
	}}
}

// moveSteps is the one step of an operator that is a single move from input 0
// to output 0.
func moveSteps(env *Env, m move) []Step {
	return []Step{moveStep([]moveJob{{move: m, dst: env.Out[0], src: env.In[0], set: env.Kernels}})}
}

// tile performs piece t of the move.
func (j *moveJob) tile(t int) {
	m := j.move
	if m.n > 0 {
		at := t * j.chunk
		m.ext[j.axis] = min(j.chunk, m.ext[j.axis]-at)
		m.dstOff += at * m.dst[j.axis]
		m.srcOff += at * m.src[j.axis]
	}
	done := false
	switch {
	case j.dst.DType.Size() == 1:
		done = m.pairedBytes(j.dst.Data, j.src.Data)
	case j.dst.DType.Size() == 4 && j.set != nil:
		done = m.paired(whole[float32](j.dst), whole[float32](j.src), j.set)
	}
	if !done {
		m.exec(j.dst, j.src)
	}
}

// paired performs a planned move that interleaves runs, two and two, or takes
// every other element. It reports false for other moves.
func (m *move) paired(dst, src []float32, k *kernels.Set) bool {
	col, row := m.n-1, m.n-2
	switch {
	case col < 0 || m.dst[col] != 1 || m.elems() == 0:
		return false
	case m.src[col] == 2:
		o, rows, dstRow, srcRow := m.rows(1)
		for ; o.more; o.next() {
			k.F32Even(dst[o.d:], src[o.s:], m.ext[col], rows, dstRow, srcRow)
		}
		return true
	case row >= 0 && m.ext[col] == 2 && m.dst[row] == 2 && m.src[row] == 1 && m.src[col] >= 0:
		o, rows, dstRow, srcRow := m.rows(2)
		for ; o.more; o.next() {
			k.F32Zip(dst[o.d:], src[o.s:], m.ext[row], rows, dstRow, srcRow, m.src[col])
		}
		return true
	}
	return false
}

// rows makes the innermost axis but those named rows, where it goes forward,
// and returns the walk over the others.
func (m *move) rows(inner int) (o odometer, rows, dst, src int) {
	if a := m.n - inner - 1; a >= 0 && m.dst[a] >= 0 && m.src[a] >= 0 {
		return m.outer(inner + 1), m.ext[a], m.dst[a], m.src[a]
	}
	return m.outer(inner), 1, 0, 0
}

// wordBytes views a word as bytes.
func wordBytes(w *[1]uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(w)), 8)
}
