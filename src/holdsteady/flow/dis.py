"""Dense optical flow behind one small interface: two images in, one displacement per pixel out."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.errors import extra
from holdsteady.flow.warp import resize_flow

_MENDED_HEIGHT = 540  # height at which holes are filled in
_TOLERANCE = 25  # of 255: three times what Gaussian noise of 50 leaves after the blur
_SMALLEST_SIDE = 32  # OpenCV's DIS needs a few patches in each direction


class Flow(Protocol):
    """A flow method: ``flow(present, previous)``.

    Takes two images (B, C, H, W) of any range and returns (B, 2, H, W) in pixels, channel 0 to the
    right and channel 1 down, such that present[p] ≈ previous[p + flow(p)].
    """

    def __call__(self, present: Tensor, previous: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class DISFlow:
    """Dense inverse search (Kroeger et al. 2016), OpenCV's medium preset, on the CPU.

    Images taller than ``max_height`` are shrunk first and the flow is enlarged again, so that 4K costs
    no more than 240p. A memory that is fused needs no finer flow: on footage of 272 to 720 lines, motion fixed
    is as good with 240 lines as with 540, and up to 0.03 dB better where images are noisy.

    Attributes:
        max_height: lines that are searched.
        mend: for present pictures that are noisy or have holes, as frames may where outputs do not: the present is
            blurred a little, and where no value near its place in the previous picture explains it (dropped
            patches, dirt) the previous picture stands in.
        smooth: standard deviation of a Gaussian, in pixels as searched, over both pictures: between noisy ones a
            search invents motion.
    """

    max_height: int = 240
    mend: bool = False
    smooth: float = 0.0

    def __call__(self, present: Tensor, previous: Tensor) -> Tensor:
        height, width = present.shape[-2:]
        # Holes are filled in before the image is shrunk: they would spread.
        small = _size_within((height, width), _MENDED_HEIGHT if self.mend else self.max_height)
        searched = _size_within((height, width), self.max_height)
        # A search is not differentiable: gradients pass through what is warped, not through the flow.
        pair = torch.stack((present.detach().float().mean(dim=1), previous.detach().float().mean(dim=1)))
        if small != (height, width):
            pair = F.interpolate(pair, size=small, mode="bilinear", antialias=True)
        flow = _dis(pair[0], pair[1], self.mend, self.smooth, *searched)
        return resize_flow(flow, (height, width)).to(present.dtype)


def _size_within(size: tuple[int, int], height: int) -> tuple[int, int]:
    """(H, W) shrunk to a height; smaller images keep their size."""
    scale = min(1.0, height / size[0])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


@torch.library.custom_op("holdsteady::dis_flow", mutates_args=())
def _dis(present: Tensor, previous: Tensor, mend: bool, smooth: float, height: int, width: int) -> Tensor:
    """DIS flow (B, 2, h, w) between grey pictures (B, H, W); eight bits span their joint range."""
    with extra("cv", "optical flow"):
        import cv2

    flows = []
    for now, before in zip(present.cpu().numpy(), previous.cpu().numpy(), strict=True):
        if smooth:
            now, before = (cv2.GaussianBlur(picture, (0, 0), smooth) for picture in (now, before))
        low = min(now.min(), before.min())
        span = max(max(now.max(), before.max()) - low, 1e-12)
        grey = [((g - low) * (255 / span)).astype(np.uint8) for g in (now, before)]
        if mend:
            grey[0] = _mend(grey[0], grey[1])
        if grey[0].shape != (height, width):
            grey = [cv2.resize(g, (width, height), interpolation=cv2.INTER_AREA) for g in grey]
        grey = [_at_least(g) for g in grey]
        # A new object for each call: OpenCV's keeps buffers and is not safe between threads.
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        flow = np.asarray(search.calc(grey[0], grey[1], None))  # type: ignore[call-overload]
        flows.append(flow[:height, :width].transpose(2, 0, 1))
    return torch.from_numpy(np.ascontiguousarray(np.stack(flows))).to(present.device)


@_dis.register_fake
def _(present: Tensor, _previous: Tensor, _mend: bool, _smooth: float, height: int, width: int) -> Tensor:
    return present.new_empty((present.shape[0], 2, height, width))


def _mend(present: np.ndarray, previous: np.ndarray) -> np.ndarray:
    """The current image, blurred; the previous one where nothing within four pixels there is close to it."""
    import cv2

    smooth, window = cv2.GaussianBlur(present, (0, 0), 1.0), np.ones((9, 9), np.uint8)
    known = cv2.GaussianBlur(previous, (0, 0), 1.0)
    below = cv2.subtract(cv2.erode(known, window), np.full_like(known, _TOLERANCE))
    above = cv2.add(cv2.dilate(known, window), np.full_like(known, _TOLERANCE))
    strange = ((smooth < below) | (smooth > above)).astype(np.uint8)
    return np.where(cv2.dilate(strange, np.ones((5, 5), np.uint8)) > 0, previous, smooth)


def _at_least(grey: np.ndarray) -> np.ndarray:
    """A grey picture (H, W), its last row and column repeated up to the size that DIS needs."""
    bottom, right = (max(0, _SMALLEST_SIDE - side) for side in grey.shape)
    return np.pad(grey, ((0, bottom), (0, right)), mode="edge") if bottom or right else grey


FLOWS: dict[str, type[DISFlow]] = {"dis": DISFlow}
