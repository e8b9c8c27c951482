package pass_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// quantizedNets are small nets, each with the scales that s gives for its input,
// its weights and its output.
var quantizedNets = []struct {
	name  string
	build func(b *byteNet, s [3]float32) *graph.Value
}{
	{"Conv", func(b *byteNet, s [3]float32) *graph.Value {
		w, _, z := b.weights(weightForms[0], 0, 4, 3, 3, 3)
		y := b.Node("Conv", nil, b.real(b.in("x", 1, 3, 5, 6), s[0], 117), b.Node("DequantizeLinear", nil, w, b.Scalar(s[1]), z))
		return b.quant(y, s[2], 131)
	}},
	{"Conv of many channels", func(b *byteNet, s [3]float32) *graph.Value {
		w, _, z := b.weights(weightForms[0], 0, 4, 16, 1, 1)
		y := b.Node("Conv", nil, b.real(b.in("x", 1, 16, 5, 6), s[0], 117), b.Node("DequantizeLinear", nil, w, b.Scalar(s[1]), z), b.Weights(4))
		return b.quant(b.Node("Relu", nil, y), s[2], 131)
	}},
	{"depthwise", func(b *byteNet, s [3]float32) *graph.Value {
		w, _, z := b.weights(weightForms[0], 0, 8, 1, 3, 3)
		y := b.Node("Conv", graph.Attrs{optest.AttrInt("group", 8)}, b.real(b.in("x", 1, 8, 5, 6), s[0], 117), b.Node("DequantizeLinear", nil, w, b.Scalar(s[1]), z))
		return b.quant(y, s[2], 131)
	}},
	{"MatMul", func(b *byteNet, s [3]float32) *graph.Value {
		w, _, z := b.weights(weightForms[0], 1, 8, 5)
		return b.quant(b.Node("MatMul", nil, b.real(b.in("x", 3, 8), s[0], 117), b.Node("DequantizeLinear", nil, w, b.Scalar(s[1]), z)), s[2], 100)
	}},
	{"QLinearConv", func(b *byteNet, s [3]float32) *graph.Value {
		w, _, z := b.weights(weightForms[0], 0, 4, 3, 3, 3)
		return b.Node("QLinearConv", nil, b.in("x", 1, 3, 5, 6), b.Scalar(s[0]), b.zero(117), w, b.Scalar(s[1]), z, b.Scalar(s[2]), b.zero(131), b.bias(4))
	}},
	{"QLinearMatMul", func(b *byteNet, s [3]float32) *graph.Value {
		w, _, z := b.weights(weightForms[0], 1, 8, 5)
		return b.Node("QLinearMatMul", nil, b.in("x", 3, 8), b.Scalar(s[0]), b.zero(117), w, b.Scalar(s[1]), z, b.Scalar(s[2]), b.zero(131))
	}},
	{"QGemm", func(b *byteNet, s [3]float32) *graph.Value {
		w, _, z := b.weights(weightForms[0], 1, 8, 5)
		return b.contrib("QGemm", nil, b.in("x", 3, 8), b.Scalar(s[0]), b.zero(117), w, b.Scalar(s[1]), z, b.bias(5), b.Scalar(s[2]), b.zero(131))
	}},
	{"Add", func(b *byteNet, s [3]float32) *graph.Value {
		return b.quant(b.Node("Add", nil, b.real(b.in("x", 3, 8), s[0], 117), b.real(b.in("y", 3, 8), s[1], 90)), s[2], 131)
	}},
	{"Mul", func(b *byteNet, s [3]float32) *graph.Value {
		return b.quant(b.Node("Mul", nil, b.real(b.in("x", 3, 8), s[0], 117), b.real(b.in("y", 3, 8), s[1], 90)), s[2], 131)
	}},
	{"QLinearAdd", func(b *byteNet, s [3]float32) *graph.Value {
		return b.contrib("QLinearAdd", nil, b.in("x", 3, 8), b.Scalar(s[0]), b.zero(117), b.in("y", 3, 8), b.Scalar(s[1]), b.zero(90), b.Scalar(s[2]), b.zero(131))
	}},
	{"QLinearMul", func(b *byteNet, s [3]float32) *graph.Value {
		return b.contrib("QLinearMul", nil, b.in("x", 3, 8), b.Scalar(s[0]), b.zero(117), b.in("y", 3, 8), b.Scalar(s[1]), b.zero(90), b.Scalar(s[2]), b.zero(131))
	}},
	{"Concat", func(b *byteNet, s [3]float32) *graph.Value {
		y := b.Node("Concat", graph.Attrs{optest.AttrInt("axis", 1)}, b.real(b.in("x", 3, 8), s[0], 117), b.real(b.in("y", 3, 8), s[1], 90))
		return b.quant(y, s[2], 131)
	}},
	{"QLinearConcat", func(b *byteNet, s [3]float32) *graph.Value {
		return b.contrib("QLinearConcat", graph.Attrs{optest.AttrInt("axis", 1)}, b.Scalar(s[2]), b.zero(131), b.in("x", 3, 8), b.Scalar(s[0]), b.zero(117), b.in("y", 3, 8), b.Scalar(s[1]), b.zero(90))
	}},
	{"AveragePool", func(b *byteNet, s [3]float32) *graph.Value {
		return b.quant(b.Node("AveragePool", graph.Attrs{optest.AttrInts("kernel_shape", 2, 2)}, b.real(b.in("x", 1, 2, 5, 6), s[0], 117)), s[2], 131)
	}},
	{"QLinearGlobalAveragePool", func(b *byteNet, s [3]float32) *graph.Value {
		return b.contrib("QLinearGlobalAveragePool", nil, b.in("x", 1, 2, 5, 6), b.Scalar(s[0]), b.zero(117), b.Scalar(s[2]), b.zero(131))
	}},
	{"MaxPool", func(b *byteNet, s [3]float32) *graph.Value {
		return b.quant(b.Node("MaxPool", graph.Attrs{optest.AttrInts("kernel_shape", 2, 2)}, b.real(b.in("x", 1, 2, 5, 6), s[0], 117)), s[2], 131)
	}},
	{"Sigmoid", func(b *byteNet, s [3]float32) *graph.Value {
		return b.quant(b.Node("Sigmoid", nil, b.real(b.in("x", 3, 8), s[0], 117)), s[2], 131)
	}},
	{"QLinearSigmoid", func(b *byteNet, s [3]float32) *graph.Value {
		return b.contrib("QLinearSigmoid", nil, b.in("x", 3, 8), b.Scalar(s[0]), b.zero(117), b.Scalar(s[2]), b.zero(131))
	}},
	{"Transpose", func(b *byteNet, s [3]float32) *graph.Value {
		return b.quant(b.Node("Transpose", nil, b.real(b.in("x", 3, 8), s[0], 117)), s[2], 131)
	}},
}

