package quant

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/tensor"
)

// same compares the canonical form of a graph with the graph, and returns it.
func same(t *testing.T, g *graph.Graph, samples Samples) *graph.Graph {
	t.Helper()
	r, err := newRunner(samples, Config{})
	if err != nil {
		t.Fatal(err)
	}
	before := encode(t, g)
	c, err := canonical(g, r.shapes)
	if err != nil {
		t.Fatal(err)
	}
	if encode(t, g) != before {
		t.Error("the graph has changed")
	}
	encode(t, c)
	if c.Opset("") < minOpset {
		t.Errorf("operator set %d", c.Opset(""))
	}
	want, got := outputs(t, g, samples), outputs(t, c, samples)
	for i := range want {
		if g.Outputs[i].Name != c.Outputs[i].Name || len(want[i]) != len(got[i]) {
			t.Fatalf("output %q of %d numbers became %q of %d", g.Outputs[i].Name, len(want[i]), c.Outputs[i].Name, len(got[i]))
		}
		for k, v := range want[i] {
			if d := math.Abs(float64(v - got[i][k])); d > 1e-4*(1+math.Abs(float64(v))) {
				t.Fatalf("output %q, element %d: %v, want %v", g.Outputs[i].Name, k, got[i][k], v)
			}
		}
	}
	return c
}

// types lists the operators of a graph.
func types(g *graph.Graph) string {
	var out []string
	for _, n := range g.Nodes {
		out = append(out, n.Type)
	}
	return strings.Join(out, " ")
}

// Normalisations, and sums and products with constants, go into the layer before.
func TestFolding(t *testing.T) {
	axis := func(v int64) graph.Attrs { return graph.Attrs{optest.AttrInt("axis", v)} }
	for _, c := range []struct {
		name, want string
		build      func(s *sketch)
	}{
		{"normalisation", "Conv Relu", func(s *sketch) { s.norm(); s.node("Relu", nil) }},
		{"used twice", "Conv BatchNormalization Add", func(s *sketch) { x := s.v; s.norm(); s.node("Add", nil, x) }},
		{"an output", "Conv BatchNormalization", func(s *sketch) { s.Output(s.v); s.norm() }},
		{"product", "Conv", func(s *sketch) { s.node("Mul", nil, s.random(0, 1, s.c, 1, 1)) }},
		{"product with a number", "Conv", func(s *sketch) { s.node("Mul", nil, s.Scalar(-2)) }},
		{"constant first", "Conv", func(s *sketch) { s.v = s.Node("Add", nil, s.random(0, 1, 1, s.c, 1, 1), s.v) }},
		{"difference", "Conv", func(s *sketch) { s.node("Sub", nil, s.random(0, 1, s.c, 1, 1)) }},
		{"difference from a constant", "Conv Sub", func(s *sketch) { s.v = s.Node("Sub", nil, s.Scalar(1), s.v) }},
		{"quotient", "Conv", func(s *sketch) { s.node("Div", nil, s.Positive(1, s.c, 1, 1)) }},
		{"constant for each column", "Conv Conv Mul", func(s *sketch) { s.conv(s.w, 1, 1); s.node("Mul", nil, s.random(0, 1, s.w)) }},
		{"constant for each place", "Conv Add", func(s *sketch) { s.node("Add", nil, s.random(0, 1, s.h, s.w)) }},
		{"more channels", "Conv Conv Add", func(s *sketch) { s.conv(1, 1, 1); s.node("Add", nil, s.random(0, 1, 4, 1, 1)) }},
		{"what does nothing", "Conv Relu", func(s *sketch) {
			s.node("Identity", nil)
			s.node("Dropout", nil)
			s.node("Relu", nil)
		}},
		{"mask of a dropout", "Conv Dropout Conv", func(s *sketch) {
			v := s.Nodes("Dropout", 2, nil, s.v)
			s.v = v[0]
			s.Output(v[1])
			s.conv(4, 1, 1)
		}},
		{"behind another operator", "Conv Relu BatchNormalization", func(s *sketch) { s.node("Relu", nil); s.norm() }},
		{"groups", "Conv Conv", func(s *sketch) { s.conv(4, 3, 4); s.norm() }},
		{"transposed, of groups", "Conv ConvTranspose", func(s *sketch) {
			s.node("ConvTranspose", graph.Attrs{optest.AttrInt("group", 2)}, s.filters(4, 3, 2, 2))
			s.c = 6
			s.norm()
		}},
		{"rows", "Conv Flatten Gemm", func(s *sketch) {
			s.node("Flatten", nil)
			s.node("Gemm", nil, s.random(0, 1, 4*s.h*s.w, 5), s.Scalar(0.5))
			s.c = 5
			s.norm()
		}},
		{"gemm with factors", "Conv Flatten Gemm BatchNormalization", func(s *sketch) {
			s.node("Flatten", nil)
			s.node("Gemm", graph.Attrs{optest.AttrFloat("alpha", 0.5)}, s.random(0, 1, 4*s.h*s.w, 5))
			s.c = 5
			s.norm()
		}},
		{"matrix product", "Conv Flatten Gemm", func(s *sketch) {
			s.node("Flatten", nil)
			s.node("MatMul", nil, s.random(0, 1, 4*s.h*s.w, 5))
			s.node("Add", nil, s.random(0, 1, 5))
		}},
		{"matrix product of a picture", "Conv MatMul Add", func(s *sketch) {
			s.node("MatMul", nil, s.random(0, 1, s.w, 5))
			s.node("Add", nil, s.random(0, 1, 5))
		}},
		{"constants computed", "Conv Conv", func(s *sketch) {
			s.node("Conv", nil, s.Node("Concat", axis(0), s.Weights(2, 4, 1, 1), s.Node("Neg", nil, s.Weights(3, 4, 1, 1))))
		}},
		{"shape arithmetic", "Conv Reshape", func(s *sketch) {
			shape := s.Node("Slice", nil, s.Node("Shape", nil, s.v), s.Ints(0), s.Ints(2))
			s.node("Reshape", nil, s.Node("Concat", axis(0), shape, s.Ints(-1)))
		}},
		{"nobody reads it", "Conv", func(s *sketch) { s.Node("Exp", nil, s.v) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(3, 3, 3, 5)
			s.conv(4, 3, 1)
			c.build(s)
			g := same(t, s.Output(s.v), pictures(2, 1, 1, 3, 3, 5))
			if got := types(g); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			for _, v := range g.Inits {
				if !slices.ContainsFunc(g.Nodes, func(n *graph.Node) bool { return slices.Contains(n.In, v) }) {
					t.Errorf("constant %q is left over", v.Name)
				}
			}
		})
	}
}

