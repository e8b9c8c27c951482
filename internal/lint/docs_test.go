package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/internal/op"
)

var (
	linkPattern  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	quotePattern = regexp.MustCompile("`([^`]+)`")
	namePattern  = regexp.MustCompile("`([a-z][a-z0-9]*)\\.([A-Z]\\w*)(?:\\.([A-Z]\\w*))?(?:\\(\\))?`")
)

// quoted returns the words of s that stand in back quotes.
func quoted(s string) []string {
	var words []string
	for _, m := range quotePattern.FindAllStringSubmatch(s, -1) {
		words = append(words, m[1])
	}
	return words
}

// section returns the text below a heading, up to the next one of its level.
func section(t *testing.T, file, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(read(t, file)), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("%s has no heading %q", file, heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	text, _, _ := strings.Cut(rest, "\n"+level+" ")
	return text
}

// tableRows returns the cells of the Markdown table below a heading, without
// its head.
func tableRows(t *testing.T, file, heading string) [][]string {
	t.Helper()
	var rows [][]string
	for line := range strings.Lines(section(t, file, heading)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			continue
		}
		var cells []string
		for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(c))
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("%s has no table below %q", file, heading)
	}
	return rows[2:]
}

// markdown lists the repository's documents.
func markdown(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(tracked(t), func(f string) bool { return filepath.Ext(f) != ".md" })
}

func TestLinks(t *testing.T) {
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	drop := regexp.MustCompile(`[^\w\- ]`)
	for _, f := range markdown(t) {
		for _, m := range linkPattern.FindAllStringSubmatch(string(read(t, f)), -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			target := f
			if path != "" {
				target = filepath.Join(filepath.Dir(f), path)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: link to %s: %v", f, m[1], err)
				continue
			}
			if anchor == "" {
				continue
			}
			var have []string
			for _, h := range heading.FindAllStringSubmatch(string(read(t, target)), -1) {
				have = append(have, strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
			}
			if !slices.Contains(have, anchor) {
				t.Errorf("%s: link to %s: no such heading", f, m[1])
			}
		}
	}
}

// declared maps a package's name to its exported declarations, methods as
// Type.Method.
func declared(t *testing.T) map[string]map[string]bool {
	t.Helper()
	all := map[string]map[string]bool{}
	for _, f := range tracked(t) {
		if filepath.Ext(f) != ".go" || strings.HasSuffix(f, "_test.go") || strings.Contains(f, "testdata/") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, f), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		names := all[file.Name.Name]
		if names == nil {
			names = map[string]bool{}
			all[file.Name.Name] = names
		}
		for name := range exported(file) {
			names[name] = true
		}
	}
	return all
}

// exported maps the exported declarations of a file to whether they have a
// doc comment: functions, methods as Type.Method, types, fields and interface
// methods as Type.Name, constants and variables.
func exported(file *ast.File) map[string]bool {
	names := map[string]bool{}
	add := func(name string, docs ...*ast.CommentGroup) {
		if !ast.IsExported(name[strings.LastIndex(name, ".")+1:]) || !ast.IsExported(name) {
			return
		}
		names[name] = slices.ContainsFunc(docs, func(c *ast.CommentGroup) bool { return c != nil })
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				name = receiver(d.Recv.List[0].Type) + "." + name
			}
			add(name, d.Doc)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.ValueSpec:
					for _, n := range s.Names {
						add(n.Name, d.Doc, s.Doc, s.Comment)
					}
				case *ast.TypeSpec:
					add(s.Name.Name, d.Doc, s.Doc)
					var fields *ast.FieldList
					switch u := s.Type.(type) {
					case *ast.StructType:
						fields = u.Fields
					case *ast.InterfaceType:
						fields = u.Methods
					default:
						continue
					}
					covered := d.Doc
					for _, f := range fields.List {
						// One comment may introduce the fields of a line or of the lines below it.
						if f.Doc != nil {
							covered = f.Doc
						}
						for _, n := range f.Names {
							add(s.Name.Name+"."+n.Name, covered, f.Doc, f.Comment, s.Doc)
						}
					}
				}
			}
		}
	}
	return names
}

// receiver returns the name of a method's type.
func receiver(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.StarExpr:
		return receiver(x.X)
	case *ast.IndexExpr:
		return receiver(x.X)
	case *ast.Ident:
		return x.Name
	}
	return "?"
}

func TestExportedDocumented(t *testing.T) {
	for _, f := range tracked(t) {
		dir := filepath.Dir(f)
		if filepath.Ext(f) != ".go" || strings.HasSuffix(f, "_test.go") || !slices.Contains([]string{"sdk", "camera", "quant", "finetune"}, dir) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, f), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for name, ok := range exported(file) {
			if !ok {
				t.Errorf("%s: %s is exported and has no doc comment", f, name)
			}
		}
	}
}

// TestNamesInDocuments keeps the documents true: a `package.Name` of this
// module that they mention exists.
func TestNamesInDocuments(t *testing.T) {
	names := declared(t)
	for _, f := range []string{"ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"} {
		for _, m := range namePattern.FindAllStringSubmatch(string(read(t, f)), -1) {
			have := names[m[1]]
			if have == nil {
				continue
			}
			if !have[m[2]] || m[3] != "" && !have[m[2]+"."+m[3]] {
				t.Errorf("%s names %s, which does not exist", f, m[0])
			}
		}
	}
}

func TestOperatorTable(t *testing.T) {
	listed := map[string]bool{}
	for _, cells := range tableRows(t, "ARCHITECTURE.md", "## Operators") {
		for _, file := range quoted(cells[0]) {
			read(t, "internal/op/"+file)
		}
		for _, name := range quoted(cells[1]) {
			if listed[name] {
				t.Errorf("operator table of ARCHITECTURE.md: %s stands twice", name)
			}
			listed[name] = true
		}
	}
	var missing []string
	for _, name := range op.Names() {
		if !listed[name] {
			missing = append(missing, name)
		}
		delete(listed, name)
	}
	if len(missing) > 0 {
		t.Errorf("the operator table of ARCHITECTURE.md lacks %v", missing)
	}
	if len(listed) > 0 {
		t.Errorf("the operator table of ARCHITECTURE.md has names that package op does not: %v", slices.Sorted(maps.Keys(listed)))
	}
}

// TestReadmeProgram keeps the program of the README the one that is compiled.
func TestReadmeProgram(t *testing.T) {
	src := strings.TrimSpace(string(read(t, "internal/lint/testdata/readme/main.go")))
	if !strings.Contains(string(read(t, "README.md")), "```go\n"+src+"\n```") {
		t.Error("the Go program of README.md is not that of internal/lint/testdata/readme/main.go")
	}
	list(t, nil, "-deps", "./internal/lint/testdata/readme")
}
