//go:build peers

package onnx

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// compare checks pairs of models on its command line: the second is what
// edgecam made of the first. The checker must accept what it accepted before,
// both must hold the same, and ONNX Runtime must load the second if it loads
// the first.
const compare = `
import sys, numpy as np, onnx, onnxruntime as ort
from onnx import numpy_helper as nh
ort.set_default_logger_severity(4)

def loads(p):
    try: ort.InferenceSession(p, providers=["CPUExecutionProvider"]); return ""
    except Exception as e: return str(e) or "error"

def valid(p):
    try: onnx.checker.check_model(p); return ""
    except Exception as e: return str(e) or "error"

def array(t): return nh.to_array(t).tobytes(), t.data_type, tuple(t.dims), t.name, t.doc_string, [(p.key, p.value) for p in t.metadata_props]

def parts(m):
    g = m.graph
    inits = {t.name: array(t) for t in g.initializer}
    nodes = sorted((tuple(n.output), tuple(n.input), n.op_type, n.domain, n.name, n.doc_string, tuple(sorted(attr(a) for a in n.attribute))) for n in g.node)
    types = lambda vs: [v.SerializeToString(deterministic=True) for v in vs]
    produced = {o for n in g.node for o in n.output}
    hints = sorted(types(v for v in g.value_info if v.name in produced and not any(v.name == o.name for o in g.output)))
    head = [m.ir_version, m.producer_name, m.domain, m.model_version, m.doc_string, g.name, g.doc_string]
    rest = [(o.domain, o.version) for o in m.opset_import] + types(m.metadata_props) + types(m.functions) + types(g.quantization_annotation) + types(g.sparse_initializer) + types(g.metadata_props)
    return head, inits, nodes, types(g.input), types(g.output), hints, rest

def attr(a):
    return (a.name, a.type, str(array(a.t)) if a.HasField("t") else a.SerializeToString(deterministic=True).hex())

bad = 0
for a, b in zip(sys.argv[1::2], sys.argv[2::2]):
    said = []
    was, now = valid(a), valid(b)
    if now and not was: said.append("checker: " + now)
    for k, (x, y) in enumerate(zip(parts(onnx.load(a)), parts(onnx.load(b)))):
        if x != y: said.append("part %d differs: %.300s != %.300s" % (k, x, y))
    was, now = loads(a), loads(b)
    if now and not was: said.append("runtime: " + now)
    if said: print(a, *said, sep="\n  "); bad += 1
print(len(sys.argv) // 2, "pairs,", bad, "bad")
sys.exit(bad != 0)
`

// TestPeers writes every golden file and every model of the assets, and has
// onnx and ONNX Runtime judge the result.
func TestPeers(t *testing.T) {
	env := os.Getenv("EDGECAM_PEERS")
	if env == "" {
		home, _ := os.UserHomeDir()
		env = filepath.Join(home, ".cache", "edgecam-peers")
	}
	python := filepath.Join(env, "bin", "python")
	if _, err := os.Stat(python); err != nil {
		t.Skipf("no Python with onnx and onnxruntime: %v (set EDGECAM_PEERS)", err)
	}
	paths, err := filepath.Glob(filepath.Join("testdata", "*.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	more := os.Getenv("EDGECAM_ASSETS")
	if more == "" {
		more = filepath.Join("..", "..", "..", "shared")
	}
	for _, dir := range []string{filepath.Join(more, "models"), os.Getenv("EDGECAM_NODE_CASES")} {
		_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".onnx") {
				paths = append(paths, path)
			}
			return nil
		})
	}
	out := t.TempDir()
	args := []string{"-c", compare}
	for i, path := range paths {
		g, err := Open(path)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		written := filepath.Join(out, strconv.Itoa(i)+".onnx")
		if err := Save(written, g); err != nil {
			t.Fatal(err)
		}
		args = append(args, path, written)
	}
	if b, err := exec.Command(python, args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, b)
	} else {
		t.Logf("%s", b)
	}
}
