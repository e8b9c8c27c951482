package kernels_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/edgecam/edgecam/kernels"
	"github.com/edgecam/edgecam/kernels/ref"
)

// byteRegion is memory that ends at an inaccessible page, so that a read or a
// write beyond a buffer that ends there is seen.
type byteRegion []byte

// last returns the last n bytes, random.
func (m byteRegion) last(r *rand.Rand, n int) []byte {
	b := m[len(m)-n:]
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b[:n:n]
}

// guarded calls f and returns an error where it touches an inaccessible page.
func guarded(f func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	f()
	return nil
}

// rowLengths are numbers of pixels around every tile, and one above the parts
// that calls are cut to.
func rowLengths() []int {
	n := []int{97, 352, 1<<14 + 3, 1 << 15}
	for i := range 35 {
		n = append(n, i)
	}
	return n
}

// TestU8Conversions compares with ref, which package vision's tests compare with
// camera's arithmetic and that with OpenCV's.
func TestU8Conversions(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		r := rand.New(rand.NewPCG(31, 32))
		a, b := byteRegion(newRegion(t, 1<<18)), byteRegion(newRegion(t, 1<<18))
		for _, n := range rowLengths() {
			got, want := make([]byte, 8*n+8), make([]byte, 8*n+8)
			src := a.last(r, 4*n)
			if n == 32 { // what is limited: extremes in every place
				for i := range src {
					src[i] = [...]byte{0, 255, 16, 235, 128}[r.IntN(5)]
				}
			}
			ref.U8YUYV(want, src)
			if err := guarded(func() { s.U8YUYV(got, src) }); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("YUYV, %d groups: another row: %v", n, err)
			}
			luma, chroma := a.last(r, 2*n), b.last(r, 2*n)
			clear(got)
			clear(want)
			ref.U8NV12(want, luma, chroma)
			if err := guarded(func() { s.U8NV12(got, luma, chroma) }); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("NV12, %d groups: another row: %v", n, err)
			}
		}
	})
}

func TestU8Taps(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		r := rand.New(rand.NewPCG(33, 34))
		mem := byteRegion(newRegion(t, 1<<18))
		for _, n := range rowLengths() {
			for step, channels := range map[int][3]int{1: {0, 0, 0}, 3: {2, 1, 0}, 4: {0, 1, 2}} {
				src := mem.last(r, 8+r.IntN(5*n+1))
				if n == 7 {
					for i := range src {
						src[i] = 255
					}
				}
				taps := make([]ref.TapU8, n)
				for i := range taps {
					w := uint16(r.IntN(2049))
					taps[i] = ref.TapU8{At: int32(r.IntN(len(src) - 7)), A: 2048 - w, B: w}
				}
				if n > 0 {
					taps[n-1].At = int32(len(src) - 8)
				}
				order := ref.NewOrderU8(channels, step)
				got, want := make([]uint16, 4*n+4), make([]uint16, 4*n+4)
				ref.U8Taps(want, src, &order, taps)
				if err := guarded(func() { s.U8Taps(got, src, &order, taps) }); err != nil || !slices.Equal(got, want) {
					t.Fatalf("%d pixels, step %d: another row: %v", n, step, err)
				}
			}
		}
	})
}

// norms are constants of models, and others that round badly.
var norms = [][2][3]float64{
	{{0, 0, 0}, {1, 1, 1}},
	{{0, 0, 0}, {255, 255, 255}},
	{{103.53, 116.28, 123.675}, {57.375, 57.12, 58.395}},
	{{127.5, 127.5, 127.5}, {128, 128, 128}},
	{{102.89, 111.25, 126.91}, {62.93 * 255, 62.82 * 255, 66.36 * 255}},
	{{0.485 * 255, 0.456 * 255, 0.406 * 255}, {0.229 * 255, 0.224 * 255, 0.225 * 255}},
	{{-3.3, 1e-3, 299.9}, {0.003, 7, -1234.5}},
}

// TestU8Mix runs every byte through the normalisation, and demands ref's bits.
func TestU8Mix(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		r := rand.New(rand.NewPCG(35, 36))
		mem := newMemory(t)
		for _, n := range rowLengths() {
			for i, c := range norms {
				if n > 1000 && i > 0 {
					break
				}
				norm := ref.NewNormF32(c[0], c[1])
				up, down := make([]uint16, 4*n), make([]uint16, 4*n)
				for i := range up {
					up[i], down[i] = uint16(r.IntN(255*128+1)), uint16(r.IntN(255*128+1))
					if i%4 == 3 {
						up[i], down[i] = 0, 0
					}
				}
				a := r.IntN(2049)
				want := make([][]float32, 4)
				for i := range want {
					want[i] = make([]float32, n)
				}
				want[3] = make([]float32, 3*n)
				ref.U8Planes(want[0], want[1], want[2], up, down, a, 2048-a, norm)
				ref.U8Pixels(want[3], up, down, a, 2048-a, norm)
				if n > 1<<14+3 {
					continue // regions are smaller
				}
				mem.reset()
				d := [3][]float32{mem.floats(n, atEnd), mem.floats(n, oddStart), mem.floats(n, atStart)}
				all := mem.floats(3*n, place(r.IntN(int(numPlaces))))
				err := mem.run(func() {
					s.U8Planes(d[0], d[1], d[2], up, down, a, 2048-a, norm)
					s.U8Pixels(all, up, down, a, 2048-a, norm)
				})
				same := slices.Equal(all, want[3])
				for c := range d {
					same = same && slices.Equal(d[c], want[c])
				}
				if err != nil || !same {
					t.Fatalf("%d pixels, %v: another row: %v", n, c, err)
				}
			}
		}
	})
}

