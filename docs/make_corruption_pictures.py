"""Makes the pictures of docs/corruptions.md: ``python docs/make_corruption_pictures.py``."""

from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from holdsteady.corruptions import CORRUPTIONS, make_corruption
from holdsteady.report.compare import to_picture
from holdsteady.video import open_video, upright_tensors

ROOT = Path(__file__).parents[1]
CLIP = ROOT / "tests/clips/bunny_audio.mp4"
PICTURES = ROOT / "docs/pictures"
WEATHER = ("rain", "snow", "fog", "spatter", "frost")
SEVERITY = 3
SEED = 0
COLUMNS = 4
# Frames of the strip; the sheet shows the last.
TIMES = (0, 4, 35)


def corrupted(spec: str, frames: list[Tensor]) -> list[Tensor]:
    """All frames (1, 3, H, W) under one corruption."""
    stream = make_corruption(spec).start(torch.Generator().manual_seed(SEED))
    return [stream(frame) for frame in frames]


def save(rows: list[dict[str, Tensor]], path: Path) -> None:
    """Frames in rows, each with its label in a corner, as JPEG."""
    sheet = np.concatenate([np.concatenate([labelled(*cell) for cell in row.items()], axis=1) for row in rows])
    Image.fromarray(sheet).save(path, quality=70, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def labelled(label: str, frame: Tensor) -> npt.NDArray[np.uint8]:
    """A frame (1, 3, H, W) as RGB (H, W, 3) with its label at the top left."""
    image = Image.fromarray(to_picture(frame))
    pen = ImageDraw.Draw(image)
    font = ImageFont.truetype(findfont("DejaVu Sans"), 14)
    left, top, right, bottom = pen.textbbox((7, 5), label, font=font)
    pen.rectangle((left - 7, top - 5, right + 6, bottom + 4), fill=(24, 24, 24))
    pen.text((7, 5), label, fill=(235, 235, 235), font=font)
    return np.asarray(image, dtype=np.uint8)


def main() -> None:
    with open_video(str(CLIP)) as reader:
        frames = list(islice(upright_tensors(reader), TIMES[-1] + 1))
    specs = {name: f"{name}:{SEVERITY}" for name in CORRUPTIONS}
    specs["frame-drop, a dropped frame"] = "frame-drop:p=1"
    del specs["frame-drop"]
    # The last frame: weather has moved, frost has grown.
    cells = {"none": frames[-1], **{label: corrupted(spec, frames)[-1] for label, spec in specs.items()}}
    items = list(cells.items())
    save(
        [dict(items[first : first + COLUMNS]) for first in range(0, len(items), COLUMNS)], PICTURES / "corruptions.jpg"
    )
    weather = {name: corrupted(specs[name], frames) for name in WEATHER}
    strips = [{f"{name}, frame {time}": shown[time] for time in TIMES} for name, shown in weather.items()]
    save(strips, PICTURES / "corruptions-weather.jpg")


if __name__ == "__main__":
    main()
