package camera

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTarget(t *testing.T) {
	for _, tc := range []struct {
		uri  string
		want target
	}{
		{"0", target{kind: deviceTarget, path: "/dev/video0", index: 0}},
		{"12?size=640x480&rate=29.97", target{kind: deviceTarget, path: "/dev/video12", index: 12, width: 640, height: 480, rate: 29.97}},
		{"/dev/video2?format=mjpeg", target{kind: deviceTarget, path: "/dev/video2", index: -1, format: "MJPEG"}},
		{"/dev/v4l/by-id/usb-046d_C920-video-index0?format=yuy2", target{kind: deviceTarget, path: "/dev/v4l/by-id/usb-046d_C920-video-index0", index: -1, format: "YUYV"}},
		{"v4l2:/dev/video0?format=GREY", target{kind: deviceTarget, path: "/dev/video0", index: -1, format: "GRAY8"}},
		{"v4l2:3", target{kind: deviceTarget, path: "/dev/video3", index: 3}},
		{"0?control.brightness=-5", target{kind: deviceTarget, path: "/dev/video0", controls: []controlValue{{"brightness", -5}}}},
		{"csi:1?size=1280X720&format=NV12", target{kind: csiTarget, index: 1, width: 1280, height: 720, format: "NV12"}},
		{"test:?frames=9&size=32x32", target{kind: sceneTarget, index: -1, frames: 9, width: 32, height: 32}},
		{"RTSP://host:554/a?b=c#d", target{kind: streamTarget, index: -1, uri: "rtsp://host:554/a?b=c"}},
		{"http://u:p%40@[::1]:80/x", target{kind: streamTarget, index: -1, uri: "http://u:p%40@[::1]:80/x", name: "http://u:xxxxx@[::1]:80/x"}},
		{"picture.jpg", target{index: -1}},
		{"", target{index: -1}},
		{"v4l2src device=/dev/video0 ! filesink location=/etc/x", target{index: -1}},
		{"rtspsrc location=rtsp://a/b ! fakesink", target{index: -1}},
		{"a|b://c", target{index: -1}},
	} {
		if tc.want.name == "" {
			tc.want.name = tc.uri
		}
		got, err := parseTarget(tc.uri)
		if err != nil {
			t.Errorf("%q: %v", tc.uri, err)
		}
		if d := cmp.Diff(tc.want, got, cmp.AllowUnexported(target{}, controlValue{})); d != "" {
			t.Errorf("%q (-want +got):\n%s", tc.uri, d)
		}
	}
}

func TestParseTargetErrors(t *testing.T) {
	for _, tc := range []struct {
		uri  string
		want error
		text string
	}{
		{"0?size=640", ErrSyntax, "640x480"},
		{"0?size=0x480", ErrSyntax, "640x480"},
		{"0?size=-1x480", ErrSyntax, "640x480"},
		{"0?size=20000x1", ErrSyntax, "16384"},
		{"0?size=16384x16384", ErrSyntax, "size="},
		{"0?size=9999999999999999999999x1", ErrSyntax, "size="},
		{"0?rate=0", ErrSyntax, "1000"},
		{"0?rate=NaN", ErrSyntax, "1000"},
		{"0?rate=1e9", ErrSyntax, "1000"},
		{"0?format=H264", ErrSyntax, "NV12"},
		{"0?format=", ErrSyntax, "NV12"},
		{"0?frames=3", ErrSyntax, "size rate format"},
		{"0?control.gain=high", ErrSyntax, "whole number"},
		{"0?size=640x480;rate=3", ErrSyntax, "?size=640x480&rate=30"},
		{"256", ErrSyntax, "0 to 255"},
		{"99999999999999999999", ErrSyntax, "0 to 255"},
		{"csi:", ErrSyntax, "csi:0"},
		{"csi:0; reboot", ErrSyntax, "csi:0"},
		{"csi:-1", ErrSyntax, "csi:0"},
		{"csi:0?control.gain=1", ErrSyntax, "size rate format"},
		{"test:scene", ErrSyntax, "test:?"},
		{"test:?frames=-1", ErrSyntax, "whole number"},
		{"file:///etc/passwd", ErrUnsupported, "rtsp"},
		{"concat://a", ErrUnsupported, "rtsp"},
		{"http://", ErrSyntax, "URL"},
		{"http://host:99999/", ErrSyntax, "65535"},
		{"rtsp://u:secret%zz@host/", ErrSyntax, "%XX"},
		{"rtsp://u:sec/ret@host/", ErrSyntax, "%XX"},
	} {
		_, err := parseTarget(tc.uri)
		if !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.text) || strings.Contains(fmt.Sprint(err), "ret") {
			t.Errorf("%q: %v, want %v naming %q", tc.uri, err, tc.want, tc.text)
		}
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"rtsp://host/ch1":                             "rtsp://host/ch1",
		"rtsp://user@host/ch1":                        "rtsp://user@host/ch1",
		"rtsp://user:pw@host/ch1":                     "rtsp://user:xxxxx@host/ch1",
		"rtsp://:pw@host/ch1":                         "rtsp://:xxxxx@host/ch1",
		"rtsp://user:p@w/:#?@host/ch1":                "rtsp://user:xxxxx@host/ch1",
		"http://host/v.cgi?user=a&pwd=s3&x=1":         "http://host/v.cgi?user=a&pwd=xxxxx&x=1",
		"http://host/v?loginPassword=s3":              "http://host/v?loginPassword=xxxxx",
		"rtsp://host/user=a_password=tlJw_channel=1":  "rtsp://host/user=a_password=xxxxx",
		"Error of rtsp://u:p@h/x: no; http://a:b@c/d": "Error of rtsp://u:xxxxx@h/x: no; http://a:xxxxx@c/d",
		"key=value without a URL":                     "key=value without a URL",
	} {
		if got := redact(in); got != want {
			t.Errorf("%q -> %q, want %q", in, got, want)
		}
	}
}

// TestNoPasswordInErrors spells sources wrongly in ways that show a password.
func TestNoPasswordInErrors(t *testing.T) {
	for _, uri := range []string{
		"rtsp://user:my secret@host/", "rtsp://user:a secret b@host:99999/", "http://user:secret@ho st/", "gopher://user:my secret@host/",
		"rtspsrc location=rtsp://user:secret@host/*", "rtspsrc location=rtsp://user:secret@host/[", "rtsp://user:secret@", "rtsp://user:secret@/x", "http://:secret@[::1/",
		"https://host:99999/?pwd=secret", "http://host:0/x;password=secret",
	} {
		src, err := Open(uri)
		if src != nil || err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, %v", src, err)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"0?size=1x1", "csi:0", "rtsp://u:p@h/x?y#z", "test:?rate=1", "v4l2:/dev/video0?control.a=1", "http://[::1]:1/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		got, err := parseTarget(uri)
		if err == nil && got.kind == streamTarget && !strings.HasPrefix(got.uri, "http") && !strings.HasPrefix(got.uri, "rtsp") {
			t.Errorf("%q becomes the stream %q", uri, got.uri)
		}
	})
}
