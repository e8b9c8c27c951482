package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1 // failed while running
	exitUsage       = 2 // wrong usage or configuration
	exitSource      = 3 // source not found, busy, not permitted, lost or no pictures
	exitModel       = 4 // model invalid or not supported
	exitGate        = 5 // a quality gate was missed
	exitInterrupted = 130
)

// errReported ends a command whose errors have been printed already.
var errReported = errors.New("some inputs failed")

// exitError gives an error its exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usage returns an error about the command line.
func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// modelError returns an error about the model.
func modelError(err error) error { return &exitError{exitModel, err} }

// sourceError gives an error of opening or reading a source its code. A damaged
// frame among others is not one; see job.damaged.
func sourceError(err error) error {
	if errors.Is(err, camera.ErrSyntax) {
		return &exitError{exitUsage, err}
	}
	for _, e := range []error{camera.ErrNotFound, camera.ErrNotPermitted, camera.ErrBusy, camera.ErrLost, camera.ErrFormat, camera.ErrUnsupported, fs.ErrNotExist, fs.ErrPermission} {
		if errors.Is(err, e) {
			return &exitError{exitSource, err}
		}
	}
	return &exitError{exitFailed, err}
}

// exitCode returns the exit code of a command that ended with err.
func exitCode(err error) int {
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	// What cobra reports by itself is about the command line.
	if strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "required flag") {
		return exitUsage
	}
	return exitFailed
}

// load loads the model of -m.
func load(path string) (*sdk.Model, error) {
	if path == "" {
		return nil, usage("no model given: pass -m MODEL.onnx (this build has no embedded model)")
	}
	m, err := sdk.Load(path)
	if err != nil {
		return nil, modelError(err)
	}
	return m, nil
}

// newSession makes a session.
func newSession(m *sdk.Model, c sdk.SessionConfig) (*sdk.Session, error) {
	s, err := m.NewSession(c)
	if err != nil {
		return nil, sessionError(err)
	}
	return s, nil
}

// sessionError gives an error of making a session its code: it is about the
// inputs given on the command line, the rung forced by the environment, or
// else the model.
func sessionError(err error) error {
	if errors.Is(err, sdk.ErrInput) {
		return &exitError{exitUsage, err}
	}
	if _, _, rung := sdk.Kernels(); rung != nil {
		return &exitError{exitUsage, rung}
	}
	return modelError(err)
}
