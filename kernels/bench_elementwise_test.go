package kernels_test

import (
	"fmt"
	"testing"

	"github.com/edgecam/edgecam/kernels"
)

// elements reports elements that are read per second.
func elements(b *testing.B, perCall int) {
	b.ReportMetric(float64(perCall)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gelem/s")
}

func BenchmarkF32Unary(b *testing.B) {
	const n = 4096
	for slot, name := range [kernels.NumUnary]string{
		kernels.Clamp: "Clamp", kernels.LeakyRelu: "LeakyRelu", kernels.Sigmoid: "Sigmoid", kernels.SiLU: "SiLU",
		kernels.HardSigmoid: "HardSigmoid", kernels.HardSwish: "HardSwish", kernels.Tanh: "Tanh", kernels.Exp: "Exp",
		kernels.Erf: "Erf", kernels.Gelu: "Gelu", kernels.Affine: "Affine",
	} {
		for _, s := range kernels.Available() {
			b.Run(fmt.Sprintf("rung=%s/op=%s/n=%d", s.Name, name, n), func(b *testing.B) {
				src, dst := ones(n), make([]float32, n)
				b.SetBytes(8 * n)
				for b.Loop() {
					s.F32Unary[slot](dst, src, 1, 6)
				}
				elements(b, n)
			})
		}
	}
}

func BenchmarkF32Binary(b *testing.B) {
	const n = 4096
	for slot, name := range [kernels.NumBinary]string{
		kernels.Add: "Add", kernels.Sub: "Sub", kernels.Mul: "Mul", kernels.Div: "Div",
		kernels.Min: "Min", kernels.Max: "Max", kernels.PRelu: "PRelu",
	} {
		for _, s := range kernels.Available() {
			b.Run(fmt.Sprintf("rung=%s/op=%s/n=%d", s.Name, name, n), func(b *testing.B) {
				x, y, dst := ones(n), ones(n), make([]float32, n)
				b.SetBytes(12 * n)
				for b.Loop() {
					s.F32Binary[slot](dst, x, y)
				}
				elements(b, n)
			})
		}
	}
}

// BenchmarkF32Softmax is what the operator does with a row: the largest element,
// the exponentials with their sum, and the division.
func BenchmarkF32Softmax(b *testing.B) {
	for _, n := range []int{16, 80, 1000} {
		for _, s := range kernels.Available() {
			b.Run(fmt.Sprintf("rung=%s/n=%d", s.Name, n), func(b *testing.B) {
				x, dst := ones(n), make([]float32, n)
				for b.Loop() {
					sum := s.F32ExpSum(dst, x, s.F32Max(x))
					s.F32BinaryScalar[kernels.Mul](dst, dst, 1/sum)
				}
				elements(b, n)
			})
		}
	}
}

// BenchmarkF32Lerp is a step of a bilinear resize: two rows of channels.
func BenchmarkF32Lerp(b *testing.B) {
	for _, n := range []int{16, 96, 4096} {
		for _, s := range kernels.Available() {
			b.Run(fmt.Sprintf("rung=%s/n=%d", s.Name, n), func(b *testing.B) {
				x, y, dst := ones(n), ones(n), make([]float32, n)
				for b.Loop() {
					s.F32Lerp(dst, x, y, .25)
				}
				elements(b, n)
			})
		}
	}
}

// BenchmarkF32Channels are the kernels of normalisation and of channel shuffles.
func BenchmarkF32Channels(b *testing.B) {
	for _, n := range []int{24, 96, 4096} {
		for _, s := range kernels.Available() {
			x, y, two := ones(n), ones(n), ones(2*n)
			for _, k := range []struct {
				name string
				run  func()
			}{
				{"Norm", func() { s.F32Norm(y, x, nil, x, x, nil) }},
				{"NormSumPRelu", func() { s.F32Norm(y, x, x, x, x, x) }},
				{"Zip", func() { s.F32Zip(two, x, n, 1, 0, 0, 0) }},
				{"Even", func() { s.F32Even(y, two, n, 1, 0, 0) }},
			} {
				b.Run(fmt.Sprintf("rung=%s/op=%s/n=%d", s.Name, k.name, n), func(b *testing.B) {
					for b.Loop() {
						k.run()
					}
					elements(b, n)
				})
			}
		}
	}
}
