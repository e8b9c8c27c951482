package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// QLinearMatMul is the matrix product of 8-bit tensors, with shapes as in
// MatMul and requantization as in QLinearConv. a and y have one scale and zero
// point, or one for each row, b one or one for each column.
//
// Inputs: a, as, az, b, bs, bz, ys, yz.
type QLinearMatMul struct{}

// MatMulInteger is the matrix product Σ (a-az)·(b-bz) of 8-bit tensors in
// int32, with zero points as in QLinearMatMul, or nil.
//
// Inputs: a, b, az, bz.
type MatMulInteger struct{}

// QGemm is Gemm on 8-bit matrices: Alpha·as·bs·(Σ (a-az)·(b-bz) + c),
// requantized as in QLinearConv where ys is present, else as float32.
//
// Inputs: a, as, az, b, bs, bz, c (int32, or nil), ys, yz.
type QGemm struct {
	Alpha          float32
	TransA, TransB bool
}

func newQLinearMatMul(*graph.Node, int) (graph.Op, error) { return &QLinearMatMul{}, nil }

func newMatMulInteger(*graph.Node, int) (graph.Op, error) { return &MatMulInteger{}, nil }

func newQGemm(n *graph.Node, _ int) (graph.Op, error) {
	return &QGemm{
		Alpha:  n.Attrs.Float("alpha", 1),
		TransA: n.Attrs.Int("transA", 0) != 0,
		TransB: n.Attrs.Int("transB", 0) != 0,
	}, nil
}

// perRow lists the numbers of elements that parameters of a's rows may have.
func (p *product) perRow() []int { return []int{p.m, tensor.Shape(p.a[:p.rank]).Elems() * p.m} }

// perCol is perRow for b's columns.
func (p *product) perCol() []int { return []int{p.n, tensor.Shape(p.b[:p.rank]).Elems() * p.n} }

// rowEntry returns which of n parameters belongs to row r of the output, whose
// operand a starts at ai.
func (p *product) rowEntry(n, r, ai int) int {
	switch n {
	case 1:
		return 0
	case p.m:
		return r % p.m
	case p.rows():
		return r
	}
	return ai/max(p.k, 1) + r%p.m
}

// colEntry returns which of n parameters belongs to column 0 of the matrix of
// b that starts at bi.
func (p *product) colEntry(n, bi int) int {
	if n == 1 || n == p.n {
		return 0
	}
	return bi / max(p.k, 1)
}

// Infer implements graph.Op.
func (q *QLinearMatMul) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 8, 8); err != nil {
		return nil, err
	}
	a, b := in[0].Type, in[3].Type
	p, err := newProduct(a.Shape, b.Shape)
	for _, err := range []error{
		err, check8(in, 0), check8(in, 3), check8(in, 7),
		checkQuant(in, 1, 2, a.DType, p.perRow()...), checkQuant(in, 4, 5, b.DType, p.perCol()...),
		checkQuant(in, 6, 7, in[7].Type.DType, p.m, p.rows()),
	} {
		if err != nil {
			return nil, err
		}
	}
	return []tensor.Type{{DType: in[7].Type.DType, Shape: p.shape(len(a.Shape), len(b.Shape))}}, nil
}

// Infer implements graph.Op.
func (m *MatMulInteger) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 4); err != nil {
		return nil, err
	}
	a, b := in[0].Type, in[1].Type
	p, err := newProduct(a.Shape, b.Shape)
	for _, err := range []error{
		err, check8(in, 0), check8(in, 1), checkZero(in, 2, a.DType, p.perRow()...), checkZero(in, 3, b.DType, p.perCol()...),
	} {
		if err != nil {
			return nil, err
		}
	}
	return []tensor.Type{{DType: tensor.Int32, Shape: p.shape(len(a.Shape), len(b.Shape))}}, nil
}

func (q *QGemm) product(a, b tensor.Shape) (product, error) {
	return (&Gemm{TransA: q.TransA, TransB: q.TransB}).product(a, b)
}

// Infer implements graph.Op.
func (q *QGemm) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 6, 9); err != nil {
		return nil, err
	}
	p, err := q.product(in[0].Type.Shape, in[3].Type.Shape)
	d := tensor.Float32
	errs := []error{
		err, check8(in, 0), check8(in, 3), checkQuant(in, 1, 2, in[0].Type.DType), checkQuant(in, 4, 5, in[3].Type.DType, p.n),
	}
	if opt(in, 7) != nil {
		d = zeroType(in, 8, in[0].Type.DType)
		errs = append(errs, checkQuant(in, 7, 8, d))
		if !is8(d) {
			errs = append(errs, fmt.Errorf("result %v: %w", d, ErrUnsupported))
		}
	}
	if c := opt(in, 6); c != nil && (c.Type.DType != tensor.Int32 || !fitsInto(c.Type.Shape, tensor.Shape{p.m, p.n}, 2-len(c.Type.Shape))) {
		errs = append(errs, fmt.Errorf("input C %v for a result of %dx%d: %w", c.Type, p.m, p.n, ErrShape))
	}
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return []tensor.Type{tensor.Of(d, p.m, p.n)}, nil
}

// Eval implements Evaluator.
func (q *QLinearMatMul) Eval(in, out []*tensor.Tensor) error {
	p, err := newProduct(in[0].Shape, in[3].Shape)
	if err == nil {
		q.rows(&p, in, out[0], 0, p.rows())
	}
	return err
}

