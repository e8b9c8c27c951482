package vision

import (
	"fmt"
	"image"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/kernels"
)

// images makes pictures of noise of every kind that a Preprocessor takes, with
// padded rows.
func images(w, h int) map[string]image.Image {
	r := rand.New(rand.NewPCG(uint64(w), uint64(h)))
	fill := func(b []byte) {
		for i := range b {
			b[i] = byte(r.Uint32())
		}
	}
	whole := image.Rect(0, 0, w+3, h+1)
	part := image.Rect(2, 1, w+2, h+1)
	all := map[string]image.Image{}
	for _, ratio := range []image.YCbCrSubsampleRatio{
		image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420,
		image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410,
	} {
		m := image.NewYCbCr(whole, ratio)
		fill(m.Y)
		fill(m.Cb)
		fill(m.Cr)
		m.Rect = image.Rect(0, 0, w, h)
		all[ratio.String()] = m
		if ratio == image.YCbCrSubsampleRatio420 {
			all["part of YCbCr"] = m.SubImage(image.Rect(w/2, h/2, w, h))
		}
	}
	rgba, nrgba, gray, deep := image.NewRGBA(whole), image.NewNRGBA(whole), image.NewGray(whole), image.NewGray16(whole)
	for _, b := range [][]byte{rgba.Pix, nrgba.Pix, gray.Pix, deep.Pix} {
		fill(b)
	}
	all["RGBA"], all["NRGBA"], all["Gray"], all["Gray16"] = rgba.SubImage(part), nrgba.SubImage(part), gray.SubImage(part), deep.SubImage(part)
	return all
}

// TestPreprocessImage demands the bits of an image that is first copied to a
// frame, whose pixels package camera's tests compare with OpenCV's.
func TestPreprocessImage(t *testing.T) {
	for _, size := range [][2]int{{64, 48}, {63, 47}, {40, 24}, {97, 31}, {200, 120}, {13, 9}, {5, 3}, {4, 4}, {2, 2}, {1, 1}, {1, 7}, {300, 2}} {
		for name, img := range images(size[0], size[1]) {
			if img.Bounds().Empty() {
				continue
			}
			for _, preset := range []string{"fastestdet", "ultraface", "yolov8", "imagenet"} {
				p, err := FindPreset(preset)
				if err != nil {
					t.Fatal(err)
				}
				pre, err := NewPreprocessor(p, 40, 24, NCHW)
				if err != nil {
					t.Fatal(err)
				}
				got, want := make([]float32, pre.Len()), make([]float32, pre.Len())
				a, err := pre.PreprocessImage(got, img)
				if err != nil {
					t.Fatal(err)
				}
				var f camera.Frame
				f.SetImage(img)
				b, err := pre.Preprocess(want, &f)
				if err != nil {
					t.Fatal(err)
				}
				if a != b || !slices.Equal(got, want) {
					t.Errorf("%s, %s of %v: another input", preset, name, size)
				}
			}
		}
	}
}

