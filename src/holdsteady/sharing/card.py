"""The page of a repository: what it is, how to use it, and what is known of how it was made."""

import json
import re
from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from holdsteady.adapters.adapter import Adapter
from holdsteady.errors import HoldsteadyError
from holdsteady.exports.manifest import Manifest
from holdsteady.models.card import read_card

#: What a training leaves beside its adapter and the page tells of.
RECORDS = ("metrics.json", "recipe.yaml", "data.json")
PICTURE = "picture.png"

_TASKS = {"image": "image-to-image", "depth": "depth-estimation", "classes": "image-segmentation"}
_FIGURES = {
    "psnr": ("PSNR dB ↑", 1),
    "flicker_error": ("flicker error ×100 ↓", 100),
    "instability_rms": ("RMS of changes ×100 ↓", 100),
}


def adapter_card(
    adapter: Adapter, records: dict[str, bytes], repository: str, license: str | None, *, has_picture: bool
) -> str:
    """The page of an adapter.

    Args:
        adapter: the Adapter.
        records: contents of the files of its training, by their names in ``RECORDS``.
        repository: ``"owner/name"``.
        license: as the hub has it; None says nothing.
        has_picture: whether ``PICTURE`` lies beside it.
    """
    points = ", ".join(f"`{point.name}`" for point in adapter.points)
    count = sum(parameter.numel() for parameter in adapter.parameters())
    base = adapter.base.get("class")
    parts = [
        _head(license, ["video", "temporal-consistency", adapter.config.kind]),
        f"# {repository}",
        f"An adapter for [holdsteady](https://arxiv.org/abs/2512.03014): of kind `{adapter.config.kind}`, at {points}, "
        f"with {count} parameters{f', for a base of class `{base}`' if base else ''}. It holds a frame-wise image "
        "model steady over a video.",
        f'```python\nimport holdsteady as hs\n\nsteady = hs.stabilize(model, "{repository}")\n'
        "for frame in frames:\n    output = steady(frame)\n```",
        *_picture(has_picture, "frame by frame and with the adapter"),
        *_figures(records.get("metrics.json"), _kind(adapter)),
        *_section("Data", _data(records.get("data.json"))),
        *_section("Provenance", [f"{topic}: {text}" for topic, text in adapter.provenance.items()]),
        *_recipe(records.get("recipe.yaml")),
        *_section("Licence", [license] if license else []),
    ]
    return "\n\n".join(parts) + "\n"


def export_card(manifest: Manifest, repository: str, license: str | None, *, has_picture: bool) -> str:
    """The page of an export; arguments as of :func:`adapter_card`."""
    kinds = " + ".join(str(adapter.get("kind", "?")) for adapter in manifest.adapters) or "no adapter"
    facts = [
        f"frames {_shape(manifest.frame.shape)}, RGB in [0, 1], sides divisible by "
        f"{manifest.multiple[0]} and {manifest.multiple[1]}",
        f"output: {manifest.kind}, {_shape(manifest.output.shape)}",
        f"tensors of state: {len(manifest.state)}",
        f"optical flow: {'searched by the host' if manifest.flows else 'none to be searched outside'}",
        f"adapter: {kinds}, strength {manifest.strength:g}",
        f"files: {', '.join(part.file for part in manifest.parts)}",
    ]
    parts = [
        _head(license, ["video", "temporal-consistency", manifest.runtime], _TASKS.get(manifest.kind)),
        f"# {repository}",
        "A frame-wise image model with an adapter that holds it steady over a video, as `step(frame, state) → (output, "
        "state)`, exported by [holdsteady](https://arxiv.org/abs/2512.03014).",
        f'```python\nimport holdsteady as hs\n\nhs.run("in.mp4", "out.mp4", hs.from_pretrained("{repository}"))\n```',
        *_picture(has_picture, "the input and the export"),
        *_section("What goes in and comes out", facts),
        *_section("Licence", [license] if license else []),
    ]
    return "\n\n".join(parts) + "\n"


def _head(license: str | None, tags: Sequence[str], task: str | None = None) -> str:
    """What the hub sorts by."""
    lines = ["library_name: holdsteady", *([f"license: {json.dumps(license)}"] if license else [])]
    lines += [f"pipeline_tag: {task}"] if task else []
    return "\n".join(["---", *lines, "tags:", *(f"- {tag}" for tag in tags), "---"])


def _picture(has_picture: bool, of: str) -> list[str]:
    if not has_picture:
        return []
    words = "One column of each frame of a noisy clip, side by side over time: flicker shows as vertical stripes."
    return [f"![Time slices of a clip, {of}]({PICTURE})", f"*{words}*"]


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "\n".join(f"* {line}" for line in lines)] if lines else []


def _figures(content: bytes | None, kind: str | None) -> list[str]:
    found = _json(content)
    stages = {"at the start": found.get("before"), "at the end": found.get("after")}
    rows = {name: figures for name, figures in stages.items() if isinstance(figures, dict)}
    used = [
        name
        for name in _FIGURES
        if rows and all(isinstance(row.get(name), float) for row in rows.values())
        if name != "psnr" or kind in (None, "image")
    ]
    if not used:
        return []
    lines = ["| | " + " | ".join(_FIGURES[name][0] for name in used) + " |", "| --- |" + " ---: |" * len(used)]
    for label, figures in rows.items():
        cells = (f"{figures[name] * _FIGURES[name][1]:.2f}" for name in used)
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    took = f"{found['steps']} steps, {found['minutes']:.1f} minutes: " if {"steps", "minutes"} <= found.keys() else ""
    return ["## Figures", f"{took}validation of the training.", "\n".join(lines)]


def _data(content: bytes | None) -> list[str]:
    found, lines = _json(content), []
    for use in ("training", "validation"):
        sources = found.get(use)
        for source in sources if isinstance(sources, list) else []:
            if not isinstance(source, dict):
                continue
            names = ", ".join(without_folder(str(file)) for file in source.get("files") or ())
            lines.append(f"{use}: {source.get('kind', 'files')}, {source.get('frames', '?')} frames of {names}")
    return lines


def _recipe(content: bytes | None) -> list[str]:
    """The recipe, with the names of files alone: where they lay says nothing to others."""
    if content is None:
        return []
    lines = re.sub(
        r"(?m)^(\s*(?:- )?(?:\w+: )?)(.*)$",
        lambda found: (
            found[1] + without_folder(found[2].strip("'\" ")) if "/" in found[2] or "\\" in found[2] else found[0]
        ),
        content.decode(errors="replace"),
    )
    return ["## Recipe", f"```yaml\n{lines.replace('```', '').strip()}\n```"]


def without_folder(text: str) -> str:
    """A path's last part; other texts, and names on a hub, as they are."""
    is_path = ("/" in text or "\\" in text) and not text.startswith(("hf:", "smp:", "timm:"))
    return PureWindowsPath(PurePosixPath(text).name).name if is_path else text


def _json(content: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _kind(adapter: Adapter) -> str | None:
    try:
        return read_card(adapter.base["card"]).kind if "card" in adapter.base else None
    except HoldsteadyError:
        return None


def _shape(axes: Sequence[int | str]) -> str:
    return f"({', '.join(map(str, axes))})"
