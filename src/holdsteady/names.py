"""Names of files as text that can be shown, drawn and written."""

import re

# Control characters, and what Python makes of bytes that are not UTF-8.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with what can't be shown written as Python does, such as ``\\n`` and ``\\udce9``."""
    return _UNSHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
