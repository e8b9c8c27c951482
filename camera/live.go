package camera

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// LiveConfig says how a [Live] holds on to its source. The zero value is good.
type LiveConfig struct {
	// MinBackoff and MaxBackoff bound the pause before a lost source is opened
	// again. It doubles with each failure and is shortened by a random part of up
	// to a half, so that many cameras do not come back at the same moment. 0 is
	// 500 ms and 30 s.
	MinBackoff, MaxBackoff time.Duration
	// Retries is how often in a row a lost source is opened without giving a frame
	// before Read gives up. 0 is without end. The very first opening is not
	// repeated.
	Retries int
	// Watchdog is how long the source may neither open nor return from Read before
	// it is left to itself and opened anew. It has to be longer than the source's
	// own timeouts. 0 is 15 s, or for OpenLive what its Options need.
	Watchdog time.Duration
}

// Stats are the counts of a [Live].
type Stats struct {
	Frames     uint64 // that the source has given
	Drops      uint64 // of those, replaced by a newer one before they were read
	Damaged    uint64 // frames that could not be read or decoded
	Reconnects uint64 // openings after the first that succeeded
	Connected  bool   // the source is open
	LastError  error  // of a frame or of the source; nil if there has been none
}

// Live is a source that gives the newest frame of another one. It reads that
// without pause, so no frame waits in a queue: a Read that finds several gets the
// last, and the others count as drops. A source that fails is opened again; one
// that hangs is given up. JPEG pictures that are dropped are not decoded.
type Live struct {
	name string // for errors
	open func() (Source, error)
	c    LiveConfig
	mu   sync.Mutex
	slot Frame // of depth one
	has  bool
	next int // Index of the next source's first frame

	stats   Stats
	backend string
	err     error // final
	hung    int   // sessions that were given up and have not come back

	news       chan struct{} // something has changed
	quit, done chan struct{}
	once       sync.Once
	raw        Frame // of Read only
}

// OpenLive returns a Live of what [Options.Open] opens.
func OpenLive(uri string, o Options, c LiveConfig) *Live {
	return newLive(redactURI(uri), func() (Source, error) { return o.Open(uri) }, o.live(c))
}

// live returns c with a watchdog that waits for longer than a source with these
// options.
func (o Options) live(c LiveConfig) LiveConfig {
	if c.Watchdog <= 0 {
		c.Watchdog = max(15*time.Second, 2*o.timeout()+o.firstFrame())
	}
	return c
}

// NewLive returns a Live of the source that open opens, each time anew. It
// starts to open it at once; if that fails, Read returns the error. open may be
// called while an earlier call, which was given up, has not returned.
func NewLive(open func() (Source, error), c LiveConfig) *Live {
	return newLive("a live source", open, c)
}

func newLive(name string, open func() (Source, error), c LiveConfig) *Live {
	if c.MinBackoff <= 0 {
		c.MinBackoff = 500 * time.Millisecond
	}
	if c.MaxBackoff <= 0 {
		c.MaxBackoff = 30 * time.Second
	}
	if c.Watchdog <= 0 {
		c.Watchdog = 15 * time.Second
	}
	l := &Live{name: name, open: open, c: c, news: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go l.run()
	return l
}

// Read waits for a frame that has not been read and exchanges f for it. It
// returns when ctx ends, whatever the source does. At the end of a source that
// has one it returns io.EOF; other errors are those of the first opening, or of
// the last where Retries is set.
func (l *Live) Read(ctx context.Context, f *Frame) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		l.mu.Lock()
		has, err := l.has, l.err
		if has {
			l.slot, l.raw, l.has = l.raw, l.slot, false
		}
		l.mu.Unlock()
		switch {
		case has && l.raw.Format != mjpeg:
			*f, l.raw = l.raw, *f
			l.raw.Least = image.Point{}
			return nil
		case has:
			err := l.raw.decode(f)
			if err == nil {
				return nil
			}
			l.damaged(err)
			continue
		case err != nil:
			return err
		}
		select {
		case <-l.news:
		case <-ctx.Done():
		}
	}
}

// Stats returns the counts so far.
func (l *Live) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// Backend says what the source is read through, "" until it is open.
func (l *Live) Backend() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.backend
}

// Close ends reading. It takes a second at most, also where the source hangs.
func (l *Live) Close() error {
	l.once.Do(func() { close(l.quit) })
	<-l.done
	l.mu.Lock()
	l.has, l.err = false, errClosed
	l.mu.Unlock()
	return nil
}

func (l *Live) damaged(err error) {
	l.mu.Lock()
	l.stats.Damaged++
	l.stats.LastError = err
	l.mu.Unlock()
}

// finish makes err the last word.
func (l *Live) finish(err error) {
	l.mu.Lock()
	l.err = err
	l.stats.Connected = false
	l.mu.Unlock()
	l.notify()
}

