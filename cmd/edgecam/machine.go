package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/internal/gpio"
	"github.com/edgecam/edgecam/sdk"
)

// machine is what doctor looks at.
type machine struct {
	root   fs.FS // of the file system
	getenv func(string) string
	look   func(program string) (path string, err error)
	list   func() ([]camera.Device, error)
	names  func() ([]string, error) // of GPIO pins
	groups []int                    // of the user
	isRoot bool
	procs  int     // GOMAXPROCS
	quota  float64 // of processors, 0 for no limit
	openCV string  // camera.OpenCV
}

func thisMachine() *machine {
	groups, err := os.Getgroups()
	if err != nil { // not on every system
		groups = nil
	}
	return &machine{root: os.DirFS("/"), getenv: os.Getenv, look: exec.LookPath, list: camera.List, names: gpio.Pins, groups: append(groups, os.Getgid()),
		isRoot: os.Getuid() == 0, procs: runtime.GOMAXPROCS(0), quota: sdk.CPUQuota(), openCV: camera.OpenCV()}
}

// text returns what is in a file, without space around it, or "".
func (m *machine) text(path string) string {
	b, err := fs.ReadFile(m.root, path)
	if err != nil {
		return ""
	}
	return strings.Trim(string(b), " \t\r\n\x00")
}

// number returns the number in a file.
func (m *machine) number(path string) (float64, bool) {
	v, err := strconv.ParseFloat(m.text(path), 64)
	return v, err == nil
}

// glob lists the files of a pattern.
func (m *machine) glob(pattern string) []string {
	list, err := fs.Glob(m.root, pattern)
	if err != nil {
		return nil
	}
	return list
}

