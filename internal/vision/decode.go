package vision

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/edgecam/edgecam/kernels"
)

// Decoder turns the outputs of one model into detections. It is used by one
// goroutine at a time.
type Decoder struct {
	preset        Preset
	width, height int // of the model's input
	kernels       *kernels.Set
	classes       int
	use           []int // the outputs that are read, by place in the model's list
	size          []int // their numbers of elements
	decode        func(d *Decoder, dst []Detection, data [][]float32, t Transform, minScore float32) []Detection
	data          [][]float32
	best          []float32 // yolov8: highest class of each cell
	priors        [][4]float32
	anchors       int // scrfd: in each cell
	proto         prototypes
}

// NewDecoder returns the decoder of preset p for a model whose input has width x
// height pixels and whose outputs have the names and shapes of outs; their data
// is not read. Where they do not fit, the error says what p wants and wraps
// ErrPreset.
func NewDecoder(p Preset, width, height int, outs []Output) (*Decoder, error) {
	if p.Task != Detect {
		return nil, wrongTask(p, Detect)
	}
	set, err := kernels.Select()
	if err != nil {
		return nil, fmt.Errorf("vision: decoder: %w", err)
	}
	d := &Decoder{preset: p, width: width, height: height, kernels: set}
	want := d.fit(outs)
	if want == "" {
		return nil, fmt.Errorf("vision: %w: %q; presets are %s", ErrPreset, p.Name, strings.Join(PresetNames(), ", "))
	}
	if d.decode == nil {
		return nil, fmt.Errorf("vision: %w: preset %s wants %s at an input of %dx%d; the model has %s", ErrPreset, p.Name, want, width, height, describe(outs))
	}
	d.data = make([][]float32, len(d.use))
	return d, nil
}

// fit sets decode where the outputs are those of the preset, and says what these
// are; nothing where there is no such preset.
func (d *Decoder) fit(outs []Output) string {
	switch d.preset.Name {
	case "fastestdet":
		d.fitFastestDet(outs)
		return fmt.Sprintf("one output [1, 5+classes, %d, %d]", d.height/16, d.width/16)
	case "yolox":
		d.fitRows(outs, d.cells(), 0, (*Decoder).yolox)
		return fmt.Sprintf("an output [1, %d, 5+classes]", d.cells())
	case "yolov5":
		d.fitPrototypes(outs)
		d.fitRows(outs, 3*d.cells(), d.proto.n, (*Decoder).yolov5)
		return fmt.Sprintf("an output [1, %d, 5+classes], or 32 more with prototypes [1, 32, %d, %d]", 3*d.cells(), d.height/4, d.width/4)
	case "yolov8", "yolo11":
		d.fitYOLOv8(outs)
		return fmt.Sprintf("one output [1, 4+classes, %d], or 32 more with prototypes [1, 32, %d, %d]", d.cells(), d.height/4, d.width/4)
	case "nanodet":
		d.fitNanoDet(outs)
		return "six outputs: class scores [1, cells, classes] and distances [1, cells, 32] for strides 8, 16 and 32"
	case "nanodet-plus":
		d.fitNanoDetPlus(outs)
		return fmt.Sprintf("an output [1, %d, classes+32]", d.cellsPlus())
	case "ultraface":
		d.fitUltraFace(outs)
		return fmt.Sprintf("scores [1, %d, 2] and boxes [1, %[1]d, 4]", d.countPriors())
	case "yunet":
		d.fitYuNet(outs)
		return "outputs cls_S, obj_S, bbox_S and kps_S for strides S of 8, 16 and 32"
	case "scrfd":
		d.fitSCRFD(outs)
		return "for strides 8, 16 and 32 outputs of one or two rows a cell: scores [rows, 1], distances [rows, 4] and, or not, points [rows, 10]"
	case "centernet":
		d.fitCenterNet(outs)
		return fmt.Sprintf("outputs hm [1, classes, %d, %d], wh [1, 2, %[1]d, %d] and, or not, reg of wh's shape", d.height/4, d.width/4)
	case "detr", "rtdetr":
		d.fitDETR(outs)
		return "outputs logits [1, queries, classes] (detr: and one for no object) and pred_boxes [1, queries, 4]"
	}
	return ""
}

// wrongTask is the error of a preset whose decoder is another one.
func wrongTask(p Preset, want Task) error {
	var names []string
	for i := range presets {
		if presets[i].Task == want {
			names = append(names, presets[i].Name)
		}
	}
	return fmt.Errorf("vision: %w: preset %s is there to %s; presets to %s are %s", ErrPreset, p.Name, p.Task, want, strings.Join(names, ", "))
}

