package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The constants of ref.JPEGIDCT.
const (
	idct0298 = 2446
	idct0390 = 3196
	idct0541 = 4433
	idct0765 = 6270
	idct0899 = 7373
	idct1175 = 9633
	idct1501 = 12299
	idct1847 = 15137
	idct1961 = 16069
	idct2053 = 16819
	idct2562 = 20995
	idct3072 = 25172
)

// inverse generates an inverse DCT that makes size samples along both sides of a
// block.
func inverse(name, truth string, size uint8, one func(r *registers, x []reg.VecPhysical, dst, stride reg.GPVirtual, spill Mem, two bool)) {
	TEXT(name, NOSPLIT, "func(dst *byte, stride int, coef *int16, blocks int)")
	Pragma("noescape")
	Doc(name+" is ref."+truth+" of blocks > 0 blocks, two at once, one in each half of the",
		"registers.")
	dst, stride, coef, n := GP64(), GP64(), GP64(), GP64()
	Load(Param("dst"), dst)
	Load(Param("stride"), stride)
	Load(Param("coef"), coef)
	Load(Param("blocks"), n)
	var spill Mem
	if size == 8 {
		spill = AllocLocal(8 * 32)
	}
	pair := func(two bool) {
		f := newRegisters()
		one(f, f.take(coef, two), dst, stride, spill, two)
	}
	Label("pairs")
	CMPQ(n, U8(2))
	JLT(LabelRef("odd"))
	pair(true)
	ADDQ(U32(256), coef)
	ADDQ(U8(2*size), dst)
	SUBQ(U8(2), n)
	JMP(LabelRef("pairs"))
	Label("odd")
	TESTQ(n, n)
	JZ(LabelRef("end"))
	pair(false)
	Label("end")
	VZEROUPPER()
	RET()
}

// registers hands out the sixteen registers of AVX2 by hand: avo's allocator
// would use more, which only AVX-512 has.
type registers struct{ free []reg.VecPhysical }

func newRegisters() *registers {
	return &registers{[]reg.VecPhysical{reg.Y15, reg.Y14, reg.Y13, reg.Y12, reg.Y11, reg.Y10, reg.Y9, reg.Y8,
		reg.Y7, reg.Y6, reg.Y5, reg.Y4, reg.Y3, reg.Y2, reg.Y1, reg.Y0}}
}

func (r *registers) get() reg.VecPhysical {
	v := r.free[len(r.free)-1]
	r.free = r.free[:len(r.free)-1]
	return v
}

func (r *registers) put(v ...reg.VecPhysical) { r.free = append(r.free, v...) }

// both are the low and the high words of a register as 32 bits.
type both [2]reg.VecPhysical

func (r *registers) both() both { return both{r.get(), r.get()} }

// take loads the rows of two blocks, or of one, and sets them to zero.
func (r *registers) take(coef reg.GPVirtual, two bool) []reg.VecPhysical {
	x := make([]reg.VecPhysical, 8)
	for i := range x {
		x[i] = r.get()
		VMOVDQU(Mem{Base: coef, Disp: 16 * i}, x[i].AsX())
		if two {
			VINSERTI128(U8(1), Mem{Base: coef, Disp: 128 + 16*i}, x[i], x[i])
		}
	}
	zero := r.get()
	VPXOR(zero, zero, zero)
	bytes := 128
	if two {
		bytes = 256
	}
	for i := 0; i < bytes; i += 32 {
		VMOVDQU(zero, Mem{Base: coef, Disp: i})
	}
	r.put(zero)
	return x
}

// full transforms two blocks, or one.
func (r *registers) full(x []reg.VecPhysical, dst, stride reg.GPVirtual, spill Mem, two bool) {
	name := map[bool]string{true: "two", false: "one"}[two]
	// Blocks of one colour are common.
	any := r.get()
	VPAND(notFirst(), x[0], any)
	for _, row := range x[1:] {
		VPOR(row, any, any)
	}
	VPTEST(any, any)
	r.put(any)
	JNZ(LabelRef(name + "Full"))
	flat(x[0], dst, stride, two)
	JMP(LabelRef(name + "Done"))
	Label(name + "Full")
	r.idct(x, spill, 11)
	r.transpose(x)
	r.idct(x, spill, 18)
	r.store(x, dst, stride, two)
	Label(name + "Done")
}

