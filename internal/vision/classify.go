package vision

import (
	"fmt"
	"math"
)

// Category is one class of a picture.
type Category struct {
	Class int     // index into the labels
	Score float32 // probability, or what the model gives for it
}

// Classifier turns the output of one model into classes. It is used by one
// goroutine at a time.
type Classifier struct {
	preset  Preset
	classes int
	use     int // the output that is read
}

// NewClassifier returns the decoder of preset p for a model whose outputs have
// the names and shapes of outs; their data is not read. One of them must be a
// row of two or more scores. Where they do not fit, the error wraps ErrPreset.
func NewClassifier(p Preset, outs []Output) (*Classifier, error) {
	if p.Task != Classify {
		return nil, wrongTask(p, Classify)
	}
	c := &Classifier{preset: p, use: -1}
	for i := range outs {
		n := elems(outs[i].Shape)
		if n < 2 || !isRow(outs[i].Shape, n) {
			continue
		}
		if c.use >= 0 {
			c.use = -1
			break
		}
		c.use, c.classes = i, n
	}
	if c.use < 0 {
		return nil, fmt.Errorf("vision: %w: preset %s wants one output [1, classes]; the model has %s", ErrPreset, p.Name, describe(outs))
	}
	return c, nil
}

// isRow reports whether one axis of shape has all n elements.
func isRow(shape []int, n int) bool {
	for _, e := range shape {
		if e == n {
			return true
		}
	}
	return false
}

// Classes returns the number of classes that the model tells apart.
func (c *Classifier) Classes() int { return c.classes }

// Decode replaces dst by the top classes of highest score, best first, equal ones
// in the order of the classes. Scores are the softmax of the outputs where the
// preset says that they are logits, and otherwise the outputs as they are. Scores
// that are not numbers are left out. It allocates nothing once dst is large
// enough.
func (c *Classifier) Decode(dst []Category, outs []Output, top int) ([]Category, error) {
	dst = dst[:0]
	if c.use >= len(outs) || len(outs[c.use].Data) != c.classes {
		return dst, fmt.Errorf("vision: preset %s: %w: output %d should have %d elements", c.preset.Name, errOutputs, c.use, c.classes)
	}
	data := outs[c.use].Data
	for i, v := range data {
		if v != v || len(dst) == top && (top == 0 || !(v > dst[top-1].Score)) {
			continue
		}
		if len(dst) < top {
			dst = append(dst, Category{})
		}
		at := len(dst) - 1
		for ; at > 0 && v > dst[at-1].Score; at-- {
			dst[at] = dst[at-1]
		}
		dst[at] = Category{i, v}
	}
	if !c.preset.Logits || len(dst) == 0 {
		return dst, nil
	}
	most, sum := float64(dst[0].Score), 0.0
	for _, v := range data {
		if v == v {
			sum += math.Exp(float64(v) - most)
		}
	}
	for i := range dst {
		dst[i].Score = float32(math.Exp(float64(dst[i].Score)-most) / sum)
	}
	return dst, nil
}
