package vision

import "math"

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
	d.best, d.arg = make([]float32, s[2]*s[3]), make([]int32, s[2]*s[3])
	d.decode = (*Decoder).fastestdet
}

// fastestdet decodes channel planes: objectness, four of the box, and class
// probabilities. With cell (gx, gy) of a grid gw x gh,
//
//	score = objectness^0.6 * class^0.4
//	cx = (gx + tanh t1) / gw   cy = (gy + tanh t2) / gh
//	w = sigmoid t3             h = sigmoid t4
//
// as fractions of the input.
func (d *Decoder) fastestdet(dst []Detection, data [][]float32, t Transform, minScore float32) []Detection {
	gw, gh := d.width/16, d.height/16
	cells := gw * gh
	o := data[0]
	copy(d.best, o[5*cells:6*cells])
	clear(d.arg)
	for c := 1; c < d.classes; c++ {
		plane := o[(5+c)*cells:][:len(d.best)]
		for i, v := range plane {
			if v > d.best[i] {
				d.best[i], d.arg[i] = v, int32(c)
			}
		}
	}
	for i, obj := range o[:cells] {
		score := float32(math.Pow(float64(obj), 0.6)) * float32(math.Pow(float64(d.best[i]), 0.4))
		if !(score > minScore) {
			continue
		}
		cx := (float64(i%gw) + math.Tanh(float64(o[cells+i]))) / float64(gw) * float64(d.width)
		cy := (float64(i/gw) + math.Tanh(float64(o[2*cells+i]))) / float64(gh) * float64(d.height)
		w := sigmoid(o[3*cells+i]) * float64(d.width)
		h := sigmoid(o[4*cells+i]) * float64(d.height)
		if box, ok := t.box(cx-w/2, cy-h/2, cx+w/2, cy+h/2); ok {
			dst = add(dst, int(d.arg[i]), score, box)
		}
	}
	return dst
}

func sigmoid(x float32) float64 { return 1 / (1 + math.Exp(-float64(x))) }

// fitRows wants one output of n rows: four of the box, objectness, classes.
func (d *Decoder) fitRows(outs []Output, n int, decode func(*Decoder, []Detection, [][]float32, Transform, float32) []Detection) {
	for i := range outs {
		if width, ok := rows(outs[i].Shape, n); ok && width >= 6 {
			d.classes = width - 5
			d.take(outs, i)
			d.decode = decode
			return
		}
	}
}

