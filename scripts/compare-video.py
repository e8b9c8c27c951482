#!/usr/bin/env python3
"""Times edgecam against ONNX Runtime with OpenCV on a video, from file to boxes.

    python3 scripts/compare-video.py [--threads 1] [--rounds 5] [--edgecam ./edgecam] FastestDet.onnx video.avi

It wants a FastestDet, whose outputs it reads as the model's author does. Both sides run on the same
number of processors and in turn; the best run of each counts. edgecam is timed as a whole process, start
and loading of the model included; the other side only from the opening of the video to the last line of
JSON, inside this process. The ratio is edgecam's frames a second by the other side's.

Needs the packages numpy, onnxruntime and opencv-python-headless.
"""
import argparse
import json
import os
import subprocess
import time

import cv2
import numpy as np
import onnxruntime as ort

CONFIDENCE, OVERLAP = 0.4, 0.5  # edgecam's defaults


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def boxes(out, width, height):
    """Returns corners in pixels, scores and classes of FastestDet's output, before suppression."""
    rows, columns = out.shape[1:]
    gx, gy = np.meshgrid(np.arange(columns), np.arange(rows))
    cx, cy = (gx + np.tanh(out[1])) / columns * width, (gy + np.tanh(out[2])) / rows * height
    w, h = sigmoid(out[3]) * width, sigmoid(out[4]) * height
    corners = np.stack([cx - w / 2, cy - h / 2, w, h], -1).reshape(-1, 4)
    return corners, (out[0] ** 0.6 * out[5:].max(0) ** 0.4).ravel(), out[5:].argmax(0).ravel()


def other(session, video, sink):
    """Detects in every frame and returns their number."""
    name = session.get_inputs()[0].name
    height, width = session.get_inputs()[0].shape[2:]
    capture, n = cv2.VideoCapture(video), 0
    while True:
        ok, frame = capture.read()
        if not ok:
            return n
        x = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
        out = session.run(None, {name: np.ascontiguousarray(x.transpose(2, 0, 1)[None])})[0][0]
        box, score, kind = boxes(out, frame.shape[1], frame.shape[0])
        keep = score >= CONFIDENCE
        box, score, kind = box[keep], score[keep], kind[keep]
        objects = []
        for c in np.unique(kind):
            k = np.flatnonzero(kind == c)
            for j in np.array(cv2.dnn.NMSBoxes(box[k].tolist(), score[k].tolist(), CONFIDENCE, OVERLAP)).ravel():
                objects.append({"class_id": int(c), "score": round(float(score[k][j]), 5), "box": [round(float(v), 2) for v in box[k][j]]})
        sink.write(json.dumps({"frame": n, "objects": objects}) + "\n")
        n += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edgecam", default="./edgecam")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("model")
    parser.add_argument("video")
    a = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-a.threads:])
    cv2.setNumThreads(a.threads)
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = a.threads, 1
    session = ort.InferenceSession(a.model, options, providers=["CPUExecutionProvider"])
    command = [a.edgecam, "detect", "-m", a.model, "-s", a.video, "--json", "--threads", str(a.threads)]
    best = [float("inf"), float("inf")]
    frames = [0, 0]
    for _ in range(a.rounds):
        start = time.perf_counter()
        lines = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
        best[0], frames[0] = min(best[0], time.perf_counter() - start), lines.count(b"\n")
        with open(os.devnull, "w") as sink:
            start = time.perf_counter()
            frames[1] = other(session, a.video, sink)
            best[1] = min(best[1], time.perf_counter() - start)
    if frames[0] != frames[1]:
        raise SystemExit(f"edgecam read {frames[0]} frames, OpenCV {frames[1]}")
    rate = [n / t for n, t in zip(frames, best)]
    print(f"{os.path.basename(a.video)}: {frames[0]} frames, {a.threads} threads, best of {a.rounds}")
    print(f"edgecam                      {rate[0]:8.1f} frames/s")
    print(f"ONNX Runtime {ort.__version__}, OpenCV {cv2.__version__} {rate[1]:5.1f} frames/s")
    print(f"ratio                        {rate[0] / rate[1]:8.2f}")


main()
