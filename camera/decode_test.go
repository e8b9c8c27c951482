package camera

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const golden = "../testdata/camera"

// wanted reads the pixels that OpenCV's imread gave for a file.
func wanted(t *testing.T, name string) *image.RGBA {
	t.Helper()
	f, err := os.Open(filepath.Join(golden, name+".want.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	rgba, ok := img.(*image.RGBA)
	if !ok {
		t.Fatalf("%s: golden picture is %T", name, img)
	}
	return rgba
}

// compare fails where a byte of f differs by more than tol from rows of want
// that start at row top.
func compare(t *testing.T, f *Frame, want *image.RGBA, top, tol int) {
	t.Helper()
	if f.Width != want.Rect.Dx() || f.Height > want.Rect.Dy()-top {
		t.Fatalf("frame is %dx%d, want %v", f.Width, f.Height, want.Rect)
	}
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	worst := 0
	for y := range f.Height {
		for x := range f.Width {
			for c := range 3 {
				d := int(f.Pix[y*f.Stride+3*x+c]) - int(want.Pix[(top+y)*want.Stride+4*x+c])
				if max(d, -d) > worst {
					worst = max(d, -d)
					if worst > tol {
						t.Fatalf("pixel (%d, %d) channel %d differs by %d, at most %d is allowed", x, y, c, d, tol)
					}
				}
			}
		}
	}
	t.Logf("largest difference %d", worst)
}

// TestDecode compares with OpenCV. Go's inverse DCT rounds otherwise than
// libjpeg's by a step of luma or chroma; all else must agree exactly, which the
// pictures of flat blocks show.
func TestDecode(t *testing.T) {
	files, err := filepath.Glob(golden + "/*.want.png")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d golden pictures, %v", len(files), err)
	}
	var f Frame
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".want.png")
		if strings.HasSuffix(name, ".avi") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(golden, name))
			if err != nil {
				t.Fatal(err)
			}
			tol := 0
			if strings.HasSuffix(name, ".jpg") && !strings.HasPrefix(name, "blocks") {
				tol = 3
			}
			if err := Decode(&f, data); err != nil {
				t.Fatal(err)
			}
			compare(t, &f, wanted(t, name), 0, tol)
		})
	}
}

// jpegWithout returns a JPEG file without its segments of the given marker.
func jpegWithout(data []byte, marker byte) []byte {
	out := append([]byte(nil), data[:2]...)
	for i := 2; i+4 <= len(data); {
		end := i + 2 + int(data[i+2])<<8 + int(data[i+3])
		if data[i+1] == 0xda {
			return append(out, data[i:]...)
		}
		if data[i+1] != marker {
			out = append(out, data[i:end]...)
		}
		i = end
	}
	return out
}

// Motion JPEG frames may leave the standard tables out.
func TestDecodeWithoutHuffmanTables(t *testing.T) {
	data, err := os.ReadFile(golden + "/scene_422.jpg")
	if err != nil {
		t.Fatal(err)
	}
	bare := jpegWithout(data, 0xc4)
	if bytes.Contains(bare, []byte{0xff, 0xc4}) || len(bare) > len(data)-400 {
		t.Fatalf("%d of %d bytes are left", len(bare), len(data))
	}
	var f Frame
	if err := Decode(&f, bare); err != nil {
		t.Fatal(err)
	}
	compare(t, &f, wanted(t, "scene_422.jpg"), 0, 3)
}

