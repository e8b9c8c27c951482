package op

var netOps = map[string]Builder{
	"AveragePool":       newAveragePool,
	"Conv":              newConv,
	"ConvTranspose":     newConvTranspose,
	"Einsum":            newEinsum,
	"Gemm":              newGemm,
	"GlobalAveragePool": newGlobalPool("average"),
	"GlobalLpPool":      newGlobalPool("lp"),
	"GlobalMaxPool":     newGlobalPool("max"),
	"GridSample":        newGridSample,
	"LpPool":            newLpPool,
	"MatMul":            newMatMul,
	"MaxPool":           newMaxPool,
	"Resize":            newResize,
	"RoiAlign":          newRoiAlign,
	"Upsample":          newUpsample,
}
