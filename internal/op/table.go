package op

// tables lists the operators by name, with the domain in front where it is
// not ai.onnx.
var tables = []map[string]Builder{elementwiseOps, shapeOps, netOps}

// hints names, for operators that are not supported, the export flag or step
// that avoids them.
var hints = map[string]string{
	"If":                      "export with fixed shapes, or fold control flow with onnxsim",
	"Loop":                    "export without the post-processing (nms=False, or the raw heads)",
	"Scan":                    "export with fixed shapes, or unroll the loop",
	"com.microsoft.FusedConv": "this file was optimised for one machine by ONNX Runtime: use the model it was made from",
	"com.microsoft.QuickGelu": "this file was optimised for one machine by ONNX Runtime: use the model it was made from",
}
