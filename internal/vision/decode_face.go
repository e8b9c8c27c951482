package vision

import (
	"fmt"
	"math"
)

// ultraFaceMaps are the strides of UltraFace's maps and the sizes, in input
// pixels, of the priors in each of their cells.
var ultraFaceMaps = [...]struct {
	stride int
	sizes  []float64
}{
	{8, []float64{10, 16, 24}}, {16, []float64{32, 48}}, {32, []float64{64, 96}}, {64, []float64{128, 192, 256}},
}

func (d *Decoder) countPriors() int {
	n := 0
	for _, m := range ultraFaceMaps {
		n += ((d.width + m.stride - 1) / m.stride) * ((d.height + m.stride - 1) / m.stride) * len(m.sizes)
	}
	return n
}

// fitUltraFace wants scores and boxes of as many rows as there are priors.
func (d *Decoder) fitUltraFace(outs []Output) {
	n := d.countPriors()
	scores, boxes := -1, -1
	for i := range outs {
		switch width, ok := rows(outs[i].Shape, n); {
		case ok && width == 2:
			scores = i
		case ok && width == 4:
			boxes = i
		}
	}
	if len(outs) != 2 || scores < 0 || boxes < 0 {
		return
	}
	d.classes = 1
	d.take(outs, scores)
	d.take(outs, boxes)
	d.priors = make([][4]float32, 0, n)
	w, h := float64(d.width), float64(d.height)
	for _, m := range ultraFaceMaps {
		stride := float64(m.stride)
		for y := range (d.height + m.stride - 1) / m.stride {
			for x := range (d.width + m.stride - 1) / m.stride {
				for _, size := range m.sizes {
					d.priors = append(d.priors, [4]float32{
						float32(min(1, (float64(x)+0.5)*stride/w)), float32(min(1, (float64(y)+0.5)*stride/h)),
						float32(min(1, size/w)), float32(min(1, size/h)),
					})
				}
			}
		}
	}
	d.decode = (*Decoder).ultraface
}

// ultraface decodes pairs of background and face scores, and boxes as fractions
// of the input: x1 y1 x2 y2, or, in exports that end before the priors, offsets
// to them with the variances 0.1 and 0.2:
//
//	centre = offset * 0.1 * prior size + prior centre
//	size = exp(offset * 0.2) * prior size
//
// The two kinds have the same names and shapes. Corners are always in order,
// offsets are not, which tells them apart.
func (d *Decoder) ultraface(dst []Detection, data [][]float32, t Transform, minScore float32) []Detection {
	scores, boxes := data[0], data[1]
	offsets := areOffsets(boxes)
	w, h := float64(d.width), float64(d.height)
	for i := range d.priors {
		score := scores[2*i+1]
		if !(score > minScore) {
			continue
		}
		b := boxes[4*i:][:4]
		x0, y0, x1, y1 := float64(b[0]), float64(b[1]), float64(b[2]), float64(b[3])
		if offsets {
			p := &d.priors[i]
			cx, cy := x0*0.1*float64(p[2])+float64(p[0]), y0*0.1*float64(p[3])+float64(p[1])
			bw, bh := math.Exp(x1*0.2)*float64(p[2]), math.Exp(y1*0.2)*float64(p[3])
			x0, y0, x1, y1 = cx-bw/2, cy-bh/2, cx+bw/2, cy+bh/2
		}
		if box, ok := t.box(x0*w, y0*h, x1*w, y1*h); ok {
			dst = add(dst, 0, score, box)
		}
	}
	return dst
}

// areOffsets reports whether more than one row in 16 of boxes is not a pair of
// corners in order. Corners that were quantized may be out of order here and
// there.
func areOffsets(boxes []float32) bool {
	wrong, limit := 0, len(boxes)/4/16
	for b := boxes; len(b) >= 4; b = b[4:] {
		if b[2] < b[0] || b[3] < b[1] {
			if wrong++; wrong > limit {
				return true
			}
		}
	}
	return false
}

