package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

// printer prints a line for each frame: JSON; or where the frame comes from,
// its size and everything found; or, of a video or camera on a terminal, how
// fast it goes and the gist, for a camera always on the same line.
type printer struct {
	o       output
	json    bool
	in      *input
	short   bool // speed and the gist
	inPlace bool // on one line
	columns int  // of the terminal
	start   time.Time

	mu     sync.Mutex // of what follows and of the terminal
	bar    *progress
	shown  int // columns of the line in place
	done   int
	last   time.Time
	pace   time.Duration // from one frame to the next, smoothed
	age    time.Duration // sum
	oldest time.Duration
}

func newPrinter(o output, json bool, in *input, bar *progress) *printer {
	p := &printer{o: o, json: json, in: in, bar: bar, start: time.Now()}
	if !json && !in.still && isTerminal(o.stdout) {
		p.short = true
		p.inPlace = in.live != nil && os.Getenv("TERM") != "dumb"
		p.columns = 80
		if w, _, err := term.GetSize(int(o.stdout.(*os.File).Fd())); err == nil && w > 0 {
			p.columns = w
		}
	}
	return p
}

// finding is what a command found in a frame.
type finding interface {
	gist() string // a few words
	full() string // everything, for people
}

// put prints the result for a frame, which marshals to the line of JSON.
func (p *printer) put(f *camera.Frame, inference time.Duration, r finding) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.done == 0 {
		p.pace = inference
	} else {
		p.pace += (now.Sub(p.last) - p.pace) / time.Duration(min(p.done, 10))
	}
	p.last = now
	p.done++
	if p.in.live != nil && !f.Time.IsZero() {
		age := now.Sub(f.Time)
		p.age += age
		p.oldest = max(p.oldest, age)
	}
	p.bar.clear()
	defer p.bar.step()
	ms := float64(inference) / float64(time.Millisecond)
	switch {
	case p.json:
		return p.o.json(r)
	case p.short:
		return p.show(fmt.Sprintf("%.1f fps  %.0f ms  %s", 1/max(p.pace, time.Microsecond).Seconds(), ms, r.gist()))
	}
	place := f.Source
	if !p.in.still {
		place = fmt.Sprintf("%s #%d", place, f.Index)
	}
	size := f.Size()
	return p.o.line("%s %dx%d %.1f ms: %s", place, size.X, size.Y, ms, r.full())
}

// show prints a line on the terminal, over the last one where that is wanted.
func (p *printer) show(line string) error {
	if !p.inPlace {
		return p.o.line("%s", line)
	}
	if most := p.columns - 1; utf8.RuneCountInString(line) > most {
		line = string([]rune(line)[:most])
	}
	n := utf8.RuneCountInString(line)
	_, err := fmt.Fprintf(p.o.stdout, "\r%s%s", line, strings.Repeat(" ", max(0, p.shown-n)))
	p.shown = n
	return err
}

// note prints a line that is not data, where nothing else is being written.
func (p *printer) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bar.clear()
	if p.shown > 0 {
		fmt.Fprintf(p.o.stdout, "\r%s\r", strings.Repeat(" ", p.shown))
		p.shown = 0
	}
	p.o.note(format, args...)
}

// step counts a frame that gave no result.
func (p *printer) step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bar.step()
}

// watch tells when a live source is lost, when it is back and, at times, that its
// frames are damaged, until the function that it returns is called.
func (p *printer) watch(l *camera.Live) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		reconnects, damaged, lost := uint64(0), uint64(0), false
		var told time.Time
		for last := false; !last; {
			select {
			case <-quit:
				last = true
			case <-tick.C:
			}
			s := l.Stats()
			switch {
			case s.Reconnects > reconnects:
				if !lost {
					p.note("edgecam: the source was lost: %v", s.LastError)
				}
				p.note("edgecam: the source is back")
				lost = false
			case !s.Connected && !lost && s.Frames > 0 && s.LastError != nil:
				p.note("edgecam: %v; trying again", s.LastError)
				lost = true
			}
			if s.Damaged > damaged && s.Connected && time.Since(told) > 10*time.Second {
				p.note("edgecam: %d damaged so far: %v", s.Damaged, s.LastError)
				damaged, told = s.Damaged, time.Now()
			}
			reconnects = s.Reconnects
		}
	}()
	return sync.OnceFunc(func() { close(quit); <-done })
}

// finish ends the line in place and prints how fast it went and where the time
// went. read is the time that was waited for frames.
func (p *printer) finish(read time.Duration, s sdk.FrameStats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bar.finish()
	if p.shown > 0 {
		fmt.Fprintln(p.o.stdout)
	}
	if p.done == 0 {
		return
	}
	all := time.Since(p.start)
	share := func(t time.Duration) float64 { return 100 * float64(t) / float64(all) }
	rest := max(0, all-read-s.Preprocess-s.Inference-s.Postprocess)
	noun := "frames"
	if p.done == 1 {
		noun = "frame"
	}
	p.o.note("%d %s in %.2f s: %.1f frames/s; waiting for frames %.1f %%, preprocessing %.1f %%, inference %.1f %%, post-processing %.1f %%, other %.1f %%",
		p.done, noun, all.Seconds(), float64(p.done)/all.Seconds(), share(read), share(s.Preprocess), share(s.Inference), share(s.Postprocess), share(rest))
	if p.in.ahead != nil {
		p.o.note("decoding took %.1f %%, at the same time as the rest", share(p.in.ahead.decoding()))
	}
	if p.in.live != nil {
		l := p.in.live.Stats()
		p.o.note("%d frames came, %d were dropped for newer ones, %d were damaged, %d reconnections; a frame was %.1f ms old when its result was known, %.1f ms at most",
			l.Frames, l.Drops, l.Damaged, l.Reconnects, float64(p.age.Microseconds())/1e3/float64(p.done), float64(p.oldest.Microseconds())/1e3)
	}
}
