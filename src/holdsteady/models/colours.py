"""Colours of depth and classes: colour maps by name, palettes of public data sets, and palettes from files."""

import re
from pathlib import Path

import torch
from torch import Tensor

from holdsteady.errors import ConfigError, extra, near
from holdsteady.models.card import PALETTES
from holdsteady.models.shades import colours_of_classes

# In the order of the class indices, as published by the data sets.
_CITYSCAPES = """
    804080 f423e8 464646 66669c be9999 999999 faaa1e dcdc00 6b8e23 98fb98 4682b4 dc143c ff0000 00008e 000046 003c64
    005064 0000e6 770b20
"""
_ADE20K = """
    787878 b47878 06e6e6 503232 04c803 787850 8c8c8c cc05ff e6e6e6 04fa07 e005ff ebff07 96053d 787846 08ff33 ff0652
    8fff8c ccff04 ff3307 cc4603 0066c8 3de6fa ff0633 0b66ff ff0747 ff09e0 0907e6 dcdcdc ff095c 7009ff 08ffd6 07ffe0
    ffb806 0aff47 ff290a 07ffff e0ff08 6608ff ff3d06 ffc207 ff7a08 00ff14 ff0829 ff0599 0633ff eb0cff a09614 00a3ff
    8c8c8c fa0a0f 14ff00 1fff00 ff1f00 ffe000 99ff00 0000ff ff4700 00ebff 00adff 1f00ff 0bc8c8 ff5200 00fff5 003dff
    00ff70 00ff85 ff0000 ffa300 ff6600 c2ff00 008fff 33ff00 0052ff 00ff29 00ffad 0a00ff adff00 00ff99 ff5c00 ff00ff
    ff00f5 ff0066 ffad00 ff0014 ffb8b8 001fff 00ff3d 0047ff ff00cc 00ffc2 00ff52 000aff 0070ff 3300ff 00c2ff 007aff
    00ffa3 ff9900 00ff0a ff7000 8fff00 5200ff a3ff00 ffeb00 08b8aa 8500ff 00ff5c b800ff ff001f 00b8ff 00d6ff ff0070
    5cff00 00e0ff 70e0ff 46b8a0 a300ff 9900ff 47ff00 ff00a3 ffcc00 ff008f 00ffeb 85ff00 ff00eb f500ff ff007a fff500
    0abed4 d6ff00 00ccff 1400ff ffff00 0099ff 0029ff 00ffcc 2900ff 29ff00 ad00ff 00f5ff 4700ff 7a00ff 00ffb8 005cff
    b8ff00 0085ff ffd600 19c2c2 66ff00 5c00ff
"""


def palette(classes: int) -> Tensor:
    """Colours (classes, 3) in [0, 1] that tell neighbouring classes apart; the first, the background, is black."""
    return torch.from_numpy(colours_of_classes(classes))


def class_colours(name: str) -> Tensor:
    """Colours (classes, 3) in [0, 1] by the name of a data set, or from a text file with one colour per line.

    A line is ``#rrggbb`` or three numbers up to 255; anything after it, such as the name of the class, is ignored.

    Raises:
        ConfigError: there is no such palette or file, or a line is not a colour.
    """
    if name == "voc":
        return _voc()
    if name in PALETTES:
        codes = (_CITYSCAPES if name == "cityscapes" else _ADE20K).split()
        return torch.stack([colour(f"#{code}") for code in codes])
    path = Path(name)
    if not path.is_file():
        raise ConfigError(f"no file '{name}' and no palette of that name{near(name, PALETTES)}: {', '.join(PALETTES)}")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read as text: {error}") from error
    found = [_of_line(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line]
    if not found:
        raise ConfigError(f"{path} has no colours; write one a line, as #ff8000 or 255 128 0")
    return torch.stack(found)


def colour(text: str) -> Tensor:
    """A colour (3,) in [0, 1] from ``#rrggbb``.

    Raises:
        ConfigError: it is none.
    """
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise ConfigError(f"'{text}' is not a colour; write it as #rrggbb")
    return torch.tensor([int(text[start : start + 2], 16) / 255 for start in (1, 3, 5)])


def colour_map(name: str) -> Tensor:
    """Matplotlib's colour map of a name as 1024 colours (1024, 3) in [0, 1].

    Raises:
        ConfigError: there is none of that name.
        MissingExtraError: matplotlib is not installed.
    """
    with extra("report", f"--colormap {name}"):
        from matplotlib import colormaps
    if name not in colormaps:
        raise ConfigError(f"matplotlib has no colour map '{name}'{near(name, colormaps)}; try inferno, magma or turbo")
    return torch.tensor([colormaps[name](step / 1023)[:3] for step in range(1024)])


def background(text: str) -> Tensor:
    """A colour (3, 1, 1) from ``#rrggbb``, or a picture (3, H, W) from a file, in [0, 1].

    Raises:
        ConfigError: it is neither.
    """
    if text.startswith("#"):
        return colour(text)[:, None, None]
    with extra("cv", "reading pictures"):
        import cv2
    pixels = cv2.imread(text, cv2.IMREAD_COLOR) if Path(text).is_file() else None
    if pixels is None:
        raise ConfigError(f"--background {text}: no picture is there; give one, a colour as #00ff00, or alpha")
    return torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1) / 255


def _voc() -> Tensor:
    """The 256 colours of PASCAL VOC: each channel has every third bit of the class number, in reverse."""
    numbers = torch.arange(256)
    channels = []
    for channel in range(3):
        value = torch.zeros(256, dtype=torch.long)
        for bit in range(8):
            value |= ((numbers >> (3 * bit + channel)) & 1) << (7 - bit)
        channels.append(value)
    return torch.stack(channels, dim=1) / 255


def _of_line(line: str, where: str) -> Tensor:
    if match := re.match(r"(#[0-9a-fA-F]{6})(?!\w)", line):
        return colour(match[1])
    if match := re.match(r"(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})(?!\w)", line):
        values = [int(number) for number in match.groups()]
        if max(values) <= 255:
            return torch.tensor(values) / 255
    raise ConfigError(f"{where}: '{line}' is not a colour; write #rrggbb or three numbers up to 255")
