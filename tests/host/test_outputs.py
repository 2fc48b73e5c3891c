"""What networks return an image in, and images that are not the same in every frame."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import holdsteady as hs
from holdsteady.errors import ModelError, PointError, StateError
from holdsteady.host.outputs import find_leaf, get_leaf


class Pair(tuple[Any, ...]):
    def __new__(cls, first: Any, second: Any) -> "Pair":
        return super().__new__(cls, (first, second))


class Stages(list[Any]):
    def __init__(self, first: Any, *more: Any) -> None:
        super().__init__((first, *more))


class Prediction:
    """Of a class of the network's own, with something in it that knows its owner."""

    def __init__(self, depth: Tensor) -> None:
        self.name, self.depth, self.owner = "depth", depth, self


class Fixed(Mapping[str, Any]):
    def __init__(self, entries: Mapping[str, Any]) -> None:
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> Any:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class Closed(Fixed):
    def __init__(self, entries: Mapping[str, Any], key: int) -> None:
        super().__init__(entries)


@dataclass
class Late:
    depth: Tensor
    later: Tensor = field(init=False)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: Pair(None, y),
        lambda y: Stages({"a": 1}, y),
        Prediction,
        Late,
        lambda y: SimpleNamespace(count=3, out=[y]),
        lambda y: MappingProxyType({"out": y}),
        lambda y: Fixed({"count": 3, "out": y}),
        lambda y: torch.return_types.max((y, y.long())),
    ],
)
def test_whatever_an_image_is_returned_in(wrap: Callable[[Tensor], Any]) -> None:
    frames = torch.rand(3, 1, 3, 8, 10)
    steady, plain = hs.stabilize(wrap, "output-fixed:0.5"), hs.stabilize(lambda x: x, "output-fixed:0.5")
    for frame in frames:
        given = wrap(frame)
        output = steady(frame)
        path = find_leaf(given)
        assert path is not None and type(output) is type(given)
        assert torch.equal(get_leaf(output, path), plain(frame))
        assert torch.equal(get_leaf(given, path), frame)


def test_what_cannot_be_made_anew_is_told() -> None:
    steady = hs.stabilize(lambda x: Closed({"out": x}, 3), "output-fixed:0.5")
    with pytest.raises(ModelError, match="gives a Closed, which can't be changed or made anew: return a dict"):
        steady(torch.rand(1, 3, 8, 10))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y: y[:, :1], r"\(1, 1, 24, 32\) in this frame and had \(1, 3, 24, 32\)"),
        (lambda y: y[..., ::2, ::2], r"\(1, 3, 12, 16\) in this frame"),
    ],
)
@pytest.mark.parametrize("kind", ["motion-fixed", "live", "output-fixed", "output-gaussian", "universal"])
def test_an_image_that_changes_its_shape_is_told(change: Callable[[Tensor], Tensor], words: str, kind: str) -> None:
    frame, calls = torch.rand(1, 3, 24, 32), []

    def model(x: Tensor) -> Tensor:
        calls.append(x)
        return x if len(calls) < 3 else change(x)

    steady = hs.stabilize(model, kind)
    for _ in range(2):
        steady(frame)
    with pytest.raises(StateError, match=rf"point 'output' has the shape {words}"):
        steady(frame)
    steady.reset()
    assert steady(frame).shape == change(frame).shape


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda x: x.argmax(dim=1), "hs.Model\\(model, kind='labels', classes=21\\)"),
        (lambda x: x > 0.5, "hs.Model\\(model, kind='mask'\\)"),
        (lambda x: Image.fromarray(np.zeros(x.shape[-2:], np.uint8)), "kind='labels', classes=21"),
        (lambda x: x.mean(dim=(1, 2, 3)), r"torch.float32 \(1,\), not a float tensor with spatial axes$"),
        (lambda _: None, "returned NoneType, not a float tensor with spatial axes$"),
    ],
)
def test_what_cannot_be_mixed_is_told_with_a_way_out(model: Callable[[Tensor], Any], words: str) -> None:
    with pytest.raises(PointError, match=words):
        hs.stabilize(model)(torch.rand(1, 3, 8, 10))
