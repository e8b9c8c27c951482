package engine_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/onnx"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Limits for graphs that nobody checked.
const (
	wildConstant = 1 << 20
	wildArena    = 4 << 20
	wildMACs     = 1 << 25
)

// survive compiles and runs any portable graph within small limits. Errors are
// fine, panics are not, be they caught or not; nor is memory beyond what the
// limits allow. It returns how far it came.
func survive(t optest.Test, g *graph.Graph) error {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	panicked, err := attempt(g)
	runtime.ReadMemStats(&after)
	if panicked != "" {
		t.Fatalf("%s\n%s", panicked, text(g))
	}
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(16*wildArena+8*wildConstant*(len(g.Nodes)+len(g.Inputs)+1)); got > most {
		t.Fatalf("allocated %d bytes, more than %d\n%s", got, most, text(g))
	}
	return err
}

// attempt returns the text of a panic of a graph, and its error.
func attempt(g *graph.Graph) (panicked string, err error) {
	defer func() {
		if r := recover(); r != nil {
			buf := make([]byte, 4096)
			panicked = fmt.Sprintf("panic: %v\n%s", r, buf[:runtime.Stack(buf, false)])
		} else if err != nil && strings.Contains(err.Error(), "internal error") {
			panicked = err.Error()
		}
	}()
	lowered, err := pass.Compile(g, pass.Options{Limit: wildConstant})
	if err != nil || engine.MACs(lowered) > wildMACs {
		return "", err
	}
	s, err := engine.New(lowered, engine.Options{MemoryLimit: wildArena, Threads: 1})
	if err != nil {
		return "", err
	}
	for _, seed := range []uint64{0, 3} { // 3 is that of optest.Agree
		optest.Fill(s, seed)
		if e := s.Run(context.Background()); e != nil {
			err = e
		}
	}
	s.Profile()
	return "", err
}

