// Command asm generates the amd64 kernels. One run writes one file of
// assembly and its stubs, named by the flags -kernels, -isa, -out and -stubs; the
// go:generate lines in kernels/amd64/doc.go list them all.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/mmcloughlin/avo/build"
)

var files = map[string]func(){
	"winograd":   winograds,
	"gemm":       gemms,
	"gemmq8":     gemmsQ8,
	"gemmvnni":   gemmsVNNI,
	"dwvnni":     dwconvVNNI,
	"windowq8":   windowsQ8,
	"window":     windows,
	"unary":      unaries,
	"binary":     binaries,
	"reduce":     reductions,
	"preprocess": preprocessing,
	"u8":         elementwiseU8,
	"u8pool":     poolsU8,
	"peak":       peaks,
	"jpeg":       jpegs,
}

func main() {
	kernels := flag.String("kernels", "", "the file to generate: gemm, window, unary, binary, reduce, peak or jpeg")
	isa := flag.String("isa", "", "the instruction set: avx2 or avx512")
	flag.Parse()
	generate := files[*kernels]
	if generate == nil {
		fmt.Fprintf(os.Stderr, "asm: -kernels=%s is unknown\n", *kernels)
		os.Exit(2)
	}
	if err := use(*isa); err != nil {
		fmt.Fprintf(os.Stderr, "asm: %v\n", err)
		os.Exit(2)
	}
	build.ConstraintExpr("!noasm")
	generate()
	build.Generate()
}
