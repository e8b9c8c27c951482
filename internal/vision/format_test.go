package vision

import (
	"fmt"
	"slices"
	"testing"

	"github.com/edgecam/edgecam/camera"
)

// raw makes a frame of noise in any format, with some padding.
func raw(format camera.Format, w, h int, seed uint32) *camera.Frame {
	f := &camera.Frame{Width: w, Height: h, Format: format}
	rows := h
	switch format {
	case camera.GRAY8:
		f.Stride = w + 3
	case camera.YUYV:
		f.Stride = (w+1)/2*4 + 3
	case camera.NV12:
		f.Stride, rows = (w+1)&^1+3, h+(h+1)/2
	default:
		f.Stride = 3*w + 3
	}
	n := noise(seed)
	f.Pix = make([]byte, f.Stride*rows-3)
	for i := range f.Pix {
		f.Pix[i] = byte(n.next() >> 24)
	}
	return f
}

// TestPreprocessFormats demands that one pass over a frame gives the bits of
// conversion to RGB and preprocessing one after the other. The conversion is
// tested against OpenCV in package camera.
func TestPreprocessFormats(t *testing.T) {
	for _, p := range presets {
		for _, layout := range []Layout{NCHW, NHWC} {
			one, err := NewPreprocessor(p, 40, 24, layout)
			if err != nil {
				t.Fatal(err)
			}
			two, err := NewPreprocessor(p, 40, 24, layout)
			if err != nil {
				t.Fatal(err)
			}
			got, want := make([]float32, one.Len()), make([]float32, one.Len())
			for i, size := range [][2]int{{64, 48}, {63, 47}, {40, 24}, {80, 48}, {200, 31}, {13, 9}, {1, 1}, {2, 2}, {1, 7}} {
				for _, format := range []camera.Format{camera.RGB24, camera.BGR24, camera.GRAY8, camera.YUYV, camera.NV12} {
					f := raw(format, size[0], size[1], uint32(i))
					if err := f.Check(); err != nil {
						t.Fatal(err)
					}
					var rgb camera.Frame
					rgb.SetImage(f.ToRGBA(nil))
					a, err := one.Preprocess(got, f)
					if err != nil {
						t.Fatal(err)
					}
					b, err := two.Preprocess(want, &rgb)
					if err != nil {
						t.Fatal(err)
					}
					if a != b || !slices.Equal(got, want) {
						t.Errorf("%s, %v %v, layout %d: another input", p.Name, size, format, layout)
					}
				}
			}
		}
	}
}

func TestPreprocessAllocatesNothing(t *testing.T) {
	for _, name := range []string{"fastestdet", "yolox", "imagenet", "segment"} {
		p, err := FindPreset(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, layout := range []Layout{NCHW, NHWC} {
			pre, err := NewPreprocessor(p, 40, 40, layout)
			if err != nil {
				t.Fatal(err)
			}
			dst := make([]float32, pre.Len())
			for _, format := range []camera.Format{camera.RGB24, camera.BGR24, camera.GRAY8, camera.YUYV, camera.NV12} {
				f := raw(format, 90, 60, 1)
				if n := testing.AllocsPerRun(5, func() {
					if _, err := pre.Preprocess(dst, f); err != nil {
						t.Fatal(err)
					}
				}); n != 0 {
					t.Errorf("%s, %v: %g allocations", name, format, n)
				}
			}
		}
	}
}

// The frame lies in a cropped input where Transform says.
func TestCropTransform(t *testing.T) {
	p, _ := FindPreset("imagenet")
	pre, err := NewPreprocessor(p, 224, 224, NCHW)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := pre.Preprocess(make([]float32, pre.Len()), picture(640, 480, 1))
	if err != nil {
		t.Fatal(err)
	}
	// 640x480 becomes 341x256, of which 58 columns and 16 rows are cut off before.
	if want := (Transform{341. / 640, 256. / 480, -58, -16}); tr != want {
		t.Errorf("%v, want %v", tr, want)
	}
	p.Crop = 0
	if _, err := NewPreprocessor(p, 224, 224, NCHW); err == nil {
		t.Error("a crop of nothing passes")
	}
}

func BenchmarkPreprocessFormats(b *testing.B) {
	for _, name := range []string{"fastestdet", "imagenet"} {
		for _, format := range []camera.Format{camera.RGB24, camera.GRAY8, camera.YUYV, camera.NV12} {
			b.Run(fmt.Sprintf("%s/format=%s/frame=640x480", name, format), func(b *testing.B) {
				p, err := FindPreset(name)
				if err != nil {
					b.Fatal(err)
				}
				pre, err := NewPreprocessor(p, 352, 352, NCHW)
				if err != nil {
					b.Fatal(err)
				}
				f, dst := raw(format, 640, 480, 1), make([]float32, pre.Len())
				for b.Loop() {
					if _, err := pre.Preprocess(dst, f); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
