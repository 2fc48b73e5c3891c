"""``holdsteady.export``: what runs outside of PyTorch is what ran in it."""

import json
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import holdsteady as hs
from holdsteady.errors import ConfigError, ExportError
from holdsteady.exports.flow import flow_between
from holdsteady.exports.manifest import FlowEntry, read_manifest
from holdsteady.exports.program import ProgramStep
from holdsteady.exports.step import OnnxStep
from holdsteady.flow.dis import DISFlow
from holdsteady.flow.pyramid import PyramidFlow
from holdsteady.host.stabilized import StabilizedModel
from holdsteady.video import open_video, upright_tensors


class Small(nn.Module):
    """A network of two layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1))

    def forward(self, frame: Tensor) -> Tensor:
        out: Tensor = frame + 0.1 * self.layers(frame)
        return out


EXAMPLE = torch.rand(1, 3, 32, 40, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[StabilizedModel, Path]:
    """A small model with output fixed, and its export."""
    steady = hs.stabilize(Small(), "output-fixed:0.6")
    return steady, hs.export(steady, EXAMPLE, tmp_path_factory.mktemp("small") / "out")


def noisy(clip: str, count: int, deviation: float = 0.1) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(0)
    with open_video(clip) as reader:
        for _, frame in zip(range(count), upright_tensors(reader), strict=False):
            yield frame + deviation * torch.randn(frame.shape, generator=generator)


def largest_difference(steady: StabilizedModel, step: Any, frames: Iterator[Tensor]) -> float:
    """Between a model and its export over a video, whose states they keep each for itself."""
    worst, state, held = 0.0, None, None
    for frame in frames:
        expected, state = steady.step(frame, state)
        held = step.new_state(*frame.shape) if held is None else held
        output, held = step(frame if isinstance(step, ProgramStep) else frame.numpy(), held)
        worst = max(worst, float(np.abs(np.asarray(output) - expected.numpy()).max()))
    return worst


@pytest.mark.parametrize("shape", [(1, 3, 32, 40), (2, 3, 24, 16), (1, 3, 144, 176)])
def test_one_graph_serves_first_and_later_frames_of_any_size(
    small: tuple[StabilizedModel, Path], shape: tuple[int, ...]
) -> None:
    steady, folder = small
    generator = torch.Generator().manual_seed(1)
    frames = (torch.rand(shape, generator=generator) for _ in range(4))
    assert largest_difference(steady, OnnxStep(folder), frames) < 1e-5


def test_nan_in_a_frame_is_not_remembered(small: tuple[StabilizedModel, Path]) -> None:
    steady, folder = small
    frames = [EXAMPLE, EXAMPLE.clone(), EXAMPLE]
    frames[1][..., 4:9, 4:9] = torch.nan
    state, step = None, OnnxStep(folder)
    held = step.new_state(*EXAMPLE.shape)
    for frame in frames:
        expected, state = steady.step(frame, state)
        output, held = step(frame.numpy(), held)
        assert np.allclose(output, expected.numpy(), atol=1e-5, equal_nan=True)
    assert np.isfinite(output).all()


def test_the_manifest_says_all_and_the_graph_tells_no_paths(small: tuple[StabilizedModel, Path]) -> None:
    _, folder = small
    manifest = read_manifest(folder)
    assert [entry.name for entry in manifest.state] == ["output_stabilized"]
    assert manifest.state[0].shape == ("batch", 3, "height", "width")
    assert manifest.multiple == (8, 8) and manifest.kind == "image"
    assert manifest.adapters[0]["beta"] == 0.6
    assert str(Path(__file__).parents[2]).encode() not in (folder / "step.onnx").read_bytes()
    assert {path.name for path in folder.iterdir()} == {"holdsteady.json", "step.onnx"}


def test_no_operator_keeps_a_state_or_is_of_another_domain(small: tuple[StabilizedModel, Path]) -> None:
    import onnx

    model = onnx.load(small[1] / "step.onnx")
    assert {node.domain for node in model.graph.node} == {""}
    assert not {node.op_type for node in model.graph.node} & {"If", "Loop", "Scan", "SequenceConstruct"}


def test_an_export_is_not_replaced_unasked(small: tuple[StabilizedModel, Path]) -> None:
    with pytest.raises(ExportError, match="holds an export already; give --overwrite"):
        hs.export(small[0], EXAMPLE, small[1])


def test_unknown_formats_are_refused(small: tuple[StabilizedModel, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="formats are onnx and pt2, flows host and inside"):
        hs.export(small[0], EXAMPLE, tmp_path, format="tflite")  # type: ignore[arg-type]


def test_a_model_that_leaves_torch_is_named(tmp_path: Path) -> None:
    def through_numpy(frame: Tensor) -> Tensor:
        return torch.from_numpy(np.flip(frame.numpy(), 3).copy())

    with pytest.raises(ExportError, match=r"can't be exported: .*test_export\.py, line \d+.*no NumPy"):
        hs.export(hs.stabilize(through_numpy, "output-fixed", takes="tensors"), EXAMPLE, tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Talks(Small):
    """Writes to stderr while it is traced, and so does another thread."""

    def forward(self, frame: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            print("the model's own", file=sys.stderr)
            other = Thread(target=print, args=("another thread's",), kwargs={"file": sys.stderr})
            other.start()
            other.join()
        return super().forward(frame)


def test_what_is_written_during_a_trace_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Fails(Talks):
        def forward(self, frame: Tensor) -> Tensor:
            out = super().forward(frame)
            return out if float(out.mean()) > 0 else frame

    hs.export(hs.stabilize(Talks(), "output-fixed"), EXAMPLE, tmp_path / "out", format="pt2")
    shown = capsys.readouterr().err
    assert "the model's own" in shown and "another thread's" in shown
    with pytest.raises(ExportError, match="can't be exported"):
        hs.export(hs.stabilize(Fails(), "output-fixed"), EXAMPLE, tmp_path / "fails", format="pt2")
    shown = capsys.readouterr().err
    assert "another thread's" in shown and "graph" not in shown


def test_an_operation_that_onnx_lacks_is_named_with_its_module(tmp_path: Path) -> None:
    class Bessel(nn.Module):
        def forward(self, frame: Tensor) -> Tensor:
            return torch.special.bessel_j0(frame)

    model = nn.Sequential(nn.Identity(), Bessel())
    with pytest.raises(ExportError, match=r"ONNX has nothing for \w+\.bessel_j0 \(in .*1\); take --format pt2"):
        hs.export(hs.stabilize(model, "none"), EXAMPLE, tmp_path / "out")


def test_pt2_is_the_same_step(tmp_path: Path, small: tuple[StabilizedModel, Path]) -> None:
    steady = small[0]
    step = ProgramStep(hs.export(steady, EXAMPLE, tmp_path / "out", format="pt2"))
    frames = [torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(t)) for t in range(3)]
    assert largest_difference(steady, step, iter(frames)) < 1e-6
    with pytest.raises(ExportError, match="is for torch"):
        OnnxStep(tmp_path / "out")
    with pytest.raises(ExportError, match="is for ONNX Runtime"):
        ProgramStep(small[1])


@pytest.mark.parametrize(("height", "mend"), [(100, False), (500, False), (700, True)])
def test_the_host_searches_as_pytorch_does(height: int, mend: bool) -> None:
    """The same flow to a hundredth of a pixel nearly everywhere: shrunk pictures differ in their last digits."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 1, height // 8, 40, generator=generator)
    present = nn.functional.interpolate(coarse, size=(height, 320), mode="bicubic")
    previous = present.roll(3, dims=3)
    expected = DISFlow(mend=mend, smooth=1.0)(present, previous).numpy()
    found = flow_between(present[:, 0].numpy(), previous[:, 0].numpy(), 240, mend=mend, smooth=1.0)
    assert found.shape == expected.shape and found.dtype == np.float32
    assert np.quantile(np.abs(found - expected), 0.99) < 0.01


