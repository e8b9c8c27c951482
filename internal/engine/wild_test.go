package engine_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// wild draws graphs with no regard for what operators want: any operator, any
// inputs, any attributes. Most are refused.
type wild struct {
	*optest.Net
	t      *rapid.T
	values []*graph.Value
}

// attributes are what operators know, with sensible and other values, by name.
var attributes = func() map[string][]graph.Attr {
	all := map[string][]graph.Attr{}
	add := func(a graph.Attr) { all[a.Name] = append(all[a.Name], a) }
	for name, vs := range map[string][]int64{
		"axis": {0, 1, 2, 3, -1, -2, 9, math.MinInt64}, "keepdims": {0, 1}, "group": {1, 2, 3, 0, -1, 1 << 40}, "blocksize": {1, 2, 0, -2, 1 << 33},
		"to": {1, 2, 3, 6, 7, 9, 10, 11, 16, 22, 99}, "batch_dims": {0, 1, 2, -1}, "ceil_mode": {0, 1}, "count_include_pad": {0, 1}, "transA": {0, 1}, "transB": {0, 1},
		"largest": {0, 1}, "sorted": {0, 1}, "exclusive": {0, 1}, "reverse": {0, 1}, "upper": {0, 1}, "k": {1, 0, -1, 5}, "spatial": {0, 1}, "training_mode": {0, 1},
		"allowzero": {0, 1}, "num_groups": {1, 2, 0, -3}, "num_outputs": {1, 2, 3, 0, -1}, "noop_with_empty_axes": {0, 1}, "block_size": {0, 1, 2, -1}, "align_corners": {0, 1},
		"storage_order": {0, 1}, "p": {1, 2, 0, -1}, "size": {1, 3, 0, -1}, "output_height": {1, 2, 0}, "output_width": {1, 2, -1}, "sampling_ratio": {0, 1, 2, -1},
		"center_point_box": {0, 1}, "saturate": {0, 1}, "start": {0, 1, -1}, "end": {1, 2, -1}, "hidden_size": {1}, "detect_positive": {0, 1},
	} {
		for _, v := range vs {
			add(optest.AttrInt(name, v))
		}
	}
	for _, name := range []string{"axes", "kernel_shape", "strides", "pads", "dilations", "perm", "split", "output_padding", "output_shape", "starts", "ends", "shape"} {
		for _, v := range [][]int64{{}, {1}, {2}, {0}, {-1}, {1, 1}, {2, 2}, {3, 3}, {2, 3}, {0, 0}, {1, 2, 3}, {1, 1, 1, 1}, {0, 1, 0, 1}, {0, 2, 1, 3}, {2, 1, 0, -1}, {1 << 40, 1}, {math.MinInt64, math.MaxInt64}} {
			add(optest.AttrInts(name, v...))
		}
	}
	for name, vs := range map[string][]string{
		"auto_pad": {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", "ODD"}, "mode": {"constant", "reflect", "edge", "wrap", "nearest", "linear", "cubic", "bilinear", "DCR", "CRD", "avg", "max"},
		"coordinate_transformation_mode": {"half_pixel", "asymmetric", "align_corners", "tf_crop_and_resize", "pytorch_half_pixel", "half_pixel_symmetric"},
		"nearest_mode":                   {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"}, "keep_aspect_ratio_policy": {"stretch", "not_larger", "not_smaller"},
		"equation": {"ij,jk->ik", "ii->i", "...ij->...ji", "i,j", "abcdefgh->h", "->", "i->ii", "nchw,ncvw->nhv"}, "reduction": {"none", "add", "mul", "min", "max", "mean", "sum"},
		"padding_mode": {"zeros", "border", "reflection"}, "direction": {"LEFT", "RIGHT"}, "approximate": {"none", "tanh"},
	} {
		for _, v := range vs {
			add(optest.AttrString(name, v))
		}
	}
	for name, vs := range map[string][]float32{"alpha": {0, 1, .5, -2}, "beta": {0, 1, .5}, "epsilon": {0, 1e-5}, "spatial_scale": {1, .5, 0}, "cubic_coeff_a": {-.75}} {
		for _, v := range vs {
			add(optest.AttrFloat(name, v))
		}
	}
	return all
}()

// draw builds a graph. Of the nodes that it tries it keeps those that fit, and
// one that does not, at most.
func (w *wild) draw() *graph.Graph {
	names := slices.Sorted(maps.Keys(attributes))
	dtypes := []tensor.DType{tensor.Float32, tensor.Float32, tensor.Float32, tensor.Float32, tensor.Int64, tensor.Int32, tensor.Uint8, tensor.Int8, tensor.Bool, tensor.Float16, tensor.Float64, tensor.Uint64}
	shapes := [][]int{{1, 2, 4, 4}, {1, 2, 4, 4}, {1, 4, 1, 3}, {2, 2, 3, 3}, {2, 3, 4}, {4, 4}, {2}, {4}, {}, {1}, {0}, {1, 0, 4, 4}, {2, 1, 1, 1, 3}, {4, 1, 1}}
	for i := range rapid.IntRange(1, 3).Draw(w.t, "inputs") {
		w.values = append(w.values, w.Input(fmt.Sprint("in", i), rapid.SampledFrom(dtypes).Draw(w.t, "dtype"), rapid.SampledFrom(shapes).Draw(w.t, "shape")...))
	}
	domains := []string{"ai.onnx.preview.training", "com.microsoft"}
	refused := 0
	for range rapid.IntRange(1, 30).Draw(w.t, "nodes") {
		if rapid.IntRange(0, 5).Draw(w.t, "quantized") == 0 {
			w.quantized()
			continue
		}
		domain, typ := "", rapid.SampledFrom(op.Names()).Draw(w.t, "op")
		for _, d := range domains {
			if rest, ok := strings.CutPrefix(typ, d+"."); ok {
				domain, typ = d, rest
			}
		}
		var in []*graph.Value
		for range rapid.SampledFrom([]int{1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 8, 9, 0}).Draw(w.t, "arity") {
			in = append(in, w.operand(dtypes, shapes))
		}
		var attrs graph.Attrs
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID).Draw(w.t, "attributes") {
			attrs = append(attrs, rapid.SampledFrom(attributes[name]).Draw(w.t, name))
		}
		outs := w.Nodes(typ, rapid.SampledFrom([]int{1, 1, 1, 1, 2, 3, 4}).Draw(w.t, "outputs"), attrs, in...)
		outs[0].Node.Domain = domain
		if part := *w.Graph; refused > 0 || rapid.IntRange(0, 19).Draw(w.t, "check") > 0 {
			part.Outputs = outs[:1]
			if survive(w.t, &part) != nil {
				w.Graph.Nodes = w.Graph.Nodes[:len(w.Graph.Nodes)-1]
				continue
			}
		} else {
			refused++
		}
		w.values = append(w.values, outs...)
	}
	w.Output(w.values[len(w.values)-1])
	if rapid.Bool().Draw(w.t, "another output") {
		w.Output(rapid.SampledFrom(w.values).Draw(w.t, "output"))
	}
	return w.Graph
}

// quantized passes a value through 8 bits, or takes weights from there, with
// scales and zero points of any kind. What does not fit is left out.
func (w *wild) quantized() {
	before := len(w.Graph.Nodes)
	scale := func() *graph.Value {
		k := rapid.SampledFrom([]float32{.02, .02, .02, .05, 1, 0, -1, 1e-30, 1e-12, 1e12, 1e30, float32(math.NaN()), float32(math.Inf(1))}).Draw(w.t, "scale")
		if rapid.IntRange(0, 9).Draw(w.t, "scales") == 0 {
			return w.Floats(k, .03)
		}
		return w.Scalar(k)
	}
	d := rapid.SampledFrom([]tensor.DType{tensor.Uint8, tensor.Int8}).Draw(w.t, "code")
	zero := func() *graph.Value {
		t := tensor.New(d, rapid.SampledFrom([][]int{{}, {}, {}, {}, {1}, {2}}).Draw(w.t, "zeros")...)
		for i := range t.Elems() {
			t.SetInt(i, rapid.SampledFrom([]int64{0, 100, 127, -128}).Draw(w.t, "zero"))
		}
		return w.Const(t)
	}
	var x *graph.Value
	if rapid.IntRange(0, 2).Draw(w.t, "weights") == 0 {
		t := tensor.New(d, rapid.SampledFrom([][]int{{4, 2, 3, 3}, {2, 2, 1, 1}, {2, 1, 2, 2}, {4, 4}, {3, 4}}).Draw(w.t, "shape")...)
		for i := range t.Elems() {
			t.SetInt(i, int64(i*77%256-128))
		}
		x = w.Const(t)
	} else {
		x = w.Node("QuantizeLinear", nil, rapid.SampledFrom(w.values).Draw(w.t, "value"), scale(), zero())
	}
	v := w.Node("DequantizeLinear", nil, x, scale(), zero())
	part := *w.Graph
	part.Outputs = []*graph.Value{v}
	if survive(w.t, &part) != nil {
		w.Graph.Nodes = w.Graph.Nodes[:before]
		return
	}
	w.values = append(w.values, v)
	if x.Node != nil {
		w.values = append(w.values, x)
	}
}

// operand picks a value, makes a constant, or leaves an input out.
func (w *wild) operand(dtypes []tensor.DType, shapes [][]int) *graph.Value {
	switch rapid.IntRange(0, 9).Draw(w.t, "operand") {
	case 0:
		return nil
	case 1:
		return w.Ints(rapid.SliceOfN(rapid.SampledFrom([]int64{0, 1, 2, 3, 4, -1, -2, 1 << 40, math.MinInt64}), 0, 5).Draw(w.t, "ints")...)
	case 2:
		return w.Floats(rapid.SliceOfN(rapid.SampledFrom([]float32{0, 1, 2, .5, -1, 1e30, float32(math.NaN()), float32(math.Inf(1))}), 0, 5).Draw(w.t, "floats")...)
	case 3:
		t := tensor.New(rapid.SampledFrom(dtypes).Draw(w.t, "dtype"), rapid.SampledFrom(shapes).Draw(w.t, "shape")...)
		for i := range t.Elems() {
			t.SetInt(i, int64(i*5%7)-2)
		}
		return w.Const(t)
	case 4:
		return w.Weights(rapid.SampledFrom([][]int{{4, 2, 3, 3}, {2, 1, 2, 2}, {2, 2, 1, 1}, {2}, {4, 4}}).Draw(w.t, "weights")...)
	}
	return rapid.SampledFrom(w.values).Draw(w.t, "value")
}

// TestWildGraphs: whatever a graph holds, it is refused, or it runs. Where one
// operator makes the outputs they are those of the reference; behind several,
// the rounding of one may become the step of another.
func TestWildGraphs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := wild{Net: optest.NewNet(rapid.SampledFrom([]int{7, 9, 11, 12, 13, 17, 18, 21, 23}).Draw(t, "opset")), t: t}
		w.Graph.Opsets = append(w.Graph.Opsets, graph.Opset{Domain: "com.microsoft", Version: 1}, graph.Opset{Domain: "ai.onnx.preview.training", Version: 1})
		if g := w.draw(); survive(t, g) == nil && behind(g) < 2 {
			optest.Agree(t, g, pass.Options{Limit: wildConstant})
		}
	})
}

