package op_test

import (
	"testing"

	"github.com/edgecam/edgecam/internal/optest"
)

func TestNetNodeCases(t *testing.T) {
	optest.RunNodeCases(t, optest.NodeCases(t),
		"AveragePool", "Conv", "ConvTranspose", "Einsum", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "GridSample",
		"ConvInteger", "LpPool", "MatMul", "MatMulInteger", "MaxPool", "QLinearConv", "QLinearMatMul", "Resize", "RoiAlign", "Upsample")
}
