package op

import (
	"fmt"
	"math"
	"strings"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// UnaryKind names an elementwise function of one operand.
type UnaryKind int

// The functions of Unary; a and b are its Alpha and Beta.
const (
	Abs UnaryKind = iota
	Neg
	Sign
	Relu // max(x, 0)
	Ceil
	Floor
	Round // half to even
	Sqrt
	Reciprocal
	Exp
	Log
	Erf
	Sin
	Cos
	Tan
	Asin
	Acos
	Atan
	Sinh
	Cosh
	Asinh
	Acosh
	Atanh
	Tanh
	Sigmoid
	Softplus        // log(1 + exp(x))
	Softsign        // x / (1 + |x|)
	Mish            // x·tanh(softplus(x))
	Gelu            // x·(1 + erf(x/√2))/2
	GeluTanh        // x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2
	Swish           // x·sigmoid(a·x)
	LeakyRelu       // x < 0 ? a·x : x
	ThresholdedRelu // x > a ? x : 0
	Elu             // x < 0 ? a·(exp(x) - 1) : x
	Celu            // x < 0 ? a·(exp(x/a) - 1) : x
	Selu            // b·(x < 0 ? a·(exp(x) - 1) : x)
	HardSigmoid     // min(max(a·x + b, 0), 1)
	HardSwish       // x·min(max(a·x + b, 0), 1), a = 1/6, b = 1/2
	Shrink          // x < -a ? x + b : x > a ? x - b : 0
)

// unaryRows gives each function its ONNX name, its formula, and the names and
// defaults of its attributes.
var unaryRows = [...]struct {
	name   string
	f      func(x, a, b float64) float64
	a, b   string
	da, db float32
}{
	Abs:             {name: "Abs", f: func(x, _, _ float64) float64 { return math.Abs(x) }},
	Neg:             {name: "Neg", f: func(x, _, _ float64) float64 { return -x }},
	Sign:            {name: "Sign", f: sign},
	Relu:            {name: "Relu", f: func(x, _, _ float64) float64 { return max(x, 0) }},
	Ceil:            {name: "Ceil", f: func(x, _, _ float64) float64 { return math.Ceil(x) }},
	Floor:           {name: "Floor", f: func(x, _, _ float64) float64 { return math.Floor(x) }},
	Round:           {name: "Round", f: func(x, _, _ float64) float64 { return math.RoundToEven(x) }},
	Sqrt:            {name: "Sqrt", f: func(x, _, _ float64) float64 { return math.Sqrt(x) }},
	Reciprocal:      {name: "Reciprocal", f: func(x, _, _ float64) float64 { return 1 / x }},
	Exp:             {name: "Exp", f: func(x, _, _ float64) float64 { return exp(x) }},
	Log:             {name: "Log", f: func(x, _, _ float64) float64 { return log(x) }},
	Erf:             {name: "Erf", f: func(x, _, _ float64) float64 { return erf(x) }},
	Sin:             {name: "Sin", f: func(x, _, _ float64) float64 { return math.Sin(x) }},
	Cos:             {name: "Cos", f: func(x, _, _ float64) float64 { return math.Cos(x) }},
	Tan:             {name: "Tan", f: func(x, _, _ float64) float64 { return math.Tan(x) }},
	Asin:            {name: "Asin", f: func(x, _, _ float64) float64 { return math.Asin(x) }},
	Acos:            {name: "Acos", f: func(x, _, _ float64) float64 { return math.Acos(x) }},
	Atan:            {name: "Atan", f: func(x, _, _ float64) float64 { return math.Atan(x) }},
	Sinh:            {name: "Sinh", f: func(x, _, _ float64) float64 { return math.Sinh(x) }},
	Cosh:            {name: "Cosh", f: func(x, _, _ float64) float64 { return math.Cosh(x) }},
	Asinh:           {name: "Asinh", f: func(x, _, _ float64) float64 { return math.Asinh(x) }},
	Acosh:           {name: "Acosh", f: func(x, _, _ float64) float64 { return math.Acosh(x) }},
	Atanh:           {name: "Atanh", f: func(x, _, _ float64) float64 { return math.Atanh(x) }},
	Tanh:            {name: "Tanh", f: func(x, _, _ float64) float64 { return tanh(x) }},
	Sigmoid:         {name: "Sigmoid", f: func(x, _, _ float64) float64 { return sigmoid(x) }},
	Softplus:        {name: "Softplus", f: func(x, _, _ float64) float64 { return softplus(x) }},
	Softsign:        {name: "Softsign", f: func(x, _, _ float64) float64 { return x / (1 + math.Abs(x)) }},
	Mish:            {name: "Mish", f: func(x, _, _ float64) float64 { return x * tanh(softplus(x)) }},
	Gelu:            {name: "Gelu", f: gelu},
	GeluTanh:        {name: "Gelu", f: geluTanh},
	Swish:           {name: "Swish", f: func(x, a, _ float64) float64 { return x * sigmoid(float64(a*x)) }, a: "alpha", da: 1},
	LeakyRelu:       {name: "LeakyRelu", f: leakyRelu, a: "alpha", da: .01},
	ThresholdedRelu: {name: "ThresholdedRelu", f: thresholdedRelu, a: "alpha", da: 1},
	Elu:             {name: "Elu", f: elu, a: "alpha", da: 1},
	Celu:            {name: "Celu", f: celu, a: "alpha", da: 1},
	Selu:            {name: "Selu", f: selu, a: "alpha", b: "gamma", da: 1.67326319217681884765625, db: 1.05070102214813232421875},
	HardSigmoid:     {name: "HardSigmoid", f: hardSigmoid, a: "alpha", b: "beta", da: .2, db: .5},
	HardSwish:       {name: "HardSwish", f: func(x, a, b float64) float64 { return x * hardSigmoid(x, a, b) }, da: 1. / 6, db: .5},
	Shrink:          {name: "Shrink", f: shrink, a: "lambd", b: "bias", da: .5},
}

// String returns the ONNX name of the operator.
func (k UnaryKind) String() string { return unaryRows[k].name }

// Unary applies a function to every element. Floating-point types are
// computed in float64 and rounded once; the kinds that make sense for them
// are also computed for integers.
type Unary struct {
	Kind        UnaryKind
	Alpha, Beta float32 // see the kinds; 0 where they have no use for it
}

func newUnary(k UnaryKind) Builder {
	return func(n *graph.Node, opset int) (graph.Op, error) {
		row := &unaryRows[k]
		u := &Unary{Kind: k, Alpha: row.da, Beta: row.db}
		if k == Selu && opset < 6 {
			u.Alpha, u.Beta = 1.6732, 1.0507
		}
		if row.a != "" {
			u.Alpha = n.Attrs.Float(row.a, u.Alpha)
		}
		if row.b != "" {
			u.Beta = n.Attrs.Float(row.b, u.Beta)
		}
		return u, nil
	}
}

func newGelu(n *graph.Node, _ int) (graph.Op, error) {
	switch m := n.Attrs.String("approximate", "none"); m {
	case "none":
		return &Unary{Kind: Gelu}, nil
	case "tanh":
		return &Unary{Kind: GeluTanh}, nil
	default:
		return nil, fmt.Errorf("approximate %q: %w", m, ErrUnsupported)
	}
}

// Infer implements graph.Op.
func (u *Unary) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	t := in[0].Type
	switch d := t.DType; {
	case d.IsFloat():
	case d.IsInt() && (u.Kind == Abs || u.Kind == Sign || u.Kind == Erf || u.Kind == Shrink):
	case d.IsInt() && !d.IsUnsigned() && (u.Kind == Neg || u.Kind == Relu):
	default:
		return nil, fmt.Errorf("%v of %v: %w", u.Kind, d, ErrUnsupported)
	}
	return typed(t.DType, t.Shape)
}

