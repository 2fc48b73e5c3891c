"""Advice for errors that models raise, where their text gives a clue."""


def advice(error: Exception) -> str:
    """A flag to try, after a semicolon; empty if the text gives no clue."""
    text = str(error)
    for name, dtype in (("BFloat16", "bfloat16"), ("Half", "float16")):
        if name in text:
            return f"; it computes in {dtype}: try --dtype {dtype}"
    if "OpenCV" in text or type(error).__module__.startswith("cv2"):
        return "; if it takes arrays (H, W, 3) of bytes, as OpenCV's functions do, give --layout hwc-uint8"
    return ""
