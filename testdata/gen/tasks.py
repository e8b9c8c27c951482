"""Makes the models and pictures in testdata/tasks: a classifier of colours and a segmenter of colours with a picture and ONNX Runtime's answer for each.

    python testdata/gen/tasks.py        (onnx 1.23.2, onnxruntime 1.32, numpy 2.4.6, opencv-python 5.0)
"""
import json, os
import cv2, numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto as T, helper as h, numpy_helper as nh

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tasks")
os.makedirs(out, exist_ok=True)


def save(name, nodes, shape_in, shape_out, inits):
    g = h.make_graph(nodes, name, [h.make_tensor_value_info("image", T.FLOAT, shape_in)], [h.make_tensor_value_info("scores", T.FLOAT, shape_out)], inits)
    m = h.make_model(g, opset_imports=[h.make_opsetid("", 17)], producer_name="testdata/gen/tasks.py", ir_version=8)
    onnx.checker.check_model(m, full_check=True)
    path = os.path.join(out, name + ".onnx")
    onnx.save(m, path)
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


def colours():
    """Logits of red, green, blue and dark from the mean colour, for the preset imagenet; green.png is of one colour, so that resizing does nothing."""
    s = save("colours", [h.make_node("GlobalAveragePool", ["image"], ["mean"]), h.make_node("Flatten", ["mean"], ["flat"]),
                         h.make_node("Gemm", ["flat", "w", "b"], ["scores"], transB=1)], [1, 3, 32, 32], [1, 4],
             [nh.from_array(np.array([[1, -.5, -.5], [-.5, 1, -.5], [-.5, -.5, 1], [-1, -1, -1]], np.float32), "w"), nh.from_array(np.array([0, 0, 0, .5], np.float32), "b")])
    rgb = np.array([40, 200, 90], np.float32)
    cv2.imwrite(os.path.join(out, "green.png"), np.broadcast_to(rgb[::-1].astype(np.uint8), (30, 40, 3)))
    x = (rgb / 255 - [.485, .456, .406]) / [.229, .224, .225]
    logits = s.run(None, {"image": np.broadcast_to(x[:, None, None], (1, 3, 32, 32)).astype(np.float32)})[0][0].astype(np.float64)
    p = np.exp(logits - logits.max())
    p /= p.sum()
    # The same with the softmax inside, and behind it what only changes the shape.
    m = onnx.load(os.path.join(out, "colours.onnx"))
    m.graph.node[-1].output[0] = "logits"
    m.graph.node.extend([h.make_node("Softmax", ["logits"], ["p"], axis=1), h.make_node("Flatten", ["p"], ["scores"])])
    onnx.checker.check_model(m, full_check=True)
    onnx.save(m, os.path.join(out, "probabilities.onnx"))
    same = ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"image": np.broadcast_to(x[:, None, None], (1, 3, 32, 32)).astype(np.float32)})[0][0]
    assert np.abs(same - p).max() < 1e-5
    return [[int(i), round(float(p[i]), 5)] for i in np.argsort(-p)]


def halves():
    """The strongest channel of every pixel, for the preset segment, of blue, green and red; halves.png is blue on the left and red on the right."""
    s = save("halves", [h.make_node("Conv", ["image", "w"], ["scores"])], [1, 3, 32, 32], [1, 3, 32, 32],
             [nh.from_array(np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1), "w")])
    img = np.zeros((32, 64, 3), np.uint8)
    img[:, :32, 0], img[:, 32:, 2] = 220, 220
    cv2.imwrite(os.path.join(out, "halves.png"), img)
    x = (cv2.resize(img, (32, 32)) - np.array([102.89, 111.25, 126.91])) / np.array([62.93, 62.82, 66.36]) / 255
    o = s.run(None, {"image": x.transpose(2, 0, 1)[None].astype(np.float32)})[0][0]
    mask = np.stack([cv2.resize(c, (64, 32)) for c in o]).argmax(0)
    return [[int(c), int(n)] for c, n in zip(*np.unique(mask, return_counts=True))], [int(mask[16, 0]), int(mask[16, 63])]


top = colours()
pixels, ends = halves()
json.dump({"top": top, "pixels": pixels, "ends": ends}, open(os.path.join(out, "want.json"), "w"))
