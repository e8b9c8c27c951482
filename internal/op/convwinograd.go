package op

import (
	"fmt"
	"unsafe"

	"github.com/edgecam/edgecam/kernels"
	"github.com/edgecam/edgecam/kernels/ref"
)

// These bound the bytes of transformed pixels, and of products, that one tile
// keeps in its worker's cache. Where the weights are larger than the cache it
// is better to read the pixels from farther away than the weights more often.
const (
	winogradPixelRoom   = 384 << 10
	winogradLargeRoom   = 768 << 10
	winogradLargeMatrix = 4 << 20
	winogradProductRoom = 256 << 10
)

// convWinograd is a prepared convolution by Winograd's algorithm. The outputs
// of an image are cut into squares; a tile of the step is a block of squares
// by a part of the channels. It transforms the pixels of its squares, computes
// one small matrix product for each of their elements, and transforms the
// products of a few panels at a time into outputs. So a step needs no barrier
// inside, and no memory but its workers' scratch.
//
// An infinite or undefined input makes every output of its squares undefined.
type convWinograd struct {
	s        *convShape
	env      *Env
	kind     kernels.Winograd
	side     int // of a square of outputs
	planes   int // elements of a transformed square
	mr, nr   int
	panels   []float32
	panelLen int
	numPanel int
	across   int // squares in a row
	squares  int // of one image
	in, out  []int32
	block    int // squares in a tile
	blocks   int // per image
	colTiles int
	group    int // panels whose products are computed at a time
	rowLen   int // elements of a transformed pixel: channels, padded
	scratch  *Scratch
	args     []winogradArgs
}

// winogradArgs is one worker's arguments.
type winogradArgs struct {
	in   ref.WinogradInF32
	gemm ref.GemmF32
	out  ref.WinogradOutF32
}

// winogradAlign is the number of channels that rows in scratch memory are
// padded to.
const winogradAlign = 16

// planeGap keeps the planes of a power of two bytes out of each other's cache
// sets.
const planeGap = 16

// newWinograd returns the extents of a convolution.
func newWinograd(s *convShape, set *kernels.Set, threads int, kind kernels.Winograd) *convWinograd {
	g := &convWinograd{s: s, kind: kind, side: winogradSide(kind), mr: set.F32MR, nr: set.F32NR}
	g.planes = (g.side + 2) * (g.side + 2)
	g.panelLen, g.numPanel = g.nr*(1+s.cin), (s.cout+g.nr-1)/g.nr
	g.across = (s.OutW + g.side - 1) / g.side
	g.squares = g.across * ((s.OutH + g.side - 1) / g.side)
	g.rowLen = roundUp(s.cin, winogradAlign)
	g.split(threads)
	return g
}

func prepareWinograd(env *Env, s *convShape, kind kernels.Winograd) []Step {
	g := newWinograd(s, env.Kernels, env.Threads, kind)
	g.env, g.args = env, make([]winogradArgs, env.Threads)
	g.panels = g.sharedPanels()
	g.in, g.out = g.tables()
	g.scratch = env.Scratch(4*(g.pixelRoom()+g.productRoom()+roundUp(s.cout, winogradAlign)) + ref.WinogradWork)
	zero := sharedZero(env, s.cin)
	for w := range g.args {
		a := &g.args[w]
		a.in = ref.WinogradInF32{Zero: unsafe.Pointer(&zero[0]), InStride: s.inPitch * 4, OutStride: g.rowLen * 4,
			PlaneStride: g.pixelPlane() * 4, C: s.cin}
		a.gemm = ref.GemmF32{AStride: g.rowLen * 4, CStride: g.group * g.nr * 4, K: s.cin, Taps: 1, Min: NoAct().Min, Max: NoAct().Max}
		a.out = ref.WinogradOutF32{InStride: g.group * g.nr * 4, PlaneStride: g.productPlane() * 4, Min: s.Act.Min, Max: s.Act.Max}
	}
	return []Step{{
		Kernel: fmt.Sprintf("%s winograd %dx%d", env.Kernels.Name, g.side, g.side),
		Tiles:  s.n * g.blocks * g.colTiles,
		Cost:   s.n * g.squares * g.planes * s.cin * s.cout,
		Run:    g.run,
	}}
}

func roundUp(n, step int) int { return (n + step - 1) / step * step }

// The extents of scratch memory, in elements: a plane holds one element of
// every square of a block.
func (g *convWinograd) pixelPlane() int   { return g.block*g.rowLen + planeGap }
func (g *convWinograd) pixelRoom() int    { return g.planes * g.pixelPlane() }
func (g *convWinograd) productPlane() int { return g.block*g.group*g.nr + planeGap }
func (g *convWinograd) productRoom() int  { return g.planes * g.productPlane() }

