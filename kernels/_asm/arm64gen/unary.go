package main

import (
	"fmt"
	"math"
	"slices"
)

// expConsts are the constants of expCode. The split of ln 2 and the
// polynomial are expf's in the Cephes library.
var expConsts = []constant{
	number("lo", -104), // exp(-104) rounds to 0
	number("hi", 89),   // exp(89) overflows
	number("log2e", math.Log2E),
	number("ln2hi", 0.693359375),
	number("ln2lo", -2.12194440e-4),
	number("c0", 5.0000001201e-1),
	number("c1", 1.6666665459e-1),
	number("c2", 4.1665795894e-2),
	number("c3", 8.3334519073e-3),
	number("c4", 1.3981999507e-3),
	number("c5", 1.9875691500e-4),
	number("one", 1),
}

// expCode replaces x by exp(x) and needs n, t and u.
var expCode = []string{
	"// x = n·ln2 + r, |r| <= ln2/2; r replaces x",
	"VFMAX_S4({lo}, {x}, {x})",
	"VFMIN_S4({hi}, {x}, {x})",
	"VFMUL_S4({log2e}, {x}, {n})",
	"VFRINTN_S4({n}, {n})",
	"VFMLS V{ln2hi}.S4, V{n}.S4, V{x}.S4",
	"VFMLS V{ln2lo}.S4, V{n}.S4, V{x}.S4",
	"VFCVTNS_S4({n}, {n})",
	"// exp(r) = 1 + r + r²·(c0 + r·(c1 + r·(c2 + r·(c3 + r·(c4 + r·c5)))))",
	"VMOV V{c4}.B16, V{t}.B16",
	"VFMLA V{c5}.S4, V{x}.S4, V{t}.S4",
	"VMOV V{c3}.B16, V{u}.B16",
	"VFMLA V{t}.S4, V{x}.S4, V{u}.S4",
	"VMOV V{c2}.B16, V{t}.B16",
	"VFMLA V{u}.S4, V{x}.S4, V{t}.S4",
	"VMOV V{c1}.B16, V{u}.B16",
	"VFMLA V{t}.S4, V{x}.S4, V{u}.S4",
	"VMOV V{c0}.B16, V{t}.B16",
	"VFMLA V{u}.S4, V{x}.S4, V{t}.S4",
	"VFMUL_S4({x}, {x}, {u})",
	"VFMLA V{u}.S4, V{t}.S4, V{x}.S4",
	"VFADD_S4({one}, {x}, {x})",
	"// times 2^n in two steps, because 2^n alone may not be a float32",
	"VSSHR_S4(1, {n}, {t})",
	"VSUB V{t}.S4, V{n}.S4, V{n}.S4",
	"VSHL $23, V{t}.S4, V{t}.S4",
	"VSHL $23, V{n}.S4, V{n}.S4",
	"VADD V{one}.S4, V{t}.S4, V{t}.S4",
	"VADD V{one}.S4, V{n}.S4, V{n}.S4",
	"VFMUL_S4({t}, {x}, {x})",
	"VFMUL_S4({n}, {x}, {x})",
}

// expLocals are the registers of expCode beside x.
var expLocals = []string{"n", "t", "u"}

// reciprocal replaces x, at least 1 or NaN, by 1/x and needs t and u: an
// estimate of 8 bits and two Newton steps, which small cores pipeline and a
// division they do not.
var reciprocal = []string{
	"// x = 1/x",
	"VFRECPE_S4({x}, {t})",
	"VFRECPS_S4({t}, {x}, {u})",
	"VFMUL_S4({u}, {t}, {t})",
	"VFRECPS_S4({t}, {x}, {u})",
	"VFMUL_S4({u}, {t}, {x})",
}

// erfConsts are the constants of erfCode, with the coefficients of Eigen's
// generic_fast_erf_float.
var erfConsts = []constant{
	number("lo", -4), // erf(4) rounds to 1
	number("hi", 4),
	number("p0", -1.60960333262415e-02),
	number("p1", -2.95459980854025e-03),
	number("p2", -7.34990630326855e-04),
	number("p3", -5.69250639462346e-05),
	number("p4", -2.10102402082508e-06),
	number("p5", 2.77068142495902e-08),
	number("p6", -2.72614225801306e-10),
	number("q0", -1.42647390514189e-02),
	number("q1", -7.37332916720468e-03),
	number("q2", -1.68282697438203e-03),
	number("q3", -2.13374055278905e-04),
	number("q4", -1.45660718464996e-05),
}

