package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath string
	Dir        string
	Standard   bool
	GoFiles    []string
	Imports    []string
	Deps       []string
}

// platforms are those whose files together make up the project; the GoCV
// edition is listed without cgo, so its own imports are seen.
var platforms = [][]string{
	{"GOOS=linux", "GOARCH=amd64"}, {"GOOS=linux", "GOARCH=amd64", "GOFLAGS=-tags=gocv"}, {"GOOS=linux", "GOARCH=arm64"}, {"GOOS=linux", "GOARCH=arm"},
	{"GOOS=darwin", "GOARCH=arm64"}, {"GOOS=windows", "GOARCH=amd64"},
}

// list runs go list in the repository root for one platform.
func list(t *testing.T, env []string, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e=false", "-json=ImportPath,Dir,Standard,GoFiles,Imports,Deps"}, args...)...)
	cmd.Dir = root
	cmd.Env = append(cmd.Environ(), append(env, "CGO_ENABLED=0")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", args, err, &stderr)
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// rule is one row of the import table.
type rule struct {
	level     int
	own, libs []string
	seen      bool
}

// importTable reads the table of ARCHITECTURE.md: level, package, the
// project's packages it may import, the libraries it may import.
func importTable(t *testing.T) map[string]*rule {
	t.Helper()
	rules := map[string]*rule{}
	for _, cells := range tableRows(t, "ARCHITECTURE.md", "## Who may import whom") {
		level, err := strconv.Atoi(cells[0])
		if err != nil || len(cells) != 4 {
			t.Fatalf("import table: row %q does not start with a level or has not four cells", cells)
		}
		for _, name := range quoted(cells[1]) {
			if rules[name] != nil {
				t.Errorf("import table: %s has two rows", name)
			}
			rules[name] = &rule{level: level, own: quoted(cells[2]), libs: quoted(cells[3])}
		}
	}
	if len(rules) < 10 {
		t.Fatalf("import table: %d rows found, expected more", len(rules))
	}
	return rules
}

// short returns the name of a package in the import table.
func short(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, module+"/"), "internal/")
}

func TestImports(t *testing.T) {
	rules := importTable(t)
	imports := map[[2]string]bool{}
	for _, env := range platforms {
		for _, p := range list(t, env, "./...") {
			if r := rules[short(p.ImportPath)]; r != nil {
				r.seen = true
			} else {
				t.Errorf("%s has no row in the import table of ARCHITECTURE.md", p.ImportPath)
			}
			for _, i := range p.Imports {
				imports[[2]string{p.ImportPath, i}] = true
			}
		}
	}
	used := map[string]bool{}
	for i := range imports {
		used[short(i[0])+" "+short(i[1])] = true
		if rules[short(i[0])] != nil {
			checkImport(t, rules, i[0], i[1])
		}
	}
	for name, r := range rules {
		if !r.seen {
			t.Errorf("import table: %s does not exist", name)
		}
		for _, o := range r.own {
			if !used[name+" "+o] {
				t.Errorf("import table: %s may import %s, and does not: drop it from the row", name, o)
			}
		}
		for _, l := range r.libs {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(used)), func(u string) bool { return strings.HasPrefix(u, name+" "+l) }) {
				t.Errorf("import table: %s may use %s, and does not: drop it from the row", name, l)
			}
		}
	}
}

// checkImport reports an import that the table does not grant.
func checkImport(t *testing.T, rules map[string]*rule, from, to string) {
	t.Helper()
	r := rules[short(from)]
	switch {
	case to == module || strings.HasPrefix(to, module+"/"):
		target := rules[short(to)]
		if !slices.Contains(r.own, short(to)) {
			t.Errorf("%s imports %s, which the import table of ARCHITECTURE.md does not allow", from, to)
		} else if target != nil && target.level >= r.level {
			t.Errorf("%s (level %d) imports %s (level %d): imports point to lower levels", from, r.level, to, target.level)
		}
	case strings.Contains(strings.Split(to, "/")[0], "."):
		ok := slices.ContainsFunc(r.libs, func(l string) bool { return to == l || strings.HasPrefix(to, l+"/") })
		if !ok {
			t.Errorf("%s imports %s, which the import table of ARCHITECTURE.md does not allow", from, to)
		}
	case to == "C":
		t.Errorf("%s uses cgo", from)
	}
}

// sdkDeps are the only packages outside the standard library and this module
// that a program may take on by importing the SDK.
var sdkDeps = []string{
	"github.com/google/renameio/v2",
	"github.com/klauspost/cpuid/v2",
	"golang.org/x/image/bmp",
	"golang.org/x/image/font",
	"golang.org/x/image/internal/safemath",
	"golang.org/x/image/math/fixed",
	"golang.org/x/image/riff",
	"golang.org/x/image/vp8",
	"golang.org/x/image/vp8l",
	"golang.org/x/image/webp",
	"golang.org/x/sys",
	"google.golang.org/protobuf/encoding/protowire",
	"google.golang.org/protobuf/internal",
	"gocv.io/x/gocv", // with the tag gocv; it does not build without cgo
}

// sdkForbidden are packages of the standard library that would give every
// program that imports the SDK a template engine, test code or a logger.
var sdkForbidden = []string{"plugin", "html/template", "text/template", "testing", "expvar", "log/slog"}

func TestSDKDependencies(t *testing.T) {
	for _, env := range platforms {
		for _, p := range list(t, env, "-deps", "./sdk") {
			switch {
			case p.Standard:
				if slices.Contains(sdkForbidden, p.ImportPath) {
					t.Errorf("%v: sdk depends on %s", env, p.ImportPath)
				}
			case strings.HasPrefix(p.ImportPath, module+"/"):
			case !slices.ContainsFunc(sdkDeps, func(d string) bool { return p.ImportPath == d || strings.HasPrefix(p.ImportPath, d+"/") }):
				t.Errorf("%v: sdk depends on %s, which is not in its allow-list", env, p.ImportPath)
			}
		}
	}
}

func TestPackageNames(t *testing.T) {
	vague := map[string]bool{"util": true, "utils": true, "common": true, "helper": true, "helpers": true, "core": true, "types": true, "base": true, "misc": true, "shared": true}
	for name := range maps.Keys(importTable(t)) {
		for _, part := range strings.Split(name, "/") {
			if vague[part] {
				t.Errorf("package %s: %q says nothing; name it for what it holds", name, part)
			}
		}
	}
}
