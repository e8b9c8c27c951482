package quant

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// watch shows samples to an observer.
func watch(samples ...[]float32) *observer {
	o := newObserver()
	for _, x := range samples {
		o.spread(x)
	}
	for _, x := range samples {
		o.fill(x)
	}
	return o
}

// values are distributions as activations have them.
func values(name string) []float32 {
	rng := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, 50000)
	for i := range x {
		v := rng.NormFloat64()
		switch name {
		case "uniform":
			v = 2*rng.Float64() - 0.5
		case "behind relu":
			v = max(v, 0)
		case "negative":
			v = -math.Abs(v) - 1
		case "long tail":
			if i%5000 == 0 {
				v = 10 + 40*float64(i)/float64(len(x))
			}
		}
		x[i] = float32(v)
	}
	return x
}

var distributions = []string{"normal", "uniform", "behind relu", "negative", "long tail"}

// lost is the squared error of rounding numbers to 8 bits.
func lost(x []float32, lo, hi float64) float64 {
	scale, zero := parameters(lo, hi)
	sum := 0.0
	for _, v := range x {
		q := math.RoundToEven(float64(v)/float64(scale)) + float64(zero)
		d := float64(v) - (min(max(q, 0), 255)-float64(zero))*float64(scale)
		sum += d * d
	}
	return sum
}

func TestRanges(t *testing.T) {
	for _, c := range []struct {
		name    string
		method  Method
		samples [][]float32
		lo, hi  float64
	}{
		{"all samples", MinMax, [][]float32{{-1, 2, 3}, {-4, 1}}, -4, 3},
		{"means", MeanMinMax, [][]float32{{-1, 2, 3}, {-4, 1}}, -2.5, 2},
		{"no negative number", MinMax, [][]float32{{3, 5}}, 0, 5},
		{"no positive number", MinMax, [][]float32{{-3, -5}}, -5, 0},
		{"means of positive numbers", MeanMinMax, [][]float32{{3, 5}, {4, 7}}, 0, 6},
		{"zeros alone", MinMax, [][]float32{{0, 0}}, 0, 0},
		{"zeros alone, least noise", MSE, [][]float32{{0, 0}}, 0, 0},
		{"zeros alone, percentile", Percentile, [][]float32{{0, 0}}, 0, 0},
		{"a constant, divergence", KL, [][]float32{{5, 5, 5}}, 0, 5},
		{"a constant, percentile", Percentile, [][]float32{{5, 5, 5}}, 0, 5},
		{"empty sample", MeanMinMax, [][]float32{{}, {-2, 4}}, -2, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			lo, hi := watch(c.samples...).limits(c.method)
			if math.Abs(lo-c.lo) > 1e-9 || math.Abs(hi-c.hi) > 1e-9 {
				t.Errorf("%v to %v, want %v to %v", lo, hi, c.lo, c.hi)
			}
		})
	}
}

// Of each end as many values are left out as are allowed, and no bin more would do.
func TestPercentile(t *testing.T) {
	for _, name := range distributions {
		x := values(name)
		o := watch(x)
		for _, share := range []float64{0, 1e-4, 0.01, 0.2} {
			lo, hi := o.percentile(share)
			below, above, nearLo, nearHi := 0, 0, 0, 0
			for _, v := range x {
				switch v := float64(v); {
				case v == 0:
				case v < lo-o.width()*1e-3:
					below++
				case v > hi+o.width()*1e-3:
					above++
				}
				if v := float64(v); v != 0 && v <= lo+o.width()*1.001 {
					nearLo++
				}
				if v := float64(v); v != 0 && v >= hi-o.width()*1.001 {
					nearHi++
				}
			}
			most := int(share * float64(len(x)))
			if below > most || above > most {
				t.Errorf("%s, %v: %d and %d of %d are left out, at most %d may be", name, share, below, above, len(x), most)
			}
			if lo < 0 && nearLo <= most || hi > 0 && nearHi <= most {
				t.Errorf("%s, %v: a bin more could be left out of %v to %v: %d, %d, at most %d", name, share, lo, hi, nearLo, nearHi, most)
			}
		}
	}
	x := make([]float32, 300000)
	for i := range x {
		x[i] = float32(i%1000)/1000 - 0.25
	}
	x[1], x[2], x[3], x[4], x[5], x[6] = 90, 80, 70, 60, 50, -60
	if lo, hi := watch(x).limits(Percentile); math.Abs(lo+0.25) > 0.1 || math.Abs(hi-60) > 0.1 {
		t.Errorf("three of 300,000 are left out: %v to %v, want about -0.25 to 60", lo, hi)
	}
}

