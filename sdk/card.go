package sdk

import (
	"cmp"
	"fmt"

	"github.com/edgecam/edgecam/internal/onnx"
	"github.com/edgecam/edgecam/internal/vision"
)

// Card is a model's card: its task, its labels, how its input is fed and its
// outputs are read, and where it comes from. It travels in the model's
// metadata as one JSON document.
type Card = onnx.Card

// Card returns the model's card, or nil where it has none. The metadata of
// Ultralytics' exports are read as a card. The error wraps ErrFormat where the
// card cannot be read.
func (m *Model) Card() (*Card, error) {
	c, err := onnx.ReadCard(m.graph)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.path, err)
	}
	return c, nil
}

// choosePreset decides how a model is fed and read: by the preset that the
// caller names, or by the model's card, or by what its outputs look like.
func choosePreset(name string, card *Card, width, height int, outs []vision.Output) (vision.Preset, error) {
	if name != "" {
		return vision.FindPreset(name)
	}
	if card == nil {
		return vision.Recognise(width, height, outs)
	}
	var p vision.Preset
	var err error
	name = card.Decoder
	if card.Preprocess != nil {
		name = cmp.Or(name, card.Preprocess.Preset)
	}
	if name == "" {
		p, err = vision.Recognise(width, height, outs)
	} else {
		p, err = vision.FindPreset(name)
	}
	if err != nil || card.Preprocess == nil {
		return p, err
	}
	err = adjust(&p, card.Preprocess)
	return p, err
}

// adjust lets a card's details replace those of a preset.
func adjust(p *vision.Preset, c *onnx.Preprocess) error {
	for _, v := range []struct {
		from []float64
		to   *[3]float64
	}{{c.Mean, &p.Mean}, {c.Std, &p.Std}} {
		switch len(v.from) {
		case 0:
		case 1:
			*v.to = [3]float64{v.from[0], v.from[0], v.from[0]}
		case 3:
			*v.to = [3]float64(v.from)
		default:
			return fmt.Errorf("model card: %d means or deviations, want 3: %w", len(v.from), ErrPreset)
		}
	}
	switch c.Color {
	case "":
	case "rgb":
		p.BGR = false
	case "bgr":
		p.BGR = true
	default:
		return fmt.Errorf("model card: color %q: only models that take rgb or bgr pictures can be fed: %w", c.Color, ErrPreset)
	}
	switch c.Place {
	case "":
	case "stretch":
		p.Place = vision.Stretch
	case "letterbox-topleft":
		p.Place = vision.LetterboxTopLeft
	case "letterbox-centre":
		p.Place = vision.LetterboxCentre
	case "crop":
		p.Place = vision.CropCentre
	}
	if c.Place != "" {
		p.Pad = byte(c.Pad)
	}
	return nil
}

// cardShapes gives the symbolic sizes of the one picture input of a model as
// its card says, nil where it does not.
func cardShapes(card *Card, in Port) map[string][]int {
	if card == nil || card.Preprocess == nil || len(card.Preprocess.Size) != 2 || len(in.Type.Shape) != 4 {
		return nil
	}
	s := append([]int{}, in.Type.Shape...)
	at := 2 // height, of NCHW
	if s[3] == 3 {
		at = 1
	}
	if s[0] < 0 {
		s[0] = 1
	}
	for i, side := range []int{card.Preprocess.Size[1], card.Preprocess.Size[0]} {
		if s[at+i] < 0 {
			s[at+i] = side
		}
	}
	return map[string][]int{in.Name: s}
}
