package pass_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/optest"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Rows and columns of a kernel that meet only padding are cut off.
func TestConvTapsInPadding(t *testing.T) {
	ints := optest.AttrInts
	tests := []struct {
		x, w  []int
		attrs graph.Attrs
		want  []int // the kernel that is left
	}{
		{[]int{1, 5, 6, 7}, []int{4, 5, 3, 3}, graph.Attrs{ints("pads", 1, 1, 1, 1)}, []int{3, 3}},
		{[]int{1, 5, 6, 7}, []int{4, 5, 3, 3}, graph.Attrs{ints("dilations", 9, 9), ints("pads", 9, 9, 9, 9)}, []int{1, 1}},
		{[]int{2, 5, 6, 7}, []int{4, 5, 3, 3}, graph.Attrs{ints("dilations", 6, 6), ints("pads", 6, 6, 6, 6)}, []int{1, 3}},
		{[]int{1, 6, 4, 5}, []int{6, 1, 5, 5}, graph.Attrs{ints("dilations", 4, 2), ints("pads", 8, 4, 8, 4), optest.AttrInt("group", 6)}, []int{1, 5}},
		{[]int{1, 6, 1, 1}, []int{4, 3, 3, 3}, graph.Attrs{ints("pads", 1, 1, 1, 1), optest.AttrInt("group", 2)}, []int{1, 1}},
		{[]int{1, 5, 3, 3}, []int{4, 5, 3, 3}, graph.Attrs{ints("strides", 2, 2), ints("dilations", 3, 1), ints("pads", 3, 1, 3, 1)}, []int{1, 3}},
		// Only the first rows meet nothing but padding.
		{[]int{1, 5, 4, 4}, []int{4, 5, 4, 1}, graph.Attrs{ints("pads", 8, 0, 0, 0), ints("dilations", 2, 1)}, []int{2, 1}},
		{[]int{1, 3, 2, 9}, []int{4, 3, 3, 3}, graph.Attrs{ints("dilations", 1, 8), ints("pads", 3, 8, 0, 0)}, []int{2, 2}},
		// One spatial axis.
		{[]int{1, 5, 6}, []int{4, 5, 3}, graph.Attrs{ints("dilations", 6), ints("pads", 6, 6)}, []int{1, 1}},
		// Nothing but the bias is left.
		{[]int{1, 5, 2, 2}, []int{4, 5, 1, 1}, graph.Attrs{ints("pads", 1, 1, 1, 1), ints("strides", 3, 3)}, []int{1, 1}},
	}
	for i, tt := range tests {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			b := optest.NewNet(13)
			y := b.Node("Conv", tt.attrs, b.Input("x", tensor.Float32, tt.x...), b.Weights(tt.w...), b.Weights(tt.w[0]))
			for _, n := range optest.Agree(t, b.Output(y), pass.Options{}).Nodes {
				if c, ok := n.Op.(*op.ConvNHWC); ok && !slices.Equal([]int{c.KH, c.KW}, tt.want) {
					t.Errorf("kernel %dx%d, want %v", c.KH, c.KW, tt.want)
				}
			}
		})
	}
}
