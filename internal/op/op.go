// Package op holds the operators: one struct for each with its attributes
// decoded, type inference, the reference evaluation and, where speed matters,
// the preparation of steps that call micro-kernels. One file per family.
//
// It does not read files, rewrite graphs, plan memory or start goroutines.
package op

import (
	"errors"
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// ErrUnsupported is wrapped by errors about an operator, attribute or element
// type that edgecam does not compute.
var ErrUnsupported = errors.New("unsupported")

// ErrShape is wrapped by errors about shapes that do not fit an operator.
var ErrShape = errors.New("shape mismatch")

// ErrNeedValue is wrapped by Infer where a shape depends on the contents of an
// input that are not known when the model is planned.
var ErrNeedValue = errors.New("a shape depends on contents that are not known")

// Evaluator is implemented by every operator: the reference computation,
// slow and obvious. It folds constants, is the truth in tests, and is the
// step of an operator that has no faster one.
//
// in and out hold dense tensors, nil for absent optional ones. out[i] has the
// inferred element type and shape and enough Data; a DataDependent operator
// writes the actual extents into out[i].Shape. Inputs are never written, and
// out[0] overlaps an input only as InPlace allows. The only errors left to Eval are about contents,
// such as an index out of range. Eval should not allocate; what needs scratch
// memory takes it in Prepare.
type Evaluator interface {
	Eval(in, out []*tensor.Tensor) error
}

// InPlacer is implemented by operators whose first output may be computed in
// the memory of an input of the same type.
type InPlacer interface {
	// InPlace lists the inputs, best first, that Eval and the prepared step
	// can overwrite with output 0 as they read them.
	InPlace() []int
}

// Quantized is implemented by machine operators whose multiply-adds are of
// 8-bit integers.
type Quantized interface {
	Integer()
}

// Builder decodes the attributes of a portable node for one version of its
// operator set. It reports unknown modes and bad attribute values; it does
// not look at types.
type Builder func(n *graph.Node, opset int) (graph.Op, error)

// Resolve returns the operator of a portable node. The error wraps
// ErrUnsupported where there is none.
func Resolve(n *graph.Node, opset int) (graph.Op, error) {
	key := n.Type
	if n.Domain != "" && n.Domain != "ai.onnx" {
		key = n.Domain + "." + n.Type
	}
	for _, t := range tables {
		if b := t[key]; b != nil {
			return b(n, opset)
		}
	}
	return nil, fmt.Errorf("operator %s: %w%s", key, ErrUnsupported, hint(key))
}

// hint names the export flag that avoids an operator, where there is one.
func hint(key string) string {
	if h := hints[key]; h != "" {
		return ": " + h
	}
	return ""
}

// args checks the number of inputs: at least min, at most max (max < 0: any),
// and the first min present.
func args(in []*graph.Value, min, max int) error {
	if len(in) < min || max >= 0 && len(in) > max {
		return fmt.Errorf("has %d inputs, want %d to %d", len(in), min, max)
	}
	for i := range min {
		if in[i] == nil {
			return fmt.Errorf("input %d is missing", i)
		}
	}
	return nil
}

// opt returns input i, or nil where it is left out.
func opt[T any](in []*T, i int) *T {
	if i < len(in) {
		return in[i]
	}
	return nil
}

// known returns the contents of input i that planning needs.
func known(in []*graph.Value, i int) (*tensor.Tensor, error) {
	if t := in[i].Known(); t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("input %d, %q: %w", i, in[i].Name, ErrNeedValue)
}

// axis resolves a possibly negative axis against a rank.
func axis(a, rank int) (int, error) {
	if a < -rank || a >= rank {
		return 0, fmt.Errorf("axis %d is outside rank %d: %w", a, rank, ErrShape)
	}
	if a < 0 {
		a += rank
	}
	return a, nil
}

// floatType rejects element types that are not floating point.
func floatType(v *graph.Value) error {
	if !v.Type.DType.IsFloat() {
		return fmt.Errorf("element type %v of %q: %w", v.Type.DType, v.Name, ErrUnsupported)
	}
	return nil
}
