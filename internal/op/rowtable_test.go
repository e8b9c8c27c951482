package op

import (
	"math/rand/v2"
	"testing"
)

// TestRowTable compares the offsets of every tap with where the definition of
// a convolution reads.
func TestRowTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	shorter := false
	for range 500 {
		s := &convShape{h: 1 + rng.IntN(9), w: 1 + rng.IntN(9), inPitch: 1 + rng.IntN(5), size: 4}
		s.ConvNHWC = ConvNHWC{
			KH: 1 + rng.IntN(5), KW: 1 + rng.IntN(4), StrideH: 1 + rng.IntN(3), StrideW: 1 + rng.IntN(3),
			DilH: 1 + rng.IntN(3), DilW: 1 + rng.IntN(3), PadT: rng.IntN(7) - 1, PadL: rng.IntN(7) - 1,
			OutH: 1 + rng.IntN(12), OutW: 1 + rng.IntN(5),
		}
		table := newRowTable(s)
		shorter = shorter || len(table.offsets) < s.OutH*s.OutW*s.KH*s.KW
		for i := range s.OutH {
			row := table.rows[i]
			at := row.first
			for j := range s.OutW {
				for u := range s.KH {
					for v := range s.KW {
						y, x := i*s.StrideH+u*s.DilH-s.PadT, j*s.StrideW+v*s.DilW-s.PadL
						want, got := -1, int(table.offsets[at])
						if y >= 0 && y < s.h && x >= 0 && x < s.w {
							want = (y*s.w + x) * s.inPitch * 4
						}
						if got >= 0 {
							got += row.base
						}
						if got != want {
							t.Fatalf("%+v: output %d %d, tap %d %d is at byte %d, want %d", *s, i, j, u, v, got, want)
						}
						at++
					}
				}
			}
			if row.base < 0 || row.base >= s.h*s.w*s.inPitch*4 {
				t.Fatalf("%+v: row %d counts from %d, outside the image", *s, i, row.base)
			}
		}
	}
	if !shorter {
		t.Error("no table is shared by rows")
	}
}
