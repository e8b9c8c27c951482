package main

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

// TestSourceErrors gives every way in which a source can fail its exit code.
func TestSourceErrors(t *testing.T) {
	for err, want := range map[error]int{
		camera.ErrNotFound: 3, camera.ErrBusy: 3, camera.ErrNotPermitted: 3, camera.ErrLost: 3, camera.ErrFormat: 3, camera.ErrUnsupported: 3,
		os.ErrNotExist: 3, os.ErrPermission: 3, camera.ErrSyntax: 2, camera.ErrTooLarge: 1, os.ErrInvalid: 1,
	} {
		if got := exitCode(sourceError(fmt.Errorf("camera: 0: %w", err))); got != want {
			t.Errorf("%v: exit code %d, want %d", err, got, want)
		}
	}
}

// TestPipelineNames tries sources that OpenCV or FFmpeg would run as a pipeline
// or a protocol: they are names of files, and nothing is written.
func TestPipelineNames(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	for _, source := range []string{
		"videotestsrc ! filesink location=" + victim, "v4l2src device=/dev/video0 ! appsink", "libcamerasrc ! filesink location=" + victim + "?size=64x64",
		"concat:" + victim + "|" + victim, "exec:touch " + victim, "| touch " + victim, "$(touch " + victim + ")",
	} {
		r := execute(t, "detect", "-m", assets+"squares.onnx", "-s", source)
		if r.code != 3 || !strings.Contains(r.stderr, "not found") || r.stdout != "" {
			t.Errorf("%q: code %d, want 3; %s", source, r.code, r.stderr)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) > 0 {
		t.Errorf("a source wrote %v", files)
	}
	// One that exists is a picture as any other.
	model, err := filepath.Abs(assets + "squares.onnx")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	const name = "v4l2src ! x.jpg"
	if err := os.WriteFile(name, jpegBytes(t, 128, 96), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := execute(t, "detect", "-m", model, "-s", name, "--json"); r.code != 0 || !strings.Contains(r.stdout, `"source":"v4l2src ! x.jpg"`) {
		t.Errorf("%q: code %d: %s%s", name, r.code, r.stdout, r.stderr)
	}
}

// jpegBytes returns a black picture.
func jpegBytes(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, w, h)), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// multipart serves parts as Motion JPEG with a pause behind each, and then again
// from the first one; without parts it gives no answer.
func multipart(t *testing.T, pause time.Duration, parts ...[]byte) *httptest.Server {
	t.Helper()
	quit := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=b")
		for i := 0; len(parts) > 0; i++ {
			p := parts[i%len(parts)]
			if _, err := fmt.Fprintf(w, "--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", len(p), p); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			time.Sleep(pause)
		}
		select {
		case <-quit:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(quit) })
	return s
}

// TestBadStreams reads streams that change size, hold garbage, or stall, from an
// address with a password: nothing that is printed or written shows it.
func TestBadStreams(t *testing.T) {
	small, large, garbage := jpegBytes(t, 64, 48), jpegBytes(t, 128, 96), []byte(strings.Repeat("garbage ", 50))
	torn := large[:len(large)/2]
	address := func(s *httptest.Server) string {
		return strings.Replace(s.URL, "http://", "http://admin:hunter2@", 1) + "/video?token=hunter2"
	}
	type expect struct {
		code int
		want string // on standard error
	}
	for _, c := range []struct {
		name   string
		server *httptest.Server
		args   string
		sizes  [][2]int // of the frames, in the order in which they come first
		expect
	}{
		{"size changes", multipart(t, 20*time.Millisecond, small, large), "--frames 8", [][2]int{{64, 48}, {128, 96}}, expect{0, "8 frames"}},
		{"garbage between", multipart(t, 20*time.Millisecond, garbage, small, torn), "--frames 3", [][2]int{{64, 48}}, expect{0, "were damaged"}},
		{"no answer", multipart(t, 0), "--timeout 100ms", nil, expect{3, "give it longer by Options.Timeout, --timeout"}},
		{"only garbage", multipart(t, 20*time.Millisecond, garbage), "--timeout 100ms", nil, expect{3, "no picture could be read"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := t.TempDir()
			r := execute(t, append([]string{"detect", "-m", assets + "squares.onnx", "-s", address(c.server), "--json", "-o", out}, strings.Fields(c.args)...)...)
			if r.code != c.code || !strings.Contains(r.stderr, c.want) {
				t.Errorf("code %d, want %d; standard error should hold %q\n%s%s", r.code, c.code, c.want, r.stdout, r.stderr)
			}
			seen := map[[2]int]bool{}
			for _, l := range decodeLines[sdk.Record](t, r.stdout) {
				seen[[2]int{l.Width, l.Height}] = true
			}
			if len(seen) != len(c.sizes) {
				t.Errorf("frames of the sizes %v, want %v", seen, c.sizes)
			}
			for _, s := range c.sizes {
				if !seen[s] {
					t.Errorf("no frame of %v", s)
				}
			}
			names, err := filepath.Glob(filepath.Join(out, "*"))
			if err != nil || (len(names) > 0) != (len(c.sizes) > 0) {
				t.Errorf("pictures %v, %v", names, err)
			}
			for _, s := range append(names, r.stdout, r.stderr) {
				if strings.Contains(s, "hunter2") {
					t.Errorf("a password is shown: %s", s)
				}
			}
		})
	}
}

// TestSeldom reads a stream that gives a frame only now and then: it is used as
// it is where --frame-timeout allows it, and otherwise that flag is named.
func TestSeldom(t *testing.T) {
	s := multipart(t, 400*time.Millisecond, jpegBytes(t, 64, 48))
	line := []string{"detect", "-m", assets + "squares.onnx", "-s", s.URL, "--timeout", "100ms", "--frames", "2"}
	r := execute(t, append(line, "--frame-timeout", "1m")...)
	if r.code != 0 || strings.Count(r.stdout, "\n") != 2 || !strings.Contains(r.stderr, " 0 reconnections") {
		t.Errorf("with time: code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	if r := execute(t, line...); r.code != 0 || !strings.Contains(r.stderr, "no frame for 100ms; if it gives frames less often") || !strings.Contains(r.stderr, "--frame-timeout") {
		t.Errorf("without: code %d: %s%s", r.code, r.stdout, r.stderr)
	}
}
