"""Adapters on disk: what is kept, and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from holdsteady.adapters.adapter import Adapter, Point
from holdsteady.adapters.config import KINDS, make_config
from holdsteady.adapters.files import CONFIG_NAME, WEIGHTS_NAME, load_adapter, save_adapter
from holdsteady.adapters.layout import Layout
from holdsteady.errors import AdapterError

SMALL = {"backbone_width": 4, "backbone_layers": 1, "head_width": 4, "vector_width": 4}


def adapter_of(kind: str) -> Adapter:
    if kind.startswith(("output", "motion")):
        points = [Point("output", "", (3, 8, 9), Layout("map"))]
    else:
        points = [
            Point("body.0", "Conv2d", (5, 8, 9), Layout("map"), "abc"),
            Point("body.1", "Block", (17, 6), Layout("tokens", prefix=1, grid=(4, 4)), "def"),
            Point("update", "Block", (8, 9, 2), Layout("channels-last"), "ghi"),
            Point("values", "Linear", (7,), Layout("vector")),
            Point("output", "", (8, 9), Layout("depth")),
        ]
    config = make_config(kind, **(SMALL if kind in ("controlled", "spatial") else {}))
    return Adapter(config, points, 3, {"class": "a.B", "parameters": "123"}, {"trained on": "nothing"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_adapter(adapter_of("spatial"), tmp_path / "an" / "adapter")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_loaded(kind: str, tmp_path: Path) -> None:
    adapter = adapter_of(kind)
    loaded = load_adapter(save_adapter(adapter, tmp_path / "a"))
    for name in ("config", "points", "frame_channels", "base", "provenance"):
        assert getattr(loaded, name) == getattr(adapter, name)
    state = adapter.state_dict()
    assert loaded.state_dict().keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.state_dict().items())
    assert not loaded.training


def test_saving_again_replaces_and_leaves_nothing_else(folder: Path) -> None:
    changed = adapter_of("simple-learned")
    save_adapter(changed, folder)
    assert load_adapter(folder).config.kind == "simple-learned"
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG_NAME, WEIGHTS_NAME]


def edit(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / CONFIG_NAME).read_text())
    (folder / CONFIG_NAME).write_text(json.dumps({**content, **changes}))


def rejects(folder: Path, message: str) -> None:
    with pytest.raises(AdapterError, match=message):
        load_adapter(folder)


def test_a_missing_folder(tmp_path: Path) -> None:
    rejects(tmp_path / "none", r"no adapter folder '.*none'")


def test_a_config_of_an_editor_that_marks_its_encoding(folder: Path) -> None:
    (folder / CONFIG_NAME).write_text((folder / CONFIG_NAME).read_text(), encoding="utf-8-sig")
    assert load_adapter(folder) is not None


@pytest.mark.parametrize("name", [CONFIG_NAME, WEIGHTS_NAME])
def test_a_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    rejects(folder, f"is not an adapter: it lacks {name}")


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"format": 1}', "\udcff"])
def test_damaged_json(folder: Path, content: str) -> None:
    (folder / CONFIG_NAME).write_bytes(content.encode(errors="surrogateescape"))
    rejects(folder, f"{CONFIG_NAME} is damaged")


def test_an_unknown_format(folder: Path) -> None:
    edit(folder, format=2)
    rejects(folder, r"has format 2; this version reads 1: pip install -U holdsteady")


def test_a_newer_format_is_told_even_when_its_keys_are_unknown(folder: Path) -> None:
    (folder / CONFIG_NAME).write_text('{"format": 7, "what": "ever"}')
    rejects(folder, "has format 7")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": {"kind": "spacial"}}, "damaged: .*kind"),
        ({"config": {"kind": "spatial", "kernel": 2}}, "damaged: .*2 is even"),
        ({"points": [{"name": 3}]}, "damaged: .*points"),
        ({"extra": 1}, "damaged: .*extra"),
        ({"frame_channels": "many"}, "damaged: .*frame_channels"),
    ],
)
def test_a_damaged_setting(folder: Path, changes: dict[str, Any], message: str) -> None:
    edit(folder, **changes)
    rejects(folder, message)


def test_weights_that_do_not_fit(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS_NAME)
    name = "cells.body/0.head.logits.bias"
    save_file({**weights, name: torch.zeros(7)}, folder / WEIGHTS_NAME)
    rejects(folder, rf"does not hold the weights of {CONFIG_NAME}: .*{name}")
    save_file({key: tensor for key, tensor in weights.items() if key != name}, folder / WEIGHTS_NAME)
    rejects(folder, rf"does not hold the weights.*{name}")


@pytest.mark.parametrize("content", [b"", b"not tensors at all"])
def test_damaged_weights(folder: Path, content: bytes) -> None:
    (folder / WEIGHTS_NAME).write_bytes(content)
    rejects(folder, "does not hold the weights")


def test_cut_off_weights(folder: Path) -> None:
    whole = (folder / WEIGHTS_NAME).read_bytes()
    (folder / WEIGHTS_NAME).write_bytes(whole[: len(whole) // 2])
    rejects(folder, "does not hold the weights")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AdapterError, match=r"can't write an adapter to '.*file'"):
        save_adapter(adapter_of("simple-fixed"), tmp_path / "file")
    shutil.rmtree(tmp_path)
