//go:build !noasm

package amd64

import "github.com/edgecam/edgecam/kernels/ref"

// F32Dwconv computes a run of output pixels of a depthwise convolution.
func F32Dwconv(a *ref.DwconvF32) { f32DwconvAVX2(a) }

// F32MaxPool computes a run of output pixels of a maximum pooling. A NaN in
// the window gives NaN.
func F32MaxPool(a *ref.PoolF32) { f32MaxPoolAVX2(a) }

// F32AvgPool computes a run of output pixels of an average pooling.
func F32AvgPool(a *ref.PoolF32) { f32AvgPoolAVX2(a) }
