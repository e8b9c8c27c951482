package arm64_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/edgecam/edgecam/kernels/ref"
)

// encoding is one line of testdata/neon.txt.
type encoding struct {
	call string // of a macro
	word uint32
	gnu  string // the same instruction as GNU as writes it
}

// golden reads testdata/neon.txt, whose words GNU as made.
func golden(t *testing.T) []encoding {
	t.Helper()
	text, err := os.ReadFile("testdata/neon.txt")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^(\w+\([\d, ]+\)) +([0-9a-f]{8})  (.+)$`)
	var table []encoding
	for l := range strings.Lines(string(text)) {
		l = strings.TrimSuffix(l, "\n")
		if strings.HasPrefix(l, "#") {
			continue
		}
		m := line.FindStringSubmatch(l)
		if m == nil {
			t.Fatalf("testdata/neon.txt: cannot read %q", l)
		}
		word, err := strconv.ParseUint(m[2], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		table = append(table, encoding{m[1], uint32(word), m[3]})
	}
	return table
}

// macros returns the names that neon_arm64.h defines.
func macros(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("neon_arm64.h")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^#define (\w+)\(`).FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
	}
	return names
}

func TestMacrosAreCovered(t *testing.T) {
	calls := map[string]int{}
	for _, e := range golden(t) {
		name, _, _ := strings.Cut(e.call, "(")
		calls[name]++
	}
	for _, name := range macros(t) {
		if calls[name] < 6 {
			t.Errorf("testdata/neon.txt has %d lines for %s, want 6 or more", calls[name], name)
		}
		delete(calls, name)
	}
	for name := range calls {
		t.Errorf("testdata/neon.txt has %s, which neon_arm64.h lacks", name)
	}
}

// TestGoEncodings assembles the macros with Go's assembler on any machine.
func TestGoEncodings(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command is not installed")
	}
	table := golden(t)
	var source strings.Builder
	source.WriteString("#include \"neon_arm64.h\"\nTEXT ·f(SB), 4, $0-0\n")
	for _, e := range table {
		fmt.Fprintf(&source, "\t%s\n", e.call)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "macros.s")
	if err := os.WriteFile(file, []byte(source.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tool, "tool", "asm", "-p", "p", "-I", ".", "-S", "-o", filepath.Join(dir, "macros.o"), file)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64")
	listing, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go tool asm: %v\n%s", err, listing)
	}
	var code []byte
	dump := regexp.MustCompile(`(?m)^\t0x[0-9a-f]{4,} ((?:[0-9a-f]{2} ){1,16}) `)
	for _, m := range dump.FindAllSubmatch(listing, -1) {
		b, err := hex.DecodeString(string(bytes.ReplaceAll(m[1], []byte(" "), nil)))
		if err != nil {
			t.Fatal(err)
		}
		code = append(code, b...)
	}
	compare(t, table, code)
}

// TestGNUEncodings checks the table itself.
func TestGNUEncodings(t *testing.T) {
	const as = "aarch64-linux-gnu-as"
	if _, err := exec.LookPath(as); err != nil {
		t.Skipf("%s is not installed", as)
	}
	table := golden(t)
	var source strings.Builder
	for _, e := range table {
		source.WriteString(e.gnu + "\n")
	}
	object := filepath.Join(t.TempDir(), "macros.o")
	cmd := exec.Command(as, "-march=armv8.2-a+dotprod", "-o", object)
	cmd.Stdin = strings.NewReader(source.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", as, err, out)
	}
	data, err := os.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	code, err := f.Section(".text").Data()
	if err != nil {
		t.Fatal(err)
	}
	compare(t, table, code)
}

func compare(t *testing.T, table []encoding, code []byte) {
	t.Helper()
	if len(code) < 4*len(table) {
		t.Fatalf("%d bytes of code for %d instructions", len(code), len(table))
	}
	for i, e := range table {
		if got := binary.LittleEndian.Uint32(code[4*i:]); got != e.word {
			t.Errorf("%s, %s: %08x, the table has %08x", e.call, e.gnu, got, e.word)
		}
	}
}

// TestArgOffsets compares args_arm64.h with the structs.
func TestArgOffsets(t *testing.T) {
	if strconv.IntSize != 64 {
		t.Skip("the offsets are those of a 64-bit machine")
	}
	text, err := os.ReadFile("args_arm64.h")
	if err != nil {
		t.Fatal(err)
	}
	structs := map[string]reflect.Type{
		"GemmF32":        reflect.TypeFor[ref.GemmF32](),
		"DwconvF32":      reflect.TypeFor[ref.DwconvF32](),
		"PoolF32":        reflect.TypeFor[ref.PoolF32](),
		"WinogradInF32":  reflect.TypeFor[ref.WinogradInF32](),
		"WinogradOutF32": reflect.TypeFor[ref.WinogradOutF32](),
		"GemmQ8":         reflect.TypeFor[ref.GemmQ8](),
		"DwconvQ8":       reflect.TypeFor[ref.DwconvQ8](),
		"PoolQ8":         reflect.TypeFor[ref.PoolQ8](),
		"BinaryU8":       reflect.TypeFor[ref.BinaryU8](),
	}
	defines := regexp.MustCompile(`(?m)^#define (\w+)_(\w+) (\d+)$`).FindAllStringSubmatch(string(text), -1)
	if want := strings.Count(string(text), "#define"); len(defines) != want || want == 0 {
		t.Fatalf("args_arm64.h: %d of %d definitions can be read", len(defines), want)
	}
	for _, d := range defines {
		s := structs[d[1]]
		if s == nil {
			t.Errorf("args_arm64.h: no struct %s", d[1])
			continue
		}
		field, ok := s.FieldByName(d[2])
		if !ok {
			t.Errorf("args_arm64.h: %s has no field %s", d[1], d[2])
		} else if got := fmt.Sprint(field.Offset); got != d[3] {
			t.Errorf("args_arm64.h: %s_%s is %s, want %s", d[1], d[2], d[3], got)
		}
	}
}
