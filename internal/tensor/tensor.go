// Package tensor holds the typed arrays that flow through edgecam: element
// types, shapes and dense row-major buffers.
//
// It does no arithmetic on elements and knows nothing of operators or layouts.
package tensor

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unsafe"
)

// ErrMemory is wrapped by errors about a tensor, or a plan of tensors, that
// would take more memory than a limit allows.
var ErrMemory = errors.New("memory limit exceeded")

// DType is the type of a tensor's elements.
type DType uint8

// The element types. Int4 and Uint4 hold one value in each byte, sign or zero
// extended; they are packed only in files.
const (
	Invalid DType = iota
	Float32
	Float64
	Float16
	BFloat16
	Int8
	Int16
	Int32
	Int64
	Uint8
	Uint16
	Uint32
	Uint64
	Bool
	Int4
	Uint4
)

var dtypes = [...]struct {
	name string
	size int
}{
	{"invalid", 0}, {"float32", 4}, {"float64", 8}, {"float16", 2}, {"bfloat16", 2},
	{"int8", 1}, {"int16", 2}, {"int32", 4}, {"int64", 8},
	{"uint8", 1}, {"uint16", 2}, {"uint32", 4}, {"uint64", 8},
	{"bool", 1}, {"int4", 1}, {"uint4", 1},
}

// String returns the name of the type as NumPy spells it.
func (d DType) String() string {
	if int(d) < len(dtypes) {
		return dtypes[d].name
	}
	return "dtype(" + strconv.Itoa(int(d)) + ")"
}

// Size returns the bytes that one element takes in memory.
func (d DType) Size() int {
	if int(d) < len(dtypes) {
		return dtypes[d].size
	}
	return 0
}

// IsFloat reports whether d is a floating-point type.
func (d DType) IsFloat() bool { return d >= Float32 && d <= BFloat16 }

// IsInt reports whether d is an integer type, signed or not.
func (d DType) IsInt() bool { return d >= Int8 && d <= Uint64 || d == Int4 || d == Uint4 }

// IsUnsigned reports whether d is an unsigned integer type.
func (d DType) IsUnsigned() bool { return d >= Uint8 && d <= Uint64 || d == Uint4 }

// Shape lists the extents of a tensor's axes. A scalar has an empty shape.
type Shape []int

// MaxRank is the largest rank that operators accept.
const MaxRank = 8

// Elems returns the number of elements of a shape whose extents are known.
func (s Shape) Elems() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// Check reports a negative extent, a rank above MaxRank, or a size in bytes
// that is more than limit.
func (s Shape) Check(d DType, limit int) error {
	if len(s) > MaxRank {
		return fmt.Errorf("rank %d is more than %d", len(s), MaxRank)
	}
	n, zero := max(d.Size(), 1), false
	for _, e := range s {
		switch {
		case e < 0:
			return fmt.Errorf("negative extent in shape %v", s)
		case e == 0:
			zero = true
		case n > math.MaxInt/e || n*e > limit:
			if !zero {
				n = math.MaxInt
			}
		default:
			n *= e
		}
	}
	if n > limit && !zero {
		return fmt.Errorf("shape %v of %v takes more than the limit of %d MiB: %w", s, d, limit>>20, ErrMemory)
	}
	return nil
}

// Equal reports whether both shapes have the same extents.
func (s Shape) Equal(t Shape) bool {
	if len(s) != len(t) {
		return false
	}
	for i, d := range s {
		if d != t[i] {
			return false
		}
	}
	return true
}

// Clone returns a copy that shares nothing with s; it is never nil.
func (s Shape) Clone() Shape { return append(Shape{}, s...) }

// Strides returns the row-major strides of s, in elements.
func (s Shape) Strides() []int {
	st, n := make([]int, len(s)), 1
	for i := len(s) - 1; i >= 0; i-- {
		st[i] = n
		n *= s[i]
	}
	return st
}

// String prints the shape as on the command line: 1x3x320x320, with ? for an
// unknown extent, and "scalar" for rank 0.
func (s Shape) String() string {
	if len(s) == 0 {
		return "scalar"
	}
	var b strings.Builder
	for i, d := range s {
		if i > 0 {
			b.WriteByte('x')
		}
		if d < 0 {
			b.WriteByte('?')
		} else {
			b.WriteString(strconv.Itoa(d))
		}
	}
	return b.String()
}

// Type is what is known of a value before it is computed. An unknown extent
// is negative.
type Type struct {
	DType DType
	Shape Shape
}

// Of returns the type with the given element type and extents.
func Of(d DType, shape ...int) Type { return Type{d, Shape(shape).Clone()} }

// Known reports whether the element type and every extent are known.
func (t Type) Known() bool {
	if t.DType == Invalid {
		return false
	}
	for _, d := range t.Shape {
		if d < 0 {
			return false
		}
	}
	return true
}

// Bytes returns the size of a dense tensor of this type.
func (t Type) Bytes() int { return t.Shape.Elems() * t.DType.Size() }

// String prints the type as float32[1x3x320x320].
func (t Type) String() string { return t.DType.String() + "[" + t.Shape.String() + "]" }

// Tensor is an array of elements in row-major order.
//
// Data may be longer than Shape asks for, where a tensor was planned at an
// upper bound. Pitch is the distance in elements between consecutive rows of
// the last axis; zero means that rows are dense. Only steps of a lowered
// program that declare it ever meet a pitch.
type Tensor struct {
	DType DType
	Shape Shape
	Data  []byte
	Pitch int
}

