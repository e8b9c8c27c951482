package vision

import (
	"errors"
	"fmt"
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
)

// Preset says how a family of detectors wants its input and gives its boxes.
// The input value of a channel c is (byte - Mean[c]) / Std[c].
type Preset struct {
	Name      string
	BGR       bool // channels are blue, green, red; otherwise red, green, blue
	Place     Placement
	Pad       byte       // around a letterboxed frame, before normalisation
	Mean, Std [3]float64 // in the order of the channels
	Face      bool       // the one class is a face
}

var (
	none  = [3]float64{0, 0, 0}
	unit  = [3]float64{1, 1, 1}
	by255 = [3]float64{255, 255, 255}
)

// presets is the table of detectors. Sources: the documentation of each model;
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
}

// PresetNames returns the names of the presets in the order of the table.
func PresetNames() []string {
	names := make([]string, len(presets))
	for i := range presets {
		names[i] = presets[i].Name
	}
	return names
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
// its own: COCO's for 80, "person" for one, "face" for a face detector, and
// otherwise "class 0", "class 1" and so on. The caller owns the slice.
func (p *Preset) Labels(classes int) []string {
	switch {
	case p.Face && classes == 1:
		return []string{"face"}
	case classes == 1:
		return []string{"person"}
	case classes == len(cocoLabels):
		return append([]string(nil), cocoLabels[:]...)
	}
	labels := make([]string, classes)
	for i := range labels {
		labels[i] = fmt.Sprintf("class %d", i)
	}
	return labels
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
