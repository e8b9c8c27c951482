package camera

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// jpegs returns two different pictures, of 3x2 and of 5x4 pixels.
func jpegs(t testing.TB) (a, b []byte) {
	t.Helper()
	for name, data := range map[string]*[]byte{"tiny_3x2.jpg": &a, "tiny_5x4.jpg": &b} {
		var err error
		if *data, err = os.ReadFile(golden + "/" + name); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}

// serve answers every request with body and then keeps the connection, or
// closes it.
func serve(t *testing.T, kind string, body []byte, keep bool) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = []string{kind}
		w.Write(body) //nolint:errcheck // the reader may have gone
		w.(http.Flusher).Flush()
		if keep {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// sizes reads src until an error that is final: "3x2" of each frame and "!" of
// each *FrameError.
func sizes(src Source) (string, error) {
	var got []string
	var f Frame
	for {
		err := src.Read(context.Background(), &f)
		switch {
		case err == nil:
			got = append(got, fmt.Sprintf("%dx%d@%d", f.Width, f.Height, f.Index))
		case frameError(err) != nil:
			got = append(got, "!")
		default:
			return strings.Join(got, " "), err
		}
	}
}

func join(parts ...any) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b.WriteString(p)
		case []byte:
			b.Write(p)
		}
	}
	return b.Bytes()
}

// TestMultipart reads streams as cameras and their imitations send them.
func TestMultipart(t *testing.T) {
	a, b := jpegs(t)
	length := func(data []byte) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n", len(data)) }
	const mixed = "multipart/x-mixed-replace; boundary="
	for _, tc := range []struct {
		name, kind string
		body       []byte
		want       string
		err        error
	}{
		{"by the book", mixed + "x", join("--x\r\nContent-Type: image/jpeg\r\n", length(a), a, "\r\n--x\r\n", length(b), b, "\r\n--x--\r\n"), "3x2@0 5x4@1", ErrLost},
		{"dashes declared", mixed + "--x", join("--x\r\n", length(a), a, "\r\n--x\r\n", length(b), b, "\r\n"), "3x2@0 5x4@1", ErrLost},
		{"dashes declared and added", mixed + "--x", join("----x\r\n", length(a), a, "\r\n----x\r\n", length(b), b), "3x2@0 5x4@1", ErrLost},
		{"dashes left out", mixed + "x", join("x\r\n", length(a), a, "\r\nx\r\n", length(b), b), "3x2@0 5x4@1", ErrLost},
		{"quoted, with spaces", `multipart/x-mixed-replace;boundary="my video"`, join("--my video\r\n", length(a), a), "3x2@0", ErrLost},
		{"invalid parameter", "multipart/x-mixed-replace; boundary=a b", join("--a b\r\n", length(a), a), "3x2@0", ErrLost},
		{"none declared", "multipart/x-mixed-replace", join("\r\n\r\n--any\r\n", length(a), a, "--any\r\n", length(b), b), "3x2@0 5x4@1", ErrLost},
		{"another one declared", mixed + "y", join("--x\r\n", length(a), a, "\r\n--x\r\n", length(b), b), "3x2@0 5x4@1", ErrLost},
		{"no type", "", join("--x\r\n", length(a), a), "3x2@0", ErrLost},
		{"no length", mixed + "x", join("--x\r\nContent-Type: image/jpeg\r\n\r\n", a, "\r\n--x\r\n\r\n", b, "\r\n--x--"), "3x2@0 5x4@1", ErrLost},
		{"no length, no line end", mixed + "x", join("--x\n\n", a, "--x\n\n", b, "--x\n"), "3x2@0 5x4@1", ErrLost},
		{"Unix line ends", mixed + "x", join("--x\ncontent-length:", fmt.Sprint(len(a)), "\n\n", a, "\n--x\ncontent-LENGTH :", fmt.Sprint(len(b)), " \n\n", b, "\n"), "3x2@0 5x4@1", ErrLost},
		{"preamble", mixed + "x", join("This is\r\na message\r\n--x\r\n", length(a), a), "3x2@0", ErrLost},
		{"length too short", mixed + "x", join("--x\r\nContent-Length: 90\r\n\r\n", a, "\r\n--x\r\n", length(b), b), "! 5x4@1", ErrLost},
		{"length wrong", mixed + "x", join("--x\r\nContent-Length: -4\r\n\r\n", a, "\r\n--x\r\nContent-Length: 99999999999999999999\r\n\r\n", b, "\r\n--x\r\n"), "3x2@0 5x4@1", ErrLost},
		{"text part", mixed + "x", join("--x\r\nContent-Type: text/plain\r\n\r\nplease wait\r\n--x\r\n", length(a), a, "\r\n"), "! 3x2@1", ErrLost},
		{"text part at the end", mixed + "x", join("--x\r\n", length(a), a, "\r\n--x\r\n\r\nbye\r\n--x--"), "3x2@0 !", ErrLost},
		{"damaged part", mixed + "x", join("--x\r\nContent-Length: 9\r\n\r\n\xff\xd8\xffgarbag\r\n--x\r\n", length(a), a, "\r\n"), "! 3x2@1", ErrLost},
		{"huge part announced", mixed + "x", join("--x\r\nContent-Length: 2000000000\r\n\r\nlittle\r\n--x\r\n", length(a), a, "\r\n"), "! 3x2@1", ErrLost},
		{"endless header", mixed + "x", join("--x\r\n", strings.Repeat("X-A: b\r\n", 100), "\r\n\r\n--x\r\n", length(a), a, "\r\n"), "! 3x2@1", ErrLost},
		{"endless header line", mixed + "x", join("--x\r\n", strings.Repeat("X", 1<<17), "\r\n\r\n--x\r\n", length(a), a, "\r\n"), "! 3x2@1", ErrLost},
		{"cut in a picture", mixed + "x", join("--x\r\n", length(a), a, "\r\n--x\r\n", length(b), b[:100]), "3x2@0", ErrLost},
		{"cut in a header", mixed + "x", join("--x\r\n", length(a), a, "\r\n--x\r\nContent-"), "3x2@0", ErrLost},
		{"no boundary at all", mixed + "x", bytes.Repeat([]byte("garbage "), 5<<20), "", ErrFormat},
		{"empty", mixed + "x", nil, "", ErrLost},
		{"pictures in a row", "video/x-motion-jpeg", join(a, b, "\r\n", a), "3x2@0 5x4@1 3x2@2", ErrLost},
		{"pictures in a row, no type", "application/octet-stream", join(a, b), "3x2@0 5x4@1", ErrLost},
		{"fill bytes without end", "video/x-motion-jpeg", join(a[:2], bytes.Repeat([]byte{0xff}, maxPart+9)), "!", ErrLost},
		{"noise in place of pictures", "video/x-motion-jpeg", make([]byte, maxPart+9), "", ErrFormat},
		{"one picture", "image/jpeg", a, "3x2@0", io.EOF},
		{"one picture that is none", "image/jpeg", []byte("hello"), "!", io.EOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			src, err := Options{Timeout: time.Minute}.Open(serve(t, tc.kind, tc.body, false))
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			got, err := sizes(src)
			if got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("%q, %v; want %q, %v", got, err, tc.want, tc.err)
			}
			if again := src.Read(context.Background(), new(Frame)); !errors.Is(again, tc.err) {
				t.Errorf("the end does not stay: %v", again)
			}
			if Backend(src) != "http" {
				t.Errorf("backend %q", Backend(src))
			}
		})
	}
}

