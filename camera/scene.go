package camera

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"
)

// SceneObject is a shape of the rendered scene: label square, disc or triangle,
// and its box in pixels of the frame, from X0, Y0 up to but without X1, Y1. The
// shape touches all four sides of the box.
type SceneObject struct {
	Label          string
	X0, Y0, X1, Y1 int
}

// TestScene returns what frame index of the source test: shows at width x
// height pixels, each at least 32. Shapes never overlap.
func TestScene(index, width, height int) [3]SceneObject {
	objects := [3]SceneObject{{Label: "square"}, {Label: "disc"}, {Label: "triangle"}}
	lane := width / 3
	for i := range objects {
		o := &objects[i]
		size := min(lane, height) / 2 * (7 + i) / 10
		// A step is about 1/100 of the way, another one for each shape and axis.
		x := bounce(index*(2+i)+17*i, max(lane/100, 1), lane-size)
		y := bounce(index*(3-i)+41*i, max(height/100, 1), height-size)
		o.X0, o.Y0 = i*lane+x, y
		o.X1, o.Y1 = o.X0+size, o.Y0+size
	}
	return objects
}

// bounce goes from 0 to way and back in steps of step.
func bounce(n, step, way int) int {
	at := n % (2 * way) * step % (2 * way)
	return min(at, 2*way-at)
}

// scene renders shapes that move over a still background. Frame n is the same
// in every run.
type scene struct {
	name          string
	width, height int
	frames        int     // 0 without end
	rate          float64 // 0 as fast as it is read
	every         time.Duration
	due           time.Time // of the next frame
	timer         *time.Timer
	back          []byte
	index         int
	err           error
}

func openScene(t target) (Source, error) {
	s := &scene{name: t.name, width: t.width, height: t.height, rate: t.rate, frames: t.frames}
	if s.width == 0 {
		s.width, s.height = 640, 480
	}
	if s.width < 32 || s.height < 32 {
		return nil, fmt.Errorf("camera: %s: %w: size=%dx%d, the scene needs 32x32 at least", t.name, ErrSyntax, s.width, s.height)
	}
	if t.rate > 0 {
		s.every = time.Duration(math.Round(float64(time.Second) / t.rate))
		s.timer = time.NewTimer(0)
	}
	var f Frame
	f.reset(s.width, s.height)
	s.back = f.Pix
	for y := range s.height {
		for x := range s.width {
			p := s.back[3*(y*s.width+x):][:3]
			p[0], p[1], p[2] = byte(60+40*x/s.width), byte(60+40*y/s.height), byte(70+10*((x/16+y/16)%2))
		}
	}
	return s, nil
}

// Backend says test.
func (s *scene) Backend() string { return "test" }

func (s *scene) Len() int { return s.frames }

// Rate is the option rate.
func (s *scene) Rate() float64 { return s.rate }

func (s *scene) Read(ctx context.Context, f *Frame) error {
	if s.err != nil {
		return s.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.frames > 0 && s.index == s.frames {
		return io.EOF
	}
	if err := s.wait(ctx); err != nil {
		return err
	}
	f.reset(s.width, s.height)
	copy(f.Pix, s.back)
	for i, o := range TestScene(s.index, s.width, s.height) {
		s.draw(f, o, [3][3]byte{{220, 40, 40}, {40, 200, 60}, {50, 80, 230}}[i])
	}
	f.Source, f.Index, f.Time = s.name, s.index, time.Now()
	s.index++
	return nil
}

// wait holds a frame back until it is due. A reader that is late gets its frame
// at once, and the clock starts anew.
func (s *scene) wait(ctx context.Context) error {
	if s.every == 0 {
		return nil
	}
	left := time.Until(s.due)
	if left <= 0 {
		if left < -s.every {
			s.due = time.Now()
		}
		s.due = s.due.Add(s.every)
		return nil
	}
	s.timer.Reset(left)
	select {
	case <-s.timer.C:
	case <-ctx.Done():
		s.timer.Stop()
		return ctx.Err()
	}
	s.due = s.due.Add(s.every)
	return nil
}

// draw fills the shape row by row.
func (s *scene) draw(f *Frame, o SceneObject, colour [3]byte) {
	size := o.X1 - o.X0
	for y := range size {
		width := size
		switch o.Label {
		case "disc":
			// Of the chord of a circle with that diameter, the next width that lies in the middle.
			d := 2*y + 1 - size
			width = int(math.Ceil(math.Sqrt(float64(size*size - d*d))))
			width += (size - width) & 1
		case "triangle":
			width = y + 1
			width += (size - width) & 1
		}
		row := f.Pix[(o.Y0+y)*f.Stride+3*(o.X0+(size-width)/2):][:3*width]
		for len(row) >= 3 {
			row[0], row[1], row[2] = colour[0], colour[1], colour[2]
			row = row[3:]
		}
	}
}

func (s *scene) Close() error {
	s.err = errClosed
	if s.timer != nil {
		s.timer.Stop()
	}
	return nil
}
