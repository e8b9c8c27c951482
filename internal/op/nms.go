package op

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// NonMaxSuppression picks boxes by score, for each image and class, and drops
// those that overlap a better one by more than a threshold. Its inputs are
// boxes [images, n, 4], scores [images, classes, n], and optionally the most
// boxes for one class (0 where absent), the threshold on the intersection
// over union (0 where absent), and one that scores must exceed. A row of the
// output is (image, class, box).
//
// Boxes are two opposite corners (y, x, y, x) or, with Center, (x centre,
// y centre, width, height).
type NonMaxSuppression struct{ Center bool }

func newNonMaxSuppression(n *graph.Node, _ int) (graph.Op, error) {
	switch format := n.Attrs.Int("center_point_box", 0); format {
	case 0, 1:
		return &NonMaxSuppression{Center: format == 1}, nil
	default:
		return nil, fmt.Errorf("center_point_box is %d: %w", format, ErrUnsupported)
	}
}

// Infer returns the upper bound: every box, or as many as one class may have.
func (m *NonMaxSuppression) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 2, 5); err != nil {
		return nil, err
	}
	boxes, scores := in[0].Type, in[1].Type
	if boxes.DType != tensor.Float32 || scores.DType != tensor.Float32 {
		return nil, fmt.Errorf("boxes are %v and scores %v, want float32: %w", boxes.DType, scores.DType, ErrUnsupported)
	}
	b, s := boxes.Shape, scores.Shape
	if len(b) != 3 || b[2] != 4 || len(s) != 3 || s[0] != b[0] || s[2] != b[1] {
		return nil, fmt.Errorf("boxes %v and scores %v do not belong together: %w", b, s, ErrShape)
	}
	for i := 2; i < len(in); i++ {
		if v := in[i]; v != nil && (v.Type.Shape.Elems() != 1 || i == 2 && !v.Type.DType.IsInt() || i > 2 && v.Type.DType != tensor.Float32) {
			return nil, fmt.Errorf("input %d, %q, is %v, want one number: %w", i, v.Name, v.Type, ErrShape)
		}
	}
	most := 0
	if v := opt(in, 2); v != nil {
		if most = b[1]; v.Known() != nil {
			most = min(max(integers{t: v.Known()}.at(0), 0), most)
		}
	}
	return typed(tensor.Int64, tensor.Shape{satMul(satMul(b[0], s[1]), most), 3})
}

// DataDependent implements graph.DataDependent.
func (m *NonMaxSuppression) DataDependent([]*graph.Value) bool { return true }

// Eval allocates its list of candidates.
func (m *NonMaxSuppression) Eval(in, out []*tensor.Tensor) error {
	m.run(in, out[0], make([]uint32, in[0].Shape[1]))
	return nil
}

// Prepare makes one step with the candidates in scratch memory.
func (m *NonMaxSuppression) Prepare(env *Env) ([]Step, error) {
	n := env.In[0].Shape[1]
	scratch := env.Scratch(4 * n)
	return []Step{{Kernel: "nms", Tiles: 1, Cost: 4 * env.In[1].Elems(), Run: func(worker, _ int) {
		m.run(env.In, env.Out[0], bytesAs[uint32](scratch.For(worker)))
	}}}, nil
}

// run takes room for as many candidates as there are boxes.
func (m *NonMaxSuppression) run(in []*tensor.Tensor, out *tensor.Tensor, room []uint32) {
	boxes, scores := in[0].F32(), in[1].F32()
	images, n, classes := in[0].Shape[0], in[0].Shape[1], in[1].Shape[1]
	most, overlap := 0, float32(0)
	if v := opt(in, 2); v != nil {
		most = max(integers{t: v}.at(0), 0)
	}
	if v := opt(in, 3); v != nil {
		overlap = v.F32()[0]
	}
	rows := bytesAs[uint64](out.Data)
	found := 0
	for image := range images {
		boxes := boxes[image*n*4:][:n*4]
		for class := range classes {
			scores := scores[(image*classes+class)*n:][:n]
			order := candidates(room, scores, opt(in, 4))
			first := found
			for _, c := range order {
				if found-first == most {
					break
				}
				box, keep := m.corners(boxes, int(c)), true
				for r := first; keep && r < found; r++ {
					keep = !overlaps(box, m.corners(boxes, int(rows[3*r+2])), overlap)
				}
				if keep {
					rows[3*found], rows[3*found+1], rows[3*found+2] = uint64(image), uint64(class), uint64(c)
					found++
				}
			}
		}
	}
	out.Shape[0] = found
}

// candidates lists the boxes whose score exceeds the threshold, where there
// is one, best first.
func candidates(room []uint32, scores []float32, threshold *tensor.Tensor) []uint32 {
	n := 0
	for i, s := range scores {
		if threshold == nil || s > threshold.F32()[0] {
			room[n] = uint32(i)
			n++
		}
	}
	slices.SortFunc(room[:n], func(a, b uint32) int {
		if c := cmp.Compare(scores[b], scores[a]); c != 0 {
			return c
		}
		return cmp.Compare(a, b)
	})
	return room[:n]
}

// corners returns box i as y0, x0, y1, x1 with the smaller corner first.
func (m *NonMaxSuppression) corners(boxes []float32, i int) [4]float32 {
	b := boxes[4*i : 4*i+4]
	if m.Center {
		return [4]float32{b[1] - b[3]/2, b[0] - b[2]/2, b[1] + b[3]/2, b[0] + b[2]/2}
	}
	return [4]float32{min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])}
}

// overlaps reports whether the intersection of two boxes over their union is
// more than a threshold.
func overlaps(a, b [4]float32, threshold float32) bool {
	h := min(a[2], b[2]) - max(a[0], b[0])
	w := min(a[3], b[3]) - max(a[1], b[1])
	areaA, areaB := (a[2]-a[0])*(a[3]-a[1]), (b[2]-b[0])*(b[3]-b[1])
	if h <= 0 || w <= 0 || areaA <= 0 || areaB <= 0 {
		return false
	}
	return h*w/(areaA+areaB-h*w) > threshold
}
