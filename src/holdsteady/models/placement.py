"""Where the presets put adapters in the networks of the paper and in those that ship here."""

from typing import Any, Literal

from holdsteady.errors import ConfigError, near
from holdsteady.models.model import Model

Preset = Literal["paper", "light"]

_LIGHT = ("input", "output")
#: By the class of a network, the points of arXiv 2512.03014 (appendix), or of the same kind where the paper has none.
_PAPER: dict[str, tuple[str, ...]] = {
    "NAFNet": ("NAFBlock", "output"),
    "HDRNet": ("Conv2d", "Linear", "output"),
    "Upscaler": ("ResidualBlock", "output"),
    "SceneNetwork": ("Block", "output"),
    # transformers; the head's value is the output.
    "DepthAnythingForDepthEstimation": ("DepthAnythingReassembleLayer", "DepthAnythingFeatureFusionLayer", "output"),
    # segmentation-models-pytorch, with an encoder of MobileNetV2: logits before they are enlarged.
    "DeepLabV3Plus": ("input", "InvertedResidual", "decoder.aspp", "decoder.block1", "segmentation_head.0"),
    # torchvision
    "DeepLabV3": ("input", "InvertedResidual", "Bottleneck", "classifier.0", "classifier.3", "classifier.4"),
    "LRASPP": ("input", "InvertedResidual", "classifier.cbr", "output"),
}
_OPTIONAL = ("InvertedResidual", "Bottleneck")  # of one backbone or the other


def points_of(model: Any, preset: Preset = "light") -> tuple[str, ...]:
    """Points for :func:`holdsteady.stabilize`: where a preset puts adapters in this network.

    Examples:
        >>> hs.stabilize(model, "spatial", preset="paper", example=frame, points=hs.points_of(model, "paper"))

    Args:
        model: a network, behind a card or not.
        preset: ``paper``: the points of the published adapters, of an unknown network its repeated blocks and the
            output; ``light``: input and output, of any.

    Raises:
        ConfigError: there is no such preset.
    """
    if preset not in ("paper", "light"):
        raise ConfigError(f"no preset of points is named '{preset}'{near(str(preset), ('paper', 'light'))}")
    if preset == "light":
        return _LIGHT
    network = model.fn if isinstance(model, Model) else model
    points = _PAPER.get(type(network).__name__, ("auto",))
    if not any(one in points for one in _OPTIONAL):
        return points
    there = {type(module).__name__ for module in network.modules()}
    return tuple(one for one in points if one not in _OPTIONAL or one in there)
