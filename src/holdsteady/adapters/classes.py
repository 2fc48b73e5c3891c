"""Class scores and masks are fused as probabilities, along the motion of the input; (19), (20).

They are no pictures: a class at a place is either right or wrong, so differences between present and memory say nothing
about noise. What counts is how sure either is, and whether the input still shows there what it showed before. After
arXiv 2604.17115, which weights by entropies too.

Whether an output is of this sort is stated (``fuse_as``), known from the model's card, or plainly visible (``read``).
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.adapters.cell import Context, Fused, Moment
from holdsteady.adapters.config import AdapterConfig
from holdsteady.adapters.means import cell_mean, energy, value_range
from holdsteady.adapters.method import MotionFixed, mismatch
from holdsteady.adapters.trust import likeness, noise_level
from holdsteady.flow.dis import FLOWS
from holdsteady.flow.warp import resize, resize_flow, warp_bilinear, warp_nearest

#: What the values of a stream are: numbers; logits of classes, or their probabilities; logits of independent masks, or
#: these themselves.
Form = Literal["values", "logits", "probabilities", "mask logits", "mask"]

MEMORY = 0.6  # of the weight that pictures give the memory, where both are equally sure
SURER = 0.4  # difference of entropies by which the odds of the memory change by e
_STEP = 4  # of the places, every fourth row and column is looked at
_LARGEST = 100.0  # magnitude of a logit
_TINY = 1e-30


# --- What an output is ---


def read(z: Tensor, memory: Tensor, fuse_as: str) -> list[Form]:
    """What the values of each stream are, or one form for all, by the setting or, for ``auto``, where it is visible.

    * one channel, or several equal ones, within [0, 1], nine in ten of the values within 0.05 of 0 or 1, and some
      above 0.5, now or in the memory: a mask;
    * two channels or more within [0, 1] that sum to one at every place: probabilities;
    * five channels or more, of both signs, none beyond ±100, whose softmax gives the first class half of the
      probability in the mean: logits.

    Everything else is numbers. Of ``classes`` it is only seen whether they are logits, likewise of a ``mask``.

    Args:
        z, memory: z_t and z̃_{t−1}, (B, C, H, W).
        fuse_as: as in the config.
    """
    if fuse_as == "values":
        return ["values"]
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined]
        # A graph can't depend on values: logits and masks are the usual outputs.
        unseen: dict[str, Form] = {"classes": "logits", "mask": "mask"}
        return [unseen.get(fuse_as, "values")]
    z, memory = (value.detach()[..., ::_STEP, ::_STEP].float().contiguous() for value in (z, memory))
    return [_read_one(present, before, fuse_as) for present, before in zip(z, memory, strict=True)]


def _read_one(z: Tensor, memory: Tensor, fuse_as: str) -> Form:
    """The form of one stream (C, H, W)."""
    low, high = float(z.min()), float(z.max())
    channels, within = len(z), low >= -1e-3 and high <= 1 + 1e-3
    if fuse_as == "mask":
        return "mask" if within else "mask logits"
    adds_up = within and channels > 1 and bool(((z.sum(dim=0) - 1).abs() < 1e-2).all())
    if fuse_as == "classes":
        return "probabilities" if adds_up else "mask logits" if channels == 1 else "logits"
    if adds_up:
        return "probabilities"
    if within and max(high, float(memory.max())) >= 0.5 and bool((z[0] == z).all()):
        return "mask" if float(((z[0] - z[0].round()).abs() < 0.05).float().mean()) >= 0.9 else "values"
    if channels > 4 and -_LARGEST <= low < 0 < high <= _LARGEST and float(z.softmax(dim=0).amax(dim=0).mean()) >= 0.5:
        return "logits"
    return "values"


# --- The formulas ---


def log_probabilities(z: Tensor, form: Form) -> Tensor:
    """Logarithms of the probabilities that values (B, C, H, W) of a form stand for, likewise."""
    if form == "logits":
        return z.log_softmax(dim=1)
    return F.logsigmoid(z) if form == "mask logits" else z.clamp(_TINY, 1).log()


def probabilities(z: Tensor, log_p: Tensor, form: Form) -> Tensor:
    """The probabilities themselves, from their logarithms only where they are not given."""
    return log_p.exp() if form in ("logits", "mask logits") else z.clamp(0, 1)


def entropy(log_p: Tensor, form: Form) -> Tensor:
    """(19) In units of the largest possible, (B, 1, H, W) in [0, 1]; for masks the mean over the channels."""
    p = log_p.exp()
    if form in ("logits", "probabilities"):
        return (p * log_p).sum(dim=1, keepdim=True) / -math.log(log_p.shape[1])
    inverse = 1 - p
    bits = p * log_p + inverse * inverse.clamp_min(_TINY).log()
    return bits.mean(dim=1, keepdim=True) / -math.log(2)


def memory_share(present: Tensor, memory: Tensor, weight: float, seen: Tensor) -> Tensor:
    """(20) The memory's part: v o/(1 + o), with odds o = a/(1−a) · exp((H_t − H_m)/0.4), the more the surer it is.

    Args:
        present, memory: entropies H (B, 1, H, W).
        weight: a < 1, the part of a memory that is as sure as the present.
        seen: v in [0, 1], where the input shows the same as before.
    """
    odds = weight / (1 - weight) * ((present - memory) / SURER).exp()
    return seen * odds / (1 + odds)


def written(p: Tensor, z: Tensor, log_present: Tensor, form: Form) -> Tensor:
    """Probabilities in the form that z has; logits of classes keep the sum of exponentials of z, and so its scale."""
    if form == "logits":
        return p.clamp_min(_TINY).log() + (z - log_present)[:, :1]
    if form == "mask logits":
        return p.clamp_min(_TINY).log() - (1 - p).clamp_min(_TINY).log()
    return p


def unchanged(frame: Tensor, before: Tensor, flow: Tensor, noise: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    """Where the input shows what it showed before, v = (1 − D/(6 c² N))₊² (B, 1, H, W), and N of this frame.

    D and N are (10) and (12) of the input, along its motion.

    Args:
        frame, before: x_t and x_{t−1} (B, C, H, W), of the output's size.
        flow: of the same size.
        noise: N of the last frame; NaN at the start.
        tolerance: c.
    """
    difference = frame - warp_bilinear(before, flow)
    squares = energy(difference)
    noise = noise_level(noise, cell_mean(squares), value_range(frame).clamp_min(1e-15))
    return likeness(mismatch(difference, squares), noise, tolerance), noise


# --- The cell ---


class MotionFixedOutput(MotionFixed):
    """*motion fixed* for any output: masks and scores of classes are fused as what they are, all else as it fuses.

    In the memory of these, ``noise`` is that of the input; what belongs to pictures stays as it was.
    """

    def __init__(self, channels: int, frame_channels: int, config: AdapterConfig) -> None:
        super().__init__(channels, frame_channels, config)
        self.fuse_as = config.fuse_as
        self.needs_frames = self.needs_frames or config.fuse_as != "values"
        self.follows_frames = config.flow_from != "output"
        self.input_flow = FLOWS[config.flow](smooth=1.0)

    def forward(self, moment: Moment, context: Context) -> Fused:
        if context.frame is None or context.previous_frame is None:  # classes follow the frames' motion
            return self.fuse(moment, context)
        forms = read(moment.present, moment.memory, self.fuse_as)
        if len({*forms}) == 1:
            return self.fuse_form(moment, context, forms[0])
        streams = enumerate(forms)
        return _joined([self.fuse_form(*_alone(moment, context, index), form) for index, form in streams])

    def fuse_form(self, moment: Moment, context: Context, form: Form) -> Fused:
        """The fusion of streams of one form."""
        if form == "values":
            return self.fuse(moment, context)
        z, size = moment.present.float(), moment.size
        assert context.frame is not None and context.previous_frame is not None
        frames = context.frame.float(), context.previous_frame.float()
        if context.known_flow is not None:
            flow = context.known_flow.to(z)
        else:
            flow = self.input_flow(*frames) if self.follows_frames else self.input_flow(z, moment.memory.float())
        flow = resize_flow(flow, size)
        frame, before = (resize(one, size) for one in frames)
        seen, noise = unchanged(frame, before, flow, moment.more["noise"].float(), self.tolerance)
        # The nearest place, not a mean of several: it mixes no classes, and a memory's edges stay sharp.
        moved = warp_nearest(moment.memory.float(), flow)
        present, memory = log_probabilities(z, form), log_probabilities(moved, form)
        weight = memory_share(entropy(present, form), entropy(memory, form), MEMORY * self.memory_weight, seen)
        mixed = torch.lerp(probabilities(z, present, form), probabilities(moved, memory, form), weight)
        fused = torch.where(weight > 0, written(mixed, z, present, form), z)
        return Fused(fused, moved, moment.more | {"noise": noise})


def _alone(moment: Moment, context: Context, index: int) -> tuple[Moment, Context]:
    """One stream of several."""
    one = slice(index, index + 1)

    def of(value: Tensor | None) -> Tensor | None:
        return None if value is None else value[one]

    values = (moment.present[one], moment.memory[one], moment.raw[one], moment.known[one])
    more = {name: kept[one] for name, kept in moment.more.items()}
    frame, before, flow = of(context.frame), of(context.previous_frame), of(context.known_flow)
    return Moment(*values, more), replace(context, frame=frame, previous_frame=before, known_flow=flow)


def _joined(streams: Sequence[Fused]) -> Fused:
    """Streams that were fused one by one."""
    more = {name: torch.cat([one.more[name] for one in streams]) for name in streams[0].more}
    return Fused(torch.cat([one.value for one in streams]), torch.cat([one.memory for one in streams]), more)
