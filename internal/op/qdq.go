package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// QuantizeLinear rounds x, input 0, to integers:
//
//	y = clamp(round(x / scale) + zero)
//
// half to even, the division in float32, clamped to the range of the output
// type, which is that of the zero point (input 2), else To. A NaN gives the
// lower end. The scale, input 1, is one number, or one for each index of
// Axis, or with Block one for each block of so many indices of Axis.
type QuantizeLinear struct {
	Axis, Block int
	To          tensor.DType // Uint8 unless the file says more
}

// DequantizeLinear is y = (x - zero)·scale, the difference exact and the
// product in float32, with scale and zero point as in QuantizeLinear. The
// output has the type of the scale, or To.
type DequantizeLinear struct {
	Axis, Block int
	To          tensor.DType // Invalid: that of the scale
}

func newQuantize(n *graph.Node, _ int) (graph.Op, error) {
	q := &QuantizeLinear{Axis: n.Attrs.Int("axis", 1), Block: n.Attrs.Int("block_size", 0), To: tensor.Uint8}
	if code := n.Attrs.Int("output_dtype", 0); code != 0 {
		d, err := onnxType(code)
		if err != nil {
			return nil, err
		}
		q.To = d
	}
	if q.Block < 0 {
		return nil, fmt.Errorf("block_size %d is negative", q.Block)
	}
	return q, nil
}

func newDequantize(n *graph.Node, _ int) (graph.Op, error) {
	q := &DequantizeLinear{Axis: n.Attrs.Int("axis", 1), Block: n.Attrs.Int("block_size", 0)}
	if code := n.Attrs.Int("output_dtype", 0); code != 0 {
		d, err := onnxType(code)
		if err != nil {
			return nil, err
		}
		q.To = d
	}
	if q.Block < 0 {
		return nil, fmt.Errorf("block_size %d is negative", q.Block)
	}
	return q, nil
}

// quantType reports whether a type holds quantized numbers.
func quantType(d tensor.DType) bool {
	return d.IsInt() && d != tensor.Int64 && d != tensor.Uint64 && d != tensor.Uint32
}

// checkScales checks input 1, and input 2 where present, against x.
func checkScales(in []*graph.Value, axis, block int) error {
	if err := floatType(in[1]); err != nil {
		return err
	}
	s := in[1].Type.Shape
	if _, err := newScaleMap(in[0].Type.Shape, s, axis, block); err != nil {
		return err
	}
	if z := opt(in, 2); z != nil && z.Type.Shape.Elems() != s.Elems() {
		return fmt.Errorf("zero point %v does not fit scale %v: %w", z.Type, in[1].Type, ErrShape)
	}
	return nil
}

// Infer implements graph.Op.
func (q *QuantizeLinear) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 3); err != nil {
		return nil, err
	}
	x, to := in[0].Type, q.To
	if !x.DType.IsFloat() && x.DType != tensor.Int32 {
		return nil, fmt.Errorf("element type %v: %w", x.DType, ErrUnsupported)
	}
	if z := opt(in, 2); z != nil {
		to = z.Type.DType
	}
	if !quantType(to) {
		return nil, fmt.Errorf("quantizing to %v: %w", to, ErrUnsupported)
	}
	if err := checkScales(in, q.Axis, q.Block); err != nil {
		return nil, err
	}
	return typed(to, x.Shape)
}

// Infer implements graph.Op.
func (q *DequantizeLinear) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 3); err != nil {
		return nil, err
	}
	x, to := in[0].Type, q.To
	if !quantType(x.DType) {
		return nil, fmt.Errorf("dequantizing %v: %w", x.DType, ErrUnsupported)
	}
	if z := opt(in, 2); z != nil && z.Type.DType != x.DType {
		return nil, fmt.Errorf("zero point is %v, input is %v", z.Type.DType, x.DType)
	}
	if err := checkScales(in, q.Axis, q.Block); err != nil {
		return nil, err
	}
	if to == tensor.Invalid {
		to = in[1].Type.DType
	}
	if !to.IsFloat() {
		return nil, fmt.Errorf("dequantizing to %v: %w", to, ErrUnsupported)
	}
	return typed(to, x.Shape)
}

// scaleMap tells which scale belongs to an element: the tensor is rows of n
// elements, and element j of row r has scale base(r) + j·step.
type scaleMap struct {
	rows, n, step      int
	dim, blocks, block int // extent of the axis, blocks along it; blocks is 0 without blocks
}

func newScaleMap(x, s tensor.Shape, ax, block int) (m scaleMap, err error) {
	if block == 0 && s.Elems() == 1 {
		return scaleMap{rows: 1, n: x.Elems(), dim: 1}, nil
	}
	a, err := axis(ax, len(x))
	if err != nil {
		return m, err
	}
	outer, dim, inner := x[:a].Elems(), x[a], x[a+1:].Elems()
	if block == 0 {
		if s.Elems() != dim || len(s) != 1 {
			return m, fmt.Errorf("scale of shape %v does not fit axis %d of %v: %w", s, a, x, ErrShape)
		}
		if inner == 1 {
			return scaleMap{rows: outer, n: dim, step: 1, dim: 1}, nil
		}
		return scaleMap{rows: outer * dim, n: inner, dim: dim}, nil
	}
	blocks := (dim + block - 1) / block
	for i, d := range s {
		if want := x[min(i, len(x)-1)]; len(s) != len(x) || i != a && d != want || i == a && d != blocks {
			return m, fmt.Errorf("scale of shape %v does not fit blocks of %d on axis %d of %v: %w", s, block, a, x, ErrShape)
		}
	}
	if len(s) != len(x) {
		return m, fmt.Errorf("scale of shape %v has not the rank of %v: %w", s, x, ErrShape)
	}
	return scaleMap{rows: outer * dim, n: inner, step: 1, dim: dim, blocks: blocks, block: block}, nil
}

