package sdk

import (
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// selfNet is a net of the self-test with the SHA-256 of its results on the
// frame of selfFrame, as plain Go computes them.
type selfNet struct {
	name  string
	build func() *graph.Graph
	sum   string
}

// selfNets are the nets of SelfTest. Each has what the others lack; together
// they reach every kernel for 8-bit numbers.
var selfNets = []selfNet{
	{"classifier", classifierNet, "301668e2d03ab8e36cfa0c68adf8e3acf1b1528f9660ef0bfae29c282b0246e2"},
	{"classifier-int8", classifierInt8Net, "2487cee044b2fb2e829e85defe1a501f0acbee4b50402ae207ac9a2247f3d02a"},
	{"detector", detectorNet, "25b3ea57323f302a0acbb49686bf7af060ad6f83df2c019729d0080ffe519941"},
	{"tails", tailsNet, "9c118e7e8e2e2e273d75a0d2dd243d1a514e37942637408fce7f2127eaee91a9"},
	{"windows", windowsNet, "1cfdc7bf4d071ff45748fa4ddb09ea37c4b4c3c09b14ebfe4b533cf386955a77"},
	{"weights", weightsNet, "4e4e1437c6aa3ea6fc133d2eee5a0f3fa7248186946ea1574c9a08148ac0730f"},
	{"gates", gatesNet, "eb14826dce4988661f337f85c06f170deae43ae709913af24434ba267002b0a9"},
	{"functions", functionsNet, "5a2cdbe5c7bcd0af8bc04d811c0de23ac03bbfa54336d0bef2d1d2ae37456b07"},
	{"deep", deepNet, "3ded77d8b74687708298bedb5b50c6fc16e6ceb68473bfef19f72c57ce97bef2"},
	{"pixels", pixelsNet, "8947c86e782619b3aec196bf0cf255442944504d3ae0079ca375120666424076"},
}

func classifierNet() *graph.Graph { return mobileNet(newQuantNet(1)) }

func classifierInt8Net() *graph.Graph {
	b := newQuantNet(2)
	b.signed, b.coarse = true, true
	return mobileNet(b)
}

// mobileNet is a small MobileNetV2: a first layer on colours, depthwise and
// pointwise convolutions, a residual sum, the mean of all pixels, a product.
func mobileNet(b *quantNet) *graph.Graph {
	x := b.relu(b.picture(3, 45, 35), window{out: 16, h: 3, w: 3, stride: 2})
	x = b.relu(x, window{out: 16, h: 3, w: 3, group: 16})
	x = b.linear(x, window{out: 24, h: 1, w: 1})
	y := b.relu(x, window{out: 48, h: 1, w: 1})
	clip := b.node("Clip", nil, b.conv(y, window{out: 48, h: 3, w: 3, group: 48}), b.scalar(0), b.scalar(2.5))
	x = b.add(x, b.linear(b.positive(clip, 48), window{out: 24, h: 1, w: 1}))
	x = b.relu(x, window{out: 32, h: 3, w: 3, stride: 2})
	return b.outputs(b.gemm(b.mean(x), 32, 10), x)
}

// detectorNet is the neck of a small detector: tables of activations, poolings
// of several sizes, two scales joined, shuffled channels.
func detectorNet() *graph.Graph {
	b := newQuantNet(3)
	x := b.silu(b.linear(b.picture(3, 40, 32), window{out: 16, h: 6, w: 6, stride: 2}))
	x = b.silu(b.linear(x, window{out: 24, h: 3, w: 3}))
	y := b.quantize(b.node("HardSwish", nil, b.linear(x, window{out: 24, h: 3, w: 3, stride: 2}).Value), 19./1024, 20, 24)
	pool := func(v quantized, k, stride int) quantized {
		p := b.node("MaxPool", graph.Attrs{attrInts("kernel_shape", k, k), attrInts("pads", k/2, k/2, k/2, k/2), attrInts("strides", stride, stride)}, v.Value)
		return b.quantize(p, v.scale, 20, v.c)
	}
	p := pool(y, 5, 1)
	y = b.join(y, p, pool(p, 5, 1))
	leaky := graph.Attrs{{Name: "alpha", Kind: graph.AttrFloat, Float: .125}}
	y = b.around(b.node("LeakyRelu", leaky, b.linear(y, window{out: 24, h: 1, w: 1}).Value), 24)
	sizes := b.constant(tensor.From(tensor.Float32, []float32{1, 1, 2, 2}, 4))
	up := b.node("Resize", graph.Attrs{{Name: "mode", Kind: graph.AttrString, String: "nearest"},
		{Name: "coordinate_transformation_mode", Kind: graph.AttrString, String: "asymmetric"},
		{Name: "nearest_mode", Kind: graph.AttrString, String: "floor"}}, y.Value, nil, sizes)
	z := b.join(b.around(up, 24), x)
	// A shuffle of channels, as in ShuffleNet.
	s := b.node("Reshape", nil, z.Value, b.ints(1, 2, 24, 20, 16))
	s = b.node("Transpose", graph.Attrs{attrInts("perm", 0, 2, 1, 3, 4)}, s)
	s = b.node("Reshape", nil, s, b.ints(1, 48, 20, 16))
	z = b.quantize(s, z.scale, 120, 48)
	tanh := b.quantize(b.node("Tanh", nil, b.linear(z, window{out: 20, h: 3, w: 3}).Value), 1./128, 128, 20)
	scores := b.quantize(b.node("Sigmoid", nil, b.linear(tanh, window{out: 11, h: 1, w: 1}).Value), 1./256, 0, 11)
	boxes := b.linear(pool(tanh, 3, 2), window{out: 5, h: 1, w: 1})
	return b.outputs(scores, boxes)
}

// tailsNet has numbers of channels and pixels that no tile divides.
func tailsNet() *graph.Graph {
	b := newQuantNet(4)
	b.signed = true
	x := b.picture(3, 19, 13)
	var outs []quantized
	for i, c := range []int{1, 2, 5, 7, 9, 15, 17, 31, 33, 11} {
		w := window{out: c, h: 1, w: 1, weights: full}
		if i%2 == 0 {
			w.h, w.w = 3, 3
		}
		x = b.linear(x, w)
		x = b.relu(x, window{out: c, h: 3, w: 3, group: c})
		if i%3 == 0 {
			outs = append(outs, b.around(b.node("Identity", nil, x.Value), c))
		}
	}
	pool := b.node("AveragePool", graph.Attrs{attrInts("kernel_shape", 3, 2), attrInts("strides", 2, 2), attrInts("pads", 1, 0, 1, 1)}, x.Value)
	return b.outputs(append(outs, b.positive(pool, 11), b.gemm(x, 11*19*13, 21))...)
}

// windowsNet has windows of many shapes, dilated, in groups and with strides.
func windowsNet() *graph.Graph {
	b := newQuantNet(5)
	x := b.relu(b.picture(4, 29, 31), window{out: 12, h: 5, w: 5, group: 2})
	x = b.linear(x, window{out: 18, h: 3, w: 3, dil: 2, group: 3})
	x = b.relu(x, window{out: 18, h: 7, w: 1})
	x = b.linear(x, window{out: 24, h: 1, w: 7, weights: full})
	x = b.relu(x, window{out: 24, h: 5, w: 5, group: 24, dil: 2})
	x = b.linear(x, window{out: 48, h: 3, w: 3, group: 24}) // two outputs for each channel
	x = b.relu(x, window{out: 40, h: 2, w: 4, group: 4, stride: 2})
	x = b.linear(x, window{out: 40, h: 7, w: 7, group: 40, stride: 3})
	y := b.linear(x, window{out: 36, h: 1, w: 1, group: 4, stride: 2, weights: shifted})
	return b.outputs(x, y)
}

// weightsNet has weights that overflow sums of pairs in int16, and unsigned
// ones with their zero points.
func weightsNet() *graph.Graph {
	b := newQuantNet(6)
	x := b.linear(b.picture(3, 24, 24), window{out: 16, h: 3, w: 3, weights: lowest})
	y := b.relu(x, window{out: 32, h: 1, w: 1, weights: lowest})
	y = b.linear(y, window{out: 32, h: 3, w: 3, group: 32, weights: lowest})
	z := b.linear(x, window{out: 32, h: 3, w: 3, weights: unsigned8})
	z = b.relu(z, window{out: 32, h: 3, w: 3, group: 32, weights: unsigned8})
	b.coarse = true
	v := b.linear(b.join(y, z), window{out: 40, h: 3, w: 3, stride: 2, weights: shifted})
	v = b.relu(v, window{out: 40, h: 1, w: 1, weights: unsigned8})
	return b.outputs(v, b.linear(y, window{out: 9, h: 1, w: 1, weights: full}))
}

// gatesNet has products: squeeze and excite, and sums of numbers with distant
// scales, in int8.
func gatesNet() *graph.Graph {
	b := newQuantNet(7)
	b.signed = true
	x := b.silu(b.linear(b.picture(3, 27, 22), window{out: 20, h: 3, w: 3, stride: 2}))
	for _, c := range []int{20, 28} {
		x = b.linear(x, window{out: c, h: 3, w: 3})
		g := b.relu(b.mean(x), window{out: 8, h: 1, w: 1})
		gate := graph.Attrs{{Name: "alpha", Kind: graph.AttrFloat, Float: .25}}
		g = b.quantize(b.node("HardSigmoid", gate, b.linear(g, window{out: c, h: 1, w: 1}).Value), 1./256, 0, c)
		y := b.around(b.node("Mul", nil, x.Value, g.Value), c)
		x = b.add(b.quantize(b.node("Clip", nil, y.Value, b.scalar(-1), b.scalar(2)), 3./256, 90, c), x)
	}
	return b.outputs(x, b.gemm(b.mean(x), 28, 13))
}

// functionsNet has the functions that become tables of 256 numbers, and a product
// of two pictures.
func functionsNet() *graph.Graph {
	b := newQuantNet(10)
	in := b.picture(3, 17, 23)
	x := b.linear(in, window{out: 4, h: 3, w: 3})
	var outs []quantized
	for _, f := range []string{"Sigmoid", "Tanh", "Exp", "Erf", "Softplus", "Softsign", "Elu", "Selu", "HardSigmoid", "HardSwish", "LeakyRelu"} {
		outs = append(outs, b.quantize(b.node(f, nil, x.Value), float32(9+b.next(9))/1024, 100+b.next(30), 4))
	}
	// Gelu and Mish, which opset 17 writes in parts, between unquantized values.
	gelu := b.node("Erf", nil, b.node("Mul", nil, x.Value, b.scalar(.70710678)))
	gelu = b.node("Mul", nil, b.node("Mul", nil, x.Value, b.node("Add", nil, gelu, b.scalar(1))), b.scalar(.5))
	mish := b.node("Mul", nil, x.Value, b.node("Tanh", nil, b.node("Softplus", nil, x.Value)))
	product := b.node("Mul", nil, x.Value, b.linear(in, window{out: 4, h: 1, w: 1}).Value)
	return b.outputs(append(outs, b.quantize(gelu, 13./1024, 19, 4), b.quantize(mish, 15./1024, 23, 4), b.around(product, 4))...)
}

// deepNet has long sums and enough work for several workers.
func deepNet() *graph.Graph {
	b := newQuantNet(8)
	x := b.relu(b.picture(3, 16, 16), window{out: 64, h: 3, w: 3})
	x = b.relu(x, window{out: 96, h: 3, w: 3, weights: full})
	x = b.linear(x, window{out: 200, h: 3, w: 3, stride: 2})
	x = b.linear(x, window{out: 72, h: 3, w: 3})
	return b.outputs(x, b.gemm(x, 72*8*8, 40))
}

// pixelsNet takes the frame of a camera, letterboxed and normalised, in float32.
func pixelsNet() *graph.Graph {
	b := newQuantNet(9)
	x := b.quantize(b.input(tensor.Float32, 3, 48, 48), 19./1024, 115, 3)
	x = b.relu(x, window{out: 24, h: 3, w: 3, stride: 2})
	x = b.linear(x, window{out: 24, h: 3, w: 3, group: 24, stride: 2})
	x = b.silu(b.linear(x, window{out: 40, h: 1, w: 1}))
	return b.outputs(b.gemm(b.mean(x), 40, 10), x)
}
