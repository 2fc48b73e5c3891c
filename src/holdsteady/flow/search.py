"""DIS optical flow between two grey pictures, in NumPy and OpenCV alone: exports search without PyTorch."""

from typing import Any

import numpy as np
import numpy.typing as npt

from holdsteady.errors import extra

MENDED_HEIGHT = 540  # height at which holes are filled in
_TOLERANCE = 25  # of 255: three times what Gaussian noise of 50 leaves after the blur
_SMALLEST_SIDE = 32  # OpenCV's DIS needs a few patches in each direction

Grey = npt.NDArray[np.float32]


def search(present: Grey, previous: Grey, size: tuple[int, int], *, mend: bool, smooth: float) -> Grey:
    """DIS flow (B, 2, h, w) between grey pictures (B, H, W); eight bits span their joint range.

    Args:
        present, previous: such that present[p] ≈ previous[p + flow(p)].
        size: (h, w) that is searched.
        mend, smooth: see ``dis.DISFlow``.
    """
    with extra("cv", "optical flow"):
        import cv2

    height, width = size
    flows = []
    for now, before in zip(present, previous, strict=True):
        if smooth:
            now, before = (cv2.GaussianBlur(picture, (0, 0), smooth) for picture in (now, before))
        low = min(now.min(), before.min())
        span = max(max(now.max(), before.max()) - low, 1e-12)
        grey: list[Any] = [((g - low) * (255 / span)).astype(np.uint8) for g in (now, before)]
        if mend:
            grey[0] = _mend(grey[0], grey[1])
        if grey[0].shape != (height, width):
            grey = [cv2.resize(g, (width, height), interpolation=cv2.INTER_AREA) for g in grey]
        grey = [_at_least(g) for g in grey]
        # A new object for each call: OpenCV's keeps buffers and is not safe between threads.
        dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        if smooth:  # as good there in half the time (docs/design.md)
            dis.setVariationalRefinementIterations(1)
            dis.setPatchStride(4)
        flow = np.asarray(dis.calc(grey[0], grey[1], None))  # type: ignore[call-overload]
        flows.append(flow[:height, :width].transpose(2, 0, 1))
    return np.ascontiguousarray(np.stack(flows))


def size_within(size: tuple[int, int], height: int) -> tuple[int, int]:
    """(H, W) shrunk to a height; smaller images keep their size."""
    scale = min(1.0, height / size[0])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _mend(present: npt.NDArray[np.uint8], previous: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The current image, blurred; the previous one where nothing within four pixels there is close to it."""
    import cv2

    smooth, window = cv2.GaussianBlur(present, (0, 0), 1.0), np.ones((9, 9), np.uint8)
    known = cv2.GaussianBlur(previous, (0, 0), 1.0)
    below = cv2.subtract(cv2.erode(known, window), np.full_like(known, _TOLERANCE))
    above = cv2.add(cv2.dilate(known, window), np.full_like(known, _TOLERANCE))
    strange = ((smooth < below) | (smooth > above)).astype(np.uint8)
    return np.where(cv2.dilate(strange, np.ones((5, 5), np.uint8)) > 0, previous, smooth).astype(np.uint8)


def _at_least(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A grey picture (H, W), its last row and column repeated up to the size that DIS needs."""
    bottom, right = (max(0, _SMALLEST_SIDE - side) for side in grey.shape)
    return np.pad(grey, ((0, bottom), (0, right)), mode="edge") if bottom or right else grey
