package ref

// DwconvAlign is the number of channels that rows of packed depthwise weights
// are padded to.
const DwconvAlign = 16

// PackedGemmF32Len returns the number of elements that PackGemmF32 fills.
func PackedGemmF32Len(K, N, NR int) int { return (N + NR - 1) / NR * (K + 1) * NR }

// PackGemmF32 lays out a K x N matrix for tiles of NR columns. dst becomes
// one panel for each NR columns: NR biases, then K rows of NR weights, padded
// with zeros to the right. A nil bias means zeros. The panel of column n
// starts at element n/NR·(K+1)·NR.
//
// w returns the weight of row k, column n. For an implicit GEMM of T taps
// over C channels K is T·C and row k is tap k/C, channel k%C.
func PackGemmF32(dst []float32, w func(k, n int) float32, bias []float32, K, N, NR int) {
	for n0 := 0; n0 < N; n0 += NR {
		panel := dst[:(K+1)*NR]
		dst = dst[len(panel):]
		clear(panel)
		cols := min(NR, N-n0)
		if bias != nil {
			copy(panel[:cols], bias[n0:])
		}
		for k := range K {
			row := panel[(k+1)*NR:]
			for j := range cols {
				row[j] = w(k, n0+j)
			}
		}
	}
}

// DwconvWidth returns the elements in one row of packed depthwise weights for
// C channels; DwconvF32.WStride is four times that.
func DwconvWidth(C int) int { return (C + DwconvAlign - 1) / DwconvAlign * DwconvAlign }

// PackedDwconvF32Len returns the number of elements that PackDwconvF32 fills.
func PackedDwconvF32Len(taps, C int) int { return (taps + 1) * DwconvWidth(C) }

// PackDwconvF32 lays out the weights of a depthwise convolution: one row of
// biases, then one row for each tap, every row DwconvWidth(C) elements with
// zeros after the C channels. A nil bias means zeros. w returns the weight of
// a tap and channel.
func PackDwconvF32(dst []float32, w func(tap, c int) float32, bias []float32, taps, C int) {
	width := DwconvWidth(C)
	dst = dst[:(taps+1)*width]
	clear(dst)
	if bias != nil {
		copy(dst[:C], bias)
	}
	for t := range taps {
		row := dst[(t+1)*width:]
		for c := range C {
			row[c] = w(t, c)
		}
	}
}
