"""Frames as people have them: arrays, images, whole numbers, reversed, grey; what comes back is of the same kind."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import cnn
from PIL import Image
from torch import Tensor, nn

import holdsteady as hs
from holdsteady.errors import LayoutError, PointError
from holdsteady.host.frame import form_of, from_map, to_map

SHIPPED = ("nafnet16-light", "nafnet16-noise-motion")


def clip(frames: int = 3) -> list[np.ndarray]:
    """A smooth texture that moves, uint8 (H, W, 3)."""
    texture = cv2.resize(np.random.default_rng(0).random((7, 9, 3)).astype(np.float32), (52, 40))
    noise = np.random.default_rng(1).normal(0, 0.05, (frames, 40, 52, 3))
    moved = [np.roll(texture, t, axis=1) + noise[t] for t in range(frames)]
    return [(255 * np.clip(picture, 0, 1)).round().astype(np.uint8) for picture in moved]


def tensor_of(frame: np.ndarray) -> Tensor:
    return torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255


def as_array(output: Any) -> np.ndarray:
    return np.asarray(output)


FORMS: dict[str, tuple[Callable[[np.ndarray], Any], Callable[[Any], np.ndarray]]] = {
    "uint8 picture": (lambda frame: frame, as_array),
    "uint8 batch": (lambda frame: frame[None], lambda output: output[0]),
    "uint8 batch, channels first": (
        lambda frame: np.ascontiguousarray(frame.transpose(2, 0, 1))[None],
        lambda output: output[0].transpose(1, 2, 0),
    ),
    "uint8 tensor": (
        lambda frame: torch.from_numpy(frame.transpose(2, 0, 1).copy())[None],
        lambda output: output[0].permute(1, 2, 0).numpy(),
    ),
    "image": (Image.fromarray, as_array),
    "read-only": (lambda frame: np.asarray(Image.fromarray(frame)), as_array),
    "reversed": (lambda frame: np.ascontiguousarray(frame[..., ::-1])[..., ::-1], as_array),
    "upside down": (lambda frame: np.ascontiguousarray(frame[::-1])[::-1], as_array),
}


@pytest.mark.parametrize("kind", ["output-fixed:0.5", "motion-fixed", "nafnet16-light"])
@pytest.mark.parametrize("form", FORMS)
def test_a_network_gives_pictures_back_as_frames_came(form: str, kind: str) -> None:
    torch.manual_seed(0)
    held, back = FORMS[form]
    model = nn.Sequential(cnn(), nn.Sigmoid())
    steady, plain = hs.stabilize(model, kind), hs.stabilize(model, kind)
    for picture in clip():
        frame = held(picture)
        output = steady(frame)
        expected = (255 * plain(tensor_of(picture))[0].permute(1, 2, 0)).round().to(torch.uint8).numpy()
        assert type(output) is (Image.Image if form == "image" else type(frame))
        assert back(output).dtype == np.uint8
        difference = np.abs(back(output).astype(int) - expected)
        assert difference.max() <= 1  # a last digit, by the order in memory, and a value on the edge of a step
        assert difference.mean() < 0.01


def test_other_numbers_come_back_as_they_came() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sigmoid())
    picture = clip(1)[0]
    expected = hs.stabilize(model)(tensor_of(picture))[0].permute(1, 2, 0).numpy()
    for dtype in (np.float32, np.float64, np.dtype(">f4")):
        output = hs.stabilize(model)((picture / 255).astype(dtype))
        assert output.dtype == dtype
        np.testing.assert_allclose(output, expected, atol=1e-6)
    deep = hs.stabilize(model)(picture.astype(np.uint16) * 257)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 65535 - expected).max() < 1e-5


def test_what_is_no_picture_keeps_its_floats() -> None:
    picture = clip(1)[0]
    depth, logits = nn.Conv2d(3, 1, 1), nn.Conv2d(3, 7, 1)
    far = hs.stabilize(depth)(picture)
    assert (far.shape, far.dtype) == ((40, 52), np.float32)
    np.testing.assert_allclose(far, depth(tensor_of(picture))[0, 0].detach().numpy(), atol=1e-6)
    classes = hs.stabilize(logits, "output-fixed")(picture)
    assert (classes.shape, classes.dtype) == ((40, 52, 7), np.float32)
    image = hs.stabilize(depth)(Image.fromarray(picture))
    assert (image.mode, image.size) == ("F", (52, 40))
    assert np.array_equal(np.asarray(image), far)


def test_images_of_other_modes_keep_their_values_and_their_alpha() -> None:
    deep = np.linspace(0, 60000, 40 * 52).reshape(40, 52)
    steady = hs.stabilize(lambda frame: frame, takes="tensors")
    for mode in ("I;16", "I;16B"):
        image = Image.frombytes(mode, (52, 40), deep.astype(">u2" if mode == "I;16B" else "<u2").tobytes())
        output = steady(image)
        steady.reset()
        assert output.mode == "I;16" and np.array_equal(np.asarray(output), deep.astype(np.uint16))
    grey = np.stack((clip()[0][..., 0], clip()[0][..., 1]), axis=-1)
    output = steady(Image.fromarray(grey, "LA"))
    assert output.mode == "RGBA" and np.array_equal(np.asarray(output)[..., 2:], grey)
    with pytest.raises(LayoutError, match="mode I has whole numbers of 32 bits"):
        steady(Image.fromarray(deep.astype(np.int32)))


def blur(frame: np.ndarray) -> np.ndarray:
    """OpenCV takes arrays (H, W, C) in whole numbers and nothing else."""
    return cv2.GaussianBlur(frame, (0, 0), 1.5)


@pytest.mark.parametrize("kind", ["output-fixed:0.5", "motion-fixed", "nafnet16-light"])
def test_a_function_of_arrays_gets_arrays(kind: str) -> None:
    seen: list[Any] = []

    def model(frame: np.ndarray) -> np.ndarray:
        seen.append(frame)
        return blur(frame)

    steady = hs.stabilize(model, kind)
    outputs = [steady(frame) for frame in clip()]
    assert all(type(frame) is np.ndarray and (frame.shape, frame.dtype) == ((40, 52, 3), np.uint8) for frame in seen)
    assert len(seen) == 3, "it is not called for a try alone"
    assert all(output.dtype == np.uint8 and output.shape == (40, 52, 3) for output in outputs)
    assert np.array_equal(outputs[0], blur(clip()[0]))
    assert not np.array_equal(outputs[1], blur(clip()[1]))


def test_the_output_of_a_function_of_arrays_is_averaged() -> None:
    steady = hs.stabilize(blur, "output-fixed:0.5")
    first, second, _ = clip()
    steady(first)
    mean = (blur(first).astype(float) + blur(second)) / 2
    assert np.abs(steady(second) - mean).max() <= 0.5 + 1e-3


def test_a_function_of_images_gets_images() -> None:
    steady = hs.stabilize(lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "output-fixed:0.5")
    first, second, _ = (Image.fromarray(frame) for frame in clip())
    steady(first)
    output = steady(second)
    mean = (np.asarray(first, float) + np.asarray(second)) / 2
    assert np.abs(np.asarray(output)[:, ::-1] - mean).max() <= 0.5 + 1e-3


def test_a_function_of_tensors_gets_tensors_where_it_refuses_arrays() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Sigmoid())
    calls: list[str] = []

    def model(frame: Any) -> Tensor:
        calls.append(type(frame).__name__)
        result: Tensor = network(frame)
        return result

    steady, direct = hs.stabilize(model, "motion-fixed"), hs.stabilize(network, "motion-fixed")
    for frame in clip():
        assert np.array_equal(steady(frame), direct(frame))
    assert calls == ["ndarray", "Tensor", "Tensor", "Tensor"]


def test_a_model_that_refuses_both_says_so_in_its_own_words() -> None:
    def model(_frame: Any) -> Any:
        raise ValueError("never")

    with pytest.raises(ValueError, match="never") as caught:
        hs.stabilize(model)(clip(1)[0])
    assert "given the frame as a float tensor (B, C, H, W) in [0, 1], it fails too" in caught.value.__notes__[0]


def test_what_a_model_takes_can_be_stated() -> None:
    kinds: list[type] = []

    def model(frame: Any) -> Any:
        kinds.append(type(frame))
        return frame

    picture = clip(1)[0]
    for takes in ("tensors", "frames", "auto"):
        assert np.array_equal(hs.stabilize(model, takes=takes)(picture), picture)  # type: ignore[arg-type]
    assert kinds == [Tensor, np.ndarray, np.ndarray]


class Preprocessing(nn.Module):
    """Takes bytes, as exported networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, frame: Tensor) -> Tensor:
        if frame.is_floating_point():
            raise TypeError("bytes, please")
        out: Tensor = self.conv(frame.float() / 255)
        return out


