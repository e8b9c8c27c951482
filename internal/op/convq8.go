package op

import (
	"bytes"
	"fmt"
	"unsafe"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels/ref"
)

// ConvQ8 is the machine form of a two-dimensional convolution, or a matrix
// product, of uint8 numbers with constant int8 weights. With the int32 sum
//
//	s = b[o] + Σ (x - ZeroA)·w
//
// over the window, as in ConvNHWC, the padding being ZeroA, it is
//
//	y = Table[round(clamp(float32(s)·Mult[o], Min, Max)) + Zero]
//
// rounded half to even; no Table changes nothing. Where Float is set y is
// float32 instead, act(float32(s)·Mult[o]) with the activation of ConvNHWC.
//
// Inputs: x uint8 [N,H,W,G·C], w int8 [O,C,kh,kw], bias int32 [O] or nil.
type ConvQ8 struct {
	ConvNHWC // Scale and ResLast are not used
	ZeroA    int32
	Mult     []float32
	Min, Max float32 // inside -Zero..255-Zero
	Zero     int32
	Table    *[256]uint8
	Float    bool
}

// Infer implements graph.Op.
func (c *ConvQ8) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 3); err != nil {
		return nil, err
	}
	x, w := in[0].Type, in[1].Type
	x.Shape = c.channelsLast(x.Shape)
	if len(x.Shape) != 4 || len(w.Shape) != 4 || x.DType != tensor.Uint8 || w.DType != tensor.Int8 || in[1].Const == nil ||
		x.Shape[3] != w.Shape[1]*c.Group || w.Shape[0]%c.Group != 0 || w.Shape[2] != c.KH || w.Shape[3] != c.KW || len(c.Mult) != w.Shape[0] {
		return nil, fmt.Errorf("ConvQ8 of %v with weights %v in %d groups: %w", x, w, c.Group, ErrShape)
	}
	if b := opt(in, 2); b != nil && (b.Const == nil || b.Type.DType != tensor.Int32 || b.Type.Shape.Elems() != w.Shape[0]) {
		return nil, fmt.Errorf("bias %v for %d outputs: %w", b.Type, w.Shape[0], ErrShape)
	}
	d := tensor.Uint8
	if c.Float {
		d = tensor.Float32
	}
	return []tensor.Type{tensor.Of(d, x.Shape[0], c.OutH, c.OutW, w.Shape[0])}, nil
}

// Pitched implements Pitcher.
func (c *ConvQ8) Pitched() (in, out bool) { return !c.Planar, true }

// Integer implements Quantized.
func (c *ConvQ8) Integer() {}

// Eval implements Evaluator: the defining loops, on dense tensors.
func (c *ConvQ8) Eval(in, out []*tensor.Tensor) error {
	x, w, y := in[0], in[1], out[0]
	last := c.channelsLast(x.Shape)
	n, h, wd, cin := last[0], last[1], last[2], w.Shape[1]
	step := 1
	if c.Planar {
		step = h * wd
	}
	cout := w.Shape[0]
	weights := tensor.View[int8](w)
	per := cout / c.Group
	p := 0
	for b := range n {
		for i := range c.OutH {
			for j := range c.OutW {
				for o := range cout {
					sum := entry(opt(in, 2), o)
					for u := range c.KH {
						yy := i*c.StrideH + u*c.DilH - c.PadT
						for v := range c.KW {
							xx := j*c.StrideW + v*c.DilW - c.PadL
							if yy < 0 || yy >= h || xx < 0 || xx >= wd {
								continue
							}
							at := ((b*h+yy)*wd+xx)*cin*c.Group + o/per*cin
							if c.Planar {
								at = b*cin*step + yy*wd + xx
							}
							for ch := range cin {
								sum += (int32(x.Data[at+ch*step]) - c.ZeroA) * int32(weights[((o*cin+ch)*c.KH+u)*c.KW+v])
							}
						}
					}
					f := float32(float32(sum) * c.Mult[o])
					if c.Float {
						y.F32()[p] = float32(c.Act.eval(float64(f), o))
					} else {
						y.Data[p] = c.code(f)
					}
					p++
				}
			}
		}
	}
	return nil
}

