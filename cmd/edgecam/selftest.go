package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/edgecam/edgecam/sdk"
)

// selftestLine is a net of edgecam selftest as JSON.
type selftestLine struct {
	Schema  string  `json:"schema"`
	Net     string  `json:"net"`
	Pass    bool    `json:"pass"`
	Kernels string  `json:"kernels"`
	Millis  float64 `json:"ms"`
	MACs    int64   `json:"macs"`
	Sum     string  `json:"sha256"`
	Want    string  `json:"want"`
}

// selftestEnd is the last line of edgecam selftest as JSON.
type selftestEnd struct {
	Schema  string `json:"schema"`
	Pass    bool   `json:"pass"`
	Kernels string `json:"kernels"`
	Nets    int    `json:"nets"`
	Failed  int    `json:"failed"`
}

func newSelftest(o output) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "selftest",
		Short: "Check that int8 models give here, byte for byte, what they give on every CPU",
		Long: `Runs small quantized nets on generated frames and compares the SHA-256 of their
results with those compiled in. They are the same on every CPU: what a model
computes in 8 bits on a PC it computes on a board, byte for byte.

It prints a line for each net, with PASS or FAIL, the rung of the kernel ladder
and the time of a run, and a last line for all. The exit code is 0 if all pass,
1 otherwise. EDGECAM_KERNELS forces a rung; edgecam version lists those of this
CPU.`,
		Example: `  edgecam selftest
  EDGECAM_KERNELS=ref edgecam selftest --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, _, err := sdk.Kernels(); err != nil {
				return &exitError{exitUsage, err}
			}
			rs, err := sdk.SelfTest(cmd.Context())
			if e := printSelftest(o, rs, err == nil, asJSON); e != nil {
				return e
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return c
}

// printSelftest prints results, and the last line where they are complete. A
// failed net is an error.
func printSelftest(o output, rs []sdk.SelfTestResult, complete, asJSON bool) error {
	const schema = "edgecam.selftest/1"
	end := selftestEnd{Schema: schema, Nets: len(rs)}
	for _, r := range rs {
		word := "PASS"
		if end.Kernels = r.Kernels; !r.Pass {
			end.Failed++
			word = "FAIL"
		}
		ms := float64(r.Time) / float64(time.Millisecond)
		var err error
		if asJSON {
			err = o.json(selftestLine{schema, r.Net, r.Pass, r.Kernels, ms, r.MACs, r.Sum, r.Want})
		} else {
			err = o.line("%s  %-16s %-11s %8.3f ms  %s", word, r.Net, r.Kernels, ms, r.Sum[:16])
		}
		if err != nil {
			return err
		}
	}
	if !complete {
		return nil
	}
	end.Pass = end.Failed == 0
	var err error
	switch {
	case asJSON:
		err = o.json(end)
	case end.Pass:
		err = o.line("PASS  all %d nets give with %s what they give on every CPU", end.Nets, end.Kernels)
	default:
		err = o.line("FAIL  %d of %d nets give other results with %s than on other CPUs: do not trust int8 results here; EDGECAM_KERNELS=ref may serve until this is mended; please report it with these lines and those of edgecam doctor", end.Failed, end.Nets, end.Kernels)
	}
	if err == nil && !end.Pass {
		err = errReported
	}
	return err
}
