package op_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// counted returns a tensor whose bytes differ from their neighbours.
func counted(d tensor.DType, shape ...int) *tensor.Tensor {
	t := tensor.New(d, shape...)
	for i := range t.Data {
		t.Data[i] = byte(i*7 + i>>8)
	}
	return t
}

// pitched returns a copy of t with gaps of n elements between rows, filled
// with guard.
func pitched(t *tensor.Tensor, gap int, guard byte) *tensor.Tensor {
	if len(t.Shape) == 0 {
		return t.Clone()
	}
	last := t.Shape[len(t.Shape)-1]
	rows := 0
	if last > 0 {
		rows = t.Elems() / last
	}
	size := t.DType.Size()
	p := tensor.New(t.DType, rows*(last+gap))
	for i := range p.Data {
		p.Data[i] = guard
	}
	p.Shape, p.Pitch = t.Shape.Clone(), last+gap
	for r := range rows {
		copy(p.Data[r*(last+gap)*size:], t.Data[r*last*size:(r+1)*last*size])
	}
	return p
}

// bind infers the outputs of o on constant inputs and allocates them.
func bind(o graph.Op, outs int, in ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	values := make([]*graph.Value, len(in))
	for i, t := range in {
		if t != nil {
			values[i] = graph.NewConst(fmt.Sprint("in", i), t)
		}
	}
	names := make([]string, outs)
	for i := range names {
		names[i] = fmt.Sprint("out", i)
	}
	vs, err := new(graph.Graph).Add(o, graph.Node{Type: "test", In: values}, names...)
	out := make([]*tensor.Tensor, outs)
	for i, v := range vs {
		if err == nil {
			out[i] = tensor.New(v.Type.DType, v.Type.Shape...)
		}
	}
	return out, err
}

// checkPrepared compares the prepared steps of o with its Eval, with dense
// tensors and with every pitch that it accepts, and returns Eval's outputs.
func checkPrepared(t rapid.TB, o graph.Op, outs int, in ...*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	want, err := bind(o, outs, in...)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.(op.Evaluator).Eval(in, want); err != nil {
		t.Fatal(err)
	}
	pin, pout := false, false
	if p, ok := o.(op.Pitcher); ok {
		pin, pout = p.Pitched()
	}
	for mode := range 4 {
		if mode&1 != 0 && !pin || mode&2 != 0 && !pout {
			continue
		}
		const guard = 0xa5
		env := &op.Env{In: slices.Clone(in), Const: make([]bool, len(in)), Kernels: kernels.Best(), Threads: 2}
		for i := range in {
			env.Const[i] = i > 0
		}
		if mode&1 != 0 {
			for i, x := range in {
				// Lists stay dense: only data has rows.
				if _, all := o.(*op.Concat); all || i == 0 {
					env.In[i] = pitched(x, 3, guard)
				}
			}
		}
		for i := range want {
			blank := tensor.New(want[i].DType, want[i].Shape...)
			for j := range blank.Data {
				blank.Data[j] = guard
			}
			if mode&2 != 0 {
				blank = pitched(blank, 2, guard)
			}
			env.Out = append(env.Out, blank)
		}
		runSteps(t, o, env)
		for i, w := range want {
			if mode&2 != 0 {
				w = pitched(w, 2, guard)
			}
			if !bytes.Equal(env.Out[i].Data, w.Data) {
				t.Fatalf("%#v of %v: output %d differs from Eval (pitched in %v, out %v)", o, in[0].Type(), i, mode&1 != 0, mode&2 != 0)
			}
		}
	}
	return want
}

// runSteps runs the tiles of each step backwards, as their order is free.
func runSteps(t rapid.TB, o graph.Op, env *op.Env) {
	t.Helper()
	var handles []*op.Scratch
	env.Scratch = func(n int) *op.Scratch {
		handles = append(handles, &op.Scratch{Stride: (n + 63) &^ 63})
		return handles[len(handles)-1]
	}
	steps, err := o.(op.Preparer).Prepare(env)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range handles {
		h.Buf = tensor.New(tensor.Uint8, h.Stride*env.Threads).Data
	}
	if steps == nil {
		t.Fatalf("%T has no steps", o)
	}
	for _, s := range steps {
		for tile := s.Tiles - 1; tile >= 0; tile-- {
			s.Run(tile%env.Threads, tile)
		}
	}
}

var moveTypes = []tensor.DType{tensor.Uint8, tensor.Float16, tensor.Float32, tensor.Int64}

