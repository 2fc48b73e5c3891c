"""Every error that holdsteady raises on purpose. Each is also the builtin that it specialises."""

import difflib
import re
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Control characters, and what Python makes of bytes that are not UTF-8.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class HoldsteadyError(Exception):
    """Base of all errors of this package; its text says what was wrong, where, and what to do."""


class ConfigError(HoldsteadyError, ValueError):
    """A setting of an adapter or of a command is unknown, malformed or out of range."""


class PointError(HoldsteadyError, LookupError):
    """A point of a model was not found, was not reached, or can't be stabilized."""


class LayoutError(HoldsteadyError, ValueError):
    """A tensor's axes could not be told apart, or don't fit the stated layout."""


class StateError(HoldsteadyError, RuntimeError):
    """A frame does not fit the state."""


class AdapterError(HoldsteadyError, ValueError):
    """An adapter folder is missing or damaged, or the adapter was made for another base."""


class ModelError(HoldsteadyError, ValueError):
    """A model could not be loaded, or does not behave like a frame-wise image model."""


class ExportError(HoldsteadyError, ValueError):
    """A model can't be exported, or an export is damaged or does not fit."""


class MetricError(HoldsteadyError, ValueError):
    """The inputs of a metric don't fit each other."""


class VideoError(HoldsteadyError, OSError):
    """A video, image or stream could not be read or written."""


class TrainingError(HoldsteadyError, RuntimeError):
    """Training can't continue: the loss is NaN, or the checkpoint belongs to another recipe."""


class MissingExtraError(HoldsteadyError, ImportError):
    """An optional library is not installed; the text gives the pip line that installs it."""


def near(name: str, known: Iterable[str]) -> str:
    """``" (did you mean …?)"`` with the nearest known names, or nothing: for the text of an error."""
    matches = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" (did you mean {' or '.join(matches)}?)" if matches else ""


@contextmanager
def extra(name: str, purpose: str) -> Iterator[None]:
    """Around the imports of an optional library: names the pip line where it is missing.

    Examples:
        >>> with extra("video", "reading videos"):
        ...     import av

    Args:
        name: the extra of ``pyproject.toml`` that installs it.
        purpose: what the library is needed for; begins the error text.

    Raises:
        MissingExtraError: the library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("holdsteady"):
            raise
        # Any of OpenCV's distributions will do, so none is a dependency: they overwrite each other's files.
        name = "cv" if error.name == "cv2" else name
        raise MissingExtraError(
            f"{purpose} needs {error.name}, which is not installed: pip install 'holdsteady[{name}]'"
        ) from error


def printable(text: str) -> str:
    """The text with what can't be shown, drawn or written as Python writes it, such as ``\\n``: names may be bytes."""
    return _UNSHOWN.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    byte = ord(found[0]) - 0xDC00  # where Python keeps those that are no UTF-8
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else found[0].encode("unicode_escape").decode()


def in_one_line(error: BaseException) -> str:
    """An error of someone else's code: the type, the first line of the text, and the last place of its own.

    TorchScript's text begins with a traceback: of that, the last line.
    """
    lines = str(error).strip().splitlines() or [""]
    text = lines[-1].partition("Error: ")[2] or lines[-1] if "TorchScript interpreter" in lines[0] else lines[0]
    places = traceback.extract_tb(error.__traceback__)
    libraries = (str(Path(__file__).parent), sysconfig.get_paths()["stdlib"], "<frozen")
    foreign = [place for place in places if "site-packages" not in Path(place.filename).parts]
    own = [place for place in foreign if not place.filename.startswith(libraries)] or foreign or places
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}{text and f': {text}'}{where}"