@pytest.mark.parametrize("points", ["output", "conv"])
def test_a_network_that_takes_bytes_gets_bytes(points: str) -> None:
    model = Preprocessing()
    frames = [torch.from_numpy(frame).permute(2, 0, 1)[None] for frame in clip()]
    steady = hs.stabilize(model, "simple-fixed:0.5", example=frames[0], points=points)
    with torch.no_grad():
        steady(frames[0])
        mean = (model(frames[0]) + model(frames[1])) / 2
    torch.testing.assert_close(steady(frames[1]), mean)  # floats, as the network gives them


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_adapters_take_grey(name: str) -> None:
    """As three equal channels would be."""
    grey = [frame[..., :1] for frame in clip(4)]
    steady, wide = hs.stabilize(lambda x: x, name), hs.stabilize(lambda x: x, name)
    for frame in grey:
        one = steady(tensor_of(frame))
        three = wide(tensor_of(frame).expand(-1, 3, -1, -1).contiguous())
        assert one.shape == (1, 1, 40, 52)
        assert (one - three[:, :1]).abs().mean() < 1e-5
    picture = hs.stabilize(lambda x: x, name)(grey[0][..., 0])
    assert (picture.shape, picture.dtype) == ((40, 52), np.uint8)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("shape", [(1, 1, 40, 52), (1, 40, 52), (1, 40, 52, 1)])
