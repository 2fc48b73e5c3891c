"""One job of the page, from the file to what is shown: corrupt, the model alone, the model held steady, compared."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady import api, video, zoo
from holdsteady.corruptions import make_corruption
from holdsteady.fixing import fix
from holdsteady.report.compare import Comparison, measure
from holdsteady.report.table import FIGURES, number
from holdsteady.ui.choices import FIX, truth_of
from holdsteady.ui.job import Job
from holdsteady.ui.preview import Preview, save_strip

STEADY, PREVIEW = "steady.mp4", "preview.mp4"
_INPUT, _ALONE, _HELD = "Input", "Frame by frame", "Steady"
#: The figures of the table; the instability of a truth would need a page to explain.
_SHOWN = ("psnr", "ssim", "flicker_error", "instability_rms")

Tell = Callable[["Progress"], None]


@dataclass(frozen=True)
class Progress:
    """How far a job is: ``done`` frames of ``total`` (None: unknown) in stage ``stage`` of ``stages``."""

    what: str
    stage: int
    stages: int
    done: int = 0
    total: int | None = None

    @property
    def share(self) -> float:
        """Of the whole, from 0 to 1."""
        within = min(1.0, self.done / self.total) if self.total else 0.0
        return (self.stage + within) / self.stages


@dataclass(frozen=True)
class Outcome:
    """What a job found; files are in its folder.

    Attributes:
        labels: of the pictures beside each other in ``preview.mp4``, from left to right.
        tile: (width, height) of each.
        rate, frames: of it.
        figure: what ``series`` are, by their key in ``FIGURES``.
        series: by label, a number for each frame; None where it was not measured.
        slices: by label, the file of a time slice.
        head, rows: the table.
        against: what the truth was, or None.
        notes: what else was said.
    """

    labels: list[str]
    tile: tuple[int, int]
    rate: float
    frames: int
    figure: str
    series: dict[str, list[float | None]]
    slices: dict[str, str]
    head: list[str]
    rows: list[list[str]]
    against: str | None
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """All of it, in JSON's types."""
        return asdict(self)


def work(job: Job, folder: Path, tell: Tell) -> Outcome:
    """Do a job.

    Args:
        job: what to do.
        folder: an empty folder; afterwards it holds the result, the preview and the slices.
        tell: gets the progress.

    Raises:
        HoldsteadyError: what was wrong.
    """
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        outcome = _Work(job, folder, tell, notes).run()
    notes += [str(one.message) for one in caught if issubclass(one.category, UserWarning)]
    told = list(dict.fromkeys(_without_paths(note, job, folder) for note in notes))
    return Outcome(**{**outcome.as_json(), "notes": told})


def _without_paths(text: str, job: Job, folder: Path) -> str:
    return text.replace(job.source, Path(job.shown).name).replace(f"{folder}/", "")


