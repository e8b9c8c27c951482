package engine_test

import (
	"context"
	"testing"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// shared is a portable graph of convolutions, plain, in groups and depthwise,
// of which each pair has the same weights, no bias, and a normalisation of its
// own behind it.
func shared() *graph.Graph {
	g := &graph.Graph{Opsets: []graph.Opset{{Version: 17}}}
	x := &graph.Value{Name: "x", Type: tensor.Of(tensor.Float32, 1, 8, 9, 9)}
	g.Inputs = append(g.Inputs, x)
	constant := func(name string, first, step float64, shape ...int) *graph.Value {
		t := tensor.New(tensor.Float32, shape...)
		for i := range t.Elems() {
			t.SetFloat(i, first+step*float64(i%7))
		}
		v := graph.NewConst(name, t)
		g.Inits = append(g.Inits, v)
		return v
	}
	for _, c := range []struct {
		name      string
		out, k, g int
	}{{"point", 8, 1, 1}, {"plain", 8, 3, 1}, {"groups", 8, 3, 2}, {"depth", 8, 3, 8}} {
		w := constant(c.name+".w", -0.3, 0.11, c.out, 8/c.g, c.k, c.k)
		for _, which := range []string{"a", "b"} {
			name := c.name + "." + which
			first := 0.5
			if which == "b" {
				first = -1.25
			}
			conv := &graph.Value{Name: name + ".conv"}
			out := &graph.Value{Name: name}
			n := &graph.Node{Name: conv.Name, Type: "Conv", In: []*graph.Value{x, w}, Out: []*graph.Value{conv},
				Attrs: graph.Attrs{{Name: "group", Kind: graph.AttrInt, Int: int64(c.g)}, {Name: "pads", Kind: graph.AttrInts, Ints: []int64{1, 1, 1, 1}}}}
			bn := &graph.Node{Name: name, Type: "BatchNormalization", Out: []*graph.Value{out}, In: []*graph.Value{conv,
				constant(name+".scale", first, 0.25, c.out), constant(name+".bias", first, -0.5, c.out),
				constant(name+".mean", -first, 0.1, c.out), constant(name+".var", 1, first*first, c.out)}}
			conv.Node, out.Node = n, bn
			g.Nodes = append(g.Nodes, n, bn)
			g.Outputs = append(g.Outputs, out)
		}
	}
	return g
}

// TestSharedWeights runs convolutions that share weights but not the
// normalisation that is folded into them, in two sessions that share a cache.
func TestSharedWeights(t *testing.T) {
	g := shared()
	bound, err := pass.Bind(g, pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lowered, err := pass.Compile(g, pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range lowered.Nodes {
		if n.Type != "Conv" && n.Type != "StridedCopy" {
			t.Errorf("%s is left", n.Label())
		}
	}
	var cache engine.Cache
	for i := range 2 {
		s, err := engine.New(lowered, engine.Options{Cache: &cache})
		if err != nil {
			t.Fatal(err)
		}
		want, err := optest.Reference(bound, fill(s, uint64(i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Outputs() {
			if db := sqnr(s.Output(p.Name), want[p.Name]); db < 120 {
				t.Errorf("session %d: %s is at %.1f dB", i, p.Name, db)
			}
		}
	}
}
