package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// ReduceKind names what Reduce computes of a set of elements.
type ReduceKind int

// The reductions.
const (
	ReduceSum ReduceKind = iota
	ReduceSumSquare
	ReduceL1
	ReduceProd
	ReduceMax // NaN where any element is; the type's smallest value of nothing
	ReduceMin
	ReduceMean
	ReduceL2
	ReduceLogSum
	ReduceLogSumExp
)

var reduceNames = [...]string{"ReduceSum", "ReduceSumSquare", "ReduceL1", "ReduceProd", "ReduceMax", "ReduceMin",
	"ReduceMean", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp"}

// String returns the ONNX name of the operator.
func (k ReduceKind) String() string { return reduceNames[k] }

// Reduce combines the elements along some axes into one. The axes are an
// attribute in older operator sets and input 1 in newer ones; none means all
// axes, or with Noop none. Floating-point types accumulate in float64.
type Reduce struct {
	Kind     ReduceKind
	Axes     []int // nil where they are an input, or left out
	KeepDims bool
	Noop     bool
}

// newReduce decodes a reduction whose axes are an input from operator set
// since on.
func newReduce(k ReduceKind, since int) Builder {
	return func(n *graph.Node, opset int) (graph.Op, error) {
		r := &Reduce{Kind: k, KeepDims: n.Attrs.Int("keepdims", 1) != 0}
		if opset < since {
			r.Axes = n.Attrs.Ints("axes")
		} else {
			r.Noop = n.Attrs.Int("noop_with_empty_axes", 0) != 0
		}
		return r, nil
	}
}

// Over returns which axes of a tensor of some rank are reduced, where axes
// holds input 1, or is nil.
func (r *Reduce) Over(axes *tensor.Tensor, rank int) (set [tensor.MaxRank]bool, err error) {
	list := integers{attr: r.Axes, t: axes}
	if list.len() == 0 {
		for i := range rank {
			set[i] = !r.Noop
		}
		return set, nil
	}
	for i := range list.len() {
		a, err := axis(list.at(i), rank)
		if err != nil {
			return set, err
		}
		set[a] = true
	}
	return set, nil
}

// Infer implements graph.Op.
func (r *Reduce) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 2); err != nil {
		return nil, err
	}
	x := in[0].Type
	if minmax := r.Kind == ReduceMax || r.Kind == ReduceMin; !x.DType.IsFloat() && !x.DType.IsInt() && !(minmax && x.DType == tensor.Bool) {
		return nil, fmt.Errorf("%v of %v: %w", r.Kind, x.DType, ErrUnsupported)
	}
	if err := intInput(in, 1); err != nil {
		return nil, err
	}
	if len(x.Shape) > tensor.MaxRank {
		return nil, fmt.Errorf("rank %d is more than %d: %w", len(x.Shape), tensor.MaxRank, ErrShape)
	}
	lists, err := contents(in, 1)
	if err != nil {
		return nil, err
	}
	set, err := r.Over(opt(lists, 1), len(x.Shape))
	if err != nil {
		return nil, err
	}
	out := tensor.Shape{}
	for i, d := range x.Shape {
		switch {
		case !set[i]:
			out = append(out, d)
		case r.KeepDims:
			out = append(out, 1)
		}
	}
	return typed(x.DType, out)
}

// split returns the walks over the axes that are kept and those that are
// reduced; operand 0 is x, and the walk of the kept ones runs through the
// output in order.
func (r *Reduce) split(in []*tensor.Tensor) (kept, gone walk, count int, err error) {
	x := in[0]
	set, err := r.Over(opt(in, 1), len(x.Shape))
	step := 1
	count = 1
	var st [tensor.MaxRank]int
	for i := len(x.Shape) - 1; i >= 0; i-- {
		st[i] = step
		step *= x.Shape[i]
	}
	for i, d := range x.Shape {
		w := &kept
		if set[i] {
			w = &gone
			count *= d
		}
		w.dims[w.rank], w.st[0][w.rank], w.ops = d, st[i], 1
		w.rank++
	}
	kept.merge()
	gone.merge()
	return kept, gone, count, err
}

// Eval implements Evaluator.
func (r *Reduce) Eval(in, out []*tensor.Tensor) error {
	kept, gone, count, err := r.split(in)
	if err != nil {
		return err
	}
	for row := range kept.rows {
		r.row(out[0], in[0], row*kept.n, kept.off[0], 0, kept.n, kept.in[0], count, gone)
		kept.next()
	}
	return nil
}

// row computes outputs from to to of a row that starts at output y0 and at
// input x0, where its inputs are step apart.
func (r *Reduce) row(y, x *tensor.Tensor, y0, x0, from, to, step, count int, gone walk) {
	for i, n := from, 1; i < to; i += n {
		if step == 1 {
			n = min(chunk, to-i)
		}
		if x.DType.IsFloat() || r.Kind >= ReduceMean {
			r.floats(y, x, y0+i, x0+i*step, n, count, gone)
		} else {
			r.ints(y, x, y0+i, x0+i*step, n, gone)
		}
	}
}

// Prepare implements Preparer.
func (r *Reduce) Prepare(env *Env) ([]Step, error) {
	if opt(env.In, 1) != nil && !env.Const[1] {
		return nil, nil
	}
	kept, gone, count, err := r.split(env.In)
	if err != nil {
		return nil, err
	}
	x, y := env.In[0], env.Out[0]
	if x.DType == tensor.Float32 {
		set, err := r.Over(opt(env.In, 1), len(x.Shape))
		if steps := r.steps(env, x.Shape, set[:], count); steps != nil || err != nil {
			return steps, err
		}
	}
	// Whole rows of few outputs, or pieces of rows of many.
	piece := max(1, min(chunk, rowTile/max(count, 1)))
	pieces := (kept.n + piece - 1) / piece
	return []Step{{Kernel: "reduce", Tiles: kept.rows * pieces, Cost: x.Elems(), Run: func(_, tile int) {
		w := kept
		w.seek(tile / pieces)
		from := tile % pieces * piece
		r.row(y, x, tile/pieces*w.n, w.off[0], from, min(from+piece, w.n), w.in[0], count, gone)
	}}}, nil
}

