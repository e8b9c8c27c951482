package op_test

import (
	"testing"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/kernels"
)

// steps prepares an operator for one worker of a rung. The first data inputs
// change from run to run, the others are constants.
func steps(b *testing.B, s *kernels.Set, o graph.Op, data int, in []*tensor.Tensor) []op.Step {
	b.Helper()
	out, err := bind(o, 1, in...)
	if err != nil {
		b.Fatal(err)
	}
	env := netEnv(in, out, s, true)
	env.Threads = 1
	for i := range data {
		env.Const[i] = false
	}
	scratch := &op.Scratch{}
	env.Scratch = func(n int) *op.Scratch {
		scratch.Stride = max(scratch.Stride, (n+63)&^63)
		return scratch
	}
	steps, err := o.(op.Preparer).Prepare(env)
	if err != nil {
		b.Fatal(err)
	}
	scratch.Buf = tensor.New(tensor.Uint8, scratch.Stride).Data
	return steps
}

// benchmark times an operator on every rung. work is the number of things that
// unit counts, in billions a second.
func benchmark(b *testing.B, name string, o graph.Op, work int, unit string, data int, in ...*tensor.Tensor) {
	for _, s := range kernels.Available() {
		b.Run("rung="+s.Name+"/"+name, func(b *testing.B) {
			list := steps(b, s, o, data, in)
			for b.Loop() {
				for i := range list {
					for tile := range list[i].Tiles {
						list[i].Run(0, tile)
					}
				}
			}
			b.ReportMetric(float64(work)*float64(b.N)/b.Elapsed().Seconds()/1e9, unit)
		})
	}
}

// conv describes a convolution of a square picture by a square window.
type conv struct {
	name              string
	side, cin, cout   int
	k, stride, groups int
	act               op.Act
}

func BenchmarkConv(b *testing.B) {
	for _, c := range []conv{
		{"pointwise/56x56x64-64", 56, 64, 64, 1, 1, 1, op.ClampAct(0, 6)},
		{"pointwise/28x28x192-32", 28, 192, 32, 1, 1, 1, op.NoAct()},
		{"pointwise/13x13x128-128/silu", 13, 128, 128, 1, 1, 1, op.UnaryAct(kernels.SiLU, 1, 0)},
		{"pointwise/7x7x960-160", 7, 960, 160, 1, 1, 1, op.NoAct()},
		{"window/56x56x64-64/k=3", 56, 64, 64, 3, 1, 1, op.ClampAct(0, 6)},
		{"window/14x14x256-256/k=3", 14, 256, 256, 3, 1, 1, op.ClampAct(0, 6)},
		{"window/56x56x64-128/k=3/stride=2", 56, 64, 128, 3, 2, 1, op.ClampAct(0, 6)},
		{"first/224x224x3-32/k=3/stride=2", 224, 3, 32, 3, 2, 1, op.ClampAct(0, 6)},
		{"depthwise/112x112x32/k=3", 112, 32, 32, 3, 1, 32, op.ClampAct(0, 6)},
		{"depthwise/56x56x96/k=3/stride=2", 56, 96, 96, 3, 2, 96, op.ClampAct(0, 6)},
		{"depthwise/22x22x96/k=5", 22, 96, 96, 5, 1, 96, op.ClampAct(0, 6)},
		{"depthwise/28x28x72/k=5/stride=2", 28, 72, 72, 5, 2, 72, op.ClampAct(0, 6)},
	} {
		out := (c.side + c.stride - 1) / c.stride
		pad := c.k / 2
		o := &op.ConvNHWC{
			KH: c.k, KW: c.k, StrideH: c.stride, StrideW: c.stride, DilH: 1, DilW: 1, PadT: pad, PadL: pad,
			OutH: out, OutW: out, Group: c.groups, Act: c.act, Planar: c.cin == 3,
		}
		x := wave(0, 1, c.side, c.side, c.cin)
		if o.Planar {
			x = wave(0, 1, c.cin, c.side, c.side)
		}
		macs := out * out * c.cout * c.cin / c.groups * c.k * c.k
		benchmark(b, c.name, o, 2*macs, "GFLOP/s", 1, x, wave(1, c.cout, c.cin/c.groups, c.k, c.k), wave(2, c.cout))
	}
}