// split chooses the extents of a tile: as many squares as the cache holds,
// since every block reads all weights, but enough tiles for all workers. Where
// the weights are large each worker reads its own part of them instead, and
// transforms the pixels for itself.
func (g *convWinograd) split(threads int) {
	mr := g.mr
	large := g.planes*g.numPanel*g.panelLen*4 > winogradLargeMatrix
	room := winogradPixelRoom
	if large {
		room = winogradLargeRoom
	}
	most := max(room/(g.planes*g.rowLen*4*mr), 1) * mr
	g.blocks, g.colTiles = (g.squares+most-1)/most, 1
	if large {
		g.colTiles = min(threads, g.numPanel)
	} else if threads > 1 {
		g.blocks = min(roundUp(max(g.blocks, 2*threads), threads), (g.squares+2*mr-1)/(2*mr))
	}
	g.block = roundUp((g.squares+g.blocks-1)/g.blocks, mr)
	g.blocks = (g.squares + g.block - 1) / g.block
	if !large && threads > 1 && g.blocks < 2*threads {
		g.colTiles = min((2*threads+g.blocks-1)/g.blocks, g.numPanel)
	}
	per := (g.numPanel + g.colTiles - 1) / g.colTiles
	g.group = min(max(winogradProductRoom/(g.planes*g.block*g.nr*4), 1), per)
}

// tables returns, for every square, the pixels of the image that it reads and
// those of the output that it writes; -1 for one outside.
func (g *convWinograd) tables() (in, out []int32) {
	s := g.s
	key := winogradTableKey{g.side, s.OutH, s.OutW, s.h, s.w, s.PadT, s.PadL}
	t := g.env.Shared(key, func() any {
		return [2][]int32{
			g.table(g.side+2, s.h, s.w, s.PadT, s.PadL),
			g.table(g.side, s.OutH, s.OutW, 0, 0),
		}
	}).([2][]int32)
	return t[0], t[1]
}

type winogradTableKey struct{ side, oh, ow, h, w, pt, pl int }

// table lists the pixels of n x n for every square, in an image of h x w that
// starts at y, x.
func (g *convWinograd) table(n, h, w, y, x int) []int32 {
	t := make([]int32, 0, g.squares*n*n)
	for q := range g.squares {
		for i := range n * n {
			r, c := q/g.across*g.side+i/n-y, q%g.across*g.side+i%n-x
			if r < 0 || r >= h || c < 0 || c >= w {
				t = append(t, -1)
			} else {
				t = append(t, int32(r*w+c))
			}
		}
	}
	return t
}

// sharedPanels returns the transformed weights, packed as those of one matrix
// for each element of a square, each with its share of the biases.
func (g *convWinograd) sharedPanels() []float32 {
	w, b := g.env.In[1], opt(g.env.In, 2)
	key := panelKey{"winograd", dataKey(w), dataKey(b), unsafe.SliceData(g.s.Scale), g.nr, g.side}
	return g.env.Shared(key, func() any {
		var bias []float32
		if b != nil {
			bias = b.F32()
		}
		return g.pack(w.F32(), bias)
	}).([]float32)
}

// pack transforms and lays out the weights, a row of a panel at a time in every
// plane, so that what is written stays in the cache.
func (g *convWinograd) pack(w, bias []float32) []float32 {
	nr, cin, plane := g.nr, g.s.cin, g.numPanel*g.panelLen
	dst := g.env.pack(g.planes * plane)
	for o := 0; o < g.s.cout; o += nr {
		panel := dst[o/nr*g.panelLen:]
		cols := min(nr, g.s.cout-o)
		for c := range cin {
			for j := range cols {
				g.weights(panel[(c+1)*nr+j:], plane, w, o+j, c)
			}
		}
		if bias != nil {
			g.biases(panel, plane, bias[o:o+cols])
		}
	}
	return dst
}

// weights transforms the kernel of an output and an input channel into one
// element of every plane.
func (g *convWinograd) weights(dst []float32, plane int, w []float32, o, c int) {
	k := [9]float32(w[(o*g.s.cin+c)*9:])
	if scale := g.s.Scale; scale != nil {
		for i, v := range k {
			k[i] = float32(float64(v) * scale[o])
		}
	}
	if g.kind == kernels.Winograd4 {
		for i, u := range ref.WinogradWeights4(&k) {
			dst[i*plane] = u
		}
		return
	}
	for i, u := range ref.WinogradWeights2(&k) {
		dst[i*plane] = u
	}
}

// biases gives every plane its share of the biases.
func (g *convWinograd) biases(dst []float32, plane int, bias []float32) {
	ones := ref.WinogradOnes2[:]
	if g.kind == kernels.Winograd4 {
		ones = ref.WinogradOnes4[:]
	}
	for i := range g.planes {
		for j, b := range bias {
			dst[i*plane+j] = b * ones[i/len(ones)] * ones[i%len(ones)]
		}
	}
}

