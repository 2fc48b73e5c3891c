"""Files that were mutated: whatever is in them, nothing happens, or an error of this package says what is wrong."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from exports.made import make_export
from hostile import JSON, changed, damaged, places
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import holdsteady as hs
from holdsteady.adapters.config import KINDS, AdapterConfig
from holdsteady.errors import HoldsteadyError
from holdsteady.exports.step import OnnxStep
from holdsteady.host.resolve import SHIPPED
from holdsteady.host.state_files import load_state, save_state
from holdsteady.jobs.manifest import Entry, Manifest, read_entries
from holdsteady.models.card import ModelCard, make_card, read_card
from holdsteady.training.checkpoint import load_checkpoint, save_checkpoint
from holdsteady.training.recipe import make_recipe, read_recipe
from holdsteady.video.cuts import open_cuts

FRAME = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(0))
RECIPE = yaml.safe_load((SHIPPED["denoise-clean"] / "recipe.yaml").read_text())
fuzzed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small adapters of kinds that differ most, saved."""
    small: dict[str, dict[str, Any]] = {
        "motion": {"motion_width": 4},
        "spatial": {"backbone_width": 4, "head_width": 4, "backbone_layers": 0, "head_layers": 0},
        "universal": {"universal_width": 4},
        "output-gaussian": {},
    }
    folder = tmp_path_factory.mktemp("kinds")
    return {
        kind: hs.stabilize(nn.Identity(), kind, example=FRAME, **more).save(folder / kind)
        for kind, more in small.items()
    }


def use_adapter(folder: Path) -> None:
    steady = hs.stabilize(nn.Identity(), folder)
    steady(FRAME)
    assert steady(FRAME).shape == FRAME.shape


def use_export(folder: Path) -> None:
    step = OnnxStep(folder, threads=1)
    frame = FRAME.numpy()
    step(frame, step.new_state(*frame.shape))


def copied(folder: Path, to: Path) -> Path:
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


@pytest.mark.filterwarnings("ignore")
@fuzzed
@given(data=st.data())
def test_any_other_value_in_an_adapter(kinds: dict[str, Path], tmp_path: Path, data: st.DataObject) -> None:
    folder = copied(kinds[data.draw(st.sampled_from(sorted(kinds)))], tmp_path)
    content = json.loads((folder / "adapter.json").read_text())
    content = changed(content, data.draw(st.sampled_from(list(places(content)))), data.draw(JSON))
    (folder / "adapter.json").write_text(json.dumps(content))
    with suppress(HoldsteadyError):
        use_adapter(folder)


@pytest.mark.filterwarnings("ignore")
@fuzzed
@given(data=st.data())
def test_damaged_files_of_an_adapter(kinds: dict[str, Path], tmp_path: Path, data: st.DataObject) -> None:
    folder = copied(kinds[data.draw(st.sampled_from(sorted(kinds)))], tmp_path)
    path = folder / data.draw(st.sampled_from(["adapter.json", "adapter.safetensors"]))
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    with suppress(HoldsteadyError):
        use_adapter(folder)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"format": ' + "9" * 5000 + "}", '{"a": "\\ud800"}', "\x00"])
def test_json_that_parsers_stumble_over(kinds: dict[str, Path], tmp_path: Path, content: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    adapter, export = copied(kinds["motion"], tmp_path / "a"), make_export(tmp_path / "b")
    (adapter / "adapter.json").write_text(content)
    (export / "holdsteady.json").write_text(content)
    for use, folder in ((use_adapter, adapter), (use_export, export)):
        with pytest.raises(HoldsteadyError):
            use(folder)


def test_an_adapter_that_asks_for_more_memory_than_its_weights_fill(kinds: dict[str, Path], tmp_path: Path) -> None:
    content = json.loads((kinds["universal"] / "adapter.json").read_text())
    copied(kinds["universal"], tmp_path)
    content["config"]["universal_width"] = 4096  # a gigabyte
    (tmp_path / "adapter.json").write_text(json.dumps(content))
    with pytest.raises(HoldsteadyError, match="does not hold the weights"):
        use_adapter(tmp_path)
    content["config"]["universal_width"] = 10**9
    (tmp_path / "adapter.json").write_text(json.dumps(content))
    with pytest.raises(HoldsteadyError, match="universal_width"):
        use_adapter(tmp_path)


@fuzzed
@given(kind=st.sampled_from(KINDS), name=st.sampled_from(sorted(AdapterConfig.model_fields)), value=JSON)
def test_any_setting_of_any_kind(kind: str, name: str, value: Any) -> None:
    with suppress(HoldsteadyError):
        hs.make_config(kind, **{name: value} if name != "kind" else {})
        hs.make_config(value if name == "kind" else kind)


@fuzzed
@given(name=st.sampled_from(sorted(ModelCard.model_fields)), value=JSON)
def test_any_field_of_a_card(name: str, value: Any) -> None:
    for use in (lambda: make_card(**{name: value}), lambda: read_card(json.dumps({name: value}))):
        with suppress(HoldsteadyError):
            use()


@pytest.mark.filterwarnings("ignore")
@fuzzed
@given(data=st.data())
def test_any_other_value_in_a_recipe(data: st.DataObject) -> None:
    content = changed(RECIPE, data.draw(st.sampled_from(list(places(RECIPE)))), data.draw(JSON))
    with suppress(HoldsteadyError):
        make_recipe(content, files=False)


def _recipe(path: Path) -> None:
    path.write_text(yaml.safe_dump(RECIPE))


def _manifest(path: Path) -> None:
    entry = Entry(source="a.mp4", source_digest="1", key="2", status="done", frames=3)
    Manifest(version="1", model="m", adapter="a", options={}, files={"a.mp4": entry}).save(path.parent)


def _state(path: Path) -> None:
    save_state(hs.stabilize(nn.Identity(), "output-fixed").step(FRAME)[1], path, {"note": "text"})


def _checkpoint(path: Path) -> None:
    save_checkpoint(path.parent, {"recipe": "", "weights": {"a": torch.zeros(3)}})


#: What writes a file of a name, and what reads it.
FILES: dict[str, tuple[str, Callable[[Path], None], Callable[[Path], object]]] = {
    "recipe": ("recipe.yaml", _recipe, lambda path: read_recipe(path, files=False)),
    "batch": ("manifest.json", _manifest, lambda path: read_entries(path.parent)),
    "state": ("state.safetensors", _state, load_state),
    "checkpoint": ("checkpoint.pt", _checkpoint, lambda path: load_checkpoint(path.parent, "")),
    "cuts": ("cuts.txt", lambda path: path.write_bytes(b"3\n17\n") and None, lambda path: open_cuts(str(path))),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
@fuzzed
@given(data=st.data())
def test_damaged_files(name: str, tmp_path: Path, data: st.DataObject) -> None:
    file, write, read = FILES[name]
    path = tmp_path / file
    write(path)
    read(path)
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    with suppress(HoldsteadyError):
        read(path)
