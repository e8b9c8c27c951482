package optest

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// FillBytes is Fill with integers of 8 bits from their whole range.
func FillBytes(s *engine.Session, seed uint64) map[string]*tensor.Tensor {
	in := Fill(s, seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	for _, p := range s.Inputs() {
		if t := in[p.Name]; t.DType == tensor.Uint8 || t.DType == tensor.Int8 {
			for i := range t.Data {
				t.Data[i] = byte(rng.Uint32())
			}
		}
	}
	return in
}

// AgreeQuantized compiles a portable graph and runs it on every rung, on one
// thread and on three. It fails the test unless outputs of 8 bits are within so
// many steps of what the operators of the file give, run one by one, and, where that
// is one step, only a few of them off at all; floating-point outputs agree as in Agree. Where nothing
// is computed in floating point all rungs give the same bits. It returns the
// lowered graph.
func AgreeQuantized(t Test, g *graph.Graph, steps int) *graph.Graph {
	t.Helper()
	bound, err := pass.Bind(g, pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lowered, err := pass.Compile(g, pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]*tensor.Tensor
	first, exact := map[string][]byte{}, !slices.ContainsFunc(lowered.Nodes, floats)
	for _, k := range kernels.Available() {
		for _, threads := range []int{1, 3} {
			s, err := engine.New(lowered, engine.Options{Kernels: k, Threads: threads})
			if err != nil {
				t.Fatal(err)
			}
			in := FillBytes(s, 3)
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
				got := s.Output(p.Name)
				near(t, k.Name, p.Name, got, want[p.Name], steps)
				if first[p.Name] == nil {
					first[p.Name] = bytes.Clone(got.Bytes())
				}
				if exact && !bytes.Equal(first[p.Name], got.Bytes()) {
					t.Fatalf("%s with %d threads: output %q differs from that of %s", k.Name, threads, p.Name, kernels.Available()[0].Name)
				}
			}
			s.Close()
		}
	}
	return lowered
}

// floats reports a node that makes numbers of floating point.
func floats(n *graph.Node) bool {
	return slices.ContainsFunc(n.Out, func(v *graph.Value) bool { return v != nil && v.Type.DType.IsFloat() })
}

// near is same with so many steps allowed to elements of 8 bits, one to a
// twentieth of them only.
func near(t Test, rung, name string, got, want *tensor.Tensor, steps int) {
	t.Helper()
	if got.DType.Size() != 1 || got.DType != want.DType || !got.Shape.Equal(want.Shape) {
		same(t, rung, name, got, want)
		return
	}
	off, worst, at := 0, 0, 0
	for i := range want.Elems() {
		if d := int(math.Abs(got.Float(i) - want.Float(i))); d > 0 {
			if off++; d > worst {
				worst, at = d, i
			}
		}
	}
	if worst > steps || steps < 2 && off > 2+want.Elems()/20 {
		t.Fatalf("%s: output %q %v: %d of %d elements are off, element %d, which is %v, by %d", rung, name, got.Shape, off, want.Elems(), at, got.Float(at), worst)
	}
}
