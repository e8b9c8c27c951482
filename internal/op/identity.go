package op

import (
	"fmt"

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

// Dropout is the identity, as it is outside training: output 0 copies input
// 0, output 1 is a mask of ones. Training with a ratio above 0 is not
// supported: Infer rejects it where the inputs ratio and training_mode are
// known, Eval where they turn out so.
type Dropout struct {
	MaskLike bool // the mask has the input's type, as in operator sets before 10, not Bool
}

func newDropout(_ *graph.Node, opset int) (graph.Op, error) {
	return &Dropout{MaskLike: opset < 10}, nil
}

// Infer implements graph.Op.
func (o *Dropout) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 3); err != nil {
		return nil, err
	}
	if err := floatType(in[0]); err != nil {
		return nil, err
	}
	for _, v := range in[1:] {
		if v != nil && v.Type.Shape.Elems() != 1 {
			return nil, fmt.Errorf("input %q is %v, want a scalar", v.Name, v.Type)
		}
	}
	if mode := opt(in, 2); mode != nil && mode.Const != nil {
		ratio := opt(in, 1)
		if ratio == nil || ratio.Const != nil {
			var r *tensor.Tensor
			if ratio != nil {
				r = ratio.Const
			}
			if err := o.check(r, mode.Const); err != nil {
				return nil, err
			}
		}
	}
	t := in[0].Type
	mask := tensor.Type{DType: tensor.Bool, Shape: t.Shape.Clone()}
	if o.MaskLike {
		mask.DType = t.DType
	}
	return []tensor.Type{{DType: t.DType, Shape: t.Shape.Clone()}, mask}, nil
}

// check rejects training with a ratio, 0.5 by default, that is not 0.
func (o *Dropout) check(ratio, mode *tensor.Tensor) error {
	if mode != nil && mode.Int(0) != 0 && (ratio == nil || ratio.Float(0) != 0) {
		return fmt.Errorf("training_mode with a ratio above 0: %w", ErrUnsupported)
	}
	return nil
}

// InPlace implements InPlacer.
func (o *Dropout) InPlace() []int { return []int{0} }

// Eval implements Evaluator.
func (o *Dropout) Eval(in, out []*tensor.Tensor) error {
	if err := o.check(opt(in, 1), opt(in, 2)); err != nil {
		return err
	}
	if out[0] != nil {
		copy(out[0].Bytes(), in[0].Bytes())
	}
	if mask := opt(out, 1); mask != nil {
		for i := range mask.Elems() {
			mask.SetInt(i, 1)
		}
	}
	return nil
}
