package gpio

import (
	"context"
	"sync"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// poll is how often a Wake looks whether it has been closed.
const poll = 200 * time.Millisecond

// Wake is an input whose edges wake for a while: a motion sensor, or a button
// between the pin and ground. Both edges count, and the pin is pulled up. It is
// safe for concurrent use.
type Wake struct {
	pin  gpio.PinIn
	stay time.Duration

	mu    sync.Mutex
	until time.Time

	edge       chan struct{} // there was one
	quit, done chan struct{}
	once       sync.Once
}

// OpenWake makes the pin of a name an input. stay is how long an edge wakes. The
// error wraps ErrNone, ErrPin, ErrBusy or ErrNotPermitted.
func OpenWake(name string, stay time.Duration) (*Wake, error) {
	p, err := find(name)
	if err != nil {
		return nil, err
	}
	return newWake(p, stay)
}

func newWake(p gpio.PinIn, stay time.Duration) (*Wake, error) {
	if err := p.In(gpio.PullUp, gpio.BothEdges); err != nil {
		return nil, pinError(p.Name(), err)
	}
	w := &Wake{pin: p, stay: stay, edge: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go w.watch()
	return w, nil
}

// watch waits for edges. The driver takes a timeout of no length for none, and
// nothing interrupts it in all its versions, so it is asked again and again.
func (w *Wake) watch() {
	defer close(w.done)
	for {
		start := time.Now()
		hit := w.pin.WaitForEdge(poll)
		if hit {
			w.mu.Lock()
			w.until = time.Now().Add(w.stay)
			w.mu.Unlock()
			select {
			case w.edge <- struct{}{}:
			default:
			}
		}
		rest := time.Duration(0)
		if !hit { // a driver that fails returns at once
			rest = max(0, poll-time.Since(start))
		}
		select {
		case <-w.quit:
			return
		case <-time.After(rest):
		}
	}
}

// Awake reports whether there has been an edge within the last while.
func (w *Wake) Awake() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Before(w.until)
}

// Wait returns at once while awake, and otherwise at the next edge, or when ctx
// ends.
func (w *Wake) Wait(ctx context.Context) error {
	for !w.Awake() {
		select {
		case <-w.edge:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// Close lets go of the pin. No Wait may be under way.
func (w *Wake) Close() error {
	var err error
	w.once.Do(func() {
		close(w.quit)
		<-w.done
		err = pinError(w.pin.Name(), release(w.pin))
	})
	return err
}
