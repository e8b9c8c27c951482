package main

import (
	"fmt"
	"log"
	"math"
	"strings"
)

// elementwise describes a kernel that walks slices of one length: a number of
// vectors of four at a time, then one vector, then single elements.
//
// Instructions name registers in braces. Each vector in flight has its own
// copy of the locals; constants and parameters fill all lanes and are shared;
// a sum is a local that survives from one vector to the next, and has a copy
// of its own for single elements, of which only lane 0 counts.
type elementwise struct {
	name, sig, doc string
	size           int      // bytes of arguments
	unroll         int      // vectors at a time
	srcs           []string // locals loaded from the pointers that are not dst
	locals         []string // the others
	sum            string   // name of the sum, if there is one
	params         []string // float32 arguments, as in the signature
	consts         []constant
	before         []string // instructions ahead of the loops
	code           []string // instructions for one vector
	result         string   // local stored to R0, if there is one
	after          []string // instructions on sum0, sum1, ... and tail
}

// constant is a float32 value that fills a register.
type constant struct {
	name string
	bits uint32
	what string
}

func number(name string, x float32) constant {
	return constant{name, math.Float32bits(x), fmt.Sprintf("%s = %g", name, x)}
}

// emit writes the kernel.
func (e elementwise) emit(f *file) {
	f.text(e.name, e.sig, e.size, e.doc)
	if e.result != "" {
		f.op("MOVD dst+0(FP), R0")
	}
	src := 0
	for _, p := range e.parameters() {
		if p.typ == "*float32" && p.name != "dst" {
			f.op("MOVD %s, %s", p.operand, source(src))
			src++
		}
	}
	f.op("MOVD %s, R3", e.arg("n"))

	shared := e.shared(f)
	for _, l := range e.before {
		f.op("%s", fill(l, shared))
	}
	e.loop(f, "main", 4*e.unroll, shared)
	e.loop(f, "vector", 4, shared)
	e.loop(f, "single", 1, shared)
	f.label("end")
	for _, l := range e.after {
		f.op("%s", fill(l, shared))
	}
	f.op("RET")
}

// source names the register that walks over source i; R3 counts.
func source(i int) string { return fmt.Sprintf("R%d", []int{1, 2, 4, 5, 6}[i]) }

// param is one parameter and its operand in the argument frame.
type param struct{ name, typ, operand string }

// parameters parses the signature.
func (e elementwise) parameters() []param {
	list, _, _ := strings.Cut(strings.TrimPrefix(e.sig, "("), ")")
	var ps []param
	for p := range strings.SplitSeq(list, ", ") {
		name, typ, _ := strings.Cut(p, " ")
		ps = append(ps, param{name: name, typ: typ})
	}
	for i := len(ps) - 2; i >= 0; i-- {
		if ps[i].typ == "" {
			ps[i].typ = ps[i+1].typ
		}
	}
	offset := 0
	for i, p := range ps {
		size := map[string]int{"*float32": 8, "int": 8, "float32": 4}[p.typ]
		offset = (offset + size - 1) / size * size
		ps[i].operand = fmt.Sprintf("%s+%d(FP)", p.name, offset)
		offset += size
	}
	return ps
}

// arg returns the frame operand of a parameter.
func (e elementwise) arg(name string) string {
	for _, p := range e.parameters() {
		if p.name == name {
			return p.operand
		}
	}
	log.Fatalf("%s has no parameter %s", e.name, name)
	return ""
}

// shared gives registers to what all vectors share, from V31 down, and loads
// the parameters and constants.
func (e elementwise) shared(f *file) map[string]int {
	regs := map[string]int{}
	next := 31
	take := func(name string) int {
		regs[name] = next
		next--
		return next + 1
	}
	for _, p := range e.params {
		v := take(p)
		f.op("FMOVS %s, F%d", e.arg(p), v)
		f.op("VDUP V%d.S[0], V%d.S4", v, v)
	}
	for _, c := range e.consts {
		f.float(c.bits, take(c.name), c.what)
	}
	if e.sum != "" {
		for g := range e.unroll {
			take(fmt.Sprintf("%s%d", e.sum, g))
		}
		take("tail")
	}
	if used := e.unroll * (len(e.srcs) + len(e.locals)); used > next+1 {
		log.Fatalf("%s: %d registers too many", e.name, used-next-1)
	}
	return regs
}

