package camera_test

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"io"
	"time"

	"github.com/edgecam/edgecam/camera"
)

// dark is a source of three dark pictures; a real one would ask a device.
type dark struct{ index int }

// Read fills the caller's frame and keeps no reference to it.
func (d *dark) Read(ctx context.Context, f *camera.Frame) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.index == 3 {
		return io.EOF // a camera that is gone returns an error that wraps camera.ErrLost
	}
	img := image.NewGray(image.Rect(0, 0, 64, 48))
	img.SetGray(0, 0, color.Gray{Y: byte(d.index)})
	f.SetImage(img) // packed RGB; a driver's memory is copied to f.Pix
	f.Source, f.Index, f.Time = "dark", d.index, time.Now()
	d.index++
	return nil
}

func (d *dark) Close() error { return nil }

// Rate and Backend may be left out.
func (d *dark) Rate() float64   { return 25 }
func (d *dark) Backend() string { return "dark" }

// A source of one's own is read as it is, or by way of a Live, which opens it
// again when it is lost.
func ExampleSource() {
	var src camera.Source = &dark{}
	var f camera.Frame
	for src.Read(context.Background(), &f) == nil {
		fmt.Println(f.Index, f.Width, f.Height, f.Format, f.Pix[0])
	}
	l := camera.NewLive(func() (camera.Source, error) { return &dark{}, nil }, camera.LiveConfig{})
	defer l.Close() //nolint:errcheck // nothing is lost by it
	err := l.Read(context.Background(), &f)
	fmt.Println(f.Source, err)
	// Output:
	// 0 64 48 rgb24 0
	// 1 64 48 rgb24 1
	// 2 64 48 rgb24 2
	// dark <nil>
}

// A camera that sends a picture every hour, and what to say of it meanwhile.
func ExampleOpenLive() {
	l := camera.OpenLive("test:", camera.Options{FrameTimeout: 90 * time.Minute}, camera.LiveConfig{Retries: 3})
	defer l.Close() //nolint:errcheck // nothing is lost by it
	var f camera.Frame
	if err := l.Read(context.Background(), &f); err != nil {
		fmt.Println(err)
		return
	}
	s := l.Stats()
	fmt.Println(s.Connected, s.LastError, time.Since(f.Time) < time.Hour)
	// Output: true <nil> true
}
