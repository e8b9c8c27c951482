package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Adagrad, Adam and Momentum are the optimizers of ai.onnx.preview.training.
// Inputs are the learning rate, the number of updates so far, then all
// tensors to optimize, all gradients, and all states, one kind after the
// other; outputs are the new tensors and the new states in the same order.

// Adagrad divides the learning rate by the root of the sum of squared
// gradients.
type Adagrad struct{ Decay, Epsilon, Norm float32 }

// Adam adapts the learning rate by running means of the gradient, its first
// state, and of its square, its second.
type Adam struct{ Alpha, Beta, Epsilon, Norm, NormPost float32 }

// Momentum steps along a running sum of gradients, its state.
type Momentum struct {
	Alpha, Beta, Norm float32
	Nesterov          bool
}

func newAdagrad(n *graph.Node, _ int) (graph.Op, error) {
	a := n.Attrs
	return &Adagrad{a.Float("decay_factor", 0), a.Float("epsilon", 1e-6), a.Float("norm_coefficient", 0)}, nil
}

func newAdam(n *graph.Node, _ int) (graph.Op, error) {
	a := n.Attrs
	return &Adam{a.Float("alpha", .9), a.Float("beta", .999), a.Float("epsilon", 1e-6),
		a.Float("norm_coefficient", 0), a.Float("norm_coefficient_post", 0)}, nil
}

func newMomentum(n *graph.Node, _ int) (graph.Op, error) {
	a := n.Attrs
	m := &Momentum{Alpha: a.Float("alpha", 0), Beta: a.Float("beta", 0), Norm: a.Float("norm_coefficient", 0)}
	switch mode := a.String("mode", ""); mode {
	case "standard":
	case "nesterov":
		m.Nesterov = true
	default:
		return nil, fmt.Errorf("mode %q is neither standard nor nesterov", mode)
	}
	return m, nil
}

// inferOptimizer types an optimizer with so many states for each tensor.
func inferOptimizer(in []*graph.Value, states int) ([]tensor.Type, error) {
	if n := len(in) - 2; n < 2+states || n%(2+states) != 0 {
		return nil, fmt.Errorf("has %d inputs, want 2 and %d for each tensor", len(in), 2+states)
	}
	if err := args(in, len(in), -1); err != nil {
		return nil, err
	}
	if in[0].Type.Shape.Elems() != 1 || in[1].Type.Shape.Elems() != 1 || !in[1].Type.DType.IsInt() {
		return nil, fmt.Errorf("rate %v and count %v are not scalars: %w", in[0].Type, in[1].Type, ErrShape)
	}
	n := (len(in) - 2) / (2 + states)
	for i, v := range in[2:] {
		if err := floatType(v); err != nil {
			return nil, err
		}
		if x := in[2+i%n]; !v.Type.Shape.Equal(x.Type.Shape) {
			return nil, fmt.Errorf("%q is %v, want the shape of %q, %v: %w", v.Name, v.Type, x.Name, x.Type, ErrShape)
		}
	}
	var out []tensor.Type
	for i := range n * (1 + states) {
		v := in[2+i]
		if i >= n {
			v = in[2+n+i] // the gradients have no output
		}
		out = append(out, tensor.Type{DType: v.Type.DType, Shape: v.Type.Shape.Clone()})
	}
	return out, nil
}

// Infer implements graph.Op.
func (o *Adagrad) Infer(in []*graph.Value) ([]tensor.Type, error) { return inferOptimizer(in, 1) }

// Infer implements graph.Op.
func (o *Adam) Infer(in []*graph.Value) ([]tensor.Type, error) { return inferOptimizer(in, 2) }

// Infer implements graph.Op.
func (o *Momentum) Infer(in []*graph.Value) ([]tensor.Type, error) { return inferOptimizer(in, 1) }

// Eval implements Evaluator.
func (o *Adagrad) Eval(in, out []*tensor.Tensor) error {
	n := (len(in) - 2) / 3
	rate := in[0].Float(0) / (1 + in[1].Float(0)*float64(o.Decay))
	for i := range n {
		x, g, h := in[2+i], in[2+n+i], in[2+2*n+i]
		for j := range x.Elems() {
			v := x.Float(j)
			d := float64(o.Norm)*v + g.Float(j)
			s := h.Float(j) + d*d
			set(out, i, j, v-rate*d/(math.Sqrt(s)+float64(o.Epsilon)))
			set(out, n+i, j, s)
		}
	}
	return nil
}

// Eval implements Evaluator.
func (o *Adam) Eval(in, out []*tensor.Tensor) error {
	n, alpha, beta := (len(in)-2)/4, float64(o.Alpha), float64(o.Beta)
	rate := in[0].Float(0)
	if t := in[1].Float(0); t > 0 {
		rate *= math.Sqrt(1-math.Pow(beta, t)) / (1 - math.Pow(alpha, t))
	}
	for i := range n {
		x, g, m, h := in[2+i], in[2+n+i], in[2+2*n+i], in[2+3*n+i]
		for j := range x.Elems() {
			v := x.Float(j)
			d := float64(o.Norm)*v + g.Float(j)
			mean := alpha*m.Float(j) + (1-alpha)*d
			square := beta*h.Float(j) + (1-beta)*d*d
			v -= rate * mean / (math.Sqrt(square) + float64(o.Epsilon))
			set(out, i, j, (1-float64(o.NormPost))*v)
			set(out, n+i, j, mean)
			set(out, 2*n+i, j, square)
		}
	}
	return nil
}

// Eval implements Evaluator.
func (o *Momentum) Eval(in, out []*tensor.Tensor) error {
	n, rate, beta := (len(in)-2)/3, in[0].Float(0), 1.
	if in[1].Int(0) > 0 {
		beta = float64(o.Beta)
	}
	for i := range n {
		x, g, m := in[2+i], in[2+n+i], in[2+2*n+i]
		for j := range x.Elems() {
			v := x.Float(j)
			d := float64(o.Norm)*v + g.Float(j)
			sum := float64(o.Alpha)*m.Float(j) + beta*d
			step := sum
			if o.Nesterov {
				step = d + float64(o.Alpha)*sum
			}
			set(out, i, j, v-rate*step)
			set(out, n+i, j, sum)
		}
	}
	return nil
}
