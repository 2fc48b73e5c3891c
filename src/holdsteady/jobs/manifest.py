"""What became of each file of a batch: ``manifest.json`` in the folder of results."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from holdsteady.errors import ConfigError, VideoError
from holdsteady.folders import write_whole

MANIFEST_NAME = "manifest.json"
FORMAT = 1


class Entry(BaseModel):
    """One file.

    Attributes:
        source: where it lay.
        source_digest: of its content.
        key: of all that the result depends on, the source's digest included.
        status: whether there is a result.
        error: why there is none.
        result_digest: of the result's content; of a file that failed, of the part that it left or of an earlier result.
        frames, seconds: how many there were, and the time that they took.
        resumed: frames that were there already, from an earlier run.
    """

    model_config = ConfigDict(extra="forbid")

    source: str
    source_digest: str
    key: str
    status: Literal["done", "failed"]
    error: str = ""
    result_digest: str = ""
    frames: int = 0
    seconds: float = 0.0
    resumed: int = 0


class Manifest(BaseModel):
    """All files of a batch, by the name of the result.

    Attributes:
        format: of this file.
        version: of the holdsteady that wrote it.
        model, adapter: as they were named.
        options: what else was asked for.
        files: one entry a file.
    """

    model_config = ConfigDict(extra="forbid")

    format: int = FORMAT
    version: str
    model: str
    adapter: str
    options: dict[str, str | int | float | bool | None]
    files: dict[str, Entry] = {}

    def save(self, folder: Path) -> None:
        """Write it to the folder of results, in one stroke.

        Raises:
            VideoError: it can't be written.
        """
        content = json.dumps(self.model_dump(), indent=2, ensure_ascii=False)
        try:
            write_whole(folder / MANIFEST_NAME, f"{content}\n")
        except OSError as error:
            raise VideoError(f"{folder / MANIFEST_NAME}: can't be written: {error.strerror or error}") from error


def read_entries(folder: Path) -> dict[str, Entry]:
    """The entries of an earlier run in a folder; empty if there was none.

    Raises:
        ConfigError: the manifest is damaged, or of a newer format.
    """
    path = folder / MANIFEST_NAME
    if not path.exists():
        return {}
    try:
        return _validated(path).files
    except ConfigError:
        raise
    except (OSError, ValueError, RecursionError) as error:  # the second of JSON, of its encoding, and of what is in it
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        fault = str(error) if first is None else f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
        raise ConfigError(
            f"{path} is damaged ({fault}); remove it to begin again, which makes all results anew"
        ) from error


def _validated(path: Path) -> Manifest:
    content = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(content, dict) and content.get("format", FORMAT) != FORMAT:
        raise ConfigError(f"{path} has format {content['format']}; this version reads {FORMAT}: choose another folder")
    return Manifest.model_validate(content)
