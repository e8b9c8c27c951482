package engine_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// dynamic compiles a graph and returns a function that runs it on inputs and
// compares the outputs, with their actual extents, with the reference.
func dynamic(t *testing.T, g *graph.Graph) func(in map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	t.Helper()
	bound, err := pass.Bind(g, pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lowered, err := pass.Compile(g, pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := engine.New(lowered, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return func(in map[string]*tensor.Tensor) map[string]*tensor.Tensor {
		t.Helper()
		want, err := optest.Reference(bound, in)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range in {
			copy(s.Input(name).Data, v.Bytes())
		}
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		out := map[string]*tensor.Tensor{}
		for _, p := range s.Outputs() {
			got, ref := s.Output(p.Name), want[p.Name]
			if !got.Shape.Equal(ref.Shape) || string(got.Bytes()) != string(ref.Bytes()) {
				t.Fatalf("output %q is %v %v, want %v %v", p.Name, got.Shape, got.Bytes(), ref.Shape, ref.Bytes())
			}
			for a, d := range got.Shape {
				if d > p.Type.Shape[a] {
					t.Fatalf("output %q is %v, more than its bound %v", p.Name, got.Shape, p.Type.Shape)
				}
			}
			out[p.Name] = got.Clone()
		}
		return out
	}
}

// TestNonZeroChain picks what is above a threshold and computes on that: the
// extents follow the data from one Run to the next, down to none and up to
// all.
func TestNonZeroChain(t *testing.T) {
	b := optest.NewNet(14)
	x := b.Input("x", tensor.Float32, 4, 6)
	at := b.Node("NonZero", nil, b.Node("Greater", nil, x, b.Scalar(.5))) // [2, k]
	points := b.Node("Transpose", nil, at)                                // [k, 2]
	picked := b.Node("GatherND", nil, x, points)                          // [k]
	doubled := b.Node("Relu", nil, b.Node("Mul", nil, picked, b.Scalar(2)))
	column := b.Node("Unsqueeze", nil, doubled, b.Ints(1)) // [k, 1]
	rows := b.Node("Gather", nil, x, b.Node("Gather", nil, at, b.Int(0)))
	wide := b.Node("Concat", graph.Attrs{optest.AttrInt("axis", 1)}, column, rows) // [k, 7]
	count := b.Node("Shape", nil, picked)
	again := b.Node("Reshape", graph.Attrs{optest.AttrInt("allowzero", 1)}, wide, b.Node("Concat", graph.Attrs{optest.AttrInt("axis", 0)}, b.Ints(7), count))
	still := b.Node("Relu", nil, x) // a fixed value beside them
	g := b.Output(points, wide, count, again, still)
	check := dynamic(t, g)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, share := range []float64{.5, 0, 1, .3, .9} {
		in := tensor.New(tensor.Float32, 4, 6)
		hits := 0
		for i := range in.F32() {
			in.F32()[i] = float32(rng.Float64() / 2)
			if rng.Float64() < share {
				in.F32()[i] += .5001
				hits++
			}
		}
		out := check(map[string]*tensor.Tensor{"x": in})
		if got := out[wide.Name].Shape; got[0] != hits || got[1] != 7 {
			t.Errorf("%d elements are above the threshold, the result is %v", hits, got)
		}
	}
}

// TestNonMaxSuppressionTail is the tail of a detector: boxes picked by
// NonMaxSuppression, gathered, and joined with their scores.
func TestNonMaxSuppressionTail(t *testing.T) {
	const n, classes = 30, 2
	b := optest.NewNet(13)
	boxes, scores := b.Input("boxes", tensor.Float32, 1, n, 4), b.Input("scores", tensor.Float32, 1, classes, n)
	picked := b.Node("NonMaxSuppression", nil, boxes, scores, b.Ints(5), b.Floats(.3), b.Floats(.4))
	index := b.Node("Gather", graph.Attrs{optest.AttrInt("axis", 1)}, picked, b.Ints(2))
	corners := b.Node("Gather", graph.Attrs{optest.AttrInt("axis", 0)}, b.Node("Squeeze", nil, boxes, b.Ints(0)), b.Node("Squeeze", nil, index, b.Ints(1)))
	confidence := b.Node("GatherND", nil, scores, picked)
	g := b.Output(picked, b.Node("Concat", graph.Attrs{optest.AttrInt("axis", 1)}, corners, b.Node("Unsqueeze", nil, confidence, b.Ints(1))))
	check := dynamic(t, g)
	rng := rand.New(rand.NewPCG(3, 4))
	seen := map[int]bool{}
	for _, scale := range []float32{1, 0, .6, 1} {
		in := map[string]*tensor.Tensor{"boxes": tensor.New(tensor.Float32, 1, n, 4), "scores": tensor.New(tensor.Float32, 1, classes, n)}
		for i := range n {
			y, x := rng.Float32(), rng.Float32()
			copy(in["boxes"].F32()[4*i:], []float32{y, x, y + .2, x + .3})
		}
		for i := range in["scores"].F32() {
			in["scores"].F32()[i] = scale * rng.Float32()
		}
		k := check(in)[picked.Name].Shape[0]
		if k > 5*classes || scale == 0 && k != 0 {
			t.Errorf("%d boxes at scale %v", k, scale)
		}
		seen[k] = true
	}
	if len(seen) < 2 {
		t.Errorf("every Run found as many boxes: %v", seen)
	}
}

// A bound that the data exceeds is an error of that Run, not of the next.
func TestBoundExceeded(t *testing.T) {
	b := optest.NewNet(13)
	x := b.Input("x", tensor.Float32, 4)
	k := b.Node("Shape", nil, b.Node("NonZero", nil, x)) // [1, k], at most [1, 4]
	free := b.Node("Sub", nil, b.Ints(1, 5), k)          // at least [0, 1]
	g := b.Output(b.Node("Expand", nil, b.Floats(1), b.Node("Slice", nil, free, b.Ints(1), b.Ints(2))))
	lowered, err := pass.Compile(g, pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := engine.New(lowered, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "planned") {
		t.Errorf("5 elements where 1 was planned: got %v", err)
	}
	copy(s.Input("x").F32(), []float32{1, 1, 1, 1})
	if err := s.Run(context.Background()); err != nil || s.Output(g.Outputs[0].Name).Shape[0] != 1 {
		t.Errorf("1 element: got %v", err)
	}
}
