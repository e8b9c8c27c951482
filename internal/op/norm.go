package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// BatchNorm normalises each channel (axis 1) of x, input 0:
//
//	y = (x - mean) / √(var + Epsilon) · scale + bias
//
// with scale, bias, mean and var, inputs 1 to 4, of one element for each
// channel; PerElement, from operator sets before 9, has one for each element
// of a sample. In Training the mean and variance are those of the batch, and
// outputs 1 and 2 are the running ones, running·Momentum + batch·(1-Momentum);
// outputs 3 and 4 of older operator sets are those of the batch.
type BatchNorm struct {
	Epsilon, Momentum    float32
	Training, PerElement bool
}

func newBatchNorm(n *graph.Node, opset int) (graph.Op, error) {
	b := &BatchNorm{Epsilon: n.Attrs.Float("epsilon", 1e-5), Momentum: n.Attrs.Float("momentum", .9)}
	if opset >= 14 {
		b.Training = n.Attrs.Int("training_mode", 0) != 0
		return b, nil
	}
	for i, o := range n.Out {
		b.Training = b.Training || i > 0 && o != nil
	}
	b.PerElement = opset < 9 && n.Attrs.Int("spatial", 1) == 0
	return b, nil
}

// extents returns the numbers of samples, of channels, and of elements of a
// channel in a sample.
func (b *BatchNorm) extents(x tensor.Shape) (samples, channels, inner int) {
	switch {
	case len(x) < 2:
		return x.Elems(), 1, 1
	case b.PerElement:
		return x[0], x[1:].Elems(), 1
	}
	return x[0], x[1], x[2:].Elems()
}

// Infer implements graph.Op.
func (b *BatchNorm) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 5, 5); err != nil {
		return nil, err
	}
	x := in[0].Type
	_, channels, _ := b.extents(x.Shape)
	for i, v := range in {
		if err := floatType(v); err != nil {
			return nil, err
		}
		if i > 0 && v.Type.Shape.Elems() != channels {
			return nil, fmt.Errorf("input %d, %q, is %v, want one element for each of %d channels: %w", i, v.Name, v.Type, channels, ErrShape)
		}
	}
	out, err := typed(x.DType, x.Shape)
	if err != nil {
		return nil, err
	}
	for _, i := range [...]int{3, 4, 3, 4} {
		out = append(out, tensor.Type{DType: in[i].Type.DType, Shape: in[i].Type.Shape.Clone()})
	}
	return out, nil
}

// InPlace implements InPlacer.
func (b *BatchNorm) InPlace() []int { return []int{0} }

// Eval implements Evaluator.
func (b *BatchNorm) Eval(in, out []*tensor.Tensor) error {
	x, y, m := in[0], out[0], float64(b.Momentum)
	samples, channels, inner := b.extents(x.Shape)
	for c := range channels {
		mean, variance := in[3].Float(c), in[4].Float(c)
		if b.Training {
			var batch moments
			for s := range samples {
				batch.add(x, (s*channels+c)*inner, inner, 0)
			}
			mu := batch.mean()
			batch = moments{}
			for s := range samples {
				batch.add(x, (s*channels+c)*inner, inner, mu)
			}
			sigma := batch.square()
			set(out, 1, c, mean*m+mu*(1-m))
			set(out, 2, c, variance*m+sigma*(1-m))
			set(out, 3, c, mu)
			set(out, 4, c, sigma)
			mean, variance = mu, sigma
		}
		scale := in[1].Float(c) / math.Sqrt(variance+float64(b.Epsilon))
		for s := range samples {
			scaleShift(y, x, (s*channels+c)*inner, inner, scale, in[2].Float(c)-mean*scale)
		}
	}
	return nil
}

// moments accumulates the sum and the sum of squares of elements less a
// shift.
type moments struct {
	n        int
	sum, sqr float64
}

func (m *moments) add(x *tensor.Tensor, from, n int, shift float64) {
	var buf [chunk]float64
	for i := 0; i < n; i += chunk {
		b := buf[:min(chunk, n-i)]
		loadFloats(x, from+i, b)
		for _, v := range b {
			m.sum += v - shift
			m.sqr += (v - shift) * (v - shift)
		}
	}
	m.n += n
}

func (m *moments) mean() float64   { return m.sum / float64(m.n) }
func (m *moments) square() float64 { return m.sqr / float64(m.n) }

// momentsOf returns the mean and the variance of n elements, in two passes.
func momentsOf(x *tensor.Tensor, from, n int) (mean, variance float64) {
	var a, b moments
	a.add(x, from, n, 0)
	b.add(x, from, n, a.mean())
	return a.mean(), b.square()
}

// scaleShift sets y = x·scale + bias for n elements.
func scaleShift(y, x *tensor.Tensor, from, n int, scale, bias float64) {
	var buf [chunk]float64
	for i := 0; i < n; i += chunk {
		b := buf[:min(chunk, n-i)]
		loadFloats(x, from+i, b)
		for j, v := range b {
			b[j] = v*scale + bias
		}
		storeFloats(y, from+i, b)
	}
}