// The constants of ref.JPEGIDCT4.
const (
	half0211 = 1730
	half0509 = 4176
	half0601 = 4926
	half0899 = 7373
	half1061 = 8697
	half1451 = 11893
	half2172 = 17799
	half2562 = 20995
)

// half transforms two blocks, or one, to 4x4 samples each.
func (r *registers) half(x []reg.VecPhysical, dst, stride reg.GPVirtual, _ Mem, two bool) {
	r.put(x[4])
	zero := r.get()
	VPXOR(zero, zero, zero)
	// line is a pass over one register of pairs: x0 << 16, (x2, x6), (x7, x5) and
	// (x3, x1). The pairs are free after it.
	line := func(first, sides, outer, inner reg.VecPhysical, shift uint8) [4]reg.VecPhysical {
		e, o0, o1, t := r.get(), r.get(), r.get(), r.get()
		VPSRAD(U8(2), first, first)
		VPADDD(dwords(1<<(shift-1)), first, first)
		VPMADDWD(wordPair(idct1847, -idct0765), sides, e)
		VPMADDWD(wordPair(-half0211, half1451), outer, o1)
		VPMADDWD(wordPair(-half2172, half1061), inner, t)
		VPADDD(t, o1, o1)
		VPMADDWD(wordPair(-half0509, -half0601), outer, o0)
		VPMADDWD(wordPair(half0899, half2562), inner, t)
		VPADDD(t, o0, o0)
		VPSUBD(e, first, t)  // first - e
		VPADDD(e, first, e)  // first + e
		VPSUBD(o0, e, first) // 3
		VPADDD(o0, e, e)     // 0
		VPSUBD(o1, t, o0)    // 2
		VPADDD(o1, t, t)     // 1
		r.put(sides, outer, inner, o1)
		out := [4]reg.VecPhysical{e, t, o0, first}
		for _, v := range out {
			VPSRAD(U8(shift), v, v)
		}
		return out
	}
	low := func(a, b reg.VecPhysical) reg.VecPhysical {
		v := r.get()
		VPUNPCKLWD(b, a, v)
		return v
	}
	high := func(a, b reg.VecPhysical) reg.VecPhysical {
		v := r.get()
		VPUNPCKHWD(b, a, v)
		return v
	}
	left := line(low(zero, x[0]), low(x[2], x[6]), low(x[7], x[5]), low(x[3], x[1]), 12)
	first, sides, outer, inner := high(zero, x[0]), high(x[2], x[6]), high(x[7], x[5]), high(x[3], x[1])
	for _, i := range []int{0, 1, 2, 3, 5, 6, 7} {
		r.put(x[i])
	}
	right := line(first, sides, outer, inner, 12)
	for i := range left {
		VPACKSSDW(right[i], left[i], left[i])
		r.put(right[i])
	}
	// Rows to columns, two in each register.
	a0, a1 := low(left[0], left[2]), high(left[0], left[2])
	b0, b1 := low(left[1], left[3]), high(left[1], left[3])
	r.put(left[:]...)
	c01, c23, c45, c67 := low(a0, b0), high(a0, b0), low(a1, b1), high(a1, b1)
	r.put(a0, a1, b0, b1)
	out := line(low(zero, c01), low(c23, c67), high(c67, c45), high(c23, c01), 19)
	r.put(zero, c01, c23, c45, c67)
	VPACKSSDW(out[1], out[0], out[0])
	VPACKSSDW(out[3], out[2], out[2])
	VPACKSSWB(out[2], out[0], out[0])
	VPADDB(pattern(0x8080808080808080), out[0], out[0])
	VPSHUFB(columnsToRows(), out[0], out[0])
	p := GP64()
	LEAQ(Mem{Base: dst, Index: stride, Scale: 2}, p)
	v, w := out[0].AsX(), out[1].AsX()
	if !two {
		VMOVD(v, Mem{Base: dst})
		VPEXTRD(U8(1), v, Mem{Base: dst, Index: stride, Scale: 1})
		VPEXTRD(U8(2), v, Mem{Base: p})
		VPEXTRD(U8(3), v, Mem{Base: p, Index: stride, Scale: 1})
		return
	}
	VEXTRACTI128(U8(1), out[0], w)
	VPUNPCKHDQ(w, v, out[2].AsX())
	VPUNPCKLDQ(w, v, v)
	VMOVQ(v, Mem{Base: dst})
	VMOVHPS(v, Mem{Base: dst, Index: stride, Scale: 1})
	VMOVQ(out[2].AsX(), Mem{Base: p})
	VMOVHPS(out[2].AsX(), Mem{Base: p, Index: stride, Scale: 1})
}

