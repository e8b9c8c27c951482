package amd64

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rungs lists, by the suffix of a kernel's name, the instruction sets that the
// ladder checks before it uses the kernel. CMOV and SSE are in every x86-64
// CPU, AVX in every CPU with AVX2.
var rungs = map[string][]string{
	"AVX2":   {"CMOV", "SSE", "SSE2", "AVX", "AVX2", "FMA3"},
	"AVX512": {"CMOV", "SSE", "SSE2", "AVX", "AVX2", "FMA3", "BMI2", "AVX512F", "AVX512BW", "AVX512DQ", "AVX512VL"},

	"AVXVNNI": {"CMOV", "SSE", "SSE2", "AVX", "AVX2", "FMA3", "AVXVNNI"},
	"AVX512VNNI": {
		"CMOV", "SSE", "SSE2", "AVX", "AVX2", "FMA3", "BMI2", "AVX512F", "AVX512BW", "AVX512DQ", "AVX512VL", "AVX512VNNI",
	},
}

var (
	textLine     = regexp.MustCompile(`^TEXT ·(\w+)\(SB\)`)
	requiresLine = regexp.MustCompile(`^// Requires: (.*)$`)
	suffix       = regexp.MustCompile(`AVX\w*$`)
)

// TestRequires compares the instruction sets that the generator found in each
// kernel with those of its rung.
func TestRequires(t *testing.T) {
	files, err := filepath.Glob("*_amd64.s")
	if err != nil || len(files) == 0 {
		t.Fatalf("no assembly: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var requires []string
		for line := range strings.Lines(string(b)) {
			line = strings.TrimSuffix(line, "\n")
			if m := requiresLine.FindStringSubmatch(line); m != nil {
				requires = strings.Split(m[1], ", ")
			}
			m := textLine.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			allowed := rungs[suffix.FindString(m[1])]
			if allowed == nil || requires == nil {
				t.Errorf("%s: %s has rung %q and requires %q", name, m[1], suffix.FindString(m[1]), requires)
			}
			for _, r := range requires {
				if !slices.Contains(allowed, r) {
					t.Errorf("%s: %s requires %s, which its rung does not promise", name, m[1], r)
				}
			}
			requires = nil
		}
	}
}
