"""Videos compared: scores, a side-by-side video, a time slice and a flicker plot, in one folder."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from holdsteady.errors import VideoError
from holdsteady.folders import write_whole
from holdsteady.metrics import VideoScores
from holdsteady.report.pictures import Picture, save_flicker_plot, save_time_slice, side_by_side
from holdsteady.report.table import markdown_table
from holdsteady.video import RunOptions, VideoFrame, VideoInfo, Writer, open_writer

# A picture of more columns than this shows nothing more.
_SLICE_FRAMES = 1500
#: What is written to the folder of a comparison.
FILES = ("side-by-side.mp4", "flicker.png", "time-slice.png", "scores.json", "scores.md")


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
        scores: for each video the means of :class:`VideoScores`; with truth, also a row ``truth``.
        frames: how many frames were compared.
        longer: the videos that are longer than what was compared.
        figure: the one of ``series``: ``flicker_error``, or without truth ``instability_rms``.
        series: that figure of each video but the truth, frame by frame; NaN where it was not measured.
        columns: of each video the middle columns (H, 3) of its frames, for a time slice.
    """

    scores: dict[str, dict[str, float]]
    frames: int
    longer: tuple[str, ...]
    figure: str
    series: dict[str, list[float]]
    columns: dict[str, list[Picture]]


def compare(
    videos: Mapping[str, Iterable[Tensor]],
    folder: Path,
    info: VideoInfo,
    *,
    truth: Iterable[Tensor] | None = None,
    is_new_shot: Callable[[int, Picture], bool] = lambda _number, _picture: False,
    extra: Mapping[str, Mapping[str, float]] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    """Compare videos frame by frame, to the end of the shortest, in constant memory.

    Writes ``side-by-side.mp4``, ``time-slice.png``, ``flicker.png``, ``scores.json`` and ``scores.md``.

    Args:
        videos, truth, is_new_shot, progress: see :func:`measure`.
        folder: an existing folder to write to.
        info: of the video that the rate and the times are taken from.
        extra: more columns for the table, as ``{"base": {"ms_per_frame": 12.3}}``.

    Raises:
        VideoError: the videos differ in size, or have no frames.
    """
    times = even_times(info)
    with ExitStack() as stack:
        writer: Writer | None = None

        def show(pictures: Mapping[str, Picture]) -> None:
            nonlocal writer
            picture = side_by_side(pictures)
            if writer is None:
                writer = stack.enter_context(_whole(_open_side_by_side(folder, info, picture)))
            writer.write(VideoFrame(picture, next(times), info.time_base))

        found = measure(videos, show, truth=truth, is_new_shot=is_new_shot, progress=progress)
    scores = {label: {**figures, **(extra or {}).get(label, {})} for label, figures in found.scores.items()}
    found = replace(found, scores=scores)
    _save(folder, found)
    return found


def measure(
    videos: Mapping[str, Iterable[Tensor]],
    show: Callable[[Mapping[str, Picture]], None],
    *,
    truth: Iterable[Tensor] | None = None,
    is_new_shot: Callable[[int, Picture], bool] = lambda _number, _picture: False,
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    """Measure videos frame by frame, to the end of the shortest.

    Args:
        videos: frames (1, 3, H, W) in [0, 1] for each label, all of one size.
        show: gets the pictures of each frame by label, the truth's last.
        truth: the frames as they should be, if they are known.
        is_new_shot: called with the number and the image of each frame of the first video; whether a shot begins there.
        progress: called with the number of frames done.

    Raises:
        VideoError: the videos differ in size, or have no frames.
    """
    streams = dict(videos) if truth is None else {**videos, "truth": truth}
    scorers = {label: VideoScores() for label in streams}
    columns: dict[str, list[Picture]] = {label: [] for label in streams}
    iterators = {label: iter(frames) for label, frames in streams.items()}
    frames = 0
    while True:
        current = {label: next(frames_of, None) for label, frames_of in iterators.items()}
        if any(frame is None for frame in current.values()):
            break
        pictures = {label: frame for label, frame in current.items() if frame is not None}
        _check_sizes(pictures)
        shown = {label: to_picture(frame) for label, frame in pictures.items()}
        new_shot = is_new_shot(frames, next(iter(shown.values())))
        for label, frame in pictures.items():
            if new_shot:
                scorers[label].cut()
            scorers[label].update(frame, None if label == "truth" else pictures.get("truth"))
        if frames < _SLICE_FRAMES:
            for label, one in shown.items():
                columns[label].append(one[:, one.shape[1] // 2])
        show(shown)
        frames += 1
        if progress is not None:
            progress(frames)
    if not frames:
        empty = [label for label, frame in current.items() if frame is None]
        raise VideoError(f"nothing to compare: {', '.join(empty)} has no frames")
    figure = "flicker_error" if truth is not None else "instability_rms"
    return Comparison(
        scores={label: scorer.compute() for label, scorer in scorers.items()},
        frames=frames,
        longer=tuple(label for label, frame in current.items() if frame is not None),
        figure=figure,
        series={label: one.per_frame().get(figure, []) for label, one in scorers.items() if label != "truth"},
        columns=columns,
    )


def to_picture(frame: Tensor) -> Picture:
    """A frame (1, 3, H, W) in [0, 1] as RGB (H, W, 3) in eight bits."""
    rounded: npt.NDArray[np.uint8] = (frame[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return rounded


def _check_sizes(pictures: Mapping[str, Tensor]) -> None:
    sizes = {label: f"{frame.shape[-1]}×{frame.shape[-2]}" for label, frame in pictures.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{label} {size}" for label, size in sizes.items())
        raise VideoError(f"videos of different sizes can't be compared: {listed}; scale them first")


def even_times(info: VideoInfo) -> Iterator[int]:
    """Evenly spaced times in the units of ``info``: what is compared may have lost its own."""
    return (round(number / (info.rate * info.time_base)) for number in itertools.count())


def _open_side_by_side(folder: Path, info: VideoInfo, picture: Picture) -> Writer:
    # The labels have to be read: the pixels are square and upright whatever those of the videos were.
    plain = replace(info, pixel_aspect=Fraction(1), rotation=0, display_matrix=None, bits=8)
    height, width = picture.shape[:2]
    return open_writer(str(folder / "side-by-side.mp4"), plain, RunOptions(overwrite=True), width=width, height=height)


@contextmanager
def _whole(writer: Writer) -> Iterator[Writer]:
    """Inside, a video is written; half of one is not kept, also after Ctrl-C: the scores would not be of it."""
    try:
        yield writer
    except BaseException:
        writer.discard()
        raise
    writer.finish()


def _save(folder: Path, found: Comparison) -> None:
    save_flicker_plot(found.series, found.figure.replace("_", " "), folder / "flicker.png")
    save_time_slice(found.columns, folder / "time-slice.png")
    write_whole(folder / "scores.json", json.dumps(found.scores, indent=2) + "\n")
    write_whole(folder / "scores.md", markdown_table(found.scores))