// The noise is what rounding the values makes, but for the width of bins.
func TestNoise(t *testing.T) {
	for _, name := range distributions {
		x := values(name)
		o := watch(x)
		for _, part := range []float64{1, 0.7, 0.3} {
			lo, hi := part*min(o.min, 0), part*max(o.max, 0)
			got, want := o.noise(lo, hi), lost(x, lo, hi)
			if math.Abs(got-want) > 0.1*want {
				t.Errorf("%s rounded in %.3g to %.3g: noise %.4g, rounding makes %.4g", name, lo, hi, got, want)
			}
		}
		power := 0.0
		for _, v := range x {
			power += float64(v) * float64(v)
		}
		if got := o.power(); math.Abs(got-power) > 0.01*power {
			t.Errorf("%s: power %v, want %v", name, got, power)
		}
	}
}

func TestLeastNoise(t *testing.T) {
	for _, name := range distributions {
		x := values(name)
		o := watch(x)
		lo, hi := o.limits(MSE)
		bottom, top := o.limits(MinMax)
		if o.noise(lo, hi) > o.noise(bottom, top) {
			t.Errorf("%s: noise %v, %v by min-max", name, o.noise(lo, hi), o.noise(bottom, top))
		}
		if got, all := lost(x, lo, hi), lost(x, bottom, top); got > all*1.01 {
			t.Errorf("%s: rounding makes an error of %v, %v by min-max", name, got, all)
		}
		// No other range of a grid is much better.
		for i := range 10 {
			for j := range 10 {
				a, b := bottom*float64(i+1)/10, top*float64(j+1)/10
				if least := o.noise(a, b); least < 0.95*o.noise(lo, hi) {
					t.Errorf("%s: noise %v in %v to %v, %v in %v to %v", name, o.noise(lo, hi), lo, hi, least, a, b)
				}
			}
		}
	}
}

func TestLeastDivergence(t *testing.T) {
	for _, c := range []struct {
		name           string
		lo, hi, lo2, h float64 // bounds of both ends
	}{
		{"long tail", -5, -2, 2, 25},
		{"uniform", -0.6, -0.4, 1.3, 1.6},
		{"behind relu", 0, 0, 2, 5},
		{"negative", -6, -3, 0, 0},
	} {
		lo, hi := watch(values(c.name)).limits(KL)
		if lo < c.lo || lo > c.hi || hi < c.lo2 || hi > c.h {
			t.Errorf("%s: %v to %v, want %v..%v to %v..%v", c.name, lo, hi, c.lo, c.hi, c.lo2, c.h)
		}
	}
}

func TestZerosAreCounted(t *testing.T) {
	x := values("behind relu")
	o := watch(x, make([]float32, 1000))
	zeros := 1000
	for _, v := range x {
		if v == 0 {
			zeros++
		}
	}
	inBins := int64(0)
	for _, n := range o.hist {
		inBins += n
	}
	if o.zeros != int64(zeros) || o.count != int64(len(x)+1000) || inBins+o.zeros != o.count {
		t.Errorf("%d zeros of %d, %d in bins; want %d of %d", o.zeros, o.count, inBins, zeros, len(x)+1000)
	}
	all := int64(0)
	for _, n := range o.summary() {
		all += n
	}
	if s := o.summary(); all != o.count || s[0] < o.zeros {
		t.Errorf("the summary counts %d of %d, %d in the part of zero", all, o.count, s[0])
	}
	if newObserver().summary() != nil {
		t.Error("a summary of nothing")
	}
}

func TestClipped(t *testing.T) {
	for _, c := range []struct{ lo, hi, want float64 }{{-0.5, 1.5, 0}, {0, 1, 0.5}, {-0.5, 0.5, 0.5}, {0, 0, 1}} {
		if got := watch(values("uniform")).clipped(c.lo, c.hi); math.Abs(got-c.want) > 0.01 {
			t.Errorf("outside %v to %v: %v, want %v", c.lo, c.hi, got, c.want)
		}
	}
	if got := newObserver().clipped(0, 1); got != 0 {
		t.Errorf("%v of no values are outside", got)
	}
}

func TestNotFinite(t *testing.T) {
	nan, inf, most := float32(math.NaN()), float32(math.Inf(1)), float32(math.MaxFloat32)
	for _, c := range []struct {
		x   []float32
		bad bool
	}{
		{[]float32{nan, 1, 2}, true}, {[]float32{1, nan, 2}, true}, {[]float32{1, 2, nan}, true},
		{[]float32{1, inf}, true}, {[]float32{-inf, 1}, true}, {[]float32{-inf, inf}, true},
		{[]float32{1, 2}, false}, {[]float32{-most, most}, false}, {nil, false},
	} {
		o := newObserver()
		if o.spread(c.x); o.bad != c.bad {
			t.Errorf("%v: bad is %v", c.x, o.bad)
		}
	}
}

// curved is an observer of values that are put into a function.
func curved(x []float32, f func(float64) float64) *observer {
	o := watch(x)
	for i := range bins {
		o.curve = append(o.curve, float32(f(o.min+(float64(i)+0.5)*o.width())))
	}
	return o
}

