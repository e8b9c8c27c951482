package camera

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// targetKind says how a target is opened.
type targetKind uint8

const (
	noTarget     targetKind = iota // not spelled like a camera or a stream: a path or a glob
	deviceTarget                   // a capture device of the operating system: path, index
	csiTarget                      // a camera at the CSI connector of a board: index
	streamTarget                   // an http, https, rtsp or rtsps URL: uri
	videoTarget                    // a video file that is not Motion JPEG AVI: path
	sceneTarget                    // the rendered scene
)

// target is a source as the caller spelled it, taken apart and checked.
type target struct {
	kind          targetKind
	name          string // as spelled, without passwords: for Frame.Source and errors
	uri           string // URL of a stream, with its password
	path          string // device node or file
	index         int    // of a CSI camera or a device that was given by number, else -1
	width, height int    // that the caller asks for, 0 if any
	rate          float64
	format        string // YUYV, NV12, MJPEG or GRAY8; "" if any
	frames        int    // after which the scene ends, 0 if never
	controls      []controlValue
}

// controlValue is a setting of a device.
type controlValue struct {
	name  string // as in Control
	value int32
}

// parseTarget takes uri apart. What is not spelled like a camera or a stream
// gives noTarget, which is not an error.
func parseTarget(uri string) (target, error) {
	t := target{name: redactURI(uri), index: -1}
	if scheme, _, ok := strings.Cut(uri, "://"); ok && isScheme(scheme) {
		return t, t.stream(uri, strings.ToLower(scheme))
	}
	place, query, _ := strings.Cut(uri, "?")
	switch {
	case isNumber(place):
		t.kind = deviceTarget
		t.path = "/dev/video" + place
	case strings.HasPrefix(place, "/dev/"):
		t.kind, t.path = deviceTarget, place
	case strings.HasPrefix(place, "v4l2:"):
		t.kind, t.path = deviceTarget, strings.TrimPrefix(place, "v4l2:")
		if isNumber(t.path) {
			place, t.path = t.path, "/dev/video"+t.path
		}
	case strings.HasPrefix(place, "csi:"):
		t.kind, place = csiTarget, strings.TrimPrefix(place, "csi:")
	case strings.HasPrefix(place, "test:"):
		t.kind = sceneTarget
		if place != "test:" {
			return t, fmt.Errorf("camera: %s: %w: write test:, or test:?size=640x480&rate=30&frames=100", t.name, ErrSyntax)
		}
	default:
		return t, nil
	}
	if t.kind == csiTarget && !isNumber(place) {
		return t, fmt.Errorf("camera: %s: %w: write csi:0, the number as `rpicam-vid --list-cameras` gives it", t.name, ErrSyntax)
	}
	if isNumber(place) {
		n, err := strconv.Atoi(place)
		if err != nil || n > 255 {
			return t, fmt.Errorf("camera: %s: %w: cameras are numbered 0 to 255", t.name, ErrSyntax)
		}
		t.index = n
	}
	return t, t.options(query)
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// isScheme reports whether s may stand in front of "://", RFC 3986 section 3.1.
func isScheme(s string) bool {
	for i, c := range strings.ToLower(s) {
		if (c < 'a' || c > 'z') && (i == 0 || !strings.ContainsRune("0123456789+-.", c)) {
			return false
		}
	}
	return s != ""
}

// stream checks a URL.
func (t *target) stream(uri, scheme string) error {
	switch scheme {
	case "http", "https", "rtsp", "rtsps":
	default:
		return fmt.Errorf("camera: %s: %w: streams are http, https, rtsp or rtsps", t.name, ErrUnsupported)
	}
	u, err := url.Parse(uri)
	if err != nil || u.Hostname() == "" {
		// The parser's error would show the password.
		return fmt.Errorf("camera: %s: %w: no valid URL; write special characters of a user name or password as %%XX", t.name, ErrSyntax)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("camera: %s: %w: port %s, want 1 to 65535", t.name, ErrSyntax, port)
		}
	}
	u.Scheme, u.Fragment, u.RawFragment = scheme, "", ""
	t.kind, t.uri = streamTarget, u.String()
	return nil
}

