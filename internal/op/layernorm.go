package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// LayerNorm normalises over all axes from Axis on, then multiplies by input 1
// and adds input 2, where there is one; both repeat over the leading axes of
// the input. Outputs 1 and 2 are the mean and 1/√(variance + Epsilon). RMS
// leaves the mean in: x / √(mean of squares + Epsilon), with one output.
type LayerNorm struct {
	Epsilon float32
	Axis    int
	RMS     bool
}

func newLayerNorm(rms bool) Builder {
	return func(n *graph.Node, _ int) (graph.Op, error) {
		return &LayerNorm{n.Attrs.Float("epsilon", 1e-5), n.Attrs.Int("axis", -1), rms}, nil
	}
}

// Infer implements graph.Op.
func (l *LayerNorm) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 3); err != nil {
		return nil, err
	}
	x := in[0].Type
	a, err := axis(l.Axis, len(x.Shape))
	if err != nil {
		return nil, err
	}
	for i, v := range in {
		if v == nil {
			continue
		}
		if err := floatType(v); err != nil {
			return nil, err
		}
		s := v.Type.Shape
		for len(s) > 0 && s[0] == 1 {
			s = s[1:]
		}
		if len(s) > len(x.Shape) || !s.Equal(x.Shape[len(x.Shape)-len(s):]) {
			return nil, fmt.Errorf("input %d, %q, is %v, not the last axes of %v: %w", i, v.Name, v.Type, x, ErrShape)
		}
	}
	out, err := typed(x.DType, x.Shape)
	if err != nil || l.RMS {
		return out, err
	}
	s := x.Shape.Clone()
	for i := a; i < len(s); i++ {
		s[i] = 1
	}
	stat := tensor.Type{DType: tensor.Float32, Shape: s}
	return append(out, stat, stat), nil
}

// InPlace implements InPlacer.
func (l *LayerNorm) InPlace() []int { return []int{0} }

// Eval implements Evaluator.
func (l *LayerNorm) Eval(in, out []*tensor.Tensor) error {
	a, err := axis(l.Axis, len(in[0].Shape))
	if err != nil {
		return err
	}
	for g := range in[0].Shape[:a].Elems() {
		l.group(in, out, g, in[0].Shape[a:].Elems())
	}
	return nil
}

// group computes group g, of n elements.
func (l *LayerNorm) group(in, out []*tensor.Tensor, g, n int) {
	x, scale, bias := in[0], in[1], opt(in, 2)
	var mean, variance float64
	if l.RMS {
		var m moments
		m.add(x, g*n, n, 0)
		variance = m.square()
	} else {
		mean, variance = momentsOf(x, g*n, n)
	}
	inv := 1 / math.Sqrt(variance+float64(l.Epsilon))
	set(out, 1, g, mean)
	set(out, 2, g, inv)
	var buf, k [chunk]float64
	period := scale.Elems() // that of the bias may differ
	for from := g * n; from < (g+1)*n; {
		w := min(chunk, (g+1)*n-from, period-from%period)
		if bias != nil {
			w = min(w, bias.Elems()-from%bias.Elems())
		}
		b := buf[:w]
		loadFloats(x, from, b)
		loadFloats(scale, from%period, k[:w])
		for i, v := range b {
			b[i] = (v - mean) * inv * k[i]
		}
		if bias != nil {
			loadFloats(bias, from%bias.Elems(), k[:w])
			for i := range b {
				b[i] += k[i]
			}
		}
		storeFloats(out[0], from, b)
		from += w
	}
}

// Prepare implements Preparer: tiles of whole groups.
func (l *LayerNorm) Prepare(env *Env) ([]Step, error) {
	x := env.In[0]
	a, err := axis(l.Axis, len(x.Shape))
	if err != nil {
		return nil, err
	}
	groups, n := x.Shape[:a].Elems(), x.Shape[a:].Elems()
	per := max(1, rowTile/4/max(n, 1))
	group := func(g int) { l.group(env.In, env.Out, g, n) }
	bias := opt(env.In, 2)
	if x.DType == tensor.Float32 && env.In[1].DType == x.DType && env.In[1].Elems() == n &&
		(bias == nil || bias.DType == x.DType && bias.Elems() == n) {
		group = func(g int) { l.groupF32(env.In, env.Out, g, n) }
	}
	return []Step{{Kernel: "f32_layernorm", Tiles: (groups + per - 1) / per, Cost: x.Elems() * 8, Run: func(_, tile int) {
		for g := tile * per; g < min((tile+1)*per, groups); g++ {
			group(g)
		}
	}}}, nil
}

// groupF32 is group for float32 where scale and bias have n elements.
func (l *LayerNorm) groupF32(in, out []*tensor.Tensor, g, n int) {
	x, y, scale := in[0].F32()[g*n:(g+1)*n], out[0].F32()[g*n:(g+1)*n], in[1].F32()[:n]
	var mean, sum float64
	if !l.RMS {
		for _, v := range x {
			mean += float64(v)
		}
		mean /= float64(n)
	}
	for _, v := range x {
		d := float64(v) - mean
		sum += d * d
	}
	inv := 1 / math.Sqrt(sum/float64(n)+float64(l.Epsilon))
	set(out, 1, g, mean)
	set(out, 2, g, inv)
	if b := opt(in, 2); b != nil {
		bias := b.F32()[:n]
		for i, v := range x {
			y[i] = float32((float64(v)-mean)*inv*float64(scale[i]) + float64(bias[i]))
		}
		return
	}
	for i, v := range x {
		y[i] = float32((float64(v) - mean) * inv * float64(scale[i]))
	}
}

