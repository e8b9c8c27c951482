package op

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// BinaryKind names an elementwise function of two operands.
type BinaryKind int

// The functions of Binary.
const (
	Add BinaryKind = iota
	Sub
	Mul
	Div // integers toward zero; by zero gives 0
	Min // NaN where either operand is
	Max
	PRelu // a < 0 ? a·b : a
	Pow   // the type of the base; the exponent may have another
	Mod   // the sign of the divisor, as in Python; by zero gives 0 or NaN
	Fmod  // the sign of the dividend, as in C
	ShiftLeft
	ShiftRight // arithmetic for signed types
	BitwiseAnd
	BitwiseOr
	BitwiseXor

	// From here on the result is Bool.
	Equal
	Greater
	GreaterOrEqual
	Less
	LessOrEqual
	And
	Or
	Xor
)

var binaryNames = [...]string{"Add", "Sub", "Mul", "Div", "Min", "Max", "PRelu", "Pow", "Mod", "Mod",
	"BitShift", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor",
	"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor"}

// String returns the ONNX name of the operator.
func (k BinaryKind) String() string { return binaryNames[k] }

// Binary applies a function to the elements of two tensors that broadcast as
// in NumPy; PRelu broadcasts only its second operand.
//
// Legacy is the broadcasting of operator sets before 7: axis 0 of the second
// operand is aligned with axis Axis of the first, which has the shape of the
// result.
type Binary struct {
	Kind   BinaryKind
	Legacy bool
	Axis   int
}

func newBinary(k BinaryKind) Builder {
	return func(n *graph.Node, opset int) (graph.Op, error) {
		b := &Binary{Kind: k}
		if opset < 7 && n.Attrs.Int("broadcast", 0) != 0 && n.Attrs.Has("axis") {
			b.Legacy, b.Axis = true, n.Attrs.Int("axis", 0)
		}
		return b, nil
	}
}

func newPRelu(_ *graph.Node, opset int) (graph.Op, error) {
	return &Binary{Kind: PRelu, Legacy: opset < 7, Axis: 1}, nil
}

func newMod(n *graph.Node, _ int) (graph.Op, error) {
	if n.Attrs.Int("fmod", 0) != 0 {
		return &Binary{Kind: Fmod}, nil
	}
	return &Binary{Kind: Mod}, nil
}

func newBitShift(n *graph.Node, _ int) (graph.Op, error) {
	switch d := n.Attrs.String("direction", ""); d {
	case "LEFT":
		return &Binary{Kind: ShiftLeft}, nil
	case "RIGHT":
		return &Binary{Kind: ShiftRight}, nil
	default:
		return nil, fmt.Errorf("direction %q is neither LEFT nor RIGHT", d)
	}
}

// Infer implements graph.Op.
func (b *Binary) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 2); err != nil {
		return nil, err
	}
	x, y := in[0].Type, in[1].Type
	if !b.takes(x.DType) || !b.takes(y.DType) {
		return nil, fmt.Errorf("%v of %v and %v: %w", b.Kind, x.DType, y.DType, ErrUnsupported)
	}
	if x.DType != y.DType && b.Kind != Pow {
		return nil, fmt.Errorf("%v of different types, %v and %v", b.Kind, x.DType, y.DType)
	}
	d := x.DType
	if b.Kind >= Equal {
		d = tensor.Bool
	}
	if b.Legacy || b.Kind == PRelu {
		if !fitsInto(y.Shape, x.Shape, b.shift(x.Shape, y.Shape)) {
			return nil, fmt.Errorf("shape %v does not broadcast to %v: %w", y.Shape, x.Shape, ErrShape)
		}
		return typed(d, x.Shape)
	}
	s, err := broadcastShape(x.Shape, y.Shape)
	if err != nil {
		return nil, err
	}
	return typed(d, s)
}

// takes reports whether the function is defined on a type.
func (b *Binary) takes(d tensor.DType) bool {
	switch k := b.Kind; {
	case k >= And:
		return d == tensor.Bool
	case k >= ShiftLeft && k <= BitwiseXor:
		return d.IsInt()
	case k == Equal && d == tensor.Bool:
		return true
	}
	return d.IsInt() || d.IsFloat()
}

// shift returns the axis of the result that axis 0 of y is aligned with.
func (b *Binary) shift(x, y tensor.Shape) int {
	if b.Legacy && len(y) > 0 && y.Elems() != 1 {
		if b.Axis < 0 {
			return b.Axis + len(x)
		}
		return b.Axis
	}
	return len(x) - len(y)
}

// InPlace implements InPlacer.
func (b *Binary) InPlace() []int {
	if b.Kind >= Equal && b.Kind < And {
		return nil
	}
	return []int{0, 1}
}

