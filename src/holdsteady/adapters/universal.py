"""*universal*: one small trained adapter for every model, blind to channels, colours and value range; (18).

It finds what *motion fixed* finds, and a small head corrects the weights that the formulas give. The head sees no
values, only differences: of the present to the memory moved and unmoved, of the input along the motion, to what was
removed from the last value. All are energies (mean squares over the channels) at several scales, as logarithms of their
ratio to the picture's own noise, so that f(a·z + b) = a·f(z) + b for any a ≠ 0, and any number of channels will do. It
works at half the resolution. An untrained head changes nothing.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.adapters.cell import Context, Evidence, Fused, Moment
from holdsteady.adapters.classes import MotionFixedOutput
from holdsteady.adapters.config import AdapterConfig
from holdsteady.adapters.controller import RelativeHead
from holdsteady.adapters.means import box_mean, channel_mean, energy, enlarge, enlarge_rows, shrink
from holdsteady.flow.warp import resize, warp_bilinear

_FLOOR = 0.003  # of the standard deviation of a picture: differences below are as good as none
_LEAST = 0.003  # weight of what the formulas rule out, which the head may raise
_MOST = 8.0  # largest logit


class Halves(NamedTuple):
    """What is compared, at half the size: each (B, C or 1, ⌈H/2⌉, ⌈W/2⌉).

    Attributes:
        present: z_t.
        moved: z̃_{t−1} brought to the present.
        still: z̃_{t−1} as it lay.
        removed: what was taken off the last value, brought to the present, mean over the channels.
        frame, frame_before: x_t and x_{t−1}.
        fine: energy of the grey of z_t − w_t at the full size, pooled.
        weight, share: those of ``Evidence``.
        noise: N of ``Evidence``.
        flow: (B, 2, ⌈H/2⌉, ⌈W/2⌉), in pixels of this size.
    """

    present: Tensor
    moved: Tensor
    still: Tensor
    removed: Tensor
    frame: Tensor
    frame_before: Tensor
    fine: Tensor
    weight: Tensor
    share: Tensor
    noise: Tensor
    flow: Tensor


#: How many maps :func:`seen` gives.
SEEN = 23


class Universal(MotionFixedOutput):
    """*universal*: the weights of z_t without and with its wide flicker and of the memory moved and as it lay are those
    of *motion fixed*, each multiplied by what a head says, and made to sum to one.
    """

    def __init__(self, frame_channels: int, config: AdapterConfig) -> None:
        super().__init__(0, frame_channels, config)
        self.needs_frames = True
        self.head = RelativeHead(SEEN, config.universal_width, (0.0,) * 4)

    def fuse(self, moment: Moment, context: Context) -> Fused:
        found = self.find(moment, context)
        # Energies are squares, which take a range that half precision has not.
        logits = self.head(seen(halves(found, context)).to(moment.present.dtype)).float()
        values = Candidates(found.present, found.moved, found.still, moment.present.float())
        return found.settled(blend(values, found.weight, found.share, logits))


class Candidates(NamedTuple):
    """What may be shown, (B, C, H, W) each.

    Attributes:
        present: z_t without its wide flicker.
        moved: z̃_{t−1} brought to the present.
        still: z̃_{t−1} as it lay.
        raw: z_t.
    """

    present: Tensor
    moved: Tensor
    still: Tensor
    raw: Tensor


def blend(values: Candidates, weight: Tensor, share: Tensor, logits: Tensor) -> Tensor:
    """The convex combination of the candidates.

    Args:
        weight, share: of the memory, and of it as it lay, (B, 1, H, W) in [0, 1].
        logits: (B, 4, ⌈H/2⌉, ⌈W/2⌉); where they are zero, the formulas' weights hold but for ``_LEAST``.
    """
    height, width = weight.shape[-2:]
    factors = enlarge_rows(logits.clamp(-_MOST, _MOST).exp(), 2, slice(0, height), width)
    still = weight * share
    likely = (1 - weight, weight - still + _LEAST, still + _LEAST, _LEAST)
    weights = [one * factor for one, factor in zip(likely, factors.split(1, dim=1), strict=True)]
    total = weights[0] + weights[1] + weights[2] + weights[3]
    fused = weights[0] / total * values.present
    for one, value in zip(weights[1:], values[1:], strict=True):
        fused = torch.addcmul(fused, one / total, value)
    return fused


def halves(found: Evidence, context: Context) -> Halves:
    """What the head compares."""
    present, still = shrink(found.present, 2), shrink(found.still, 2)
    frame, before = context.frame, context.previous_frame
    whole, half = (found.present.shape[-2], found.present.shape[-1]), (present.shape[-2], present.shape[-1])
    return Halves(
        present,
        shrink(found.moved, 2),
        still,
        shrink(found.removed, 2),
        present if frame is None else _halved(frame, whole, half),
        still if before is None else _halved(before, whole, half),
        shrink(channel_mean(found.present - found.moved).square(), 2),
        shrink(found.weight, 2),
        shrink(found.share, 2),
        enlarge(found.noise, half),
        shrink(found.flow.float(), 2) / 2,
    )


def seen(at: Halves) -> Tensor:
    """What the head sees, (B, SEEN, ⌈H/2⌉, ⌈W/2⌉), without unit and the same for a·z + b."""
    by_moved, by_still = at.present - at.moved, at.present - at.still
    moved, still = scales(by_moved), scales(by_still)
    size = torch.maximum(spread(at.present), spread(at.still)).clamp_min(1e-20)
    floor, noise = _FLOOR**2 * size, at.noise
    energies = [
        *(*moved, *still, at.fine),
        *(by_moved.square().amax(dim=1, keepdim=True), box_mean(moved[0], 3), box_mean(still[0], 3)),
        *(at.removed.square(), box_mean(at.removed, 3).square()),
        *(gradient_energy(at.present), gradient_energy(at.moved)),
    ]
    maps = [relative(torch.cat(energies, dim=1), noise, floor)]
    together = box_mean(channel_mean(by_moved) * at.removed, 3)
    maps.append(together / (box_mean(moved[0], 3) + box_mean(at.removed.square(), 3) + floor))
    maps += [at.weight, at.share, relative(noise, 1e-3 * size, floor)]

    range_of_frames = spread(at.frame).clamp_min(1e-20)
    moved_frame = warp_bilinear(at.frame_before, at.flow)
    frames = scales(at.frame - moved_frame)
    frames.append(box_mean(energy(at.frame - at.frame_before), 3))
    maps.append(relative(torch.cat(frames, dim=1), range_of_frames * 1e-3, _FLOOR**2 * range_of_frames))
    maps.append(0.25 * energy(at.flow).add(0.01).log())
    return torch.cat(maps, dim=1)


def scales(difference: Tensor) -> list[Tensor]:
    """Energies of a signed difference at three scales: noise loses most of its own in each mean, mismatch does not."""
    height, width = difference.shape[-2:]
    low = enlarge_rows(box_mean(shrink(difference, 4), 3), 4, slice(0, height), width)
    return [energy(difference), energy(box_mean(difference, 3)), energy(low)]


def gradient_energy(value: Tensor) -> Tensor:
    """Energy of the gradient of a map, by central differences, (B, 1, H, W)."""
    around = F.pad(value, (1, 1, 1, 1), mode="replicate")
    across = around[..., 1:-1, 2:] - around[..., 1:-1, :-2]
    down = around[..., 2:, 1:-1] - around[..., :-2, 1:-1]
    return (energy(across) + energy(down)) / 4


def spread(value: Tensor) -> Tensor:
    """Variance over space, mean over the channels: (B, C, H, W) → (B, 1, 1, 1)."""
    # Tensor.var looks at one value at a time.
    return (value - value.mean((2, 3), keepdim=True)).square().mean((1, 2, 3), keepdim=True)


def relative(value: Tensor, unit: Tensor, floor: Tensor) -> Tensor:
    """An energy against a unit, log((e + floor) / (unit + floor)) at a scale that suits a head."""
    return 0.25 * ((value + floor).log() - (unit + floor).log())


def _halved(frame: Tensor, whole: tuple[int, int], half: tuple[int, int]) -> Tensor:
    """A frame at half the size of the value; means where the two are of one size, which is quick."""
    return shrink(frame.float(), 2) if frame.shape[-2:] == whole else resize(frame.float(), half)
