package op

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Einsum sums products of elements over the axes that Equation names, as
// NumPy's einsum: with an ellipsis that broadcasts, and with repeated letters
// that take a diagonal.
type Einsum struct {
	Equation string
	in       []string // labels of each operand; '.' stands for the ellipsis
	out      string
}

// maxOperands bounds the inputs of an Einsum.
const maxOperands = 8

func newEinsum(n *graph.Node, _ int) (graph.Op, error) {
	e := &Einsum{Equation: n.Attrs.String("equation", "")}
	text := strings.ReplaceAll(strings.ReplaceAll(e.Equation, " ", ""), "...", ".")
	left, right, explicit := strings.Cut(text, "->")
	e.in, e.out = strings.Split(left, ","), right
	if !explicit {
		e.out = implicitOutput(left)
	}
	for i, term := range append(slices.Clone(e.in), e.out) {
		for j, c := range term {
			letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
			again := strings.ContainsRune(term[:j], c)
			if !letter && c != '.' || again && (c == '.' || i == len(e.in)) {
				return nil, fmt.Errorf("attribute equation: %q: %w", e.Equation, ErrUnsupported)
			}
			if i == len(e.in) && !strings.ContainsRune(left, c) {
				return nil, fmt.Errorf("attribute equation: %q: label %q of the output is not in an input: %w", e.Equation, c, ErrShape)
			}
		}
	}
	return e, nil
}

// implicitOutput lists the ellipsis, then the letters that occur once.
func implicitOutput(left string) string {
	var once []byte
	for i := range len(left) {
		if c := left[i]; c != ',' && c != '.' && strings.Count(left, left[i:i+1]) == 1 {
			once = append(once, c)
		}
	}
	slices.Sort(once)
	if strings.Contains(left, ".") {
		return "." + string(once)
	}
	return string(once)
}

// einsumLabel is one index of the computation.
type einsumLabel struct {
	extent int
	stride [maxOperands]int // 0 where an operand does not have it
}

// einsumPlan lists the labels of the output, then those that are summed.
type einsumPlan struct {
	labels []einsumLabel
	rank   int // of the output
	terms  int // elements of each sum
}

// plan resolves the equation for operand shapes.
func (e *Einsum) plan(shapes []tensor.Shape) (*einsumPlan, error) {
	if len(shapes) != len(e.in) || len(shapes) > maxOperands {
		return nil, fmt.Errorf("equation %q for %d inputs: %w", e.Equation, len(shapes), ErrShape)
	}
	dots := 0
	for i, term := range e.in {
		n := len(shapes[i]) - len(term)
		if strings.Contains(term, ".") {
			n++
			dots = max(dots, n)
		} else if n != 0 {
			n = -1
		}
		if n < 0 {
			return nil, fmt.Errorf("equation %q: input %d has shape %v: %w", e.Equation, i, shapes[i], ErrShape)
		}
	}
	// Axes under the ellipsis are labelled 0 to dots-1, aligned at the last.
	index := map[int]int{}
	p := &einsumPlan{terms: 1}
	label := func(key int) *einsumLabel {
		if _, ok := index[key]; !ok {
			index[key] = len(p.labels)
			p.labels = append(p.labels, einsumLabel{extent: 1})
		}
		return &p.labels[index[key]]
	}
	expand := func(term string, n int) (keys []int) {
		for _, c := range term {
			if c != '.' {
				keys = append(keys, int(c))
				continue
			}
			for k := range n {
				keys = append(keys, dots-n+k)
			}
		}
		return keys
	}
	for _, key := range expand(e.out, dots) {
		label(key)
	}
	p.rank = len(p.labels)
	for i, term := range e.in {
		stride := shapes[i].Strides()
		for a, key := range expand(term, len(shapes[i])-len(term)+1) {
			l, d := label(key), shapes[i][a]
			if l.extent != d && l.extent != 1 && d != 1 {
				return nil, fmt.Errorf("equation %q: extents %d and %d of one label: %w", e.Equation, l.extent, d, ErrShape)
			}
			if d != 1 {
				l.extent = d
				l.stride[i] += stride[a]
			}
		}
	}
	for _, l := range p.labels[p.rank:] {
		p.terms *= l.extent
	}
	return p, nil
}

// shape returns the output's shape.
func (p *einsumPlan) shape() tensor.Shape {
	s := tensor.Shape{}
	for _, l := range p.labels[:p.rank] {
		s = append(s, l.extent)
	}
	return s
}

