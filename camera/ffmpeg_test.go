package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// fake puts a shell script in the place of a program. Its arguments are in
// $DIR/args, its standard input in $DIR/stdin where it reads that.
func fake(t *testing.T, program, script string) (dir string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the fake programs are shell scripts")
	}
	dir = t.TempDir()
	text := "#!/bin/sh\nDIR='" + dir + "'\nfor a in \"$@\"; do printf '%s\\n' \"$a\" >> \"$DIR/args\"; done\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(dir, program), []byte(text), 0o700); err != nil { //nolint:gosec // it has to be executable
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return dir
}

// argsOf returns the arguments that a fake program got.
func argsOf(t *testing.T, dir string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "args"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

// mp4 makes a file that begins like an MP4 video, for programs that are fakes.
func mp4(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("\x00\x00\x00\x18ftypmp42 and so on"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// videoAt is the target that Open makes of a video file.
func videoAt(path string) target { return target{kind: videoTarget, name: path, path: path, index: -1} }

const twoPPM = `printf 'P6\n2 1\n255\nabcdef'; printf 'P6\n2 1\n255\nABCDEF'`

func TestFFmpegFake(t *testing.T) {
	dir := fake(t, "ffmpeg", twoPPM)
	path := mp4(t, "-i $(reboot) ; x.mp4")
	src := opened(t)(openFFmpeg(videoAt(path), Options{}))
	var f Frame
	for i, want := range []string{"abcdef", "ABCDEF"} {
		if err := src.Read(context.Background(), &f); err != nil {
			t.Fatal(err)
		}
		if string(f.Pix) != want || f.Width != 2 || f.Height != 1 || f.Format != RGB24 || f.Index != i || f.Source != path || f.Check() != nil {
			t.Errorf("frame %d: %+v", i, f)
		}
	}
	for range 2 {
		if err := src.Read(context.Background(), &f); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	}
	if Backend(src) != "ffmpeg" {
		t.Errorf("backend %q", Backend(src))
	}
	want := []string{"-hide_banner", "-loglevel", "error", "-nostdin", "-protocol_whitelist", "file", "-max_pixels", "100000000", "-an", "-sn", "-dn",
		"-i", "file:" + path, "-map", "0:v:0", "-fps_mode", "passthrough", "-pix_fmt", "rgb24", "-c:v", "ppm", "-f", "image2pipe", "pipe:1"}
	if got := argsOf(t, dir); !slices.Equal(got, want) {
		t.Errorf("arguments %q", got)
	}
}

// TestOldFFmpeg has a program that does not know the option's new name.
func TestOldFFmpeg(t *testing.T) {
	dir := fake(t, "ffmpeg", `case "$*" in *fps_mode*) echo "Unrecognized option 'fps_mode'." >&2; exit 1; esac; `+twoPPM)
	src := opened(t)(openFFmpeg(videoAt("x.mp4"), Options{}))
	if err := src.Read(context.Background(), new(Frame)); err != nil {
		t.Error(err)
	}
	if !slices.Contains(argsOf(t, dir), "-vsync") {
		t.Errorf("arguments %q", argsOf(t, dir))
	}
}

// TestFFmpegErrors lets the program fail in every way.
func TestFFmpegErrors(t *testing.T) {
	for _, tc := range []struct {
		name, script string
		frames       int
		want         error
		text         string
	}{
		{"fails at once", `echo 'moov atom not found' >&2; exit 1`, 0, ErrFormat, "moov atom"},
		{"says nothing", `exit 3`, 0, ErrFormat, "exit status 3"},
		{"killed", `kill -9 $$`, 0, ErrFormat, "killed"},
		{"no picture", `exit 0`, 0, ErrFormat, "no picture"},
		{"fails later", twoPPM + `; echo one >&2; echo two >&2; echo three >&2; echo 'Error while decoding' >&2; exit 1`, 2, ErrFormat, "two; three; Error while decoding"},
		{"cut in a frame", `printf 'P6\n2 1\n255\nabc'; echo 'Broken' >&2; exit 1`, 0, ErrFormat, "Broken"},
		{"no PPM", `echo 'P5 2 1 255 xx'`, 0, ErrFormat, "PPM"},
		{"absurd size", `printf 'P6\n99999 1\n255\n'`, 0, ErrFormat, "99999"},
		{"too many pixels", `printf 'P6\n30000 30000\n255\n'`, 0, ErrTooLarge, "30000x30000"},
		{"endless number", `printf 'P6\n999999999999999 1\n255\n'`, 0, ErrFormat, "PPM"},
		{"hangs", `sleep 100`, 0, ErrLost, "1.5s"},
		{"hangs later", twoPPM + `; sleep 100`, 2, ErrLost, "300ms"},
		{"leaves a child behind", twoPPM + `; sleep 100 & exit 0`, 2, ErrLost, "300ms"},
		{"closes its output", twoPPM + `; exec >&-; echo 'still here' >&2; sleep 100`, 2, ErrLost, "300ms"},
		{"control characters", `printf 'a\033[31mb\001\377' >&2; exit 1`, 0, ErrFormat, "a [31mb ?"},
		{"endless talk", `i=0; while [ $i -lt 20000 ]; do echo "line $i" >&2; i=$((i+1)); done; exit 1`, 0, ErrFormat, "line 19999"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fake(t, "ffmpeg", tc.script)
			o := Options{Timeout: 300 * time.Millisecond}
			if !errors.Is(tc.want, ErrLost) {
				o.Timeout = time.Minute
			}
			src, err := openFFmpeg(videoAt(mp4(t, "x.mp4")), o)
			frames := 0
			for ; err == nil; frames++ {
				if err = src.Read(context.Background(), new(Frame)); err != nil {
					break
				}
			}
			if src != nil {
				if err := src.Close(); err != nil {
					t.Error(err)
				}
			}
			if frames != tc.frames || !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%v after %d frames, want %v naming %q after %d", err, frames, tc.want, tc.text, tc.frames)
			}
		})
	}
}

func TestFFmpegIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := openFFmpeg(videoAt("x.mp4"), Options{}); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "apt install ffmpeg") {
		t.Error(err)
	}
	// What can be said without ffmpeg is said, rather than that it is missing.
	path := filepath.Join(t.TempDir(), "x.avi")
	if err := os.WriteFile(path, list("AVI ", header("H264", 3), list("movi")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "H264") && !strings.Contains(err.Error(), "opencv") {
		t.Error(err)
	}
}

