package camera

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// openHTTP opens a stream of Motion JPEG over HTTP, in parts
// (multipart/x-mixed-replace) or as pictures in a row, or a single picture.
// Other video goes to OpenCV or FFmpeg.
func (o Options) openHTTP(t target) (Source, error) {
	resp, stop, err := o.get(t)
	if err != nil {
		return nil, err
	}
	fail := func(sentinel error, why string) (Source, error) {
		stop()
		return nil, fmt.Errorf("camera: %s: http: %w: %s", t.name, sentinel, why)
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		why := "user name and password are not accepted"
		if u, err := url.Parse(t.uri); err == nil && u.User == nil {
			why = "it wants a user name and a password: http://USER:PASSWORD@" + u.Host + "/..."
		} else if digest := resp.Header.Get("WWW-Authenticate"); strings.HasPrefix(strings.ToLower(digest), "digest") {
			why = "it wants digest authentication, only basic authentication is known: set the camera to basic, or use its rtsp:// address"
		}
		return fail(ErrNotPermitted, resp.Status+": "+why)
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone:
		return fail(ErrNotFound, resp.Status+": check the path of the camera's stream")
	case resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusTooManyRequests:
		return fail(ErrBusy, resp.Status+": perhaps it has too many viewers")
	case resp.StatusCode != http.StatusOK:
		return fail(ErrLost, resp.Status+": open the address in a browser to see what the camera says")
	}
	kind, params, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // cameras spell it in every way
	if kind == "" {
		kind, _, _ = strings.Cut(strings.ToLower(resp.Header.Get("Content-Type")), ";")
	}
	r := bufio.NewReaderSize(resp.Body, 1<<16)
	start := []byte(nil)
	if kind == "" || kind == "application/octet-stream" {
		// Peek waits for as many bytes as it is asked for, so ask for few.
		timer := time.AfterFunc(max(o.timeout(), o.frame()), stop)
		start, err = r.Peek(2)
		switch inTime := timer.Stop(); {
		case !inTime:
			return fail(ErrLost, fmt.Sprintf("no data within %v; %s", max(o.timeout(), o.frame()), slower))
		case err != nil:
			return fail(ErrLost, "the answer is empty; open the address in a browser to see what the camera says")
		}
	}
	next := (func(*Frame) error)(nil)
	switch {
	case strings.HasPrefix(strings.TrimSpace(kind), "multipart/") || string(start) == "--":
		next = (&parts{r: r, core: strings.Trim(params["boundary"], "-")}).next
	case kind == "image/jpeg" || kind == "image/png" || kind == "image/webp":
		next = single(r)
	case kind == "video/x-motion-jpeg" || kind == "video/x-jpeg" || kind == "video/mjpeg" || kind == "image/jpg" || string(start) == "\xff\xd8":
		next = func(f *Frame) error { return unexpected(nextJPEG(r, f)) }
	case strings.HasPrefix(kind, "text/") || kind == "application/json":
		return fail(ErrFormat, "the answer is "+kind+", no video: look up the address of the camera's stream")
	default:
		stop()
		return o.openDecoder(t)
	}
	return newFeed(t, "http", o.frame(), func(f *Frame) error { return t.lost("http", next(f)) }, stop), nil
}

// lost gives the end of a live stream, and errors of the system, their place.
func (t target) lost(backend string, err error) error {
	if bad := frameError(err); bad != nil {
		bad.Source = t.name
		return err
	}
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return err
	case errors.Is(err, ErrFormat):
		return fmt.Errorf("camera: %s: %s: %w", t.name, backend, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("camera: %s: %s: %w: the other side closed the connection", t.name, backend, ErrLost)
	}
	return fmt.Errorf("camera: %s: %s: %w: %w", t.name, backend, ErrLost, err)
}

// get asks for the stream. stop ends it, at any time.
func (o Options) get(t target) (*http.Response, func(), error) {
	u, err := url.Parse(t.uri)
	if err != nil {
		return nil, nil, fmt.Errorf("camera: %s: http: %w", t.name, ErrSyntax)
	}
	user := u.User
	u.User = nil // or the client's errors would name it
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		cancel()
		return nil, nil, fmt.Errorf("camera: %s: http: %w", t.name, ErrSyntax)
	}
	req.Header.Set("User-Agent", "edgecam")
	if user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 1 << 16,
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}} // HTTP/1 only
	client := &http.Client{Transport: transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		if next.URL.Scheme != u.Scheme {
			return fmt.Errorf("it redirects to %s://%s; open that address instead", next.URL.Scheme, next.URL.Host)
		}
		if len(via) > 5 {
			return errors.New("it redirects more than 5 times")
		}
		return nil
	}}
	timer := time.AfterFunc(o.timeout(), cancel)
	resp, err := client.Do(req)
	inTime := timer.Stop()
	if err == nil && inTime {
		return resp, func() { cancel(); resp.Body.Close(); transport.CloseIdleConnections() }, nil
	}
	cancel()
	if err == nil {
		resp.Body.Close()
	}
	transport.CloseIdleConnections()
	if !inTime {
		return nil, nil, fmt.Errorf("camera: %s: http: %w: no answer within %v; %s", t.name, ErrLost, o.timeout(), silent)
	}
	return nil, nil, t.refused("http", err)
}

// refused explains why a connection was not made.
func (t target) refused(backend string, err error) error {
	var outer *url.Error
	if errors.As(err, &outer) { // it repeats the address
		err = outer.Err
	}
	sentinel, next := ErrLost, ""
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &dns):
		sentinel, next = ErrNotFound, "; check the host's name"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		sentinel, next = ErrNotFound, "; check the address and the port, and that the camera is on"
	case errors.As(err, &cert):
		sentinel, next = ErrNotPermitted, "; add the camera's certificate to those that the system trusts"
	case strings.HasPrefix(err.Error(), "it redirects"):
		sentinel = ErrUnsupported
	case errors.Is(err, io.EOF):
		err = errors.New("the other side closed the connection without an answer")
	}
	return fmt.Errorf("camera: %s: %s: %w: %w%s", t.name, backend, sentinel, redacted{err}, next)
}

// redacted is an error whose text shows no password.
type redacted struct{ error }

func (r redacted) Error() string { return redact(r.error.Error()) }
func (r redacted) Unwrap() error { return r.error }

// single gives the one picture that r holds.
func single(r io.Reader) func(*Frame) error {
	end := false
	return func(f *Frame) error {
		if end {
			return io.EOF
		}
		end = true
		var b bytes.Buffer
		if n, err := b.ReadFrom(io.LimitReader(r, maxPart+1)); err != nil {
			return err
		} else if n > maxPart {
			return &FrameError{Err: fmt.Errorf("%w: more than %d bytes", ErrTooLarge, maxPart)}
		}
		f.Pix, f.Format, f.Time = b.Bytes(), mjpeg, time.Now()
		return nil
	}
}
