package op

import "github.com/edgecam/edgecam/kernels"

// winogradExtra bounds the bytes by which one layer's transformed weights are
// larger than those of the file, of which they have 4 times as many for 4x4
// outputs, and 16/9 times for 2x2.
const winogradExtra = 8 << 20

// winogradGain is the share of its time that an algorithm must save for its
// memory to be worth it.
const winogradGain = .1

// winograd chooses the algorithm of a convolution: the one that takes least
// time by the model below. False means the implicit product.
func (s *convShape) winograd(set *kernels.Set) (kernels.Winograd, bool) {
	if s.KH != 3 || s.KW != 3 || s.StrideH != 1 || s.StrideW != 1 || s.DilH != 1 || s.DilW != 1 || s.Group != 1 {
		return 0, false
	}
	best, found, least := kernels.Winograd(0), false, s.igemmTime(set)*(1-winogradGain)
	for kind := range kernels.NumWinograd {
		side := winogradSide(kind)
		if ((side+2)*(side+2)-9)*s.cin*s.cout*4 > winogradExtra {
			continue
		}
		if t := s.winogradTime(set, kind); t < least {
			best, found, least = kind, true, t
		}
	}
	return best, found
}

// winogradSide returns the side of a square of outputs.
func winogradSide(kind kernels.Winograd) int {
	if kind == kernels.Winograd4 {
		return 4
	}
	return 2
}

// The model counts in multiply-adds of a long matrix product, whose time
// differs from rung to rung as that of the transforms does, since both work on whole
// vectors. A tile of the product costs as much as tileSteps more steps of k;
// a square of a channel costs what is in pixelCost before the product and in
// outputCost behind it; and weights that are too many for the last cache cost
// weightCost for each column of a panel every time that they are read.
// BenchmarkConv3x3 measures them; docs/winograd.md has the result.
const (
	tileSteps  = 7
	weightCost = .5
	lastCache  = 1 << 22 // weights
)

var (
	pixelCost  = [kernels.NumWinograd]float64{kernels.Winograd2: 95, kernels.Winograd4: 290}
	outputCost = [kernels.NumWinograd]float64{kernels.Winograd2: 75, kernels.Winograd4: 250}
)

// igemmTime is the modelled time of the implicit product.
func (s *convShape) igemmTime(set *kernels.Set) float64 {
	return productTime(set, 1, s.OutH*s.OutW, 9*s.cin, s.cout, 1) * float64(s.n)
}

// winogradTime is the modelled time of Winograd's algorithm.
func (s *convShape) winogradTime(set *kernels.Set, kind kernels.Winograd) float64 {
	g := newWinograd(s, set, 1, kind)
	t := productTime(set, g.planes, g.squares, s.cin, s.cout, g.blocks)
	lanes := set.F32NR / 2 // of a vector, more or less
	t += float64(g.squares) * (pixelCost[kind]*float64(roundUp(s.cin, lanes)) + outputCost[kind]*float64(roundUp(s.cout, lanes)))
	return t * float64(s.n)
}

// productTime is the modelled time of some products of rows x k with k x cols,
// whose weights are read some times.
func productTime(set *kernels.Set, products, rows, k, cols, times int) float64 {
	wide := cols / set.F32NR * set.F32NR
	if left := cols - wide; left > 0 {
		wide += panelWidth(set.F32NR, left)
	}
	t := float64(roundUp(rows, set.F32MR)) * float64(wide) * float64(k+tileSteps)
	if products*k*cols >= lastCache {
		t += weightCost * float64(set.F32NR) * float64(k) * float64(cols) * float64(times)
	}
	return t * float64(products)
}
