package op

import (
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// SoftmaxKind names a normalisation of Softmax.
type SoftmaxKind int

// The kinds of Softmax.
const (
	SoftmaxProb SoftmaxKind = iota // exp(x) / Σ exp
	SoftmaxLog                     // x - log Σ exp
	SoftmaxHard                    // 1 for the first of the largest elements, 0 for the others
)

// Softmax normalises along Axis, or with Flatten, as in operator sets before
// 13, over all axes from Axis on together.
type Softmax struct {
	Kind    SoftmaxKind
	Axis    int
	Flatten bool
}

func newSoftmax(k SoftmaxKind) Builder {
	return func(n *graph.Node, opset int) (graph.Op, error) {
		if opset < 13 {
			return &Softmax{Kind: k, Axis: n.Attrs.Int("axis", 1), Flatten: true}, nil
		}
		return &Softmax{Kind: k, Axis: n.Attrs.Int("axis", -1)}, nil
	}
}

// Infer implements graph.Op.
func (s *Softmax) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	if err := floatType(in[0]); err != nil {
		return nil, err
	}
	x := in[0].Type
	if _, err := s.axis(len(x.Shape)); err != nil {
		return nil, err
	}
	return typed(x.DType, x.Shape)
}

// axis resolves the axis; flattening may start after the last one, and a
// scalar is normalised as one element.
func (s *Softmax) axis(rank int) (int, error) {
	if s.Flatten && s.Axis == rank || rank == 0 && (s.Axis == 0 || s.Axis == -1) {
		return rank, nil
	}
	return axis(s.Axis, rank)
}

// extents returns the number of groups side by side (inner), of elements in
// a group (n), and of blocks of inner groups (outer).
func (s *Softmax) extents(x tensor.Shape) (outer, n, inner int, err error) {
	a, err := s.axis(len(x))
	if err != nil {
		return 0, 0, 0, err
	}
	switch {
	case s.Flatten:
		return x[:a].Elems(), x[a:].Elems(), 1, nil
	case a == len(x):
		return 1, 1, 1, nil
	}
	return x[:a].Elems(), x[a], x[a+1:].Elems(), nil
}

// InPlace implements InPlacer.
func (s *Softmax) InPlace() []int { return []int{0} }

// Eval implements Evaluator.
func (s *Softmax) Eval(in, out []*tensor.Tensor) error {
	x, y := in[0], out[0]
	outer, n, inner, err := s.extents(x.Shape)
	if err != nil {
		return err
	}
	for o := range outer {
		for i := range inner {
			s.group(y, x, o*n*inner+i, n, inner)
		}
	}
	return nil
}

// group normalises n elements that are step apart.
func (s *Softmax) group(y, x *tensor.Tensor, from, n, step int) {
	var v [1]float64
	top, at, sum := math.Inf(-1), 0, 0.
	for i := range n {
		loadFloats(x, from+i*step, v[:])
		if v[0] > top || v[0] != v[0] && top == top {
			top, at = v[0], i
		}
	}
	if s.Kind != SoftmaxHard {
		for i := range n {
			loadFloats(x, from+i*step, v[:])
			sum += math.Exp(v[0] - top)
		}
	}
	log := math.Log(sum)
	for i := range n {
		loadFloats(x, from+i*step, v[:])
		switch s.Kind {
		case SoftmaxProb:
			v[0] = math.Exp(v[0]-top) / sum
		case SoftmaxLog:
			v[0] = v[0] - top - log
		default:
			v[0] = float64(truth(i == at))
		}
		storeFloats(y, from+i*step, v[:])
	}
}

// shortRow is the length up to which rows are turned into columns, so that
// vectors run over many of them.
const shortRow = 16

