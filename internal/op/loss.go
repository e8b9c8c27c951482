package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// NLLLoss is NegativeLogLikelihoodLoss, -weight·x[class], and with Softmax
// SoftmaxCrossEntropyLoss, which takes the logarithm of the softmax of its
// scores first and has it as output 1. Inputs are x [N, C, D...], the class of
// every position [N, D...], and weights [C] or none. Positions whose class is
// Ignore count neither in the loss nor in the mean, which divides by the sum
// of the weights.
type NLLLoss struct {
	Softmax   bool
	Ignore    *int64
	Reduction string // "none", "sum" or "mean"
}

func newNLLLoss(softmax bool) Builder {
	return func(n *graph.Node, _ int) (graph.Op, error) {
		l := &NLLLoss{Softmax: softmax, Reduction: n.Attrs.String("reduction", "mean")}
		if l.Reduction != "none" && l.Reduction != "sum" && l.Reduction != "mean" {
			return nil, fmt.Errorf("reduction %q: %w", l.Reduction, ErrUnsupported)
		}
		if a := n.Attrs.Get("ignore_index"); a != nil {
			v := a.Int
			l.Ignore = &v
		}
		return l, nil
	}
}

// Infer implements graph.Op.
func (l *NLLLoss) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 3); err != nil {
		return nil, err
	}
	x, c := in[0].Type, in[1].Type
	if err := floatType(in[0]); err != nil {
		return nil, err
	}
	if err := intInput(in, 1); err != nil {
		return nil, err
	}
	if len(x.Shape) < 2 || len(c.Shape) != len(x.Shape)-1 || x.Shape[0] != c.Shape[0] || !x.Shape[2:].Equal(c.Shape[1:]) {
		return nil, fmt.Errorf("classes %v do not fit scores %v: %w", c, x, ErrShape)
	}
	if w := opt(in, 2); w != nil {
		if err := floatType(w); err != nil {
			return nil, err
		}
		if !w.Type.Shape.Equal(x.Shape[1:2]) {
			return nil, fmt.Errorf("weights %v, want %d: %w", w.Type, x.Shape[1], ErrShape)
		}
	}
	loss := tensor.Shape{}
	if l.Reduction == "none" {
		loss = c.Shape
	}
	out, err := typed(x.DType, loss)
	if err == nil && l.Softmax {
		out = append(out, tensor.Type{DType: x.DType, Shape: x.Shape.Clone()})
	}
	return out, err
}

// Eval implements Evaluator.
func (l *NLLLoss) Eval(in, out []*tensor.Tensor) error {
	x, class, weight, log := in[0], in[1], opt(in, 2), opt(out, 1)
	classes, inner := x.Shape[1], x.Shape[2:].Elems()
	var sum, weights float64
	for i := range class.Elems() {
		from := i/inner*classes*inner + i%inner
		norm := 0.
		if l.Softmax {
			norm = logSumExp(x, from, classes, inner)
		}
		if log != nil {
			for c := range classes {
				log.SetFloat(from+c*inner, x.Float(from+c*inner)-norm)
			}
		}
		c, loss := class.Int(i), 0.
		if l.Ignore == nil || c != *l.Ignore {
			if c < 0 || c >= int64(classes) {
				return fmt.Errorf("class %d at position %d is outside 0 to %d", c, i, classes-1)
			}
			w := 1.
			if weight != nil {
				w = weight.Float(int(c))
			}
			loss = -w * (x.Float(from+int(c)*inner) - norm)
			sum, weights = sum+loss, weights+w
		}
		if l.Reduction == "none" {
			out[0].SetFloat(i, loss)
		}
	}
	switch l.Reduction {
	case "mean":
		out[0].SetFloat(0, sum/weights)
	case "sum":
		out[0].SetFloat(0, sum)
	}
	return nil
}

// logSumExp returns log Σ exp of n elements that are step apart.
func logSumExp(x *tensor.Tensor, from, n, step int) float64 {
	top, sum := math.Inf(-1), 0.
	for i := range n {
		top = max(top, x.Float(from+i*step))
	}
	for i := range n {
		sum += math.Exp(x.Float(from+i*step) - top)
	}
	return top + math.Log(sum)
}
