package op

import (
	"unsafe"

	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels/ref"
)

// tileCost is the work, in multiply-adds, that a tile should hold: enough to
// outweigh the claim, little enough to balance and to let Go preempt.
const tileCost = 1 << 18

// largeWeights is the number of weights from which on it pays that each worker
// reads only its own part of them: about what a core's own cache holds.
const largeWeights = 1 << 16

// tiles returns how many tiles a step of that cost is cut into: the same
// number for each worker.
func (e *Env) tiles(cost int) int {
	t := (cost + tileCost - 1) / tileCost
	return max(1, (t+e.Threads-1)/e.Threads*e.Threads)
}

// grid returns how many parts the rows and the columns of a matrix product in
// tiles of mr by nr are cut into: of rows, so that each worker finds in its cache what it wrote,
// unless there are too few or the weights, steps of k by columns, are the larger
// share of what is read. k is the steps that a row of input has of its own.
func (e *Env) grid(mr, nr, rows, cols, steps, k int) (rowTiles, colTiles int) {
	weights := steps * cols
	tiles := e.tiles(weights * rows)
	if n := min(tiles, (rows+mr-1)/mr); n >= e.Threads && (weights <= largeWeights || weights <= 2*rows*k) {
		return n, 1
	}
	return 1, min(tiles, (cols+nr-1)/nr)
}

// callRows returns how many rows of a product by k rows of weights one call of a
// kernel computes at most: tiles of mr rows, since Go cannot preempt a call.
func callRows(k, mr, nr int) int { return max(1, tileCost/max(1, k*nr*mr)) * mr }

// part returns the bounds of one of some parts of n, at multiples of step.
func part(i, parts, n, step int) (from, to int) {
	steps := (n + step - 1) / step
	return steps * i / parts * step, min(steps*(i+1)/parts*step, n)
}

// Prepare implements Preparer. Pointwise convolutions are a plain GEMM,
// depthwise ones have their own kernel, few-channel ones (the first layer)
// read whole rows of their kernel as one tap, and all others are an implicit
// GEMM over a table of offsets.
func (c *ConvNHWC) Prepare(env *Env) ([]Step, error) {
	x, w := env.In[0], env.In[1]
	last := c.channelsLast(x.Shape)
	s := &convShape{ConvNHWC: *c, n: last[0], h: last[1], w: last[2], cin: last[3], cout: w.Shape[0], inPitch: pitch(x), size: 4}
	switch {
	case env.Out[0].Elems() == 0:
		return []Step{}, nil
	case c.Group > 1 && c.Group == s.cin && c.Group == s.cout:
		return prepareDepthwise(env, s), nil
	case s.pointwise() && c.Group == 1:
		return prepareGemm(env, s, gemmPlain), nil
	case c.Planar || s.fewChannels():
		return prepareGemm(env, s, gemmRows), nil
	}
	if kind, ok := s.winograd(env.Kernels); ok {
		return prepareWinograd(env, s, kind), nil
	}
	return prepareGemm(env, s, gemmIndirect), nil
}

// pointwise reports whether output pixel p reads exactly input pixel p.
func (s *convShape) pointwise() bool {
	return s.KH == 1 && s.KW == 1 && s.StrideH == 1 && s.StrideW == 1 && s.PadT == 0 && s.PadL == 0 && s.OutH == s.h && s.OutW == s.w
}

// pitch returns the distance between rows of the last axis, in elements.
func pitch(t *tensor.Tensor) int {
	if t.Pitch != 0 {
		return t.Pitch
	}
	return t.Shape[len(t.Shape)-1]
}

// elem returns a pointer to an element of a float32 tensor.
func elem(t *tensor.Tensor, i int) unsafe.Pointer { return unsafe.Pointer(&t.Data[i*4]) }

// floats returns n float32 elements of t from element i on, across pitches.
func floats(t *tensor.Tensor, i, n int) []float32 {
	if n == 0 {
		return nil
	}
	_ = t.Data[(i+n)*4-1]
	return unsafe.Slice((*float32)(elem(t, i)), n)
}

