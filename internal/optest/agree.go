package optest

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// Test is what testing.T and rapid.T have in common.
type Test interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// Fill writes random numbers, the same for a seed, into every input of a
// session, and returns the inputs by name: floating point from -4 to 4,
// integers from 0 to 3.
func Fill(s *engine.Session, seed uint64) map[string]*tensor.Tensor {
	rng := rand.New(rand.NewPCG(seed, 1))
	in := map[string]*tensor.Tensor{}
	for _, p := range s.Inputs() {
		t := s.Input(p.Name)
		for i := range t.Elems() {
			if p.Type.DType.IsFloat() {
				t.SetFloat(i, 8*rng.Float64()-4)
			} else {
				t.SetInt(i, rng.Int64N(4))
			}
		}
		in[p.Name] = t
	}
	return in
}

// Agree compiles a portable graph and runs it on every rung, twice, on two
// threads. It fails the test unless every output agrees with the reference
// operators run one by one on the graph as it was before any rewriting. It
// returns the lowered graph.
func Agree(t Test, g *graph.Graph, o pass.Options) *graph.Graph {
	t.Helper()
	bound, err := pass.Bind(g, o)
	if err != nil {
		t.Fatal(err)
	}
	lowered, err := pass.Compile(g, o)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]*tensor.Tensor
	for _, k := range kernels.Available() {
		s, err := engine.New(lowered, engine.Options{Kernels: k, Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		in := Fill(s, 3)
		for name, v := range o.Values {
			if v.Type().Shape.Equal(in[name].Shape) {
				copy(in[name].Data, v.Bytes())
			}
		}
		if want == nil {
			if want, err = Reference(bound, in); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := s.Run(context.Background()); err != nil {
				t.Fatalf("%s: %v", k.Name, err)
			}
		}
		for _, p := range s.Outputs() {
			same(t, k.Name, p.Name, s.Output(p.Name), want[p.Name])
		}
		s.Close()
	}
	return lowered
}

// same fails the test where got is another type or shape than want, or
// differs by more than rounding in another order explains.
func same(t Test, rung, name string, got, want *tensor.Tensor) {
	t.Helper()
	if got.DType != want.DType || !got.Shape.Equal(want.Shape) {
		t.Fatalf("%s: output %q is %v, want %v", rung, name, got.Type(), want.Type())
	}
	worst, largest := 0.0, 0.0
	for i := range want.Elems() {
		a, b := got.Float(i), want.Float(i)
		if a == b || math.IsNaN(a) && math.IsNaN(b) {
			largest = max(largest, math.Abs(b))
			continue
		}
		if math.IsNaN(a) || math.IsNaN(b) || math.IsInf(b, 0) {
			t.Fatalf("%s: output %q %v: element %d is %v, want %v", rung, name, got.Shape, i, a, b)
		}
		worst, largest = max(worst, math.Abs(a-b)), max(largest, math.Abs(b))
	}
	limit := 0.0
	if want.DType.IsFloat() {
		limit = 1e-5 * max(1, largest)
	}
	if worst > limit {
		t.Fatalf("%s: output %q %v is off by %g where the largest is %g: it starts %v, want %v", rung, name, got.Shape, worst, largest, head(got), head(want))
	}
}

// head returns the first few elements.
func head(t *tensor.Tensor) []float64 {
	out := make([]float64, min(6, t.Elems()))
	for i := range out {
		out[i] = t.Float(i)
	}
	return out
}