def recorded(steady: StabilizedModel) -> tuple[list[np.ndarray], Callable[[], None]]:
    """The flows that a model searches for from now on, in order, and what ends that."""
    flows: list[np.ndarray] = []
    searches = [
        (module, name, value)
        for module in steady.adapters.modules()
        for name, value in vars(module).items()
        if isinstance(value, DISFlow)
    ]

    def recording(search: DISFlow) -> Callable[[Tensor, Tensor], Tensor]:
        def record(present: Tensor, previous: Tensor) -> Tensor:
            found = search(present, previous)
            flows.append(found.numpy())
            return found

        return record

    def restore() -> None:
        for module, name, search in searches:
            setattr(module, name, search)

    for module, name, search in searches:
        setattr(module, name, recording(search))
    return flows, restore


def played(flows: list[np.ndarray], first: int) -> Callable[[np.ndarray, np.ndarray, FlowEntry], np.ndarray]:
    """A search that gives what was recorded; nothing moves in the first frame, for which PyTorch does not search."""
    given, calls = iter(flows), count()

    def search(present: np.ndarray, _previous: np.ndarray, _flow: FlowEntry) -> np.ndarray:
        return np.zeros((1, 2, *present.shape[1:]), np.float32) if next(calls) < first else next(given)

    return search


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["motion-fixed", "universal"])
def test_flow_by_the_host(kind: str, carphone: str, tmp_path: Path) -> None:
    """With the same flow, equal to 1e-4 over real frames; searches of its own amplify last digits."""
    steady = hs.stabilize(Small(), kind, example=EXAMPLE)
    folder = hs.export(steady, EXAMPLE, tmp_path / "out")
    assert len(read_manifest(folder).parts) == 2
    flows, restore = recorded(steady)
    frames = [frame[..., :64, :80] for frame in noisy(carphone, 20)]
    frames += [frame + 0.05 for frame in frames[::-1][:10]]
    assert largest_difference(steady, OnnxStep(folder, search=played(flows, 1)), iter(frames)) < 1e-4
    restore()
    state, held, step, differences = None, None, OnnxStep(folder), []
    for frame in frames:
        expected, state = steady.step(frame, state)
        output, held = step(frame.numpy(), held or step.new_state(*frame.shape))
        differences.append(np.abs(output - expected.numpy()))
    assert np.mean(differences) < 2e-3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["motion-fixed", "universal"])
