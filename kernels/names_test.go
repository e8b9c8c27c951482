package kernels_test

import (
	"testing"

	"github.com/edgecam/edgecam/kernels"
)

func TestUnaryNames(t *testing.T) {
	seen := map[string]bool{"": true}
	for u := range kernels.NumUnary {
		if seen[u.String()] {
			t.Errorf("function %d has the name %q, which is empty or another's", int(u), u)
		}
		seen[u.String()] = true
	}
	if got := kernels.NumUnary.String() + kernels.SiLU.String(); got != "Unary(11)SiLU" {
		t.Errorf("names are %q", got)
	}
}