func (l *Live) notify() {
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// run opens the source again and again.
func (l *Live) run() {
	defer close(l.done)
	backoff, failed := l.c.MinBackoff, 0
	timer := time.NewTimer(l.c.Watchdog)
	defer timer.Stop()
	for first := true; ; first = false {
		s := l.begin(first)
		err := l.watch(s, timer)
		opened, came := s.opened.Load(), s.came.Load()
		if came {
			backoff, failed = l.c.MinBackoff, 0
		}
		failed++
		l.mu.Lock()
		hung := l.hung
		l.stats.Connected = false
		if !errors.Is(err, io.EOF) && !errors.Is(err, errClosed) {
			l.stats.LastError = err
		}
		l.mu.Unlock()
		const tooMany = 4
		switch {
		case l.closed(), errors.Is(err, io.EOF), first && !opened, l.c.Retries > 0 && failed > l.c.Retries:
			l.finish(err)
			return
		case hung >= tooMany:
			l.finish(fmt.Errorf("%w; %d readers hang in the driver: restart the program", err, hung))
			return
		}
		timer.Reset(backoff - rand.N(backoff/2+1))
		select {
		case <-timer.C:
		case <-l.quit:
			l.finish(errClosed)
			return
		}
		backoff = min(2*backoff, max(l.c.MaxBackoff, l.c.MinBackoff))
	}
}

func (l *Live) closed() bool {
	select {
	case <-l.quit:
		return true
	default:
		return false
	}
}

// watch waits for the end of a session, and gives up one that hangs.
func (l *Live) watch(s *session, timer *time.Timer) error {
	timer.Reset(l.c.Watchdog)
	for {
		select {
		case e := <-s.end:
			return e.err
		case <-timer.C:
			idle := time.Since(s.start) - time.Duration(s.beat.Load())
			if idle < l.c.Watchdog {
				timer.Reset(l.c.Watchdog - idle)
				continue
			}
			s.abandon()
			return fmt.Errorf("camera: %s: %w: it has not returned for %v and is left to itself; one that is slow needs a longer LiveConfig.Watchdog",
				l.name, ErrLost, l.c.Watchdog)
		case <-l.quit:
			s.cancel()
			timer.Reset(time.Second)
			select {
			case <-s.end:
			case <-timer.C:
				s.abandon()
			}
			return errClosed
		}
	}
}

// session is one opening of the source. It runs in a goroutine that can be
// left to itself.
type session struct {
	l            *Live
	ctx          context.Context
	cancel       func()
	end          chan ending
	start        time.Time
	beat         atomic.Int64 // time since start, when the source last returned
	opened, came atomic.Bool
	mu           sync.Mutex
	src          Source
	dead         bool // given up: it must not touch l's frames any more
	over         bool // it has come to its end
	base         int  // Index of the first frame
}

// ending is what ended a session.
type ending struct{ err error }

// compressed is a source that can leave decoding to its caller.
type compressed interface {
	readPacket(context.Context, *Frame) error
}

func (l *Live) begin(first bool) *session {
	ctx, cancel := context.WithCancel(context.Background())
	s := &session{l: l, ctx: ctx, cancel: cancel, end: make(chan ending, 1), start: time.Now()}
	go func() {
		defer cancel()
		err := s.read(first)
		if src := s.take(); src != nil {
			src.Close() // the error that ended it is the one to tell
		}
		s.mu.Lock()
		dead := s.dead
		s.over = true
		s.mu.Unlock()
		if dead {
			l.mu.Lock()
			l.hung--
			l.mu.Unlock()
		}
		s.end <- ending{err}
	}()
	return s
}

// take returns the source to the one who has to close it.
func (s *session) take() Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.src
	s.src = nil
	return src
}

// abandon gives the session up. Close may hang as Read does, so nobody waits
// for it.
func (s *session) abandon() {
	s.mu.Lock()
	over := s.over
	s.dead = true
	s.mu.Unlock()
	if !over {
		s.l.mu.Lock()
		s.l.hung++
		s.l.mu.Unlock()
	}
	s.cancel()
	if src := s.take(); src != nil {
		go src.Close()
	}
}

// read opens the source and reads it to its end.
func (s *session) read(first bool) error {
	src, err := s.l.open()
	s.beat.Store(int64(time.Since(s.start)))
	if err != nil {
		return err
	}
	if !s.adopt(src, first) {
		return errClosed
	}
	readNext := src.Read
	if p, ok := src.(compressed); ok {
		readNext = p.readPacket
	}
	var f Frame
	for {
		err := readNext(s.ctx, &f)
		s.beat.Store(int64(time.Since(s.start)))
		switch {
		case frameError(err) != nil:
			s.l.damaged(err)
		case err != nil:
			return err
		case !s.put(&f):
			return errClosed
		}
	}
}

// adopt makes src the source that is read, unless the session has been given up.
func (s *session) adopt(src Source, first bool) bool {
	s.mu.Lock()
	dead := s.dead
	if !dead {
		s.src = src
	}
	s.mu.Unlock()
	if dead {
		src.Close()
		return false
	}
	s.opened.Store(true)
	s.l.mu.Lock()
	s.l.stats.Connected = true
	if !first {
		s.l.stats.Reconnects++
	}
	s.l.backend = Backend(src)
	s.l.mu.Unlock()
	return true
}

// put exchanges f for what lies in the mailbox.
func (s *session) put(f *Frame) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return false
	}
	l := s.l
	l.mu.Lock()
	if !s.came.Load() {
		s.came.Store(true)
		s.base = l.next
	}
	f.Index += s.base
	l.next = f.Index + 1
	l.stats.Frames++
	if l.has {
		l.stats.Drops++
	}
	l.slot, *f, l.has = *f, l.slot, true
	l.mu.Unlock()
	l.notify()
	return true
}