// Prepare implements Preparer: rows through the exponential kernel; where
// groups lie side by side, or rows are short, strips of them together.
func (s *Softmax) Prepare(env *Env) ([]Step, error) {
	x, y := env.In[0], env.Out[0]
	outer, n, inner, err := s.extents(x.Shape)
	if err != nil || x.DType != tensor.Float32 || s.Kind == SoftmaxHard || x.Elems() == 0 {
		return nil, err
	}
	switch {
	case inner > 1:
		return []Step{s.strips(env, outer, n, inner)}, nil
	case n <= shortRow && outer > 1:
		return []Step{s.columns(env, outer, n)}, nil
	}
	k, src, dst := env.Kernels, x.F32(), y.F32()
	var scratch *Scratch
	if s.Kind == SoftmaxLog {
		scratch = env.Scratch(n * 4)
	}
	per := max(1, rowTile/4/n)
	return []Step{{Kernel: "f32_softmax", Tiles: (outer + per - 1) / per, Cost: outer * n * 8, Run: func(worker, tile int) {
		for r := tile * per; r < min((tile+1)*per, outer); r++ {
			p, q := src[r*n:(r+1)*n], dst[r*n:(r+1)*n]
			top := k.F32Max(p)
			if s.Kind == SoftmaxProb {
				k.F32BinaryScalar[kernels.Div](q, q, k.F32ExpSum(q, p, top))
				continue
			}
			sum := k.F32ExpSum(bytesF32(scratch.For(worker))[:n], p, top)
			k.F32BinaryScalar[kernels.Sub](q, p, top)
			k.F32BinaryScalar[kernels.Sub](q, q, float32(math.Log(float64(sum))))
		}
	}}}, nil
}

// softmaxStrip is how many groups that lie side by side are normalised
// together.
const softmaxStrip = 256

// strips returns the step for groups that lie side by side.
func (s *Softmax) strips(env *Env, outer, n, inner int) Step {
	src, dst := env.In[0].F32(), env.Out[0].F32()
	scratch := env.Scratch(3 * softmaxStrip * 4)
	cols := (inner + softmaxStrip - 1) / softmaxStrip
	return Step{Kernel: "f32_softmax", Tiles: outer * cols, Cost: outer * n * inner * 8, Run: func(worker, tile int) {
		from := tile/cols*n*inner + tile%cols*softmaxStrip
		w := min(softmaxStrip, inner-tile%cols*softmaxStrip)
		s.strip(env.Kernels, dst[from:], src[from:], n, inner, w, bytesF32(scratch.For(worker)))
	}}
}

// columns returns the step for short rows: strips of them become columns in
// scratch memory.
func (s *Softmax) columns(env *Env, outer, n int) Step {
	src, dst := env.In[0].F32(), env.Out[0].F32()
	scratch := env.Scratch((3 + n) * softmaxStrip * 4)
	per := 4 * softmaxStrip
	return Step{Kernel: "f32_softmax", Tiles: (outer + per - 1) / per, Cost: outer * n * 8, Run: func(worker, tile int) {
		buf := bytesF32(scratch.For(worker))
		t := buf[3*softmaxStrip:]
		for r := tile * per; r < min((tile+1)*per, outer); r += softmaxStrip {
			w := min(softmaxStrip, outer-r)
			p, q := src[r*n:(r+w)*n], dst[r*n:(r+w)*n]
			for i := range n {
				column := t[i*w : (i+1)*w]
				for j := range column {
					column[j] = p[j*n+i]
				}
			}
			s.strip(env.Kernels, t, t, n, w, w, buf)
			for i := range n {
				for j, v := range t[i*w : (i+1)*w] {
					q[j*n+i] = v
				}
			}
		}
	}}
}

// strip normalises w groups of n elements that lie side by side, pitch apart.
// It keeps the largest elements, the sums and one row of exponentials in buf.
func (s *Softmax) strip(k *kernels.Set, dst, src []float32, n, pitch, w int, buf []float32) {
	top, sum, e := buf[:w], buf[softmaxStrip:][:w], buf[2*softmaxStrip:][:w]
	copy(top, src[:w])
	for i := 1; i < n; i++ {
		k.F32Binary[kernels.Max](top, top, src[i*pitch:][:w])
	}
	fill(sum, 0)
	for i := range n {
		p, q := src[i*pitch:][:w], dst[i*pitch:][:w]
		k.F32Binary[kernels.Sub](q, p, top)
		if s.Kind == SoftmaxLog {
			k.F32Unary[kernels.Exp](e, q, 0, 0)
			k.F32Binary[kernels.Add](sum, sum, e)
		} else {
			k.F32Unary[kernels.Exp](q, q, 0, 0)
			k.F32Binary[kernels.Add](sum, sum, q)
		}
	}
	f := kernels.Div
	if s.Kind == SoftmaxLog {
		f = kernels.Sub
		for i, v := range sum {
			sum[i] = float32(math.Log(float64(v)))
		}
	}
	for i := range n {
		q := dst[i*pitch:][:w]
		k.F32Binary[f](q, q, sum)
	}
}
