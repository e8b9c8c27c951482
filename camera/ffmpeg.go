package camera

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// openFFmpeg decodes a stream or a video file through the program ffmpeg. Its
// arguments are fixed; what the caller gave stands in one of them, as the URL
// of an allowed protocol or as a path that no protocol can be read from. Frames
// come as PPM files in a row, so that their size is known: rgb24, by FFmpeg's
// own colour conversion, which knows the stream's matrix and range.
func openFFmpeg(t target, o Options) (Source, error) {
	u := new(url.URL)
	if t.kind == streamTarget {
		var err error
		if u, err = url.Parse(t.uri); err != nil {
			return nil, fmt.Errorf("camera: %s: %w", t.name, ErrSyntax)
		}
		if strings.HasPrefix(u.Scheme, "rtsp") {
			if err := greet(t, u, o.timeout()); err != nil {
				return nil, err
			}
		}
	}
	src, err := runFFmpeg(t, o, u, "-fps_mode")
	if err != nil && strings.Contains(err.Error(), "fps_mode") { // before FFmpeg 5.1 it has another name
		return runFFmpeg(t, o, u, "-vsync")
	}
	return src, err
}

// runFFmpeg starts ffmpeg and waits for the first frame. passthrough is what
// it calls the option that takes frames as they come, neither doubled nor dropped.
func runFFmpeg(t target, o Options, u *url.URL, passthrough string) (Source, error) {
	args, stdin := ffmpegArgs(t, u, passthrough)
	c, err := startChild(t, []string{"ffmpeg"}, args, stdin,
		"`sudo apt install ffmpeg` reads it, or the edition of edgecam that is built with OpenCV")
	if err != nil {
		return nil, err
	}
	frames := 0
	s := newFeed(t, "ffmpeg", o.frame(), func(f *Frame) error {
		err := nextPPM(c.r, f)
		f.Time = time.Now()
		if err == nil {
			frames++
			return nil
		}
		return ffmpegEnd(t, u, c.verdict(), err, frames)
	}, c.stop)
	if err := s.first(o.firstFrame()); err != nil {
		return nil, err
	}
	if t.kind == videoTarget {
		s.rate = probeRate(t.path, o.firstFrame())
	}
	return s, nil
}

// probeRate asks ffprobe, which comes with ffmpeg, for the frames a second of a
// file: the average, since the distances may vary. It returns 0 where nobody
// tells.
func probeRate(path string, timeout time.Duration) float64 {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ffprobe", "-loglevel", "error", "-protocol_whitelist", "file", "-select_streams", "v:0",
		"-show_entries", "stream=avg_frame_rate", "-of", "default=noprint_wrappers=1:nokey=1", "-i", "file:"+path)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	frames, seconds, _ := strings.Cut(strings.TrimSpace(line), "/")
	a, errA := strconv.ParseFloat(frames, 64)
	b, errB := strconv.ParseFloat(seconds, 64)
	if errA != nil || errB != nil {
		return 0
	}
	return sane(a / b)
}

// ffmpegArgs returns the arguments and the standard input that make ffmpeg read
// t. A URL with a password goes through standard input, as a list of one entry,
// because everyone on the machine can see the arguments of a program.
func ffmpegArgs(t target, u *url.URL, passthrough string) (args []string, stdin string) {
	args = []string{"-hide_banner", "-loglevel", "error"}
	input := []string{"-max_pixels", strconv.Itoa(MaxPixels), "-an", "-sn", "-dn"}
	switch {
	case t.kind != streamTarget:
		args = append(append(args, "-nostdin", "-protocol_whitelist", "file"), append(input, "-i", "file:"+t.path)...)
	default:
		allowed, options := "http,https,tcp,tls,crypto", ""
		if strings.HasPrefix(u.Scheme, "rtsp") {
			allowed, options = "rtsp,rtsps,rtp,tcp,tls,crypto", "option rtsp_transport tcp\n"
			args = append(args, "-flags", "low_delay") // or the decoder holds back a frame for each thread
		}
		if t.name == t.uri { // nothing had to be hidden
			if options != "" {
				args = append(args, "-rtsp_transport", "tcp")
			}
			args = append(append(args, "-nostdin", "-protocol_whitelist", allowed), append(input, "-i", t.uri)...)
			break
		}
		stdin = "ffconcat version 1.0\nfile '" + strings.ReplaceAll(t.uri, "'", "%27") + "'\n" + options
		args = append(append(args, "-f", "concat", "-safe", "0", "-protocol_whitelist", "pipe,"+allowed), append(input, "-i", "pipe:0")...)
	}
	return append(args, "-map", "0:v:0", passthrough, "passthrough", "-pix_fmt", "rgb24", "-c:v", "ppm", "-f", "image2pipe", "pipe:1"), stdin
}

