"""The flow that a program of torch.export asks its host for, as an operator: ``holdsteady::flow``."""

import torch
from torch import Tensor

from holdsteady.exports.flow import flow_between


@torch.library.custom_op("holdsteady::flow", mutates_args=())
def flow(present: Tensor, previous: Tensor, max_height: int, mend: bool, smooth: float) -> Tensor:
    """DIS flow (B, 2, H, W) between grey pictures (B, H, W)."""
    found = flow_between(present.cpu().numpy(), previous.cpu().numpy(), max_height, mend=mend, smooth=smooth)
    return torch.from_numpy(found).to(present.device)


@flow.register_fake
def _(present: Tensor, _previous: Tensor, _max_height: int, _mend: bool, _smooth: float) -> Tensor:
    batch, height, width = present.shape
    return present.new_empty((batch, 2, height, width))
