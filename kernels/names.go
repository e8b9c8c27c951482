package kernels

import "strconv"

var unaryNames = [NumUnary]string{
	Clamp:       "Clamp",
	LeakyRelu:   "LeakyRelu",
	Sigmoid:     "Sigmoid",
	SiLU:        "SiLU",
	HardSigmoid: "HardSigmoid",
	HardSwish:   "HardSwish",
	Tanh:        "Tanh",
	Exp:         "Exp",
	Erf:         "Erf",
	Gelu:        "Gelu",
	Affine:      "Affine",
}

// String returns the name of the constant.
func (u Unary) String() string {
	if u < 0 || u >= NumUnary {
		return "Unary(" + strconv.Itoa(int(u)) + ")"
	}
	return unaryNames[u]
}
