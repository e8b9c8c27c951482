package quant

import (
	"math"
)

// On x86 without VNNI other runtimes add two products at a time in 16 bits
// (VPMADDUBSW), which cuts sums off. Where the samples show that this happens,
// the weights of an output are rounded more coarsely, so that the file gives the
// same answers there. edgecam's own kernels are exact for every weight.
const (
	narrowStep = 1.1892071150027210667 // the fourth root of two
	maxNarrow  = 4                     // steps; behind them no sum is cut off
	encodeEach = 16                    // one row of so many is looked at
	// saturationShare is how much of the noise that rounding the input makes
	// may come of sums that are cut off.
	saturationShare = 0.1
)

// encode appends some of the rows as the 8-bit numbers that the layer reads, in
// the order in which they are multiplied: channels inside taps.
func (p *patches) encode(codes []uint8, rows []float32, a *activation) []uint8 {
	width, taps := p.width(), max(len(p.taps), 1)
	scale, zero := a.root().scale, float32(a.root().zero)
	for at := 0; at < len(rows); at += encodeEach * width {
		row := rows[at:][:width]
		for t := range taps {
			for c := range p.inputs {
				q := float32(math.RoundToEven(float64(row[c*taps+t]/scale))) + zero
				codes = append(codes, uint8(min(max(q, 0), 255)))
			}
		}
	}
	return codes
}

// saturates reports whether cutting sums of two products off at 16 bits would
// be felt in an output.
func (p *patches) saturates(output int, codes []uint8) bool {
	width, taps := p.width(), max(len(p.taps), 1)
	w := make([]int32, width)
	power := 0.0
	for i := range w {
		w[i] = int32(p.codes[p.weight(output, i%p.inputs*taps+i/p.inputs)])
		power += float64(w[i]) * float64(w[i])
	}
	lost := 0.0
	for rows := codes; len(rows) > 0; rows = rows[width:] {
		cut := int32(0)
		for i := 1; i < width; i += 2 {
			s := int32(rows[i-1])*w[i-1] + int32(rows[i])*w[i]
			cut += s - min(max(s, math.MinInt16), math.MaxInt16)
		}
		lost += float64(cut) * float64(cut)
	}
	return lost*float64(width) > saturationShare*power/12*float64(len(codes))
}
