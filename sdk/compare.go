package sdk

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/edgecam/edgecam/internal/vision"
)

// agreeIoU is the overlap from which two boxes of one class are the same object.
const agreeIoU = 0.5

// Agreement measures how far two models agree on the same pictures. It needs
// no labels, and says nothing of which model is right. It is used by one
// goroutine at a time.
//
// The agreement on one picture is from 0 to 1:
//   - of classifiers 1 where the best class is the same, otherwise 0;
//   - of detectors the boxes that both have over the boxes that either has, a
//     box being the same where class and place are (IoU of 0.5 or more, each box
//     matched once, best overlap first), and 1 where neither has any;
//   - of segmenters the mean of the IoU of the classes that either mask has;
//   - of raw outputs the cosine of the angle between them, 0 where it is obtuse,
//     the mean of all outputs.
type Agreement struct {
	scores []float64
	binary bool
}

// Add counts the readings of one picture by the two models, and returns what
// the agreement on it is and how they differ. The readings must be of the same
// task; the error says where they are not.
func (a *Agreement) Add(x, y *Reading) (Difference, error) {
	d, err := Compare(x, y)
	if err != nil {
		return d, err
	}
	a.binary = x.Top != nil
	a.scores = append(a.scores, d.Agree)
	return d, nil
}

// Images returns the number of pictures that were added.
func (a *Agreement) Images() int { return len(a.scores) }

// Mean returns the mean agreement, 0 without pictures.
func (a *Agreement) Mean() float64 {
	if len(a.scores) == 0 {
		return 0
	}
	sum := 0.0
	for _, s := range a.scores {
		sum += s
	}
	return sum / float64(len(a.scores))
}

// Interval95 returns bounds between which the mean agreement on all pictures
// of the kind lies with 95 % confidence, if those that were added are a fair
// sample: Wilson's score interval where a picture counts 0 or 1, or all count
// the same, otherwise the percentiles of 2000 resamples, drawn alike each time.
func (a *Agreement) Interval95() (low, high float64) {
	n := len(a.scores)
	if n == 0 {
		return 0, 1
	}
	if a.binary || slices.Min(a.scores) == slices.Max(a.scores) {
		return wilson(a.Mean(), n)
	}
	const resamples = 2000
	rng := rand.New(rand.NewPCG(1, 2))
	means := make([]float64, resamples)
	for i := range means {
		sum := 0.0
		for range n {
			sum += a.scores[rng.IntN(n)]
		}
		means[i] = sum / float64(n)
	}
	slices.Sort(means)
	return means[resamples/40], means[resamples-1-resamples/40]
}

// wilson is the score interval of a proportion p of n (E. B. Wilson, Journal
// of the American Statistical Association 22, 1927) for 95 %.
func wilson(p float64, n int) (low, high float64) {
	const z = 1.959963984540054
	m := float64(n)
	mid := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(0, mid-half), min(1, mid+half)
}

// Difference is how two readings of one picture differ.
type Difference struct {
	Agree float64 // from 0 to 1, see Agreement
	// OnlyX and OnlyY are the detections that the other model does not have.
	OnlyX, OnlyY []Detection
	// Pixels is the share of the pixels that have the same class in both masks.
	Pixels float64
	// SQNR is the signal to noise ratio of raw outputs in dB, Inf where they are
	// equal: 10 log10 of the sum of squares of the first over that of the
	// difference, of the output where it is lowest.
	SQNR float64
}

// Changed reports whether a person would call the results different: another
// best class, a box more or less, less than 0.95 of a mask's overlap, raw
// outputs with a cosine below 0.99.
func (d Difference) Changed(x *Reading) bool {
	switch {
	case x.Mask != nil:
		return d.Agree < 0.95
	case x.Outputs != nil:
		return d.Agree < 0.99
	}
	return d.Agree < 1
}

