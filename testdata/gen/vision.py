"""Makes testdata/camera and testdata/vision: what OpenCV and NumPy give for small generated pictures and tensors.

    python testdata/gen/vision.py        # opencv-python 5.0, numpy 2, Pillow

Pictures are noise and gradients from a linear congruential generator that the tests repeat, so most golden values are only checksums.
"""
import json, math, os, struct, zlib
import cv2, numpy as np
from PIL import Image

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
CAM, VIS = os.path.join(ROOT, "camera"), os.path.join(ROOT, "vision")
os.makedirs(CAM, exist_ok=True)
os.makedirs(VIS, exist_ok=True)


def noise(n, seed):
    """n values of 32 bits."""
    out, x = np.empty(n, np.uint32), seed
    for i in range(n):
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = x
    return out


def picture(w, h, seed):
    """Noise, [h, w, 3]; the tests take the channels for red, green, blue."""
    return (noise(w * h * 3, seed) >> 24).astype(np.uint8).reshape(h, w, 3)


def floats(n, seed, lo, hi):
    return (lo + (noise(n, seed) >> 8).astype(np.float64) / (1 << 24) * (hi - lo)).astype(np.float32)


def crc(a):
    return zlib.crc32(np.ascontiguousarray(a).tobytes())


# ---- camera: JPEG, PNG, WebP, BMP, GIF, AVI beside the pixels of cv2.imread

