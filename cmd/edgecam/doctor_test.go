package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/edgecam/edgecam/camera"
)

// files makes a file system of contents by path.
func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1] + "\n")}
	}
	return m
}

// fake is a machine without anything, for a user in group 1000.
func fake(root fs.FS) *machine {
	return &machine{root: root, getenv: func(string) string { return "" }, look: func(string) (string, error) { return "", exec.ErrNotFound },
		list: func() ([]camera.Device, error) { return nil, nil }, names: func() ([]string, error) { return nil, errors.New("none") },
		groups: []int{1000}, procs: 4}
}

func TestMachine(t *testing.T) {
	const zone, cpu = "sys/class/thermal/thermal_zone0/", "sys/devices/system/cpu/cpu0/"
	user := func(m *machine) *machine {
		m.getenv = func(name string) string { return map[string]string{"USER": "pi", "EDGECAM_KERNELS": "ref"}[name] }
		return m
	}
	limited := func(quota float64) *machine {
		m := fake(files())
		if m.quota = quota; quota < 1 {
			m.procs = 2
		}
		return m
	}
	gocv := func(version string) *machine {
		m := fake(files())
		m.openCV = version
		return m
	}
	connected := func(devices ...camera.Device) *machine {
		m := fake(files())
		m.list = func() ([]camera.Device, error) { return devices, nil }
		return m
	}
	refused := connected(camera.Device{Source: "/dev/video0", Err: camera.ErrNotPermitted})
	busy := connected(camera.Device{Source: "/dev/video0", Err: camera.ErrBusy}, camera.Device{Source: "/dev/video2"})
	for _, c := range []struct {
		name   string
		got    check
		status string
		want   string // in the text
		fix    string
	}{
		{"Pi's model", fake(files("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\x00", "proc/cpuinfo", "Features\t: fp asimd asimddp")).processors(),
			"ok", "Raspberry Pi 5 Model B Rev 1.0; asimd asimddp; 4 processors", ""},
		{"PC's model", fake(files("proc/cpuinfo", "model name\t: Intel N100\nflags\t\t: fpu avx2 avx_vnni fma")).processors(), "ok", "Intel N100; avx2 avx_vnni fma;", ""},
		{"quota", limited(3.5).processors(), "ok", "a CPU quota of 3.5", ""},
		{"more threads than quota", limited(2).processors(), "warn", "quota of 2:", "GOMAXPROCS"},
		{"part of a processor", limited(0.5).processors(), "warn", "quota of 0.5", "rate"},
		{"memory", fake(files("proc/meminfo", "MemTotal:  4000000 kB\nMemAvailable: 2048000 kB")).memory(), "ok", "2000 of 3906 MiB", ""},
		{"little memory", fake(files("proc/meminfo", "MemTotal:  400000 kB\nMemAvailable: 102400 kB")).memory(), "warn", "100 of", "smaller model"},
		{"cool", fake(files(zone+"temp", "48312", zone+"type", "cpu-thermal")).heat(), "ok", "48 °C (cpu-thermal)", ""},
		{"hot", fake(files(zone+"temp", "79000", zone+"type", "cpu-thermal")).heat(), "warn", "79 °C", "fan"},
		{"hot by its own trip point", fake(files(zone+"temp", "69000", zone+"type", "soc", zone+"trip_point_0_type", "passive", zone+"trip_point_0_temp", "70000")).heat(), "warn", "70 °C", "fan"},
		{"no sensor", fake(files()).heat(), "ok", "no sensor", ""},
		{"low voltage", fake(files("sys/devices/platform/soc/soc:firmware/get_throttled", "0x50005")).throttling(), "warn",
			"the clock is throttled; the clock was throttled; the supply voltage is too low; the supply voltage was too low", "supply"},
		{"capped clock", fake(files(cpu+"cpufreq/scaling_max_freq", "1000000", cpu+"cpufreq/cpuinfo_max_freq", "2400000")).throttling(), "warn", "1000 of 2400 MHz", "governor"},
		{"full clock", fake(files(cpu+"cpufreq/scaling_max_freq", "2400000", cpu+"cpufreq/cpuinfo_max_freq", "2400000",
			"sys/devices/platform/soc/soc:firmware/get_throttled", "0")).throttling(), "ok", "none", ""},
		{"in the group", fake(files("etc/group", "video:x:1000:")).group("video", "dev/video*", "cameras"), "ok", "you are in it", ""},
		{"not in the group", fake(files("etc/group", "video:x:44:alice", "dev/video0", "")).group("video", "dev/video*", "cameras"), "warn", "may be refused", "usermod -aG video"},
		{"not in the group, no device", fake(files("etc/group", "video:x:44:alice")).group("video", "dev/video*", "cameras"), "ok", "no /dev/video*", ""},
		{"added since login", user(fake(files("etc/group", "gpio:x:44:alice,pi", "dev/gpiochip0", ""))).group("gpio", "dev/gpiochip*", "GPIO"), "warn", "not in this session", "log out"},
		{"no program", fake(files()).program("ffmpeg", "RTSP", "apt-get"), "warn", "not found", "apt-get"},
		{"no ffmpeg with OpenCV", gocv("4.6.0: ffmpeg, v4l2").program("ffmpeg", "RTSP", "apt-get"), "ok", "OpenCV's FFmpeg", ""},
		{"no rpicam-vid on a PC", fake(files()).program("rpicam-vid", "CSI", "apt-get"), "ok", "no Raspberry Pi", ""},
		{"no rpicam-vid on a Pi", fake(files("proc/device-tree/model", "Raspberry Pi 5")).program("rpicam-vid", "CSI", "apt-get"), "warn", "not found", "apt-get"},
		{"no camera", fake(files()).cameras(), "warn", "none found", "plug"},
		{"without OpenCV", fake(files()).edition(), "ok", "without OpenCV", ""},
		{"OpenCV not there", fake(files()).opencv(), "ok", "not in this build", ""},
		{"GoCV edition", gocv("4.6.0: ffmpeg, gstreamer, v4l2").edition(), "ok", "GoCV edition", ""},
		{"OpenCV", gocv("4.6.0: ffmpeg, gstreamer, v4l2").opencv(), "ok", "4.6.0, reads by ffmpeg, gstreamer, v4l2", ""},
		{"OpenCV without FFmpeg", gocv("4.10.0: gstreamer, v4l2").opencv(), "warn", "4.10.0, built without ffmpeg", "libopencv-dev"},
		{"OpenCV without anything", gocv("4.10.0: ").opencv(), "warn", "without ffmpeg, gstreamer, v4l2", "libopencv-dev"},
		{"refused camera", refused.cameras(), "warn", "/dev/video0: source not permitted", "usermod -aG video"},
		{"busy camera", busy.cameras(), "warn", "/dev/video0: source busy; /dev/video2", "fuser"},
		{"forced rung", user(fake(files())).kernels(), "warn", "forced", "unset"},
	} {
		if c.got.Status != c.status || !strings.Contains(c.got.Text, c.want) || !strings.Contains(c.got.Fix, c.fix) || (c.fix == "") != (c.got.Fix == "") {
			t.Errorf("%s: %+v, want %s with %q and the fix %q", c.name, c.got, c.status, c.want, c.fix)
		}
	}
}

