package op_test

import (
	"testing"

	"github.com/edgecam/edgecam/internal/optest"
)

// elementwiseNames are the operators of table_elementwise.go that ONNX
// publishes cases of.
var elementwiseNames = []string{
	"Abs", "Adagrad", "Adam", "Add", "And", "ArgMax", "ArgMin", "BatchNormalization", "Cast", "CastLike",
	"Ceil", "Clip", "CumSum", "DequantizeLinear", "Div", "Dropout", "DynamicQuantizeLinear", "Elu", "Equal",
	"Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Hardmax",
	"Identity", "InstanceNormalization", "IsInf", "IsNaN", "LayerNormalization", "LeakyRelu", "Less",
	"LessOrEqual", "Log", "LogSoftmax", "Max", "Mean", "Min", "Mish", "Mod", "Momentum", "Mul", "Neg",
	"NegativeLogLikelihoodLoss", "Not", "Or", "PRelu", "Pow", "QuantizeLinear", "Reciprocal", "ReduceL1",
	"ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
	"ReduceSum", "ReduceSumSquare", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Softmax",
	"SoftmaxCrossEntropyLoss", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tanh", "Where", "Xor",
}

func TestElementwiseNodeCases(t *testing.T) {
	optest.RunNodeCases(t, optest.NodeCases(t), elementwiseNames...)
}
