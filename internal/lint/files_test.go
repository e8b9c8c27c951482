package lint

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/edgecam/edgecam"
)

// maxLines is the most that a file written by hand may have.
const maxLines = 600

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// tracked lists the repository's files, committed or about to be.
func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-co", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("the list of files comes from git, which failed: %v", err)
	}
	var files []string
	for f := range strings.Lines(string(out)) {
		f = strings.TrimSpace(f)
		if _, err := os.Stat(filepath.Join(root, f)); err == nil {
			files = append(files, f)
		}
	}
	if len(files) < 20 {
		t.Fatalf("git lists %d files", len(files))
	}
	return files
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFileLength(t *testing.T) {
	for _, f := range tracked(t) {
		base := filepath.Base(f)
		ext := filepath.Ext(f)
		if ext != ".go" && ext != ".s" && ext != ".h" || strings.HasSuffix(f, "_test.go") || strings.HasPrefix(base, "table") {
			continue
		}
		b := read(t, f)
		if n := bytes.Count(b, []byte("\n")); n > maxLines && !generated.Match(b) {
			t.Errorf("%s has %d lines, more than %d: split it by what it does", f, n, maxLines)
		}
	}
}
