// NEON instructions that the Go 1.26 assembler does not know. Names and operand
// order follow the assembler: sources first (m, then n), destination last;
// the arrangement is part of the name. Arguments are register, lane and shift
// numbers: VFADD_S4(1, 2, 3) is fadd v3.4s, v2.4s, v1.4s. Encodings are from
// the Arm Architecture Reference Manual, C7.2; testdata/neon.txt checks them.

// d = n + m, n - m, n * m, n / m
#define VFADD_S4(m, n, d) WORD $(0x4E20D400|((m)<<16)|((n)<<5)|(d))
#define VFSUB_S4(m, n, d) WORD $(0x4EA0D400|((m)<<16)|((n)<<5)|(d))
#define VFMUL_S4(m, n, d) WORD $(0x6E20DC00|((m)<<16)|((n)<<5)|(d))
#define VFDIV_S4(m, n, d) WORD $(0x6E20FC00|((m)<<16)|((n)<<5)|(d))

// d = max(n, m), min(n, m); NaN where either is
#define VFMAX_S4(m, n, d) WORD $(0x4E20F400|((m)<<16)|((n)<<5)|(d))
#define VFMIN_S4(m, n, d) WORD $(0x4EA0F400|((m)<<16)|((n)<<5)|(d))

// d += n * m[i], fused
#define VFMLA_S4_LANE(m, i, n, d) WORD $(0x4F801000|(((i)&1)<<21)|(((i)>>1)<<11)|((m)<<16)|((n)<<5)|(d))

// d = |n|, -n, n rounded to an integral value, ties to even
#define VFABS_S4(n, d) WORD $(0x4EA0F800|((n)<<5)|(d))
#define VFNEG_S4(n, d) WORD $(0x6EA0F800|((n)<<5)|(d))
#define VFRINTN_S4(n, d) WORD $(0x4E218800|((n)<<5)|(d))

// d = 1/n to 8 bits; 2 - n*m fused, the Newton step of 1/n
#define VFRECPE_S4(n, d) WORD $(0x4EA1D800|((n)<<5)|(d))
#define VFRECPS_S4(m, n, d) WORD $(0x4E20FC00|((m)<<16)|((n)<<5)|(d))

// d = int32(n), ties to even, saturating; 0 where n is NaN
#define VFCVTNS_S4(n, d) WORD $(0x4E21A800|((n)<<5)|(d))

// d = n >> s, signed, s from 1 to 32
#define VSSHR_S4(s, n, d) WORD $(0x4F000400|((64-(s))<<16)|((n)<<5)|(d))

// d = all ones where n < 0, n >= m; otherwise, and where n or m is NaN, 0
#define VFCMLTZ_S4(n, d) WORD $(0x4EA0E800|((n)<<5)|(d))
#define VFCMGE_S4(m, n, d) WORD $(0x6E20E400|((m)<<16)|((n)<<5)|(d))

// d = sums of pairs: lanes 0, 1 from n, lanes 2, 3 from m
#define VFADDP_S4(m, n, d) WORD $(0x6E20D400|((m)<<16)|((n)<<5)|(d))

// lane 0 of d = max of the lanes of n; NaN where any is
#define VFMAXV_S4(n, d) WORD $(0x6E30F800|((n)<<5)|(d))

// d = n * m[i], d += n * m[i], unsigned 16 bits to 32; of the lower or the upper
// half of n; m below 16, i below 8
#define VUMULL_S4_LANE(m, i, n, d) WORD $(0x2F40A000|(((i)&3)<<20)|(((i)>>2)<<11)|((m)<<16)|((n)<<5)|(d))
#define VUMULL2_S4_LANE(m, i, n, d) WORD $(0x6F40A000|(((i)&3)<<20)|(((i)>>2)<<11)|((m)<<16)|((n)<<5)|(d))
#define VUMLAL2_S4_LANE(m, i, n, d) WORD $(0x6F402000|(((i)&3)<<20)|(((i)>>2)<<11)|((m)<<16)|((n)<<5)|(d))

// d = n * m, d += n * m, 32 bits
#define VMUL_S4(m, n, d) WORD $(0x4EA09C00|((m)<<16)|((n)<<5)|(d))
#define VMLA_S4(m, n, d) WORD $(0x4EA09400|((m)<<16)|((n)<<5)|(d))

// d = n >> s, 32 bits to 16 in the lower half, s from 1 to 16
#define VSHRN_H4(s, n, d) WORD $(0x0F008400|((32-(s))<<16)|((n)<<5)|(d))

// d = (n + (1 << (s-1))) >> s, unsigned, s from 1 to 16
#define VURSHR_H8(s, n, d) WORD $(0x6F002400|((32-(s))<<16)|((n)<<5)|(d))

// d = float32(n), unsigned
#define VUCVTF_S4(n, d) WORD $(0x6E21D800|((n)<<5)|(d))

