package tensor

import "math"

// F16To32 converts an IEEE 754 binary16 number.
func F16To32(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&1023
	switch exp {
	case 0:
		v := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// F16From64 rounds v to the nearest IEEE 754 binary16 number, ties to even.
// It rounds once, so it also serves float32 exactly.
func F16From64(v float64) uint16 {
	b := math.Float64bits(v)
	sign := uint16(b>>48) & 0x8000
	abs := math.Abs(v)
	switch {
	case math.IsNaN(v):
		return sign | 0x7e00
	case abs >= 65520: // half way between the largest number and the next power
		return sign | 0x7c00
	case abs < 1.0/(1<<14):
		return sign | uint16(math.RoundToEven(abs*(1<<24)))
	}
	exp := int(b>>52)&2047 - 1023
	// A mantissa that rounds up to 2048 carries into the exponent by itself.
	frac := math.RoundToEven(math.Ldexp(abs, 10-exp)) - 1024
	return sign | uint16((exp+15)<<10+int(frac))
}

// BF16From32 rounds v to the nearest bfloat16 number, ties to even.
func BF16From32(v float32) uint16 {
	b := math.Float32bits(v)
	if v != v {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
