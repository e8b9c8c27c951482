// Package gpio drives an output while something is seen and wakes at an edge of
// an input: a lamp or relay, a motion sensor or button on the pins of a board.
//
// Pins are reached through the kernel's GPIO character devices by periph.io.
// The package does not know what is seen, runs no models, and does not do PWM,
// buses or debouncing.
package gpio

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	_ "periph.io/x/host/v3/gpioioctl" // registers the pins of /dev/gpiochip*
)

var (
	// ErrNone is returned on a machine without GPIO.
	ErrNone = errors.New("this machine has no GPIO")
	// ErrPin is returned for a pin that does not exist; the error lists those
	// that do.
	ErrPin = errors.New("there is no such pin")
	// ErrBusy is returned for a pin that another program or a driver uses.
	ErrBusy = errors.New("pin busy")
	// ErrNotPermitted is returned where the user may not use the pins.
	ErrNotPermitted = errors.New("GPIO not permitted")
)

// load registers the pins of this machine, once: a board does not grow pins.
var load = sync.OnceValue(func() error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("%w: pins are known on Linux only", ErrNone)
	}
	chips, err := filepath.Glob("/dev/gpiochip*")
	if err != nil || len(chips) == 0 {
		return fmt.Errorf("%w: there is no /dev/gpiochip*; pins are found on boards such as a Raspberry Pi or a Jetson", ErrNone)
	}
	// The driver logs what it cannot open, so that is found out before.
	for _, c := range chips {
		f, err := os.Open(c)
		switch {
		case errors.Is(err, fs.ErrPermission):
			return fmt.Errorf("%w: %w; run `sudo usermod -aG gpio $USER` and log in again", ErrNotPermitted, err)
		case err != nil:
			return fmt.Errorf("%w: %w", ErrNone, err)
		}
		f.Close()
	}
	if _, err := driverreg.Init(); err != nil {
		return fmt.Errorf("%w: %w", ErrNone, err)
	}
	return nil
})

// Pins returns the names of the machine's pins, as find takes them. The error
// wraps ErrNone or ErrNotPermitted.
func Pins() ([]string, error) {
	err := load()
	var names []string
	for _, p := range gpioreg.All() { // in natural order
		names = append(names, p.Name())
	}
	if len(names) > 0 {
		return names, nil
	}
	if err == nil {
		err = fmt.Errorf("%w: its GPIO lines have no names", ErrNone)
	}
	return nil, err
}

// find returns the pin of a name, as GPIO17; 17 is short for that.
func find(name string) (gpio.PinIO, error) {
	names, err := Pins()
	if err != nil {
		return nil, err
	}
	full := name
	if name != "" && strings.Trim(name, "0123456789") == "" {
		full = "GPIO" + name
	}
	if slices.Contains(names, full) {
		return gpioreg.ByName(full), nil
	}
	return nil, fmt.Errorf("%w: %q; pins are %s", ErrPin, name, strings.Join(names, ", "))
}

// pinError gives an error of the driver, which is only words, its sentinel.
func pinError(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), syscall.EBUSY.Error()):
		return fmt.Errorf("%s: %w: another program or a driver of the kernel uses it (`gpioinfo` tells which): %w", name, ErrBusy, err)
	case strings.Contains(err.Error(), syscall.EPERM.Error()), strings.Contains(err.Error(), syscall.EACCES.Error()):
		return fmt.Errorf("%s: %w; run `sudo usermod -aG gpio $USER` and log in again: %w", name, ErrNotPermitted, err)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// release lets go of a pin.
func release(p any) error {
	switch c := p.(type) {
	case interface{ Close() }:
		c.Close()
	case io.Closer:
		return c.Close()
	}
	return nil
}
