// Package amd64 holds the assembly kernels of x86-64 and the Go functions
// that check their arguments. Functions without a suffix in their name need
// AVX2 and FMA3.
//
// It does not look at the CPU: a function called where its instructions are
// missing is an illegal instruction. The ladder in package kernels decides.
package amd64

//go:generate sh -c "cd ../_asm && go run . -kernels=gemm -pkg amd64 -out ../amd64/f32_gemm_avx2_amd64.s -stubs ../amd64/f32_gemm_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=window -pkg amd64 -out ../amd64/f32_window_avx2_amd64.s -stubs ../amd64/f32_window_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=unary -pkg amd64 -out ../amd64/f32_unary_avx2_amd64.s -stubs ../amd64/f32_unary_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=binary -pkg amd64 -out ../amd64/f32_binary_avx2_amd64.s -stubs ../amd64/f32_binary_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=reduce -pkg amd64 -out ../amd64/f32_reduce_avx2_amd64.s -stubs ../amd64/f32_reduce_avx2_amd64.go"
