"""Makes what ``docs/gallery.md`` shows: ``python docs/make_gallery.py`` (needs footage, see recipes/get_footage.py).

For each task a short video of the model's input, its results frame by frame, and the same held steady, side by side;
and of the three a column of pixels over time. No adapter was trained on carphone or cup, or on the scenes' photographs,
which the network of depth and classes knows. Everything random is drawn from seed 0.
"""

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from holdsteady import zoo
from holdsteady.corruptions import make_corruption
from holdsteady.data import Mixture, make_source
from holdsteady.host.resolve import resolve_ready
from holdsteady.models.runner import FrameRunner
from holdsteady.report.compare import even_times, to_picture
from holdsteady.report.pictures import Picture, save_time_slice, side_by_side
from holdsteady.video import RunOptions, VideoFrame, open_video, open_writer, upright_tensors

ROOT = Path(__file__).parents[1]
HELD = ("aloeL.jpg", "box_in_scene.png", "fruits.jpg", "home.jpg", "messi5.jpg", "squirrel_cls.jpg")
FRAMES = 36
CRF = 31  # light enough for a page


def carphone(footage: Path) -> list[Tensor]:
    """The first frames of carphone, (1, 3, 144, 176)."""
    return frames_of(footage / "carphone_pristine.mp4")


def cup(footage: Path) -> list[Tensor]:
    """The part of cup in which the hand moves, at half the size, (1, 3, 240, 320)."""
    return [F.interpolate(one, scale_factor=0.5, mode="area") for one in frames_of(footage / "cup.mp4", 55)]


def small_cup(footage: Path) -> list[Tensor]:
    """The same at a quarter of the size."""
    return [F.interpolate(one, scale_factor=0.5, mode="area") for one in cup(footage)]


def frames_of(path: Path, first: int = 0) -> list[Tensor]:
    """Some frames of a video."""
    with open_video(str(path)) as reader:
        return list(itertools.islice(upright_tensors(reader), first, first + FRAMES))


def scene(footage: Path) -> list[Tensor]:
    """A made-up scene, (1, 3, 192, 192)."""
    source = make_source("scenes", [footage / "stills" / name for name in HELD], length=FRAMES, crop=192)
    return list(Mixture([source], seed=2026, size=1)[0]["frames"].unsqueeze(1))


@dataclass(frozen=True)
class Entry:
    """A task, and what is shown of it."""

    model: str
    adapter: str
    corruption: str
    clip: Callable[[Path], list[Tensor]]


ENTRIES = {
    "denoise": Entry("denoise", "nafnet16-light", "gaussian:sigma=0.19607843", carphone),
    "patches": Entry("denoise", "nafnet16-light", "gaussian:sigma=0.19607843+patch-drop", cup),
    "enhance": Entry("enhance", "universal", "grain:sigma=0.03", carphone),
    "upscale2": Entry("upscale2", "universal", "jpeg:quality=50", small_cup),
    "depth": Entry("depth", "depth-robust", "patch-drop", scene),
    "segment": Entry("segment", "segment-robust", "impulse", scene),
}


def panels(entry: Entry, footage: Path) -> Iterator[dict[str, Picture]]:
    """What is seen of each frame, by its label."""
    model, stream = zoo.load(entry.model), make_corruption(entry.corruption).start(torch.Generator().manual_seed(0))
    base, steady = FrameRunner(model, ()), FrameRunner(model, resolve_ready(entry.adapter))
    with torch.inference_mode():
        for frame in entry.clip(footage):
            seen = stream(frame)
            alone, held = base.step(seen), steady.step(seen)
            shown = F.interpolate(seen, size=alone.shape[2:], mode="nearest")
            three = {"input": shown, "frame by frame": alone, f"held steady by {entry.adapter}": held}
            yield {label: to_picture(one.expand(-1, 3, -1, -1)) for label, one in three.items()}


def make(name: str, entry: Entry, footage: Path, folder: Path) -> None:
    """The video and the picture of an entry."""
    with open_video(str(footage / "carphone_pristine.mp4")) as reader:
        info = replace(reader.info, rate=Fraction(15), time_base=Fraction(1, 15), pixel_aspect=Fraction(1))
    found = list(panels(entry, footage))
    height, width = side_by_side(found[0]).shape[:2]
    options = RunOptions(crf=CRF, overwrite=True)
    with open_writer(str(folder / f"{name}.mp4"), info, options, width=width, height=height) as writer:
        for picture, time in zip(map(side_by_side, found), even_times(info), strict=False):
            writer.write(VideoFrame(picture, time, info.time_base))
    columns = {label: [one[label][:, one[label].shape[1] // 2] for one in found] for label in found[0]}
    save_time_slice(columns, folder / f"{name}.png")
    Image.open(folder / f"{name}.png").convert("RGB").save(folder / f"{name}.webp", quality=70, method=6)
    (folder / f"{name}.png").unlink()
    print(f"{name}: {(folder / f'{name}.mp4').stat().st_size / 1e3:.0f} kB")


def main() -> None:
    """Write docs/pictures/gallery."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--footage", type=Path, default=ROOT / "footage")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "pictures" / "gallery")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(ENTRIES)}; all by default")
    args = parser.parse_args()
    if not (args.footage / "cup.mp4").is_file():
        sys.exit(f"{args.footage}/cup.mp4 is missing: run python recipes/get_footage.py")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.names or ENTRIES:
        make(name, ENTRIES[name], args.footage, args.out)


if __name__ == "__main__":
    main()
