package jpeg

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/kernels"
)

const golden = "../../testdata/camera"

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// wanted reads packed pixels that OpenCV made with libjpeg-turbo.
func wanted(t *testing.T, path string) (pix []byte, w, h int) {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	rgba, ok := img.(*image.RGBA)
	if !ok {
		t.Fatalf("%s is %T", path, img)
	}
	for p := rgba.Pix; len(p) > 0; p = p[4:] {
		pix = append(pix, p[:3]...)
	}
	return pix, rgba.Rect.Dx(), rgba.Rect.Dy()
}

func decode(d *Decoder, data []byte, scale int) (pix []byte, w, h int, err error) {
	head, err := d.Start(data)
	if err != nil {
		return nil, 0, 0, err
	}
	w, h = head.Size(scale)
	pix = make([]byte, 3*w*h)
	return pix, w, h, d.RGB(pix, 3*w, scale)
}

// TestGolden demands libjpeg-turbo's pixels.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob(golden + "/*.jpg")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var d Decoder
	done := 0
	for _, file := range files {
		pix, w, h, err := decode(&d, read(t, file), 8)
		if errors.Is(err, ErrUnsupported) {
			t.Logf("%s: not decoded", filepath.Base(file))
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(filepath.Base(file), "turned") {
			continue // imread turns it
		}
		want, wantW, wantH := wanted(t, file+".want.png")
		if w != wantW || h != wantH || !bytes.Equal(pix, want) {
			t.Errorf("%s: other pixels", file)
		}
		done++
	}
	if done < 12 {
		t.Errorf("%d files decoded", done)
	}
}

// TestScales demands libjpeg-turbo's pixels at every scale, on every rung.
func TestScales(t *testing.T) {
	files, err := filepath.Glob("../../testdata/jpeg/*.jpg")
	if err != nil || len(files) < 14 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, set := range kernels.Available() {
		d := Decoder{set: set}
		for _, file := range files {
			for _, scale := range []int{8, 4, 2, 1} {
				pix, w, h, err := decode(&d, read(t, file), scale)
				if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				want, wantW, wantH := wanted(t, fmt.Sprintf("%s.%d.png", strings.TrimSuffix(file, ".jpg"), scale))
				if w != wantW || h != wantH {
					t.Fatalf("%s at %d eighths: %dx%d, want %dx%d", file, scale, w, h, wantW, wantH)
				}
				worst := 0
				for i, v := range pix {
					worst = max(worst, int(v)-int(want[i]), int(want[i])-int(v))
				}
				if worst > 0 {
					t.Errorf("%s: %s at %d eighths: pixels differ by up to %d", set.Name, filepath.Base(file), scale, worst)
				}
			}
		}
	}
}

