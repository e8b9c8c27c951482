package camera

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// csi opens uri as Open does in a build without OpenCV.
func csi(t *testing.T, uri string, o Options) (Source, error) {
	t.Helper()
	target, err := parseTarget(uri)
	if err != nil {
		t.Fatal(err)
	}
	return openCSI(target, o)
}

func TestCSIRaw(t *testing.T) {
	dir := fake(t, "rpicam-vid", `cat "$DIR/frames"; sleep 100`)
	var frames []byte
	for i := range 2 { // luma, then all of Cb, then all of Cr
		frames = append(frames, bytes.Repeat([]byte{byte(50 + i)}, 64*4)...)
		frames = append(frames, bytes.Repeat([]byte{byte(60 + i)}, 32*2)...)
		frames = append(frames, bytes.Repeat([]byte{byte(70 + i)}, 32*2)...)
	}
	if err := os.WriteFile(filepath.Join(dir, "frames"), frames, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		option string
		format Format
		size   int
	}{{"", NV12, 64 * 6}, {"&format=nv12", NV12, 64 * 6}, {"&format=GRAY8", GRAY8, 64 * 4}} {
		src := opened(t)(csi(t, "csi:1?size=64x4&rate=12.5"+tc.option, Options{}))
		var f Frame
		for i := range 2 {
			if err := src.Read(context.Background(), &f); err != nil {
				t.Fatal(err)
			}
			want := bytes.Repeat([]byte{byte(50 + i)}, 64*4)
			if tc.format == NV12 {
				want = append(want, bytes.Repeat([]byte{byte(60 + i), byte(70 + i)}, 64)...)
			}
			if f.Format != tc.format || f.Index != i || f.Check() != nil || !bytes.Equal(f.Pix, want[:tc.size]) {
				t.Errorf("%s: frame %d: %+v", tc.option, i, f)
			}
		}
		if Backend(src) != "rpicam" {
			t.Errorf("backend %q", Backend(src))
		}
	}
	want := strings.Fields("--camera 1 --timeout 0 --nopreview --width 64 --height 4 --framerate 12.5 --codec yuv420 --flush --output -")
	if got := argsOf(t, dir); !slices.Equal(got[:len(want)], want) {
		t.Errorf("arguments %q", got)
	}
}

func TestCSIPictures(t *testing.T) {
	a, b := jpegs(t)
	dir := fake(t, "libcamera-vid", `cat "$DIR/frames"; sleep 100`) // the older name
	t.Setenv("PATH", dir+string(os.PathListSeparator)+"/usr/bin"+string(os.PathListSeparator)+"/bin")
	if err := os.WriteFile(filepath.Join(dir, "frames"), join(a, b), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{"csi:0?format=MJPEG", "csi:0?size=100x100"} {
		src := opened(t)(csi(t, uri, Options{}))
		var f Frame
		for i, w := range []int{3, 5} {
			if err := src.Read(context.Background(), &f); err != nil || f.Width != w || f.Index != i || f.Format != RGB24 {
				t.Errorf("%s: frame %d of %dx%d: %v", uri, f.Index, f.Width, f.Height, err)
			}
		}
	}
	if got := argsOf(t, dir); !slices.Contains(got, "mjpeg") || slices.Contains(got, "yuv420") {
		t.Errorf("arguments %q", got)
	}
}

func TestCSIErrors(t *testing.T) {
	for _, tc := range []struct {
		name, uri, script string
		want              error
		text              string
	}{
		{"none", "csi:0", `echo 'ERROR: *** no cameras available ***' >&2; exit 255`, ErrNotFound, "no cameras"},
		{"another", "csi:3", `echo 'ERROR: *** selected camera is not available ***' >&2; exit 255`, ErrNotFound, "--list-cameras"},
		{"busy", "csi:0", `echo 'ERROR: *** failed to acquire camera /base/soc ***' >&2; exit 255`, ErrBusy, "acquire"},
		{"forbidden", "csi:0", `echo 'Could not open any dma-buf provider: Permission denied' >&2; exit 1`, ErrNotPermitted, "Permission"},
		{"ends", "csi:0", `exit 0`, ErrLost, "rpicam-vid ended"},
		{"ends in a frame", "csi:0?size=64x4", `printf abc; echo bye >&2; exit 1`, ErrLost, "bye"},
		{"hangs", "csi:0", `sleep 100`, ErrLost, "500ms"},
		{"format", "csi:0?format=YUYV", `exit 0`, ErrUnsupported, "NV12"},
		{"padding", "csi:0?format=NV12&size=100x100", `exit 0`, ErrSyntax, "multiple of 64"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fake(t, "rpicam-vid", tc.script)
			o := Options{Timeout: 20 * time.Second}
			if tc.name == "hangs" {
				o.Timeout = 100 * time.Millisecond
			}
			src, err := csi(t, tc.uri, o)
			if src != nil || !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.text) {
				t.Errorf("%v, want %v naming %q", err, tc.want, tc.text)
			}
		})
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := csi(t, "csi:0", Options{}); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "rpicam-apps") {
		t.Error(err)
	}
}

// TestListCSI reads what rpicam-apps prints; the text is of its documentation.
func TestListCSI(t *testing.T) {
	const text = `Available cameras
-----------------
0 : imx219 [3280x2464 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx219@10)
    Modes: 'SRGGB10_CSI2P' : 640x480 [206.65 fps - (1000, 752)/1280x960 crop]
                             1640x1232 [41.85 fps - (0, 0)/3280x2464 crop]
           'SRGGB8' : 640x480 [206.65 fps - (1000, 752)/1280x960 crop]
                      3280x2464 [21.19 fps - (0, 0)/3280x2464 crop]

1 : imx477 [4056x3040 12-bit RGGB] (/base/soc/i2c0mux/i2c@0/imx477@1a)
    Modes: 'SRGGB10_CSI2P' : 1332x990 [120.05 fps - (696, 528)/2664x1980 crop]

2 : HD Webcam: HD Webcam [1280x720] (/base/scb/pcie@7d500000/pci@0,0/usb@0,0-1.3:1.0-5986:066d)
    Modes: 'MJPEG' : 1280x720 [30.00 fps - (0, 0)/0x0 crop]
`
	want := []Device{
		{Source: "csi:0", Name: "imx219", Backend: "rpicam", Bus: "/base/soc/i2c0mux/i2c@1/imx219@10", Modes: []Mode{
			{Format: "NV12", Width: 640, Height: 480, Rates: []float64{206.65}}, {Format: "NV12", Width: 1640, Height: 1232, Rates: []float64{41.85}},
			{Format: "NV12", Width: 3280, Height: 2464, Rates: []float64{21.19}}}},
		{Source: "csi:1", Name: "imx477", Backend: "rpicam", Bus: "/base/soc/i2c0mux/i2c@0/imx477@1a", Modes: []Mode{
			{Format: "NV12", Width: 1332, Height: 990, Rates: []float64{120.05}}}},
	}
	if d := cmp.Diff(want, parseCSI(text)); d != "" {
		t.Error(d)
	}
	fake(t, "rpicam-vid", `echo 'No cameras available!'; exit 1`)
	if devices, err := listCSI(); len(devices) != 0 || err != nil {
		t.Errorf("%v, %v", devices, err)
	}
	fake(t, "rpicam-vid", `echo 'Segmentation fault' >&2; exit 1`)
	if _, err := List(); err == nil || !strings.Contains(err.Error(), "--list-cameras") {
		t.Error(err)
	}
}
