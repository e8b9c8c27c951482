package pass_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// relus feeds every input through a Relu, so that it is used.
func relus(b *optest.Net) *graph.Graph {
	for _, v := range slices.Clone(b.Graph.Inputs) {
		b.Output(b.Node("Relu", nil, v))
	}
	return b.Graph
}

func TestInputShapes(t *testing.T) {
	one := func(dims ...any) func(b *optest.Net) { return func(b *optest.Net) { b.Symbols("x", dims...) } }
	two := func(x, y []any) func(b *optest.Net) {
		return func(b *optest.Net) { b.Symbols("x", x...); b.Symbols("y", y...) }
	}
	image, mask := []any{"N", 3, "H", "W"}, []any{"N", 1, "H", "W"}
	untyped := func(b *optest.Net) { b.Symbols("x").Untyped = true }
	shape := func(s ...int) map[string][]int { return map[string][]int{"x": s} }
	for _, c := range []struct {
		name    string
		declare func(b *optest.Net)
		shapes  map[string][]int
		want    string // shapes of the inputs, or parts of the error text
	}{
		{"fixed", one(1, 3, 8, 9), nil, "1x3x8x9"},
		{"batch is one", one("N", 3, 8, 9), nil, "1x3x8x9"},
		{"nameless batch is one", one("", 3, 8, 9), nil, "1x3x8x9"},
		{"given batch", one("N", 3, 8, 9), shape(4, 3, 8, 9), "4x3x8x9"},
		{"given size", one("N", 3, "H", "W"), shape(1, 3, 32, 48), "1x3x32x48"},
		{"no elements", one("N", 3), shape(0, 3), "0x3"},
		{"scalar", one(), nil, "scalar"},
		{"no rank declared", untyped, shape(2, 5), "2x5"},
		{"symbol twice", one("N", "S", "S"), shape(1, 7, 7), "1x7x7"},
		{"symbol of another input", two(image, mask), shape(2, 3, 6, 5), "2x3x6x5 2x1x6x5"},
		{"symbol of a later input", two(mask, image), map[string][]int{"y": {2, 3, 6, 5}}, "2x1x6x5 2x3x6x5"},
		{"shape of another input alone", two(mask, image), map[string][]int{"y": {2, 3, 6, 5}, "x": {2, 1, 6, 5}}, "2x1x6x5 2x3x6x5"},

		{"missing size", one("N", 3, "H", "W"), nil, `error: input "x" is float32[Nx3xHxW]: give its size, as in --shape x=`},
		{"missing nameless size", one(1, 3, "", 4), nil, `error: float32[1x3x?x4]`},
		{"no rank, no shape", untyped, nil, `error: declares no shape`},
		{"wrong rank", one("N", 3, 8, 9), shape(3, 8, 9), `error: input "x" of shape 3x8x9, the model wants float32[Nx3x8x9]`},
		{"fixed extent", one("N", 3, 8, 9), shape(1, 4, 8, 9), `error: input "x" of shape 1x4x8x9, the model wants float32[Nx3x8x9]`},
		{"negative", one("N", 3), shape(-1, 3), "error: negative extent"},
		{"symbol in conflict", one("N", "S", "S"), shape(1, 7, 8), "error: extent S is 8 here and 7 elsewhere"},
		{"symbol in conflict with another input", two(image, mask), map[string][]int{"x": {1, 3, 6, 5}, "y": {1, 1, 6, 4}}, "error: extent W is 4 here and 5 elsewhere"},
		{"unknown name", one("N", 3, 8, 9), map[string][]int{"image": {1, 3, 8, 9}}, `error: shape for "image": the model has no such input, it has "x" float32[Nx3x8x9]`},
		{"huge", one("N", 3), shape(math.MaxInt/16, 3), "error: takes more than the limit"},
		{"overflow", one("N", "M"), shape(math.MaxInt, math.MaxInt), "error: takes more than the limit"},
		{"rank nine", one(1, 1, 1, 1, 1, 1, 1, 1, 1), nil, "error: rank 9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := optest.NewNet(13)
			c.declare(b)
			bound, err := pass.Bind(relus(b), pass.Options{Shapes: c.shapes})
			if text, wanted := strings.CutPrefix(c.want, "error: "); wanted {
				if !errors.Is(err, pass.ErrInput) || !strings.Contains(err.Error(), text) {
					t.Fatalf("got error %v, want %q", err, text)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range bound.Inputs {
				got = append(got, v.Type.Shape.String())
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("inputs are %s, want %s", s, c.want)
			}
		})
	}
}

func TestInputValues(t *testing.T) {
	b := optest.NewNet(13)
	b.Symbols("x", "N", 2)
	g := relus(b)
	bound, err := pass.Bind(g, pass.Options{Values: map[string]*tensor.Tensor{"x": tensor.New(tensor.Float32, 3, 2)}})
	if err != nil || bound.Inputs[0].Type.Shape.String() != "3x2" {
		t.Errorf("a value fixes the shape of its input: got %v, %v", bound, err)
	}
	_, err = pass.Bind(g, pass.Options{Values: map[string]*tensor.Tensor{"x": tensor.New(tensor.Uint8, 3, 2)}})
	if !errors.Is(err, pass.ErrInput) || !strings.Contains(fmt.Sprint(err), `input "x" is uint8[3x2], the model wants float32[Nx2]`) {
		t.Errorf("a value of another type: got %v", err)
	}
	_, err = pass.Bind(g, pass.Options{Shapes: map[string][]int{"x": {4, 2}}, Values: map[string]*tensor.Tensor{"x": tensor.New(tensor.Float32, 3, 2)}})
	if !errors.Is(err, pass.ErrInput) {
		t.Errorf("a value and another shape: got %v", err)
	}
}

// overridable declares a weight that is an input, too.
func overridable(b *optest.Net, name string, t *tensor.Tensor) *graph.Value {
	v := b.Const(t)
	v.Name = name
	b.Graph.Inputs = append(b.Graph.Inputs, v)
	return v
}

func TestOverridableInitializers(t *testing.T) {
	b := optest.NewNet(13)
	x := b.Input("x", tensor.Float32, 3)
	w := overridable(b, "w", tensor.From(tensor.Float32, []float32{1, 2, 3}, 3))
	g := b.Output(b.Node("Mul", nil, x, w))
	for _, c := range []struct {
		value *tensor.Tensor
		want  []float32
	}{
		{nil, []float32{2, 4, 6}},
		{tensor.From(tensor.Float32, []float32{5, 6, 7}, 3), []float32{10, 12, 14}},
	} {
		o := pass.Options{}
		if c.value != nil {
			o.Values = map[string]*tensor.Tensor{"w": c.value}
		}
		bound, err := pass.Bind(g, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(bound.Inputs) != 1 {
			t.Errorf("%d inputs are left, want x alone", len(bound.Inputs))
		}
		got, err := optest.Reference(bound, map[string]*tensor.Tensor{"x": tensor.From(tensor.Float32, []float32{2, 2, 2}, 3)})
		if err != nil {
			t.Fatal(err)
		}
		if y := got[bound.Outputs[0].Name].F32(); !slices.Equal(y, c.want) {
			t.Errorf("got %v, want %v", y, c.want)
		}
	}
	for _, bad := range []*tensor.Tensor{tensor.New(tensor.Float64, 3), tensor.New(tensor.Float32, 4)} {
		if _, err := pass.Bind(g, pass.Options{Values: map[string]*tensor.Tensor{"w": bad}}); !errors.Is(err, pass.ErrInput) || !strings.Contains(err.Error(), `"w"`) {
			t.Errorf("%v for an initializer of %v: got %v", bad.Type(), w.Type, err)
		}
	}
}

// TestPlanInputs gives the contents of inputs that decide a shape.
func TestPlanInputs(t *testing.T) {
	ints := func(v ...int64) *tensor.Tensor { return tensor.From(tensor.Int64, v, len(v)) }
	for _, c := range []struct {
		name  string
		value *tensor.Tensor // of input s
		build func(b *optest.Net, x, s *graph.Value) *graph.Value
		want  string
	}{
		{"Reshape", ints(3, -1), func(b *optest.Net, x, s *graph.Value) *graph.Value { return b.Node("Reshape", nil, x, s) }, "3x8"},
		{"Expand", ints(2, 1, 4, 6), func(b *optest.Net, x, s *graph.Value) *graph.Value { return b.Node("Expand", nil, x, s) }, "2x1x4x6"},
		{"Tile", ints(1, 2, 1, 3), func(b *optest.Net, x, s *graph.Value) *graph.Value { return b.Node("Tile", nil, x, s) }, "1x2x4x18"},
		{"Slice", ints(1), func(b *optest.Net, x, s *graph.Value) *graph.Value {
			return b.Node("Slice", nil, x, s, b.Ints(3), b.Ints(2))
		}, "1x1x2x6"},
		{"Resize by scales", tensor.From(tensor.Float32, []float32{1, 1, 2, .5}, 4), func(b *optest.Net, x, s *graph.Value) *graph.Value {
			return b.Node("Resize", nil, x, nil, s)
		}, "1x1x8x3"},
		{"through Cast", tensor.From(tensor.Int32, []int32{4, 6}, 2), func(b *optest.Net, x, s *graph.Value) *graph.Value {
			return b.Node("Reshape", nil, x, b.Node("Cast", graph.Attrs{optest.AttrInt("to", 7)}, s))
		}, "4x6"},
		{"through Concat", ints(6), func(b *optest.Net, x, s *graph.Value) *graph.Value {
			return b.Node("Reshape", nil, x, b.Node("Concat", graph.Attrs{optest.AttrInt("axis", 0)}, b.Ints(4), s))
		}, "4x6"},
		{"through Gather and Mul", ints(2, 9), func(b *optest.Net, x, s *graph.Value) *graph.Value {
			d := b.Node("Mul", nil, b.Node("Gather", nil, s, b.Ints(0)), b.Ints(4))
			return b.Node("Reshape", nil, x, b.Node("Concat", graph.Attrs{optest.AttrInt("axis", 0)}, d, b.Ints(-1)))
		}, "8x3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := optest.NewNet(13)
			x := b.Input("x", tensor.Float32, 1, 1, 4, 6)
			s := b.Input("s", c.value.DType, c.value.Shape...)
			g := b.Output(c.build(b, x, s))
			if _, err := pass.Bind(g, pass.Options{}); !errors.Is(err, op.ErrNeedValue) || !strings.Contains(err.Error(), "give the values of the inputs") {
				t.Errorf("without the value: got %v", err)
			}
			lowered := optest.Agree(t, g, pass.Options{Values: map[string]*tensor.Tensor{"s": c.value}})
			if got := lowered.Outputs[0].Type.Shape.String(); got != c.want {
				t.Errorf("output is %s, want %s", got, c.want)
			}
			if len(lowered.Inputs) != 2 || lowered.Inputs[0].Bound != nil || lowered.Inputs[1].Bound == nil {
				t.Error("s is not marked as part of the plan, or x is")
			}
		})
	}
}

// TestShapeSoup folds the arithmetic on shapes that exporters write until
// nothing is left of it.
func TestShapeSoup(t *testing.T) {
	axis0 := graph.Attrs{optest.AttrInt("axis", 0)}
	for _, c := range []struct {
		name  string
		build func(b *optest.Net, x *graph.Value) *graph.Value
		want  string // the lowered operators
		shape string
	}{
		{"flatten as PyTorch writes it", func(b *optest.Net, x *graph.Value) *graph.Value {
			n := b.Node("Unsqueeze", nil, b.Node("Gather", axis0, b.Node("Shape", nil, x), b.Int(0)), b.Ints(0))
			return b.Node("Reshape", nil, b.Node("Relu", nil, x), b.Node("Concat", axis0, n, b.Ints(-1)))
		}, "Relu View", "2x192"},
		{"upsample to the size of another value", func(b *optest.Net, x *graph.Value) *graph.Value {
			small := b.Node("MaxPool", graph.Attrs{optest.AttrInts("kernel_shape", 2, 2), optest.AttrInts("strides", 2, 2)}, x)
			hw := b.Node("Slice", nil, b.Node("Shape", nil, x), b.Ints(2), b.Ints(4), b.Ints(0))
			nc := b.Node("Slice", nil, b.Node("Shape", nil, small), b.Ints(0), b.Ints(2), b.Ints(0))
			return b.Node("Resize", nil, small, nil, nil, b.Node("Concat", axis0, nc, b.Node("Cast", graph.Attrs{optest.AttrInt("to", 7)}, hw)))
		}, "move Pool Resize move", "2x3x8x8"},
		{"ConstantOfShape and Where in front of Expand", func(b *optest.Net, x *graph.Value) *graph.Value {
			want := b.Ints(-1, 3, 8, 8)
			ones := b.Node("ConstantOfShape", graph.Attrs{{Name: "value", Kind: graph.AttrTensor, Tensor: tensor.From(tensor.Int64, []int64{1}, 1)}}, b.Node("Shape", nil, want))
			to := b.Node("Where", nil, b.Node("Equal", nil, want, b.Node("Mul", nil, ones, b.Ints(-1))), ones, want)
			return b.Node("Relu", nil, b.Node("Expand", nil, x, to))
		}, "Expand Relu", "2x3x8x8"},
		{"SAME padding as EfficientNet-lite computes it", func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Conv", graph.Attrs{optest.AttrInts("strides", 2, 2)}, b.Node("Pad", nil, x, samePads(b, x, 3, 2)), b.Weights(5, 3, 3, 3))
		}, "Conv move", "2x5x4x4"},
		{"Range over a length", func(b *optest.Net, x *graph.Value) *graph.Value {
			w := b.Node("Gather", axis0, b.Node("Shape", nil, x), b.Int(3))
			r := b.Node("Range", nil, b.Int(0), w, b.Int(1))
			return b.Node("Add", nil, x, b.Node("Cast", graph.Attrs{optest.AttrInt("to", 1)}, r))
		}, "Add", "2x3x8x8"},
		{"Size", func(b *optest.Net, x *graph.Value) *graph.Value {
			return b.Node("Reshape", nil, x, b.Node("Unsqueeze", nil, b.Node("Size", nil, x), b.Ints(0)))
		}, "View", "384"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := optest.NewNet(13)
			x := b.Symbols("x", "N", 3, "H", "W")
			lowered := optest.Agree(t, b.Output(c.build(b, x)), pass.Options{Shapes: map[string][]int{"x": {2, 3, 8, 8}}})
			if got := describe(lowered); got != c.want {
				t.Errorf("lowered to %q, want %q", got, c.want)
			}
			if got := lowered.Outputs[0].Type.Shape.String(); got != c.shape {
				t.Errorf("output is %s, want %s", got, c.shape)
			}
		})
	}
}

