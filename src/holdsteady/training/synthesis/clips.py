"""Whole examples: what a model saw, what it gave, and what it should have given."""

from collections.abc import Callable, Collection

import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.training.synthesis import disturbances as disturb
from holdsteady.training.synthesis import operators as operate
from holdsteady.training.synthesis.draws import chance, choose, log_uniform, uniform

#: ``input`` (T, 3, H, W), ``output`` and ``truth`` (T, C, H, W).
Example = dict[str, Tensor]
Denoiser = Callable[[Tensor], Tensor]

#: How likely each sort of example is, and which channels it has: a batch holds examples of equal channels.
PICTURES = {
    "clean": 0.06,
    "noise": 0.46,
    "enlarged": 0.1,
    "denoised": 0.12,
    "wide": 0.12,
    "texture": 0.1,
    "mixed": 0.04,
}
SINGLES = {"mask": 0.5, "depth": 0.3, "grey": 0.2}
SEVERAL = {"classes": 0.6, "logits": 0.4}


def events(clip: Tensor, other: Tensor, random: torch.Generator) -> Tensor:
    """True changes that must stay: in some clips a fade, a light that is switched, a cut to another clip."""
    length = len(clip)
    at, time = int(torch.randint(2, max(3, length - 1), (), generator=random)), torch.linspace(0, 1, length)
    gain = torch.ones(length)
    if chance(random, 0.12):
        gain = 1 + time * (log_uniform(random, 0.25, 1.5) - 1)
    if chance(random, 0.06):
        gain = torch.where(torch.arange(length) < at, log_uniform(random, 0.2, 0.8), 1.0)
    if chance(random, 0.5):
        gain = gain.flip(0)
    if chance(random, 0.07):
        clip = torch.cat((clip[:at], other[at:]))
    return (clip * gain[:, None, None, None]).clamp(0, 1)


def make_example(
    frames: Tensor,
    other: Tensor,
    sort: str,
    channels: int,
    random: torch.Generator,
    denoiser: Denoiser | None = None,
    left_out: Collection[str] = (),
) -> Example:
    """An example of one sort from two clean clips.

    Args:
        frames, other: (T, 3, H, W) in [0, 1]; the second is what a cut leads to.
        sort: a key of ``PICTURES``, ``SINGLES`` or ``SEVERAL``.
        channels: of the classes.
        random: of this example alone.
        denoiser: for the sort ``denoised``; noisy frames (T, 3, H, W) → clean ones.
        left_out: names of operators and disturbances that must not take part, as those of their makers; ``brighten``
            stands for all that is dark.
    """
    clean = events(frames, other, random)
    if sort == "denoised" and denoiser is not None:
        noisy = clean + uniform(random, 0.04, 0.2) * torch.randn(clean.shape, generator=random)
        return _example((noisy := noisy.clamp(0, 1)), denoiser(noisy), clean)
    if sort == "clean":
        operator = operate.identity(random) if chance(random, 0.6) else operate.picture_operator(random, left_out)
        return _example(clean, operator(clean), operator(clean))
    if sort in ("mask", "depth", "classes", "logits"):
        return _numbers(clean, sort, channels, random, left_out)
    if sort == "enlarged":
        small, operator = F.avg_pool2d(clean, 2), operate.enlarge(random)
        seen = (disturb.white_noise if "jpeg" in left_out else disturb.jpeg)(random)(small)
        return _example(F.interpolate(seen, scale_factor=2, mode="bilinear"), operator(seen), operator(small))
    if chance(random, 0.45) and "brighten" not in left_out:
        dark = log_uniform(random, 0.1, 0.6)
        clean, lift = (
            dark * clean,
            operate.chain([lambda v: (v / dark).clamp(0, 1) ** 0.9, operate.picture_operator(random, left_out)]),
        )
        operator = operate.brighten(random) if chance(random, 0.5) else lift
    else:
        operator = operate.picture_operator(random, left_out)
    seen, truth = clean, operator(clean)
    if sort in ("noise", "denoised", "grey") or chance(random, 0.3 if sort != "mixed" else 1.0):
        seen = disturb.input_disturbance(random, left_out)(clean)
    given = operator(seen)
    if sort in ("wide", "mixed"):
        given = disturb.wide_flicker(random)(given).clamp(0, 1)
    if sort in ("texture", "mixed"):
        given = disturb.texture(random)(given)
        given = given.clamp(0, 1) if chance(random, 0.5) else given
    if sort == "grey":
        seen, given, truth = (value.mean(dim=1, keepdim=True) for value in (seen, given, truth))
    # A file that another tool has made: nothing is known of what it was made from.
    return _example(given if chance(random, 0.12) else seen, given, truth)


def _numbers(
    clean: Tensor, sort: str, channels: int, random: torch.Generator, left_out: Collection[str] = ()
) -> Example:
    """Masks, depth, classes: what hangs on the picture and is none."""
    if sort == "mask":
        operator = operate.mask(random)
        hard = chance(random, 0.3)
    elif sort == "depth":
        operator, hard = operate.depth(random), False
    else:
        operator, hard = operate.classes(random, channels, logits=sort == "logits"), False
    is_noisy = choose(random, (True, False), (0.75, 0.25))
    noise = disturb.input_disturbance(random, left_out) if is_noisy else disturb.no_disturbance(random)
    seen, truth = noise(clean), operator(clean)
    given = operator(seen)
    if sort == "depth" and "scale_and_shift" not in left_out:
        given = disturb.scale_and_shift(random)(given)
    if sort == "depth" or chance(random, 0.4):
        shaken = disturb.texture(random)(given)
        given = shaken if sort in ("depth", "logits") else shaken.clamp(0, 1)
    if hard:
        given = (given > 0.5).float()
    return _example(seen, given, truth)


def _example(seen: Tensor, given: Tensor, truth: Tensor) -> Example:
    return {"input": seen, "output": given, "truth": truth}
