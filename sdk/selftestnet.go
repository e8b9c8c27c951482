package sdk

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// quantNet builds a quantized graph of QuantizeLinear and DequantizeLinear, as
// a file would hold it. Weights and scales come from integers, so that they are
// the same on every processor.
type quantNet struct {
	graph  *graph.Graph
	seed   uint32
	signed bool // activations are int8
	coarse bool // weights have one scale for all outputs
}

// quantized is a value of 8 bits with its real form.
type quantized struct {
	*graph.Value // float32, behind a DequantizeLinear
	codes        *graph.Value
	scale        float32
	c            int // channels
}

func newQuantNet(seed uint32) *quantNet {
	return &quantNet{graph: &graph.Graph{IRVersion: 8, Opsets: []graph.Opset{{Version: 17}}}, seed: seed}
}

// next returns a number from 0 to n-1.
func (b *quantNet) next(n int) int {
	b.seed = b.seed*1664525 + 1013904223
	return int(b.seed>>8) % n
}

func (b *quantNet) name() string { return fmt.Sprintf("v%d", len(b.graph.Nodes)+len(b.graph.Inits)) }

func (b *quantNet) constant(t *tensor.Tensor) *graph.Value {
	v := graph.NewConst(b.name(), t)
	b.graph.Inits = append(b.graph.Inits, v)
	return v
}

func (b *quantNet) scalar(f float32) *graph.Value {
	return b.constant(tensor.From(tensor.Float32, []float32{f}))
}

func (b *quantNet) ints(v ...int64) *graph.Value {
	return b.constant(tensor.From(tensor.Int64, v, len(v)))
}

// zero adds the zero point of activations; z counts from that of uint8.
func (b *quantNet) zero(z int) *graph.Value {
	t := tensor.New(tensor.Uint8)
	if b.signed {
		t.DType, z = tensor.Int8, z-128
	}
	t.Data[0] = byte(z)
	return b.constant(t)
}

func (b *quantNet) node(op string, attrs graph.Attrs, in ...*graph.Value) *graph.Value {
	n := &graph.Node{Type: op, Attrs: attrs, In: in}
	v := &graph.Value{Name: b.name(), Node: n, Untyped: true}
	n.Name, n.Out = op+"_"+v.Name, []*graph.Value{v}
	b.graph.Nodes = append(b.graph.Nodes, n)
	return v
}

func attrInts(name string, v ...int) graph.Attr {
	a := graph.Attr{Name: name, Kind: graph.AttrInts}
	for _, i := range v {
		a.Ints = append(a.Ints, int64(i))
	}
	return a
}

func attrInt(name string, v int) graph.Attr {
	return graph.Attr{Name: name, Kind: graph.AttrInt, Int: int64(v)}
}

// input declares the input of one picture in planes.
func (b *quantNet) input(d tensor.DType, c, h, w int) *graph.Value {
	v := &graph.Value{Name: "input", Type: tensor.Of(d, 1, c, h, w)}
	b.graph.Inputs = append(b.graph.Inputs, v)
	return v
}

// real gives 8-bit numbers their real form.
func (b *quantNet) real(codes *graph.Value, scale float32, zero, c int) quantized {
	return quantized{b.node("DequantizeLinear", nil, codes, b.scalar(scale), b.zero(zero)), codes, scale, c}
}

// picture declares an input of 8-bit numbers.
func (b *quantNet) picture(c, h, w int) quantized {
	d := tensor.Uint8
	if b.signed {
		d = tensor.Int8
	}
	return b.real(b.input(d, c, h, w), 1./32, 121, c)
}

// quantize rounds a real value to 8 bits.
func (b *quantNet) quantize(v *graph.Value, scale float32, zero, c int) quantized {
	return b.real(b.node("QuantizeLinear", nil, v, b.scalar(scale), b.zero(zero)), scale, zero, c)
}

// around quantizes numbers of both signs, with a scale about 1/32.
func (b *quantNet) around(v *graph.Value, c int) quantized {
	return b.quantize(v, float32(28+b.next(9))/1024, 118+b.next(21), c)
}

// positive quantizes numbers that are not negative.
func (b *quantNet) positive(v *graph.Value, c int) quantized {
	return b.quantize(v, float32(11+b.next(7))/1024, 0, c)
}

// window describes a convolution.
type window struct {
	out, h, w   int
	stride, dil int // 0: 1
	group       int // 0: 1
	weights     weightKind
}

// weightKind says how weights are stored.
type weightKind int

const (
	narrow    weightKind = iota // int8 from -127 on
	full                        // int8 with some -128
	lowest                      // int8, -128 and 127 only
	unsigned8                   // uint8 with the zero point 128 and some 0
	shifted                     // uint8 with the zero point 117
)

// root returns the integer square root.
func root(n int) int {
	r := 1
	for (r+1)*(r+1) <= n {
		r++
	}
	return r
}

