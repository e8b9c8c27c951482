package op

import (
	"math"
	"unsafe"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels/ref"
)

// MACs implements Counter.
func (m *MatMul) MACs(in, out []*graph.Value) int64 {
	a := in[0].Type.Shape
	return elems64(out[0]) * int64(a[len(a)-1])
}

// MACs implements Counter.
func (g *Gemm) MACs(in, out []*graph.Value) int64 {
	p, _ := g.product(in[0].Type.Shape, in[1].Type.Shape)
	return elems64(out[0]) * int64(p.k)
}

// Prepare implements Preparer: tiles of the matrix kernel for float32, rows in
// parallel for all other types.
func (m *MatMul) Prepare(env *Env) ([]Step, error) {
	p, err := newProduct(env.In[0].Shape, env.In[1].Shape)
	if err != nil {
		return nil, err
	}
	return prepareDense(env, affine{product: p, alpha: 1})
}

// Prepare implements Preparer, as that of MatMul.
func (g *Gemm) Prepare(env *Env) ([]Step, error) {
	p, err := g.product(env.In[0].Shape, env.In[1].Shape)
	if err != nil {
		return nil, err
	}
	return prepareDense(env, affine{p, g.Alpha, g.Beta})
}

// dense computes y = alpha·A·B + beta·C in float32 by the matrix kernel. B,
// times alpha, lies in panels; a constant C that is the same for all rows is
// their bias.
type dense struct {
	affine
	env        *Env
	mats, cols int // matrices of y; panels of a matrix of B
	panels     []float32
	panelLen   int
	rowTiles   int
	colTiles   int
	res        []float32      // beta·C where it is constant and differs between rows: [M,N]
	c          *tensor.Tensor // where it is not constant
	strip      *Scratch       // for rows of a transposed A
	args       []ref.GemmF32  // one for each worker
}

func prepareDense(env *Env, a affine) ([]Step, error) {
	x, b, c, y := env.In[0], env.In[1], opt(env.In, 2), env.Out[0]
	if y.DType != tensor.Float32 || y.Elems() == 0 || a.k == 0 {
		return split("matmul", a.rows(), a.n*a.k, func(_, lo, hi int) { a.eval(x, b, c, y, lo, hi) }), nil
	}
	mats := a.rows() / a.m
	if b.Elems() == a.k*a.n && a.aCol == 1 {
		// One matrix B: the rows of all matrices A are those of one.
		a.m, mats, a.rank = a.m*mats, 1, 0
	}
	nr := env.Kernels.F32NR
	d := &dense{affine: a, env: env, mats: mats, cols: (a.n + nr - 1) / nr, panelLen: (a.k + 1) * nr}
	d.args = make([]ref.GemmF32, env.Threads)
	for w := range d.args {
		d.args[w] = ref.GemmF32{
			K: a.k, Taps: 1, AStride: a.aRow * 4, CStride: a.n * 4,
			Min: float32(math.Inf(-1)), Max: float32(math.Inf(1)),
		}
	}
	bias := d.addend(c, len(env.In) > 2 && env.Const[2])
	d.rowTiles, d.colTiles = env.grid(env.Kernels.F32MR, nr, a.m, a.n, a.k, a.k)
	if a.aCol != 1 {
		d.strip = env.Scratch((roundUp(a.m, env.Kernels.F32MR)/d.rowTiles + env.Kernels.F32MR) * a.k * 4)
	}
	step := Step{
		Kernel: env.Kernels.Name + " gemm",
		Tiles:  d.mats * d.rowTiles * d.colTiles,
		Cost:   d.mats * a.m * a.n * a.k,
		Run:    d.run,
	}
	if env.Const[1] {
		d.panels = d.shared(b, bias)
		return []Step{step}, nil
	}
	d.panels = d.alloc(b, bias, false)
	tiles := len(d.panels) / d.panelLen
	pack := Step{Kernel: "pack", Tiles: tiles, Cost: b.Elems(), Run: func(_, tile int) { d.pack(b.F32(), d.panels, tile) }}
	return []Step{pack, step}, nil
}

// addend decides how C is added and returns the bias of the panels, or nil.
func (d *dense) addend(c *tensor.Tensor, constant bool) *tensor.Tensor {
	if c == nil || d.beta == 0 {
		return nil
	}
	row, col := broadcastStrides(c.Shape)
	switch {
	case !constant:
		d.c = c
	case row == 0:
		return c
	default:
		d.res = make([]float32, d.m*d.n)
		for i := range d.res {
			d.res[i] = float32(d.beta * c.Float(i/d.n*row+i%d.n*col))
		}
	}
	return nil
}