// samePads computes max((ceil(size/stride)-1)*stride + kernel - size, 0) for
// both axes, in floating point, and writes half in front and the rest behind.
func samePads(b *optest.Net, x *graph.Value, kernel, stride int64) *graph.Value {
	to := func(v *graph.Value, dtype int64) *graph.Value {
		return b.Node("Cast", graph.Attrs{optest.AttrInt("to", dtype)}, v)
	}
	var front, back []*graph.Value
	for axis := range int64(2) {
		size := b.Node("Gather", nil, b.Node("Shape", nil, x), b.Int(2+axis))
		out := to(b.Node("Ceil", nil, b.Node("Div", nil, to(size, 1), b.Scalar(float32(stride)))), 7)
		need := b.Node("Sub", nil, b.Node("Add", nil, b.Node("Mul", nil, b.Node("Sub", nil, out, b.Int(1)), b.Int(stride)), b.Int(kernel)), size)
		need = b.Node("Max", nil, need, b.Int(0))
		half := to(b.Node("Floor", nil, b.Node("Div", nil, to(need, 1), b.Scalar(2))), 7)
		front = append(front, b.Node("Unsqueeze", nil, half, b.Ints(0)))
		back = append(back, b.Node("Unsqueeze", nil, b.Node("Sub", nil, need, half), b.Ints(0)))
	}
	zero := b.Ints(0, 0)
	parts := append(append([]*graph.Value{zero}, front...), append([]*graph.Value{zero}, back...)...)
	return b.Node("Concat", graph.Attrs{optest.AttrInt("axis", 0)}, parts...)
}

