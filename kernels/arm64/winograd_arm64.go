//go:build !noasm

package arm64

import (
	"unsafe"

	"github.com/edgecam/edgecam/kernels/ref"
)

// F32WinogradIn4 is the input transform for 4x4 outputs; see
// ref.WinogradInF32.
func F32WinogradIn4(a *ref.WinogradInF32) {
	if t, ok := wholeIn(a); ok {
		f32WinogradIn4NEON(&t)
	}
	if t, ok := restIn(a); ok {
		ref.F32WinogradIn4(&t)
	}
}

// F32WinogradIn2 is the input transform for 2x2 outputs.
func F32WinogradIn2(a *ref.WinogradInF32) {
	if t, ok := wholeIn(a); ok {
		f32WinogradIn2NEON(&t)
	}
	if t, ok := restIn(a); ok {
		ref.F32WinogradIn2(&t)
	}
}

// F32WinogradOut4 is the output transform for 4x4 outputs; see
// ref.WinogradOutF32.
func F32WinogradOut4(a *ref.WinogradOutF32) {
	if t, ok := wholeOut(a); ok {
		f32WinogradOut4NEON(&t)
	}
	if t, ok := restOut(a); ok {
		ref.F32WinogradOut4(&t)
	}
}

// F32WinogradOut2 is the output transform for 2x2 outputs.
func F32WinogradOut2(a *ref.WinogradOutF32) {
	if t, ok := wholeOut(a); ok {
		f32WinogradOut2NEON(&t)
	}
	if t, ok := restOut(a); ok {
		ref.F32WinogradOut2(&t)
	}
}

// wholeIn returns the arguments for the channels that fill vectors.
func wholeIn(a *ref.WinogradInF32) (ref.WinogradInF32, bool) {
	t := *a
	t.C &^= 3
	return t, t.C > 0
}

// restIn returns the arguments for the channels that are left.
func restIn(a *ref.WinogradInF32) (ref.WinogradInF32, bool) {
	t, c := *a, a.C&^3
	t.C -= c
	t.In, t.Out = unsafe.Add(a.In, 4*c), unsafe.Add(a.Out, 4*c)
	return t, t.C > 0
}

// wholeOut returns the arguments for the channels that fill vectors.
func wholeOut(a *ref.WinogradOutF32) (ref.WinogradOutF32, bool) {
	t := *a
	t.C &^= 3
	return t, t.C > 0
}

// restOut returns the arguments for the channels that are left.
func restOut(a *ref.WinogradOutF32) (ref.WinogradOutF32, bool) {
	t, c := *a, a.C&^3
	t.C -= c
	t.In, t.Out = unsafe.Add(a.In, 4*c), unsafe.Add(a.Out, 4*c)
	if a.Res != nil {
		t.Res = unsafe.Add(a.Res, 4*c)
	}
	return t, t.C > 0
}
