package op_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/onnx"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// golden is a node with its inputs and the outputs of ONNX Runtime.
type golden struct {
	op       graph.Op
	in, want []*tensor.Tensor
}

// goldenCases reads the files that testdata/gen/net_ops.py makes.
func goldenCases(t *testing.T) map[string]golden {
	t.Helper()
	paths, _ := filepath.Glob("testdata/*/*_*.onnx")
	cases := map[string]golden{}
	for _, path := range paths {
		g, err := onnx.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		n := g.Nodes[0]
		c := golden{}
		if c.op, err = op.Resolve(n, g.Opset(n.Domain)); err != nil {
			t.Fatal(err)
		}
		for _, v := range n.In {
			if v == nil {
				c.in = append(c.in, nil)
			} else {
				c.in = append(c.in, v.Const)
			}
		}
		for _, v := range g.Inits {
			if strings.HasPrefix(v.Name, "want ") {
				c.want = append(c.want, v.Const)
			}
		}
		cases[strings.TrimSuffix(filepath.Base(path), ".onnx")] = c
	}
	if len(cases) < 200 {
		t.Fatalf("%d golden files", len(cases))
	}
	return cases
}

// outputs infers and allocates the outputs.
func (c *golden) outputs(t *testing.T) []*tensor.Tensor {
	t.Helper()
	values := make([]*graph.Value, len(c.in))
	for i, x := range c.in {
		if x != nil {
			values[i] = graph.NewConst("x", x)
		}
	}
	types, err := c.op.Infer(values)
	if err != nil {
		t.Fatal(err)
	}
	var out []*tensor.Tensor
	for i := range c.want {
		out = append(out, tensor.New(types[i].DType, types[i].Shape...))
	}
	return out
}

// check compares with ONNX Runtime; quantized results may differ by one step.
func (c *golden) check(t *testing.T, got []*tensor.Tensor) {
	t.Helper()
	for i, want := range c.want {
		if err := optest.Compare(got[i], want, 1e-4, 1e-5, 1); err != nil {
			t.Error(err)
		}
	}
}

func TestNetGolden(t *testing.T) {
	for name, c := range goldenCases(t) {
		t.Run(name, func(t *testing.T) {
			out := c.outputs(t)
			if err := c.op.(op.Evaluator).Eval(c.in, out); err != nil {
				t.Fatal(err)
			}
			c.check(t, out)
		})
	}
}

// TestNetGoldenPrepared runs the prepared steps on every rung, with inputs
// that are constant and inputs that are not.
func TestNetGoldenPrepared(t *testing.T) {
	for name, c := range goldenCases(t) {
		if _, ok := c.op.(op.Preparer); !ok {
			continue
		}
		for _, set := range kernels.Available() {
			for _, constant := range []bool{true, false} {
				switch c.op.(type) {
				case *op.Resize, *op.Reduce:
					if !constant {
						continue // evaluated: the extents or axes are inputs
					}
				}
				t.Run(name+"/"+set.Name, func(t *testing.T) {
					env := netEnv(c.in, c.outputs(t), set, constant)
					runSteps(t, c.op, env)
					c.check(t, env.Out)
				})
			}
		}
	}
}

func netEnv(in, out []*tensor.Tensor, set *kernels.Set, constant bool) *op.Env {
	env := &op.Env{In: in, Out: out, Kernels: set, Threads: 2, Shared: func(_ any, build func() any) any { return build() }}
	for range in {
		env.Const = append(env.Const, constant)
	}
	return env
}

// TestNetEvalAllocs checks that Eval takes no memory where it promises so.
func TestNetEvalAllocs(t *testing.T) {
	cases := goldenCases(t)
	for _, name := range []string{
		"Conv_depthwise", "Conv_3d", "ConvTranspose_1d", "MaxPool_3d_ceil", "AveragePool_2d_same_upper", "LpPool_2d_valid",
		"GlobalLpPool_3", "GridSample_bicubic_zeros_0", "RoiAlign_avg_0_half_pixel", "MatMul_broadcast", "Gemm_transposed",
		"QLinearConv_per_channel", "QLinearMatMul_per_column", "QLinearAdd_u8", "QLinearSigmoid_s8", "QLinearConcat_u8",
		"QLinearAveragePool_u8_0_last", "QLinearSoftmax_u8_13", "QGemm_per_column",
	} {
		c, ok := cases[name]
		if !ok {
			t.Fatalf("no case %s", name)
		}
		out, e := c.outputs(t), c.op.(op.Evaluator)
		if n := testing.AllocsPerRun(5, func() { _ = e.Eval(c.in, out) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