// ffmpegEnd makes the error of a stream that has ended: said is what ffmpeg
// says about it, cause what reading its output gave.
func ffmpegEnd(t target, u *url.URL, said, cause error, frames int) error {
	switch {
	case !errors.Is(cause, io.EOF) && !errors.Is(cause, io.ErrUnexpectedEOF):
		return t.lost("ffmpeg", cause)
	case said == nil && frames == 0:
		return fmt.Errorf("camera: %s: ffmpeg: %w: it holds no picture", t.name, ErrFormat)
	case said == nil && strings.HasPrefix(u.Scheme, "rtsp"):
		return fmt.Errorf("camera: %s: ffmpeg: %w: the camera ended the stream", t.name, ErrLost)
	case said == nil:
		return io.EOF
	}
	text := redact(said.Error())
	if password, ok := u.User.Password(); ok && password != "" {
		for _, p := range []string{password, strings.TrimPrefix(url.UserPassword("", password).String(), ":")} {
			text = strings.ReplaceAll(text, p, "xxxxx")
		}
	}
	sentinel := ErrLost
	if t.kind == videoTarget {
		sentinel = ErrFormat
	}
	return fmt.Errorf("camera: %s: ffmpeg: %w: %s", t.name, meaning(text, sentinel), text)
}

// nextPPM reads one binary PPM file as FFmpeg writes it: P6, width, height and
// 255, each on a line or behind a space, and the pixels.
func nextPPM(r *bufio.Reader, f *Frame) error {
	var size [3]int
	for i := range 4 {
		word, err := ppmWord(r)
		switch {
		case err != nil && i == 0 && word == "":
			return err
		case err != nil:
			return unexpected(err)
		case i == 0 && word != "P6":
			return fmt.Errorf("%w: no PPM picture", ErrFormat)
		case i > 0:
			if size[i-1], err = strconv.Atoi(word); err != nil || size[i-1] < 1 || size[i-1] > 1<<15 {
				return fmt.Errorf("%w: PPM header with %q", ErrFormat, word)
			}
		}
	}
	if err := checkSize(size[0], size[1]); err != nil {
		return err
	}
	if size[2] != 255 {
		return fmt.Errorf("%w: PPM picture of %d levels", ErrFormat, size[2])
	}
	f.reset(size[0], size[1])
	_, err := io.ReadFull(r, f.Pix)
	return unexpected(err)
}

// ppmWord reads up to and with the next white space.
func ppmWord(r *bufio.Reader) (string, error) {
	var b [8]byte
	for n := range b {
		c, err := r.ReadByte()
		if err != nil {
			return string(b[:n]), err
		}
		if c == '\n' || c == ' ' {
			return string(b[:n]), nil
		}
		b[n] = c
	}
	return string(b[:]), fmt.Errorf("%w: PPM header with %q", ErrFormat, b[:])
}

// greet asks an RTSP server for its options, to tell at once what ffmpeg would
// need its patience for: that nobody is there.
func greet(t target, u *url.URL, timeout time.Duration) error {
	port := u.Port()
	if port == "" {
		port = map[string]string{"rtsp": "554", "rtsps": "322"}[u.Scheme]
	}
	end := time.Now().Add(timeout)
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(u.Hostname(), port), timeout)
	var n net.Error
	switch {
	case errors.As(err, &n) && n.Timeout():
		return fmt.Errorf("camera: %s: rtsp: %w: no answer within %v; %s", t.name, ErrLost, timeout, silent)
	case err != nil:
		return t.refused("rtsp", err)
	}
	defer conn.Close()
	if u.Scheme == "rtsps" {
		// Nothing secret is sent here. What the certificate is worth is for ffmpeg to judge.
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: u.Hostname()})
	}
	if err := conn.SetDeadline(end); err != nil {
		return t.refused("rtsp", err)
	}
	where := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}
	head := make([]byte, 5)
	if _, err = fmt.Fprintf(conn, "OPTIONS %s RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: edgecam\r\n\r\n", where.String()); err == nil {
		_, err = io.ReadFull(conn, head)
	}
	switch {
	case errors.As(err, &n) && n.Timeout():
		return fmt.Errorf("camera: %s: rtsp: %w: no answer within %v; %s", t.name, ErrLost, timeout, silent)
	case err != nil:
		return t.refused("rtsp", unexpected(err))
	case !bytes.Equal(head, []byte("RTSP/")):
		return fmt.Errorf("camera: %s: rtsp: %w: the answer is not RTSP; check the port", t.name, ErrFormat)
	}
	return nil
}
