"""The controller: one backbone a model, one head a point (Instant Video Models, section 3 and appendix)."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SLOPE = 0.01


def _initialise(
    layer: nn.Conv2d | nn.Linear, activation: Literal["linear", "leaky_relu"], bias: float = 0.0
) -> nn.Conv2d | nn.Linear:
    nn.init.xavier_uniform_(layer.weight, nn.init.calculate_gain(activation, _SLOPE))
    assert layer.bias is not None
    nn.init.constant_(layer.bias, bias)
    return layer


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    layer = _initialise(nn.Conv2d(inputs, outputs, 3, padding=1), "leaky_relu")
    return nn.Sequential(layer, nn.LeakyReLU(_SLOPE))


def _linear(inputs: int, outputs: int) -> nn.Sequential:
    layer = _initialise(nn.Linear(inputs, outputs), "leaky_relu")
    return nn.Sequential(layer, nn.LeakyReLU(_SLOPE))


class Backbone(nn.Module):
    """What the frame and the previous frame show, (B, C, H, W) each → features g_t (B, width, H, W)."""

    def __init__(self, frame_channels: int, width: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(_conv(2 * frame_channels, width), *(_conv(width, width) for _ in range(layers)))

    def forward(self, frame: Tensor, previous_frame: Tensor) -> Tensor:
        out: Tensor = self.layers(torch.cat((frame, previous_frame), dim=1))
        return out


class Head(nn.Module):
    """Logits (B, outputs, H, W) for one point, from g_t resized to it and the point's own values.

    The last layer starts with the bias ``initial_logit``: little memory, so near the base.
    """

    def __init__(self, features: int, values: int, outputs: int, width: int, layers: int, initial_logit: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(_conv(features + values, width), *(_conv(width, width) for _ in range(layers)))
        self.logits = _initialise(nn.Conv2d(width, outputs, 3, padding=1), "linear", initial_logit)

    def forward(self, features: Tensor, values: list[Tensor], size: tuple[int, int]) -> Tensor:
        if features.shape[-2:] != size:
            features = F.interpolate(features, size=size, mode="bilinear", align_corners=False)
        out: Tensor = self.logits(self.layers(torch.cat((features, *values), dim=1)))
        return out


class VectorHead(nn.Module):
    """As ``Head`` for points without space: linear layers on g_t pooled over the picture."""

    def __init__(self, features: int, values: int, outputs: int, width: int, layers: int, initial_logit: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(_linear(features + values, width), *(_linear(width, width) for _ in range(layers)))
        self.logits = _initialise(nn.Linear(width, outputs), "linear", initial_logit)

    def forward(self, features: Tensor, values: list[Tensor], size: tuple[int, int]) -> Tensor:
        seen = [features.mean(dim=(2, 3)), *(value.flatten(1) for value in values)]
        logits: Tensor = self.logits(self.layers(torch.cat(seen, dim=1)))
        return logits.unflatten(1, (-1, *size))


class MotionHead(nn.Module):
    """Logits (B, k², H, W) of *motion* from what is seen at the output, in three thin layers.

    A full 3×3 layer to ``width`` channels, a depthwise-separable one, and a depthwise-separable one to
    the logits after another: 5.4 k parameters for pictures of three channels.
    """

    def __init__(self, inputs: int, outputs: int, width: int, initial_logit: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(_conv(inputs, width), _separable(width), _separable(width))
        self.spread = _depthwise(width)
        self.logits = _initialise(nn.Conv2d(width, outputs, 1), "linear", initial_logit)

    def forward(self, values: list[Tensor]) -> Tensor:
        out: Tensor = self.logits(self.spread(self.layers(torch.cat(values, dim=1))))
        return out


def _depthwise(width: int) -> nn.Module:
    return _initialise(nn.Conv2d(width, width, 3, padding=1, groups=width), "linear")


def _separable(width: int) -> nn.Sequential:
    pointwise = _initialise(nn.Conv2d(width, width, 1), "leaky_relu")
    return nn.Sequential(_depthwise(width), pointwise, nn.LeakyReLU(_SLOPE))
