package camera

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAVIRate takes the rate from the stream's header, or else from the file's.
func TestAVIRate(t *testing.T) {
	for _, tc := range []struct {
		interval, scale, ticks uint32
		want                   float64
	}{
		{0, 1, 25, 25}, {40_000, 1001, 30_000, 30_000.0 / 1001}, {40_000, 0, 0, 25}, {40_000, 0, 30, 25}, {40_000, 1, 5000, 25}, {500_000, 1, 0, 2},
		{0, 3600, 1, 0}, {0, 0, 0, 0}, {1, 0, 0, 0},
	} {
		h := header("MJPG", 0)
		binary.LittleEndian.PutUint32(h[bytes.Index(h, []byte("avih"))+8:], tc.interval)
		at := bytes.Index(h, []byte("vids"))
		binary.LittleEndian.PutUint32(h[at+20:], tc.scale)
		binary.LittleEndian.PutUint32(h[at+24:], tc.ticks)
		data := list("AVI ", h, list("movi"))
		src, err := newAVI(bytes.NewReader(data), int64(len(data)), "x")
		if err != nil {
			t.Fatal(err)
		}
		if got := src.Rate(); got != tc.want {
			t.Errorf("interval %d, %d/%d: rate %v, want %v", tc.interval, tc.ticks, tc.scale, got, tc.want)
		}
	}
}

// TestAVIWriterRate writes rates and reads them back.
func TestAVIWriterRate(t *testing.T) {
	for _, tc := range []struct {
		first, then float64 // 0 where it is not changed
		end         bool
		want        float64
	}{{25, 0, true, 25}, {29.97, 0, true, 29.97}, {30, 12.345, true, 12.345}, {12.5, 30, true, 30}, {30, 12.5, false, 30}, {1.0 / 600, 0, true, 0.002}} {
		path := filepath.Join(t.TempDir(), "a.avi")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		a, err := NewAVIWriter(f, 16, 8, tc.first)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Write(still(16, 8, 0)); err != nil {
			t.Fatal(err)
		}
		if tc.then != 0 {
			if err := a.SetRate(tc.then); err != nil {
				t.Error(err)
			}
			for _, bad := range []float64{0, -1, 1001} {
				if err := a.SetRate(bad); err == nil {
					t.Errorf("takes %v frames a second", bad)
				}
			}
		}
		if tc.end {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}
		shut(t, f)
		if got := open(t, path).(Rated).Rate(); got != tc.want {
			t.Errorf("%v then %v: %v, want %v", tc.first, tc.then, got, tc.want)
		}
	}
}

func TestRates(t *testing.T) {
	for _, tc := range []struct {
		uri  string
		want float64
	}{{"test:", 0}, {"test:?rate=12.5", 12.5}, {golden + "/clip.avi", 10}} {
		if got := open(t, tc.uri).(Rated).Rate(); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.uri, got, tc.want)
		}
	}
}

// TestProbeRate asks a fake ffprobe.
func TestProbeRate(t *testing.T) {
	for _, tc := range []struct {
		script string
		want   float64
	}{
		{"echo 30000/1001", 30000.0 / 1001}, {"echo 25/1; echo 9/1", 25}, {"echo 0/0", 0}, {"echo N/A", 0}, {"true", 0}, {"echo 25/1; exit 1", 0}, {"sleep 100", 0},
	} {
		dir := fake(t, "ffprobe", tc.script)
		timeout := time.Minute
		if strings.HasPrefix(tc.script, "sleep") {
			timeout = 200 * time.Millisecond
		}
		if got := probeRate("-i $(x).mp4", timeout); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.script, got, tc.want)
		}
		if args := argsOf(t, dir); args[len(args)-1] != "file:-i $(x).mp4" {
			t.Errorf("arguments %q", args)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if got := probeRate("x.mp4", time.Minute); got != 0 {
		t.Errorf("%v without ffprobe", got)
	}
}