// erfCode replaces x by erf(x) and needs n, t and u.
var erfCode = []string{
	"VFMAX_S4({lo}, {x}, {x})",
	"VFMIN_S4({hi}, {x}, {x})",
	"// t = p0 + n·(p1 + n·(p2 + n·(p3 + n·(p4 + n·(p5 + n·p6))))), n = x²",
	"VFMUL_S4({x}, {x}, {n})",
	"VMOV V{p5}.B16, V{t}.B16",
	"VFMLA V{p6}.S4, V{n}.S4, V{t}.S4",
	"VMOV V{p4}.B16, V{u}.B16",
	"VFMLA V{t}.S4, V{n}.S4, V{u}.S4",
	"VMOV V{p3}.B16, V{t}.B16",
	"VFMLA V{u}.S4, V{n}.S4, V{t}.S4",
	"VMOV V{p2}.B16, V{u}.B16",
	"VFMLA V{t}.S4, V{n}.S4, V{u}.S4",
	"VMOV V{p1}.B16, V{t}.B16",
	"VFMLA V{u}.S4, V{n}.S4, V{t}.S4",
	"VMOV V{p0}.B16, V{u}.B16",
	"VFMLA V{t}.S4, V{n}.S4, V{u}.S4",
	"VFMUL_S4({u}, {x}, {x})",
	"// t = q0 + n·(q1 + n·(q2 + n·(q3 + n·q4)))",
	"VMOV V{q3}.B16, V{t}.B16",
	"VFMLA V{q4}.S4, V{n}.S4, V{t}.S4",
	"VMOV V{q2}.B16, V{u}.B16",
	"VFMLA V{t}.S4, V{n}.S4, V{u}.S4",
	"VMOV V{q1}.B16, V{t}.B16",
	"VFMLA V{u}.S4, V{n}.S4, V{t}.S4",
	"VMOV V{q0}.B16, V{u}.B16",
	"VFMLA V{t}.S4, V{n}.S4, V{u}.S4",
	"VFDIV_S4({u}, {x}, {x})",
}

// erfLocals are the registers of erfCode beside x.
var erfLocals = []string{"n", "t", "u"}

// tanhConsts are the further constants of tanh; the polynomial is tanhf's in
// the Cephes library.
var tanhConsts = []constant{
	number("small", 0.625),
	{"sign", 1 << 31, "sign bit"},
	number("d0", -3.33332819422e-1),
	number("d1", 1.33314422036e-1),
	number("d2", -5.37397155531e-2),
	number("d3", 2.06390887954e-2),
	number("d4", -5.70498872745e-3),
}

// unaries are the functions of one operand and the parameters p and q.
var unaries = []elementwise{
	{
		name: "Clamp", doc: "min(max(x, p), q)",
		srcs: []string{"x"}, params: []string{"p", "q"}, unroll: 4, result: "x",
		code: []string{"VFMAX_S4({p}, {x}, {x})", "VFMIN_S4({q}, {x}, {x})"},
	},
	{
		name: "LeakyRelu", doc: "x < 0 ? p*x : x",
		srcs: []string{"x"}, locals: []string{"y", "neg"}, params: []string{"p"}, unroll: 4, result: "x",
		code: []string{
			"VFCMLTZ_S4({x}, {neg})",
			"VFMUL_S4({p}, {x}, {y})",
			"VBIT V{neg}.B16, V{y}.B16, V{x}.B16",
		},
	},
	{
		name: "Sigmoid", doc: "1 / (1 + exp(-x))",
		srcs: []string{"x"}, locals: expLocals, consts: expConsts, unroll: 4, result: "x",
		code: slices.Concat([]string{"VFNEG_S4({x}, {x})"}, expCode, []string{"VFADD_S4({one}, {x}, {x})"}, reciprocal),
	},
	{
		name: "SiLU", doc: "x / (1 + exp(-p*x))",
		srcs: []string{"v"}, locals: append(expLocals, "x"), params: []string{"p"}, consts: expConsts, unroll: 3, result: "x",
		code: slices.Concat([]string{"VFMUL_S4({p}, {v}, {x})", "VFNEG_S4({x}, {x})"}, expCode,
			[]string{"VFADD_S4({one}, {x}, {x})"}, reciprocal, []string{"VFMUL_S4({v}, {x}, {x})"}),
	},
	{
		name: "HardSigmoid", doc: "min(max(p*x + q, 0), 1) // the product rounded",
		srcs: []string{"x"}, params: []string{"p", "q"}, consts: unit, unroll: 4, result: "x",
		code: hardSigmoid("x"),
	},
	{
		name: "HardSwish", doc: "x * min(max(p*x + q, 0), 1) // the inner product rounded",
		srcs: []string{"x"}, locals: []string{"y"}, params: []string{"p", "q"}, consts: unit, unroll: 4, result: "y",
		code: append(hardSigmoid("y"), "VFMUL_S4({x}, {y}, {y})"),
	},
	{
		name: "Tanh", doc: "|x| < 0.625 ? polynomial(x) : copysign(1 - 2/(exp(|2x|)+1), x)",
		srcs: []string{"v"}, locals: append(expLocals, "x"), consts: slices.Concat(expConsts, tanhConsts), unroll: 2, result: "n",
		code: slices.Concat([]string{"VFABS_S4({v}, {x})", "VFADD_S4({x}, {x}, {x})"}, expCode, []string{"VFADD_S4({one}, {x}, {x})"}, reciprocal, []string{
			"// x = copysign(1 - 2·x, v)",
			"VFADD_S4({x}, {x}, {x})",
			"VFSUB_S4({x}, {one}, {x})",
			"VBIT V{sign}.B16, V{v}.B16, V{x}.B16",
			"// u = v + v·n·(d0 + n·(d1 + n·(d2 + n·(d3 + n·d4)))), n = v²",
			"VFMUL_S4({v}, {v}, {n})",
			"VMOV V{d3}.B16, V{t}.B16",
			"VFMLA V{d4}.S4, V{n}.S4, V{t}.S4",
			"VMOV V{d2}.B16, V{u}.B16",
			"VFMLA V{t}.S4, V{n}.S4, V{u}.S4",
			"VMOV V{d1}.B16, V{t}.B16",
			"VFMLA V{u}.S4, V{n}.S4, V{t}.S4",
			"VMOV V{d0}.B16, V{u}.B16",
			"VFMLA V{t}.S4, V{n}.S4, V{u}.S4",
			"VFMUL_S4({n}, {u}, {t})",
			"VMOV V{v}.B16, V{u}.B16",
			"VFMLA V{t}.S4, V{v}.S4, V{u}.S4",
			"// n = |v| >= small ? x : u",
			"VFABS_S4({v}, {t})",
			"VFCMGE_S4({small}, {t}, {n})",
			"VBSL V{u}.B16, V{x}.B16, V{n}.B16",
		}),
	},
	{
		name: "Exp", doc: "exp(x)",
		srcs: []string{"x"}, locals: expLocals, consts: expConsts, unroll: 4, result: "x",
		code: expCode,
	},
	{
		name: "Erf", doc: "erf(x)",
		srcs: []string{"x"}, locals: erfLocals, consts: erfConsts, unroll: 4, result: "x",
		code: erfCode,
	},
	{
		name: "Gelu", doc: "x/2 + x/2*erf(x/sqrt(2))",
		srcs: []string{"v"}, locals: append(erfLocals, "x"), consts: slices.Concat(erfConsts, []constant{number("rsqrt2", math.Sqrt2/2), number("half", .5)}), unroll: 2, result: "n",
		code: slices.Concat([]string{"VFMUL_S4({rsqrt2}, {v}, {x})", "VFMUL_S4({half}, {v}, {v})"}, erfCode,
			[]string{"VMOV V{v}.B16, V{n}.B16", "VFMLA V{x}.S4, V{v}.S4, V{n}.S4"}),
	},
	{
		name: "Affine", doc: "p*x + q // the product rounded",
		srcs: []string{"x"}, params: []string{"p", "q"}, unroll: 4, result: "x",
		code: []string{"VFMUL_S4({p}, {x}, {x})", "VFADD_S4({q}, {x}, {x})"},
	},
}

