package op_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

func attrInt(name string, v int64) graph.Attr {
	return graph.Attr{Name: name, Kind: graph.AttrInt, Int: v}
}

func attrInts(name string, v ...int64) graph.Attr {
	return graph.Attr{Name: name, Kind: graph.AttrInts, Ints: v}
}

func attrString(name, v string) graph.Attr {
	return graph.Attr{Name: name, Kind: graph.AttrString, String: v}
}

// seq returns the float32 tensor 0, 1, 2, ...
func seq(shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i := range t.F32() {
		t.F32()[i] = float32(i)
	}
	return t
}

func flts(v ...float32) *tensor.Tensor { return tensor.From(tensor.Float32, v, len(v)) }

// TestOldForms covers versions of operators that the published cases do not;
// the values are those of NumPy's function of the same name.
func TestOldForms(t *testing.T) {
	for _, c := range []struct {
		kind   string
		opset  int
		attrs  graph.Attrs
		in     []*tensor.Tensor
		outs   int
		shape  tensor.Shape // of the last output
		values []float32    // of the last output
	}{
		{"Concat", 1, nil, []*tensor.Tensor{seq(2, 1), seq(2, 2)}, 1, tensor.Shape{2, 3}, []float32{0, 0, 1, 1, 2, 3}},
		{"Reshape", 1, graph.Attrs{attrInts("shape", 0, -1)}, []*tensor.Tensor{seq(2, 2, 1)}, 1, tensor.Shape{2, 2}, []float32{0, 1, 2, 3}},
		{"Reshape", 13, nil, []*tensor.Tensor{seq(0, 4, 2), ints(0, -1)}, 1, tensor.Shape{0, 8}, nil},
		{"Slice", 1, graph.Attrs{attrInts("starts", -2, 1), attrInts("ends", math.MaxInt64, 1000), attrInts("axes", 1, 0)}, []*tensor.Tensor{seq(2, 3)}, 1, tensor.Shape{1, 2}, []float32{4, 5}},
		{"Slice", 13, nil, []*tensor.Tensor{seq(4), ints(-1), ints(math.MinInt64), ints(0), ints(-3)}, 1, tensor.Shape{2}, []float32{3, 0}},
		{"Slice", 13, nil, []*tensor.Tensor{seq(0), ints(-1), ints(-9), nil, ints(-1)}, 1, tensor.Shape{0}, nil},
		{"Split", 2, graph.Attrs{attrInts("split", 1, 2), attrInt("axis", 1)}, []*tensor.Tensor{seq(2, 3)}, 2, tensor.Shape{2, 2}, []float32{1, 2, 4, 5}},
		{"Split", 1, graph.Attrs{}, []*tensor.Tensor{seq(4)}, 2, tensor.Shape{2}, []float32{2, 3}},
		{"Tile", 1, nil, []*tensor.Tensor{seq(2, 2), ints(2), ints(1)}, 1, tensor.Shape{2, 4}, []float32{0, 1, 0, 1, 2, 3, 2, 3}},
		{"Pad", 1, graph.Attrs{attrInts("paddings", 1, 0), attrString("mode", "edge")}, []*tensor.Tensor{seq(2)}, 1, tensor.Shape{3}, []float32{0, 0, 1}},
		{"Pad", 2, graph.Attrs{attrInts("pads", 1, -1), {Name: "value", Kind: graph.AttrFloat, Float: 5}}, []*tensor.Tensor{seq(3)}, 1, tensor.Shape{3}, []float32{5, 0, 1}},
		{"Pad", 13, graph.Attrs{attrString("mode", "reflect")}, []*tensor.Tensor{seq(3), ints(5, 3)}, 1, tensor.Shape{11}, []float32{1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1}},
		{"Pad", 19, graph.Attrs{attrString("mode", "wrap")}, []*tensor.Tensor{seq(3), ints(4, 1)}, 1, tensor.Shape{8}, []float32{2, 0, 1, 2, 0, 1, 2, 0}},
		{"TopK", 1, graph.Attrs{attrInt("k", 2)}, []*tensor.Tensor{flts(2, 5, 5)}, 1, tensor.Shape{2}, []float32{5, 5}},
		{"TopK", 11, graph.Attrs{attrInt("largest", 0)}, []*tensor.Tensor{flts(2, float32(math.NaN()), -1), ints(2)}, 1, tensor.Shape{2}, []float32{-1, 2}},
		{"Squeeze", 1, graph.Attrs{attrInts("axes", 0)}, []*tensor.Tensor{seq(1, 2, 1)}, 1, tensor.Shape{2, 1}, []float32{0, 1}},
		{"Unsqueeze", 1, graph.Attrs{attrInts("axes", 0, 2)}, []*tensor.Tensor{seq(2)}, 1, tensor.Shape{1, 2, 1}, []float32{0, 1}},
		{"Scatter", 9, graph.Attrs{attrInt("axis", 0)}, []*tensor.Tensor{seq(3), ints(-1), flts(9)}, 1, tensor.Shape{3}, []float32{0, 1, 9}},
		{"Constant", 12, graph.Attrs{{Name: "value_floats", Kind: graph.AttrFloats, Floats: []float32{3, 4}}}, nil, 1, tensor.Shape{2}, []float32{3, 4}},
		{"Constant", 12, graph.Attrs{{Name: "value_float", Kind: graph.AttrFloat, Float: 3}}, nil, 1, tensor.Shape{}, []float32{3}},
		{"Compress", 9, graph.Attrs{attrInt("axis", 1)}, []*tensor.Tensor{seq(2, 3), tensor.From(tensor.Bool, []uint8{0, 1}, 2)}, 1, tensor.Shape{2, 1}, []float32{1, 4}},
		{"Unique", 11, nil, []*tensor.Tensor{flts(2, 1, 1, 3, 4, 3)}, 1, tensor.Shape{4}, []float32{1, 2, 3, 4}},
		{"Unique", 11, graph.Attrs{attrInt("sorted", 0)}, []*tensor.Tensor{flts(2, 1, 1, 3, 4, 3)}, 4, tensor.Shape{4}, []float32{1, 2, 2, 1}},
		{"Unique", 11, graph.Attrs{attrInt("sorted", 0)}, []*tensor.Tensor{flts(2, 1, 1, 3, 4, 3)}, 3, tensor.Shape{6}, []float32{0, 1, 1, 2, 3, 2}},
		{"Unique", 11, nil, []*tensor.Tensor{flts(2, 1, 1, 3, 4, 3)}, 2, tensor.Shape{4}, []float32{1, 0, 3, 4}},
		{"Unique", 11, graph.Attrs{attrInt("axis", 0)}, []*tensor.Tensor{tensor.From(tensor.Float32, []float32{1, 0, 0, 1, 0, 0, 2, 3, 4}, 3, 3)}, 1, tensor.Shape{2, 3}, []float32{1, 0, 0, 2, 3, 4}},
		{"ScatterElements", 18, graph.Attrs{attrString("reduction", "add")}, []*tensor.Tensor{ints(1, 2), ints(1, 1), ints(5, 6)}, 1, tensor.Shape{2}, []float32{1, 13}},
		{"ScatterND", 18, graph.Attrs{attrString("reduction", "max")}, []*tensor.Tensor{tensor.From(tensor.Uint64, []uint64{1, 2}, 2), tensor.From(tensor.Int64, []int64{1}, 1, 1), tensor.From(tensor.Uint64, []uint64{1 << 63}, 1)}, 1, tensor.Shape{2}, []float32{1, 1 << 63}},
		{"SpaceToDepth", 1, graph.Attrs{attrInt("blocksize", 2)}, []*tensor.Tensor{seq(1, 1, 2, 2)}, 1, tensor.Shape{1, 4, 1, 1}, []float32{0, 1, 2, 3}},
	} {
		t.Run(fmt.Sprint(c.kind, c.opset), func(t *testing.T) {
			n := &graph.Node{Type: c.kind, Attrs: c.attrs, Out: make([]*graph.Value, c.outs)}
			o, err := op.Resolve(n, c.opset)
			if err != nil {
				t.Fatal(err)
			}
			out, err := bind(o, c.outs, c.in...)
			if err != nil {
				t.Fatal(err)
			}
			if err := o.(op.Evaluator).Eval(c.in, out); err != nil {
				t.Fatal(err)
			}
			got := out[c.outs-1]
			if !got.Shape.Equal(c.shape) {
				t.Fatalf("shape %v, want %v", got.Shape, c.shape)
			}
			for i, w := range c.values {
				if got.Float(i) != float64(w) {
					t.Fatalf("element %d is %v, want %v", i, got.Float(i), c.values)
				}
			}
		})
	}
}