// code returns the result for a product.
func (c *ConvQ8) code(f float32) uint8 {
	q := ref.Q8Round(min(max(f, c.Min), c.Max), c.Zero)
	if c.Table != nil {
		q = c.Table[q]
	}
	return q
}

// Prepare implements Preparer: as that of ConvNHWC, with 8-bit kernels. Where
// the rung's kernels read int16, or a tap would be short, a tile works on a copy
// of its rows of the input.
func (c *ConvQ8) Prepare(env *Env) ([]Step, error) {
	x, w := env.In[0], env.In[1]
	last := c.channelsLast(x.Shape)
	s := &convShape{ConvNHWC: c.ConvNHWC, n: last[0], h: last[1], w: last[2], cin: last[3], cout: w.Shape[0], inPitch: pitch(x), size: 1}
	if env.Out[0].Elems() == 0 {
		return []Step{}, nil
	}
	f := finishQ8{c: c, env: env}
	if c.Group > 1 && c.Group == s.cin && c.Group == s.cout {
		return prepareDepthwiseQ8(env, s, &f), nil
	}
	return prepareGemmQ8(env, s, &f), nil
}

// finishQ8 does what the kernels leave to do behind a tile.
type finishQ8 struct {
	c   *ConvQ8
	env *Env
}

// limits returns the clamp of the kernels.
func (f *finishQ8) limits() (lo, hi float32, float int32) {
	if f.c.Float {
		return f.c.Act.Min, f.c.Act.Max, 1
	}
	return f.c.Min, f.c.Max, 0
}

// rows applies the table or activation to rows of n channels, the first at
// element i of the output, whose first channel is o.
func (f *finishQ8) rows(i, rows, n, o int) {
	y := f.env.Out[0]
	step := pitch(y)
	if f.c.Float {
		act := f.c.Act
		if act.Slope != nil {
			act.Slope = act.Slope[o : o+n]
		}
		act.strip(f.env.Kernels, floats(y, i, (rows-1)*step+n), rows, n, step, nil, 0)
		return
	}
	if f.c.Table == nil {
		return
	}
	if step == n {
		rows, n = 1, rows*n
	}
	for r := range rows {
		row := y.Data[i+r*step:][:n]
		f.env.Kernels.U8Table(row, row, f.c.Table)
	}
}

// outSize returns the bytes of an element of the output.
func (f *finishQ8) outSize() int { return f.env.Out[0].DType.Size() }

// gemmQ8 is a prepared convolution of 8-bit numbers by GEMM.
type gemmQ8 struct {
	s        *convShape
	env      *Env
	finish   *finishQ8
	kern     func(*ref.GemmQ8)
	indirect bool
	k, n     int // per group
	panels   [][]byte
	panelLen int
	offsets  []int32
	rows     int // output pixels of one image, or of all where the product is plain
	rowTiles int
	colTiles int
	chunk    int
	copied   *rowsQ8  // where the kernels read a copy
	wide     *Scratch // where they read int16 of a plain product: of the rows of a tile
	whole    *Between // or of all rows, where several tiles read the same
	args     []ref.GemmQ8
}

