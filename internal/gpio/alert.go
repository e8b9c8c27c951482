package gpio

import (
	"sync"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// Alert is an output that is high while something is seen and for a while after.
// It falls by itself, so it does not stay high when frames no longer come. It is
// safe for concurrent use.
type Alert struct {
	pin  gpio.PinOut
	hold time.Duration

	mu     sync.Mutex
	timer  *time.Timer
	until  time.Time
	high   bool
	closed bool
	err    error // of a change that nobody waited for
}

// OpenAlert makes the pin of a name an output and drives it low. hold is how
// long it stays high after the last Seen; it has to be longer than the time from
// one frame to the next for the output not to flicker. The error wraps ErrNone,
// ErrPin, ErrBusy or ErrNotPermitted.
func OpenAlert(name string, hold time.Duration) (*Alert, error) {
	p, err := find(name)
	if err != nil {
		return nil, err
	}
	return newAlert(p, hold)
}

func newAlert(p gpio.PinOut, hold time.Duration) (*Alert, error) {
	if err := p.Out(gpio.Low); err != nil {
		return nil, pinError(p.Name(), err)
	}
	a := &Alert{pin: p, hold: hold}
	a.timer = time.AfterFunc(hold, a.fall)
	a.timer.Stop()
	return a, nil
}

// Seen drives the output high until the hold time has passed without another
// call.
func (a *Alert) Seen() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.err != nil {
		return a.err
	}
	if !a.high {
		if err := a.pin.Out(gpio.High); err != nil {
			a.err = pinError(a.pin.Name(), err)
			return a.err
		}
		a.high = true
	}
	a.until = time.Now().Add(a.hold)
	a.timer.Reset(a.hold)
	return nil
}

// fall is the timer's: it drives the output low unless a Seen was faster.
func (a *Alert) fall() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || !a.high || time.Now().Before(a.until) {
		return
	}
	a.high = false
	if err := a.pin.Out(gpio.Low); err != nil {
		a.err = pinError(a.pin.Name(), err)
	}
}

// Close drives the output low and lets go of the pin. It returns the error of an
// earlier change that failed.
func (a *Alert) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	a.closed = true
	a.timer.Stop()
	if err := a.pin.Out(gpio.Low); err != nil && a.err == nil {
		a.err = pinError(a.pin.Name(), err)
	}
	if err := release(a.pin); err != nil && a.err == nil {
		a.err = pinError(a.pin.Name(), err)
	}
	return a.err
}
