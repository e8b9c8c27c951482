package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgecam/edgecam/camera"
)

// cameraLine is one line of edgecam cameras --json.
type cameraLine struct {
	Schema   string        `json:"schema"`
	Source   string        `json:"source"`
	Name     string        `json:"name"`
	Backend  string        `json:"backend"`
	Path     string        `json:"path,omitempty"`
	ByID     string        `json:"by_id,omitempty"`
	Bus      string        `json:"bus,omitempty"`
	Modes    []modeLine    `json:"modes"`
	Controls []controlLine `json:"controls,omitempty"`
	Error    string        `json:"error,omitempty"` // why modes are not known
}

// modeLine is a format and size; where sizes come in steps, the largest with
// the smallest and the steps.
type modeLine struct {
	Format string    `json:"format"`
	Width  int       `json:"width"`
	Height int       `json:"height"`
	Min    []int     `json:"min,omitempty"`
	Step   []int     `json:"step,omitempty"`
	Rates  []float64 `json:"rates"` // frames a second, falling
}

type controlLine struct {
	Name    string `json:"name"`
	Min     int32  `json:"min"`
	Max     int32  `json:"max"`
	Step    int32  `json:"step"`
	Default int32  `json:"default"`
	Value   int32  `json:"value"`
}

func newCameras(o output, list func() ([]camera.Device, error)) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "cameras",
		Short: "List the cameras that are connected, and the SOURCE to type for each",
		Long: `Lists the cameras that are connected: the SOURCE to type, which stays the same
over restarts where the camera has a name of its own; formats, sizes and rates,
for ?size=640x480&rate=30&format=MJPEG behind it; and settings, for
&control.NAME=VALUE.`,
		Example: `  edgecam cameras
  edgecam cameras --json | jq -r .source`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			devices, err := list()
			if err != nil {
				o.note("edgecam: %v", err)
			}
			if len(devices) == 0 {
				o.note("no camera found: plug one in, or see edgecam doctor; -s test: needs none")
			}
			for i := range devices {
				if asJSON {
					err = o.json(describeCamera(&devices[i]))
				} else {
					err = printCamera(o, &devices[i])
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return c
}

func describeCamera(d *camera.Device) cameraLine {
	l := cameraLine{Schema: "edgecam.camera/1", Source: d.Source, Name: d.Name, Backend: d.Backend, Path: d.Path, ByID: d.ByID, Bus: d.Bus, Modes: []modeLine{}}
	for _, m := range d.Modes {
		line := modeLine{Format: m.Format, Width: m.Width, Height: m.Height, Rates: append([]float64{}, m.Rates...)}
		if m.Step[0] > 0 && m.Step[1] > 0 {
			line.Min, line.Step = m.Min[:], m.Step[:]
		}
		l.Modes = append(l.Modes, line)
	}
	for _, c := range d.Controls {
		if !c.ReadOnly {
			l.Controls = append(l.Controls, controlLine{c.Name, c.Min, c.Max, c.Step, c.Default, c.Value})
		}
	}
	if d.Err != nil {
		l.Error = d.Err.Error()
	}
	return l
}

// printCamera prints a camera for people: a line to copy from, and what it can
// do.
func printCamera(o output, d *camera.Device) error {
	about := d.Backend
	for _, s := range []string{d.Path, d.Bus} {
		if s != "" && s != d.Source {
			about += ", " + s
		}
	}
	if err := o.line("%s  %s (%s)", d.Source, d.Name, about); err != nil {
		return err
	}
	if d.Err != nil {
		if err := o.line("  %v", d.Err); err != nil {
			return err
		}
	}
	var formats []string
	sizes := map[string][]string{}
	for _, m := range d.Modes {
		if sizes[m.Format] == nil {
			formats = append(formats, m.Format)
		}
		size := fmt.Sprintf("%dx%d", m.Width, m.Height)
		if m.Step[0] > 0 && m.Step[1] > 0 {
			size = fmt.Sprintf("%dx%d to %s in steps of %dx%d", m.Min[0], m.Min[1], size, m.Step[0], m.Step[1])
		}
		if len(m.Rates) > 0 {
			size += " at " + strings.Trim(strings.ReplaceAll(fmt.Sprintf("%.4g", m.Rates), " ", "/"), "[]")
		}
		sizes[m.Format] = append(sizes[m.Format], size)
	}
	for _, f := range formats {
		if err := o.line("  %-6s %s", f, strings.Join(sizes[f], ", ")); err != nil {
			return err
		}
	}
	var controls []string
	for _, c := range d.Controls {
		if !c.ReadOnly && !c.Inactive {
			controls = append(controls, fmt.Sprintf("%s=%d (%d to %d)", c.Name, c.Value, c.Min, c.Max))
		}
	}
	if len(controls) > 0 {
		return o.line("  control. %s", strings.Join(controls, ", "))
	}
	return nil
}
