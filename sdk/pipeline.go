package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"sync"
	"time"

	"github.com/edgecam/edgecam/camera"
)

// Result is what a pipeline hands to its sinks for one frame. It and all it
// points to are valid until Put returns.
type Result struct {
	Detector   *Detector
	Frame      *camera.Frame
	Detections []Detection
	Inference  time.Duration
}

// Sink takes results. Put is called for one result at a time; its error ends
// the pipeline.
type Sink interface {
	Put(ctx context.Context, r *Result) error
}

// SinkFunc is a function as a Sink.
type SinkFunc func(ctx context.Context, r *Result) error

// Put calls the function.
func (f SinkFunc) Put(ctx context.Context, r *Result) error { return f(ctx, r) }

// JSONLines returns a sink that writes each result as one line of JSON, a
// Record.
func JSONLines(w io.Writer) Sink {
	e := json.NewEncoder(w)
	return SinkFunc(func(_ context.Context, r *Result) error {
		if err := e.Encode(r.Record()); err != nil {
			return fmt.Errorf("writing JSON lines: %w", err)
		}
		return nil
	})
}

// Pipeline takes frames from a source to sinks by way of a detector. From a
// camera.Live it takes the newest frame each time, and older ones are
// dropped; a file is read to its end.
type Pipeline struct {
	Source   camera.Source
	Detector *Detector
	Sinks    []Sink
	// Frames ends the pipeline after that many frames; 0 means no limit.
	Frames int
	// Shrink lets frames of Motion JPEG after the first come with fewer pixels, as
	// few as the model's input needs, which saves time: see camera.Frame.Least.
	// Scores differ a little from those of whole frames. Sinks that draw or store
	// frames, and comparisons, need whole ones.
	Shrink bool
	// Damaged is called for a frame that cannot be decoded; nil means that
	// such frames are only counted.
	Damaged func(error)

	mu    sync.Mutex
	stats PipelineStats
}

// PipelineStats counts what a pipeline has done. Times are sums over frames.
type PipelineStats struct {
	Frames  int // that reached the sinks
	Damaged int // that could not be decoded
	Drops   int // that a newer one replaced
	Read    time.Duration
	Detect  time.Duration // from pixels to boxes
	Put     time.Duration
	Age     time.Duration // of the last frame when its boxes were known
}

// Stats returns the counts so far; it may be called while Run is under way.
func (p *Pipeline) Stats() PipelineStats {
	p.mu.Lock()
	s := p.stats
	p.mu.Unlock()
	if l, ok := p.Source.(*camera.Live); ok {
		c := l.Stats() // it leaves out damaged frames by itself
		s.Drops, s.Damaged = int(c.Drops), s.Damaged+int(c.Damaged)
	}
	return s
}

// Run works until the source ends, which is no error, the limit of frames is
// reached, or something fails: the source, the detector, a sink, or ctx. It
// does not close the source. A frame takes no allocation but those of its sinks.
func (p *Pipeline) Run(ctx context.Context) error {
	if p.Source == nil || p.Detector == nil {
		return errors.New("pipeline: a Source and a Detector are needed")
	}
	var frame camera.Frame
	r := Result{Detector: p.Detector, Frame: &frame}
	for done := 0; p.Frames == 0 || done < p.Frames; {
		start := time.Now()
		frame.Least = image.Point{}
		if p.Shrink {
			frame.Least = p.Detector.Least(frame.Size())
		}
		err := p.Source.Read(ctx, &frame)
		read := time.Now()
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		case isDamage(err):
			p.count(func(s *PipelineStats) { s.Damaged++; s.Read += read.Sub(start) })
			if p.Damaged != nil {
				p.Damaged(err)
			}
			continue
		default:
			return err
		}
		before := p.Detector.Stats().Inference
		if r.Detections, err = p.Detector.AppendFrame(ctx, r.Detections[:0], &frame); err != nil {
			return fmt.Errorf("%s, frame %d: %w", frame.Source, frame.Index, err)
		}
		detected := time.Now()
		r.Inference = p.Detector.Stats().Inference - before
		for _, s := range p.Sinks {
			if err := s.Put(ctx, &r); err != nil {
				return err
			}
		}
		done++
		p.count(func(s *PipelineStats) {
			s.Frames++
			s.Read += read.Sub(start)
			s.Detect += detected.Sub(read)
			s.Put += time.Since(detected)
			if !frame.Time.IsZero() {
				s.Age = detected.Sub(frame.Time)
			}
		})
	}
	return nil
}

// isDamage reports whether err is of one frame, and the next can be read.
func isDamage(err error) bool {
	var damaged *camera.FrameError
	return errors.As(err, &damaged)
}

func (p *Pipeline) count(f func(*PipelineStats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.stats)
}
