"""Adapters on the Hugging Face hub: a folder of an adapter is a repository of it."""

import re
import tempfile
from pathlib import Path
from typing import Any

from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.files import CONFIG_NAME, WEIGHTS_NAME, load_adapter, save_adapter
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
    with extra("hub", f"there is no folder '{repository}'; looking for it on the hub"):
        import huggingface_hub as hub
    try:
        folder = hub.HfApi().snapshot_download(repository, allow_patterns=[CONFIG_NAME, WEIGHTS_NAME], **options)
    except (OSError, ValueError) as error:  # the hub's own errors, and those of the connection, are OSErrors
        raise AdapterError(
            f"no folder '{repository}' here, and the hub did not give an adapter by that name: {_first_line(error)}"
        ) from error
    if not Path(folder, CONFIG_NAME).is_file():
        raise AdapterError(f"'{repository}' on the hub is not an adapter: it lacks {CONFIG_NAME}")
    return load_adapter(folder)


def push_adapter(adapter: Adapter, repository: str, *, private: bool | None = None, token: str | None = None) -> str:
    """Upload an adapter to the hub; the repository is made if it is missing.

    Args:
        adapter: the Adapter.
        repository: ``"owner/name"``, which ``holdsteady.stabilize(model, "owner/name")`` then takes.
        private: whether a new repository is.
        token: of the hub; None for the one that ``hf auth login`` has saved.

    Returns:
        The address of the commit.

    Raises:
        AdapterError: the hub can't be reached or refuses.
        MissingExtraError: huggingface_hub is not installed.
    """
    with extra("hub", "uploading an adapter"):
        import huggingface_hub as hub
    api = hub.HfApi(token=token)
    with tempfile.TemporaryDirectory() as folder:
        save_adapter(adapter, folder)
        Path(folder, "README.md").write_text(_card(adapter, repository), encoding="utf-8")
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            commit = api.upload_folder(repo_id=repository, folder_path=folder, commit_message="An adapter")
        except (OSError, ValueError) as error:
            raise AdapterError(f"can't upload to '{repository}': {_first_line(error)}") from error
    return str(commit.commit_url)


def _card(adapter: Adapter, repository: str) -> str:
    """The page of a repository; what stands between the dashes is what the hub sorts by."""
    provenance = "".join(f"* {topic}: {text}\n" for topic, text in adapter.provenance.items())
    return (
        "---\nlibrary_name: holdsteady\ntags:\n- video\n- stabilization\n---\n\n"
        f"# {repository}\n\nAn adapter of kind `{adapter.config.kind}`:\n\n"
        f'```python\nsteady = holdsteady.stabilize(model, "{repository}")\n```\n\n{provenance}'
    )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
