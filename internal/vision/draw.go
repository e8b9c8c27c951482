package vision

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"

	"golang.org/x/image/font/basicfont"
)

// Colour returns the colour that Draw gives a class. Neighbouring classes differ
// clearly: hues advance by the golden ratio.
func Colour(class int) color.RGBA {
	_, hue := math.Modf(float64(class&0xffff)*0.61803398875 + 0.33)
	channel := func(shift float64) uint8 {
		_, h := math.Modf(hue + shift)
		return uint8(255 * min(1, max(0.1, math.Abs(6*h-3)-1)))
	}
	return color.RGBA{channel(0), channel(2. / 3), channel(1. / 3), 255}
}

// Draw marks the detections on img: the pixels of a mask tinted and a box in the
// colour of the class, a label with the score above it, or inside where there is
// no room, and dots for landmarks. A class without a label is drawn as its
// number. Line width and text grow with the picture. Equal input gives equal
// pixels.
func Draw(img *image.RGBA, dets []Detection, labels []string) {
	size := max(1, (min(img.Rect.Dx(), img.Rect.Dy())+240)/480)
	for i := range dets { // masks first, so that they hide nothing
		if m := dets[i].Mask; m != nil {
			var colours [256]color.RGBA
			colours[1] = Colour(dets[i].Class)
			tint(img, m, &colours)
		}
	}
	for i := range dets {
		d := &dets[i]
		c := Colour(d.Class)
		x0, y0, x1, y1 := pixel(d.Box.X0), pixel(d.Box.Y0), pixel(d.Box.X1), pixel(d.Box.Y1)
		line := 2 * size
		paint(img, x0, y0, x1, y0+line, c)
		paint(img, x0, y1-line, x1, y1, c)
		paint(img, x0, y0, x0+line, y1, c)
		paint(img, x1-line, y0, x1, y1, c)
		for _, p := range d.Landmarks {
			x, y := pixel(p.X), pixel(p.Y)
			paint(img, x-line, y-line, x+line, y+line, c)
		}
	}
	// Labels last, so that no box crosses one.
	for i := range dets {
		d := &dets[i]
		label := fmt.Sprint(d.Class)
		if d.Class >= 0 && d.Class < len(labels) {
			label = labels[d.Class]
		}
		drawLabel(img, pixel(d.Box.X0), pixel(d.Box.Y0), fmt.Sprintf("%s %.2f", label, d.Score), size, Colour(d.Class))
	}
}

// DrawMask tints the pixels of img in the colours of their classes, half of the
// one and half of the other. Class 0, which is the background of most models,
// stays clear.
func DrawMask(img *image.RGBA, m *Mask) {
	var colours [256]color.RGBA
	for class := 1; class < len(colours); class++ {
		colours[class] = Colour(class)
	}
	tint(img, m, &colours)
}

// Image returns the mask as a picture of palette colours, whose indices are the
// numbers of m: black for 0, and those of DrawMask.
func (m *Mask) Image() *image.Paletted {
	palette := make(color.Palette, 256)
	palette[0] = color.RGBA{0, 0, 0, 255}
	for class := 1; class < len(palette); class++ {
		palette[class] = Colour(class)
	}
	return &image.Paletted{Pix: slices.Clone(m.Pix), Stride: m.Rect.Dx(), Rect: m.Rect, Palette: palette}
}

// tint mixes the colours of the numbers in m half into img. The zero colour
// leaves a pixel as it is.
func tint(img *image.RGBA, m *Mask, colours *[256]color.RGBA) {
	r := m.Rect.Add(img.Rect.Min).Intersect(img.Rect)
	from := r.Sub(img.Rect.Min)
	for y := range r.Dy() {
		row := img.Pix[img.PixOffset(r.Min.X, r.Min.Y+y):][:4*r.Dx()]
		src := m.Pix[(from.Min.Y+y-m.Rect.Min.Y)*m.Rect.Dx()+from.Min.X-m.Rect.Min.X:]
		for _, v := range src[:r.Dx()] {
			if c := &colours[v]; c.A != 0 {
				row[0] = uint8((int(row[0]) + int(c.R) + 1) / 2)
				row[1] = uint8((int(row[1]) + int(c.G) + 1) / 2)
				row[2] = uint8((int(row[2]) + int(c.B) + 1) / 2)
				row[3] = uint8((int(row[3]) + int(c.A) + 1) / 2)
			}
			row = row[4:]
		}
	}
}

// pixel rounds a coordinate to where drawing it cannot overflow.
func pixel(v float32) int {
	const far = 1 << 20
	if v != v {
		return -far
	}
	return int(math.Round(min(far, max(-far, float64(v)))))
}

// paint fills the pixels of [x0, x1) x [y0, y1) that are in img.
func paint(img *image.RGBA, x0, y0, x1, y1 int, c color.RGBA) {
	r := image.Rectangle{image.Pt(x0, y0), image.Pt(x1, y1)}.Add(img.Rect.Min).Intersect(img.Rect)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := img.Pix[img.PixOffset(r.Min.X, y):][:4*r.Dx()]
		for ; len(row) >= 4; row = row[4:] {
			row[0], row[1], row[2], row[3] = c.R, c.G, c.B, c.A
		}
	}
}

// drawLabel writes text on a bar of colour c whose lower left corner is at
// (x, y), moved into the picture where it would stick out.
func drawLabel(img *image.RGBA, x, y int, text string, size int, c color.RGBA) {
	face := basicfont.Face7x13
	runes := []rune(text)
	w, h := (len(runes)*face.Advance+4)*size, (face.Height+2)*size
	x = max(0, min(x, img.Rect.Dx()-w))
	y = max(0, min(y-h, img.Rect.Dy()-h))
	paint(img, x, y, x+w, y+h, c)
	ink := color.RGBA{0, 0, 0, 255}
	if 299*int(c.R)+587*int(c.G)+114*int(c.B) < 110_000 {
		ink = color.RGBA{255, 255, 255, 255}
	}
	for i, r := range runes {
		at := x + (2+i*face.Advance)*size
		drawGlyph(img, at, y+size, glyph(face, r), size, ink)
	}
}

// glyph returns the mask of r, or of the replacement character, in face.
func glyph(face *basicfont.Face, r rune) *image.Alpha {
	index := -1
	for _, g := range face.Ranges {
		if g.Low <= r && r < g.High {
			index = g.Offset + int(r-g.Low)
			break
		}
		if g.Low <= '\ufffd' && '\ufffd' < g.High {
			index = g.Offset + int('\ufffd'-g.Low)
		}
	}
	mask, ok := face.Mask.(*image.Alpha)
	if !ok || index < 0 {
		return &image.Alpha{}
	}
	height := face.Ascent + face.Descent
	return mask.SubImage(image.Rect(0, index*height, face.Width, (index+1)*height)).(*image.Alpha)
}

func drawGlyph(img *image.RGBA, x, y int, mask *image.Alpha, size int, ink color.RGBA) {
	b := mask.Rect
	for gy := b.Min.Y; gy < b.Max.Y; gy++ {
		for gx := b.Min.X; gx < b.Max.X; gx++ {
			if mask.AlphaAt(gx, gy).A > 127 {
				px, py := x+(gx-b.Min.X)*size, y+(gy-b.Min.Y)*size
				paint(img, px, py, px+size, py+size, ink)
			}
		}
	}
}
