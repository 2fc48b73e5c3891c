"""A rendered animation, denoised image by image by OIDN and held steady along the renderer's motion vectors.

python steady_render.py render/*.exr --out steady/
"""

import argparse
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import OpenEXR
import pyoidn
import torch

import holdsteady as hs

Array = Any


class Passes(NamedTuple):
    """What the renderer gives for a frame; linear light.

    Attributes:
        color: noisy, (H, W, 3).
        vector: (H, W, 2 or more), Blender's Vector pass: where a place was in the last frame, less where it is, in
            pixels to the right and up. NaN where nobody knows.
        albedo, normal: of the Denoising Data passes, (H, W, 3); None where they were not rendered.
    """

    color: Array
    vector: Array
    albedo: Array | None = None
    normal: Array | None = None


def read_passes(path: str | Path) -> Passes:
    """The passes in a multilayer OpenEXR file of Blender.

    Raises:
        ValueError: the file lacks the image or the Vector pass.
    """
    channels: dict[str, Array] = {}
    for part in OpenEXR.File(str(path), separate_channels=True).parts:
        channels |= {name: channel.pixels.astype(np.float32) for name, channel in part.channels.items()}

    def find(ending: str, axes: str) -> Array | None:
        for name in channels:
            layer, _, axis = name.rpartition(".")
            if axis == axes[0] and (layer == ending or layer.endswith(f".{ending}")):
                return np.stack([channels[f"{layer}.{one}"] for one in axes], axis=-1)
        return None

    color = find("Noisy Image", "RGB")
    color = find("Combined", "RGB") if color is None else color
    vector = find("Vector", "XY")
    if color is None or vector is None:
        raise ValueError(
            f"{path} has the channels {', '.join(channels)}; in Blender turn on the passes Vector and Denoising Data, "
            "and save as OpenEXR MultiLayer"
        )
    return Passes(color, vector, find("Denoising Albedo", "RGB"), find("Denoising Normal", "XYZ"))


def flow_of(vector: Array) -> Array:
    """Blender's vectors (H, W, 2 or more) as a flow of holdsteady (1, 2, H, W): to the right and down."""
    return np.stack((vector[..., 0], -vector[..., 1]))[None]


def denoised(passes: Passes) -> Array:
    """One frame by OIDN, (H, W, 3)."""
    color = np.ascontiguousarray(passes.color, np.float32)
    return pyoidn.denoise(color, passes.albedo, passes.normal, hdr=True)


def steady_frames(
    frames: Iterable[Passes], adapter: str = "motion-fixed", strength: float = 1.0, vectors: bool = True
) -> Iterator[Array]:
    """The frames of an animation, denoised and steady, (H, W, 3) in linear light.

    Args:
        frames: in order.
        adapter: a kind that works at the output and follows motion.
        strength: from 0 (OIDN alone) to 1.
        vectors: whether motion is what the renderer says; it is searched otherwise.
    """
    current: list[Passes] = []

    def model(_color: torch.Tensor) -> torch.Tensor:
        return _map(np.log1p(denoised(current[0])))

    # Light has no upper end: in logarithms a lamp does not outweigh the room.
    steady = hs.stabilize(model, adapter, strength=strength, deflicker=False)
    for passes in frames:
        current[:] = [passes]
        flow = flow_of(passes.vector) if vectors else None
        output = steady(_map(np.log1p(passes.color)), flow=flow)
        yield np.expm1(output[0].permute(1, 2, 0).numpy())


def _map(picture: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture, np.float32)).permute(2, 0, 1)[None]


def write(picture: Array, path: Path) -> None:
    """An image as OpenEXR, which appears when it is whole."""
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    beside = path.with_name(f".{path.name}.part-{os.getpid()}")
    OpenEXR.File(header, {"RGB": np.ascontiguousarray(picture, np.float16)}).write(str(beside))
    beside.replace(path)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", type=Path, help="multilayer OpenEXR files, one a frame, in order")
    parser.add_argument("--out", required=True, type=Path, help="folder for the results")
    parser.add_argument("--adapter", default="motion-fixed")
    parser.add_argument("--strength", type=float, default=1.0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    frames = steady_frames(map(read_passes, args.sources), args.adapter, args.strength)
    for path, picture in zip(args.sources, frames, strict=True):
        write(picture, args.out / path.name)
        print(args.out / path.name)


if __name__ == "__main__":
    main()
