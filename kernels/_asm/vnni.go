package main

import (
	"fmt"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/reg"
)

// q8VNNI multiplies groups of four steps by VPDPBUSD, which adds four products
// of a uint8 and an int8 to each int32 without saturating.
var q8VNNI = map[bool]q8Form{
	false: {suffix: "AVXVNNI", mr: 6, kr: 4, step: (*gemmQ8).stepVNNI},
	true:  {suffix: "AVX512VNNI", mr: 7, kr: 4, step: (*gemmQ8).stepVNNI},
}

// gemmsVNNI generates the kernels of products of 8-bit numbers with VPDPBUSD.
func gemmsVNNI() {
	encodeVEX()
	q8VNNI[target.wide].gemms()
}

// stepVNNI is the step of q8VNNI.
func (g *gemmQ8) stepVNNI(k reg.GPVirtual, u int) {
	w := vecs(g.vectors)
	for v := range w {
		loadInts(Mem{Base: g.w, Disp: g.rowBytes()*u + vecBytes*v}, w[v])
	}
	for i, r := range g.row {
		x := vec()
		VPBROADCASTD(Mem{Base: r, Index: k, Scale: 4, Disp: 4 * u}, x)
		for v := range w {
			dot4(w[v], x, g.acc[i][v])
		}
	}
}

// loadInts loads a vector of integers.
func loadInts(m Mem, x reg.VecVirtual) {
	if target.wide {
		VMOVDQU32(m, x)
	} else {
		VMOVDQU(m, x)
	}
}

// vexVPDPBUSD stands for the VEX encoding of VPDPBUSD until registers are
// known. The assembler knows the EVEX encoding only, which CPUs with AVX-VNNI
// alone lack.
const vexVPDPBUSD = "VPDPBUSD_VEX"

// dot4 adds products of four int8 of w and uint8 of x to every int32 of acc.
func dot4(w, x, acc reg.Register) {
	if target.wide {
		VPDPBUSD(w, x, acc)
		return
	}
	Instruction(&ir.Instruction{
		Opcode:   vexVPDPBUSD,
		Operands: []Op{w, x, acc},
		Inputs:   []Op{w, x, acc},
		Outputs:  []Op{acc},
		ISA:      []string{"AVXVNNI"},
	})
}

// encodeVEX has the bytes of vexVPDPBUSD written in its place.
func encodeVEX() {
	pass.Compile = pass.Concat(pass.Compile, pass.InstructionPass(func(i *ir.Instruction) error {
		if i.Opcode != vexVPDPBUSD {
			return nil
		}
		var id [3]byte
		var names [3]string
		for j, op := range i.Operands {
			r, ok := op.(reg.VecPhysical)
			if !ok || r.ID().Index() > 15 {
				return fmt.Errorf("%s: operand %s is no register that VEX can name", i.Opcode, op.Asm())
			}
			id[j], names[j] = byte(r.ID().Index()), r.Asm()
		}
		w, x, acc := id[0], id[1], id[2]
		long := byte(1)
		if i.Operands[2].(reg.VecPhysical).Size() == 16 {
			long = 0
		}
		// VEX.128/256.66.0F38.W0 50 /r: inverted high bits of acc and w, opcode
		// map 2; inverted x, length, prefix 66; opcode; registers.
		code := []byte{
			0xc4, (acc>>3^1)<<7 | 0x40 | (w>>3^1)<<5 | 2, (x^15)<<3 | long<<2 | 1, 0x50, 0xc0 | acc&7<<3 | w&7,
		}
		i.Opcode = "BYTE"
		i.Operands = []Op{vexBytes{code, "VPDPBUSD " + strings.Join(names[:], ", ")}}
		return nil
	}))
}

// vexBytes are the bytes of an instruction, printed with its text.
type vexBytes struct {
	code []byte
	text string
}

// Asm returns the operand of a BYTE directive, and further directives.
func (v vexBytes) Asm() string {
	var b strings.Builder
	for i, c := range v.code {
		if i > 0 {
			b.WriteString("; BYTE ")
		}
		fmt.Fprintf(&b, "$0x%02x", c)
	}
	return b.String() + " // " + v.text
}

// wideEpilogue is epilogue for registers of 512 bits.
func (g *gemmQ8) wideEpilogue(cols int) {
	n, stride, scale := g.args.load("N"), g.args.load("CStride"), g.args.load("W")
	c := g.row
	MOVQ(g.field("C"), c[0])
	for i := 1; i < len(c); i++ {
		LEAQ(Mem{Base: c[i-1], Index: stride, Scale: 1}, c[i])
	}
	lo, hi := vec(), vec()
	VBROADCASTSS(g.args.field("Min"), lo)
	VBROADCASTSS(g.args.field("Max"), hi)
	for v := range g.vectors {
		s := vec()
		VMOVUPS(Mem{Base: scale, Disp: 4*gemmNR() + vecBytes*v}, s)
		for _, r := range g.acc {
			VCVTDQ2PS(r[v], r[v])
			VMULPS(s, r[v], r[v])
			clampVec(r[v], lo, hi)
		}
	}
	masks := laneMasks(n, g.vectors)
	CMPL(g.args.field("Float"), U8(0))
	JNE(LabelRef("float"))
	zero := vec()
	VPBROADCASTD(g.args.field("Zero"), zero)
	for i, r := range g.acc {
		for v, x := range r {
			VCVTPS2DQ(x, x)
			VPADDD(zero, x, x)
			VPMOVDB(x, x.AsX())
			VMOVDQU8(x.AsX(), masks[v].reg, Mem{Base: c[i], Disp: vecLen * v})
		}
	}
	g.done()
	Label("float")
	storeTail("store", g.acc, c, n, masks)
}