// Compare returns how two readings of one picture differ.
func Compare(x, y *Reading) (Difference, error) {
	switch {
	case x.Top != nil && y.Top != nil:
		best := func(top []Category) int {
			if len(top) == 0 {
				return -1
			}
			return top[0].Class
		}
		d := Difference{}
		if best(x.Top) == best(y.Top) {
			d.Agree = 1
		}
		return d, nil
	case x.Detections != nil && y.Detections != nil:
		return compareBoxes(x.Detections, y.Detections), nil
	case x.Mask != nil && y.Mask != nil:
		return compareMasks(x.Mask, y.Mask)
	case x.Outputs != nil && y.Outputs != nil:
		return compareOutputs(x.Outputs, y.Outputs)
	}
	return Difference{}, fmt.Errorf("comparing models: one gives %s and the other %s; name a preset that fits both: %w", x.kind(), y.kind(), ErrPreset)
}

// kind names what is set.
func (r *Reading) kind() string {
	switch {
	case r.Top != nil:
		return "classes"
	case r.Detections != nil:
		return "boxes"
	case r.Mask != nil:
		return "a mask"
	case r.Outputs != nil:
		return "outputs that no decoder fits"
	}
	return "nothing"
}

// compareBoxes matches boxes one to one, the best overlap first.
func compareBoxes(x, y []Detection) Difference {
	type pair struct {
		x, y int
		iou  float32
	}
	var pairs []pair
	for i := range x {
		for j := range y {
			if x[i].Class != y[j].Class {
				continue
			}
			if iou := vision.IoU(x[i].Box, y[j].Box); iou >= agreeIoU {
				pairs = append(pairs, pair{i, j, iou})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(b.iou, a.iou) })
	takenX, takenY := make([]bool, len(x)), make([]bool, len(y))
	matched := 0
	for _, p := range pairs {
		if !takenX[p.x] && !takenY[p.y] {
			takenX[p.x], takenY[p.y] = true, true
			matched++
		}
	}
	d := Difference{Agree: 1, OnlyX: untaken(x, takenX), OnlyY: untaken(y, takenY)}
	if all := len(x) + len(y) - matched; all > 0 {
		d.Agree = float64(matched) / float64(all)
	}
	return d
}

func untaken(dets []Detection, taken []bool) []Detection {
	var left []Detection
	for i := range dets {
		if !taken[i] {
			left = append(left, dets[i])
		}
	}
	return left
}

// compareMasks takes the mean of the IoU of the classes that are in a mask.
func compareMasks(x, y *Mask) (Difference, error) {
	if x.Rect != y.Rect {
		return Difference{}, fmt.Errorf("comparing models: masks of %v and %v: %w", x.Rect.Size(), y.Rect.Size(), ErrShape)
	}
	var both, either [256]int
	same := 0
	for i, c := range x.Pix {
		either[c]++
		if c == y.Pix[i] {
			both[c]++
			same++
		} else {
			either[y.Pix[i]]++
		}
	}
	sum, classes := 0.0, 0
	for c, n := range either {
		if n > 0 {
			sum += float64(both[c]) / float64(n)
			classes++
		}
	}
	return Difference{Agree: sum / float64(max(classes, 1)), Pixels: float64(same) / float64(max(len(x.Pix), 1))}, nil
}

// compareOutputs takes the mean cosine and the lowest signal to noise ratio.
func compareOutputs(x, y [][]float32) (Difference, error) {
	if len(x) != len(y) {
		return Difference{}, fmt.Errorf("comparing models: they have %d and %d outputs of float32: %w", len(x), len(y), ErrShape)
	}
	d := Difference{SQNR: math.Inf(1)}
	for i := range x {
		if len(x[i]) != len(y[i]) {
			return Difference{}, fmt.Errorf("comparing models: output %d has %d and %d elements: %w", i, len(x[i]), len(y[i]), ErrShape)
		}
		var xx, yy, xy, dd float64
		for k, a := range x[i] {
			p, q := float64(a), float64(y[i][k])
			xx, yy, xy, dd = xx+p*p, yy+q*q, xy+p*q, dd+(p-q)*(p-q)
		}
		switch {
		case dd == 0:
			d.Agree++
			continue
		case xx > 0 && yy > 0:
			d.Agree += max(0, xy/math.Sqrt(xx*yy)) // NaN makes it NaN
		}
		d.SQNR = min(d.SQNR, 10*math.Log10(xx/dd))
	}
	d.Agree /= float64(len(x))
	if math.IsNaN(d.Agree) {
		d.Agree, d.SQNR = 0, math.Inf(-1)
	}
	return d, nil
}