def test_shipped_adapters_take_outputs_of_one_channel(name: str, shape: tuple[int, ...]) -> None:
    steady = hs.stabilize(lambda x: x.mean(dim=1).reshape(shape), name)
    frames = [tensor_of(frame) for frame in clip(3)]
    outputs = [steady(frame) for frame in frames]
    assert outputs[2].shape == shape
    truth = np.mean(clip(3)[2] / 255, axis=2)
    assert np.abs(outputs[2].reshape(40, 52).numpy() - truth).mean() < 0.1
    assert not torch.equal(outputs[1].flatten(), frames[1].mean(dim=1).flatten())


def test_shipped_adapters_serve_models_with_channels_last() -> None:
    first, second, _ = (tensor_of(frame) for frame in clip())
    usual, last = hs.stabilize(lambda x: x, "nafnet16-light"), hs.stabilize(lambda x: x, "nafnet16-light")
    for frame in (first, second):
        expected, output = usual(frame), last(frame.permute(0, 2, 3, 1))
        torch.testing.assert_close(output.permute(0, 3, 1, 2), expected, rtol=1e-3, atol=1e-4)


def test_classes_in_whole_numbers_are_not_mixed() -> None:
    steady = hs.stabilize(lambda frame: (frame[..., 0] > 100).astype(np.uint8), "output-fixed")
    with pytest.raises(PointError, match=r"ndarray of uint8 \(40, 52\).*because classes can't be"):
        steady(clip(1)[0])


@pytest.mark.parametrize("frame", [[[1, 2]], "frame", None, np.zeros((2, 3, 40, 52, 3)), np.zeros((3, 40, 52))])
def test_what_is_no_frame(frame: Any) -> None:
    with pytest.raises(LayoutError, match="a frame is a batch"):
        hs.stabilize(cnn(), "output-fixed")(frame)


@pytest.mark.parametrize("kind", ["spatial", "motion"])
def test_an_example_may_be_a_picture(kind: str) -> None:
    first, second, _ = clip()
    for model in (nn.Sequential(cnn(), nn.Sigmoid()), blur):
        steady = hs.stabilize(model, kind, example=first)
        steady(first)
        assert steady(second).dtype == np.uint8
        assert steady.adapter(0).frame_channels == 3
        assert steady.cost(first).total.parameters > 0


@given(
    axes=st.sampled_from(["HW", "HWC", "BHWC", "BCHW"]),
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    channels=st.sampled_from([1, 3, 4]),
    seed=st.integers(0, 99),
)
def test_to_a_map_and_back_is_nothing(axes: str, dtype: str, size: tuple[int, int], channels: int, seed: int) -> None:
    sizes = {"B": 2, "C": channels, "H": size[0], "W": size[1]}
    values = np.random.default_rng(seed).random([sizes[axis] for axis in axes])
    value = values.astype(dtype) if dtype == "float32" else (values * np.iinfo(dtype).max).astype(dtype)
    form = form_of(value)
    assert (form.axes, form.channels) == (axes, 1 if axes == "HW" else channels)
    picture = to_map(value, form)
    assert tuple(picture.shape) == (2 if "B" in axes else 1, form.channels, *size)
    assert 0 <= float(picture.min()) <= float(picture.max()) <= 1
    again = from_map(picture, form)
    assert again.dtype == value.dtype
    assert np.array_equal(again, value)
