package sdk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/internal/vision"
)

// SelfTestResult tells what one net of SelfTest gave.
type SelfTestResult struct {
	Net          string
	Pass         bool
	Kernels      string        // the rung that computed
	Time         time.Duration // of a run, the second
	MACs         int64         // multiply-adds of that run
	Int8Coverage float64       // the share of them that int8 kernels did
	Sum, Want    string        // SHA-256 of the results, and what it must be
}

// SelfTest runs small quantized nets on generated frames and compares the bytes
// that they give with those that plain Go gave when this version was made: on
// every CPU, with every rung and number of threads, they are the same. The nets
// are built from integers and together use every kernel for 8-bit numbers; one
// starts at a camera's YUYV pixels.
//
// A net with other results has Pass false; an error means that one could not
// run, or that ctx is done.
func SelfTest(ctx context.Context) ([]SelfTestResult, error) {
	return selfTest(ctx, selfNets, 0)
}

func selfTest(ctx context.Context, nets []selfNet, threads int) ([]SelfTestResult, error) {
	var rs []SelfTestResult
	for _, n := range nets {
		r, err := n.run(ctx, threads)
		if err != nil {
			return rs, fmt.Errorf("self-test: net %s: %w", n.name, err)
		}
		rs = append(rs, r)
	}
	return rs, nil
}

// run compiles a net and runs it twice.
func (n *selfNet) run(ctx context.Context, threads int) (SelfTestResult, error) {
	r := SelfTestResult{Net: n.name, Want: n.sum}
	g, err := pass.Compile(n.build(), pass.Options{})
	if err != nil {
		return r, err
	}
	s, err := engine.New(g, engine.Options{Threads: threads})
	if err != nil {
		return r, err
	}
	defer s.Close()
	r.Kernels = s.Kernels()
	if err := selfFrame(s.Input("input")); err != nil {
		return r, err
	}
	if err := s.Run(ctx); err != nil {
		return r, err
	}
	start := time.Now()
	if err := s.Run(ctx); err != nil {
		return r, err
	}
	r.Time, r.MACs, r.Int8Coverage = time.Since(start), s.MACs(), int8Coverage(s.Profile())
	sum := sha256.New()
	for _, p := range s.Outputs() {
		t := s.Output(p.Name)
		fmt.Fprintf(sum, "%s %v\n", p.Name, t.Type())
		sum.Write(t.Bytes())
	}
	r.Sum = hex.EncodeToString(sum.Sum(nil))
	r.Pass = r.Sum == r.Want
	return r, nil
}

// selfFrame fills an input with a frame: slopes, edges and noise. An input of
// float32 gets it by way of a YUYV frame of another size, preprocessed.
func selfFrame(t *tensor.Tensor) error {
	if t.DType != tensor.Float32 {
		h, w := t.Shape[2], t.Shape[3]
		for i := range t.Data {
			t.Data[i] = selfPixel(i/(h*w), i/w%h, i%w)
		}
		if t.DType == tensor.Int8 {
			for i := range t.Data {
				t.Data[i] ^= 0x80
			}
		}
		return nil
	}
	f := camera.Frame{Width: 70, Height: 52, Stride: 2 * 70, Format: camera.YUYV, Source: "self-test"}
	for i := range f.Stride * f.Height {
		f.Pix = append(f.Pix, selfPixel(i%4, i/f.Stride, i%f.Stride/2))
	}
	std := [3]float64{64, 128, 32} // powers of two: quotients are exact
	p := vision.Preset{Name: "self-test", Place: vision.LetterboxCentre, Pad: 114, Mean: [3]float64{120, 118, 100}, Std: std}
	pre, err := vision.NewPreprocessor(p, t.Shape[3], t.Shape[2], vision.NCHW)
	if err != nil {
		return err
	}
	_, err = pre.Preprocess(t.F32(), &f)
	return err
}

// selfPixel is channel c of a pixel.
func selfPixel(c, y, x int) byte {
	h := uint32(x*1973+y*9277+c*26699) | 1
	h = (h ^ h>>7) * 2654435761
	v := 3*x + 2*y + 40*c + int(h>>26)
	if (x/7+y/5)%3 == c%3 {
		v = 255 - v/2
	}
	return byte(min(max(v, 0), 255))
}