// TestFFmpegArgs keeps passwords out of what everyone on the machine can see.
func TestFFmpegArgs(t *testing.T) {
	for _, tc := range []struct{ uri, arg, stdin string }{
		{"rtsp://host/a", "-i rtsp://host/a", ""},
		{"rtsp://host/-i%20/etc/x", "-i rtsp://host/-i%20/etc/x", ""},
		{"rtsp://me:se'cret@host/a'b", "-i pipe:0", "ffconcat version 1.0\nfile 'rtsp://me:se%27cret@host/a%27b'\noption rtsp_transport tcp\n"},
		{"http://host/a.m3u8?token=secret", "-i pipe:0", "ffconcat version 1.0\nfile 'http://host/a.m3u8?token=secret'\n"},
	} {
		target, err := parseTarget(tc.uri)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(target.uri)
		if err != nil {
			t.Fatal(err)
		}
		args, stdin := ffmpegArgs(target, u, "-fps_mode")
		text := strings.Join(args, " ")
		if !strings.Contains(text, tc.arg) || stdin != tc.stdin || strings.Contains(text, "secret") || strings.Contains(text, "file,") {
			t.Errorf("%s: %s\n%s", tc.uri, text, stdin)
		}
	}
}

// needFFmpeg returns the path of the real program.
func needFFmpeg(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts ffmpeg several times")
	}
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed: apt-get install ffmpeg")
	}
	return path
}