// TestMoveErrors holds operators to an error, of the right kind, for what they
// cannot compute.
func TestMoveErrors(t *testing.T) {
	x, big := seq(2, 3), ints(1<<40, 1<<40)
	scalar := func(v int64) *tensor.Tensor { return tensor.From(tensor.Int64, []int64{v}) }
	for _, c := range []struct {
		op graph.Op
		in []*tensor.Tensor
	}{
		{&op.Reshape{}, []*tensor.Tensor{x, ints(4, -1)}},
		{&op.Reshape{}, []*tensor.Tensor{x, ints(-1, -1)}},
		{&op.Reshape{}, []*tensor.Tensor{x, ints(2, 3, 0)}},
		{&op.Reshape{}, []*tensor.Tensor{x, ints(5)}},
		{&op.Reshape{}, []*tensor.Tensor{x, ints(-2)}},
		{&op.Reshape{}, []*tensor.Tensor{x, big}},
		{&op.Reshape{}, []*tensor.Tensor{x, ints(1<<32, 1<<32, 6)}},
		{&op.Reshape{AllowZero: true}, []*tensor.Tensor{seq(0, 2), ints(0, -1)}},
		{&op.Reshape{}, []*tensor.Tensor{x, flts(2, 3)}},
		{&op.Reshape{}, []*tensor.Tensor{x, nil}},
		{&op.Reshape{}, []*tensor.Tensor{x, ints(1, 1, 1, 1, 1, 1, 1, 2, 3)}},
		{&op.Flatten{Axis: 3}, []*tensor.Tensor{x}},
		{&op.Squeeze{Axes: []int{0}}, []*tensor.Tensor{x}},
		{&op.Unsqueeze{Axes: []int{0, 0}}, []*tensor.Tensor{x}},
		{&op.Unsqueeze{}, []*tensor.Tensor{x}},
		{&op.Unsqueeze{Axes: []int{4}}, []*tensor.Tensor{x}},
		{&op.Expand{}, []*tensor.Tensor{x, big}},
		{&op.Expand{}, []*tensor.Tensor{x, ints(2, 4)}},
		{&op.Expand{}, []*tensor.Tensor{x, ints(-1, 2, 3)}},
		{&op.Transpose{Perm: []int{0, 0}}, []*tensor.Tensor{x}},
		{&op.Transpose{Perm: []int{0, 1, 2}}, []*tensor.Tensor{x}},
		{&op.DepthToSpace{Block: 2}, []*tensor.Tensor{seq(1, 6, 1, 1)}},
		{&op.SpaceToDepth{Block: 2}, []*tensor.Tensor{seq(1, 1, 2, 3)}},
		{&op.Slice{}, []*tensor.Tensor{x, ints(0), ints(1), ints(2)}},
		{&op.Slice{}, []*tensor.Tensor{x, ints(0), ints(1), ints(0), ints(0)}},
		{&op.Slice{}, []*tensor.Tensor{x, ints(0, 0), ints(1, 1), ints(0, -2)}},
		{&op.Slice{}, []*tensor.Tensor{x, ints(0, 0, 0), ints(1, 1, 1)}},
		{&op.Slice{}, []*tensor.Tensor{x}},
		{&op.Split{Axis: 2, Parts: 1}, []*tensor.Tensor{x}},
		{&op.Split{Axis: 1, Parts: 2}, []*tensor.Tensor{x, ints(1, 1)}},
		{&op.Split{Axis: 1, Parts: 2}, []*tensor.Tensor{x, ints(-1, 4)}},
		{&op.Split{Axis: 1, Parts: 2}, []*tensor.Tensor{x, ints(1, 1, 1)}},
		{&op.Concat{Axis: 1}, []*tensor.Tensor{x, seq(3, 3)}},
		{&op.Concat{Axis: 0}, []*tensor.Tensor{x, ints(1, 2)}},
		{&op.Concat{Axis: 0}, nil},
		{&op.Tile{}, []*tensor.Tensor{x, big}},
		{&op.Tile{}, []*tensor.Tensor{x, ints(-1, 1)}},
		{&op.Tile{}, []*tensor.Tensor{x, ints(1)}},
		{&op.Pad{}, []*tensor.Tensor{x, ints(0, 1<<60, 0, 1<<60)}},
		{&op.Pad{}, []*tensor.Tensor{x, ints(0, -2, 0, -2)}},
		{&op.Pad{}, []*tensor.Tensor{x, ints(0, 1)}},
		{&op.Pad{Mode: op.PadEdge}, []*tensor.Tensor{seq(0), ints(1, 1)}},
		{&op.Pad{}, []*tensor.Tensor{x, ints(0, 0, 0, 0), scalar(1)}},
		{&op.CenterCropPad{}, []*tensor.Tensor{x, big}},
		{&op.CenterCropPad{Axes: []int{0}}, []*tensor.Tensor{x, ints(1, 1)}},
		{&op.Trilu{}, []*tensor.Tensor{seq(3)}},
		{&op.Gather{}, []*tensor.Tensor{x, ints(2)}},
		{&op.Gather{}, []*tensor.Tensor{x, ints(-3)}},
		{&op.Gather{}, []*tensor.Tensor{x, flts(0)}},
		{&op.Gather{Axis: 2}, []*tensor.Tensor{x, ints(0)}},
		{&op.GatherElements{}, []*tensor.Tensor{x, ints(0)}},
		{&op.GatherElements{}, []*tensor.Tensor{seq(3), ints(3)}},
		{&op.GatherND{Batch: 1}, []*tensor.Tensor{x, ints(0)}},
		{&op.GatherND{}, []*tensor.Tensor{x, ints(0, 0, 0)}},
		{&op.GatherND{}, []*tensor.Tensor{x, ints(0, 3)}},
		{&op.ScatterElements{}, []*tensor.Tensor{seq(3), ints(3), flts(1)}},
		{&op.ScatterElements{}, []*tensor.Tensor{seq(3), ints(1, 2), flts(1)}},
		{&op.ScatterND{}, []*tensor.Tensor{x, ints(0), flts(1)}},
		{&op.ScatterND{}, []*tensor.Tensor{x, ints(2, 0), flts()}},
		{&op.ConstantOfShape{Value: flts(1)}, []*tensor.Tensor{big}},
		{&op.ConstantOfShape{Value: flts(1)}, []*tensor.Tensor{ints(-1)}},
		{&op.Range{}, []*tensor.Tensor{scalar(0), scalar(math.MaxInt64), scalar(1)}},
		{&op.Range{}, []*tensor.Tensor{scalar(0), scalar(1), scalar(0)}},
		{&op.Range{}, []*tensor.Tensor{flts(0), flts(1), flts(float32(math.NaN()))}},
		{&op.EyeLike{}, []*tensor.Tensor{seq(3)}},
		{&op.OneHot{Axis: -1}, []*tensor.Tensor{ints(0), scalar(1 << 40), flts(0, 1)}},
		{&op.OneHot{Axis: -1}, []*tensor.Tensor{ints(0), scalar(-1), flts(0, 1)}},
		{&op.TopK{Axis: -1, K: -1}, []*tensor.Tensor{x, ints(4)}},
		{&op.TopK{Axis: -1, K: -1}, []*tensor.Tensor{x, ints(-1)}},
		{&op.NonMaxSuppression{}, []*tensor.Tensor{seq(1, 2, 4), seq(1, 2, 3)}},
		{&op.Compress{Flat: true}, []*tensor.Tensor{x, ints(1)}},
		{&op.StridedCopy{Shape: []int{3}, Strides: []int{3}}, []*tensor.Tensor{x}},
		{&op.StridedCopy{Shape: []int{3}, Offset: 1, Strides: []int{-1}}, []*tensor.Tensor{x}},
		{&op.StridedCopy{Shape: []int{}, Offset: 6, Strides: []int{}}, []*tensor.Tensor{x}},
		{&op.StridedCopy{Shape: []int{3, 3}, Strides: []int{math.MaxInt, math.MaxInt}}, []*tensor.Tensor{x}},
	} {
		outs := 1
		if s, ok := c.op.(*op.Split); ok {
			outs = s.Parts
		}
		out, err := bind(c.op, outs, c.in...)
		if err == nil {
			err = c.op.(op.Evaluator).Eval(c.in, out)
		}
		if err == nil || errors.Is(err, op.ErrNeedValue) {
			t.Errorf("%#v: error is %v", c.op, err)
		}
	}
}