// floats reduces to n outputs that lie side by side, as their inputs do. A
// single output whose inputs lie side by side is accumulated in lanes.
func (r *Reduce) floats(y, x *tensor.Tensor, to, from, n, count int, gone walk) {
	var acc, shift, buf [chunk]float64
	lanes, k := n, r.Kind
	if n == 1 && gone.in[0] == 1 {
		lanes = max(1, min(chunk, gone.n))
	}
	if k == ReduceLogSumExp {
		sweep(ReduceMax, shift[:lanes], nil, x, from, n, gone, buf[:])
		for i := range shift[:lanes] {
			if lanes > n {
				shift[i] = shift[0]
			}
			if math.IsInf(shift[i], 0) {
				shift[i] = 0
			}
		}
	}
	sweep(k, acc[:lanes], shift[:], x, from, n, gone, buf[:])
	for i, v := range acc[:n] {
		switch k {
		case ReduceMean:
			acc[i] = v / float64(count)
		case ReduceL2:
			acc[i] = math.Sqrt(v)
		case ReduceLogSum:
			acc[i] = math.Log(v)
		case ReduceLogSumExp:
			acc[i] = math.Log(v) + shift[i]
		}
	}
	storeFloats(y, to, acc[:n])
}

// sweep folds all that is reduced into the first n elements of acc; more
// elements are lanes of one output.
func sweep(k ReduceKind, acc, shift []float64, x *tensor.Tensor, from, n int, gone walk, buf []float64) {
	switch k {
	case ReduceMax:
		fill(acc, math.Inf(-1))
	case ReduceMin:
		fill(acc, math.Inf(1))
	case ReduceProd:
		fill(acc, 1)
	}
	for range gone.rows {
		at := from + gone.off[0]
		if len(acc) > n {
			for i := 0; i < gone.n; i += len(acc) {
				b := buf[:min(len(acc), gone.n-i)]
				loadFloats(x, at+i, b)
				fold(k, acc, shift, b)
			}
		} else {
			for i := range gone.n {
				loadFloats(x, at+i*gone.in[0], buf[:n])
				fold(k, acc, shift, buf[:n])
			}
		}
		gone.next()
	}
	for _, v := range acc[min(n, len(acc)):] {
		switch k {
		case ReduceProd, ReduceMax, ReduceMin:
			fold(k, acc[:1], nil, []float64{v})
		default:
			acc[0] += v
		}
	}
}

// fold folds each element of v into the accumulator at its place.
func fold(k ReduceKind, acc, shift, v []float64) {
	acc = acc[:len(v)]
	switch k {
	case ReduceSum, ReduceMean, ReduceLogSum:
		for i, x := range v {
			acc[i] += x
		}
	case ReduceSumSquare, ReduceL2:
		for i, x := range v {
			acc[i] += x * x
		}
	case ReduceL1:
		for i, x := range v {
			acc[i] += math.Abs(x)
		}
	case ReduceProd:
		for i, x := range v {
			acc[i] *= x
		}
	case ReduceMax:
		for i, x := range v {
			acc[i] = max(acc[i], x)
		}
	case ReduceMin:
		for i, x := range v {
			acc[i] = min(acc[i], x)
		}
	case ReduceLogSumExp:
		for i, x := range v {
			acc[i] += math.Exp(x - shift[i])
		}
	}
}

// ints reduces integers and Bool exactly, but for overflow, to n outputs that
// lie side by side, as their inputs do.
func (r *Reduce) ints(y, x *tensor.Tensor, to, from, n int, gone walk) {
	var acc, buf [chunk]int64
	lo, hi := intRange(x.DType)
	var bias int64 // orders Uint64
	if x.DType == tensor.Uint64 {
		bias, lo, hi = math.MinInt64, math.MinInt64, math.MaxInt64
	}
	switch r.Kind {
	case ReduceMax:
		fill(acc[:n], lo)
	case ReduceMin:
		fill(acc[:n], hi)
	case ReduceProd:
		fill(acc[:n], 1)
	}
	for range gone.rows {
		for i := range gone.n {
			loadInts(x, from+gone.off[0]+i*gone.in[0], buf[:n])
			for j, v := range buf[:n] {
				switch r.Kind {
				case ReduceSum:
					acc[j] += v
				case ReduceSumSquare:
					acc[j] += v * v
				case ReduceL1:
					if v < 0 && bias == 0 {
						v = -v
					}
					acc[j] += v
				case ReduceProd:
					acc[j] *= v
				case ReduceMax:
					acc[j] = max(acc[j], v^bias)
				case ReduceMin:
					acc[j] = min(acc[j], v^bias)
				}
			}
		}
		gone.next()
	}
	if r.Kind == ReduceMax || r.Kind == ReduceMin {
		for i := range acc[:n] {
			acc[i] ^= bias
		}
	}
	storeInts(y, to, acc[:n])
}

func fill[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}

// intRange returns the smallest and largest value of an integer type or Bool;
// those of Uint64 do not fit.
func intRange(d tensor.DType) (lo, hi int64) {
	bits := d.Size() * 8
	switch d {
	case tensor.Bool:
		return 0, 1
	case tensor.Int4, tensor.Uint4:
		bits = 4
	}
	if d.IsUnsigned() {
		return 0, 1<<bits - 1
	}
	return -1 << (bits - 1), 1<<(bits-1) - 1
}