// gemmForm tells how a convolution presents its input to the GEMM kernels.
type gemmForm int

const (
	gemmPlain    gemmForm = iota // rows are input pixels
	gemmIndirect                 // rows are lists of taps
	gemmRows                     // rows are lists of kernel rows of a padded copy
)

// convGemm is a prepared convolution by GEMM.
type convGemm struct {
	s        *convShape
	env      *Env
	form     gemmForm
	kern     func(*ref.GemmF32)
	k, n     int // per group
	panels   [][]float32
	panelLen int
	offsets  []int32
	zero     []float32
	rows     int // output pixels of one image
	rowTiles int
	colTiles int
	chunk    int // rows in one call of the kernel
	padded   *paddedRows
	args     []ref.GemmF32 // one per worker: an argument on the stack would escape
}

func prepareGemm(env *Env, s *convShape, form gemmForm) []Step {
	set := env.Kernels
	g := &convGemm{s: s, env: env, form: form, n: s.cout / s.Group, rows: s.OutH * s.OutW, args: make([]ref.GemmF32, env.Threads)}
	taps := s.KH * s.KW
	g.k = s.cin / s.Group
	g.kern = set.F32Gemm
	name := "gemm"
	switch form {
	case gemmIndirect:
		g.kern, name = set.F32Igemm, "igemm"
		g.offsets = sharedOffsets(env, s)
		g.zero = sharedZero(env, g.k)
	case gemmRows:
		g.padded = newPaddedRows(env, s)
		g.kern, name = set.F32Igemm, "igemm rows"
		g.k, taps = s.KW*s.cin, s.KH
		g.offsets, g.zero = g.padded.offsets, sharedZero(env, g.k)
	}
	if form == gemmPlain {
		g.rows *= s.n
	}
	g.panels = sharedPanels(env, s)
	g.panelLen = set.F32NR * (1 + g.k*taps)
	for w := range g.args {
		g.args[w] = ref.GemmF32{K: g.k, Taps: taps, Min: s.Act.Min, Max: s.Act.Max}
		if len(g.zero) > 0 {
			g.args[w].Zero = unsafe.Pointer(&g.zero[0])
		}
	}
	g.split(taps)
	tiles := g.rowTiles * g.colTiles * s.Group
	if form != gemmPlain {
		tiles *= s.n
	}
	return []Step{{Kernel: set.Name + " " + name, Tiles: tiles, Cost: s.n * s.OutH * s.OutW * s.cout * g.k * taps, Run: g.run}}
}

// split chooses the number of tiles.
func (g *convGemm) split(taps int) {
	g.chunk = callRows(g.k*taps, g.env.Kernels.F32MR, g.env.Kernels.F32NR)
	if g.padded != nil {
		g.rowTiles, g.colTiles = g.padded.tiles, 1
		return
	}
	g.rowTiles, g.colTiles = g.env.grid(g.env.Kernels.F32MR, g.env.Kernels.F32NR, g.rows, g.n, g.k*taps, g.k)
}