// InPlace implements InPlacer.
func (u *Unary) InPlace() []int { return []int{0} }

// Pitched implements Pitcher.
func (u *Unary) Pitched() (in, out bool) { return true, true }

// Eval implements Evaluator.
func (u *Unary) Eval(in, out []*tensor.Tensor) error {
	x, y := in[0], out[0]
	w := walkOver(y, x)
	ints := x.DType.IsInt() && u.Kind <= Relu
	for range w.rows {
		for i := 0; i < w.n; i += chunk {
			n := min(chunk, w.n-i)
			if ints {
				u.rowInt(y, x, w.off[0]+i, w.off[1]+i, n)
			} else {
				u.row(y, x, w.off[0]+i, w.off[1]+i, n)
			}
		}
		w.next()
	}
	return nil
}

// row computes at most chunk elements of y from yi and of x from xi on.
func (u *Unary) row(y, x *tensor.Tensor, yi, xi, n int) {
	var buf [chunk]float64
	f, a, b := unaryRows[u.Kind].f, float64(u.Alpha), float64(u.Beta)
	loadFloats(x, xi, buf[:n])
	for i, v := range buf[:n] {
		buf[i] = f(v, a, b)
	}
	storeFloats(y, yi, buf[:n])
}

func (u *Unary) rowInt(y, x *tensor.Tensor, yi, xi, n int) {
	var buf [chunk]int64
	loadInts(x, xi, buf[:n])
	unsigned := x.DType.IsUnsigned()
	for i, v := range buf[:n] {
		switch {
		case u.Kind == Sign && v != 0:
			buf[i] = 1
			if v < 0 && !unsigned {
				buf[i] = -1
			}
		case u.Kind == Abs && v < 0 && !unsigned, u.Kind == Neg:
			buf[i] = -v
		case u.Kind == Relu:
			buf[i] = max(v, 0)
		}
	}
	storeInts(y, yi, buf[:n])
}

