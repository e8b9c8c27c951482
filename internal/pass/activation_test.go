package pass_test

import (
	"strings"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
)

// clip is Clip with its limits as inputs.
func clip(b *optest.Net, x *graph.Value, lo, hi float32) *graph.Value {
	return b.Node("Clip", nil, x, b.Scalar(lo), b.Scalar(hi))
}

func relu6(b *optest.Net, x *graph.Value) *graph.Value { return clip(b, x, 0, 6) }

// activations are tested alone, and behind a convolution, into which all but
// Mish are fused.
var activations = []rewrite{
	{name: "Relu", want: "Relu", build: func(b *optest.Net, x *graph.Value) *graph.Value { return b.Node("Relu", nil, x) }},
	{name: "Relu as Max with 0", want: "Clip", build: func(b *optest.Net, x *graph.Value) *graph.Value { return b.Node("Max", nil, x, b.Scalar(0)) }},

	{name: "x*sigmoid(x)", want: "Swish", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Mul", nil, x, b.Node("Sigmoid", nil, x))
	}},
	{name: "sigmoid(x)*x", want: "Swish", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Mul", nil, b.Node("Sigmoid", nil, x), x)
	}},
	{name: "x*sigmoid(1.7*x)", want: "Swish", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Mul", nil, x, b.Node("Sigmoid", nil, b.Node("Mul", nil, b.Floats(1.7), x)))
	}},
	{name: "x*sigmoid(x/2)", want: "Swish", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Mul", nil, b.Node("Sigmoid", nil, b.Node("Div", nil, x, b.Scalar(2))), x)
	}},
	{name: "Swish", opset: 24, want: "Swish", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Swish", graph.Attrs{optest.AttrFloat("alpha", 1.2)}, x)
	}},

	{name: "HardSwish", opset: 14, want: "HardSwish", build: func(b *optest.Net, x *graph.Value) *graph.Value { return b.Node("HardSwish", nil, x) }},
	{name: "x*(clip(x+3,0,6)/6)", want: "HardSwish", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Mul", nil, x, b.Node("Div", nil, relu6(b, b.Node("Add", nil, x, b.Scalar(3))), b.Scalar(6)))
	}},
	{name: "(x*clip(x+3,0,6))/6", want: "HardSwish", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Div", nil, b.Node("Mul", nil, x, relu6(b, b.Node("Add", nil, x, b.Scalar(3)))), b.Scalar(6))
	}},
	{name: "(clip(3+x,0,6)*x)*(1/6)", want: "HardSwish", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Mul", nil, b.Node("Mul", nil, relu6(b, b.Node("Add", nil, b.Floats(3), x)), x), b.Floats(1./6))
	}},
	{name: "(1/6)*(x*min(relu(x+3),6))", want: "HardSwish", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Mul", nil, b.Scalar(1./6), b.Node("Mul", nil, x, b.Node("Min", nil, b.Node("Relu", nil, b.Node("Add", nil, x, b.Scalar(3))), b.Scalar(6))))
	}},
	{name: "(x*(1/6))*clip(x+3,0,6)", want: "HardSwish", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Mul", nil, b.Node("Mul", nil, x, b.Scalar(1./6)), relu6(b, b.Node("Add", nil, x, b.Scalar(3))))
	}},
	{name: "(x/6)*clip(x+3,0,6)", want: "HardSwish", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Mul", nil, relu6(b, b.Node("Add", nil, x, b.Scalar(3))), b.Node("Div", nil, x, b.Scalar(6)))
	}},
	{name: "x*clip(x/6+0.5,0,1)", want: "HardSwish", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Mul", nil, x, clip(b, b.Node("Add", nil, b.Node("Div", nil, x, b.Scalar(6)), b.Scalar(.5)), 0, 1))
	}},
	{name: "x*HardSigmoid(x)", want: "HardSwish", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Mul", nil, x, b.Node("HardSigmoid", graph.Attrs{optest.AttrFloat("alpha", 1./6)}, x))
	}},
	{name: "HardSigmoid(x)*x, default slope", want: "HardSwish", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Mul", nil, b.Node("HardSigmoid", nil, x), x)
	}},

	{name: "HardSigmoid", want: "HardSigmoid", build: func(b *optest.Net, x *graph.Value) *graph.Value { return b.Node("HardSigmoid", nil, x) }},
	{name: "clip(x+3,0,6)/6", want: "HardSigmoid", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Div", nil, relu6(b, b.Node("Add", nil, x, b.Scalar(3))), b.Scalar(6))
	}},
	{name: "min(relu(x+3),6)*(1/6)", want: "HardSigmoid", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Mul", nil, b.Node("Min", nil, b.Node("Relu", nil, b.Node("Add", nil, x, b.Scalar(3))), b.Scalar(6)), b.Scalar(1./6))
	}},
	{name: "clip(0.2*x+0.5,0,1)", want: "HardSigmoid", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return clip(b, b.Node("Add", nil, b.Node("Mul", nil, x, b.Scalar(.2)), b.Scalar(.5)), 0, 1)
	}},
	{name: "max(min(0.2*x+0.5,1),0)", want: "HardSigmoid", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Max", nil, b.Node("Min", nil, b.Node("Add", nil, b.Node("Mul", nil, x, b.Scalar(.2)), b.Scalar(.5)), b.Scalar(1)), b.Scalar(0))
	}},

	{name: "Relu6 by attributes", opset: 6, want: "Clip", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Clip", graph.Attrs{optest.AttrFloat("min", 0), optest.AttrFloat("max", 6)}, x)
	}},
	{name: "Relu6 by inputs", want: "Clip", build: relu6},
	{name: "Clip without minimum", want: "Clip", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Clip", nil, x, nil, b.Scalar(1))
	}},
	{name: "min(max(x,0),6)", want: "Clip", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Min", nil, b.Node("Max", nil, x, b.Scalar(0)), b.Scalar(6))
	}},
	{name: "max(-1,min(2,x))", want: "Clip", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Max", nil, b.Floats(-1), b.Node("Min", nil, b.Floats(2), x))
	}},
	{name: "min(relu(x),6)", want: "Clip", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Min", nil, b.Node("Relu", nil, x), b.Scalar(6))
	}},
	{name: "clip of clip", want: "Clip", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return clip(b, clip(b, x, -2, 3), -1, 6)
	}},
	{name: "relu of clip", want: "Clip", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Relu", nil, clip(b, x, -2, 3))
	}},

	{name: "LeakyRelu", want: "LeakyRelu", build: func(b *optest.Net, x *graph.Value) *graph.Value { return b.Node("LeakyRelu", nil, x) }},
	{name: "max(x,0.1*x)", want: "LeakyRelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Max", nil, x, b.Node("Mul", nil, x, b.Scalar(.1)))
	}},
	{name: "max(0.1*x,x)", want: "LeakyRelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Max", nil, b.Node("Mul", nil, b.Floats(.1), x), x)
	}},

	{name: "PRelu", want: "PRelu", build: func(b *optest.Net, x *graph.Value) *graph.Value { return b.Node("PRelu", nil, x, b.Weights(8, 1, 1)) }},
	{name: "relu(x)-a*relu(-x)", want: "PRelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Sub", nil, b.Node("Relu", nil, x), b.Node("Mul", nil, b.Weights(8, 1, 1), b.Node("Relu", nil, b.Node("Neg", nil, x))))
	}},
	{name: "relu(x)+(-a)*relu(-x)", want: "PRelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Add", nil, b.Node("Relu", nil, x), b.Node("Mul", nil, b.Node("Neg", nil, b.Weights(8, 1, 1)), b.Node("Relu", nil, b.Node("Neg", nil, x))))
	}},
	{name: "relu(-x)*(-a)+relu(x)", want: "PRelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Add", nil, b.Node("Mul", nil, b.Node("Relu", nil, b.Node("Neg", nil, x)), b.Weights(1, 8, 1, 1)), b.Node("Relu", nil, x))
	}},
	{name: "relu(x)+a*(-relu(-x))", want: "LeakyRelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Add", nil, b.Node("Relu", nil, x), b.Node("Mul", nil, b.Scalar(.3), b.Node("Neg", nil, b.Node("Relu", nil, b.Node("Neg", nil, x)))))
	}},
	{name: "relu(x)+(-(a*relu(-x)))", want: "PRelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Add", nil, b.Node("Relu", nil, x), b.Node("Neg", nil, b.Node("Mul", nil, b.Weights(8, 1, 1), b.Node("Relu", nil, b.Node("Neg", nil, x)))))
	}},
	{name: "relu(x)+a*relu(x*-1)*-1", want: "PRelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Add", nil, b.Node("Relu", nil, x), b.Node("Mul", nil, b.Node("Mul", nil, b.Weights(8, 1, 1), b.Node("Relu", nil, b.Node("Mul", nil, x, b.Scalar(-1)))), b.Scalar(-1)))
	}},
	{name: "max(x,0)+a*min(x,0)", want: "PRelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Add", nil, b.Node("Max", nil, x, b.Scalar(0)), b.Node("Mul", nil, b.Weights(8, 1, 1), b.Node("Min", nil, b.Scalar(0), x)))
	}},
	{name: "relu(x)+a*(x-abs(x))*0.5", want: "PRelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		d := b.Node("Sub", nil, x, b.Node("Abs", nil, x))
		return b.Node("Add", nil, b.Node("Relu", nil, x), b.Node("Mul", nil, b.Node("Mul", nil, b.Weights(8, 1, 1), d), b.Scalar(.5)))
	}},
	{name: "where(x>0,x,a*x)", want: "PRelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Where", nil, b.Node("Greater", nil, x, b.Scalar(0)), x, b.Node("Mul", nil, b.Weights(8, 1, 1), x))
	}},
	{name: "where(x<0,x*a,x)", want: "LeakyRelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Where", nil, b.Node("Less", nil, x, b.Scalar(0)), b.Node("Mul", nil, x, b.Scalar(.2)), x)
	}},

	{name: "where(0<x,x,a*x)", want: "PRelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Where", nil, b.Node("Less", nil, b.Scalar(0), x), x, b.Node("Mul", nil, b.Weights(8, 1, 1), x))
	}},
	{name: "where(0>=x,a*x,x)", want: "PRelu", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Where", nil, b.Node("GreaterOrEqual", nil, b.Floats(0), x), b.Node("Mul", nil, b.Weights(8, 1, 1), x), x)
	}},

	{name: "x*tanh(softplus(x))", want: "Mish", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Mul", nil, x, b.Node("Tanh", nil, b.Node("Softplus", nil, x)))
	}},
	{name: "tanh(log(exp(x)+1))*x", want: "Mish", build: func(b *optest.Net, x *graph.Value) *graph.Value {
		return b.Node("Mul", nil, b.Node("Tanh", nil, b.Node("Log", nil, b.Node("Add", nil, b.Node("Exp", nil, x), b.Scalar(1)))), x)
	}},
}