// run computes one tile: some output pixels by some channels of one group of
// one image.
func (g *convGemm) run(worker, tile int) {
	s, mr, nr := g.s, g.env.Kernels.F32MR, g.env.Kernels.F32NR
	col, tile := tile%g.colTiles, tile/g.colTiles
	row, tile := tile%g.rowTiles, tile/g.rowTiles
	group, image := tile%s.Group, tile/s.Group
	x, y := g.env.In[0], g.env.Out[0]
	r0, r1 := part(row, g.rowTiles, g.rows, mr)
	c0, c1 := part(col, g.colTiles, g.n, nr)
	outPitch := pitch(y)
	outBase := image*g.rows*outPitch + group*g.n

	a := &g.args[worker]
	a.CStride = outPitch * 4
	a.AStride = s.inPitch * 4
	var src unsafe.Pointer
	if g.padded != nil {
		r0, r1 = part(row, g.rowTiles, s.OutH, 1)
		r0, r1 = r0*s.OutW, r1*s.OutW
		src = unsafe.Pointer(unsafe.SliceData(g.padded.fill(worker, image, row)))
	} else {
		src = elem(x, image*s.h*s.w*s.inPitch+group*(s.cin/s.Group))
	}
	var res []float32
	resPitch := 0
	if r := opt(g.env.In, 3); r != nil {
		resPitch = pitch(r)
		res = floats(r, image*g.rows*resPitch+group*g.n+r0*resPitch+c0, (r1-r0-1)*resPitch+c1-c0)
	}
	inKernel := res != nil && !s.ResLast
	for n := c0; n < c1; n += nr {
		a.N = min(nr, c1-n)
		a.W = unsafe.Pointer(&g.panels[group][n/nr*g.panelLen])
		for m := r0; m < r1; m += g.chunk {
			a.M = min(g.chunk, r1-m)
			if g.form == gemmPlain {
				a.A = unsafe.Add(src, m*a.AStride)
			} else {
				a.A, a.Offsets = src, &g.offsets[m*a.Taps]
			}
			a.C = elem(y, outBase+m*outPitch+n)
			if inKernel {
				a.Res, a.ResStride = unsafe.Pointer(&res[(m-r0)*resPitch+n-c0]), resPitch*4
			}
			g.kern(a)
		}
	}
	if inKernel {
		res = nil
	}
	act := s.Act
	if act.Slope != nil {
		act.Slope = act.Slope[group*g.n+c0 : group*g.n+c1]
	}
	rows := r1 - r0
	act.strip(g.env.Kernels, floats(y, outBase+r0*outPitch+c0, (rows-1)*outPitch+c1-c0), rows, c1-c0, outPitch, res, resPitch)
}

