package gpio

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/conn/v3/gpio/gpiotest"
)

// TestAlert follows the output over a fake clock.
func TestAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pin := &gpiotest.Pin{N: "GPIO17", L: gpio.High}
		a, err := newAlert(pin, 2*time.Second)
		if err != nil || pin.Read() != gpio.Low {
			t.Fatalf("the output is %v at first, want low; %v", pin.Read(), err)
		}
		for i, s := range []struct {
			after time.Duration
			seen  bool
			want  gpio.Level
		}{
			{0, true, gpio.High},
			{1900 * time.Millisecond, true, gpio.High}, // held anew
			{1900 * time.Millisecond, false, gpio.High},
			{200 * time.Millisecond, false, gpio.Low},
			{time.Hour, false, gpio.Low},
			{0, true, gpio.High},
			{2 * time.Second, false, gpio.Low},
		} {
			time.Sleep(s.after)
			synctest.Wait()
			if s.seen {
				if err := a.Seen(); err != nil {
					t.Fatal(err)
				}
			}
			if got := pin.Read(); got != s.want {
				t.Errorf("step %d: the output is %v, want %v", i, got, s.want)
			}
		}
		if err := a.Seen(); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil || pin.Read() != gpio.Low {
			t.Errorf("after Close the output is %v, want low; %v", pin.Read(), err)
		}
		if err := a.Seen(); err != nil || pin.Read() != gpio.Low {
			t.Errorf("Seen after Close drives the output")
		}
	})
}

// stuck is a pin that fails as the driver does: with words.
type stuck struct {
	gpiotest.Pin
	err error
}

func (s *stuck) Out(gpio.Level) error          { return s.err }
func (s *stuck) In(gpio.Pull, gpio.Edge) error { return s.err }

func TestPinErrors(t *testing.T) {
	for _, c := range []struct {
		cause string
		want  error
		hint  string
	}{
		{syscall.EBUSY.Error(), ErrBusy, "gpioinfo"},
		{syscall.EPERM.Error(), ErrNotPermitted, "usermod"},
	} {
		p := &stuck{gpiotest.Pin{N: "GPIO2"}, errors.New("line_request ioctl: " + c.cause)}
		_, err := newAlert(p, time.Second)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.hint) || !strings.Contains(err.Error(), "GPIO2") {
			t.Errorf("output: %v, want %v with %q", err, c.want, c.hint)
		}
		if _, err := newWake(p, time.Second); !errors.Is(err, c.want) {
			t.Errorf("input: %v, want %v", err, c.want)
		}
	}
	// A pin that fails later tells so at the next call.
	p := &stuck{Pin: gpiotest.Pin{N: "GPIO2"}}
	a, err := newAlert(p, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	p.err = errors.New("gone")
	if err := a.Seen(); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("Seen: %v", err)
	}
	if err := a.Close(); err == nil {
		t.Error("Close forgets the error")
	}
}

// TestWake presses a button over a fake clock.
func TestWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pin := &gpiotest.Pin{N: "GPIO27", EdgesChan: make(chan gpio.Level)}
		w, err := newWake(pin, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if pin.P != gpio.PullUp {
			t.Errorf("the pin is pulled %v, want up", pin.P)
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := w.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || w.Awake() {
			t.Errorf("without an edge: %v after %v", err, time.Since(start))
		}
		cancel()
		time.AfterFunc(time.Hour, func() { pin.EdgesChan <- gpio.Low })
		start = time.Now()
		if err := w.Wait(t.Context()); err != nil || time.Since(start) != time.Hour {
			t.Errorf("woken after %v, want an hour; %v", time.Since(start), err)
		}
		time.Sleep(9 * time.Second)
		if err := w.Wait(t.Context()); err != nil || !w.Awake() {
			t.Errorf("asleep 9 s after an edge: %v", err)
		}
		pin.EdgesChan <- gpio.High // prolongs
		time.Sleep(9 * time.Second)
		if !w.Awake() {
			t.Error("asleep 9 s after the second edge")
		}
		time.Sleep(2 * time.Second)
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("11 s after an edge: %v, want asleep", err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestNames finds pins by their names.
func TestNames(t *testing.T) {
	if chips, _ := filepath.Glob("/dev/gpiochip*"); len(chips) > 0 {
		t.Skip("this machine has GPIO of its own")
	}
	if _, err := OpenAlert("GPIO17", 0); !errors.Is(err, ErrNone) {
		t.Errorf("a machine without GPIO: %v, want ErrNone", err)
	}
	if _, err := Pins(); !errors.Is(err, ErrNone) {
		t.Errorf("pins of a machine without GPIO: %v, want ErrNone", err)
	}
	for _, name := range []string{"GPIO17", "GPIO4"} {
		if err := gpioreg.Register(&gpiotest.Pin{N: name, EdgesChan: make(chan gpio.Level)}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := gpioreg.Unregister(name); err != nil {
				t.Error(err)
			}
		})
	}
	for _, name := range []string{"GPIO17", "17"} {
		a, err := OpenAlert(name, time.Second)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"GPIO99", "99", "", "gpio17"} {
		_, err := OpenWake(name, time.Second)
		if !errors.Is(err, ErrPin) || !strings.Contains(err.Error(), "GPIO4, GPIO17") {
			t.Errorf("%q: %v, want ErrPin with a list of the pins", name, err)
		}
	}
	w, err := OpenWake("4", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