func prepareGemmQ8(env *Env, s *convShape, f *finishQ8) []Step {
	set, c := env.Kernels, f.c
	tile := set.Q8
	g := &gemmQ8{s: s, env: env, finish: f, n: s.cout / s.Group, k: s.cin / s.Group, rows: s.OutH * s.OutW, args: make([]ref.GemmQ8, env.Threads)}
	whole := bytes.IndexByte(env.In[1].Bytes(), 0x80) >= 0 // a weight of -128
	plain := s.pointwise() && s.Group == 1
	taps, joined := s.KH*s.KW, false
	g.indirect = !plain
	g.kern = set.Q8Gemm
	if whole {
		g.kern = set.Q8GemmAny
	}
	name := "q8 gemm"
	if plain {
		g.rows *= s.n
	} else {
		name, g.kern = "q8 igemm", set.Q8Igemm
		if whole {
			g.kern = set.Q8IgemmAny
		}
		joined = s.Group == 1 && s.DilW == 1 && s.KW > 1 && s.PadL >= 0 && (tile.Wide || s.cin <= fewChannels || s.cin%tile.KR != 0 && s.cin < 16)
		if joined {
			g.k, taps = s.KW*s.cin, s.KH
		}
		if joined || tile.Wide {
			g.copied = newRowsQ8(env, s, joined, c.ZeroA)
			g.offsets = g.copied.offsets
			name += " rows"
		} else {
			g.offsets = sharedOffsets(env, s)
		}
	}
	m := matrixQ8(env, s, c, taps, g.k, joined)
	g.panelLen = m.PanelLen(tile)
	g.panels = sharedPanelsQ8(env, s, c, m, joined)
	lo, hi, float := f.limits()
	for w := range g.args {
		g.args[w] = ref.GemmQ8{K: g.k, Taps: taps, Min: lo, Max: hi, Zero: c.Zero, Float: float, ZeroA: zeroRow(env, g.k, c.ZeroA, tile.Wide)}
	}
	g.chunk = callRows(g.k*taps, tile.MR, tile.NR)
	if g.copied != nil {
		g.rowTiles, g.colTiles = g.copied.tiles, 1
	} else {
		g.rowTiles, g.colTiles = env.grid(tile.MR, tile.NR, g.rows, g.n, g.k*taps, g.k)
		switch {
		case !plain || !tile.Wide:
		case g.colTiles > 1:
			g.whole = env.between((g.rows*g.k + ref.Q8Slack) * 2)
		default:
			g.wide = env.Scratch(((roundUp(g.rows, tile.MR)/g.rowTiles+tile.MR)*g.k + ref.Q8Slack) * 2)
		}
	}
	tiles := g.rowTiles * g.colTiles * s.Group
	if !plain {
		tiles *= s.n
	}
	product := Step{Kernel: set.Name + " " + name, Tiles: tiles, Cost: s.n * s.OutH * s.OutW * s.cout * g.k * taps, Run: g.run}
	if g.whole == nil {
		return []Step{product}
	}
	parts := min(env.tiles(g.rows*g.k*4), g.rows)
	widen := Step{Kernel: set.Name + " widen", Tiles: parts, Cost: g.rows * g.k, Run: func(_, tile int) {
		r0, r1 := part(tile, parts, g.rows, 1)
		g.widen(g.whole.Buf[r0*g.k*2:], r0, r1)
	}}
	return []Step{widen, product}
}

// run computes one tile: some output pixels by some channels of one group of
// one image.
func (g *gemmQ8) run(worker, tile int) {
	s, q, size := g.s, g.env.Kernels.Q8, g.finish.outSize()
	col, tile := tile%g.colTiles, tile/g.colTiles
	row, tile := tile%g.rowTiles, tile/g.rowTiles
	group, image := tile%s.Group, tile/s.Group
	x, y := g.env.In[0], g.env.Out[0]
	r0, r1 := part(row, g.rowTiles, g.rows, q.MR)
	c0, c1 := part(col, g.colTiles, g.n, q.NR)
	if g.copied != nil {
		r0, r1 = part(row, g.rowTiles, s.OutH, 1)
		r0, r1 = r0*s.OutW, r1*s.OutW
	}
	if r0 == r1 {
		return
	}
	outPitch := pitch(y)
	outBase := image*g.rows*outPitch + group*g.n

	a := &g.args[worker]
	a.CStride, a.AStride = outPitch*size, s.inPitch
	channel := group * (s.cin / s.Group)
	var src unsafe.Pointer // row r0 of a plain product, else the image
	switch {
	case g.copied != nil:
		src = g.copied.fill(worker, image, row, channel)
	case g.indirect:
		src = unsafe.Pointer(&x.Data[image*s.h*s.w*s.inPitch+channel])
	case g.whole != nil:
		src, a.AStride = unsafe.Pointer(&g.whole.Buf[r0*g.k*2]), 2*g.k
	case g.wide != nil:
		src, a.AStride = g.widen(g.wide.For(worker), r0, r1), 2*g.k
	default:
		src = unsafe.Pointer(&x.Data[r0*s.inPitch])
	}
	for n := c0; n < c1; n += q.NR {
		a.N = min(q.NR, c1-n)
		for m := r0; m < r1; m += g.chunk {
			a.W = unsafe.Pointer(&g.panels[group][n/q.NR*g.panelLen])
			a.M = min(g.chunk, r1-m)
			if g.indirect {
				a.A, a.Offsets = src, &g.offsets[m*a.Taps]
			} else {
				a.A = unsafe.Add(src, (m-r0)*a.AStride)
			}
			a.C = unsafe.Pointer(&y.Data[(outBase+m*outPitch+n)*size])
			g.kern(a)
		}
	}
	g.finish.rows(outBase+r0*outPitch+c0, r1-r0, c1-c0, group*g.n+c0)
}