// bytesF32 views scratch memory as float32.
func bytesF32(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// panelKey names packed weights: two sessions that share a weight share its
// packing.
type panelKey struct {
	kind    string
	w, bias *byte
	scale   *float64
	nr      int
	group   int
}

func dataKey(t *tensor.Tensor) *byte {
	if t == nil {
		return nil
	}
	return unsafe.SliceData(t.Data)
}

// sharedPanels packs the weights of each group: for every NR outputs, NR
// biases and then NR weights for each tap and input channel.
func sharedPanels(env *Env, s *convShape) [][]float32 {
	w, b, nr := env.In[1], opt(env.In, 2), env.Kernels.F32NR
	key := panelKey{"conv", dataKey(w), dataKey(b), unsafe.SliceData(s.Scale), nr, s.Group}
	return env.Shared(key, func() any {
		m := ref.Matrix{Taps: s.KH * s.KW, K: s.cin / s.Group, N: s.cout / s.Group}
		m.Tap, m.Row, m.Col = 1, m.Taps, m.K*m.Taps
		groups := make([][]float32, s.Group)
		for g := range groups {
			m.Data = w.F32()[g*m.N*m.Col:]
			var bias []float32
			if b != nil {
				bias = b.F32()[g*m.N:]
			}
			if s.Scale != nil {
				m.Scale = s.Scale[g*m.N:]
			}
			groups[g] = env.pack(m.Panels(nr) * m.PanelLen(nr))
			m.Pack(groups[g], bias, nr)
		}
		return groups
	}).([][]float32)
}

// offsetKey names an offset table.
type offsetKey struct {
	kh, kw, sh, sw, dh, dw, pt, pl int
	oh, ow, h, w, pitch, size      int
}

func (s *convShape) offsetKey() offsetKey {
	return offsetKey{s.KH, s.KW, s.StrideH, s.StrideW, s.DilH, s.DilW, s.PadT, s.PadL, s.OutH, s.OutW, s.h, s.w, s.inPitch, s.size}
}

// sharedOffsets returns the byte offset in one image of every tap of every
// output pixel, -1 outside the image.
func sharedOffsets(env *Env, s *convShape) []int32 {
	return env.Shared(s.offsetKey(), func() any {
		t := make([]int32, 0, s.OutH*s.OutW*s.KH*s.KW)
		for i := range s.OutH {
			for j := range s.OutW {
				for u := range s.KH {
					y := i*s.StrideH + u*s.DilH - s.PadT
					for v := range s.KW {
						x := j*s.StrideW + v*s.DilW - s.PadL
						if y < 0 || y >= s.h || x < 0 || x >= s.w {
							t = append(t, -1)
						} else {
							t = append(t, int32((y*s.w+x)*s.inPitch*s.size))
						}
					}
				}
			}
		}
		return t
	}).([]int32)
}

type zeroKey int

// sharedZero returns n zeros.
func sharedZero(env *Env, n int) []float32 {
	return env.Shared(zeroKey(n), func() any { return make([]float32, n) }).([]float32)
}

// convDepthwise is a prepared depthwise convolution.
type convDepthwise struct {
	s       *convShape
	env     *Env
	weights []float32
	table   *rowTable
	tiles   int // per image
	args    []ref.DwconvF32
}

func prepareDepthwise(env *Env, s *convShape) []Step {
	d := &convDepthwise{s: s, env: env, args: make([]ref.DwconvF32, env.Threads)}
	taps, wide := s.KH*s.KW, ref.DwconvWidth(s.cin)
	w, b := env.In[1], opt(env.In, 2)
	d.weights = env.Shared(panelKey{"depthwise", dataKey(w), dataKey(b), unsafe.SliceData(s.Scale), 16, s.Group}, func() any {
		p := env.pack(ref.PackedDwconvF32Len(taps, s.cin))
		var bias []float32
		if b != nil {
			bias = b.F32()
		}
		all := w.F32()
		weight := func(t, c int) float32 { return all[c*taps+t] }
		if s.Scale != nil {
			weight = func(t, c int) float32 { return float32(float64(all[c*taps+t]) * s.Scale[c]) }
		}
		ref.PackDwconvF32(p, weight, bias, taps, s.cin)
		return p
	}).([]float32)
	d.table = sharedRows(env, s)
	zero := sharedZero(env, s.cin)
	rows := s.OutH * s.OutW
	d.tiles = min(env.tiles(rows*taps*s.cin*3), (rows+15)/16) // a multiply-add of a GEMM takes a third of the time
	for i := range d.args {
		d.args[i] = ref.DwconvF32{Zero: unsafe.Pointer(&zero[0]), W: unsafe.Pointer(&d.weights[0]), WStride: wide * 4,
			Taps: taps, C: s.cin, Min: s.Act.Min, Max: s.Act.Max}
	}
	return []Step{{Kernel: env.Kernels.Name + " dwconv", Tiles: d.tiles * s.n, Cost: s.n * rows * s.cin * taps, Run: d.run}}
}

func (d *convDepthwise) run(worker, tile int) {
	s, x, y := d.s, d.env.In[0], d.env.Out[0]
	image, tile := tile/d.tiles, tile%d.tiles
	rows := s.OutH * s.OutW
	r0, r1 := part(tile, d.tiles, rows, 1)
	outPitch := pitch(y)
	out := (image*rows + r0) * outPitch
	a := &d.args[worker]
	a.OutStride = outPitch * 4
	// One call covers about 50 microseconds' share, or the rest of a row.
	chunk := max(tileCost/(a.Taps*s.cin), 1)
	for r := r0; r < r1; r += a.Pixels {
		i, j := r/s.OutW, r%s.OutW
		row := d.table.rows[i]
		a.Pixels = min(chunk, r1-r, s.OutW-j)
		a.In = elem(x, image*s.h*s.w*s.inPitch+row.base/4)
		a.Offsets = &d.table.offsets[row.first+j*a.Taps]
		a.Out = elem(y, out+(r-r0)*outPitch)
		d.env.Kernels.F32Dwconv(a)
	}
	var res []float32
	resPitch := 0
	n := r1 - r0
	if r := opt(d.env.In, 3); r != nil {
		resPitch = pitch(r)
		res = floats(r, (image*rows+r0)*resPitch, (n-1)*resPitch+s.cin)
	}
	s.Act.strip(d.env.Kernels, floats(y, out, (n-1)*outPitch+s.cin), n, s.cin, outPitch, res, resPitch)
}