// TestPictureNeedNotWaitForTheNext reads one part of a stream that then rests.
func TestPictureNeedNotWaitForTheNext(t *testing.T) {
	a, _ := jpegs(t)
	for _, head := range []string{"--x\r\n\r\n", fmt.Sprintf("--x\r\nContent-Length: %d\r\n\r\n", len(a))} {
		src := open(t, serve(t, "multipart/x-mixed-replace; boundary=x", join(head, a), true))
		before := time.Now()
		var f Frame
		if err := src.Read(context.Background(), &f); err != nil || f.Width != 3 {
			t.Fatal(err)
		}
		if f.Time.Before(before.Add(-time.Minute)) || f.Time.After(time.Now()) || !strings.Contains(f.Time.String(), "m=") {
			t.Errorf("time %v is not that of the monotonic clock", f.Time)
		}
	}
}

func TestStallEndsRead(t *testing.T) {
	a, _ := jpegs(t)
	url := serve(t, "multipart/x-mixed-replace; boundary=x", join("--x\r\n\r\n", a), true)
	src := opened(t)(Options{Timeout: 300 * time.Millisecond}.Open(url))
	var f Frame
	if err := src.Read(context.Background(), &f); err != nil {
		t.Fatal(err)
	}
	// A context that ends is not the end of the source, and does not put it off.
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := src.Read(ctx, &f); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	for range 2 {
		if err := src.Read(context.Background(), &f); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "300ms") {
			t.Error(err)
		}
	}
}

