package op_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// wave returns a float32 tensor of numbers from about -lift-4 to 4-lift that
// do not repeat.
func wave(lift float64, shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i := range t.F32() {
		t.F32()[i] = float32(4*math.Sin(float64(i)*.7+float64(len(shape))) - lift)
	}
	return t
}

func wave8(shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Int8, shape...)
	for i := range t.Data {
		t.Data[i] = byte(i * 37)
	}
	return t
}

// preparedCases are operators with inputs that reach every path of their
// prepared steps: same shapes, scalars on either side, rows, columns, long
// rows that are cut, and empty tensors.
func preparedCases() (cases []struct {
	o    graph.Op
	in   []*tensor.Tensor
	outs int
}) {
	add := func(outs int, o graph.Op, in ...*tensor.Tensor) {
		cases = append(cases, struct {
			o    graph.Op
			in   []*tensor.Tensor
			outs int
		}{o, in, outs})
	}
	for k := op.Abs; k <= op.Shrink; k++ {
		add(1, &op.Unary{Kind: k, Alpha: .3, Beta: .6}, wave(-4.5, 3, 5, 7))
	}
	add(1, &op.Unary{Kind: op.Sigmoid}, wave(0, 40001))
	add(1, &op.Unary{Kind: op.Neg}, wave8(70, 300))
	shapes := [][2][]int{
		{{3, 5, 7}, {3, 5, 7}}, {{3, 5, 7}, {7}}, {{3, 5, 7}, {5, 1}}, {{3, 5, 7}, {}}, {{3, 5, 7}, {3, 1, 7}},
		{{2, 40, 30, 16}, {2, 1, 1, 16}}, {{1, 40000}, {1, 1}}, {{0, 5}, {1, 5}}, {{1}, {1}}, {{6, 1}, {6, 1}},
		{{4, 150, 2}, {150, 2}}, {{4, 150, 2}, {4, 1, 2}}, {{3, 80, 5}, {3, 80, 1}}, {{2, 3, 1300}, {2, 1, 1300}}, {{2, 3, 130}, {2, 3, 1}},
		{{2, 3, 5, 2, 6}, {3, 1, 2, 1}}, {{2, 200, 3}, {2, 200, 3}}, {{400, 3}, {3}}, {{2100, 1}, {1}}, {{3, 1, 7, 1}, {1, 9, 1, 31}}, // both broadcast, which PRelu does not allow
	}
	for k := op.Add; k <= op.Fmod; k++ {
		for _, s := range shapes {
			if k != op.PRelu || len(s[1]) == 0 || s[1][len(s[1])-1] != 31 {
				add(1, &op.Binary{Kind: k}, wave(-4.5, s[0]...), wave(-4.2, s[1]...))
			}
			if k != op.PRelu {
				add(1, &op.Binary{Kind: k}, wave(-4.2, s[1]...), wave(-4.5, s[0]...))
			}
		}
	}
	for _, k := range []op.BinaryKind{op.Equal, op.Less, op.GreaterOrEqual} {
		add(1, &op.Binary{Kind: k}, wave(0, 3, 5, 7), wave(0, 5, 1))
		add(1, &op.Binary{Kind: k}, wave8(3, 5, 7), wave8(7))
	}
	add(1, &op.Binary{Kind: op.Add, Legacy: true, Axis: 1}, wave(0, 2, 3, 4), wave(0, 3))
	for _, k := range []op.BinaryKind{op.Add, op.Min, op.Max} {
		add(1, &op.Variadic{Kind: k}, wave(0, 3, 5, 7), wave(1, 7), wave(2, 5, 1))
		add(1, &op.Variadic{Kind: k, Mean: k == op.Add}, wave(0, 7), wave(1, 3, 5, 7), wave(2, 5, 1))
	}
	add(1, &op.Variadic{Kind: op.Add, Mean: true}, wave(0, 2, 900, 3), wave(1, 3), wave(2, 2, 1, 3), wave(2, 900, 1))
	chain := &op.Chain{Links: []op.Link{
		{Kind: op.Mul, Arg: 1}, {Kind: op.Add, Arg: 2}, {Kind: op.PRelu, Arg: 3}, {Kind: op.Sub, Arg: 4, Swap: true},
		{Unary: &op.Unary{Kind: op.Sigmoid}}, {Kind: op.Div, Arg: 5, Swap: true}, {Kind: op.Max, Arg: 5},
	}}
	for _, s := range [][]int{{2, 17, 5, 6}, {1, 40, 41, 24}, {3, 5, 130}, {1, 2, 700, 2}, {1, 7}, {2, 9000}} {
		n := s[len(s)-1]
		add(1, chain, wave(0, s...), wave(1, n), wave(2, n), wave(3, n), wave(1, s...), wave(1, 1))
		add(1, chain, wave(0, s...), wave(1, 1), wave(2), wave(3, s...), wave(1, append([]int{1}, s[1:]...)...), wave(1, append(append([]int{}, s[:len(s)-1]...), 1)...))
	}
	cond := tensor.From(tensor.Bool, []uint8{1, 0, 1, 0, 0}, 5, 1)
	add(1, &op.Where{}, cond, wave(0, 3, 5, 7), wave(1, 7))
	add(1, &op.Where{}, cond, wave8(3, 5, 7), wave8(1))
	add(1, &op.Clip{}, wave(0, 3, 5, 7), f32(scalar, -1), f32(scalar, 2))
	add(1, &op.Clip{}, wave8(3, 5, 7), nil, tensor.From(tensor.Int8, []int8{9}))
	add(1, &op.Identity{}, wave8(3, 5, 7))
	for _, d := range []tensor.DType{tensor.Float16, tensor.BFloat16, tensor.Int8, tensor.Int64, tensor.Bool, tensor.Float64} {
		add(1, &op.Cast{To: d}, wave(0, 3, 5, 7))
		add(1, &op.Cast{To: d}, wave8(30, 700))
	}
	for _, k := range []op.SoftmaxKind{op.SoftmaxProb, op.SoftmaxLog} {
		add(1, &op.Softmax{Kind: k, Axis: -1}, wave(0, 3, 5, 7))
		add(1, &op.Softmax{Kind: k, Axis: 1}, wave(0, 3, 5, 700))
		add(1, &op.Softmax{Kind: k, Axis: 0}, wave(0, 9, 3))
		add(1, &op.Softmax{Kind: k, Axis: 1, Flatten: true}, wave(0, 3, 5, 7))
		add(1, &op.Softmax{Kind: k, Axis: 1}, wave(0, 2, 9000))
	}
	add(1, &op.BatchNorm{Epsilon: 1e-3}, wave(0, 2, 3, 40, 50), wave(1, 3), wave(2, 3), wave(3, 3), wave(-4.5, 3))
	add(1, &op.InstanceNorm{Epsilon: 1e-3}, wave(0, 2, 3, 4, 5), wave(1, 3), wave(2, 3))
	add(1, &op.InstanceNorm{Epsilon: 1e-3, Groups: 2}, wave(0, 2, 6, 4, 5), wave(1, 6), wave(2, 6))
	add(1, &op.GroupNormNHWC{Epsilon: 1e-3, Groups: 3, Act: op.NoAct()}, wave(0, 2, 20, 30, 6), wave(1, 6), wave(2, 6))
	add(1, &op.GroupNormNHWC{Epsilon: 1e-3, Groups: 300, Act: op.ClampAct(0, 1)}, wave(3, 2, 4, 5, 300), wave(1, 300), wave(2, 300))
	add(1, &op.GroupNormNHWC{Epsilon: 1e-3, Groups: 1, Act: op.Act{Slope: wave(0, 5000).F32()}}, wave(0, 1, 3, 1, 5000), wave(1, 5000), wave(2, 5000))
	add(3, &op.LayerNorm{Epsilon: 1e-3, Axis: -1}, wave(0, 20, 3, 700), wave(1, 700), wave(2, 3, 700))
	add(1, &op.LayerNorm{Epsilon: 1e-3, Axis: 1, RMS: true}, wave(0, 5, 3, 7), wave(1, 1))
	nan := wave(0, 4, 3, 50)
	for _, i := range []int{7, 9, 160, 199, 450} {
		nan.F32()[i] = float32(math.NaN())
	}
	for _, o := range []op.ArgReduce{{}, {Min: true}, {Last: true}, {Min: true, Last: true}} {
		for o.Axis = range 3 {
			add(1, &op.ArgReduce{Min: o.Min, Last: o.Last, Axis: o.Axis, KeepDims: true}, nan)
		}
		add(1, &op.ArgReduce{Min: o.Min, Last: o.Last, Axis: -1}, wave8(9, 500))
	}
	for k := op.ReduceSum; k <= op.ReduceLogSumExp; k++ {
		for _, axes := range [][]int{{0}, {1}, {2}, {0, 2}, {1, 2}, nil} {
			add(1, &op.Reduce{Kind: k, Axes: axes, KeepDims: true}, wave(-4.5, 3, 4, 300))
		}
		add(1, &op.Reduce{Kind: k, Axes: []int{1}}, wave(-4.5, 2, 3, 700))
	}
	// Long sums, rows side by side, short rows, axes in two passes, parts of an axis.
	for _, k := range []op.ReduceKind{op.ReduceSum, op.ReduceL1, op.ReduceSumSquare, op.ReduceMean, op.ReduceMax, op.ReduceMin} {
		for _, c := range []struct{ axes, shape []int }{
			{[]int{0, 1, 3}, []int{40, 41, 3, 8}}, {[]int{1}, []int{900, 3, 2}}, {[]int{1}, []int{20, 2, 64}}, {[]int{1}, []int{3, 70, 1100}},
			{[]int{0, 2}, []int{2, 3, 20011}}, {[]int{-1}, []int{3, 40000}}, {[]int{0}, []int{7001, 5}}, {[]int{1, 3}, []int{5, 6, 7, 9}}, {[]int{1}, []int{2, 130, 40}},
			{[]int{0}, []int{2, 40000}}, {[]int{0}, []int{9000, 24}},
		} {
			add(1, &op.Reduce{Kind: k, Axes: c.axes}, wave(-4.5, c.shape...))
		}
	}
	for _, c := range []int{1, 2, 3, 7, 8, 48} {
		for _, by := range []float64{.4, 1, 1.7, 2, 5} {
			r := &op.ResizeNHWC{Linear: true}
			r.Y0, r.Y1, r.TY = neighbours(9, int(9*by))
			r.X0, r.X1, r.TX = neighbours(13, int(13*by))
			add(1, r, wave(0, 2, 9, 13, c))
			near := &op.ResizeNHWC{Y0: r.Y0, Y1: r.Y0, TY: make([]float32, len(r.TY)), X0: r.X0, X1: r.X0, TX: make([]float32, len(r.TX))}
			add(1, near, wave(0, 2, 9, 13, c))
		}
	}
	for _, axis := range []int{0, 1, 2} {
		n := []int{3, 5, 700}[axis]
		scale := wave(-4.5, n)
		add(1, &op.QuantizeLinear{Axis: axis, To: tensor.Uint8}, wave(0, 3, 5, 700), scale, wave8(n))
		add(1, &op.DequantizeLinear{Axis: axis}, wave8(3, 5, 700), scale, wave8(n))
	}
	add(1, &op.QuantizeLinear{To: tensor.Uint8}, wave(0, 40000), f32(scalar, .05))
	add(1, &op.QuantizeLinear{Axis: 1, Block: 2, To: tensor.Uint8}, wave(0, 2, 5, 3, 7), wave(-4.5, 2, 3, 3, 7))
	add(1, &op.DequantizeLinear{Axis: 2, Block: 3}, wave8(3, 5, 7), wave(-4.5, 3, 5, 3))
	for _, shape := range [][]int{{3, 5, 7}, {2, 9, 1}, {1, 40, 41, 24}, {3, 40000}, {0, 5}} {
		bytes, odd := wave8(shape...), wave(0, shape...)
		if len(odd.F32()) > 3 {
			copy(odd.F32(), []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), -1e30})
		}
		for _, zero := range []byte{0, 77, 0x80, 0xff} {
			for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
				z, x := tensor.New(d, 1), tensor.New(d, shape...)
				z.Data[0] = zero
				copy(x.Data, bytes.Data)
				add(1, &op.QuantizeLinear{Axis: 1, To: tensor.Uint8}, odd, f32(scalar, .03), z)
				add(1, &op.DequantizeLinear{Axis: 1}, x, f32(vec(1), .03), z)
			}
		}
	}
	return cases
}