// TestOddScales: scales that are no sensible number compute what the operators of
// the file compute.
func TestOddScales(t *testing.T) {
	odd := []float32{0, -.02, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 1e-45, 1e-30, 1e-13, 1e-11, 1e11, 1e13, 1e30, math.MaxFloat32}
	for _, net := range quantizedNets {
		for at := range 3 {
			for _, k := range odd {
				if net.name == "MaxPool" && math.IsInf(float64(k), 0) {
					continue // the maximum of NaN and numbers is either
				}
				for _, act := range byteTypes {
					t.Run(fmt.Sprint(net.name, "/", at, "/", k, "/", act), func(t *testing.T) {
						s := [3]float32{.02, .03, .05}
						s[at] = k
						b := newByteNet(act)
						optest.AgreeQuantized(t, b.Output(net.build(b, s)), 1)
					})
				}
			}
		}
	}
}

// TestOddBiases: biases at the ends of int32, or with scales of their own.
func TestOddBiases(t *testing.T) {
	ends := tensor.From(tensor.Int32, []int32{math.MaxInt32, math.MinInt32, math.MaxInt32 - 5000000, 0}, 4)
	nan := float32(math.NaN())
	for _, c := range []struct {
		name   string
		scales []float32
		zero   bool
		why    string // "": computed in 8 bits
	}{
		{"unit of the sums", []float32{.02 * .03}, false, ""},
		{"another unit", []float32{1e-7}, false, ""},
		{"large unit", []float32{1e7}, false, "its bias does not fit the sums of int32"},
		{"with a zero point", []float32{1e-9}, true, ""},
		{"NaN", []float32{nan}, false, "its bias does not fit the sums of int32"},
		{"one NaN", []float32{1e-9, 1e-9, nan, 1e-9}, false, "its bias does not fit the sums of int32"},
		{"infinite", []float32{float32(math.Inf(1))}, false, "its bias does not fit the sums of int32"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newByteNet(tensor.Uint8)
			w, _, z := b.weights(weightForms[0], 0, 4, 3, 3, 3)
			in := []*graph.Value{b.Const(ends), b.Scalar(c.scales[0])}
			if len(c.scales) > 1 {
				in[1] = b.Floats(c.scales...)
			}
			if c.zero {
				in = append(in, b.Const(tensor.New(tensor.Int32)))
			}
			bias := b.Node("DequantizeLinear", graph.Attrs{optest.AttrInt("axis", 0)}, in...)
			y := b.Node("Conv", nil, b.real(b.in("x", 1, 3, 5, 6), .02, 117), b.Node("DequantizeLinear", nil, w, b.Scalar(.03), z), bias)
			g := optest.AgreeQuantized(t, b.Output(b.quant(y, .05, 100)), 1)
			keptFor(t, g, c.why)
		})
	}
	// The operator itself lets its sums wrap around.
	for _, act := range byteTypes {
		b := newByteNet(act)
		w, s, z := b.weights(weightForms[0], 0, 4, 3, 3, 3)
		y := b.Node("QLinearConv", nil, b.in("x", 1, 3, 5, 6), b.Scalar(.02), b.zero(117), w, s, z, b.Scalar(.05), b.zero(131), b.Const(ends))
		optest.AgreeQuantized(t, b.Output(y), 0)
	}
}

