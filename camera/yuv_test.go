package camera

import (
	"bytes"
	"errors"
	"image"
	"os"
	"testing"
)

// spread copies f into memory with n bytes of padding after each row.
func spread(f *Frame, n int) *Frame {
	row, rows := f.Format.row(f.Width, f.Height)
	g := *f
	g.Stride = row + n
	g.Pix = bytes.Repeat([]byte{0x55}, rows*g.Stride-n)
	for y := range rows {
		copy(g.Pix[y*g.Stride:][:row], f.Pix[y*f.Stride:])
	}
	return &g
}

func TestToRGBAEqualsOpenCV(t *testing.T) {
	for _, tc := range []struct {
		name   string
		format Format
	}{{"yuyv", YUYV}, {"nv12", NV12}} {
		data, err := os.ReadFile(golden + "/noise." + tc.name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(golden + "/noise." + tc.name + ".rgb")
		if err != nil {
			t.Fatal(err)
		}
		f := &Frame{Pix: data}
		f.shape(32, 18, tc.format)
		for _, frame := range []*Frame{f, spread(f, 7)} {
			if err := frame.Check(); err != nil {
				t.Fatal(err)
			}
			got := frame.ToRGBA(nil)
			for i := range 32 * 18 {
				if !bytes.Equal(got.Pix[4*i:4*i+3], want[3*i:3*i+3]) || got.Pix[4*i+3] != 255 {
					t.Fatalf("%s: pixel %d is %v, OpenCV has %v", tc.name, i, got.Pix[4*i:4*i+4], want[3*i:3*i+3])
				}
			}
		}
	}
}

// TestOddSizes cuts a picture down: what is left keeps its colours.
func TestOddSizes(t *testing.T) {
	for _, format := range []Format{RGB24, BGR24, GRAY8, YUYV, NV12} {
		f := new(Frame)
		f.shape(6, 4, format)
		for i := range f.Pix {
			f.Pix[i] = byte(37*i + 11)
		}
		whole := f.ToRGBA(nil)
		cut := spread(f, 0)
		cut.Width, cut.Height = 5, 3
		if format == NV12 { // chroma follows the rows that are left
			copy(cut.Pix[3*cut.Stride:], f.Pix[4*f.Stride:])
		}
		_, rows := format.row(5, 3)
		row, _ := format.row(5, 3)
		cut.Pix = cut.Pix[:(rows-1)*cut.Stride+row]
		if err := cut.Check(); err != nil {
			t.Fatal(err)
		}
		got := cut.ToRGBA(nil)
		for y := range 3 {
			for x := range 5 {
				if got.RGBAAt(x, y) != whole.RGBAAt(x, y) {
					t.Errorf("%s: pixel %d,%d is %v, want %v", format, x, y, got.RGBAAt(x, y), whole.RGBAAt(x, y))
				}
			}
		}
		cut.Pix = cut.Pix[:len(cut.Pix)-1]
		if err := cut.Check(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: a byte too few: %v", format, err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	const huge = int(^uint(0) >> 1)
	for _, f := range []Frame{
		{}, {Width: 1, Height: 1, Stride: 2, Pix: make([]byte, 9)}, {Width: huge, Height: 1, Stride: huge, Pix: make([]byte, 9)},
		{Width: 2, Height: huge, Stride: 6, Pix: make([]byte, 9), Format: NV12}, {Width: 1, Height: huge, Stride: huge, Pix: make([]byte, 9)},
		{Width: 1, Height: 1, Stride: 3, Pix: make([]byte, 3), Format: mjpeg}, {Width: -1, Height: 1, Stride: 3, Pix: make([]byte, 3)},
		{Width: 2, Height: 2, Stride: 3, Pix: make([]byte, 12), Format: YUYV},
	} {
		if err := f.Check(); !errors.Is(err, ErrFormat) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func TestToRGBAReusesItsImage(t *testing.T) {
	f := new(Frame)
	f.shape(16, 16, NV12)
	img := image.NewRGBA(image.Rect(0, 0, 16, 16))
	if n := testing.AllocsPerRun(10, func() {
		if f.ToRGBA(img) != img {
			t.Fatal("another image")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
