package camera

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// period is the time from frame to frame of the cameras that fail.
const period = 40 * time.Millisecond

// clockCamera is a server of Motion JPEG that goes on counting whether anybody
// watches or not. Its frames are 16 pixels high, and the number of one more than
// 16 wide.
type clockCamera struct {
	start    time.Time
	requests atomic.Int32
	good     int                                                               // frames before the fault
	fault    func(c *clockCamera, w http.ResponseWriter, r *http.Request)      // after them, in the first answer
	refuse   func(n int32, w http.ResponseWriter, r *http.Request) (done bool) // every answer after that, from 2 on; nil: none
}

func (c *clockCamera) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := c.requests.Add(1)
	if n > 1 && c.refuse != nil && c.refuse(n, w, r) {
		return
	}
	w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=x")
	if n > 1 {
		c.play(w, r, 1<<30)
		return
	}
	c.play(w, r, c.good)
	c.fault(c, w, r)
}

// play sends frames, each when it is due.
func (c *clockCamera) play(w http.ResponseWriter, r *http.Request, frames int) {
	for range frames {
		n := int(time.Since(c.start)/period) + 1
		select {
		case <-time.After(time.Until(c.start.Add(time.Duration(n) * period))):
		case <-r.Context().Done():
			return
		}
		c.send(w, picture(n))
	}
}

// send sends one part.
func (c *clockCamera) send(w http.ResponseWriter, data []byte) {
	fmt.Fprintf(w, "--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", len(data), data)
	w.(http.Flusher).Flush()
}

// picture is frame n.
func picture(n int) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 16+n, 16)), nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// recovery is a line of the table.
type recovery struct {
	fault      string
	told, back time.Duration // since the last frame before the fault; told is 0 where nothing was
	lost       int           // frames, -1 where they have no number
	requests   int32
	stats      Stats
}

// recoverFrom reads a live source until it has failed, and given a frame again.
// ended reports that by the counts.
func recoverFrom(t *testing.T, l *Live, ended func(Stats) bool) recovery {
	t.Helper()
	var r recovery
	var f Frame
	last, number := time.Now(), 0
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		err := l.Read(ctx, &f)
		cancel()
		now := time.Now()
		r.stats = l.Stats()
		if r.told == 0 && r.stats.LastError != nil {
			r.told = now.Sub(last)
		}
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			continue
		case err != nil:
			t.Fatal(err)
		case ended(r.stats):
			r.back, r.lost = now.Sub(last), f.Width-16-number-1
			return r
		}
		last, number = now, f.Width-16
	}
}

func reconnected(s Stats) bool { return s.Reconnects > 0 }

// TestRecovery lets cameras fail in every way and prints how long it takes until
// a reader knows, and until it has a frame again:
//
//	go test ./camera -run TestRecovery -v
func TestRecovery(t *testing.T) {
	rest := func(_ *clockCamera, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	end := func(*clockCamera, http.ResponseWriter, *http.Request) {}
	cut := func(_ *clockCamera, w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "--x\r\nContent-Length: 9999\r\n\r\n%s", picture(1))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	noise := make([]byte, 1<<16)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	cases := []struct {
		name   string
		fault  func(*clockCamera, http.ResponseWriter, *http.Request)
		refuse func(int32, http.ResponseWriter, *http.Request) bool
		ended  func(Stats) bool
		want   error // LastError
	}{
		{"the connection stays open, nothing comes", rest, nil, reconnected, ErrLost},
		{"the connection is closed between two pictures", end, nil, reconnected, ErrLost},
		{"the connection breaks in a picture", cut, nil, reconnected, ErrLost},
		{"one part is no picture", func(c *clockCamera, w http.ResponseWriter, r *http.Request) {
			c.send(w, []byte("\xff\xd8\xff this is no picture"))
			c.play(w, r, 1<<30)
		}, nil, func(s Stats) bool { return s.Damaged > 0 }, ErrFormat},
		{"garbage without end in place of parts", func(_ *clockCamera, w http.ResponseWriter, _ *http.Request) {
			for range 2 * maxPart / len(noise) {
				w.Write(noise) //nolint:errcheck // the reader goes
			}
		}, nil, reconnected, ErrFormat},
		{"closed, then refused twice (503)", end, func(n int32, w http.ResponseWriter, _ *http.Request) bool {
			if n < 4 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return n < 4
		}, reconnected, ErrBusy},
		{"closed, then no answer once", end, func(n int32, _ http.ResponseWriter, r *http.Request) bool {
			if n == 2 {
				<-r.Context().Done()
			}
			return n == 2
		}, reconnected, ErrLost},
	}
	table := make([]recovery, len(cases))
	t.Run("faults", func(t *testing.T) {
		for i, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				t.Parallel()
				c := &clockCamera{start: time.Now(), good: 10, fault: tc.fault, refuse: tc.refuse}
				s := httptest.NewServer(c)
				defer s.Close()
				defer s.CloseClientConnections()
				l := OpenLive(s.URL, Options{}, LiveConfig{})
				defer shut(t, l)
				r := recoverFrom(t, l, tc.ended)
				if !errors.Is(r.stats.LastError, tc.want) || !r.stats.Connected || r.told == 0 || r.lost < 0 {
					t.Errorf("last error %v, want %v; told after %v, %d frames lost: %+v", r.stats.LastError, tc.want, r.told, r.lost, r.stats)
				}
				r.fault, r.requests = tc.name, c.requests.Load()
				table[i] = r
			})
		}
	})
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-48s %10s %10s %6s  %s\n", "HTTP, 25 frames a second", "told", "frame", "lost", "requests")
	for _, r := range table {
		fmt.Fprintf(&b, "%-48s %10v %10v %6d  %d\n", r.fault, r.told.Round(time.Millisecond), r.back.Round(time.Millisecond), r.lost, r.requests)
	}
	t.Log(b.String())
}

// TestRecoveryRTSP is the same for a stream that FFmpeg decodes.
func TestRecoveryRTSP(t *testing.T) {
	stream, err := os.ReadFile(video(t, "a.ts", "-c:v", "mpeg2video", "-f", "mpegts"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, then string }{{"the connection stays open, nothing comes", "rest"}, {"the connection is closed", "close"}} {
		t.Run(tc.then, func(t *testing.T) {
			t.Parallel()
			l := OpenLive("rtsp://"+rtspCamera{"", stream, tc.then}.start(t)+"/ch1", Options{}, LiveConfig{})
			defer shut(t, l)
			r := recoverFrom(t, l, reconnected)
			if !errors.Is(r.stats.LastError, ErrLost) || r.told == 0 {
				t.Errorf("%+v", r)
			}
			t.Logf("%s by %s, %s: told after %v, frame after %v", "RTSP", l.Backend(), tc.name, r.told.Round(time.Millisecond), r.back.Round(time.Millisecond))
		})
	}
}
