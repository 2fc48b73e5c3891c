"""holdsteady.json is checked before anything is run: whatever is in it, the error is one of ours."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exports.made import make_export
from hostile import JSON, places
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdsteady.errors import ExportError
from holdsteady.exports.manifest import extent, read_extent, read_manifest
from holdsteady.exports.step import OnnxStep

FRAME = np.full((1, 3, 8, 16), 0.25, np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_export(tmp_path_factory.mktemp("made"))


def run(folder: Path) -> None:
    step = OnnxStep(folder, threads=1)
    output, state = step(FRAME, step.new_state(*FRAME.shape))
    assert output.shape == FRAME.shape and set(state) == {entry.name for entry in step.manifest.state}


def changed(made: Path, folder: Path, path: tuple[Any, ...], value: Any) -> Path:
    """A copy of an export with another value at a place of its manifest."""
    content = json.loads((made / "holdsteady.json").read_text())
    target = content
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    (folder / "step.onnx").write_bytes((made / "step.onnx").read_bytes())
    (folder / "holdsteady.json").write_text(json.dumps(content))
    return folder


def test_it_runs(made: Path) -> None:
    run(made)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_other_value_anywhere_is_harmless_or_an_export_error(
    made: Path, tmp_path: Path, data: st.DataObject
) -> None:
    content = json.loads((made / "holdsteady.json").read_text())
    path = data.draw(st.sampled_from(list(places(content))))
    folder = changed(made, tmp_path, path, data.draw(JSON))
    try:
        run(folder)
    except ExportError as error:
        assert "holdsteady.json" in str(error) or "export" in str(error)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_files_that_are_cut_short_or_changed_are_refused(made: Path, tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["step.onnx", "holdsteady.json"]))
    for file in ("step.onnx", "holdsteady.json"):
        (tmp_path / file).write_bytes((made / file).read_bytes())
    content = bytearray((made / name).read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 2))]  # the last byte may be the end of a line
    else:
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
    (tmp_path / name).write_bytes(content)
    if name == "step.onnx":
        with pytest.raises(ExportError, match="damaged"):
            run(tmp_path)
        return
    with suppress(ExportError):  # a changed word may mean as much as before
        run(tmp_path)


@pytest.mark.parametrize("file", ["../step.onnx", "/etc/passwd", "a/b.onnx", "..", "", "c:\\x.onnx", "a\0b"])
def test_files_stay_in_the_folder(made: Path, tmp_path: Path, file: str) -> None:
    folder = changed(made, tmp_path, ("parts", 0, "file"), file)
    with pytest.raises(ExportError, match="has to be the name of a file beside"):
        read_manifest(folder)


def test_a_file_of_another_export_is_refused(made: Path, tmp_path: Path) -> None:
    folder = changed(made, tmp_path, ("parts", 0, "sha256"), "0" * 64)
    with pytest.raises(ExportError, match="belongs to another export"):
        OnnxStep(folder)


def test_a_newer_format_says_what_to_do(made: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"has format 2; this version reads 1: pip install -U holdsteady"):
        read_manifest(changed(made, tmp_path, ("format",), 2))


def test_what_no_part_gives_is_named(made: Path, tmp_path: Path) -> None:
    folder = changed(made, tmp_path, ("parts", 0, "inputs"), ["frame", "memory", "flow"])
    with pytest.raises(ExportError, match=r"nothing gives flow, which step\.onnx takes"):
        read_manifest(folder)


def test_the_files_decide_what_they_take(made: Path, tmp_path: Path) -> None:
    folder = changed(made, tmp_path, ("state", 0, "shape"), ["batch", 3, "height*99", "width"])
    with pytest.raises(ExportError, match="do not agree about memory"):
        OnnxStep(folder)


@given(size=st.integers(1, 4000), frame=st.integers(1, 4000))
def test_extents_are_read_as_they_were_written(size: int, frame: int) -> None:
    text = extent(size, frame, "height")
    if text is not None:
        name, times, over = read_extent(text)
        assert name == "height" and frame * times == size * over


def test_frames_of_other_shapes_are_refused(made: Path) -> None:
    step = OnnxStep(made)
    with pytest.raises(ExportError, match=r"multiples of 8 and 8; this one has shape \(1, 3, 8, 9\)"):
        step.new_state(1, 3, 8, 9)
    with pytest.raises(ExportError, match="the state lacks"):
        step(FRAME, {})
