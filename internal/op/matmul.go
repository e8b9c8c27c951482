package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// MatMul is the matrix product of NumPy: the last two axes are multiplied,
// those before them broadcast; a vector is a row on the left and a column on
// the right, and its axis is left out of the result.
type MatMul struct{}

// Gemm is Alpha·A'·B' + Beta·C, where A' is A [M,K] or its transpose, B' is B
// [K,N] or its transpose, and C, which may be absent, broadcasts to [M,N].
type Gemm struct {
	Alpha, Beta    float64
	TransA, TransB bool
}

func newMatMul(*graph.Node, int) (graph.Op, error) { return &MatMul{}, nil }

func newGemm(n *graph.Node, _ int) (graph.Op, error) {
	return &Gemm{
		Alpha:  float64(n.Attrs.Float("alpha", 1)),
		Beta:   float64(n.Attrs.Float("beta", 1)),
		TransA: n.Attrs.Int("transA", 0) != 0,
		TransB: n.Attrs.Int("transB", 0) != 0,
	}, nil
}

// product is a batch of matrix products with its extents and, in elements,
// the strides of both operands.
type product struct {
	rank                   int                 // of the batch
	batch, a, b            [tensor.MaxRank]int // batch axes of the output and of the operands
	m, n, k                int
	aRow, aCol, bRow, bCol int
}

// newProduct resolves the shapes of a MatMul.
func newProduct(a, b tensor.Shape) (product, error) {
	p := product{m: 1, n: 1}
	if len(a) == 0 || len(b) == 0 || max(len(a), len(b)) > tensor.MaxRank {
		return p, fmt.Errorf("product of %v and %v: %w", a, b, ErrShape)
	}
	p.rank = max(len(a), len(b), 2) - 2
	for i := range p.rank {
		x, y := 1, 1
		if j := i - p.rank + len(a) - 2; len(a) > 2 && j >= 0 {
			x = a[j]
		}
		if j := i - p.rank + len(b) - 2; len(b) > 2 && j >= 0 {
			y = b[j]
		}
		p.a[i], p.b[i], p.batch[i] = x, y, x
		if x == 1 {
			p.batch[i] = y
		} else if y != 1 && x != y {
			return p, fmt.Errorf("product of %v and %v: %w", a, b, ErrShape)
		}
	}
	p.k = a[len(a)-1]
	if len(a) > 1 {
		p.m = a[len(a)-2]
	}
	if len(b) > 1 {
		p.n = b[len(b)-1]
	}
	if b[max(0, len(b)-2)] != p.k {
		return p, fmt.Errorf("product of %v and %v: %w", a, b, ErrShape)
	}
	p.aRow, p.aCol, p.bRow, p.bCol = p.k, 1, p.n, 1
	return p, nil
}

// shape returns the output's shape for operands of the given ranks.
func (p *product) shape(a, b int) tensor.Shape {
	y := tensor.Shape(p.batch[:p.rank]).Clone()
	if a > 1 {
		y = append(y, p.m)
	}
	if b > 1 {
		y = append(y, p.n)
	}
	return y
}

// rows returns the number of rows of all matrices of the output.
func (p *product) rows() int { return tensor.Shape(p.batch[:p.rank]).Elems() * p.m }

// offsets returns where the operands of matrix i of the batch start.
func (p *product) offsets(i int) (a, b int) {
	as, bs := p.m*p.k, p.k*p.n
	for d := p.rank - 1; d >= 0; d-- {
		at := i % p.batch[d]
		i /= p.batch[d]
		if p.a[d] > 1 {
			a += at * as
		}
		if p.b[d] > 1 {
			b += at * bs
		}
		as *= p.a[d]
		bs *= p.b[d]
	}
	return a, b
}

// addRow adds columns j... of row r of A·B to acc, where a and b are the
// operands of one matrix of the batch: Σ (a-az)·b. It returns Σ (a-az), for
// the correction of a zero point of b. d tells how to read halves.
func addRow[X, Y tensor.Element, A int32 | int64 | float64](p *product, acc []A, a []X, b []Y, r, j int, az A, d tensor.DType) (sum A) {
	half := d == tensor.Float16 || d == tensor.BFloat16
	for k := range p.k {
		v := a[r*p.aRow+k*p.aCol]
		row := b[k*p.bRow+j*p.bCol:]
		switch {
		case half:
			w := load(v, d)
			for i := range acc {
				acc[i] += A(w * load(row[i*p.bCol], d))
			}
		case p.bCol == 1:
			w := A(v) - az
			sum += w
			for i, e := range row[:len(acc)] {
				acc[i] += w * A(e)
			}
		default:
			w := A(v) - az
			sum += w
			for i := range acc {
				acc[i] += w * A(row[i*p.bCol])
			}
		}
	}
	return sum
}

// numericPair checks two operands of one type that products can be made of.
func numericPair(in []*graph.Value) error {
	d := in[0].Type.DType
	if !d.IsFloat() && d != tensor.Int32 && d != tensor.Int64 && d != tensor.Uint32 && d != tensor.Uint64 {
		return fmt.Errorf("element type %v of %q: %w", d, in[0].Name, ErrUnsupported)
	}
	for _, v := range in[1:] {
		if v != nil && v.Type.DType != d {
			return fmt.Errorf("element types %v of %q and %v of %q differ: %w", d, in[0].Name, v.Type.DType, v.Name, ErrUnsupported)
		}
	}
	return nil
}

