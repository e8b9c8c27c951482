package kernels_test

import (
	"os"
	"testing"

	"github.com/klauspost/cpuid/v2"
)

// TestMain makes the rung avxvnni available where the environment says that its
// instructions are emulated; see .ci/avxvnni.
func TestMain(m *testing.M) {
	if os.Getenv("EDGECAM_TEST_EMULATED") == "avxvnni" {
		cpuid.CPU.Enable(cpuid.AVXVNNI)
	}
	os.Exit(m.Run())
}