// Kernel returns the micro-kernel and its parameters that compute u on
// float32, where there is one.
func (u *Unary) Kernel() (k kernels.Unary, p, q float32, ok bool) {
	switch u.Kind {
	case Relu:
		return kernels.Clamp, 0, float32(math.Inf(1)), true
	case LeakyRelu:
		return kernels.LeakyRelu, u.Alpha, 0, true
	case Sigmoid:
		return kernels.Sigmoid, 0, 0, true
	case Swish:
		return kernels.SiLU, u.Alpha, 0, true
	case HardSigmoid:
		return kernels.HardSigmoid, u.Alpha, u.Beta, true
	case HardSwish:
		return kernels.HardSwish, u.Alpha, u.Beta, true
	case Tanh:
		return kernels.Tanh, 0, 0, true
	case Exp:
		return kernels.Exp, 0, 0, true
	case Erf:
		return kernels.Erf, 0, 0, true
	case Gelu:
		return kernels.Gelu, 0, 0, true
	case Neg:
		return kernels.Affine, -1, float32(math.Copysign(0, -1)), true
	}
	return 0, 0, 0, false
}

// Prepare implements Preparer.
func (u *Unary) Prepare(env *Env) ([]Step, error) {
	x, y := env.In[0], env.Out[0]
	w := walkOver(y, x)
	if s := u.composed(env, w); s != nil {
		return s, nil
	}
	k, p, q, ok := u.Kernel()
	if !ok || x.DType != tensor.Float32 {
		return eachRow(w, strings.ToLower(u.Kind.String()), 8, func(off [4]int, from, to int) {
			for i := from; i < to; i += chunk {
				n := min(chunk, to-i)
				if x.DType.IsInt() && u.Kind <= Relu {
					u.rowInt(y, x, off[0]+i, off[1]+i, n)
				} else {
					u.row(y, x, off[0]+i, off[1]+i, n)
				}
			}
		}), nil
	}
	f, src, dst := env.Kernels.F32Unary[k], whole[float32](x), whole[float32](y)
	return eachRow(w, "f32_unary", 1, func(off [4]int, from, to int) {
		f(dst[off[0]+from:off[0]+to], src[off[1]+from:off[1]+to], p, q)
	}), nil
}

// eachRow returns the step that calls run on every row of w, or on pieces of
// long ones. cost is that of one element, relative to a multiply-add.
func eachRow(w walk, kernel string, cost int, run func(off [4]int, from, to int)) []Step {
	return eachRowOf(w, kernel, cost, func(_ int, off [4]int, from, to int) { run(off, from, to) })
}

// eachRowOf is eachRow for functions that need to know their worker.
func eachRowOf(w walk, kernel string, cost int, run func(worker int, off [4]int, from, to int)) []Step {
	if w.rows == 0 {
		return []Step{}
	}
	t := newTiling(w.rows, w.n)
	return []Step{{Kernel: kernel, Tiles: t.tiles(), Cost: w.rows * w.n * cost, Run: func(worker, tile int) {
		row, rows, from, to := t.at(tile)
		v := w
		v.seek(row)
		for range rows {
			run(worker, v.off, from, to)
			v.next()
		}
	}}}
}