func BenchmarkMatMul(b *testing.B) {
	benchmark(b, "constant/1x1280x1000", &op.MatMul{}, 2*1280*1000, "GFLOP/s", 1, wave(0, 1, 1280), wave(1, 1280, 1000))
	benchmark(b, "constant/196x192x192", &op.MatMul{}, 2*196*192*192, "GFLOP/s", 1, wave(0, 196, 192), wave(1, 192, 192))
	benchmark(b, "both/196x64x196", &op.MatMul{}, 2*196*64*196, "GFLOP/s", 2, wave(0, 196, 64), wave(1, 64, 196))
}

func BenchmarkSoftmax(b *testing.B) {
	softmax := &op.Softmax{Kind: op.SoftmaxProb, Axis: -1}
	benchmark(b, "22x22x80", softmax, 22*22*80, "Gelem/s", 1, wave(0, 1, 22, 22, 80))
	benchmark(b, "1x1000", softmax, 1000, "Gelem/s", 1, wave(0, 1, 1000))
	benchmark(b, "4420x2", softmax, 4420*2, "Gelem/s", 1, wave(0, 1, 4420, 2))
	benchmark(b, "2x224x224/axis=1", &op.Softmax{Kind: op.SoftmaxProb, Axis: 1}, 2*224*224, "Gelem/s", 1, wave(0, 1, 2, 224, 224))
}

func BenchmarkUnary(b *testing.B) {
	for _, c := range []struct {
		name string
		o    *op.Unary
	}{
		{"Sigmoid", &op.Unary{Kind: op.Sigmoid}},
		{"Tanh", &op.Unary{Kind: op.Tanh}},
		{"Exp", &op.Unary{Kind: op.Exp}},
		{"HardSwish", &op.Unary{Kind: op.HardSwish, Alpha: 1. / 6, Beta: .5}},
		{"Sqrt", &op.Unary{Kind: op.Sqrt}},
	} {
		benchmark(b, c.name+"/28x28x96", c.o, 28*28*96, "Gelem/s", 1, wave(0, 1, 28, 28, 96))
	}
}

func BenchmarkBinary(b *testing.B) {
	benchmark(b, "Add/28x28x96", &op.Binary{Kind: op.Add}, 28*28*96, "Gelem/s", 2, wave(0, 1, 28, 28, 96), wave(1, 1, 28, 28, 96))
	benchmark(b, "Mul/28x28x96/channels", &op.Binary{Kind: op.Mul}, 28*28*96, "Gelem/s", 2, wave(0, 1, 28, 28, 96), wave(1, 1, 1, 1, 96))
}

func BenchmarkResize(b *testing.B) {
	const side, up = 20, 40
	near, linear := &op.ResizeNHWC{}, &op.ResizeNHWC{Linear: true}
	for i := range up {
		near.Y0, near.TY = append(near.Y0, i/2), append(near.TY, 0)
		at := max(float32(i)/2-.25, 0)
		y := int(at)
		linear.Y0, linear.Y1 = append(linear.Y0, y), append(linear.Y1, min(y+1, side-1))
		linear.TY = append(linear.TY, at-float32(y))
	}
	near.Y1, near.X0, near.X1, near.TX = near.Y0, near.Y0, near.Y0, near.TY
	linear.X0, linear.X1, linear.TX = linear.Y0, linear.Y1, linear.TY
	for _, c := range []struct {
		name string
		ch   int
	}{{"c=2", 2}, {"c=96", 96}} {
		benchmark(b, "nearest/20x20-40x40/"+c.name, near, up*up*c.ch, "Gelem/s", 1, wave(0, 1, side, side, c.ch))
		benchmark(b, "bilinear/20x20-40x40/"+c.name, linear, up*up*c.ch, "Gelem/s", 1, wave(0, 1, side, side, c.ch))
	}
}

func BenchmarkPool(b *testing.B) {
	for _, most := range []bool{true, false} {
		name := "avg"
		if most {
			name = "max"
		}
		p := &op.PoolNHWC{Max: most, KH: 3, KW: 3, StrideH: 2, StrideW: 2, DilH: 1, DilW: 1, PadT: 1, PadL: 1, PadB: 1, PadR: 1, OutH: 28, OutW: 28}
		benchmark(b, name+"/56x56x64/k=3/stride=2", p, 28*28*64*9, "Gelem/s", 1, wave(0, 1, 56, 56, 64))
		benchmark(b, "global "+name+"/7x7x1280", &op.GlobalPoolNHWC{Max: most}, 7*7*1280, "Gelem/s", 1, wave(0, 1, 7, 7, 1280))
	}
}
