package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"testing"
	"unsafe"
)

// place says where in its region a buffer lies.
type place int

const (
	atStart  place = iota // directly behind the guard page
	oddStart              // 4 bytes behind it: misaligned
	atEnd                 // directly before the other guard page
	numPlaces
)

const (
	regions    = 8
	regionSize = 1 << 19
	canary     = 0x7fa5a5a5 // a NaN that no kernel computes
)

// memory hands out float32 buffers that touch inaccessible pages and whose
// other surroundings are filled with canaries.
type memory struct {
	t     testing.TB
	words [][]uint32
	next  int
	used  []span
}

// span is a buffer as the words from:to of a region.
type span struct{ region, from, to int }

func newMemory(t testing.TB) *memory {
	m := &memory{t: t}
	for range regions {
		b := newRegion(t, regionSize)
		m.words = append(m.words, unsafe.Slice((*uint32)(unsafe.Pointer(&b[0])), len(b)/4))
	}
	return m
}

// reset takes all buffers back.
func (m *memory) reset() { m.next, m.used = 0, m.used[:0] }

// floats returns a buffer of n elements holding canaries.
func (m *memory) floats(n int, at place) []float32 {
	if m.next == len(m.words) {
		m.t.Fatal("test: out of regions")
	}
	w := m.words[m.next]
	from := map[place]int{atStart: 0, oddStart: 1, atEnd: len(w) - n}[at]
	if n > len(w)-from {
		m.t.Fatalf("test: %d elements do not fit a region", n)
	}
	s := span{m.next, from, from + n}
	m.used = append(m.used, s)
	m.next++
	// Kernels write a few elements beyond their buffer if they are wrong at
	// all, so filling the neighbourhood is enough.
	lo, hi := s.neighbourhood(len(w))
	for i := lo; i < hi; i++ {
		w[i] = canary
	}
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&w[from])), n)
}

func (s span) neighbourhood(size int) (lo, hi int) { return max(0, s.from-64), min(size, s.to+64) }

// random returns a buffer of n elements between -1 and 1.
func (m *memory) random(r *rand.Rand, n int, at place) []float32 {
	f := m.floats(n, at)
	for i := range f {
		f[i] = r.Float32()*2 - 1
	}
	return f
}

// intact reports writes outside the buffers.
func (m *memory) intact() error {
	for _, s := range m.used {
		w := m.words[s.region]
		lo, hi := s.neighbourhood(len(w))
		for i := lo; i < hi; i++ {
			if (i < s.from || i >= s.to) && w[i] != canary {
				return fmt.Errorf("buffer %d, %d elements: element %d was written", s.region, s.to-s.from, i-s.from)
			}
		}
	}
	return nil
}

// run calls f and then checks the surroundings of all buffers. It returns an
// error where f touches an inaccessible page.
func (m *memory) run(f func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	f()
	return m.intact()
}

// close32 says whether two results agree within tol, in units of the larger
// of 1 and the magnitude of want. NaN agrees with NaN only.
func close32(got, want float32, tol float64) bool {
	if got == want || got != got && want != want {
		return true
	}
	d := math.Abs(float64(got) - float64(want))
	return d <= tol*max(1, math.Abs(float64(want)))
}

// differ returns an error for the first element on which two results do not
// agree within tol.
func differ(got, want []float32, tol float64) error {
	for i := range want {
		if !close32(got[i], want[i], tol) {
			return fmt.Errorf("element %d of %d is %v, want %v (tolerance %g)", i, len(want), got[i], want[i], tol)
		}
	}
	return nil
}

// ptr returns the address of a buffer, nil for an empty one.
func ptr(f []float32) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(f)) }