// New returns a zeroed dense tensor.
func New(d DType, shape ...int) *Tensor {
	s := Shape(shape).Clone()
	n := s.Elems() * d.Size()
	// A backing array of uint64 keeps every element type aligned.
	buf := make([]uint64, (n+7)/8)
	return &Tensor{DType: d, Shape: s, Data: unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(buf))), len(buf)*8)[:n]}
}

// Element lists the Go types that elements are viewed as. Float16 and BFloat16 are viewed as
// uint16, Bool, Int4 and Uint4 as uint8 or int8.
type Element interface {
	~float32 | ~float64 | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// From returns a dense tensor with a copy of data.
func From[T Element](d DType, data []T, shape ...int) *Tensor {
	t := New(d, shape...)
	copy(View[T](t), data)
	return t
}

// View returns the elements of t as a slice that shares its memory. The size
// of T must be that of the element type.
func View[T Element](t *Tensor) []T {
	n := t.Elems()
	if n == 0 {
		return nil
	}
	_ = t.Data[n*t.DType.Size()-1]
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(t.Data))), n)
}

// F32 returns the elements of a float32 tensor, sharing its memory.
func (t *Tensor) F32() []float32 { return View[float32](t) }

// I64 returns the elements of an int64 tensor, sharing its memory.
func (t *Tensor) I64() []int64 { return View[int64](t) }

// Elems returns the number of elements.
func (t *Tensor) Elems() int { return t.Shape.Elems() }

// Type returns the element type and shape.
func (t *Tensor) Type() Type { return Type{t.DType, t.Shape} }

// Bytes returns the dense elements of t as bytes, sharing its memory.
func (t *Tensor) Bytes() []byte { return t.Data[:t.Elems()*t.DType.Size()] }

// Clone returns a dense copy that shares nothing with t.
func (t *Tensor) Clone() *Tensor {
	c := New(t.DType, t.Shape...)
	copy(c.Data, t.Bytes())
	return c
}

// Reshaped returns a tensor of another shape with as many elements that
// shares t's memory.
func (t *Tensor) Reshaped(shape ...int) *Tensor {
	return &Tensor{DType: t.DType, Shape: Shape(shape).Clone(), Data: t.Data}
}

// Ints returns the elements of an integer or Bool tensor as ints. It
// allocates, so it serves planning and not inference.
func (t *Tensor) Ints() []int {
	out := make([]int, t.Elems())
	for i := range out {
		out[i] = int(t.Int(i))
	}
	return out
}

// Int returns element i of a tensor of any type as an int64: floating-point
// elements are truncated, a Uint64 keeps its bits.
func (t *Tensor) Int(i int) int64 {
	switch t.DType {
	case Int8, Int4:
		return int64(View[int8](t)[i])
	case Int16:
		return int64(View[int16](t)[i])
	case Int32:
		return int64(View[int32](t)[i])
	case Int64, Uint64:
		return View[int64](t)[i]
	case Uint8, Bool, Uint4:
		return int64(t.Data[i])
	case Uint16:
		return int64(View[uint16](t)[i])
	case Uint32:
		return int64(View[uint32](t)[i])
	}
	return int64(t.Float(i))
}

// Float returns element i of a tensor of any type as a float64.
func (t *Tensor) Float(i int) float64 {
	switch t.DType {
	case Float32:
		return float64(View[float32](t)[i])
	case Float64:
		return View[float64](t)[i]
	case Float16:
		return float64(F16To32(View[uint16](t)[i]))
	case BFloat16:
		return float64(math.Float32frombits(uint32(View[uint16](t)[i]) << 16))
	case Uint64:
		return float64(View[uint64](t)[i])
	}
	return float64(t.Int(i))
}

// SetInt stores v as element i: integers keep the low bits, Bool is v != 0.
func (t *Tensor) SetInt(i int, v int64) {
	switch t.DType {
	case Int8, Uint8:
		t.Data[i] = byte(v)
	case Int4:
		t.Data[i] = byte(int8(v<<4) >> 4)
	case Uint4:
		t.Data[i] = byte(v & 15)
	case Bool:
		t.Data[i] = 0
		if v != 0 {
			t.Data[i] = 1
		}
	case Int16, Uint16:
		View[uint16](t)[i] = uint16(v)
	case Int32, Uint32:
		View[uint32](t)[i] = uint32(v)
	case Int64, Uint64:
		View[int64](t)[i] = v
	default:
		t.SetFloat(i, float64(v))
	}
}

// SetFloat stores v as element i. Integer types truncate toward zero and then
// keep the low bits; Bool is v != 0.
func (t *Tensor) SetFloat(i int, v float64) {
	switch t.DType {
	case Float32:
		View[float32](t)[i] = float32(v)
	case Float64:
		View[float64](t)[i] = v
	case Float16:
		View[uint16](t)[i] = F16From64(v)
	case BFloat16:
		View[uint16](t)[i] = BF16From32(float32(v))
	case Bool:
		t.Data[i] = 0
		if v != 0 {
			t.Data[i] = 1
		}
	case Uint64:
		if v >= 1<<63 {
			View[uint64](t)[i] = uint64(v)
			return
		}
		t.SetInt(i, int64(v))
	default:
		t.SetInt(i, int64(v))
	}
}
