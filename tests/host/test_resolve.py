"""What people call an adapter: one way for all, in Python as in commands."""

from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch

import holdsteady as hs
from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.config import AdapterConfig, make_config
from holdsteady.errors import AdapterError, ConfigError
from holdsteady.host.resolve import SHIPPED, deflickering, load_adapter, resolve, resolve_ready

FRAMES = list(torch.rand(3, 1, 3, 32, 40, generator=torch.Generator().manual_seed(0)))


def names(wanted: Any) -> list[str]:
    """Kinds with their setting, and what trained adapters are."""
    return [
        one.kind if isinstance(one, AdapterConfig) else f"trained {one.config.kind}"  # type: ignore[union-attr]
        for one in resolve_ready(wanted)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return hs.stabilize(lambda x: x, "output-fixed:0.7").save(tmp_path / "my+adapter")


def test_what_ships_is_there() -> None:
    assert {"nafnet16-light", "nafnet16-noise-motion", "nafnet16-patchdrop-input"} <= SHIPPED.keys()
    for name in SHIPPED:
        assert isinstance(hs.load_adapter(name), Adapter)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_name_is_its_folder(name: str) -> None:
    channels = next(
        (point.shape[0] for point in hs.load_adapter(name).points if point.name == "output" and point.shape), 3
    )

    def model(frame: torch.Tensor) -> torch.Tensor:
        return frame.mean(dim=1, keepdim=True).expand(-1, channels, -1, -1)

    by_name, by_folder = hs.stabilize(model, name), hs.stabilize(model, SHIPPED[name])
    for frame in FRAMES:
        assert torch.equal(by_name(frame), by_folder(frame))


def test_forms_of_one_thing(folder: Path) -> None:
    assert names("motion-fixed") == ["motion-fixed"]
    assert names("output-fixed:0.8") == ["output-fixed"]
    assert names("nafnet16-light+output-fixed:0.8") == ["trained spatial", "output-fixed"]
    assert names(["nafnet16-light", "output-fixed:0.8 + motion-fixed"]) == [
        "trained spatial",
        "output-fixed",
        "motion-fixed",
    ]
    assert names("none") == names([]) == []
    for form in (folder, str(folder), hs.load_adapter(folder), [folder]):  # a + in the name of a folder is part of it
        assert names(form) == ["trained output-fixed"]
    assert resolve("output-fixed:0.8") == [hs.make_config("output-fixed", beta=0.8)]


def test_a_composition_by_name_is_one_by_list() -> None:
    joined = hs.stabilize(lambda x: x, "output-fixed:0.5+output-gaussian:1")
    listed = hs.stabilize(lambda x: x, ["output-fixed:0.5", "output-gaussian:1"])
    none = hs.stabilize(lambda x: x, "none")
    for frame in FRAMES:
        assert torch.equal(joined(frame), listed(frame))
        assert torch.equal(none(frame), frame)
    assert [joined.adapter(number).config.kind for number in range(2)] == ["output-fixed", "output-gaussian"]


def test_a_folder_comes_before_what_ships_and_the_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    for name in ("nafnet16-light", "me/my-adapter"):
        hs.save_adapter(hs.load_adapter(folder), name)
        assert hs.load_adapter(name).config.kind == "output-fixed"


def test_the_hub_is_asked_for_what_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was downloaded once is there without a connection."""
    commit = "0" * 40
    cached = tmp_path / "models--me--my-adapter"
    hs.save_adapter(hs.load_adapter("nafnet16-light"), cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    pulled, shipped = hs.stabilize(lambda x: x, "me/my-adapter"), hs.stabilize(lambda x: x, "nafnet16-light")
    for frame in FRAMES:
        assert torch.equal(pulled(frame), shipped(frame))
    assert names("me/my-adapter+motion-fixed") == ["trained spatial", "motion-fixed"]
    with pytest.raises(AdapterError, match="no folder 'me/other' here, and the hub did not give an adapter"):
        hs.stabilize(lambda x: x, "me/other")


@pytest.mark.parametrize(
    ("wanted", "options", "message"),
    [
        ("nafnet16-lihgt", {}, "did you mean nafnet16-light"),
        ("output-fixed:much", {}, "'much' is not a number"),
        ("motion-fixed+spatail", {}, r"'spatail' is neither a kind.*did you mean spatial"),
        ("nafnet16-light", {"kernel": 5}, "kernel: settings go with the name of a kind, not with 'nafnet16-light'"),
        ("motion-fixed+output-fixed", {"beta": 0.5}, "beta: settings go with the name of a kind"),
        ("no/such/folder", {}, "'no/such/folder' is neither a kind"),
    ],
)
def test_what_is_nothing(wanted: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        hs.stabilize(lambda x: x, wanted, **options)


def test_what_has_to_be_trained_is_no_adapter_to_run() -> None:
    assert resolve("motion") == [hs.make_config("motion")]
    for wanted in ("motion", "nafnet16-light+spatial", ["motion"]):
        with pytest.raises(ConfigError, match="has to be trained first"):
            resolve_ready(wanted)


def test_wide_flicker_can_be_taken_out_always() -> None:
    fixed, trained = deflickering([make_config("motion-fixed:0.7"), load_adapter("universal")])
    assert isinstance(fixed, AdapterConfig) and isinstance(trained, Adapter)
    assert fixed == make_config("motion-fixed:0.7", deflicker=True)
    assert trained.config.deflicker is True
    before = load_adapter("universal").state_dict()
    assert before.keys() == trained.state_dict().keys()
    assert all(torch.equal(before[name], weight) for name, weight in trained.state_dict().items())
    with pytest.raises(ConfigError, match="motion-fixed or universal, not with output-fixed"):
        deflickering([make_config("output-fixed:0.5")])


def test_frames_are_not_what_wide_flicker_is_taken_out_of() -> None:
    at_input, at_output = deflickering(resolve("motion-fixed@input+motion-fixed"))
    assert at_input == make_config("motion-fixed@input")
    assert at_output == make_config("motion-fixed", deflicker=True)
    with pytest.raises(ConfigError, match="not with no adapter"):
        deflickering(resolve("motion-fixed@input"))
