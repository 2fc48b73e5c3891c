"""Models that are not modules: functions and sessions, on tensors or arrays; only input and output are reached."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

import holdsteady as hs
from holdsteady.errors import PointError

OUTPUT_KINDS = ["output-fixed:0.5", "output-gaussian:1", "motion-fixed", "motion", "universal"]


class Session:
    """A hand-made ONNX graph, y = relu(conv(x)), run by onnxruntime: arrays in, arrays out."""

    def __init__(self, folder: Path) -> None:
        weight = np.random.default_rng(0).normal(0, 0.4, (3, 3, 3, 3)).astype(np.float32)
        axes = ["b", 3, "h", "w"]
        graph = helper.make_graph(
            [
                helper.make_node("Conv", ["x", "weight"], ["z"], pads=[1, 1, 1, 1]),
                helper.make_node("Relu", ["z"], ["y"]),
            ],
            "tiny",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, axes)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, axes)],
            [onnx.numpy_helper.from_array(weight, "weight")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.save(model, folder / "tiny.onnx")
        self.session = onnxruntime.InferenceSession(folder / "tiny.onnx", providers=["CPUExecutionProvider"])
        self.weight = torch.from_numpy(weight)

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        return self.session.run(None, {"x": frame})[0]

    def in_torch(self, frame: Tensor) -> Tensor:
        return nn.functional.conv2d(frame, self.weight, padding=1).relu()


def clip() -> list[Tensor]:
    return list(torch.rand(3, 1, 3, 12, 14, generator=torch.Generator().manual_seed(0)))


def attach(model: Any, kind: str, example: Any) -> hs.StabilizedModel:
    torch.manual_seed(0)
    return hs.stabilize(model, kind, example=example if kind in ("motion", "universal") else None)


@pytest.mark.parametrize("kind", OUTPUT_KINDS)
def test_a_session_on_arrays_is_as_a_function_on_tensors(kind: str, tmp_path: Path) -> None:
    session, frames = Session(tmp_path), clip()
    arrays = attach(session, kind, frames[0].numpy())
    tensors = attach(session.in_torch, kind, frames[0])
    for frame in frames:
        array = arrays(frame.numpy())
        assert isinstance(array, np.ndarray)
        assert array.dtype == np.float32
        torch.testing.assert_close(torch.from_numpy(array), tensors(frame).detach(), rtol=1e-3, atol=1e-4)


def test_the_array_that_the_model_returned_is_not_changed() -> None:
    kept: list[np.ndarray] = []

    def model(frame: np.ndarray) -> np.ndarray:
        kept.append(frame.copy())
        return kept[-1]

    steady, frames = hs.stabilize(model, "output-fixed:0.5"), clip()
    for frame in frames:
        steady(frame.numpy())
    assert all(np.array_equal(array, frame.numpy()) for array, frame in zip(kept, frames, strict=True))


def test_a_model_that_writes_into_one_buffer_spoils_no_memory() -> None:
    buffer = torch.empty(1, 3, 12, 14)
    steady, frames = hs.stabilize(lambda frame: buffer.copy_(frame), "output-fixed:0.5"), clip()
    clean = hs.stabilize(lambda frame: frame.clone(), "output-fixed:0.5")
    for frame in frames:
        assert torch.equal(steady(frame), clean(frame))


@pytest.mark.parametrize("kind", ["output-fixed:0.5", "output-gaussian:1", "motion-fixed"])
def test_integer_frames_of_a_function(kind: str) -> None:
    """A function that takes eight-bit frames as files have them, and gives floats."""
    frames = [(255 * frame).to(torch.uint8) for frame in clip()]
    steady = hs.stabilize(lambda frame: frame.float() / 255, kind)
    direct = hs.stabilize(lambda frame: frame, kind)
    for frame in frames:
        assert torch.equal(steady(frame), direct(frame.float() / 255))


def test_the_input_can_be_stabilized_before_the_model_sees_it() -> None:
    seen: list[Tensor] = []
    steady = hs.stabilize(lambda frame: seen.append(frame) or frame, "simple-fixed:0.5", points="input")  # type: ignore[func-returns-value]
    first, second, _ = clip()
    steady(first)
    steady(second)
    torch.testing.assert_close(seen[1], (first + second) / 2)


def test_points_inside_are_out_of_reach(tmp_path: Path) -> None:
    session, frame = Session(tmp_path), clip()[0]
    for points in ("auto", "conv"):
        with pytest.raises(PointError, match=r"Session is not an nn.Module: only its 'input'.*motion-fixed"):
            hs.stabilize(session, "simple-fixed", example=frame.numpy(), points=points)
    table = hs.points(session.in_torch, frame)
    assert [info.point.name for info in table] == ["input", "output"]


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_a_scripted_module_is_a_callable() -> None:
    model = torch.jit.trace(nn.Conv2d(3, 3, 1), clip()[0])
    steady = hs.stabilize(model, "output-fixed:0.5")
    first, second, _ = clip()
    with torch.no_grad():
        steady(first)
        torch.testing.assert_close(steady(second), (model(first) + model(second)) / 2)
    with pytest.raises(PointError, match="only its 'input' and 'output' can be reached"):
        hs.stabilize(model, "simple-fixed", example=first)


@pytest.mark.parametrize("model", [lambda x: x[0], lambda x: x[0].permute(1, 2, 0), lambda x: x[0, 0]])
@pytest.mark.parametrize("kind", ["motion-fixed", "output-fixed:0.5"])
def test_an_output_without_the_axis_of_the_batch(model: Callable[[Tensor], Tensor], kind: str) -> None:
    steady = hs.stabilize(model, kind)
    with pytest.raises(PointError, match=r"its first axis is not the batch of 1; .*return output\[None\]"):
        steady(torch.rand(1, 3, 24, 32))
