package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// MaxPool takes the largest element of each window, a NaN where there is one.
// Its optional second output holds the position of that element (the first,
// where several are equal) in the flattened input.
type MaxPool struct {
	Window
	// ColumnMajor counts positions within a channel with the first spatial
	// axis fastest, not the last.
	ColumnMajor bool
}

// AveragePool takes the mean of each window over the elements inside the
// image, or, with CountPad, inside the padded image, where padding counts as
// zeros.
type AveragePool struct {
	Window
	CountPad bool
}

// LpPool takes the p-norm of each window: (Σ |x|^p)^(1/p).
type LpPool struct {
	Window
	P float64
}

// GlobalPool reduces all spatial axes to one element: the largest element, the
// mean, or the p-norm.
type GlobalPool struct {
	Mode string // "max", "average" or "lp"
	P    float64
}

func newMaxPool(n *graph.Node, _ int) (graph.Op, error) {
	w, err := newPool(n)
	return &MaxPool{w, n.Attrs.Int("storage_order", 0) != 0}, err
}

func newAveragePool(n *graph.Node, _ int) (graph.Op, error) {
	w, err := newPool(n)
	return &AveragePool{w, n.Attrs.Int("count_include_pad", 0) != 0}, err
}

func newLpPool(n *graph.Node, _ int) (graph.Op, error) {
	w, err := newPool(n)
	if err != nil {
		return nil, err
	}
	p, err := newNorm(n)
	return &LpPool{w, p}, err
}

func newPool(n *graph.Node) (Window, error) {
	w, err := newWindow(n)
	if err == nil && len(w.Kernel) == 0 {
		err = fmt.Errorf("attribute kernel_shape is missing: %w", ErrUnsupported)
	}
	return w, err
}

// newNorm reads the order of a norm, which the first operator set has as a
// float.
func newNorm(n *graph.Node) (float64, error) {
	p := float64(n.Attrs.Int("p", 2))
	if a := n.Attrs.Get("p"); a != nil && a.Kind == graph.AttrFloat {
		p = float64(a.Float)
	}
	if !(p > 0) {
		return 0, fmt.Errorf("attribute p: %v: %w", p, ErrUnsupported)
	}
	return p, nil
}

func newGlobalPool(mode string) Builder {
	return func(n *graph.Node, _ int) (graph.Op, error) {
		p, err := 0.0, error(nil)
		if mode == "lp" {
			p, err = newNorm(n)
		}
		return &GlobalPool{mode, p}, err
	}
}

// Geometry fits the window to an input [N,C,D...].
func (w *Window) Geometry(x tensor.Shape) (Geometry, error) {
	if len(x) < 3 {
		return Geometry{}, fmt.Errorf("input %v has no spatial axis: %w", x, ErrShape)
	}
	return w.fit(x[2:], w.Kernel)
}

// pooled returns the type of a pooling's output.
func (w *Window) pooled(in []*graph.Value) (tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return tensor.Type{}, err
	}
	x := in[0].Type
	g, err := w.Geometry(x.Shape)
	if err != nil {
		return x, err
	}
	return tensor.Type{DType: x.DType, Shape: g.outShape(len(x.Shape)-2, x.Shape[0], x.Shape[1])}, nil
}

// Infer implements graph.Op.
func (p *MaxPool) Infer(in []*graph.Value) ([]tensor.Type, error) {
	y, err := p.pooled(in)
	if err != nil {
		return nil, err
	}
	if d := y.DType; !d.IsFloat() && d != tensor.Int8 && d != tensor.Uint8 {
		return nil, fmt.Errorf("element type %v of %q: %w", d, in[0].Name, ErrUnsupported)
	}
	return []tensor.Type{y, {DType: tensor.Int64, Shape: y.Shape}}, nil
}

// Infer implements graph.Op.
func (p *AveragePool) Infer(in []*graph.Value) ([]tensor.Type, error) {
	return floatPool(&p.Window, in)
}

// Infer implements graph.Op.
func (p *LpPool) Infer(in []*graph.Value) ([]tensor.Type, error) { return floatPool(&p.Window, in) }

func floatPool(w *Window, in []*graph.Value) ([]tensor.Type, error) {
	y, err := w.pooled(in)
	if err == nil {
		err = floatType(in[0])
	}
	return []tensor.Type{y}, err
}

