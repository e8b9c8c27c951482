package op_test

import (
	"testing"

	"github.com/edgecam/edgecam/internal/optest"
)

func TestMoveNodeCases(t *testing.T) {
	optest.RunNodeCases(t, optest.NodeCases(t),
		"CenterCropPad", "Concat", "Constant", "ConstantOfShape", "DepthToSpace", "Expand", "EyeLike", "Flatten",
		"Gather", "GatherElements", "GatherND", "NonMaxSuppression", "NonZero", "OneHot", "Pad", "Range", "Reshape",
		"ScatterElements", "ScatterND", "Shape", "Size", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "TopK",
		"Transpose", "Trilu", "Unsqueeze")
}