// Infer implements graph.Op.
func (e *Einsum) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, len(e.in), len(e.in)); err != nil {
		return nil, err
	}
	if err := numericPair(in); err != nil {
		return nil, err
	}
	shapes := make([]tensor.Shape, len(in))
	for i, v := range in {
		shapes[i] = v.Type.Shape
	}
	p, err := e.plan(shapes)
	if err != nil {
		return nil, err
	}
	return []tensor.Type{{DType: in[0].Type.DType, Shape: p.shape()}}, nil
}

// Eval implements Evaluator. It allocates the plan that Prepare would keep.
func (e *Einsum) Eval(in, out []*tensor.Tensor) error {
	p, err := e.plan(shapesOf(in))
	if err == nil {
		p.run(in, out[0], 0, out[0].Elems())
	}
	return err
}

// Prepare implements Preparer: output elements in parallel.
func (e *Einsum) Prepare(env *Env) ([]Step, error) {
	p, err := e.plan(shapesOf(env.In))
	if err != nil {
		return nil, err
	}
	in, y := env.In, env.Out[0]
	return split("einsum", y.Elems(), p.terms*len(in), func(_, lo, hi int) { p.run(in, y, lo, hi) }), nil
}

func shapesOf(ts []*tensor.Tensor) []tensor.Shape {
	shapes := make([]tensor.Shape, len(ts))
	for i, t := range ts {
		shapes[i] = t.Shape
	}
	return shapes
}

func (p *einsumPlan) run(in []*tensor.Tensor, y *tensor.Tensor, lo, hi int) {
	switch y.DType {
	case tensor.Float32:
		einsum[float32, float64](p, in, y, lo, hi)
	case tensor.Float64:
		einsum[float64, float64](p, in, y, lo, hi)
	case tensor.Int32, tensor.Uint32:
		einsum[int32, int64](p, in, y, lo, hi)
	case tensor.Int64, tensor.Uint64:
		einsum[int64, int64](p, in, y, lo, hi)
	default:
		einsum[uint16, float64](p, in, y, lo, hi)
	}
}

// einsum computes output elements lo to hi.
func einsum[T tensor.Element, A int64 | float64](p *einsumPlan, in []*tensor.Tensor, y *tensor.Tensor, lo, hi int) {
	var data [maxOperands][]T
	for i, t := range in {
		data[i] = tensor.View[T](t)
	}
	ys := tensor.View[T](y)
	inner := einsumLabel{extent: 1}
	sums := p.labels[p.rank:]
	if len(sums) > 0 {
		inner, sums = sums[len(sums)-1], sums[:len(sums)-1]
	}
	for o := lo; o < hi; o++ {
		var base [maxOperands]int
		shift(&base, p.labels[:p.rank], o, len(in))
		var sum A
		for s := range p.terms / max(inner.extent, 1) {
			at := base
			shift(&at, sums, s, len(in))
			sum += innerSum[T, A](data[:len(in)], &at, &inner, y.DType)
		}
		if y.DType.IsFloat() {
			ys[o] = rounded[T](float64(sum), y.DType)
		} else {
			ys[o] = T(sum)
		}
	}
}

// shift adds the offsets of position i in the index space of labels.
func shift(at *[maxOperands]int, labels []einsumLabel, i, operands int) {
	for k := len(labels) - 1; k >= 0; k-- {
		l := &labels[k]
		n := i % l.extent
		i /= l.extent
		for j := range operands {
			at[j] += n * l.stride[j]
		}
	}
}

// innerSum sums the products of the operands along one label.
func innerSum[T tensor.Element, A int64 | float64](data [][]T, at *[maxOperands]int, l *einsumLabel, d tensor.DType) (sum A) {
	if len(data) == 2 && d != tensor.Float16 && d != tensor.BFloat16 {
		a, b, i, j := data[0], data[1], at[0], at[1]
		for range l.extent {
			sum += A(a[i]) * A(b[j])
			i += l.stride[0]
			j += l.stride[1]
		}
		return sum
	}
	for k := range l.extent {
		v := A(1)
		for i, x := range data {
			e := x[at[i]+k*l.stride[i]]
			if d == tensor.Float16 || d == tensor.BFloat16 {
				v *= A(load(e, d))
			} else {
				v *= A(e)
			}
		}
		sum += v
	}
	return sum
}