// Recognise finds the preset that fits a model's input size and the names and
// shapes of its outputs. Where none fits, or more than one, the error lists the
// presets and wraps ErrPreset. YOLOv8 and YOLO11 are decoded alike and are
// recognised as yolov8. A row of 1000 scores is taken for imagenet, and scores of
// two classes for each pixel of the input for segment; other classifiers and
// segmenters differ too much in what they are fed. DETR and RT-DETR look alike
// and must be named.
func Recognise(width, height int, outs []Output) (Preset, error) {
	var fit []Preset
	for _, p := range presets {
		ok := false
		switch p.Task {
		case Detect:
			_, err := NewDecoder(p, width, height, outs)
			ok = err == nil && p.Name != "yolo11"
		case Classify:
			c, err := NewClassifier(p, outs)
			ok = err == nil && len(outs) == 1 && c.Classes() == 1000
		case Segment:
			s, err := NewSegmenter(p, width, height, outs)
			ok = err == nil && len(outs) == 1 && s.Classes() == 2 && s.maskW == width && s.maskH == height
		}
		if ok {
			fit = append(fit, p)
		}
	}
	if len(fit) == 1 {
		return fit[0], nil
	}
	verdict := "no preset fits"
	if len(fit) > 1 {
		verdict = "several presets fit"
	}
	return Preset{}, fmt.Errorf("vision: %w: %s a model with input %dx%d and %s; name one of %s",
		ErrPreset, verdict, width, height, describe(outs), strings.Join(PresetNames(), ", "))
}

func describe(outs []Output) string {
	if len(outs) == 0 {
		return "no outputs"
	}
	const most = 12
	parts := make([]string, 0, most)
	for i, o := range outs[:min(most, len(outs))] {
		parts = append(parts, o.Name+" "+strings.ReplaceAll(fmt.Sprint(o.Shape), " ", ", "))
		if i == most-1 && len(outs) > most {
			parts = append(parts, fmt.Sprintf("%d more", len(outs)-most))
		}
	}
	return "outputs " + strings.Join(parts, ", ")
}

// Classes returns the number of classes that the model tells apart.
func (d *Decoder) Classes() int { return d.classes }

// errOutputs is returned where the outputs are not those of NewDecoder.
var errOutputs = errors.New("outputs differ from those the decoder was made for")

// Decode replaces dst by the detections whose score is above minScore, before
// suppression, with boxes and points on the frame that t belongs to. It reuses
// the memory of dst, that of landmarks beyond its length included, and so
// allocates nothing once dst is large enough. Boxes that are not finite numbers
// are left out.
func (d *Decoder) Decode(dst []Detection, outs []Output, t Transform, minScore float32) ([]Detection, error) {
	for i, at := range d.use {
		if at >= len(outs) || len(outs[at].Data) != d.size[i] {
			return dst[:0], fmt.Errorf("vision: preset %s: %w: output %d should have %d elements", d.preset.Name, errOutputs, at, d.size[i])
		}
		d.data[i] = outs[at].Data
	}
	return d.decode(d, dst[:0], d.data, t, minScore), nil
}

// take makes output at the next one that decode gets.
func (d *Decoder) take(outs []Output, at int) {
	d.use = append(d.use, at)
	d.size = append(d.size, elems(outs[at].Shape))
}

func elems(shape []int) int {
	n := 1
	for _, e := range shape {
		if e < 1 || n > math.MaxInt32/e {
			return -1
		}
		n *= e
	}
	return n
}

// rows reports whether shape is n rows of width values, after axes of extent 1.
func rows(shape []int, n int) (width int, ok bool) {
	if len(shape) < 2 || elems(shape) < 0 {
		return 0, false
	}
	width = shape[len(shape)-1]
	return width, shape[len(shape)-2] == n && elems(shape) == n*width
}

// strides of the three maps that most detectors write.
var strides = [3]int{8, 16, 32}

// cells returns the number of cells of the three maps.
func (d *Decoder) cells() int {
	n := 0
	for _, s := range strides {
		n += (d.width / s) * (d.height / s)
	}
	return n
}

// add appends a detection, reusing the landmarks of the element that was there.
func add(dst []Detection, class int, score float32, box Box) []Detection {
	n := len(dst)
	if n == cap(dst) {
		return append(dst, Detection{Class: class, Score: score, Box: box})
	}
	dst = dst[:n+1]
	dst[n] = Detection{Class: class, Score: score, Box: box, Landmarks: dst[n].Landmarks[:0]} // and no mask
	return dst
}

// highest returns the largest value and the first place that has it.
func highest(v []float32) (at int, value float32) {
	value = v[0]
	for i, x := range v {
		if x > value {
			at, value = i, x
		}
	}
	return at, value
}

// below reports whether no element of v is above limit. It reports false where
// one is not a number.
func (d *Decoder) below(v []float32, limit float32) bool { return d.kernels.F32Max(v) <= limit }

// highestOf is highest of n values that are step apart.
func highestOf(v []float32, n, step int) (at int, value float32) {
	value = v[0]
	for i := 1; i < n; i++ {
		if x := v[i*step]; x > value {
			at, value = i, x
		}
	}
	return at, value
}

// highestProduct is highest of k*v, rounded as float32: products can be equal
// where the values are not.
func highestProduct(v []float32, k float32) (at int, value float32) {
	value = k * v[0]
	for i, x := range v {
		if p := k * x; p > value {
			at, value = i, p
		}
	}
	return at, value
}