// options reads what stands behind the question mark of a camera.
func (t *target) options(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("camera: %s: %w: write options as ?size=640x480&rate=30", t.name, ErrSyntax)
	}
	known := map[targetKind]string{
		deviceTarget: "size rate format control.NAME", csiTarget: "size rate format", sceneTarget: "size rate frames",
	}[t.kind]
	for key, list := range values {
		value := list[len(list)-1]
		if control, ok := strings.CutPrefix(key, "control."); ok && t.kind == deviceTarget {
			n, err := strconv.ParseInt(value, 10, 32)
			if err != nil {
				return fmt.Errorf("camera: %s: %w: %s=%s, want a whole number", t.name, ErrSyntax, key, value)
			}
			t.controls = append(t.controls, controlValue{control, int32(n)})
			continue
		}
		if !strings.Contains(" "+known+" ", " "+key+" ") {
			return fmt.Errorf("camera: %s: %w: no option %q here; there are: %s", t.name, ErrSyntax, key, known)
		}
		if !t.set(key, value) {
			want := map[string]string{"size": "like 640x480, at most 16384 a side", "rate": "frames per second, above 0 up to 1000",
				"format": "YUYV, NV12, MJPEG or GRAY8", "frames": "a whole number"}[key]
			return fmt.Errorf("camera: %s: %w: %s=%s, want %s", t.name, ErrSyntax, key, value, want)
		}
	}
	return nil
}

// set gives an option its value and reports whether that is valid.
func (t *target) set(key, value string) bool {
	var err error
	switch key {
	case "size":
		w, h, _ := strings.Cut(strings.ToLower(value), "x")
		if !isNumber(w) || !isNumber(h) {
			return false
		}
		var errH error
		t.width, err = strconv.Atoi(w)
		t.height, errH = strconv.Atoi(h)
		return err == nil && errH == nil && t.width > 0 && t.height > 0 && t.width <= 1<<14 && t.height <= 1<<14 && t.width*t.height <= MaxPixels
	case "rate":
		t.rate, err = strconv.ParseFloat(value, 64)
		return err == nil && t.rate > 0 && t.rate <= 1000
	case "frames":
		t.frames, err = strconv.Atoi(value)
		return err == nil && t.frames >= 0
	case "format":
		t.format = strings.ToUpper(value)
		switch t.format {
		case "MJPG", "JPEG":
			t.format = "MJPEG"
		case "YUY2":
			t.format = "YUYV"
		case "GREY", "GRAY", "Y8":
			t.format = "GRAY8"
		}
		return slices.Contains(preferred, t.format)
	}
	return false
}

// userinfo matches a name and a password in front of a host, up to the last @
// of a word, since people forget to escape one in a password; secret matches
// values that cameras take in queries and paths.
var (
	userinfo = regexp.MustCompile(`(://[^:/?#@\s]*):\S*@`)
	secret   = regexp.MustCompile(`(?i)((?:pass|pwd|psw|token|secret|auth|key)[a-z]*=)[^&/;#\s]+`)
)

// redactURI is redact for what ought to be one URL from end to end, although
// there may be spaces in its password.
func redactURI(uri string) string {
	scheme, rest, found := strings.Cut(uri, "://")
	at := strings.LastIndexByte(rest, '@')
	if !found || at < 0 {
		return redact(uri)
	}
	if user, _, found := strings.Cut(rest[:at], ":"); found && !strings.ContainsAny(user, "/?#@") {
		uri = scheme + "://" + user + ":xxxxx" + rest[at:]
	}
	return redact(uri)
}

// redact hides the passwords of a URL, wherever it stands in s.
func redact(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	return secret.ReplaceAllString(userinfo.ReplaceAllString(s, "$1:xxxxx@"), "${1}xxxxx")
}
