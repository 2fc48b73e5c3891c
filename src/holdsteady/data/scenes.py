"""Layered 2.5-D scenes from stills: a wall far off, mostly a floor, things between, a camera that moves.

The world's unit is about a metre: x to the right, y down, z ahead of where the camera points halfway through.
"""

from itertools import pairwise

import numpy as np

from .images import SHAPES, cut_piece, resized
from .made import MadeSource
from .motion import Array, random_speed, wander, wander_2d
from .render import Layer, halved

CLASSES = ("background", "floor", *SHAPES)


class SceneSource(MadeSource):
    """Clips of made-up scenes whose depth, classes (``CLASSES``), flow and visibility are exact.

    Depth is in the unit of the scene; the nearest things are about 1.5 away and the background 8 to 20.
    Arguments and errors as in ``MadeSource``. Keys: frames, depth, classes, flow and visible.
    """

    kind = "scenes"
    keys = frozenset({"frames", "depth", "classes", "flow", "visible"})

    def _layers(self, random: np.random.Generator, times: Array) -> list[Layer]:
        focal = max(self._size) * random.uniform(0.8, 1.3)
        far = random.uniform(8, 20)
        eye = random.uniform(1, 1.8)  # height of the camera above the floor
        camera = self._camera(random, times, focal, far)
        layers = [self._background(random, camera, focal, far)]
        has_floor = random.random() < 0.75
        if has_floor:
            layers.append(self._floor(random, camera, eye))
        # Places in order of nearness, well apart, so that nothing passes through anything.
        count = int(random.integers(2, 6))
        edges = np.linspace(1 / (0.65 * far), 1 / 2.5, count + 1)
        for low, high in pairwise(edges):
            distance = 1 / random.uniform(low + 0.1 * (high - low), high - 0.1 * (high - low))
            layers.append(self._thing(random, times, camera, focal, distance, eye if has_floor else None))
        return layers

    def _camera(self, random: np.random.Generator, times: Array, focal: float, far: float) -> Array:
        """World to picture, times depth, for each frame: (T, 3, 4)."""
        height, width = self._size
        side = max(self._size)
        speed, share = random_speed(random) * side, random.uniform(0, 1)
        across = wander_2d(random, times, share * speed * 0.3 * far / focal)
        ahead = wander(random, times, share * random_speed(random) * 3)
        # However long the clip, the camera does not run into things.
        ahead = np.clip(ahead, -0.6, 0.6) if len(times) > 32 else ahead * min(1.0, 0.6 / max(np.ptp(ahead), 1e-9))
        turn = wander_2d(random, times, (1 - share) * speed / focal)
        roll = wander(random, times, 0.3 * random_speed(random))
        position = np.stack((across[0], 0.3 * across[1], ahead), axis=1)
        rotation = _turn(roll, 2) @ _turn(turn[1] * 0.5 + random.uniform(-0.05, 0.05), 0) @ _turn(turn[0], 1)
        lens = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
        return lens @ np.concatenate((rotation, -rotation @ position[..., None]), axis=2)

    def _background(self, random: np.random.Generator, camera: Array, focal: float, far: float) -> Layer:
        image = self._pick(random)
        tilt = random.uniform(-0.2, 0.2)
        # Large enough for the view and most of what the camera turns to; beyond, it is mirrored.
        height, width = self._size
        seen = max(width / image.shape[1], height / image.shape[0]) * random.uniform(1.3, 1.9)
        image = resized(image, min(1.0, 2 * seen))
        unit = max(seen, 0.5) * far / focal
        across = unit * np.array([np.cos(tilt), 0, np.sin(tilt)])
        down = np.array([0, unit, 0])
        corner = np.array([0, 0, far]) - across * (image.shape[1] - 1) / 2 - down * (image.shape[0] - 1) / 2
        return Layer((image,), _seen_by(camera, across, down, corner), CLASSES.index("background"), True)

    def _floor(self, random: np.random.Generator, camera: Array, eye: float) -> Layer:
        image = self._pick(random)
        # Two texels a pixel at the lower edge of the frame, where the floor is nearest.
        unit = eye / self._size[0]
        angle = random.uniform(0, 2 * np.pi)
        across = unit * np.array([np.cos(angle), 0, np.sin(angle)])
        down = unit * np.array([-np.sin(angle), 0, np.cos(angle)])
        corner = np.array([0, eye, 0]) - across * random.uniform(0, 500) - down * random.uniform(0, 500)
        matrices = _seen_by(camera, across, down, corner)
        return Layer(halved(image, 6), matrices, CLASSES.index("floor"), True, meets=0)

    def _thing(
        self, random: np.random.Generator, times: Array, camera: Array, focal: float, distance: float, eye: float | None
    ) -> Layer:
        height, width = self._size
        shape = str(random.choice(SHAPES))
        tall = random.uniform(0.2, 0.6) * min(self._size)  # in pixels
        if eye is not None:
            tall = min(tall, 1.3 * eye * focal / distance)
        wide = tall * random.uniform(0.6, 1.4)
        size = max(8, round(2 * tall)), max(8, round(2 * wide))
        texture = cut_piece(random, self._pick(random), size, shape)
        pixel = distance / focal
        unit = tall * pixel / size[0]
        speed = random_speed(random) * max(self._size) * pixel
        move_x, move_z = wander(random, times, speed), wander(random, times, 0.3 * speed)
        # Things stay in their own range of depths.
        move_z *= min(1.0, 0.05 * distance / max(np.abs(move_z).max(), 1e-9))
        x = random.uniform(-0.45, 0.45) * width * pixel + move_x
        if eye is not None and random.random() < 0.6:
            spin = np.zeros_like(times)
            y = np.full_like(times, eye - unit * size[0] / 2)
        else:
            spin = wander(random, times, 2 * random_speed(random)) + random.uniform(-0.4, 0.4)
            lowest = np.inf if eye is None else eye - unit * np.hypot(*size) / 2
            y = random.uniform(-0.4, 0.3) * height * pixel + wander(random, times, speed)
            y = y - max(0.0, y.max() - lowest)
        tilt = random.uniform(-0.3, 0.3)
        zero = np.zeros_like(times)
        across = unit * np.stack((np.cos(spin) * np.cos(tilt), np.sin(spin), np.cos(spin) * np.sin(tilt)), axis=1)
        down = unit * np.stack((-np.sin(spin) * np.cos(tilt), np.cos(spin), -np.sin(spin) * np.sin(tilt)), axis=1)
        middle = np.stack((x, y, distance + move_z + zero), axis=1)
        corner = middle - across * (size[1] - 1) / 2 - down * (size[0] - 1) / 2
        return Layer((texture,), _seen_by(camera, across, down, corner), CLASSES.index(shape))

    def _pick(self, random: np.random.Generator) -> np.ndarray:
        return self._stills[int(random.integers(len(self._stills)))]


def _seen_by(camera: Array, across: Array, down: Array, corner: Array) -> Array:
    """Homographies (T, 3, 3) of a plane: world place of texel (0, 0), and steps to the next across and down."""
    plane = np.zeros((len(camera), 4, 3))
    plane[:, :3, 0], plane[:, :3, 1], plane[:, :3, 2], plane[:, 3, 2] = across, down, corner, 1
    return camera @ plane


def _turn(angle: Array, axis: int) -> Array:
    """Rotations (T, 3, 3) about an axis of the world."""
    result = np.zeros((len(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    result[:, axis, axis] = 1
    result[:, i, i] = result[:, j, j] = np.cos(angle)
    result[:, j, i] = np.sin(angle)
    result[:, i, j] = -result[:, j, i]
    return result