func TestConstantsOverTheLimit(t *testing.T) {
	for name, build := range map[string]func(b *optest.Net) *graph.Value{
		"ConstantOfShape": func(b *optest.Net) *graph.Value { return b.Node("ConstantOfShape", nil, b.Ints(1024, 512)) },
		"Expand":          func(b *optest.Net) *graph.Value { return b.Node("Expand", nil, b.Scalar(1), b.Ints(1024, 512)) },
		"Tile":            func(b *optest.Net) *graph.Value { return b.Node("Tile", nil, b.Floats(1, 2), b.Ints(1<<18)) },
		"beyond an int":   func(b *optest.Net) *graph.Value { return b.Node("Expand", nil, b.Scalar(1), b.Ints(1<<40, 1<<40)) },
	} {
		b := optest.NewNet(13)
		x := b.Input("x", tensor.Float32, 1)
		y := b.Node("ReduceSum", graph.Attrs{optest.AttrInt("keepdims", 0)}, build(b))
		g := b.Output(b.Node("Add", nil, x, y))
		node := g.Nodes[0].Label()
		_, err := pass.Bind(g, pass.Options{Limit: 1 << 20})
		if !errors.Is(err, tensor.ErrMemory) || !strings.Contains(fmt.Sprint(err), node) {
			t.Errorf("%s: got %v, want an error that wraps ErrMemory and names %s", name, err, node)
		}
	}
}

