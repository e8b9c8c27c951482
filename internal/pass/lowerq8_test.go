package pass_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// byteNet builds quantized graphs whose activations have one type of 8 bits.
type byteNet struct {
	*optest.Net
	act    tensor.DType
	serial int
}

func newByteNet(act tensor.DType) *byteNet {
	b := &byteNet{Net: optest.NewNet(17), act: act}
	b.Graph.Opsets = append(b.Graph.Opsets, graph.Opset{Domain: "com.microsoft", Version: 1})
	return b
}

// code adds a number of 8 bits.
func (b *byteNet) code(d tensor.DType, v ...int) *graph.Value {
	t := tensor.New(d, len(v))
	if len(v) == 1 {
		t = tensor.New(d)
	}
	for i, k := range v {
		t.SetInt(i, int64(k))
	}
	return b.Const(t)
}

// zero adds a zero point of activations: that number of uint8, 128 less of int8.
func (b *byteNet) zero(v int) *graph.Value {
	if b.act == tensor.Int8 {
		v -= 128
	}
	return b.code(b.act, v)
}

// in declares an input.
func (b *byteNet) in(name string, shape ...int) *graph.Value {
	return b.Input(name, b.act, shape...)
}

// real is a DequantizeLinear.
func (b *byteNet) real(x *graph.Value, scale float32, zero int) *graph.Value {
	return b.Node("DequantizeLinear", nil, x, b.Scalar(scale), b.zero(zero))
}

// quant is a QuantizeLinear.
func (b *byteNet) quant(x *graph.Value, scale float32, zero int) *graph.Value {
	return b.Node("QuantizeLinear", nil, x, b.Scalar(scale), b.zero(zero))
}

// contrib appends a node of com.microsoft.
func (b *byteNet) contrib(op string, attrs graph.Attrs, in ...*graph.Value) *graph.Value {
	v := b.Node(op, attrs, in...)
	v.Node.Domain = "com.microsoft"
	return v
}

// weightForm is a way to write 8-bit weights.
type weightForm struct {
	name       string
	dtype      tensor.DType
	zero       int
	lo, hi     int
	perChannel bool
}

var weightForms = []weightForm{
	{"int8", tensor.Int8, 0, -127, 127, false},
	{"int8 per channel", tensor.Int8, 0, -127, 127, true},
	{"int8 from -128", tensor.Int8, 0, -128, 127, true},
	{"int8 about 3", tensor.Int8, 3, -125, 127, false},
	{"uint8 about 128", tensor.Uint8, 128, 0, 255, false},
	{"uint8 about 120", tensor.Uint8, 120, 0, 247, true},
}

// weights returns a constant, its scales and its zero points; those of outputs
// along axis, where there are several.
func (b *byteNet) weights(f weightForm, axis int, shape ...int) (w, scale, zero *graph.Value) {
	b.serial++
	t := tensor.New(f.dtype, shape...)
	for i := range t.Elems() {
		t.SetInt(i, int64(f.lo+(i*7919+b.serial*104729)%(f.hi-f.lo+1)))
	}
	if t.Elems() > 1 {
		t.SetInt(0, int64(f.lo))
		t.SetInt(t.Elems()-1, int64(f.hi))
	}
	n := 1
	if f.perChannel {
		n = shape[axis]
	}
	scales, zeros := tensor.New(tensor.Float32, n), tensor.New(f.dtype, n)
	for i := range n {
		scales.SetFloat(i, .011+.0007*float64(i%13))
		zeros.SetInt(i, int64(f.zero))
	}
	if !f.perChannel {
		scales, zeros = scales.Reshaped(), zeros.Reshaped()
	}
	return b.Const(t), b.Const(scales), b.Const(zeros)
}

// bias returns int32 numbers.
func (b *byteNet) bias(n int) *graph.Value {
	t := tensor.New(tensor.Int32, n)
	for i := range n {
		t.SetInt(i, int64(i*997%4001-2000))
	}
	return b.Const(t)
}

// realBias is a bias whose unit is that of the sums.
func (b *byteNet) realBias(n int, in float32, scale *graph.Value) *graph.Value {
	s := tensor.New(tensor.Float32, scale.Type.Shape...)
	for i := range s.Elems() {
		s.F32()[i] = in * scale.Const.F32()[i]
	}
	return b.Node("DequantizeLinear", graph.Attrs{optest.AttrInt("axis", 0)}, b.bias(n), b.Const(s))
}

// form is a geometry of a convolution.
type form struct {
	name  string
	x, w  []int
	attrs graph.Attrs
}