// TestMoveNeedsValue asks for contents that are not known.
func TestMoveNeedsValue(t *testing.T) {
	list := &graph.Value{Name: "list", Type: tensor.Of(tensor.Int64, 2)}
	one := &graph.Value{Name: "one", Type: tensor.Of(tensor.Int64)}
	x := &graph.Value{Name: "x", Type: tensor.Of(tensor.Float32, 2, 3)}
	for _, c := range []struct {
		op graph.Op
		in []*graph.Value
	}{
		{&op.Reshape{}, []*graph.Value{x, list}},
		{&op.Expand{}, []*graph.Value{x, list}},
		{&op.Tile{}, []*graph.Value{x, list}},
		{&op.Slice{}, []*graph.Value{x, list, list}},
		{&op.Split{Parts: 2}, []*graph.Value{x, list}},
		{&op.Squeeze{}, []*graph.Value{x, list}},
		{&op.Unsqueeze{}, []*graph.Value{x, list}},
		{&op.Pad{}, []*graph.Value{x, list}},
		{&op.CenterCropPad{}, []*graph.Value{x, list}},
		{&op.ConstantOfShape{Value: flts(0)}, []*graph.Value{list}},
		{&op.Range{}, []*graph.Value{one, one, one}},
		{&op.OneHot{}, []*graph.Value{list, one, {Name: "v", Type: tensor.Of(tensor.Float32, 2)}}},
	} {
		if _, err := c.op.Infer(c.in); !errors.Is(err, op.ErrNeedValue) {
			t.Errorf("%#v: error is %v, want ErrNeedValue", c.op, err)
		}
	}
}