var unit = []constant{number("zero", 0), number("one", 1)}

// hardSigmoid sets y to min(max(p·x+q, 0), 1).
func hardSigmoid(y string) []string {
	return []string{
		"VFMUL_S4({p}, {x}, {" + y + "})",
		"VFADD_S4({q}, {" + y + "}, {" + y + "})",
		"VFMAX_S4({zero}, {" + y + "}, {" + y + "})",
		"VFMIN_S4({one}, {" + y + "}, {" + y + "})",
	}
}

func unaryFile(f *file) {
	for _, e := range unaries {
		e.doc = fmt.Sprintf("f32%sNEON computes\n\n\tfor i := range n {\n\t\tx := src[i]\n\t\tdst[i] = %s\n\t}", e.name, e.doc)
		e.name = "f32" + e.name + "NEON"
		e.sig, e.size = "(dst, src *float32, p, q float32, n int)", 32
		e.emit(f)
	}
	elementwise{
		name: "f32ExpSumNEON", sig: "(dst, src *float32, shift float32, n int) float32", size: 36,
		doc:  "f32ExpSumNEON computes\n\n\tfor i := range n {\n\t\tdst[i] = exp(src[i] - shift)\n\t\tsum += dst[i]\n\t}\n\treturn sum",
		srcs: []string{"x"}, locals: expLocals, sum: "sum", params: []string{"shift"}, consts: expConsts, unroll: 2, result: "x",
		before: []string{
			"VEOR V{sum0}.B16, V{sum0}.B16, V{sum0}.B16",
			"VEOR V{sum1}.B16, V{sum1}.B16, V{sum1}.B16",
			"VEOR V{tail}.B16, V{tail}.B16, V{tail}.B16",
		},
		code: slices.Concat([]string{"VFSUB_S4({shift}, {x}, {x})"}, expCode, []string{"VFADD_S4({x}, {sum}, {sum})"}),
		after: []string{
			"VFADD_S4({sum1}, {sum0}, {sum0})",
			"VFADDP_S4({sum0}, {sum0}, {sum0})", "VFADDP_S4({sum0}, {sum0}, {sum0})",
			"VFADD_S4({tail}, {sum0}, {sum0})",
			"FMOVS F{sum0}, ret+32(FP)",
		},
	}.emit(f)
}
