"""Makes docs/pictures/teaser.webp, the README's moving picture: ``python docs/make_teaser.py``.

The demo's clip with Gaussian noise (σ = 50/255, seed 0), denoised frame by frame and held steady by a shipped adapter.
"""

from itertools import islice
from pathlib import Path

import torch
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

import holdsteady as hs
from holdsteady import zoo
from holdsteady.video import open_video, upright_tensors

OUT = Path(__file__).parent / "pictures" / "teaser.webp"
FIRST, FRAMES = 20, 32  # the first frames show little: the adapter has nothing to remember yet
SIGMA = 50 / 255
CROP = 8, 40, 136, 136  # top, left, height, width: the face
ZOOM = 2
LABEL = 26
MILLISECONDS = 80  # half the clip's speed


def panel(frame: Tensor, label: str) -> Image.Image:
    """The crop of a frame (1, 3, H, W) in [0, 1], enlarged, under its label."""
    top, left, height, width = CROP
    pixels = (255 * frame[0, :, top : top + height, left : left + width].clamp(0, 1)).round().byte()
    image = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    shown = Image.new("RGB", (width * ZOOM, height * ZOOM + LABEL), (24, 24, 24))
    shown.paste(image.resize((width * ZOOM, height * ZOOM), Image.Resampling.BICUBIC), (0, LABEL))
    font = ImageFont.truetype(findfont("DejaVu Sans"), 14)
    ImageDraw.Draw(shown).text((8, 4), label, fill=(235, 235, 235), font=font)
    return shown


def beside(panels: list[Image.Image]) -> Image.Image:
    """Panels of one size in a row."""
    width, height = panels[0].size
    row = Image.new("RGB", (width * len(panels), height))
    for number, shown in enumerate(panels):
        row.paste(shown, (number * width, 0))
    return row


@torch.inference_mode()
def main() -> None:
    """Write the animation, looping, and print its size."""
    with open_video(str(zoo.DEMO_CLIP)) as reader:
        clean = list(islice(upright_tensors(reader), FIRST + FRAMES))
    generator = torch.Generator().manual_seed(0)
    noisy = [(frame + SIGMA * torch.randn(frame.shape, generator=generator)).clamp(0, 1) for frame in clean]
    model = zoo.load("denoise")
    steady = hs.stabilize(model, "nafnet16-light")
    rows = [
        beside([panel(frame, "noisy"), panel(model(frame), "frame by frame"), panel(steady(frame), "holdsteady")])
        for frame in noisy
    ]
    rows[FIRST].save(
        OUT, save_all=True, append_images=rows[FIRST + 1 :], duration=MILLISECONDS, loop=0, quality=62, method=6
    )
    print(f"{OUT.name}: {len(rows) - FIRST} frames, {OUT.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
