//go:build !noasm

package amd64

import "github.com/edgecam/edgecam/kernels/ref"

// The assembly stubs name the argument structs by these aliases.
type (
	winogradInF32  = ref.WinogradInF32
	winogradOutF32 = ref.WinogradOutF32
)

// F32WinogradIn4 is the input transform for 4x4 outputs.
func F32WinogradIn4(a *ref.WinogradInF32) { f32WinogradIn4AVX2(a) }

// F32WinogradIn2 is the input transform for 2x2 outputs.
func F32WinogradIn2(a *ref.WinogradInF32) { f32WinogradIn2AVX2(a) }

// F32WinogradOut4 is the output transform for 4x4 outputs.
func F32WinogradOut4(a *ref.WinogradOutF32) { f32WinogradOut4AVX2(a) }

// F32WinogradOut2 is the output transform for 2x2 outputs.
func F32WinogradOut2(a *ref.WinogradOutF32) { f32WinogradOut2AVX2(a) }
