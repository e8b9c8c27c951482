package op_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/onnx"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

func netInts(name string, v ...int64) graph.Attr {
	return graph.Attr{Name: name, Kind: graph.AttrInts, Ints: v}
}

func netString(name, v string) graph.Attr {
	return graph.Attr{Name: name, Kind: graph.AttrString, String: v}
}

// TestNetRefuses checks that nodes which cannot be computed are refused by
// their builder or by Infer, with the right cause.
func TestNetRefuses(t *testing.T) {
	f := func(shape ...int) *tensor.Tensor { return tensor.New(tensor.Float32, shape...) }
	b := func(shape ...int) *tensor.Tensor { return tensor.New(tensor.Uint8, shape...) }
	sizes := func(v ...int64) *tensor.Tensor { return tensor.From(tensor.Int64, v, len(v)) }
	for _, c := range []struct {
		kind  string
		attrs graph.Attrs
		in    []*tensor.Tensor
		want  error
	}{
		{"Conv", graph.Attrs{netInts("pads", -1, 0, 0, 0)}, nil, op.ErrUnsupported},
		{"Conv", graph.Attrs{netInts("strides", 0, 1)}, nil, op.ErrUnsupported},
		{"Conv", graph.Attrs{netInts("strides", math.MaxInt64, 1)}, nil, op.ErrUnsupported},
		{"Conv", graph.Attrs{netString("auto_pad", "SAME")}, nil, op.ErrUnsupported},
		{"Conv", nil, []*tensor.Tensor{f(1, 3, 4, 4), f(2, 4, 1, 1)}, op.ErrShape},
		{"Conv", nil, []*tensor.Tensor{f(1, 3, 4, 4), f(2, 3, 5, 1)}, op.ErrShape},
		{"Conv", nil, []*tensor.Tensor{f(1, 3), f(2, 3)}, op.ErrShape},
		{"Conv", nil, []*tensor.Tensor{f(1, 3, 1, 1, 1, 1), f(2, 3, 1, 1, 1, 1)}, op.ErrUnsupported},
		{"Conv", nil, []*tensor.Tensor{b(1, 3, 4, 4), b(2, 3, 1, 1)}, op.ErrUnsupported},
		{"Conv", nil, []*tensor.Tensor{f(1, 3, 4, 4), f(2, 3, 1, 1), f(3)}, op.ErrShape},
		{"Conv", graph.Attrs{netInts("dilations", 1<<27, 1)}, []*tensor.Tensor{f(1, 3, 4, 4), f(2, 3, 2, 1)}, op.ErrShape},
		{"Conv", graph.Attrs{netInts("kernel_shape", 3, 3)}, []*tensor.Tensor{f(1, 3, 4, 4), f(2, 3, 2, 1)}, op.ErrShape},
		{"ConvTranspose", nil, []*tensor.Tensor{f(1, 3, 4, 4), f(2, 3, 1, 1)}, op.ErrShape},
		{"ConvTranspose", graph.Attrs{netInts("pads", 9, 9, 9, 9)}, []*tensor.Tensor{f(1, 3, 4, 4), f(3, 2, 1, 1)}, op.ErrShape},
		{"ConvTranspose", graph.Attrs{netInts("strides", 1<<28, 1<<28)}, []*tensor.Tensor{f(1, 3, 4, 4), f(3, 2, 1, 1)}, op.ErrShape},
		{"MaxPool", nil, nil, op.ErrUnsupported},
		{"MaxPool", graph.Attrs{netInts("kernel_shape", 2)}, []*tensor.Tensor{f(1, 3, 4, 4)}, op.ErrShape},
		{"AveragePool", graph.Attrs{netInts("kernel_shape", 2, 2)}, []*tensor.Tensor{b(1, 3, 4, 4)}, op.ErrUnsupported},
		{"LpPool", graph.Attrs{netInts("kernel_shape", 2, 2), {Name: "p", Kind: graph.AttrInt}}, nil, op.ErrUnsupported},
		{"GlobalMaxPool", nil, []*tensor.Tensor{f(1, 3, 0, 4)}, op.ErrShape},
		{"Resize", graph.Attrs{netString("mode", "area")}, nil, op.ErrUnsupported},
		{"Resize", nil, []*tensor.Tensor{f(1, 1, 4, 4)}, op.ErrShape},
		{"Resize", nil, []*tensor.Tensor{f(1, 1, 4, 4), nil, nil, sizes(1, 1, -1, 4)}, op.ErrShape},
		{"Resize", nil, []*tensor.Tensor{f(1, 1, 4, 4), nil, nil, sizes(1, 1, 4)}, op.ErrShape},
		{"Resize", nil, []*tensor.Tensor{f(1, 1, 4, 4), nil, f(4)}, op.ErrShape},
		{"GridSample", nil, []*tensor.Tensor{f(1, 1, 4, 4), f(1, 2, 2, 3)}, op.ErrShape},
		{"RoiAlign", nil, []*tensor.Tensor{f(1, 1, 4, 4), f(2, 5), sizes(0, 0)}, op.ErrShape},
		{"MatMul", nil, []*tensor.Tensor{f(2, 3), f(4, 5)}, op.ErrShape},
		{"MatMul", nil, []*tensor.Tensor{f(2, 2, 3), f(3, 3, 5)}, op.ErrShape},
		{"MatMul", nil, []*tensor.Tensor{f(), f(3)}, op.ErrShape},
		{"MatMul", nil, []*tensor.Tensor{b(2, 3), b(3, 5)}, op.ErrUnsupported},
		{"Gemm", nil, []*tensor.Tensor{f(2, 3), f(3, 5), f(4)}, op.ErrShape},
		{"Einsum", graph.Attrs{netString("equation", "ij,jk->iki")}, nil, op.ErrUnsupported},
		{"Einsum", graph.Attrs{netString("equation", "ij->z")}, nil, op.ErrShape},
		{"Einsum", graph.Attrs{netString("equation", "ij,jk")}, []*tensor.Tensor{f(2, 3), f(4, 5)}, op.ErrShape},
		{"Einsum", graph.Attrs{netString("equation", "ij,jk")}, []*tensor.Tensor{f(2, 3), f(3)}, op.ErrShape},
		{"QLinearConv", nil, []*tensor.Tensor{b(1, 1, 4, 4), f(1), b(1), b(1, 1, 1, 1), f(2), b(1), f(1), b(1)}, op.ErrShape},
		{"QLinearConv", nil, []*tensor.Tensor{b(1, 1, 4, 4), f(1), b(1), b(1, 1, 1, 1), f(1), f(1), f(1), b(1)}, op.ErrUnsupported},
		{"QLinearMatMul", nil, []*tensor.Tensor{b(2, 3), f(1), b(1), b(3, 4), f(3), b(1), f(1), b(1)}, op.ErrShape},
	} {
		t.Run(fmt.Sprint(c.kind, c.attrs, len(c.in)), func(t *testing.T) {
			o, err := op.Resolve(&graph.Node{Type: c.kind, Attrs: c.attrs}, 19)
			if err == nil {
				_, err = o.Infer(netValues(c.in))
			}
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

func netValues(in []*tensor.Tensor) []*graph.Value {
	vs := make([]*graph.Value, len(in))
	for i, x := range in {
		if x != nil {
			vs[i] = graph.NewConst("x", x)
		}
	}
	return vs
}

// TestNetDistorted distorts the attributes and inputs of the golden nodes at
// random: whatever Infer accepts must be computed.
func TestNetDistorted(t *testing.T) {
	paths, _ := filepath.Glob("testdata/*/*_*.onnx")
	r := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for _, path := range paths {
		g, err := onnx.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		n := g.Nodes[0]
		for range 10 {
			m := &graph.Node{Domain: n.Domain, Type: n.Type, Attrs: slices.Clone(n.Attrs)}
			var in []*tensor.Tensor
			for _, v := range n.In {
				if v == nil || r.IntN(20) == 0 {
					in = append(in, nil)
				} else {
					in = append(in, distorted(r, v.Const))
				}
			}
			for i := range m.Attrs {
				distort(r, &m.Attrs[i])
			}
			o, err := op.Resolve(m, g.Opset(n.Domain))
			if err != nil {
				continue
			}
			types, err := o.Infer(netValues(in))
			if err != nil {
				continue
			}
			var out []*tensor.Tensor
			for _, y := range types {
				if err := y.Shape.Check(y.DType, 1<<20); err != nil {
					types = nil
					break
				}
				out = append(out, tensor.New(y.DType, y.Shape...))
			}
			if types == nil {
				continue
			}
			accepted++
			if err := o.(op.Evaluator).Eval(in, out); err != nil && n.Type != "RoiAlign" {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	if accepted < 500 {
		t.Errorf("only %d distorted nodes were accepted", accepted)
	}
}

// distorted returns x, sometimes with other extents or contents.
func distorted(r *rand.Rand, x *tensor.Tensor) *tensor.Tensor {
	s := x.Shape.Clone()
	switch r.IntN(6) {
	case 0:
		if len(s) > 0 {
			s[r.IntN(len(s))] = r.IntN(5)
		}
	case 1:
		s = append(s, 1+r.IntN(2))
	case 2:
		y := x.Clone()
		for i := range y.Elems() {
			y.SetFloat(i, []float64{0, -1, 3, 1e9, math.NaN(), math.Inf(1)}[r.IntN(6)])
		}
		return y
	default:
		return x
	}
	return tensor.New(x.DType, s...)
}

// distort sometimes changes an attribute.
func distort(r *rand.Rand, a *graph.Attr) {
	numbers := []int64{-1, 0, 1, 2, 3, 7, 1 << 20, math.MaxInt64}
	switch {
	case r.IntN(4) > 0:
	case a.Kind == graph.AttrInts:
		a.Ints = slices.Clone(a.Ints)
		a.Ints[r.IntN(len(a.Ints))] = numbers[r.IntN(len(numbers))]
		if r.IntN(4) == 0 {
			a.Ints = append(a.Ints, 1)
		}
	case a.Kind == graph.AttrInt:
		a.Int = numbers[r.IntN(len(numbers))]
	case a.Kind == graph.AttrFloat:
		a.Float = []float32{0, -1, 1e20, float32(math.NaN())}[r.IntN(4)]
	}
}
