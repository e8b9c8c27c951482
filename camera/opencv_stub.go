//go:build !gocv

package camera

// openCV opens t with OpenCV. A build without the tag gocv opens nothing, so
// Open goes on with the source that is written in Go.
//
// The file of the other build has the same function. Open calls it for devices,
// CSI cameras, streams that are not Motion JPEG over HTTP, and video files that
// are not Motion JPEG AVI; never for images, folders, globs and test:. The
// result is false where OpenCV does not take this target; an error with true is
// final. Everything in t has been checked: it opens t with the backend that its
// kind calls for, by integers, a device path or a URL, and never hands t.uri to
// a backend that would read it as a pipeline. Errors and Frame.Source say
// t.name, which holds no password.
func openCV(t target, o Options) (src Source, ok bool, err error) {
	return nil, false, nil
}

// OpenCV describes the OpenCV that this build reads with: its version and those
// of its backends that are used. It is "" in a build without the tag gocv.
func OpenCV() string { return "" }
