package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// QLinearBinary adds or multiplies two 8-bit tensors that broadcast: the real
// numbers are added or multiplied in float32 and quantized.
//
// Inputs: a, as, az, b, bs, bz, ys, yz; zero points may be nil.
type QLinearBinary struct{ Mul bool }

// QLinearUnary applies a function to an 8-bit tensor: y = quantize(f(real x)).
//
// Inputs: x, xs, xz, ys, yz; zero points may be nil.
type QLinearUnary struct {
	Sigmoid bool
	Alpha   float32 // of the LeakyRelu that it is otherwise
}

// QLinearConcat quantizes tensors to one scale and joins them along Axis.
//
// Inputs: ys, yz, then x, xs, xz of each tensor.
type QLinearConcat struct{ Axis int }

// QLinearWhere takes elements from x where a condition holds, else from y.
//
// Inputs: condition, x, xs, xz, y, ys, yz, zs, zz.
type QLinearWhere struct{}

func newQLinearBinary(mul bool) Builder {
	return func(*graph.Node, int) (graph.Op, error) { return &QLinearBinary{mul}, nil }
}

func newQLinearSigmoid(*graph.Node, int) (graph.Op, error) { return &QLinearUnary{Sigmoid: true}, nil }

func newQLinearLeakyRelu(n *graph.Node, _ int) (graph.Op, error) {
	return &QLinearUnary{Alpha: n.Attrs.Float("alpha", 0.01)}, nil
}

func newQLinearConcat(n *graph.Node, _ int) (graph.Op, error) {
	return &QLinearConcat{n.Attrs.Int("axis", 0)}, nil
}

func newQLinearWhere(*graph.Node, int) (graph.Op, error) { return &QLinearWhere{}, nil }

// same8 checks 8-bit tensors, with their scales and zero points, that have one
// type and returns that type. Each entry of at is the position of a tensor,
// which its scale and zero point follow; y is the position of the result's
// scale.
func same8(in []*graph.Value, y int, at ...int) (tensor.DType, error) {
	if opt(in, at[0]) == nil {
		return 0, fmt.Errorf("input %d is missing: %w", at[0], ErrShape)
	}
	d := in[at[0]].Type.DType
	for _, i := range at {
		if opt(in, i) == nil || in[i].Type.DType != d || !is8(d) {
			return 0, fmt.Errorf("input %d must have the type %v of the first and be int8 or uint8: %w", i, d, ErrUnsupported)
		}
		if err := checkQuant(in, i+1, i+2, d); err != nil {
			return 0, err
		}
	}
	return d, checkQuant(in, y, y+1, d)
}

// Infer implements graph.Op.
func (q *QLinearBinary) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 8); err != nil {
		return nil, err
	}
	d, err := same8(in, 6, 0, 3)
	if err != nil {
		return nil, err
	}
	s, err := broadcastShape(in[0].Type.Shape, in[3].Type.Shape)
	return []tensor.Type{{DType: d, Shape: s}}, err
}

// Infer implements graph.Op.
func (q *QLinearUnary) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 5); err != nil {
		return nil, err
	}
	d, err := same8(in, 3, 0)
	return []tensor.Type{{DType: d, Shape: in[0].Type.Shape.Clone()}}, err
}

// Infer implements graph.Op.
func (q *QLinearConcat) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 5, -1); err != nil {
		return nil, err
	}
	if len(in)%3 != 2 {
		return nil, fmt.Errorf("has %d inputs, want two and three for each tensor: %w", len(in), ErrShape)
	}
	y := in[2].Type.Shape.Clone()
	a, err := axis(q.Axis, len(y))
	if err != nil {
		return nil, err
	}
	d := zeroType(in, 1, in[2].Type.DType)
	if err := checkQuant(in, 0, 1, d); err != nil || !is8(d) {
		return nil, fmt.Errorf("result %v: %w", d, ErrUnsupported)
	}
	y[a] = 0
	for i := 2; i < len(in); i += 3 {
		if err := args(in[i:], 1, -1); err != nil {
			return nil, err
		}
		if err := check8(in, i); err != nil {
			return nil, err
		}
		if err := checkQuant(in, i+1, i+2, in[i].Type.DType); err != nil {
			return nil, err
		}
		s := in[i].Type.Shape
		if len(s) == len(y) {
			y[a] += s[a]
		}
		for k := range y {
			if len(s) != len(y) || k != a && s[k] != y[k] {
				return nil, fmt.Errorf("input %d, %v, does not fit %v along axis %d: %w", i, s, in[2].Type.Shape, a, ErrShape)
			}
		}
	}
	return []tensor.Type{{DType: d, Shape: y}}, nil
}