func TestDecodeBadInput(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(golden, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	jpg, pic := read("scene_420.jpg"), read("rgb.png")
	grown := bytes.Clone(jpg)
	h := bytes.Index(grown, []byte{0xff, 0xc0})
	copy(grown[h+5:], []byte{0xea, 0x60, 0xea, 0x60}) // 60000 x 60000
	wide := bytes.Clone(jpg)
	copy(wide[h+5:], []byte{0x20, 0, 0x20, 0}) // 8192 x 8192, more than the bytes can hold
	deep := bytes.Clone(pic)
	copy(deep[16:], []byte{0, 0, 0x20, 0, 0, 0, 0x20, 0})
	bitmap, web, anim := read("rgb.bmp"), read("lossy.webp"), read("plain.gif")
	patched := func(data []byte, at int, with ...byte) []byte {
		return append(append(bytes.Clone(data[:at]), with...), data[at+len(with):]...)
	}
	canvas := []byte("RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\xff\x7f\x00\xff\x7f\x00")
	for _, tc := range []struct {
		name string
		data []byte
		want error
		text string
	}{
		{"empty", nil, ErrFormat, "0 bytes"},
		{"text", []byte("hello, this is no picture"), ErrFormat, "not an image"},
		{"bmp", []byte("BM\x00\x00"), ErrFormat, "BMP"},
		{"jpeg start", jpg[:4], ErrFormat, "JPEG"},
		{"jpeg half", jpg[:len(jpg)/2], ErrFormat, "JPEG"},
		{"png start", pic[:20], ErrFormat, "PNG"},
		{"png half", pic[:len(pic)/2], ErrFormat, "PNG"},
		{"huge png", read("broken/huge.png"), ErrTooLarge, "60000x60000"},
		{"huge jpeg", grown, ErrTooLarge, "60000x60000"},
		{"jpeg bomb", wide, ErrFormat, "8192x8192"},
		{"png bomb", deep, ErrFormat, "8192x8192"},
		{"webp start", web[:20], ErrFormat, "WebP"},
		{"webp half", web[:len(web)/2], ErrFormat, "WebP"},
		{"huge webp", canvas, ErrTooLarge, "32768x32768"},
		{"huge webp frame", patched(web, 26, 0xff, 0x3f, 0xff, 0x3f), ErrTooLarge, "16383x16383"},
		{"animated webp", read("broken/animated.webp"), ErrFormat, "animated"},
		{"bmp half", bitmap[:len(bitmap)/2], ErrFormat, "23x17"},
		{"huge bmp", patched(bitmap, 18, 0, 0, 1, 0, 0, 0, 1), ErrTooLarge, "65536x65536"},
		{"bmp bomb", patched(bitmap, 18, 0, 0x20, 0, 0, 0, 0x20), ErrFormat, "8192x8192"},
		{"compressed bmp", patched(bitmap, 30, 1), ErrFormat, "without compression"},
		{"bmp of no pixels", patched(bitmap, 18, 0, 0, 0, 0, 0), ErrFormat, "without pixels"},
		{"gif start", anim[:12], ErrFormat, "GIF"},
		{"gif half", anim[:len(anim)/2], ErrFormat, "GIF"},
		{"huge gif", patched(anim, 6, 0xff, 0xff, 0xff, 0xff), ErrTooLarge, "65535x65535"},
		{"gif bomb", patched(anim, 6, 0, 0x20, 0, 0x20), ErrFormat, "8192x8192"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var f Frame
			err := Decode(&f, tc.data)
			if !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.text) {
				t.Errorf("error %v, want %v naming %q", err, tc.want, tc.text)
			}
			if cap(f.Pix) > 1<<20 {
				t.Errorf("%d bytes allocated", cap(f.Pix))
			}
		})
	}
}

// plain hides a picture's type.
type plain struct{ image.Image }

func TestSetImageKinds(t *testing.T) {
	r := image.Rect(3, 5, 10, 9)
	want := color.NRGBA{10, 200, 90, 255}
	paletted := image.NewPaletted(r, color.Palette{color.Black, want})
	for _, img := range []interface {
		image.Image
		Set(x, y int, c color.Color)
	}{image.NewRGBA(r), image.NewNRGBA(r), image.NewRGBA64(r), image.NewNRGBA64(r), paletted} {
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				img.Set(x, y, want)
			}
		}
		img.Set(r.Min.X, r.Min.Y, color.Black)
		for _, m := range []image.Image{img, plain{img}} {
			var f Frame
			f.SetImage(m)
			if f.Width != 7 || f.Height != 4 || f.Pix[0] != 0 || !bytes.Equal(f.Pix[3:6], []byte{10, 200, 90}) || !bytes.Equal(f.Pix[81:], []byte{10, 200, 90}) {
				t.Errorf("%T: %dx%d, %v", m, f.Width, f.Height, f.Pix)
			}
			if back := f.ToRGBA(nil); back.RGBAAt(6, 3) != (color.RGBA{10, 200, 90, 255}) {
				t.Errorf("%T: back %v", m, back.RGBAAt(6, 3))
			}
			f.Format = BGR24
			if back := f.ToRGBA(nil); back.RGBAAt(6, 3) != (color.RGBA{90, 200, 10, 255}) {
				t.Errorf("%T: BGR back %v", m, back.RGBAAt(6, 3))
			}
		}
	}
}

func TestFrameCheck(t *testing.T) {
	pix := make([]byte, 100)
	for _, tc := range []struct {
		f  Frame
		ok bool
	}{
		{Frame{Pix: pix, Width: 10, Height: 3, Stride: 30}, true},
		{Frame{Pix: pix, Width: 10, Height: 3, Stride: 35}, true},
		{Frame{Pix: pix, Width: 10, Height: 3, Stride: 36}, false},
		{Frame{Pix: pix, Width: 10, Height: 3, Stride: 29}, false},
		{Frame{Pix: pix, Width: 0, Height: 3, Stride: 30}, false},
		{Frame{Pix: pix, Width: 10, Height: -1, Stride: 30}, false},
		{Frame{Pix: pix, Width: 10, Height: 3, Stride: 30, Format: 9}, false},
		{Frame{Pix: pix, Width: math.MaxInt / 2, Height: 3, Stride: math.MaxInt}, false},
		{Frame{Pix: pix, Width: 10, Height: math.MaxInt / 2, Stride: 30}, false},
	} {
		if err := tc.f.Check(); (err == nil) != tc.ok {
			t.Errorf("%dx%d stride %d: %v", tc.f.Width, tc.f.Height, tc.f.Stride, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"tiny_5x4.jpg", "turned_6.jpg", "turned_6.png", "palette_clear.png", "cmyk.jpg", "broken/huge.png",
		"lossy.webp", "alpha.webp", "lossless.webp", "broken/animated.webp", "palette.bmp", "rgba.bmp", "part.gif", "several.gif"} {
		data, err := os.ReadFile(filepath.Join(golden, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var frame Frame
		err := Decode(&frame, data)
		if err == nil {
			err = frame.Check()
		}
		if err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Fatal(err)
		}
	})
}
