package vision

import "math"

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
				row, b := scores[:d.classes], bins[:4*nanodetBins]
				scores, bins = scores[d.classes:], bins[4*nanodetBins:]
				if d.below(row, minScore) {
					continue
				}
				class, score := highest(row)
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

// stridesPlus of the four maps that NanoDet-Plus writes.
var stridesPlus = [4]int{8, 16, 32, 64}

// cellsPlus returns the number of cells of the four maps, whose sides are rounded
// up.
func (d *Decoder) cellsPlus() int {
	n := 0
	for _, s := range stridesPlus {
		n += ((d.width + s - 1) / s) * ((d.height + s - 1) / s)
	}
	return n
}

// fitNanoDetPlus wants one output of class scores and distances.
func (d *Decoder) fitNanoDetPlus(outs []Output) {
	if len(outs) != 1 {
		return
	}
	if width, ok := rows(outs[0].Shape, d.cellsPlus()); ok && width > 4*nanodetBins {
		d.classes = width - 4*nanodetBins
		d.take(outs, 0)
		d.decode = (*Decoder).nanodetPlus
	}
}

// nanodetPlus decodes, stride after stride, rows of class scores and of bins as
// those of nanodet, with distances from the cell's corner g*stride.
func (d *Decoder) nanodetPlus(dst []Detection, data [][]float32, t Transform, minScore float32) []Detection {
	o := data[0]
	for _, s := range stridesPlus {
		stride := float64(s)
		for gy := range (d.height + s - 1) / s {
			for gx := range (d.width + s - 1) / s {
				r := o[:d.classes+4*nanodetBins]
				o = o[len(r):]
				if d.below(r[:d.classes], minScore) {
					continue
				}
				class, score := highest(r[:d.classes])
				if !(score > minScore) {
					continue
				}
				b := r[d.classes:]
				cx, cy := float64(gx)*stride, float64(gy)*stride
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
