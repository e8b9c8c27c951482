package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// Clip limits elements: min(max(x, lo), hi), so that hi wins where lo is
// above it; NaN stays. The limits are Min and Max in operator sets before 11
// and the optional scalar inputs 1 and 2 after; nil or absent is none.
type Clip struct{ Min, Max *float64 }

func newClip(n *graph.Node, opset int) (graph.Op, error) {
	c := &Clip{}
	if opset < 11 {
		for name, p := range map[string]**float64{"min": &c.Min, "max": &c.Max} {
			if a := n.Attrs.Get(name); a != nil {
				v := float64(a.Float)
				*p = &v
			}
		}
	}
	return c, nil
}

// Infer implements graph.Op.
func (c *Clip) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 3); err != nil {
		return nil, err
	}
	t := in[0].Type
	if !t.DType.IsFloat() && !t.DType.IsInt() {
		return nil, fmt.Errorf("element type %v: %w", t.DType, ErrUnsupported)
	}
	for i, v := range in[1:] {
		if v != nil && (v.Type.DType != t.DType || v.Type.Shape.Elems() != 1) {
			return nil, fmt.Errorf("limit %d is %v, want one element of %v", i+1, v.Type, t.DType)
		}
	}
	return typed(t.DType, t.Shape)
}

// InPlace implements InPlacer.
func (c *Clip) InPlace() []int { return []int{0} }

// Pitched implements Pitcher.
func (c *Clip) Pitched() (in, out bool) { return true, true }

// Eval implements Evaluator.
func (c *Clip) Eval(in, out []*tensor.Tensor) error {
	w := walkOver(out[0], in[0])
	for range w.rows {
		c.row(in, out[0], w.off, 0, w.n)
		w.next()
	}
	return nil
}

func (c *Clip) row(in []*tensor.Tensor, y *tensor.Tensor, off [4]int, from, to int) {
	for i := from; i < to; i += chunk {
		n := min(chunk, to-i)
		switch x := in[0]; {
		case x.DType.IsFloat():
			c.rowFloat(in, y, off[0]+i, off[1]+i, n)
		case x.DType == tensor.Uint64:
			clipInts(in, y, off[0]+i, off[1]+i, n, math.MinInt64)
		default:
			clipInts(in, y, off[0]+i, off[1]+i, n, 0)
		}
	}
}

// limits returns the limits of a floating-point tensor.
func (c *Clip) limits(in []*tensor.Tensor) (lo, hi float64) {
	lo, hi = math.Inf(-1), math.Inf(1)
	if c.Min != nil {
		lo = *c.Min
	} else if t := opt(in, 1); t != nil {
		lo = t.Float(0)
	}
	if c.Max != nil {
		hi = *c.Max
	} else if t := opt(in, 2); t != nil {
		hi = t.Float(0)
	}
	return lo, hi
}

func (c *Clip) rowFloat(in []*tensor.Tensor, y *tensor.Tensor, yi, xi, n int) {
	var buf [chunk]float64
	loadFloats(in[0], xi, buf[:n])
	lo, hi := c.limits(in)
	for i, v := range buf[:n] {
		buf[i] = min(max(v, lo), hi)
	}
	storeFloats(y, yi, buf[:n])
}

// clipInts limits integers; bias, the lowest bit pattern, orders Uint64.
func clipInts(in []*tensor.Tensor, y *tensor.Tensor, yi, xi, n int, bias int64) {
	var buf [chunk]int64
	loadInts(in[0], xi, buf[:n])
	lo, hi := int64(math.MinInt64), int64(math.MaxInt64)
	if t := opt(in, 1); t != nil {
		lo = t.Int(0) ^ bias
	}
	if t := opt(in, 2); t != nil {
		hi = t.Int(0) ^ bias
	}
	for i, v := range buf[:n] {
		buf[i] = min(max(v^bias, lo), hi) ^ bias
	}
	storeInts(y, yi, buf[:n])
}

// Prepare implements Preparer.
func (c *Clip) Prepare(env *Env) ([]Step, error) {
	x, y := env.In[0], env.Out[0]
	w := walkOver(y, x)
	if x.DType != tensor.Float32 {
		return eachRow(w, "clip", 4, func(off [4]int, from, to int) { c.row(env.In, y, off, from, to) }), nil
	}
	f, src, dst := env.Kernels.F32Unary[kernels.Clamp], whole[float32](x), whole[float32](y)
	return eachRow(w, "f32_unary", 1, func(off [4]int, from, to int) {
		lo, hi := c.limits(env.In) // inputs, so they may change with every run
		f(dst[off[0]+from:off[0]+to], src[off[1]+from:off[1]+to], float32(lo), float32(hi))
	}), nil
}