// text prints a portable graph.
func text(g *graph.Graph) string {
	var b strings.Builder
	for _, v := range g.Inputs {
		b.WriteString("input " + v.Name + " " + v.Type.String() + "\n")
	}
	for _, n := range g.Nodes {
		for _, v := range n.Out {
			b.WriteString(name(v) + " ")
		}
		b.WriteString("= " + n.Domain + " " + n.Type + "(")
		for _, v := range n.In {
			b.WriteString(" " + name(v))
		}
		b.WriteString(" )")
		for _, a := range n.Attrs {
			b.WriteString(" " + attribute(a))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// FuzzModel reads bytes as a model, compiles it and runs it.
func FuzzModel(f *testing.F) {
	for _, g := range seeds() {
		data, err := onnx.Encode(g)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := onnx.Decode(data, onnx.Option{})
		if err != nil {
			return
		}
		_ = survive(t, g)
	})
}

// seeds are small nets that between them use what compilers and planners find
// hard.
func seeds() []*graph.Graph {
	var gs []*graph.Graph
	add := func(opset int, build func(b *optest.Net, x *graph.Value) *graph.Value) {
		b := optest.NewNet(opset)
		b.Graph.IRVersion = 8
		gs = append(gs, b.Output(build(b, b.Input("x", tensor.Float32, 1, 2, 4, 4))))
	}
	axis := func(a int64) graph.Attrs { return graph.Attrs{optest.AttrInt("axis", a)} }
	add(13, func(b *optest.Net, x *graph.Value) *graph.Value {
		y := b.Node("Conv", graph.Attrs{optest.AttrInts("pads", 1, 1, 1, 1)}, x, b.Weights(4, 2, 3, 3), b.Weights(4))
		y = b.Node("BatchNormalization", nil, y, b.Weights(4), b.Weights(4), b.Weights(4), b.Positive(4))
		y = b.Node("Mul", nil, y, b.Node("Sigmoid", nil, y))
		h := b.Nodes("Split", 2, axis(1), y)
		return b.Node("Concat", axis(1), b.Node("MaxPool", graph.Attrs{optest.AttrInts("kernel_shape", 3, 3), optest.AttrInts("pads", 1, 1, 1, 1)}, h[1]), h[0])
	})
	add(13, func(b *optest.Net, x *graph.Value) *graph.Value {
		y := b.Node("Reshape", nil, x, b.Ints(1, 2, 1, 4, 4))
		y = b.Node("Transpose", graph.Attrs{optest.AttrInts("perm", 0, 2, 1, 3, 4)}, y)
		y = b.Node("Reshape", nil, y, b.Ints(0, -1, 4, 4))
		y = b.Node("Slice", nil, y, b.Ints(3), b.Ints(-100), b.Ints(2), b.Ints(-2))
		y = b.Node("Pad", nil, y, b.Ints(0, 0, 1, 1, 0, 0, 1, 1), b.Scalar(1))
		return b.Node("Resize", graph.Attrs{optest.AttrString("mode", "linear")}, y, nil, b.Floats(1, 1, 2, 1.5))
	})
	add(13, func(b *optest.Net, x *graph.Value) *graph.Value {
		n := b.Node("Gather", nil, b.Node("Shape", nil, x), b.Int(0))
		y := b.Node("Reshape", nil, x, b.Node("Concat", axis(0), b.Node("Unsqueeze", nil, n, b.Ints(0)), b.Ints(-1)))
		y = b.Node("Gemm", graph.Attrs{optest.AttrInt("transB", 1)}, y, b.Weights(5, 32), b.Weights(5))
		y = b.Node("Where", nil, b.Node("Greater", nil, y, b.Scalar(0)), y, b.Node("Mul", nil, y, b.Scalar(.1)))
		return b.Node("Softmax", axis(-1), b.Node("Div", nil, b.Node("Mul", nil, y, b.Node("Clip", nil, b.Node("Add", nil, y, b.Scalar(3)), b.Scalar(0), b.Scalar(6))), b.Scalar(6)))
	})
	add(13, func(b *optest.Net, x *graph.Value) *graph.Value {
		at := b.Node("Transpose", nil, b.Node("NonZero", nil, b.Node("Relu", nil, x)))
		return b.Node("Unsqueeze", nil, b.Node("GatherND", nil, x, at), b.Ints(1))
	})
	add(11, func(b *optest.Net, x *graph.Value) *graph.Value {
		boxes, scores := b.Node("Reshape", nil, x, b.Ints(1, 8, 4)), b.Node("Reshape", nil, x, b.Ints(1, 4, 8))
		return b.Node("NonMaxSuppression", nil, boxes, scores, b.Ints(2), b.Floats(.5), b.Floats(0))
	})
	add(13, func(b *optest.Net, x *graph.Value) *graph.Value {
		zero := b.Const(tensor.New(tensor.Uint8))
		q := b.Node("QuantizeLinear", nil, x, b.Scalar(.1), zero)
		w := b.Const(tensor.From(tensor.Int8, []int8{1, -2, 3, 4, 5, -6}, 3, 2, 1, 1))
		y := b.Node("QLinearConv", nil, q, b.Scalar(.1), zero, w, b.Scalar(.2), b.Const(tensor.New(tensor.Int8)), b.Scalar(.3), zero)
		return b.Node("DequantizeLinear", nil, y, b.Scalar(.3), zero)
	})
	add(13, func(b *optest.Net, x *graph.Value) *graph.Value {
		scale, zero := b.Scalar(.05), b.Const(tensor.From(tensor.Uint8, []uint8{120}))
		coded := func(v *graph.Value) *graph.Value {
			return b.Node("DequantizeLinear", nil, b.Node("QuantizeLinear", nil, v, scale, zero), scale, zero)
		}
		weights := func(out, in, k int) *graph.Value {
			t := tensor.New(tensor.Int8, out, in, k, k)
			for i := range t.Data {
				t.Data[i] = byte(i * 77)
			}
			return b.Node("DequantizeLinear", axis(0), b.Const(t), b.Scalar(.01))
		}
		x = coded(x)
		y := coded(b.Node("Relu", nil, b.Node("Conv", graph.Attrs{optest.AttrInts("pads", 1, 1, 1, 1)}, x, weights(4, 2, 3), b.Weights(4))))
		y = coded(b.Node("Add", nil, y, coded(b.Node("Conv", graph.Attrs{optest.AttrInt("group", 4)}, y, weights(4, 1, 1)))))
		y = b.Node("Concat", axis(1), y, coded(b.Node("Mul", nil, x, coded(b.Node("Sigmoid", nil, x)))))
		return coded(b.Node("AveragePool", graph.Attrs{optest.AttrInts("kernel_shape", 2, 2)}, y))
	})
	add(13, func(b *optest.Net, x *graph.Value) *graph.Value {
		y := b.Node("ConvTranspose", graph.Attrs{optest.AttrInts("strides", 2, 2), optest.AttrInts("output_padding", 1, 1)}, x, b.Weights(2, 3, 3, 3))
		y = b.Node("DepthToSpace", graph.Attrs{optest.AttrInt("blocksize", 1)}, y)
		return b.Node("Einsum", graph.Attrs{optest.AttrString("equation", "nchw,ncvw->nhv")}, y, y)
	})
	return gs
}
