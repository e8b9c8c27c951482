package camera

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// script is a source that does what a test tells it to: one step for each Read.
type script struct {
	steps  []step
	at     int
	closed chan struct{}
}

// step is what one Read does: wait, and then return err or a frame.
type step struct {
	wait time.Duration
	err  error
	deaf bool // it waits for Close, and takes no notice of the context
}

func scripted(steps ...step) *script { return &script{steps: steps, closed: make(chan struct{})} }

func (s *script) Read(ctx context.Context, f *Frame) error {
	if s.at == len(s.steps) {
		return ErrLost
	}
	now := s.steps[s.at]
	s.at++
	if now.deaf {
		<-s.closed
		return fs.ErrClosed
	}
	select {
	case <-time.After(now.wait):
	case <-ctx.Done():
		return ctx.Err()
	}
	if now.err != nil {
		return now.err
	}
	f.shape(2, 1, GRAY8)
	f.Index, f.Time, f.Source = s.at-1, time.Now(), "script"
	return nil
}

func (s *script) Close() error { close(s.closed); return nil }

// every returns n steps that take d each.
func every(d time.Duration, n int) []step {
	steps := make([]step, n)
	for i := range steps {
		steps[i].wait = d
	}
	return steps
}

// opener opens one source after the other; nil stands for a failure.
func opener(sources ...*script) (open func() (Source, error), times *[]time.Duration) {
	start := time.Now()
	times = new([]time.Duration)
	return func() (Source, error) {
		*times = append(*times, time.Since(start))
		if len(sources) == 0 {
			return nil, ErrNotFound
		}
		s := sources[0]
		sources = sources[1:]
		if s == nil {
			return nil, ErrNotFound
		}
		return s, nil
	}, times
}

// TestLiveGivesTheNewest has a reader that takes 200 ms for each frame of 33 ms.
func TestLiveGivesTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, _ := opener(scripted(append(every(33*time.Millisecond, 300), step{err: io.EOF})...))
		l := NewLive(open, LiveConfig{})
		defer shut(t, l)
		var f Frame
		read := 0
		for last := -1; ; read++ {
			err := l.Read(context.Background(), &f)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || f.Index <= last {
				t.Fatalf("frame %d after %d: %v", f.Index, last, err)
			}
			if age := time.Since(f.Time); age > 33*time.Millisecond && f.Index < 299 {
				t.Fatalf("frame %d is %v old", f.Index, age)
			}
			last = f.Index
			time.Sleep(200 * time.Millisecond)
		}
		s := l.Stats()
		if s.Frames != 300 || int(s.Frames-s.Drops) != read || read < 45 || read > 55 || f.Index != 299 || s.LastError != nil {
			t.Errorf("%+v, %d were read, the last was %d", s, read, f.Index)
		}
	})
}

// TestLiveComesBack loses the source, does not find it twice, and finds it again.
func TestLiveComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := fmt.Errorf("unplugged: %w", ErrLost)
		open, times := opener(scripted(append(every(time.Millisecond, 2), step{err: lost})...), nil, nil,
			scripted(step{wait: time.Millisecond}, step{err: &FrameError{Err: ErrFormat}}, step{wait: time.Hour}))
		l := NewLive(open, LiveConfig{Watchdog: 2 * time.Hour})
		defer shut(t, l)
		var f Frame
		index := []int{}
		for len(index) < 3 {
			if err := l.Read(context.Background(), &f); err != nil {
				t.Fatal(err)
			}
			index = append(index, f.Index)
			if len(index) == 2 {
				time.Sleep(time.Millisecond)
				if s := l.Stats(); s.Connected || !errors.Is(s.LastError, ErrLost) {
					t.Errorf("%+v while it is lost", s)
				}
			}
		}
		if fmt.Sprint(index) != "[0 1 2]" {
			t.Errorf("frames %v", index)
		}
		synctest.Wait()
		if s := l.Stats(); s.Frames != 3 || s.Drops != 0 || s.Reconnects != 1 || s.Damaged != 1 || !s.Connected || !errors.Is(s.LastError, ErrFormat) {
			t.Errorf("%+v", s)
		}
		limits(t, *times, 500*time.Millisecond, time.Second, 2*time.Second)
	})
}

// limits fails unless each pause lies between a half and the whole of what it may be.
func limits(t *testing.T, times []time.Duration, most ...time.Duration) {
	t.Helper()
	if len(times) != len(most)+1 {
		t.Fatalf("opened at %v, want %d times", times, len(most)+1)
	}
	for i, m := range most {
		if d := times[i+1] - times[i]; d < m/2 || d > m+5*time.Millisecond { // the source takes a little too
			t.Errorf("pause %d is %v, want %v to %v", i, d, m/2, m)
		}
	}
}

func TestLiveBackoffHasBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, times := opener(scripted(step{}))
		l := NewLive(open, LiveConfig{Retries: 9, MaxBackoff: 5 * time.Second})
		defer shut(t, l)
		var err error
		for err == nil {
			err = l.Read(context.Background(), new(Frame))
		}
		if !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		s := time.Second
		limits(t, *times, s/2, s, 2*s, 4*s, 5*s, 5*s, 5*s, 5*s, 5*s)
	})
}

// TestLivePausesEvenWhereOpeningWorks has a source that opens and gives nothing.
func TestLivePausesEvenWhereOpeningWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, times := opener(scripted(step{}), scripted(), scripted(), scripted(step{}), scripted())
		l := NewLive(open, LiveConfig{Retries: 3})
		defer shut(t, l)
		for l.Read(context.Background(), new(Frame)) == nil {
		}
		s := time.Second
		limits(t, *times, s/2, s, 2*s, s/2, s, 2*s)
	})
}

