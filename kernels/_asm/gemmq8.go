package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// q8Form is how the kernels of one instruction set multiply 8-bit numbers. A
// group of kr steps of K is 4 bytes of A, whatever the form.
type q8Form struct {
	suffix string // of the names of kernels
	mr, kr int    // rows of the largest tile, steps of K in a group
	// step multiplies group k+u of every row with row u of the groups of weights.
	step func(g *gemmQ8, k reg.GPVirtual, u int)
}

// q8Pairs widens weights to int16 and multiplies pairs of steps.
var q8Pairs = q8Form{suffix: "AVX2", mr: 6, kr: 2, step: (*gemmQ8).stepPairs}

// name returns the name of a kernel.
func (f q8Form) name(name string) string { return "q8" + name + f.suffix }

// gemmQ8 is the state of one kernel being generated.
type gemmQ8 struct {
	gemm
	form q8Form
}

// gemmsQ8 generates the tile kernels for every number of rows, with all columns
// and with half of them. Those of the most rows go on to the next rows.
func gemmsQ8() { q8Pairs.gemms() }

func (f q8Form) gemms() {
	for _, indirect := range []bool{false, true} {
		for _, cols := range []int{gemmNR(), gemmNR() / 2} {
			for m := 1; m <= f.mr; m++ {
				f.gemm(m, cols, indirect)
			}
		}
	}
}

// gemm generates one kernel: rows x cols of a tile, reading the rows of A at a
// stride or through the offset table.
func (f q8Form) gemm(rows, cols int, indirect bool) {
	name, row := "Gemm", "A + m·AStride"
	loop := "\tfor k := range a.K {"
	if indirect {
		name, row = "Igemm", "A + Offsets[m·Taps+t], or ZeroA"
		loop = "\tfor t := range a.Taps { for k := range a.K {"
	}
	name = f.name(fmt.Sprintf("%s%dx%d", name, rows, cols))
	what := "a tile"
	if rows == f.mr {
		what = "one or more tiles"
	}
	g := gemmQ8{gemm: gemm{vectors: cols / vecLen}, form: f}
	g.args = text(name, "gemmQ8", "GemmQ8",
		fmt.Sprintf("%s computes %s of %d rows and 1 to %d columns of panels of %d:", name, what, rows, cols, gemmNR()),
		"",
		fmt.Sprintf("\tacc[m][n] = bias[n] for m < %d, n < N", rows),
		loop,
		"\t\tacc[m][n] += row(m)[k] · w[k][n]",
		"\t}",
		"\tC[m][n] = round(clamp(acc[m][n]·scale[n], Min, Max)) + Zero, or a float32",
		"",
		"Row m starts at "+row+".")
	for range rows {
		g.acc = append(g.acc, vecs(g.vectors))
		g.row = append(g.row, GP64())
	}
	if rows == f.mr {
		g.copyMoving("A", "Offsets", "C", "M")
		Label("tile")
	}
	g.w = g.args.load("W")
	for v := range g.vectors {
		VMOVUPS(Mem{Base: g.w, Disp: vecBytes * v}, g.acc[0][v])
		for _, r := range g.acc[1:] {
			VMOVAPS(g.acc[0][v], r[v])
		}
	}
	ADDQ(U32(8*gemmNR()), g.w)
	if indirect {
		g.taps("ZeroA", g.dot)
	} else {
		stride := g.args.load("AStride")
		MOVQ(g.field("A"), g.row[0])
		for i := 1; i < rows; i++ {
			LEAQ(Mem{Base: g.row[i-1], Index: stride, Scale: 1}, g.row[i])
		}
		g.dot()
	}
	if target.wide {
		g.wideEpilogue(cols)
	} else {
		g.epilogue(cols)
	}
	if rows == f.mr {
		g.next(indirect)
	}
	VZEROUPPER()
	RET()
}

// rowBytes returns the bytes of a row of groups of weights.
func (g *gemmQ8) rowBytes() int { return gemmNR() * g.form.kr }