// set stores an element of an output, where it is wanted.
func set(out []*tensor.Tensor, i, at int, v float64) {
	if t := opt(out, i); t != nil {
		t.SetFloat(at, v)
	}
}

// Prepare implements Preparer.
func (b *BatchNorm) Prepare(env *Env) ([]Step, error) {
	x, y := env.In[0], env.Out[0]
	_, channels, inner := b.extents(x.Shape)
	if x.DType != tensor.Float32 || b.Training || inner < 8 {
		return nil, nil
	}
	f, src, dst := env.Kernels.F32Unary[kernels.Affine], x.F32(), y.F32()
	t := newTiling(x.Elems()/inner, inner)
	return []Step{{Kernel: "f32_unary", Tiles: t.tiles(), Cost: x.Elems(), Run: func(_, tile int) {
		row, rows, from, to := t.at(tile)
		for r := row; r < row+rows; r++ {
			c := r % channels
			scale := env.In[1].Float(c) / math.Sqrt(env.In[4].Float(c)+float64(b.Epsilon))
			bias := env.In[2].Float(c) - env.In[3].Float(c)*scale
			f(dst[r*inner+from:r*inner+to], src[r*inner+from:r*inner+to], float32(scale), float32(bias))
		}
	}}}, nil
}

// InstanceNorm normalises every channel of every sample by its own mean and
// variance and applies the scale and bias of inputs 1 and 2. With Groups the
// mean and variance are those of a group of neighbouring channels; scale and
// bias then have one element for each channel, or with PerGroup, as in
// operator set 18, for each group.
type InstanceNorm struct {
	Epsilon  float32
	Groups   int // 0: every channel is a group
	PerGroup bool
}

func newInstanceNorm(n *graph.Node, _ int) (graph.Op, error) {
	return &InstanceNorm{Epsilon: n.Attrs.Float("epsilon", 1e-5)}, nil
}

func newGroupNorm(n *graph.Node, opset int) (graph.Op, error) {
	g := n.Attrs.Int("num_groups", 0)
	if g < 1 {
		return nil, fmt.Errorf("num_groups %d is not positive", g)
	}
	return &InstanceNorm{Epsilon: n.Attrs.Float("epsilon", 1e-5), Groups: g, PerGroup: opset < 21}, nil
}

// Infer implements graph.Op.
func (o *InstanceNorm) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 3, 3); err != nil {
		return nil, err
	}
	x := in[0].Type
	if len(x.Shape) < 2 || o.Groups > 0 && x.Shape[1]%o.Groups != 0 {
		return nil, fmt.Errorf("input %v has no channels in %d groups: %w", x, o.Groups, ErrShape)
	}
	want := x.Shape[1]
	if o.PerGroup {
		want = o.Groups
	}
	for i, v := range in {
		if err := floatType(v); err != nil {
			return nil, err
		}
		if i > 0 && v.Type.Shape.Elems() != want {
			return nil, fmt.Errorf("input %d, %q, is %v, want %d elements: %w", i, v.Name, v.Type, want, ErrShape)
		}
	}
	return typed(x.DType, x.Shape)
}

// InPlace implements InPlacer.
func (o *InstanceNorm) InPlace() []int { return []int{0} }

// Eval implements Evaluator.
func (o *InstanceNorm) Eval(in, out []*tensor.Tensor) error {
	for g := range o.groups(in[0].Shape) {
		o.group(in, out[0], g)
	}
	return nil
}

// Prepare implements Preparer: one tile for each group.
func (o *InstanceNorm) Prepare(env *Env) ([]Step, error) {
	x := env.In[0]
	return []Step{{Kernel: "reference", Tiles: o.groups(x.Shape), Cost: x.Elems() * 4, Run: func(_, tile int) {
		o.group(env.In, env.Out[0], tile)
	}}}, nil
}

// groups returns the number of groups of all samples.
func (o *InstanceNorm) groups(x tensor.Shape) int {
	if o.Groups == 0 {
		return x[0] * x[1]
	}
	return x[0] * o.Groups
}

func (o *InstanceNorm) group(in []*tensor.Tensor, y *tensor.Tensor, g int) {
	x := in[0]
	inner, n := x.Shape[2:].Elems(), 1
	if o.Groups > 0 {
		n = x.Shape[1] / o.Groups
	}
	mean, variance := momentsOf(x, g*n*inner, n*inner)
	inv := 1 / math.Sqrt(variance+float64(o.Epsilon))
	for c := g * n; c < (g+1)*n; c++ {
		k := c % x.Shape[1]
		if o.PerGroup {
			k = g % o.Groups
		}
		scale := in[1].Float(k) * inv
		scaleShift(y, x, c*inner, inner, scale, in[2].Float(k)-mean*scale)
	}
}
