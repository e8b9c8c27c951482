// Package amd64 holds the assembly kernels of x86-64 and the Go functions
// that check their arguments. Functions without a suffix in their name need
// AVX2 and FMA3; those with the suffix AVX512 need AVX-512 F, BW, DQ and VL,
// and BMI2. The suffixes AVXVNNI and AVX512VNNI need VPDPBUSD besides, in its VEX
// or EVEX encoding: a CPU may have either without the other.
//
// It does not look at the CPU: a function called where its instructions are
// missing is an illegal instruction. The ladder in package kernels decides.
package amd64

//go:generate sh -c "cd ../_asm && go run . -kernels=gemm -isa=avx2 -pkg amd64 -out ../amd64/f32_gemm_avx2_amd64.s -stubs ../amd64/f32_gemm_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=window -isa=avx2 -pkg amd64 -out ../amd64/f32_window_avx2_amd64.s -stubs ../amd64/f32_window_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=winograd -isa=avx2 -pkg amd64 -out ../amd64/f32_winograd_avx2_amd64.s -stubs ../amd64/f32_winograd_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=unary -isa=avx2 -pkg amd64 -out ../amd64/f32_unary_avx2_amd64.s -stubs ../amd64/f32_unary_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=binary -isa=avx2 -pkg amd64 -out ../amd64/f32_binary_avx2_amd64.s -stubs ../amd64/f32_binary_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=reduce -isa=avx2 -pkg amd64 -out ../amd64/f32_reduce_avx2_amd64.s -stubs ../amd64/f32_reduce_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=peak -isa=avx2 -pkg amd64 -out ../amd64/f32_peak_avx2_amd64.s -stubs ../amd64/f32_peak_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=jpeg -isa=avx2 -pkg amd64 -out ../amd64/u8_jpeg_avx2_amd64.s -stubs ../amd64/u8_jpeg_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=preprocess -isa=avx2 -pkg amd64 -out ../amd64/u8_preprocess_avx2_amd64.s -stubs ../amd64/u8_preprocess_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=u8 -isa=avx2 -pkg amd64 -out ../amd64/u8_elementwise_avx2_amd64.s -stubs ../amd64/u8_elementwise_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=u8pool -isa=avx2 -pkg amd64 -out ../amd64/u8_pool_avx2_amd64.s -stubs ../amd64/u8_pool_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=gemmq8 -isa=avx2 -pkg amd64 -out ../amd64/q8_gemm_avx2_amd64.s -stubs ../amd64/q8_gemm_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=windowq8 -isa=avx2 -pkg amd64 -out ../amd64/q8_window_avx2_amd64.s -stubs ../amd64/q8_window_avx2_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=gemmvnni -isa=avx2 -pkg amd64 -out ../amd64/q8_gemm_avxvnni_amd64.s -stubs ../amd64/q8_gemm_avxvnni_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=dwvnni -isa=avx2 -pkg amd64 -out ../amd64/q8_dwconv_avxvnni_amd64.s -stubs ../amd64/q8_dwconv_avxvnni_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=gemm -isa=avx512 -pkg amd64 -out ../amd64/f32_gemm_avx512_amd64.s -stubs ../amd64/f32_gemm_avx512_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=window -isa=avx512 -pkg amd64 -out ../amd64/f32_window_avx512_amd64.s -stubs ../amd64/f32_window_avx512_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=winograd -isa=avx512 -pkg amd64 -out ../amd64/f32_winograd_avx512_amd64.s -stubs ../amd64/f32_winograd_avx512_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=unary -isa=avx512 -pkg amd64 -out ../amd64/f32_unary_avx512_amd64.s -stubs ../amd64/f32_unary_avx512_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=binary -isa=avx512 -pkg amd64 -out ../amd64/f32_binary_avx512_amd64.s -stubs ../amd64/f32_binary_avx512_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=reduce -isa=avx512 -pkg amd64 -out ../amd64/f32_reduce_avx512_amd64.s -stubs ../amd64/f32_reduce_avx512_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=peak -isa=avx512 -pkg amd64 -out ../amd64/f32_peak_avx512_amd64.s -stubs ../amd64/f32_peak_avx512_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=gemmvnni -isa=avx512 -pkg amd64 -out ../amd64/q8_gemm_avx512vnni_amd64.s -stubs ../amd64/q8_gemm_avx512vnni_amd64.go"
//go:generate sh -c "cd ../_asm && go run . -kernels=dwvnni -isa=avx512 -pkg amd64 -out ../amd64/q8_dwconv_avx512vnni_amd64.s -stubs ../amd64/q8_dwconv_avx512vnni_amd64.go"
