"""Makes testdata/camera/moving.mp4, MPEG-4 video of a square that testdata/sdk/squares.onnx sees, and the pixels that OpenCV gives for its first and
last frame.

    python testdata/gen/opencv_video.py        # opencv-python 5.0, numpy 2
"""
import os
import cv2, numpy as np

CAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "camera")
W, H, FRAMES = 128, 96, 12


def frame(i):
    """A dark gradient with a white square of 64 pixels, upper right in the first half of the video, upper left in the second."""
    y, x = np.mgrid[:H, :W]
    img = np.stack([x // 2, y // 2, (x + y) // 4], -1).astype(np.uint8)
    left = 64 if i < FRAMES // 2 else 0
    img[:64, left:left + 64] = 255
    return img


path = os.path.join(CAM, "moving.mp4")
out = cv2.VideoWriter(path, cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), 10, (W, H))
for i in range(FRAMES):
    out.write(frame(i))
out.release()
src, frames = cv2.VideoCapture(path, cv2.CAP_FFMPEG), []
while True:
    ok, img = src.read()
    if not ok:
        break
    frames.append(img)
assert len(frames) == FRAMES, len(frames)
for name, img, made in (("first", frames[0], frame(0)), ("last", frames[-1], frame(FRAMES - 1))):
    assert np.abs(img.astype(int) - made).mean() < 6
    cv2.imwrite(os.path.join(CAM, f"moving.{name}.png"), img, [cv2.IMWRITE_PNG_COMPRESSION, 9])
