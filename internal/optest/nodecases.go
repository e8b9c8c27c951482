// Package optest runs operators on published cases and on made-up ones. It
// serves tests only, and computes no expected values of its own.
package optest

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/onnx"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
)

// NodeCases returns a folder of ONNX's operator cases: the one that
// EDGECAM_ONNX_NODE_CASES names, or else the archive in the assets folder
// (EDGECAM_ASSETS), unpacked for this test. It skips the test where there is
// neither.
func NodeCases(t *testing.T) string {
	t.Helper()
	if root := os.Getenv("EDGECAM_ONNX_NODE_CASES"); root != "" {
		return root
	}
	assets := os.Getenv("EDGECAM_ASSETS")
	if assets == "" {
		assets = filepath.Join("..", "..", "..", "shared") // beside the repository
	}
	archive := filepath.Join(assets, "conformance", "onnx-node.tar.xz")
	if _, err := os.Stat(archive); err != nil {
		t.Skipf("no operator cases: %v (set EDGECAM_ONNX_NODE_CASES or EDGECAM_ASSETS)", err)
	}
	root := t.TempDir()
	if msg, err := exec.Command("tar", "-C", root, "-xJf", archive).CombinedOutput(); err != nil {
		t.Skipf("cannot unpack %s: %v: %s", archive, err, msg)
	}
	return root
}

// RunNodeCases runs every case below root whose model is one node of the
// given operators, or any node where none is given, as a subtest through
// Infer and Eval. Floating-point outputs agree to rtol 1e-3 and atol 1e-4,
// all others exactly; one step is allowed for the 8-bit outputs of operators
// that quantize. A root without cases of an operator is an error.
func RunNodeCases(t *testing.T, root string, ops ...string) {
	t.Helper()
	models, err := filepath.Glob(filepath.Join(root, "*", "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(models)
	seen := map[string]bool{}
	for _, path := range models {
		g, err := onnx.Open(path)
		if err != nil {
			if !errors.Is(err, op.ErrUnsupported) || len(ops) == 0 {
				t.Errorf("%s: %v", path, err)
			}
			continue
		}
		if len(g.Nodes) == 0 {
			continue
		}
		kind := g.Nodes[len(g.Nodes)-1].Type
		if len(ops) > 0 && (len(g.Nodes) > 1 || !slices.Contains(ops, kind)) {
			continue
		}
		seen[kind] = true
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			if err := runCase(g, filepath.Join(filepath.Dir(path), "test_data_set_0")); err != nil {
				t.Error(err)
			}
		})
	}
	for _, name := range ops {
		if !seen[name] {
			t.Errorf("no case of %s in %s", name, root)
		}
	}
}

func runCase(g *graph.Graph, data string) error {
	have := map[string]*tensor.Tensor{}
	for _, v := range g.Inits {
		have[v.Name] = v.Const
	}
	i := 0
	for _, v := range g.Inputs {
		if v.Const != nil {
			continue
		}
		x, err := readTensor(filepath.Join(data, fmt.Sprintf("input_%d.pb", i)))
		if err != nil {
			return err
		}
		have[v.Name], i = x, i+1
	}
	for _, n := range g.Nodes {
		if err := RunNode(n, g.Opset(n.Domain), have); err != nil {
			return fmt.Errorf("node %s: %w", n.Label(), err)
		}
	}
	step := 0.0
	switch g.Nodes[len(g.Nodes)-1].Type {
	case "QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul":
		step = 1
	}
	for i, v := range g.Outputs {
		want, err := readTensor(filepath.Join(data, fmt.Sprintf("output_%d.pb", i)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := Compare(have[v.Name], want, 1e-3, 1e-4, step); err != nil {
			return fmt.Errorf("output %q: %w", v.Name, err)
		}
	}
	return nil
}

func readTensor(path string) (*tensor.Tensor, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	_, t, err := onnx.DecodeTensor(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// RunNode resolves, infers and evaluates one portable node on the tensors in
// have and adds its outputs to them.
func RunNode(n *graph.Node, opset int, have map[string]*tensor.Tensor) error {
	o, err := op.Resolve(n, opset)
	if err != nil {
		return err
	}
	in, values := make([]*tensor.Tensor, len(n.In)), make([]*graph.Value, len(n.In))
	for i, v := range n.In {
		if v == nil {
			continue
		}
		if in[i] = have[v.Name]; in[i] == nil && v.Const != nil {
			in[i] = v.Const
		}
		if in[i] == nil {
			return fmt.Errorf("input %q has no value", v.Name)
		}
		values[i] = graph.NewConst(v.Name, in[i])
	}
	names := make([]string, len(n.Out))
	for i, v := range n.Out {
		if v != nil {
			names[i] = v.Name
		}
	}
	outs, err := new(graph.Graph).Add(o, graph.Node{Name: n.Name, Type: n.Type, In: values}, names...)
	if err != nil {
		return err
	}
	out := make([]*tensor.Tensor, len(outs))
	for i, v := range outs {
		if v != nil {
			out[i] = tensor.New(v.Type.DType, v.Type.Shape...)
		}
	}
	e, ok := o.(op.Evaluator)
	if !ok {
		return fmt.Errorf("%T cannot be evaluated", o)
	}
	if err := e.Eval(in, out); err != nil {
		return err
	}
	for i, v := range outs {
		if v != nil {
			have[v.Name] = out[i]
		}
	}
	return nil
}

// Compare reports how got differs from want: in type or shape, by more than
// atol + rtol·|want| in a floating-point element, or by more than step in any
// other. Two NaN are equal.
func Compare(got, want *tensor.Tensor, rtol, atol, step float64) error {
	if got == nil {
		return fmt.Errorf("is missing, want %v", want.Type())
	}
	if got.DType != want.DType || !got.Shape.Equal(want.Shape) {
		return fmt.Errorf("is %v, want %v", got.Type(), want.Type())
	}
	if !want.DType.IsFloat() {
		rtol, atol = 0, 0
		if want.DType.Size() == 1 {
			atol = step
		}
	}
	for i := range want.Elems() {
		g, w := got.Float(i), want.Float(i)
		// int64 beyond 2^53 compares as integers.
		same := g == w && (want.DType.IsFloat() || got.Int(i) == want.Int(i)) || g != g && w != w
		if !same && !(math.Abs(g-w) <= atol+rtol*math.Abs(w) && (atol > 0 || rtol > 0)) {
			return fmt.Errorf("element %d is %v, want %v", i, g, w)
		}
	}
	return nil
}