// Infer implements graph.Op.
func (m *MatMul) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 2); err != nil {
		return nil, err
	}
	if err := numericPair(in); err != nil {
		return nil, err
	}
	a, b := in[0].Type.Shape, in[1].Type.Shape
	p, err := newProduct(a, b)
	return []tensor.Type{{DType: in[0].Type.DType, Shape: p.shape(len(a), len(b))}}, err
}

// Eval implements Evaluator.
func (m *MatMul) Eval(in, out []*tensor.Tensor) error {
	p, err := newProduct(in[0].Shape, in[1].Shape)
	if err != nil {
		return err
	}
	(&affine{product: p, alpha: 1}).eval(in[0], in[1], nil, out[0], 0, p.rows())
	return nil
}

// product resolves the shapes of a Gemm.
func (g *Gemm) product(a, b tensor.Shape) (product, error) {
	if len(a) != 2 || len(b) != 2 {
		return product{}, fmt.Errorf("product of %v and %v, want matrices: %w", a, b, ErrShape)
	}
	p := product{m: a[0], k: a[1], n: b[1], aRow: a[1], aCol: 1, bRow: b[1], bCol: 1}
	inner := b[0]
	if g.TransA {
		p.m, p.k, p.aRow, p.aCol = a[1], a[0], 1, a[1]
	}
	if g.TransB {
		p.n, inner, p.bRow, p.bCol = b[0], b[1], 1, b[1]
	}
	if inner != p.k {
		return p, fmt.Errorf("product of %v and %v, transposed %v and %v: %w", a, b, g.TransA, g.TransB, ErrShape)
	}
	return p, nil
}

// Infer implements graph.Op.
func (g *Gemm) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 3); err != nil {
		return nil, err
	}
	if err := numericPair(in); err != nil {
		return nil, err
	}
	p, err := g.product(in[0].Type.Shape, in[1].Type.Shape)
	if err != nil {
		return nil, err
	}
	if c := opt(in, 2); c != nil {
		if !fitsInto(c.Type.Shape, tensor.Shape{p.m, p.n}, 2-len(c.Type.Shape)) {
			return nil, fmt.Errorf("input C %v for a result of %dx%d: %w", c.Type, p.m, p.n, ErrShape)
		}
	}
	return []tensor.Type{tensor.Of(in[0].Type.DType, p.m, p.n)}, nil
}

// Eval implements Evaluator.
func (g *Gemm) Eval(in, out []*tensor.Tensor) error {
	p, err := g.product(in[0].Shape, in[1].Shape)
	if err != nil {
		return err
	}
	(&affine{p, g.Alpha, g.Beta}).eval(in[0], in[1], opt(in, 2), out[0], 0, p.m)
	return nil
}

// affine is alpha times a product plus beta times a matrix.
type affine struct {
	product
	alpha, beta float64
}

// eval computes rows lo to hi of all matrices.
func (p *affine) eval(a, b, c, y *tensor.Tensor, lo, hi int) {
	switch a.DType {
	case tensor.Float32:
		evalAffine[float32, float64](p, a, b, c, y, lo, hi)
	case tensor.Float64:
		evalAffine[float64, float64](p, a, b, c, y, lo, hi)
	case tensor.Int32, tensor.Uint32:
		evalAffine[int32, int64](p, a, b, c, y, lo, hi)
	case tensor.Int64, tensor.Uint64:
		evalAffine[int64, int64](p, a, b, c, y, lo, hi)
	default:
		evalAffine[uint16, float64](p, a, b, c, y, lo, hi)
	}
}

func evalAffine[T tensor.Element, A int64 | float64](p *affine, a, b, c, y *tensor.Tensor, lo, hi int) {
	as, bs, ys := tensor.View[T](a), tensor.View[T](b), tensor.View[T](y)
	var buf [chunk]A
	cRow, cCol := 0, 0
	if c != nil {
		cRow, cCol = broadcastStrides(c.Shape)
	}
	plain := p.alpha == 1 && c == nil
	for r := lo; r < hi; r++ {
		ai, bi := p.offsets(r / p.m)
		for j := 0; j < p.n; j += chunk {
			acc := buf[:min(chunk, p.n-j)]
			clear(acc)
			addRow(&p.product, acc, as[ai:], bs[bi:], r%p.m, j, 0, y.DType)
			dst := ys[r*p.n+j:][:len(acc)]
			for i, v := range acc {
				switch {
				case plain && !y.DType.IsFloat():
					dst[i] = T(v)
				case c == nil:
					dst[i] = rounded[T](p.alpha*float64(v), y.DType)
				default:
					dst[i] = rounded[T](p.alpha*float64(v)+p.beta*c.Float(r*cRow+(j+i)*cCol), y.DType)
				}
			}
		}
	}
}

// broadcastStrides returns the strides with which a shape of at most two axes
// broadcasts to a matrix.
func broadcastStrides(s tensor.Shape) (row, col int) {
	n := 1
	if len(s) > 0 {
		n = s[len(s)-1]
	}
	if n > 1 {
		col = 1
	}
	if len(s) > 1 && s[0] > 1 {
		row = n
	}
	return row, col
}