// d = max(n - m, 0), unsigned bytes, eight; signed 16 bits limited to bytes, eight
#define VUQSUB_B8(m, n, d) WORD $(0x2E202C00|((m)<<16)|((n)<<5)|(d))
#define VSQXTUN_B8(n, d) WORD $(0x2E212800|((n)<<5)|(d))
// sums of products: d = n * m[i] and d += n * m[i], signed, of the lower halves and the upper ones (2), m below 16, i from 0 to 7
#define VSMULL_S4_LANE(m, i, n, d) WORD $(0x0F40A000|(((i)&3)<<20)|(((i)>>2)<<11)|((m)<<16)|((n)<<5)|(d))
#define VSMULL2_S4_LANE(m, i, n, d) WORD $(0x4F40A000|(((i)&3)<<20)|(((i)>>2)<<11)|((m)<<16)|((n)<<5)|(d))
#define VSMLAL_S4_LANE(m, i, n, d) WORD $(0x0F402000|(((i)&3)<<20)|(((i)>>2)<<11)|((m)<<16)|((n)<<5)|(d))
#define VSMLAL2_S4_LANE(m, i, n, d) WORD $(0x4F402000|(((i)&3)<<20)|(((i)>>2)<<11)|((m)<<16)|((n)<<5)|(d))
// d = n << s, signed 16 bits to 32, lower half and upper one, s from 0 to 15
#define VSSHLL_S4(s, n, d) WORD $(0x0F00A400|((16+(s))<<16)|((n)<<5)|(d))
#define VSSHLL2_S4(s, n, d) WORD $(0x4F00A400|((16+(s))<<16)|((n)<<5)|(d))
// d = n >> s, rounded and limited, signed, 32 bits to 16 and 16 to 8, to the lower half and the upper one, s from 1 to 16 and from 1 to 8
#define VSQRSHRN_H4(s, n, d) WORD $(0x0F009C00|((32-(s))<<16)|((n)<<5)|(d))
#define VSQRSHRN2_H8(s, n, d) WORD $(0x4F009C00|((32-(s))<<16)|((n)<<5)|(d))
#define VSQRSHRN_B8(s, n, d) WORD $(0x0F009C00|((16-(s))<<16)|((n)<<5)|(d))
#define VSQRSHRN2_B16(s, n, d) WORD $(0x4F009C00|((16-(s))<<16)|((n)<<5)|(d))
// d = (n + m) >> 16, (n - m) >> 16, 32 bits to 16, to the lower half and the upper one
#define VADDHN_H4(m, n, d) WORD $(0x0E604000|((m)<<16)|((n)<<5)|(d))
#define VADDHN2_H8(m, n, d) WORD $(0x4E604000|((m)<<16)|((n)<<5)|(d))
#define VSUBHN_H4(m, n, d) WORD $(0x0E606000|((m)<<16)|((n)<<5)|(d))
#define VSUBHN2_H8(m, n, d) WORD $(0x4E606000|((m)<<16)|((n)<<5)|(d))
// d = (n + (1 << (s-1))) >> s, 32 bits to 16, to the lower half and the upper one; 16 bits to 8; and 16 to 8 without rounding
#define VRSHRN_H4(s, n, d) WORD $(0x0F008C00|((32-(s))<<16)|((n)<<5)|(d))
#define VRSHRN2_H8(s, n, d) WORD $(0x4F008C00|((32-(s))<<16)|((n)<<5)|(d))
#define VRSHRN_B8(s, n, d) WORD $(0x0F008C00|((16-(s))<<16)|((n)<<5)|(d))
#define VSHRN_B8(s, n, d) WORD $(0x0F008400|((16-(s))<<16)|((n)<<5)|(d))
// d = n * m, unsigned bytes to 16 bits; d += n * m, 16 bits
#define VUMULL_H8(m, n, d) WORD $(0x2E20C000|((m)<<16)|((n)<<5)|(d))
#define VMLA_H8(m, n, d) WORD $(0x4E609400|((m)<<16)|((n)<<5)|(d))
// d = n * m, of the lower halves; d += n * m, of the upper ones; signed 16 bits to 32
#define VSMULL_S4(m, n, d) WORD $(0x0E60C000|((m)<<16)|((n)<<5)|(d))
#define VSMLAL2_S4(m, n, d) WORD $(0x4E608000|((m)<<16)|((n)<<5)|(d))
// d = n * m, d += n * m, signed bytes to 16 bits, lower halves; d += sums of pairs of n, 16 bits to 32
#define VSMULL_H8(m, n, d) WORD $(0x0E20C000|((m)<<16)|((n)<<5)|(d))
#define VSMLAL_H8(m, n, d) WORD $(0x0E208000|((m)<<16)|((n)<<5)|(d))
#define VSADALP_S4(n, d) WORD $(0x4E606800|((n)<<5)|(d))
// d += n * m, of the lower halves, signed 16 bits to 32
#define VSMLAL_S4(m, n, d) WORD $(0x0E608000|((m)<<16)|((n)<<5)|(d))
// each lane of d += the four products of a lane of n and that of m, or m[i], signed bytes; needs dot products
#define VSDOT_S4(m, n, d) WORD $(0x4E809400|((m)<<16)|((n)<<5)|(d))
#define VSDOT_S4_LANE(m, i, n, d) WORD $(0x4F80E000|(((i)&1)<<21)|(((i)>>1)<<11)|((m)<<16)|((n)<<5)|(d))
// d = float32(n), signed
#define VSCVTF_S4(n, d) WORD $(0x4E21D800|((n)<<5)|(d))
// d = n * m, of the upper halves, signed 16 bits to 32
#define VSMULL2_S4(m, n, d) WORD $(0x4E60C000|((m)<<16)|((n)<<5)|(d))
// d = n - m, unsigned bytes to 16 bits, of the lower halves and the upper ones
#define VUSUBL_H8(m, n, d) WORD $(0x2E202000|((m)<<16)|((n)<<5)|(d))
#define VUSUBL2_H8(m, n, d) WORD $(0x6E202000|((m)<<16)|((n)<<5)|(d))
// d = max(n, m); the other one where one is NaN
#define VFMAXNM_S4(m, n, d) WORD $(0x4E20C400|((m)<<16)|((n)<<5)|(d))