func TestSteep(t *testing.T) {
	line := make([]float32, 4001)
	for i := range line {
		line[i] = float32(i-2000) / 200
	}
	hard := func(x float64) float64 { return min(max(x/6+0.5, 0), 1) }
	for _, c := range []struct {
		name   string
		f      func(float64) float64
		from   int // of line, the smallest value
		lo, hi float64
		slack  float64
	}{
		{"hard sigmoid", hard, 0, -3, 3, 0.03},
		{"relu", func(x float64) float64 { return max(x, 0) }, 0, 0, 10, 0.03},
		{"flat", func(float64) float64 { return 2 }, 0, 0, 0, 0.02},
		{"steep everywhere", func(x float64) float64 { return x }, 0, -10, 10, 0.02},
		{"sigmoid", func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, 0, -7.1, 7.1, 0.1},
		{"silu", func(x float64) float64 { return x / (1 + math.Exp(-x)) }, 0, -6.66, 10, 0.05},
		{"above zero", hard, 2400, 0, 3, 0.03},
		{"above zero, flat", hard, 3000, 0, 5, 0.03},
	} {
		lo, hi := curved(line[c.from:], c.f).limits(MinMax)
		if math.Abs(lo-c.lo) > c.slack || math.Abs(hi-c.hi) > c.slack {
			t.Errorf("%s: %v to %v, want %v to %v", c.name, lo, hi, c.lo, c.hi)
		}
	}
}

// Whatever the function, the range shrinks to what holds zero, and what is cut off
// differs from the new end by less than rounding the function does.
func TestSteepLosesNoZero(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := float32(rapid.Float64Range(-3, 2).Draw(t, "from"))
		to := from + float32(rapid.Float64Range(0.1, 5).Draw(t, "width"))
		a, b := float64(rapid.IntRange(-30, 30).Draw(t, "a"))/10, float64(rapid.IntRange(0, 30).Draw(t, "b"))/3
		f := func(x float64) float64 { return math.Tanh(a*x) + math.Sin(b*min(max(x, -1), 0.5)) }
		o := curved([]float32{from, to, (from + to) / 2}, f)
		lo, hi := o.limits(MinMax)
		if lo > 0 || hi < 0 || lo < min(o.min, 0) || hi > max(o.max, 0)+1e-6 {
			t.Fatalf("%v to %v becomes %v to %v", o.min, o.max, lo, hi)
		}
		step := float64(slices.Max(o.curve)-slices.Min(o.curve)) / 255
		for i, y := range o.curve {
			x := o.min + (float64(i)+0.5)*o.width()
			if d := math.Abs(float64(y) - f(min(max(x, lo), hi))); d > step && lo < 0 && hi > 0 {
				t.Fatalf("%v becomes %v: that is %v steps of the function", x, min(max(x, lo), hi), d/step)
			}
		}
	})
}

func TestParameters(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		scale  float64
		zero   int
	}{
		{0, 255, 1, 0}, {-255, 0, 1, 255}, {-128, 127, 1, 128}, {0, 0, 1, 0}, {3, 255, 1, 0}, {-255, -3, 1, 255},
		{0, 1e-35, 1, 0}, {-1e-40, 1e-40, 1, 0},
	} {
		if scale, zero := parameters(c.lo, c.hi); float64(scale) != c.scale || zero != c.zero {
			t.Errorf("%v to %v: scale %v, zero %d, want %v, %d", c.lo, c.hi, scale, zero, c.scale, c.zero)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		size := math.Pow(10, rapid.Float64Range(-9, 9).Draw(t, "size"))
		lo, hi := -size*rapid.Float64Range(0, 1).Draw(t, "lo"), size*rapid.Float64Range(0, 1).Draw(t, "hi")
		if rapid.Bool().Draw(t, "positive") {
			lo = 0
		}
		scale, zero := parameters(lo, hi)
		s := float64(scale)
		switch bottom, top := float64(-zero)*s, float64(255-zero)*s; {
		case zero < 0 || zero > 255 || !(s > 0):
			t.Fatalf("scale %v, zero %d", scale, zero)
		case zero == 0 && float64(scale*255) > hi && hi > 1e-27:
			t.Fatalf("255 stands for %v, above %v", scale*255, hi)
		case hi-lo > 1e-27 && (math.Abs(bottom-lo) > s*0.51 || math.Abs(top-hi) > s*0.51):
			t.Fatalf("%v to %v became %v to %v", lo, hi, bottom, top)
		}
	})
}

func TestDecibels(t *testing.T) {
	for _, c := range []struct{ signal, noise, want float64 }{
		{100, 1, 20}, {1, 100, -20}, {1, 0, 100}, {0, 1, -100}, {0, 0, 100}, {1, 1e-30, 100},
	} {
		if got := decibels(c.signal, c.noise); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v to %v: %v dB, want %v", c.signal, c.noise, got, c.want)
		}
	}
}
