"""Dense optical flow behind one small interface: two images in, one displacement per pixel out."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.flow.search import MENDED_HEIGHT, search, size_within
from holdsteady.flow.warp import resize_flow


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
            search invents motion. Patches are four pixels apart there, not three, and refined once, not five times.
    """

    max_height: int = 240
    mend: bool = False
    smooth: float = 0.0

    def __call__(self, present: Tensor, previous: Tensor) -> Tensor:
        height, width = present.shape[-2:]
        # Holes are filled in before the image is shrunk: they would spread.
        small = size_within((height, width), MENDED_HEIGHT if self.mend else self.max_height)
        searched = size_within((height, width), self.max_height)
        # A search is not differentiable: gradients pass through what is warped, not through the flow.
        pair = torch.stack((present.detach().float().mean(dim=1), previous.detach().float().mean(dim=1)))
        if small != (height, width):
            pair = F.interpolate(pair, size=small, mode="bilinear", antialias=True)
        flow = _dis(pair[0], pair[1], self.mend, self.smooth, *searched)
        return resize_flow(flow, (height, width)).to(present.dtype)


@torch.library.custom_op("holdsteady::dis_flow", mutates_args=())
def _dis(present: Tensor, previous: Tensor, mend: bool, smooth: float, height: int, width: int) -> Tensor:
    """DIS flow (B, 2, h, w) between grey pictures (B, H, W); eight bits span their joint range."""
    flows = search(present.cpu().numpy(), previous.cpu().numpy(), (height, width), mend=mend, smooth=smooth)
    return torch.from_numpy(flows).to(present.device)


@_dis.register_fake
def _(present: Tensor, _previous: Tensor, _mend: bool, _smooth: float, height: int, width: int) -> Tensor:
    return present.new_empty((present.shape[0], 2, height, width))


FLOWS: dict[str, type[DISFlow]] = {"dis": DISFlow}