// parameters adds the weights of a product of the given shape, outputs first,
// and its bias. Their scales keep results about as large as inputs.
func (b *quantNet) parameters(x float32, k weightKind, shape ...int) (w, bias *graph.Value) {
	outputs, depth := shape[0], tensor.Shape(shape[1:]).Elems()
	codes := tensor.New(tensor.Int8, shape...)
	zero := 0
	if k >= unsigned8 {
		codes.DType, zero = tensor.Uint8, 128
	}
	if k == shifted {
		zero = 117
	}
	for i := range codes.Data {
		v := b.next(255) - 127
		switch {
		case k == lowest && v < 0, k == full && v%16 == 0, k == unsigned8 && v%9 == 0:
			v = -128
		case k == lowest:
			v = 127
		case k == shifted:
			v = max(v, -zero)
		}
		codes.Data[i] = byte(v + zero)
	}
	scales, sums, biases := tensor.New(tensor.Float32, outputs), tensor.New(tensor.Float32, outputs), tensor.New(tensor.Int32, outputs)
	zeros := tensor.New(codes.DType, outputs)
	if b.coarse {
		scales, sums, zeros = tensor.New(tensor.Float32), tensor.New(tensor.Float32), tensor.New(codes.DType)
	}
	for o := range scales.Elems() {
		scales.F32()[o] = float32(max((1<<20)/(73*root(depth))*(24+b.next(17))/32, 1)) / (1 << 20)
		sums.F32()[o] = x * scales.F32()[o]
		zeros.Data[o] = byte(zero)
	}
	for o := range outputs {
		biases.SetInt(o, int64((b.next(255)-127)*30*root(depth)))
	}
	axis := graph.Attrs{attrInt("axis", 0)}
	return b.node("DequantizeLinear", axis, b.constant(codes), b.constant(scales), b.constant(zeros)),
		b.node("DequantizeLinear", axis, b.constant(biases), b.constant(sums))
}

// conv adds a convolution that keeps the size but for the stride.
func (b *quantNet) conv(x quantized, c window) *graph.Value {
	stride, dil, group := max(c.stride, 1), max(c.dil, 1), max(c.group, 1)
	w, bias := b.parameters(x.scale, c.weights, c.out, x.c/group, c.h, c.w)
	ph, pw := (c.h-1)*dil, (c.w-1)*dil
	return b.node("Conv", graph.Attrs{attrInts("strides", stride, stride), attrInts("dilations", dil, dil), attrInt("group", group),
		attrInts("pads", ph/2, pw/2, ph-ph/2, pw-pw/2)}, x.Value, w, bias)
}

// linear is a convolution without an activation.
func (b *quantNet) linear(x quantized, c window) quantized { return b.around(b.conv(x, c), c.out) }

// relu is a convolution and a ReLU.
func (b *quantNet) relu(x quantized, c window) quantized {
	return b.positive(b.node("Relu", nil, b.conv(x, c)), c.out)
}

// silu is x·sigmoid(x) in two nodes, each quantized, as exporters write it.
func (b *quantNet) silu(x quantized) quantized {
	s := b.quantize(b.node("Sigmoid", nil, x.Value), 1./256, 0, x.c)
	return b.quantize(b.node("Mul", nil, x.Value, s.Value), 17./1024, 24, x.c)
}

// add is a sum.
func (b *quantNet) add(x, y quantized) quantized {
	return b.around(b.node("Add", nil, x.Value, y.Value), x.c)
}

// join concatenates channels, which get one scale.
func (b *quantNet) join(xs ...quantized) quantized {
	var in []*graph.Value
	c := 0
	for _, x := range xs {
		in, c = append(in, x.Value), c+x.c
	}
	return b.quantize(b.node("Concat", graph.Attrs{attrInt("axis", 1)}, in...), 33./1024, 120, c)
}

// mean is the mean of all pixels.
func (b *quantNet) mean(x quantized) quantized {
	return b.quantize(b.node("GlobalAveragePool", nil, x.Value), x.scale*3/8, 77, x.c)
}

// gemm flattens and multiplies.
func (b *quantNet) gemm(x quantized, inputs, outputs int) quantized {
	flat := b.node("Flatten", graph.Attrs{attrInt("axis", 1)}, x.Value)
	w, bias := b.parameters(x.scale, narrow, outputs, inputs)
	return b.around(b.node("Gemm", graph.Attrs{attrInt("transB", 1)}, flat, w, bias), outputs)
}

// outputs makes 8-bit values the results.
func (b *quantNet) outputs(xs ...quantized) *graph.Graph {
	for i, x := range xs {
		x.codes.Name, x.codes.Type.DType = fmt.Sprintf("out%d", i), tensor.Uint8
		if b.signed {
			x.codes.Type.DType = tensor.Int8
		}
		b.graph.Outputs = append(b.graph.Outputs, x.codes)
	}
	return b.graph
}
