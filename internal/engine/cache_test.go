package engine

import (
	"testing"
	"unsafe"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// TestCacheWeights takes memory for weights of many sizes: zeroed, aligned,
// and never the same twice.
func TestCacheWeights(t *testing.T) {
	var c Cache
	c.expects(3 << 20)
	sizes := []int{0, 1, 16, 17, 1000, 1 << 18, maxRoom / 8, maxRoom / 4, 3, 1 << 19, 5, maxRoom}
	var all [][]float32
	for range 3 {
		for _, n := range sizes {
			w := c.weights(n)
			if len(w) != n || cap(w) != n {
				t.Fatalf("%d weights: length %d, capacity %d", n, len(w), cap(w))
			}
			if uintptr(unsafe.Pointer(unsafe.SliceData(w)))%align != 0 {
				t.Errorf("%d weights are not aligned", n)
			}
			for i := range w {
				if w[i] != 0 {
					t.Fatalf("%d weights: element %d is %v", n, i, w[i])
				}
				w[i] = float32(len(all) + 1)
			}
			all = append(all, w)
		}
	}
	for i, w := range all {
		for j := range w {
			if w[j] != float32(i+1) {
				t.Fatalf("part %d is overwritten", i)
			}
		}
	}
}

// TestSecondSession checks that a session packs nothing that another of the
// same model has packed.
func TestSecondSession(t *testing.T) {
	x := &graph.Value{Name: "x", Type: tensor.Of(tensor.Float32, 1, 64)}
	g := &graph.Graph{Inputs: []*graph.Value{x}}
	outs, err := g.Add(&op.MatMul{}, graph.Node{Type: "MatMul", In: []*graph.Value{x, graph.NewConst("w", tensor.New(tensor.Float32, 64, 64))}}, "y")
	if err != nil {
		t.Fatal(err)
	}
	g.Outputs = outs
	var c Cache
	for i := range 2 {
		before := len(c.room)
		if _, err := New(g, Options{Cache: &c}); err != nil {
			t.Fatal(err)
		}
		if after := len(c.room); (after == before) != (i > 0) {
			t.Errorf("session %d: %d bytes of room, then %d", i, before, after)
		}
	}
}
