package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/edgecam/edgecam/sdk"
)

// version is set by the Makefile.
var version = ""

func newVersion(o output) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, the platform and the kernels in use",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			rung, all, err := sdk.Kernels()
			if err != nil {
				return &exitError{exitUsage, err}
			}
			return o.line("edgecam %s (%s, %s/%s, kernels %s of %s)", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH, rung, all)
		},
	}
}

// buildVersion returns the version that the Makefile set, or else that of the
// module.
func buildVersion() string {
	if version != "" {
		return version
	}
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		return b.Main.Version
	}
	return "(devel)"
}

func newCompletion(o output) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print the completion script of a shell",
		Example: `  source <(edgecam completion bash)
  edgecam completion fish > ~/.config/fish/completions/edgecam.fish`,
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch root := cmd.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(o.stdout, true)
			case "zsh":
				return root.GenZshCompletion(o.stdout)
			case "fish":
				return root.GenFishCompletion(o.stdout, true)
			default:
				return root.GenPowerShellCompletionWithDesc(o.stdout)
			}
		},
	}
}
