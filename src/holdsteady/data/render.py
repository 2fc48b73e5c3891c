"""Moving textured planes drawn as a clip, with exact depth, classes, flow and visibility beside the frames.

Each layer is a flat texture with a homography per frame. A homography M brings texture coordinates (u, v, 1) to
z·(x, y, 1), picture coordinates times depth. So M⁻¹ (x, y, 1) = (u, v, 1)/z: it tells the depth of a pixel, and
M_{t−1} M_t⁻¹ where the pixel was one frame before. Pixel centres have whole numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import cv2
import numpy as np
import numpy.typing as npt
import torch

from .sample import Sample

Array: TypeAlias = npt.NDArray[Any]

# Frames are drawn at twice their size and averaged, which softens edges as a lens does.
_TO_FINE = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])


@dataclass(frozen=True)
class Layer:
    """A flat piece of a scene.

    Attributes:
        textures: RGBA (h, w, 4) uint8, or RGB (h, w, 3) if it is endless, with about two texels a pixel; a piece
            that reaches far into the depth has more of them, each half the size of the one before.
        to_image: M_t for each frame, (T, 3, 3).
        label: Its class.
        endless: Whether it continues beyond its borders, mirrored.
        meets: Position of an earlier layer whose plane cuts this one off: only what is nearer than it is seen.
    """

    textures: tuple[npt.NDArray[np.uint8], ...]
    to_image: Array
    label: int = 0
    endless: bool = False
    meets: int | None = None


def render(layers: Sequence[Layer], size: tuple[int, int]) -> Sample:
    """A clip of layers, drawn from the first, which is endless and fills the frame, to the last.

    Args:
        layers: At least one; the pieces in front have their whole textures before the camera.
        size: Height and width of the frames in pixels.

    Returns:
        frames, depth, classes, flow and visible, as in ``KEYS``. A pixel belongs to the front layer that covers
        its centre at least by half.
    """
    inverses = [np.linalg.inv(layer.to_image) for layer in layers]
    length = len(layers[0].to_image)
    frames = np.stack([_frame(layers, inverses, t, size) for t in range(length)])
    owners = np.stack([_owners(layers, inverses, t, size) for t in range(length)])
    area = size[0] * size[1]
    depth = np.zeros((length, area), np.float32)
    flow = np.full((max(length - 1, 0), 2, area), np.nan, np.float32)
    visible = np.zeros((len(flow), area), bool)
    pixels = np.stack((*np.indices(size)[::-1], np.ones(size))).reshape(3, area)
    for t in range(length):
        for number, layer in enumerate(layers):
            own = np.flatnonzero(owners[t] == number)
            here = pixels[:, own]
            depth[t, own] = 1 / (inverses[number][t][2] @ here)
            if t > 0:
                before = layer.to_image[t - 1] @ inverses[number][t] @ here
                ahead = before[2] > 0
                own, here, before = own[ahead], here[:2, ahead], before[:2, ahead] / before[2, ahead]
                flow[t - 1, 0, own], flow[t - 1, 1, own] = before - here
                visible[t - 1, own] = _seen(layers, inverses, number, t - 1, before, owners[t - 1])
    labels = np.array([layer.label for layer in layers], np.int64)
    return {
        "frames": torch.from_numpy(frames),
        "depth": torch.from_numpy(depth).view(length, 1, *size),
        "classes": torch.from_numpy(labels[owners]),
        "flow": torch.from_numpy(flow).view(-1, 2, *size),
        "visible": torch.from_numpy(visible).view(-1, 1, *size),
    }


def halved(texture: npt.NDArray[np.uint8], levels: int) -> tuple[npt.NDArray[np.uint8], ...]:
    """A texture and smaller versions of it, each half the size of the one before."""
    result = [texture]
    while len(result) < levels and min(result[-1].shape[:2]) >= 4:
        height, width = result[-1].shape[:2]
        small = cv2.resize(result[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        result.append(cast(npt.NDArray[np.uint8], small))
    return tuple(result)


def _frame(layers: Sequence[Layer], inverses: Sequence[Array], t: int, size: tuple[int, int]) -> Array:
    """One frame (3, H, W) float32 in [0, 1]."""
    height, width = 2 * size[0], 2 * size[1]
    canvas = np.zeros((height, width, 3), np.float32)
    for number, layer in enumerate(layers):
        matrix = _TO_FINE @ layer.to_image[t]
        nearer = None
        if layer.meets is not None:
            edge = (inverses[number][t] - inverses[layer.meets][t])[2] @ np.linalg.inv(_TO_FINE)
            nearer = np.clip(_values(edge, (height, width)) / np.hypot(*edge[:2]) + 0.5, 0, 1).astype(np.float32)
        box = _box(layer, matrix, nearer, (height, width))
        if box is None:
            continue
        top, bottom, left, right = box
        shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])
        piece = _sampled(layer, shift @ matrix, (bottom - top, right - left))
        part = canvas[top:bottom, left:right]
        if nearer is not None:
            part += nearer[top:bottom, left:right, None] * (piece - part)
        elif layer.endless:
            part[:] = piece
        else:
            part += piece[..., 3:] * np.float32(1 / 255) * (piece[..., :3] - part)
    small = cv2.resize(canvas, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small.transpose(2, 0, 1)) * np.float32(1 / 255)


def _owners(layers: Sequence[Layer], inverses: Sequence[Array], t: int, size: tuple[int, int]) -> Array:
    """Which layer each pixel (H, W) shows."""
    owners = np.zeros(size, np.int64)
    for number, layer in enumerate(layers[1:], 1):
        if layer.meets is not None:
            owners[_values((inverses[number][t] - inverses[layer.meets][t])[2], size) >= 0] = number
            continue
        box = _box(layer, layer.to_image[t], None, size)
        if box is not None:
            top, bottom, left, right = box
            shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])
            alpha = np.ascontiguousarray(layer.textures[0][..., 3])
            covers = cv2.warpPerspective(alpha, shift @ layer.to_image[t], (right - left, bottom - top))
            owners[top:bottom, left:right][covers >= 128] = number
    return owners


def _box(layer: Layer, matrix: Array, nearer: Array | None, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Top, bottom, left and right of the part of the picture that a layer can cover; None if there is none."""
    height, width = size
    if nearer is not None:
        rows = np.nonzero(nearer.any(axis=1))[0]
        return (int(rows[0]), int(rows[-1]) + 1, 0, width) if len(rows) else None
    if layer.endless:
        return 0, height, 0, width
    h, w = layer.textures[0].shape[:2]
    corners = matrix @ np.array([[-1, w, w, -1], [-1, -1, h, h], [1, 1, 1, 1]])
    x, y = corners[:2] / corners[2]
    left, top = max(0, int(np.floor(x.min()))), max(0, int(np.floor(y.min())))
    right, bottom = min(width, int(np.ceil(x.max())) + 1), min(height, int(np.ceil(y.max())) + 1)
    return (top, bottom, left, right) if top < bottom and left < right else None


