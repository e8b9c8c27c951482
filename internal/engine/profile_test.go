package engine_test

import (
	"context"
	"testing"

	"github.com/edgecam/edgecam/internal/engine"
)

// TestProfileLayers checks what the profile tells of whole nodes: their
// products, the bytes that they touch, their activation and their best time.
func TestProfileLayers(t *testing.T) {
	s, err := engine.New(mixed(t), engine.Options{Profile: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	type layer struct {
		rows, columns, depth int
		bytes                int64
		activation           string
	}
	const pixels = 48 * 48
	f := func(elements int) int64 { return int64(4 * elements) }
	want := []layer{
		{pixels, 24, 27, f(3*96*96 + 24*27 + 24 + pixels*24), ""},          // stem with its Relu
		{pixels, 24, 9, f(pixels*24 + 24*9 + pixels*24), "SiLU"},           // depthwise
		{pixels, 24, 24, f(pixels*24 + 24*24 + pixels*24 + pixels*24), ""}, // pointwise, with a residual
		{pixels, 12, 150, f(pixels*12 + 12*6*25 + pixels*12), ""},          // grouped
		{24, 40, pixels, f(24*pixels + pixels*40 + 24*40), ""},             // MatMul
	}
	var got []layer
	last := -1
	for i, p := range s.Profile() {
		if p.Layer != last && p.Layer != last+1 {
			t.Errorf("step %d belongs to layer %d, the one before to %d", i, p.Layer, last)
		}
		last = p.Layer
		if p.Best > p.Time || p.Best <= 0 != (p.Time <= 0) {
			t.Errorf("%s: best time %v of %v in three runs", p.Kernel, p.Best, p.Time)
		}
		if p.MACs > 0 {
			got = append(got, layer{p.Rows, p.Columns, p.Depth, p.Bytes, p.Activation})
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d products, want %d: %v", len(got), len(want), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("product %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	s.ResetProfile()
	for _, p := range s.Profile() {
		if p.Best != 0 {
			t.Errorf("%s: best time %v after ResetProfile", p.Kernel, p.Best)
		}
	}
}
