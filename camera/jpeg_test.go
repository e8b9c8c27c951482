package camera

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"os"
	"path/filepath"
	"testing"
)

// photo returns a JPEG file of one colour.
func photo(t *testing.T, w, h int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(m, m.Rect, image.NewUniform(color.RGBA{200, 100, 50, 255}), image.Point{}, draw.Src)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestLeast demands the smallest picture that the reader allows.
func TestLeast(t *testing.T) {
	data := photo(t, 131, 97)
	var f Frame
	for _, tc := range []struct{ least, size image.Point }{
		{image.Point{}, image.Pt(131, 97)}, {image.Pt(131, 97), image.Pt(131, 97)}, {image.Pt(67, 10), image.Pt(131, 97)},
		{image.Pt(66, 49), image.Pt(66, 49)}, {image.Pt(10, 26), image.Pt(66, 49)}, {image.Pt(10, 25), image.Pt(33, 25)},
		{image.Pt(1, 1), image.Pt(17, 13)}, {image.Pt(500, 500), image.Pt(131, 97)}, {image.Pt(0, 50), image.Pt(131, 97)}, {image.Pt(-1, -1), image.Pt(131, 97)},
	} {
		f.Least = tc.least
		if err := Decode(&f, data); err != nil {
			t.Fatal(err)
		}
		if err := f.Check(); err != nil || f.Width != tc.size.X || f.Height != tc.size.Y || f.Size() != image.Pt(131, 97) {
			t.Errorf("least %v: %dx%d of %v, want %v; %v", tc.least, f.Width, f.Height, f.Size(), tc.size, err)
		}
		if d := int(f.Pix[len(f.Pix)-3]) - 200; max(d, -d) > 2 {
			t.Errorf("least %v: red is %d, want 200", tc.least, f.Pix[len(f.Pix)-3])
		}
	}
	// What is turned, or no JPEG, comes whole.
	for _, name := range []string{"turned_6.jpg", "rgb.png", "progressive.jpg"} {
		f.Least = image.Pt(1, 1)
		data, err := os.ReadFile(filepath.Join(golden, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := Decode(&f, data); err != nil {
			t.Fatal(err)
		}
		if f.Full != (image.Point{}) || f.Size() != image.Pt(f.Width, f.Height) {
			t.Errorf("%s: %dx%d of %v", name, f.Width, f.Height, f.Full)
		}
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector sync.Pool forgets decoders at random")
	}
	data := photo(t, 320, 240)
	f := new(Frame)
	if n := testing.AllocsPerRun(20, func() {
		if err := Decode(f, data); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

// slides gives the same compressed picture again and again.
type slides struct{ data []byte }

func (s slides) Read(context.Context, *Frame) error { panic("Live reads packets") }

func (s slides) Close() error { return nil }

func (s slides) readPacket(ctx context.Context, f *Frame) error {
	f.Pix, f.Format = append(f.Pix[:0], s.data...), mjpeg
	return ctx.Err()
}

// The reader's wish reaches the decoder of a live source.
func TestLiveLeast(t *testing.T) {
	data := photo(t, 160, 120)
	l := NewLive(func() (Source, error) { return slides{data}, nil }, LiveConfig{})
	defer l.Close() //nolint:errcheck // it returns none
	var f Frame
	for _, want := range []int{80, 160, 20, 160} {
		f.Least = image.Pt(want, 1)
		if err := l.Read(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
		if f.Width != want || f.Size() != image.Pt(160, 120) {
			t.Errorf("%d of %v columns, want %d of 160", f.Width, f.Size(), want)
		}
	}
}
