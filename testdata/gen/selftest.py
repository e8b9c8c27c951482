"""Runs the nets of `edgecam selftest` in ONNX Runtime and writes their results to testdata/selftest/NAME.bin: the bytes of the outputs,
one behind the other.

    python testdata/gen/selftest.py        (onnxruntime 1.32, numpy 2.4.6, and go)

The nets are built by package sdk, whose test writes them as ONNX files with their inputs. Graph optimisations are off, so that
QuantizeLinear and DequantizeLinear run as the standard defines them and everything between them in float32: with them, ONNX Runtime's
8-bit products saturate on processors without VNNI. The test allows a few numbers to be one step off.
"""
import os, shutil, subprocess, tempfile
import numpy as np, onnxruntime as ort

root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
out = os.path.join(root, "testdata", "selftest")
types = {"tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(float)": np.float32}
shutil.rmtree(out, ignore_errors=True)
os.makedirs(out)
with tempfile.TemporaryDirectory() as nets:
    subprocess.run(["go", "test", "./sdk", "-count=1", "-run", "^TestSelfTestONNXRuntime$"], cwd=root, check=True, env=os.environ | {"EDGECAM_SELFTEST_EXPORT": nets})
    for name in sorted(os.listdir(nets)):
        if not name.endswith(".onnx"):
            continue
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        s = ort.InferenceSession(os.path.join(nets, name), options, providers=["CPUExecutionProvider"])
        given = s.get_inputs()[0]
        x = np.fromfile(os.path.join(nets, name[:-5] + ".in"), types[given.type]).reshape(given.shape)
        with open(os.path.join(out, name[:-5] + ".bin"), "wb") as f:
            for y in s.run(None, {given.name: x}):
                f.write(y.tobytes())