// widen copies rows of the input as int16 into buf and returns where it starts.
func (g *gemmQ8) widen(buf []byte, r0, r1 int) unsafe.Pointer {
	x, s := g.env.In[0], g.s
	dst := unsafe.Slice((*int16)(unsafe.Pointer(unsafe.SliceData(buf))), (r1-r0)*g.k)
	if s.inPitch == g.k {
		g.env.Kernels.U8ToI16(dst, x.Data[r0*g.k:r1*g.k])
	} else {
		for r := r0; r < r1; r++ {
			g.env.Kernels.U8ToI16(dst[(r-r0)*g.k:(r-r0+1)*g.k], x.Data[r*s.inPitch:][:g.k])
		}
	}
	return unsafe.Pointer(unsafe.SliceData(buf))
}

// matrixQ8 describes the weights of one group; joined taps are the rows of the
// kernel with all channels. The caller sets Data, Bias and Scale of the group.
func matrixQ8(env *Env, s *convShape, c *ConvQ8, taps, k int, joined bool) ref.MatrixQ8 {
	m := ref.MatrixQ8{Taps: taps, K: k, N: s.cout / s.Group, Zero: c.ZeroA}
	// The file's order is [O,C,kh,kw].
	area := s.KH * s.KW
	m.Col = s.cin / s.Group * area
	m.Tap, m.Row = 1, area
	m.Data = tensor.View[int8](env.In[1])
	if joined {
		m.Tap, m.Row = k, 1
	}
	return m
}

// q8Key names packed 8-bit weights.
type q8Key struct {
	kind    string
	w, bias *byte
	mult    *float32
	zero    int32
	tile    ref.TileQ8
	group   int
	joined  bool
}

// sharedPanelsQ8 packs the weights of each group.
func sharedPanelsQ8(env *Env, s *convShape, c *ConvQ8, m ref.MatrixQ8, joined bool) [][]byte {
	w, b, tile := env.In[1], opt(env.In, 2), env.Kernels.Q8
	key := q8Key{"conv", dataKey(w), dataKey(b), unsafe.SliceData(c.Mult), c.ZeroA, tile, s.Group, joined}
	return env.Shared(key, func() any {
		all := m.Data
		if joined {
			all = rowsOfKernel(all, s)
		}
		groups := make([][]byte, s.Group)
		for g := range groups {
			m.Data, m.Scale = all[g*m.N*m.Col:], c.Mult[g*m.N:]
			if b != nil {
				m.Bias = tensor.View[int32](b)[g*m.N:]
			}
			groups[g] = env.packBytes(m.Panels(tile) * m.PanelLen(tile))
			m.Pack(groups[g], tile)
		}
		return groups
	}).([][]byte)
}

// rowsOfKernel returns weights [O,C,kh,kw] as [O,kh,kw,C].
func rowsOfKernel(w []int8, s *convShape) []int8 {
	out, area := make([]int8, len(w)), s.KH*s.KW
	for o := range s.cout {
		for c := range s.cin {
			for t := range area {
				out[(o*area+t)*s.cin+c] = w[(o*s.cin+c)*area+t]
			}
		}
	}
	return out
}

