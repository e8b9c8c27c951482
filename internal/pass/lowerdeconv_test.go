package pass_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Transposed convolutions become ordinary ones, whose number tells whether
// phases were joined.
func TestConvTranspose(t *testing.T) {
	ints := optest.AttrInts
	tests := []struct {
		x, w  []int
		attrs graph.Attrs
		convs int // 0: the operator stays
	}{
		{x: []int{1, 4, 3, 5}, w: []int{4, 8, 2, 2}, attrs: graph.Attrs{ints("strides", 2, 2)}, convs: 1},
		{x: []int{2, 4, 3, 5}, w: []int{4, 16, 2, 2}, attrs: graph.Attrs{ints("strides", 2, 2)}, convs: 1},
		{x: []int{1, 4, 3, 5}, w: []int{4, 16, 4, 4}, attrs: graph.Attrs{ints("strides", 2, 2), ints("pads", 1, 1, 1, 1)}, convs: 4},
		{x: []int{2, 4, 4, 3}, w: []int{4, 19, 3, 3}, attrs: graph.Attrs{ints("strides", 2, 2), ints("pads", 1, 1, 1, 1), ints("output_padding", 1, 1)}, convs: 4},
		// An odd extent: the last row and column are surplus.
		{x: []int{1, 4, 4, 3}, w: []int{4, 5, 3, 3}, attrs: graph.Attrs{ints("strides", 2, 2), ints("pads", 1, 1, 1, 1)}, convs: 1},
		{x: []int{1, 4, 4, 3}, w: []int{4, 20, 3, 4}, attrs: graph.Attrs{ints("strides", 2, 2), ints("pads", 1, 0, 0, 2)}, convs: 1},
		{x: []int{1, 8, 5, 4}, w: []int{8, 1, 9, 9}, attrs: graph.Attrs{ints("strides", 3, 3), ints("pads", 4, 4, 4, 4), ints("output_padding", 2, 2)}, convs: 1},
		{x: []int{1, 3, 5, 4}, w: []int{3, 6, 3, 3}, convs: 1},
		{x: []int{1, 3, 5, 4}, w: []int{3, 6, 3, 2}, attrs: graph.Attrs{ints("strides", 1, 2)}, convs: 1},
		{x: []int{1, 4, 5, 4}, w: []int{4, 6, 3, 3}, attrs: graph.Attrs{ints("dilations", 2, 3)}, convs: 1},
		{x: []int{1, 4, 5, 4}, w: []int{4, 6, 3, 3}, attrs: graph.Attrs{ints("strides", 2, 2), ints("dilations", 3, 5), ints("pads", 2, 1, 0, 3)}, convs: 4},
		{x: []int{1, 4, 5, 4}, w: []int{4, 6, 4, 4}, attrs: graph.Attrs{ints("strides", 3, 2), ints("pads", 3, 3, 3, 3)}, convs: 6},
		// Depthwise and grouped.
		{x: []int{1, 6, 5, 4}, w: []int{6, 1, 4, 4}, attrs: graph.Attrs{ints("strides", 2, 2), ints("pads", 1, 1, 1, 1), optest.AttrInt("group", 6)}, convs: 4},
		{x: []int{2, 6, 5, 4}, w: []int{6, 5, 2, 2}, attrs: graph.Attrs{ints("strides", 2, 2), optest.AttrInt("group", 2)}, convs: 4},
		// One spatial axis.
		{x: []int{2, 4, 7}, w: []int{4, 3, 4}, attrs: graph.Attrs{ints("strides", 2), ints("pads", 1, 1)}, convs: 1},
		{x: []int{1, 4, 7}, w: []int{4, 16, 4}, attrs: graph.Attrs{ints("strides", 2), ints("pads", 1, 1)}, convs: 2},
		{x: []int{1, 4, 7}, w: []int{4, 1, 5}, attrs: graph.Attrs{ints("strides", 3), ints("pads", 2, 1)}, convs: 1},
		// Sizes given from outside.
		{x: []int{1, 4, 3, 3}, w: []int{4, 2, 3, 3}, attrs: graph.Attrs{ints("strides", 3, 2), ints("output_shape", 10, 8)}, convs: 1},
		{x: []int{1, 4, 3, 3}, w: []int{4, 2, 3, 3}, attrs: graph.Attrs{ints("strides", 2, 2), optest.AttrString("auto_pad", "SAME_UPPER")}, convs: 1},
		// Some output elements get no input at all.
		{x: []int{1, 4, 3, 3}, w: []int{4, 2, 2, 2}, attrs: graph.Attrs{ints("strides", 3, 3)}},
		{x: []int{1, 4, 3, 3, 3}, w: []int{4, 2, 2, 2, 2}, attrs: graph.Attrs{ints("strides", 2, 2, 2)}},
	}
	for i, tt := range tests {
		for _, act := range []string{"", "Sigmoid", "PRelu"} {
			t.Run(fmt.Sprintf("%d: %v by %v %s", i, tt.x, tt.w, act), func(t *testing.T) {
				b := optest.NewNet(13)
				group := tt.attrs.Int("group", 1)
				x := b.Node("Abs", nil, b.Input("x", tensor.Float32, tt.x...))
				y := b.Node("ConvTranspose", tt.attrs, x, b.Weights(tt.w...), b.Weights(tt.w[1]*group))
				one := "ConvTranspose"
				if tt.convs > 0 {
					one = "Conv+b"
				}
				switch act {
				case "Sigmoid":
					y = b.Node(act, nil, y)
				case "PRelu":
					slope := []int{tt.w[1] * group}
					for range tt.w[2:] {
						slope = append(slope, 1)
					}
					y = b.Node(act, nil, y, b.Weights(slope...))
				}
				if tt.convs > 0 && act != "" {
					one += "+" + act
				}
				lowered := optest.Agree(t, b.Output(y), pass.Options{})
				if got := strings.Count(describe(lowered)+" ", one+" "); got != max(tt.convs, 1) {
					t.Errorf("lowered to %q, want %d of %s", describe(lowered), tt.convs, one)
				}
			})
		}
	}
}