func TestActivationForms(t *testing.T) {
	run(t, activations)
	for _, r := range activations {
		t.Run("behind a convolution/"+r.name, func(t *testing.T) {
			r.want = strings.NewReplacer("Mish", "move Conv Mish move").Replace(r.want)
			if !strings.HasPrefix(r.want, "move") {
				r.want = "move Conv+" + r.want + " move"
			}
			switch r.name {
			case "Relu as Max with 0":
				r.want = "move Conv+Relu move"
			case "clip(x+3,0,6)/6", "min(relu(x+3),6)*(1/6)":
				r.want = "move Conv+b+HardSigmoid move" // the sum is folded first
			case "clip(0.2*x+0.5,0,1)", "max(min(0.2*x+0.5,1),0)":
				r.want = "move Conv+b+Clip move" // and the product, too
			}
			b, x := r.net()
			r.check(t, b, r.build(b, conv(b, x, 8, 8)))
		})
	}
}

// What looks like an activation and is not one must stay.
func TestActivationLookalikes(t *testing.T) {
	run(t, []rewrite{
		{name: "x*sigmoid(x+1)", want: "Add>Sigmoid>Mul", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Mul", nil, x, b.Node("Sigmoid", nil, b.Node("Add", nil, x, b.Scalar(1))))
		}},
		{name: "x*sigmoid(y)", want: "Relu>Sigmoid>Mul", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Mul", nil, x, b.Node("Sigmoid", nil, b.Node("Relu", nil, x)))
		}},
		{name: "x*clip(x+3,0,6)", want: "Add>Max>Min>Mul", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Mul", nil, x, relu6(b, b.Node("Add", nil, x, b.Scalar(3))))
		}},
		{name: "max(x,2*x)", want: "Mul>Max", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Max", nil, x, b.Node("Mul", nil, x, b.Scalar(2)))
		}},
		{name: "max(x,x)", want: "Max", build: func(b *optest.Net, x *graph.Value) *graph.Value { return b.Node("Max", nil, x, x) }},
		{name: "clips that do not meet", want: "Max>Min>Max>Min", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return clip(b, clip(b, x, 0, 1), 2, 3)
		}},
		{name: "clips with crossed limits", want: "Max>Min>Max>Min", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return clip(b, clip(b, x, 2, -2), -1, 1)
		}},
		{name: "max with a scalar that broadcasts", want: "Max", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Max", nil, x, b.Weights(1, 1, 1, 1, 1))
		}},
		{name: "relu(x)+a*relu(-x), a broadcasts x", shape: []int{4}, want: "Relu Neg>Relu Mul Add", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Add", nil, b.Node("Relu", nil, x), b.Node("Mul", nil, b.Weights(2, 4), b.Node("Relu", nil, b.Node("Neg", nil, x))))
		}},
		{name: "relu(x)-relu(-y)", want: "Relu Abs Neg>Relu>Sub", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Sub", nil, b.Node("Relu", nil, x), b.Node("Relu", nil, b.Node("Neg", nil, b.Node("Abs", nil, x))))
		}},
		{name: "where(x>1,x,a*x)", want: "Greater Mul Where", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Where", nil, b.Node("Greater", nil, x, b.Scalar(1)), x, b.Node("Mul", nil, b.Weights(8, 1, 1), x))
		}},
		{name: "where(x>0,a*x,x)", want: "Greater Mul Where", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Where", nil, b.Node("Greater", nil, x, b.Scalar(0)), b.Node("Mul", nil, b.Weights(8, 1, 1), x), x)
		}},
		{name: "x/0 is not a slope", want: "Div>Sigmoid>Mul", build: func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Mul", nil, x, b.Node("Sigmoid", nil, b.Node("Div", nil, x, b.Scalar(0))))
		}},
	})
}