// base returns the scale of the first element of a row.
func (m *scaleMap) base(row int) int {
	if m.blocks > 0 {
		return (row/m.dim*m.blocks + row%m.dim/m.block) * m.n
	}
	return row % m.dim
}

// Eval implements Evaluator.
func (q *QuantizeLinear) Eval(in, out []*tensor.Tensor) error {
	m, err := newScaleMap(in[0].Shape, in[1].Shape, q.Axis, q.Block)
	for r := 0; r < m.rows; r++ {
		quantizeRow(in, out[0], &m, r, 0, m.n)
	}
	return err
}

// Eval implements Evaluator.
func (q *DequantizeLinear) Eval(in, out []*tensor.Tensor) error {
	m, err := newScaleMap(in[0].Shape, in[1].Shape, q.Axis, q.Block)
	for r := 0; r < m.rows; r++ {
		dequantizeRow(in, out[0], &m, r, 0, m.n)
	}
	return err
}

// Prepare implements Preparer.
func (q *QuantizeLinear) Prepare(env *Env) ([]Step, error) {
	return prepareScaled(env, "quantize", q.Axis, q.Block, quantizeRow)
}

// Prepare implements Preparer.
func (q *DequantizeLinear) Prepare(env *Env) ([]Step, error) {
	return prepareScaled(env, "dequantize", q.Axis, q.Block, dequantizeRow)
}

func prepareScaled(env *Env, kernel string, axis, block int, row func(in []*tensor.Tensor, y *tensor.Tensor, m *scaleMap, r, from, to int)) ([]Step, error) {
	m, err := newScaleMap(env.In[0].Shape, env.In[1].Shape, axis, block)
	if err != nil {
		return nil, err
	}
	t := newTiling(m.rows, m.n)
	return []Step{{Kernel: kernel, Tiles: t.tiles(), Cost: m.rows * m.n * 2, Run: func(_, tile int) {
		first, rows, from, to := t.at(tile)
		for r := first; r < first+rows; r++ {
			row(env.In, env.Out[0], &m, r, from, to)
		}
	}}}, nil
}

// quantizeRow computes elements from to to of a row.
func quantizeRow(in []*tensor.Tensor, y *tensor.Tensor, m *scaleMap, r, from, to int) {
	var f [chunk]float64
	var q [chunk]int64
	x, s, z := in[0], in[1], opt(in, 2)
	lo, hi := intRange(y.DType)
	for i := from; i < to; i += chunk {
		n, k := min(chunk, to-i), m.base(r)+i*m.step
		loadFloats(x, r*m.n+i, f[:n])
		scale, zero := float32(s.Float(k)), int64(0)
		if z != nil {
			zero = z.Int(k)
		}
		for j, v := range f[:n] {
			if m.step > 0 {
				scale = float32(s.Float(k + j))
				if z != nil {
					zero = z.Int(k + j)
				}
			}
			v = math.RoundToEven(float64(float32(v) / scale))
			switch {
			case v > float64(hi-zero):
				q[j] = hi
			case v >= float64(lo-zero):
				q[j] = int64(v) + zero
			default:
				q[j] = lo
			}
		}
		storeInts(y, r*m.n+i, q[:n])
	}
}

// dequantizeRow computes elements from to to of a row.
func dequantizeRow(in []*tensor.Tensor, y *tensor.Tensor, m *scaleMap, r, from, to int) {
	var f [chunk]float64
	var q [chunk]int64
	x, s, z := in[0], in[1], opt(in, 2)
	for i := from; i < to; i += chunk {
		n, k := min(chunk, to-i), m.base(r)+i*m.step
		loadInts(x, r*m.n+i, q[:n])
		scale, zero := float32(s.Float(k)), int64(0)
		if z != nil {
			zero = z.Int(k)
		}
		for j, v := range q[:n] {
			if m.step > 0 {
				scale = float32(s.Float(k + j))
				if z != nil {
					zero = z.Int(k + j)
				}
			}
			f[j] = float64(float32(v-zero) * scale)
		}
		storeFloats(y, r*m.n+i, f[:n])
	}
}

// DynamicQuantizeLinear quantizes float32 to uint8 with a scale and a zero
// point, outputs 1 and 2, that map the range of the input and 0 to 0..255.
type DynamicQuantizeLinear struct{}

func newDynamicQuantize(*graph.Node, int) (graph.Op, error) { return &DynamicQuantizeLinear{}, nil }

// Infer implements graph.Op.
func (q *DynamicQuantizeLinear) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	x := in[0].Type
	if x.DType != tensor.Float32 {
		return nil, fmt.Errorf("element type %v: %w", x.DType, ErrUnsupported)
	}
	out, err := typed(tensor.Uint8, x.Shape)
	return append(out, tensor.Of(tensor.Float32), tensor.Of(tensor.Uint8)), err
}

// Eval implements Evaluator.
func (q *DynamicQuantizeLinear) Eval(in, out []*tensor.Tensor) error {
	x, lo, hi := in[0].F32(), float32(0), float32(0)
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	scale := (hi - lo) / 255
	if scale == 0 {
		scale = 1
	}
	zero := math.RoundToEven(float64(min(max(-lo/scale, 0), 255)))
	set(out, 1, 0, float64(scale))
	set(out, 2, 0, zero)
	if out[0] != nil {
		for i, v := range x {
			r := math.RoundToEven(float64(v/scale)) + zero
			out[0].Data[i] = byte(min(max(r, 0), 255))
		}
	}
	return nil
}