// TestUnsupported demands that all that is not an undamaged baseline picture is
// left to image/jpeg, and that the decoder goes on with the next picture.
func TestUnsupported(t *testing.T) {
	whole := read(t, golden+"/scene_420.jpg")
	patch := func(marker byte, at int, v byte) []byte {
		b := bytes.Clone(whole)
		b[bytes.Index(b, []byte{0xff, marker})+at] = v
		return b
	}
	scan := bytes.Index(whole, []byte{0xff, 0xda})
	damaged := bytes.Clone(whole)
	for i := scan + 40; i < len(damaged)-2; i += 7 {
		damaged[i] ^= 0x5a
	}
	var d Decoder
	want, _, _, err := decode(&d, whole, 8)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty": nil, "start": whole[:2], "headers": whole[:scan], "half": whole[:scan+(len(whole)-scan)/2], "no end": whole[:len(whole)-2],
		"progressive":    patch(0xc0, 1, 0xc2),
		"arithmetic":     patch(0xc0, 1, 0xc9),
		"12 bits":        patch(0xc0, 4, 12),
		"no rows":        append(bytes.Clone(whole[:bytes.Index(whole, []byte{0xff, 0xc0})+5]), patch(0xc0, 6, 0)[bytes.Index(whole, []byte{0xff, 0xc0})+5:]...)[:scan],
		"RGB":            bytes.Replace(bytes.Replace(bytes.Replace(whole, []byte{1, 0x22, 0}, []byte{'R', 0x22, 0}, 1), []byte{2, 0x11}, []byte{'G', 0x11}, 1), []byte{3, 0x11}, []byte{'B', 0x11}, 1),
		"3x2 samples":    patch(0xc0, 11, 0x32),
		"16-bit steps":   patch(0xdb, 4, 0x10),
		"spectrum":       patch(0xda, 11, 0x05),
		"no such table":  patch(0xda, 6, 0x33),
		"larger":         patch(0xc0, 5, 0x20),
		"damaged":        damaged,
		"a restart":      append(append(bytes.Clone(whole[:len(whole)-2]), 0xff, 0xd0), 0xff, 0xd9),
		"another marker": append(append(bytes.Clone(whole[:len(whole)-2]), 0xff, 0xfe, 0, 2), 0xff, 0xd9),
		"more data":      append(append(bytes.Clone(whole[:len(whole)-2]), 1, 2, 3), 0xff, 0xd9),
	} {
		if _, _, _, err := decode(&d, data, 8); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: error %v", name, err)
		}
		got, _, _, err := decode(&d, whole, 8)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("after %s: %v, other pixels", name, err)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	data := encode(t, scene(333, 222), 85)
	var d Decoder
	dst := make([]byte, 3*333*222)
	var m image.YCbCr
	for name, f := range map[string]func() error{
		"RGB":   func() error { return d.RGB(dst, 3*333, 8) },
		"YCbCr": func() error { return d.YCbCr(&m, 8) },
	} {
		if n := testing.AllocsPerRun(5, func() {
			if _, err := d.Start(data); err != nil {
				t.Fatal(err)
			}
			if err := f(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %g allocations", name, n)
		}
	}
}

// apart returns the largest difference of two pictures' samples.
func apart(a, b image.YCbCr) int {
	worst := 0
	planes := func(p, q []byte, ps, qs, w, h int) {
		for y := range h {
			for x := range w {
				d := int(p[y*ps+x]) - int(q[y*qs+x])
				worst = max(worst, d, -d)
			}
		}
	}
	w, h := a.Rect.Dx(), a.Rect.Dy()
	planes(a.Y, b.Y, a.YStride, b.YStride, w, h)
	if len(a.Cb) > 0 {
		switch a.SubsampleRatio {
		case image.YCbCrSubsampleRatio422:
			w = (w + 1) / 2
		case image.YCbCrSubsampleRatio440:
			h = (h + 1) / 2
		case image.YCbCrSubsampleRatio420:
			w, h = (w+1)/2, (h+1)/2
		}
		planes(a.Cb, b.Cb, a.CStride, b.CStride, w, h)
		planes(a.Cr, b.Cr, a.CStride, b.CStride, w, h)
	}
	return worst
}

// FuzzDecode compares with image/jpeg. Blocks whose samples would lie far
// outside 0 to 255 are left out: the two limit them at different places.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"tiny_5x4.jpg", "blocks_420.jpg", "blocks_422.jpg", "blocks_440.jpg", "blocks_444.jpg", "gray.jpg", "progressive.jpg", "cmyk.jpg"} {
		f.Add(read(f, filepath.Join(golden, name)))
	}
	for _, name := range []string{"420_restart", "422_restart", "gray_restart", "444_53x37", "420_2x1"} {
		f.Add(read(f, "../../testdata/jpeg/"+name+".jpg"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var d Decoder
		head, err := d.Start(data)
		if err != nil {
			return
		}
		if head.Width*head.Height > 1<<20 {
			return
		}
		wild := false
		own := *d.set
		own.JPEGIDCT = func(dst []byte, stride int, coef []int16) {
			for b := coef; len(b) > 0; b = b[64:] {
				sum := 0
				for _, v := range b[:64] {
					sum += max(int(v), -int(v))
				}
				wild = wild || sum > 5000
			}
			d.set.JPEGIDCT(dst, stride, coef)
		}
		two := d
		two.set = &own
		var m image.YCbCr
		if err := two.YCbCr(&m, 8); err != nil {
			return
		}
		img, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil {
			// It knows no samples of a third, and no pictures without tables.
			if _, unknown := errors.AsType[jpeg.UnsupportedError](err); !unknown && bytes.Contains(data, []byte{0xff, 0xc4}) {
				t.Fatalf("image/jpeg refuses it: %v", err)
			}
			return
		}
		want := image.YCbCr{}
		switch img := img.(type) {
		case *image.YCbCr:
			want = *img
			if want.SubsampleRatio != m.SubsampleRatio {
				t.Fatalf("sampling %v, want %v", m.SubsampleRatio, want.SubsampleRatio)
			}
		case *image.Gray:
			want = image.YCbCr{Y: img.Pix, YStride: img.Stride, Rect: img.Rect}
		default:
			t.Fatalf("image/jpeg makes %T", img)
		}
		if want.Rect != m.Rect {
			t.Fatalf("size %v, want %v", m.Rect, want.Rect)
		}
		if n := apart(m, want); n > 2 && !wild {
			t.Errorf("samples differ by %d", n)
		}
	})
}

// scene makes a picture with edges, slopes and some noise.
func scene(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	seed := uint32(1)
	for y := range h {
		for x := range w {
			seed = seed*1664525 + 1013904223
			grain := int(seed>>29) - 4
			v := [3]int{x * 255 / w, y * 255 / h, (x + y) % 256}
			if (x/37+y/29)%3 == 0 {
				v[0], v[2] = 200, 40
			}
			for c := range v {
				m.Pix[m.PixOffset(x, y)+c] = byte(min(max(v[c]+grain, 0), 255))
			}
		}
	}
	return m
}

func encode(t testing.TB, m image.Image, quality int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func BenchmarkDecode(b *testing.B) {
	for _, size := range [][2]int{{640, 480}, {1920, 1080}} {
		data := encode(b, scene(size[0], size[1]), 80)
		name := fmt.Sprintf("frame=%dx%d", size[0], size[1])
		var d Decoder
		dst := make([]byte, 3*size[0]*size[1])
		for _, scale := range []int{8, 4, 2, 1} {
			b.Run(fmt.Sprintf("%s/by=jpeg/eighths=%d", name, scale), func(b *testing.B) {
				for b.Loop() {
					if _, err := d.Start(data); err != nil {
						b.Fatal(err)
					}
					if err := d.RGB(dst, 3*size[0], scale); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(name+"/by=image-jpeg", func(b *testing.B) {
			for b.Loop() {
				if _, err := jpeg.Decode(bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
