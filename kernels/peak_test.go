package kernels_test

import (
	"testing"

	"github.com/edgecam/edgecam/kernels"
)

// TestF32Peak counts by the multiply-adds themselves: a loop that does fewer
// than it should, or another number in one round, shows.
func TestF32Peak(t *testing.T) {
	lanes := map[string]int{"ref": 8, "avx2": 96, "avxvnni": 96, "avx512": 384, "avx512vnni": 384, "neon": 96, "dotprod": 96}
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		for _, rounds := range []int{0, 1, 2, 7, 1024, 4096, 4097, 20000} {
			if got, want := s.F32Peak(rounds), rounds*lanes[s.Name]; got != want {
				t.Errorf("%d multiply-adds in %d rounds, want %d", got, rounds, want)
			}
		}
	})
}

func BenchmarkF32Peak(b *testing.B) {
	for _, s := range kernels.Available() {
		b.Run("rung="+s.Name, func(b *testing.B) {
			done := 0
			for b.Loop() {
				done += s.F32Peak(4096)
			}
			b.ReportMetric(2*float64(done)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
