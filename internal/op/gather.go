package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// indexInput rejects indices, which are input 1, that are not int32 or int64.
func indexInput(in []*graph.Value) error {
	if d := in[1].Type.DType; d != tensor.Int32 && d != tensor.Int64 {
		return fmt.Errorf("indices %q hold %v, want int32 or int64: %w", in[1].Name, d, ErrUnsupported)
	}
	return nil
}

// index returns element i of a tensor of indices into n elements; negative
// ones count from the end.
func index(t *tensor.Tensor, i, n int) (int, error) {
	v := t.Int(i)
	if v < int64(-n) || v >= int64(n) {
		return 0, fmt.Errorf("index %d (element %d) is outside of %d elements: %w", v, i, n, ErrShape)
	}
	if v < 0 {
		v += int64(n)
	}
	return int(v), nil
}

// put copies n bytes from element s of src to element d of dst, both counted
// in runs of n bytes.
func put(dst []byte, d int, src []byte, s, n int) {
	copy(dst[d*n:d*n+n], src[s*n:s*n+n])
}

// Gather picks elements along Axis: with data of shape [P, d, Q] and indices
// of any shape, out[p, i..., q] = data[p, indices[i...], q].
type Gather struct{ Axis int } // may be negative

func newGather(n *graph.Node, _ int) (graph.Op, error) {
	return &Gather{Axis: n.Attrs.Int("axis", 0)}, nil
}

// Infer implements graph.Op.
func (g *Gather) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 2); err != nil {
		return nil, err
	}
	if err := indexInput(in); err != nil {
		return nil, err
	}
	s := in[0].Type.Shape
	at, err := axis(g.Axis, len(s))
	if err != nil {
		return nil, err
	}
	out := append(s[:at:at].Clone(), in[1].Type.Shape...)
	return typed(in[0].Type.DType, append(out, s[at+1:]...))
}

// Eval implements Evaluator.
func (g *Gather) Eval(in, out []*tensor.Tensor) error {
	s := in[0].Shape
	at, err := axis(g.Axis, len(s))
	if err != nil {
		return err
	}
	outer, n, inner := s[:at].Elems(), s[at], s[at+1:].Elems()*in[0].DType.Size()
	picks := in[1].Elems()
	for i := range picks {
		from, err := index(in[1], i, n)
		if err != nil {
			return err
		}
		for o := range outer {
			put(out[0].Data, o*picks+i, in[0].Data, o*n+from, inner)
		}
	}
	return nil
}

// GatherElements picks single elements along Axis:
// out[i, j, k] = data[i, indices[i, j, k], k] for axis 1 of three.
type GatherElements struct{ Axis int } // may be negative

func newGatherElements(n *graph.Node, _ int) (graph.Op, error) {
	return &GatherElements{Axis: n.Attrs.Int("axis", 0)}, nil
}

// Infer implements graph.Op.
func (g *GatherElements) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 2); err != nil {
		return nil, err
	}
	if err := elementIndices(in, g.Axis); err != nil {
		return nil, err
	}
	return typed(in[0].Type.DType, in[1].Type.Shape)
}

// elementIndices checks that input 1 holds indices along an axis of input 0,
// within its extents on all others.
func elementIndices(in []*graph.Value, along int) error {
	if err := indexInput(in); err != nil {
		return err
	}
	data, idx := in[0].Type.Shape, in[1].Type.Shape
	at, err := axis(along, len(data))
	if err != nil {
		return err
	}
	fits := len(data) == len(idx)
	for a := 0; fits && a < len(data); a++ {
		fits = a == at || idx[a] <= data[a]
	}
	if !fits {
		return fmt.Errorf("indices of shape %v for %v: %w", idx, data, ErrShape)
	}
	return nil
}

// elementWalk visits the elements of data that indices name along an axis, in
// the order of the indices.
type elementWalk struct {
	at       int // the axis
	data     tensor.Shape
	idx      *tensor.Tensor
	strides  [tensor.MaxRank]int
	position [tensor.MaxRank]int
	base     int // of data, without the axis
	next     int
}