// keptFor fails the test unless a graph has one product, which computes in
// float32 for that reason, or in 8 bits where there is none.
func keptFor(t *testing.T, g *graph.Graph, why string) {
	t.Helper()
	integer, all, kept := pass.Coverage(g)
	switch {
	case all == 0:
		t.Error("no product")
	case why == "" && (integer != all || len(kept) > 0):
		t.Errorf("kept are %v, want none", kept)
	case why != "" && (integer != 0 || len(kept) != 1 || kept[0].Why != why):
		t.Errorf("%d of %d multiply-adds are of integers, kept are %v, want one because %s", integer, all, kept, why)
	}
}

// TestKeptReasons: what cannot run in 8 bits says why.
func TestKeptReasons(t *testing.T) {
	product := func(b *byteNet, x, w *graph.Value, bias ...*graph.Value) *graph.Value {
		return b.quant(b.Node("Conv", nil, append([]*graph.Value{x, w}, bias...)...), .05, 100)
	}
	input := func(b *byteNet) *graph.Value { return b.real(b.in("x", 1, 3, 5, 6), .02, 117) }
	weights := func(b *byteNet, f weightForm, shape ...int) *graph.Value {
		w, s, z := b.weights(f, 0, shape...)
		return b.Node("DequantizeLinear", graph.Attrs{optest.AttrInt("axis", 0)}, w, s, z)
	}
	for _, c := range []struct {
		name, why string
		build     func(b *byteNet) *graph.Value
	}{
		{"float input", "its input is not quantized to 8 bits", func(b *byteNet) *graph.Value {
			return product(b, b.Input("x", tensor.Float32, 1, 3, 5, 6), weights(b, weightForms[0], 4, 3, 3, 3))
		}},
		{"input of channels", "its input is not quantized to 8 bits", func(b *byteNet) *graph.Value {
			x := b.Node("DequantizeLinear", nil, b.in("x", 1, 3, 5, 6), b.Floats(.1, .2, .3), b.code(b.act, 1, 2, 3))
			return product(b, x, weights(b, weightForms[0], 4, 3, 3, 3))
		}},
		{"float weights", "its weights are not quantized", func(b *byteNet) *graph.Value {
			return product(b, input(b), b.Weights(4, 3, 3, 3))
		}},
		{"weights far from their zero point", "its weights, less their zero points, do not fit int8", func(b *byteNet) *graph.Value {
			return product(b, input(b), weights(b, weightForm{"", tensor.Uint8, 100, 0, 255, false}, 4, 3, 3, 3))
		}},
		{"scales of inputs", "its weights have scales along another axis than its outputs", func(b *byteNet) *graph.Value {
			w, _, _ := b.weights(weightForms[0], 0, 4, 3, 3, 3)
			return product(b, input(b), b.Node("DequantizeLinear", nil, w, b.Floats(.1, .2, .3)))
		}},
		{"large scale", "a scale of its weights is no number in reach", func(b *byteNet) *graph.Value {
			w, _, _ := b.weights(weightForms[0], 0, 4, 3, 3, 3)
			return product(b, input(b), b.Node("DequantizeLinear", nil, w, b.Scalar(1e20)))
		}},
		{"computed bias", "its bias is computed", func(b *byteNet) *graph.Value {
			return product(b, input(b), weights(b, weightForms[0], 4, 3, 3, 3), b.Input("b", tensor.Float32, 4))
		}},
		{"volume", "it has three spatial axes", func(b *byteNet) *graph.Value {
			return product(b, b.real(b.in("x", 1, 3, 4, 5, 6), .02, 117), weights(b, weightForms[0], 4, 3, 2, 3, 3))
		}},
		{"transposed convolution", "a transposed convolution has no 8-bit kernel", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("ConvTranspose", nil, input(b), weights(b, weightForms[0], 3, 4, 2, 2)), .05, 100)
		}},
		{"stack of matrices", "its operands are stacks of matrices", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("MatMul", nil, b.real(b.in("x", 2, 3, 8), .02, 117), weights(b, weightForms[0], 2, 8, 4)), .05, 100)
		}},
		{"scaled product", "it transposes or scales its operands", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Gemm", graph.Attrs{optest.AttrFloat("alpha", .5)}, b.real(b.in("x", 3, 8), .02, 117), weights(b, weightForms[0], 8, 4)), .05, 100)
		}},
		{"bias of rows", "its bias differs between rows", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Gemm", nil, b.real(b.in("x", 4, 8), .02, 117), weights(b, weightForms[0], 8, 4), b.Weights(4, 1)), .05, 100)
		}},
	} {
		for _, act := range byteTypes {
			t.Run(fmt.Sprint(c.name, "/", act), func(t *testing.T) {
				b := newByteNet(act)
				keptFor(t, optest.AgreeQuantized(t, b.Output(c.build(b)), 1), c.why)
			})
		}
	}
	// A model without 8-bit numbers has no reasons to give.
	b := optest.NewNet(17)
	g, err := pass.Compile(b.Output(b.Node("Conv", nil, b.Input("x", tensor.Float32, 1, 3, 5, 5), b.Weights(4, 3, 3, 3))), pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, kept := pass.Coverage(g); len(kept) != 1 || kept[0].Why != "" {
		t.Errorf("kept are %v", kept)
	}
}