// Outputs keep their names where their nodes vanish.
func TestOutputsOfNothing(t *testing.T) {
	s := newSketch(3, 4, 3, 3)
	x, relu := s.Graph.Inputs[0], s.v
	g := s.Output(s.Node("Identity", nil, x), s.Node("Identity", nil, relu), relu, s.Node("Exp", nil, s.Floats(1, 2)), s.Floats(3))
	same(t, g, pictures(2, 1, 1, 3, 3, 3))
}

// Sizes that the file leaves open stay open.
func TestOpenSizes(t *testing.T) {
	s := newSketch(3, 4, 4, 4)
	x := s.Graph.Inputs[0]
	x.Type.Shape, x.Dims = tensor.Shape{1, 3, -1, -1}, []string{"", "", "h", "w"}
	size := s.Node("Slice", nil, s.Node("Shape", nil, s.v), s.Ints(2), s.Ints(4))
	all := s.Node("Concat", graph.Attrs{optest.AttrInt("axis", 0)}, s.Ints(1, 2, 2), size)
	s.v = s.Node("Reshape", nil, s.v, all)
	g := same(t, s.Output(s.v), pictures(2, 1, 1, 3, 4, 4))
	if got := g.Inputs[0]; !got.Type.Shape.Equal(x.Type.Shape) || !slices.Equal(got.Dims, x.Dims) {
		t.Errorf("input %v %v", got.Type, got.Dims)
	}
	larger := pictures(1, 1, 1, 3, 6, 5)
	if db := sqnr(outputs(t, s.Graph, larger)[0], outputs(t, g, larger)[0]); db < 90 {
		t.Errorf("another size is %v dB off", db)
	}
	q, _ := apply(t, s.Graph, pictures(3, 1, 1, 3, 4, 4), Config{})
	if db := sqnr(outputs(t, s.Graph, larger)[0], outputs(t, q, larger)[0]); db < 20 {
		t.Errorf("quantized, another size is %v dB off", db)
	}
}

