package op_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// hostile lists the inputs of each operator: x data, i small indices, l a list
// of numbers, n one number, f one float, b flags.
var hostile = map[string]string{
	"CenterCropPad": "xl", "Compress": "xb", "Concat": "xx", "ConstantOfShape": "l", "DepthToSpace": "x", "Expand": "xl",
	"EyeLike": "x", "Flatten": "x", "Gather": "xi", "GatherElements": "xi", "GatherND": "xi",
	"NonMaxSuppression": "xxnff", "NonZero": "x", "OneHot": "inv", "Pad": "xlfl", "Range": "nnn", "Reshape": "xl",
	"ScatterElements": "xix", "ScatterND": "xix", "Shape": "x", "Size": "x", "Slice": "xllll", "SpaceToDepth": "x",
	"Split": "xl", "Squeeze": "xl", "Tile": "xl", "TopK": "xn", "Transpose": "x", "Trilu": "xn", "Unique": "x",
	"Unsqueeze": "xl",
}

var hostileNumber = rapid.OneOf(rapid.Int64Range(-3, 5), rapid.Int64Range(-1, 2),
	rapid.SampledFrom([]int64{math.MaxInt64, math.MinInt64, math.MaxInt32, math.MinInt32, 1 << 40}))

func hostileInput(t *rapid.T, kind rune, rank int) *tensor.Tensor {
	shape := rapid.SliceOfN(rapid.IntRange(0, 4), rank, rank)
	switch kind {
	case 'x':
		return seq(shape.Draw(t, "data")...)
	case 'i':
		idx := tensor.New(tensor.Int64, shape.Draw(t, "indices")...)
		for i := range idx.I64() {
			idx.I64()[i] = rapid.Int64Range(-3, 3).Draw(t, "index")
		}
		return idx
	case 'n':
		return tensor.From(tensor.Int64, []int64{hostileNumber.Draw(t, "number")})
	case 'f':
		return tensor.From(tensor.Float32, []float32{0.5})
	case 'v':
		return flts(1, 2)
	case 'b':
		return counted(tensor.Bool, rapid.IntRange(0, 3).Draw(t, "flags"))
	}
	return ints(rapid.SliceOfN(hostileNumber, rank, rapid.SampledFrom([]int{rank, 2 * rank}).Draw(t, "long")).Draw(t, "list")...)
}

// TestMovesHostile feeds operators attributes and lists that no exporter
// would write: each is refused, or computed without a panic.
func TestMovesHostile(t *testing.T) {
	for kind, inputs := range hostile {
		t.Run(kind, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { hostileCase(t, kind, inputs) })
		})
	}
}

func hostileCase(t *rapid.T, kind, inputs string) {
	seldom := rapid.SampledFrom([]bool{true, false, false, false})
	rank := rapid.IntRange(0, 4).Draw(t, "rank")
	var attrs graph.Attrs
	for _, name := range []string{"axis", "blocksize", "k", "start", "end", "batch_dims", "allowzero", "upper"} {
		if seldom.Draw(t, name) {
			attrs = append(attrs, attrInt(name, hostileNumber.Draw(t, name)))
		}
	}
	for _, name := range []string{"axes", "starts", "ends", "pads", "paddings", "perm", "split", "shape"} {
		if seldom.Draw(t, name) {
			attrs = append(attrs, attrInts(name, rapid.SliceOfN(hostileNumber, 0, 4).Draw(t, name)...))
		}
	}
	mode := []string{"reflect", "edge", "wrap", "constant"}
	if kind == "DepthToSpace" || kind == "SpaceToDepth" {
		mode = []string{"DCR", "CRD"}
	}
	attrs = append(attrs, attrString("mode", rapid.SampledFrom(mode).Draw(t, "mode")))
	if kind[:2] == "Sc" {
		attrs = append(attrs, attrString("reduction", rapid.SampledFrom([]string{"none", "add", "mul", "max", "min"}).Draw(t, "reduction")))
	}
	outs := rapid.IntRange(1, 2).Draw(t, "outs")
	if kind != "Split" && kind != "TopK" && kind != "Unique" {
		outs = 1
	}
	n := &graph.Node{Type: kind, Attrs: attrs, Out: make([]*graph.Value, outs)}
	o, err := op.Resolve(n, rapid.SampledFrom([]int{1, 9, 13, 19}).Draw(t, "opset"))
	if err != nil {
		return
	}
	var in []*tensor.Tensor
	for _, k := range inputs {
		r := rank
		if seldom.Draw(t, "other rank") {
			r = rapid.IntRange(0, 4).Draw(t, "rank")
		}
		in = append(in, hostileInput(t, k, r))
	}
	if seldom.Draw(t, "fewer") {
		in = in[:rapid.IntRange(0, len(in)).Draw(t, "inputs")]
	}
	out, err := bind(o, outs, in...)
	if err != nil {
		return
	}
	for _, y := range out {
		if len(y.Data) > 1<<22 {
			return // within the limit, but slow
		}
	}
	_ = o.(op.Evaluator).Eval(in, out) // contents may be out of range
}
