package quant

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// ErrNoSamples is wrapped where there is nothing to calibrate on.
var ErrNoSamples = errors.New("no calibration samples")

// ErrQuantized is wrapped where the model is quantized already.
var ErrQuantized = errors.New("the model is quantized already")

// ErrNothing is wrapped where the model holds no convolution or matrix product
// that can be quantized.
var ErrNothing = errors.New("the model has nothing to quantize")

// ErrNaN is wrapped where an activation or a weight is not a finite number.
var ErrNaN = errors.New("a value is not a finite number")

// Method says how the range of an activation is chosen from its values.
type Method string

// The methods. Auto takes the one with which the outputs come closest to the
// float model's, and another for single activations that disturb them less with
// it.
const (
	Auto       Method = "auto"
	MinMax     Method = "minmax"      // the smallest and the largest value of all samples
	MeanMinMax Method = "mean-minmax" // the means of each sample's smallest and largest value
	Percentile Method = "percentile"  // leaves out one value in 100,000 at each end
	MSE        Method = "mse"         // least squared error of values with their rounding
	KL         Method = "kl"          // least divergence of the distributions
)

// Methods lists every method.
var Methods = []Method{Auto, MinMax, MeanMinMax, Percentile, MSE, KL}

// Sample is what one run of the model takes.
type Sample struct {
	Name   string // for errors: a file, the number of a frame
	Inputs map[string]*tensor.Tensor
}

// Samples gives the calibration samples, one at a time. It is ranged over
// several times and must give the same samples in the same order each time. A
// sample is not kept after its turn, so its tensors may be reused. An error
// ends the calibration.
type Samples = iter.Seq2[Sample, error]

// Config says how to quantize. The zero value is a good choice.
type Config struct {
	Method Method // "" is Auto

	Skip []string // names or types of nodes that stay float

	// QuantizeTail quantizes what stands behind the last convolutions, too:
	// box arithmetic and score functions. Detectors lose their boxes by it.
	QuantizeTail bool

	RoundNearest     bool // round each weight by itself, not so that errors compensate
	NoBiasCorrection bool // leave the means as rounding shifts them
	NoEqualize       bool // leave the scales of neighbouring layers as they are

	// MaxFloat is the share of the multiply-adds, 0 to 1, in layers that stay
	// float because rounding what they read would disturb the outputs most, where
	// these would have less than about 23 dB; of the weights, which take four
	// times the bytes then, it is a quarter. 0: 0.04; negative: none.
	MaxFloat float64

	// MaxDrop is the loss in points that is allowed, of Eval where that is
	// given, else of the agreement with the float model; layers are kept
	// float, the worst first, until it is met. 0: no limit, nothing is kept.
	MaxDrop float64

	// Eval measures a graph, in points from 0 to 100: the larger, the better.
	Eval func(ctx context.Context, g *graph.Graph) (float64, error)

	// Sensitivity runs the model once with each layer alone quantized, so that
	// Layer.WeightOnly, ActivationOnly and Both of the report are known.
	Sensitivity bool

	Threads  int                                 // of the engine; 0: its default
	Memory   int                                 // bytes that calibration may take beside the model; 0: 100 MiB
	Progress func(stage string, done, total int) // called now and then from the caller's goroutine; nil: nobody
}

func (c Config) check() (Config, error) {
	if c.Method == "" {
		c.Method = Auto
	}
	known := false
	for _, m := range Methods {
		known = known || m == c.Method
	}
	if !known {
		return c, fmt.Errorf("calibration method %q is not one of %v", c.Method, Methods)
	}
	if c.MaxFloat == 0 {
		c.MaxFloat = 0.04
	}
	if c.Memory <= 0 {
		c.Memory = 100 << 20
	}
	if c.Progress == nil {
		c.Progress = func(string, int, int) {}
	}
	return c, nil
}
