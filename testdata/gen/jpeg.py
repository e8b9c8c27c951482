"""Golden JPEG pictures, decoded by libjpeg-turbo at full size and at a half, a quarter and an eighth.

Writes testdata/jpeg/NAME.jpg and the pixels as NAME.8.png, NAME.4.png, NAME.2.png and NAME.1.png: eighths of the size.
Run with OpenCV 5.0.0 and its libjpeg-turbo 3.1.2.
"""
import os

import cv2
import numpy as np

OUT = os.path.join(os.path.dirname(__file__), "..", "jpeg")
os.makedirs(OUT, exist_ok=True)
rng = np.random.default_rng(5)
SAMPLING = {n: getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{n}") for n in ("444", "422", "420", "440", "411")}


def picture(w, h):
    """Slopes, edges, a corner of flat blocks, noise and the limits of the colours."""
    y, x = np.mgrid[:h, :w]
    m = np.stack([x * 255 // w, y * 255 // h, (x * 5 + y * 3) % 256], -1).astype(int)
    m[(x // 13 + y // 11) % 3 == 0] = (255, 0, 0)
    m[(x // 13 + y // 11) % 5 == 0] = (0, 255, 255)
    m += rng.integers(-20, 21, m.shape) * (x > w // 2)[..., None]
    m[:h // 3, :w // 3] = (20, 200, 90)
    return np.clip(m, 0, 255).astype(np.uint8)


for name, w, h, sampling, quality, restart in (
    ("420_53x37", 53, 37, "420", 90, 0), ("420_restart", 98, 65, "420", 60, 3), ("420_row", 64, 48, "420", 30, 4), ("420_coarse", 70, 50, "420", 3, 0),
    ("422_53x37", 53, 37, "422", 95, 0), ("422_restart", 61, 30, "422", 75, 1), ("440_53x37", 53, 37, "440", 85, 0),
    ("444_53x37", 53, 37, "444", 100, 2), ("gray_53x37", 53, 37, None, 80, 0), ("gray_restart", 90, 20, None, 50, 5), ("420_2x1", 2, 1, "420", 90, 0),
    ("422_6x9", 6, 9, "422", 90, 0), ("420_1x40", 1, 40, "420", 90, 0), ("420_300x2", 300, 2, "420", 90, 0),
):
    m = picture(w, h)
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_RST_INTERVAL, restart]
    if sampling:
        flags += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLING[sampling]]
    else:
        m = m[..., 1]
    data = cv2.imencode(".jpg", m, flags)[1]
    data.tofile(os.path.join(OUT, name + ".jpg"))
    for eighths, how in ((8, cv2.IMREAD_COLOR), (4, cv2.IMREAD_REDUCED_COLOR_2), (2, cv2.IMREAD_REDUCED_COLOR_4), (1, cv2.IMREAD_REDUCED_COLOR_8)):
        cv2.imwrite(os.path.join(OUT, f"{name}.{eighths}.png"), cv2.imdecode(data, how))
