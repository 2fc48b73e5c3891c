"""A folder of files, or a zip of one, read by name: nothing is ever unpacked, so that nothing can land elsewhere."""

import stat
import zipfile
from pathlib import Path, PurePosixPath

#: What a zip may hold: entries, and bytes for each of its own, or so many in any case. Weights hardly shrink.
_MOST_ENTRIES, _MOST_RATIO, _SMALL = 1000, 20, 64 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read(folder: Path, name: str, most: int = -1) -> bytes:
    """The content of a file beside others, in a folder or a zip.

    Args:
        folder: or a zip, in which the files lie at the top, or all of them in one folder.
        name: of the file.
        most: bytes after which no more are read; below zero for all.

    Raises:
        OSError: it is not there or can't be read, or the zip is damaged or not to be trusted; says what is wrong.
    """
    if folder.is_dir() or not folder.exists():
        with (folder / name).open("rb") as file:
            return file.read(most)
    try:
        with zipfile.ZipFile(folder) as archive:
            entry = _checked(archive).get(name)
            if entry is None:
                raise FileNotFoundError(f"the zip holds no {name}")
            with archive.open(entry) as file:
                return file.read(most)
    except OSError:
        raise
    except Exception as error:  # zipfile's and zlib's have no common base, and damage brings up many more
        raise OSError(f"not a zip that can be read: {error}") from error


def _checked(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files of a zip by name, without the folder that all of them are in."""
    entries = [entry for entry in archive.infolist() if not entry.filename.startswith("__MACOSX/")]
    packed = max(1, Path(archive.filename or "").stat().st_size)
    if len(entries) > _MOST_ENTRIES:
        raise OSError(f"the zip has {len(entries)} entries, more than {_MOST_ENTRIES}")
    if sum(entry.file_size for entry in entries) > max(_SMALL, _MOST_RATIO * packed):
        raise OSError(f"the zip of {packed} bytes would unpack to more than {_MOST_RATIO} times as much")
    files: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        if fault := _fault(entry):
            raise OSError(f"the zip has an entry that {fault}: {entry.filename!r}")
        if entry.is_dir():
            continue
        if entry.filename in files:
            raise OSError(f"the zip has two entries of one name: {entry.filename!r}")
        files[entry.filename] = entry
    tops = {PurePosixPath(name).parts[0] for name in files}
    if len(tops) == 1 and not tops & files.keys():
        (top,) = tops
        files = {name.removeprefix(f"{top}/"): entry for name, entry in files.items()}
    return files


def _fault(entry: zipfile.ZipInfo) -> str:
    """What is wrong with an entry; nothing if all is well."""
    # As it is in the file: zipfile cuts names at NUL, and reads backslashes as the system does.
    name, mode = entry.orig_filename, entry.external_attr >> 16
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ":" in parts[0] or ".." in parts or "\\" in name or "\0" in name or not name:
        return "leads out of it"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or another special file"
    if entry.flag_bits & 0x1:
        return "is encrypted"
    if entry.compress_type not in _METHODS:
        return "is packed in another way than deflate"
    return ""
