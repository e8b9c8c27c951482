package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/edgecam/edgecam/camera"
)

// input is a source as a command reads it: of what is live the newest frame, of
// anything else every frame, read ahead while the last ones are worked on.
type input struct {
	camera.Source
	live  *camera.Live // nil where every frame counts
	ahead *ahead       // nil where the newest counts
	still bool         // image files
	total int          // number of frames, 0 if unknown
	rate  float64      // frames a second of a file, 0 if unknown
}

// openInput opens a source. A live one opens in the background; its first Read
// tells where that fails.
func openInput(uri string, o camera.Options) (*input, error) {
	if camera.IsLive(uri) {
		l := camera.OpenLive(uri, o, camera.LiveConfig{})
		answer := cmp.Or(o.Timeout, 2*time.Second)
		return &input{Source: &newest{Live: l, patience: 5*answer + cmp.Or(o.FrameTimeout, answer)}, live: l}, nil
	}
	src, err := o.Open(uri)
	if err != nil {
		return nil, sourceError(err)
	}
	in := &input{still: camera.Backend(src) == "image", ahead: readAhead(src)}
	in.Source = in.ahead
	if s, ok := src.(camera.Sized); ok {
		in.total = s.Len()
	}
	if s, ok := src.(camera.Rated); ok {
		in.rate = s.Rate()
	}
	return in, nil
}

// newest reads a live source, and gives it up where it is there but no picture of
// it can be read from the start.
type newest struct {
	*camera.Live
	patience time.Duration // for the first picture
	started  bool          // that has come
}

// Read waits for the newest frame.
func (n *newest) Read(ctx context.Context, f *camera.Frame) error {
	for !n.started {
		first, cancel := context.WithTimeout(ctx, n.patience)
		err := n.Live.Read(first, f)
		cancel()
		if err == nil {
			n.started = true
			return nil
		}
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if s := n.Stats(); s.LastError != nil { // otherwise it may only be slow
			// Not wrapped: it may be of one frame, and this one is of all.
			return fmt.Errorf("%w: no picture could be read within %v, the last error being: %s; look up the address of the stream, or try another format of the camera",
				camera.ErrFormat, n.patience, s.LastError.Error())
		}
	}
	return n.Live.Read(ctx, f)
}

// ahead reads a source in a goroutine of its own, two frames ahead of its
// reader. A read that has begun is waited for, so Close may take as long as one.
type ahead struct {
	src    camera.Source
	ready  chan *slot
	free   chan *slot
	cancel context.CancelFunc
	done   chan struct{}
	err    error // final, for the reader
	busy   atomic.Int64
}

// slot is one frame on its way, or what went wrong in its place.
type slot struct {
	frame camera.Frame
	err   error
}

func readAhead(src camera.Source) *ahead {
	const frames = 2
	ctx, cancel := context.WithCancel(context.Background())
	a := &ahead{src: src, ready: make(chan *slot, frames), free: make(chan *slot, frames), cancel: cancel, done: make(chan struct{})}
	for range frames {
		a.free <- &slot{}
	}
	go a.fill(ctx)
	return a
}

func (a *ahead) fill(ctx context.Context) {
	defer close(a.done)
	for {
		var s *slot
		select {
		case s = <-a.free:
		case <-ctx.Done():
			return
		}
		start := time.Now()
		s.err = a.src.Read(ctx, &s.frame)
		a.busy.Add(int64(time.Since(start)))
		a.ready <- s // there is room for every slot
		if s.err != nil && !isDamage(s.err) {
			return
		}
	}
}

// isDamage reports whether err is of one frame, and the next can be read.
func isDamage(err error) bool {
	var bad *camera.FrameError
	return errors.As(err, &bad)
}

// Read exchanges f for the next frame.
func (a *ahead) Read(ctx context.Context, f *camera.Frame) error {
	if a.err != nil {
		return a.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var s *slot
	select {
	case s = <-a.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	err := s.err
	if err == nil {
		*f, s.frame = s.frame, *f
	} else if !isDamage(err) {
		a.err = err
		return err
	}
	a.free <- s
	return err
}

// decoding returns the time that reading and decoding have taken.
func (a *ahead) decoding() time.Duration { return time.Duration(a.busy.Load()) }

// Close ends reading and closes the source.
func (a *ahead) Close() error {
	a.cancel()
	<-a.done
	if a.err == nil {
		a.err = io.ErrClosedPipe
	}
	return a.src.Close()
}
