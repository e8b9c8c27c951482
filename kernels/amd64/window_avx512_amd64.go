//go:build !noasm

package amd64

import "github.com/edgecam/edgecam/kernels/ref"

// F32DwconvAVX512 computes a run of output pixels of a depthwise convolution.
func F32DwconvAVX512(a *ref.DwconvF32) { f32DwconvAVX512(a) }

// F32MaxPoolAVX512 computes a run of output pixels of a maximum pooling. A NaN in
// the window gives NaN.
func F32MaxPoolAVX512(a *ref.PoolF32) { f32MaxPoolAVX512(a) }

// F32AvgPoolAVX512 computes a run of output pixels of an average pooling.
func F32AvgPoolAVX512(a *ref.PoolF32) { f32AvgPoolAVX512(a) }