func newElementWalk(data, idx *tensor.Tensor, along int) (elementWalk, error) {
	at, err := axis(along, len(data.Shape))
	return elementWalk{at: at, data: data.Shape, idx: idx, strides: stridesOf(data)}, err
}

// step returns the element of data for the next index.
func (w *elementWalk) step() (int, error) {
	v, err := index(w.idx, w.next, w.data[w.at])
	if err != nil {
		return 0, err
	}
	elem := w.base + v*w.strides[w.at]
	w.next++
	for a := len(w.data) - 1; a >= 0; a-- {
		stride := w.strides[a]
		if a == w.at {
			stride = 0
		}
		w.position[a]++
		w.base += stride
		if w.position[a] < w.idx.Shape[a] {
			break
		}
		w.base -= w.position[a] * stride
		w.position[a] = 0
	}
	return elem, nil
}

// Eval implements Evaluator.
func (g *GatherElements) Eval(in, out []*tensor.Tensor) error {
	w, err := newElementWalk(in[0], in[1], g.Axis)
	if err != nil {
		return err
	}
	size := in[0].DType.Size()
	for i := range in[1].Elems() {
		from, err := w.step()
		if err != nil {
			return err
		}
		put(out[0].Data, i, in[0].Data, from, size)
	}
	return nil
}

// GatherND picks slices: the last axis of indices holds coordinates of the
// leading axes of data, after Batch axes that both have in common.
type GatherND struct{ Batch int }

func newGatherND(n *graph.Node, _ int) (graph.Op, error) {
	return &GatherND{Batch: n.Attrs.Int("batch_dims", 0)}, nil
}

// Infer implements graph.Op.
func (g *GatherND) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 2); err != nil {
		return nil, err
	}
	if err := indexInput(in); err != nil {
		return nil, err
	}
	data, idx := in[0].Type.Shape, in[1].Type.Shape
	if g.Batch < 0 || g.Batch >= min(len(data), len(idx)) || !data[:g.Batch].Equal(idx[:g.Batch]) {
		return nil, fmt.Errorf("%d batch axes of %v and %v: %w", g.Batch, data, idx, ErrShape)
	}
	last := len(idx) - 1
	if idx[last] > len(data)-g.Batch {
		return nil, fmt.Errorf("%d coordinates for %v: %w", idx[last], data, ErrShape)
	}
	return typed(in[0].Type.DType, append(idx[:last].Clone(), data[g.Batch+idx[last]:]...))
}

// Eval implements Evaluator.
func (g *GatherND) Eval(in, out []*tensor.Tensor) error {
	t := newTuples(in[0], in[1], g.Batch)
	for i := range t.n {
		from, err := t.at(i)
		if err != nil {
			return err
		}
		put(out[0].Data, i, in[0].Data, from, t.run)
	}
	return nil
}

// tuples reads the slices that rows of coordinates name.
type tuples struct {
	idx   *tensor.Tensor
	dims  tensor.Shape // the axes that coordinates address
	n     int          // rows of coordinates
	batch int          // rows for each batch
	slabs int          // slices in one batch
	run   int          // bytes in a slice
}

func newTuples(data, idx *tensor.Tensor, batch int) tuples {
	last := len(idx.Shape) - 1
	k := idx.Shape[last]
	t := tuples{idx: idx, dims: data.Shape[batch : batch+k], n: idx.Shape[:last].Elems(), batch: idx.Shape[batch:last].Elems()}
	t.slabs = t.dims.Elems()
	t.run = data.Shape[batch+k:].Elems() * data.DType.Size()
	return t
}

// at returns the number of the slice that row i names.
func (t *tuples) at(i int) (int, error) {
	slab := 0
	for a, d := range t.dims {
		v, err := index(t.idx, i*len(t.dims)+a, d)
		if err != nil {
			return 0, err
		}
		slab = slab*d + v
	}
	return i/t.batch*t.slabs + slab, nil
}
