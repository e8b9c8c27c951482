"""Makes the models and golden files in testdata/sdk: small nets whose right answers are plain, and ONNX Runtime's outputs on them.

    python testdata/gen/sdk.py        (onnx 1.23.2, onnxruntime 1.32, numpy 2.4.6, opencv-python 5.0)
"""
import json, os
import cv2, numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto as T, helper as h, numpy_helper as nh

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "sdk")
os.makedirs(out, exist_ok=True)


def save(name, nodes, inputs, outputs, inits=(), opset=17, **kw):
    g = h.make_graph(nodes, name, inputs, outputs, list(inits))
    m = h.make_model(g, opset_imports=[h.make_opsetid("", opset), *kw.get("extra", [])], producer_name="testdata/gen/sdk.py", ir_version=8)
    if kw.get("check", True):
        onnx.checker.check_model(m, full_check=True)
    path = os.path.join(out, name + ".onnx")
    onnx.save(m, path)
    return path


def squares():
    """A YOLOX-shaped detector that finds white squares of 32 pixels on the 32-pixel grid of a 64x64 picture.

    Each head is one convolution over a whole cell: the box is the cell itself, objectness a steep sigmoid of the cell's mean.
    Only the coarsest head can fire: the biases of the other two keep them silent.
    """
    nodes, inits, flat = [], [], []
    for s in (8, 16, 32):
        w, b = np.zeros((4, 3, s, s), np.float32), np.array([0.5, 0.5, 0, 0], np.float32)
        wo = np.full((1, 3, s, s), 40 / (255 * 3 * s * s), np.float32)
        bo = np.array([-30 if s == 32 else -60], np.float32)
        wc, bc = np.zeros((1, 3, s, s), np.float32), np.array([4], np.float32)
        for k, (x, y) in {"reg": (w, b), "obj": (wo, bo), "cls": (wc, bc)}.items():
            inits += [nh.from_array(x, f"{k}{s}.weight"), nh.from_array(y, f"{k}{s}.bias")]
            nodes.append(h.make_node("Conv", ["images", f"{k}{s}.weight", f"{k}{s}.bias"], [f"{k}{s}"], f"/{k}{s}/Conv", strides=[s, s], kernel_shape=[s, s]))
        for k in ("obj", "cls"):
            nodes.append(h.make_node("Sigmoid", [f"{k}{s}"], [f"{k}{s}.p"], f"/{k}{s}/Sigmoid"))
        nodes.append(h.make_node("Concat", [f"reg{s}", f"obj{s}.p", f"cls{s}.p"], [f"head{s}"], f"/head{s}/Concat", axis=1))
        inits.append(nh.from_array(np.array([1, 6, (64 // s) ** 2], np.int64), f"flat{s}.shape"))
        nodes.append(h.make_node("Reshape", [f"head{s}", f"flat{s}.shape"], [f"flat{s}"], f"/flat{s}/Reshape"))
        flat.append(f"flat{s}")
    nodes += [h.make_node("Concat", flat, ["all"], "/Concat", axis=2), h.make_node("Transpose", ["all"], ["output"], "/Transpose", perm=[0, 2, 1])]
    path = save("squares", nodes, [h.make_tensor_value_info("images", T.FLOAT, [1, 3, 64, 64])],
                [h.make_tensor_value_info("output", T.FLOAT, [1, 84, 6])], inits)
    # 128x96, so that the letterbox halves it; a 64-pixel white square becomes one cell.
    img = np.full((96, 128, 3), 20, np.uint8)
    img[0:64, 64:128] = 255
    cv2.imwrite(os.path.join(out, "squares.png"), img)
    small = cv2.resize(img, (64, 48), interpolation=cv2.INTER_LINEAR)
    x = np.full((64, 64, 3), 114, np.uint8)
    x[:48] = small
    o = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"images": x.transpose(2, 0, 1)[None].astype(np.float32)})[0][0]
    objects = []
    for s, first in ((8, 0), (16, 64), (32, 80)):
        n = 64 // s
        for k in range(n * n):
            r = o[first + k]
            score = float(r[4] * r[5])
            if score >= 0.3:
                c, wh = (r[:2] + [k % n, k // n]) * s, np.exp(r[2:4]) * s
                objects.append({"class_id": 0, "score": round(score, 5), "box": [round(float(v) * 2, 2) for v in (*(c - wh / 2), *wh)]})
    json.dump(objects, open(os.path.join(out, "squares.json"), "w"))


def tensors():
    """Two inputs with a symbolic batch, an integer input that gives an output's shape, and an output name that is no file name."""
    path = save("tensors", [
        h.make_node("Gemm", ["x", "w", "b"], ["h"], "fc"),
        h.make_node("Relu", ["h"], ["a/relu:0"], "act"),
        h.make_node("Reshape", ["h", "shape"], ["reshaped"], "view"),
        h.make_node("ArgMax", ["h"], ["best"], "best", axis=1, keepdims=0),
    ], [h.make_tensor_value_info("x", T.FLOAT, ["batch", 4]), h.make_tensor_value_info("shape", T.INT64, [2])],
        [h.make_tensor_value_info("a/relu:0", T.FLOAT, ["batch", 3]), h.make_tensor_value_info("reshaped", T.FLOAT, ["p", "q"]),
         h.make_tensor_value_info("best", T.INT64, ["batch"])],
        [nh.from_array(np.arange(12, dtype=np.float32).reshape(4, 3) / 8 - 0.5, "w"), nh.from_array(np.array([0.25, 0, -0.25], np.float32), "b")])
    x = np.random.default_rng(0).random((2, 4), dtype=np.float32)
    shape = np.array([3, 2], np.int64)
    np.save(os.path.join(out, "tensors_x.npy"), x)
    np.save(os.path.join(out, "tensors_shape.npy"), shape)
    open(os.path.join(out, "tensors_x.pb"), "wb").write(nh.from_array(x, "x").SerializeToString())
    s = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    for name, v in zip(("relu", "reshaped", "best"), s.run(None, {"x": x, "shape": shape})):
        np.save(os.path.join(out, f"tensors_{name}.npy"), v)


def unsupported():
    """Two operators of a domain that nobody has."""
    save("unsupported", [h.make_node("Frobnicate", ["x"], ["y"], "first", domain="example"), h.make_node("Relu", ["y"], ["z"], "second"),
                         h.make_node("Defenestrate", ["z"], ["out"], "third", domain="example")],
         [h.make_tensor_value_info("x", T.FLOAT, [1, 4])], [h.make_tensor_value_info("out", T.FLOAT, [1, 4])],
         extra=[h.make_opsetid("example", 1)], check=False)


squares(), tensors(), unsupported()