// fitYuNet finds the outputs by name.
func (d *Decoder) fitYuNet(outs []Output) {
	for _, s := range strides {
		cells := (d.width / s) * (d.height / s)
		for _, part := range []struct {
			name  string
			width int
		}{{"cls", 1}, {"obj", 1}, {"bbox", 4}, {"kps", 10}} {
			found := false
			for i := range outs {
				if outs[i].Name != fmt.Sprintf("%s_%d", part.name, s) {
					continue
				}
				if width, ok := rows(outs[i].Shape, cells); ok && width == part.width {
					d.take(outs, i)
					found = true
				}
			}
			if !found {
				return
			}
		}
	}
	if len(d.use) == 4*len(strides) {
		d.classes = 1
		d.decode = (*Decoder).yunet
	}
}

// yunet decodes, for each stride, score = class * objectness, centre = (xy +
// cell) * stride, size = exp(wh) * stride, and five points (xy + cell) * stride:
// right eye, left eye, nose, right and left corner of the mouth.
func (d *Decoder) yunet(dst []Detection, data [][]float32, t Transform, minScore float32) []Detection {
	for k, s := range strides {
		class, obj, boxes, points := data[4*k], data[4*k+1], data[4*k+2], data[4*k+3]
		stride := float64(s)
		columns := d.width / s
		for i, c := range class {
			score := c * obj[i]
			if !(score > minScore) {
				continue
			}
			gx, gy := float64(i%columns), float64(i/columns)
			b, p := boxes[4*i:][:4], points[10*i:][:10]
			cx, cy := (float64(b[0])+gx)*stride, (float64(b[1])+gy)*stride
			w, h := math.Exp(float64(b[2]))*stride, math.Exp(float64(b[3]))*stride
			box, ok := t.box(cx-w/2, cy-h/2, cx+w/2, cy+h/2)
			if !ok {
				continue
			}
			dst = add(dst, 0, score, box)
			landmarks := &dst[len(dst)-1].Landmarks
			for j := 0; j < len(p); j += 2 {
				*landmarks = append(*landmarks, t.point((float64(p[j])+gx)*stride, (float64(p[j+1])+gy)*stride))
			}
		}
	}
	return dst
}

// fitSCRFD tells the outputs of a stride apart by their number of rows and their
// width.
func (d *Decoder) fitSCRFD(outs []Output) {
	for _, anchors := range []int{2, 1} {
		d.use, d.size = nil, nil
		parts := 3
		for _, s := range strides {
			n := (d.width / s) * (d.height / s) * anchors
			at := [3]int{-1, -1, -1} // scores, distances, points
			for i := range outs {
				switch width, ok := rows(outs[i].Shape, n); {
				case ok && width == 1:
					at[0] = i
				case ok && width == 4:
					at[1] = i
				case ok && width == 10:
					at[2] = i
				}
			}
			if at[2] < 0 {
				parts = 2
			}
			for _, i := range at[:parts] {
				if i >= 0 {
					d.take(outs, i)
				}
			}
		}
		if len(d.use) == len(outs) && len(outs) == parts*len(strides) {
			d.classes, d.anchors = 1, anchors
			d.decode = (*Decoder).scrfd
			return
		}
	}
}

// scrfd decodes, for each stride and each anchor of a cell, a score, the distances
// left, top, right and bottom from the cell's corner, in strides, and five points
// from there: left eye, right eye, nose, left and right corner of the mouth, as
// the picture shows them.
//
// Guo and others, "Sample and Computation Redistribution for Efficient Face
// Detection", 2021, and its reference code.
func (d *Decoder) scrfd(dst []Detection, data [][]float32, t Transform, minScore float32) []Detection {
	parts := len(data) / len(strides)
	for k, s := range strides {
		scores, boxes := data[parts*k], data[parts*k+1]
		stride := float64(s)
		columns := d.width / s
		for i, score := range scores {
			if !(score > minScore) {
				continue
			}
			cell := i / d.anchors
			x, y := float64(cell%columns)*stride, float64(cell/columns)*stride
			b := boxes[4*i:][:4]
			box, ok := t.box(x-float64(b[0])*stride, y-float64(b[1])*stride, x+float64(b[2])*stride, y+float64(b[3])*stride)
			if !ok {
				continue
			}
			dst = add(dst, 0, score, box)
			if parts < 3 {
				continue
			}
			landmarks := &dst[len(dst)-1].Landmarks
			for p := data[3*k+2][10*i:][:10]; len(p) > 0; p = p[2:] {
				*landmarks = append(*landmarks, t.point(x+float64(p[0])*stride, y+float64(p[1])*stride))
			}
		}
	}
	return dst
}
