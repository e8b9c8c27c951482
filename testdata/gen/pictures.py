"""Writes testdata/tasks/pictures.json and astronaut-mask.png: what ONNX Runtime gives for the pictures of docs/tasks.md with real models.

    EDGECAM_ASSETS=FOLDER python testdata/gen/pictures.py        (onnxruntime 1.32, numpy 2.4.6, opencv-python 5.0, Pillow)

FOLDER/models holds the models; without it nothing is written. Decoding follows the authors' own code: YOLOX's demo/ONNXRuntime, FastestDet's
example/onnx-runtime, torchvision's transforms for MobileNetV2, the notebook of Portrait-Segmentation for SINet.
"""
import json, os, sys
import cv2, numpy as np, onnxruntime as ort
from PIL import Image

models = os.path.join(os.environ.get("EDGECAM_ASSETS", ""), "models")
if not os.path.isdir(models):
    sys.exit(print("pictures.py: EDGECAM_ASSETS does not name a folder with models; nothing is written") or 0)
here = os.path.dirname(os.path.abspath(__file__))
pictures, out = os.path.join(here, "../../docs/pictures"), os.path.join(here, "../tasks")
ort.set_default_logger_severity(3)
sigmoid = lambda x: 1 / (1 + np.exp(-x))


def run(model, x):
    s = ort.InferenceSession(os.path.join(models, model), providers=["CPUExecutionProvider"])
    return s.run(None, {s.get_inputs()[0].name: np.ascontiguousarray(x, np.float32)})[0]


def suppress(found, iou=.5):
    """Greedy, class by class; found are (class, score, x, y, w, h)."""
    kept = []
    for d in sorted(found, key=lambda d: -d[1]):
        def overlap(k):
            w = min(d[2] + d[4], k[2] + k[4]) - max(d[2], k[2])
            h = min(d[3] + d[5], k[3] + k[5]) - max(d[3], k[3])
            i = max(w, 0) * max(h, 0)
            return i / (d[4] * d[5] + k[4] * k[5] - i)
        if all(k[0] != d[0] or overlap(k) <= iou for k in kept):
            kept.append(d)
    return [{"class_id": int(d[0]), "score": round(float(d[1]), 5), "box": [round(float(v), 2) for v in d[2:]]} for d in kept]


def yolox(img, conf):
    h, w = img.shape[:2]
    r = min(416 / h, 416 / w)
    x = np.full((416, 416, 3), 114, np.uint8)
    x[:round(h * r), :round(w * r)] = cv2.resize(img, (round(w * r), round(h * r)))
    o = run("yolox/yolox_nano.onnx", x.transpose(2, 0, 1)[None])[0]
    at = [(x, y, s) for s in (8, 16, 32) for y in range(416 // s) for x in range(416 // s)]
    found = []
    for (gx, gy, s), v in zip(at, o):
        c = int(v[5:].argmax())
        if v[4] * v[5 + c] > conf:
            bw, bh = np.exp(v[2:4]) * s
            found.append((c, v[4] * v[5 + c], ((v[0] + gx) * s - bw / 2) / r, ((v[1] + gy) * s - bh / 2) / r, bw / r, bh / r))
    return suppress(found)


def fastestdet(img, conf):
    h, w = img.shape[:2]
    o = run("fastestdet/FastestDet.onnx", (cv2.resize(img, (352, 352)) / 255).transpose(2, 0, 1)[None])[0]
    found = []
    for gy in range(22):
        for gx in range(22):
            v = o[:, gy, gx]
            c = int(v[5:].argmax())
            score = v[0] ** .6 * v[5 + c] ** .4
            if score > conf:
                cx, cy, bw, bh = (gx + np.tanh(v[1])) / 22, (gy + np.tanh(v[2])) / 22, sigmoid(v[3]), sigmoid(v[4])
                found.append((c, score, (cx - bw / 2) * w, (cy - bh / 2) * h, bw * w, bh * h))
    return suppress(found)


def mobilenet(path):
    img = Image.open(path).convert("RGB")
    k = 256 / min(img.size)
    img = img.resize((int(img.width * k), int(img.height * k)) if img.width != img.height else (256, 256), Image.BILINEAR)
    left, top = round((img.width - 224) / 2), round((img.height - 224) / 2)
    x = np.asarray(img.crop((left, top, left + 224, top + 224)), np.float64) / 255
    x = (x - [.485, .456, .406]) / [.229, .224, .225]
    o = run("mobilenetv2/mobilenet_v2.onnx", x.transpose(2, 0, 1)[None])[0].astype(np.float64)
    p = np.exp(o - o.max()) / np.exp(o - o.max()).sum()
    return [{"class_id": int(i), "score": round(float(p[i]), 5)} for i in np.argsort(-p)[:5]]


def sinet(img):
    """The class of each pixel of the picture is that of the element of the output that it falls on."""
    h, w = img.shape[:2]
    x = (cv2.resize(img, (320, 320)) - np.array([102.89, 111.25, 126.91])) / np.array([62.93, 62.82, 66.36]) / 255
    m = run("sinet/SINet_Softmax.onnx", x.transpose(2, 0, 1)[None])[0].argmax(0).astype(np.uint8)
    rows, cols = ((np.arange(h) + .5) * 320 / h).astype(int), ((np.arange(w) + .5) * 320 / w).astype(int)
    return m[rows][:, cols]


read = lambda name: cv2.imread(os.path.join(pictures, name))
mask = sinet(read("astronaut.jpg"))
cv2.imwrite(os.path.join(out, "astronaut-mask.png"), mask * 255, [cv2.IMWRITE_PNG_BILEVEL, 1])
json.dump({"yolox": yolox(read("coffee.jpg"), .4), "fastestdet": fastestdet(read("coffee.jpg"), .6), "mobilenet": mobilenet(os.path.join(pictures, "chelsea.jpg"))},
          open(os.path.join(out, "pictures.json"), "w"), indent=1)
