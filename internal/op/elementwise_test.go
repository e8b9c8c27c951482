package op_test

import (
	"math"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/tensor"
)

func f32(shape []int, v ...float32) *tensor.Tensor { return tensor.From(tensor.Float32, v, shape...) }

func i32(v ...int32) *tensor.Tensor  { return tensor.From(tensor.Int32, v, len(v)) }
func u64(v ...uint64) *tensor.Tensor { return tensor.From(tensor.Uint64, v, len(v)) }

func bools(v ...uint8) *tensor.Tensor { return tensor.From(tensor.Bool, v, len(v)) }

func intAttr(name string, v int64) graph.Attr {
	return graph.Attr{Name: name, Kind: graph.AttrInt, Int: v}
}

func floatAttr(name string, v float32) graph.Attr {
	return graph.Attr{Name: name, Kind: graph.AttrFloat, Float: v}
}

func stringAttr(name, v string) graph.Attr {
	return graph.Attr{Name: name, Kind: graph.AttrString, String: v}
}

// nodeOf returns a node with the tensors as constant inputs and so many
// outputs, named o0 and up.
func nodeOf(kind string, attrs graph.Attrs, outs int, in ...*tensor.Tensor) *graph.Node {
	n := &graph.Node{Type: kind, Attrs: attrs}
	if i := strings.LastIndexByte(kind, '.'); i >= 0 {
		n.Domain, n.Type = kind[:i], kind[i+1:]
	}
	for _, t := range in {
		if t == nil {
			n.In = append(n.In, nil)
		} else {
			n.In = append(n.In, graph.NewConst("i"+string(rune('0'+len(n.In))), t))
		}
	}
	for i := range outs {
		n.Out = append(n.Out, &graph.Value{Name: "o" + string(rune('0'+i))})
	}
	return n
}

// scalar and vec are shapes.
var scalar = []int{}

func vec(n int) []int { return []int{n} }