// Operators of sets before 13 are spelled as that set has them.
func TestUpgrade(t *testing.T) {
	strs, ints, num := optest.AttrString, optest.AttrInts, optest.AttrInt
	for _, c := range []struct {
		name  string
		opset int
		want  string
		build func(s *sketch)
	}{
		{"upsample", 7, "Resize", func(s *sketch) {
			s.node("Upsample", graph.Attrs{strs("mode", "nearest"), {Name: "scales", Kind: graph.AttrFloats, Floats: []float32{1, 1, 2, 1.5}}})
		}},
		{"upsample", 9, "Resize", func(s *sketch) { s.node("Upsample", graph.Attrs{strs("mode", "linear")}, s.Floats(1, 1, 2, 2)) }},
		{"resize", 10, "Resize", func(s *sketch) { s.node("Resize", graph.Attrs{strs("mode", "linear")}, s.Floats(1, 1, 1.5, 2)) }},
		{"smaller", 10, "Resize", func(s *sketch) { s.node("Resize", nil, s.Floats(1, 1, 0.5, 0.5)) }},
		{"resize", 11, "Resize", func(s *sketch) {
			s.node("Resize", graph.Attrs{strs("coordinate_transformation_mode", "half_pixel"), strs("mode", "linear")}, s.Floats(), s.Floats(1, 1, 2, 2))
		}},
		{"clip", 9, "Clip", func(s *sketch) {
			s.node("Clip", graph.Attrs{optest.AttrFloat("min", -0.1), optest.AttrFloat("max", 0.2)})
		}},
		{"upper limit", 10, "Clip", func(s *sketch) { s.node("Clip", graph.Attrs{optest.AttrFloat("max", 0.2)}) }},
		{"lower limit", 7, "Clip", func(s *sketch) { s.node("Clip", graph.Attrs{optest.AttrFloat("min", 0.2)}) }},
		{"clip", 11, "Clip", func(s *sketch) { s.node("Clip", nil, s.Scalar(0), s.Scalar(0.3)) }},
		{"squeeze", 11, "Unsqueeze Squeeze", func(s *sketch) {
			s.node("Unsqueeze", graph.Attrs{ints("axes", 2, 5)})
			s.node("Squeeze", graph.Attrs{ints("axes", 2)})
		}},
		{"squeeze all", 9, "Squeeze", func(s *sketch) { s.node("Squeeze", nil) }},
		{"sum", 12, "ReduceSum", func(s *sketch) { s.node("ReduceSum", graph.Attrs{ints("axes", 1), num("keepdims", 0)}) }},
		{"mean", 12, "ReduceMean", func(s *sketch) { s.node("ReduceMean", graph.Attrs{ints("axes", 2, 3)}) }},
		{"split", 11, "Split Sub", func(s *sketch) {
			v := s.Nodes("Split", 2, graph.Attrs{num("axis", 1), ints("split", 3, 1)}, s.v)
			s.v = s.Node("Sub", nil, v[0], v[1])
		}},
		{"halves", 9, "Split Sub", func(s *sketch) {
			v := s.Nodes("Split", 2, graph.Attrs{num("axis", 1)}, s.v)
			s.v = s.Node("Sub", nil, v[0], v[1])
		}},
		{"pad", 9, "Pad", func(s *sketch) {
			s.node("Pad", graph.Attrs{ints("pads", 0, 0, 1, 0, 0, 0, 0, 2), optest.AttrFloat("value", 0.7)})
		}},
		{"mirror", 10, "Pad", func(s *sketch) {
			s.node("Pad", graph.Attrs{strs("mode", "reflect"), ints("pads", 0, 0, 1, 1, 0, 0, 1, 1)})
		}},
		{"slice", 9, "Slice", func(s *sketch) {
			s.node("Slice", graph.Attrs{ints("starts", 1, -2), ints("ends", 3, 100), ints("axes", 1, 3)})
		}},
		{"slice of leading axes", 7, "Slice", func(s *sketch) { s.node("Slice", graph.Attrs{ints("starts", 0, 1), ints("ends", 1, 3)}) }},
		{"slice", 10, "Slice", func(s *sketch) { s.node("Slice", nil, s.Ints(1), s.Ints(3), s.Ints(2)) }},
		{"largest", 9, "TopK", func(s *sketch) { s.v = s.Nodes("TopK", 2, graph.Attrs{num("k", 2), num("axis", 1)}, s.v)[0] }},
		{"largest", 10, "TopK", func(s *sketch) { s.v = s.Nodes("TopK", 2, nil, s.v, s.Ints(2))[0] }},
		{"scatter", 9, "ScatterElements", func(s *sketch) {
			s.node("Scatter", graph.Attrs{num("axis", 1)}, s.Const(tensor.From(tensor.Int64, []int64{2, 0}, 1, 2, 1, 1)), s.Weights(1, 2, 1, 1))
		}},
		{"softmax of all", 9, "Shape Flatten Softmax Reshape", func(s *sketch) { s.node("Softmax", nil) }},
		{"softmax from an axis on", 12, "Shape Flatten Softmax Reshape", func(s *sketch) { s.node("Softmax", graph.Attrs{num("axis", -2)}) }},
		{"softmax of the last", 12, "Softmax", func(s *sketch) { s.node("Softmax", graph.Attrs{num("axis", 3)}) }},
		{"logarithms", 11, "Shape Flatten LogSoftmax Reshape", func(s *sketch) { s.node("LogSoftmax", graph.Attrs{num("axis", 2)}) }},
		{"hardmax", 11, "Shape Flatten Hardmax Reshape", func(s *sketch) { s.node("Hardmax", nil) }},
		{"of single pixels", 11, "GlobalAveragePool Softmax", func(s *sketch) { s.node("GlobalAveragePool", nil); s.node("Softmax", nil) }},
		{"normalisation behind", 8, "Exp BatchNormalization", func(s *sketch) { s.node("Exp", nil); s.norm() }},
		{"normalisation of set 7", 7, "Exp BatchNormalization", func(s *sketch) {
			s.node("Exp", nil)
			s.norm()
			s.v.Node.Attrs = graph.Attrs{num("spatial", 1)}
		}},
		{"dropout", 9, "Exp", func(s *sketch) { s.node("Dropout", graph.Attrs{optest.AttrFloat("ratio", 0.3)}); s.node("Exp", nil) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSketch(3, 4, 4, 6)
			s.Graph.Opsets[0].Version = int64(c.opset)
			c.build(s)
			g := same(t, s.Output(s.v), pictures(2, 1, 1, 3, 4, 6))
			if got := types(g); got != "Conv Relu "+c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestCannotUpgrade(t *testing.T) {
	for _, c := range []struct {
		name  string
		opset int
		build func(s *sketch)
	}{
		{"old set", 6, func(*sketch) {}},
		{"normalisation by element", 8, func(s *sketch) {
			s.norm()
			s.v.Node.Attrs = graph.Attrs{optest.AttrInt("spatial", 0)}
		}},
	} {
		s := newSketch(3, 4, 4, 4)
		s.Graph.Opsets[0].Version = int64(c.opset)
		c.build(s)
		if _, err := canonical(s.Output(s.v), map[string][]int{"image": {1, 3, 4, 4}}); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
}

// A normalisation that gives no number is named.
func TestFoldedNaN(t *testing.T) {
	s := newSketch(3, 4, 4, 4)
	s.conv(4, 1, 1)
	s.norm()
	s.v.Node.In[4].Const.F32()[2] = -1
	_, err := canonical(s.Output(s.v), map[string][]int{"image": {1, 3, 4, 4}})
	if !errors.Is(err, ErrNaN) || !strings.Contains(err.Error(), s.v.Node.Name) {
		t.Errorf("a negative variance: %v", err)
	}
}