// group returns the registers of vector g of a loop.
func (e elementwise) group(g int, single bool, shared map[string]int) map[string]int {
	regs := map[string]int{}
	for name, r := range shared {
		regs[name] = r
	}
	locals := append(append([]string{}, e.srcs...), e.locals...)
	for i, name := range locals {
		regs[name] = g*len(locals) + i
	}
	if e.sum != "" {
		regs[e.sum] = shared[fmt.Sprintf("%s%d", e.sum, g)]
		if single {
			regs[e.sum] = shared["tail"]
		}
	}
	return regs
}

// loop writes the loop that does n elements at a time.
func (e elementwise) loop(f *file, name string, n int, shared map[string]int) {
	single := n == 1
	groups := make([]map[string]int, max(n/4, 1))
	for g := range groups {
		groups[g] = e.group(g, single, shared)
	}
	exit := map[string]string{"main": "tovector", "vector": "tosingle", "single": "end"}[name]
	f.op("SUBS $%d, R3", n)
	f.op("BLT %s", exit)
	f.loop("%s", name)
	for i, s := range e.srcs {
		e.move(f, groups, s, source(i), single, true)
	}
	for _, l := range e.code {
		if comment, ok := strings.CutPrefix(l, "// "); ok {
			f.rem("%s", comment)
			continue
		}
		for _, regs := range groups {
			f.op("%s", fill(l, regs))
		}
	}
	if e.result != "" {
		e.move(f, groups, e.result, "R0", single, false)
	}
	f.op("SUBS $%d, R3", n)
	f.op("BGE %s", name)
	if !single {
		f.label("%s", exit)
		f.op("ADD $%d, R3", n)
	}
}

// move loads or stores one local of every vector, in pairs where it can.
func (e elementwise) move(f *file, groups []map[string]int, name, r string, single, load bool) {
	for g := 0; g < len(groups); g++ {
		op, step, regs := "FMOVQ", 16, fmt.Sprintf("F%d", groups[g][name])
		switch {
		case single:
			op, step = "FMOVS", 4
		case g+1 < len(groups):
			g++
			regs = fmt.Sprintf("(%s, F%d)", regs, groups[g][name])
			op, step = "FSTPQ", 32
			if load {
				op = "FLDPQ"
			}
		}
		if load {
			f.op("%s.P %d(%s), %s", op, step, r, regs)
		} else {
			f.op("%s.P %s, %d(%s)", op, regs, step, r)
		}
	}
}

// fill replaces names in braces by register numbers.
func fill(line string, regs map[string]int) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(line, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		r, ok := regs[name]
		if !ok {
			log.Fatalf("no register is named %q", name)
		}
		fmt.Fprint(&b, r)
		line = after
	}
}

// binaries are the functions of two operands: a and b make y.
var binaries = []struct {
	name, expr string
	locals     []string
	code       []string
	result     string
}{
	{"Add", "a[i] + b[i]", nil, []string{"VFADD_S4({b}, {a}, {a})"}, "a"},
	{"Sub", "a[i] - b[i]", nil, []string{"VFSUB_S4({b}, {a}, {a})"}, "a"},
	{"Mul", "a[i] * b[i]", nil, []string{"VFMUL_S4({b}, {a}, {a})"}, "a"},
	{"Div", "a[i] / b[i]", nil, []string{"VFDIV_S4({b}, {a}, {a})"}, "a"},
	{"Minimum", "min(a[i], b[i])", nil, []string{"VFMIN_S4({b}, {a}, {a})"}, "a"},
	{"Maximum", "max(a[i], b[i])", nil, []string{"VFMAX_S4({b}, {a}, {a})"}, "a"},
	{"PRelu", "a[i] < 0 ? a[i]*b[i] : a[i]", []string{"y", "neg"}, []string{
		"VFCMLTZ_S4({a}, {neg})",
		"VFMUL_S4({b}, {a}, {y})",
		"VBIT V{neg}.B16, V{y}.B16, V{a}.B16",
	}, "a"},
}

