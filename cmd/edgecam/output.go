package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2/maybe"
	"golang.org/x/term"
)

// output is where a command writes: data to stdout, everything else to stderr.
type output struct {
	stdout, stderr io.Writer
}

// line prints one line of data.
func (o output) line(format string, args ...any) error {
	if _, err := fmt.Fprintf(o.stdout, format+"\n", args...); err != nil {
		return fmt.Errorf("writing to standard output: %w", err)
	}
	return nil
}

// json prints one JSON object on a line of its own.
func (o output) json(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return o.line("%s", b)
}

// note prints a line that is not data.
func (o output) note(format string, args ...any) {
	fmt.Fprintf(o.stderr, format+"\n", args...)
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// writeFile replaces a file as a whole, so that a reader never sees a part of
// it.
func writeFile(path string, data []byte) error {
	if err := maybe.WriteFile(path, data, 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// makeDir makes a folder for results.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return usage("-o %s: cannot make the folder: %w", dir, err)
	}
	return nil
}

// fileNames gives names that are safe as file names and differ from one
// another, also where the file system ignores case.
type fileNames map[string]bool

// pick returns a file name made of name and ext that was not picked before.
func (f fileNames) pick(name, ext string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '_'
	}, name)
	clean = strings.TrimLeft(clean, ".")
	if len(clean) > 100 {
		clean = clean[:100]
	}
	if clean == "" {
		clean = "_"
	}
	pick := clean + ext
	for n := 2; f[strings.ToLower(pick)]; n++ {
		pick = fmt.Sprintf("%s-%d%s", clean, n, ext)
	}
	f[strings.ToLower(pick)] = true
	return pick
}

// stem returns the last element of a path without its extension.
func stem(path string) string {
	base := filepath.Base(path)
	return strings.TrimSuffix(base, filepath.Ext(base))
}