var forms = []form{
	{"1x1", []int{2, 16, 7, 5}, []int{24, 16, 1, 1}, nil},
	{"1x1 odd", []int{1, 13, 9, 1}, []int{5, 13, 1, 1}, nil},
	{"1x1 stride 2", []int{2, 8, 7, 5}, []int{9, 8, 1, 1}, graph.Attrs{optest.AttrInts("strides", 2, 2)}},
	{"1x1 padded", []int{1, 8, 4, 5}, []int{9, 8, 1, 1}, graph.Attrs{optest.AttrInts("pads", 1, 0, 0, 2)}},
	{"3x3", []int{2, 16, 9, 8}, []int{20, 16, 3, 3}, graph.Attrs{optest.AttrInts("pads", 1, 1, 1, 1)}},
	{"3x3 of 5 channels", []int{2, 5, 9, 8}, []int{17, 5, 3, 3}, graph.Attrs{optest.AttrInts("pads", 1, 1, 1, 1)}},
	{"3x3 stride 2", []int{1, 32, 11, 14}, []int{8, 32, 3, 3}, graph.Attrs{optest.AttrInts("strides", 2, 2), optest.AttrInts("pads", 1, 1, 1, 1)}},
	{"strides differ", []int{1, 6, 11, 14}, []int{8, 6, 3, 2}, graph.Attrs{optest.AttrInts("strides", 1, 3)}},
	{"dilated", []int{2, 7, 12, 9}, []int{10, 7, 3, 3}, graph.Attrs{optest.AttrInts("dilations", 2, 3), optest.AttrInts("pads", 2, 3, 2, 3)}},
	{"dilated rows", []int{1, 3, 12, 9}, []int{10, 3, 3, 3}, graph.Attrs{optest.AttrInts("dilations", 2, 1), optest.AttrInts("pads", 2, 1, 2, 1)}},
	{"asymmetric padding", []int{1, 8, 6, 7}, []int{8, 8, 3, 3}, graph.Attrs{optest.AttrInts("pads", 0, 2, 1, 1), optest.AttrInts("strides", 2, 1)}},
	{"same lower", []int{1, 4, 6, 7}, []int{8, 4, 3, 4}, graph.Attrs{optest.AttrString("auto_pad", "SAME_LOWER"), optest.AttrInts("strides", 2, 2)}},
	{"groups", []int{2, 12, 6, 7}, []int{18, 4, 3, 3}, graph.Attrs{optest.AttrInt("group", 3), optest.AttrInts("pads", 1, 1, 1, 1)}},
	{"groups 1x1", []int{2, 32, 6, 3}, []int{48, 16, 1, 1}, graph.Attrs{optest.AttrInt("group", 2)}},
	{"depthwise", []int{2, 24, 9, 7}, []int{24, 1, 3, 3}, graph.Attrs{optest.AttrInt("group", 24), optest.AttrInts("pads", 1, 1, 1, 1)}},
	{"depthwise 5x5 stride 2", []int{1, 19, 9, 12}, []int{19, 1, 5, 5}, graph.Attrs{optest.AttrInt("group", 19), optest.AttrInts("pads", 2, 2, 1, 2), optest.AttrInts("strides", 2, 2)}},
	{"depthwise dilated", []int{1, 3, 9, 12}, []int{3, 1, 3, 3}, graph.Attrs{optest.AttrInt("group", 3), optest.AttrInts("pads", 2, 2, 2, 2), optest.AttrInts("dilations", 2, 2)}},
	{"two of each channel", []int{1, 8, 9, 7}, []int{16, 1, 3, 3}, graph.Attrs{optest.AttrInt("group", 8), optest.AttrInts("pads", 1, 1, 1, 1)}},
	{"first layer", []int{2, 3, 13, 16}, []int{16, 3, 3, 3}, graph.Attrs{optest.AttrInts("strides", 2, 2), optest.AttrInts("pads", 1, 1, 1, 1)}},
	{"first layer 7x7", []int{1, 3, 15, 18}, []int{10, 3, 7, 7}, graph.Attrs{optest.AttrInts("strides", 2, 2), optest.AttrInts("pads", 3, 3, 3, 3)}},
	{"gray", []int{2, 1, 9, 10}, []int{4, 1, 3, 3}, nil},
	{"gray to gray", []int{1, 1, 5, 5}, []int{1, 1, 2, 2}, nil},
	{"one spatial axis", []int{2, 8, 15}, []int{12, 8, 3}, graph.Attrs{optest.AttrInts("pads", 2, 1), optest.AttrInts("strides", 2)}},
	{"one spatial axis, few channels", []int{2, 2, 15}, []int{12, 2, 5}, graph.Attrs{optest.AttrInts("pads", 2, 2)}},
	{"one spatial axis depthwise", []int{1, 8, 15}, []int{8, 1, 3}, graph.Attrs{optest.AttrInt("group", 8)}},
	{"larger than the image", []int{1, 4, 3, 2}, []int{5, 4, 5, 5}, graph.Attrs{optest.AttrInts("pads", 3, 3, 3, 3)}},
	{"as large as the image", []int{2, 9, 4, 5}, []int{7, 9, 4, 5}, nil},
	{"dilated beyond the image", []int{1, 20, 4, 5}, []int{7, 20, 3, 3}, graph.Attrs{optest.AttrInts("dilations", 6, 6), optest.AttrInts("pads", 6, 6, 6, 6)}},
	{"wide", []int{1, 100, 3, 3}, []int{67, 100, 1, 1}, nil},
}

// outScale keeps most results of a convolution inside 8 bits.
func (f form) outScale() float32 {
	taps := 1
	for _, d := range f.w[1:] {
		taps *= d
	}
	return .02 * .015 * 60 * 70 * sqrt32(taps) / 50
}

func sqrt32(n int) float32 {
	x := float32(n)
	for range 20 {
		x = (x + float32(n)/x) / 2
	}
	return x
}

// conv appends a convolution of real numbers with quantized weights and a bias.
func (b *byteNet) conv(x *graph.Value, scale float32, f form, wf weightForm) *graph.Value {
	w, s, z := b.weights(wf, 0, f.w...)
	decoded := b.Node("DequantizeLinear", graph.Attrs{optest.AttrInt("axis", 0)}, w, s, z)
	return b.Node("Conv", f.attrs, x, decoded, b.realBias(f.w[0], scale, s))
}

// wants fails the test unless the lowered graph has operators of one kind, or any,
// and none that computes in float32.
func wants(t *testing.T, g *graph.Graph, kind string) {
	t.Helper()
	types := optest.Types(g)
	if kind != "any" && !slices.Contains(types, kind) {
		t.Errorf("no %s in %v", kind, types)
	}
	for _, n := range g.Nodes {
		for _, v := range n.Out {
			if v != nil && v.Type.DType == tensor.Float32 {
				t.Errorf("%s of type %T gives float32: %v", n.Name, n.Op, types)
			}
		}
	}
	integer, all, kept := pass.Coverage(g)
	if integer != all || len(kept) > 0 {
		t.Errorf("%d of %d multiply-adds are of integers, kept are %v", integer, all, kept)
	}
}

