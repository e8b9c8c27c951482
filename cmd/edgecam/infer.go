package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgecam/edgecam/sdk"
)

// inferFlags are the flags of edgecam infer.
type inferFlags struct {
	model, out string
	inputs     []string
	threads    int
	profile    bool
}

func newInfer(o output) *cobra.Command {
	var f inferFlags
	c := &cobra.Command{
		Use:   "infer -m MODEL -i [NAME=]FILE ... -o DIR",
		Short: "Run raw tensors through a model",
		Long: `Runs raw tensors through a model. Inputs are .npy files or ONNX TensorProto
.pb files; a file without a name goes to the first input that none is given for.
Their sizes fix symbolic ones.

Writes DIR/manifest.json, {"output name": "file"}, and one .npy file for each
output, with the element type and shape that the model declares.`,
		Example: "  edgecam infer -m model.onnx -i images=x.npy -o out",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runInfer(cmd.Context(), o, f) },
	}
	fl := c.Flags()
	fl.StringVarP(&f.model, "model", "m", "", "ONNX `file`")
	fl.StringArrayVarP(&f.inputs, "input", "i", nil, "an input, as `[NAME=]FILE`; may be repeated")
	fl.StringVarP(&f.out, "output", "o", "", "`folder` for the outputs")
	fl.IntVar(&f.threads, "threads", 0, "workers; 0: the performance cores")
	fl.BoolVar(&f.profile, "profile", false, "print the time of every step")
	return c
}

func runInfer(ctx context.Context, o output, f inferFlags) error {
	switch {
	case f.out == "":
		return usage("no folder for the outputs: pass -o DIR")
	case f.threads < 0:
		return usage("--threads %d: give 0 or more", f.threads)
	}
	m, err := load(f.model)
	if err != nil {
		return err
	}
	values, err := readInputs(m.Inputs(), f.inputs)
	if err != nil {
		return err
	}
	shapes := map[string][]int{}
	for name, t := range values {
		shapes[name] = t.Shape
	}
	s, err := newSession(m, sdk.SessionConfig{Shapes: shapes, Values: values, Threads: f.threads, Profile: f.profile})
	if err != nil {
		return err
	}
	defer s.Close()
	for _, p := range s.Inputs() {
		if t := values[p.Name]; t != nil {
			copy(s.Input(p.Name).Bytes(), t.Bytes())
		}
	}
	if err := s.Run(ctx); err != nil {
		return err
	}
	if err := writeOutputs(f.out, s); err != nil {
		return err
	}
	if f.profile {
		return printLayers(o, layersOf(s.Profile(), 1, nil), nil)
	}
	return nil
}

// readInputs reads the files of -i and checks that they are what the model
// wants.
func readInputs(ports []sdk.Port, flags []string) (map[string]*sdk.Tensor, error) {
	values := map[string]*sdk.Tensor{}
	files := map[string]string{}
	var nameless []string
	for _, f := range flags {
		name, file := splitInput(ports, f)
		switch _, twice := files[name]; {
		case name == "":
			nameless = append(nameless, f)
		case !slices.ContainsFunc(ports, func(p sdk.Port) bool { return p.Name == name }):
			return nil, usage("-i %s: the model has no input %q; %s", f, name, wants(ports))
		case twice:
			return nil, usage("-i %s: input %q is given twice", f, name)
		default:
			files[name] = file
		}
	}
	for _, p := range ports {
		if _, given := files[p.Name]; !given && !p.Optional && len(nameless) > 0 {
			files[p.Name] = nameless[0]
			nameless = nameless[1:]
		}
	}
	if len(nameless) > 0 {
		return nil, usage("-i %s: the model has no further input; %s", nameless[0], wants(ports))
	}
	for _, p := range ports {
		file, given := files[p.Name]
		if !given {
			if p.Optional {
				continue
			}
			return nil, usage("input %q is missing: pass -i %s=FILE; %s", p.Name, p.Name, wants(ports))
		}
		t, err := readTensor(file)
		if err != nil {
			return nil, err
		}
		if !fits(p, t) {
			return nil, usage("%s is %s[%s], which does not fit input %q; %s", file, t.DType, shapeString(t.Shape), p.Name, wants(ports))
		}
		values[p.Name] = t
	}
	return values, nil
}

// splitInput splits [NAME=]FILE. Names and paths may hold an equals sign
// themselves, so a name of the model is looked for first.
func splitInput(ports []sdk.Port, flag string) (name, file string) {
	for _, p := range ports {
		if rest, ok := strings.CutPrefix(flag, p.Name+"="); ok && len(p.Name) > len(name) {
			name, file = p.Name, rest
		}
	}
	if name != "" {
		return name, file
	}
	if _, err := os.Stat(flag); err == nil {
		return "", flag
	}
	if name, file, ok := strings.Cut(flag, "="); ok {
		return name, file
	}
	return "", flag
}

// readTensor reads a .npy or TensorProto file.
func readTensor(file string) (*sdk.Tensor, error) {
	t, err := sdk.ReadTensor(file)
	switch {
	case err == nil:
		return t, nil
	case isAny(err, os.ErrNotExist, os.ErrPermission):
		return nil, &exitError{exitSource, err}
	}
	return nil, &exitError{exitUsage, err}
}

// fits reports whether a tensor has the element type and the fixed extents of
// a port.
func fits(p sdk.Port, t *sdk.Tensor) bool {
	if p.Type.DType != t.DType {
		return false
	}
	if p.Untyped {
		return true
	}
	if len(p.Type.Shape) != len(t.Shape) {
		return false
	}
	for i, d := range p.Type.Shape {
		if d >= 0 && d != t.Shape[i] {
			return false
		}
	}
	return true
}

// wants lists what a model takes.
func wants(ports []sdk.Port) string {
	names := make([]string, len(ports))
	for i, p := range ports {
		names[i] = p.String()
		if p.Optional {
			names[i] += " (optional)"
		}
	}
	if len(names) == 0 {
		return "it takes no input"
	}
	return "it takes " + strings.Join(names, ", ")
}

// writeOutputs writes the outputs and then the manifest that names them.
func writeOutputs(dir string, s *sdk.Session) error {
	if err := makeDir(dir); err != nil {
		return err
	}
	names, manifest := fileNames{"manifest.json": true}, map[string]string{}
	for _, p := range s.Outputs() {
		file := names.pick(p.Name, ".npy")
		var data bytes.Buffer
		if err := sdk.WriteNPY(&data, s.Output(p.Name)); err != nil {
			return fmt.Errorf("output %q: %w", p.Name, err)
		}
		if err := writeFile(filepath.Join(dir, file), data.Bytes()); err != nil {
			return err
		}
		manifest[p.Name] = file
	}
	b, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "manifest.json"), append(b, '\n'))
}

// shapeString prints a shape: 1x3x320x320.
func shapeString(shape []int) string {
	dims := make([]string, len(shape))
	for i, d := range shape {
		dims[i] = strconv.Itoa(d)
	}
	return strings.Join(dims, "x")
}

// isAny reports whether err is one of targets.
func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
}