// field returns the value of the first line "name : value" of a file.
func (m *machine) field(path, name string) string {
	for line := range strings.Lines(m.text(path)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// edition tells what program this is.
func (m *machine) edition() check {
	edition := "without OpenCV"
	if m.openCV != "" {
		edition = "GoCV edition"
	}
	return ok("edition", "edgecam %s, %s, %s/%s, %s", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH, edition)
}

// opencv tells the version of OpenCV that is loaded, and what of it is missing.
func (m *machine) opencv() check {
	version, backends, _ := strings.Cut(m.openCV, ": ")
	var missing []string
	for _, b := range []string{"ffmpeg", "gstreamer", "v4l2"} {
		if !slices.Contains(strings.Split(backends, ", "), b) {
			missing = append(missing, b)
		}
	}
	switch {
	case version == "":
		return ok("opencv", "not in this build: cameras are read in Go and by rpicam-vid, RTSP and other video by ffmpeg; with libopencv-dev installed `make` builds the other edition")
	case len(missing) > 0:
		return warn("opencv", "install Debian's libopencv-dev, whose OpenCV has all of them, and build again", "%s, built without %s", version, strings.Join(missing, ", "))
	}
	return ok("opencv", "%s, reads by %s", version, backends)
}

// cpuWords are the features of /proc/cpuinfo that kernels are written for.
const cpuWords = " avx2 fma avx_vnni avx512f avx512_vnni asimd asimddp i8mm "

// processors tells the processor and how much of it this program may use.
func (m *machine) processors() check {
	const info = "proc/cpuinfo"
	name := m.text("proc/device-tree/model")
	for _, key := range []string{"model name", "Model", "Hardware"} {
		if name == "" {
			name = m.field(info, key)
		}
	}
	var features []string
	for w := range strings.FieldsSeq(m.field(info, "flags") + " " + m.field(info, "Features")) {
		if strings.Contains(cpuWords, " "+w+" ") && !slices.Contains(features, w) {
			features = append(features, w)
		}
	}
	if len(features) == 0 {
		features = []string{"none that kernels are written for"}
	}
	about := fmt.Sprintf("%s; %s; %d processors in use (GOMAXPROCS)", name, strings.Join(features, " "), m.procs)
	quota := m.quota
	switch {
	case quota == 0:
		return ok("processor", "%s, no CPU quota", about)
	case float64(m.procs) > max(2, quota+0.999): // Go rounds up, to 2 at least
		return warn("processor", "unset GOMAXPROCS, so that it follows the quota", "%s, but a CPU quota of %.4g: threads will be stopped for parts of the time", about, quota)
	case quota < 1:
		return warn("processor", "give it a whole processor, or lower the camera's rate (?rate=5)", "%s, a CPU quota of %.4g: where frames take more they stutter", about, quota)
	}
	return ok("processor", "%s, a CPU quota of %.4g", about, quota)
}

// memory tells what is free.
func (m *machine) memory() check {
	kilobytes := func(key string) float64 {
		v, err := strconv.ParseFloat(strings.TrimSuffix(m.field("proc/meminfo", key), " kB"), 64)
		if err != nil {
			return 0
		}
		return v
	}
	free, all := kilobytes("MemAvailable")/1024, kilobytes("MemTotal")/1024
	if free < 200 {
		return warn("memory", "close other programs, or use a smaller model: most need 30 to 150 MiB", "%.0f of %.0f MiB are available", free, all)
	}
	return ok("memory", "%.0f of %.0f MiB are available", free, all)
}

// heat tells the highest temperature, and warns near the point where the kernel
// slows the processor.
func (m *machine) heat() check {
	hottest, zone := -1000.0, ""
	for _, z := range m.glob("sys/class/thermal/thermal_zone*") {
		if t, is := m.number(z + "/temp"); is && t/1000 > hottest {
			hottest, zone = t/1000, z
		}
	}
	if zone == "" {
		return ok("heat", "no sensor is known")
	}
	passive := 80.0
	for _, trip := range m.glob(zone + "/trip_point_*_type") {
		if t, is := m.number(strings.TrimSuffix(trip, "type") + "temp"); is && t > 0 && m.text(trip) == "passive" {
			passive = min(passive, t/1000)
		}
	}
	about := fmt.Sprintf("%.0f °C (%s)", hottest, m.text(zone+"/type"))
	if hottest >= passive-3 {
		return warn("heat", "add a heat sink or a fan: near this temperature the kernel slows the processor", "%s, slowed from %.0f °C on", about, passive)
	}
	return ok("heat", "%s", about)
}

// The bits of a Raspberry Pi's get_throttled, and what to do about them.
var throttleBits = []struct {
	bit  uint
	what string
}{{0, "the supply voltage is too low"}, {1, "the clock is capped"}, {2, "the clock is throttled"}, {3, "the soft temperature limit is reached"},
	{16, "the supply voltage was too low"}, {17, "the clock was capped"}, {18, "the clock was throttled"}, {19, "the soft temperature limit was reached"}}

// throttling tells whether the processor runs slower than it could: the firmware
// of a Raspberry Pi, cooling devices in action, Intel's counters, and caps of
// the clock.
func (m *machine) throttling() check {
	var why []string
	for _, f := range m.glob("sys/devices/platform/soc*/soc*firmware/get_throttled") {
		bits, err := strconv.ParseUint(strings.TrimPrefix(m.text(f), "0x"), 16, 64)
		if err != nil {
			continue
		}
		for _, b := range throttleBits {
			if bits>>b.bit&1 == 1 {
				why = append(why, b.what)
			}
		}
	}
	for _, h := range m.glob("sys/class/hwmon/hwmon*") {
		if v, is := m.number(h + "/in0_lcrit_alarm"); is && v > 0 && m.text(h+"/name") == "rpi_volt" {
			why = append(why, "the supply voltage was too low")
		}
	}
	for _, c := range m.glob("sys/class/thermal/cooling_device*") {
		kind := strings.ToLower(m.text(c + "/type"))
		if v, is := m.number(c + "/cur_state"); is && v > 0 && (strings.Contains(kind, "cpu") || strings.Contains(kind, "processor")) {
			why = append(why, "the kernel cools by slowing the processor")
			break
		}
	}
	if v, is := m.number("sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count"); is && v > 0 {
		why = append(why, fmt.Sprintf("it was throttled %.0f times since the start", v))
	}
	if now, is := m.number("sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq"); is {
		if most, is := m.number("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"); is && now < 0.95*most {
			why = append(why, fmt.Sprintf("the clock is limited to %.0f of %.0f MHz", now/1000, most/1000))
		}
	}
	slices.Sort(why)
	if why = slices.Compact(why); len(why) > 0 {
		return warn("throttling", "use the supply that the board asks for, cool it, and choose the governor `performance`", "%s", strings.Join(why, "; "))
	}
	return ok("throttling", "none is reported")
}

// group tells whether the user may use devices that belong to a group.
func (m *machine) group(name, devices, what string) check {
	title := "group " + name
	if m.isRoot {
		return ok(title, "root may use every device")
	}
	for line := range strings.Lines(m.text("etc/group")) {
		parts := strings.Split(strings.TrimSpace(line), ":")
		if len(parts) != 4 || parts[0] != name {
			continue
		}
		id, err := strconv.Atoi(parts[2])
		switch {
		case err == nil && slices.Contains(m.groups, id):
			return ok(title, "you are in it: %s are permitted", what)
		case slices.Contains(strings.Split(parts[3], ","), m.getenv("USER")):
			return warn(title, "log out and in again, or restart", "you have been added to it, but not in this session")
		case len(m.glob(devices)) > 0:
			return warn(title, "sudo usermod -aG "+name+" $USER, then log in again", "you are not in it: %s may be refused", what)
		}
		return ok(title, "you are not in it; there is no /%s", devices)
	}
	return ok(title, "there is no such group here")
}

// program tells whether a program that does a part of the work is there.
func (m *machine) program(name, what, install string) check {
	path, err := m.look(name)
	if err != nil && name == "rpicam-vid" {
		path, err = m.look("libcamera-vid")
	}
	switch {
	case err != nil && name == "ffmpeg" && strings.Contains(m.openCV, "ffmpeg"):
		return ok(name, "not found, and OpenCV's FFmpeg does its work")
	case err != nil && name == "rpicam-vid" && !strings.Contains(m.text("proc/device-tree/model"), "Raspberry Pi"):
		return ok(name, "not found, and this is no Raspberry Pi")
	case err != nil:
		return warn(name, install, "not found: it is needed for %s", what)
	}
	return ok(name, "%s: %s", path, what)
}

// cameras tells what is connected.
func (m *machine) cameras() check {
	devices, err := m.list()
	var good, bad []string
	fix := "end the program that uses it (`fuser -v /dev/video*`)"
	for _, d := range devices {
		if d.Err != nil {
			bad = append(bad, fmt.Sprintf("%s: %v", d.Source, d.Err))
			if errors.Is(d.Err, camera.ErrNotPermitted) {
				fix = "sudo usermod -aG video $USER, then log in again"
			}
		} else {
			good = append(good, d.Source)
		}
	}
	switch {
	case len(bad) > 0:
		return warn("cameras", fix, "%s", strings.Join(append(bad, good...), "; "))
	case err != nil:
		return warn("cameras", "edgecam cameras may tell more", "%v", err)
	case len(good) == 0:
		return warn("cameras", "plug one in; a CSI camera needs rpicam-vid; `-s test:` and files need none", "none found")
	}
	return ok("cameras", "%s", strings.Join(good, ", "))
}

// pins tells whether there is GPIO.
func (m *machine) pins() check {
	names, err := m.names()
	switch {
	case errors.Is(err, gpio.ErrNotPermitted):
		return warn("gpio", "sudo usermod -aG gpio $USER, then log in again", "%v", err)
	case err != nil:
		return ok("gpio", "%v", err)
	}
	return ok("gpio", "%d pins: %s ... %s", len(names), names[0], names[len(names)-1])
}