// TestElementwiseValues holds results of ONNX Runtime 1.32, but for the cases
// of operator sets that it does not run, which follow the specification.
func TestElementwiseValues(t *testing.T) {
	x := f32(vec(7), -3, -1.5, -.5, 0, .25, 2.5, 7)
	grid := f32([]int{1, 2, 2}, 0, 1./7, 4./7, 5./7)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	scores := f32([]int{3, 3}, 1, 2, 3, 0, 0, 5, 1, 1, 1)
	list := func(v ...int64) *tensor.Tensor { return tensor.From(tensor.Int64, v, len(v)) }
	cases := []struct {
		name  string
		kind  string
		opset int
		attrs graph.Attrs
		in    []*tensor.Tensor
		want  []*tensor.Tensor
	}{
		{"gelu", "Gelu", 20, nil, []*tensor.Tensor{x}, []*tensor.Tensor{
			f32(vec(7), -0.0040496885776519775, -0.10021081566810608, -0.1542687714099884, 0, 0.14967657625675201, 2.484476089477539, 7)}},
		{"gelu tanh", "Gelu", 20, graph.Attrs{stringAttr("approximate", "tanh")}, []*tensor.Tensor{x}, []*tensor.Tensor{
			f32(vec(7), -0.0036375224590301514, -0.10042843222618103, -0.1542859971523285, 0, 0.14967535436153412, 2.4849157333374023, 7)}},
		{"mish", "Mish", 18, nil, []*tensor.Tensor{x}, []*tensor.Tensor{
			f32(vec(7), -0.14564745128154755, -0.29809969663619995, -0.22074377536773682, 0, 0.16957241296768188, 2.4713923931121826, 6.999989032745361)}},
		{"selu", "Selu", 6, nil, []*tensor.Tensor{x}, []*tensor.Tensor{
			f32(vec(7), -1.6705687046051025, -1.3658143281936646, -0.6917581558227539, 0, 0.2626752555370331, 2.6267526149749756, 7.354907035827637)}},
		{"elu", "Elu", 6, graph.Attrs{floatAttr("alpha", .7)}, []*tensor.Tensor{x}, []*tensor.Tensor{
			f32(vec(7), -0.6651490330696106, -0.5438088774681091, -0.27542853355407715, 0, 0.25, 2.5, 7)}},
		{"celu", "Celu", 12, graph.Attrs{floatAttr("alpha", .5)}, []*tensor.Tensor{x}, []*tensor.Tensor{
			f32(vec(7), -0.4987606108188629, -0.47510647773742676, -0.31606027483940125, 0, 0.25, 2.5, 7)}},
		{"hard swish", "HardSwish", 14, nil, []*tensor.Tensor{x}, []*tensor.Tensor{
			f32(vec(7), 0, -0.375, -0.2083333283662796, 0, 0.1354166716337204, 2.2916667461395264, 7)}},
		{"erf", "Erf", 13, nil, []*tensor.Tensor{x}, []*tensor.Tensor{
			f32(vec(7), -0.9999778866767883, -0.9661051630973816, -0.5204998850822449, 0, 0.27632638812065125, 0.9995930790901184, 1)}},
		{"round half to even", "Round", 11, nil, []*tensor.Tensor{x}, []*tensor.Tensor{f32(vec(7), -3, -2, 0, 0, 0, 2, 7)}},
		{"maximum wins in clip", "Clip", 13, nil, []*tensor.Tensor{f32(vec(4), -3, 0, 3, nan), f32(scalar, 2), f32(scalar, -2)},
			[]*tensor.Tensor{f32(vec(4), -2, -2, -2, nan)}},
		{"clip uint64", "Clip", 13, nil, []*tensor.Tensor{u64(1, 1<<63, 1<<64-1), tensor.From(tensor.Uint64, []uint64{1 << 62}), tensor.From(tensor.Uint64, []uint64{1<<63 + 5})},
			[]*tensor.Tensor{u64(1<<62, 1<<63, 1<<63+5)}},
		{"clip by attributes", "Clip", 6, graph.Attrs{floatAttr("max", 1)}, []*tensor.Tensor{x}, []*tensor.Tensor{f32(vec(7), -3, -1.5, -.5, 0, .25, 1, 1)}},
		{"integers divide toward zero", "Div", 14, nil, []*tensor.Tensor{i32(7, -7, 7, -7), i32(2, 2, -2, -2)}, []*tensor.Tensor{i32(3, -3, -3, 3)}},
		{"division by zero", "Div", 14, nil, []*tensor.Tensor{i32(7, math.MinInt32), i32(0, -1)}, []*tensor.Tensor{i32(0, math.MinInt32)}},
		{"mod", "Mod", 13, nil, []*tensor.Tensor{i32(7, -7, 7, -7), i32(3, 3, -3, -3)}, []*tensor.Tensor{i32(1, 2, -2, -1)}},
		{"fmod", "Mod", 13, graph.Attrs{intAttr("fmod", 1)}, []*tensor.Tensor{f32(vec(4), 7.5, -7.5, 7.5, -7.5), f32(vec(4), 2, 2, -2, -2)},
			[]*tensor.Tensor{f32(vec(4), 1.5, -1.5, 1.5, -1.5)}},
		{"power of mixed types", "Pow", 15, nil, []*tensor.Tensor{i32(2, 3, 10), f32(vec(3), .5, 2, 3)}, []*tensor.Tensor{i32(1, 9, 1000)}},
		{"max uint64", "Max", 13, nil, []*tensor.Tensor{u64(1, 1<<63), u64(1<<64-1, 5)}, []*tensor.Tensor{u64(1<<64-1, 1<<63)}},
		{"less uint64", "Less", 13, nil, []*tensor.Tensor{u64(1, 1<<63), u64(1<<64-1, 5)}, []*tensor.Tensor{bools(1, 0)}},
		{"axis of old broadcasting", "Add", 6, graph.Attrs{intAttr("broadcast", 1), intAttr("axis", 1)},
			[]*tensor.Tensor{f32([]int{1, 2, 2}, 1, 2, 3, 4), f32(vec(2), 10, 20)}, []*tensor.Tensor{f32([]int{1, 2, 2}, 11, 12, 23, 24)}},
		{"slope per channel of old", "PRelu", 6, nil, []*tensor.Tensor{f32([]int{1, 2, 2}, -1, 2, -3, 4), f32(vec(2), .5, .1)},
			[]*tensor.Tensor{f32([]int{1, 2, 2}, -.5, 2, -.3, 4)}},
		{"slope", "PRelu", 7, nil, []*tensor.Tensor{f32([]int{1, 2, 2}, -1, 2, -3, 4), f32([]int{2, 1}, .5, .1)},
			[]*tensor.Tensor{f32([]int{1, 2, 2}, -.5, 2, -.30000001192092896, 4)}},
		{"both operands broadcast", "Sub", 14, nil, []*tensor.Tensor{f32([]int{3, 1, 2}, -2, -1, 0, 1, 2, 3), f32([]int{1, 2, 1}, 10, 20)},
			[]*tensor.Tensor{f32([]int{3, 2, 2}, -12, -11, -22, -21, -10, -9, -20, -19, -8, -7, -18, -17)}},
		{"both operands of a quotient broadcast", "Div", 14, nil, []*tensor.Tensor{f32([]int{3, 1, 2}, -2, -1, 0, 1, 2, 3), f32([]int{1, 2, 1}, 10, 20)},
			[]*tensor.Tensor{f32([]int{3, 2, 2}, -.2, -.1, -.1, -.05, 0, .1, 0, .05, .2, .3, .1, .15)}},
		{"mean of a row, a column and a row", "Mean", 13, nil, []*tensor.Tensor{f32(vec(3), 1, 2, 3), f32([]int{2, 1}, 1, -5), f32([]int{1, 3}, 7, 0, -1)},
			[]*tensor.Tensor{f32([]int{2, 3}, 3, 1, 1, 1, -1, -1)}},
		{"softmax of pairs", "Softmax", 13, nil, []*tensor.Tensor{f32([]int{3, 2}, 1, 3, -2, -2, 100, -100)},
			[]*tensor.Tensor{f32([]int{3, 2}, 0.11920291185379028, 0.8807970285415649, .5, .5, 1, 0)}},
		{"logarithm of softmax of short rows", "LogSoftmax", 13, nil, []*tensor.Tensor{f32([]int{2, 3}, 1, 3, -2, 0, .5, -1)}, []*tensor.Tensor{
			f32([]int{2, 3}, -2.132845163345337, -0.13284526765346527, -5.132845401763916, -1.1041306257247925, -0.6041306257247925, -2.104130744934082)}},
		{"flattened softmax", "Softmax", 11, nil, []*tensor.Tensor{grid},
			[]*tensor.Tensor{f32([]int{1, 2, 2}, 0.16758595407009125, 0.19332128763198853, 0.29676035046577454, 0.3423323631286621)}},
		{"logarithm of softmax", "LogSoftmax", 13, graph.Attrs{intAttr("axis", 1)}, []*tensor.Tensor{grid},
			[]*tensor.Tensor{f32([]int{1, 2, 2}, -1.019134283065796, -1.019134283065796, -0.4477056860923767, -0.4477056860923767)}},
		{"first of equals", "Hardmax", 13, nil, []*tensor.Tensor{f32([]int{2, 3}, 1, 3, 3, 2, 2, 0)}, []*tensor.Tensor{f32([]int{2, 3}, 0, 1, 0, 1, 0, 0)}},
		{"shifted logarithm of sum", "ReduceLogSumExp", 18, graph.Attrs{intAttr("keepdims", 0)},
			[]*tensor.Tensor{f32([]int{2, 3}, 1, 2, 1000, -5, 0, 3), list(1)}, []*tensor.Tensor{f32(vec(2), 1000, 3.0489068031311035)}},
		{"maximum of nothing", "ReduceMax", 20, nil, []*tensor.Tensor{f32([]int{0, 2}), list(0)}, []*tensor.Tensor{f32([]int{1, 2}, -inf, -inf)}},
		{"minimum of empty rows", "ReduceMin", 20, nil, []*tensor.Tensor{f32([]int{2, 0}), list(1)}, []*tensor.Tensor{f32([]int{2, 1}, inf, inf)}},
		{"product of empty rows", "ReduceProd", 18, nil, []*tensor.Tensor{i32().Reshaped(2, 0), list(1)}, []*tensor.Tensor{i32(1, 1).Reshaped(2, 1)}},
		{"axes by attribute", "ReduceSum", 11, graph.Attrs{{Name: "axes", Kind: graph.AttrInts, Ints: []int64{-1}}},
			[]*tensor.Tensor{f32([]int{2, 2}, 1, 2, 3, 4)}, []*tensor.Tensor{f32([]int{2, 1}, 3, 7)}},
		{"last of equals", "ArgMax", 13, graph.Attrs{intAttr("axis", 1), intAttr("keepdims", 0), intAttr("select_last_index", 1)},
			[]*tensor.Tensor{f32([]int{2, 3}, 1, 3, 3, 2, 2, 0)}, []*tensor.Tensor{list(2, 1)}},
		{"sum from the end without itself", "CumSum", 14, graph.Attrs{intAttr("exclusive", 1), intAttr("reverse", 1)},
			[]*tensor.Tensor{f32(vec(4), 1, 2, 3, 4), list(0)}, []*tensor.Tensor{f32(vec(4), 9, 7, 4, 0)}},
		{"batch normalisation", "BatchNormalization", 15, graph.Attrs{floatAttr("epsilon", 1e-2)},
			[]*tensor.Tensor{grid, f32(vec(2), 1, 2), f32(vec(2), .5, -.5), f32(vec(2), .1, .2), f32(vec(2), .3, .4)},
			[]*tensor.Tensor{f32([]int{1, 2, 2}, 0.32039469480514526, 0.5769736766815186, 0.6601479053497314, 1.106358528137207)}},
		{"layer normalisation", "LayerNormalization", 17, nil,
			[]*tensor.Tensor{f32([]int{2, 3}, 1, 2, 4, 3, 3, 9), f32(vec(3), 1, 2, 3), f32(vec(3), .1, .2, .3)}, []*tensor.Tensor{
				f32([]int{2, 3}, -0.9690413475036621, -0.3345205783843994, 4.308905601501465, -0.6071063280105591, -1.2142126560211182, 4.542638301849365),
				f32([]int{2, 1}, 2.3333332538604736, 5), f32([]int{2, 1}, 0.8017810583114624, 0.3535531759262085)}},
		{"cross entropy", "SoftmaxCrossEntropyLoss", 13, graph.Attrs{intAttr("ignore_index", 0)},
			[]*tensor.Tensor{scores, list(2, 1, 0), f32(vec(3), 1, 2, .5)}, []*tensor.Tensor{f32(scalar, 4.092229843139648),
				f32([]int{3, 3}, -2.4076058864593506, -1.4076058864593506, -0.40760594606399536, -5.013385772705078, -5.013385772705078, -0.013385903090238571,
					-1.0986123085021973, -1.0986123085021973, -1.0986123085021973)}},
		{"quantize half to even", "QuantizeLinear", 19, nil,
			[]*tensor.Tensor{f32(vec(8), .5, 1.5, 2.5, -.5, -1.5, 300, -300, nan), f32(scalar, 1), tensor.From(tensor.Uint8, []uint8{10})},
			[]*tensor.Tensor{tensor.From(tensor.Uint8, []uint8{10, 12, 12, 10, 8, 255, 0, 0}, 8)}},
		{"quantize by axis", "com.microsoft.QuantizeLinear", 1, graph.Attrs{intAttr("axis", 0)},
			[]*tensor.Tensor{f32([]int{2, 2}, 1, 2, 3, 4), f32(vec(2), .5, .25), tensor.From(tensor.Int8, []int8{1, -1}, 2)},
			[]*tensor.Tensor{tensor.From(tensor.Int8, []int8{3, 5, 11, 15}, 2, 2)}},
		{"dequantize by blocks", "DequantizeLinear", 21, graph.Attrs{intAttr("block_size", 2)},
			[]*tensor.Tensor{tensor.From(tensor.Int8, []int8{1, 2, 3, 4, 5, 6, 7, 8}, 2, 4), f32([]int{2, 2}, .5, 2, 1, .25), tensor.From(tensor.Int8, []int8{1, 0, 2, -1}, 2, 2)},
			[]*tensor.Tensor{f32([]int{2, 4}, 0, .5, 6, 8, 3, 4, 2, 2.25)}},
		{"dynamic range", "DynamicQuantizeLinear", 11, nil, []*tensor.Tensor{f32(vec(6), 0, 2, -3, -2.5, 1.34, .5)}, []*tensor.Tensor{
			tensor.From(tensor.Uint8, []uint8{153, 255, 0, 26, 221, 179}, 6), f32(scalar, 0.019607843831181526), tensor.From(tensor.Uint8, []uint8{153})}},
		{"mask of old dropout", "Dropout", 6, graph.Attrs{intAttr("is_test", 1)}, []*tensor.Tensor{x}, []*tensor.Tensor{x, f32(vec(7), 1, 1, 1, 1, 1, 1, 1)}},
		{"adam", "ai.onnx.preview.training.Adam", 1, graph.Attrs{floatAttr("norm_coefficient", .001), floatAttr("alpha", .95), floatAttr("beta", .1), floatAttr("epsilon", 1e-7)},
			[]*tensor.Tensor{f32(scalar, .1), tensor.From(tensor.Int64, []int64{0}), f32(vec(2), 1.2, 2.8), f32(vec(2), -.94, -2.5), f32(vec(2), 1.7, 3.6), f32(vec(2), .1, .1)},
			[]*tensor.Tensor{f32(vec(2), 1.025036334991455, 2.6610326766967773), f32(vec(2), 1.568060040473938, 3.295139789581299), f32(vec(2), 0.8032107949256897, 5.622406959533691)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			have := map[string]*tensor.Tensor{}
			if err := optest.RunNode(nodeOf(c.kind, c.attrs, len(c.want), c.in...), c.opset, have); err != nil {
				t.Fatal(err)
			}
			for i, want := range c.want {
				if err := optest.Compare(have["o"+string(rune('0'+i))], want, 2e-6, 1e-6, 0); err != nil {
					t.Errorf("output %d %v", i, err)
				}
			}
		})
	}
}

