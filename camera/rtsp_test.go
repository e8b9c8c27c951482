package camera

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// rtspCamera serves an MPEG transport stream or H.264 over RTP, interleaved with
// RTSP on one connection (RFC 2326 section 10.12, RFC 2250 section 2, RFC 6184
// section 5.6).
type rtspCamera struct {
	login  string // user:password, "" if none is wanted
	stream []byte // transport stream, a multiple of 188 bytes; or H.264 as a file has it
	then   string // at the end of the stream: close, rest
}

// units returns the NAL units of H.264, nil of a transport stream. ITU-T H.264
// annex B: they stand behind 00 00 01.
func (c rtspCamera) units() [][]byte {
	start := []byte{0, 0, 1}
	if !bytes.HasPrefix(c.stream, start) && !bytes.HasPrefix(c.stream, append([]byte{0}, start...)) {
		return nil
	}
	units := bytes.Split(c.stream, start)[1:]
	for i, u := range units {
		units[i] = bytes.TrimRight(u, "\x00")
	}
	return units
}

// start returns the host and port.
func (c rtspCamera) start(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				stop := context.AfterFunc(ctx, func() { conn.Close() })
				defer stop()
				defer conn.Close()
				c.talk(ctx, conn)
			})
		}
	})
	t.Cleanup(func() { cancel(); shut(t, l); wg.Wait() })
	return l.Addr().String()
}

func (c rtspCamera) talk(ctx context.Context, conn net.Conn) {
	r := textproto.NewReader(bufio.NewReader(conn))
	for {
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		method, _, _ := strings.Cut(line, " ")
		header, err := r.ReadMIMEHeader()
		if err != nil {
			return
		}
		extra, body := "", ""
		status := "200 OK"
		switch method {
		case "OPTIONS":
			extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
		case "DESCRIBE":
			if c.login != "" && header.Get("Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte(c.login)) {
				status, extra = "401 Unauthorized", "WWW-Authenticate: Basic realm=\"camera\"\r\n"
				break
			}
			media := "33\r\n"
			if c.units() != nil {
				media = "96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"
			}
			body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=video 0 RTP/AVP " + media + "a=control:track1\r\n"
			extra = fmt.Sprintf("Content-Type: application/sdp\r\nContent-Length: %d\r\n", len(body))
		case "SETUP":
			extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
		case "PLAY":
			extra = "Session: 1\r\n"
		}
		if _, err := fmt.Fprintf(conn, "RTSP/1.0 %s\r\nCSeq: %s\r\n%s\r\n%s", status, header.Get("CSeq"), extra, body); err != nil {
			return
		}
		if method == "PLAY" {
			c.play(conn)
			if c.then == "rest" {
				<-ctx.Done()
			}
			return
		}
	}
}

// play sends the stream, seven TS packets or one NAL unit in one of RTP.
func (c rtspCamera) play(conn net.Conn) {
	number := 0
	send := func(kind byte, time int, part []byte) bool {
		p := []byte{'$', 0, 0, 0, 0x80, kind}
		binary.BigEndian.PutUint16(p[2:], uint16(12+len(part)))
		p = binary.BigEndian.AppendUint16(p, uint16(number))
		p = binary.BigEndian.AppendUint32(p, uint32(time))
		p = binary.BigEndian.AppendUint32(p, 1234)
		number++
		_, err := conn.Write(append(p, part...))
		return err == nil
	}
	units := c.units()
	for n := 0; units == nil && n*1316 < len(c.stream); n++ {
		if !send(33, n*900, c.stream[n*1316:min(len(c.stream), (n+1)*1316)]) {
			return
		}
	}
	frame := 0
	for _, u := range units {
		kind, picture := byte(96), u[0]&31 == 1 || u[0]&31 == 5
		if picture { // the last unit of a frame has the marker
			kind |= 0x80
		}
		if !send(kind, frame*3600, u) {
			return
		}
		if picture {
			frame++
		}
	}
}

func TestRTSP(t *testing.T) {
	stream, err := os.ReadFile(video(t, "a.ts", "-c:v", "mpeg2video", "-f", "mpegts"))
	if err != nil {
		t.Fatal(err)
	}
	h264 := func(t *testing.T) []byte {
		out, err := exec.Command(needFFmpeg(t), "-hide_banner", "-encoders").Output()
		if err != nil || !bytes.Contains(out, []byte("libx264")) {
			t.Skip("this ffmpeg cannot write H.264, it has no libx264")
		}
		data, err := os.ReadFile(video(t, "a.h264", "-c:v", "libx264", "-threads", "1", "-bf", "0", "-g", "5", "-pix_fmt", "yuv420p"))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Repeat(data, 3) // FFmpeg wants more than a second of it before it gives a frame
	}
	for _, tc := range []struct {
		name   string
		camera rtspCamera
		login  string
		text   string
	}{
		{"ends", rtspCamera{"", stream, "close"}, "", ""},
		{"rests", rtspCamera{"", stream, "rest"}, "", "no frame for"},
		{"with a password", rtspCamera{"me:p'w", stream, "close"}, "me:p'w@", ""},
		{"H.264", rtspCamera{"", nil, "close"}, "", ""},
		{"H.264 with a password", rtspCamera{"me:p'w", nil, "rest"}, "me:p'w@", "no frame for"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.camera.stream == nil {
				tc.camera.stream = h264(t)
			}
			src := opened(t)(Options{Timeout: 1500 * time.Millisecond}.Open("rtsp://" + tc.login + tc.camera.start(t) + "/ch1"))
			var f Frame
			n := 0
			var err error
			for ; err == nil; n++ {
				if err = src.Read(context.Background(), &f); err == nil {
					red(t, &f)
				}
			}
			if n < 20 || !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%v after %d frames", err, n)
			}
		})
	}
	t.Run("wrong password", func(t *testing.T) {
		host := rtspCamera{"me:right", stream, "close"}.start(t)
		_, err := Options{Timeout: 4 * time.Second}.Open("rtsp://me:wrong@" + host + "/ch1")
		if !errors.Is(err, ErrNotPermitted) || strings.Contains(fmt.Sprint(err), "wrong") {
			t.Error(err)
		}
	})
	t.Run("comes back", func(t *testing.T) {
		l := OpenLive("rtsp://"+rtspCamera{"", stream, "close"}.start(t)+"/ch1", Options{Timeout: 4 * time.Second}, LiveConfig{MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond})
		defer shut(t, l)
		var f Frame
		for l.Stats().Reconnects < 2 {
			if err := l.Read(context.Background(), &f); err != nil {
				t.Fatal(err)
			}
		}
		red(t, &f)
		if s := l.Stats(); !errors.Is(s.LastError, ErrLost) {
			t.Errorf("%+v", s)
		}
	})
}
