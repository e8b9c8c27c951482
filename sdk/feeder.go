package sdk

import (
	"context"
	"errors"
	"fmt"
	"image"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/internal/tensor"
	"github.com/edgecam/edgecam/internal/vision"
)

// FrameStats counts what a detector, classifier or segmenter has done. Times
// are sums over frames.
type FrameStats struct {
	Frames      int
	Preprocess  time.Duration // frame to input tensor
	Inference   time.Duration
	Postprocess time.Duration // output tensors to results
}

// feeding says how a model is fed pictures: what the configurations of
// detectors, classifiers and segmenters have in common.
type feeding struct {
	task        vision.Task
	anyTask     bool // the preset's
	preset      string
	labels      []string
	threads     int
	noSpin      bool
	maxSessions int
	// decode makes a lane's decoder and returns its number of classes, 0
	// where the model does not tell.
	decode func(*lane) (classes int, err error)
}

// Feeder feeds pictures to a model, for several callers at a time: the part
// that Detector, Classifier and Segmenter have in common.
type Feeder struct {
	feeding
	model   *Model
	session SessionConfig
	chosen  vision.Preset
	size    [2]int // width, height of the input
	layout  vision.Layout

	slots chan struct{} // one token for each call under way

	mu     sync.Mutex
	free   []*lane
	closed bool
	stats  FrameStats
}

// lane is what one call at a time needs.
type lane struct {
	owner   *Feeder
	session *Session
	input   []float32
	outputs []vision.Output
	tensors []*Tensor
	frame   camera.Frame // of the size of the image that is read
	pre     *vision.Preprocessor

	// One of them is set, with the memory of its results.
	detector   *vision.Decoder
	dets       []Detection
	classifier *vision.Classifier
	segmenter  *vision.Segmenter
}

// feed makes the lanes of a model. The error wraps ErrPreset where the preset
// is unknown or does not fit. Symbolic sizes of the input are those of the
// model's card, or 320.
func (m *Model) feed(f feeding) (*Feeder, error) {
	l := &Feeder{feeding: f, model: m}
	if l.maxSessions <= 0 {
		l.maxSessions = runtime.GOMAXPROCS(0)
	}
	l.slots = make(chan struct{}, l.maxSessions)
	if err := l.fit(); err != nil {
		return nil, fmt.Errorf("%s: %w", m.path, err)
	}
	return l, nil
}

// fit finds out the size of the input, the preset and the labels, and makes
// the first lane.
func (l *Feeder) fit() error {
	in := slices.DeleteFunc(l.model.Inputs(), func(p Port) bool { return p.Optional })
	if len(in) != 1 || in[0].Type.DType != tensor.Float32 || len(in[0].Type.Shape) != 4 {
		return fmt.Errorf("a model of pictures has one float32 input of 4 axes, this one takes %s: %w", portList(in), ErrPreset)
	}
	card, err := l.model.Card()
	if err != nil {
		return err
	}
	shapes, err := l.model.Shapes(cardShapes(card, in[0]))
	if err != nil {
		return err
	}
	l.session = SessionConfig{Shapes: shapes, Threads: l.threads, NoSpin: l.noSpin}
	switch s := shapes[in[0].Name]; {
	case s[0] != 1:
		return fmt.Errorf("one picture is fed at a time, this model takes %s: %w", portList(in), ErrPreset)
	case s[1] == 3:
		l.layout, l.size = vision.NCHW, [2]int{s[3], s[2]}
	case s[3] == 3:
		l.layout, l.size = vision.NHWC, [2]int{s[2], s[1]}
	default:
		return fmt.Errorf("a picture has 3 channels, this model takes %s: %w", portList(in), ErrPreset)
	}
	s, err := l.model.NewSession(l.session)
	if err != nil {
		return err
	}
	outs := make([]vision.Output, 0, len(s.Outputs()))
	for _, p := range s.Outputs() {
		outs = append(outs, vision.Output{Name: p.Name, Shape: p.Type.Shape})
	}
	if l.chosen, err = choosePreset(l.preset, card, l.size[0], l.size[1], outs); err != nil {
		return err
	}
	if l.chosen.Task != l.task && !l.anyTask {
		return fmt.Errorf("preset %s is for edgecam %v, not %v: %w", l.chosen.Name, l.chosen.Task, l.task, ErrPreset)
	}
	// What comes out of a softmax needs no other one.
	l.chosen.Logits = l.chosen.Logits && !l.model.endsInSoftmax()
	if l.labels == nil && card != nil {
		l.labels = card.Labels
	}
	first, classes, err := l.newLane(s)
	if err != nil {
		return err
	}
	l.free = []*lane{first}
	return l.name(classes)
}

// endsInSoftmax reports whether an output is that of a softmax, but for its
// shape.
func (m *Model) endsInSoftmax() bool {
	for _, v := range m.graph.Outputs {
		for v != nil && v.Node != nil {
			switch v.Node.Type {
			case "Softmax":
				return true
			case "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast":
				v = v.Node.In[0]
				continue
			}
			break
		}
	}
	return false
}

