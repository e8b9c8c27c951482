package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/tensor"
)

// walk visits a broadcast computation row by row. Operand 0 is the output,
// which sets the extents; up to three inputs follow. Axes that all operands
// can step through together are merged first, so that rows are long.
type walk struct {
	rows, n int // rows of n elements each
	off     [4]int
	in      [4]int // step of each operand within a row: 0 or 1

	ops, rank int
	dims      [tensor.MaxRank]int
	idx       [tensor.MaxRank]int
	st        [4][tensor.MaxRank]int
}

// walkOver returns the walk that computes out from inputs which broadcast to
// it as in NumPy. A nil input is skipped and takes no operand number.
func walkOver(out *tensor.Tensor, ins ...*tensor.Tensor) walk {
	var w walk
	w.start(out)
	for _, t := range ins {
		if t != nil {
			w.add(t, len(out.Shape)-len(t.Shape))
		}
	}
	w.merge()
	return w
}

// start sets the extents and adds operand 0.
func (w *walk) start(out *tensor.Tensor) {
	w.rank = copy(w.dims[:], out.Shape)
	w.add(out, 0)
}

// add adds an operand whose axis 0 is aligned with axis shift of the output.
func (w *walk) add(t *tensor.Tensor, shift int) {
	step := 1
	for i := len(t.Shape) - 1; i >= 0; i-- {
		if t.Shape[i] != 1 {
			w.st[w.ops][i+shift] = step
		}
		if step *= t.Shape[i]; i == len(t.Shape)-1 && t.Pitch != 0 {
			step = t.Pitch
		}
	}
	w.ops++
}

// merge joins neighbouring axes, cuts off the row and goes to the first one.
func (w *walk) merge() {
	rank := 0
	for i := range w.rank {
		if w.dims[i] == 1 {
			continue
		}
		joined := rank > 0
		for k := 0; joined && k < w.ops; k++ {
			joined = w.st[k][rank-1] == w.st[k][i]*w.dims[i]
		}
		if joined {
			rank--
			w.dims[rank] *= w.dims[i]
		} else {
			w.dims[rank] = w.dims[i]
		}
		for k := range w.ops {
			w.st[k][rank] = w.st[k][i]
		}
		rank++
	}
	w.n, w.rows = 1, 1
	dense := rank > 0
	for k := 0; dense && k < w.ops; k++ {
		dense = w.st[k][rank-1] <= 1 // not where a pitch is all that is left
	}
	if dense {
		rank--
		w.n = w.dims[rank]
		for k := range w.ops {
			w.in[k] = w.st[k][rank]
		}
	}
	w.rank = rank
	for _, d := range w.dims[:rank] {
		w.rows *= d
	}
	if w.n == 0 {
		w.rows = 0
	}
}

// seek goes to a row.
func (w *walk) seek(row int) {
	w.off = [4]int{}
	for i := w.rank - 1; i >= 0; i-- {
		w.idx[i] = row % w.dims[i]
		row /= w.dims[i]
		for k := range w.ops {
			w.off[k] += w.idx[i] * w.st[k][i]
		}
	}
}

// next goes to the next row; after the last one to the first.
func (w *walk) next() {
	for i := w.rank - 1; i >= 0; i-- {
		w.idx[i]++
		for k := range w.ops {
			w.off[k] += w.st[k][i]
		}
		if w.idx[i] < w.dims[i] {
			return
		}
		w.idx[i] = 0
		for k := range w.ops {
			w.off[k] -= w.dims[i] * w.st[k][i]
		}
	}
}

// rowTile is how many elements one tile of an elementwise step has, about.
const rowTile = 16 << 10

// tiling cuts rows of n elements into tiles: several whole rows, or a piece
// of one.
type tiling struct{ rows, n, perTile, pieces, piece int }

func newTiling(rows, n int) tiling {
	t := tiling{rows: rows, n: n, perTile: 1, pieces: 1, piece: n}
	if n > rowTile {
		t.pieces = (n + rowTile - 1) / rowTile
		// Whole cache lines keep neighbouring tiles apart.
		t.piece = ((n+t.pieces-1)/t.pieces + 15) &^ 15
		t.pieces = (n + t.piece - 1) / t.piece
	} else if n > 0 {
		t.perTile = max(1, rowTile/n)
	}
	return t
}

// tiles returns the number of tiles.
func (t tiling) tiles() int {
	return (t.rows + t.perTile - 1) / t.perTile * t.pieces
}

// at returns the rows of a tile and the elements of them that it covers.
func (t tiling) at(tile int) (row, rows, from, to int) {
	row = tile / t.pieces * t.perTile
	from = tile % t.pieces * t.piece
	return row, min(t.perTile, t.rows-row), from, min(from+t.piece, t.n)
}

// broadcastShape returns the shape that a and b broadcast to as in NumPy.
func broadcastShape(a, b tensor.Shape) (tensor.Shape, error) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out, shift := a.Clone(), len(a)-len(b)
	for i, d := range b {
		switch e := out[i+shift]; {
		case e == 1:
			out[i+shift] = d
		case d != 1 && d != e:
			return nil, fmt.Errorf("shapes %v and %v do not broadcast: %w", a, b, ErrShape)
		}
	}
	return out, nil
}

// fitsInto reports whether s broadcasts to out when its axis 0 is aligned
// with axis shift of out.
func fitsInto(s, out tensor.Shape, shift int) bool {
	if shift < 0 || shift+len(s) > len(out) {
		return false
	}
	for i, d := range s {
		if d != 1 && d != out[i+shift] {
			return false
		}
	}
	return true
}
