package ref

import "unsafe"

// WinogradWork is the bytes of working memory that the Winograd kernels need:
// 36 vectors of at most 64 bytes and 36 addresses, in whole cache lines.
const WinogradWork = 36*64 + 5*64

// WinogradInF32 holds the arguments of the input transform of some tiles of a
// Winograd convolution: for each tile of n x n pixels d and each channel,
//
//	V = Bᵀ·d·B
//
// where n is 6 for the kernel that computes 4x4 outputs and 4 for the one that
// computes 2x2. Pixel i of tile t lies at In + Pixels[t·n²+i]·InStride, or
// counts as zero where that index is negative. Element i of V goes to
// Out + i·PlaneStride + t·OutStride. Strides are in bytes.
//
// No more than C channels of a pixel are read. Rows of V are padded to a
// multiple of 16 channels; what lies in the padding afterwards is undefined.
type WinogradInF32 struct {
	In          unsafe.Pointer
	Zero        unsafe.Pointer // at least C zeros
	Pixels      *int32         // Tiles x n²
	Out         unsafe.Pointer
	Work        unsafe.Pointer // WinogradWork bytes, 64-byte aligned
	InStride    int            // between pixels
	OutStride   int            // between tiles
	PlaneStride int            // between elements of V
	Tiles       int
	C           int
	_           [128]byte // keeps the arguments of two workers apart
}

// WinogradOutF32 holds the arguments of the output transform of some tiles:
// for each tile of n x n products m and each channel, the m x m outputs
//
//	Y = clamp(Aᵀ·m·A + Res, Min, Max)
//
// Product i of tile t lies at In + i·PlaneStride + t·InStride; rows of products
// are padded to a multiple of 16 channels, and the padding may be read. Output
// i of tile t goes to Out + Pixels[t·m²+i]·OutStride, its residual is read at
// Res + Pixels[t·m²+i]·ResStride; where the index is negative both are Spare.
type WinogradOutF32 struct {
	In          unsafe.Pointer
	Pixels      *int32 // Tiles x m²
	Out         unsafe.Pointer
	Res         unsafe.Pointer // residual; nil for none
	Spare       unsafe.Pointer // at least C elements
	Work        unsafe.Pointer // WinogradWork bytes, 64-byte aligned
	InStride    int            // between tiles
	PlaneStride int            // between products
	OutStride   int            // between pixels
	ResStride   int
	Tiles       int
	C           int
	Min, Max    float32
	_           [128]byte // keeps the arguments of two workers apart
}
