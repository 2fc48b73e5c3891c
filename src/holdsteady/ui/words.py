"""What the page says, as HTML."""

import json
from html import escape

from holdsteady.ui.desk import Failed, Update, Visit, Waiting
from holdsteady.ui.job import Job
from holdsteady.ui.limits import FORMATS_IN_WORDS, Limits
from holdsteady.ui.look import Clip
from holdsteady.ui.work import PREVIEW, STEADY, Outcome, Progress

_MARK = (
    '<svg viewBox="0 0 32 32" fill="none" stroke="var(--hs-accent)" stroke-width="2.6" stroke-linecap="round" '
    'aria-hidden="true"><path d="M3 16c2-8 4-8 6 0s4 8 6 0 3-5 5-2.5h9" stroke-linejoin="round"/></svg>'
)
_FIGURES = {
    "flicker_error": "Change from frame to frame that the truth does not have, ×100; lower is steadier.",
    "instability_rms": "Change from frame to frame, true motion included, ×100; lower is steadier.",
}


def head() -> str:
    """The top of the page."""
    return (
        f'<header class="hs-head"><h1>{_MARK}holdsteady</h1>'
        "<p>A frame-wise model on your video, frame by frame and held steady.</p></header>"
    )


def limits_in_words(limits: Limits) -> str:
    """What may be dropped."""
    return (
        f'<p class="hs-title">Video</p><p class="hs-hint">{FORMATS_IN_WORDS}, up to {limits.megabytes:g} MB. Of longer '
        f"ones the first {limits.seconds:g} s are used. Files are removed when you close the page.</p>"
    )


def samples_in_words() -> str:
    """Above the samples."""
    return '<p class="hs-hint">Or a sample, with settings that suit it:</p>'


def nothing_yet() -> str:
    """In place of a result."""
    return (
        f'<div class="hs-card hs-empty">{_MARK}<h2>Drop a video, or take a sample</h2>'
        "<p>You see the input, the model frame by frame, and the same model held steady, in step; and what it takes "
        "to do the same on the command line.</p></div>"
    )


def clip_in_words(clip: Clip, limits: Limits) -> str:
    """The chosen file."""
    facts = f"{clip.width}×{clip.height}, {clip.rate:.4g} frames/s"
    length = "length unknown" if clip.seconds is None else f"{clip.seconds:.1f} s"
    if limits.part(clip.seconds) is not None:
        length += f", first {limits.seconds:g} s used"
    return (
        f'<div class="hs-clip"><img src="{clip.poster}" alt=""><div><strong title="{escape(clip.name)}">'
        f"{escape(clip.name)}</strong><span>{facts}</span><span>{length}</span></div></div>"
    )


def error_in_words(text: str) -> str:
    """What was wrong."""
    return f'<div class="hs-error" role="alert">{escape(text)}</div>'


def update_in_words(update: Update) -> str:
    """How a job is getting on."""
    if isinstance(update, Failed):
        return error_in_words(update.why) if update.why else _bar("Cancelled. Its files are removed.", "", None)
    if isinstance(update, Waiting):
        others = "one other" if update.ahead == 1 else f"{update.ahead} others"
        return _bar(f"Number {update.ahead + 1} in line, after {others}", "It begins by itself", 0)
    if isinstance(update, Progress):
        count = f"{update.done} of {update.total} frames" if update.total else f"{update.done} frames"
        where = f"step {update.stage + 1} of {update.stages}"
        return _bar(update.what, f"{count} · {where}" if update.done else where, update.share)
    return ""


def _bar(left: str, right: str, share: float | None) -> str:
    bar = "" if share is None else f'<div><i style="width:{100 * share:.1f}%"></i></div>'
    return (
        f'<div class="hs-card hs-progress" role="status"><p>{escape(left)}<span>{escape(right)}</span></p>{bar}</div>'
    )


def result_in_words(job: Job, visit: Visit, outcome: Outcome) -> str:
    """The player, the figures, the command and the download."""
    address = f"media/{visit.folder}"
    facts = {
        "video": f"{address}/{PREVIEW}",
        "labels": outcome.labels,
        "tile": outcome.tile,
        "rate": outcome.rate,
        "frames": outcome.frames,
        "figure": _FIGURES[outcome.figure],
        "series": outcome.series,
        "slices": {label: f"{address}/{file}" for label, file in outcome.slices.items()},
    }
    about = f"{outcome.frames} frames, {_settings(job)}"
    return (
        '<div class="hs-card"><div class="hs-done"><div><h2>Result</h2>'
        f"<p>{escape(about)}</p></div>"
        f'<a class="hs-download" href="{address}/{STEADY}" download="{escape(job.download)}">Download</a></div>'
        f'<hs-player data="{escape(json.dumps(facts))}"></hs-player></div>'
        f'<div class="hs-two"><div class="hs-card"><h3>In figures</h3>{_table(outcome)}</div>'
        f'<div class="hs-card"><h3>The same on the command line</h3>{_commands(job)}</div></div>'
    )


def _settings(job: Job) -> str:
    parts = [job.model, f"{job.adapter} at strength {job.strength:g}"]
    return ", ".join([*parts, *([f"after {job.corruption}"] if job.corruption else [])])


def _table(outcome: Outcome) -> str:
    cells = "".join(f"<th>{escape(one)}</th>" for one in outcome.head)
    rows = "".join("<tr>" + "".join(f"<td>{escape(one)}</td>" for one in row) + "</tr>" for row in outcome.rows)
    notes = [f"Measured against {outcome.against}." if outcome.against else _FIGURES[outcome.figure], *outcome.notes]
    said = "".join(f'<p class="hs-note">{escape(note)}</p>' for note in notes)
    return f'<table class="hs-table"><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>{said}'


def _commands(job: Job) -> str:
    return f"<hs-copy><pre><code>{escape(chr(10).join(job.commands()))}</code></pre></hs-copy>"
