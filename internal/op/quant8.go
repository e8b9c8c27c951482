package op

import (
	"fmt"
	"math"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// quant8 is one quantization of an 8-bit tensor: real = (stored - zero)·scale.
type quant8 struct {
	scale  float32
	zero   int32
	signed bool
}

// quant8Of reads the scale and zero point of a tensor of type d from inputs s
// and z; an absent zero point is 0.
func quant8Of(in []*tensor.Tensor, s, z int, d tensor.DType) quant8 {
	q := quant8{scale: float32(in[s].Float(0)), signed: d == tensor.Int8}
	if t := opt(in, z); t != nil {
		q.zero = int32(t.Int(0))
	}
	return q
}

// stored returns a byte of the tensor as a number.
func (q *quant8) stored(b byte) int32 {
	if q.signed {
		return int32(int8(b))
	}
	return int32(b)
}

// real returns the table of the numbers that bytes stand for.
func (q *quant8) real() (table [256]float32) {
	for i := range table {
		table[i] = float32(q.stored(byte(i))-q.zero) * q.scale
	}
	return table
}

// settle rounds v, in units of the scale, half to even, adds the zero point
// and clamps; it returns the byte to store.
func (q *quant8) settle(v float32) byte {
	lo, hi := float64(0), float64(math.MaxUint8)
	if q.signed {
		lo, hi = math.MinInt8, math.MaxInt8
	}
	r := math.RoundToEven(float64(v)) + float64(q.zero)
	switch {
	case r > hi:
		return byte(int(hi))
	case r > lo:
		return byte(int(r))
	}
	return byte(int(lo))
}

// is8 reports a type that quantized operators take.
func is8(d tensor.DType) bool { return d == tensor.Int8 || d == tensor.Uint8 }

// check8 checks that input i is an 8-bit tensor.
func check8(in []*graph.Value, i int) error {
	if !is8(in[i].Type.DType) {
		return fmt.Errorf("element type %v of %q, want int8 or uint8: %w", in[i].Type.DType, in[i].Name, ErrUnsupported)
	}
	return nil
}

// checkQuant checks inputs s and z, the scale and the zero point of a tensor
// of type d. Each has one element, or one of the given numbers of elements.
func checkQuant(in []*graph.Value, s, z int, d tensor.DType, sizes ...int) error {
	if opt(in, s) == nil {
		return fmt.Errorf("input %d, a scale, is missing: %w", s, ErrShape)
	}
	if err := floatType(in[s]); err != nil {
		return err
	}
	if err := checkSize(in, s, sizes); err != nil {
		return err
	}
	return checkZero(in, z, d, sizes...)
}

// checkZero checks input z, an optional zero point of a tensor of type d.
func checkZero(in []*graph.Value, z int, d tensor.DType, sizes ...int) error {
	v := opt(in, z)
	if v == nil {
		return nil
	}
	if v.Type.DType != d {
		return fmt.Errorf("zero point %q has element type %v, its tensor %v: %w", v.Name, v.Type.DType, d, ErrUnsupported)
	}
	return checkSize(in, z, sizes)
}

func checkSize(in []*graph.Value, i int, sizes []int) error {
	n := in[i].Type.Shape.Elems()
	for _, s := range sizes {
		if n == s {
			return nil
		}
	}
	if n != 1 {
		return fmt.Errorf("input %d, %q, has %d elements, want 1 or %v: %w", i, in[i].Name, n, sizes, ErrShape)
	}
	return nil
}

// zeroType returns the element type of a result: that of its zero point, else
// def.
func zeroType(in []*graph.Value, z int, def tensor.DType) tensor.DType {
	if v := opt(in, z); v != nil {
		return v.Type.DType
	}
	return def
}

// entry returns element i of a tensor of numbers, or its only element; 0 where
// it is absent.
func entry(t *tensor.Tensor, i int) int32 {
	switch {
	case t == nil:
		return 0
	case t.Elems() == 1:
		return int32(t.Int(0))
	}
	return int32(t.Int(i))
}

// scaleEntry is entry for scales.
func scaleEntry(t *tensor.Tensor, i int) float32 {
	if t.Elems() == 1 {
		i = 0
	}
	return float32(t.Float(i))
}
