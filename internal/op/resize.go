package op

import (
	"fmt"
	"math"
	"slices"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// Resize changes extents by interpolation. Upsample is a Resize with
// asymmetric coordinates.
//
// Inputs: x; then, by operator set, scales (10) or roi, scales and sizes (11
// and later). The modes bear ONNX's names.
type Resize struct {
	Mode      string // nearest, linear or cubic
	Coord     string // coordinate_transformation_mode
	Nearest   string // nearest_mode; "simple" is operator set 10's: down for growing axes, up for shrinking ones
	Policy    string // keep_aspect_ratio_policy
	Axes      []int  // nil: all; those that roi, scales and sizes speak of
	CubicA    float64
	Antialias bool
	Exclude   bool    // weights outside the image are zero, the others renormalised
	Outside   float64 // the value outside the image for tf_crop_and_resize
	// Scales are those of an attribute (Upsample before 9); nil: an input's.
	Scales []float32
	// inputs holds the positions of roi, scales and sizes; 0 for none.
	roi, scales, sizes int
}

func newResize(n *graph.Node, opset int) (graph.Op, error) {
	r := &Resize{
		Mode:      n.Attrs.String("mode", "nearest"),
		Coord:     n.Attrs.String("coordinate_transformation_mode", "half_pixel"),
		Nearest:   n.Attrs.String("nearest_mode", "round_prefer_floor"),
		Policy:    n.Attrs.String("keep_aspect_ratio_policy", "stretch"),
		Axes:      intList(n, "axes"),
		CubicA:    float64(n.Attrs.Float("cubic_coeff_a", -0.75)),
		Antialias: n.Attrs.Int("antialias", 0) != 0,
		Exclude:   n.Attrs.Int("exclude_outside", 0) != 0,
		Outside:   float64(n.Attrs.Float("extrapolation_value", 0)),
		roi:       1, scales: 2, sizes: 3,
	}
	if opset < 11 {
		r.Coord, r.Nearest, r.roi, r.scales, r.sizes = "asymmetric", "simple", 0, 1, 0
	}
	return r, r.check()
}

func newUpsample(n *graph.Node, opset int) (graph.Op, error) {
	r := &Resize{
		Mode: n.Attrs.String("mode", "nearest"), Coord: "asymmetric", Nearest: "simple", Policy: "stretch",
	}
	switch {
	case opset >= 9:
		r.scales = 1
	case n.Attrs.Has("scales"):
		r.Scales = n.Attrs.Floats("scales")
	default:
		h, w := n.Attrs.Float("height_scale", 0), n.Attrs.Float("width_scale", 0)
		r.Scales = []float32{1, 1, h, w}
	}
	return r, r.check()
}

func (r *Resize) check() error {
	// Early exporters write bilinear and bicubic.
	switch r.Mode {
	case "bilinear":
		r.Mode = "linear"
	case "bicubic":
		r.Mode = "cubic"
	}
	for _, a := range []struct {
		name, value string
		known       []string
	}{
		{"mode", r.Mode, []string{"nearest", "linear", "cubic"}},
		{"coordinate_transformation_mode", r.Coord, []string{"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",
			"align_corners", "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"}},
		{"nearest_mode", r.Nearest, []string{"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "simple"}},
		{"keep_aspect_ratio_policy", r.Policy, []string{"stretch", "not_larger", "not_smaller"}},
	} {
		if !slices.Contains(a.known, a.value) {
			return fmt.Errorf("attribute %s: %q: %w", a.name, a.value, ErrUnsupported)
		}
	}
	if r.Antialias && r.Mode == "nearest" {
		return fmt.Errorf("attribute antialias with mode nearest: %w", ErrUnsupported)
	}
	return nil
}

// resizeAxis is what happens to one axis.
type resizeAxis struct {
	in, out  int
	scale    float32
	length   float32 // of the output before it was rounded down to out
	from, to float32 // roi
}

// plain reports an axis that stays as it is.
func (a *resizeAxis) plain() bool {
	return a.in == a.out && a.scale == 1 && a.from == 0 && a.to == 1
}

// axes resolves the extents of an input of shape x. get returns the contents
// of an input, nil where it is absent.
func (r *Resize) axes(x tensor.Shape, get func(i int) (*tensor.Tensor, error)) ([]resizeAxis, error) {
	all := make([]resizeAxis, len(x))
	for i, e := range x {
		all[i] = resizeAxis{in: e, out: e, scale: 1, length: float32(e), to: 1}
	}
	list, err := r.listed(len(x))
	if err != nil {
		return nil, err
	}
	var got [3]*tensor.Tensor
	for k, i := range []int{r.roi, r.scales, r.sizes} {
		if i == 0 || k == 0 && r.Coord != "tf_crop_and_resize" {
			continue
		}
		t, err := get(i)
		if err != nil {
			return nil, err
		}
		if t == nil || t.Elems() == 0 {
			continue
		}
		if want := len(list) * (1 + (2-k)/2); t.Elems() != want {
			return nil, fmt.Errorf("input %d has %d entries, want %d: %w", i, t.Elems(), want, ErrShape)
		}
		got[k] = t
	}
	for j, a := range list {
		if roi := got[0]; roi != nil {
			all[a].from, all[a].to = float32(roi.Float(j)), float32(roi.Float(len(list)+j))
		}
	}
	scales, sizes := got[1], got[2]
	switch {
	case r.Scales != nil:
		if len(r.Scales) != len(list) {
			return nil, fmt.Errorf("attribute scales: %v for rank %d: %w", r.Scales, len(x), ErrShape)
		}
		err = scaleAxes(all, list, func(j int) float32 { return r.Scales[j] })
	case (scales == nil) == (sizes == nil):
		err = fmt.Errorf("want either scales or sizes: %w", ErrShape)
	case scales != nil:
		err = scaleAxes(all, list, func(j int) float32 { return float32(scales.Float(j)) })
	default:
		err = r.sizeAxes(all, list, sizes)
	}
	return all, err
}

// listed returns the axes that roi, scales and sizes have entries for.
func (r *Resize) listed(rank int) ([]int, error) {
	var list []int
	if r.Axes == nil {
		for i := range rank {
			list = append(list, i)
		}
	}
	for _, a := range r.Axes {
		a, err := axis(a, rank)
		if err != nil {
			return nil, err
		}
		if slices.Contains(list, a) {
			return nil, fmt.Errorf("attribute axes: %v repeats an axis: %w", r.Axes, ErrShape)
		}
		list = append(list, a)
	}
	return list, nil
}

func scaleAxes(all []resizeAxis, list []int, scale func(j int) float32) error {
	for j, a := range list {
		s := scale(j)
		length := s * float32(all[a].in)
		if !(s > 0) || !(length < maxWindow) {
			return fmt.Errorf("axis %d of extent %d cannot be scaled by %v: %w", a, all[a].in, s, ErrShape)
		}
		all[a].scale, all[a].length, all[a].out = s, length, int(length)
	}
	return nil
}

func (r *Resize) sizeAxes(all []resizeAxis, list []int, sizes *tensor.Tensor) error {
	common := 0.0
	for j, a := range list {
		n := sizes.Int(j)
		if n < 0 || n > maxWindow || all[a].in == 0 && n != 0 {
			return fmt.Errorf("axis %d of extent %d cannot be resized to %d: %w", a, all[a].in, n, ErrShape)
		}
		all[a].out, all[a].length = int(n), float32(n)
		if all[a].in == 0 {
			continue
		}
		all[a].scale = float32(n) / float32(all[a].in)
		s := float64(n) / float64(all[a].in)
		if j == 0 || r.Policy == "not_larger" && s < common || r.Policy == "not_smaller" && s > common {
			common = s
		}
	}
	if r.Policy == "stretch" {
		return nil
	}
	for _, a := range list {
		n := math.Floor(common*float64(all[a].in) + 0.5)
		all[a].scale, all[a].out, all[a].length = float32(common), int(n), float32(common)*float32(all[a].in)
	}
	return nil
}

// Infer implements graph.Op.
func (r *Resize) Infer(in []*graph.Value) ([]tensor.Type, error) {
	if err := args(in, 1, 1+max(r.roi, r.scales, r.sizes, 0)); err != nil {
		return nil, err
	}
	x := in[0].Type
	if x.DType == tensor.Bool || x.DType == tensor.Int4 || x.DType == tensor.Uint4 {
		return nil, fmt.Errorf("element type %v of %q: %w", x.DType, in[0].Name, ErrUnsupported)
	}
	all, err := r.axes(x.Shape, func(i int) (*tensor.Tensor, error) {
		// An exporter may give an empty tensor for an absent one.
		if v := opt(in, i); v == nil || v.Type.Shape.Elems() == 0 {
			return nil, nil
		}
		return known(in, i)
	})
	if err != nil {
		return nil, err
	}
	y := x.Shape.Clone()
	for i, a := range all {
		y[i] = a.out
		if a.in == 0 && a.out != 0 {
			return nil, fmt.Errorf("axis %d is empty: %w", i, ErrShape)
		}
	}
	return []tensor.Type{{DType: x.DType, Shape: y}}, nil
}

// Eval implements Evaluator. It allocates the tables that Prepare would keep.
func (r *Resize) Eval(in, out []*tensor.Tensor) error {
	p, err := r.plan(in)
	if err != nil {
		return err
	}
	if !p.y.Equal(out[0].Shape) {
		return fmt.Errorf("extents %v, planned for %v: %w", p.y, out[0].Shape, ErrShape)
	}
	p.run(in[0], out[0], 0, p.outer, make([]float64, p.scratch))
	return nil
}

// Prepare implements Preparer: the tables are built once where roi, scales
// and sizes are constant, and the axes before the first resized one are
// computed in parallel.
func (r *Resize) Prepare(env *Env) ([]Step, error) {
	for i := 1; i < len(env.In); i++ {
		if env.In[i] != nil && !env.Const[i] {
			return nil, nil
		}
	}
	p, err := r.plan(env.In)
	if err != nil {
		return nil, err
	}
	x, y, s := env.In[0], env.Out[0], env.Scratch(8*p.scratch)
	return split("resize", p.outer, p.cost, func(worker, lo, hi int) {
		p.run(x, y, lo, hi, scratchF64(s, worker, p.scratch))
	}), nil
}
