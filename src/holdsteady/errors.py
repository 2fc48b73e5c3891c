"""Every error that holdsteady raises on purpose. Each is also the builtin that it specialises."""

import difflib
from collections.abc import Iterable


class HoldsteadyError(Exception):
    """Base of all errors of this package; its text says what was wrong, where, and what to do."""


class ConfigError(HoldsteadyError, ValueError):
    """A setting of an adapter or of a command is unknown, malformed or out of range."""


class PointError(HoldsteadyError, LookupError):
    """A point of a model was not found, was not reached, or can't be stabilized."""


class LayoutError(HoldsteadyError, ValueError):
    """A tensor's axes could not be told apart, or don't fit the stated layout."""


class StateError(HoldsteadyError, RuntimeError):
    """A frame does not fit the state that it is to be combined with."""


class AdapterError(HoldsteadyError, ValueError):
    """An adapter folder is missing, damaged, or was made for another base."""


class ModelError(HoldsteadyError, ValueError):
    """A model could not be loaded, or does not keep the contract of a frame-wise image model."""


class MetricError(HoldsteadyError, ValueError):
    """The inputs of a metric don't fit each other."""


class VideoError(HoldsteadyError, OSError):
    """A video, image or stream could not be read or written."""


class TrainingError(HoldsteadyError, RuntimeError):
    """A training can't go on: its loss is no number, or its checkpoint is of another recipe."""


class MissingExtraError(HoldsteadyError, ImportError):
    """An optional library is not installed; the text gives the pip line that installs it."""


def near(name: str, known: Iterable[str]) -> str:
    """``" (did you mean …?)"`` with the nearest known names, or nothing: for the text of an error."""
    matches = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" (did you mean {' or '.join(matches)}?)" if matches else ""