// Infer implements graph.Op.
func (q *QLinearWhere) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 9, 9); err != nil {
		return nil, err
	}
	if in[0].Type.DType != tensor.Bool {
		return nil, fmt.Errorf("condition is %v: %w", in[0].Type.DType, ErrUnsupported)
	}
	d, err := same8(in, 7, 1, 4)
	if err != nil {
		return nil, err
	}
	s, err := broadcastShape(in[1].Type.Shape, in[4].Type.Shape)
	if err == nil {
		s, err = broadcastShape(s, in[0].Type.Shape)
	}
	return []tensor.Type{{DType: d, Shape: s}}, err
}

// Eval implements Evaluator.
func (q *QLinearBinary) Eval(in, out []*tensor.Tensor) error {
	w := walkOver(out[0], in[0], in[3])
	q.rows(in, out[0], w, tiling{rows: w.rows, n: w.n, perTile: max(w.rows, 1), pieces: 1, piece: w.n}, 0)
	return nil
}

// Prepare implements Preparer: rows, or pieces of them, in parallel.
func (q *QLinearBinary) Prepare(env *Env) ([]Step, error) {
	in, y := env.In, env.Out[0]
	w := walkOver(y, in[0], in[3])
	t := newTiling(w.rows, w.n)
	return []Step{{Kernel: "qlinearbinary", Tiles: t.tiles(), Cost: y.Elems(), Run: func(_, tile int) {
		q.rows(in, y, w, t, tile)
	}}}, nil
}

// rows computes one tile.
func (q *QLinearBinary) rows(in []*tensor.Tensor, y *tensor.Tensor, w walk, t tiling, tile int) {
	qa, qb, qy := quant8Of(in, 1, 2, y.DType), quant8Of(in, 4, 5, y.DType), quant8Of(in, 6, 7, y.DType)
	a, b := qa.real(), qb.real()
	if w.rows == 0 {
		return
	}
	row, rows, from, to := t.at(tile)
	w.seek(row)
	for range rows {
		for i := from; i < to; i++ {
			u, v := a[in[0].Data[w.off[1]+i*w.in[1]]], b[in[3].Data[w.off[2]+i*w.in[2]]]
			if q.Mul {
				u *= v
			} else {
				u += v
			}
			y.Data[w.off[0]+i*w.in[0]] = qy.settle(u / qy.scale)
		}
		w.next()
	}
}

// Eval implements Evaluator.
func (q *QLinearUnary) Eval(in, out []*tensor.Tensor) error {
	table := q.table(in, out[0].DType)
	for i, b := range in[0].Bytes() {
		out[0].Data[i] = table[b]
	}
	return nil
}

// table returns the result for every byte.
func (q *QLinearUnary) table(in []*tensor.Tensor, d tensor.DType) (table [256]byte) {
	qx, qy := quant8Of(in, 1, 2, d), quant8Of(in, 3, 4, d)
	for i, v := range qx.real() {
		switch {
		case q.Sigmoid:
			v = float32(sigmoid(float64(v)))
		case v < 0:
			v *= q.Alpha
		}
		table[i] = qy.settle(v / qy.scale)
	}
	return table
}

// InPlace implements InPlacer.
func (q *QLinearUnary) InPlace() []int { return []int{0} }

// Eval implements Evaluator.
func (q *QLinearConcat) Eval(in, out []*tensor.Tensor) error {
	y := out[0]
	a, err := axis(q.Axis, len(y.Shape))
	if err != nil {
		return err
	}
	qy := quant8Of(in, 0, 1, y.DType)
	outer, inner := y.Shape[:a].Elems(), y.Shape[a+1:].Elems()
	first := 0
	for i := 2; i < len(in); i += 3 {
		x := in[i]
		qx := quant8Of(in, i+1, i+2, x.DType)
		var table [256]byte
		for k, v := range qx.real() {
			table[k] = qy.settle(v / qy.scale)
			if qx == qy {
				table[k] = byte(k)
			}
		}
		n := x.Shape[a] * inner
		for o := range outer {
			dst := y.Data[o*y.Shape[a]*inner+first:][:n]
			for k, b := range x.Data[o*n:][:n] {
				dst[k] = table[b]
			}
		}
		first += n
	}
	return nil
}

// Eval implements Evaluator.
func (q *QLinearWhere) Eval(in, out []*tensor.Tensor) error {
	y := out[0]
	qz := quant8Of(in, 7, 8, y.DType)
	var tables [2][256]byte
	for k := range tables {
		qx := quant8Of(in, 3*k+2, 3*k+3, y.DType)
		for i, v := range qx.real() {
			tables[k][i] = qz.settle(v / qz.scale)
		}
	}
	w := walkOver(y, in[0], in[1], in[4])
	for range w.rows {
		for i := range w.n {
			v := tables[1][in[4].Data[w.off[3]+i*w.in[3]]]
			if in[0].Data[w.off[1]+i*w.in[1]] != 0 {
				v = tables[0][in[1].Data[w.off[2]+i*w.in[2]]]
			}
			y.Data[w.off[0]+i*w.in[0]] = v
		}
		w.next()
	}
	return nil
}
