package ref

// DwconvAlign is the number of channels that rows of packed depthwise weights
// are padded to.
const DwconvAlign = 16

// PackedGemmF32Len returns the number of elements that PackGemmF32 fills.
func PackedGemmF32Len(k, n, nr int) int { return (n + nr - 1) / nr * (k + 1) * nr }

// PackGemmF32 lays out a matrix of k rows and n columns for tiles of nr
// columns. dst becomes one panel for each nr columns: nr biases, then k rows
// of nr weights, padded with zeros to the right. A nil bias means zeros. The
// panel of column j starts at element j/nr·(k+1)·nr.
//
// w returns the weight of one row and column. For an implicit GEMM of T taps
// over C channels k is T·C and row i is tap i/C, channel i%C.
func PackGemmF32(dst []float32, w func(row, col int) float32, bias []float32, k, n, nr int) {
	for n0 := 0; n0 < n; n0 += nr {
		panel := dst[:(k+1)*nr]
		dst = dst[len(panel):]
		clear(panel)
		cols := min(nr, n-n0)
		if bias != nil {
			copy(panel[:cols], bias[n0:])
		}
		for i := range k {
			row := panel[(i+1)*nr:]
			for j := range cols {
				row[j] = w(i, n0+j)
			}
		}
	}
}

// DwconvWidth returns the elements in one row of packed depthwise weights of
// some channels; DwconvF32.WStride is four times that.
func DwconvWidth(channels int) int {
	return (channels + DwconvAlign - 1) / DwconvAlign * DwconvAlign
}

// PackedDwconvF32Len returns the number of elements that PackDwconvF32 fills.
func PackedDwconvF32Len(taps, channels int) int { return (taps + 1) * DwconvWidth(channels) }

// PackDwconvF32 lays out the weights of a depthwise convolution: one row of
// biases, then one row for each tap, every row DwconvWidth elements with
// zeros after the last channel. A nil bias means zeros. w returns the weight of
// a tap and channel.
func PackDwconvF32(dst []float32, w func(tap, c int) float32, bias []float32, taps, channels int) {
	width := DwconvWidth(channels)
	dst = dst[:(taps+1)*width]
	clear(dst)
	if bias != nil {
		copy(dst[:channels], bias)
	}
	for t := range taps {
		row := dst[(t+1)*width:]
		for c := range channels {
			row[c] = w(t, c)
		}
	}
}