// yolox decodes rows of the strides 8, 16 and 32 in turn, each map row by row:
// centre = (xy + cell) * stride, size = exp(wh) * stride, score = objectness *
// class, with the sigmoids in the graph.
func (d *Decoder) yolox(dst []Detection, data [][]float32, t Transform, minScore float32) []Detection {
	n := 5 + d.classes
	o := data[0]
	for _, s := range strides {
		stride := float64(s)
		for gy := range d.height / s {
			for gx := range d.width / s {
				r := o[:n]
				o = o[n:]
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

// yolov5 decodes rows of centre and size in input pixels, objectness, classes.
func (d *Decoder) yolov5(dst []Detection, data [][]float32, t Transform, minScore float32) []Detection {
	n := 5 + d.classes
	for o := data[0]; len(o) >= n; o = o[n:] {
		r := o[:n]
		if _, class := highest(r[5:]); !(r[4]*class > minScore) {
			continue
		}
		class, score := highestProduct(r[5:], r[4])
		cx, cy, w, h := float64(r[0]), float64(r[1]), float64(r[2]), float64(r[3])
		if box, ok := t.box(cx-w/2, cy-h/2, cx+w/2, cy+h/2); ok {
			dst = add(dst, class, score, box)
		}
	}
	return dst
}

// fitYOLOv8 wants one output whose columns are cells.
func (d *Decoder) fitYOLOv8(outs []Output) {
	if len(outs) != 1 || len(outs[0].Shape) != 3 {
		return
	}
	s := outs[0].Shape
	if s[0] != 1 || s[1] < 5 || s[2] < 1 || s[2] != d.cells() {
		return
	}
	d.classes = s[1] - 4
	d.take(outs, 0)
	d.best, d.arg = make([]float32, s[2]), make([]int32, s[2])
	d.decode = (*Decoder).yolov8
}

// yolov8 decodes channel rows over all cells: centre and size in input pixels,
// then class probabilities; there is no objectness.
func (d *Decoder) yolov8(dst []Detection, data [][]float32, t Transform, minScore float32) []Detection {
	cells := len(d.best)
	o := data[0]
	copy(d.best, o[4*cells:5*cells])
	clear(d.arg)
	for c := 1; c < d.classes; c++ {
		plane := o[(4+c)*cells:][:cells]
		for i, v := range plane {
			if v > d.best[i] {
				d.best[i], d.arg[i] = v, int32(c)
			}
		}
	}
	for i, score := range d.best {
		if !(score > minScore) {
			continue
		}
		cx, cy, w, h := float64(o[i]), float64(o[cells+i]), float64(o[2*cells+i]), float64(o[3*cells+i])
		if box, ok := t.box(cx-w/2, cy-h/2, cx+w/2, cy+h/2); ok {
			dst = add(dst, int(d.arg[i]), score, box)
		}
	}
	return dst
}

// nanodetBins is the number of bins of each distance.
const nanodetBins = 8

// fitNanoDet tells the six outputs apart by size: rows of 32 are distances.
func (d *Decoder) fitNanoDet(outs []Output) {
	if len(outs) != 6 {
		return
	}
	var class, dist [3]int
	classes := 0
	for k, s := range strides {
		class[k], dist[k] = -1, -1
		for i := range outs {
			width, ok := rows(outs[i].Shape, (d.width/s)*(d.height/s))
			switch {
			case !ok:
			case width == 4*nanodetBins && dist[k] < 0:
				dist[k] = i
			case class[k] < 0 && (classes == 0 || classes == width):
				class[k], classes = i, width
			}
		}
		if class[k] < 0 || dist[k] < 0 {
			return
		}
	}
	if classes == 4*nanodetBins {
		return // scores and distances look alike
	}
	d.classes = classes
	for k := range strides {
		d.take(outs, class[k])
		d.take(outs, dist[k])
	}
	d.decode = (*Decoder).nanodet
}

// nanodet decodes class scores and, for left, top, right and bottom, eight bins
// whose softmax expectation times the stride is the distance from the cell's
// centre g*stride + (stride-1)/2.
func (d *Decoder) nanodet(dst []Detection, data [][]float32, t Transform, minScore float32) []Detection {
	for k, s := range strides {
		scores, bins := data[2*k], data[2*k+1]
		stride := float64(s)
		for gy := range d.height / s {
			for gx := range d.width / s {
				class, score := highest(scores[:d.classes])
				scores = scores[d.classes:]
				b := bins[:4*nanodetBins]
				bins = bins[4*nanodetBins:]
				if !(score > minScore) {
					continue
				}
				cx, cy := float64(gx)*stride+(stride-1)/2, float64(gy)*stride+(stride-1)/2
				left, top := expectation(b[0:8])*stride, expectation(b[8:16])*stride
				right, bottom := expectation(b[16:24])*stride, expectation(b[24:32])*stride
				if box, ok := t.box(cx-left, cy-top, cx+right, cy+bottom); ok {
					dst = add(dst, class, score, box)
				}
			}
		}
	}
	return dst
}

// expectation returns the mean place under the softmax of bins.
func expectation(bins []float32) float64 {
	_, top := highest(bins)
	var sum, mean float64
	for i, v := range bins {
		e := math.Exp(float64(v) - float64(top))
		sum += e
		mean += e * float64(i)
	}
	return mean / sum
}