// LpNorm divides by the sum of absolute values (P = 1) or the root of the sum
// of squares (P = 2) along Axis; a sum of 0 leaves zeros.
type LpNorm struct{ Axis, P int }

func newLpNorm(n *graph.Node, _ int) (graph.Op, error) {
	l := &LpNorm{n.Attrs.Int("axis", -1), n.Attrs.Int("p", 2)}
	if l.P != 1 && l.P != 2 {
		return nil, fmt.Errorf("p = %d: %w", l.P, ErrUnsupported)
	}
	return l, nil
}

// Infer implements graph.Op.
func (l *LpNorm) Infer(in []*graph.Value) ([]tensor.Type, error) {
	out, err := oneInput(in, tensor.DType.IsFloat, tensor.Invalid)
	if err == nil {
		_, err = axis(l.Axis, len(in[0].Type.Shape))
	}
	return out, err
}

// InPlace implements InPlacer.
func (l *LpNorm) InPlace() []int { return []int{0} }

// Eval implements Evaluator.
func (l *LpNorm) Eval(in, out []*tensor.Tensor) error {
	x, y := in[0], out[0]
	a, err := axis(l.Axis, len(x.Shape))
	if err != nil || x.Elems() == 0 {
		return err
	}
	n, inner := x.Shape[a], x.Shape[a+1:].Elems()
	for g := range x.Elems() / n {
		from, sum := g/inner*n*inner+g%inner, 0.
		for i := range n {
			v := x.Float(from + i*inner)
			if l.P == 1 {
				sum += math.Abs(v)
			} else {
				sum += v * v
			}
		}
		if l.P == 2 {
			sum = math.Sqrt(sum)
		}
		for i := range n {
			v := x.Float(from + i*inner)
			if sum != 0 {
				v /= sum
			}
			y.SetFloat(from+i*inner, v)
		}
	}
	return nil
}

// LRN is the local response normalisation across channels:
//
//	y = x / (Bias + Alpha/Size · Σ x²)^Beta
//
// over the Size channels around each, fewer at the ends.
type LRN struct {
	Alpha, Beta, Bias float32
	Size              int
}

func newLRN(n *graph.Node, _ int) (graph.Op, error) {
	l := &LRN{n.Attrs.Float("alpha", 1e-4), n.Attrs.Float("beta", .75), n.Attrs.Float("bias", 1), n.Attrs.Int("size", 0)}
	if l.Size < 1 {
		return nil, fmt.Errorf("size %d is not positive", l.Size)
	}
	return l, nil
}

// Infer implements graph.Op.
func (l *LRN) Infer(in []*graph.Value) ([]tensor.Type, error) {
	out, err := oneInput(in, tensor.DType.IsFloat, tensor.Invalid)
	if err == nil && len(in[0].Type.Shape) < 2 {
		err = fmt.Errorf("input %v has no channels: %w", in[0].Type, ErrShape)
	}
	return out, err
}

// Eval implements Evaluator.
func (l *LRN) Eval(in, out []*tensor.Tensor) error {
	x, y := in[0], out[0]
	channels, inner := x.Shape[1], x.Shape[2:].Elems()
	for i := range x.Elems() {
		c, sum := i/inner%channels, 0.
		for k := max(0, c-(l.Size-1)/2); k <= min(channels-1, c+l.Size/2); k++ {
			v := x.Float(i + (k-c)*inner)
			sum += v * v
		}
		y.SetFloat(i, x.Float(i)/math.Pow(float64(l.Bias)+float64(l.Alpha)/float64(l.Size)*sum, float64(l.Beta)))
	}
	return nil
}

// MeanVarianceNorm normalises over a set of axes: (x - mean) / (√variance + 1e-9).
type MeanVarianceNorm struct{ Axes []int }

func newMeanVarianceNorm(n *graph.Node, _ int) (graph.Op, error) {
	m := &MeanVarianceNorm{Axes: []int{0, 2, 3}}
	if n.Attrs.Has("axes") {
		m.Axes = n.Attrs.Ints("axes")
	}
	return m, nil
}

// Infer implements graph.Op.
func (m *MeanVarianceNorm) Infer(in []*graph.Value) ([]tensor.Type, error) {
	out, err := oneInput(in, tensor.DType.IsFloat, tensor.Invalid)
	if err == nil {
		_, err = axesSet(integers{attr: m.Axes}, len(in[0].Type.Shape))
	}
	return out, err
}

// Eval implements Evaluator.
func (m *MeanVarianceNorm) Eval(in, out []*tensor.Tensor) error {
	x, y := in[0], out[0]
	kept, gone, count, err := (&Reduce{Axes: m.Axes}).split(in[:1])
	if err != nil {
		return err
	}
	each := func(f func(i int)) {
		for range gone.rows {
			for i := range gone.n {
				f(kept.off[0] + gone.off[0] + i*gone.in[0])
			}
			gone.next()
		}
	}
	for range kept.rows {
		base := kept.off[0]
		for i := range kept.n {
			kept.off[0] = base + i*kept.in[0]
			var mean, sqr float64
			each(func(i int) { mean += x.Float(i) / float64(count) })
			each(func(i int) { sqr += (x.Float(i) - mean) * (x.Float(i) - mean) / float64(count) })
			each(func(i int) { y.SetFloat(i, (x.Float(i)-mean)/(math.Sqrt(sqr)+1e-9)) })
		}
		kept.off[0] = base
		kept.next()
	}
	return nil
}