func vectorFile(f *file) {
	for _, b := range binaries {
		e := elementwise{
			name: "f32" + b.name + "NEON", sig: "(dst, a, b *float32, n int)", size: 32,
			srcs: []string{"a", "b"}, locals: b.locals, code: b.code, result: b.result, unroll: 4,
		}
		e.doc = fmt.Sprintf("%s computes\n\n\tfor i := range n {\n\t\tdst[i] = %s\n\t}", e.name, b.expr)
		e.emit(f)
		e.name = "f32" + b.name + "ScalarNEON"
		e.sig = "(dst, a *float32, b float32, n int)"
		e.srcs, e.params = []string{"a"}, []string{"b"}
		e.doc = fmt.Sprintf("%s computes\n\n\tfor i := range n {\n\t\tdst[i] = %s\n\t}", e.name, strings.ReplaceAll(b.expr, "b[i]", "b"))
		e.emit(f)
	}
	for _, sum := range []bool{false, true} {
		norm(f, sum, false)
		norm(f, sum, true)
	}
	zip(f)
	even(f)
	elementwise{
		name: "f32LerpNEON", sig: "(dst, a, b *float32, t float32, n int)", size: 40,
		doc:  "f32LerpNEON computes, the product rounded,\n\n\tfor i := range n {\n\t\tdst[i] = a[i] + (b[i]-a[i])*t\n\t}",
		srcs: []string{"a", "b"}, params: []string{"t"}, unroll: 4,
		code:   []string{"VFSUB_S4({a}, {b}, {b})", "VFMUL_S4({t}, {b}, {b})", "VFADD_S4({b}, {a}, {a})"},
		result: "a",
	}.emit(f)
	elementwise{
		name: "f32MaxNEON", sig: "(a *float32, n int) float32", size: 20,
		doc:  "f32MaxNEON computes, for n > 0,\n\n\tm := a[0]\n\tfor i := range n {\n\t\tm = max(m, a[i])\n\t}\n\treturn m",
		srcs: []string{"a"}, sum: "m", unroll: 4,
		before: []string{
			"VLD1R (R1), [V{m0}.S4]",
			"VMOV V{m0}.B16, V{m1}.B16", "VMOV V{m0}.B16, V{m2}.B16",
			"VMOV V{m0}.B16, V{m3}.B16", "VMOV V{m0}.B16, V{tail}.B16",
		},
		code: []string{"VFMAX_S4({a}, {m}, {m})"},
		after: []string{
			"VFMAX_S4({m1}, {m0}, {m0})", "VFMAX_S4({m3}, {m2}, {m2})", "VFMAX_S4({m2}, {m0}, {m0})",
			"VFMAXV_S4({m0}, {m0})", "VFMAX_S4({tail}, {m0}, {m0})",
			"FMOVS F{m0}, ret+16(FP)",
		},
	}.emit(f)
}