// packBytes returns n zeroed bytes for packed weights, aligned for int32.
func (e *Env) packBytes(n int) []byte {
	p := e.pack((n + 3) / 4)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(p))), n)
}

// zeroRow returns n elements of a zero point, and slack, as uint8 or int16.
func zeroRow(env *Env, n int, zero int32, wide bool) unsafe.Pointer {
	type key struct {
		n    int
		zero int32
		wide bool
	}
	return env.Shared(key{n, zero, wide}, func() any {
		row := make([]int16, n+ref.Q8Slack)
		b := unsafe.Slice((*byte)(unsafe.Pointer(&row[0])), 2*len(row))
		if !wide {
			for i := range b {
				b[i] = byte(zero)
			}
		} else {
			for i := range row {
				row[i] = int16(zero)
			}
		}
		return unsafe.Pointer(&row[0])
	}).(unsafe.Pointer)
}

// depthwiseQ8 is a prepared depthwise convolution of 8-bit numbers.
type depthwiseQ8 struct {
	s      *convShape
	env    *Env
	finish *finishQ8
	table  *rowTable
	tiles  int // per image
	args   []ref.DwconvQ8
}

func prepareDepthwiseQ8(env *Env, s *convShape, f *finishQ8) []Step {
	c, taps, group := f.c, s.KH*s.KW, env.Kernels.Q8DwconvGroup
	w, b := env.In[1], opt(env.In, 2)
	key := q8Key{"depthwise", dataKey(w), dataKey(b), unsafe.SliceData(c.Mult), c.ZeroA, ref.TileQ8{KR: group}, s.Group, false}
	weights := env.Shared(key, func() any {
		p := env.packBytes(ref.PackedDwconvQ8Len(taps, s.cin, group))
		var bias []int32
		if b != nil {
			bias = tensor.View[int32](b)
		}
		all := tensor.View[int8](w)
		ref.PackDwconvQ8(p, func(t, ch int) int8 { return all[ch*taps+t] }, bias, c.Mult, taps, s.cin, group, c.ZeroA)
		return p
	}).([]byte)
	d := &depthwiseQ8{s: s, env: env, finish: f, table: sharedRows(env, s), args: make([]ref.DwconvQ8, env.Threads)}
	rows := s.OutH * s.OutW
	d.tiles = min(env.tiles(rows*taps*s.cin*2), (rows+15)/16)
	lo, hi, float := f.limits()
	for i := range d.args {
		d.args[i] = ref.DwconvQ8{ZeroA: zeroRow(env, s.cin, c.ZeroA, false), W: unsafe.Pointer(&weights[0]), Taps: taps, C: s.cin,
			Min: lo, Max: hi, Zero: c.Zero, Float: float}
	}
	return []Step{{Kernel: env.Kernels.Name + " q8 dwconv", Tiles: d.tiles * s.n, Cost: s.n * rows * s.cin * taps, Run: d.run}}
}

func (d *depthwiseQ8) run(worker, tile int) {
	s, x, y, size := d.s, d.env.In[0], d.env.Out[0], d.finish.outSize()
	image, tile := tile/d.tiles, tile%d.tiles
	rows := s.OutH * s.OutW
	r0, r1 := part(tile, d.tiles, rows, 1)
	outPitch := pitch(y)
	out := (image*rows + r0) * outPitch
	a := &d.args[worker]
	a.OutStride = outPitch * size
	chunk := max(tileCost/(a.Taps*s.cin), 1)
	for r := r0; r < r1; r += a.Pixels {
		i, j := r/s.OutW, r%s.OutW
		row := d.table.rows[i]
		a.Pixels = min(chunk, r1-r, s.OutW-j)
		a.In = unsafe.Pointer(&x.Data[image*s.h*s.w*s.inPitch+row.base])
		a.Offsets = &d.table.offsets[row.first+j*a.Taps]
		a.Out = unsafe.Pointer(&y.Data[(out+(r-r0)*outPitch)*size])
		d.env.Kernels.Q8Dwconv(a)
	}
	d.finish.rows(out, r1-r0, s.cin, 0)
}
