package ref

// F32Peak does 8 multiply-adds for each of rounds, in as many chains, and
// returns how many it did. Each is counted by itself: x·1+1. The chains end,
// with others begun, before a float32 cannot count on.
func F32Peak(rounds int) int {
	done := 0
	for rounds > 0 {
		n := min(rounds, 1<<12)
		done += int(count(n, 1))
		rounds -= n
	}
	return done
}

//go:noinline
func count(rounds int, one float32) float32 {
	var a, b, c, d, e, f, g, h float32
	for range rounds {
		a, b, c, d = float32(a*one)+one, float32(b*one)+one, float32(c*one)+one, float32(d*one)+one
		e, f, g, h = float32(e*one)+one, float32(f*one)+one, float32(g*one)+one, float32(h*one)+one
	}
	return a + b + c + d + e + f + g + h
}
