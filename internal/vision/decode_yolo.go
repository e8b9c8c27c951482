package vision

import (
	"math"

	"github.com/edgecam/edgecam/kernels"
)

// fitFastestDet wants one map of all cells.
func (d *Decoder) fitFastestDet(outs []Output) {
	if len(outs) != 1 || len(outs[0].Shape) != 4 {
		return
	}
	s := outs[0].Shape
	if s[0] != 1 || s[1] < 6 || s[2] < 1 || s[3] < 1 || s[2]*16 != d.height || s[3]*16 != d.width {
		return
	}
	d.classes = s[1] - 5
	d.take(outs, 0)
	d.decode = (*Decoder).fastestdet
}

// fastestdet decodes channel planes: objectness, four of the box, and class
// probabilities. With cell (gx, gy) of a grid gw x gh,
//
//	score = objectness^0.6 * class^0.4
//	cx = (gx + tanh t1) / gw   cy = (gy + tanh t2) / gh
//	w = sigmoid t3             h = sigmoid t4
//
// as fractions of the input. Classes are read only where objectness alone is
// enough for the score, since probabilities are at most 1.
func (d *Decoder) fastestdet(dst []Detection, data [][]float32, t Transform, minScore float32) []Detection {
	gw, gh := d.width/16, d.height/16
	cells := gw * gh
	o := data[0]
	enough := float32(math.Pow(float64(max(minScore, 0)), 1/0.6) * 0.9999) // so that rounding loses none
	for i, obj := range o[:cells] {
		if !(obj >= enough) {
			continue
		}
		class, best := highestOf(o[5*cells+i:], d.classes, cells)
		score := float32(math.Pow(float64(obj), 0.6)) * float32(math.Pow(float64(best), 0.4))
		if !(score > minScore) {
			continue
		}
		cx := (float64(i%gw) + math.Tanh(float64(o[cells+i]))) / float64(gw) * float64(d.width)
		cy := (float64(i/gw) + math.Tanh(float64(o[2*cells+i]))) / float64(gh) * float64(d.height)
		w := sigmoid(o[3*cells+i]) * float64(d.width)
		h := sigmoid(o[4*cells+i]) * float64(d.height)
		if box, ok := t.box(cx-w/2, cy-h/2, cx+w/2, cy+h/2); ok {
			dst = add(dst, class, score, box)
		}
	}
	return dst
}

func sigmoid(x float32) float64 { return 1 / (1 + math.Exp(-float64(x))) }

// fitRows wants one output of n rows: four of the box, objectness, classes, and
// more values.
func (d *Decoder) fitRows(outs []Output, n, more int, decode func(*Decoder, []Detection, [][]float32, Transform, float32) []Detection) {
	for i := range outs {
		if width, ok := rows(outs[i].Shape, n); ok && width >= 6+more {
			d.classes = width - 5 - more
			d.take(outs, i)
			d.decode = decode
			return
		}
	}
}

// yolox decodes rows of the strides 8, 16 and 32 in turn, each map row by row:
// centre = (xy + cell) * stride, size = exp(wh) * stride, score = objectness *
// class, with the sigmoids in the graph, so that no score is above its objectness.
func (d *Decoder) yolox(dst []Detection, data [][]float32, t Transform, minScore float32) []Detection {
	n := 5 + d.classes
	o := data[0]
	for _, s := range strides {
		stride := float64(s)
		for gy := range d.height / s {
			for gx := range d.width / s {
				r := o[:n]
				o = o[n:]
				if !(r[4] > minScore) {
					continue
				}
				if _, class := highest(r[5:]); !(r[4]*class > minScore) {
					continue
				}
				class, score := highestProduct(r[5:], r[4])
				cx, cy := (float64(r[0])+float64(gx))*stride, (float64(r[1])+float64(gy))*stride
				w, h := math.Exp(float64(r[2]))*stride, math.Exp(float64(r[3]))*stride
				if box, ok := t.box(cx-w/2, cy-h/2, cx+w/2, cy+h/2); ok {
					dst = add(dst, class, score, box)
				}
			}
		}
	}
	return dst
}

// yolov5 decodes rows of centre and size in input pixels, objectness, classes,
// and coefficients of prototypes. Scores are those of yolox.
func (d *Decoder) yolov5(dst []Detection, data [][]float32, t Transform, minScore float32) []Detection {
	n := 5 + d.classes
	for o, i := data[0], 0; len(o) >= n; o, i = o[n+d.proto.n:], i+1 {
		r := o[:n]
		if !(r[4] > minScore) {
			continue
		}
		if _, class := highest(r[5:]); !(r[4]*class > minScore) {
			continue
		}
		class, score := highestProduct(r[5:], r[4])
		cx, cy, w, h := float64(r[0]), float64(r[1]), float64(r[2]), float64(r[3])
		if box, ok := t.box(cx-w/2, cy-h/2, cx+w/2, cy+h/2); ok {
			dst = add(dst, class, score, box)
			dst[len(dst)-1].row = i
		}
	}
	return dst
}

// fitYOLOv8 wants one output whose columns are cells, and prototypes or nothing
// beside it.
func (d *Decoder) fitYOLOv8(outs []Output) {
	d.fitPrototypes(outs)
	at, want := 0, 1
	if d.proto.n > 0 {
		at, want = 1-d.proto.use, 2
	}
	if len(outs) != want || len(outs[at].Shape) != 3 {
		return
	}
	s := outs[at].Shape
	if s[0] != 1 || s[1] < 5+d.proto.n || s[2] < 1 || s[2] != d.cells() {
		return
	}
	d.classes = s[1] - 4 - d.proto.n
	d.proto.columns = s[2]
	d.take(outs, at)
	d.best = make([]float32, s[2])
	d.decode = (*Decoder).yolov8
}

// yolov8 decodes channel rows over all cells: centre and size in input pixels,
// then class probabilities, then coefficients of prototypes; there is no
// objectness.
func (d *Decoder) yolov8(dst []Detection, data [][]float32, t Transform, minScore float32) []Detection {
	cells := len(d.best)
	o := data[0]
	copy(d.best, o[4*cells:5*cells])
	for c := 1; c < d.classes; c++ {
		d.kernels.F32Binary[kernels.Max](d.best, d.best, o[(4+c)*cells:][:cells])
	}
	for i, best := range d.best {
		if best <= minScore { // and not where a class is no number
			continue
		}
		class, score := highestOf(o[4*cells+i:], d.classes, cells)
		if !(score > minScore) {
			continue
		}
		cx, cy, w, h := float64(o[i]), float64(o[cells+i]), float64(o[2*cells+i]), float64(o[3*cells+i])
		if box, ok := t.box(cx-w/2, cy-h/2, cx+w/2, cy+h/2); ok {
			dst = add(dst, class, score, box)
			dst[len(dst)-1].row = i
		}
	}
	return dst
}
