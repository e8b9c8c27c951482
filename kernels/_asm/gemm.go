package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Steps of k in one turn of the loop.
const gemmUnroll = 4

// gemmNR returns the columns of a panel: two vectors, so that each element of
// A that is loaded feeds two multiplications.
func gemmNR() int { return 2 * vecLen }

// gemms generates the tile kernels for every number of rows, with all columns
// and with half of them. Those of the most rows go on to the next rows.
func gemms() {
	for _, indirect := range []bool{false, true} {
		for _, cols := range []int{gemmNR(), gemmNR() / 2} {
			for m := 1; m <= target.gemmMR; m++ {
				gemmTile(m, cols, indirect)
			}
		}
	}
}

// gemmTile generates one kernel: rows x cols of a tile, reading the rows of A
// at a stride or through the offset table.
func gemmTile(rows, cols int, indirect bool) {
	name, row := "Gemm", "A + m·AStride"
	loop := "\tfor k := range a.K {"
	if indirect {
		name, row = "Igemm", "A + Offsets[m·Taps+t], or Zero"
		loop = "\tfor t := range a.Taps { for k := range a.K {"
	}
	name = kernel(fmt.Sprintf("%s%dx%d", name, rows, cols))
	what := "a tile"
	if rows == target.gemmMR {
		what = "one or more tiles"
	}
	g := gemm{vectors: cols / vecLen}
	g.args = text(name, "gemmF32", "GemmF32",
		fmt.Sprintf("%s computes %s of %d rows and 1 to %d columns of panels of %d:", name, what, rows, cols, gemmNR()),
		"",
		fmt.Sprintf("\tacc[m][n] = bias[n] for m < %d, n < N", rows),
		loop,
		"\t\tacc[m][n] = fma(row(m)[k], w[k][n], acc[m][n])",
		"\t}",
		"\tC[m][n] = min(max(acc[m][n]+Res[m][n], Min), Max)",
		"",
		"Row m starts at "+row+".")
	for range rows {
		g.acc = append(g.acc, vecs(g.vectors))
		g.row = append(g.row, GP64())
	}
	if rows == target.gemmMR {
		g.copyMoving("A", "Offsets", "C", "Res", "M")
		Label("tile")
	}
	g.w = g.args.load("W")
	for v := range g.vectors {
		VMOVUPS(Mem{Base: g.w, Disp: vecBytes * v}, g.acc[0][v])
		for _, r := range g.acc[1:] {
			VMOVAPS(g.acc[0][v], r[v])
		}
	}
	ADDQ(U32(4*gemmNR()), g.w)
	if indirect {
		g.taps("Zero", g.dot)
	} else {
		stride := g.args.load("AStride")
		MOVQ(g.field("A"), g.row[0])
		for i := 1; i < rows; i++ {
			LEAQ(Mem{Base: g.row[i-1], Index: stride, Scale: 1}, g.row[i])
		}
		g.dot()
	}
	g.epilogue(cols)
	if rows == target.gemmMR {
		g.next(indirect)
	}
	VZEROUPPER()
	RET()
}

// copyMoving copies the arguments that change from tile to tile to the stack,
// since a pointer behind the last row must not lie where the garbage collector
// finds it.
func (g *gemm) copyMoving(moving ...string) {
	frame, x := AllocLocal(8*len(moving)), GP64()
	g.local = map[string]Mem{}
	for i, f := range moving {
		g.local[f] = frame.Offset(8 * i)
		MOVQ(g.args.field(f), x)
		MOVQ(x, g.local[f])
	}
}

// field returns the memory of an argument.
func (g *gemm) field(name string) Mem {
	if m, ok := g.local[name]; ok {
		return m
	}
	return g.args.field(name)
}

// next goes on with the rows behind those that are done, if there are enough
// for a tile.
func (g *gemm) next(indirect bool) {
	Label("next")
	rows, skip := len(g.row), GP64()
	IMUL3Q(I32(rows), g.field("CStride"), skip)
	ADDQ(skip, g.field("C"))
	if indirect {
		IMUL3Q(I32(4*rows), g.field("Taps"), skip)
		ADDQ(skip, g.field("Offsets"))
	} else {
		IMUL3Q(I32(rows), g.field("AStride"), skip)
		ADDQ(skip, g.field("A"))
	}
	left := GP64()
	MOVQ(g.field("M"), left)
	SUBQ(U8(rows), left)
	MOVQ(left, g.field("M"))
	CMPQ(left, U8(rows))
	JGE(LabelRef("tile"))
}

// gemm is the state of one kernel being generated.
type gemm struct {
	args    args
	vectors int
	w       reg.GPVirtual      // next row of weights
	row     []reg.GPVirtual    // element 0 of the rows of A
	acc     [][]reg.VecVirtual // one per row and vector
	local   map[string]Mem     // arguments that change, on the stack
}

