//go:build gocv

package camera

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"gocv.io/x/gocv"
)

// within fails the test where f takes so long that something hangs.
func within(t *testing.T, limit time.Duration, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("hangs for more than %v", limit)
	}
}

// compareBGR compares f with a picture that another OpenCV gave for the frame.
// FFmpeg's conversion to BGR is not the same in all its versions.
func compareBGR(t *testing.T, f *Frame, name string) {
	t.Helper()
	file, err := os.Open(filepath.Join(golden, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	want, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if f.Format != BGR24 || f.Width != want.Bounds().Dx() || f.Height != want.Bounds().Dy() || f.Check() != nil {
		t.Fatalf("%s frame of %dx%d, want bgr24 of %v", f.Format, f.Width, f.Height, want.Bounds())
	}
	worst, sum := 0, 0
	for y := range f.Height {
		for x := range f.Width {
			r, g, b, _ := want.At(x, y).RGBA()
			for c, v := range [3]uint32{b, g, r} {
				d := int(f.Pix[y*f.Stride+3*x+c]) - int(v>>8)
				d = max(d, -d)
				worst, sum = max(worst, d), sum+d
			}
		}
	}
	if mean := float64(sum) / float64(3*f.Width*f.Height); worst > 40 || mean > 2 {
		t.Errorf("%s: pixels differ by up to %d, on average by %.2f", name, worst, mean)
	}
}

func TestOpenCVVersion(t *testing.T) {
	if v := OpenCV(); !strings.HasPrefix(v, "4.") || !strings.Contains(v, "ffmpeg") {
		t.Errorf("%q, want a version 4 with FFmpeg", v)
	}
}

func TestOpenCVVideo(t *testing.T) {
	path := filepath.Join(golden, "moving.mp4")
	src, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if b, n := Backend(src), src.(Sized).Len(); b != "opencv/ffmpeg" || n != 12 {
		t.Errorf("backend %q, %d frames promised", b, n)
	}
	var f Frame
	for i := range 12 {
		if err := src.Read(t.Context(), &f); err != nil || f.Index != i || f.Source != path || f.Time.IsZero() {
			t.Fatalf("frame %d: index %d of %q at %v, %v", i, f.Index, f.Source, f.Time, err)
		}
		if i == 0 {
			compareBGR(t, &f, "moving.first.png")
		}
	}
	compareBGR(t, &f, "moving.last.png")
	for range 2 {
		if err := src.Read(t.Context(), &f); !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v", err)
		}
	}
	for range 2 {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := src.Read(t.Context(), &f); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestOpenCVReadAllocatesNothing(t *testing.T) {
	src, err := Open(filepath.Join(golden, "moving.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var f Frame
	if n := testing.AllocsPerRun(8, func() {
		if err := src.Read(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// TestOpenCVNames opens files whose names FFmpeg or GStreamer would take for
// more than a name.
func TestOpenCVNames(t *testing.T) {
	video, err := os.ReadFile(filepath.Join(golden, "moving.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"videotestsrc num-buffers=3 ! filesink location=made ! appsink", "concat:a.mp4|b.mp4", "subfile,,start,0,end,9,,:x.mp4", "pipe:0", "-i", "12", "a b%20?c=d#e.mp4",
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if src, err := Open(name); err == nil {
				src.Close()
				if name != "12" {
					t.Error("opens though there is no such file")
				}
			}
			if err := os.WriteFile(name, video, 0o600); err != nil {
				t.Fatal(err)
			}
			src, err := Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			if got, err := all(t, src); len(got) != 12 || !errors.Is(err, io.EOF) {
				t.Errorf("%d frames, %v", len(got), err)
			}
			if entries, err := os.ReadDir("."); err != nil || len(entries) != 1 {
				t.Errorf("the folder holds %v, %v", entries, err)
			}
		})
	}
}

func TestOpenCVBadVideo(t *testing.T) {
	video, err := os.ReadFile(filepath.Join(golden, "moving.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"noise.mp4": []byte(strings.Repeat("no video at all ", 999)), "cut.mp4": video[:len(video)/2], "short.mkv": {1}, "empty.avi": append([]byte("RIFF\x04\x00\x00\x00AVI "), make([]byte, 99)...),
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if src, err := Open(path); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, %v", name, src, err)
		}
	}
}

func TestOpenCVDeviceMissing(t *testing.T) {
	if _, err := os.Stat("/dev/video250"); err == nil {
		t.Skip("this machine has a /dev/video250")
	}
	if src, err := Open("/dev/video250?size=640x480&rate=30&format=MJPEG"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v, %v", src, err)
	}
}

func TestOpenCVStream(t *testing.T) {
	refused := ErrNotPermitted // as the program ffmpeg says
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		refused = ErrNotFound
	}
	secret := base64.StdEncoding.EncodeToString([]byte("user:tiger"))
	for _, tc := range []struct {
		name   string
		server rtspServer
		user   string
		want   error // from Open
		frames int   // at least
	}{
		{"stalls", rtspServer{frames: 150}, "", nil, 20},
		{"closes", rtspServer{frames: 150, closes: true}, "", nil, 20},
		{"password", rtspServer{frames: 150, user: secret}, "user:tiger@", nil, 20},
		{"wrong password", rtspServer{frames: 150, user: secret}, "user:lion@", refused, 0},
		{"answers once", rtspServer{silent: true}, "user:tiger@", ErrLost, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			addr := tc.server.serve(t)
			within(t, 25*time.Second, func() {
				src, err := Options{Timeout: time.Second}.Open("rtsp://" + tc.user + addr + "/stream")
				if !errors.Is(err, tc.want) {
					t.Errorf("open: %v", err)
				}
				if err != nil {
					if s := err.Error(); strings.Contains(s, "tiger") || strings.Contains(s, "lion") || !strings.Contains(s, addr) {
						t.Errorf("error %q", s)
					}
					return
				}
				defer src.Close()
				if b := Backend(src); b != "opencv/ffmpeg" {
					t.Errorf("backend %q", b)
				}
				checkStream(t, src, tc.frames)
			})
		})
	}
}

// TestOpenCVSlowStream leaves a stream that may take its time to the program
// ffmpeg, because OpenCV opens one at a time.
func TestOpenCVSlowStream(t *testing.T) {
	fake(t, "ffmpeg", "sleep 100")
	slow := target{kind: streamTarget, name: "slow", uri: "rtsp://127.0.0.1:9/x"}
	if src, ok, err := openCV(slow, Options{Timeout: time.Second, FrameTimeout: time.Hour}); src != nil || ok || err != nil {
		t.Errorf("%v, %v, %v", src, ok, err)
	}
	if _, ok, err := openCV(slow, Options{Timeout: time.Second, FrameTimeout: 4 * time.Second}); !ok || err == nil {
		t.Errorf("%v, %v", ok, err)
	}
}

// checkStream reads at least n frames of one gray each, and then the loss.
func checkStream(t *testing.T, src Source, n int) {
	var f Frame
	got := 0
	for {
		err := src.Read(context.Background(), &f)
		if err != nil {
			if !errors.Is(err, ErrLost) || strings.Contains(err.Error(), "tiger") {
				t.Errorf("after %d frames: %v", got, err)
			}
			break
		}
		got++
		v := int(f.Pix[0])
		if f.Width != 64 || f.Height != 48 || f.Format != BGR24 || v < 36 || v%10 > 4 && v%10 < 6 || strings.Contains(f.Source, "tiger") {
			t.Errorf("frame %d of %q is %dx%d, starts with %d", f.Index, f.Source, f.Width, f.Height, v)
		}
	}
	if got < n {
		t.Errorf("%d frames, want %d at least", got, n)
	}
}

// TestOpenCVStalled is the server that accepts and never answers.
func TestOpenCVStalled(t *testing.T) {
	t.Parallel()
	addr := listen(t, func(_ net.Conn, done <-chan struct{}) { <-done })
	for _, uri := range []string{"rtsp://user:tiger@" + addr + "/s", "rtsps://user:tiger@" + addr + "/s", "http://user:tiger@" + addr + "/s"} {
		within(t, 15*time.Second, func() {
			start := time.Now()
			src, ok, err := openCV(target{kind: streamTarget, name: redact(uri), uri: uri}, Options{})
			if src != nil || !ok || !errors.Is(err, ErrLost) || strings.Contains(err.Error(), "tiger") {
				t.Errorf("%s: %v, %v, %v", uri, src, ok, err)
			}
			t.Logf("%s: %v after %v", redact(uri), err, time.Since(start).Round(10*time.Millisecond))
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shut(t, l)
	if src, err := Open(fmt.Sprintf("rtsp://user:tiger@%s/s", l.Addr())); !errors.Is(err, ErrNotFound) || strings.Contains(err.Error(), "tiger") {
		t.Errorf("nothing listens: %v, %v", src, err)
	}
}

// TestOpenCVFeed is a Motion JPEG stream that stalls, read by FFmpeg, and read
// by one goroutine while another closes it.
func TestOpenCVFeed(t *testing.T) {
	t.Parallel()
	addr := listen(t, func(conn net.Conn, done <-chan struct{}) {
		fmt.Fprint(conn, "HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n")
		for i := range 40 {
			var b bytes.Buffer
			if err := jpeg.Encode(&b, flat(i), nil); err != nil {
				panic(err)
			}
			fmt.Fprintf(conn, "--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", b.Len(), b.Bytes())
		}
		<-done
	})
	open := func(timeout time.Duration) Source {
		src, ok, err := openCV(target{kind: streamTarget, name: "feed", uri: "http://" + addr}, Options{Timeout: timeout})
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		return src
	}
	src := open(time.Second)
	within(t, 15*time.Second, func() { checkStream(t, src, 20) })
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	src = open(5 * time.Second)
	within(t, 4*time.Second, func() { // Read ends with its context although OpenCV waits
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		var f Frame
		for ctx.Err() == nil {
			if err := src.Read(ctx, &f); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("read: %v", err)
			}
		}
	})
	within(t, 15*time.Second, func() { src.Close() })
	if err := src.Read(context.Background(), new(Frame)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestCSIPipeline(t *testing.T) {
	const end = " ! videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"
	for _, tc := range []struct {
		uri    string
		jetson bool
		want   string // "" if there is none
	}{
		{"csi:0", false, "libcamerasrc ! video/x-raw,format=NV12" + end},
		{"csi:0?size=1280x720&rate=30", false, "libcamerasrc ! video/x-raw,format=NV12,width=1280,height=720,framerate=30000/1000" + end},
		{"csi:1", false, ""},
		{"csi:0?format=MJPEG", false, ""},
		{"csi:1?size=1920x1080&rate=29.97", true,
			"nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),format=NV12,width=1920,height=1080,framerate=29970/1000 ! nvvidconv ! video/x-raw,format=BGRx" + end},
	} {
		target, err := parseTarget(tc.uri)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := csiPipeline(target, tc.jetson); got != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: %v %q", tc.uri, ok, got)
		}
	}
	tree := filepath.Join(t.TempDir(), "compatible")
	for text, want := range map[string]bool{"nvidia,p3768-0000+p3767-0005\x00nvidia,tegra234\x00": true, "raspberrypi,5-model-b\x00brcm,bcm2712\x00": false} {
		if err := os.WriteFile(tree, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := isJetson(tree); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if isJetson(tree + "x") {
		t.Error("a machine without a device tree is no Jetson")
	}
}

// needTestSource skips the test where GStreamer has no test picture.
func needTestSource(t *testing.T) {
	t.Helper()
	if !has(gocv.VideoCaptureGstreamer) || !havePlugins("videotestsrc", "videoconvert*", "app") {
		t.Skip("OpenCV without GStreamer, or GStreamer without gstreamer1.0-plugins-base")
	}
}

// TestCSIWithoutPlugin leaves the camera to rpicam-vid where GStreamer does
// not have libcamerasrc.
func TestCSIWithoutPlugin(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GST_PLUGIN_PATH", t.TempDir()+string(filepath.ListSeparator)+dir)
	if havePlugins("edgecam-one") {
		t.Error("a plugin that does not exist is found")
	}
	if err := os.WriteFile(filepath.Join(dir, "libgstedgecam-one.so"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !havePlugins("edgecam*") || havePlugins("edgecam-one", "edgecam-two") {
		t.Error("of two plugins one exists, which is not what is found")
	}
	if havePlugins("libcamera") {
		t.Skip("this GStreamer has libcamerasrc")
	}
	if src, ok, err := openCV(target{kind: csiTarget, name: "csi:0"}, Options{}); ok || err != nil {
		t.Errorf("%v, %v, %v", src, ok, err)
	}
}

// TestCSITemplate runs the template with a test picture in place of the camera.
func TestCSITemplate(t *testing.T) {
	needTestSource(t)
	camera := target{kind: csiTarget, name: "csi:0", width: 320, height: 240, rate: 30}
	text, _ := csiPipeline(camera, false)
	src, ok, err := openPipeline(camera, Options{}, strings.Replace(text, "libcamerasrc", "videotestsrc num-buffers=5", 1))
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	defer src.Close()
	var f Frame
	within(t, 20*time.Second, func() {
		if err := src.Read(context.Background(), &f); err != nil || f.Width != 320 || f.Height != 240 || f.Format != BGR24 {
			t.Errorf("%s frame of %dx%d, %v", f.Format, f.Width, f.Height, err)
		}
		var err error
		for err == nil {
			err = src.Read(context.Background(), &f)
		}
		if !errors.Is(err, ErrLost) || Backend(src) != "opencv/gstreamer" {
			t.Errorf("%s: %v", Backend(src), err)
		}
	})
}

// TestCSIStalled is a camera that starts late, and one whose frames come late.
func TestCSIStalled(t *testing.T) {
	needTestSource(t)
	before := goleak.IgnoreCurrent()
	camera := target{kind: csiTarget, name: "csi:0"}
	text, _ := csiPipeline(camera, false)
	slow := strings.Replace(text, "libcamerasrc", "videotestsrc num-buffers=4 ! identity sleep-time=1500000", 1)
	for timeout, read := range map[time.Duration]bool{100 * time.Millisecond: false, 1200 * time.Millisecond: true} {
		within(t, 20*time.Second, func() {
			src, ok, err := openPipeline(camera, Options{Timeout: timeout}, slow)
			if !ok || read != (err == nil) {
				t.Errorf("timeout %v: opening gives %v, %v", timeout, ok, err)
			}
			for err == nil {
				err = src.Read(context.Background(), new(Frame))
			}
			if src != nil {
				src.Close()
			}
			if !errors.Is(err, ErrLost) {
				t.Errorf("timeout %v: %v", timeout, err)
			}
		})
	}
	within(t, time.Minute, func() { // the camera that nobody waited for is closed once it has started
		for goleak.Find(before) != nil {
			time.Sleep(50 * time.Millisecond)
		}
	})
}
