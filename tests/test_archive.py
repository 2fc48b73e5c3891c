"""Zips in place of folders: adapters and exports, and what somebody may have put into them."""

import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from cli.helpers import frames_of
from exports.made import make_export
from hostile import HOSTILE, add, damaged, zipped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import holdsteady as hs
from holdsteady.adapters.files import load_adapter
from holdsteady.cli import main
from holdsteady.errors import AdapterError, ExportError, HoldsteadyError
from holdsteady.exports.manifest import is_export, read_manifest
from holdsteady.exports.step import OnnxStep


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    example = torch.rand(1, 3, 16, 16)
    steady = hs.stabilize(torch.nn.Identity(), "motion", example=example, motion_width=4)
    return steady.save(tmp_path_factory.mktemp("adapter"))


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_export(tmp_path_factory.mktemp("export"))


@pytest.mark.parametrize("prefix", ["", "my-adapter/"])
def test_an_adapter_in_a_zip(adapter: Path, tmp_path: Path, prefix: str) -> None:
    path = zipped(adapter, tmp_path / "steady.zip", prefix)
    loaded, state = hs.load_adapter(path), load_adapter(adapter).state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.state_dict().items())
    assert hs.stabilize(torch.nn.Identity(), str(path)).adapter(0).config == loaded.config


def test_an_export_in_a_zip(export: Path, tmp_path: Path) -> None:
    path = zipped(export, tmp_path / "out.zip", "out/")
    assert is_export(path) and is_export(export)
    assert read_manifest(path) == read_manifest(export)
    frame = torch.rand(1, 3, 8, 16).numpy()
    step = OnnxStep(path, threads=1)
    output, _ = step(frame, step.new_state(*frame.shape))
    assert output == pytest.approx(frame)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("harm", HOSTILE)
def test_hostile_zips_are_refused_and_leave_nothing(adapter: Path, export: Path, tmp_path: Path, harm: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    for number, (folder, load, error) in enumerate(
        [(adapter, load_adapter, AdapterError), (export, OnnxStep, ExportError)]
    ):
        path = add(zipped(folder, inside / f"{number}.zip"), harm)
        with pytest.raises(error, match=HOSTILE[harm][1]):
            load(path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["0.zip", "1.zip", "inside"]
    assert not Path("/tmp/evil").exists()


def test_an_encrypted_zip_is_refused(adapter: Path, tmp_path: Path) -> None:
    path = zipped(adapter, tmp_path / "a.zip")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(AdapterError, match="is encrypted"):
        load_adapter(path)


def test_zips_of_something_else_and_files_that_are_none(adapter: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(AdapterError, match=r"'.*a\.zip' is not an adapter: it lacks adapter\.json"):
        load_adapter(path)
    with pytest.raises(ExportError, match=r"the zip holds no holdsteady\.json"):
        OnnxStep(path)
    with pytest.raises(AdapterError, match="not a zip that can be read"):
        load_adapter(adapter / "adapter.json")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_zips_give_the_same_or_an_error_of_ours(adapter: Path, tmp_path: Path, data: st.DataObject) -> None:
    path = zipped(adapter, tmp_path / "a.zip")
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    with suppress(HoldsteadyError):
        assert load_adapter(path).config == load_adapter(adapter).config


def test_the_command_takes_zips(
    adapter: Path, export: Path, tmp_path: Path, carphone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    zips = zipped(adapter, tmp_path / "adapter.zip"), zipped(export, tmp_path / "export.zip")
    for number, words in enumerate([["--model", "denoise", "--adapter", str(zips[0])], ["--model", str(zips[1])]]):
        sink = tmp_path / f"{number}.mkv"
        monkeypatch.setattr(sys, "argv", ["holdsteady", "run", carphone, str(sink), *words, "--duration", "0.2"])
        with suppress(SystemExit):
            main()
        assert len(frames_of(sink)) == 6
