"""Camera motion made from stills: a photograph panned, zoomed and turned, pieces of others moving in front."""

import numpy as np

from .images import SHAPES, cut_piece, resized
from .made import MadeSource
from .motion import Array, random_speed, similarity, wander, wander_2d
from .render import Layer


class StillSource(MadeSource):
    """Clips of a camera that moves over a still, with up to three soft-edged pieces moving on their own.

    Arguments and errors as in ``MadeSource``. Keys: frames, flow and visible, which are exact.
    """

    kind = "stills"
    keys = frozenset({"frames", "flow", "visible"})

    def _layers(self, random: np.random.Generator, times: Array) -> list[Layer]:
        side = max(self._size)
        pan = wander_2d(random, times, random_speed(random) * side)
        layers = [self._ground(random, times, pan)]
        for _ in range(int(random.integers(4))):
            layers.append(self._piece(random, times, pan))
        return layers

    def _ground(self, random: np.random.Generator, times: Array, pan: tuple[Array, Array]) -> Layer:
        height, width = self._size
        image = self._stills[int(random.integers(len(self._stills)))]
        # Half a side from the middle, a turn of ω radians or a zoom by 1 + ω moves a pixel by ω/2 sides.
        zoom = np.exp(wander(random, times, random_speed(random)))
        angle = wander(random, times, random_speed(random)) + random.uniform(-0.1, 0.1)
        turned = np.abs(np.cos(angle)).max(), np.abs(np.sin(angle)).max()
        needs = (
            (turned[0] * width + turned[1] * height + 2 * np.hypot(*pan).max()) / zoom.min(),
            (turned[0] * height + turned[1] * width + 2 * np.hypot(*pan).max()) / zoom.min(),
        )
        # Never so small that the camera would see beyond the border; up to twice as large, to look closer.
        scale = max(needs[0] / (image.shape[1] - 2), needs[1] / (image.shape[0] - 2)) * random.uniform(1, 2)
        image = resized(image, min(1.0, 2 * scale))
        scale = max(scale, 0.5)
        slack = [max(0.0, side - 2 - need / scale) / 2 for side, need in zip(image.shape[1::-1], needs, strict=True)]
        centre = (
            (image.shape[1] - 1) / 2 + random.uniform(-1, 1) * slack[0],
            (image.shape[0] - 1) / 2 + random.uniform(-1, 1) * slack[1],
        )
        place = ((width - 1) / 2 + pan[0], (height - 1) / 2 + pan[1])
        return Layer((image,), similarity(scale * zoom, angle, place, centre), endless=True)

    def _piece(self, random: np.random.Generator, times: Array, pan: tuple[Array, Array]) -> Layer:
        height, width = self._size
        side = max(self._size)
        tall = random.uniform(0.15, 0.5) * min(self._size)
        wide = tall * random.uniform(0.6, 1.6)
        image = self._stills[int(random.integers(len(self._stills)))]
        size = max(8, round(2 * tall)), max(8, round(2 * wide))
        texture = cut_piece(random, image, size, str(random.choice(SHAPES)))
        own = wander_2d(random, times, random_speed(random) * side)
        # What is nearer than the ground moves more when the camera pans.
        nearer = random.uniform(1, 1.5)
        place = (
            random.uniform(0, width) + nearer * pan[0] + own[0],
            random.uniform(0, height) + nearer * pan[1] + own[1],
        )
        zoom = np.exp(wander(random, times, 0.5 * random_speed(random)))
        angle = wander(random, times, 2 * random_speed(random)) + random.uniform(-0.3, 0.3)
        centre = ((size[1] - 1) / 2, (size[0] - 1) / 2)
        return Layer((texture,), similarity(tall / size[0] * zoom, angle, place, centre))
