"""Values as pictures: depth without flicker, classes in their colours, masks over something."""

from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.errors import ConfigError, ModelError
from holdsteady.models.colours import background, class_colours, colour_map, palette
from holdsteady.models.display import Display, Style, as_picture

FRAME = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(0))


def depth(low: float, high: float, size: int = 40) -> Tensor:
    """A ramp (1, 1, size, size)."""
    return torch.linspace(low, high, size * size).reshape(1, 1, size, size)


def test_the_first_depth_map_fills_the_range() -> None:
    shown = Display("depth")(depth(2, 6), FRAME)
    torch.testing.assert_close(shown, depth(0, 1), atol=0.01, rtol=0)
    assert Display("depth")(torch.full((1, 1, 2, 2), 5.0), FRAME).isfinite().all(), "a flat map has no range"
    empty = Display("depth")
    empty(torch.full((1, 1, 2, 2), torch.nan), FRAME)
    assert empty.memory.range == (0.0, 1.0)


def test_a_few_far_pixels_do_not_make_the_rest_black() -> None:
    sky = depth(2, 6)
    sky[0, 0, -1, -2:] = 1e6
    assert Display("depth")(sky, FRAME).median() == pytest.approx(0.5, abs=0.01)
    sky[0, 0, 0, 0] = torch.inf
    assert Display("depth")(sky, FRAME).median() == pytest.approx(0.5, abs=0.01)


def test_depth_does_not_flicker_where_the_ends_of_its_range_do() -> None:
    display, generator = Display("depth"), torch.Generator().manual_seed(0)
    levels = []
    for _ in range(60):
        jitter = 1 + 0.05 * torch.randn((), generator=generator).item()
        scene = depth(2, 6 * jitter)
        scene[0, 0, 20, 20] = 4.0  # a thing that stays where it is
        levels.append(display(scene, FRAME)[0, 0, 20, 20].item())
    change = np.abs(np.diff(levels[10:]))
    assert change.max() < 2 / 255 and change.mean() < 0.5 / 255


def test_depth_neither_saturates_nor_fades_when_the_scene_changes_within_a_shot() -> None:
    display = Display("depth")
    for frame in range(100):  # a camera that draws back: four times as deep in four seconds
        shown = display(depth(1, 4 * 4 ** (frame / 100)), FRAME)
        assert ((shown > 1).float().mean() < 0.2).item()
    for frame in range(400):
        shown = display(depth(1, 16 if frame < 100 else 4), FRAME)
    assert shown.max() > 0.9 and shown.median() > 0.4


def test_depth_starts_anew_at_a_cut() -> None:
    display = Display("depth")
    display(depth(2, 6), FRAME)
    assert display(depth(100, 300), FRAME).median() > 1
    display.reset()
    torch.testing.assert_close(display(depth(100, 300), FRAME), depth(0, 1), atol=0.01, rtol=0)


def test_depth_in_matplotlibs_colours() -> None:
    shown = Display("depth", Style(colours=colour_map("inferno")))(depth(0, 1), FRAME)
    wanted = torch.tensor(matplotlib.colormaps["inferno"](depth(0, 1)[0, 0].numpy())[..., :3]).permute(2, 0, 1)
    torch.testing.assert_close(shown[0].double(), wanted, atol=0.03, rtol=0)
    holes = depth(0, 1)
    holes[0, 0, 3, 3] = torch.nan
    assert Display("depth", Style(colours=colour_map("inferno")))(holes, FRAME).isfinite().all()
    with pytest.raises(ConfigError, match=r"no colour map 'infernoo' \(did you mean inferno"):
        colour_map("infernoo")


def test_images_are_shown_as_they_are() -> None:
    for channels in (1, 3):
        picture = torch.rand(1, channels, 4, 5) * 3 - 1
        assert Display("image")(picture, FRAME) is picture
    assert torch.equal(Display("image")(torch.cat((FRAME, FRAME[:, :1]), 1), FRAME), FRAME)
    with pytest.raises(ModelError, match="1 or 3 channels, this one 2"):
        Display("image")(FRAME[:, :2], FRAME)


def test_classes_have_colours_that_differ() -> None:
    numbers = torch.arange(21).reshape(1, 3, 7)
    shown = Display("classes")(numbers, FRAME)
    torch.testing.assert_close(shown[0].flatten(1).T, palette(21))
    assert shown[0, :, 0, 0].tolist() == [0, 0, 0]
    distances = torch.cdist(palette(21), palette(21)) + torch.eye(21)
    assert distances.min() > 0.05 and palette(21).min() >= 0 and palette(21).max() <= 1
    few = Display("labels", Style(class_colours=torch.ones(2, 3)))(numbers, FRAME)
    assert (few[0, :, 0, :2] == 1).all() and few.shape == (1, 3, 3, 7), "more classes than colours"