func drawShape(t *rapid.T, least, most int) []int {
	shape := rapid.SliceOfN(rapid.IntRange(1, 9), least, most).Draw(t, "shape")
	// Now and then an axis that is long, or empty.
	if len(shape) > 0 && rapid.Bool().Draw(t, "odd") {
		shape[rapid.IntRange(0, len(shape)-1).Draw(t, "axis")] = rapid.SampledFrom([]int{0, 1, 17, 40, 129}).Draw(t, "extent")
	}
	return shape
}

// TestStridedCopy compares the copy with its definition.
func TestStridedCopy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := drawShape(t, 0, 5)
		c := &op.StridedCopy{Shape: shape, Strides: make([]int, len(shape))}
		// Strides of a permuted box, some of them doubled, reversed or zero.
		next, reach := 1, 0
		for _, a := range rapid.Permutation(indices(len(shape))).Draw(t, "order") {
			kind := rapid.SampledFrom([]int{1, 1, 1, 1, 2, -1, 0}).Draw(t, "kind")
			c.Strides[a] = next * kind
			span := next * kind * (max(shape[a], 1) - 1)
			c.Offset += max(-span, 0)
			reach += max(span, -span)
			if kind != 0 {
				next += max(span, -span)
			}
			if next > 1<<20 {
				t.Skip("large")
			}
		}
		x := counted(rapid.SampledFrom(moveTypes).Draw(t, "type"), reach+1+rapid.IntRange(0, 3).Draw(t, "slack"))
		y := checkPrepared(t, c, 1, x)[0]
		size := x.DType.Size()
		at := make([]int, len(shape))
		for i := range y.Elems() {
			from := c.Offset
			for a := range at {
				from += at[a] * c.Strides[a]
			}
			if !bytes.Equal(y.Data[i*size:(i+1)*size], x.Data[from*size:(from+1)*size]) {
				t.Fatalf("element %v of %#v", at, c)
			}
			advance(at, shape)
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// advance moves a position to the next element in row-major order.
func advance(at, shape []int) {
	for a := len(at) - 1; a >= 0; a-- {
		if at[a]++; at[a] < shape[a] {
			return
		}
		at[a] = 0
	}
}

// TestTranspose compares with the definition and with the way back.
func TestTranspose(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := drawShape(t, 1, 5)
		perm := rapid.Permutation(indices(len(shape))).Draw(t, "perm")
		x := counted(rapid.SampledFrom(moveTypes).Draw(t, "type"), shape...)
		y := checkPrepared(t, &op.Transpose{Perm: perm}, 1, x)[0]
		back := make([]int, len(perm))
		for i, p := range perm {
			back[p] = i
			if y.Shape[i] != shape[p] {
				t.Fatalf("shape %v", y.Shape)
			}
		}
		at, strides, size := make([]int, len(shape)), x.Shape.Strides(), x.DType.Size()
		for i := range y.Elems() {
			from := 0
			for a, p := range perm {
				from += at[a] * strides[p]
			}
			if !bytes.Equal(y.Data[i*size:(i+1)*size], x.Data[from*size:(from+1)*size]) {
				t.Fatalf("element %v of %v by %v", at, shape, perm)
			}
			advance(at, y.Shape)
		}
		if z := checkPrepared(t, &op.Transpose{Perm: back}, 1, y)[0]; !bytes.Equal(z.Data, x.Data) {
			t.Fatal("there and back is not the identity")
		}
	})
}

func ints(v ...int64) *tensor.Tensor { return tensor.From(tensor.Int64, v, len(v)) }