// Pitched implements Pitcher.
func (b *Binary) Pitched() (in, out bool) { return true, true }

// walk returns the walk over out, x and y.
func (b *Binary) walk(out, x, y *tensor.Tensor) walk {
	var w walk
	w.start(out)
	w.add(x, len(out.Shape)-len(x.Shape))
	if b.Legacy {
		w.add(y, b.shift(x.Shape, y.Shape))
	} else {
		w.add(y, len(out.Shape)-len(y.Shape))
	}
	w.merge()
	return w
}

// Eval implements Evaluator.
func (b *Binary) Eval(in, out []*tensor.Tensor) error {
	w := b.walk(out[0], in[0], in[1])
	for range w.rows {
		b.row(out[0], in[0], in[1], w.off, w.in, 0, w.n)
		w.next()
	}
	return nil
}

// row computes the elements from to to of a row that starts at off.
func (b *Binary) row(out, x, y *tensor.Tensor, off, step [4]int, from, to int) {
	for i := from; i < to; i += chunk {
		n := min(chunk, to-i)
		o, xi, yi := off[0]+i, off[1]+i*step[1], off[2]+i*step[2]
		if x.DType.IsFloat() || b.Kind == Pow && y.DType.IsFloat() {
			b.rowFloat(out, x, y, o, xi, yi, n, step)
		} else {
			b.rowInt(out, x, y, o, xi, yi, n, step)
		}
	}
}

func (b *Binary) rowFloat(out, x, y *tensor.Tensor, o, xi, yi, n int, step [4]int) {
	var p, q [chunk]float64
	loadFloats(x, xi, p[:1+(n-1)*step[1]])
	loadFloats(y, yi, q[:1+(n-1)*step[2]])
	if b.Kind >= Equal {
		for i := range n {
			out.Data[o+i] = 0
			if compare(b.Kind, p[i*step[1]], q[i*step[2]]) {
				out.Data[o+i] = 1
			}
		}
		return
	}
	// From the end, so that an operand that is broadcast is read last.
	for i := n - 1; i >= 0; i-- {
		p[i] = arithFloat(b.Kind, p[i*step[1]], q[i*step[2]])
	}
	storeFloats(out, o, p[:n])
}

func (b *Binary) rowInt(out, x, y *tensor.Tensor, o, xi, yi, n int, step [4]int) {
	var p, q [chunk]int64
	loadInts(x, xi, p[:1+(n-1)*step[1]])
	loadInts(y, yi, q[:1+(n-1)*step[2]])
	bits := x.DType.Size() * 8
	for i := n - 1; i >= 0; i-- {
		switch u, v := p[i*step[1]], q[i*step[2]]; {
		case x.DType == tensor.Uint64 && b.Kind >= Equal:
			p[i] = truth(compare(b.Kind, uint64(u), uint64(v)))
		case b.Kind >= Equal:
			p[i] = truth(compare(b.Kind, u, v))
		case x.DType == tensor.Uint64:
			p[i] = int64(arithInt(b.Kind, uint64(u), uint64(v), bits))
		default:
			p[i] = arithInt(b.Kind, u, v, bits)
		}
	}
	storeInts(out, o, p[:n])
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Kernel returns the float32 micro-kernel of a kind, where there is one.
func (k BinaryKind) Kernel() (f kernels.Binary, ok bool) {
	switch k {
	case Add:
		return kernels.Add, true
	case Sub:
		return kernels.Sub, true
	case Mul:
		return kernels.Mul, true
	case Div:
		return kernels.Div, true
	case Min:
		return kernels.Min, true
	case Max:
		return kernels.Max, true
	case PRelu:
		return kernels.PRelu, true
	}
	return 0, false
}

// Prepare implements Preparer.
func (b *Binary) Prepare(env *Env) ([]Step, error) {
	x, y, out := env.In[0], env.In[1], env.Out[0]
	if _, ok := b.Kind.Kernel(); !ok || x.DType != tensor.Float32 {
		w := b.walk(out, x, y)
		return eachRow(w, strings.ToLower(b.Kind.String()), 4, func(off [4]int, from, to int) {
			b.row(out, x, y, off, w.in, from, to)
		}), nil
	}
	rank := len(out.Shape)
	shift := rank - len(y.Shape)
	if b.Legacy {
		shift = b.shift(x.Shape, y.Shape)
	}
	in, shifts, link := []*tensor.Tensor{x, y}, []int{rank - len(x.Shape), shift}, Link{Kind: b.Kind, Arg: 1}
	if !x.Shape.Equal(out.Shape) && y.Shape.Equal(out.Shape) {
		slices.Reverse(in)
		slices.Reverse(shifts)
		link.Swap = true
	}
	return prepareChain(env, "f32_binary", out, []Link{link}, in, shifts), nil
}