def _sampled(layer: Layer, matrix: Array, size: tuple[int, int]) -> Array:
    """The texture as seen through `matrix`, (h, w, 3 or 4) 0..255, from the two levels nearest in size."""
    border = cv2.BORDER_REFLECT_101 if layer.endless else cv2.BORDER_CONSTANT
    if len(layer.textures) == 1:
        return _warped(layer.textures[0], matrix, size, border)
    inverse = np.linalg.inv(matrix)
    # A pixel covers |det M⁻¹| z³ texels.
    nearness = np.maximum(_values(inverse[2], size), 1e-9).astype(np.float32)
    level = 0.5 * np.log2(abs(np.linalg.det(inverse))) - 1.5 * np.log2(nearness)
    level = np.clip(level, 0, len(layer.textures) - 1)
    total = np.zeros((*size, 3), np.float32)
    for number, texture in enumerate(layer.textures):
        weight = np.maximum(0, 1 - np.abs(level - number))
        rows = np.nonzero(weight.any(axis=1))[0]
        if len(rows):
            top, bottom = rows[0], rows[-1] + 1
            step = 2.0**number
            coarse = np.array([[step, 0, (step - 1) / 2], [0, step, (step - 1) / 2], [0, 0, 1]])
            shift = np.array([[1, 0, 0], [0, 1, -top], [0, 0, 1.0]])
            piece = _warped(texture, shift @ matrix @ coarse, (bottom - top, size[1]), border)
            total[top:bottom] += weight[top:bottom, :, None] * piece
    return total


def _warped(texture: npt.NDArray[np.uint8], matrix: Array, size: tuple[int, int], border: int) -> Array:
    return cv2.warpPerspective(texture, matrix, (size[1], size[0]), flags=cv2.INTER_LINEAR, borderMode=border)


def _values(row: Array, size: tuple[int, int]) -> Array:
    """a x + b y + c at each pixel (H, W), of the row (a, b, c)."""
    return row[0] * np.arange(size[1]) + row[1] * np.arange(size[0])[:, None] + row[2]


def _seen(
    layers: Sequence[Layer], inverses: Sequence[Array], number: int, t: int, places: Array, owners: Array
) -> Array:
    """Whether places (2, N) of a layer lie in the picture at time t with nothing in front of them."""
    height, width = owners.shape
    x, y = np.floor(places + 0.5)
    seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    candidates = np.nonzero(seen)[0]
    # Well within what the picture shows of the layer there is nothing to be checked.
    within = cv2.erode((owners == number).astype(np.uint8), np.ones((3, 3), np.uint8))
    candidates = candidates[within[y[candidates].astype(int), x[candidates].astype(int)] == 0]
    for other in range(number + 1, len(layers)):
        candidates = candidates[seen[candidates]]
        seen[candidates] = ~_covers(layers, inverses, other, t, places[:, candidates])
    return seen


def _covers(layers: Sequence[Layer], inverses: Sequence[Array], number: int, t: int, places: Array) -> Array:
    """Whether a layer covers places (2, N) of the picture at time t, at least by half."""
    layer, inverse = layers[number], inverses[number][t]
    spots = np.concatenate((places, np.ones((1, places.shape[1]))))
    if layer.meets is not None:
        return (inverse - inverses[layer.meets][t])[2] @ spots >= 0
    if not spots.shape[1]:
        return np.zeros(0, bool)
    texels = (inverse @ spots).astype(np.float32)
    # OpenCV takes no rows of 2¹⁵ places or more, so they are laid out in rows of 1024.
    u, v = (np.resize(axis, (-(-len(axis) // 1024), 1024)) for axis in texels[:2] / texels[2])
    alpha = cv2.remap(layer.textures[0][..., 3], u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return alpha.ravel()[: places.shape[1]] >= 128
