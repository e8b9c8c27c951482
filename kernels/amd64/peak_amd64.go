//go:build !noasm

package amd64

// F32Peak does 96 multiply-adds for each of rounds, in 12 registers, and
// returns how many it did.
func F32Peak(rounds int) int { return 8 * peak(f32PeakAVX2, rounds) }

// F32PeakAVX512 does 384 multiply-adds for each of rounds, in 24 registers, and
// returns how many it did.
func F32PeakAVX512(rounds int) int { return 16 * peak(f32PeakAVX512, rounds) }

// peak calls a kernel for parts of the rounds, short enough for the scheduler
// and for float32 to count, and returns the sum.
func peak(kernel func(rounds int) float32, rounds int) int {
	done := 0
	for rounds > 0 {
		n := min(rounds, 1<<12)
		done += int(kernel(n))
		rounds -= n
	}
	return done
}
