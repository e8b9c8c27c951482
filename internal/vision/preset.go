package vision

import (
	"errors"
	"fmt"
	"image"
	"math"
	"slices"
	"strings"
)

// ErrPreset is returned when there is no preset of a name, when no preset fits a
// model's outputs, or when more than one could.
var ErrPreset = errors.New("preset unknown or unfit")

// Placement says how a frame is placed in a model's input.
type Placement uint8

// The placements. Letterboxing keeps the frame's aspect.
const (
	Stretch          Placement = iota // fill the input
	LetterboxTopLeft                  // scale to fit, at the upper left
	LetterboxCentre                   // scale to fit, in the middle
	CropCentre                        // scale to cover, antialiased as Pillow does it, and cut out of the middle
)

// Task is what a model is for.
type Task uint8

// The tasks. Each has a decoder of its own.
const (
	Detect   Task = iota // boxes; see Decoder
	Classify             // one class for a picture; see Classifier
	Segment              // a class for each pixel; see Segmenter
)

// String returns the word of the command line and of model cards.
func (t Task) String() string {
	switch t {
	case Detect:
		return "detect"
	case Classify:
		return "classify"
	case Segment:
		return "segment"
	}
	return fmt.Sprintf("task(%d)", uint8(t))
}

// Preset says how a family of models wants its input and gives its results.
// The input value of a channel c is (byte - Mean[c]) / Std[c].
type Preset struct {
	Name      string
	Task      Task
	BGR       bool // channels are blue, green, red; otherwise red, green, blue
	Place     Placement
	Pad       byte       // around a letterboxed frame, before normalisation
	Resize    int        // of CropCentre: what the short side becomes,
	Crop      int        // and how much of it a square input gets; other inputs in proportion
	Mean, Std [3]float64 // in the order of the channels
	Face      bool       // the one class is a face
	Unique    bool       // each object has one box, so that there is nothing to suppress
	// Logits says that a classifier's outputs need a softmax to become
	// probabilities. A model that ends in one is read with Logits false.
	Logits bool
}

var (
	none  = [3]float64{0, 0, 0}
	unit  = [3]float64{1, 1, 1}
	by255 = [3]float64{255, 255, 255}

	// ImageNet's mean and deviation, red first, as torchvision has them.
	imagenetMean = [3]float64{0.485 * 255, 0.456 * 255, 0.406 * 255}
	imagenetStd  = [3]float64{0.229 * 255, 0.224 * 255, 0.225 * 255}
)

// presets is the table of models. Sources: the documentation of each model;
// see the decoders for the layout of the outputs.
var presets = [...]Preset{
	{Name: "fastestdet", BGR: true, Place: Stretch, Mean: none, Std: by255},
	{Name: "yolox", BGR: true, Place: LetterboxTopLeft, Pad: 114, Mean: none, Std: unit},
	{Name: "nanodet", BGR: true, Place: LetterboxCentre, Mean: [3]float64{103.53, 116.28, 123.675}, Std: [3]float64{57.375, 57.12, 58.395}},
	{Name: "ultraface", Place: Stretch, Mean: [3]float64{127, 127, 127}, Std: [3]float64{128, 128, 128}, Face: true},
	{Name: "yunet", BGR: true, Place: LetterboxTopLeft, Mean: none, Std: unit, Face: true},
	{Name: "yolov5", Place: LetterboxCentre, Pad: 114, Mean: none, Std: by255},
	{Name: "yolov8", Place: LetterboxCentre, Pad: 114, Mean: none, Std: by255},
	{Name: "yolo11", Place: LetterboxCentre, Pad: 114, Mean: none, Std: by255},
	{Name: "nanodet-plus", BGR: true, Place: Stretch, Mean: [3]float64{103.53, 116.28, 123.675}, Std: [3]float64{57.375, 57.12, 58.395}},
	{Name: "scrfd", Place: LetterboxTopLeft, Mean: [3]float64{127.5, 127.5, 127.5}, Std: [3]float64{128, 128, 128}, Face: true},
	{Name: "centernet", BGR: true, Place: LetterboxCentre, Unique: true,
		Mean: [3]float64{0.40789654 * 255, 0.44719302 * 255, 0.47026115 * 255}, Std: [3]float64{0.28863828 * 255, 0.27408164 * 255, 0.27809835 * 255}},
	{Name: "detr", Place: Stretch, Mean: imagenetMean, Std: imagenetStd, Unique: true},
	{Name: "rtdetr", Place: Stretch, Mean: none, Std: by255, Unique: true},
	{Name: "imagenet", Task: Classify, Place: CropCentre, Resize: 256, Crop: 224, Mean: imagenetMean, Std: imagenetStd, Logits: true},
	// SINet divides by 255 once more after the deviation.
	{Name: "segment", Task: Segment, BGR: true, Place: Stretch,
		Mean: [3]float64{102.89, 111.25, 126.91}, Std: [3]float64{62.93 * 255, 62.82 * 255, 66.36 * 255}},
}