func TestLiveFirstOpeningFails(t *testing.T) {
	open, times := opener()
	l := NewLive(open, LiveConfig{})
	defer shut(t, l)
	for range 2 {
		if err := l.Read(context.Background(), new(Frame)); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
	if len(*times) != 1 {
		t.Errorf("opened %d times", len(*times))
	}
}

// TestLiveOutlivesAHang has a Read that does not return, deaf to its context.
func TestLiveOutlivesAHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := scripted(step{}, step{deaf: true})
		open, times := opener(first, scripted(step{}, step{wait: time.Hour}))
		l := NewLive(open, LiveConfig{Watchdog: 3 * time.Second})
		var f Frame
		if err := l.Read(context.Background(), &f); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := l.Read(ctx, &f); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := l.Read(context.Background(), &f); err != nil || f.Index != 1 {
			t.Errorf("frame %d, %v", f.Index, err)
		}
		select {
		case <-first.closed:
		default:
			t.Error("the source that hung was not closed")
		}
		if d := (*times)[1]; d < 3*time.Second || d > 4*time.Second {
			t.Errorf("opened again after %v", d)
		}
		if s := l.Stats(); s.Reconnects != 1 || !errors.Is(s.LastError, ErrLost) {
			t.Errorf("%+v", s)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// hanging is a source whose Read and Close both wait for its end.
type hanging struct{ end chan struct{} }

func (h hanging) Read(context.Context, *Frame) error { <-h.end; return fs.ErrClosed }
func (h hanging) Close() error                       { <-h.end; return nil }

// TestLiveGivesUpDrivers has sources that hang for good: not for each of them
// for ever a goroutine.
func TestLiveGivesUpDrivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hanging{make(chan struct{})}
		var opened atomic.Int32
		l := NewLive(func() (Source, error) { opened.Add(1); return h, nil }, LiveConfig{Watchdog: time.Second})
		err := l.Read(context.Background(), new(Frame))
		if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "restart the program") || opened.Load() != 4 {
			t.Errorf("%v after %d openings", err, opened.Load())
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		close(h.end)
	})
}

// TestLiveHangsInOpen has an opening that takes long and then succeeds.
func TestLiveHangsInOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := scripted(step{})
		var n atomic.Int32
		l := NewLive(func() (Source, error) {
			if n.Add(1) == 2 {
				time.Sleep(time.Minute)
				return late, nil
			}
			return scripted(step{}), nil
		}, LiveConfig{Watchdog: time.Second})
		for range 3 {
			if err := l.Read(context.Background(), new(Frame)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Minute)
		select {
		case <-late.closed:
		default:
			t.Error("the source that came too late was not closed")
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestLiveClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			name  string
			steps []step
			limit time.Duration
		}{
			{"waits", []step{{}, {wait: time.Hour}}, 0}, {"is deaf", []step{{}, {deaf: true}}, time.Second}, {"is lost", []step{{}, {err: ErrLost}}, 0},
		} {
			src := scripted(tc.steps...)
			open, _ := opener(src)
			l := NewLive(open, LiveConfig{})
			synctest.Wait()
			read := make(chan error, 1)
			go func() {
				var err error
				for err == nil {
					err = l.Read(context.Background(), new(Frame))
				}
				read <- err
			}()
			synctest.Wait()
			start := time.Now()
			for range 2 {
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}
			if d := time.Since(start); d > tc.limit {
				t.Errorf("%s: Close took %v", tc.name, d)
			}
			if err := <-read; !errors.Is(err, fs.ErrClosed) {
				t.Errorf("%s: %v", tc.name, err)
			}
			if err := l.Read(context.Background(), new(Frame)); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("%s: %v", tc.name, err)
			}
			synctest.Wait()
			<-src.closed
		}
	})
}

// TestLiveOverHTTP reads from a server that stalls, closes, sends garbage and
// refuses, in turn.
func TestLiveOverHTTP(t *testing.T) {
	a, b := jpegs(t)
	part := func(data []byte) []byte {
		return join(fmt.Sprintf("--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n", len(data)), data, "\r\n")
	}
	var turn atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := turn.Add(1)
		if n%4 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=x")
		body := [][]byte{nil, part(a), part(b), join(part([]byte("garbage")), bytes.Repeat([]byte("--x"), 1000), "\r\n")}[n%4]
		w.Write(body) //nolint:errcheck // the reader may have gone
		w.(http.Flusher).Flush()
		if n%4 == 1 {
			<-r.Context().Done() // stalls
		}
	}))
	defer s.Close()
	defer s.CloseClientConnections()
	l := OpenLive("http://u:secret@"+strings.TrimPrefix(s.URL, "http://"), Options{Timeout: 500 * time.Millisecond},
		LiveConfig{MinBackoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond})
	defer shut(t, l)
	var f Frame
	for i := range 7 {
		if err := l.Read(context.Background(), &f); err != nil || f.Width != 3 && f.Width != 5 || strings.Contains(f.Source, "secret") {
			t.Fatalf("frame %d of %s: %v", i, f.Source, err)
		}
	}
	if s := l.Stats(); s.Reconnects < 5 || s.Damaged < 1 || strings.Contains(fmt.Sprint(s.LastError), "secret") || l.Backend() != "http" {
		t.Errorf("%+v of %q", s, l.Backend())
	}
}
