package op

import (
	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Identity copies its input.
type Identity struct{}

func newIdentity(*graph.Node, int) (graph.Op, error) { return &Identity{}, nil }

// Infer implements graph.Op.
func (o *Identity) Infer(in []*graph.Value) ([]tensor.Type, error) {
	return oneInput(in, func(d tensor.DType) bool { return d != tensor.Invalid }, tensor.Invalid)
}

// InPlace implements InPlacer.
func (o *Identity) InPlace() []int { return []int{0} }

// Pitched implements Pitcher.
func (o *Identity) Pitched() (in, out bool) { return true, true }

// Eval implements Evaluator.
func (o *Identity) Eval(in, out []*tensor.Tensor) error { return evalCast(in[0], out[0]) }

// Prepare implements Preparer.
func (o *Identity) Prepare(env *Env) ([]Step, error) { return prepareCast(env), nil }