// newLane makes what one call needs around a session, and tells the number of
// classes.
func (l *Feeder) newLane(s *Session) (*lane, int, error) {
	pre, err := vision.NewPreprocessor(l.chosen, l.size[0], l.size[1], l.layout)
	if err != nil {
		return nil, 0, err
	}
	n := &lane{owner: l, session: s, pre: pre, input: s.Input(s.Inputs()[0].Name).F32()}
	for _, p := range s.Outputs() {
		n.outputs = append(n.outputs, vision.Output{Name: p.Name, Shape: p.Type.Shape})
		n.tensors = append(n.tensors, s.Output(p.Name))
	}
	classes, err := l.decode(n)
	return n, classes, err
}

// name sets the labels.
func (l *Feeder) name(classes int) error {
	l.labels = slices.Clone(l.labels)
	if l.labels == nil {
		l.labels = l.chosen.Labels(classes)
	}
	if len(l.labels) != classes && classes > 0 {
		return fmt.Errorf("%d labels are given, the model has %d classes: %w", len(l.labels), classes, ErrPreset)
	}
	return nil
}

// Preset returns the name of the preset in use.
func (l *Feeder) Preset() string { return l.chosen.Name }

// Labels returns the names of the classes. The caller must not change them.
func (l *Feeder) Labels() []string { return l.labels }

// Label returns the name of a class.
func (l *Feeder) Label(class int) string {
	if class < 0 || class >= len(l.labels) {
		return fmt.Sprintf("class %d", class)
	}
	return l.labels[class]
}

// Stats returns what has been done so far.
func (l *Feeder) Stats() FrameStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// Close frees the sessions. Calls under way end as usual; later ones return
// ErrClosed.
func (l *Feeder) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed, l.free = true, nil
}

// take waits for a free lane, or makes one.
func (l *Feeder) take(ctx context.Context) (*lane, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l.mu.Lock()
	closed, n := l.closed, len(l.free)
	var free *lane
	if n > 0 {
		free, l.free = l.free[n-1], l.free[:n-1]
	}
	l.mu.Unlock()
	var err error
	switch {
	case closed:
		err = ErrClosed
	case free == nil:
		free, err = l.another()
	}
	if err != nil {
		<-l.slots
		return nil, err
	}
	return free, nil
}

// another makes a further lane.
func (l *Feeder) another() (*lane, error) {
	s, err := l.model.NewSession(l.session)
	if err != nil {
		return nil, err
	}
	n, _, err := l.newLane(s)
	return n, err
}

// put gives a lane back.
func (l *Feeder) put(n *lane) {
	l.mu.Lock()
	if !l.closed {
		l.free = append(l.free, n)
	}
	l.mu.Unlock()
	<-l.slots
}

// picture runs one call on an image.
func (l *Feeder) picture(ctx context.Context, img image.Image, read func(*lane, *camera.Frame, vision.Transform) error) error {
	if img == nil || img.Bounds().Empty() {
		return errors.New("the picture has no pixels")
	}
	n, err := l.take(ctx)
	if err != nil {
		return err
	}
	defer l.put(n)
	start := time.Now()
	transform, err := n.pre.PreprocessImage(n.input, img)
	if err != nil {
		return err
	}
	n.frame.Width, n.frame.Height = img.Bounds().Dx(), img.Bounds().Dy() // read looks at nothing else
	return n.run(ctx, start, &n.frame, transform, read)
}

// Least returns camera.Frame.Least for pictures of the given size: that of the
// input, as far as a picture fills it.
func (l *Feeder) Least(size image.Point) image.Point {
	return l.chosen.Least(l.size[0], l.size[1], size)
}

// onFrame runs one call on a frame.
func (l *Feeder) onFrame(ctx context.Context, f *camera.Frame, read func(*lane, *camera.Frame, vision.Transform) error) error {
	if f == nil {
		return errors.New("there is no frame")
	}
	n, err := l.take(ctx)
	if err != nil {
		return err
	}
	defer l.put(n)
	start := time.Now()
	transform, err := n.pre.Preprocess(n.input, f)
	if err != nil {
		return err
	}
	return n.run(ctx, start, f, transform, read)
}

// run takes one frame, whose preprocessing began at start, from the input to
// outputs, which read turns into results.
func (n *lane) run(ctx context.Context, start time.Time, f *camera.Frame, transform vision.Transform, read func(*lane, *camera.Frame, vision.Transform) error) error {
	fed := time.Now()
	if err := n.session.Run(ctx); err != nil {
		return err
	}
	inferred := time.Now()
	for i, t := range n.tensors {
		out := &n.outputs[i]
		out.Shape = t.Shape
		switch t.DType {
		case tensor.Float32:
			out.Data = t.F32()
		case tensor.Int64:
			out.I64 = t.I64()
		case tensor.Int32:
			out.I32 = tensor.View[int32](t)
		case tensor.Uint8:
			out.U8 = t.Bytes()
		}
	}
	if err := read(n, f, transform); err != nil {
		return err
	}
	l := n.owner
	l.mu.Lock()
	l.stats.Frames++
	l.stats.Preprocess += fed.Sub(start)
	l.stats.Inference += inferred.Sub(fed)
	l.stats.Postprocess += time.Since(inferred)
	l.mu.Unlock()
	return nil
}
