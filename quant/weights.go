package quant

import (
	"math"

	"github.com/edgecam/edgecam/internal/tensor"
)

// maxBias bounds a bias in 32 bits, so that the sum of products has room, too.
const maxBias = 1 << 30

// roundWeights finds the scales of a layer's weights, for an input of scale
// xscale: symmetric, from -127 to 127, one for each output channel. A channel
// whose weights are so small that its bias would not fit in 32 bits gets a
// larger scale.
func (l *layer) roundWeights(xscale float32) {
	l.scales = make([]float32, l.groups)
	l.guarded = 0
	l.codes = nil
	for i, v := range l.weights.F32() {
		k := l.scale(i)
		l.scales[k] = max(l.scales[k], float32(math.Abs(float64(v))))
	}
	for k := range l.scales {
		if l.scales[k] /= 127; l.scales[k] < 1e-30 {
			l.scales[k] = 0
		}
	}
	for c, b := range l.bias {
		k := c % len(l.scales)
		if least := math.Abs(b) / maxBias / float64(xscale); least > float64(l.scales[k]) {
			l.scales[k] = float32(least * (1 + 1e-6))
			l.guarded++
		}
	}
	for k := range l.scales {
		if l.scales[k] < 1e-30 {
			l.scales[k] = 1
		}
	}
}

// ints returns the rounded weights.
func (l *layer) ints() *tensor.Tensor {
	if l.codes != nil {
		return l.codes
	}
	t := tensor.New(tensor.Int8, l.weights.Shape...)
	q := tensor.View[int8](t)
	for i, v := range l.weights.F32() {
		r := math.RoundToEven(float64(v) / float64(l.scales[l.scale(i)]))
		q[i] = int8(min(max(r, -127), 127))
	}
	return t
}

// rounded returns the weights as they are after rounding.
func (l *layer) rounded() *tensor.Tensor {
	t := tensor.New(tensor.Float32, l.weights.Shape...)
	q := tensor.View[int8](l.ints())
	for i := range t.F32() {
		t.F32()[i] = float32(q[i]) * l.scales[l.scale(i)]
	}
	return t
}

// intBias returns the bias in steps of the scales of input and weights, and
// those steps.
func (l *layer) intBias(xscale float32) (b, scale *tensor.Tensor) {
	b, scale = tensor.New(tensor.Int32, l.channels), tensor.New(tensor.Float32, l.channels)
	for c, v := range l.bias {
		s := xscale * l.scales[c%len(l.scales)]
		scale.F32()[c] = s
		tensor.View[int32](b)[c] = int32(min(max(math.RoundToEven(v/float64(s)), -math.MaxInt32), math.MaxInt32))
	}
	return b, scale
}

// weightSQNR compares the weights with their rounding.
func (l *layer) weightSQNR() float64 {
	signal, noise := 0.0, 0.0
	r := l.rounded().F32()
	for i, v := range l.weights.F32() {
		d := float64(v) - float64(r[i])
		signal, noise = signal+float64(v)*float64(v), noise+d*d
	}
	return decibels(signal, noise)
}