// norm writes the scale and shift of channels, behind a sum or not and with a
// PRelu or not.
func norm(f *file, sum, prelu bool) {
	name, pointers, formula := "Norm", "dst, a, ", "v := a[i]"
	e := elementwise{srcs: []string{"a"}, size: 40, unroll: 2, result: "a"}
	if sum {
		name, pointers, formula = "Sum"+name, pointers+"r, ", formula+" + r[i]"
		e.srcs, e.code, e.size = append(e.srcs, "r"), []string{"VFADD_S4({r}, {a}, {a})"}, e.size+8
	}
	pointers, formula = pointers+"scale, shift", formula+"\n\t\tv = v*scale[i] + shift[i]"
	e.srcs = append(e.srcs, "scale", "shift")
	e.code = append(e.code, "VFMUL_S4({scale}, {a}, {a})", "VFADD_S4({shift}, {a}, {a})")
	if prelu {
		name, pointers, formula = name+"PRelu", pointers+", slope", formula+"\n\t\tif v < 0 {\n\t\t\tv *= slope[i]\n\t\t}"
		e.srcs, e.locals, e.size = append(e.srcs, "slope"), []string{"neg"}, e.size+8
		e.code = append(e.code, "VFCMLTZ_S4({a}, {neg})", "VFMUL_S4({slope}, {a}, {slope})", "VBIT V{neg}.B16, V{slope}.B16, V{a}.B16")
	}
	e.name, e.sig = "f32"+name+"NEON", "("+pointers+" *float32, n int)"
	e.doc = fmt.Sprintf("%s computes, every product and sum rounded,\n\n\tfor i := range n {\n\t\t%s\n\t\tdst[i] = v\n\t}", e.name, formula)
	e.emit(f)
}

// zip writes the interleaving of two slices.
func zip(f *file) {
	f.text("f32ZipNEON", "(dst, a, b *float32, n int)", 32, "f32ZipNEON computes\n\n\tfor i := range n {\n\t\tdst[2*i], dst[2*i+1] = a[i], b[i]\n\t}")
	f.op("MOVD dst+0(FP), R0")
	f.op("MOVD a+8(FP), R1")
	f.op("MOVD b+16(FP), R2")
	f.op("MOVD n+24(FP), R3")
	f.op("SUBS $4, R3")
	f.op("BLT tosingle")
	f.loop("vector")
	f.op("FMOVQ.P 16(R1), F0")
	f.op("FMOVQ.P 16(R2), F1")
	f.op("VZIP1 V1.S4, V0.S4, V2.S4")
	f.op("VZIP2 V1.S4, V0.S4, V3.S4")
	f.op("FSTPQ.P (F2, F3), 32(R0)")
	f.op("SUBS $4, R3")
	f.op("BGE vector")
	f.label("tosingle")
	f.op("ADD $4, R3")
	f.op("SUBS $1, R3")
	f.op("BLT end")
	f.loop("single")
	f.op("FMOVS.P 4(R1), F0")
	f.op("FMOVS.P 4(R2), F1")
	f.op("FMOVS.P F0, 4(R0)")
	f.op("FMOVS.P F1, 4(R0)")
	f.op("SUBS $1, R3")
	f.op("BGE single")
	f.label("end")
	f.op("RET")
}

// even writes the gathering of every other element. Whole vectors end before
// the last element, since they read what is behind theirs.
func even(f *file) {
	f.text("f32EvenNEON", "(dst, src *float32, n int)", 24, "f32EvenNEON computes\n\n\tfor i := range n {\n\t\tdst[i] = src[2*i]\n\t}")
	f.op("MOVD dst+0(FP), R0")
	f.op("MOVD src+8(FP), R1")
	f.op("MOVD n+16(FP), R3")
	f.op("SUBS $5, R3")
	f.op("BLT tosingle")
	f.loop("vector")
	f.op("FLDPQ.P 32(R1), (F0, F1)")
	f.op("VUZP1 V1.S4, V0.S4, V2.S4")
	f.op("FMOVQ.P F2, 16(R0)")
	f.op("SUBS $4, R3")
	f.op("BGE vector")
	f.label("tosingle")
	f.op("ADD $5, R3")
	f.op("SUBS $1, R3")
	f.op("BLT end")
	f.loop("single")
	f.op("FMOVS.P 8(R1), F0")
	f.op("FMOVS.P F0, 4(R0)")
	f.op("SUBS $1, R3")
	f.op("BGE single")
	f.label("end")
	f.op("RET")
}
