"""Dense optical flow behind one small interface: two pictures in, a displacement per pixel out."""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_SMALLEST_SIDE = 32  # OpenCV's DIS needs a few patches in each direction


class Flow(Protocol):
    """A flow method: ``flow(present, previous)``.

    Takes two pictures (B, C, H, W) of any range and returns (B, 2, H, W) in pixels, channel 0 to the
    right and channel 1 down, such that present[p] ≈ previous[p + flow(p)].
    """

    def __call__(self, present: Tensor, previous: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class DISFlow:
    """Dense inverse search (Kroeger et al. 2016), OpenCV's medium preset, on the CPU.

    Pictures taller than ``max_height`` are shrunk first and the flow is enlarged again, so that 4K costs
    no more than 240p. A memory that is fused needs no finer flow: on footage of 272 to 720 lines, motion fixed
    is as good with 240 lines as with 540, and up to 0.03 dB better where pictures are noisy.
    """

    max_height: int = 240

    def __call__(self, present: Tensor, previous: Tensor) -> Tensor:
        height, width = present.shape[-2:]
        scale = min(1.0, self.max_height / height)
        # Differentiating a search makes no sense: gradients pass through what is warped, not through the flow.
        small = torch.stack((present.detach().float().mean(dim=1), previous.detach().float().mean(dim=1)))
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        if scale < 1:
            small = F.interpolate(small, size=size, mode="bilinear", antialias=True)
        return resize_flow(_dis(small[0], small[1]), (height, width)).to(present.dtype)


def resize_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """Flow (B, 2, h, w) in pixels brought to another picture size (H, W), displacements scaled with it."""
    height, width = flow.shape[-2:]
    if (height, width) == size:
        return flow
    ratio = flow.new_tensor((size[1] / width, size[0] / height))[:, None, None]
    return F.interpolate(flow, size=size, mode="bilinear", align_corners=False) * ratio


@torch.library.custom_op("holdsteady::dis_flow", mutates_args=())
def _dis(present: Tensor, previous: Tensor) -> Tensor:
    """DIS flow between grey pictures (B, H, W); their joint range is what eight bits are spread over."""
    flows = []
    for now, before in zip(present.cpu().numpy(), previous.cpu().numpy(), strict=True):
        low = min(now.min(), before.min())
        span = max(max(now.max(), before.max()) - low, 1e-12)
        grey = [_at_least(((g - low) * (255 / span)).astype(np.uint8)) for g in (now, before)]
        # A new object for each call: OpenCV's keeps buffers and is not safe between threads.
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        flow = np.asarray(search.calc(grey[0], grey[1], None))  # type: ignore[call-overload]
        flows.append(flow[: now.shape[0], : now.shape[1]].transpose(2, 0, 1))
    return torch.from_numpy(np.ascontiguousarray(np.stack(flows))).to(present.device)


@_dis.register_fake
def _(present: Tensor, _previous: Tensor) -> Tensor:
    batch, height, width = present.shape
    return present.new_empty((batch, 2, height, width))


def _at_least(grey: np.ndarray) -> np.ndarray:
    """A grey picture (H, W), its last row and column repeated up to the size that DIS needs."""
    bottom, right = (max(0, _SMALLEST_SIDE - side) for side in grey.shape)
    return cv2.copyMakeBorder(grey, 0, bottom, 0, right, cv2.BORDER_REPLICATE) if bottom or right else grey


FLOWS: dict[str, type[DISFlow]] = {"dis": DISFlow}