// TestPreprocessRungs demands the bits of plain Go of every rung, up and down by
// large factors, with and without borders.
func TestPreprocessRungs(t *testing.T) {
	for _, name := range []string{"fastestdet", "nanodet", "imagenet"} {
		p, err := FindPreset(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, size := range [][4]int{
			{1, 1, 33, 17}, {2, 3, 257, 130}, {1000, 700, 7, 9}, {640, 480, 352, 352}, {7, 900, 31, 31}, {1500, 2, 96, 96}, {333, 217, 96, 64}, {31, 33, 8, 8}, {19, 23, 3, 2},
		} {
			for _, format := range []camera.Format{camera.RGB24, camera.BGR24, camera.GRAY8, camera.YUYV, camera.NV12} {
				f := raw(format, size[0], size[1], uint32(i))
				for _, layout := range []Layout{NCHW, NHWC} {
					var want []float32
					for _, set := range kernels.Available() {
						t.Setenv(kernels.EnvRung, set.Name)
						pre, err := NewPreprocessor(p, size[2], size[3], layout)
						if err != nil {
							t.Fatal(err)
						}
						got := make([]float32, pre.Len())
						if _, err := pre.Preprocess(got, f); err != nil {
							t.Fatal(err)
						}
						if want == nil {
							want = got
						} else if !slices.Equal(got, want) {
							t.Errorf("%s, rung %s, %v %v, layout %d: another input", name, set.Name, size, format, layout)
						}
					}
				}
			}
		}
	}
}

func TestPreprocessImageAllocatesNothing(t *testing.T) {
	p, _ := FindPreset("yolox")
	pre, err := NewPreprocessor(p, 40, 40, NCHW)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, pre.Len())
	for name, img := range images(90, 60) {
		switch name {
		case "RGBA", "NRGBA", "Gray", "YCbCrSubsampleRatio444", "YCbCrSubsampleRatio422", "YCbCrSubsampleRatio420":
		default:
			continue
		}
		if n := testing.AllocsPerRun(5, func() {
			if _, err := pre.PreprocessImage(dst, img); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %g allocations", name, n)
		}
	}
}

// A row whose pixels 32 bits cannot count is refused: kernels do not check places.
func TestPreprocessTooWide(t *testing.T) {
	p, _ := FindPreset("yolox")
	pre, err := NewPreprocessor(p, 8, 8, NCHW)
	if err != nil {
		t.Fatal(err)
	}
	f := camera.Frame{Pix: make([]byte, mostSide+1), Width: 1, Height: mostSide + 1, Stride: 1, Format: camera.GRAY8} // memory that is never touched
	if _, err := pre.Preprocess(make([]float32, pre.Len()), &f); err == nil {
		t.Error("a picture that is too high passes")
	}
	f.Width, f.Height, f.Stride = f.Height, f.Width, f.Height
	if _, err := pre.Preprocess(make([]float32, pre.Len()), &f); err == nil {
		t.Error("a picture that is too wide passes")
	}
}

// The size in the source is the caller's word, and no other package checks it.
func TestPreprocessFullSize(t *testing.T) {
	for _, name := range []string{"fastestdet", "nanodet", "imagenet"} {
		p, _ := FindPreset(name)
		pre, err := NewPreprocessor(p, 32, 32, NCHW)
		if err != nil {
			t.Fatal(err)
		}
		f, dst := picture(60, 40, 1), make([]float32, pre.Len())
		f.Full = image.Pt(120, 80)
		half, err := pre.Preprocess(dst, f)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := pre.Preprocess(dst, picture(120, 80, 1))
		if err != nil || half != whole {
			t.Errorf("%s: %v, want %v: %v", name, half, whole, err)
		}
		for _, bad := range []image.Point{{0, 5}, {5, 0}, {-1, -1}, {1 << 30, 1}} {
			f.Full = bad
			if _, err := pre.Preprocess(dst, f); err == nil {
				t.Errorf("%s: a size of %v passes", name, bad)
			}
		}
	}
}

// An environment variable that names no rung is an error, not another rung.
func TestUnknownRung(t *testing.T) {
	t.Setenv(kernels.EnvRung, "mmx")
	p, _ := FindPreset("yolox")
	if _, err := NewPreprocessor(p, 32, 32, NCHW); err == nil {
		t.Error("a preprocessor is made")
	}
	if _, err := NewDecoder(p, 64, 64, []Output{out("output", 1, 84, 6)}); err == nil {
		t.Error("a decoder is made")
	}
}

// BenchmarkPreprocessImage is the way of a JPEG picture's planes.
func BenchmarkPreprocessImage(b *testing.B) {
	p, _ := FindPreset("fastestdet")
	pre, err := NewPreprocessor(p, 352, 352, NCHW)
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]float32, pre.Len())
	for _, size := range [][2]int{{640, 480}, {1920, 1080}} {
		all := images(size[0], size[1])
		for _, name := range []string{"YCbCrSubsampleRatio444", "YCbCrSubsampleRatio422", "YCbCrSubsampleRatio420", "RGBA", "Gray"} {
			b.Run(fmt.Sprintf("%s/frame=%dx%d", name, size[0], size[1]), func(b *testing.B) {
				for b.Loop() {
					if _, err := pre.PreprocessImage(dst, all[name]); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkDecode decodes and suppresses on outputs in which few cells are sure.
func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		preset string
		side   int
		outs   []Output
	}{
		{"fastestdet", 352, []Output{out("758", 1, 85, 22, 22)}},
		{"yolox", 416, []Output{out("output", 1, 3549, 85)}},
		{"nanodet", 416, []Output{out("a", 1, 2704, 80), out("b", 1, 676, 80), out("c", 1, 169, 80), out("d", 1, 2704, 32), out("e", 1, 676, 32), out("f", 1, 169, 32)}},
		{"yolov8", 640, []Output{out("output0", 1, 84, 8400)}},
		{"ultraface", 320, []Output{out("scores", 1, 4420, 2), out("boxes", 1, 4420, 4)}},
	} {
		b.Run(c.preset, func(b *testing.B) {
			r := rand.New(rand.NewPCG(5, 6))
			for i := range c.outs {
				o := &c.outs[i]
				o.Data = make([]float32, elems(o.Shape))
				for k := range o.Data {
					o.Data[k] = 0.3 * r.Float32()
					if r.IntN(5000) == 0 {
						o.Data[k] = 0.9
					}
				}
			}
			p, _ := FindPreset(c.preset)
			height := c.side
			if c.preset == "ultraface" {
				height = 240
			}
			d, err := NewDecoder(p, c.side, height, c.outs)
			if err != nil {
				b.Fatal(err)
			}
			var dets []Detection
			for b.Loop() {
				if dets, err = d.Decode(dets, c.outs, Transform{1, 1, 0, 0}, 0.4); err != nil {
					b.Fatal(err)
				}
				NMS(dets, 0.5)
			}
		})
	}
}