def test_flow_inside(kind: str, carphone: str, tmp_path: Path) -> None:
    """One file, equal to PyTorch with the same flow to 1e-4 over 30 real frames."""
    steady = hs.stabilize(Small(), kind, example=EXAMPLE)
    folder = hs.export(steady, EXAMPLE, tmp_path / "out", flow="inside")
    assert [part.file for part in read_manifest(folder).parts] == ["step.onnx"]
    for module in steady.adapters.modules():
        if isinstance(vars(module).get("flow"), DISFlow):
            module.flow = PyramidFlow()  # type: ignore[assignment]
    frames = [frame[..., :64, :80] for frame in noisy(carphone, 20)]
    frames += [frame + 0.05 for frame in frames[::-1][:10]]
    assert largest_difference(steady, OnnxStep(folder), iter(frames)) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("adapter", "settings"), [("spatial", {"preset": "tiny"}), ("motion-fixed@input+motion-fixed", {})]
)
def test_points_inside_and_two_searches(adapter: str, settings: dict[str, Any], carphone: str, tmp_path: Path) -> None:
    """At the input and at the output, each along a motion of its own: three parts."""
    steady = hs.stabilize(Small(), adapter, example=EXAMPLE, **settings)
    folder = hs.export(steady, EXAMPLE, tmp_path / "out")
    flows, _ = recorded(steady)
    step = OnnxStep(folder, search=played(flows, 2))
    assert len(step.manifest.parts) == 3 and len(step.manifest.flows) == 2
    frames = (frame[..., :64, :80] for frame in noisy(carphone, 5))
    assert largest_difference(steady, step, frames) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ["motion-fixed", "motion-fixed@input", "universal"])
def test_what_is_as_the_frame_is_nothing_to_divide_by(adapter: str, carphone: str, tmp_path: Path) -> None:
    """Evidence of flicker in the output is a share of its difference to the input, which is none here."""
    steady = hs.stabilize(nn.Identity(), adapter, example=EXAMPLE)
    folder = hs.export(steady, EXAMPLE, tmp_path / "out")
    flows, _ = recorded(steady)
    frames = (frame[..., :64, :80] for frame in noisy(carphone, 6))
    assert largest_difference(steady, OnnxStep(folder, search=played(flows, 1)), frames) < 1e-4


def test_a_card_goes_along(tmp_path: Path) -> None:
    model = hs.Model(Small(), range=(0, 255), channels="bgr", kind="image")
    folder = hs.export(hs.stabilize(model, "none"), EXAMPLE, tmp_path / "out")
    card = json.loads((folder / "holdsteady.json").read_text())["card"]
    assert card == {"range": [0.0, 255.0], "channels": "bgr", "kind": "image"}
    output, _ = OnnxStep(folder)(EXAMPLE.numpy(), {})
    assert np.allclose(output, model(EXAMPLE).detach().numpy(), atol=1e-5)


def test_sizes_are_padded_as_the_model_needs(tmp_path: Path) -> None:
    class Stride12(Small):
        def forward(self, frame: Tensor) -> Tensor:
            assert frame.shape[-1] % 12 == frame.shape[-2] % 12 == 0
            return super().forward(frame)

    steady = hs.stabilize(hs.Model(Stride12(), multiple=12), "output-fixed")
    assert read_manifest(hs.export(steady, EXAMPLE, tmp_path / "out")).multiple == (24, 24)


def test_classes_have_to_be_stated(tmp_path: Path) -> None:
    class Scores(nn.Module):
        def forward(self, frame: Tensor) -> Tensor:
            return torch.cat((9 - frame, frame, -frame), dim=1)

    with pytest.raises(ExportError, match=r"whether an output is of classes: state it \(--kind classes"):
        hs.export(hs.stabilize(Scores(), "motion-fixed"), EXAMPLE, tmp_path / "out")
