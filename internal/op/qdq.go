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

// Pitched implements Pitcher.
func (q *QuantizeLinear) Pitched() (in, out bool) { return true, true }

// Pitched implements Pitcher.
func (q *DequantizeLinear) Pitched() (in, out bool) { return true, true }

// Prepare implements Preparer.
func (q *QuantizeLinear) Prepare(env *Env) ([]Step, error) {
	x, y := env.In[0], env.Out[0]
	if !oneScale(env.In, q.Block) || x.DType != tensor.Float32 || !isByte(y.DType) {
		return prepareScaled(env, "quantize", q.Axis, q.Block, quantizeRow)
	}
	return eachRow(walkOver(y, x), "f32_to_u8", 1, func(off [4]int, from, to int) {
		scale, zero := byteScale(env.In, y.DType)
		dst := y.Data[off[0]+from : off[0]+to]
		env.Kernels.F32ToU8(dst, whole[float32](x)[off[1]+from:off[1]+to], scale, zero)
		if y.DType == tensor.Int8 {
			flipSigns(dst, dst)
		}
	}), nil
}

// Prepare implements Preparer.
func (q *DequantizeLinear) Prepare(env *Env) ([]Step, error) {
	x, y := env.In[0], env.Out[0]
	if !oneScale(env.In, q.Block) || y.DType != tensor.Float32 || !isByte(x.DType) {
		return prepareScaled(env, "dequantize", q.Axis, q.Block, dequantizeRow)
	}
	var flipped *Scratch
	if x.DType == tensor.Int8 {
		flipped = env.Scratch(flatChunk)
	}
	return eachRowOf(walkOver(y, x), "u8_to_f32", 1, func(worker int, off [4]int, from, to int) {
		scale, zero := byteScale(env.In, x.DType)
		dst, src := whole[float32](y)[off[0]+from:off[0]+to], x.Data[off[1]+from:off[1]+to]
		if flipped == nil {
			env.Kernels.U8ToF32(dst, src, scale, zero)
			return
		}
		buf := flipped.For(worker)[:flatChunk]
		for len(src) > 0 {
			n := min(len(src), len(buf))
			flipSigns(buf, src[:n])
			env.Kernels.U8ToF32(dst[:n], buf[:n], scale, zero)
			dst, src = dst[n:], src[n:]
		}
	}), nil
}

func isByte(d tensor.DType) bool { return d == tensor.Uint8 || d == tensor.Int8 }

// oneScale reports whether all elements have one scale.
func oneScale(in []*tensor.Tensor, block int) bool { return block == 0 && in[1].Elems() == 1 }

// byteScale returns the one scale and zero point of bytes that the kernels take
// for uint8: an int8 number with its sign bit flipped is 128 more.
func byteScale(in []*tensor.Tensor, d tensor.DType) (scale float32, zero int32) {
	if z := opt(in, 2); z != nil {
		zero = int32(z.Int(0))
	}
	if d == tensor.Int8 {
		zero += 128
	}
	return float32(in[1].Float(0)), zero
}

// flipSigns turns int8 into the uint8 that are 128 more, or back. dst may be src.
func flipSigns(dst, src []byte) {
	for i, v := range src {
		dst[i] = v ^ 0x80
	}
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

// scales are those of up to chunk elements of a row: all of them, or only the
// first, which then serves for all.
type scales struct {
	scale [chunk]float64
	zero  [chunk]int64
	step  int
}

// load sets the scales of elements from i to at most to of row r of x and
// returns how many they are and where x and y have them: not more than lie one
// behind the other everywhere.
func (s *scales) load(m *scaleMap, in []*tensor.Tensor, y *tensor.Tensor, r, i, to int) (n, xAt, yAt int) {
	n = min(chunk, to-i)
	xAt, yAt = inRow(in[0], r*m.n+i, &n), inRow(y, r*m.n+i, &n)
	k, count := m.base(r)+i*m.step, 1
	s.step = m.step
	z := opt(in, 2)
	if m.step > 0 {
		inRow(in[1], k, &n)
		if z != nil {
			inRow(z, k, &n)
		}
		count = n
	}
	loadFloats(in[1], inRow(in[1], k, &count), s.scale[:count])
	if z != nil {
		loadInts(z, inRow(z, k, &count), s.zero[:count])
	}
	return n, xAt, yAt
}

// of returns the scale and zero point of element j.
func (s *scales) of(j int) (scale float32, zero int64) {
	return float32(s.scale[j*s.step]), s.zero[j*s.step]
}

// inRow returns where element e of a tensor lies, and lowers n to how many
// lie behind it.
func inRow(t *tensor.Tensor, e int, n *int) int {
	if t.Pitch == 0 {
		return e
	}
	c := t.Shape[len(t.Shape)-1]
	*n = min(*n, c-e%c)
	return e/c*t.Pitch + e%c
}

// quantizeRow computes elements from to to of a row.
func quantizeRow(in []*tensor.Tensor, y *tensor.Tensor, m *scaleMap, r, from, to int) {
	var f [chunk]float64
	var q [chunk]int64
	var s scales
	lo, hi := intRange(y.DType)
	for i := from; i < to; {
		n, xAt, yAt := s.load(m, in, y, r, i, to)
		loadFloats(in[0], xAt, f[:n])
		for j, v := range f[:n] {
			scale, zero := s.of(j)
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
		storeInts(y, yAt, q[:n])
		i += n
	}
}

// dequantizeRow computes elements from to to of a row.
func dequantizeRow(in []*tensor.Tensor, y *tensor.Tensor, m *scaleMap, r, from, to int) {
	var f [chunk]float64
	var q [chunk]int64
	var s scales
	for i := from; i < to; {
		n, xAt, yAt := s.load(m, in, y, r, i, to)
		loadInts(in[0], xAt, q[:n])
		for j, v := range q[:n] {
			scale, zero := s.of(j)
			f[j] = float64(float32(v-zero) * scale)
		}
		storeFloats(y, yAt, f[:n])
		i += n
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
