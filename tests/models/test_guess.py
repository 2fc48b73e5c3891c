"""What a result is taken for, and what is said of it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.errors import ModelError
from holdsteady.models.card import Kind, ModelCard
from holdsteady.models.colours import palette
from holdsteady.models.display import Style
from holdsteady.models.guess import Guess, guess
from holdsteady.models.sizes import try_model

FRAME = torch.rand(1, 3, 240, 320, generator=torch.Generator().manual_seed(0))


def of(model: Callable[[Tensor], Any], **fields: Any) -> Guess:
    card = ModelCard(**fields)
    return guess(try_model(model, FRAME, card), FRAME, card)


@pytest.mark.parametrize(
    ("model", "kind", "line", "doubts"),
    [
        (lambda x: x, "image", "output: 3×240×320 in 0.0…1.0, taken for an image", []),
        (lambda x: (x * 1.5 - 0.3, x, x), "image", "output 0 of 3: 3×240×320 in -0.3…1.2", ["gives 3 images"]),
        (lambda x: {"a": x, "b": x[:, 0]}, "image", "output a of a, b: 3×240×320", [r"\(a, b\): .*--output NAME"]),
        (lambda x: x * 255, "image", "in 0…255, taken", ["looks like 0…255: give --output-range 0..255, or --range"]),
        (lambda x: 2 * x - 1, "image", "in -1.0…1.0", ["looks like -1…1: give --output-range -1..1, or --range"]),
        (lambda x: 20 * x - 10, "image", "in -10.0…10.0", ["as logits are: if the channels are 3 classes"]),
        (lambda x: x.softmax(dim=1), "image", "3×240×320", ["add up to 1 .* --kind classes"]),
        (lambda x: torch.cat((x, x[:, :1]), 1), "classes", "logits of 4 classes", ["may be a picture with alpha"]),
        (lambda x: torch.cat((x, x[:, :1]), 1) * 9 - 5, "classes", "logits of 4 classes", []),
        (lambda x: x.repeat(1, 7, 1, 1), "classes", "21×240×320 in 0.0…1.0, taken for logits of 21 classes", []),
        (lambda x: x[:, :2], "classes", "logits of 2 classes", []),
        (lambda x: x.mean(dim=1), "image", "1×240×320", []),
        (lambda x: x.mean(dim=1) * 8, "depth", "taken for a depth map", []),
        (lambda x: x.mean(dim=1) * 8 - 4, "depth", "taken for a depth map", ["logits of a mask, give --kind mask"]),
        (lambda x: (x.mean(dim=1) * 20).long(), "labels", "taken for class numbers", []),
        (lambda x: (x.mean(dim=1) * 255).byte(), "labels", "class numbers", ["grey picture, give --kind image"]),
        (lambda x: (x.mean(dim=1) * 9999).to(torch.uint16), "depth", "taken for a depth map", []),
        (lambda x: (x.mean(dim=1) * 5).long() - 1, "depth", "in -1.0…", []),
        (lambda x: x[:, :1] > 0.5, "mask", "taken for a mask", []),
        (lambda x: (x[:, :1] > 0.5).byte() * 255, "mask", "in 0…255, taken for a mask", []),
        (lambda x: (x * 65535).to(torch.uint16), "image", "3×240×320 in ", []),
        (lambda x: (x * 255).byte(), "image", "3×240×320 in 0…254", []),
        (lambda x: F.avg_pool2d(x, 4), "image", "3×60×80", ["80x60 for a frame of 320x240: it is enlarged"]),
        (lambda x: F.avg_pool2d(x, 2), "image", "3×120×160", []),
    ],
)
def test_what_it_is_taken_for(model: Callable[[Tensor], Any], kind: str, line: str, doubts: list[str]) -> None:
    found = of(model)
    assert found.kind == kind
    assert line in found.line
    assert len(found.doubts) == len(doubts)
    for doubt, words in zip(found.doubts, doubts, strict=True):
        assert re.search(words, doubt), doubt


def test_what_a_card_says_is_neither_guessed_nor_doubted() -> None:
    assert of(lambda x: x * 20 - 10, kind="classes").doubts == ()
    assert of(lambda x: F.avg_pool2d(x, 4), kind="image", scale=1).doubts == ()
    assert of(lambda x: x * 20 - 10, kind="depth").kind == "depth"


def test_classes_of_class_numbers_have_room() -> None:
    assert of(lambda x: (x.mean(dim=1) * 3).long()).classes == 32
    assert of(lambda x: (x.mean(dim=1) > 0.5).long() * 149).classes == 256
    assert of(lambda x: (x.mean(dim=1) * 3).long(), classes=7).classes == 7


def test_no_image() -> None:
    with pytest.raises(ModelError, match=r"gives torch.float32 \(1, 3\), not an image"):
        of(lambda x: x.mean(dim=(2, 3)))


def test_an_image_without_channels() -> None:
    with pytest.raises(ModelError, match=r"\(1, 0, 112, 113\), an image with nothing in it"):
        of(lambda x: x[:, :0])


def test_how_it_is_to_be_shown_tells_what_one_channel_is() -> None:
    def one(x: Tensor) -> Tensor:
        return x.mean(dim=1)

    for style, kind in (
        (Style(colours=palette(8)), "depth"),
        (Style(alpha=True), "mask"),
        (Style(overlay=0.5), "image"),
    ):
        assert guess(try_model(one, FRAME), FRAME, ModelCard(), style).kind == kind


@pytest.mark.parametrize(
    ("style", "kind", "words"),
    [
        (Style(colours=palette(8)), "image", "--colormap is for depth, and has no effect on an image; --kind says"),
        (Style(class_colours=palette(8)), "depth", "--class-colors is for classes or labels, .* on a depth map"),
        (Style(background=torch.zeros(3, 1, 1)), "classes", "--background is for mask, and has no effect on logits"),
        (Style(overlay=0.5), "image", "--overlay is for depth or classes or labels or mask"),
        (None, "depth", "a depth map has one channel, and the output 3: the first is shown"),
        (None, "mask", "a mask has one channel, and the output 3: the first is shown"),
    ],
)
def test_flags_and_kinds_that_do_not_fit_are_told(style: Style | None, kind: Kind, words: str) -> None:
    doubts = guess(try_model(lambda x: x, FRAME), FRAME, ModelCard(kind=kind), style).doubts
    assert any(re.search(words, doubt) for doubt in doubts), doubts


def test_one_channel_holds_no_classes() -> None:
    with pytest.raises(ModelError, match=r"one channel, not one for each class; of class numbers, --kind labels"):
        of(lambda x: x[:, :1], kind="classes")