// Prepare implements Preparer: rows in parallel.
func (q *QLinearMatMul) Prepare(env *Env) ([]Step, error) {
	in, y := env.In, env.Out[0]
	p, err := newProduct(in[0].Shape, in[3].Shape)
	return split("qlinearmatmul", p.rows(), p.n*p.k, func(_, lo, hi int) { q.rows(&p, in, y, lo, hi) }), err
}

func (q *QLinearMatMul) rows(p *product, in []*tensor.Tensor, y *tensor.Tensor, lo, hi int) {
	qy := quant8Of(in, 6, 7, y.DType)
	var acc [chunk]int32
	for r := lo; r < hi; r++ {
		ai, bi := p.offsets(r / p.m)
		as := scaleEntry(in[1], p.rowEntry(in[1].Elems(), r, ai))
		qy.scale = scaleEntry(in[6], p.rowEntry(in[6].Elems(), r, ai))
		qy.zero = entry(in[7], p.rowEntry(in[7].Elems(), r, ai))
		col := p.colEntry(in[4].Elems(), bi)
		for j := 0; j < p.n; j += chunk {
			part := acc[:min(chunk, p.n-j)]
			clear(part)
			productInts(p, part, in[0], in[3], in[2], in[5], r, j)
			dst := y.Data[r*p.n+j:][:len(part)]
			for i, v := range part {
				dst[i] = qy.settle(float32(v) * (float32(as*scaleEntry(in[4], col+j+i)) / qy.scale))
			}
		}
	}
}

// Eval implements Evaluator.
func (m *MatMulInteger) Eval(in, out []*tensor.Tensor) error {
	p, err := newProduct(in[0].Shape, in[1].Shape)
	if err == nil {
		m.rows(&p, in, out[0], 0, p.rows())
	}
	return err
}

// Prepare implements Preparer: rows in parallel.
func (m *MatMulInteger) Prepare(env *Env) ([]Step, error) {
	in, y := env.In, env.Out[0]
	p, err := newProduct(in[0].Shape, in[1].Shape)
	return split("matmulinteger", p.rows(), p.n*p.k, func(_, lo, hi int) { m.rows(&p, in, y, lo, hi) }), err
}

func (m *MatMulInteger) rows(p *product, in []*tensor.Tensor, y *tensor.Tensor, lo, hi int) {
	for r := lo; r < hi; r++ {
		row := tensor.View[int32](y)[r*p.n:][:p.n]
		clear(row)
		productInts(p, row, in[0], in[1], opt(in, 2), opt(in, 3), r, 0)
	}
}

// Eval implements Evaluator.
func (q *QGemm) Eval(in, out []*tensor.Tensor) error {
	p, err := q.product(in[0].Shape, in[3].Shape)
	if err == nil {
		q.rows(&p, in, out[0], 0, p.m)
	}
	return err
}

// Prepare implements Preparer: rows in parallel.
func (q *QGemm) Prepare(env *Env) ([]Step, error) {
	in, y := env.In, env.Out[0]
	p, err := q.product(in[0].Shape, in[3].Shape)
	return split("qgemm", p.m, p.n*p.k, func(_, lo, hi int) { q.rows(&p, in, y, lo, hi) }), err
}

func (q *QGemm) rows(p *product, in []*tensor.Tensor, y *tensor.Tensor, lo, hi int) {
	var qy quant8
	if opt(in, 7) != nil {
		qy = quant8Of(in, 7, 8, y.DType)
	}
	c, cRow, cCol := opt(in, 6), 0, 0
	if c != nil {
		cRow, cCol = broadcastStrides(c.Shape)
	}
	as := float32(in[1].Float(0)) * q.Alpha
	var acc [chunk]int32
	for r := lo; r < hi; r++ {
		for j := 0; j < p.n; j += chunk {
			part := acc[:min(chunk, p.n-j)]
			clear(part)
			productInts(p, part, in[0], in[3], in[2], in[5], r, j)
			for i, v := range part {
				if c != nil {
					v += int32(c.Int(r*cRow + (j+i)*cCol))
				}
				s := float32(as * scaleEntry(in[4], j+i))
				if y.DType == tensor.Float32 {
					y.F32()[r*p.n+j+i] = float32(v) * s
				} else {
					y.Data[r*p.n+j+i] = qy.settle(float32(v) * (s / qy.scale))
				}
			}
		}
	}
}

// productInts adds columns j... of row r of Σ (a-az)·(b-bz) to acc.
func productInts(p *product, acc []int32, a, b, az, bz *tensor.Tensor, r, j int) {
	switch {
	case a.DType == tensor.Uint8 && b.DType == tensor.Int8:
		addIntRow[uint8, int8](p, acc, a, b, az, bz, r, j)
	case a.DType == tensor.Uint8:
		addIntRow[uint8, uint8](p, acc, a, b, az, bz, r, j)
	case b.DType == tensor.Int8:
		addIntRow[int8, int8](p, acc, a, b, az, bz, r, j)
	default:
		addIntRow[int8, uint8](p, acc, a, b, az, bz, r, j)
	}
}

func addIntRow[X, Y tensor.Element](p *product, acc []int32, a, b, az, bz *tensor.Tensor, r, j int) {
	ai, bi := p.offsets(r / p.m)
	zero := int32(0)
	if az != nil {
		zero = entry(az, p.rowEntry(az.Elems(), r, ai))
	}
	sum := addRow(p, acc, tensor.View[X](a)[ai:], tensor.View[Y](b)[bi:], r%p.m, j, zero, a.DType)
	if bz == nil {
		return
	}
	col := p.colEntry(bz.Elems(), bi)
	for i := range acc {
		acc[i] -= sum * entry(bz, col+j+i)
	}
}