// Infer implements graph.Op.
func (p *GlobalPool) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := floatArgs(in, 1, 1); err != nil {
		return nil, err
	}
	x := in[0].Type
	if len(x.Shape) < 2 {
		return nil, fmt.Errorf("input %v has no channels: %w", x, ErrShape)
	}
	if p.Mode != "lp" && x.Shape.Elems() == 0 {
		return nil, fmt.Errorf("input %v has no elements: %w", x, ErrShape)
	}
	y := x.Shape.Clone()
	for i := 2; i < len(y); i++ {
		y[i] = 1
	}
	return []tensor.Type{{DType: x.DType, Shape: y}}, nil
}

// Eval implements Evaluator.
func (p *MaxPool) Eval(in, out []*tensor.Tensor) error { return evalPool(&p.Window, p, in, out) }

// Eval implements Evaluator.
func (p *AveragePool) Eval(in, out []*tensor.Tensor) error { return evalPool(&p.Window, p, in, out) }

// Eval implements Evaluator.
func (p *LpPool) Eval(in, out []*tensor.Tensor) error { return evalPool(&p.Window, p, in, out) }

// Prepare implements Preparer: planes in parallel.
func (p *MaxPool) Prepare(env *Env) ([]Step, error) { return preparePool(&p.Window, p, env) }

// Prepare implements Preparer: planes in parallel.
func (p *AveragePool) Prepare(env *Env) ([]Step, error) { return preparePool(&p.Window, p, env) }

// Prepare implements Preparer: planes in parallel.
func (p *LpPool) Prepare(env *Env) ([]Step, error) { return preparePool(&p.Window, p, env) }

func evalPool(w *Window, pool any, in, out []*tensor.Tensor) error {
	g, _ := w.Geometry(in[0].Shape)
	poolPlanes(pool, &g, in[0], out, 0, in[0].Shape[0]*in[0].Shape[1])
	return nil
}

func preparePool(w *Window, pool any, env *Env) ([]Step, error) {
	x, out := env.In[0], env.Out
	g, _ := w.Geometry(x.Shape)
	return split("pool", x.Shape[0]*x.Shape[1], elems(g.Out)*elems(g.Kernel), func(_, lo, hi int) {
		poolPlanes(pool, &g, x, out, lo, hi)
	}), nil
}

// poolPlanes computes planes lo to hi of the [N·C] planes of a *MaxPool,
// *AveragePool or *LpPool.
func poolPlanes(pool any, g *Geometry, x *tensor.Tensor, out []*tensor.Tensor, lo, hi int) {
	switch x.DType {
	case tensor.Float32:
		planes[float32](pool, g, x, out, lo, hi)
	case tensor.Float64:
		planes[float64](pool, g, x, out, lo, hi)
	case tensor.Int8:
		planes[int8](pool, g, x, out, lo, hi)
	case tensor.Uint8:
		planes[uint8](pool, g, x, out, lo, hi)
	default:
		planes[uint16](pool, g, x, out, lo, hi)
	}
}

func planes[T tensor.Element](pool any, g *Geometry, x *tensor.Tensor, out []*tensor.Tensor, lo, hi int) {
	xs, ys := tensor.View[T](x), tensor.View[T](out[0])
	size, n := elems(g.In), elems(g.Out)
	var index []int64
	if t := opt(out, 1); t != nil {
		index = t.I64()
	}
	for p := lo; p < hi; p++ {
		plane := xs[p*size : p*size+size]
		for o := range n {
			v := 0.0
			od, oh, ow := o/(g.Out[1]*g.Out[2]), o/g.Out[2]%g.Out[1], o%g.Out[2]
			switch pool := pool.(type) {
			case *MaxPool:
				var at int
				v, at = maxWindowAt(plane, g, x.DType, od, oh, ow)
				if index != nil {
					index[p*n+o] = int64(p*size + pool.position(g, at))
				}
			case *AveragePool:
				sum, count := normWindowAt(plane, g, x.DType, od, oh, ow, 0)
				if pool.CountPad {
					count = g.padded(0, od) * g.padded(1, oh) * g.padded(2, ow)
				}
				v = sum / float64(max(count, 1))
			case *LpPool:
				sum, _ := normWindowAt(plane, g, x.DType, od, oh, ow, pool.P)
				v = math.Pow(sum, 1/pool.P)
			}
			ys[p*n+o] = rounded[T](v, x.DType)
		}
	}
}

// position turns an offset in a plane into the one that ColumnMajor asks for.
func (p *MaxPool) position(g *Geometry, at int) int {
	if !p.ColumnMajor {
		return at
	}
	d, h, w := at/(g.In[1]*g.In[2]), at/g.In[2]%g.In[1], at%g.In[2]
	return d + g.In[0]*(h+g.In[1]*w)
}