// byteTypes are the types of activations.
var byteTypes = []tensor.DType{tensor.Uint8, tensor.Int8}

// TestQuantizedConv runs convolutions of every geometry with weights of every
// form, written with DequantizeLinear and as QLinearConv.
func TestQuantizedConv(t *testing.T) {
	for _, f := range forms {
		for _, wf := range weightForms {
			for _, act := range byteTypes {
				t.Run(fmt.Sprint(f.name, "/", wf.name, "/", act), func(t *testing.T) {
					b := newByteNet(act)
					y := b.quant(b.conv(b.real(b.in("x", f.x...), .02, 117), .02, f, wf), f.outScale(), 131)
					wants(t, optest.AgreeQuantized(t, b.Output(y), 1), "ConvQ8")

					b = newByteNet(act)
					w, s, z := b.weights(wf, 0, f.w...)
					y = b.Node("QLinearConv", f.attrs, b.in("x", f.x...), b.Scalar(.02), b.zero(117), w, s, z, b.Scalar(f.outScale()), b.zero(131), b.bias(f.w[0]))
					wants(t, optest.AgreeQuantized(t, b.Output(y), 1), "ConvQ8")
				})
			}
		}
	}
}

// few are geometries that take the different ways of computing.
func few() []form {
	return slices.DeleteFunc(slices.Clone(forms), func(f form) bool {
		return !slices.Contains([]string{"1x1", "3x3", "groups", "depthwise", "first layer", "one spatial axis"}, f.name)
	})
}

// TestWhatFollowsQuantizedConv runs activations behind a convolution, and other
// uses of its result.
func TestWhatFollowsQuantizedConv(t *testing.T) {
	type ending struct {
		name  string
		steps int
		float bool // something is float32
		build func(b *byteNet, y *graph.Value, scale float32) []*graph.Value
	}
	table := func(act func(b *byteNet, y *graph.Value) *graph.Value) func(b *byteNet, y *graph.Value, scale float32) []*graph.Value {
		return func(b *byteNet, y *graph.Value, scale float32) []*graph.Value {
			y = b.real(b.quant(y, scale, 120), scale, 120)
			return []*graph.Value{b.quant(act(b, y), scale*1.2, 40)}
		}
	}
	endings := []ending{
		{"relu", 1, false, func(b *byteNet, y *graph.Value, scale float32) []*graph.Value {
			return []*graph.Value{b.quant(b.Node("Relu", nil, y), scale, 0)}
		}},
		{"relu inside", 1, false, func(b *byteNet, y *graph.Value, scale float32) []*graph.Value {
			return []*graph.Value{b.quant(b.Node("Relu", nil, y), scale, 31)}
		}},
		{"clip", 1, false, func(b *byteNet, y *graph.Value, scale float32) []*graph.Value {
			return []*graph.Value{b.quant(b.Node("Clip", nil, y, b.Scalar(-20*scale), b.Scalar(33.3*scale)), scale, 77)}
		}},
		{"clip that leaves nothing", 1, false, func(b *byteNet, y *graph.Value, scale float32) []*graph.Value {
			return []*graph.Value{b.quant(b.Node("Clip", nil, y, b.Scalar(1e6), b.Scalar(2e6)), scale, 77)}
		}},
		{"clip from above to below", 1, false, func(b *byteNet, y *graph.Value, scale float32) []*graph.Value {
			return []*graph.Value{b.quant(b.Node("Clip", nil, y, b.Scalar(30*scale), b.Scalar(-20*scale)), scale, 77)}
		}},
		{"requantized", 1, false, table(func(_ *byteNet, y *graph.Value) *graph.Value { return y })},
		{"relu between", 1, false, table(func(b *byteNet, y *graph.Value) *graph.Value { return b.Node("Relu", nil, y) })},
		{"leaky", 1, false, table(func(b *byteNet, y *graph.Value) *graph.Value {
			return b.Node("LeakyRelu", graph.Attrs{optest.AttrFloat("alpha", .1)}, y)
		})},
		{"silu", 1, false, table(func(b *byteNet, y *graph.Value) *graph.Value {
			return b.Node("Mul", nil, y, b.Node("Sigmoid", nil, y))
		})},
		{"hardswish", 1, false, table(func(b *byteNet, y *graph.Value) *graph.Value {
			c := b.Node("Clip", nil, b.Node("Add", nil, y, b.Scalar(3)), b.Scalar(0), b.Scalar(6))
			return b.Node("Div", nil, b.Node("Mul", nil, y, c), b.Scalar(6))
		})},
		{"hardswish operator", 1, false, table(func(b *byteNet, y *graph.Value) *graph.Value { return b.Node("HardSwish", nil, y) })},
		{"tanh", 1, false, func(b *byteNet, y *graph.Value, scale float32) []*graph.Value {
			y = b.real(b.quant(y, scale, 120), scale, 120)
			return []*graph.Value{b.quant(b.Node("Tanh", nil, y), scale*1.1, 128)}
		}},
		{"sigmoid unquantized in between", 1, true, func(b *byteNet, y *graph.Value, _ float32) []*graph.Value {
			return []*graph.Value{b.quant(b.Node("Sigmoid", nil, y), 1./256, 0)}
		}},
		{"float", 1, true, func(_ *byteNet, y *graph.Value, _ float32) []*graph.Value { return []*graph.Value{y} }},
		{"float relu", 1, true, func(b *byteNet, y *graph.Value, _ float32) []*graph.Value {
			return []*graph.Value{b.Node("Relu", nil, y)}
		}},
		{"float clip", 1, true, func(b *byteNet, y *graph.Value, scale float32) []*graph.Value {
			return []*graph.Value{b.Node("Clip", nil, y, b.Scalar(-11*scale), b.Scalar(11*scale))}
		}},
		{"float sigmoid", 1, true, func(b *byteNet, y *graph.Value, _ float32) []*graph.Value {
			return []*graph.Value{b.Node("Sigmoid", nil, y)}
		}},
		{"float leaky", 1, true, func(b *byteNet, y *graph.Value, _ float32) []*graph.Value {
			return []*graph.Value{b.Node("LeakyRelu", nil, y)}
		}},
		{"float and quantized", 1, true, func(b *byteNet, y *graph.Value, scale float32) []*graph.Value {
			return []*graph.Value{y, b.quant(b.Node("Relu", nil, y), scale, 4)}
		}},
		{"quantized twice", 1, true, func(b *byteNet, y *graph.Value, scale float32) []*graph.Value {
			return []*graph.Value{b.quant(y, scale, 4), b.quant(y, 2*scale, 128)}
		}},
		{"used twice", 1, true, func(b *byteNet, y *graph.Value, scale float32) []*graph.Value {
			q := b.quant(y, scale, 128)
			r := b.real(q, scale, 128)
			return []*graph.Value{q, b.quant(b.Node("Sigmoid", nil, r), scale, 0)}
		}},
		{"two readers", 1, false, func(b *byteNet, y *graph.Value, scale float32) []*graph.Value {
			q := b.quant(y, scale, 128)
			return []*graph.Value{b.quant(b.Node("Sigmoid", nil, b.real(q, scale, 128)), scale, 0), b.quant(b.Node("Relu", nil, b.real(q, scale, 128)), scale, 0)}
		}},
		{"read with another scale", 1, true, func(b *byteNet, y *graph.Value, scale float32) []*graph.Value {
			q := b.quant(y, scale, 128)
			return []*graph.Value{b.quant(b.Node("Relu", nil, b.real(q, 3*scale, 100)), 3*scale, 0)}
		}},
	}
	for _, f := range few() {
		for _, e := range endings {
			for _, act := range byteTypes {
				t.Run(fmt.Sprint(f.name, "/", e.name, "/", act), func(t *testing.T) {
					b := newByteNet(act)
					y := b.conv(b.real(b.in("x", f.x...), .02, 117), .02, f, weightForms[1])
					g := optest.AgreeQuantized(t, b.Output(e.build(b, y, f.outScale())...), e.steps)
					if !e.float {
						wants(t, g, "ConvQ8")
					} else if _, _, kept := pass.Coverage(g); len(kept) > 0 {
						t.Errorf("kept are %v", kept)
					}
				})
			}
		}
	}
}