// neighbours are the positions and weights of a linear interpolation of n
// elements to m, centres on centres.
func neighbours(n, m int) (i0, i1 []int, t []float32) {
	for o := range m {
		x := min(max((float64(o)+.5)*float64(n)/float64(m)-.5, 0), float64(n-1))
		i := int(x)
		i0, i1, t = append(i0, i), append(i1, min(i+1, n-1)), append(t, float32(x-float64(i)))
	}
	return i0, i1, t
}

// TestElementwisePrepared compares the steps with Eval on every rung, dense
// and with every pitch that the operator accepts. Kernels are exact to a few
// units in the last place; a subtraction may leave more of what it cancels.
func TestElementwisePrepared(t *testing.T) {
	for _, set := range kernels.Available() {
		for _, c := range preparedCases() {
			name := fmt.Sprintf("%s %T %+v of %v", set.Name, c.o, c.o, c.in[0].Type())
			want, err := bind(c.o, c.outs, c.in...)
			if err == nil {
				err = c.o.(op.Evaluator).Eval(c.in, want)
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			pin, pout := false, false
			if p, ok := c.o.(op.Pitcher); ok {
				pin, pout = p.Pitched()
			}
			for mode := range 4 {
				if mode&1 != 0 && !pin || mode&2 != 0 && !pout {
					continue
				}
				env := &op.Env{Kernels: set, Threads: 2, Const: make([]bool, len(c.in))}
				for _, x := range c.in {
					if x != nil && mode&1 != 0 {
						x = tight(pitched(x, 3, 0x7f))
					}
					env.In = append(env.In, x)
				}
				for _, y := range want {
					y = tensor.New(y.DType, y.Shape...)
					if mode&2 != 0 {
						y = tight(pitched(y, 2, 0x7f))
					}
					env.Out = append(env.Out, y)
				}
				runSteps(t, c.o, env)
				for i, y := range env.Out {
					if err := optest.Compare(packed(t, y), want[i], 2e-6, 2e-6, 0); err != nil {
						t.Errorf("%s, pitch %d: output %d %v", name, mode, i, err)
					}
				}
			}
		}
	}
}

// tight cuts off what follows the last row, as the planner does.
func tight(t *tensor.Tensor) *tensor.Tensor {
	if n := len(t.Shape); n > 0 && t.Elems() > 0 && t.Pitch > 0 {
		last := t.Shape[n-1]
		t.Data = t.Data[:((t.Elems()/last-1)*t.Pitch+last)*t.DType.Size()]
	}
	return t
}

// packed returns a dense copy and checks that the gaps hold what pitched put
// there.
func packed(t *testing.T, x *tensor.Tensor) *tensor.Tensor {
	if x.Pitch == 0 {
		return x
	}
	y, size := tensor.New(x.DType, x.Shape...), x.DType.Size()
	last := x.Shape[len(x.Shape)-1] * size
	for r := 0; r*last < len(y.Data); r++ {
		row := x.Data[r*x.Pitch*size:]
		copy(y.Data[r*last:(r+1)*last], row)
		for _, b := range row[last:min(x.Pitch*size, len(row))] {
			if b != 0x7f {
				t.Fatalf("a gap was written")
			}
		}
	}
	return y
}

// TestElementwiseInPlace overwrites each input that an operator names.
func TestElementwiseInPlace(t *testing.T) {
	for _, c := range preparedCases() {
		p, ok := c.o.(op.InPlacer)
		if !ok {
			continue
		}
		want, err := bind(c.o, c.outs, c.in...)
		if err == nil {
			err = c.o.(op.Evaluator).Eval(c.in, want)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range p.InPlace() {
			if c.in[i].DType != want[0].DType || !c.in[i].Shape.Equal(want[0].Shape) {
				continue
			}
			for _, prepared := range []bool{false, true} {
				in, out := make([]*tensor.Tensor, len(c.in)), make([]*tensor.Tensor, c.outs)
				copy(in, c.in)
				in[i] = c.in[i].Clone()
				for j, w := range want {
					out[j] = tensor.New(w.DType, w.Shape...)
				}
				out[0] = in[i]
				if prepared {
					runSteps(t, c.o, &op.Env{In: in, Out: out, Kernels: kernels.Ref(), Threads: 1, Const: make([]bool, len(in))})
				} else if err := c.o.(op.Evaluator).Eval(in, out); err != nil {
					t.Fatal(err)
				}
				if err := optest.Compare(out[0], want[0], 2e-6, 2e-6, 0); err != nil {
					t.Errorf("%T %+v of %v over input %d, prepared %v: %v", c.o, c.o, c.in[0].Type(), i, prepared, err)
				}
			}
		}
	}
}

func TestElementwiseDoesNotAllocate(t *testing.T) {
	cases := preparedCases()
	add := func(o graph.Op, in ...*tensor.Tensor) {
		cases = append(cases, struct {
			o    graph.Op
			in   []*tensor.Tensor
			outs int
		}{o, in, 1})
	}
	axes := tensor.From(tensor.Int64, []int64{1, 2}, 2)
	for k := op.ReduceSum; k <= op.ReduceLogSumExp; k++ {
		add(&op.Reduce{Kind: k}, wave(0, 2, 3, 4), axes)
	}
	i64 := tensor.From(tensor.Int64, []int64{1, 2, 3}, 3)
	add(&op.Binary{Kind: op.Add}, i64, i64)
	add(&op.Binary{Kind: op.Equal}, i64, i64)
	add(&op.Binary{Kind: op.And}, bools(1, 0), bools(1, 1))
	add(&op.Not{}, bools(1, 0))
	add(&op.IsNaN{}, wave(0, 3))
	add(&op.Reduce{Kind: op.ReduceProd}, i64)
	add(&op.ArgReduce{}, wave(0, 2, 3))
	add(&op.CumSum{}, wave(0, 2, 3), tensor.From(tensor.Int64, []int64{1}))
	add(&op.Cast{To: tensor.Float32}, i64)
	add(&op.Dropout{}, wave(0, 3))
	for _, c := range cases {
		out, err := bind(c.o, c.outs, c.in...)
		if err != nil {
			t.Fatal(err)
		}
		e := c.o.(op.Evaluator)
		if n := testing.AllocsPerRun(2, func() { _ = e.Eval(c.in, out) }); n > 0 {
			t.Errorf("Eval of %T %+v of %v allocates %v times", c.o, c.o, c.in[0].Type(), n)
		}
		p, ok := c.o.(op.Preparer)
		if !ok {
			continue
		}
		steps, err := p.Prepare(&op.Env{In: c.in, Out: out, Kernels: kernels.Ref(), Threads: 1, Const: make([]bool, len(c.in)),
			Scratch: func(n int) *op.Scratch {
				return &op.Scratch{Buf: tensor.New(tensor.Float32, n/4+16).Data, Stride: (n + 63) &^ 63}
			}})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if s.Tiles == 0 {
				continue
			}
			if n := testing.AllocsPerRun(2, func() { s.Run(0, s.Tiles-1) }); n > 0 {
				t.Errorf("step %s of %T %+v of %v allocates %v times", s.Kernel, c.o, c.o, c.in[0].Type(), n)
			}
		}
	}
}