// video makes a video of 25 red frames of 96x64 pixels.
func video(t *testing.T, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	args = append(append([]string{"-loglevel", "error", "-f", "lavfi", "-i", "color=red:size=96x64:rate=25:duration=1"}, args...), path)
	if out, err := exec.Command(needFFmpeg(t), args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// red fails unless the middle of a 96x64 frame is red.
func red(t *testing.T, f *Frame) {
	t.Helper()
	if f.Width != 96 || f.Height != 64 {
		t.Fatalf("frame of %dx%d", f.Width, f.Height)
	}
	img := f.ToRGBA(nil)
	if c := img.RGBAAt(48, 32); c.R < 230 || c.G > 30 || c.B > 30 {
		t.Fatalf("frame %d is %v, not red", f.Index, c)
	}
}

func TestFFmpegReadsFiles(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
	}{
		{"a.mp4", []string{"-c:v", "mpeg4"}}, {"b.mkv", []string{"-c:v", "mpeg4"}}, {"c.avi", []string{"-c:v", "mpeg4"}}, {"d.ts", []string{"-c:v", "mpeg2video"}},
		{"e.mpg", []string{"-c:v", "mpeg1video"}}, {"f: g 'h'.mov", []string{"-c:v", "mpeg4"}}, {"i.flv", nil}, {"j.y4m", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			src, err := Options{Timeout: 20 * time.Second}.Open(video(t, tc.name, tc.args...))
			src = opened(t)(src, err)
			var f Frame
			n := 0
			for ; ; n++ {
				if err := src.Read(context.Background(), &f); err != nil {
					if !errors.Is(err, io.EOF) {
						t.Error(err)
					}
					break
				}
				red(t, &f)
			}
			if n < 24 || n > 25 { // MPEG-1 and TS may keep one
				t.Errorf("%d frames of 25", n)
			}
		})
	}
}

// TestFFmpegOverHTTP reads a video file over HTTP, with a password.
func TestFFmpegOverHTTP(t *testing.T) {
	path := video(t, "a.mp4", "-c:v", "mpeg4", "-movflags", "+faststart")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "p'w" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.ServeFile(w, r, path)
	}))
	defer s.Close()
	src := opened(t)(Options{Timeout: 20 * time.Second}.Open("http://me:p'w@" + strings.TrimPrefix(s.URL, "http://") + "/a.mp4"))
	if b := Backend(src); b != "ffmpeg" && b != "opencv/ffmpeg" {
		t.Errorf("backend %q", Backend(src))
	}
	var f Frame
	if err := src.Read(context.Background(), &f); err != nil {
		t.Fatal(err)
	}
	red(t, &f)
}

// TestHTTPFromFFmpeg reads Motion JPEG that ffmpeg itself serves.
func TestHTTPFromFFmpeg(t *testing.T) {
	program := needFFmpeg(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shut(t, free)
	address := free.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "-loglevel", "error", "-re", "-f", "lavfi", "-i", "color=red:size=96x64:rate=25", "-c:v", "mjpeg", "-f", "mpjpeg",
		"-listen", "1", "http://"+address+"/")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); cmd.Wait() }() //nolint:errcheck // it was killed
	var src Source
	for range 100 {
		if src, err = (Options{Timeout: 20 * time.Second}).Open("http://" + address + "/"); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	src = opened(t)(src, err)
	var f Frame
	for i := range 5 {
		if err := src.Read(context.Background(), &f); err != nil || f.Index != i {
			t.Fatalf("frame %d: %v", f.Index, err)
		}
		red(t, &f)
	}
	if Backend(src) != "http" {
		t.Errorf("backend %q", Backend(src))
	}
}

func TestRealFFmpegErrors(t *testing.T) {
	needFFmpeg(t)
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, mute)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "video/mp4")
		fmt.Fprint(w, "this is no video, secret or not")
	}))
	defer s.Close()
	for _, tc := range []struct {
		uri  string
		want error
		text string
	}{
		{mp4(t, "x.mp4"), ErrFormat, "x.mp4"},
		{"http://user:secret@" + strings.TrimPrefix(s.URL, "http://") + "/x.mp4", ErrFormat, "user"},
		{"rtsp://user:secret@" + mute.Addr().String() + "/x", ErrLost, "500ms"},
		{"rtsp://user:secret@" + strings.TrimPrefix(s.URL, "http://") + "/x", ErrFormat, "not RTSP"},
	} {
		start := time.Now()
		o := Options{Timeout: 20 * time.Second}
		if errors.Is(tc.want, ErrLost) {
			o.Timeout = 500 * time.Millisecond
		}
		_, err := o.Open(tc.uri)
		if !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.text) || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%s: %v after %v, want %v naming %q", tc.uri, err, time.Since(start), tc.want, tc.text)
		}
	}
}
