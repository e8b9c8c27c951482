package main

import (
	"github.com/schollz/progressbar/v3"
)

// longRun is the number of frames from which a bar is worth showing.
const longRun = 16

// progress is a bar on standard error, shown only where that is a terminal that
// no data goes to, and there is much to do. A nil progress shows nothing.
type progress struct {
	bar *progressbar.ProgressBar
}

// newProgress returns the bar of a command for total frames, 0 if their number is
// unknown.
func newProgress(o output, name string, total int) *progress {
	if total < longRun || !isTerminal(o.stderr) || isTerminal(o.stdout) {
		return nil
	}
	return &progress{progressbar.NewOptions(total,
		progressbar.OptionSetWriter(o.stderr),
		progressbar.OptionSetDescription(name),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("frames"),
		progressbar.OptionSetWidth(30),
		progressbar.OptionClearOnFinish(),
	)}
}

// step counts one frame.
func (p *progress) step() {
	if p != nil {
		p.bar.Add(1) //nolint:errcheck // a bar that cannot be drawn is no reason to stop
	}
}

// set says how much is done.
func (p *progress) set(done int) {
	if p != nil {
		p.bar.Set(done) //nolint:errcheck // as in step
	}
}

// clear takes the bar away for a line of text; step brings it back.
func (p *progress) clear() {
	if p != nil {
		p.bar.Clear() //nolint:errcheck // as in step
	}
}

// finish takes the bar away for good.
func (p *progress) finish() {
	if p != nil {
		p.bar.Finish() //nolint:errcheck // as in step
		p.bar.Clear()  //nolint:errcheck // as in step
	}
}