// PresetNames returns the names of the presets in the order of the table.
func PresetNames() []string {
	names := make([]string, len(presets))
	for i := range presets {
		names[i] = presets[i].Name
	}
	return names
}

// Least returns the size below which frames of a picture of some size should not
// come for an input of width x height pixels: camera.Frame.Least.
func (p *Preset) Least(width, height int, size image.Point) image.Point {
	if size.X < 1 || size.Y < 1 {
		return image.Point{}
	}
	w, h, _ := p.fit(width, height, size)
	return image.Pt(w, h)
}

// fit returns what a picture of some size becomes for an input of width x height
// pixels, and where it lies in that.
func (p *Preset) fit(width, height int, size image.Point) (w, h int, t Transform) {
	if p.Place == CropCentre {
		return p.fitCrop(width, height, size)
	}
	w, h = width, height
	t = Transform{ScaleX: float64(w) / float64(size.X), ScaleY: float64(h) / float64(size.Y)}
	if p.Place == Stretch {
		return w, h, t
	}
	r := min(t.ScaleX, t.ScaleY)
	t.ScaleX, t.ScaleY = r, r
	w = min(width, max(1, int(math.RoundToEven(float64(size.X)*r))))
	h = min(height, max(1, int(math.RoundToEven(float64(size.Y)*r))))
	if p.Place == LetterboxCentre {
		t.OffsetX, t.OffsetY = float64((width-w)/2), float64((height-h)/2)
	}
	return w, h, t
}

// fitCrop is fit for a crop from the middle: the side that limits becomes Resize
// pixels for Crop of the input, the other one in proportion, rounded down, and so
// are the offsets.
func (p *Preset) fitCrop(width, height int, size image.Point) (w, h int, t Transform) {
	w, h = width*p.Resize/p.Crop, height*p.Resize/p.Crop
	frameW, frameH := int64(size.X), int64(size.Y)
	const most = 1 << 30 // of a frame that is a line
	if frameW*int64(height) < frameH*int64(width) {
		h = max(height, int(min(int64(w)*frameH/frameW, most)))
	} else {
		w = max(width, int(min(int64(h)*frameW/frameH, most)))
	}
	return w, h, Transform{
		ScaleX: float64(w) / float64(size.X), ScaleY: float64(h) / float64(size.Y),
		OffsetX: -float64((w - width) / 2), OffsetY: -float64((h - height) / 2),
	}
}

// FindPreset returns the preset of a name, or an error that lists the names and
// wraps ErrPreset.
func FindPreset(name string) (Preset, error) {
	for i := range presets {
		if presets[i].Name == name {
			return presets[i], nil
		}
	}
	return Preset{}, fmt.Errorf("vision: %w: %q; presets are %s", ErrPreset, name, strings.Join(PresetNames(), ", "))
}

// Labels returns the labels of a model of that many classes that carries none of
// its own: COCO's for 80, and for 91 by the numbers of its annotations; "person"
// for one; "face" for a face detector; for a segmenter, "background" and
// "person" for two and Pascal VOC's for 21; and otherwise "class 0", "class 1"
// and so on. The caller owns the slice.
func (p *Preset) Labels(classes int) []string {
	switch {
	case p.Task == Segment && classes == 2:
		return []string{"background", "person"}
	case p.Task == Segment && classes == len(vocLabels):
		return append([]string(nil), vocLabels[:]...)
	case p.Task == Detect && p.Face && classes == 1:
		return []string{"face"}
	case p.Task == Detect && classes == 1:
		return []string{"person"}
	case p.Task == Detect && classes == len(cocoLabels):
		return append([]string(nil), cocoLabels[:]...)
	}
	labels := make([]string, classes)
	next := 0
	for i := range labels {
		labels[i] = fmt.Sprintf("class %d", i)
		if p.Task == Detect && classes == 91 && !slices.Contains(cocoGaps[:], i) {
			labels[i] = cocoLabels[next]
			next++
		}
	}
	return labels
}

// cocoGaps are the numbers up to 90 that COCO's annotations do not use.
var cocoGaps = [...]int{0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83}

// vocLabels are the classes of Pascal VOC, after the background.
var vocLabels = [21]string{
	"background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
	"motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
}

// cocoLabels are the 80 classes of COCO, spelled as in the names file that
// detectors trained with Darknet's conventions ship.
var cocoLabels = [80]string{
	"person", "bicycle", "car", "motorbike", "aeroplane", "bus", "train", "truck", "boat", "traffic light",
	"fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
	"elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
	"skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
	"wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange",
	"broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "sofa", "pottedplant", "bed",
	"diningtable", "toilet", "tvmonitor", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven",
	"toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
}
