package pass

import (
	"fmt"
	"runtime"

	"github.com/edgecam/edgecam/internal/graph"
)

// Compile makes the lowered form of a portable graph in one go: Bind, Widen,
// Expand, Simplify, Lower. It never panics.
func Compile(g *graph.Graph, o Options) (out *graph.Graph, err error) {
	defer recovered(&err)
	bound, err := Bind(g, o)
	if err != nil {
		return nil, err
	}
	expanded, err := Expand(Widen(bound))
	if err != nil {
		return nil, err
	}
	simple, err := Simplify(expanded)
	if err != nil {
		return nil, err
	}
	return Lower(simple)
}

// recovered turns a panic into an error: no panic of an operator or a rule may
// leave the package.
func recovered(err *error) {
	if r := recover(); r != nil {
		buf := make([]byte, 2048)
		buf = buf[:runtime.Stack(buf, false)]
		*err = fmt.Errorf("internal error while compiling: %v (please report it with the model)\n%s", r, buf)
	}
}
