package sdk

import (
	"context"
	"errors"
	"fmt"
	"image"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/internal/vision"
)

// Detection is one object that a model saw, with its box in pixels of the
// picture.
type Detection = vision.Detection

// Box is a rectangle in pixels, from its upper left corner to its lower right.
type Box = vision.Box

// Point is a position in pixels.
type Point = vision.Point

// ErrPreset is returned when there is no preset of a name, or none fits a
// model's outputs; the error lists them.
var ErrPreset = vision.ErrPreset

// Presets returns the names of the presets of detectors.
func Presets() []string {
	return slices.DeleteFunc(vision.PresetNames(), func(name string) bool {
		p, err := vision.FindPreset(name)
		return err != nil || p.Task != vision.Detect
	})
}

// The thresholds that stand for zero in DetectorConfig.
const (
	DefaultMinScore = 0.4
	DefaultIoU      = 0.5
)

// DetectorConfig says how a model's input is fed and its outputs are read.
// The zero value works for a model whose outputs can be recognised.
type DetectorConfig struct {
	// Preset names the family of the model, one of Presets; "" takes it from
	// the model's card, or recognises it from the shapes of its outputs, where
	// that is unambiguous. A preset named here stands in for the card.
	Preset string
	// Labels names the classes; nil means those of the model's card, or those
	// that the preset knows.
	Labels []string
	// Classes keeps only detections with these labels; nil keeps all.
	Classes []string
	// MinScore is the score that a detection must exceed; 0 means
	// DefaultMinScore, a negative number keeps everything.
	MinScore float64
	// IoU is the overlap above which the weaker of two boxes of one class is
	// dropped; 0 means DefaultIoU.
	IoU float64
	// Threads is the number of workers of each inference; see SessionConfig.
	Threads int
	// NoSpin is that of SessionConfig.
	NoSpin bool
	// MaxSessions bounds how many calls compute at the same time, each with
	// a session of its own; others wait. 0 means GOMAXPROCS.
	MaxSessions int
}

// Detector finds objects in pictures. It is safe for concurrent use.
type Detector struct {
	model   *Model
	config  DetectorConfig
	session SessionConfig
	preset  vision.Preset
	size    [2]int // width, height of the input
	layout  vision.Layout
	labels  []string
	keep    []bool // by class; nil keeps all

	slots chan struct{} // one token for each call under way

	mu     sync.Mutex
	free   []*lane
	closed bool
	stats  DetectorStats
}

// lane is what one call at a time needs.
type lane struct {
	session *Session
	input   []float32
	outputs []vision.Output
	tensors []*Tensor
	frame   camera.Frame
	pre     *vision.Preprocessor
	decoder *vision.Decoder
	dets    []Detection
}

// DetectorStats counts what a detector has done. Times are sums over frames.
type DetectorStats struct {
	Frames      int
	Preprocess  time.Duration // frame to input tensor
	Inference   time.Duration
	Postprocess time.Duration // output tensors to boxes
}

// NewDetector makes a detector of the model. The error wraps ErrPreset where
// the preset is unknown or does not fit the model. Symbolic sizes of the
// input become 320.
func (m *Model) NewDetector(c DetectorConfig) (*Detector, error) {
	d := &Detector{model: m, config: c}
	if c.MinScore == 0 {
		d.config.MinScore = DefaultMinScore
	}
	if c.IoU == 0 {
		d.config.IoU = DefaultIoU
	}
	if d.config.MinScore > 1 || d.config.IoU < 0 || d.config.IoU > 1 {
		return nil, fmt.Errorf("detector: MinScore %v or IoU %v is not between 0 and 1", c.MinScore, c.IoU)
	}
	if c.MaxSessions <= 0 {
		d.config.MaxSessions = runtime.GOMAXPROCS(0)
	}
	d.slots = make(chan struct{}, d.config.MaxSessions)
	if err := d.fit(); err != nil {
		return nil, fmt.Errorf("%s: %w", m.path, err)
	}
	return d, nil
}

// fit finds out the size of the input, the preset and the labels, and makes
// the first lane.
func (d *Detector) fit() error {
	in := slices.DeleteFunc(d.model.Inputs(), func(p Port) bool { return p.Optional })
	if len(in) != 1 || in[0].Type.DType != tensor.Float32 || len(in[0].Type.Shape) != 4 {
		return fmt.Errorf("a detector has one float32 input of 4 axes, this model takes %s: %w", portList(in), ErrPreset)
	}
	card, err := d.model.Card()
	if err != nil {
		return err
	}
	shapes, err := d.model.Shapes(cardShapes(card, in[0]))
	if err != nil {
		return err
	}
	d.session = SessionConfig{Shapes: shapes, Threads: d.config.Threads, NoSpin: d.config.NoSpin}
	switch s := shapes[in[0].Name]; {
	case s[1] == 3:
		d.layout, d.size = vision.NCHW, [2]int{s[3], s[2]}
	case s[3] == 3:
		d.layout, d.size = vision.NHWC, [2]int{s[2], s[1]}
	default:
		return fmt.Errorf("a detector's input has 3 channels, this model takes %s: %w", portList(in), ErrPreset)
	}
	if shapes[in[0].Name][0] != 1 {
		return fmt.Errorf("a detector takes one picture at a time, this model takes %s: %w", portList(in), ErrPreset)
	}
	s, err := d.model.NewSession(d.session)
	if err != nil {
		return err
	}
	outs := make([]vision.Output, 0, len(s.Outputs()))
	for _, p := range s.Outputs() {
		outs = append(outs, vision.Output{Name: p.Name, Shape: p.Type.Shape})
	}
	if d.preset, err = choosePreset(d.config.Preset, card, d.size[0], d.size[1], outs); err != nil {
		return err
	}
	if d.config.Labels == nil && card != nil {
		d.config.Labels = card.Labels
	}
	first, err := d.newLane(s)
	if err != nil {
		return err
	}
	d.free = []*lane{first}
	return d.name(first.decoder.Classes())
}