// TestUpperBounds checks what is planned for extents that depend on data.
func TestUpperBounds(t *testing.T) {
	value := func(name string, d tensor.DType, shape ...int) *graph.Value {
		return &graph.Value{Name: name, Type: tensor.Of(d, shape...)}
	}
	boxes, scores := value("boxes", tensor.Float32, 2, 50, 4), value("scores", tensor.Float32, 2, 3, 50)
	for _, c := range []struct {
		op   graph.Op
		in   []*graph.Value
		want tensor.Shape
	}{
		{&op.NonZero{}, []*graph.Value{value("x", tensor.Bool, 3, 4)}, tensor.Shape{2, 12}},
		{&op.NonMaxSuppression{}, []*graph.Value{boxes, scores}, tensor.Shape{0, 3}},
		{&op.NonMaxSuppression{}, []*graph.Value{boxes, scores, value("most", tensor.Int64)}, tensor.Shape{300, 3}},
		{&op.NonMaxSuppression{}, []*graph.Value{boxes, scores, graph.NewConst("most", ints(10))}, tensor.Shape{60, 3}},
		{&op.TopK{Axis: 1, K: -1}, []*graph.Value{scores, value("k", tensor.Int64, 1)}, tensor.Shape{2, 3, 50}},
		{&op.Compress{Axis: 2}, []*graph.Value{scores, value("c", tensor.Bool, 9)}, tensor.Shape{2, 3, 9}},
		{&op.Unique{Flat: true}, []*graph.Value{scores}, tensor.Shape{300}},
	} {
		out, err := new(graph.Graph).Add(c.op, graph.Node{Type: "test", In: c.in}, "out")
		if err != nil {
			t.Errorf("%T: %v", c.op, err)
			continue
		}
		if !out[0].Type.Shape.Equal(c.want) || !out[0].Dynamic {
			t.Errorf("%T: %v, dynamic %v, want %v", c.op, out[0].Type, out[0].Dynamic, c.want)
		}
	}
}
