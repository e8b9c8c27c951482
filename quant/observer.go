package quant

import (
	"math"
	"slices"
)

// bins is the resolution of histograms.
const bins = 2048

// observer gathers the distribution of one value over a stream of samples, in
// two passes: first the ranges, then a histogram.
type observer struct {
	samples        int
	min, max       float64 // of all samples
	sumMin, sumMax float64 // of each sample's ends
	count, zeros   int64   // elements; those that are exactly zero are in no bin
	hist           []int64 // of equal parts of min to max
	bad            bool    // a value was not finite
	// curve is what becomes of a value in the middle of each bin, where it is put
	// into a function of one number; nil where it is not.
	curve []float32
}

func newObserver() *observer { return &observer{min: math.Inf(1), max: math.Inf(-1)} }

// spread is the first pass over one sample.
func (o *observer) spread(x []float32) {
	if len(x) == 0 {
		return
	}
	lo, hi := x[0], x[0]
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v) // NaN stays
	}
	a, b := float64(lo), float64(hi)
	if math.IsNaN(a+b) || math.IsInf(a, 0) || math.IsInf(b, 0) {
		o.bad = true
		return
	}
	o.samples++
	o.min, o.max = min(o.min, a), max(o.max, b)
	o.sumMin, o.sumMax = o.sumMin+a, o.sumMax+b
}

// fill is the second pass over one sample.
func (o *observer) fill(x []float32) {
	if o.hist == nil {
		o.hist = make([]int64, bins)
	}
	lo, k := float32(o.min), float32(0)
	if o.max > o.min {
		k = float32(bins / (o.max - o.min))
	}
	zeros := int64(0)
	for _, v := range x {
		if v == 0 {
			zeros++
			continue
		}
		o.hist[min(max(int((v-lo)*k), 0), bins-1)]++
	}
	o.zeros += zeros
	o.count += int64(len(x))
}

// width of a bin.
func (o *observer) width() float64 { return (o.max - o.min) / bins }

// noise returns the squared error of all values rounded to 8 bits in the range
// lo to hi: those inside have a twelfth of the squared step each, those
// outside their distance.
func (o *observer) noise(lo, hi float64) float64 {
	step := (hi - lo) / 255
	inside, sum := int64(0), 0.0
	x := o.min + o.width()/2
	for _, n := range o.hist {
		switch {
		case n == 0:
		case x > hi:
			sum += float64(n) * (x - hi) * (x - hi)
		case x < lo:
			sum += float64(n) * (lo - x) * (lo - x)
		default:
			inside += n
		}
		x += o.width()
	}
	return sum + float64(inside)*step*step/12
}

// power returns the sum of all squares.
func (o *observer) power() float64 {
	sum, x := 0.0, o.min+o.width()/2
	for _, n := range o.hist {
		sum += float64(n) * x * x
		x += o.width()
	}
	return sum
}

// clipped returns the share of values outside lo and hi.
func (o *observer) clipped(lo, hi float64) float64 {
	if o.count == 0 {
		return 0
	}
	n, x := int64(0), o.min+o.width()/2
	for _, k := range o.hist {
		if x < lo || x > hi {
			n += k
		}
		x += o.width()
	}
	return float64(n) / float64(o.count)
}

// limits returns the range that a method chooses; it always holds zero. Ends
// where the function that the value is put into is flat are left out.
func (o *observer) limits(m Method) (lo, hi float64) {
	switch m {
	case MeanMinMax:
		lo, hi = o.sumMin/float64(o.samples), o.sumMax/float64(o.samples)
	case Percentile:
		lo, hi = o.percentile(1e-5)
	case MSE:
		lo, hi = o.leastNoise()
	case KL:
		lo, hi = o.leastDivergence()
	default:
		lo, hi = o.min, o.max
	}
	lo, hi = min(lo, 0), max(hi, 0)
	if o.curve != nil && o.width() > 0 {
		return o.steep(lo, hi)
	}
	return lo, hi
}

// steep cuts ends of a range off as far as the function changes there by no more
// than a fifth of a step of its own 8 bits.
func (o *observer) steep(lo, hi float64) (float64, float64) {
	at := func(v float64) int { return min(max(int((v-o.min)/o.width()), 0), bins-1) }
	a, b := at(lo), at(hi)
	bottom, top := slices.Min(o.curve[a:b+1]), slices.Max(o.curve[a:b+1])
	most := float64(top-bottom) / 255 / 5
	zero := at(0)
	from, to := o.curve[a], o.curve[b]
	for a < zero && math.Abs(float64(o.curve[a+1]-from)) <= most {
		a++
		lo = o.min + float64(a)*o.width()
	}
	for b > zero && math.Abs(float64(o.curve[b-1]-to)) <= most {
		b--
		hi = o.min + float64(b+1)*o.width()
	}
	return min(lo, 0), max(hi, 0)
}