// The constants of ref.JPEGIDCT2.
const (
	quarter0720 = 5906
	quarter0850 = 6967
	quarter1272 = 10426
	quarter3624 = 29692
)

// quarter transforms two blocks, or one, to 2x2 samples each.
func (r *registers) quarter(x []reg.VecPhysical, dst, stride reg.GPVirtual, _ Mem, two bool) {
	r.put(x[2], x[4], x[6])
	zero := r.get()
	VPXOR(zero, zero, zero)
	first, outer, inner := r.unpack(zero, x[0]), r.unpack(x[7], x[5]), r.unpack(x[3], x[1])
	for h := range 2 {
		VPMADDWD(wordPair(-quarter0720, quarter0850), outer[h], outer[h])
		VPMADDWD(wordPair(-quarter1272, quarter3624), inner[h], inner[h])
		VPADDD(inner[h], outer[h], outer[h])
		VPSRAD(U8(1), first[h], first[h])
		VPADDD(dwords(1<<12), first[h], first[h])
		VPADDD(outer[h], first[h], inner[h])
		VPSUBD(outer[h], first[h], first[h])
		VPSRAD(U8(13), inner[h], inner[h])
		VPSRAD(U8(13), first[h], first[h])
	}
	up, down, sum, t := inner[0], first[0], outer[0], outer[1]
	VPACKSSDW(inner[1], up, up)
	VPACKSSDW(first[1], down, down)
	// The first column and the sum of the others, of both rows.
	VPMADDWD(oddColumns(), up, sum)
	VPMADDWD(oddColumns(), down, t)
	VPHADDD(t, sum, sum)
	VPHADDD(sum, sum, sum)
	VPUNPCKLWD(down, up, up)
	VPUNPCKLWD(up, zero, up)
	VPSRAD(U8(1), up, up)
	VPADDD(dwords(1<<19), up, up)
	VPSUBD(sum, up, down)
	VPADDD(sum, up, up)
	VPSRAD(U8(20), up, up)
	VPSRAD(U8(20), down, down)
	VPACKSSDW(down, up, up)
	VPACKSSWB(up, up, up)
	VPADDB(pattern(0x8080808080808080), up, up)
	VPSHUFB(pattern(0x0501040005010400), up, up)
	if !two {
		VPEXTRW(U8(0), up.AsX(), Mem{Base: dst})
		VPEXTRW(U8(1), up.AsX(), Mem{Base: dst, Index: stride, Scale: 1})
		return
	}
	VEXTRACTI128(U8(1), up, down.AsX())
	VPUNPCKLWD(down.AsX(), up.AsX(), up.AsX())
	VMOVD(up.AsX(), Mem{Base: dst})
	VPEXTRD(U8(1), up.AsX(), Mem{Base: dst, Index: stride, Scale: 1})
}