def scene(w, h):
    """A gradient with coloured shapes: soft and hard edges in luma and chroma."""
    y, x = np.mgrid[:h, :w]
    img = np.stack([x * 255 // max(1, w - 1), y * 255 // max(1, h - 1), (x + y) * 255 // max(1, w + h - 2)], -1).astype(np.uint8)
    cv2.circle(img, (w // 3, h // 2), h // 4, (0, 0, 255), -1)
    cv2.rectangle(img, (w // 2, h // 5), (w - 4, h // 2), (255, 64, 0), -1)
    cv2.line(img, (0, h - 1), (w - 1, 0), (255, 255, 255), 1)
    return img


def golden(name):
    want = cv2.imread(os.path.join(CAM, name))
    assert want is not None, name
    cv2.imwrite(os.path.join(CAM, name + ".want.png"), want, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def camera():
    S = {"444": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444, "422": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422, "420": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
         "440": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440, "411": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411}
    img = scene(45, 35)
    for n, s in S.items():
        cv2.imwrite(f"{CAM}/scene_{n}.jpg", img, [cv2.IMWRITE_JPEG_QUALITY, 85, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, s])
        golden(f"scene_{n}.jpg")
        # Every 32x32 block of one colour: no rounding in the inverse DCT, so upsampling and colour must agree exactly.
        blocks = np.kron(picture(3, 3, 7), np.ones((32, 32, 1), np.uint8))[:67, :83]
        cv2.imwrite(f"{CAM}/blocks_{n}.jpg", blocks, [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, s])
        golden(f"blocks_{n}.jpg")
    cv2.imwrite(f"{CAM}/progressive.jpg", img, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_QUALITY, 80])
    cv2.imwrite(f"{CAM}/gray.jpg", cv2.cvtColor(img, cv2.COLOR_BGR2GRAY))
    for w, h in ((1, 1), (3, 2), (4, 5), (5, 4), (17, 1)):
        cv2.imwrite(f"{CAM}/tiny_{w}x{h}.jpg", scene(w, h))
        golden(f"tiny_{w}x{h}.jpg")
    pil = Image.fromarray(np.ascontiguousarray(img[:, :, ::-1]))
    pil.convert("CMYK").save(f"{CAM}/cmyk.jpg", quality=90)
    for n in ("progressive", "gray", "cmyk"):
        golden(n + ".jpg")
    small = Image.fromarray(np.ascontiguousarray(scene(21, 13)[:, :, ::-1]))
    for o in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = o
        small.save(f"{CAM}/turned_{o}.jpg", exif=exif, quality=90)
        golden(f"turned_{o}.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    small.save(f"{CAM}/turned_6.png", exif=exif)
    golden("turned_6.png")

    png = scene(23, 17)
    alpha = np.dstack([png, (np.arange(17 * 23) % 256).astype(np.uint8).reshape(17, 23)])
    deep = (noise(11 * 9 * 3, 3) >> 16).astype(np.uint16).reshape(9, 11, 3)
    gray = cv2.cvtColor(png, cv2.COLOR_BGR2GRAY)
    for n, a in (("rgb", png), ("rgba", alpha), ("gray", gray), ("rgb16", deep), ("gray16", deep[:, :, 0])):
        cv2.imwrite(f"{CAM}/{n}.png", a)
    p = Image.fromarray(np.ascontiguousarray(png[:, :, ::-1]))
    p.quantize(13).save(f"{CAM}/palette.png")
    p.quantize(13).save(f"{CAM}/palette_clear.png", transparency=3)
    p.convert("1").save(f"{CAM}/bilevel.png")
    p.convert("LA").save(f"{CAM}/gray_alpha.png")
    for n in ("rgb", "rgba", "gray", "rgb16", "gray16", "palette", "palette_clear", "bilevel", "gray_alpha"):
        golden(n + ".png")

    for n, o in (("lossy", {"quality": 80}), ("lossless", {"lossless": True}), ("turned_6", {"exif": exif, "quality": 90})):
        p.save(f"{CAM}/{n}.webp", **o)
        golden(n + ".webp")
    for w, h in ((45, 35), (64, 48), (1, 1), (2, 1), (1, 2), (4, 5), (5, 4), (17, 1)):
        Image.fromarray(np.ascontiguousarray(picture(w, h, 9))).save(f"{CAM}/noise_{w}x{h}.webp", quality=40)
        golden(f"noise_{w}x{h}.webp")
    clear = Image.fromarray(np.ascontiguousarray(alpha[:, :, [2, 1, 0, 3]]))
    clear.save(f"{CAM}/alpha.webp", quality=80)
    clear.save(f"{CAM}/alpha_lossless.webp", lossless=True, exact=True)
    p.save(f"{CAM}/broken/animated.webp", save_all=True, append_images=[p.rotate(90)])
    for n, i in (("rgb", p), ("rgba", clear), ("palette", p.quantize(13)), ("bilevel", p.convert("1")), ("gray", p.convert("L"))):
        i.save(f"{CAM}/{n}.bmp")
        golden(n + ".bmp")
    rows = open(f"{CAM}/rgb.bmp", "rb").read()  # from the top down: the same rows behind a negative height
    open(f"{CAM}/topdown.bmp", "wb").write(rows[:22] + struct.pack("<i", -17) + rows[26:])
    golden("topdown.bmp")
    p.quantize(13).save(f"{CAM}/plain.gif")
    p.quantize(13).save(f"{CAM}/clear.gif", transparency=3)
    p.quantize(13).save(f"{CAM}/several.gif", save_all=True, append_images=[p.rotate(90).quantize(13)], interlace=1)
    part = bytearray(open(f"{CAM}/plain.gif", "rb").read())  # a picture that covers a part of the screen
    part[6:10], part[11] = struct.pack("<HH", 30, 25), 2
    at = part.index(b"\x2c", 13 + 3 * 16)
    part[at + 1:at + 5] = struct.pack("<HH", 4, 5)
    open(f"{CAM}/part.gif", "wb").write(part)
    for n in ("plain", "clear", "several", "part"):
        golden(n + ".gif")

    w, h, n = 48, 32, 5
    v = cv2.VideoWriter(f"{CAM}/clip.avi", cv2.CAP_OPENCV_MJPEG, cv2.VideoWriter_fourcc(*"MJPG"), 10, (w, h))
    for i in range(n):
        v.write(np.roll(scene(w, h), 5 * i, 1))
    v.release()
    v = cv2.VideoCapture(f"{CAM}/clip.avi", cv2.CAP_OPENCV_MJPEG)
    frames = [v.read()[1] for _ in range(n)]
    assert not v.read()[0]
    cv2.imwrite(f"{CAM}/clip.avi.want.png", np.concatenate(frames), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    os.makedirs(f"{CAM}/broken", exist_ok=True)
    w, h = 60000, 60000  # header only: gray, 8 bits
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", w, h, 8, 0, 0, 0, 0)
    huge = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))
    open(f"{CAM}/broken/huge.png", "wb").write(huge + b"\0" * 30)


# ---- vision

def resize_cases():
    rng = np.random.default_rng(1)
    cases = [(64, 48, 32, 24), (64, 48, 35, 35), (20, 16, 10, 8), (20, 16, 10, 7), (21, 16, 10, 8), (1, 1, 5, 4), (1, 9, 3, 4), (9, 1, 4, 3), (2, 2, 1, 1),
             (3, 3, 50, 40), (40, 40, 10, 10), (40, 40, 20, 10), (50, 37, 41, 31), (7, 5, 14, 10), (12, 12, 12, 12), (12, 12, 12, 13), (5, 40, 40, 5)]
    cases += [tuple(int(v) for v in rng.integers(1, 70, 4)) for _ in range(150)]
    return [{"src": [sw, sh], "dst": [dw, dh], "crc": crc(cv2.resize(picture(sw, sh, 100 + i), (dw, dh), interpolation=cv2.INTER_LINEAR))}
            for i, (sw, sh, dw, dh) in enumerate(cases)]


def letterbox(img, W, H, pad, centre):
    h, w = img.shape[:2]
    r = min(H / h, W / w)
    nh, nw = round(h * r), round(w * r)
    top, left = ((H - nh) // 2, (W - nw) // 2) if centre else (0, 0)
    out = np.full((H, W, 3), pad, np.uint8)
    out[top:top + nh, left:left + nw] = cv2.resize(img, (nw, nh), interpolation=cv2.INTER_LINEAR)
    return out, r, left, top


IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def normal(x, mean, std):
    """(x/255 - mean) / std, in the order of operations that one table of bytes has."""
    mean, std = np.array(mean), np.array(std)
    out = (x - mean * 255) / (std * 255)
    assert abs(out - (x / 255 - mean) / std).max() < 1e-6
    return out


def tensor(preset, rgb, W, H):
    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    if preset == "fastestdet":
        return cv2.resize(bgr, (W, H)) / 255.0
    if preset == "yolox":
        return letterbox(bgr, W, H, 114, False)[0]
    if preset == "nanodet":
        return (letterbox(bgr, W, H, 0, True)[0] - np.array([103.53, 116.28, 123.675])) / np.array([57.375, 57.12, 58.395])
    if preset == "ultraface":
        return (cv2.resize(rgb, (W, H)) - 127.0) / 128
    if preset == "yunet":
        return letterbox(bgr, W, H, 0, False)[0]
    if preset == "nanodet-plus":
        return (cv2.resize(bgr, (W, H)) - np.array([103.53, 116.28, 123.675])) / np.array([57.375, 57.12, 58.395])
    if preset == "scrfd":
        return (letterbox(rgb, W, H, 0, False)[0] - 127.5) / 128
    if preset == "centernet":
        return normal(letterbox(bgr, W, H, 0, True)[0], [0.40789654, 0.44719302, 0.47026115], [0.28863828, 0.27408164, 0.27809835])
    if preset == "detr":
        return normal(cv2.resize(rgb, (W, H)), *IMAGENET)
    if preset == "rtdetr":
        return cv2.resize(rgb, (W, H)) / 255.0
    if preset == "segment":
        x, m, s = cv2.resize(bgr, (W, H)), np.array([102.89, 111.25, 126.91]), np.array([62.93, 62.82, 66.36])
        out = (x - m) / (s * 255)
        assert abs(out - ((x - m) / s) / 255).max() < 1e-7
        return out
    if preset == "imagenet":  # torchvision's Resize(256), CenterCrop(224), for other inputs in proportion, offsets rounded down.
        # Pillow 13 may begin with the rows where a picture becomes much flatter; with its aspect kept, and before 13 always, it begins with the columns.
        h, w = rgb.shape[:2]
        if w * H < h * W:
            nw = W * 256 // 224
            nh = max(H, nw * h // w)
        else:
            nh = H * 256 // 224
            nw = max(W, nh * w // h)
        big = np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).resize((nw, nh), Image.Resampling.BILINEAR))
        top, left = (nh - H) // 2, (nw - W) // 2
        return normal(big[top:top + H, left:left + W], *IMAGENET)
    return letterbox(rgb, W, H, 114, True)[0] / 255.0  # yolov5, yolov8


def preprocess_cases():
    out = []

    def case(p, w, h, W, H, seed):
        x = tensor(p, picture(w, h, seed), W, H)
        out.append({"preset": p, "frame": [w, h], "input": [W, H], "seed": seed,
                    "nchw": crc(x.transpose(2, 0, 1).astype(np.float32)), "nhwc": crc(x.astype(np.float32))})

    for k, p in enumerate(("fastestdet", "yolox", "nanodet", "ultraface", "yunet", "yolov5", "yolov8",
                           "nanodet-plus", "scrfd", "centernet", "detr", "rtdetr", "segment", "imagenet")):
        for i, (w, h) in enumerate(((50, 37), (31, 60), (32, 32), (64, 64), (120, 9), (17, 17))):
            case(p, w, h, 32, 32, 500 + 10 * k + i)
    for i, (w, h, W, H) in enumerate(((320, 240, 224, 224), (241, 400, 224, 224), (100, 75, 224, 224), (90, 90, 40, 24), (60, 90, 24, 40), (36, 36, 32, 32),
                                      (1, 50, 8, 8), (50, 1, 8, 8), (1, 1, 7, 7))):
        case("imagenet", w, h, W, H, 800 + i)
    return out


sig = lambda x: 1 / (1 + np.exp(-x))


def grids(W, H, strides=(8, 16, 32)):
    for st in strides:
        gx, gy = np.meshgrid(np.arange(W // st), np.arange(H // st))
        yield st, np.stack([gx.ravel(), gy.ravel()], 1).astype(np.float64)


def decode_cases():
    """Random tensors, decoded by the formulas of each model's documentation for a frame of 200 x 150 and an input of 64 x 64."""
    W = H = 64
    w, h = 200, 150
    cells = sum((W // s) * (H // s) for s in (8, 16, 32))
    cases = []

    def case(preset, outs, box, score, cls, points=None):
        keep = np.flatnonzero(score > np.float32(0.3))
        cases.append({"preset": preset, "outputs": outs, "conf": 0.3, "objects": [
            {"class": int(cls[i]), "score": round(float(score[i]), 7), "box": [round(float(v), 4) for v in box[i]],
             **({"points": [round(float(v), 4) for v in points[i]]} if points is not None else {})} for i in keep]})

    def out(name, shape, seed, lo, hi):
        return {"name": name, "shape": list(shape), "seed": seed, "lo": lo, "hi": hi}, floats(math.prod(shape), seed, lo, hi).reshape(shape)[0]

    r = min(W / w, H / h)
    d, o = out("758", (1, 8, H // 16, W // 16), 11, 0, 1)
    gx, gy = np.meshgrid(np.arange(W // 16), np.arange(H // 16))
    cx, cy = (gx + np.tanh(o[1])) / (W // 16) * w, (gy + np.tanh(o[2])) / (H // 16) * h
    bw, bh = sig(o[3]) * w, sig(o[4]) * h
    box = np.stack([cx - bw / 2, cy - bh / 2, cx + bw / 2, cy + bh / 2], -1).reshape(-1, 4)
    case("fastestdet", [d], box, (o[0] ** 0.6 * o[5:].max(0) ** 0.4).ravel(), o[5:].argmax(0).ravel())

    g = np.concatenate([g for _, g in grids(W, H)])
    st = np.concatenate([np.full(len(g), s) for s, g in grids(W, H)])[:, None]
    d, o = out("output", (1, cells, 8), 12, 0, 1)
    c, wh, sc = (o[:, :2] + g) * st, np.exp(o[:, 2:4]) * st, o[:, 4:5] * o[:, 5:]
    case("yolox", [d], np.concatenate([c - wh / 2, c + wh / 2], 1) / r, sc.max(1), sc.argmax(1))

    left, top = (W - round(w * r)) // 2, (H - round(h * r)) // 2
    off = np.array([left, top, left, top])
    d, o = out("output0", (1, 3 * cells, 8), 13, 0, 1)
    o = o.astype(np.float64)
    sc = (o[:, 4:5] * o[:, 5:]).astype(np.float32)
    case("yolov5", [d], (np.concatenate([o[:, :2] - o[:, 2:4] / 2, o[:, :2] + o[:, 2:4] / 2], 1) - off) / r, sc.max(1), sc.argmax(1))
    d, o = out("output0", (1, 7, cells), 14, 0, 0.5)
    o = o.T.astype(np.float64)
    case("yolov8", [d], (np.concatenate([o[:, :2] - o[:, 2:4] / 2, o[:, :2] + o[:, 2:4] / 2], 1) - off) / r, o[:, 4:].max(1).astype(np.float32), o[:, 4:].argmax(1))

    outs, B, S, C = [], [], [], []
    for k, (s, g) in enumerate(grids(W, H)):
        dc, c = out(f"cls{s}", (1, len(g), 5), 20 + k, 0, 0.4)
        dd, t = out(f"dist{s}", (1, len(g), 32), 30 + k, -3, 3)
        e = np.exp(t.reshape(-1, 4, 8).astype(np.float64))
        dist = (e / e.sum(-1, keepdims=True) * np.arange(8)).sum(-1) * s
        m = g * s + (s - 1) / 2
        B.append((np.concatenate([m - dist[:, :2], m + dist[:, 2:]], 1) - off) / r)
        S.append(c.max(1)), C.append(c.argmax(1))
        outs += [dc, dd]
    case("nanodet", outs[::2] + outs[1::2], np.concatenate(B), np.concatenate(S), np.concatenate(C))

    outs, B, S, P = [], [], [], []
    for k, (s, g) in enumerate(grids(W, H)):
        n = len(g)
        (d1, cl), (d2, ob), (d3, bb), (d4, kp) = (out(f"cls_{s}", (1, n, 1), 40 + k, 0, 1), out(f"obj_{s}", (1, n, 1), 50 + k, 0, 1),
                                                 out(f"bbox_{s}", (1, n, 4), 60 + k, -1, 1), out(f"kps_{s}", (1, n, 10), 70 + k, -1, 1))
        c, wh = (bb[:, :2] + g) * s, np.exp(bb[:, 2:].astype(np.float64)) * s
        B.append(np.concatenate([c - wh / 2, c + wh / 2], 1) / r)
        S.append((cl * ob).ravel())
        P.append((kp + np.tile(g, 5)) * s / r)
        outs += [d1, d2, d3, d4]
    S = np.concatenate(S)
    case("yunet", outs[0::4] + outs[1::4] + outs[2::4] + outs[3::4], np.concatenate(B), S, np.zeros(len(S), int), np.concatenate(P))

    prior = []
    for s, sizes in ((8, [10, 16, 24]), (16, [32, 48]), (32, [64, 96]), (64, [128, 192, 256])):
        for y in range(math.ceil(H / s)):
            for x in range(math.ceil(W / s)):
                prior += [[(x + .5) * s / W, (y + .5) * s / H, m / W, m / H] for m in sizes]
    prior = np.clip(np.array(prior), 0, 1)
    ds, sc = out("scores", (1, len(prior), 2), 80, 0, 1)
    db, bx = out("boxes", (1, len(prior), 4), 81, -4, 3)
    bx = bx.astype(np.float64)
    c, wh = bx[:, :2] * 0.1 * prior[:, 2:] + prior[:, :2], np.exp(bx[:, 2:] * 0.2) * prior[:, 2:]
    more_cases(case, out, w, h, W, H)
    case("ultraface", [ds, db], np.concatenate([c - wh / 2, c + wh / 2], 1) * [w, h, w, h], sc[:, 1], np.zeros(len(sc), int))
    return cases


def corners(cx, cy, w, h):
    return np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], -1)


def more_cases(case, out, w, h, W, H):
    r = min(W / w, H / h)
    bins = lambda t: (lambda e: (e / e.sum(-1, keepdims=True) * np.arange(8)).sum(-1))(np.exp(t.reshape(-1, 4, 8).astype(np.float64)))
    # NanoDet-Plus: nanodet_plus_head.py, centre priors x*stride, y*stride
    g = np.concatenate([g * s for s, g in grids(W, H, (8, 16, 32, 64))])
    st = np.concatenate([np.full(len(g), s) for s, g in grids(W, H, (8, 16, 32, 64))])[:, None]
    d, o = out("output", (1, len(g), 5 + 32), 90, 0, 0.4)
    dist = bins(o[:, 5:]) * st
    case("nanodet-plus", [d], np.concatenate([g - dist[:, :2], g + dist[:, 2:]], 1) * [w / W, h / H, w / W, h / H], o[:, :5].max(1), o[:, :5].argmax(1))
    # SCRFD: two anchors a cell, distance2bbox and distance2kps of the reference code
    outs, B, S, P = [], [], [], []
    for k, (s, g) in enumerate(grids(W, H)):
        c = np.repeat(g * s, 2, 0)
        (d1, sc), (d2, bb), (d3, kp) = (out(f"s{s}", (1, len(c), 1), 100 + k, 0, 0.6), out(f"b{s}", (1, len(c), 4), 110 + k, 0, 3), out(f"k{s}", (1, len(c), 10), 120 + k, -2, 2))
        bb, kp = bb.astype(np.float64) * s, kp.astype(np.float64) * s
        B.append(np.concatenate([c - bb[:, :2], c + bb[:, 2:]], 1) / r)
        P.append((np.tile(c, 5) + kp) / r)
        S.append(sc.ravel())
        outs.append([d1, d2, d3])
    S = np.concatenate(S)
    case("scrfd", [o[k] for k in range(3) for o in outs], np.concatenate(B), S, np.zeros(len(S), int), np.concatenate(P))
    case("scrfd", [o[k] for k in range(2) for o in outs], np.concatenate(B), S, np.zeros(len(S), int))
    # CenterNet: sigmoid, peaks by max pooling 3x3, centre + offset, times the stride 4
    off = np.array([(W - round(w * r)) // 2, (H - round(h * r)) // 2] * 2)
    gx, gy = np.meshgrid(np.arange(W // 4), np.arange(H // 4))
    for lo, hi, seed, heads in ((-6, 2, 130, 3), (0, 1, 140, 3), (-6, 2, 150, 2)):
        (d1, hm), (d2, wh), (d3, reg) = out("hm", (1, 3, H // 4, W // 4), seed, lo, hi), out("wh", (1, 2, H // 4, W // 4), seed + 1, 0, 9), out("reg", (1, 2, H // 4, W // 4), seed + 2, 0, 1)
        score = (sig(hm.astype(np.float64)) if lo < 0 else hm).astype(np.float32)
        pad = np.pad(hm, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
        top = np.max([pad[:, y:y + H // 4, x:x + W // 4] for y in range(3) for x in range(3)], 0)
        score[hm < top] = 0
        dx, dy = (reg[0].astype(np.float64), reg[1].astype(np.float64)) if heads == 3 else (0.5, 0.5)
        box = (corners((gx + dx) * 4, (gy + dy) * 4, wh[0].astype(np.float64) * 4, wh[1].astype(np.float64) * 4).reshape(-1, 4) - off) / r
        case("centernet", [d1, d2, d3][:heads], np.tile(box, (3, 1)), score.ravel(), np.repeat(np.arange(3), box.shape[0]))
    # DETR: softmax without the last class; RT-DETR: sigmoid of each
    (d1, lg), (d2, bx) = out("logits", (1, 20, 6), 160, -3, 4), out("pred_boxes", (1, 20, 4), 161, 0, 1)
    e, bx = np.exp(lg.astype(np.float64)), bx.astype(np.float64)
    p = (e / e.sum(-1, keepdims=True))[:, :-1]
    box = corners(bx[:, 0], bx[:, 1], bx[:, 2], bx[:, 3]) * [w, h, w, h]
    case("detr", [d1, d2], box, p.max(1).astype(np.float32), p.argmax(1))
    case("rtdetr", [d2, d1], np.repeat(box, 6, 0), sig(lg.astype(np.float64)).astype(np.float32).ravel(), np.tile(np.arange(6), 20))


def mask_cases():
    """Objects of segmenting YOLOs on a frame of 200 x 150 in an input of 64 x 64: the pixels where the prototypes' weighted sum, interpolated, is above 0."""
    W = H = 64
    w, h, conf = 200, 150, 0.8
    cells = sum((W // s) * (H // s) for s in (8, 16, 32))
    r = min(W / w, H / h)
    left, top = (W - round(w * r)) // 2, (H - round(h * r)) // 2
    cases = []
    for preset, shape, seed in (("yolov8", (1, 4 + 3 + 32, cells), 200), ("yolov5", (1, 3 * cells, 5 + 3 + 32), 210)):
        o = floats(math.prod(shape), seed, 0, 1).reshape(shape)[0]
        o = o.T if preset == "yolov8" else o
        # Boxes of tens of pixels: the tests scale the first four values by 64, and coefficients to both signs.
        o = np.concatenate([o[:, :4] * 64, o[:, 4:-32], o[:, -32:] - np.float32(0.5)], 1)
        proto = floats(32 * 16 * 16, seed + 1, -1, 1).reshape(32, 16, 16)
        score = o[:, 4:7].max(1) if preset == "yolov8" else (o[:, 4:5] * o[:, 5:8]).max(1)
        objects = []
        for i in np.flatnonzero(score > np.float32(conf))[:40]:
            b = o[i, :4].astype(np.float64)
            x0, y0, x1, y1 = (corners(*b) - [left, top, left, top]) / r
            xs, ys = [x for x in range(w) if x0 <= x + 0.5 < x1], [y for y in range(h) if y0 <= y + 0.5 < y1]
            if not xs or not ys:
                continue
            v = np.tensordot(o[i, -32:].astype(np.float64), proto.astype(np.float64), 1)
            at = lambda p, s, off: np.clip(((np.array(p) + 0.5) * s + off) / 4 - 0.5, 0, 15)
            u, t = at(xs, r, left), at(ys, r, top)
            iu, it = np.floor(u).astype(int), np.floor(t).astype(int)
            ju, jt = np.minimum(iu + 1, 15), np.minimum(it + 1, 15)
            fu, ft = u - iu, (t - it)[:, None]
            rows = v[:, iu] * (1 - fu) + v[:, ju] * fu
            m = rows[it] * (1 - ft) + rows[jt] * ft
            if abs(m).min() < 1e-5:  # too near to 0 for float32
                continue
            objects.append({"row": int(i), "rect": [xs[0], ys[0], xs[-1] + 1, ys[-1] + 1], "on": int((m > 0).sum()), "crc": crc((m > 0).astype(np.uint8))})
        assert len(objects) > 5, len(objects)
        cases.append({"preset": preset, "shape": list(shape), "seed": seed, "conf": conf, "objects": objects})
    return cases


def classify_cases():
    out = []
    for i, (n, lo, hi) in enumerate(((1000, -8, 12), (1000, -80, 120), (10, 0, 1), (2, -1, 1), (3, 88, 90))):
        v = floats(n, 300 + i, lo, hi)
        e = np.exp(v.astype(np.float64) - v.max())
        order = np.argsort(-v, kind="stable")[:5]
        out.append({"n": n, "seed": 300 + i, "lo": lo, "hi": hi, "top": order.tolist(), "score": [round(float(s), 8) for s in (e / e.sum())[order]],
                    "plain": [round(float(s), 6) for s in v[order]]})
    return out


def segment_cases():
    """The class of highest score, and of pixel x of a frame that of element floor((x+0.5) * scale)."""
    out = []
    for i, (c, mw, mh, fw, fh, last) in enumerate(((2, 32, 32, 50, 37, False), (21, 16, 16, 64, 48, False), (5, 32, 32, 32, 32, True), (3, 8, 8, 7, 90, False), (150, 16, 16, 33, 5, True))):
        v = floats(c * mw * mh, 400 + i, -1, 1).reshape((mh, mw, c) if last else (c, mh, mw))
        m = v.argmax(-1 if last else 0).astype(np.uint8)
        xs, ys = np.floor((np.arange(fw) + 0.5) * (32 / fw) * mw / 32).astype(int), np.floor((np.arange(fh) + 0.5) * (32 / fh) * mh / 32).astype(int)
        out.append({"shape": [1, *v.shape], "seed": 400 + i, "frame": [fw, fh], "classes": c, "net": crc(np.kron(m, np.ones((32 // mh, 32 // mw), np.uint8))), "crc": crc(m[ys][:, xs])})
    return out


def nms_cases():
    out = []
    for i in range(12):
        n = (1, 2, 5, 20, 60, 100)[i % 6]
        v = floats(5 * n, 900 + i, 0, 100).reshape(n, 5)
        boxes = np.stack([v[:, 0], v[:, 1], v[:, 2] / 2 + 1, v[:, 3] / 2 + 1], 1)
        score = np.round(v[:, 4] / 100, 1 if i % 2 else 7).astype(np.float32)  # odd cases: many equal scores
        for iou in (0.2, 0.45, 0.7):
            keep = np.array(cv2.dnn.NMSBoxes(boxes.tolist(), score.tolist(), 0.2, iou)).ravel()
            out.append({"n": n, "seed": 900 + i, "digits": 1 if i % 2 else 7, "conf": 0.2, "iou": iou, "keep": keep.tolist()})
    return out


camera()
for name, data in (("resize", resize_cases()), ("preprocess", preprocess_cases()), ("decode", decode_cases()), ("nms", nms_cases()),
                   ("masks", mask_cases()), ("classify", classify_cases()), ("segment", segment_cases())):
    with open(os.path.join(VIS, name + ".json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in data) + "\n]\n")