// TestQuantizedProducts runs matrix products in every form.
func TestQuantizedProducts(t *testing.T) {
	for _, wf := range weightForms {
		for _, act := range byteTypes {
			build := func(name, kind string, f func(b *byteNet) *graph.Value) {
				t.Run(fmt.Sprint(name, "/", wf.name, "/", act), func(t *testing.T) {
					b := newByteNet(act)
					g := optest.AgreeQuantized(t, b.Output(f(b)), 1)
					if kind != "" {
						wants(t, g, kind)
					}
				})
			}
			decoded := func(b *byteNet, axis int, shape ...int) (*graph.Value, *graph.Value) {
				w, s, z := b.weights(wf, axis, shape...)
				return b.Node("DequantizeLinear", graph.Attrs{optest.AttrInt("axis", int64(axis))}, w, s, z), s
			}
			for _, rows := range []int{1, 2, 7} {
				build(fmt.Sprint("Gemm of ", rows), "ConvQ8", func(b *byteNet) *graph.Value {
					w, s := decoded(b, 1, 19, 21)
					return b.quant(b.Node("Gemm", nil, b.real(b.in("x", rows, 19), .02, 100), w, b.realBias(21, .02, s)), .1, 7)
				})
				build(fmt.Sprint("Gemm transposed of ", rows), "ConvQ8", func(b *byteNet) *graph.Value {
					w, s := decoded(b, 0, 21, 64)
					return b.quant(b.Node("Gemm", graph.Attrs{optest.AttrInt("transB", 1)}, b.real(b.in("x", rows, 64), .02, 100), w, b.realBias(21, .02, s)), .1, 7)
				})
			}
			build("Gemm with a float bias", "ConvQ8", func(b *byteNet) *graph.Value {
				w, _ := decoded(b, 1, 19, 21)
				return b.quant(b.Node("Gemm", nil, b.real(b.in("x", 3, 19), .02, 100), w, b.Weights(1, 21)), .1, 7)
			})
			build("Gemm with one bias", "ConvQ8", func(b *byteNet) *graph.Value {
				w, _ := decoded(b, 1, 19, 21)
				return b.quant(b.Node("Gemm", nil, b.real(b.in("x", 3, 19), .02, 100), w, b.Scalar(.7)), .1, 7)
			})
			build("Gemm with a bias for each row", "", func(b *byteNet) *graph.Value {
				w, _ := decoded(b, 1, 19, 21)
				return b.quant(b.Node("Gemm", nil, b.real(b.in("x", 21, 19), .02, 100), w, b.Weights(21, 1)), .1, 7)
			})
			build("MatMul", "ConvQ8", func(b *byteNet) *graph.Value {
				w, _ := decoded(b, 1, 19, 21)
				return b.quant(b.Node("MatMul", nil, b.real(b.in("x", 2, 3, 19), .02, 100), w), .1, 7)
			})
			build("MatMul and sum", "", func(b *byteNet) *graph.Value {
				w, _ := decoded(b, 1, 19, 21)
				return b.quant(b.Node("Add", nil, b.Node("MatMul", nil, b.real(b.in("x", 2, 3, 19), .02, 100), w), b.Weights(21)), .1, 7)
			})
			build("MatMul of a stack", "", func(b *byteNet) *graph.Value {
				w, _ := decoded(b, 2, 2, 19, 21)
				return b.quant(b.Node("MatMul", nil, b.real(b.in("x", 2, 3, 19), .02, 100), w), .1, 7)
			})
			build("MatMul of a vector", "", func(b *byteNet) *graph.Value {
				w, _ := decoded(b, 1, 19, 21)
				return b.quant(b.Node("MatMul", nil, b.real(b.in("x", 19), .02, 100), w), .1, 7)
			})
			build("weights in front", "", func(b *byteNet) *graph.Value {
				w, _ := decoded(b, 1, 5, 19)
				return b.quant(b.Node("MatMul", nil, w, b.real(b.in("x", 19, 4), .02, 100)), .1, 7)
			})
			build("QLinearMatMul", "ConvQ8", func(b *byteNet) *graph.Value {
				w, s, z := b.weights(wf, 1, 19, 21)
				return b.Node("QLinearMatMul", nil, b.in("x", 2, 3, 19), b.Scalar(.02), b.zero(100), w, s, z, b.Scalar(.1), b.zero(7))
			})
			build("QGemm", "ConvQ8", func(b *byteNet) *graph.Value {
				w, s, z := b.weights(wf, 1, 19, 21)
				return b.contrib("QGemm", nil, b.in("x", 3, 19), b.Scalar(.02), b.zero(100), w, s, z, b.bias(21), b.Scalar(.1), b.zero(7))
			})
			build("QGemm transposed", "ConvQ8", func(b *byteNet) *graph.Value {
				w, s, z := b.weights(wf, 0, 21, 19)
				return b.contrib("QGemm", graph.Attrs{optest.AttrInt("transB", 1)}, b.in("x", 3, 19), b.Scalar(.02), b.zero(100), w, s, z, nil, b.Scalar(.1), b.zero(7))
			})
			build("QGemm to float", "", func(b *byteNet) *graph.Value {
				w, s, z := b.weights(wf, 1, 19, 21)
				return b.contrib("QGemm", nil, b.in("x", 3, 19), b.Scalar(.02), b.zero(100), w, s, z, b.bias(21))
			})
			build("QGemm with alpha", "", func(b *byteNet) *graph.Value {
				w, s, z := b.weights(wf, 1, 19, 21)
				return b.contrib("QGemm", graph.Attrs{optest.AttrFloat("alpha", .5)}, b.in("x", 3, 19), b.Scalar(.02), b.zero(100), w, s, z, b.bias(21), b.Scalar(.1), b.zero(7))
			})
			build("QGemm with a bias of a row", "", func(b *byteNet) *graph.Value {
				w, s, z := b.weights(wf, 1, 19, 21)
				c := b.Const(b.bias(21).Const.Reshaped(1, 21))
				return b.contrib("QGemm", nil, b.in("x", 3, 19), b.Scalar(.02), b.zero(100), w, s, z, c, b.Scalar(.1), b.zero(7))
			})
			build("QGemm with a bias of a column", "", func(b *byteNet) *graph.Value {
				w, s, z := b.weights(wf, 1, 19, 21)
				c := b.Const(b.bias(21).Const.Reshaped(21, 1))
				return b.contrib("QGemm", nil, b.in("x", 21, 19), b.Scalar(.02), b.zero(100), w, s, z, c, b.Scalar(.1), b.zero(7))
			})
			build("QGemm with one bias", "", func(b *byteNet) *graph.Value {
				w, s, z := b.weights(wf, 1, 19, 21)
				return b.contrib("QGemm", nil, b.in("x", 3, 19), b.Scalar(.02), b.zero(100), w, s, z, b.bias(1), b.Scalar(.1), b.zero(7))
			})
			build("scales of many axes", "", func(b *byteNet) *graph.Value {
				w, s, z := b.weights(wf, 1, 19, 21)
				if wf.perChannel {
					s, z = b.Const(s.Const.Reshaped(1, 21)), b.Const(z.Const.Reshaped(1, 21))
				}
				return b.Node("QLinearMatMul", nil, b.in("x", 3, 19), b.Scalar(.02), b.zero(100), w, s, z, b.Scalar(.1), b.zero(7))
			})
			build("one zero point of many scales", "", func(b *byteNet) *graph.Value {
				w, s, _ := b.weights(wf, 1, 19, 21)
				return b.Node("QLinearMatMul", nil, b.in("x", 3, 19), b.Scalar(.02), b.zero(100), w, s, b.code(wf.dtype, wf.zero), b.Scalar(.1), b.zero(7))
			})
		}
	}
}

