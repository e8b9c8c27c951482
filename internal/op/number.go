package op

import (
	"math"

	"github.com/edgecam/edgecam/internal/tensor"
)

// load returns an element as a float64. d tells how to read a uint16, which
// stands for Uint16, Float16 and BFloat16.
func load[T tensor.Element](v T, d tensor.DType) float64 {
	if d == tensor.Float16 || d == tensor.BFloat16 {
		return loadHalf(uint16(v), d)
	}
	return float64(v)
}

func loadHalf(v uint16, d tensor.DType) float64 {
	if d == tensor.Float16 {
		return float64(tensor.F16To32(v))
	}
	return float64(math.Float32frombits(uint32(v) << 16))
}

// rounded returns v as an element of type d: floating-point types round to
// nearest, integer types truncate.
func rounded[T tensor.Element](v float64, d tensor.DType) T {
	switch d {
	case tensor.Float16:
		return T(tensor.F16From64(v))
	case tensor.BFloat16:
		return T(tensor.BF16From32(float32(v)))
	}
	return T(v)
}

// split returns one step that runs n independent items, each of cost
// operations, in tiles of consecutive items.
func split(name string, n, cost int, run func(worker, lo, hi int)) []Step {
	if n == 0 {
		return []Step{{Kernel: name}}
	}
	size := max(1, min((n+7)/8, tileCost/max(cost, 1)))
	return []Step{{
		Kernel: name,
		Tiles:  (n + size - 1) / size,
		Cost:   n * cost,
		Run:    func(worker, tile int) { run(worker, tile*size, min(n, tile*size+size)) },
	}}
}
