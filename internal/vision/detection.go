// Package vision turns frames into the tensors that models read, and the tensors
// that they write into boxes, classes and masks of the frame.
//
// It does the arithmetic of OpenCV, of Pillow and of the models' own
// documentation: resize, letterbox, normalisation, decoding, suppression of
// overlaps, drawing.
// It does not run models, does not read files and knows nothing of engines.
package vision

import (
	"image"
	"math"
)

// Point is a position in frame pixels. The centre of the first pixel is at 0.5.
type Point struct{ X, Y float32 }

// Box is a rectangle in frame pixels, from its upper left corner to its lower
// right one. Models place boxes partly outside the frame; they are not clipped.
type Box struct{ X0, Y0, X1, Y1 float32 }

// Width returns the extent along x.
func (b Box) Width() float32 { return b.X1 - b.X0 }

// Height returns the extent along y.
func (b Box) Height() float32 { return b.Y1 - b.Y0 }

// Detection is one object that a model saw.
type Detection struct {
	Class     int // index into the labels
	Score     float32
	Box       Box
	Landmarks []Point // points of the object, such as eyes, nose and corners of the mouth; nil for most models
	Mask      *Mask   // the object's pixels, 1, in its box; nil unless Decoder.Masks was called

	row int // of the model's output, for Decoder.Masks
}

// Mask is small numbers for the pixels of a part of the frame: classes, or 1 for
// what belongs to an object and 0 for the rest.
type Mask struct {
	Rect image.Rectangle // in frame pixels
	Pix  []uint8         // row by row, without padding
}

// At returns the number of a pixel of the frame, 0 outside Rect.
func (m *Mask) At(x, y int) uint8 {
	if !(image.Point{X: x, Y: y}).In(m.Rect) {
		return 0
	}
	return m.Pix[(y-m.Rect.Min.Y)*m.Rect.Dx()+x-m.Rect.Min.X]
}

// reset makes m a mask of r, reusing its memory, whose contents stay.
func (m *Mask) reset(r image.Rectangle) {
	n := r.Dx() * r.Dy()
	if cap(m.Pix) < n {
		m.Pix = make([]uint8, n)
	}
	m.Rect, m.Pix = r, m.Pix[:n]
}

// Output is one output tensor of a model, dense and in row-major order. Its
// elements are in one of the slices, the others are nil.
type Output struct {
	Name  string
	Shape []int
	Data  []float32
	I64   []int64
	I32   []int32
	U8    []uint8
}

// Transform says where the frame lies in a model's input: a point x of the frame
// is at x*ScaleX + OffsetX there.
type Transform struct{ ScaleX, ScaleY, OffsetX, OffsetY float64 }

// box maps corners in input pixels to the frame. It reports false where they
// are not numbers that a box can have.
func (t *Transform) box(x0, y0, x1, y1 float64) (Box, bool) {
	b := Box{
		float32((x0 - t.OffsetX) / t.ScaleX), float32((y0 - t.OffsetY) / t.ScaleY),
		float32((x1 - t.OffsetX) / t.ScaleX), float32((y1 - t.OffsetY) / t.ScaleY),
	}
	sum := float64(b.X0) + float64(b.Y0) + float64(b.X1) + float64(b.Y1)
	return b, !math.IsNaN(sum) && !math.IsInf(sum, 0)
}

// inputX and inputY return where the centre of a pixel of the frame lies in the
// input.
func (t *Transform) inputX(x int) float64 { return float64((float64(x)+0.5)*t.ScaleX) + t.OffsetX }
func (t *Transform) inputY(y int) float64 { return float64((float64(y)+0.5)*t.ScaleY) + t.OffsetY }

// point maps a point in input pixels to the frame.
func (t *Transform) point(x, y float64) Point {
	return Point{float32((x - t.OffsetX) / t.ScaleX), float32((y - t.OffsetY) / t.ScaleY)}
}
