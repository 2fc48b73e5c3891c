"""What to do about what a model raised, where its text tells."""


def advice(error: Exception) -> str:
    """A flag to try, after a semicolon; empty where the text tells nothing."""
    text = str(error)
    for name, dtype in (("BFloat16", "bfloat16"), ("Half", "float16")):
        if name in text:
            return f"; it computes in {dtype}: try --dtype {dtype}"
    if "OpenCV" in text or type(error).__module__.startswith("cv2"):
        return "; if it takes arrays (H, W, 3) of bytes, as OpenCV's functions do, give --layout hwc-uint8"
    return ""