// TestMovesPrepared compares the steps of the operators with their Eval, at
// sizes that take several tiles.
func TestMovesPrepared(t *testing.T) {
	f32 := func(shape ...int) *tensor.Tensor { return counted(tensor.Float32, shape...) }
	for _, c := range []struct {
		name string
		op   graph.Op
		outs int
		in   []*tensor.Tensor
	}{
		{"transpose", &op.Transpose{Perm: []int{0, 3, 1, 2}}, 1, []*tensor.Tensor{f32(2, 60, 70, 3)}},
		{"interleave", &op.Transpose{Perm: []int{0, 2, 1}}, 1, []*tensor.Tensor{f32(30, 2, 29)}},
		{"interleave long runs", &op.Transpose{Perm: []int{1, 0}}, 1, []*tensor.Tensor{f32(2, 30011)}},
		{"interleave bytes", &op.Transpose{Perm: []int{0, 2, 1}}, 1, []*tensor.Tensor{counted(tensor.Uint8, 30, 2, 29)}},
		{"every other", &op.StridedCopy{Shape: []int{40, 24}, Strides: []int{48, 2}, Offset: 1}, 1, []*tensor.Tensor{f32(40, 48)}},
		{"every other of few", &op.StridedCopy{Shape: []int{40, 5}, Strides: []int{10, 2}}, 1, []*tensor.Tensor{f32(40, 10)}},
		{"every other of many", &op.StridedCopy{Shape: []int{2, 40001}, Strides: []int{80002, 2}, Offset: 1}, 1, []*tensor.Tensor{f32(2, 80002)}},
		{"take pairs apart", &op.Transpose{Perm: []int{1, 0}}, 1, []*tensor.Tensor{f32(30011, 2)}},
		{"take short pairs apart", &op.Transpose{Perm: []int{0, 2, 1}}, 1, []*tensor.Tensor{counted(tensor.Int64, 9, 21, 2)}},
		{"transpose bytes", &op.Transpose{Perm: []int{0, 2, 3, 1}}, 1, []*tensor.Tensor{counted(tensor.Uint8, 1, 35, 61, 67)}},
		{"slice", &op.Slice{}, 1, []*tensor.Tensor{f32(3, 64, 301), ints(2, 300), ints(60, -400), ints(1, 2), ints(1, -2)}},
		{"old slice", &op.Slice{Starts: []int{1}, Ends: []int{-1}, Axes: []int{1}}, 1, []*tensor.Tensor{f32(3, 64, 301)}},
		{"split", &op.Split{Axis: -1, Parts: 3}, 3, []*tensor.Tensor{f32(5, 90, 100)}},
		{"split sizes", &op.Split{Axis: 0, Parts: 3}, 3, []*tensor.Tensor{f32(5, 90, 100), ints(1, 0, 4)}},
		{"concat last", &op.Concat{Axis: -1}, 1, []*tensor.Tensor{f32(40, 50, 16), f32(40, 50, 0), f32(40, 50, 24)}},
		{"concat first", &op.Concat{Axis: 0}, 1, []*tensor.Tensor{f32(2, 50, 160), f32(1, 50, 160)}},
		{"expand", &op.Expand{}, 1, []*tensor.Tensor{f32(40, 1, 7), ints(3, 1, 90, 1)}},
		{"tile", &op.Tile{}, 1, []*tensor.Tensor{f32(40, 3, 7), ints(2, 5, 9)}},
		{"pad", &op.Pad{}, 1, []*tensor.Tensor{f32(3, 64, 90), ints(1, 2, -3, 0, 3, 5), f32()}},
		{"pad reflect", &op.Pad{Mode: op.PadReflect}, 1, []*tensor.Tensor{f32(3, 64, 90), ints(2, 70, -3, 1, 3, 5)}},
		{"pad edge", &op.Pad{Mode: op.PadEdge}, 1, []*tensor.Tensor{f32(3, 64, 90), ints(2, 5, 4, 5), nil, ints(-1, 0)}},
		{"pad wrap", &op.Pad{Mode: op.PadWrap}, 1, []*tensor.Tensor{f32(3, 64, 90), ints(5, 70, 0, 1, 3, 5)}},
		{"centre", &op.CenterCropPad{Axes: []int{0, 2}}, 1, []*tensor.Tensor{f32(3, 64, 90), ints(6, 81)}},
		{"depth to space", &op.DepthToSpace{Block: 2}, 1, []*tensor.Tensor{f32(2, 12, 30, 31)}},
		{"depth to space crd", &op.DepthToSpace{Block: 2, CRD: true}, 1, []*tensor.Tensor{f32(2, 12, 30, 31)}},
		{"space to depth", &op.SpaceToDepth{Block: 2}, 1, []*tensor.Tensor{f32(2, 3, 60, 62)}},
		{"space to depth crd", &op.SpaceToDepth{Block: 2, CRD: true}, 1, []*tensor.Tensor{f32(2, 3, 60, 62)}},
		{"reshape", &op.Reshape{}, 1, []*tensor.Tensor{f32(20, 30, 90), ints(0, -1)}},
		{"topk", &op.TopK{Axis: 1, K: -1, Largest: true}, 2, []*tensor.Tensor{f32(20, 70, 30), ints(9)}},
		{"nms", &op.NonMaxSuppression{}, 1, []*tensor.Tensor{counted(tensor.Float32, 2, 30, 4), f32(2, 3, 30), ints(4)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "nms" {
				for i := range c.in[0].F32() {
					c.in[0].F32()[i] = float32(i*i%37) / 37
				}
				for i := range c.in[1].F32() {
					c.in[1].F32()[i] = float32(i*i%41) / 41
				}
				want, err := bind(c.op, 1, c.in...)
				if err != nil {
					t.Fatal(err)
				}
				got, _ := bind(c.op, 1, c.in...)
				if err := c.op.(op.Evaluator).Eval(c.in, want); err != nil {
					t.Fatal(err)
				}
				runSteps(t, c.op, &op.Env{In: c.in, Out: got, Const: make([]bool, 3), Kernels: kernels.Best(), Threads: 1})
				if !got[0].Shape.Equal(want[0].Shape) || !bytes.Equal(got[0].Bytes(), want[0].Bytes()) {
					t.Fatalf("got %v %v, want %v %v", got[0].Shape, got[0].I64(), want[0].Shape, want[0].I64())
				}
				return
			}
			checkPrepared(t, c.op, c.outs, c.in...)
		})
	}
}