// TestConstantsTogether folds many constants, each well below the limit.
func TestConstantsTogether(t *testing.T) {
	b := optest.NewNet(13)
	sum := b.Input("x", tensor.Float32, 1)
	for range 8 {
		large := b.Node("ConstantOfShape", nil, b.Ints(50_000)) // 200 kB
		sum = b.Node("Add", nil, sum, b.Node("ReduceSum", nil, large))
	}
	g := b.Output(sum)
	if _, err := pass.Bind(g, pass.Options{Limit: 1 << 20}); !errors.Is(err, tensor.ErrMemory) {
		t.Errorf("got %v, want an error that wraps ErrMemory", err)
	}
	if _, err := pass.Bind(g, pass.Options{Limit: 2 << 20}); err != nil {
		t.Error(err)
	}
}

func TestUnsupported(t *testing.T) {
	b := optest.NewNet(13)
	x := b.Input("x", tensor.Float32, 4)
	y := b.Node("FrobNicate", nil, b.Node("Relu", nil, x))
	z := b.Node("Loop", nil, y)
	b.Graph.Nodes[2].Domain = "my.domain"
	g := b.Output(z, b.Node("If", nil, y))
	_, err := pass.Bind(g, pass.Options{})
	var u *pass.UnsupportedError
	if !errors.As(err, &u) || !errors.Is(err, op.ErrUnsupported) {
		t.Fatalf("got %v, want an UnsupportedError", err)
	}
	var ops []string
	for _, p := range u.Problems {
		ops = append(ops, p.Op)
		if !strings.Contains(err.Error(), p.Node) {
			t.Errorf("the text does not name node %s: %v", p.Node, err)
		}
	}
	if want := []string{"FrobNicate", "my.domain.Loop", "If"}; !slices.Equal(ops, want) {
		t.Errorf("got %v, want %v", ops, want)
	}
	if !strings.Contains(err.Error(), "fixed shapes") {
		t.Errorf("no hint for If: %v", err)
	}
}

