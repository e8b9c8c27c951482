package vision

import (
	"fmt"
	"image"
	"math"
)

// prototypes are maps of a segmenting detector, a quarter of the input a side,
// that each object weighs with coefficients of its own.
type prototypes struct {
	n       int // 0 where there are none
	use     int // the output
	columns int // of the boxes' output, where its columns are the boxes; 0 where its rows are
	w, h    int
	logits  []float32
	xs      []tapMask
	masks   []*Mask
}

// tapMask is a column of a mask: the left column of the prototypes, and how far
// the next one counts.
type tapMask struct {
	left, right int
	part        float32
}

// maskCoefs is the number of prototypes.
const maskCoefs = 32

// fitPrototypes looks for the output of prototypes.
func (d *Decoder) fitPrototypes(outs []Output) {
	for i := range outs {
		s := outs[i].Shape
		if len(s) == 4 && s[0] == 1 && s[1] == maskCoefs && s[2] > 0 && s[3] > 0 && 4*s[2] == d.height && 4*s[3] == d.width && elems(s) > 0 {
			d.proto.n, d.proto.use, d.proto.w, d.proto.h = maskCoefs, i, s[3], s[2]
			return
		}
	}
}

// HasMasks reports whether the model gives the pixels of objects.
func (d *Decoder) HasMasks() bool { return d.proto.n > 0 }

// Masks gives each of dets, which Decode made of outs and t and which NMS may
// have thinned out, the mask of its object: the pixels of a frame of width x
// height whose centres are in the box and where
//
//	sum of coefficient * prototype > 0
//
// with the sums interpolated between the four nearest elements of the prototypes.
// The masks stand until the next call, which uses their memory again; it
// allocates nothing once there is enough. A model without masks leaves dets as
// they are.
func (d *Decoder) Masks(dets []Detection, outs []Output, t Transform, width, height int) error {
	p := &d.proto
	if p.n == 0 {
		return nil
	}
	boxes := d.use[0]
	if boxes >= len(outs) || p.use >= len(outs) || len(outs[boxes].Data) != d.size[0] || len(outs[p.use].Data) != p.n*p.w*p.h {
		return fmt.Errorf("vision: preset %s: %w: %d elements of boxes and %d of prototypes are wanted", d.preset.Name, errOutputs, d.size[0], p.n*p.w*p.h)
	}
	for len(p.masks) < len(dets) {
		p.masks = append(p.masks, &Mask{})
	}
	if p.logits == nil {
		p.logits = make([]float32, p.w*p.h)
	}
	frame := image.Rect(0, 0, width, height)
	for i := range dets {
		b := &dets[i].Box
		r := image.Rectangle{image.Pt(centreFrom(b.X0, width), centreFrom(b.Y0, height)), image.Pt(centreFrom(b.X1, width), centreFrom(b.Y1, height))}
		if r = r.Intersect(frame); r.Empty() {
			r = image.Rectangle{}
		}
		dets[i].Mask = p.masks[i]
		dets[i].Mask.reset(r)
		if !r.Empty() {
			d.mask(dets[i].Mask, d.coefficients(outs[boxes].Data, dets[i].row), outs[p.use].Data, &t)
		}
	}
	return nil
}

// centreFrom returns the first pixel whose centre is not before v, from 0 to n.
func centreFrom(v float32, n int) int {
	return int(min(max(math.Ceil(float64(v)-0.5), 0), float64(n)))
}

// coefficients returns those of a row of the boxes' output.
func (d *Decoder) coefficients(boxes []float32, row int) (c [maskCoefs]float32) {
	if n := d.proto.columns; n > 0 {
		for k := range c {
			c[k] = boxes[(4+d.classes+k)*n+row]
		}
		return c
	}
	width := 5 + d.classes + maskCoefs
	copy(c[:], boxes[row*width+5+d.classes:])
	return c
}

// mask fills m, which is not empty.
func (d *Decoder) mask(m *Mask, coefs [maskCoefs]float32, data []float32, t *Transform) {
	p, w, r := &d.proto, m.Rect.Dx(), m.Rect
	if cap(p.xs) < w {
		p.xs = make([]tapMask, w)
	}
	xs := p.xs[:w]
	for x := range xs {
		xs[x] = protoTap(t.inputX(r.Min.X+x), p.w)
	}
	top, bottom := protoTap(t.inputY(r.Min.Y), p.h), protoTap(t.inputY(r.Max.Y-1), p.h)
	first, end := xs[0].left, xs[w-1].right+1
	for y := top.left; y <= bottom.right; y++ { // sums of the part that is needed
		sum := p.logits[y*p.w+first : y*p.w+end]
		clear(sum)
		for k, c := range coefs {
			for x, v := range data[(k*p.h+y)*p.w+first:][:len(sum)] {
				sum[x] += float32(c * v)
			}
		}
	}
	for y := range r.Dy() {
		v := protoTap(t.inputY(r.Min.Y+y), p.h)
		up, down := p.logits[v.left*p.w:][:p.w], p.logits[v.right*p.w:][:p.w]
		row := m.Pix[y*w:][:w]
		for x := range xs {
			u := &xs[x]
			a := up[u.left] + float32(u.part*(up[u.right]-up[u.left]))
			b := down[u.left] + float32(u.part*(down[u.right]-down[u.left]))
			row[x] = 0
			if a+float32(v.part*(b-a)) > 0 {
				row[x] = 1
			}
		}
	}
}

// protoTap returns the elements of n that lie around v, which is in input pixels.
func protoTap(v float64, n int) tapMask {
	v = min(max(v/4-0.5, 0), float64(n-1))
	at := int(v)
	return tapMask{at, min(at+1, n-1), float32(v - float64(at))}
}
