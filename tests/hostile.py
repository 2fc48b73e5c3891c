"""Files that somebody made to do harm, or that were damaged on their way."""

import json
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to everything in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def changed(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of a JSON value with another one at a place."""
    content = json.loads(json.dumps(content))
    target = content
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return content


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes that were cut, or of which some were changed, or into which some came."""
    where = draw(st.integers(0, len(content) - 1))
    how = draw(st.sampled_from(["cut", "change", "insert"]))
    if how == "cut":
        return content[:where]
    some = draw(st.binary(min_size=1, max_size=16))
    return content[:where] + some + content[where + (len(some) if how == "change" else 0) :]


def zipped(folder: Path, path: Path, prefix: str = "") -> Path:
    """The files of a folder in a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, prefix + file.name)
    return path


def _with(entry: zipfile.ZipInfo, content: bytes = b"x") -> Callable[[zipfile.ZipFile], None]:
    return lambda archive: archive.writestr(entry, content)


def _named(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("placeholder")
    entry.filename = name  # as no well-meaning program writes it
    return entry


def _link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def _bomb(archive: zipfile.ZipFile) -> None:
    with archive.open("zeros", "w", force_zip64=True) as file:
        for _ in range(80):
            file.write(bytes(1 << 20))


def _many(archive: zipfile.ZipFile) -> None:
    for number in range(1001):
        archive.writestr(str(number), b"")


#: What is put into a zip beside good files, and what the error says of it.
HOSTILE: dict[str, tuple[Callable[[zipfile.ZipFile], None], str]] = {
    "up": (_with(_named("../evil")), "leads out of it"),
    "up inside": (_with(_named("a/../../evil")), "leads out of it"),
    "absolute": (_with(_named("/tmp/evil")), "leads out of it"),
    "backslashes": (_with(_named("..\\evil")), "leads out of it"),
    "drive": (_with(_named("C:evil")), "leads out of it"),
    "link": (_with(_link(), b"/etc/passwd"), "is a link"),
    "twice": (_with(zipfile.ZipInfo("placeholder")), "two entries of one name"),
    "bomb": (_bomb, "would unpack to more than 20 times"),
    "many": (_many, "more than 1000"),
}


def add(path: Path, harm: str) -> Path:
    """Put something hostile into a zip."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        if harm == "twice":
            archive.writestr("placeholder", b"")
        HOSTILE[harm][0](archive)
    return path
