"""Rendered layers against closed forms, and their truths against each other."""

import numpy as np
import pytest
import torch

from holdsteady.data.render import Layer, halved, render

SIZE = 24, 32


def texture(height: int, width: int, alpha: bool, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 4 if alpha else 3), dtype=np.uint8)


def moved(x: list[float], y: list[float], depth: float = 1) -> np.ndarray:
    """Homographies that move a texture of one texel a pixel, at a depth."""
    matrices = np.tile(np.eye(3), (len(x), 1, 1))
    matrices[:, 0, 2], matrices[:, 1, 2] = x, y
    return depth * matrices


def piece(x: list[float], y: list[float], side: int = 8, depth: float = 1, label: int = 1) -> Layer:
    square = texture(side + 4, side + 4, alpha=True, seed=1)
    square[..., 3] = 0
    square[2:-2, 2:-2, 3] = 255
    return Layer((square,), moved([a - 2 for a in x], [b - 2 for b in y], depth), label)


def wall(x: list[float], y: list[float], depth: float = 5) -> Layer:
    return Layer((texture(64, 64, alpha=False),), moved([a - 10 for a in x], [b - 10 for b in y], depth), endless=True)


def test_a_moving_wall_has_exact_flow_and_depth() -> None:
    sample = render([wall([0, 3, 1], [0, -2, -2.5])], SIZE)
    assert sample["frames"].shape == (3, 3, *SIZE)
    assert sample["depth"].eq(5).all()
    assert sample["classes"].eq(0).all()
    expected = torch.tensor([[-3.0, 2.0], [2.0, 0.5]])[..., None, None].expand(2, 2, *SIZE)
    torch.testing.assert_close(sample["flow"], expected)
    # Moved by (3, −2): what is seen for the first time are the three columns on the left and two rows below.
    new = torch.zeros(SIZE, dtype=torch.bool)
    new[:, :3] = new[-2:] = True
    assert torch.equal(sample["visible"][0, 0], ~new)
    # OpenCV rounds places in the texture to 1/32.
    torch.testing.assert_close(sample["frames"][1, :, :-2, 3:], sample["frames"][0, :, 2:, :-3], atol=0.02, rtol=0)


def test_one_texel_a_pixel_is_the_mean_of_its_four_quarters() -> None:
    sample = render([wall([0], [0])], SIZE)
    image = texture(64, 64, alpha=False).astype(np.float64) / 255
    # Samples a quarter of a pixel to each side of the centre weigh the neighbours (1, 6, 1)/8 in each direction.
    rows = (image[9:33] + 6 * image[10:34] + image[11:35]) / 8
    expected = (rows[:, 9:41] + 6 * rows[:, 10:42] + rows[:, 11:43]) / 8
    torch.testing.assert_close(
        sample["frames"][0].permute(1, 2, 0).double(), torch.from_numpy(expected), atol=0.005, rtol=0
    )


def test_a_piece_hides_what_is_behind_and_uncovers_it() -> None:
    sample = render([wall([0, 0], [0, 0]), piece([4, 8], [5, 5], depth=2)], SIZE)
    now, before = torch.zeros(SIZE, dtype=torch.bool), torch.zeros(SIZE, dtype=torch.bool)
    before[5:13, 4:12] = now[5:13, 8:16] = True
    for t, place in enumerate((before, now)):
        assert torch.equal(sample["classes"][t], place.long())
        assert torch.equal(sample["depth"][t, 0], torch.where(place, 2.0, 5.0))
    expected = torch.stack((torch.where(now, -4.0, 0.0), torch.zeros(SIZE)))
    torch.testing.assert_close(sample["flow"][0], expected, atol=1e-6, rtol=0)
    # The wall is new where the piece was and no longer is; the piece was seen before everywhere.
    assert torch.equal(sample["visible"][0, 0], ~(before & ~now))


def test_a_piece_that_comes_out_from_behind_another_was_not_seen() -> None:
    behind, front = piece([6, 12], [6, 6], label=1), piece([6, 6], [6, 6], label=2)
    sample = render([wall([0, 0], [0, 0]), behind, front], SIZE)
    assert sample["classes"][0].unique().tolist() == [0, 2]
    out = sample["classes"][1] == 1
    assert out.sum() == 8 * 6
    assert not sample["visible"][0, 0][out].any()


def test_visibility_is_exact_at_edges_that_move_by_parts_of_a_pixel() -> None:
    random = np.random.default_rng(0)
    for _ in range(10):
        # Odd sixteenths: no ties, and whole steps of the 1/32 to which OpenCV rounds places in the texture.
        x, y = random.integers(32, 96, 2) / 8 + 1 / 16, random.integers(32, 80, 2) / 8 + 1 / 16
        sample = render([wall([0, 0], [0, 0]), piece(list(x), list(y))], SIZE)
        covers = []
        for a, b in zip(x, y, strict=True):
            # Alpha falls off linearly between the last texel of the square and the next, along both axes.
            column, row = (np.arange(n) - start for n, start in ((SIZE[1], a), (SIZE[0], b)))
            across, down = (np.clip(1 + u, 0, 1) * np.clip(8 - u, 0, 1) for u in (column, row))
            covers.append(down[:, None] * across >= 128 / 255)
        assert np.array_equal(sample["classes"][1].numpy() == 1, covers[1])
        # The wall stands still: it was seen unless the piece was there. The piece was seen entirely.
        assert np.array_equal(sample["visible"][0, 0].numpy(), covers[1] | ~covers[0])


