// Package arm64 holds the NEON micro-kernels of the rung neon, which any arm64
// CPU runs, and those of the rung dotprod, whose names end in Dot. The assembly is
// generated; neon_arm64.h encodes what the assembler lacks.
//
// Every function splits long work into calls of assembly that take about
// 50 µs on a slow core, because the Go scheduler and collector cannot
// interrupt assembly. Functions over slices panic where slices are too short;
// the contents of argument structs are the caller's business.
//
// It does not detect the CPU, choose kernels, pack weights or start
// goroutines.
package arm64

//go:generate go run -C ../_asm ./arm64gen -out ../arm64
//go:generate go run github.com/klauspost/asmfmt/cmd/asmfmt@v1.3.2 -w gemm_arm64.s jpeg_arm64.s peak_arm64.s preprocess_arm64.s q8_arm64.s u8_arm64.s unary_arm64.s vector_arm64.s window_arm64.s winograd_arm64.s
