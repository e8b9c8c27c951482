package camera

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// child is a program that writes frames to a pipe. It is started with a fixed
// list of arguments, never by a shell.
type child struct {
	program string
	cmd     *exec.Cmd
	out     *os.File
	r       *bufio.Reader
	tail    tail
	ended   chan struct{} // closed when the program has ended
	err     error         // how, once it has
}

// startChild runs the first of the programs that is installed. hint says what
// to install where none is.
func startChild(t target, programs []string, args []string, stdin, hint string) (*child, error) {
	var path string
	var err error
	for _, name := range programs {
		if path, err = exec.LookPath(name); err == nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("camera: %s: %w: %s is not installed; %s", t.name, ErrUnsupported, programs[0], hint)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("camera: %s: %w", t.name, err)
	}
	c := &child{program: programs[0], out: read, r: bufio.NewReaderSize(read, 1<<16), ended: make(chan struct{})}
	c.cmd = exec.Command(path, args...)
	c.cmd.Stdout, c.cmd.Stderr = write, &c.tail
	c.cmd.Env = append(os.Environ(), "LC_ALL=C", "AV_LOG_FORCE_NOCOLOR=1") // errors are searched for words
	c.cmd.WaitDelay = time.Second
	if stdin != "" {
		c.cmd.Stdin = strings.NewReader(stdin)
	}
	ownGroup(c.cmd)
	err = c.cmd.Start()
	write.Close()
	if err != nil {
		read.Close()
		return nil, fmt.Errorf("camera: %s: %s: %w: %w", t.name, c.program, ErrUnsupported, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

// stop kills the program and waits for its end. A read of the pipe returns.
func (c *child) stop() {
	kill(c.cmd)
	<-c.ended
	c.out.Close()
}

// verdict waits for a program that has closed its output and returns how it
// ended: nil, or an error with the last lines that it wrote to stderr.
func (c *child) verdict() error {
	select {
	case <-c.ended:
	case <-time.After(time.Second):
		return fmt.Errorf("%s closed its output but goes on; it said: %s", c.program, c.tail.String())
	}
	if c.err == nil {
		return nil
	}
	said := c.tail.String()
	if said == "" {
		said = c.err.Error()
	}
	return errors.New(said)
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	const size = 2048
	t.buf = append(t.buf, p[max(0, len(p)-size):]...)
	t.buf = append(t.buf[:0], t.buf[max(0, len(t.buf)-size):]...)
	return len(p), nil
}

// String returns the last three lines in one, without control characters.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.buf)), "\n")
	text := strings.Join(lines[max(0, len(lines)-3):], "; ")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?")))
}

// meaning finds the sentinel of what a program wrote to stderr.
func meaning(said string, other error) error {
	said = strings.ToLower(said)
	for _, m := range []struct {
		words    string
		sentinel error
	}{
		{"401 unauthorized|403 forbidden|authorization failed|permission denied|operation not permitted", ErrNotPermitted},
		{"resource busy|in use by another|failed to acquire camera", ErrBusy},
		{"404 not found|connection refused|no route to host|network is unreachable|failed to resolve|no such file|name or service not known|no cameras available|" +
			"selected camera is not available", ErrNotFound},
		{"invalid data found|moov atom not found|does not contain any stream|matches no streams|unknown decoder|decoder not found", ErrFormat},
	} {
		for word := range strings.SplitSeq(m.words, "|") {
			if strings.Contains(said, word) {
				return m.sentinel
			}
		}
	}
	return other
}
