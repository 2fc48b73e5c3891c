"""OIDN and the renderer's motion vectors, on an animation whose motion is exact."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

OpenEXR = pytest.importorskip("OpenEXR", reason="takes OpenEXR, of the extra data")
pytest.importorskip("pyoidn", reason="takes OIDN: pip install pyoidn")
from render import Animation, animation, plugin, scores  # noqa: E402


@pytest.fixture(scope="module")
def script() -> Any:
    return plugin()


@pytest.fixture(scope="module")
def scene() -> Animation:
    return animation(12)


def passes(script: Any, scene: Animation) -> list[Any]:
    return [script.Passes(*pair) for pair in zip(scene.noisy, scene.vector, strict=True)]


def test_the_vectors_steady_it_more_than_a_search_does(script: Any, scene: Animation) -> None:
    frames = passes(script, scene)
    alone = scores(scene.clean, np.stack([script.denoised(one) for one in frames]))
    searched = scores(scene.clean, np.stack(list(script.steady_frames(frames, vectors=False))))
    known = scores(scene.clean, np.stack(list(script.steady_frames(frames))))
    assert known[0] > searched[0] + 0.5 and searched[0] > alone[0]
    assert known[1] < 0.75 * alone[1]


def test_strength_zero_is_oidn_alone(script: Any, scene: Animation) -> None:
    frames = passes(script, scene)[:3]
    shown = list(script.steady_frames(frames, strength=0.0))
    np.testing.assert_allclose(shown[2], script.denoised(frames[2]), rtol=1e-4, atol=1e-5)


def save(path: Path, one: Any, names: dict[str, str]) -> None:
    """A frame as Blender's multilayer files have it."""
    planes = {f"{names['color']}.{axis}": one.color[..., i] for i, axis in enumerate("RGB")}
    planes |= {f"{names['vector']}.{axis}": one.vector[..., i] for i, axis in enumerate("XY")}
    channels = {name: np.ascontiguousarray(plane, np.float32) for name, plane in planes.items()}
    OpenEXR.File({"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION}, channels).write(str(path))


def test_the_command(script: Any, scene: Animation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"color": "ViewLayer.Combined", "vector": "ViewLayer.Vector"}
    frames = passes(script, scene)[:3]
    for number, one in enumerate(frames):
        save(tmp_path / f"frame{number:04}.exr", one, names)
    sources = map(str, sorted(tmp_path.glob("*.exr")))
    monkeypatch.setattr(sys, "argv", ["steady_render.py", *sources, "--out", str(tmp_path / "out")])
    script.main()
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == ["frame0000.exr", "frame0001.exr", "frame0002.exr"]
    written = OpenEXR.File(str(files[2])).channels()["RGB"].pixels
    np.testing.assert_allclose(written, list(script.steady_frames(frames))[2], rtol=2e-3, atol=1e-3)


def test_a_file_without_vectors(script: Any, scene: Animation, tmp_path: Path) -> None:
    save(tmp_path / "a.exr", passes(script, scene)[0], {"color": "ViewLayer.Combined", "vector": "ViewLayer.Depth"})
    with pytest.raises(ValueError, match="in Blender turn on the passes Vector"):
        script.read_passes(tmp_path / "a.exr")


def test_blenders_vectors_point_up(script: Any) -> None:
    vector = np.zeros((2, 3, 4), np.float32)
    vector[..., 0], vector[..., 1] = 5, 7
    flow = script.flow_of(vector)
    assert flow.shape == (1, 2, 2, 3)
    assert (flow[0, 0] == 5).all() and (flow[0, 1] == -7).all()
