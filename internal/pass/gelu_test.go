package pass_test

import (
	"math"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
)

// erf1 is erf(x/√2) + 1.
func erf1(b *optest.Net, x *graph.Value) *graph.Value {
	return b.Node("Add", nil, b.Node("Erf", nil, b.Node("Div", nil, x, b.Scalar(math.Sqrt2))), b.Scalar(1))
}

// tanh1 is tanh(√(2/π)·(x + 0.044715·x³)) + 1, with a cube of either form.
func tanh1(b *optest.Net, x *graph.Value, pow bool) *graph.Value {
	cube := b.Node("Mul", nil, b.Node("Mul", nil, x, x), x)
	if pow {
		cube = b.Node("Pow", nil, x, b.Scalar(3))
	}
	inner := b.Node("Add", nil, x, b.Node("Mul", nil, cube, b.Scalar(.044715)))
	return b.Node("Add", nil, b.Scalar(1), b.Node("Tanh", nil, b.Node("Mul", nil, b.Scalar(.7978845608), inner)))
}

func TestGeluForms(t *testing.T) {
	half := func(b *optest.Net, x *graph.Value) *graph.Value { return b.Node("Mul", nil, x, b.Scalar(.5)) }
	mul := func(b *optest.Net, x, y *graph.Value) *graph.Value { return b.Node("Mul", nil, x, y) }
	run(t, []rewrite{
		{name: "x*(erf(x/1.41)+1)*0.5", want: "Gelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return half(b, mul(b, x, erf1(b, x)))
		}},
		{name: "(x*0.5)*(erf(x/1.41)+1)", want: "Gelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return mul(b, half(b, x), erf1(b, x))
		}},
		{name: "((erf(x/1.41)+1)*0.5)*x", want: "Gelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return mul(b, half(b, erf1(b, x)), x)
		}},
		{name: "x*(0.5*erf(x*0.707)+0.5)", want: "Gelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			e := b.Node("Erf", nil, mul(b, b.Scalar(math.Sqrt2/2), x))
			return mul(b, x, b.Node("Add", nil, half(b, e), b.Scalar(.5)))
		}},
		{name: "behind a convolution", want: "move Conv+Gelu move", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			x = conv(b, x, 8, 8)
			return half(b, mul(b, x, erf1(b, x)))
		}},
		{name: "Gelu", opset: 20, want: "Gelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Gelu", nil, x)
		}},
		{name: "x*(tanh(...)+1)*0.5", want: "Gelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return half(b, mul(b, x, tanh1(b, x, false)))
		}},
		{name: "(0.5*x)*(tanh(...)+1), Pow", want: "Gelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return mul(b, half(b, x), tanh1(b, x, true))
		}},
		// Lookalikes.
		{name: "x*(erf(x/1.41)+1)", want: "Div>Erf>Add>Mul", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return mul(b, x, erf1(b, x))
		}},
		{name: "x*(erf(x)+1)*0.5", want: "Erf>Add>Mul>Mul", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return half(b, mul(b, x, b.Node("Add", nil, b.Node("Erf", nil, x), b.Scalar(1))))
		}},
		{name: "x*(erf(y/1.41)+1)*0.5", want: "Relu>Div>Erf>Add>Mul>Mul", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return half(b, mul(b, x, erf1(b, b.Node("Relu", nil, x))))
		}},
		{name: "x*(erf(x/1.41)-1)*0.5", want: "Div>Erf>Sub>Mul>Mul", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			e := b.Node("Erf", nil, b.Node("Div", nil, x, b.Scalar(math.Sqrt2)))
			return half(b, mul(b, x, b.Node("Sub", nil, e, b.Scalar(1))))
		}},
	})
}

func TestPowForms(t *testing.T) {
	pow := func(e float32) func(b *optest.Net, x *graph.Value) *graph.Value {
		return func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Pow", nil, b.Node("Abs", nil, x), b.Scalar(e))
		}
	}
	run(t, []rewrite{
		{name: "1", want: "Abs", build: pow(1)},
		{name: "2", want: "Abs Mul", build: pow(2)},
		{name: "3", want: "Abs Pow", build: pow(3)},
		{name: "2 that broadcasts", want: "Pow", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Pow", nil, x, b.Const(b.Floats(2).Const.Reshaped(1, 1, 1, 1, 1)))
		}},
	})
}
