package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Cast converts elements to type To. Floating point to integer truncates
// toward zero and out of range follows NumPy on x86; integer to integer keeps
// the low bits; to Bool is x != 0.
type Cast struct{ To tensor.DType }

// CastLike is Cast to the type of the second input.
type CastLike struct{}

// castNames are the types that Cast had by name before operator set 6.
var castNames = map[string]int{"FLOAT": 1, "UINT8": 2, "INT8": 3, "UINT16": 4, "INT16": 5, "INT32": 6,
	"INT64": 7, "BOOL": 9, "FLOAT16": 10, "DOUBLE": 11, "UINT32": 12, "UINT64": 13}

func newCast(n *graph.Node, _ int) (graph.Op, error) {
	to := n.Attrs.Get("to")
	if to == nil {
		return nil, fmt.Errorf("attribute to is missing")
	}
	code := int(to.Int)
	if to.Kind == graph.AttrString {
		code = castNames[to.String]
	}
	d, err := onnxType(code)
	return &Cast{To: d}, err
}

func newCastLike(*graph.Node, int) (graph.Op, error) { return &CastLike{}, nil }

// Infer implements graph.Op.
func (c *Cast) Infer(in []*graph.Value) ([]tensor.Type, error) {
	return oneInput(in, func(d tensor.DType) bool { return d != tensor.Invalid }, c.To)
}

// Infer implements graph.Op.
func (c *CastLike) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 2); err != nil {
		return nil, err
	}
	return oneInput(in[:1], func(d tensor.DType) bool { return d != tensor.Invalid }, in[1].Type.DType)
}

// InPlace implements InPlacer.
func (c *Cast) InPlace() []int { return []int{0} }

// InPlace implements InPlacer.
func (c *CastLike) InPlace() []int { return []int{0} }

// Pitched implements Pitcher.
func (c *Cast) Pitched() (in, out bool) { return true, true }

// Pitched implements Pitcher.
func (c *CastLike) Pitched() (in, out bool) { return true, true }

// Eval implements Evaluator.
func (c *Cast) Eval(in, out []*tensor.Tensor) error { return evalCast(in[0], out[0]) }

// Eval implements Evaluator.
func (c *CastLike) Eval(in, out []*tensor.Tensor) error { return evalCast(in[0], out[0]) }

// Prepare implements Preparer.
func (c *Cast) Prepare(env *Env) ([]Step, error) { return prepareCast(env), nil }

// Prepare implements Preparer.
func (c *CastLike) Prepare(env *Env) ([]Step, error) { return prepareCast(env), nil }

func evalCast(x, y *tensor.Tensor) error {
	w := walkOver(y, x)
	for range w.rows {
		castRow(y, x, w.off, 0, w.n)
		w.next()
	}
	return nil
}

func prepareCast(env *Env) []Step {
	x, y := env.In[0], env.Out[0]
	return eachRow(walkOver(y, x), "cast", 1, func(off [4]int, from, to int) { castRow(y, x, off, from, to) })
}

// castRow converts elements from to to of a row, a chunk at a time through
// the wider of the two kinds of number.
func castRow(y, x *tensor.Tensor, off [4]int, from, to int) {
	for i := from; i < to; i += chunk {
		n, yi, xi := min(chunk, to-i), off[0]+i, off[1]+i
		switch {
		case x.DType == y.DType:
			copyRow(y, x, yi, xi, n, 1)
		case x.DType.IsFloat() || y.DType.IsFloat():
			var buf [chunk]float64
			loadFloats(x, xi, buf[:n])
			storeFloats(y, yi, buf[:n])
		default:
			var buf [chunk]int64
			loadInts(x, xi, buf[:n])
			storeInts(y, yi, buf[:n])
		}
	}
}