// name sets the labels, and which classes are kept.
func (d *Detector) name(classes int) error {
	d.labels = slices.Clone(d.config.Labels)
	if d.labels == nil {
		d.labels = d.preset.Labels(classes)
	}
	if len(d.labels) != classes {
		return fmt.Errorf("%d labels are given, the model has %d classes: %w", len(d.labels), classes, ErrPreset)
	}
	if len(d.config.Classes) == 0 {
		return nil
	}
	d.keep = make([]bool, classes)
	for _, c := range d.config.Classes {
		i := slices.Index(d.labels, c)
		if i < 0 {
			return fmt.Errorf("there is no class %q; classes are %s: %w", c, strings.Join(d.labels, ", "), ErrPreset)
		}
		d.keep[i] = true
	}
	return nil
}

// newLane makes what one call needs around a session.
func (d *Detector) newLane(s *Session) (*lane, error) {
	pre, err := vision.NewPreprocessor(d.preset, d.size[0], d.size[1], d.layout)
	if err != nil {
		return nil, err
	}
	l := &lane{session: s, pre: pre, input: s.Input(s.Inputs()[0].Name).F32()}
	for _, p := range s.Outputs() {
		t := s.Output(p.Name)
		out := vision.Output{Name: p.Name, Shape: t.Shape}
		if t.DType == tensor.Float32 {
			out.Data = t.F32()
		}
		l.outputs, l.tensors = append(l.outputs, out), append(l.tensors, t)
	}
	l.decoder, err = vision.NewDecoder(d.preset, d.size[0], d.size[1], l.outputs)
	return l, err
}

// Preset returns the name of the preset in use.
func (d *Detector) Preset() string { return d.preset.Name }

// Labels returns the names of the classes. The caller must not change them.
func (d *Detector) Labels() []string { return d.labels }

// Label returns the name of a class.
func (d *Detector) Label(class int) string {
	if class < 0 || class >= len(d.labels) {
		return fmt.Sprintf("class %d", class)
	}
	return d.labels[class]
}

// Detect finds the objects in a picture, best first.
func (d *Detector) Detect(ctx context.Context, img image.Image) ([]Detection, error) {
	if img == nil || img.Bounds().Empty() {
		return nil, errors.New("detect: the picture has no pixels")
	}
	l, err := d.take(ctx)
	if err != nil {
		return nil, err
	}
	defer d.put(l)
	l.frame.SetImage(img)
	return d.run(ctx, l, &l.frame)
}

// DetectFrame finds the objects in a frame, best first. Boxes are in pixels
// of the frame.
func (d *Detector) DetectFrame(ctx context.Context, f *camera.Frame) ([]Detection, error) {
	if f == nil {
		return nil, errors.New("detect: there is no frame")
	}
	l, err := d.take(ctx)
	if err != nil {
		return nil, err
	}
	defer d.put(l)
	return d.run(ctx, l, f)
}

// take waits for a free lane, or makes one.
func (d *Detector) take(ctx context.Context) (*lane, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d.mu.Lock()
	closed, n := d.closed, len(d.free)
	var l *lane
	if n > 0 {
		l, d.free = d.free[n-1], d.free[:n-1]
	}
	d.mu.Unlock()
	var err error
	switch {
	case closed:
		err = ErrClosed
	case l == nil:
		var s *Session
		if s, err = d.model.NewSession(d.session); err == nil {
			l, err = d.newLane(s)
		}
	}
	if err != nil {
		<-d.slots
		return nil, err
	}
	return l, nil
}

// put gives a lane back.
func (d *Detector) put(l *lane) {
	d.mu.Lock()
	if !d.closed {
		d.free = append(d.free, l)
	}
	d.mu.Unlock()
	<-d.slots
}

// run takes one frame from pixels to boxes.
func (d *Detector) run(ctx context.Context, l *lane, f *camera.Frame) ([]Detection, error) {
	start := time.Now()
	transform, err := l.pre.Preprocess(l.input, f)
	if err != nil {
		return nil, err
	}
	fed := time.Now()
	if err := l.session.Run(ctx); err != nil {
		return nil, err
	}
	inferred := time.Now()
	for i, t := range l.tensors {
		l.outputs[i].Shape = t.Shape
		if t.DType == tensor.Float32 {
			l.outputs[i].Data = t.F32()
		}
	}
	l.dets, err = l.decoder.Decode(l.dets, l.outputs, transform, float32(d.config.MinScore))
	if err != nil {
		return nil, err
	}
	var dets []Detection
	for _, x := range vision.NMS(l.dets, float32(d.config.IoU)) {
		if d.keep == nil || d.keep[x.Class] {
			x.Landmarks = slices.Clone(x.Landmarks) // the decoder uses them again
			dets = append(dets, x)
		}
	}
	d.mu.Lock()
	d.stats.Frames++
	d.stats.Preprocess += fed.Sub(start)
	d.stats.Inference += inferred.Sub(fed)
	d.stats.Postprocess += time.Since(inferred)
	d.mu.Unlock()
	return dets, nil
}

// Stats returns what the detector has done so far.
func (d *Detector) Stats() DetectorStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// Close frees the sessions. Calls under way end as usual; later ones return
// ErrClosed.
func (d *Detector) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed, d.free = true, nil
}

// Draw marks detections on a picture: a box in the colour of the class, and
// its label with the score.
func (d *Detector) Draw(img *image.RGBA, dets []Detection) { vision.Draw(img, dets, d.labels) }
