package vision

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/kernels"
)

// readGolden reads a list of cases that testdata/gen/vision.py made.
func readGolden[T any](t testing.TB, name string) []T {
	t.Helper()
	data, err := os.ReadFile("../../testdata/vision/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []T
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatalf("no cases in %s.json", name)
	}
	return cases
}

// noise is the generator of testdata/gen/vision.py.
type noise uint32

func (n *noise) next() uint32 {
	*n = *n*1664525 + 1013904223
	return uint32(*n)
}

// picture makes a frame of noise.
func picture(w, h int, seed uint32) *camera.Frame {
	n := noise(seed)
	f := &camera.Frame{Pix: make([]byte, 3*w*h), Width: w, Height: h, Stride: 3 * w}
	for i := range f.Pix {
		f.Pix[i] = byte(n.next() >> 24)
	}
	return f
}

// floats makes count values in [lo, hi).
func floats(count int, seed uint32, lo, hi float64) []float32 {
	n := noise(seed)
	v := make([]float32, count)
	for i := range v {
		v[i] = float32(lo + float64(n.next()>>8)/(1<<24)*(hi-lo))
	}
	return v
}

func checksum(v []float32) uint32 {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return crc32.ChecksumIEEE(b)
}

// reversed swaps red and blue, and gives rows some padding.
func reversed(f *camera.Frame) *camera.Frame {
	r := &camera.Frame{Width: f.Width, Height: f.Height, Stride: f.Stride + 7, Format: camera.BGR24}
	r.Pix = make([]byte, r.Stride*r.Height)
	for y := range f.Height {
		for x := range f.Width {
			p := f.Pix[y*f.Stride+3*x:]
			copy(r.Pix[y*r.Stride+3*x:], []byte{p[2], p[1], p[0]})
		}
	}
	return r
}

// TestResize demands the bits of cv2.resize.
func TestResize(t *testing.T) {
	cases := readGolden[struct {
		Src, Dst [2]int
		CRC      uint32
	}](t, "resize")
	r := resizer{src: lines{kernels: kernels.Ref()}}
	for i, c := range cases {
		f := picture(c.Src[0], c.Src[1], uint32(100+i))
		out := make([]byte, 3*c.Dst[0]*c.Dst[1])
		for range 2 { // the second time over rows that are held
			r.start(viewFrame(f), c.Dst[0], c.Dst[1], false)
			clear(out)
			for y := range c.Dst[1] {
				up, down, a, b := r.row(y)
				for x := range c.Dst[0] {
					for k := range 3 {
						u, v := int(up[4*x+k]), int(down[4*x+k])
						out[3*(c.Dst[0]*y+x)+k] = byte((u*a>>16 + v*b>>16 + 2) >> 2)
					}
				}
			}
			if got := crc32.ChecksumIEEE(out); got != c.CRC {
				t.Errorf("%v to %v: checksum %d, want %d", c.Src, c.Dst, got, c.CRC)
			}
		}
	}
}

// TestPreprocess demands the bits of OpenCV, Pillow and NumPy, for both layouts
// and both orders of the frame's channels.
func TestPreprocess(t *testing.T) {
	cases := readGolden[struct {
		Preset       string
		Frame, Input [2]int
		Seed         uint32
		NCHW, NHWC   uint32
	}](t, "preprocess")
	for _, c := range cases {
		p, err := FindPreset(c.Preset)
		if err != nil {
			t.Fatal(err)
		}
		f := picture(c.Frame[0], c.Frame[1], c.Seed)
		for _, frame := range []*camera.Frame{f, reversed(f)} {
			for layout, want := range map[Layout]uint32{NCHW: c.NCHW, NHWC: c.NHWC} {
				pre, err := NewPreprocessor(p, c.Input[0], c.Input[1], layout)
				if err != nil {
					t.Fatal(err)
				}
				dst := make([]float32, pre.Len())
				for i := range dst {
					dst[i] = float32(math.NaN()) // every element must be written
				}
				if _, err := pre.Preprocess(dst, frame); err != nil {
					t.Fatal(err)
				}
				if got := checksum(dst); got != want {
					t.Errorf("%s, %v frame %v, layout %d: checksum %d, want %d", c.Preset, c.Frame, frame.Format, layout, got, want)
				}
			}
		}
	}
}

type decodeCase struct {
	Preset  string
	Outputs []struct {
		Name   string
		Shape  []int
		Seed   uint32
		Lo, Hi float64
	}
	Conf    float32
	Objects []struct {
		Class  int
		Score  float64
		Box    [4]float64
		Points []float64
	}
}

func (c *decodeCase) outputs() []Output {
	var outs []Output
	for _, o := range c.Outputs {
		outs = append(outs, Output{Name: o.Name, Shape: o.Shape, Data: floats(elems(o.Shape), o.Seed, o.Lo, o.Hi)})
	}
	return outs
}