// TestRateOfVideos has videos that FFmpeg decodes, by itself or in OpenCV.
func TestRateOfVideos(t *testing.T) {
	needFFmpeg(t)
	for _, tc := range []struct {
		rate string
		want float64
	}{{"25", 25}, {"30000/1001", 30000.0 / 1001}, {"5", 5}} {
		path := video(t, "a.mp4", "-c:v", "mpeg4", "-r", tc.rate)
		if got := open(t, path).(Rated).Rate(); max(got-tc.want, tc.want-got) > 0.001 {
			t.Errorf("%s: %v, want %v", tc.rate, got, tc.want)
		}
	}
}

func TestIsLive(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"0", "a.jpg", "x"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for uri, want := range map[string]bool{
		"1": true, "1?size=640x480": true, "/dev/video0": true, "/dev/v4l/by-id/usb-x?rate=5": true, "v4l2:0": true, "csi:0": true, "rtsp://host/1": true,
		"http://host/x.mjpg?a=b": true, "HTTPS://host/": true,
		"0": false, "a.jpg": false, ".": false, dir: false, "*.jpg": false, "missing.mp4": false, "": false, "test:": false, "test:?rate=5": false,
		"ftp://host/x": false, "csi:x": false, "1?size=x": false, "v4l2src ! appsink": false,
	} {
		if got := IsLive(uri); got != want {
			t.Errorf("%q: %v", uri, got)
		}
	}
}

// TestFrameEveryHour reads a source that gives a picture an hour.
func TestFrameEveryHour(t *testing.T) {
	a, b := jpegs(t)
	synctest.Test(t, func(t *testing.T) {
		hours := func() (Source, error) {
			at := 0
			o := Options{FrameTimeout: 90 * time.Minute}
			return newFeed(target{name: "slow"}, "http", o.frame(), func(f *Frame) error {
				time.Sleep(time.Hour)
				f.Format, f.Pix, f.Time = mjpeg, append(f.Pix[:0], [][]byte{a, b}[at%2]...), time.Now()
				at++
				return nil
			}, func() {}), nil
		}
		o := Options{FrameTimeout: 90 * time.Minute}
		l := NewLive(hours, o.live(LiveConfig{}))
		var f Frame
		for i, w := range []int{3, 5, 3, 5} {
			if err := l.Read(context.Background(), &f); err != nil || f.Width != w || f.Index != i {
				t.Errorf("frame %d, %d wide, of %v: %v", f.Index, f.Width, i, err)
			}
		}
		if s := l.Stats(); s.Reconnects != 0 || s.LastError != nil {
			t.Errorf("%+v", s)
		}
		shut(t, l)
		time.Sleep(time.Hour) // the source comes back once more
	})
}

// TestSlowSourceSaysWhatToSet has a stream whose second picture takes longer
// than is allowed, and one that is allowed to.
func TestSlowSourceSaysWhatToSet(t *testing.T) {
	t.Parallel()
	a, _ := jpegs(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=x")
		for range 2 {
			w.Write(join("--x\r\n\r\n", a, "\r\n")) //nolint:errcheck // the reader may have gone
			w.(http.Flusher).Flush()
			select {
			case <-time.After(1500 * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
	}))
	defer s.Close()
	defer s.CloseClientConnections()
	for _, tc := range []struct {
		o      Options
		frames int
	}{{Options{Timeout: time.Minute, FrameTimeout: time.Second}, 1}, {Options{Timeout: time.Second, FrameTimeout: time.Minute}, 2}} {
		src := opened(t)(tc.o.Open(s.URL))
		n := 0
		var err error
		for ; ; n++ {
			if err = src.Read(context.Background(), new(Frame)); err != nil {
				break
			}
		}
		if n != tc.frames || !errors.Is(err, ErrLost) || strings.Contains(err.Error(), "--frame-timeout") != (n == 1) {
			t.Errorf("%d frames, then %v", n, err)
		}
	}
}