func TestNaNWeights(t *testing.T) {
	nan := float32(math.NaN())
	b := optest.NewNet(13)
	x := b.Input("x", tensor.Float32, 1, 2, 3, 3)
	w := b.Weights(2, 2, 1, 1)
	w.Const.F32()[0] = nan
	y := b.Node("Conv", nil, x, w)
	g := b.Output(b.Node("Relu", nil, b.Node("Mul", nil, y, b.Const(tensor.From(tensor.Float32, []float32{nan, 2}, 2, 1, 1)))))
	lowered := optest.Agree(t, g, pass.Options{}) // which counts NaN equal to NaN
	if got := describe(lowered); got != "move Conv Mul>Relu move" {
		t.Errorf("lowered to %q: a scale that is not finite is not folded", got)
	}
}

// TestOutputsKeepTheirNames has outputs that are inputs, constants, the same
// value twice, and values that a rule would take away.
func TestOutputsKeepTheirNames(t *testing.T) {
	b := optest.NewNet(13)
	x := b.Input("x", tensor.Float32, 1, 8, 3, 3)
	c := conv(b, x, 8, 4)
	r := b.Node("Relu", nil, c)
	same := b.Node("Identity", nil, r)
	twice := b.Node("Dropout", nil, r)
	folded := b.Node("Add", nil, b.Scalar(1), b.Scalar(2))
	alias := b.Node("Identity", nil, x)
	flat := b.Node("Flatten", nil, r)
	g := b.Output(x, b.Weights(3), c, r, same, twice, folded, alias, flat, b.Node("Flatten", nil, x))
	lowered := optest.Agree(t, g, pass.Options{})
	for i, v := range lowered.Outputs {
		if v.Name != g.Outputs[i].Name {
			t.Errorf("output %d is called %q, want %q", i, v.Name, g.Outputs[i].Name)
		}
	}
}

