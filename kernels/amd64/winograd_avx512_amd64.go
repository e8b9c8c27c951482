//go:build !noasm

package amd64

import "github.com/edgecam/edgecam/kernels/ref"

// F32WinogradIn4AVX512 is the input transform for 4x4 outputs.
func F32WinogradIn4AVX512(a *ref.WinogradInF32) { f32WinogradIn4AVX512(a) }

// F32WinogradIn2AVX512 is the input transform for 2x2 outputs.
func F32WinogradIn2AVX512(a *ref.WinogradInF32) { f32WinogradIn2AVX512(a) }

// F32WinogradOut4AVX512 is the output transform for 4x4 outputs.
func F32WinogradOut4AVX512(a *ref.WinogradOutF32) { f32WinogradOut4AVX512(a) }

// F32WinogradOut2AVX512 is the output transform for 2x2 outputs.
func F32WinogradOut2AVX512(a *ref.WinogradOutF32) { f32WinogradOut2AVX512(a) }