// run computes one tile: some squares of one image by some panels of output
// channels.
func (g *convWinograd) run(worker, tile int) {
	s, x := g.s, g.env.In[0]
	block, tile := tile%g.blocks, tile/g.blocks
	col, image := tile%g.colTiles, tile/g.colTiles
	q0 := block * g.block
	n := min(g.block, g.squares-q0)
	p0, p1 := g.numPanel*col/g.colTiles, g.numPanel*(col+1)/g.colTiles

	a := &g.args[worker]
	buf := bytesF32(g.scratch.For(worker))
	work := unsafe.Pointer(&buf[0])
	pixels := buf[ref.WinogradWork/4:]
	products := pixels[g.pixelRoom():]
	a.in.Work, a.out.Work = work, work
	a.out.Spare = unsafe.Pointer(&products[g.productRoom()])
	a.in.In = elem(x, image*s.h*s.w*s.inPitch)
	g.pixels(&a.in, pixels, q0, n)
	for p := p0; p < p1; p += g.group {
		end := min(p+g.group, p1)
		g.multiply(&a.gemm, products, pixels, n, p, end)
		g.outputs(&a.out, products, image, q0, n, p, end)
	}
	g.finish(image, q0, n, p0, p1)
}

// callCost is the elements of transformed squares, in planes by channels, that
// one call of a transform works on: Go cannot interrupt assembly.
const callCost = 1 << 16

// pixels transforms the pixels of n squares.
func (g *convWinograd) pixels(a *ref.WinogradInF32, pixels []float32, q0, n int) {
	step := max(callCost/(g.planes*a.C), 1)
	for i := 0; i < n; i += step {
		a.Tiles = min(step, n-i)
		a.Pixels = &g.in[(q0+i)*g.planes]
		a.Out = unsafe.Pointer(&pixels[i*g.rowLen])
		g.env.Kernels.F32WinogradIn[g.kind](a)
	}
}

// multiply computes the products of n squares with panels p to end.
func (g *convWinograd) multiply(a *ref.GemmF32, products, pixels []float32, n, p, end int) {
	nr, rows := g.nr, callRows(g.s.cin, g.mr, g.nr)
	gemm, width := g.env.Kernels.F32Gemm, g.group*nr
	for e := range g.planes {
		src := pixels[e*g.pixelPlane():]
		dst := products[e*g.productPlane():]
		w := g.panels[e*g.numPanel*g.panelLen:]
		for j := p; j < end; j++ {
			a.W = unsafe.Pointer(&w[j*g.panelLen])
			a.N = panelWidth(nr, g.s.cout-j*nr)
			for i := 0; i < n; i += rows {
				a.M = min(rows, n-i)
				a.A = unsafe.Pointer(&src[i*g.rowLen])
				a.C = unsafe.Pointer(&dst[i*width+(j-p)*nr])
				gemm(a)
			}
		}
	}
}

// panelWidth returns how many columns of a panel to compute where some are
// left: a half where that is enough and a rung has kernels for it.
func panelWidth(nr, left int) int {
	if left <= nr/2 && nr >= 16 {
		return nr / 2
	}
	return nr
}

// outputs transforms the products of n squares with panels p to end.
func (g *convWinograd) outputs(a *ref.WinogradOutF32, products []float32, image, q0, n, p, end int) {
	s, nr, y := g.s, g.nr, g.env.Out[0]
	size := s.OutH * s.OutW
	a.C = min(end*nr, s.cout) - p*nr
	a.OutStride = pitch(y) * 4
	a.Out = elem(y, image*size*pitch(y)+p*nr)
	if r := opt(g.env.In, 3); r != nil && !s.ResLast {
		a.Res, a.ResStride = elem(r, image*size*pitch(r)+p*nr), pitch(r)*4
	}
	step := max(callCost/(g.planes*a.C), 1)
	for i := 0; i < n; i += step {
		a.Tiles = min(step, n-i)
		a.Pixels = &g.out[(q0+i)*g.side*g.side]
		a.In = unsafe.Pointer(&products[i*g.group*nr])
		g.env.Kernels.F32WinogradOut[g.kind](a)
	}
}

// finish applies what the output transform did not to the outputs of n
// squares: rows of pixels, as far as squares lie side by side.
func (g *convWinograd) finish(image, q0, n, p0, p1 int) {
	s, y, r := g.s, g.env.Out[0], opt(g.env.In, 3)
	if !s.ResLast {
		r = nil
	}
	if !s.Act.HasUnary && s.Act.Slope == nil && r == nil {
		return
	}
	c0, c1 := p0*g.nr, min(p1*g.nr, s.cout)
	act := s.Act
	if act.Slope != nil {
		act.Slope = act.Slope[c0:c1]
	}
	for q := q0; q < q0+n; {
		run := min(g.across-q%g.across, q0+n-q)
		left := q % g.across * g.side
		cols := min(run*g.side, s.OutW-left)
		for i := range min(g.side, s.OutH-q/g.across*g.side) {
			at := (image*s.OutH+q/g.across*g.side+i)*s.OutW + left
			var res []float32
			resPitch := 0
			if r != nil {
				resPitch = pitch(r)
				res = floats(r, at*resPitch+c0, (cols-1)*resPitch+c1-c0)
			}
			act.strip(g.env.Kernels, floats(y, at*pitch(y)+c0, (cols-1)*pitch(y)+c1-c0), cols, c1-c0, pitch(y), res, resPitch)
		}
		q += run
	}
}
