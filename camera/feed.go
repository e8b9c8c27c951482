package camera

import (
	"context"
	"fmt"
	"image"
	"sync"
	"time"
)

// feed reads a stream ahead by one frame in a goroutine of its own, so that a
// Read ends with its context or after the timeout although the stream does not.
type feed struct {
	name, backend string
	rate          float64       // frames a second, 0 if unknown
	timeout       time.Duration // for each frame
	next          func(*Frame) error
	stop          func() // makes next return, waits for what it started
	full          chan packet
	free          chan *Frame
	quit, done    chan struct{}
	once          sync.Once

	// Of the reader only.
	timer   *time.Timer
	waiting time.Time // since when, zero if not
	raw     Frame     // compressed
	ahead   *packet   // the first one, where Open has waited for it
	err     error     // final
}

// slower is the next step where a source may only be slow, silent where nobody
// answers.
const (
	slower = "if it gives frames less often, set Options.FrameTimeout, --frame-timeout, to more than that"
	silent = "check that the camera is on and in this network, or give it longer by Options.Timeout, --timeout"
)

// packet is what next made.
type packet struct {
	frame *Frame
	err   error
}

// newFeed starts to call next, which fills a frame, Index left out, or returns
// a *FrameError or a final error.
func newFeed(t target, backend string, timeout time.Duration, next func(*Frame) error, stop func()) *feed {
	s := &feed{name: t.name, backend: backend, timeout: timeout, next: next, stop: stop, timer: time.NewTimer(time.Hour),
		full: make(chan packet), free: make(chan *Frame, 2), quit: make(chan struct{}), done: make(chan struct{})}
	s.free <- new(Frame)
	s.free <- new(Frame)
	go s.run()
	return s
}

func (s *feed) run() {
	defer close(s.done)
	for index := 0; ; index++ {
		var f *Frame
		select {
		case f = <-s.free:
		case <-s.quit:
			return
		}
		err := s.next(f)
		f.Source, f.Index = s.name, index
		bad := frameError(err)
		if bad != nil {
			bad.Index = index
		}
		select {
		case s.full <- packet{f, err}:
		case <-s.quit:
			return
		}
		if err != nil && bad == nil {
			return
		}
	}
}

// Backend says what the stream is read through.
func (s *feed) Backend() string { return s.backend }

// Rate is what the stream says of itself.
func (s *feed) Rate() float64 { return s.rate }

func (s *feed) Read(ctx context.Context, f *Frame) error {
	if err := s.readPacket(ctx, &s.raw); err != nil {
		return err
	}
	if s.raw.Format != mjpeg {
		*f, s.raw = s.raw, *f
		s.raw.Least = image.Point{}
		return nil
	}
	return s.raw.decode(f)
}

// decode makes dst the picture of a compressed frame.
func (f *Frame) decode(dst *Frame) error {
	dst.Source, dst.Index, dst.Time = f.Source, f.Index, f.Time
	if err := Decode(dst, f.Pix); err != nil {
		return &FrameError{Source: f.Source, Index: f.Index, Err: err}
	}
	return nil
}

// readPacket is Read without decoding. It exchanges f for the next frame.
func (s *feed) readPacket(ctx context.Context, f *Frame) error {
	if s.err != nil {
		return s.err
	}
	select {
	case <-s.quit:
		s.err = errClosed
		return s.err
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p, err := s.wait(ctx)
	if err != nil {
		return err
	}
	if p.err != nil && frameError(p.err) == nil {
		s.err = p.err
		s.end()
		return s.err
	}
	if p.err == nil {
		*f, *p.frame = *p.frame, *f
	}
	s.free <- p.frame
	return p.err
}

// wait returns the next packet.
func (s *feed) wait(ctx context.Context) (packet, error) {
	if s.ahead != nil {
		p := *s.ahead
		s.ahead = nil
		return p, nil
	}
	if s.waiting.IsZero() {
		s.waiting = time.Now()
	}
	s.timer.Reset(max(0, s.timeout-time.Since(s.waiting)))
	defer s.timer.Stop()
	select {
	case p := <-s.full:
		s.waiting = time.Time{}
		return p, nil
	case <-ctx.Done():
		return packet{}, ctx.Err()
	case <-s.quit:
		s.err = errClosed
	case <-s.timer.C:
		s.err = fmt.Errorf("camera: %s: %s: %w: no frame for %v; %s", s.name, s.backend, ErrLost, s.timeout, slower)
		s.end()
	}
	return packet{}, s.err
}

// first waits for the first frame, so that Open tells what is wrong.
func (s *feed) first(timeout time.Duration) error {
	timeout, s.timeout = s.timeout, timeout
	p, err := s.wait(context.Background())
	s.timeout = timeout
	if err == nil && p.err != nil && frameError(p.err) == nil {
		err = p.err
	}
	if err != nil {
		s.end()
		<-s.done
		return err
	}
	s.ahead = &p
	return nil
}

// end stops the goroutine and what it reads.
func (s *feed) end() {
	s.once.Do(func() {
		close(s.quit)
		s.stop()
	})
}

func (s *feed) Close() error {
	s.end()
	<-s.done
	return nil
}
