package op

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// nonZero reports whether element i is not zero; a NaN is not.
func nonZero(t *tensor.Tensor, i int) bool {
	if t.DType.IsFloat() {
		return t.Float(i) != 0
	}
	return t.Int(i) != 0
}

// sortKey returns a number that orders the elements of a tensor: NaN is the
// largest, as NumPy sorts, and both zeros are one.
func sortKey(t *tensor.Tensor, i int) int64 {
	switch {
	case t.DType.IsFloat():
		return floatKey(t.Float(i))
	case t.DType == tensor.Uint64:
		return t.Int(i) ^ math.MinInt64
	}
	return t.Int(i)
}

func floatKey(v float64) int64 {
	if v != v {
		return math.MaxInt64
	}
	k := int64(math.Float64bits(v + 0)) // -0 + 0 is 0
	if k < 0 {
		k ^= math.MaxInt64
	}
	return k
}

// NonZero returns the coordinates of the elements that are not zero, one in
// each column of an int64 matrix, in row-major order. A scalar counts as a
// list of one element, as in ONNX Runtime.
type NonZero struct{}

func newNonZero(*graph.Node, int) (graph.Op, error) { return &NonZero{}, nil }

// Infer returns the upper bound: every element counts.
func (*NonZero) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	s := in[0].Type.Shape
	return typed(tensor.Int64, tensor.Shape{max(len(s), 1), s.Elems()})
}

// DataDependent implements graph.DataDependent.
func (*NonZero) DataDependent([]*graph.Value) bool { return true }

// Eval implements Evaluator.
func (*NonZero) Eval(in, out []*tensor.Tensor) error {
	x, n := in[0], 0
	for i := range x.Elems() {
		if nonZero(x, i) {
			n++
		}
	}
	out[0].Shape[1] = n
	y, col := out[0].I64(), 0
	for i := range x.Elems() {
		if !nonZero(x, i) {
			continue
		}
		if len(x.Shape) == 0 {
			y[0] = 0
		}
		rest := i
		for a := len(x.Shape) - 1; a >= 0; a-- {
			y[a*n+col] = int64(rest % x.Shape[a])
			rest /= x.Shape[a]
		}
		col++
	}
	return nil
}

// Compress keeps the slices along an axis, or the elements where Flat is set,
// whose flag in input 1 is true. Flags that are missing at the end are false.
type Compress struct {
	Axis int // may be negative
	Flat bool
}

func newCompress(n *graph.Node, _ int) (graph.Op, error) {
	return &Compress{Axis: n.Attrs.Int("axis", 0), Flat: !n.Attrs.Has("axis")}, nil
}

// Infer returns the upper bound where the flags are not known.
func (c *Compress) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 2); err != nil {
		return nil, err
	}
	t, flags := in[0].Type, in[1].Type
	if flags.DType != tensor.Bool || len(flags.Shape) != 1 {
		return nil, fmt.Errorf("condition is %v, want a list of bool: %w", flags, ErrShape)
	}
	shape, at := tensor.Shape{t.Shape.Elems()}, 0
	if !c.Flat {
		var err error
		if at, err = axis(c.Axis, len(t.Shape)); err != nil {
			return nil, err
		}
		shape = t.Shape.Clone()
	}
	most := min(shape[at], flags.Shape[0])
	if shape[at] = most; in[1].Const != nil {
		shape[at] = 0
		for _, b := range in[1].Const.Data[:most] {
			if b != 0 {
				shape[at]++
			}
		}
	}
	return typed(t.DType, shape)
}

// DataDependent implements graph.DataDependent.
func (c *Compress) DataDependent(in []*graph.Value) bool {
	flags := opt(in, 1)
	return flags != nil && flags.Const == nil
}

// Eval implements Evaluator.
func (c *Compress) Eval(in, out []*tensor.Tensor) error {
	x, at, outer, n, inner := in[0], 0, 1, in[0].Elems(), 1
	if !c.Flat {
		var err error
		if at, err = axis(c.Axis, len(x.Shape)); err != nil {
			return err
		}
		outer, n, inner = x.Shape[:at].Elems(), x.Shape[at], x.Shape[at+1:].Elems()
	}
	flags, kept, next := in[1].Bytes(), 0, 0
	flags = flags[:min(n, len(flags))]
	for o := range outer {
		kept = 0
		for i, b := range flags {
			if b != 0 {
				put(out[0].Data, next, x.Data, o*n+i, inner*x.DType.Size())
				next++
				kept++
			}
		}
	}
	if outer > 0 {
		out[0].Shape[at] = kept
	}
	return nil
}

// Unique returns the distinct slices along an axis, or elements where Flat is
// set, sorted or in the order of their first occurrence; and optionally where
// each occurs first, which one each slice of the input is, and how often each
// occurs.
type Unique struct {
	Axis   int // may be negative
	Flat   bool
	Sorted bool
}

func newUnique(n *graph.Node, _ int) (graph.Op, error) {
	return &Unique{Axis: n.Attrs.Int("axis", 0), Flat: !n.Attrs.Has("axis"), Sorted: n.Attrs.Int("sorted", 1) != 0}, nil
}

// Infer returns the upper bounds: every slice is distinct.
func (u *Unique) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	shape, at := tensor.Shape{in[0].Type.Shape.Elems()}, 0
	if !u.Flat {
		var err error
		if at, err = axis(u.Axis, len(in[0].Type.Shape)); err != nil {
			return nil, err
		}
		shape = in[0].Type.Shape
	}
	types, err := typed(in[0].Type.DType, shape)
	for range 3 {
		types = append(types, tensor.Of(tensor.Int64, shape[at]))
	}
	return types, err
}

// DataDependent implements graph.DataDependent.
func (u *Unique) DataDependent([]*graph.Value) bool { return true }

// Eval allocates its lists.
func (u *Unique) Eval(in, out []*tensor.Tensor) error {
	x, at, outer, n, inner := in[0], 0, 1, in[0].Elems(), 1
	if !u.Flat {
		var err error
		if at, err = axis(u.Axis, len(x.Shape)); err != nil {
			return err
		}
		outer, n, inner = x.Shape[:at].Elems(), x.Shape[at], x.Shape[at+1:].Elems()
	}
	compare := func(i, j int) int {
		for o := range outer {
			for q := range inner {
				if c := cmp.Compare(sortKey(x, (o*n+i)*inner+q), sortKey(x, (o*n+j)*inner+q)); c != 0 {
					return c
				}
			}
		}
		return 0
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, compare)
	// Each group of equal slices is named by its first member.
	var groups []int
	first := make([]int, n)
	for i, s := range order {
		if i == 0 || compare(order[i-1], s) != 0 {
			groups = append(groups, s)
		}
		first[s] = groups[len(groups)-1]
	}
	if !u.Sorted {
		slices.Sort(groups)
	}
	if y := out[0]; y != nil {
		y.Shape[at] = len(groups)
		for o := range outer {
			for g, s := range groups {
				put(y.Data, o*len(groups)+g, x.Data, o*n+s, inner*x.DType.Size())
			}
		}
	}
	place := make([]int, n)
	for g, s := range groups {
		place[s] = g
	}
	if y := opt(out, 1); y != nil {
		y.Shape[0] = len(groups)
		for g, s := range groups {
			y.SetInt(g, int64(s))
		}
	}
	if y := opt(out, 2); y != nil {
		for i, s := range first {
			y.SetInt(i, int64(place[s]))
		}
	}
	if y := opt(out, 3); y != nil {
		y.Shape[0] = len(groups)
		clear(y.Bytes())
		for _, s := range first {
			y.I64()[place[s]]++
		}
	}
	return nil
}
