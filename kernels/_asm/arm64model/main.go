// Command arm64model estimates the speed of the NEON kernels without an Arm
// machine: it builds them, cuts the largest inner loop out of each function,
// and has llvm-mca count the cycles of one pass on a model of a core. The
// model has no caches and no memory. It prints a Markdown table.
//
// Run it with go run -C kernels/_asm ./arm64model. It needs
// aarch64-linux-gnu-objdump (binutils-aarch64-linux-gnu) and llvm-mca-19
// (llvm-19).
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// core is a processor model of LLVM and how many multiply-adds it starts each
// cycle, by their unit; none where it lacks the instruction.
type core struct {
	name string
	peak map[string]float64
}

// LLVM models cortex-a72, a76 and a78 alike, as a Cortex-A57; neoverse-n1 is
// the nearest model of a Cortex-A76.
var cores = []core{
	{"cortex-a72", map[string]float64{"MAC": 4, "MAC8": 8, "MAC16": 4}},
	{"neoverse-n1", map[string]float64{"MAC": 8, "MAC8": 8, "MAC16": 4, "dot": 32}},
}

// kernel is a function and the work of one pass of its largest inner loop, in
// elements or in multiply-adds: MAC of one float32, MAC8 and MAC16 of 8-bit and
// 16-bit numbers by products of vectors, dot of 8-bit numbers by dot products.
type kernel struct {
	function string
	work     int
	unit     string
}

func kernels() []kernel {
	ks := []kernel{{"f32PeakNEON", 24 * 4, "MAC"}}
	for _, name := range []string{"Gemm", "Igemm"} {
		for m := 1; m <= 8; m++ {
			ks = append(ks, kernel{fmt.Sprintf("f32%sNEON%dx8", name, m), 4 * 8 * m, "MAC"})
		}
	}
	ks = append(ks, kernel{"f32DwconvNEON", 4 * 16, "MAC"})
	for _, name := range []string{"q8Gemm", "q8Igemm"} {
		ks = append(ks,
			kernel{name + "NEON2x8", 16 * 2 * 8, "MAC8"}, kernel{name + "AnyNEON2x8", 16 * 2 * 8, "MAC8"},
			kernel{name + "Dot4x8", 16 * 4 * 8, "dot"}, kernel{name + "Dot4x16", 16 * 4 * 16, "dot"})
	}
	ks = append(ks, kernel{"q8DwconvNEON", 4 * 16, "MAC16"}, kernel{"q8DwconvDot", 4 * 4 * 16, "dot"})
	for _, e := range []struct {
		names    string
		elements int
	}{
		{"MaxPool AvgPool Add Mul Div Minimum PRelu Lerp Max Clamp LeakyRelu HardSigmoid HardSwish Affine Exp Sigmoid Erf", 16},
		{"SiLU", 12}, {"Tanh Gelu ExpSum Norm SumNormPRelu", 8},
	} {
		for name := range strings.FieldsSeq(e.names) {
			ks = append(ks, kernel{"f32" + name + "NEON", e.elements, "element"})
		}
	}
	for _, name := range []string{"u8AddNEON", "u8MulNEON", "u8TableNEON", "f32ToU8NEON", "u8ToF32NEON"} {
		ks = append(ks, kernel{name, 16, "element"})
	}
	return append(ks, kernel{"u8MaxPoolNEON", 64, "element"}, kernel{"u8AvgPoolNEON", 64, "element"})
}

func main() {
	log.SetFlags(0)
	dir, err := os.MkdirTemp("", "arm64model")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "kernels.test")
	build := exec.Command("go", "test", "-c", "-o", bin, ".")
	build.Dir = ".."
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		log.Fatalf("go test -c: %v\n%s", err, out)
	}
	fmt.Print("| loop | instructions |")
	for _, c := range cores {
		fmt.Printf(" %s: cycles | per cycle | of peak |", c.name)
	}
	fmt.Println("\n|---|--:|" + strings.Repeat("--:|--:|--:|", len(cores)))
	for _, k := range kernels() {
		loop := innerLoop(bin, k.function)
		fmt.Printf("| `%s` | %d |", k.function, len(loop))
		for _, c := range cores {
			peak, multiplies := c.peak[k.unit]
			if !multiplies && k.unit == "dot" {
				fmt.Print(" | | |")
				continue
			}
			cycles := (simulate(loop, c.name, 300) - simulate(loop, c.name, 100)) / 200
			rate, share, unit := float64(k.work)/cycles, "", k.unit
			if multiplies {
				share, unit = fmt.Sprintf("%.0f %%", 100*rate/peak), "MAC"
			}
			fmt.Printf(" %.1f | %.2f %s | %s |", cycles, rate, unit, share)
		}
		fmt.Println()
	}
}

// instruction is a line of the disassembly; target is where a branch goes.
type instruction struct {
	address, target uint64
	text            string
}

var (
	line   = regexp.MustCompile(`^ *([0-9a-f]+):\t(.+)$`)
	branch = regexp.MustCompile(`^(?:b\.\w+|cbn?z|tbn?z).*?([0-9a-f]+) <`)
)

// innerLoop returns the longest loop of a function that has no loop inside,
// with branches made relative.
func innerLoop(bin, function string) []string {
	symbol := "github.com/edgecam/edgecam/kernels/arm64." + function + ".abi0"
	out, err := exec.Command("aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", "--disassemble="+symbol, bin).Output()
	if err != nil {
		log.Fatalf("aarch64-linux-gnu-objdump: %v", err)
	}
	var code []instruction
	for l := range strings.Lines(string(out)) {
		m := line.FindStringSubmatch(strings.TrimRight(l, "\n"))
		if m == nil {
			continue
		}
		in := instruction{text: m[2]}
		in.address = parseHex(m[1])
		if b := branch.FindStringSubmatch(in.text); b != nil {
			in.target = parseHex(b[1])
			in.text = in.text[:strings.LastIndex(in.text, b[1]+" <")] + "#4"
		}
		code = append(code, in)
	}
	var best []string
	for end, in := range code {
		if in.target == 0 || in.target > in.address {
			continue
		}
		start := end - int(in.address-in.target)/4
		var loop []string
		inner := true
		for i := start; i <= end; i++ {
			loop = append(loop, code[i].text)
			inner = inner && (i == end || code[i].target == 0 || code[i].target > code[i].address)
		}
		if inner && len(loop) > len(best) {
			best = loop
		}
	}
	if best == nil {
		log.Fatalf("%s has no loop in %s", function, bin)
	}
	return best
}

func parseHex(s string) uint64 {
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		log.Fatal(err)
	}
	return n
}

// simulate returns the cycles of a number of passes.
func simulate(loop []string, cpu string, passes int) float64 {
	cmd := exec.Command("llvm-mca-19", "-mtriple=aarch64", "-mcpu="+cpu, fmt.Sprintf("-iterations=%d", passes))
	cmd.Stdin = strings.NewReader(strings.Join(loop, "\n") + "\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		log.Fatalf("llvm-mca-19: %v\n%s", err, stderr.Bytes())
	}
	m := regexp.MustCompile(`Total Cycles: +(\d+)`).FindSubmatch(out)
	if m == nil {
		log.Fatalf("llvm-mca-19 printed no cycles:\n%s", out)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		log.Fatal(err)
	}
	return float64(n)
}
