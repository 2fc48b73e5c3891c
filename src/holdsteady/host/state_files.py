"""A state on disk, in one safetensors file; nothing in it is executed."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from holdsteady.errors import StateError
from holdsteady.host.state import StreamState
from holdsteady.permissions import as_new_files_are

_FORMAT = "1"


def save_state(state: StreamState | None, path: str | Path, notes: dict[str, str] | None = None) -> None:
    """Write a state to a file, with notes of the caller's. None is written too.

    Raises:
        OSError: it can't be written.
    """
    memories = {} if state is None else state.memories
    places = [(key, name) for key, memory in memories.items() for name in memory]
    tensors = {str(number): memories[key][name].contiguous() for number, (key, name) in enumerate(places)}
    shape: tuple[int, ...] | None = None
    if state is not None:
        shape = state.frame_shape
        tensors["non_finite"] = state.non_finite
        if state.frame is not None:
            tensors["frame"] = state.frame.contiguous()
    about = {"format": _FORMAT, "places": json.dumps(places), "frame_shape": json.dumps(shape)}
    try:
        save_file(tensors, path, about | {f"note:{name}": text for name, text in (notes or {}).items()})
        as_new_files_are(Path(path))
    except SafetensorError as error:
        raise OSError(f"{path} can't be written: {error}") from error


def load_state(path: str | Path) -> tuple[StreamState | None, dict[str, str]]:
    """A state and the notes from :func:`save_state`, on the CPU.

    Raises:
        StateError: the file is missing, damaged, or of another format.
    """
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            if about.get("format") != _FORMAT:
                raise StateError(f"{path} has format {about.get('format')}; this version reads {_FORMAT}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 – it is no dict
        notes = {name.removeprefix("note:"): text for name, text in about.items() if name.startswith("note:")}
        shape = json.loads(about["frame_shape"])
        if shape is None:
            return None, notes
        memories: dict[str, dict[str, object]] = {}
        for number, (key, name) in enumerate(json.loads(about["places"])):
            memories.setdefault(str(key), {})[str(name)] = tensors[str(number)]
        return StreamState(memories, tensors.get("frame"), tensors["non_finite"], tuple(map(int, shape))), notes  # type: ignore[arg-type]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise StateError(f"{path} is no state that can be read: {error}") from error
