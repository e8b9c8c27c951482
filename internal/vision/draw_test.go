package vision

import (
	"bytes"
	"image"
	"image/color"
	"testing"
)

// gray makes a picture of one gray at r.
func gray(r image.Rectangle) *image.RGBA {
	img := image.NewRGBA(r)
	for i := range img.Pix {
		img.Pix[i] = 100
		if i%4 == 3 {
			img.Pix[i] = 255
		}
	}
	return img
}

func half(c color.RGBA) color.RGBA {
	mean := func(v uint8) uint8 { return uint8((int(v) + 101) / 2) }
	return color.RGBA{mean(c.R), mean(c.G), mean(c.B), 255}
}

func TestDrawMask(t *testing.T) {
	m := &Mask{Rect: image.Rect(2, 1, 5, 3), Pix: []uint8{0, 1, 2, 255, 0, 1}}
	for _, origin := range []image.Point{{0, 0}, {7, -3}} {
		img := gray(image.Rectangle{origin, origin.Add(image.Pt(6, 4))})
		DrawMask(img, m)
		for y := range 4 {
			for x := range 6 {
				want := color.RGBA{100, 100, 100, 255}
				if class := m.At(x, y); class != 0 {
					want = half(Colour(int(class)))
				}
				if got := img.RGBAAt(origin.X+x, origin.Y+y); got != want {
					t.Errorf("pixel (%d, %d) is %v, want %v", x, y, got, want)
				}
			}
		}
	}
	// What sticks out is left out.
	img := gray(image.Rect(0, 0, 4, 2))
	DrawMask(img, m)
	untouched := color.RGBA{100, 100, 100, 255}
	if img.RGBAAt(3, 1) != half(Colour(1)) || img.RGBAAt(2, 1) != untouched || img.RGBAAt(3, 0) != untouched {
		t.Error("cut wrongly")
	}
	DrawMask(img, &Mask{Rect: image.Rect(-5, -5, -2, -2), Pix: make([]uint8, 9)})
	DrawMask(img, &Mask{})
	p := m.Image()
	if p.Bounds() != m.Rect || p.ColorIndexAt(4, 1) != 2 || p.At(3, 1) != Colour(1) || p.At(2, 1) != (color.RGBA{0, 0, 0, 255}) {
		t.Error("palette picture")
	}
	p.Pix[0] = 9
	if m.Pix[0] != 0 {
		t.Error("the picture shares the mask's memory")
	}
}

// An object's mask has the colour of its class, and boxes lie over masks.
func TestDrawObjectMask(t *testing.T) {
	dets := []Detection{
		{Class: 4, Box: Box{0, 0, 90, 60}, Score: 1},
		{Class: 6, Box: Box{30, 30, 90, 90}, Score: 1, Mask: &Mask{Rect: image.Rect(30, 30, 90, 90), Pix: bytes.Repeat([]uint8{1}, 3600)}},
	}
	img := gray(image.Rect(0, 0, 100, 100))
	Draw(img, dets, nil)
	if got := img.RGBAAt(60, 80); got != half(Colour(6)) {
		t.Errorf("inside: %v", got)
	}
	if got := img.RGBAAt(60, 59); got != Colour(4) {
		t.Errorf("the other box: %v", got)
	}
}
