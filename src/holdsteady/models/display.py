"""Results as pictures: depth in grey or colours, classes in theirs, masks over something, all of it over the input."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from holdsteady.errors import ModelError
from holdsteady.models.card import Kind
from holdsteady.models.colours import palette
from holdsteady.models.shades import MOST_SAMPLES, TAIL, Range
from holdsteady.models.sizes import resize


@dataclass(frozen=True)
class Style:
    """How results are shown.

    Attributes:
        colours: (N, 3) in [0, 1], along the range of a depth map; None: grey.
        class_colours: (classes, 3) in [0, 1]; None: colours of our own.
        overlay: opacity in (0, 1] of depth, classes or mask over the input; None: they alone.
        background: (3, H, W) or (3, 1, 1) in [0, 1] behind what a mask cuts out of the input; None: the mask alone.
        alpha: give a mask as the alpha of the input: (B, 4, H, W).
    """

    colours: Tensor | None = None
    class_colours: Tensor | None = None
    overlay: float | None = None
    background: Tensor | None = None
    alpha: bool = False

    @property
    def meant_for(self) -> dict[str, tuple[Kind, ...]]:
        """The flags that were given, and the kinds of results that they show."""
        given: dict[str, tuple[Kind, ...]] = {}
        if self.colours is not None:
            given["--colormap"] = ("depth",)
        if self.class_colours is not None:
            given["--class-colors"] = ("classes", "labels")
        if self.background is not None or self.alpha:
            given["--background"] = ("mask",)
        if self.overlay is not None:
            given["--overlay"] = ("depth", "classes", "labels", "mask")
        return given


def _ends_of(depth: Tensor) -> tuple[float, float]:
    values = depth[depth.isfinite()].float()
    values = values[:: 1 + values.numel() // MOST_SAMPLES]
    if not values.numel():
        return 0.0, 1.0
    low, high = torch.quantile(values, torch.tensor([TAIL, 1 - TAIL], device=values.device)).tolist()
    return low, high


class Memory(NamedTuple):
    """What a display remembers.

    Attributes:
        range: of depth, in this shot.
        is_logit: whether masks are logits.
    """

    range: tuple[float, float] | None
    is_logit: bool | None


class Display:
    """Values as pictures (B, 1, 3 or 4, H, W) in [0, 1].

    Args:
        kind: what the values are.
        style: how they are shown.
    """

    def __init__(self, kind: Kind, style: Style | None = None) -> None:
        self.kind, self.style = kind, style or Style()
        self._range = Range()
        self._is_logit: bool | None = None

    @property
    def memory(self) -> Memory:
        """What it remembers; may be set."""
        return Memory(self._range.ends, self._is_logit)

    @memory.setter
    def memory(self, memory: Memory) -> None:
        self._range.ends, self._is_logit = memory

    def reset(self) -> None:
        """A new shot begins."""
        self._range.reset()

    def __call__(self, values: Tensor, frame: Tensor) -> Tensor:
        """One frame's values as a picture.

        Args:
            values: (B, C, H, W); of classes, their numbers (B, H, W).
            frame: (B, C, h, w) in [0, 1], which they belong to.

        Raises:
            ModelError: an image has neither 1, 3 nor 4 channels.
        """
        if self.kind == "image":
            if values.shape[1] not in (1, 3, 4):
                raise ModelError(f"an image has 1 or 3 channels, this one {values.shape[1]}; give --kind or --output")
            return values[:, :3] if values.shape[1] == 4 else values
        if self.kind == "mask":
            return self._masked(self.as_mask(values), frame)
        shown = self._depth(values) if self.kind == "depth" else self._classes(values)
        return shown if self.style.overlay is None else _mixed(_under(frame, shown), shown, self.style.overlay)

    def as_mask(self, values: Tensor) -> Tensor:
        """A mask (B, 1, H, W) in [0, 1] from one, its logits, or the logits of two classes, the second being shown."""
        if values.shape[1] == 2:
            return values.softmax(dim=1)[:, 1:]
        if self._is_logit is None:
            # The first frame tells; later ones must not be shown otherwise.
            self._is_logit = bool(((values < -0.01) | (values > 1.01)).any())
        return values[:, :1].sigmoid() if self._is_logit else values[:, :1].clamp(0, 1)

    def _depth(self, depth: Tensor) -> Tensor:
        low, high = self._range.follow(*_ends_of(depth))
        shown = (depth[:, :1] - low) / max(high - low, 1e-12)
        colours = self.style.colours
        if colours is None:
            return shown
        index = (shown.nan_to_num(0.0).clamp(0, 1) * (len(colours) - 1)).round().long()
        return colours.to(depth)[index[:, 0]].permute(0, 3, 1, 2)

    def _classes(self, numbers: Tensor) -> Tensor:
        colours = self.style.class_colours
        most = int(numbers.max()) + 1
        if colours is None or len(colours) < most:
            own = palette(max(most, 256))
            colours = own if colours is None else torch.cat((colours, own[len(colours) :].to(colours)))
        return colours.to(numbers.device)[numbers].permute(0, 3, 1, 2)

    def _masked(self, mask: Tensor, frame: Tensor) -> Tensor:
        style, frame = self.style, _under(frame, mask)
        if style.alpha:
            return torch.cat((frame, mask), dim=1)
        if style.background is not None:
            size = (mask.shape[-2], mask.shape[-1])
            behind = style.background.to(frame)[None]
            behind = behind if behind.shape[-2:] == (1, 1) else resize(behind, size)
            return _mixed(behind.expand_as(frame), frame, mask)
        if style.overlay is not None:
            return _mixed(frame, palette(2)[1].to(frame)[:, None, None].expand_as(frame), style.overlay * mask)
        return mask


def as_picture(image: Tensor) -> Tensor:
    """An image (B, C, H, W) on its own as a picture (B, 1 or 3, H, W): depth by its range, logits in colours."""
    if image.shape[1] in (1, 3):
        is_depth = image.shape[1] == 1 and bool(((image < 0) | (image > 1)).any())
        return Display("depth" if is_depth else "image")(image, image)
    return Display("classes")(image.argmax(dim=1), image)


def _under(frame: Tensor, shown: Tensor) -> Tensor:
    return resize(frame, (shown.shape[-2], shown.shape[-1])).expand(-1, 3, -1, -1)


def _mixed(below: Tensor, above: Tensor, opacity: Tensor | float) -> Tensor:
    return below + opacity * (above - below)