// TestShapesThatDoNotFit: wrong parameters are refused by name, or computed as
// the operators of the file compute them.
func TestShapesThatDoNotFit(t *testing.T) {
	w := func(b *byteNet, shape ...int) *graph.Value {
		v, _, _ := b.weights(weightForms[0], 0, shape...)
		return v
	}
	for name, build := range map[string]func(b *byteNet) *graph.Value{
		"too many scales": func(b *byteNet) *graph.Value {
			return b.Node("QLinearConv", nil, b.in("x", 1, 3, 5, 6), b.Scalar(.02), b.zero(1), w(b, 4, 3, 3, 3), b.Floats(1, 2, 3), b.code(tensor.Int8, 0, 0, 0), b.Scalar(1), b.zero(1))
		},
		"no scales": func(b *byteNet) *graph.Value {
			return b.Node("QLinearConv", nil, b.in("x", 1, 3, 5, 6), b.Floats(), b.zero(1), w(b, 4, 3, 3, 3), b.Scalar(1), b.code(tensor.Int8, 0), b.Scalar(1), b.zero(1))
		},
		"no zero point": func(b *byteNet) *graph.Value {
			return b.Node("QLinearConv", nil, b.in("x", 1, 3, 5, 6), b.Scalar(.02), nil, w(b, 4, 3, 3, 3), b.Scalar(.03), nil, b.Scalar(.05), b.zero(1))
		},
		"zero point of another type": func(b *byteNet) *graph.Value {
			return b.Node("QLinearConv", nil, b.in("x", 1, 3, 5, 6), b.Scalar(.02), b.Int(3), w(b, 4, 3, 3, 3), b.Scalar(.03), b.code(tensor.Int8, 0), b.Scalar(.05), b.zero(1))
		},
		"lists of one": func(b *byteNet) *graph.Value {
			one := func(v *graph.Value) *graph.Value { return b.Const(v.Const.Reshaped(1)) }
			return b.Node("QLinearConv", nil, b.in("x", 1, 3, 5, 6), b.Floats(.02), one(b.zero(1)), w(b, 4, 3, 3, 3), b.Floats(.03), one(b.code(tensor.Int8, 0)), b.Floats(.05), one(b.zero(1)))
		},
		"short bias": func(b *byteNet) *graph.Value {
			return b.Node("QLinearConv", nil, b.in("x", 1, 3, 5, 6), b.Scalar(.02), b.zero(1), w(b, 4, 3, 3, 3), b.Scalar(.03), b.code(tensor.Int8, 0), b.Scalar(.05), b.zero(1), b.bias(3))
		},
		"computed scale": func(b *byteNet) *graph.Value {
			return b.Node("QLinearConv", nil, b.in("x", 1, 3, 5, 6), b.Input("s", tensor.Float32), b.zero(1), w(b, 4, 3, 3, 3), b.Scalar(.03), b.code(tensor.Int8, 0), b.Scalar(.05), b.zero(1))
		},
		"computed weights": func(b *byteNet) *graph.Value {
			return b.Node("QLinearConv", nil, b.in("x", 1, 3, 5, 6), b.Scalar(.02), b.zero(1), b.Input("w", tensor.Int8, 4, 3, 3, 3), b.Scalar(.003), b.code(tensor.Int8, 0), b.Scalar(.05), b.zero(1))
		},
		"computed weights of QDQ": func(b *byteNet) *graph.Value {
			d := b.Node("DequantizeLinear", nil, b.Input("w", tensor.Int8, 4, 3, 3, 3), b.Scalar(.003), b.code(tensor.Int8, 0))
			return b.quant(b.Node("Conv", nil, b.real(b.in("x", 1, 3, 5, 6), .02, 1), d), .05, 1)
		},
		"other types at both ends": func(b *byteNet) *graph.Value {
			y := b.real(b.in("x", 1, 3, 5, 6), .02, 1)
			return b.Node("QuantizeLinear", nil, b.Node("Sigmoid", nil, y), b.Scalar(1./256), b.code(map[tensor.DType]tensor.DType{tensor.Uint8: tensor.Int8, tensor.Int8: tensor.Uint8}[b.act], 3))
		},
		"nothing": func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Relu", nil, b.real(b.in("x", 0, 3), .02, 1)), .02, 1)
		},
		"Concat with nothing": func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Concat", graph.Attrs{optest.AttrInt("axis", 0)}, b.real(b.in("x", 0, 3), .02, 1), b.real(b.in("y", 2, 3), .02, 1)), .02, 1)
		},
		"product of nothing": func(b *byteNet) *graph.Value {
			return b.quant(b.Node("MatMul", nil, b.real(b.in("x", 0, 3), .02, 1), b.Node("DequantizeLinear", nil, w(b, 3, 4), b.Scalar(.03))), .02, 1)
		},
		"product over nothing": func(b *byteNet) *graph.Value {
			return b.quant(b.Node("MatMul", nil, b.real(b.in("x", 2, 0), .02, 1), b.Node("DequantizeLinear", nil, b.Const(tensor.New(tensor.Int8, 0, 4)), b.Scalar(.03))), .02, 1)
		},
		"windows in the padding": func(b *byteNet) *graph.Value {
			a := graph.Attrs{optest.AttrInts("kernel_shape", 1, 1), optest.AttrInts("pads", 2, 2, 2, 2)}
			return b.quant(b.Node("AveragePool", a, b.real(b.in("x", 1, 2, 3, 3), .02, 100)), .02, 50)
		},
		"maxima of the padding": func(b *byteNet) *graph.Value {
			a := graph.Attrs{optest.AttrInts("kernel_shape", 1, 1), optest.AttrInts("pads", 2, 2, 2, 2)}
			return b.quant(b.Node("MaxPool", a, b.real(b.in("x", 1, 2, 3, 3), .02, 100)), .02, 50)
		},
	} {
		for _, act := range byteTypes {
			t.Run(fmt.Sprint(name, "/", act), func(t *testing.T) {
				b := newByteNet(act)
				g := b.Output(build(b))
				if _, err := pass.Bind(g, pass.Options{}); err != nil {
					if strings.Contains(err.Error(), "internal error") || !strings.Contains(err.Error(), "n_v") {
						t.Errorf("%v: want an error that names the node", err)
					}
					return
				}
				optest.AgreeQuantized(t, g, 1)
			})
		}
	}
}