// TestU8MixBytes gives every byte to every normalisation.
func TestU8MixBytes(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		var row [4 * 256]uint16
		for i := range row {
			if i%4 != 3 {
				row[i] = uint16(i / 4 * 128)
			}
		}
		for _, c := range norms {
			norm := ref.NewNormF32(c[0], c[1])
			var d [3][256]float32
			s.U8Planes(d[0][:], d[1][:], d[2][:], row[:], row[:], 2048, 0, norm)
			var all [3 * 256]float32
			s.U8Pixels(all[:], row[:], row[:], 0, 2048, norm)
			for v := range 256 {
				for ch := range 3 {
					if want := norm.Value[ch][v]; d[ch][v] != want || all[3*v+ch] != want {
						t.Errorf("%v: %d becomes %v and %v, want %v", c, v, d[ch][v], all[3*v+ch], want)
					}
				}
			}
		}
	})
}

func TestU8Spans(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		r := rand.New(rand.NewPCG(37, 38))
		mem := byteRegion(newRegion(t, 1<<18))
		for _, n := range rowLengths() {
			for step, channels := range map[int][3]int{1: {0, 0, 0}, 3: {2, 1, 0}, 4: {0, 1, 2}} {
				spans := make([]ref.SpanU8, n)
				var weights []int32
				most := 1 + r.IntN(9)
				src := mem.last(r, step*(most+r.IntN(n+1))+4)
				for i := range spans {
					c := min(1+r.IntN(most), (len(src)-4)/step)
					spans[i] = ref.SpanU8{At: int32(step * r.IntN((len(src)-4)/step-c+2)), N: int32(c), W: int32(len(weights))}
					for left := int32(1 << 22); c > 0; c-- {
						w := left
						if c > 1 {
							w = r.Int32N(left + 1)
						}
						left -= w
						weights = append(weights, w)
					}
				}
				got, want := make([]byte, 4*n), make([]byte, 4*n)
				ref.U8SpanX(want, src, &channels, step, spans, weights)
				if err := guarded(func() { s.U8SpanX(got, src, &channels, step, spans, weights) }); err != nil {
					t.Fatalf("%d pixels, step %d: %v", n, step, err)
				}
				for i := range got {
					if i%4 != 3 && got[i] != want[i] {
						t.Fatalf("%d pixels, step %d: byte %d is %d, want %d", n, step, i, got[i], want[i])
					}
				}
			}
		}
	})
}

func TestU8SpanY(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		r := rand.New(rand.NewPCG(39, 40))
		mem := byteRegion(newRegion(t, 1<<18))
		for _, n := range []int{0, 4, 28, 32, 36, 60, 64, 68, 896, 1<<14 + 4} {
			for count := 1; count < 8; count++ {
				rows := mem.last(r, count*n)
				at, weights := make([]int32, count), make([]int32, count)
				for i := range at {
					at[i] = int32((count - 1 - i) * n)
					weights[i] = 1 << 22 / int32(count)
				}
				got, want := make([]uint16, n), make([]uint16, n)
				ref.U8SpanY(want, rows, at, weights)
				if err := guarded(func() { s.U8SpanY(got, rows, at, weights) }); err != nil || !slices.Equal(got, want) {
					t.Fatalf("%d bytes of %d rows: another row: %v", n, count, err)
				}
			}
		}
	})
}

// BenchmarkU8 works on a row of 640 pixels that becomes one of 352, in every slot.
func BenchmarkU8(b *testing.B) {
	const src, dst = 640, 352
	r := rand.New(rand.NewPCG(41, 42))
	bytes := make([]byte, 16*src)
	for i := range bytes {
		bytes[i] = byte(r.Uint32())
	}
	out, up, down := make([]byte, 16*src), make([]uint16, 4*dst), make([]uint16, 4*dst)
	floats := make([]float32, 3*dst)
	taps, order := make([]ref.TapU8, dst), ref.NewOrderU8([3]int{2, 1, 0}, 3)
	spans, weights := make([]ref.SpanU8, dst), make([]int32, 4*dst)
	for i := range taps {
		taps[i] = ref.TapU8{At: int32(3 * (i * src / dst)), A: 1024, B: 1024}
		spans[i] = ref.SpanU8{At: int32(3 * (i * src / dst)), N: 4, W: int32(4 * i)}
	}
	for i := range weights {
		weights[i] = 1 << 20
	}
	norm := ref.NewNormF32(norms[2][0], norms[2][1])
	at := []int32{0, 4 * dst, 8 * dst, 12 * dst}
	for _, s := range kernels.Available() {
		for _, c := range []struct {
			name string
			run  func()
		}{
			{"YUYV", func() { s.U8YUYV(out, bytes[:2*src]) }},
			{"NV12", func() { s.U8NV12(out, bytes[:src], bytes[src:][:src]) }},
			{"Taps", func() { s.U8Taps(up, bytes, &order, taps) }},
			{"Planes", func() { s.U8Planes(floats[:dst], floats[dst:][:dst], floats[2*dst:], up, down, 700, 1348, norm) }},
			{"Pixels", func() { s.U8Pixels(floats, up, down, 700, 1348, norm) }},
			{"SpanX", func() { s.U8SpanX(out[:4*dst], bytes, &[3]int{2, 1, 0}, 3, spans, weights) }},
			{"SpanY", func() { s.U8SpanY(up, bytes[:16*dst], at, weights[:4]) }},
		} {
			b.Run(fmt.Sprintf("slot=%s/rung=%s", c.name, s.Name), func(b *testing.B) {
				for b.Loop() {
					c.run()
				}
			})
		}
	}
}