// TestQuantizedOperators runs all operators but products.
func TestQuantizedOperators(t *testing.T) {
	attr := func(a ...graph.Attr) graph.Attrs { return a }
	x4 := []int{2, 12, 7, 6}
	window := attr(optest.AttrInts("kernel_shape", 3, 3), optest.AttrInts("pads", 1, 0, 1, 1), optest.AttrInts("strides", 2, 1))
	include := append(slices.Clone(window), optest.AttrInt("count_include_pad", 1))
	for _, c := range []struct {
		name, kind string // ""; something may be float32
		build      func(b *byteNet) *graph.Value
	}{
		{"Add", "BinaryU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Add", nil, b.real(b.in("x", x4...), .021, 11), b.real(b.in("y", x4...), .033, 140)), .05, 90)
		}},
		{"Add and Relu", "BinaryU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Relu", nil, b.Node("Add", nil, b.real(b.in("x", x4...), .021, 111), b.real(b.in("y", x4...), .033, 140))), .03, 0)
		}},
		{"Add to itself", "TableU8", func(b *byteNet) *graph.Value {
			x := b.real(b.in("x", x4...), .021, 11)
			return b.quant(b.Node("Add", nil, x, x), .05, 90)
		}},
		{"SiLU, a DequantizeLinear for each reader", "TableU8", func(b *byteNet) *graph.Value {
			q := b.quant(b.Node("MaxPool", window, b.real(b.in("x", x4...), .03, 120)), .03, 120)
			return b.quant(b.Node("Mul", nil, b.real(q, .03, 120), b.Node("Sigmoid", nil, b.real(q, .03, 120))), .02, 14)
		}},
		{"SiLU with a quantized sigmoid", "TableU8", func(b *byteNet) *graph.Value {
			x := b.in("x", x4...)
			s := b.quant(b.Node("Sigmoid", nil, b.real(x, .03, 120)), 1./256, 0)
			return b.quant(b.Node("Mul", nil, b.real(s, 1./256, 0), b.real(x, .03, 120)), .02, 14)
		}},
		{"Focus", "ConvQ8", func(b *byteNet) *graph.Value {
			x := b.real(b.in("x", 1, 3, 12, 14), .03, 120)
			var parts []*graph.Value
			for _, p := range [][2]int64{{0, 0}, {1, 0}, {0, 1}, {1, 1}} {
				parts = append(parts, sampled(b.Net, x, p[0], p[1], true))
			}
			y := b.quant(b.Node("Concat", attr(optest.AttrInt("axis", 1)), parts...), .03, 120)
			w, scale, zero := b.weights(weightForms[1], 0, 9, 12, 3, 3)
			dw := b.Node("DequantizeLinear", attr(optest.AttrInt("axis", 0)), w, scale, zero)
			return b.quant(b.Node("Conv", attr(optest.AttrInts("pads", 1, 1, 1, 1)), b.real(y, .03, 120), dw, b.realBias(9, .03, scale)), 1.1, 117)
		}},
		{"Add and table", "BinaryU8", func(b *byteNet) *graph.Value {
			y := b.quant(b.Node("Add", nil, b.real(b.in("x", x4...), .021, 111), b.real(b.in("y", x4...), .033, 140)), .03, 120)
			return b.quant(b.Node("HardSwish", nil, b.real(y, .03, 120)), .04, 20)
		}},
		{"Add of a number", "TableU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Add", nil, b.real(b.in("x", x4...), .021, 11), b.Scalar(1)), .05, 90)
		}},
		{"Sub of a number from", "TableU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Sub", nil, b.Scalar(1), b.real(b.in("x", x4...), .021, 111)), .05, 90)
		}},
		{"Add of one constant", "", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Add", nil, b.real(b.in("x", x4...), .021, 11), b.Weights(12, 1, 1)), .05, 90)
		}},
		{"Add of small", "BinaryU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Add", nil, b.real(b.in("x", 3), .021, 11), b.real(b.in("y", 3), .033, 140)), .05, 90)
		}},
		{"Add of numbers", "", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Add", nil, b.real(b.in("x"), .021, 11), b.real(b.in("y"), .033, 140)), .05, 90)
		}},
		{"Add with broadcast", "", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Add", nil, b.real(b.in("x", 2, 1, 7, 6), .021, 11), b.real(b.in("y", 1, 12, 7, 1), .033, 140)), .05, 90)
		}},
		{"Mul by channel", "BinaryU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Mul", nil, b.real(b.in("x", x4...), .021, 111), b.real(b.in("y", 2, 12, 1, 1), .033, 140)), .05, 90)
		}},
		{"Mul by channel of all images", "BinaryU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Mul", nil, b.real(b.in("y", 1, 12, 1, 1), .033, 140), b.real(b.in("x", x4...), .021, 111)), .05, 90)
		}},
		{"Mul by pixel", "", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Mul", nil, b.real(b.in("x", x4...), .021, 111), b.real(b.in("y", 2, 1, 7, 6), .033, 140)), .05, 90)
		}},
		{"Mul in planes", "BinaryU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Mul", nil, b.real(b.in("x", 5, 7), .021, 111), b.real(b.in("y", 5, 7), .033, 140)), .05, 90)
		}},
		{"Sub", "", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Sub", nil, b.real(b.in("x", x4...), .021, 111), b.real(b.in("y", x4...), .033, 140)), .05, 90)
		}},
		{"Div", "", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Div", nil, b.real(b.in("x", x4...), .021, 111), b.real(b.in("y", x4...), .033, 140)), .05, 90)
		}},
		{"squeeze and excite", "", func(b *byteNet) *graph.Value {
			x := b.real(b.in("x", x4...), .021, 100)
			p := b.real(b.quant(b.Node("GlobalAveragePool", nil, x), .01, 100), .01, 100)
			p = b.real(b.quant(b.Node("HardSigmoid", nil, p), 1./256, 0), 1./256, 0)
			return b.quant(b.Node("Mul", nil, x, p), .02, 99)
		}},
		{"Concat of one scale", "Concat", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Concat", attr(optest.AttrInt("axis", 1)), b.real(b.in("x", x4...), .02, 11), b.real(b.in("y", 2, 3, 7, 6), .02, 11)), .02, 11)
		}},
		{"Concat of different scales", "Concat", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Concat", attr(optest.AttrInt("axis", 1)), b.real(b.in("x", x4...), .02, 11), b.real(b.in("y", 2, 3, 7, 6), .03, 211)), .025, 100)
		}},
		{"Concat with a constant", "Concat", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Concat", attr(optest.AttrInt("axis", -3)), b.real(b.in("x", x4...), .02, 11), b.Weights(2, 1, 7, 6)), .025, 100)
		}},
		{"Concat and Sigmoid", "Concat", func(b *byteNet) *graph.Value {
			y := b.Node("Concat", attr(optest.AttrInt("axis", 2)), b.real(b.in("x", x4...), .02, 111), b.real(b.in("y", x4...), .02, 111))
			return b.quant(b.Node("Sigmoid", nil, y), 1./256, 0)
		}},
		{"MaxPool", "PoolU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("MaxPool", window, b.real(b.in("x", x4...), .02, 11)), .02, 11)
		}},
		{"MaxPool of another scale", "PoolU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("MaxPool", window, b.real(b.in("x", x4...), .02, 11)), .03, 100)
		}},
		{"MaxPool of bytes", "any", func(b *byteNet) *graph.Value {
			return b.quant(b.real(b.Node("MaxPool", window, b.in("x", x4...)), .02, 11), .02, 11)
		}},
		{"MaxPool of one axis", "MaxPool", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("MaxPool", attr(optest.AttrInts("kernel_shape", 3), optest.AttrInts("pads", 1, 1)), b.real(b.in("x", 2, 3, 9), .02, 11)), .02, 11)
		}},
		{"MaxPool with ceil", "PoolU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("MaxPool", append(slices.Clone(window), optest.AttrInt("ceil_mode", 1)), b.real(b.in("x", x4...), .02, 11)), .02, 11)
		}},
		{"GlobalMaxPool", "", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("GlobalMaxPool", nil, b.real(b.in("x", x4...), .02, 11)), .02, 11)
		}},
		{"GlobalMaxPool of one axis", "", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("GlobalMaxPool", nil, b.real(b.in("x", 2, 3, 9), .02, 11)), .02, 11)
		}},
		{"AveragePool", "PoolU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("AveragePool", window, b.real(b.in("x", x4...), .02, 111)), .013, 100)
		}},
		{"AveragePool with padding", "PoolU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("AveragePool", include, b.real(b.in("x", x4...), .02, 11)), .013, 10)
		}},
		{"AveragePool with ceil", "PoolU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("AveragePool", append(slices.Clone(include), optest.AttrInt("ceil_mode", 1)), b.real(b.in("x", x4...), .02, 11)), .013, 10)
		}},
		{"AveragePool and Relu", "PoolU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Relu", nil, b.Node("AveragePool", include, b.real(b.in("x", x4...), .02, 120))), .013, 3)
		}},
		{"AveragePool of one axis", "", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("AveragePool", attr(optest.AttrInts("kernel_shape", 3)), b.real(b.in("x", 2, 3, 9), .02, 11)), .013, 11)
		}},
		{"GlobalAveragePool", "PoolU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("GlobalAveragePool", nil, b.real(b.in("x", x4...), .02, 111)), .003, 100)
		}},
		{"ReduceMean", "PoolU8", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("ReduceMean", attr(optest.AttrInts("axes", 2, 3), optest.AttrInt("keepdims", 0)), b.real(b.in("x", x4...), .02, 111)), .003, 100)
		}},
		{"Resize to nearest", "ResizeNHWC", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Resize", nil, b.real(b.in("x", x4...), .02, 111), nil, b.Floats(1, 1, 2, 2)), .02, 111)
		}},
		{"Resize to nearest of another scale", "ResizeNHWC", func(b *byteNet) *graph.Value {
			y := b.Node("Resize", attr(optest.AttrString("coordinate_transformation_mode", "asymmetric"), optest.AttrString("nearest_mode", "floor")), b.real(b.in("x", x4...), .02, 111), nil, b.Floats(1, 1, 2, 1.5))
			return b.quant(y, .03, 100)
		}},
		{"Resize of a part", "", func(b *byteNet) *graph.Value {
			y := b.Node("Resize", attr(optest.AttrString("coordinate_transformation_mode", "tf_crop_and_resize"), optest.AttrFloat("extrapolation_value", 1.5)),
				b.real(b.in("x", x4...), .02, 111), b.Floats(0, 0, -.5, .2, 1, 1, 1.5, .8), nil, b.Ints(2, 12, 9, 5))
			return b.quant(y, .02, 111)
		}},
		{"Resize linear", "", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Resize", attr(optest.AttrString("mode", "linear")), b.real(b.in("x", x4...), .02, 111), nil, b.Floats(1, 1, 2, 2)), .02, 111)
		}},
		{"Reshape", "any", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Reshape", nil, b.real(b.in("x", x4...), .02, 111), b.Ints(2, -1)), .02, 111)
		}},
		{"Transpose", "StridedCopy", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Transpose", attr(optest.AttrInts("perm", 2, 0, 3, 1)), b.real(b.in("x", x4...), .02, 111)), .03, 111)
		}},
		{"Gather", "any", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Gather", attr(optest.AttrInt("axis", 1)), b.real(b.in("x", x4...), .02, 111), b.Ints(3, -1, 0)), .02, 111)
		}},
		{"Slice", "StridedCopy", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Slice", nil, b.real(b.in("x", x4...), .02, 111), b.Ints(-1), b.Ints(-100), b.Ints(2), b.Ints(-2)), .02, 111)
		}},
		{"DepthToSpace", "StridedCopy", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("DepthToSpace", attr(optest.AttrInt("blocksize", 2)), b.real(b.in("x", x4...), .02, 111)), .02, 111)
		}},
		{"Split and join", "Concat", func(b *byteNet) *graph.Value {
			v := b.Nodes("Split", 3, attr(optest.AttrInt("axis", 1)), b.real(b.in("x", x4...), .02, 111), b.Ints(5, 4, 3))
			return b.quant(b.Node("Concat", attr(optest.AttrInt("axis", 1)), v[2], v[0], v[1]), .02, 111)
		}},
		{"Split and different parts", "", func(b *byteNet) *graph.Value {
			v := b.Nodes("Split", 2, attr(optest.AttrInt("axis", 1)), b.real(b.in("x", x4...), .02, 111))
			return b.quant(b.Node("Mul", nil, v[1], b.Node("Sigmoid", nil, v[0])), .02, 111)
		}},
		{"Softmax", "", func(b *byteNet) *graph.Value {
			return b.quant(b.Node("Softmax", attr(optest.AttrInt("axis", 1)), b.real(b.in("x", x4...), .05, 111)), 1./256, 0)
		}},
		{"chain of functions", "TableU8", func(b *byteNet) *graph.Value {
			x := b.real(b.in("x", x4...), .02, 111)
			return b.quant(b.Node("Sqrt", nil, b.Node("Abs", nil, b.Node("Sub", nil, b.Node("Exp", nil, x), b.Scalar(1)))), .03, 10)
		}},
		{"undone", "any", func(b *byteNet) *graph.Value { return b.quant(b.real(b.in("x", x4...), .02, 111), .02, 111) }},
		{"flatten a pooled image", "ConvQ8", func(b *byteNet) *graph.Value {
			p := b.real(b.quant(b.Node("GlobalAveragePool", nil, b.real(b.in("x", x4...), .02, 111)), .005, 111), .005, 111)
			w, s, z := b.weights(weightForms[1], 0, 10, 12)
			d := b.Node("DequantizeLinear", attr(optest.AttrInt("axis", 0)), w, s, z)
			return b.quant(b.Node("Gemm", attr(optest.AttrInt("transB", 1)), b.Node("Flatten", nil, p), d, b.realBias(10, .005, s)), .1, 128)
		}},
		{"channel shuffle", "any", func(b *byteNet) *graph.Value {
			y := b.Node("Reshape", nil, b.real(b.in("x", x4...), .02, 111), b.Ints(2, 2, 6, 7, 6))
			y = b.Node("Transpose", attr(optest.AttrInts("perm", 0, 2, 1, 3, 4)), y)
			return b.quant(b.Node("Reshape", nil, y, b.Ints(2, 12, 7, 6)), .02, 111)
		}},
		{"QLinearAdd", "BinaryU8", func(b *byteNet) *graph.Value {
			return b.contrib("QLinearAdd", nil, b.in("x", x4...), b.Scalar(.021), b.zero(11), b.in("y", x4...), b.Scalar(.033), b.zero(140), b.Scalar(.05), b.zero(90))
		}},
		{"QLinearAdd of a constant", "", func(b *byteNet) *graph.Value {
			return b.contrib("QLinearAdd", nil, b.in("x", x4...), b.Scalar(.021), b.zero(11), b.code(b.act, 5), b.Scalar(.033), b.zero(140), b.Scalar(.05), b.zero(90))
		}},
		{"QLinearMul", "BinaryU8", func(b *byteNet) *graph.Value {
			return b.contrib("QLinearMul", nil, b.in("x", x4...), b.Scalar(.021), b.zero(111), b.in("y", 2, 12, 1, 1), b.Scalar(.033), b.zero(140), b.Scalar(.05), b.zero(90))
		}},
		{"QLinearConcat", "Concat", func(b *byteNet) *graph.Value {
			return b.contrib("QLinearConcat", attr(optest.AttrInt("axis", 1)), b.Scalar(.05), b.zero(90), b.in("x", x4...), b.Scalar(.05), b.zero(90), b.in("y", 2, 5, 7, 6), b.Scalar(.033), b.zero(140))
		}},
		{"QLinearAveragePool", "PoolU8", func(b *byteNet) *graph.Value {
			return b.contrib("QLinearAveragePool", include, b.in("x", x4...), b.Scalar(.02), b.zero(111), b.Scalar(.013), b.zero(100))
		}},
		{"QLinearAveragePool of channels last", "", func(b *byteNet) *graph.Value {
			return b.contrib("QLinearAveragePool", append(slices.Clone(window), optest.AttrInt("channels_last", 1)), b.in("x", 2, 7, 6, 12), b.Scalar(.02), b.zero(111), b.Scalar(.013), b.zero(100))
		}},
		{"QLinearGlobalAveragePool", "PoolU8", func(b *byteNet) *graph.Value {
			return b.contrib("QLinearGlobalAveragePool", nil, b.in("x", x4...), b.Scalar(.02), b.zero(111), b.Scalar(.003), b.zero(100))
		}},
		{"QLinearSigmoid", "TableU8", func(b *byteNet) *graph.Value {
			return b.contrib("QLinearSigmoid", nil, b.in("x", x4...), b.Scalar(.04), b.zero(111), b.Scalar(1./256), b.zero(0))
		}},
		{"QLinearLeakyRelu", "TableU8", func(b *byteNet) *graph.Value {
			return b.contrib("QLinearLeakyRelu", attr(optest.AttrFloat("alpha", .2)), b.in("x", x4...), b.Scalar(.04), b.zero(111), b.Scalar(.05), b.zero(40))
		}},
		{"QLinearSoftmax", "", func(b *byteNet) *graph.Value {
			return b.contrib("QLinearSoftmax", attr(optest.AttrInt("opset", 13), optest.AttrInt("axis", 1)), b.in("x", x4...), b.Scalar(.04), b.zero(111), b.Scalar(1./256), b.zero(0))
		}},
	} {
		for _, act := range byteTypes {
			t.Run(fmt.Sprint(c.name, "/", act), func(t *testing.T) {
				b := newByteNet(act)
				g := optest.AgreeQuantized(t, b.Output(c.build(b)), 1)
				if c.kind != "" {
					wants(t, g, c.kind)
				}
			})
		}
	}
}
