"""Layouts: inferred from shapes, stated, and there and back again."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from holdsteady.adapters.layout import Layout, infer_layout, output_layout, stated_layout, token_grid
from holdsteady.errors import LayoutError

batches = st.integers(1, 3)
channels = st.integers(1, 40)
sides = st.integers(32, 200)
divisors = st.sampled_from([1, 2, 4, 8])


def scaled(height: int, width: int, divisor: int) -> tuple[int, int]:
    return math.ceil(height / divisor), math.ceil(width / divisor)


@settings(max_examples=200, deadline=None)
@given(batches, channels, sides, sides, divisors)
def test_maps_at_every_scale_are_told_from_their_shape(b: int, c: int, h: int, w: int, divisor: int) -> None:
    space = scaled(h, w, divisor)
    assert infer_layout((b, c, *space), (h, w)) == Layout("map")
    # (w, c) may look like the frame too, and then a map is preferred.
    if min(space[1], c) > 6 and abs(math.log((space[1] / c) / (h / w))) > 0.7:
        assert infer_layout((b, *space, c), (h, w)) == Layout("channels-last")


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3), st.integers(64, 160), st.integers(64, 160), st.sampled_from([4, 8, 16, 32]))
def test_maps_of_padded_frames_are_told_too(c: int, h: int, w: int, stride: int) -> None:
    """As in networks that pad to a multiple of their stride: 360p becomes 368 lines at stride 16."""
    for divisor in (1, 2):
        height, width = (-(-side // stride) * stride // divisor for side in (h, w))
        assert infer_layout((1, c, height, width), (h, w)) == Layout("map")
        assert infer_layout((1, height, width, c), (h, w)) == Layout("channels-last")
    assert infer_layout((1, 32, 368, 640), (360, 640)) == Layout("map")
    assert infer_layout((1, 1088, 1920, 32), (1080, 1920)) == Layout("channels-last")


@settings(max_examples=200, deadline=None)
@given(batches, channels, sides, sides, st.sampled_from([8, 14, 16]), st.sampled_from([0, 1]))
def test_tokens_and_their_class_token_are_told_from_their_number(
    b: int, c: int, h: int, w: int, patch: int, prefix: int
) -> None:
    rows, columns = h // patch, w // patch
    assume(rows > 2 and columns > 2)
    h, w = rows * patch, columns * patch  # as such models ask for
    assume((rows * columns + prefix, c) != (h, w))
    layout = infer_layout((b, rows * columns + prefix, c), (h, w))
    assert layout.kind == "tokens"
    if layout.prefix == prefix:
        assert token_grid(rows * columns, (h, w)) == (rows, columns)
    else:  # n + 1 may be a grid of almost the frame's proportions too, and fewer prefix tokens are preferred
        assert layout.prefix < prefix


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((2, 7), "vector"),
        ((2, 7, 1, 1), "vector"),
        ((1, 48, 64), "depth"),  # at the frame's own size
        ((1, 197, 64), "tokens"),
        ((1, 3, 48, 64), "map"),
        ((1, 48, 64, 3), "channels-last"),
        ((1, 12, 16, 12), "map"),  # both fit to within a cell
    ],
)
def test_examples(shape: tuple[int, ...], layout: str) -> None:
    frame = (16, 12) if shape == (1, 12, 16, 12) else (48, 64)
    assert infer_layout(shape, (224, 224) if shape[1] == 197 else frame).kind == layout


@pytest.mark.parametrize(
    ("shape", "layout", "frame"),
    [
        ((2, 5, 6, 8), Layout("map"), (48, 64)),
        ((2, 6, 8, 5), Layout("channels-last"), (48, 64)),
        ((2, 48, 5), Layout("tokens"), (48, 64)),
        ((2, 49, 5), Layout("tokens", prefix=1), (48, 64)),
        ((2, 53, 5), Layout("tokens", prefix=5), (48, 64)),
        ((2, 20, 5), Layout("tokens", grid=(2, 10)), (48, 64)),
        ((2, 5), Layout("vector"), (48, 64)),
        ((2, 5, 1, 1), Layout("vector"), (48, 64)),
        ((2, 6, 8), Layout("depth"), (48, 64)),
    ],
)
def test_there_and_back(shape: tuple[int, ...], layout: Layout, frame: tuple[int, int]) -> None:
    value = torch.rand(shape)
    as_map = layout.to_map(value, frame)
    space = {"vector": (1, 1), "tokens": layout.grid or (6, 8)}.get(layout.kind, (6, 8))
    assert as_map.shape == (2, 1 if layout.kind == "depth" else 5, *space)
    assert torch.equal(layout.from_map(as_map, value), value)


def test_tokens_are_read_row_by_row_and_class_tokens_are_kept() -> None:
    value = torch.arange(1 + 2 * 3).float()[None, :, None]
    layout = Layout("tokens", prefix=1)
    as_map = layout.to_map(value, (20, 30))
    assert as_map[0, 0].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert layout.from_map(as_map + 10, value).flatten().tolist() == [0, 11, 12, 13, 14, 15, 16]


@pytest.mark.parametrize("shape", [(1,), (1, 3, 10, 60), (1, 62, 7), (1, 2, 3, 4, 5), (1, 5, 2, 9)])
def test_shapes_of_no_reading_are_refused_with_the_way_out(shape: tuple[int, ...]) -> None:
    with pytest.raises(LayoutError, match=r"can't tell the axes.*48×64.*layouts=\{'NAME': 'map'\}.*channels-last"):
        infer_layout(shape, (48, 64))


def test_a_stated_layout_is_checked() -> None:
    assert stated_layout("depth", (1, 12, 16), (48, 64), None) == Layout("depth")
    assert stated_layout("map", (1, 5, 2, 9), (48, 64), None) == Layout("map")
    assert stated_layout("tokens", (1, 21, 8), (48, 64), (2, 10)) == Layout("tokens", prefix=1, grid=(2, 10))
    with pytest.raises(LayoutError, match=r"'map' has 4 axes; the tensor has 3"):
        stated_layout("map", (1, 12, 16), (48, 64), None)
    with pytest.raises(LayoutError, match=r"62 tokens make no grid of the frame's proportions 48×64; give grid="):
        stated_layout("tokens", (1, 62, 8), (48, 64), None)
    with pytest.raises(LayoutError, match="62 tokens"):
        stated_layout("tokens", (1, 62, 8), (48, 64), (3, 9))


def test_registers_are_not_taken_for_a_part_of_the_grid() -> None:
    """5×5 patches and five prefix tokens, not 5×6."""
    assert infer_layout((1, 30, 8), (70, 70)) == Layout("tokens", prefix=5)


def test_a_given_grid_is_taken() -> None:
    assert infer_layout((1, 21, 8), (48, 64), grid=(2, 10)) == Layout("tokens", prefix=1, grid=(2, 10))


@pytest.mark.parametrize(
    ("shape", "are_classes", "kind"),
    [
        ((1, 384, 384), False, "depth"),
        ((1, 256, 256), False, "depth"),
        ((1, 192, 256), False, "depth"),
        ((1, 1, 48, 48), False, "map"),
        ((1, 48, 48, 3), False, "channels-last"),
        ((1, 21, 48, 48), True, "map"),
        ((1, 21, 48, 48), False, None),
        ((1, 1024, 768), False, None),  # 32×32 tokens
        ((1, 197, 768), False, None),
        ((1, 196, 256), False, None),
        ((1, 12, 197, 197), False, None),  # maps of attention
        ((1, 5, 4), False, None),
    ],
)
def test_outputs_of_a_size_of_their_own(shape: tuple[int, ...], are_classes: bool, kind: str | None) -> None:
    found = output_layout(shape, are_classes=are_classes)
    assert (None if found is None else found.kind) == kind