// alloc returns panels for all matrices of B with their bias set.
func (d *dense) alloc(b, bias *tensor.Tensor, constant bool) []float32 {
	n := b.Elems() / (d.k * d.n) * d.cols * d.panelLen
	var panels []float32
	if constant {
		panels = d.env.pack(n)
	} else {
		panels = make([]float32, n)
	}
	if bias == nil {
		return panels
	}
	nr := d.env.Kernels.F32NR
	_, col := broadcastStrides(bias.Shape)
	for i := 0; i < len(panels); i += d.panelLen {
		first := i / d.panelLen % d.cols * nr
		for j := range min(nr, d.n-first) {
			panels[i+j] = float32(d.beta * bias.Float((first+j)*col))
		}
	}
	return panels
}

// denseKey names the panels of a constant B and C.
type denseKey struct {
	b, bias     *byte
	alpha, beta float64
	col         int // stride of the bias
	k, n, nr    int
	trans       bool
}

// shared returns the panels of a constant B, once for each model.
func (d *dense) shared(b, bias *tensor.Tensor) []float32 {
	key := denseKey{b: dataKey(b), alpha: d.alpha, k: d.k, n: d.n, nr: d.env.Kernels.F32NR, trans: d.bCol != 1}
	if bias != nil {
		_, key.col = broadcastStrides(bias.Shape)
		key.bias, key.beta = dataKey(bias), d.beta
	}
	return d.env.Shared(key, func() any {
		panels := d.alloc(b, bias, true)
		for i := range len(panels) / d.panelLen {
			d.pack(b.F32(), panels, i)
		}
		return panels
	}).([]float32)
}

// pack fills the weights of panel i: K rows of NR columns, times alpha.
func (d *dense) pack(b, panels []float32, i int) {
	m := ref.Matrix{Data: b[i/d.cols*d.k*d.n:], Taps: 1, K: d.k, N: d.n, Row: d.bRow, Col: d.bCol}
	nr := d.env.Kernels.F32NR
	panel := panels[i*d.panelLen : (i+1)*d.panelLen]
	m.PackPanel(panel, i%d.cols, nr)
	if alpha := float32(d.alpha); alpha != 1 {
		for j := nr; j < len(panel); j++ {
			panel[j] *= alpha
		}
	}
}

// run computes one tile: some rows by some columns of one matrix.
func (d *dense) run(worker, tile int) {
	mr, nr := d.env.Kernels.F32MR, d.env.Kernels.F32NR
	col, tile := tile%d.colTiles, tile/d.colTiles
	row, mat := tile%d.rowTiles, tile/d.rowTiles
	r0, r1 := part(row, d.rowTiles, d.m, mr)
	c0, c1 := part(col, d.colTiles, d.n, nr)
	ai, bi := d.offsets(mat)
	x, y := d.env.In[0].F32()[ai:], d.env.Out[0].F32()[mat*d.m*d.n:]
	panels := d.panels[bi/(d.k*d.n)*d.cols*d.panelLen:]

	a, chunk := &d.args[worker], callRows(d.k, mr, nr)
	src := unsafe.Pointer(&x[r0*d.aRow])
	if d.strip != nil {
		rows := bytesF32(d.strip.For(worker))
		for k := range d.k {
			for r, v := range x[k*d.aCol+r0:][:r1-r0] {
				rows[r*d.k+k] = v
			}
		}
		src, a.AStride = unsafe.Pointer(&rows[0]), d.k*4
	}
	for n := c0; n < c1; n += nr {
		a.N = min(nr, c1-n)
		a.W = unsafe.Pointer(&panels[n/nr*d.panelLen])
		for m := r0; m < r1; m += chunk {
			a.M = min(chunk, r1-m)
			a.A = unsafe.Add(src, (m-r0)*a.AStride)
			a.C = unsafe.Pointer(&y[m*d.n+n])
			if d.res != nil {
				a.Res, a.ResStride = unsafe.Pointer(&d.res[m*d.n+n]), d.n*4
			}
			d.env.Kernels.F32Gemm(a)
		}
	}
	if d.c == nil {
		return
	}
	cRow, cCol := broadcastStrides(d.c.Shape)
	c, beta := d.c.F32(), float32(d.beta)
	for m := r0; m < r1; m++ {
		for n := c0; n < c1; n++ {
			y[m*d.n+n] += float32(beta * c[m*cRow+n*cCol])
		}
	}
}