// percentile leaves out a share of the values at each end.
func (o *observer) percentile(share float64) (lo, hi float64) {
	lo, hi = o.min, o.max
	most := int64(share * float64(o.count))
	for i, left := 0, most; i < bins && o.hist[i] <= left; i++ {
		left -= o.hist[i]
		lo = o.min + float64(i+1)*o.width()
	}
	for i, left := bins-1, most; i >= 0 && o.hist[i] <= left; i-- {
		left -= o.hist[i]
		hi = o.min + float64(i)*o.width()
	}
	return min(lo, 0), max(hi, 0)
}

// leastNoise shrinks both ends while that lowers the noise.
func (o *observer) leastNoise() (lo, hi float64) {
	const steps = 100
	bottom, top := min(o.min, 0), max(o.max, 0)
	a, b := steps, steps
	at := func(a, b int) (float64, float64) {
		return bottom * float64(a) / steps, top * float64(b) / steps
	}
	least := o.noise(at(a, b))
	for range 3 { // each end in turn, until neither moves
		moved := false
		for _, end := range []*int{&b, &a} {
			keep := *end
			for i := 20; i <= steps; i++ {
				*end = i
				if e := o.noise(at(a, b)); e < least {
					least, keep, moved = e, i, true
				}
			}
			*end = keep
		}
		if !moved {
			break
		}
	}
	return at(a, b)
}

// leastDivergence compares the distribution cut off at ever more bins with its
// rounding to 256 values, as TensorRT does, over the larger of both ends.
func (o *observer) leastDivergence() (lo, hi float64) {
	top, bottom := max(o.max, 0), min(o.min, 0)
	reach := max(top, -bottom)
	if reach == 0 {
		return 0, 0
	}
	// Fold both signs onto one axis of bins.
	abs := make([]float64, bins)
	x := o.min + o.width()/2
	for _, n := range o.hist {
		abs[min(int(math.Abs(x)/reach*bins), bins-1)] += float64(n)
		x += o.width()
	}
	best, keep := math.Inf(1), bins
	for cut := 256; cut <= bins; cut += 16 {
		if d := divergence(abs, cut, 256); d < best {
			best, keep = d, cut
		}
	}
	limit := reach * float64(keep) / bins
	return max(bottom, -limit), min(top, limit)
}

// divergence is Kullback and Leibler's, of the first cut bins with what lies
// beyond added to the last, from the same in levels equal parts.
func divergence(hist []float64, cut, levels int) float64 {
	p := append([]float64{}, hist[:cut]...)
	for _, n := range hist[cut:] {
		p[cut-1] += n
	}
	q := make([]float64, cut)
	sumP, sumQ := 0.0, 0.0
	for l := range levels {
		from, to := l*cut/levels, (l+1)*cut/levels
		sum, used := 0.0, 0
		for i := from; i < to; i++ {
			sum += hist[i]
			if p[i] > 0 {
				used++
			}
		}
		for i := from; i < to; i++ {
			if p[i] > 0 {
				q[i] = sum / float64(used)
			}
		}
	}
	for i := range p {
		sumP, sumQ = sumP+p[i], sumQ+q[i]
	}
	if sumP == 0 || sumQ == 0 {
		return math.Inf(1)
	}
	d := 0.0
	for i := range p {
		if p[i] > 0 {
			d += p[i] / sumP * math.Log(p[i]/sumP/max(q[i]/sumQ, 1e-12))
		}
	}
	return d
}

// summaryBins is the resolution of histograms in reports.
const summaryBins = 64

// summary joins the histogram to fewer bins.
func (o *observer) summary() []int64 {
	if o.hist == nil {
		return nil
	}
	out := make([]int64, summaryBins)
	for i, k := range o.hist {
		out[i*summaryBins/bins] += k
	}
	if o.max > o.min && o.min <= 0 && o.max >= 0 {
		out[min(int(-o.min/(o.max-o.min)*summaryBins), summaryBins-1)] += o.zeros
	}
	return out
}

// parameters returns scale and zero point of unsigned 8-bit numbers for a
// range that holds zero, so that zero is exact and no number stands for more
// than hi.
func parameters(lo, hi float64) (scale float32, zero int) {
	lo, hi = min(lo, 0), max(hi, 0)
	scale = float32((hi - lo) / 255)
	if !(scale > 1e-30) {
		return 1, 0
	}
	zero = int(math.RoundToEven(min(max(-lo/float64(scale), 0), 255)))
	for zero == 0 && float64(scale*255) > hi {
		scale = math.Nextafter32(scale, 0)
	}
	return scale, zero
}

// decibels is the ratio of two sums of squares, at most 100.
func decibels(signal, noise float64) float64 {
	switch {
	case noise <= signal*1e-10:
		return 100
	case signal == 0:
		return -100
	}
	return 10 * math.Log10(signal/noise)
}
