package kernels_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/edgecam/edgecam/kernels"
	"github.com/edgecam/edgecam/kernels/ref"
)

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32() >> r.IntN(24))
	}
	return b
}

// blocks makes n blocks of every kind: flat, of few coefficients, of many, of
// the largest ones.
func blocks(r *rand.Rand, n int) []int16 {
	coef := make([]int16, 64*n)
	for i := range n {
		b := coef[64*i:][:64]
		b[0] = int16(r.IntN(2048) - 1024)
		switch r.IntN(5) {
		case 0:
		case 1:
			b[r.IntN(64)] = int16(r.IntN(512) - 256)
		case 2:
			for range r.IntN(20) {
				b[r.IntN(64)] = int16(r.IntN(200) - 100)
			}
		case 3:
			for k := range b {
				b[k] = int16(r.IntN(512) - 256)
			}
		case 4:
			for k := range b {
				b[k] = int16(r.IntN(8191) - 4095)
			}
		}
	}
	return coef
}

func TestJPEGIDCT(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, s := range kernels.Available() {
		for size, f := range map[int][2]func([]byte, int, []int16){
			8: {s.JPEGIDCT, ref.JPEGIDCT}, 4: {s.JPEGIDCT4, ref.JPEGIDCT4}, 2: {s.JPEGIDCT2, ref.JPEGIDCT2}, 1: {s.JPEGIDCT1, ref.JPEGIDCT1},
		} {
			for n := range 40 {
				for pad := range 3 {
					stride := size*n + 5*pad
					coef := blocks(r, n)
					got := bytes.Repeat([]byte{77}, size*stride+9)
					want := bytes.Clone(got)
					own := append([]int16(nil), coef...)
					f[1](want, stride, own)
					f[0](got, stride, coef)
					if !bytes.Equal(got, want) {
						t.Fatalf("%s: %d blocks of %d, stride %d: other samples", s.Name, n, size, stride)
					}
					for _, v := range append(coef, own...) {
						if v != 0 {
							t.Fatalf("%s: %d blocks of %d: coefficients are left", s.Name, n, size)
						}
					}
				}
			}
		}
	}
}

func TestJPEGRows(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, s := range kernels.Available()[1:] {
		for n := range 200 {
			for off := range 2 {
				y, cb, cr := noise(r, n+off)[off:], noise(r, n+off)[off:], noise(r, n+off)[off:]
				for name, f := range map[string]func(*kernels.Set, []byte){
					"H2V1": func(s *kernels.Set, dst []byte) { s.JPEGUpsampleH2V1(dst[:2*n], cb) },
					"H2V2": func(s *kernels.Set, dst []byte) { s.JPEGUpsampleH2V2(dst[:2*n], cb, cr) },
					"RGB":  func(s *kernels.Set, dst []byte) { s.JPEGToRGB(dst[:3*n], y, cb, cr) },
				} {
					got := bytes.Repeat([]byte{77}, 3*n+7)
					want := bytes.Clone(got)
					f(s, got)
					f(kernels.Ref(), want)
					if !bytes.Equal(got, want) {
						t.Fatalf("%s: %s of %d samples differs", s.Name, name, n)
					}
				}
			}
		}
	}
}

// Every colour, against the formula.
func TestJPEGToRGBColours(t *testing.T) {
	clamp := func(v int) byte { return byte(min(max(v, 0), 255)) }
	var y, cb, cr, want []byte
	for l := 0; l < 256; l += 5 {
		for b := range 256 {
			for r := 0; r < 256; r += 3 {
				y, cb, cr = append(y, byte(l)), append(cb, byte(b)), append(cr, byte(r))
				u, v := b-128, r-128
				want = append(want, clamp(l+(91881*v+1<<15)>>16), clamp(l+(-22554*u-46802*v+1<<15)>>16), clamp(l+(116130*u+1<<15)>>16))
			}
		}
	}
	for _, s := range kernels.Available() {
		got := make([]byte, len(want))
		s.JPEGToRGB(got, y, cb, cr)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: another colour", s.Name)
		}
	}
}

func BenchmarkJPEG(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, s := range kernels.Available() {
		coef := make([]int16, 64*16)
		many := blocks(r, 16)
		dst := make([]byte, 8*128)
		b.Run(fmt.Sprintf("idct/blocks=16/rung=%s", s.Name), func(b *testing.B) {
			for b.Loop() {
				copy(coef, many)
				s.JPEGIDCT(dst, 128, coef)
			}
		})
		b.Run(fmt.Sprintf("idct4/blocks=16/rung=%s", s.Name), func(b *testing.B) {
			for b.Loop() {
				copy(coef, many)
				s.JPEGIDCT4(dst, 128, coef)
			}
		})
		b.Run(fmt.Sprintf("idct2/blocks=16/rung=%s", s.Name), func(b *testing.B) {
			for b.Loop() {
				copy(coef, many)
				s.JPEGIDCT2(dst, 128, coef)
			}
		})
		y, out := noise(r, 640), make([]byte, 3*640)
		b.Run(fmt.Sprintf("h2v2/w=640/rung=%s", s.Name), func(b *testing.B) {
			for b.Loop() {
				s.JPEGUpsampleH2V2(out[:640], y[:320], y[320:])
			}
		})
		b.Run(fmt.Sprintf("rgb/w=640/rung=%s", s.Name), func(b *testing.B) {
			for b.Loop() {
				s.JPEGToRGB(out, y, y, y)
			}
		})
	}
}