func TestDoctor(t *testing.T) {
	r := execute(t, "doctor", "--json", "-m", assets+"tensors.onnx")
	if r.code != 4 || !strings.Contains(r.stderr, "shape") {
		// The sizes inside this model depend on the contents of an input.
		t.Errorf("a model that cannot be run by itself: code %d, %s", r.code, r.stderr)
	}
	r = execute(t, "doctor", "--json", "-m", assets+"squares.onnx")
	checks := decodeLines[check](t, r.stdout)
	if r.code != 0 || r.stderr != "" || len(checks) < 6 {
		t.Fatalf("code %d, %d checks: %s", r.code, len(checks), r.stderr)
	}
	seen := map[string]string{}
	for _, c := range checks {
		if c.Schema != "edgecam.doctor/1" || c.Text == "" || (c.Status == "ok") != (c.Fix == "") || seen[c.Check] != "" {
			t.Errorf("%+v: every line has a text, what is not ok has a fix, and there is one of each", c)
		}
		seen[c.Check] = c.Status
	}
	if seen["model"] != "ok" || seen["kernels"] != "ok" || seen["edition"] != "ok" || runtime.GOOS == "linux" && seen["processor"] == "" {
		t.Errorf("checks %v", seen)
	}
	if r := execute(t, "doctor"); r.code != 0 || strings.Contains(r.stdout, "model ") || !strings.Contains(r.stdout, "kernels") {
		t.Errorf("code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	r = execute(t, "doctor", "--json", "-m", assets+"unsupported.onnx")
	if r.code != 4 || !strings.Contains(r.stdout, `"status":"fail"`) || !strings.Contains(r.stdout, "Defenestrate") {
		t.Errorf("code %d: %s", r.code, r.stdout)
	}
}

func TestCameras(t *testing.T) {
	devices := []camera.Device{
		{Source: "/dev/v4l/by-id/usb-cam-index0", Name: "USB cam", Backend: "v4l2", Path: "/dev/video2", ByID: "/dev/v4l/by-id/usb-cam-index0", Bus: "usb-1.2",
			Modes: []camera.Mode{{Format: "YUYV", Width: 640, Height: 480, Rates: []float64{30, 15}}, {Format: "YUYV", Width: 1280, Height: 720, Rates: []float64{7.5}},
				{Format: "NV12", Width: 1920, Height: 1080, Step: [2]int{2, 2}, Min: [2]int{32, 32}}},
			Controls: []camera.Control{{Name: "brightness", Min: -64, Max: 64, Step: 1, Value: 3}, {Name: "state", ReadOnly: true}}},
		{Source: "/dev/video4", Name: "other", Backend: "v4l2", Path: "/dev/video4", Err: camera.ErrBusy},
	}
	listing := func(args ...string) result {
		var out, notes strings.Builder
		c := newCameras(output{&out, &notes}, func() ([]camera.Device, error) { return devices, nil })
		c.SetArgs(append([]string{}, args...)) // nil would mean those of the test binary
		if err := c.Execute(); err != nil {
			t.Fatal(err)
		}
		return result{0, out.String(), notes.String()}
	}
	const want = `/dev/v4l/by-id/usb-cam-index0  USB cam (v4l2, /dev/video2, usb-1.2)
  YUYV   640x480 at 30/15, 1280x720 at 7.5
  NV12   32x32 to 1920x1080 in steps of 2x2
  control. brightness=3 (-64 to 64)
/dev/video4  other (v4l2)
  source busy
`
	if r := listing(); r.stdout != want || r.stderr != "" {
		t.Errorf("got\n%s%s, want\n%s", r.stdout, r.stderr, want)
	}
	lines := decodeLines[map[string]any](t, listing("--json").stdout)
	if len(lines) != 2 || lines[0]["schema"] != "edgecam.camera/1" || lines[0]["source"] != devices[0].Source || lines[0]["by_id"] != devices[0].ByID || lines[1]["error"] != "source busy" ||
		fmt.Sprint(lines[0]["modes"]) != "[map[format:YUYV height:480 rates:[30 15] width:640] map[format:YUYV height:720 rates:[7.5] width:1280] "+
			"map[format:NV12 height:1080 min:[32 32] rates:[] step:[2 2] width:1920]]" {
		t.Errorf("JSON %v", lines)
	}
	devices = nil
	if r := listing(); r.stdout != "" || !strings.Contains(r.stderr, "no camera found") {
		t.Errorf("no camera: %q, %q", r.stdout, r.stderr)
	}
}