// TestMovesDoNotAllocate holds Eval and steps of the common operators to no
// allocation.
func TestMovesDoNotAllocate(t *testing.T) {
	f32 := func(shape ...int) *tensor.Tensor { return counted(tensor.Float32, shape...) }
	x := f32(1, 8, 9, 12)
	for _, c := range []struct {
		op   graph.Op
		outs int
		in   []*tensor.Tensor
	}{
		{&op.StridedCopy{Shape: []int{12, 9}, Strides: []int{1, 12}}, 1, []*tensor.Tensor{x}},
		{&op.Transpose{Perm: []int{0, 2, 3, 1}}, 1, []*tensor.Tensor{x}},
		{&op.Transpose{Perm: []int{0, 2, 3, 1}}, 1, []*tensor.Tensor{counted(tensor.Uint8, 1, 8, 9, 12)}},
		{&op.Slice{}, 1, []*tensor.Tensor{x, ints(1), ints(-1), ints(2), ints(2)}},
		{&op.Split{Axis: 1, Parts: 2}, 2, []*tensor.Tensor{x}},
		{&op.Concat{Axis: 1}, 1, []*tensor.Tensor{x, x}},
		{&op.Expand{}, 1, []*tensor.Tensor{f32(8, 1), ints(8, 5)}},
		{&op.Tile{}, 1, []*tensor.Tensor{x, ints(1, 2, 1, 2)}},
		{&op.Pad{}, 1, []*tensor.Tensor{x, ints(0, 0, 1, 1, 0, 0, 1, 1)}},
		{&op.Pad{Mode: op.PadReflect}, 1, []*tensor.Tensor{x, ints(0, 0, 1, 1, 0, 0, 1, 1)}},
		{&op.Reshape{}, 1, []*tensor.Tensor{x, ints(-1)}},
		{&op.Gather{Axis: 1}, 1, []*tensor.Tensor{x, ints(0, -1)}},
		{&op.GatherElements{}, 1, []*tensor.Tensor{f32(3, 2), tensor.From(tensor.Int64, []int64{1, 2}, 1, 2)}},
		{&op.ScatterElements{}, 1, []*tensor.Tensor{f32(3, 2), tensor.From(tensor.Int64, []int64{1, 2}, 1, 2), f32(1, 2)}},
		{&op.GatherND{}, 1, []*tensor.Tensor{f32(3, 2), tensor.From(tensor.Int64, []int64{1}, 1, 1)}},
		{&op.NonZero{}, 1, []*tensor.Tensor{x}},
		{&op.Range{}, 1, []*tensor.Tensor{tensor.From(tensor.Int64, []int64{1}), tensor.From(tensor.Int64, []int64{9}), tensor.From(tensor.Int64, []int64{2})}},
		{&op.DepthToSpace{Block: 2}, 1, []*tensor.Tensor{x}},
	} {
		out, err := bind(c.op, c.outs, c.in...)
		if err != nil {
			t.Fatal(err)
		}
		e := c.op.(op.Evaluator)
		if n := testing.AllocsPerRun(10, func() {
			if err := e.Eval(c.in, out); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("Eval of %T allocates %v times", c.op, n)
		}
		p, ok := c.op.(op.Preparer)
		if !ok {
			continue
		}
		env := &op.Env{In: c.in, Out: out, Const: []bool{false, true, true, true, true}[:len(c.in)], Kernels: kernels.Ref(), Threads: 1}
		steps, err := p.Prepare(env)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if n := testing.AllocsPerRun(10, func() { s.Run(0, s.Tiles-1) }); n != 0 {
				t.Errorf("a step of %T allocates %v times", c.op, n)
			}
		}
	}
}
