"""Smooth random motion: how cameras and things wander, at natural speeds."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def random_speed(random: np.random.Generator) -> float:
    """A speed in picture sides a frame: none for one in eight, else 1.3% in the median and 8% at most."""
    if random.random() < 0.125:
        return 0.0
    return float(min(0.08, 0.013 * np.exp(0.75 * random.standard_normal())))


def wander(random: np.random.Generator, times: Array, speed: float) -> Array:
    """A smooth path along a line: steady going, now faster, now slower.

    Args:
        random: Where it comes from.
        times: In frames, (T,).
        speed: The largest speed, per frame.

    Returns:
        (T,), 0 at the middle of the times.
    """
    steady = random.uniform(0.3, 0.8) * random.choice((-1, 1))
    swing = random.uniform(0, 1 - abs(steady))
    period, phase = random.uniform(16, 60), random.uniform(0, 2 * np.pi)

    def place(time: Array) -> Array:
        return speed * (steady * time + swing * period / (2 * np.pi) * np.sin(2 * np.pi * time / period + phase))

    return place(times) - place(np.asarray(times.mean()))


def wander_2d(random: np.random.Generator, times: Array, speed: float) -> tuple[Array, Array]:
    """A smooth path in the plane, slightly curved; two arrays (T,), 0 at the middle of the times."""
    along, across = wander(random, times, speed), wander(random, times, 0.3 * speed)
    angle = random.uniform(0, 2 * np.pi)
    return along * np.cos(angle) - across * np.sin(angle), along * np.sin(angle) + across * np.cos(angle)


def similarity(scale: Array, angle: Array, move: tuple[Array, Array], centre: tuple[float, float]) -> Array:
    """Homographies (T, 3, 3) of depth 1: texture moved to have `centre` at 0, then scaled, turned and moved.

    Args:
        scale: Pixels per texel, (T,).
        angle: In radians, (T,).
        move: Where the centre comes to lie, x and y in pixels, (T,) each.
        centre: x and y in texels.
    """
    result = np.zeros((len(scale), 3, 3))
    result[:, 0, 0] = result[:, 1, 1] = scale * np.cos(angle)
    result[:, 1, 0] = scale * np.sin(angle)
    result[:, 0, 1] = -result[:, 1, 0]
    result[:, 0, 2] = move[0] - result[:, 0, 0] * centre[0] - result[:, 0, 1] * centre[1]
    result[:, 1, 2] = move[1] - result[:, 1, 0] * centre[0] - result[:, 1, 1] * centre[1]
    result[:, 2, 2] = 1
    return result
