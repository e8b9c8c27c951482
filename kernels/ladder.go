package kernels

import (
	"fmt"
	"os"
	"strings"
)

// EnvRung is the environment variable that forces a rung.
const EnvRung = "EDGECAM_KERNELS"

// Available returns the rungs that this CPU can run, lowest first. The first
// is always ref. Callers may change the sets; each call makes new ones.
func Available() []*Set {
	rungs := []*Set{Ref()}
	return append(rungs, machine(*rungs[0])...)
}

// Best returns the highest rung that this CPU can run.
func Best() *Set {
	rungs := Available()
	return rungs[len(rungs)-1]
}

// Named returns one rung by name. A name that is unknown, or a rung that this
// CPU or build lacks, is an error that lists the rungs there are.
func Named(name string) (*Set, error) {
	rungs := Available()
	names := make([]string, len(rungs))
	for i, s := range rungs {
		if s.Name == name {
			return s, nil
		}
		names[i] = s.Name
	}
	return nil, fmt.Errorf("kernels: no rung %q on this CPU: use one of %s", name, strings.Join(names, ", "))
}

// Select returns the rung that EDGECAM_KERNELS names, or the best one where
// the variable is empty. The error names the variable and the rungs there are.
func Select() (*Set, error) {
	name := os.Getenv(EnvRung)
	if name == "" {
		return Best(), nil
	}
	s, err := Named(name)
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w", EnvRung, name, err)
	}
	return s, nil
}