// taps runs dot for each tap on the rows that the offset table names, or on
// the one that the argument zero names.
func (g *gemm) taps(zero string, dot func()) {
	t, stride := GP64(), GP64()
	XORQ(t, t)
	JMP(LabelRef("tapTest"))
	Label("tap")
	MOVQ(g.args.field("Taps"), stride)
	p, rel := GP64(), GP64()
	MOVQ(g.field("Offsets"), p)
	LEAQ(Mem{Base: p, Index: t, Scale: 4}, p)
	for i, r := range g.row {
		MOVLQSX(Mem{Base: p}, rel)
		MOVQ(g.field("A"), r)
		ADDQ(rel, r)
		TESTQ(rel, rel)
		CMOVQLT(g.args.field(zero), r)
		if i+1 < len(g.row) {
			LEAQ(Mem{Base: p, Index: stride, Scale: 4}, p)
		}
	}
	dot()
	INCQ(t)
	Label("tapTest")
	CMPQ(t, g.args.field("Taps"))
	JLT(LabelRef("tap"))
}

// dot adds K products to every accumulator and moves w past the rows read.
func (g *gemm) dot() {
	k, end := GP64(), GP64()
	XORQ(k, k)
	MOVQ(g.args.field("K"), end)
	SUBQ(U8(gemmUnroll-1), end)
	CMPQ(k, end)
	JGE(LabelRef("single"))
	Label("unrolled")
	for u := range gemmUnroll {
		g.step(k, u)
	}
	ADDQ(U32(4*gemmNR()*gemmUnroll), g.w)
	ADDQ(U8(gemmUnroll), k)
	CMPQ(k, end)
	JLT(LabelRef("unrolled"))
	Label("single")
	ADDQ(U8(gemmUnroll-1), end)
	JMP(LabelRef("singleTest"))
	Label("singleStep")
	g.step(k, 0)
	ADDQ(U32(4*gemmNR()), g.w)
	INCQ(k)
	Label("singleTest")
	CMPQ(k, end)
	JLT(LabelRef("singleStep"))
}

// step multiplies element k+u of every row with row u of the weights.
func (g *gemm) step(k reg.GPVirtual, u int) {
	w := vecs(g.vectors)
	for v := range w {
		VMOVUPS(Mem{Base: g.w, Disp: 4*gemmNR()*u + vecBytes*v}, w[v])
	}
	for i, r := range g.row {
		x := vec()
		VBROADCASTSS(Mem{Base: r, Index: k, Scale: 4, Disp: 4 * u}, x)
		for v := range w {
			VFMADD231PS(x, w[v], g.acc[i][v])
		}
	}
}

// epilogue adds the residual, clamps and stores.
func (g *gemm) epilogue(cols int) {
	n := g.args.load("N")
	var masks []*lanes
	if target.wide {
		masks = laneMasks(n, g.vectors)
	}
	g.residual(n, cols, masks)

	lo, hi := vec(), vec()
	VBROADCASTSS(g.args.field("Min"), lo)
	VBROADCASTSS(g.args.field("Max"), hi)
	for _, r := range g.acc {
		for _, x := range r {
			clampVec(x, lo, hi)
		}
	}

	stride := g.args.load("CStride")
	c := g.row
	MOVQ(g.field("C"), c[0])
	for i := 1; i < len(c); i++ {
		LEAQ(Mem{Base: c[i-1], Index: stride, Scale: 1}, c[i])
	}
	CMPQ(n, U8(cols))
	JLT(LabelRef("partial"))
	for i, r := range g.acc {
		for v, x := range r {
			VMOVUPS(x, Mem{Base: c[i], Disp: vecBytes * v})
		}
	}
	if len(c) == target.gemmMR {
		JMP(LabelRef("next"))
	} else {
		VZEROUPPER()
		RET()
	}
	Label("partial")
	storeTail("store", g.acc, c, n, masks)
}

// residual adds Res where there is one, under a mask if columns are missing.
func (g *gemm) residual(n reg.GPVirtual, cols int, masks []*lanes) {
	res := GP64()
	MOVQ(g.field("Res"), res)
	TESTQ(res, res)
	JZ(LabelRef("clamp"))
	stride := g.args.load("ResStride")
	CMPQ(n, U8(cols))
	JLT(LabelRef("maskedResidual"))
	for _, r := range g.acc {
		for v, x := range r {
			VADDPS(Mem{Base: res, Disp: vecBytes * v}, x, x)
		}
		ADDQ(stride, res)
	}
	g.keepResidual(res)
	JMP(LabelRef("clamp"))
	Label("maskedResidual")
	if !target.wide {
		masks = laneMasks(n, g.vectors)
	}
	for _, r := range g.acc {
		for v, x := range r {
			y := vec()
			load(Mem{Base: res, Disp: vecBytes * v}, masks[v], y)
			VADDPS(y, x, x)
		}
		ADDQ(stride, res)
	}
	g.keepResidual(res)
	Label("clamp")
}

// keepResidual notes where the residual of the next tile starts.
func (g *gemm) keepResidual(res reg.GPVirtual) {
	if g.local != nil {
		MOVQ(res, g.local["Res"])
	}
}
