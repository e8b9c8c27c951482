package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// ArgReduce returns, as int64, the index along Axis of the largest element,
// or of the smallest; of equal ones the first, or the last. A NaN counts as
// the extreme, as in NumPy.
type ArgReduce struct {
	Min, Last bool
	Axis      int
	KeepDims  bool
}

func newArgReduce(min bool) Builder {
	return func(n *graph.Node, _ int) (graph.Op, error) {
		return &ArgReduce{
			Min: min, Last: n.Attrs.Int("select_last_index", 0) != 0,
			Axis: n.Attrs.Int("axis", 0), KeepDims: n.Attrs.Int("keepdims", 1) != 0,
		}, nil
	}
}

// Infer implements graph.Op.
func (r *ArgReduce) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	x := in[0].Type
	if !x.DType.IsFloat() && !x.DType.IsInt() {
		return nil, fmt.Errorf("element type %v: %w", x.DType, ErrUnsupported)
	}
	a, err := axis(r.Axis, len(x.Shape))
	if err != nil {
		return nil, err
	}
	if x.Shape[a] == 0 {
		return nil, fmt.Errorf("axis %d of %v is empty: %w", a, x, ErrShape)
	}
	s := append(tensor.Shape{}, x.Shape[:a]...)
	if r.KeepDims {
		s = append(s, 1)
	}
	return typed(tensor.Int64, append(s, x.Shape[a+1:]...))
}

// Eval implements Evaluator.
func (r *ArgReduce) Eval(in, out []*tensor.Tensor) error {
	x, y := in[0], out[0].I64()
	a, err := axis(r.Axis, len(x.Shape))
	if err != nil {
		return err
	}
	n, inner := x.Shape[a], x.Shape[a+1:].Elems()
	for i := range y {
		from := i/inner*n*inner + i%inner
		y[i] = int64(r.find(x, from, n, inner))
	}
	return nil
}

// Prepare implements Preparer: outputs in parallel, and each at once where its
// elements are consecutive float32.
func (r *ArgReduce) Prepare(env *Env) ([]Step, error) {
	x, y := env.In[0], env.Out[0].I64()
	a, err := axis(r.Axis, len(x.Shape))
	if err != nil {
		return nil, err
	}
	n, inner := x.Shape[a], x.Shape[a+1:].Elems()
	find := func(i int) int { return r.find(x, i/inner*n*inner+i%inner, n, inner) }
	if inner == 1 && x.DType == tensor.Float32 {
		src := x.F32()
		find = func(i int) int { return r.findF32(src[i*n : (i+1)*n]) }
	}
	per := max(1, rowTile/n)
	return []Step{{Kernel: "argreduce", Tiles: (len(y) + per - 1) / per, Cost: x.Elems() * 2, Run: func(_, tile int) {
		for i := tile * per; i < min((tile+1)*per, len(y)); i++ {
			y[i] = int64(find(i))
		}
	}}}, nil
}

// findF32 is find for a slice that is not empty.
func (r *ArgReduce) findF32(x []float32) int {
	best, at := x[0], 0
	for i, v := range x {
		switch {
		case best != best && !r.Last:
			return at
		case v != v, best == best && (v > best && !r.Min || v < best && r.Min), v == best && r.Last:
			best, at = v, i
		}
	}
	return at
}

// find returns the index among n elements of x that are step apart.
func (r *ArgReduce) find(x *tensor.Tensor, from, n, step int) int {
	if !x.DType.IsFloat() {
		return findInt(x, from, n, step, r.Min, r.Last)
	}
	best, at := math.NaN(), -1
	var v [1]float64
	for i := range n {
		loadFloats(x, from+i*step, v[:])
		switch {
		case at < 0, v[0] > best && !r.Min, v[0] < best && r.Min, v[0] == best && r.Last,
			v[0] != v[0] && (best == best || r.Last):
			best, at = v[0], i
		}
	}
	return at
}

func findInt(x *tensor.Tensor, from, n, step int, least, last bool) int {
	var bias int64 // orders Uint64
	if x.DType == tensor.Uint64 {
		bias = math.MinInt64
	}
	best, at := int64(0), -1
	var v [1]int64
	for i := range n {
		loadInts(x, from+i*step, v[:])
		u := v[0] ^ bias
		if at < 0 || u > best && !least || u < best && least || u == best && last {
			best, at = u, i
		}
	}
	return at
}

// CumSum sums the elements along an axis up to each one: without it if
// Exclusive, from the end if Reverse. The axis is the scalar input 1.
type CumSum struct{ Exclusive, Reverse bool }

func newCumSum(n *graph.Node, _ int) (graph.Op, error) {
	return &CumSum{n.Attrs.Int("exclusive", 0) != 0, n.Attrs.Int("reverse", 0) != 0}, nil
}

// Infer implements graph.Op.
func (c *CumSum) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 2); err != nil {
		return nil, err
	}
	x := in[0].Type
	if !x.DType.IsFloat() && !x.DType.IsInt() {
		return nil, fmt.Errorf("element type %v: %w", x.DType, ErrUnsupported)
	}
	if err := intInput(in, 1); err != nil {
		return nil, err
	}
	if in[1].Type.Shape.Elems() != 1 {
		return nil, fmt.Errorf("axis is %v, want a scalar: %w", in[1].Type, ErrShape)
	}
	if t := in[1].Known(); t != nil {
		if _, err := axis(int(t.Int(0)), len(x.Shape)); err != nil {
			return nil, err
		}
	}
	return typed(x.DType, x.Shape)
}

// InPlace implements InPlacer.
func (c *CumSum) InPlace() []int { return []int{0} }

// Eval implements Evaluator.
func (c *CumSum) Eval(in, out []*tensor.Tensor) error {
	x, y := in[0], out[0]
	a, err := axis(int(in[1].Int(0)), len(x.Shape))
	if err != nil {
		return err
	}
	n, inner := x.Shape[a], x.Shape[a+1:].Elems()
	step := inner
	if c.Reverse {
		step = -inner
	}
	if n == 0 || inner == 0 {
		return nil
	}
	for i := range x.Elems() / n {
		at := i/inner*n*inner + i%inner
		if c.Reverse {
			at += (n - 1) * inner
		}
		c.scan(y, x, at, n, step)
	}
	return nil
}

// scan sums n elements that are step apart; integers keep the low bits.
func (c *CumSum) scan(y, x *tensor.Tensor, at, n, step int) {
	var f, fsum [1]float64
	var v, vsum [1]int64
	for range n {
		if x.DType.IsFloat() {
			loadFloats(x, at, f[:])
			if c.Exclusive {
				storeFloats(y, at, fsum[:])
			}
			if fsum[0] += f[0]; !c.Exclusive {
				storeFloats(y, at, fsum[:])
			}
		} else {
			loadInts(x, at, v[:])
			if c.Exclusive {
				storeInts(y, at, vsum[:])
			}
			if vsum[0] += v[0]; !c.Exclusive {
				storeInts(y, at, vsum[:])
			}
		}
		at += step
	}
}
