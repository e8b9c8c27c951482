//go:build !linux

package camera

import (
	"fmt"
	"runtime"
)

// openDevice refuses: V4L2 is Linux's.
func openDevice(t target, _ Options) (Source, error) {
	return nil, fmt.Errorf("camera: %s: %w: on %s a camera is opened only by the edition that is built with OpenCV, or as a stream: http://..., rtsp://...",
		t.name, ErrUnsupported, runtime.GOOS)
}

func listDevices(string) ([]Device, error) { return nil, nil }