// TestCloseEndsRead closes a source while another goroutine waits for a frame.
func TestCloseEndsRead(t *testing.T) {
	src, err := Options{Timeout: time.Hour}.Open(serve(t, "multipart/x-mixed-replace; boundary=x", nil, true))
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan error)
	go func() { read <- src.Read(context.Background(), new(Frame)) }()
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	if err := <-read; err == nil {
		t.Error("a frame from nowhere")
	}
	if err := src.Read(context.Background(), new(Frame)); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestHTTPErrors(t *testing.T) {
	mux := http.NewServeMux()
	status := func(path string, code int, header ...string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		})
	}
	status("/none", http.StatusNotFound)
	status("/auth", http.StatusUnauthorized, "WWW-Authenticate", `Basic realm="x"`)
	status("/digest", http.StatusUnauthorized, "WWW-Authenticate", `Digest realm="x"`)
	status("/full", http.StatusServiceUnavailable)
	status("/broken", http.StatusInternalServerError)
	status("/empty", http.StatusOK, "Content-Type", "application/octet-stream")
	mux.HandleFunc("/later", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	status("/page", http.StatusOK, "Content-Type", "text/html; charset=utf-8")
	status("/ftp", http.StatusFound, "Location", "ftp://u:secret@other/")
	status("/tls", http.StatusFound, "Location", "https://127.0.0.1/x?password=secret")
	status("/loop", http.StatusFound, "Location", "/loop?password=secret")
	mux.HandleFunc("/mute", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/close", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	defer s.CloseClientConnections()
	host := "http://user:secret@" + strings.TrimPrefix(s.URL, "http://")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shut(t, free)
	for _, tc := range []struct {
		uri  string
		want error
		text string
	}{
		{host + "/none", ErrNotFound, "path"},
		{s.URL + "/auth", ErrNotPermitted, "http://USER:PASSWORD@"},
		{host + "/auth", ErrNotPermitted, "not accepted"},
		{host + "/digest", ErrNotPermitted, "digest"},
		{host + "/full", ErrBusy, "viewers"},
		{host + "/broken", ErrLost, "500"},
		{host + "/empty", ErrLost, "empty"},
		{host + "/later", ErrLost, "--frame-timeout"},
		{host + "/page", ErrFormat, "text/html"},
		{host + "/ftp", ErrUnsupported, "ftp://other"},
		{host + "/tls", ErrUnsupported, "https://127.0.0.1"},
		{host + "/loop", ErrUnsupported, "5 times"},
		{host + "/mute", ErrLost, "200ms"},
		{host + "/close", ErrLost, "without an answer"},
		{"http://user:secret@" + free.Addr().String() + "/?pwd=secret", ErrNotFound, "check the address"},
		{"http://user:secret@name.invalid/", ErrNotFound, "name"},
	} {
		o := Options{Timeout: 20 * time.Second}
		if strings.HasSuffix(tc.uri, "/mute") || strings.HasSuffix(tc.uri, "/later") || strings.Contains(tc.uri, ".invalid") {
			o.Timeout = 200 * time.Millisecond
		}
		src, err := o.Open(tc.uri)
		if src != nil || !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.text) {
			if strings.Contains(tc.uri, ".invalid") && errors.Is(err, ErrLost) {
				continue // a name server that does not answer
			}
			t.Errorf("%s: %v, want %v naming %q", tc.uri, err, tc.want, tc.text)
		}
		if strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("password shown: %v", err)
		}
	}
}

// TestPassword sends the password to the camera, and to nobody else.
func TestPassword(t *testing.T) {
	a, _ := jpegs(t)
	seen := make(chan string, 2)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		seen <- user + ":" + password
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/here", http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "image/jpeg")
		w.Write(a) //nolint:errcheck // the reader may have gone
	})
	s := httptest.NewServer(handler)
	defer s.Close()
	uri := "http://me:p%40ss%2F@" + strings.TrimPrefix(s.URL, "http://") + "/moved"
	src := open(t, uri)
	for range 2 {
		if got := <-seen; got != "me:p@ss/" {
			t.Errorf("the server got %q", got)
		}
	}
	var f Frame
	if err := src.Read(context.Background(), &f); err != nil || strings.Contains(f.Source, "ss%2F") || !strings.HasSuffix(f.Source, "/moved") {
		t.Errorf("source %q, %v", f.Source, err)
	}
}

func FuzzParts(f *testing.F) {
	a, b := jpegs(f)
	f.Add(join("--x\r\nContent-Length: 5\r\n\r\n", a, "\r\n--x\r\n\r\n", b, "\r\n--x--"))
	f.Add(join("\n--\n--y\n\n", a[:50], "--y\n\n", b))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := &parts{r: bufio.NewReaderSize(bytes.NewReader(data), 64), core: "x"}
		var frame Frame
		for range len(data) + 2 {
			if err := p.next(&frame); err != nil && frameError(err) == nil {
				r := bufio.NewReaderSize(bytes.NewReader(data), 64)
				for range len(data) + 2 {
					if err := nextJPEG(r, &frame); err != nil {
						return
					}
				}
				t.Fatal("more pictures than bytes")
			}
		}
		t.Fatal("more parts than bytes")
	})
}
