"""Evaluation: every contender on the same clips under the same corruptions, frame by frame, in constant memory."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from holdsteady.corruptions import Stream, open_corruption
from holdsteady.data.dataset import item_generator
from holdsteady.errors import ConfigError
from holdsteady.evaluation.contenders import Contender, Run, now
from holdsteady.evaluation.footage import Footage
from holdsteady.evaluation.intervals import bootstrap_interval
from holdsteady.evaluation.scoring import Scorer, both_flows, make_scorer
from holdsteady.models.place import in_eval, place
from holdsteady.models.sizes import crop_to, pad_to, try_model
from holdsteady.models.values import image_of
from holdsteady.objective.distances import IGNORED_CLASS


@dataclass(frozen=True)
class Row:
    """What one contender did on one clip under one corruption.

    Attributes:
        clip, corruption, label, family, setting: who and where; see ``Contender``.
        figures: means over frames by name; ``ms_per_frame`` and ``overhead`` (over the base's time) among them.
        series: figures for each frame.
    """

    clip: str
    corruption: str
    label: str
    family: str
    setting: float
    figures: dict[str, float]
    series: dict[str, list[float]] = field(repr=False)


def evaluate(
    model: Callable[..., Any],
    contenders: Sequence[Contender],
    clips: Sequence[Footage],
    *,
    corruptions: Sequence[str] = ("none",),
    target: str = "self",
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int | None], None] | None = None,
    keep: Callable[[list[Row]], None] | None = None,
) -> list[Row]:
    """Run every contender over every clip under every corruption.

    Args:
        model: frames (1, 3, H, W) in [0, 1] → outputs: pictures, depth (one channel) or class logits.
        contenders: the first is the base.
        clips: clean footage.
        corruptions: specs of ``make_corruption``, or ``none``.
        target: what outputs are compared with where the footage knows no truth: ``frames``, for models that restore,
            the clean frames; or ``self``, the base's outputs on these.
        seed: of the corruptions.
        device: where the model runs.
        progress: called with the frames done, over all clips and corruptions, and None.
        keep: called with all rows so far after each clip and corruption, so that an interruption loses little.

    Returns:
        A row for each clip, corruption and contender, in this order.

    Raises:
        ConfigError: an unknown target or corruption, two clips or contenders of one name, or a truth that does not
            fit what the model gives.
        VideoError: a clip can't be read.
    """
    if target not in ("self", "frames"):
        raise ConfigError(f"target = '{target}': take self or frames")
    _check_names("clips", [clip.name for clip in clips])
    _check_names("contenders", [contender.label for contender in contenders])
    # What can't be made or opened is found before hours are spent on the rest.
    described = {spec: open_corruption(spec) for spec in corruptions}
    for clip in clips:
        if next(iter(clip.play()), None) is None:
            raise ConfigError(f"the clip {clip.name} has no frames")
    if isinstance(model, nn.Module):
        model = place(in_eval(model), device, channels_last=True)
    rows: list[Row] = []
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, None)

    for number, clip in enumerate(clips):
        for spec, corruption in described.items():
            # A draw of its own for each clip, the same for every contender.
            stream = None if corruption is None else corruption.start(item_generator(seed, number))
            rows += _one_clip(model, contenders, clip, (spec, stream), target, device, tick)
            if keep is not None:
                keep(rows)
    return rows


def _check_names(what: str, names: Sequence[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"two {what} are named '{twice}'; their figures would be mixed up")


def _one_clip(
    model: Callable[..., Any],
    contenders: Sequence[Contender],
    clip: Footage,
    corruption: tuple[str, Stream | None],
    target: str,
    device: str,
    tick: Callable[[], None],
) -> list[Row]:
    spec, corrupt = corruption
    runs: list[Run] = []
    scorers: list[Scorer] = []
    multiple = least = 1
    before: Tensor | None = None
    for moment in clip.play():
        clean = moment.clean.to(device)
        if not runs:
            trial = try_model(model, clean)
            multiple, least = trial.multiple, trial.least
            runs = [Run(contender, model, trial.example) for contender in contenders]
        frame = pad_to(clean if corrupt is None else corrupt(clean), multiple, least)
        with torch.inference_mode():
            given = frame.clone()  # the model may write into it
            begun = now(frame.device)
            output = model(given)
            taken = now(frame.device) - begun
            if moment.truth is not None:
                truth = moment.truth.to(device)
            else:
                padded = pad_to(clean, multiple, least)
                truth = clean if target == "frames" else uncovered(image_of(model(padded.clone())), frame, clean)
        if not scorers:
            _check_truth(uncovered(image_of(output), frame, clean), truth)
            scorers = [make_scorer(image_of(output)) for _ in runs]
        flows = None if before is None or moment.is_cut else both_flows(clean, before)
        before = clean
        for run, scorer in zip(runs, scorers, strict=True):
            if moment.is_cut:
                run.cut()
                scorer.cut()
            scorer.update(uncovered(image_of(run.step(frame, output, taken)), frame, clean), truth, flows)
        tick()
    base_seconds = _median(runs[0].seconds) if runs else 0.0
    rows = []
    for run, scorer in zip(runs, scorers, strict=True):
        seconds = _median(run.seconds)
        times = {"ms_per_frame": 1000 * seconds, "overhead": seconds / base_seconds - 1}
        who = run.contender
        figures = {**scorer.compute(), **times}
        rows.append(Row(clip.name, spec, who.label, who.family, who.setting, figures, scorer.per_frame()))
    return rows


def uncovered(picture: Tensor, padded: Tensor, frame: Tensor) -> Tensor:
    """The part of an output that shows the frame, and not its padding."""
    return crop_to(picture, (padded.shape[-2], padded.shape[-1]), (frame.shape[-2], frame.shape[-1]))


def _check_truth(output: Tensor, truth: Tensor) -> None:
    channels = output.shape[1]
    (height, width), (true_height, true_width) = output.shape[-2:], truth.shape[-2:]
    if (height, width) != (true_height, true_width):
        raise ConfigError(
            f"the model gives {width}x{height} and the truth has {true_width}x{true_height}; a model that changes the "
            "size is compared with its own output on clean frames: --target self"
        )
    if truth.is_floating_point():
        if truth.shape[1] != channels:
            raise ConfigError(
                f"the model gives {channels} channels and the truth has {truth.shape[1]}; a model that does not "
                "restore frames is compared with its own output on clean ones: --target self"
            )
    elif int(truth[truth != IGNORED_CLASS].max().item() if (truth != IGNORED_CLASS).any() else 0) >= channels:
        raise ConfigError(f"the truth has classes up to {int(truth.max())}, and the model gives {channels}")


def _median(seconds: Sequence[float]) -> float:
    # The first frames warm caches up.
    return statistics.median(seconds[2:] or seconds)


def summarise(rows: Sequence[Row], seed: int = 0) -> list[dict[str, Any]]:
    """Each contender's means over the clips under each corruption, with 95 % intervals of the quality figures."""
    keys = list(dict.fromkeys((row.corruption, row.label) for row in rows))
    summary = []
    for corruption, label in keys:
        mine = [row for row in rows if (row.corruption, row.label) == (corruption, label)]
        names = dict.fromkeys(name for row in mine for name in row.figures)
        means = {name: statistics.fmean(row.figures[name] for row in mine if name in row.figures) for name in names}
        spans = {
            name: bootstrap_interval([row.series[name] for row in mine if name in row.series], seed)
            for name in names
            if any(name in row.series for row in mine)
        }
        first = mine[0]
        summary.append(
            {
                "corruption": corruption,
                "label": label,
                "family": first.family,
                "setting": first.setting,
                "clips": len(mine),
                "means": means,
                "intervals": spans,
            }
        )
    return summary


def drift(row: Row, base: Row, figure: str = "psnr") -> float:
    """How the lead over the base changes from the first quarter of a clip to the last; below 0 it bleeds away."""
    lead = torch.tensor(row.series[figure]) - torch.tensor(base.series[figure])
    quarter = max(1, len(lead) // 4)
    return float(lead[-quarter:].nanmean() - lead[:quarter].nanmean())
