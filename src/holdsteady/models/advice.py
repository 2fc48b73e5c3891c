"""Advice for errors that models raise, where their text gives a clue."""

import re

_MISSING = re.compile(
    r"missing \d+ required (positional|keyword-only) argument|missing value for argument|to flatten user inputs"
)
_CHANNELS = re.compile(r"to have (\d+) channels, but got 3 channels")
_ARRAYS = re.compile(r"'Tensor' object has no attribute '(astype|filter|convert|resize|mode|tobytes|load)'")


def advice(error: Exception) -> str:
    """What to try, after a semicolon; empty if the text gives no clue."""
    text = str(error)
    for name, dtype in (("BFloat16", "bfloat16"), ("Half", "float16")):
        if name in text:
            return f"; it computes in {dtype}: try --dtype {dtype}"
    if _MISSING.search(text):
        return "; it takes more than a frame: wrap it in a function of one frame in a file, and name that"
    if found := _CHANNELS.search(text):
        if found[1] == "1":
            return "; it takes grey frames: give --channels gray"
        return (
            f"; it takes {found[1]} channels: wrap it in a function of one frame that makes them of its 3, in a file, "
            "and name that"
        )
    if _ARRAYS.search(text):
        return (
            "; if it takes arrays (H, W, 3) of bytes, give --layout hwc-uint8; if PIL images, let it make them of such "
            "arrays, by Image.fromarray"
        )
    if "OpenCV" in text or type(error).__module__.startswith("cv2"):
        return "; if it takes arrays (H, W, 3) of bytes, as OpenCV's functions do, give --layout hwc-uint8"
    return ""
