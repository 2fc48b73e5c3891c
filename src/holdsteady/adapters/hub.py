"""Adapters on the Hugging Face hub: a folder of an adapter is a repository of it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.files import CONFIG_NAME, WEIGHTS_NAME, load_adapter
from holdsteady.errors import AdapterError, extra


def is_hub_id(name: str) -> bool:
    """Whether a name could be a repository's: ``owner/name``."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name) is not None


def pull_adapter(repository: str, **options: Any) -> Adapter:
    """Load an adapter from the hub; only its two files are downloaded, and nothing in them is executed.

    Args:
        repository: ``"owner/name"``.
        options: of ``huggingface_hub.snapshot_download``, as ``revision``, ``token``, ``cache_dir``.

    Raises:
        AdapterError: the hub can't be reached, has no such repository, or what it holds is not an adapter.
        MissingExtraError: huggingface_hub is not installed.
    """
    folder = download(repository, [CONFIG_NAME, WEIGHTS_NAME], **options)
    if not (folder / CONFIG_NAME).is_file():
        raise AdapterError(f"'{repository}' on the hub is not an adapter: it lacks {CONFIG_NAME}")
    return load_adapter(folder)


def download(repository: str, patterns: Sequence[str], **options: Any) -> Path:
    """A folder with those files of a repository that fit a pattern; arguments and errors as above."""
    with extra("hub", f"there is no folder '{repository}'; looking for it on the hub"):
        import huggingface_hub as hub
    try:
        return Path(hub.HfApi().snapshot_download(repository, allow_patterns=list(patterns), **options))
    except Exception as error:  # the hub's own, and those of whatever library makes its connections
        raise AdapterError(
            f"no folder '{repository}' here, and the hub did not give an adapter by that name: {first_line(error)}"
        ) from error


def first_line(error: Exception) -> str:
    """The first line of an error's text that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
