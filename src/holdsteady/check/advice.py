"""What to do about what was found."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from holdsteady.check.figures import SEEN_DETAIL, SEEN_LIGHT, Figures

#: Below this score a video is left alone.
STEADY = 1.0


@dataclass(frozen=True)
class Advice:
    """What to do.

    Attributes:
        command: a command line; None to leave the video as it is.
        why: in a sentence.
        instead: another command line, for those who have the model that made the video; or None.
    """

    command: str | None
    why: str
    instead: str | None = None


def advise(found: Figures, video: str, original: str | None = None) -> Advice:
    """What to do about a video.

    Args:
        found: its figures.
        video: its name.
        original: the name of the video before it was processed, if the figures are beside it.
    """
    source = None if original is None else max(_or_0(found.source_wide) / SEEN_LIGHT, found_detail(found))
    added = max(found.wide / SEEN_LIGHT, found.detail / SEEN_DETAIL)
    if found.missed > 0.5:
        return Advice(None, "in most frames no motion could be followed; nothing can be said")
    if added < STEADY:
        if original is not None and source is not None and source >= STEADY:
            return Advice(_fix(original), "what flickers was in the original; steady that first, then process it again")
        if (found.lost or 0.0) >= SEEN_DETAIL:
            return Advice(None, "steady, but softer than the original; no adapter brings detail back")
        return Advice(None, "steady; leave it")
    light = found.wide / SEEN_LIGHT > found.detail / SEEN_DETAIL
    mostly = "the light flickers" if light else "the detail flickers"
    more = ("--deflicker",) if light else ()
    if original is None:
        return Advice(_fix(video), f"{mostly} more than is just noticeable")
    run = _line("run", original, _result(video), "--model", "MODEL", *more)
    return Advice(_fix(video, original, *more), f"{mostly} more than in the original", instead=run)


def found_detail(found: Figures) -> float:
    """The original's flicker of detail in units of what is just noticeable."""
    return _or_0(found.source_detail) / SEEN_DETAIL


def _or_0(value: float | None) -> float:
    return value or 0.0


def _fix(video: str, original: str | None = None, *more: str) -> str:
    following = () if original is None else ("--original", original)
    return _line("fix", video, _result(video), *following, *more)


def _line(*words: str) -> str:
    return shlex.join(["holdsteady", *words])


def _result(video: str) -> str:
    path = Path(video)
    suffix = path.suffix if path.suffix.lower() in (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi") else ".mp4"
    return f"{path.stem if video not in ('', '-') else 'video'}-steady{suffix}"
