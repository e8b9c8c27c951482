package camera

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Device is a camera that is connected.
type Device struct {
	Source   string // what Open takes: the name that stays over a restart, where there is one
	Name     string // as the device gives it
	Backend  string // as in Backend
	Path     string // device node, "" for a CSI camera
	ByID     string // link to Path below /dev/v4l/by-id, "" where there is none
	Bus      string // where it is plugged in
	Modes    []Mode
	Controls []Control
	Err      error // why Modes and Controls are not known: busy or not permitted
}

// Control is a setting of a device. A source sets it by ?control.NAME=VALUE.
type Control struct {
	Name               string // as v4l2-ctl spells it: brightness, exposure_time_absolute
	Min, Max, Step     int32
	Default, Value     int32
	ReadOnly, Inactive bool // Inactive: another control, such as an automatic mode, rules it
}

// List returns the cameras that are connected: V4L2 devices that can give
// pictures in a format that is read, and CSI cameras where rpicam-vid is
// installed. It returns what it has found beside an error.
func List() ([]Device, error) {
	devices, err := listDevices("/dev")
	csi, errCSI := listCSI()
	if err == nil {
		err = errCSI
	}
	return append(devices, csi...), err
}

// listCSI asks libcamera.
func listCSI() ([]Device, error) {
	var path string
	for _, name := range []string{"rpicam-vid", "libcamera-vid"} {
		if p, err := exec.LookPath(name); err == nil && path == "" {
			path = p
		}
	}
	if path == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--list-cameras")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil && !bytes.Contains(out, []byte("No cameras available")) {
		return nil, fmt.Errorf("camera: rpicam-vid --list-cameras: %w", err)
	}
	return parseCSI(string(out)), nil
}

// A camera's line is "0 : imx219 [3280x2464 10-bit RGGB] (/base/soc/...)", and
// its modes look like "640x480 [206.65 fps - (1000, 752)/1280x960 crop]".
var (
	csiCamera = regexp.MustCompile(`^\s*(\d{1,3}) : (\S+) .*\((.+)\)\s*$`)
	csiMode   = regexp.MustCompile(`(\d{2,5})x(\d{2,5}) \[(\d+(?:\.\d+)?) fps`)
)

// parseCSI reads what rpicam-vid --list-cameras prints. Modes are the sensor's;
// libcamera scales to any size below them.
func parseCSI(text string) []Device {
	var devices []Device
	skip := true // what comes before the first camera, and of USB cameras: V4L2 is the shorter way to them
	for line := range strings.Lines(text) {
		if m := csiCamera.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			if skip = strings.Contains(m[3], "usb"); !skip {
				devices = append(devices, Device{Source: "csi:" + m[1], Name: m[2], Backend: "rpicam", Bus: m[3]})
			}
			continue
		}
		if skip {
			continue
		}
		d := &devices[len(devices)-1]
		for _, m := range csiMode.FindAllStringSubmatch(line, -1) {
			w, errW := strconv.Atoi(m[1])
			h, errH := strconv.Atoi(m[2])
			rate, errR := strconv.ParseFloat(m[3], 64)
			if errW != nil || errH != nil || errR != nil {
				continue
			}
			at := slices.IndexFunc(d.Modes, func(m Mode) bool { return m.Width == w && m.Height == h })
			if at < 0 {
				d.Modes = append(d.Modes, Mode{Format: "NV12", Width: w, Height: h})
				at = len(d.Modes) - 1
			}
			if !slices.Contains(d.Modes[at].Rates, rate) {
				d.Modes[at].Rates = append(d.Modes[at].Rates, rate)
			}
		}
	}
	return devices
}
