"""Golden colours of camera frames: OpenCV's cvtColor on noise.

Writes testdata/camera/noise.{yuyv,nv12}, 32x18 pixels, and their RGB24 as .rgb.
"""
import os

import cv2
import numpy as np

OUT = os.path.join(os.path.dirname(__file__), "..", "camera")
rng = np.random.default_rng(1)
W, H = 32, 18
# All of 0 to 255 in luma and chroma, limits included.
yuyv = rng.integers(0, 256, (H, W, 2), dtype=np.uint8)
yuyv[0, :8] = [[0, 0], [255, 255], [16, 128], [235, 128], [15, 255], [0, 255], [255, 0], [236, 240]]
nv12 = rng.integers(0, 256, (H * 3 // 2, W), dtype=np.uint8)
nv12[0, :8] = [0, 15, 16, 17, 234, 235, 236, 255]
for name, data, code in (("yuyv", yuyv, cv2.COLOR_YUV2RGB_YUYV), ("nv12", nv12, cv2.COLOR_YUV2RGB_NV12)):
    data.tofile(os.path.join(OUT, f"noise.{name}"))
    cv2.cvtColor(data, code).tofile(os.path.join(OUT, f"noise.{name}.rgb"))
