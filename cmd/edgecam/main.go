// Command edgecam runs vision models on images, video and cameras: detection,
// classification, segmentation, raw tensors, timing and inspection of ONNX
// models; and tells what cameras and what machine there is.
//
// Data goes to standard output and everything else to standard error; exit
// codes are listed in exit.go. The command holds no maths: models, frames and
// boxes come from packages sdk and camera.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/edgecam/edgecam/camera"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second interrupt ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	code := exitCode(err)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		fmt.Fprintln(stderr, "edgecam: interrupted")
		return exitInterrupted
	}
	if !errors.Is(err, errReported) {
		fmt.Fprintf(stderr, "edgecam: %s\n", strings.TrimSpace(err.Error()))
	}
	if code == exitUsage {
		fmt.Fprintf(stderr, "Run '%s --help' for usage.\n", cmd.CommandPath())
	}
	return code
}

// newRoot builds the command tree.
func newRoot(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "edgecam",
		Short: "Runs vision models on images, video and cameras, on the CPU, from one binary",
		Long: `edgecam runs ONNX vision models on images, video and cameras, on the CPU, from
one binary.

Data goes to standard output, everything else to standard error. With --json
every line of standard output is one JSON object.

Exit codes: 0 done, 1 failed while running, 2 wrong usage or configuration,
3 source not found, busy, not permitted, lost or without pictures, 4 model invalid
or not supported, 5 a quality gate was missed, 130 interrupted.

Environment: EDGECAM_KERNELS forces a rung of the kernel ladder (for tests and
bug reports); edgecam version prints the one in use.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage("no command given: try 'edgecam detect', 'edgecam doctor' or 'edgecam --help'")
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &exitError{exitUsage, err} })
	o := output{stdout: stdout, stderr: stderr}
	root.AddCommand(newDetect(o), newClassify(o), newSegment(o), newInfer(o), newBench(o), newInspect(o), newCompare(o), newQuantize(o),
		newCameras(o, camera.List), newDoctor(o, thisMachine()), newSelftest(o), newCompletion(o), newVersion(o))
	for _, c := range root.Commands() {
		positional(c)
	}
	return root
}

// positional makes what cobra says about arguments a usage error.
func positional(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return &exitError{exitUsage, err}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		positional(sub)
	}
}
