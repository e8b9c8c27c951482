//go:build gocv

package camera

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// rtspServer is a camera with one stream of Motion JPEG in RTP over TCP.
type rtspServer struct {
	user   string // "name:password" in base64, or "" for none
	frames int    // after which nothing comes
	closes bool   // the connection then, rather than stalling
	silent bool   // answers to OPTIONS alone
}

// serve starts the server and returns its address.
func (s rtspServer) serve(t *testing.T) string {
	t.Helper()
	return listen(t, func(conn net.Conn, done <-chan struct{}) {
		r := textproto.NewReader(bufio.NewReader(conn))
		for {
			line, err := r.ReadLine()
			if err != nil {
				return
			}
			header, err := r.ReadMIMEHeader()
			if err != nil {
				return
			}
			method, _, _ := strings.Cut(line, " ")
			if s.silent && method != "OPTIONS" {
				<-done
				return
			}
			status, extra, body := "200 OK", "", ""
			switch method {
			case "OPTIONS":
				extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
			case "DESCRIBE":
				extra = "Content-Type: application/sdp\r\n"
				body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=framerate:50\r\na=control:track\r\n"
				if s.user != "" && header.Get("Authorization") != "Basic "+s.user {
					status, extra, body = "401 Unauthorized", "WWW-Authenticate: Basic realm=\"camera\"\r\n", ""
				}
			case "SETUP":
				extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
			}
			fmt.Fprintf(conn, "RTSP/1.0 %s\r\nCSeq: %s\r\n%sContent-Length: %d\r\n\r\n%s", status, header.Get("CSeq"), extra, len(body), body)
			if method == "PLAY" {
				s.play(conn, done)
				return
			}
		}
	})
}

// play sends the frames, one every 20 ms.
func (s rtspServer) play(conn net.Conn, done <-chan struct{}) {
	for i := range s.frames {
		if _, err := conn.Write(rtpJPEG(i)); err != nil {
			return
		}
		select {
		case <-done:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	if !s.closes {
		<-done
	}
}

// listen accepts connections until the test ends.
func listen(t *testing.T, handle func(conn net.Conn, done <-chan struct{})) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { close(done); shut(t, l) })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { handle(conn, done); conn.Close() }()
		}
	}()
	return l.Addr().String()
}

// flat is a picture of one gray that tells its number.
func flat(i int) *image.YCbCr {
	img := image.NewYCbCr(image.Rect(0, 0, 64, 48), image.YCbCrSubsampleRatio420)
	gray := color.Gray{Y: uint8(40 + 10*(i%20))}
	for k := range img.Y {
		img.Y[k] = gray.Y
	}
	for k := range img.Cb {
		img.Cb[k], img.Cr[k] = 128, 128
	}
	return img
}

// rtpJPEG is frame i as one interleaved RTP packet: RFC 2326 section 10.12,
// RFC 3550 section 5.1 and RFC 2435 section 3.1 with the tables in the packet.
func rtpJPEG(i int) []byte {
	var file bytes.Buffer
	if err := jpeg.Encode(&file, flat(i), nil); err != nil {
		panic(err)
	}
	b := file.Bytes()
	tables := bytes.Index(b, []byte{0xff, 0xdb}) + 4
	scan := bytes.Index(b, []byte{0xff, 0xda})
	scan += 2 + int(binary.BigEndian.Uint16(b[scan+2:]))
	p := []byte{0x80, 0x80 | 26}
	p = binary.BigEndian.AppendUint16(p, uint16(i))
	p = binary.BigEndian.AppendUint32(p, uint32(i)*90000/50)
	p = append(p, 0, 0, 0, 1) // source
	p = append(p, 0, 0, 0, 0, 1, 255, 64/8, 48/8, 0, 0, 0, 128)
	p = append(p, b[tables+1:tables+65]...)
	p = append(p, b[tables+66:tables+130]...)
	p = append(p, b[scan:len(b)-2]...)
	return append([]byte{'$', 0, byte(len(p) >> 8), byte(len(p))}, p...)
}
