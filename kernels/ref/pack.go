package ref

// DwconvAlign is the number of channels that rows of packed depthwise weights
// are padded to.
const DwconvAlign = 16

// Matrix tells where the weights of a product lie: row t·K+c, column j is
// Data[t·Tap + c·Row + j·Col], for Taps taps of K rows each and N columns. A
// plain matrix has one tap.
type Matrix struct {
	Data          []float32
	Taps, K, N    int
	Tap, Row, Col int
	Scale         []float64 // what each column is multiplied with; nil: nothing
}

// PanelLen returns the elements of one panel of nr columns: nr biases and one
// row of nr weights for each row of the matrix.
func (m *Matrix) PanelLen(nr int) int { return (m.Taps*m.K + 1) * nr }

// Panels returns the number of panels of nr columns.
func (m *Matrix) Panels(nr int) int { return (m.N + nr - 1) / nr }

// PackPanel lays out columns p·nr to p·nr+nr of the matrix for F32Gemm and
// F32Igemm: its rows, scaled and padded with zeros to the right, behind the place of nr
// biases, which is left as it is. dst is PanelLen elements.
func (m *Matrix) PackPanel(dst []float32, p, nr int) {
	n0 := p * nr
	cols := min(nr, m.N-n0)
	if cols < nr {
		clear(dst[nr:])
	}
	if m.Col == 1 {
		for i := range m.Taps * m.K {
			row := dst[(i+1)*nr:][:cols]
			copy(row, m.Data[i/m.K*m.Tap+i%m.K*m.Row+n0:])
			if m.Scale != nil {
				for j, w := range row {
					row[j] = float32(float64(w) * m.Scale[n0+j])
				}
			}
		}
		return
	}
	// Columns are read along their rows, a few rows at a time, so that what is
	// written stays in the cache.
	const block = 64
	for t := range m.Taps {
		for c0 := 0; c0 < m.K; c0 += block {
			rows := min(block, m.K-c0)
			for j := range cols {
				from, to := t*m.Tap+c0*m.Row+(n0+j)*m.Col, (t*m.K+c0+1)*nr+j
				if m.Scale != nil {
					scale := m.Scale[n0+j]
					for range rows {
						dst[to] = float32(float64(m.Data[from]) * scale)
						from, to = from+m.Row, to+nr
					}
					continue
				}
				for range rows {
					dst[to] = m.Data[from]
					from, to = from+m.Row, to+nr
				}
			}
		}
	}
}

// Pack packs all panels, one behind the other, into dst, which is zeroed and
// has PanelLen elements for each. A nil bias, of N elements, means zeros.
func (m *Matrix) Pack(dst, bias []float32, nr int) {
	size := m.PanelLen(nr)
	for p := range m.Panels(nr) {
		panel := dst[p*size : (p+1)*size]
		if bias != nil {
			copy(panel[:nr], bias[p*nr:m.N])
		}
		m.PackPanel(panel, p, nr)
	}
}

// PackGemmF32 packs a matrix into memory of its own; see Matrix.Pack.
func PackGemmF32(m Matrix, bias []float32, nr int) []float32 {
	dst := make([]float32, m.Panels(nr)*m.PanelLen(nr))
	m.Pack(dst, bias, nr)
	return dst
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