// TestCastOutOfRange holds results of NumPy and ONNX Runtime on x86, which
// every CPU must give.
func TestCastOutOfRange(t *testing.T) {
	x := f32(vec(12), 300.7, -1.5, 3e9, -3e9, 1e10, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 1e20, 70000, 2e19, -129)
	const lo, lo64 = math.MinInt32, math.MinInt64
	for _, c := range []struct {
		to   tensor.DType
		want []int64
	}{
		{tensor.Int8, []int64{44, -1, 0, 0, 0, 0, 0, 0, 0, 112, 0, 127}},
		{tensor.Uint8, []int64{44, 255, 0, 0, 0, 0, 0, 0, 0, 112, 0, 127}},
		{tensor.Int16, []int64{300, -1, 0, 0, 0, 0, 0, 0, 0, 4464, 0, -129}},
		{tensor.Uint16, []int64{300, 65535, 0, 0, 0, 0, 0, 0, 0, 4464, 0, 65407}},
		{tensor.Int32, []int64{300, -1, lo, lo, lo, lo, lo, lo, lo, 70000, lo, -129}},
		{tensor.Uint32, []int64{300, 4294967295, 3000000000, 2147483648, 0, 2147483648, 0, 2147483648, 0, 70000, 0, 4294967167}},
		{tensor.Int64, []int64{300, -1, 3000000000, -3000000000, 10000000000, lo64, lo64, lo64, lo64, 70000, lo64, -129}},
		{tensor.Uint64, []int64{300, -1, 3000000000, -3000000000, 10000000000, lo64, 0, lo64, 0, 70000, 0, -129}},
		{tensor.Bool, []int64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
	} {
		y := tensor.New(c.to, 12)
		if err := (&op.Cast{To: c.to}).Eval([]*tensor.Tensor{x}, []*tensor.Tensor{y}); err != nil {
			t.Fatal(err)
		}
		for i, w := range c.want {
			if g := y.Int(i); g != w {
				t.Errorf("%v to %v: %d, want %d", x.F32()[i], c.to, g, w)
			}
		}
	}
}

// TestElementwiseRejects has nodes that must not reach Eval.
func TestElementwiseRejects(t *testing.T) {
	a, b := f32([]int{2, 3}, 1, 2, 3, 4, 5, 6), f32(vec(2), 1, 2)
	for _, c := range []struct {
		name, kind string
		opset      int
		attrs      graph.Attrs
		in         []*tensor.Tensor
		want       string
	}{
		{"shapes that do not broadcast", "Add", 14, nil, []*tensor.Tensor{a, b}, "do not broadcast"},
		{"mixed types", "Add", 14, nil, []*tensor.Tensor{a, i32(1)}, "different types"},
		{"logic of floats", "And", 7, nil, []*tensor.Tensor{a, a}, "unsupported"},
		{"output too large", "Add", 14, nil, []*tensor.Tensor{tensor.New(tensor.Uint8, 1<<20, 1), tensor.New(tensor.Uint8, 1, 1<<20)}, "limit"},
		{"no inputs", "Sum", 13, nil, nil, "no input"},
		{"missing input", "Mul", 14, nil, []*tensor.Tensor{a, nil}, "missing"},
		{"axis", "Softmax", 13, graph.Attrs{intAttr("axis", 2)}, []*tensor.Tensor{a}, "axis 2 is outside rank 2"},
		{"reduced axis", "ReduceSum", 13, nil, []*tensor.Tensor{a, tensor.From(tensor.Int64, []int64{-3}, 1)}, "axis -3"},
		{"index of nothing", "ArgMax", 13, nil, []*tensor.Tensor{f32([]int{0, 2})}, "empty"},
		{"mode", "Gelu", 20, graph.Attrs{stringAttr("approximate", "sigmoid")}, []*tensor.Tensor{a}, "unsupported"},
		{"channels", "BatchNormalization", 15, nil, []*tensor.Tensor{a, b, b, b, b}, "3 channels"},
		{"scale", "QuantizeLinear", 13, nil, []*tensor.Tensor{a, b}, "does not fit axis"},
		{"blocks", "DequantizeLinear", 21, graph.Attrs{intAttr("block_size", 2)}, []*tensor.Tensor{tensor.New(tensor.Int8, 2, 3), b}, "does not fit blocks"},
		{"element type of cast", "Cast", 19, graph.Attrs{intAttr("to", 17)}, []*tensor.Tensor{a}, "element type 17"},
		{"class", "NegativeLogLikelihoodLoss", 13, nil, []*tensor.Tensor{a, tensor.From(tensor.Int64, []int64{0, 3}, 2)}, "outside 0 to 2"},
		{"states", "ai.onnx.preview.training.Adam", 1, nil, []*tensor.Tensor{f32(scalar, 1), tensor.From(tensor.Int64, []int64{0}), a, a, a}, "5 inputs"},
	} {
		err := optest.RunNode(nodeOf(c.kind, c.attrs, 1, c.in...), c.opset, map[string]*tensor.Tensor{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one that says %q", c.name, err, c.want)
		}
	}
}