class _Work:
    def __init__(self, job: Job, folder: Path, tell: Tell, notes: list[str]) -> None:
        self._job, self._folder, self._tell, self._notes = job, folder, tell, notes
        self._truth = truth_of(job.model) if job.corruption is not None else None
        steps = [job.corruption is not None, job.model != FIX, True, self._truth == "self", True]
        self._stage, self._stages = -1, sum(steps)

    def run(self) -> Outcome:
        job = self._job
        steady, source, truth, alone = self._file(STEADY), job.source, None, None
        part: dict[str, Any] = {"duration": job.seconds}
        clean, clean_part = source, part
        if job.corruption is not None:
            source, part = self._file("corrupted.mp4"), {}
            self._corrupt(source)
        if job.model != FIX:
            alone = self._file("alone.mp4")
            self._model("Frame by frame", source, alone, "none", part)
        self._steady(source, steady, part)
        if self._truth == "self":
            truth, truth_part = self._file("truth.mp4"), dict[str, Any]()
            self._model("The model on the clean video", clean, truth, "none", clean_part)
        elif self._truth == "frames":
            truth, truth_part = clean, clean_part
        else:
            truth_part = {}
        tell = self._next("Comparing")
        with ExitStack() as stack:

            def frames(file: str, **options: Any) -> Iterator[Tensor]:
                return video.upright_tensors(stack.enter_context(video.open_video(file, **options)))

            reader = stack.enter_context(video.open_video(steady))
            preview = stack.enter_context(Preview(self._folder / PREVIEW, reader.info.rate))
            held = list(_sized_alike(frames(steady), frames(source, **part)))
            shown = {_INPUT: held[1]}
            if alone is not None:
                shown[_ALONE] = frames(alone)
            shown[_HELD] = held[0]
            is_new_shot = video.open_cuts("auto")
            found = measure(
                shown,
                lambda pictures: preview.add({label: one for label, one in pictures.items() if label != "truth"}),
                truth=None if truth is None else frames(truth, **truth_part),
                is_new_shot=is_new_shot,
                progress=lambda done: tell(done, reader.info.frames),
            )
        for name in ("corrupted.mp4", "alone.mp4", "truth.mp4"):
            (self._folder / name).unlink(missing_ok=True)
        return self._outcome(found, preview.tile, float(reader.info.rate))

    def _file(self, name: str) -> str:
        return str(self._folder / name)

    def _next(self, what: str) -> Callable[[int, int | None], None]:
        self._stage += 1
        stage = self._stage
        self._tell(Progress(what, stage, self._stages))
        return lambda done, total: self._tell(Progress(what, stage, self._stages, done, total))

    def _corrupt(self, sink: str) -> None:
        job = self._job
        tell = self._next("Corrupting")
        stream = make_corruption(job.corruption or "").start(torch.Generator().manual_seed(0))
        how = video.RunOptions(cuts="off", duration=job.seconds)
        video.run(job.source, sink, stream, how, on_cut=lambda: None, progress=tell)

    def _model(self, what: str, source: str, sink: str, adapter: str, part: dict[str, Any]) -> None:
        job = self._job
        api.run(
            source,
            sink,
            job.model,
            adapter,
            weights=job.weights,
            strength=job.strength,
            device=job.device,
            # Of models that ship here it is known what they give.
            note=None if job.model in zoo.NAMES else self._notes.append,
            progress=self._next(what),
            **part,
        )

    def _steady(self, source: str, sink: str, part: dict[str, Any]) -> None:
        job = self._job
        if job.model != FIX:
            self._model("Held steady", source, sink, job.adapter, part)
            return
        how = video.RunOptions(device=job.device, **part)
        fix(source, sink, job.adapter, strength=job.strength, how=how, progress=self._next("Held steady"))

    def _outcome(self, found: Comparison, tile: tuple[int, int], rate: float) -> Outcome:
        labels = [label for label in found.columns if label != "truth"]
        slices = {label: f"slice-{number}.png" for number, label in enumerate(labels)}
        for label, file in slices.items():
            save_strip(found.columns[label], self._folder / file)
        figures = [name for name in _SHOWN if any(name in found.scores[label] for label in labels)]
        figures = [name for name in figures if name != "instability_rms" or "flicker_error" not in figures]
        return Outcome(
            labels=labels,
            tile=tile,
            rate=rate,
            frames=found.frames,
            figure=found.figure,
            series={label: [_finite(one) for one in values] for label, values in found.series.items()},
            slices=slices,
            head=["", *(FIGURES[name][0] for name in figures)],
            rows=[[label, *(number(name, found.scores[label][name]) for name in figures)] for label in labels],
            against={"frames": "the clean video", "self": "what the model makes of the clean video"}.get(
                self._truth or ""
            ),
        )


def _sized_alike(results: Iterator[Tensor], inputs: Iterator[Tensor]) -> tuple[Iterator[Tensor], Iterator[Tensor]]:
    """Results, and inputs of their size."""
    first = next(results, None)
    if first is None:
        return results, inputs
    size = first.shape[-2:]

    def again() -> Iterator[Tensor]:
        yield first
        yield from results

    def resized() -> Iterator[Tensor]:
        for frame in inputs:
            same = frame.shape[-2:] == size
            yield frame if same else F.interpolate(frame, size=size, mode="bicubic", antialias=True).clamp(0, 1)

    return again(), resized()


def _finite(value: float) -> float | None:
    return round(100 * value, 4) if np.isfinite(value) else None
