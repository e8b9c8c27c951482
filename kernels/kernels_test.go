package kernels_test

import (
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/cpuid/v2"

	"github.com/edgecam/edgecam/kernels"
)

// forEachRung runs a test for every rung of this CPU.
func forEachRung(t *testing.T, f func(t *testing.T, s *kernels.Set)) {
	t.Helper()
	for _, s := range kernels.Available() {
		t.Run("rung="+s.Name, func(t *testing.T) { f(t, s) })
	}
}

func rungNames() []string {
	var names []string
	for _, s := range kernels.Available() {
		names = append(names, s.Name)
	}
	return names
}

// expected lists the rungs that this CPU has by its feature flags.
func expected() []string {
	names := []string{"ref"}
	if noasm {
		return names
	}
	switch runtime.GOARCH {
	case "amd64":
		if cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3) {
			names = append(names, "avx2")
			if cpuid.CPU.Supports(cpuid.AVXVNNI) {
				names = append(names, "avxvnni")
			}
			if cpuid.CPU.Supports(cpuid.BMI2, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
				names = append(names, "avx512")
				if cpuid.CPU.Supports(cpuid.AVX512VNNI) {
					names = append(names, "avx512vnni")
				}
			}
		}
	case "arm64":
		names = append(names, "neon")
		if cpuid.CPU.Supports(cpuid.ASIMDDP) {
			names = append(names, "dotprod")
		}
	}
	return names
}

func TestAvailable(t *testing.T) {
	if got, want := rungNames(), expected(); !slices.Equal(got, want) {
		t.Errorf("rungs are %v, want %v", got, want)
	}
	// A build machine with the flags but without the rung tests nothing.
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil && runtime.GOARCH == "amd64" && !noasm {
		flags := strings.Fields(string(b))
		for rung, needs := range map[string][]string{
			"avx2":       {"avx2", "fma"},
			"avxvnni":    {"avx2", "fma", "avx_vnni"},
			"avx512":     {"avx2", "fma", "bmi2", "avx512f", "avx512bw", "avx512dq", "avx512vl"},
			"avx512vnni": {"avx2", "fma", "bmi2", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"},
		} {
			missing := func(flag string) bool { return !slices.Contains(flags, flag) }
			if has := !slices.ContainsFunc(needs, missing); has != slices.Contains(rungNames(), rung) {
				t.Errorf("the operating system reports %v: %v, but the rungs are %v", needs, has, rungNames())
			}
		}
	}
}

func TestNoNilSlots(t *testing.T) {
	forEachRung(t, func(t *testing.T, s *kernels.Set) {
		v := reflect.ValueOf(*s)
		for i := range v.NumField() {
			f, name := v.Field(i), v.Type().Field(i).Name
			switch f.Kind() {
			case reflect.Array:
				for j := range f.Len() {
					if f.Index(j).IsNil() {
						t.Errorf("%s[%d] is nil", name, j)
					}
				}
			default:
				if f.IsZero() {
					t.Errorf("%s is not set", name)
				}
			}
		}
	})
}

func TestSelect(t *testing.T) {
	for _, name := range rungNames() {
		t.Setenv(kernels.EnvRung, name)
		s, err := kernels.Select()
		if err != nil || s.Name != name {
			t.Errorf("Select with %s: %v, %v", name, s, err)
		}
	}
	t.Setenv(kernels.EnvRung, "")
	if s, err := kernels.Select(); err != nil || s.Name != kernels.Best().Name {
		t.Errorf("Select without the variable: %v, %v", s, err)
	}
	for _, name := range []string{"mmx", "AVX2", "neon2"} {
		t.Setenv(kernels.EnvRung, name)
		_, err := kernels.Select()
		if err == nil {
			t.Fatalf("Select accepts %q", name)
		}
		for _, part := range append(rungNames(), kernels.EnvRung, name) {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the error for %q does not mention %q: %v", name, part, err)
			}
		}
	}
}
