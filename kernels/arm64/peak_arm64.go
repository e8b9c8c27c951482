//go:build !noasm

package arm64

// F32Peak does 96 multiply-adds for each of rounds, in 24 registers, and
// returns how many it did.
func F32Peak(rounds int) int {
	done := 0
	for rounds > 0 {
		n := min(rounds, 1<<10) // below 50 µs, and what float32 can count
		done += 4 * int(f32PeakNEON(n))
		rounds -= n
	}
	return done
}
