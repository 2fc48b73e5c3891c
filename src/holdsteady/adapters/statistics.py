"""*statistics*: the mean and the deviation of each channel are steadied, and nothing else; (21), (22).

A network of relative depth may see the same room a little nearer and flatter in every frame: its output drifts in scale
and shift, which are the mean μ and the standard deviation σ over all places. So only these are remembered, 2·C numbers
a stream, and the value is moved to what they should be. After DyFN (arXiv 2605.25308), which puts remembered statistics
in their place altogether; here they are a mixture of the frame's own and the remembered ones, and at the start, before
any training, the frame's own.
"""

import math

import torch
from torch import Tensor, nn

from holdsteady.adapters.cell import Cell, Context, Fused, Memory, Moment
from holdsteady.adapters.config import AdapterConfig

#: μ and σ of each channel, (B, C) each.
Statistic = tuple[Tensor, Tensor]

_FLAT = 1e-6  # deviation over the magnitude of the mean, below which a channel has no contrast to be scaled
_SEEN = 9  # what the gates see of a channel


def statistics(z: Tensor, finite: Tensor | None = None) -> Statistic:
    """μ and σ over the places of each channel, (B, C, H, W) → (B, C) each; NaN where no place is finite.

    Args:
        z: the value.
        finite: which places count, likewise; None for all.
    """
    count: Tensor | int = z.shape[2] * z.shape[3] if finite is None else finite.sum(dim=(2, 3))
    mean = (z if finite is None else torch.where(finite, z, 0)).sum(dim=(2, 3)) / count
    centred = z - mean[..., None, None]
    squares = (centred if finite is None else torch.where(finite, centred, 0)).square().sum(dim=(2, 3))
    return mean, (squares / count).clamp_min(1e-30).sqrt()


def renormalised(z: Tensor, own: Statistic, wanted: Statistic) -> Tensor:
    """(21) z̃ = (z − μ) σ̃/σ + μ̃; a flat channel, which has no contrast to be scaled, is only shifted.

    Args:
        z: (B, C, H, W).
        own: its μ and σ, (B, C) each.
        wanted: μ̃ and σ̃.
    """
    flat = own[1] <= _FLAT * own[0].abs() + 1e-14
    scale = torch.where(flat, 1.0, wanted[1] / own[1].clamp_min(1e-14))
    # So written that it is z, exactly, where the statistics are its own.
    return scale[..., None, None] * z + (wanted[0] - scale * own[0])[..., None, None]


class Statistics(Cell):
    """*statistics fixed*: (21) with an EMA of the statistics, μ̃_t = β μ_t + (1−β) μ̃_{t−1}, and σ̃ likewise."""

    keeps_memory = False

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        self.beta = config.beta

    def more(self, z: Tensor) -> Memory:
        """The first frame's own statistics."""
        mean, deviation = statistics(z.float(), (z - z) == 0)
        return {"mean": mean, "deviation": deviation}

    def fuse(self, moment: Moment, context: Context) -> Fused:
        z = moment.present.float()
        own = statistics(z, moment.finite)
        # NaN is a stream that is new, or a channel of which nothing was finite.
        mean, deviation = (
            torch.where(before.isnan(), now, before.float())
            for before, now in zip((moment.more["mean"], moment.more["deviation"]), own, strict=True)
        )
        parts = self.parts(own, (mean, deviation), context)
        mean = torch.where(own[0].isnan(), mean, torch.lerp(own[0], mean, parts[0]))
        deviation = torch.where(own[1].isnan(), deviation, torch.lerp(own[1], deviation, parts[1]))
        return Fused(renormalised(z, own, (mean, deviation)), moment.memory, {"mean": mean, "deviation": deviation})

    def parts(self, own: Statistic, kept: Statistic, context: Context) -> tuple[Tensor, Tensor]:
        """The remembered statistics' parts, of μ and of σ: (B, C), or a number."""
        part = torch.as_tensor(1 - self.beta, dtype=own[0].dtype, device=own[0].device)
        return part, part


class GatedStatistics(Statistics):
    """*statistics*: (22), where a small network decides for each channel and frame how much is remembered.

    The remembered part is tanh(a) · sigmoid(g), of μ and of σ apart. a is 0 at the start, so that the adapter changes
    nothing before it is trained. g comes from two layers, shared by all channels, that see how far μ and σ moved in
    units of σ̃, for this channel and over all of them, and how far the frame's own have. So it depends neither on
    units nor on how many channels there are; and what it remembers is its only state.
    """

    needs_frames = True

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__(config)
        self.amount = nn.Parameter(torch.zeros(2))
        self.gate = nn.Sequential(nn.Linear(_SEEN, config.statistics_width), nn.Tanh())
        self.last = nn.Linear(config.statistics_width, 2)

    def parts(self, own: Statistic, kept: Statistic, context: Context) -> tuple[Tensor, Tensor]:
        moved = moves(own, kept)
        assert context.frame is not None and context.previous_frame is not None
        frames = context.frame.float(), context.previous_frame.float()
        of_frame = moves(statistics(frames[0]), statistics(frames[1])).mean(dim=1, keepdim=True)
        change = (frames[0] - frames[1]).abs().mean(dim=(1, 2, 3)) / statistics(frames[1])[1].mean(dim=1)
        seen = torch.cat(
            (
                moved,
                moved.abs(),
                moved.abs().mean(dim=1, keepdim=True).expand_as(moved),
                of_frame.abs().expand_as(moved),
                change[:, None, None].expand(-1, moved.shape[1], 1),
            ),
            dim=2,
        )
        logits = self.last(self.gate(seen.clamp(-4, 4).to(self.amount.dtype))).float()
        part = self.amount.tanh() * torch.sigmoid(logits)
        return part[..., 0], part[..., 1]


def moves(now: Statistic, before: Statistic) -> Tensor:
    """How far the mean moved in standard deviations, and the logarithm of the deviations' ratio, (B, C, 2)."""
    unit = before[1].clamp_min(1e-14)
    ratio = (now[1].clamp_min(1e-14) / unit).log()
    moved = torch.stack(((now[0] - before[0]) / unit, ratio), dim=2)
    return moved.nan_to_num(0.0).clamp(-(math.e**3), math.e**3)
