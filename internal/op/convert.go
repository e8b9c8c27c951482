package op

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/edgecam/edgecam/internal/tensor"
)

// chunk is how many elements are converted at a time, through a buffer on
// the stack.
const chunk = 256

// whole returns all of a tensor's memory as elements, beyond the dense ones
// where it has a pitch.
func whole[T tensor.Element](t *tensor.Tensor) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(t.Data))), len(t.Data)/t.DType.Size())
}

// loadFloats sets dst to the elements from at on of a tensor; integers are
// converted.
func loadFloats(t *tensor.Tensor, at int, dst []float64) {
	switch t.DType {
	case tensor.Float32:
		widen(dst, whole[float32](t)[at:])
	case tensor.Float64:
		widen(dst, whole[float64](t)[at:])
	case tensor.Float16:
		for i, h := range whole[uint16](t)[at : at+len(dst)] {
			dst[i] = float64(tensor.F16To32(h))
		}
	case tensor.BFloat16:
		for i, h := range whole[uint16](t)[at : at+len(dst)] {
			dst[i] = float64(math.Float32frombits(uint32(h) << 16))
		}
	case tensor.Uint64:
		widen(dst, whole[uint64](t)[at:])
	default:
		var ints [chunk]int64
		for len(dst) > 0 {
			n := min(chunk, len(dst))
			loadInts(t, at, ints[:n])
			widen(dst, ints[:n])
			at, dst = at+n, dst[n:]
		}
	}
}

// storeFloats sets the elements from at on of a tensor; integers are
// truncated.
func storeFloats(t *tensor.Tensor, at int, src []float64) {
	switch t.DType {
	case tensor.Float32:
		widen(whole[float32](t)[at:], src)
	case tensor.Float64:
		copy(whole[float64](t)[at:], src)
	case tensor.Float16:
		h := whole[uint16](t)[at:]
		for i, v := range src {
			h[i] = tensor.F16From64(v)
		}
	case tensor.BFloat16:
		h := whole[uint16](t)[at:]
		for i, v := range src {
			h[i] = tensor.BF16From32(float32(v))
		}
	default:
		var ints [chunk]int64
		for len(src) > 0 {
			n := min(chunk, len(src))
			for i, v := range src[:n] {
				ints[i] = truncate(v, t.DType)
			}
			storeInts(t, at, ints[:n])
			at, src = at+n, src[n:]
		}
	}
}

// loadInts sets dst to the elements from at on of an integer or Bool tensor; a Uint64 keeps
// its bits.
func loadInts(t *tensor.Tensor, at int, dst []int64) {
	switch t.DType {
	case tensor.Int8, tensor.Int4:
		widen(dst, whole[int8](t)[at:])
	case tensor.Int16:
		widen(dst, whole[int16](t)[at:])
	case tensor.Int32:
		widen(dst, whole[int32](t)[at:])
	case tensor.Uint8, tensor.Uint4, tensor.Bool:
		widen(dst, whole[uint8](t)[at:])
	case tensor.Uint16:
		widen(dst, whole[uint16](t)[at:])
	case tensor.Uint32:
		widen(dst, whole[uint32](t)[at:])
	default:
		copy(dst, whole[int64](t)[at:])
	}
}

// storeInts sets the elements from at on of an integer or Bool tensor to the
// low bits of src.
func storeInts(t *tensor.Tensor, at int, src []int64) {
	switch t.DType {
	case tensor.Int8, tensor.Uint8:
		widen(whole[uint8](t)[at:], src)
	case tensor.Int16, tensor.Uint16:
		widen(whole[uint16](t)[at:], src)
	case tensor.Int32, tensor.Uint32:
		widen(whole[uint32](t)[at:], src)
	case tensor.Int64, tensor.Uint64:
		copy(whole[int64](t)[at:], src)
	case tensor.Bool:
		for i, v := range src {
			t.Data[at+i] = 0
			if v != 0 {
				t.Data[at+i] = 1
			}
		}
	case tensor.Int4:
		for i, v := range src {
			t.Data[at+i] = byte(int8(v<<4) >> 4)
		}
	case tensor.Uint4:
		for i, v := range src {
			t.Data[at+i] = byte(v & 15)
		}
	}
}

// widen converts as many elements as the shorter slice has.
func widen[D, S tensor.Element](dst []D, src []S) {
	n := min(len(dst), len(src))
	dst, src = dst[:n], src[:n]
	for i, v := range src {
		dst[i] = D(v)
	}
}

// truncate converts v to an integer type toward zero. A value that does not
// fit gives, on every CPU, what NumPy and ONNX Runtime give on x86: types
// below 32 bits keep the low bits of the int32, out of range is the smallest
// int32 or int64, or 0 for unsigned types where v is positive. The caller
// stores the low bits.
func truncate(v float64, d tensor.DType) int64 {
	switch d {
	case tensor.Int64, tensor.Uint64:
		switch {
		case v >= -(1<<63) && v < 1<<63:
			return int64(v)
		case d == tensor.Uint64 && v >= 1<<63:
			if v < 1<<64 {
				return int64(uint64(v))
			}
			return 0
		}
		return math.MinInt64
	case tensor.Uint32:
		if v >= 1<<31 {
			if v < 1<<32 {
				return int64(v)
			}
			return 0
		}
	case tensor.Bool:
		if v != 0 {
			return 1
		}
		return 0
	}
	if v > -(1<<31)-1 && v < 1<<31 {
		return int64(v)
	}
	return math.MinInt32
}

// onnxType returns the element type that has the given number in ONNX's
// TensorProto.DataType.
func onnxType(code int) (tensor.DType, error) {
	types := [...]tensor.DType{
		1: tensor.Float32, 2: tensor.Uint8, 3: tensor.Int8, 4: tensor.Uint16, 5: tensor.Int16,
		6: tensor.Int32, 7: tensor.Int64, 9: tensor.Bool, 10: tensor.Float16, 11: tensor.Float64,
		12: tensor.Uint32, 13: tensor.Uint64, 16: tensor.BFloat16, 21: tensor.Uint4, 22: tensor.Int4,
	}
	if code < 0 || code >= len(types) || types[code] == tensor.Invalid {
		return tensor.Invalid, fmt.Errorf("ONNX element type %d: %w", code, ErrUnsupported)
	}
	return types[code], nil
}
