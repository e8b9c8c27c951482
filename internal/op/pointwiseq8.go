package op

import (
	"fmt"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels/ref"
)

// TableU8 is the machine form of any function of one uint8 number: y = Table[x].
type TableU8 struct{ Table *[256]uint8 }

// FlipSign turns int8 numbers into uint8 numbers that are 128 larger, and back.
type FlipSign struct{}

// BinaryU8 is the machine form of a sum or product of two uint8 tensors with a
// uint8 result; see the functions U8Add and U8Mul of kernels/ref. The second
// operand may have one element for each index of the last axis only, or for
// each index of the first and the last.
type BinaryU8 struct {
	Mul bool
	ref.BinaryU8
	Table *[256]uint8 // what is done to the result; nil: nothing
}

// Infer implements graph.Op.
func (t *TableU8) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	if in[0].Type.DType != tensor.Uint8 {
		return nil, fmt.Errorf("TableU8 of %v: %w", in[0].Type, ErrShape)
	}
	return typed(tensor.Uint8, in[0].Type.Shape)
}

// Pitched implements Pitcher.
func (t *TableU8) Pitched() (in, out bool) { return true, true }

// InPlace implements InPlacer.
func (t *TableU8) InPlace() []int { return []int{0} }

// Eval implements Evaluator.
func (t *TableU8) Eval(in, out []*tensor.Tensor) error {
	for i, v := range in[0].Data[:in[0].Elems()] {
		out[0].Data[i] = t.Table[v]
	}
	return nil
}

// Prepare implements Preparer.
func (t *TableU8) Prepare(env *Env) ([]Step, error) {
	return rowsStep(env, "u8 table", func(_ int, y []byte, x [2][]byte) { env.Kernels.U8Table(y, x[0], t.Table) }), nil
}

// Infer implements graph.Op.
func (f *FlipSign) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1); err != nil {
		return nil, err
	}
	switch in[0].Type.DType {
	case tensor.Uint8:
		return typed(tensor.Int8, in[0].Type.Shape)
	case tensor.Int8:
		return typed(tensor.Uint8, in[0].Type.Shape)
	}
	return nil, fmt.Errorf("FlipSign of %v: %w", in[0].Type, ErrShape)
}

// InPlace implements InPlacer.
func (f *FlipSign) InPlace() []int { return []int{0} }

// Eval implements Evaluator.
func (f *FlipSign) Eval(in, out []*tensor.Tensor) error {
	for i, v := range in[0].Data[:in[0].Elems()] {
		out[0].Data[i] = v ^ 0x80
	}
	return nil
}

// Infer implements graph.Op.
func (b *BinaryU8) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 2); err != nil {
		return nil, err
	}
	x, y := in[0].Type, in[1].Type
	if x.DType != tensor.Uint8 || y.DType != tensor.Uint8 || !x.Shape.Equal(y.Shape) && !perPixel(x.Shape, y.Shape) {
		return nil, fmt.Errorf("BinaryU8 of %v and %v: %w", x, y, ErrShape)
	}
	return typed(tensor.Uint8, x.Shape)
}

// perPixel reports whether y has one element for each index of the last axis of
// x, or of the first and the last.
func perPixel(x, y tensor.Shape) bool {
	if len(x) != len(y) || len(x) == 0 || y[len(y)-1] != x[len(x)-1] {
		return false
	}
	for a := 1; a < len(y)-1; a++ {
		if y[a] != 1 {
			return false
		}
	}
	return len(y) == 1 || y[0] == 1 || y[0] == x[0]
}

// Pitched implements Pitcher.
func (b *BinaryU8) Pitched() (in, out bool) { return true, true }

// InPlace implements InPlacer.
func (b *BinaryU8) InPlace() []int { return []int{0} }

// Eval implements Evaluator.
func (b *BinaryU8) Eval(in, out []*tensor.Tensor) error {
	f, p := ref.U8Add, b.BinaryU8
	if b.Mul {
		f = ref.U8Mul
	}
	c := in[0].Shape[len(in[0].Shape)-1]
	for i := 0; i < in[0].Elems(); i += c {
		row := out[0].Data[i : i+c]
		f(row, in[0].Data[i:i+c], in[1].Data[operandRow(in[0].Shape, in[1].Shape, i/c)*c:][:c], &p)
		if b.Table != nil {
			ref.U8Table(row, row, b.Table)
		}
	}
	return nil
}

// operandRow returns which row of the second operand belongs to row r of the
// first.
func operandRow(x, y tensor.Shape, r int) int {
	if x.Equal(y) {
		return r
	}
	if y[0] == 1 {
		return 0
	}
	return r / x[1:len(x)-1].Elems()
}

// Prepare implements Preparer.
func (b *BinaryU8) Prepare(env *Env) ([]Step, error) {
	f := env.Kernels.U8Add
	if b.Mul {
		f = env.Kernels.U8Mul
	}
	params := make([]ref.BinaryU8, env.Threads)
	for i := range params {
		params[i] = b.BinaryU8
	}
	return rowsStep(env, "u8 binary", func(worker int, y []byte, x [2][]byte) {
		f(y, x[0], x[1], &params[worker])
		if b.Table != nil {
			env.Kernels.U8Table(y, y, b.Table)
		}
	}), nil
}

// rowsStep returns the step of an elementwise function of one or two uint8
// tensors over rows of the last axis, at any pitch; rows that lie one behind the
// other are done together.
func rowsStep(env *Env, kernel string, f func(worker int, y []byte, x [2][]byte)) []Step {
	x, z, y := env.In[0], opt(env.In, 1), env.Out[0]
	n := y.Elems()
	if n == 0 {
		return []Step{}
	}
	c, rows := 1, n
	if len(y.Shape) > 0 {
		c = y.Shape[len(y.Shape)-1]
		rows = n / c
	}
	same := z == nil || z.Shape.Equal(x.Shape)
	if same && lastPitch(x, c) == c && lastPitch(y, c) == c && (z == nil || lastPitch(z, c) == c) {
		t := newTiling(1, n)
		return []Step{{Kernel: env.Kernels.Name + " " + kernel, Tiles: t.tiles(), Cost: n, Run: func(worker, tile int) {
			_, _, from, to := t.at(tile)
			in := [2][]byte{x.Data[from:to]}
			if z != nil {
				in[1] = z.Data[from:to]
			}
			f(worker, y.Data[from:to], in)
		}}}
	}
	tiles := min(env.tiles(n*4), rows)
	xp, yp := lastPitch(x, c), lastPitch(y, c)
	return []Step{{Kernel: env.Kernels.Name + " " + kernel + " rows", Tiles: tiles, Cost: n, Run: func(worker, tile int) {
		from, to := part(tile, tiles, rows, 1)
		for r := from; r < to; r++ {
			in := [2][]byte{x.Data[r*xp:][:c]}
			if z != nil {
				in[1] = z.Data[operandRow(x.Shape, z.Shape, r)*lastPitch(z, c):][:c]
			}
			f(worker, y.Data[r*yp:][:c], in)
		}
	}}}
}

// lastPitch is pitch for a tensor that may be a number, of rows of c elements.
func lastPitch(t *tensor.Tensor, c int) int {
	if t.Pitch != 0 {
		return t.Pitch
	}
	return c
}
