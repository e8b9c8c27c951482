package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgecam/edgecam/camera"
)

// script plays frames of one pixel, numbered, and errors.
type script struct {
	steps  []error // nil: a frame
	at     int
	closed bool
}

func (s *script) Read(ctx context.Context, f *camera.Frame) error {
	if s.at == len(s.steps) {
		return io.EOF
	}
	s.at++
	if err := s.steps[s.at-1]; err != nil {
		return err
	}
	f.SetImage(&image.Gray{Pix: []byte{byte(s.at)}, Stride: 1, Rect: image.Rect(0, 0, 1, 1)})
	f.Index = s.at - 1
	return nil
}

func (s *script) Close() error { s.closed = true; return nil }

// TestReadAhead gives frames in order and unmixed, errors in their places, and
// the last one for good.
func TestReadAhead(t *testing.T) {
	bad := &camera.FrameError{Err: camera.ErrFormat}
	lost := errors.New("unplugged")
	src := &script{steps: []error{nil, nil, bad, nil, nil, nil, lost, nil}}
	a := readAhead(src)
	var got []string
	var f camera.Frame
	for range 9 {
		switch err := a.Read(t.Context(), &f); {
		case err != nil:
			got = append(got, err.Error())
		default:
			got = append(got, fmt.Sprint(f.Index, f.Pix[0]))
		}
	}
	want := []string{"0 1", "1 2", bad.Error(), "3 4", "4 5", "5 6", "unplugged", "unplugged", "unplugged"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := a.Close(); err != nil || !src.closed {
		t.Errorf("closed %v, %v", src.closed, err)
	}
	// Closing does not wait for a reader, and a Read ends with its context.
	a = readAhead(&script{steps: make([]error, 1000)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Read(ctx, &f); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled Read: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := a.Read(t.Context(), &f); err == nil {
		t.Error("Read after Close gives a frame")
	}
}

// TestDetectLive reads a stream that breaks off once, and detects in frames of
// both connections.
func TestDetectLive(t *testing.T) {
	picture := jpegFile(t, assets+"squares.png")
	connections := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections++
		w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=b")
		for range 3 + 1000*(connections-1) {
			if _, err := fmt.Fprintf(w, "--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", len(picture), picture); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	}))
	defer server.Close()
	out := filepath.Join(t.TempDir(), "out.avi")
	r := execute(t, "detect", "-m", assets+"squares.onnx", "-s", server.URL+"/v", "--frames", "12", "-o", out)
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	if r.code != 0 || len(lines) != 12 || !strings.Contains(lines[11], "person 0.9") || !strings.Contains(lines[11], "#") {
		t.Fatalf("code %d, %d lines: %s%s", r.code, len(lines), r.stdout, r.stderr)
	}
	for _, word := range []string{"the source is back", "were dropped", "1 reconnections", "ms old"} {
		if !strings.Contains(r.stderr, word) {
			t.Errorf("standard error does not say %q: %s", word, r.stderr)
		}
	}
	if n := frames(t, out, 128, 96); n != 12 {
		t.Errorf("the video has %d frames, want 12", n)
	}
	server.CloseClientConnections()
}

// jpegFile returns a PNG picture as JPEG.
func jpegFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, img, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// frames counts the frames of a file and checks their size.
func frames(t *testing.T, path string, w, h int) int {
	t.Helper()
	src, err := camera.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var f camera.Frame
	for n := 0; ; n++ {
		err := src.Read(t.Context(), &f)
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil || f.Width != w || f.Height != h {
			t.Fatalf("%s, frame %d: %dx%d, %v", path, n, f.Width, f.Height, err)
		}
	}
}

// TestMovie starts a further file where the size of the frames changes.
func TestMovie(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.avi")
	m, err := newMovie(path, "test:", &input{})
	if err != nil {
		t.Fatal(err)
	}
	var f camera.Frame
	for _, side := range []int{16, 16, 32, 16} {
		f.SetImage(image.NewRGBA(image.Rect(0, 0, side, side)))
		if err := m.add(&f, func(*image.RGBA) {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][2]int{"a.avi": {2, 16}, "a-2.avi": {1, 32}, "a-3.avi": {1, 16}} {
		if n := frames(t, filepath.Join(filepath.Dir(path), name), want[1], want[1]); n != want[0] {
			t.Errorf("%s has %d frames, want %d", name, n, want[0])
		}
	}
}

// rate returns the frame rate of a file.
func rate(t *testing.T, path string) float64 {
	t.Helper()
	src, err := camera.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	return src.(camera.Rated).Rate()
}

// TestMovieRate keeps the rate of a file; of a live source the video has the
// rate of all its frames, although the first ones came faster.
func TestMovieRate(t *testing.T) {
	dir := t.TempDir()
	first, second, third := filepath.Join(dir, "a.avi"), filepath.Join(dir, "b.avi"), filepath.Join(dir, "c.avi")
	for _, c := range []struct {
		source, out string
		want        float64
	}{{"test:?size=128x96&rate=12.5&frames=3", first, 12.5}, {first, second, 12.5}, {assets + "squares.png", third, 25}} {
		if r := execute(t, "detect", "-m", assets+"squares.onnx", "-s", c.source, "-o", c.out); r.code != 0 {
			t.Fatal(r.code, r.stderr)
		}
		if got := rate(t, c.out); got != c.want {
			t.Errorf("%s as video has %v frames/s, want %v", c.source, got, c.want)
		}
	}
	path := filepath.Join(dir, "live.avi")
	m, err := newMovie(path, "0", &input{live: &camera.Live{}})
	if err != nil {
		t.Fatal(err)
	}
	var f camera.Frame
	f.SetImage(image.NewRGBA(image.Rect(0, 0, 16, 16)))
	start := time.Now()
	for i := range 2*movieStart + 1 {
		f.Time = start.Add(time.Duration(i) * 50 * time.Millisecond)
		if i > movieStart {
			f.Time = start.Add(time.Duration(i-movieStart)*450*time.Millisecond + 500*time.Millisecond)
		}
		if err := m.add(&f, func(*image.RGBA) {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	if got := rate(t, path); got != 4 { // 20 intervals in 5 seconds
		t.Errorf("the live video has %v frames/s, want 4", got)
	}
}

// words is a finding for tests.
type words string

func (w words) gist() string { return string(w) }
func (w words) full() string { return string(w) }

// TestPrinterInPlace prints over the last line, and notes between.
func TestPrinterInPlace(t *testing.T) {
	var out strings.Builder
	p := &printer{o: output{&out, &out}, in: &input{live: &camera.Live{}}, short: true, inPlace: true, columns: 40, start: time.Now()}
	f := camera.Frame{Source: "0"}
	for _, s := range []string{"person 0.91, dog 0.55", "nothing", strings.Repeat("a lot ", 20)} {
		if err := p.put(&f, 23*time.Millisecond, words(s)); err != nil {
			t.Fatal(err)
		}
		p.last = time.Time{} // frames of this test are far apart
	}
	lines := strings.Split(out.String(), "\r")
	if len(lines) != 4 || lines[1] != "43.5 fps  23 ms  person 0.91, dog 0.55" {
		t.Errorf("lines %q", lines)
	}
	if !strings.HasSuffix(strings.TrimRight(lines[2], " "), " fps  23 ms  nothing") || len(lines[2]) != len(lines[1]) {
		t.Errorf("%q does not cover %q", lines[2], lines[1])
	}
	if len(lines[3]) != 39 {
		t.Errorf("%q has %d columns, want 39 of 40", lines[3], len(lines[3]))
	}
	out.Reset()
	p.note("lost")
	if want := "\r" + strings.Repeat(" ", 39) + "\rlost\n"; out.String() != want {
		t.Errorf("note %q, want %q", out.String(), want)
	}
}
