package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgecam/edgecam/sdk"
)

// The states of a check.
const (
	statusOK   = "ok"
	statusWarn = "warn" // works, but slower or not everything
	statusFail = "fail"
)

// check is one line of edgecam doctor, also as JSON.
type check struct {
	Schema string `json:"schema"`
	Check  string `json:"check"`
	Status string `json:"status"`
	Text   string `json:"text"`
	Fix    string `json:"fix,omitempty"`
}

// ok, warn and fail make checks.
func ok(name, format string, args ...any) check {
	return check{"edgecam.doctor/1", name, statusOK, fmt.Sprintf(format, args...), ""}
}

func warn(name, fix, format string, args ...any) check {
	return check{"edgecam.doctor/1", name, statusWarn, fmt.Sprintf(format, args...), fix}
}

func fail(name, fix, format string, args ...any) check {
	return check{"edgecam.doctor/1", name, statusFail, fmt.Sprintf(format, args...), fix}
}

func newDoctor(o output, m *machine) *cobra.Command {
	var model string
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor [-m MODEL]",
		Short: "Look for what stands in the way of a camera or of speed, with the fix of each",
		Long: `Looks for what stands in the way of a camera or of speed and prints a line for
each thing that was looked at: ok, warn (works, but slower or not everything) or
fail, and what to do about it.

With -m the model is loaded and run once too. The exit code is 0 unless the
model fails.`,
		Example: `  edgecam doctor
  edgecam doctor -m model.onnx --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := m.checks()
			var err error
			if model != "" {
				var c check
				c, err = checkModel(cmd.Context(), model)
				checks = append(checks, c)
			}
			if e := printChecks(o, checks, asJSON); e != nil {
				return e
			}
			return err
		},
	}
	c.Flags().StringVarP(&model, "model", "m", "", "ONNX `file` to load and run once")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return c
}

func printChecks(o output, checks []check, asJSON bool) error {
	for _, c := range checks {
		var err error
		switch {
		case asJSON:
			err = o.json(c)
		case c.Fix != "":
			err = o.line("%-5s%-10s %s\n%16sfix: %s", c.Status, c.Check, c.Text, "", c.Fix)
		default:
			err = o.line("%-5s%-10s %s", c.Status, c.Check, c.Text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkModel loads a model and runs it on zeros.
func checkModel(ctx context.Context, path string) (check, error) {
	bad := func(err error) (check, error) {
		fix := "export it again, or see `edgecam inspect`"
		if errors.Is(err, sdk.ErrUnsupported) {
			fix = "the operators that are not supported are named; `edgecam inspect` lists them by node"
		}
		return fail("model", fix, "%v", err), err
	}
	m, err := load(path)
	if err != nil {
		return bad(err)
	}
	shapes, err := m.Shapes(nil)
	if err != nil {
		return bad(modelError(err))
	}
	s, err := newSession(m, sdk.SessionConfig{Shapes: shapes})
	if err != nil {
		return bad(err)
	}
	defer s.Close()
	if err := s.Run(ctx); err != nil { // the first run touches the memory
		return bad(err)
	}
	start := time.Now()
	if err := s.Run(ctx); err != nil {
		return bad(err)
	}
	took := time.Since(start)
	st := s.Stats()
	return ok("model", "%s: %.1f ms a run with %d threads, %.1f MiB of weights, %.1f MiB of arena", path,
		took.Seconds()*1e3, st.Threads, float64(st.WeightBytes)/(1<<20), float64(st.ArenaBytes)/(1<<20)), nil
}

// checks looks at everything but a model.
func (m *machine) checks() []check {
	all := []check{m.edition(), m.opencv(), m.kernels()}
	if runtime.GOOS == "linux" {
		all = append(all, m.processors(), m.memory(), m.heat(), m.throttling())
	}
	all = append(all, ok("page size", "%d bytes: any size works", os.Getpagesize()))
	all = append(all, m.cameras())
	if runtime.GOOS == "linux" {
		all = append(all, m.group("video", "dev/video*", "cameras"), m.program("rpicam-vid", "CSI cameras (csi:0)", "sudo apt-get install rpicam-apps-lite, on Raspberry Pi OS"))
	}
	all = append(all, m.program("ffmpeg", "RTSP and video files other than Motion JPEG AVI", "sudo apt-get install ffmpeg"))
	if runtime.GOOS == "linux" {
		all = append(all, m.pins(), m.group("gpio", "dev/gpiochip*", "GPIO"))
	}
	return all
}

// kernels tells the rung in use.
func (m *machine) kernels() check {
	rung, rungs, err := sdk.Kernels()
	switch {
	case err != nil:
		return fail("kernels", "unset EDGECAM_KERNELS", "%v", err)
	case m.getenv("EDGECAM_KERNELS") != "":
		return warn("kernels", "unset EDGECAM_KERNELS, unless this is a test", "%s, forced by EDGECAM_KERNELS; this processor has %s", rung, strings.Join(rungs, ", "))
	case len(rungs) == 1:
		return warn("kernels", "a processor with AVX2 and FMA, or with NEON (arm64), is many times faster", "%s only, plain Go", rung)
	}
	return ok("kernels", "%s of %s", rung, strings.Join(rungs, ", "))
}