// behind counts the nodes that the outputs of a graph are computed by.
func behind(g *graph.Graph) int {
	seen := map[*graph.Node]bool{nil: true}
	var visit func(vs []*graph.Value)
	visit = func(vs []*graph.Value) {
		for _, v := range vs {
			if v != nil && !seen[v.Node] {
				seen[v.Node] = true
				visit(v.Node.In)
			}
		}
	}
	visit(g.Outputs)
	return len(seen) - 1
}

func attribute(a graph.Attr) string {
	switch a.Kind {
	case graph.AttrInt:
		return fmt.Sprintf("%s=%d", a.Name, a.Int)
	case graph.AttrInts:
		return fmt.Sprintf("%s=%v", a.Name, a.Ints)
	case graph.AttrFloat:
		return fmt.Sprintf("%s=%v", a.Name, a.Float)
	}
	return fmt.Sprintf("%s=%q", a.Name, a.String)
}

// name prints a value, and a constant with what it holds.
func name(v *graph.Value) string {
	switch {
	case v == nil:
		return "-"
	case v.Const == nil:
		return v.Name
	}
	s := v.Const.Type().String()
	for i := range min(v.Const.Elems(), 6) {
		s += fmt.Sprint(" ", v.Const.Float(i))
	}
	return "<" + s + ">"
}
