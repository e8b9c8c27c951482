package main

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/conn/v3/gpio/gpiotest"
)

// recorder is a pin that remembers what it was driven to.
type recorder struct {
	gpiotest.Pin
	mu     sync.Mutex
	levels []gpio.Level
}

func (r *recorder) Out(l gpio.Level) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.levels = append(r.levels, l)
	return nil
}

func (r *recorder) seen() []gpio.Level {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.levels
}

// board gives the machine pins for a test, where it has none of its own.
func board(t *testing.T, pins ...gpio.PinIO) {
	t.Helper()
	noPins(t)
	for _, p := range pins {
		if err := gpioreg.Register(p); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := gpioreg.Unregister(p.Name()); err != nil {
				t.Error(err)
			}
		})
	}
}

// noPins skips a test on a machine with pins: the test would drive them.
func noPins(t *testing.T) {
	t.Helper()
	if chips, _ := filepath.Glob("/dev/gpiochip*"); len(chips) > 0 {
		t.Skip("this machine has GPIO, which a test must not drive")
	}
}

func TestNoGPIO(t *testing.T) {
	noPins(t)
	for _, flag := range []string{"--gpio-alert", "--gpio-wake"} {
		r := execute(t, "detect", "-m", assets+"squares.onnx", "-s", assets+"squares.png", flag, "GPIO17")
		if r.code != 3 || !strings.Contains(r.stderr, "no GPIO") || !strings.Contains(r.stderr, flag) || r.stdout != "" {
			t.Errorf("%s: code %d, want 3; %s", flag, r.code, r.stderr)
		}
	}
}

func TestAlertPin(t *testing.T) {
	low, high := gpio.Low, gpio.High
	for _, c := range []struct {
		name, args string
		want       []gpio.Level
	}{
		{"what is looked for is there", "--on person", []gpio.Level{low, high, low}},
		{"anything is there", "", []gpio.Level{low, high, low}},
		{"nothing is there", "--on person --conf 0.999", []gpio.Level{low, low}},
	} {
		t.Run(c.name, func(t *testing.T) {
			pin := &recorder{Pin: gpiotest.Pin{N: "GPIO17"}}
			board(t, pin)
			args := append([]string{"detect", "-m", assets + "squares.onnx", "-s", assets + "squares.png", "--gpio-alert", "GPIO17", "--hold", "1h"}, strings.Fields(c.args)...)
			if r := execute(t, args...); r.code != 0 || !slices.Equal(pin.seen(), c.want) {
				t.Errorf("code %d, the pin was driven to %v, want %v; %s", r.code, pin.seen(), c.want, r.stderr)
			}
		})
	}
	pin := &recorder{Pin: gpiotest.Pin{N: "GPIO17"}}
	board(t, pin)
	for args, want := range map[string]string{
		"--gpio-alert GPIO18":                    "pins are GPIO17",
		"--gpio-wake GPIO18":                     "pins are GPIO17",
		"--gpio-alert GPIO17 --on cat":           "classes are person",
		"--gpio-alert GPIO17 --gpio-wake GPIO17": "same pin",
		"--gpio-alert GPIO17 --hold -1s":         "--hold",
		"--gpio-wake GPIO17 --wake-for 0s":       "--wake-for",
		"--on person":                            "--gpio-alert",
	} {
		r := execute(t, append([]string{"detect", "-m", assets + "squares.onnx", "-s", assets + "squares.png"}, strings.Fields(args)...)...)
		if r.code != 2 || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: code %d, want 2 and %q; %s", args, r.code, want, r.stderr)
		}
	}
}

// TestWakePin lets the model rest until a button is pressed.
func TestWakePin(t *testing.T) {
	pin := &gpiotest.Pin{N: "GPIO27", EdgesChan: make(chan gpio.Level)}
	board(t, pin)
	line := []string{"detect", "-m", assets + "squares.onnx", "-s", "test:?frames=3", "--gpio-wake", "GPIO27", "--wake-for", "1h", "--json"}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var stdout, stderr bytes.Buffer
	if code := run(ctx, line, nil, &stdout, &stderr); code != exitInterrupted || stdout.Len() > 0 || !strings.Contains(stderr.String(), "asleep until an edge at GPIO27") {
		t.Errorf("without an edge: code %d, %s%s", code, &stdout, &stderr)
	}
	// The first presses may come before the pin is an input, which forgets them.
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case pin.EdgesChan <- gpio.Low:
			case <-stop:
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	defer func() { close(stop); <-stopped }()
	if r := execute(t, line...); r.code != 0 || strings.Count(r.stdout, "\n") != 3 {
		t.Errorf("after an edge: code %d, %s%s", r.code, r.stdout, r.stderr)
	}
}