// Nodes that no output needs are left out, and may even be wrong.
func TestDeadNodes(t *testing.T) {
	b := optest.NewNet(13)
	x := b.Input("x", tensor.Float32, 1, 3)
	b.Node("Conv", nil, x, b.Weights(2, 2))
	bound, err := pass.Bind(b.Output(b.Node("Relu", nil, x)), pass.Options{})
	if err != nil || len(bound.Nodes) != 1 {
		t.Errorf("got %v, %v, want the Relu alone", bound, err)
	}
}

// Values that nothing computes are named.
func TestMissingValues(t *testing.T) {
	b := optest.NewNet(13)
	x := b.Input("x", tensor.Float32, 1, 3)
	ghost := &graph.Value{Name: "ghost"}
	if _, err := pass.Bind(b.Output(b.Node("Add", nil, x, ghost)), pass.Options{}); err == nil || !strings.Contains(err.Error(), `"ghost"`) {
		t.Errorf("an input that nothing computes: got %v", err)
	}
	b = optest.NewNet(13)
	b.Input("x", tensor.Float32, 1, 3)
	if _, err := pass.Bind(b.Output(ghost), pass.Options{}); err == nil || !strings.Contains(err.Error(), `"ghost"`) {
		t.Errorf("an output that nothing computes: got %v", err)
	}
}

// A graph that no decoder makes does not take the process down.
func TestCompileRecovers(t *testing.T) {
	_, err := pass.Compile(&graph.Graph{Outputs: []*graph.Value{nil}}, pass.Options{})
	if err == nil || !strings.Contains(err.Error(), "internal error while compiling") {
		t.Errorf("an output that is nil: got %v", err)
	}
}
