package sdk

import (
	"github.com/edgecam/edgecam/internal/engine"
	"github.com/edgecam/edgecam/internal/onnx"
	"github.com/edgecam/edgecam/internal/op"
	"github.com/edgecam/edgecam/internal/pass"
	"github.com/edgecam/edgecam/internal/tensor"
)

// The errors that others wrap; test for them with errors.Is.
var (
	// ErrFormat is returned when a file is not an ONNX model that can be read.
	ErrFormat = onnx.ErrFormat
	// ErrUnsupported is returned when a model uses an operator, attribute or
	// element type that edgecam does not compute; see UnsupportedError.
	ErrUnsupported = op.ErrUnsupported
	// ErrShape is returned when the sizes of a model's tensors do not fit its
	// operators.
	ErrShape = op.ErrShape
	// ErrInput is returned when given names, types or sizes of inputs are not
	// those that the model declares.
	ErrInput = pass.ErrInput
	// ErrNeedValue is returned when sizes inside a model depend on the
	// contents of an input: give it in SessionConfig.Values.
	ErrNeedValue = op.ErrNeedValue
	// ErrMemory is returned when a session would need more memory than
	// SessionConfig.MemoryLimit allows.
	ErrMemory = tensor.ErrMemory
	// ErrClosed is returned by calls after Close.
	ErrClosed = engine.ErrClosed
	// ErrBusy is returned by a Run of a session that is already running.
	ErrBusy = engine.ErrBusy
)

// UnsupportedError lists everything in a model that edgecam does not compute.
// It wraps ErrUnsupported; find it with errors.As.
type UnsupportedError = pass.UnsupportedError

// Problem is one node of a model that cannot run, and why.
type Problem = pass.Problem
