"""HDRNet, the bilateral enhancement network of Gharbi et al. 2017 (arXiv 1707.02880), written from the paper.

A small picture of the frame decides on affine changes of colour, coarse in space and in brightness; a guide made at
full resolution tells every pixel where in them to look.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LOW_RESOLUTION = 256
CELLS = 16  # of the grid, across and down
DEPTH = 8  # of the grid, in brightness
_COEFFICIENTS = 12  # a 3×4 matrix


class HDRNet(nn.Module):
    """Frames (B, 3, H, W) in [0, 1] of any size → enhanced frames of the same shape, about in [0, 1].

    Untrained, it is near the identity. The guide is the paper's variant of pointwise layers; there are no norms.
    """

    def __init__(self) -> None:
        super().__init__()
        self.splat = nn.Sequential(*_down(3, 8), *_down(8, 16), *_down(16, 32), *_down(32, 64))
        self.local = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1))
        self.shrink = nn.Sequential(*_down(64, 64), *_down(64, 64))
        inputs = 64 * (CELLS // 4) ** 2
        self.whole = nn.Sequential(
            nn.Linear(inputs, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 64)
        )
        self.predict = nn.Conv2d(64, _COEFFICIENTS * DEPTH, 1)
        self.guide = nn.Sequential(nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Conv2d(16, 1, 1), nn.Sigmoid())
        assert self.predict.bias is not None
        with torch.no_grad():
            self.predict.bias.copy_(torch.eye(3, 4).flatten().repeat_interleave(DEPTH))

    def coefficients(self, frame: Tensor) -> Tensor:
        """The bilateral grid (B, 12, depth, cells, cells) of a frame (B, 3, H, W)."""
        size = (LOW_RESOLUTION, LOW_RESOLUTION)
        small = self.splat(F.interpolate(frame, size=size, mode="bilinear", antialias=True))
        whole = self.whole(self.shrink(small).flatten(1))
        grid: Tensor = self.predict(F.relu(self.local(small) + whole[..., None, None]))
        return grid.unflatten(1, (_COEFFICIENTS, DEPTH))

    def forward(self, frame: Tensor) -> Tensor:
        return apply_affine(slice_grid(self.coefficients(frame), self.guide(frame)), frame)


def slice_grid(grid: Tensor, guide: Tensor) -> Tensor:
    """Look a bilateral grid up at every pixel, by trilinear interpolation between the centres of its cells.

    Args:
        grid: (B, K, depth, rows, columns), spread over the picture and over guide values from 0 to 1; beyond the
            outermost centres it goes on as it is there.
        guide: (B, 1, H, W) in [0, 1].

    Returns:
        (B, K, H, W).
    """
    batch, _, height, width = guide.shape
    x = (torch.arange(width, device=guide.device, dtype=guide.dtype) * 2 + 1) / width - 1
    y = (torch.arange(height, device=guide.device, dtype=guide.dtype) * 2 + 1) / height - 1
    across = x.expand(batch, height, width)
    down = y[:, None].expand(batch, height, width)
    where = torch.stack((across, down, guide[:, 0] * 2 - 1), dim=-1)
    return F.grid_sample(grid, where[:, None], mode="bilinear", padding_mode="border", align_corners=False)[:, :, 0]


def apply_affine(coefficients: Tensor, frame: Tensor) -> Tensor:
    """A 3×4 matrix for each pixel (B, 12, H, W), row by row, on the colours (B, 3, H, W), its last column added."""
    matrix = coefficients.unflatten(1, (3, 4))
    return (matrix[:, :, :3] * frame[:, None]).sum(dim=2) + matrix[:, :, 3]


def _down(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.ReLU()
