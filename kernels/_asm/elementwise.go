package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// elementwise is a kernel over slices of one length: it loads vectors of every
// source, applies f and stores the result.
type elementwise struct {
	dst     bool     // whether results are stored to a parameter dst
	sources []string // slice parameters
	unroll  int      // vectors in flight
	// f computes the result from a vector of each source, which it may
	// overwrite. slot numbers the vectors in flight; mask is of the lanes
	// that exist, nil where all do.
	f func(slot int, x []reg.VecVirtual, mask *lanes) reg.VecVirtual
}

// generate emits the loops. Code for what follows them can be appended.
func (e *elementwise) generate() {
	n := GP64()
	Load(Param(e.sources[0]).Len(), n)
	ptrs := make([]reg.GPVirtual, 0, len(e.sources)+1)
	for _, s := range e.sources {
		p := GP64()
		Load(Param(s).Base(), p)
		ptrs = append(ptrs, p)
	}
	dst := GP64()
	if e.dst {
		Load(Param("dst").Base(), dst)
		ptrs = append(ptrs, dst)
	}
	for _, vectors := range []int{e.unroll, 1} {
		name := fmt.Sprintf("vectors%d", vectors)
		Label(name)
		CMPQ(n, U8(vecLen*vectors))
		JLT(LabelRef(name + "End"))
		for v := range vectors {
			x := vecs(len(e.sources))
			for i := range x {
				VMOVUPS(Mem{Base: ptrs[i], Disp: vecBytes * v}, x[i])
			}
			y := e.f(v, x, nil)
			if e.dst {
				VMOVUPS(y, Mem{Base: dst, Disp: vecBytes * v})
			}
		}
		for _, p := range ptrs {
			ADDQ(U32(vecBytes*vectors), p)
		}
		SUBQ(U8(vecLen*vectors), n)
		JMP(LabelRef(name))
		Label(name + "End")
		if e.unroll == 1 {
			break
		}
	}
	TESTQ(n, n)
	JZ(LabelRef("done"))
	masks := laneMasks(n, 1)
	x := vecs(len(e.sources))
	for i := range x {
		load(Mem{Base: ptrs[i]}, masks[0], x[i])
	}
	y := e.f(0, x, masks[0])
	if e.dst {
		storeTail("store", [][]reg.VecVirtual{{y}}, []reg.GPVirtual{dst}, n, masks)
	}
	Label("done")
}

// broadcast returns a vector of copies of a float32 parameter.
func broadcast(param string) reg.VecVirtual {
	addr, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	v := vec()
	VBROADCASTSS(addr.Addr, v)
	return v
}