// padded returns the number of window elements along axis a that lie inside
// the padded image, for output position o.
func (g *Geometry) padded(a, o int) int {
	start := o*g.Stride[a] - g.Begin[a]
	return min(g.Kernel[a], (g.In[a]+g.End[a]-start+g.Dilation[a]-1)/g.Dilation[a])
}

// maxWindowAt returns the largest element of a window and its offset in the
// plane. A window with no element inside the image gives the lowest number.
func maxWindowAt[T tensor.Element](x []T, g *Geometry, d tensor.DType, od, oh, ow int) (best float64, at int) {
	best, at = lowest(d), -1
	d0, da, db := g.taps(0, od)
	h0, ha, hb := g.taps(1, oh)
	w0, wa, wb := g.taps(2, ow)
	for kd := da; kd < db; kd++ {
		for kh := ha; kh < hb; kh++ {
			i := ((d0+kd*g.Dilation[0])*g.In[1]+h0+kh*g.Dilation[1])*g.In[2] + w0
			for kw := wa; kw < wb; kw++ {
				v := load(x[i+kw*g.Dilation[2]], d)
				if at < 0 || v > best || v != v && best == best {
					best, at = v, i+kw*g.Dilation[2]
				}
			}
		}
	}
	return best, max(at, 0)
}

// lowest returns the most negative finite number of a type.
func lowest(d tensor.DType) float64 {
	switch d {
	case tensor.Uint8:
		return 0
	case tensor.Int8:
		return math.MinInt8
	case tensor.Float16:
		return -65504
	case tensor.Float64:
		return -math.MaxFloat64
	case tensor.BFloat16:
		return -0x1.fep127
	}
	return -math.MaxFloat32
}

// normWindowAt returns Σ |x|^p over a window, or Σ x where p is 0, and the
// number of elements that lie inside the image.
func normWindowAt[T tensor.Element](x []T, g *Geometry, d tensor.DType, od, oh, ow int, p float64) (sum float64, count int) {
	d0, da, db := g.taps(0, od)
	h0, ha, hb := g.taps(1, oh)
	w0, wa, wb := g.taps(2, ow)
	for kd := da; kd < db; kd++ {
		for kh := ha; kh < hb; kh++ {
			i := ((d0+kd*g.Dilation[0])*g.In[1]+h0+kh*g.Dilation[1])*g.In[2] + w0
			for kw := wa; kw < wb; kw++ {
				sum += power(load(x[i+kw*g.Dilation[2]], d), p)
			}
		}
	}
	return sum, max(0, db-da) * max(0, hb-ha) * max(0, wb-wa)
}

// power returns |v|^p, or v where p is 0.
func power(v, p float64) float64 {
	switch p {
	case 0:
		return v
	case 1:
		return math.Abs(v)
	case 2:
		return v * v
	}
	return math.Pow(math.Abs(v), p)
}

// Eval implements Evaluator.
func (p *GlobalPool) Eval(in, out []*tensor.Tensor) error {
	p.planes(in[0], out[0], 0, in[0].Shape[0]*in[0].Shape[1])
	return nil
}

// Prepare implements Preparer: planes in parallel.
func (p *GlobalPool) Prepare(env *Env) ([]Step, error) {
	x, y := env.In[0], env.Out[0]
	n := x.Shape[0] * x.Shape[1]
	return split("globalpool", n, x.Elems()/max(n, 1), func(_, lo, hi int) { p.planes(x, y, lo, hi) }), nil
}

func (p *GlobalPool) planes(x, y *tensor.Tensor, lo, hi int) {
	switch x.DType {
	case tensor.Float32:
		globalPlanes[float32](p, x, y, lo, hi)
	case tensor.Float64:
		globalPlanes[float64](p, x, y, lo, hi)
	default:
		globalPlanes[uint16](p, x, y, lo, hi)
	}
}

func globalPlanes[T tensor.Element](p *GlobalPool, x, y *tensor.Tensor, lo, hi int) {
	xs, ys := tensor.View[T](x), tensor.View[T](y)
	size := x.Shape[2:].Elems()
	for c := lo; c < hi; c++ {
		v := 0.0
		for i, e := range xs[c*size : c*size+size] {
			e := load(e, x.DType)
			if p.Mode != "max" {
				v += power(e, p.P)
			} else if i == 0 || e > v || e != e {
				v = e
			}
		}
		switch p.Mode {
		case "average":
			v /= float64(size)
		case "lp":
			v = math.Pow(v, 1/p.P)
		}
		ys[c] = rounded[T](v, x.DType)
	}
}