// oddColumns returns the weights of a row's columns in ref.JPEGIDCT2.
func oddColumns() Mem {
	const name = "oddColumns"
	if m, ok := consts[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i, v := range []int{quarter3624, -quarter1272, quarter0850, -quarter0720, quarter3624, -quarter1272, quarter0850, -quarter0720} {
		DATA(4*i, U32(uint32(uint16(v))<<16))
	}
	consts[name] = m
	return m
}

// columnsToRows returns the shuffle that turns 4x4 bytes.
func columnsToRows() Mem {
	const name = "columnsToRows"
	if m, ok := consts[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 32 {
		DATA(i, U8(i%4*4+i/4%4))
	}
	consts[name] = m
	return m
}

// notFirst returns a mask of all words of a half but the first.
func notFirst() Mem {
	const name = "notFirst"
	if m, ok := consts[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 4 {
		v := ^uint64(0)
		if i%2 == 0 {
			v <<= 16
		}
		DATA(8*i, U64(v))
	}
	consts[name] = m
	return m
}

// rows calls f with the memory of the eight rows of dst.
func rows(dst, stride reg.GPVirtual, f func(r int, m Mem)) {
	p := GP64()
	MOVQ(dst, p)
	for r := range 8 {
		f(r, Mem{Base: p})
		if r < 7 {
			ADDQ(stride, p)
		}
	}
}

// flat stores blocks of which only the first coefficient, in row, is not zero.
func flat(row reg.VecPhysical, dst, stride reg.GPVirtual, two bool) {
	VPSLLW(U8(2), row, row)
	VPADDW(words(16), row, row)
	VPSRAW(U8(5), row, row)
	VPACKSSWB(row, row, row)
	VPADDB(pattern(0x8080808080808080), row, row)
	VPSHUFB(pattern(0), row, row)
	if two {
		VPERMQ(U8(0x08), row, row)
	}
	rows(dst, stride, func(_ int, m Mem) {
		if two {
			VMOVDQU(row.AsX(), m)
		} else {
			VMOVQ(row.AsX(), m)
		}
	})
}

// unpack interleaves the words of a and b.
func (r *registers) unpack(a, b reg.VecPhysical) both {
	v := r.both()
	VPUNPCKLWD(b, a, v[0])
	VPUNPCKHWD(b, a, v[1])
	return v
}

// madd computes a and b times the words of pairs, and adds sum where it is given.
func (r *registers) madd(pairs both, a, b int, sum ...both) both {
	v := r.both()
	for h := range v {
		VPMADDWD(wordPair(a, b), pairs[h], v[h])
		for _, s := range sum {
			VPADDD(s[h], v[h], v[h])
		}
	}
	return v
}

// raise makes v << 13 and adds the half of what shift will drop.
func (r *registers) raise(v reg.VecPhysical, shift uint8) both {
	z := r.get()
	VPXOR(z, z, z)
	w := r.unpack(z, v)
	for _, h := range w {
		VPSRAD(U8(3), h, h)
		VPADDD(dwords(1<<(shift-1)), h, h)
	}
	r.put(z)
	return w
}

// idct transforms eight columns in the words of each half of x, and drops shift
// bits.
func (r *registers) idct(x []reg.VecPhysical, spill Mem, shift uint8) {
	// Even part: its four sums go to memory.
	even := func(up, down int, a, b both) {
		s := r.get()
		for h := range 2 {
			VPADDD(b[h], a[h], s)
			VMOVDQU(s, spill.Offset(64*up+32*h))
			VPSUBD(b[h], a[h], s)
			VMOVDQU(s, spill.Offset(64*down+32*h))
		}
		r.put(s, a[0], a[1], b[0], b[1])
	}
	pairs := r.unpack(x[2], x[6])
	r.put(x[2], x[6])
	e3 := r.madd(pairs, idct0541+idct0765, idct0541)
	e2 := r.madd(pairs, idct0541, idct0541-idct1847)
	r.put(pairs[:]...)
	diff := r.get()
	VPSUBW(x[4], x[0], diff)
	VPADDW(x[4], x[0], x[0])
	r.put(x[4])
	even(0, 3, r.raise(x[0], shift), e3)
	even(1, 2, r.raise(diff, shift), e2)
	r.put(x[0], diff)

	// Odd part.
	a, b := r.get(), r.get()
	VPADDW(x[3], x[7], a)
	VPADDW(x[1], x[5], b)
	pairs = r.unpack(a, b)
	r.put(a, b)
	z3 := r.madd(pairs, idct1175-idct1961, idct1175)
	z4 := r.madd(pairs, idct1175, idct1175-idct0390)
	r.put(pairs[:]...)
	outer := r.unpack(x[7], x[1])
	r.put(x[7], x[1])
	inner := r.unpack(x[5], x[3])
	r.put(x[5], x[3])
	finish := func(i int, odd both) {
		down := r.both()
		for h := range 2 {
			VMOVDQU(spill.Offset(64*i+32*h), down[h])
			VPSUBD(odd[h], down[h], down[h])
			VPADDD(spill.Offset(64*i+32*h), odd[h], odd[h])
			VPSRAD(U8(shift), odd[h], odd[h])
			VPSRAD(U8(shift), down[h], down[h])
		}
		VPACKSSDW(odd[1], odd[0], odd[0])
		VPACKSSDW(down[1], down[0], down[0])
		x[i], x[7-i] = odd[0], down[0]
		r.put(odd[1], down[1])
	}
	finish(0, r.madd(outer, -idct0899, idct1501-idct0899, z4))
	finish(3, r.madd(outer, idct0298-idct0899, -idct0899, z3))
	r.put(outer[:]...)
	finish(1, r.madd(inner, -idct2562, idct3072-idct2562, z3))
	r.put(z3[:]...)
	finish(2, r.madd(inner, idct2053-idct2562, -idct2562, z4))
	r.put(z4[:]...)
	r.put(inner[:]...)
}

// transpose turns the 8x8 words of each half: with rows 4 apart interleaved
// three times, all comes to its place.
func (r *registers) transpose(x []reg.VecPhysical) {
	for range 3 {
		y := make([]reg.VecPhysical, 8)
		for i := range 4 {
			pair := r.unpack(x[i], x[i+4])
			y[2*i], y[2*i+1] = pair[0], pair[1]
			r.put(x[i], x[i+4])
		}
		copy(x, y)
	}
}

// store writes columns in x as rows of bytes.
func (r *registers) store(x []reg.VecPhysical, dst, stride reg.GPVirtual, two bool) {
	for i := range 4 { // column i, then column i+4
		VPACKSSWB(x[i+4], x[i], x[i])
		VPADDB(pattern(0x8080808080808080), x[i], x[i])
		r.put(x[i+4])
	}
	bytes := func(a, b reg.VecPhysical) both {
		v := r.both()
		VPUNPCKLBW(b, a, v[0])
		VPUNPCKHBW(b, a, v[1])
		return v
	}
	// Columns i and i+2 interleaved, and then with i+1, are four of one row.
	even, odd := bytes(x[0], x[2]), bytes(x[1], x[3])
	r.put(x[:4]...)
	left, right := bytes(even[0], odd[0]), bytes(even[1], odd[1])
	r.put(even[0], even[1], odd[0], odd[1])
	v := make([]reg.VecPhysical, 4) // rows 2i and 2i+1
	for i := range v {
		v[i] = r.get()
		if i%2 == 0 {
			VPUNPCKLDQ(right[i/2], left[i/2], v[i])
		} else {
			VPUNPCKHDQ(right[i/2], left[i/2], v[i])
		}
		if two {
			VPERMQ(U8(0xd8), v[i], v[i])
		}
	}
	rows(dst, stride, func(row int, m Mem) {
		v := v[row/2]
		switch {
		case two && row%2 == 0:
			VMOVDQU(v.AsX(), m)
		case two:
			VEXTRACTI128(U8(1), v, m)
		case row%2 == 0:
			VMOVQ(v.AsX(), m)
		default:
			VMOVHPS(v.AsX(), m)
		}
	})
}
