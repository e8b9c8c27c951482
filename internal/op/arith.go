package op

import "math"

// arithFloat computes one element in float64.
func arithFloat(k BinaryKind, x, y float64) float64 {
	switch k {
	case Add:
		return x + y
	case Sub:
		return x - y
	case Mul:
		return x * y
	case Div:
		return x / y
	case Min:
		return min(x, y)
	case Max:
		return max(x, y)
	case PRelu:
		return leakyRelu(x, y, 0)
	case Pow:
		if y == 2 {
			return x * x
		}
		return math.Pow(x, y)
	case Fmod:
		return math.Mod(x, y)
	}
	r := math.Mod(x, y)
	switch {
	case r == 0:
		return math.Copysign(0, y)
	case r < 0 != (y < 0):
		return r + y
	}
	return r
}

// arithInt computes one element of an integer type of so many bits, held
// sign or zero extended; the caller keeps the low bits.
func arithInt[T int64 | uint64](k BinaryKind, x, y T, bits int) T {
	switch k {
	case Add:
		return x + y
	case Sub:
		return x - y
	case Mul:
		return x * y
	case Min:
		return min(x, y)
	case Max:
		return max(x, y)
	case PRelu:
		if x < 0 {
			return x * y
		}
		return x
	case Pow:
		return powInt(x, y)
	case BitwiseAnd:
		return x & y
	case BitwiseOr:
		return x | y
	case BitwiseXor:
		return x ^ y
	case ShiftLeft:
		if uint64(y) >= uint64(bits) {
			return 0
		}
		return x << uint64(y)
	case ShiftRight:
		return x >> uint64(y)
	}
	if y == 0 {
		return 0
	}
	if k == Div {
		return x / y
	}
	r := x % y
	if k == Mod && r != 0 && r < 0 != (y < 0) {
		r += y
	}
	return r
}

// powInt returns x to the power y; 1/x^-y toward zero for a negative y.
func powInt[T int64 | uint64](x, y T) T {
	if y < 0 {
		switch {
		case x == 1, x+1 == 0 && y%2 == 0:
			return 1
		case x+1 == 0:
			return x
		}
		return 0
	}
	p := T(1)
	for ; y > 0; y >>= 1 {
		if y&1 != 0 {
			p *= x
		}
		x *= x
	}
	return p
}

// compare computes one element of a kind with a Bool result.
func compare[T int64 | uint64 | float64](k BinaryKind, x, y T) bool {
	switch k {
	case Equal:
		return x == y
	case Greater:
		return x > y
	case GreaterOrEqual:
		return x >= y
	case Less:
		return x < y
	case LessOrEqual:
		return x <= y
	case And:
		return x != 0 && y != 0
	case Or:
		return x != 0 || y != 0
	}
	return (x != 0) != (y != 0)
}
