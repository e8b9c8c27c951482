package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgecam/edgecam/sdk"
)

// inspection is the JSON of edgecam inspect.
type inspection struct {
	Opset       int            `json:"opset"`
	Producer    string         `json:"producer,omitempty"`
	Inputs      []port         `json:"inputs"`
	Outputs     []port         `json:"outputs"`
	Ops         map[string]int `json:"ops"`
	Params      int64          `json:"params"`
	MACs        int64          `json:"macs"`
	Int8        float64        `json:"int8_coverage"`
	ArenaBytes  int            `json:"arena_bytes"`
	WeightBytes int            `json:"weight_bytes"`
	Kernels     string         `json:"kernels,omitempty"`
	Unsupported []sdk.Problem  `json:"unsupported"`
	PlanError   string         `json:"plan_error,omitempty"`
	KeptFloat   []keptFloat    `json:"kept_float"` // of a model that runs in int8 elsewhere
}

// keptFloat is a convolution or matrix product of an int8 model that computes in
// float32.
type keptFloat struct {
	Node string `json:"node"`
	Op   string `json:"op"`
	MACs int64  `json:"macs"`
	Why  string `json:"why"`
}

// keptFloats lists what an int8 model computes in float32; of a float model, which
// computes everything so, it lists nothing.
func keptFloats(kept []sdk.Kept, coverage float64) []keptFloat {
	out := []keptFloat{}
	quantized := coverage > 0 || slices.ContainsFunc(kept, func(k sdk.Kept) bool { return k.Why != "" })
	if !quantized {
		return out
	}
	for _, k := range kept {
		why := k.Why
		if why == "" {
			why = "the file does not quantize it"
		}
		out = append(out, keptFloat{Node: k.Node, Op: k.Type, MACs: k.MACs, Why: why})
	}
	return out
}

// port is an input or output in JSON. A symbolic extent is its name, or null
// where it has none; a shape that is not declared is null.
type port struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []any  `json:"shape"`
}

func jsonPorts(ps []sdk.Port) []port {
	out := make([]port, len(ps))
	for i, p := range ps {
		out[i] = port{Name: p.Name, DType: p.Type.DType.String()}
		if p.Untyped {
			continue
		}
		out[i].Shape = make([]any, len(p.Type.Shape))
		for k, d := range p.Type.Shape {
			switch {
			case d >= 0:
				out[i].Shape[k] = d
			case k < len(p.Dims) && p.Dims[k] != "":
				out[i].Shape[k] = p.Dims[k]
			}
		}
	}
	return out
}

func newInspect(o output) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "inspect MODEL",
		Short: "Describe a model: operators, parameters, multiply-adds, memory plan, what is not supported",
		Long: `Describes a model: operators, parameters, multiply-adds, memory plan, int8
coverage, and every node that edgecam does not support.

Multiply-adds and memory are those at the declared sizes, with 1 for a symbolic
batch and 320 for other symbolic sizes.`,
		Example: "  edgecam inspect model.onnx",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			info, err := sdk.Inspect(args[0])
			if err != nil {
				return modelError(err)
			}
			if asJSON {
				return o.json(inspectionOf(info))
			}
			return printInspection(o, args[0], info)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func inspectionOf(info *sdk.Info) inspection {
	v := inspection{Opset: info.Opset, Producer: info.Producer, Inputs: jsonPorts(info.Inputs), Outputs: jsonPorts(info.Outputs), Ops: info.Ops, Params: info.Params,
		MACs: info.Stats.MACs, Int8: info.Stats.Int8Coverage, ArenaBytes: info.Stats.ArenaBytes, WeightBytes: info.Stats.WeightBytes, Kernels: info.Stats.Kernels,
		Unsupported: info.Unsupported, KeptFloat: keptFloats(info.KeptFloat, info.Stats.Int8Coverage)}
	if v.Unsupported == nil {
		v.Unsupported = []sdk.Problem{}
	}
	if info.PlanError != nil {
		v.PlanError = info.PlanError.Error()
	}
	return v
}

// printInspection prints what a person wants to know.
func printInspection(o output, path string, info *sdk.Info) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: opset %d", path, info.Opset)
	if info.Producer != "" {
		fmt.Fprintf(&b, ", made by %s", info.Producer)
	}
	b.WriteByte('\n')
	for _, p := range info.Inputs {
		fmt.Fprintf(&b, "  input   %s\n", p)
	}
	for _, p := range info.Outputs {
		fmt.Fprintf(&b, "  output  %s\n", p)
	}
	names := slices.SortedFunc(maps.Keys(info.Ops), func(x, y string) int {
		if d := info.Ops[y] - info.Ops[x]; d != 0 {
			return d
		}
		return strings.Compare(x, y)
	})
	for i, n := range names {
		names[i] = fmt.Sprintf("%s %d", n, info.Ops[n])
	}
	fmt.Fprintf(&b, "  operators  %s\n", strings.Join(names, ", "))
	fmt.Fprintf(&b, "  parameters  %s\n", count(info.Params))
	switch {
	case len(info.Unsupported) > 0:
		fmt.Fprintf(&b, "  not supported, so this model cannot run:\n")
		for _, p := range info.Unsupported {
			fmt.Fprintf(&b, "    node %s (%s): %s\n", p.Node, p.Op, p.Why)
		}
	case info.PlanError != nil:
		fmt.Fprintf(&b, "  no plan at the default sizes: %v\n", info.PlanError)
	default:
		sizes := make([]string, 0, len(info.Shapes))
		for _, name := range slices.Sorted(maps.Keys(info.Shapes)) {
			sizes = append(sizes, name+" "+shapeString(info.Shapes[name]))
		}
		s := info.Stats
		fmt.Fprintf(&b, "  at %s: %s multiply-adds, %.0f %% of them in int8, arena %s, weights %s\n", strings.Join(sizes, ", "), count(s.MACs),
			s.Int8Coverage*100, bytesString(int64(s.ArenaBytes)), bytesString(int64(s.WeightBytes)))
		fmt.Fprintf(&b, "  kernels  %s\n", s.Kernels)
		if kept := keptFloats(info.KeptFloat, s.Int8Coverage); len(kept) > 0 {
			fmt.Fprintf(&b, "  in float32:\n")
			for _, k := range kept {
				fmt.Fprintf(&b, "    %s (%s), %s multiply-adds: %s\n", k.Node, k.Op, count(k.MACs), k.Why)
			}
		}
	}
	return o.line("%s", strings.TrimRight(b.String(), "\n"))
}

// count prints a number with a prefix: 3.50 M.
func count(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f G", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.2f M", float64(n)/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%.1f k", float64(n)/1e3)
	}
	return fmt.Sprint(n)
}

// bytesString prints a size in memory.
func bytesString(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