def test_palettes_of_data_sets() -> None:
    def bytes_of(name: str, number: int) -> list[int]:
        return (class_colours(name)[number] * 255).round().int().tolist()

    assert [len(class_colours(name)) for name in ("cityscapes", "ade20k", "voc")] == [19, 150, 256]
    assert bytes_of("cityscapes", 0) == [128, 64, 128] and bytes_of("cityscapes", 13) == [0, 0, 142]  # road, car
    assert bytes_of("ade20k", 2) == [6, 230, 230] and bytes_of("ade20k", 149) == [92, 0, 255]  # sky, flag
    # aeroplane, person, tv monitor, and the border
    assert [bytes_of("voc", n) for n in (1, 15, 20, 255)] == [
        [128, 0, 0], [192, 128, 128], [0, 64, 128], [224, 224, 192],
    ]  # fmt: skip


def test_class_colours_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "colours.txt"
    path.write_text("#000000 sky\n\n255 128 0\n0,0,255 water\n")
    assert (class_colours(str(path)) * 255).tolist() == [[0, 0, 0], [255, 128, 0], [0, 0, 255]]
    path.write_text("#ff0000 sky\n", encoding="utf-8-sig")  # as some editors write it
    assert (class_colours(str(path)) * 255).tolist() == [[255, 0, 0]]
    faults = {"#00000": "line 1: '#00000' is not a colour", "1 2 256": "is not a colour", "": "has no colours"}
    for text, words in faults.items():
        path.write_text(text)
        with pytest.raises(ConfigError, match=words):
            class_colours(str(path))
    with pytest.raises(ConfigError, match=r"no palette of that name \(did you mean cityscapes"):
        class_colours("cityscape")


def test_an_overlay_lies_on_the_input() -> None:
    numbers = torch.ones(1, 6, 8, dtype=torch.long)
    shown = Display("classes", Style(overlay=0.25))(numbers, FRAME)
    torch.testing.assert_close(shown, 0.75 * FRAME + 0.25 * palette(2)[1][:, None, None])
    larger = Display("classes", Style(overlay=0.5))(torch.zeros(1, 12, 16, dtype=torch.long), FRAME)
    torch.testing.assert_close(larger, F.interpolate(FRAME, (12, 16), mode="bilinear") / 2)
    over = Display("depth", Style(overlay=0.5))(torch.linspace(0, 1, 48).reshape(1, 1, 6, 8), FRAME)
    assert over.shape == FRAME.shape


def test_masks() -> None:
    mask = torch.rand(1, 1, 6, 8)
    assert torch.equal(Display("mask")(mask, FRAME), mask)
    logits = torch.randn(1, 1, 6, 8) * 5
    torch.testing.assert_close(Display("mask")(logits, FRAME), logits.sigmoid())
    two = torch.cat((torch.zeros_like(logits), logits), dim=1)
    torch.testing.assert_close(Display("mask")(two, FRAME), logits.sigmoid())
    steady = Display("mask")
    steady(logits, FRAME)
    assert torch.equal(steady(mask, FRAME), mask.sigmoid()), "the first frame tells what all are"


def test_what_a_mask_cuts_out(tmp_path: Path) -> None:
    mask = torch.rand(1, 1, 6, 8)
    green = Display("mask", Style(background=background("#00ff00")))(mask, FRAME)
    torch.testing.assert_close(green, mask * FRAME + (1 - mask) * torch.tensor([0.0, 1, 0])[:, None, None])
    cv2.imwrite(str(tmp_path / "blue.png"), np.full((3, 4, 3), (255, 0, 0), np.uint8))
    blue = Display("mask", Style(background=background(str(tmp_path / "blue.png"))))(mask, FRAME)
    torch.testing.assert_close(blue, mask * FRAME + (1 - mask) * torch.tensor([0.0, 0, 1])[:, None, None])
    cut = Display("mask", Style(alpha=True))(mask, FRAME)
    assert torch.equal(cut, torch.cat((FRAME, mask), dim=1))
    tinted = Display("mask", Style(overlay=0.5))(torch.zeros_like(mask), FRAME)
    assert torch.equal(tinted, FRAME)
    with pytest.raises(ConfigError, match="no picture is there"):
        background("gone.png")
    with pytest.raises(ConfigError, match="write it as #rrggbb"):
        background("#0f0")


def test_an_image_on_its_own() -> None:
    assert torch.equal(as_picture(FRAME), FRAME)
    assert torch.equal(as_picture(FRAME[:, :1]), FRAME[:, :1])
    assert as_picture(FRAME[:, :1] * 9).max() < 1.1
    assert as_picture(FRAME.repeat(1, 7, 1, 1)).shape == FRAME.shape
