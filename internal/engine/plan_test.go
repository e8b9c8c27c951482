package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// TestPlanProperties draws graphs and checks their plans: everything lies
// inside the arena and is aligned; buffers in use at the same time are apart;
// the arena is no larger than the buffers together; another plan of the same
// graph is the same; and what a node writes is there when it is read.
func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, err := pass.Compile(drawGraph(t), pass.Options{})
		if err != nil {
			t.Fatal(err)
		}
		places, size, err := engine.Plan(g, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		buffers, sum := map[any]bool{}, 0
		at := map[*graph.Value]engine.Place{}
		for i, a := range places {
			at[a.Value] = a
			if a.Start < 0 || a.End > size || a.Start%4 != 0 {
				t.Fatalf("%q lies at [%d,%d) of %d bytes", a.Value.Name, a.Start, a.End, size)
			}
			if !buffers[a.Buffer] {
				buffers[a.Buffer] = true
				sum += (a.Size + 63) &^ 63
			}
			for _, b := range places[:i] {
				if a.Buffer != b.Buffer && a.First <= b.Last && b.First <= a.Last && a.Start < b.End && b.Start < a.End {
					t.Fatalf("%q [%d,%d) and %q [%d,%d) are in use at the same time", a.Value.Name, a.Start, a.End, b.Value.Name, b.Start, b.End)
				}
			}
		}
		if size > sum {
			t.Fatalf("an arena of %d bytes for buffers of %d", size, sum)
		}
		again, _, _ := engine.Plan(g, 1<<30)
		for _, b := range again {
			if a := at[b.Value]; a.Start != b.Start || a.End != b.End {
				t.Fatalf("%q lies at %d, then at %d", b.Value.Name, a.Start, b.Start)
			}
		}
		m := memory{t: t, at: at, holds: map[int]element{}, is: map[*graph.Value][]element{}}
		m.run(g)
	})
}

// element names one element of one value.
type element struct {
	v *graph.Value
	i int
}

// memory is an arena that knows of every byte which element was written there
// last. Views, slices and concatenations pass elements on.
type memory struct {
	t     *rapid.T
	at    map[*graph.Value]engine.Place
	holds map[int]element            // by offset in the arena
	is    map[*graph.Value][]element // what the elements of a value really are
}

func (m *memory) run(g *graph.Graph) {
	for _, v := range g.Inputs {
		m.write(v, fresh(v))
	}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			m.read(v, n.Label())
		}
		m.overlap(n)
		for _, v := range n.Out {
			m.write(v, m.made(n, v))
		}
	}
	for _, v := range append(slices.Clone(g.Outputs), g.Inputs...) {
		m.read(v, "the caller")
	}
}

func (m *memory) write(v *graph.Value, is []element) {
	m.is[v] = is
	for i, b := range m.offsets(v) {
		m.holds[b] = is[i]
	}
}

func (m *memory) read(v *graph.Value, who string) {
	if v == nil || v.Const != nil {
		return
	}
	for i, b := range m.offsets(v) {
		if m.holds[b] != m.is[v][i] {
			m.t.Fatalf("%s reads element %d of %q, which is overwritten by one of %q", who, i, v.Name, m.holds[b].v.Name)
		}
	}
}

// made says what the elements of a node's output are: those of an input where
// the output lies in the same memory and the operator moves them there,
// otherwise new ones.
func (m *memory) made(n *graph.Node, v *graph.Value) []element {
	is := fresh(v)
	here := map[int]int{} // offset to element of v
	for i, b := range m.offsets(v) {
		here[b] = i
	}
	switch n.Op.(type) {
	case *op.View, *op.SliceLast, *op.Concat:
		for _, x := range n.In {
			if x.Const != nil || m.at[x].Buffer != m.at[v].Buffer {
				continue
			}
			for j, b := range m.offsets(x) {
				if i, ok := here[b]; ok {
					is[i] = m.is[x][j]
				}
			}
		}
	}
	return is
}

// overlap checks that an output lies on an input only where the operator may
// overwrite that, element by element.
func (m *memory) overlap(n *graph.Node) {
	switch n.Op.(type) {
	case *op.View, *op.SliceLast, *op.Concat:
		return
	}
	out := m.offsets(n.Out[0])
	set := map[int]bool{}
	for _, v := range n.Out {
		for _, b := range m.offsets(v) {
			set[b] = true
		}
	}
	for i, v := range n.In {
		if v == nil || v.Const != nil || !slices.ContainsFunc(m.offsets(v), func(b int) bool { return set[b] }) {
			continue
		}
		o, ok := n.Op.(op.InPlacer)
		if !ok || !slices.Contains(o.InPlace(), i) || !slices.Equal(out, m.offsets(v)) {
			m.t.Fatalf("%s writes over its input %q", n.Label(), v.Name)
		}
	}
}

func fresh(v *graph.Value) []element {
	es := make([]element, v.Type.Shape.Elems())
	for i := range es {
		es[i] = element{v, i}
	}
	return es
}

// offsets lists where the elements of a value lie.
func (m *memory) offsets(v *graph.Value) []int {
	p, shape := m.at[v], v.Type.Shape
	size, n := v.Type.DType.Size(), shape.Elems()
	pitch, row := 1, 1
	if len(shape) > 0 {
		row = max(shape[len(shape)-1], 1)
		pitch = row
	}
	if rows := n / row; rows > 1 {
		pitch = (p.End - p.Start - row*size) / size / (rows - 1)
	}
	out := make([]int, n)
	for i := range out {
		out[i] = p.Start + (i/row*pitch+i%row)*size
	}
	return out
}

func TestArenaOverTheLimit(t *testing.T) {
	b := optest.NewNet(13)
	x := b.Input("x", tensor.Float32, 1, 8, 200, 200)
	y := b.Node("Conv", nil, x, b.Weights(8, 8, 1, 1))
	g, err := pass.Compile(b.Output(b.Node("Conv", nil, y, b.Weights(1, 8, 1, 1))), pass.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = engine.New(g, engine.Options{MemoryLimit: 2 << 20})
	if !errors.Is(err, tensor.ErrMemory) || !strings.Contains(fmt.Sprint(err), "2 MiB") {
		t.Errorf("2.4 MiB of activations in 2 MiB: got %v", err)
	}
	s, err := engine.New(g, engine.Options{MemoryLimit: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if n := s.ArenaBytes(); n < 2560000 || n > 4<<20 {
		t.Errorf("the arena has %d bytes", n)
	}
}