def tilted(angle: float, move: float) -> np.ndarray:
    """A plane turned about the vertical axis, 4 away, the camera moved to the right."""
    focal, unit = 30.0, 0.1
    lens = np.array([[focal, 0, 15.5], [0, focal, 11.5], [0, 0, 1]])
    across = unit * np.array([np.cos(angle), 0, np.sin(angle)])
    down = np.array([0, unit, 0])
    corner = np.array([-move, 0, 4]) - 32 * across - 32 * down
    return lens @ np.stack((across, down, corner), axis=1)


def test_a_tilted_plane_has_the_depth_and_flow_of_its_geometry() -> None:
    angle, moves = 0.5, [0.0, 0.2]
    layer = Layer((texture(64, 64, alpha=False),), np.stack([tilted(angle, m) for m in moves]), endless=True)
    sample = render([layer], SIZE)
    # The plane is z = 4 + (x + move) tan(angle) in camera coordinates, and pixel p sees x = z (p − 15.5)/30.
    p = torch.arange(32, dtype=torch.float64)
    for t, move in enumerate(moves):
        z = (4 + move * np.tan(angle)) / (1 - (p - 15.5) / 30 * np.tan(angle))
        torch.testing.assert_close(sample["depth"][t, 0].double(), z.expand(SIZE), rtol=1e-5, atol=0)
    x = z * (p - 15.5) / 30 + 0.2  # in the camera of the first frame, which is 0.2 to the left
    torch.testing.assert_close(sample["flow"][0, 0].double(), (30 * x / z + 15.5 - p).expand(SIZE), rtol=0, atol=1e-4)


def test_a_floor_ends_where_it_meets_the_wall() -> None:
    lens = np.array([[30, 0, 15.5], [0, 30, 5.5], [0, 0, 1.0]])
    floor = lens @ np.array([[0.1, 0, -3], [0, 0, 1.5], [0, 0.1, 0]])  # y = 1.5, z = v/10
    back = lens @ np.array([[0.2, 0, -10], [0, 0.2, -10], [0, 0, 6.0]])
    textures = halved(texture(64, 64, alpha=False), 4)
    layers = [
        Layer((texture(128, 128, alpha=False),), back[None], 0, endless=True),
        Layer(textures, floor[None], 1, endless=True, meets=0),
    ]
    sample = render(layers, SIZE)
    row = torch.arange(24, dtype=torch.float32)
    # The floor is 1.5 · 30/(row − 5.5) away, and reaches the wall, 6 away, at row 13.
    assert torch.equal(sample["classes"][0], (row >= 13).long()[:, None].expand(SIZE))
    expected = torch.where(row >= 13, 45 / (row - 5.5), 6.0)
    torch.testing.assert_close(sample["depth"][0, 0], expected[:, None].expand(SIZE))


def test_distant_texture_is_blurred_instead_of_aliased() -> None:
    lens = np.array([[30, 0, 15.5], [0, 30, -4], [0, 0, 1.0]])
    chess = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(255)
    chess = np.dstack([chess] * 3).astype(np.uint8)
    floor = lens @ np.array([[0.02, 0, -3], [0, 0, 1.5], [0, 0.02, 0]])
    back = lens @ np.array([[1.0, 0, -100], [0, 1, -100], [0, 0, 1000]])
    wall_ = Layer((chess,), back[None], endless=True)
    flat = render([wall_, Layer(halved(chess, 6), floor[None], 1, endless=True, meets=0)], SIZE)["frames"]
    sharp = render([wall_, Layer((chess,), floor[None], 1, endless=True, meets=0)], SIZE)["frames"]
    assert flat[0, 0, :12].std() < 0.05 < sharp[0, 0, :12].std()


@pytest.mark.parametrize("length", [1, 2])
def test_short_clips_have_as_many_flows_as_steps(length: int) -> None:
    sample = render([wall([0.0] * length, [0.0] * length)], SIZE)
    assert sample["flow"].shape == (length - 1, 2, *SIZE)
    assert sample["visible"].shape == (length - 1, 1, *SIZE)
    assert sample["visible"].dtype == torch.bool
    assert sample["classes"].dtype == torch.int64


def test_a_piece_outside_of_the_picture_leaves_no_trace() -> None:
    alone = render([wall([0, 1], [0, 0])], SIZE)
    both = render([wall([0, 1], [0, 0]), piece([-50, -40], [3, 3])], SIZE)
    assert all(torch.equal(alone[key], both[key]) for key in alone)