// TestDecode compares with NumPy on random tensors, and demands that the preset
// is recognised from them. DETR and RT-DETR cannot be told apart.
func TestDecode(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range readGolden[decodeCase](t, "decode") {
		seen[c.Preset] = true
		outs := c.outputs()
		p, err := Recognise(64, 64, outs)
		if alike := strings.HasSuffix(c.Preset, "detr"); alike != (err != nil) || !alike && p.Name != c.Preset {
			t.Errorf("%s is recognised as %q: %v", c.Preset, p.Name, err)
		}
		p, err = FindPreset(c.Preset)
		if err != nil {
			t.Fatal(err)
		}
		d, err := NewDecoder(p, 64, 64, outs)
		if err != nil {
			t.Fatal(err)
		}
		pre, err := NewPreprocessor(p, 64, 64, NCHW)
		if err != nil {
			t.Fatal(err)
		}
		tr, err := pre.Preprocess(make([]float32, pre.Len()), picture(200, 150, 1))
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Decode(nil, outs, tr, c.Conf)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(c.Objects) {
			t.Errorf("%s: %d detections, want %d", c.Preset, len(got), len(c.Objects))
			continue
		}
		if len(got) < 5 {
			t.Errorf("%s: only %d detections", c.Preset, len(got))
		}
		near := func(a float32, b, tol float64) bool { return math.Abs(float64(a)-b) <= tol }
		for i, w := range c.Objects {
			g := got[i]
			ok := g.Class == w.Class && near(g.Score, w.Score, 1e-6) && len(g.Landmarks) == len(w.Points)/2
			for k, v := range []float32{g.Box.X0, g.Box.Y0, g.Box.X1, g.Box.Y1} {
				ok = ok && near(v, w.Box[k], 1e-3)
			}
			for k := range g.Landmarks {
				ok = ok && near(g.Landmarks[k].X, w.Points[2*k], 1e-3) && near(g.Landmarks[k].Y, w.Points[2*k+1], 1e-3)
			}
			if !ok {
				t.Errorf("%s, detection %d: %v, want %v", c.Preset, i, g, w)
				break
			}
		}
	}
	for _, p := range presets {
		if p.Task == Detect && p.Name != "yolo11" && !seen[p.Name] { // yolo11 is yolov8
			t.Errorf("no case for %s", p.Name)
		}
	}
}

// UltraFace exports that decode their boxes differ from the others in the values
// alone: the corners of the golden boxes must come back as they are.
func TestUltraFaceCorners(t *testing.T) {
	for _, c := range readGolden[decodeCase](t, "decode") {
		if c.Preset != "ultraface" {
			continue
		}
		outs := c.outputs()
		p, _ := FindPreset("ultraface")
		d, err := NewDecoder(p, 64, 64, outs)
		if err != nil {
			t.Fatal(err)
		}
		tr := Transform{ScaleX: 64. / 200, ScaleY: 64. / 150}
		dets, err := d.Decode(nil, outs, tr, 0)
		if err != nil || len(dets) != outs[1].Shape[1] {
			t.Fatal(len(dets), err)
		}
		for i, det := range dets {
			copy(outs[1].Data[4*i:], []float32{det.Box.X0 / 200, det.Box.Y0 / 150, det.Box.X1 / 200, det.Box.Y1 / 150})
		}
		again, err := d.Decode(nil, outs, tr, 0)
		if err != nil || len(again) != len(dets) {
			t.Fatal(len(again), err)
		}
		for i := range dets {
			if math.Abs(float64(dets[i].Box.X0-again[i].Box.X0)) > 1e-3 || math.Abs(float64(dets[i].Box.Y1-again[i].Box.Y1)) > 1e-3 {
				t.Fatalf("row %d: %v became %v", i, dets[i].Box, again[i].Box)
			}
		}
	}
}

// TestNMSKeepsWhatOpenCVKeeps compares with cv2.dnn.NMSBoxes.
func TestNMSKeepsWhatOpenCVKeeps(t *testing.T) {
	cases := readGolden[struct {
		N, Digits int
		Seed      uint32
		Conf, IoU float32
		Keep      []int
	}](t, "nms")
	for _, c := range cases {
		v := floats(5*c.N, c.Seed, 0, 100)
		var dets []Detection
		for i := range c.N {
			r := v[5*i:]
			unit := math.Pow(10, float64(c.Digits))
			score := float32(math.RoundToEven(float64(r[4]/100)*unit) / unit)
			if c.Digits == 7 {
				score = r[4] / 100
			}
			if score > c.Conf {
				dets = append(dets, Detection{Score: score, Box: Box{r[0], r[1], r[0] + r[2]/2 + 1, r[1] + r[3]/2 + 1}, Landmarks: []Point{{float32(i), 0}}})
			}
		}
		var got []int
		for _, d := range NMS(dets, c.IoU) {
			got = append(got, int(d.Landmarks[0].X))
		}
		if !slices.Equal(got, c.Keep) {
			t.Errorf("seed %d, IoU %g: kept %v, want %v", c.Seed, c.IoU, got, c.Keep)
		}
	}
}

func ExampleRecognise() {
	p, err := Recognise(416, 416, []Output{{Name: "output", Shape: []int{1, 3549, 85}}})
	fmt.Println(p.Name, err)
	// Output: yolox <nil>
}

func BenchmarkPreprocess(b *testing.B) {
	for _, c := range []struct {
		preset         string
		w, h, inW, inH int
	}{{"fastestdet", 640, 480, 352, 352}, {"yolox", 640, 480, 416, 416}, {"ultraface", 640, 480, 320, 240}, {"fastestdet", 1920, 1080, 352, 352}} {
		b.Run(fmt.Sprintf("%s/frame=%dx%d", c.preset, c.w, c.h), func(b *testing.B) {
			p, err := FindPreset(c.preset)
			if err != nil {
				b.Fatal(err)
			}
			pre, err := NewPreprocessor(p, c.inW, c.inH, NCHW)
			if err != nil {
				b.Fatal(err)
			}
			f, dst := picture(c.w, c.h, 1), make([]float32, pre.Len())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := pre.Preprocess(dst, f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
