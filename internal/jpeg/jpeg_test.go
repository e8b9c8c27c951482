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
		b.Run(name+"/by=jpeg", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Start(data); err != nil {
					b.Fatal(err)
				}
				if err := d.RGB(dst, 3*size[0], 8); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/by=image-jpeg", func(b *testing.B) {
			for b.Loop() {
				if _, err := jpeg.Decode(bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