// dot adds K products to every accumulator and moves w past the rows read.
func (g *gemmQ8) dot() {
	k, end := GP64(), GP64()
	XORQ(k, k)
	MOVQ(g.args.field("K"), end)
	ADDQ(U8(g.form.kr-1), end)
	for kr := g.form.kr; kr > 1; kr /= 2 {
		SHRQ(U8(1), end)
	}
	SUBQ(U8(gemmUnroll-1), end)
	CMPQ(k, end)
	JGE(LabelRef("single"))
	Label("unrolled")
	for u := range gemmUnroll {
		g.form.step(g, k, u)
	}
	ADDQ(U32(g.rowBytes()*gemmUnroll), g.w)
	ADDQ(U8(gemmUnroll), k)
	CMPQ(k, end)
	JLT(LabelRef("unrolled"))
	Label("single")
	ADDQ(U8(gemmUnroll-1), end)
	JMP(LabelRef("singleTest"))
	Label("singleStep")
	g.form.step(g, k, 0)
	ADDQ(U32(g.rowBytes()), g.w)
	INCQ(k)
	Label("singleTest")
	CMPQ(k, end)
	JLT(LabelRef("singleStep"))
}

// stepPairs is the step of q8Pairs.
func (g *gemmQ8) stepPairs(k reg.GPVirtual, u int) {
	w := vecs(g.vectors)
	for v := range w {
		VPMOVSXBW(Mem{Base: g.w, Disp: g.rowBytes()*u + vecBytes/2*v}, w[v])
	}
	for i, r := range g.row {
		// Both products before both sums: measured to be 4 % faster.
		y := vecs(g.vectors)
		x := y[len(y)-1]
		VPBROADCASTD(Mem{Base: r, Index: k, Scale: 4, Disp: 4 * u}, x)
		for v := range w {
			VPMADDWD(x, w[v], y[v])
		}
		for v := len(y) - 1; v >= 0; v-- {
			VPADDD(y[v], g.acc[i][v], g.acc[i][v])
		}
	}
}

// epilogue turns the sums into results and stores them.
func (g *gemmQ8) epilogue(cols int) {
	n, stride, scale := g.args.load("N"), g.args.load("CStride"), g.args.load("W")
	c := g.row
	MOVQ(g.field("C"), c[0])
	for i := 1; i < len(c); i++ {
		LEAQ(Mem{Base: c[i-1], Index: stride, Scale: 1}, c[i])
	}
	hi := vec()
	VBROADCASTSS(g.args.field("Max"), hi)
	for _, r := range g.acc {
		for v, x := range r {
			VCVTDQ2PS(x, x)
			VMULPS(Mem{Base: scale, Disp: 4*gemmNR() + vecBytes*v}, x, x)
			VMINPS(x, hi, x)
		}
	}
	CMPL(g.args.field("Float"), U8(0))
	JNE(LabelRef("float"))
	packed := newBytes(g.args).rows(g.acc)
	CMPQ(n, U8(cols))
	JLT(LabelRef("partial"))
	storeRows(packed, c, cols)
	g.done()
	Label("partial")
	storeByteBits("bytes", splitRows(packed, len(c), cols), c, n, cols)
	g.done()

	Label("float")
	lo := vec()
	VBROADCASTSS(g.args.field("Min"), lo)
	for _, r := range g.acc {
		for _, x := range r {
			VMAXPS(x, lo, x)
		}
	}
	CMPQ(n, U8(cols))
	JLT(LabelRef("partialFloat"))
	for i, r := range g.acc {
		for v, x := range r {
			VMOVUPS(x, Mem{Base: c[i], Disp: vecBytes * v})
		}
	}
	g.done()
	Label("partialFloat")
	storeTail("store", g.acc, c, n, nil)
}

// done ends a tile.
func (g *gemmQ8) done() {
	if len(g.row) == g.form.mr {
		JMP(LabelRef("next"))
		return
	}
	VZEROUPPER()
	RET()
}

// bytes holds what float32 numbers that are at most Max need to become uint8.
// Rounding keeps the order of numbers, so the lower limit may come after it;
// numbers too small for an int32 become the smallest, which saturates.
type bytes struct {
	zero  Op // the zero point in every int16
	least Op // the least result in every byte
}

// newBytes loads Zero and Min of the arguments.
func newBytes(a args) bytes {
	b := bytes{vec(), vec()}
	VPBROADCASTD(a.field("Zero"), b.zero)
	VBROADCASTSS(a.field("Min"), b.least)
	VCVTPS2DQ(b.least, b.least)
	VPADDD(b.zero, b.least, b.least)
	VPACKSSDW(b.least, b.least, b.least)
	VPACKUSWB(b.least, b.least, b.least)
	VPACKSSDW(b.zero, b.zero, b.zero)
	return b
}

// pack rounds four vectors and puts their bytes into a. Each half of it has four
// bytes of each vector.
func (b bytes) pack(a, c, d, e reg.VecVirtual) {
	b.words(a, c)
	if d != a {
		b.words(d, e)
	}
	VPACKUSWB(d, a, a)
	VPMAXUB(b.least, a, a)
}

// words rounds two vectors and packs them into x.
func (b bytes) words(x, y reg.VecVirtual) {
	VCVTPS2DQ(x, x)
	if y != x {
		VCVTPS2DQ(y, y)
	}
	VPACKSSDW(y, x, x)
	VPADDSW(b.zero, x, x)
}

// rows rounds rows of one or two vectors and packs them into as many registers
// as it takes, four or two rows in each, one after the other.
func (b bytes) rows(rows [][]reg.VecVirtual) []reg.VecVirtual {
	var all, packed []reg.VecVirtual
	for _, r := range rows {
		all = append(all, r...)
	}
	order := vec()
	VMOVDQU(quadOrder(), order)
	for len(all) > 0 {
		four := [4]reg.VecVirtual{all[0], all[0], all[0], all[0]}
		n := copy(four[:], all)
		if n == 3 {
			four[3] = four[2]
		} else if n == 2 {
			four[2], four[3] = four[0], four[1]
		}
		all = all[n:]
		b.pack(four[0], four[1], four[2], four[3])
		VPERMD(four[0], order, four[0])
		packed = append(packed, four[0])
	}
	return packed
}

// quadOrder returns memory with the order in which VPERMD puts those groups of
// four bytes together that are of one vector.
func quadOrder() Mem {
	if m, ok := consts["quadOrder"]; ok {
		return m
	}
	m := GLOBL("quadOrder", RODATA|NOPTR)
	for i, v := range []uint32{0, 4, 1, 5, 2, 6, 3, 7} {
		DATA(4*i, U32(v))
	}
	consts["quadOrder"] = m
	return m
}

// storeRows stores whole rows of cols bytes from what bytes.rows returned.
func storeRows(packed []reg.VecVirtual, c []reg.GPVirtual, cols int) {
	for i, p := range c {
		from := packed[i*cols/32]
		switch i * cols % 32 {
		case 0, 16:
			if i*cols%32 == 16 {
				VEXTRACTI128(U8(1), from, from.AsX())
			}
			if cols == 16 {
				VMOVDQU(from.AsX(), Mem{Base: p})
			} else {
				VMOVQ(from.AsX(), Mem{Base: p})
			}
		default:
			VMOVHPS(from.AsX(), Mem{Base: p})
		}
	}
}

// splitRows returns a register for every row of what bytes.rows returned.
func splitRows(packed []reg.VecVirtual, rows, cols int) []reg.VecVirtual {
	split := make([]reg.VecVirtual, rows)
	for i := rows - 1; i >= 0; i-- {
		from, at := packed[i*cols/32], i*cols%32
		if at == 0 {
			split[i] = from
			continue
		}
		split[i] = vec()
		if at >= 16 {
			VEXTRACTI128(U8(1), from, split[i].AsX())
			from = split[i]
		}
		if at%16 == 8 {
			VPSRLDQ(U8(8), from.AsX(), split[i].AsX())
		}
	}
	return split
}

// storeByteBits writes the first n bytes of each row, fewer than cols, with a
// store for each bit of n. It consumes the rows and pointers.
func storeByteBits(label string, rows []reg.VecVirtual, ptrs []reg.GPVirtual, n reg.GPVirtual, cols int) {
	for size := cols / 2; size > 0; size /= 2 {
		skip := fmt.Sprintf("%s%d", label, size)
		TESTQ(U32(uint32(size)), n)
		JZ(LabelRef(skip))
		for i, r := range rows {
			x, m := r.AsX(), Mem{Base: ptrs[i]}
			switch size {
			case 8:
				VMOVQ(x, m)
			case 4:
				VMOVD(x, m)
			case 2:
				VPEXTRW(U8(0), x, m)
			case 1:
				VPEXTRB(U8(0), x, m)
				continue
			}
			VPSRLDQ(U8(size), x, x)
			ADDQ(U8(size), ptrs[i])
		}
		Label(skip)
	}
}
