"""``push_to_hub`` and ``from_pretrained``: adapters and exports as repositories of the Hugging Face hub."""

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdsteady import archive
from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.files import CONFIG_NAME, WEIGHTS_NAME, load_adapter, save_adapter
from holdsteady.adapters.hub import download, first_line
from holdsteady.errors import AdapterError, ExportError, extra
from holdsteady.exports.manifest import MANIFEST, is_export, read_manifest, read_part
from holdsteady.exports.step import OnnxStep
from holdsteady.host.stabilized import StabilizedModel
from holdsteady.sharing.card import PICTURE, RECORDS, adapter_card, export_card, without_folder

_PARTS = ("step*.onnx",)


def push_to_hub(
    shared: Adapter | StabilizedModel | str | Path,
    repository: str,
    *,
    model: str | Callable[..., Any] | None = None,
    license: str | None = None,
    picture: bool = True,
    private: bool | None = None,
    token: str | None = None,
) -> str:
    """Upload an adapter or an export to the Hugging Face hub; the repository is made if it is missing.

    Examples:
        >>> hs.push_to_hub("my-adapter/", "me/my-adapter", license="apache-2.0")

    With it goes a page (README.md): what it is and how to use it, and, as far as they are known, figures, recipe and
    data of its training, and a picture. Of paths only the names of files are told. Takes ``holdsteady[hub]``.

    Args:
        shared: an Adapter or a model that has one; or a folder, or zip, of an adapter, best that of its training, or of
            an export.
        repository: ``"owner/name"``.
        model: the base that the picture is made with; not needed where it is known: of a StabilizedModel, of adapters
            for models that ship here, of exports.
        license: as the hub has it, ``"apache-2.0"``; None says nothing.
        picture: whether to make one, where the base is known: time slices of the demo's clip. Takes
            ``holdsteady[report]``.
        private: whether a new repository is.
        token: of the hub; None for the one that ``hf auth login`` has saved.

    Returns:
        The address of the commit.

    Raises:
        AdapterError, ExportError: it is damaged.
        AdapterError: the hub can't be reached or refuses.
        MissingExtraError: something is not installed; the text gives the pip line.
    """
    with extra("hub", "uploading to the hub"):
        import huggingface_hub as hub
    api = hub.HfApi(token=token)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if isinstance(shared, str | Path) and _is_export(Path(shared)):
            what = "An export"
            _stage_export(Path(shared), folder, repository, license, picture)
        else:
            what = "An adapter"
            _stage_adapter(shared, folder, repository, model, license, picture)
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            commit = api.upload_folder(repo_id=repository, folder_path=folder, commit_message=f"{what} of holdsteady")
        except Exception as error:  # the hub's own, and those of whatever library makes its connections
            raise AdapterError(f"can't upload to '{repository}': {first_line(error)}") from error
    return str(commit.commit_url)


def from_pretrained(repository: str | Path, **options: Any) -> Adapter | OnnxStep:
    """An adapter or an export from the Hugging Face hub, or from a folder or zip here. Nothing in it is executed.

    Examples:
        >>> steady = hs.stabilize(model, hs.from_pretrained("me/my-adapter"))
        >>> hs.run("in.mp4", "out.mp4", hs.from_pretrained("me/my-export"))

    Args:
        repository: ``"owner/name"``, or a folder or zip, which comes first.
        options: of ``huggingface_hub.snapshot_download``, as ``revision``, ``token``, ``cache_dir``.

    Returns:
        An Adapter, or an export as a step (``output, state = step(frame, state)``), which :func:`holdsteady.run` takes.

    Raises:
        AdapterError: the hub can't be reached, has no such repository, or it holds neither.
        ExportError: the export is damaged, or a program of torch.export.
        MissingExtraError: huggingface_hub is not installed, or ONNX Runtime for an export.
    """
    folder = Path(repository)
    is_here = folder.exists()
    if not is_here:
        folder = download(str(repository), [CONFIG_NAME, WEIGHTS_NAME, MANIFEST, *_PARTS], **options)
    if _is_export(folder):
        if read_manifest(folder).runtime != "onnx":
            raise ExportError(
                f"'{repository}' is a program of torch.export, which may hold pickles: if you trust its author, "
                "download it and load it with torch.export.load"
            )
        return OnnxStep(folder)
    if is_here or (folder / CONFIG_NAME).is_file():
        return load_adapter(folder)
    raise AdapterError(f"'{repository}' on the hub is neither an adapter nor an export: it lacks {CONFIG_NAME}")


def _is_export(path: Path) -> bool:
    """Whether a folder or zip is an export rather than an adapter."""
    if not path.is_file():
        return is_export(path)
    try:
        return bool(archive.read(path, MANIFEST))
    except OSError:
        return False


def _stage_export(path: Path, folder: Path, repository: str, license: str | None, picture: bool) -> None:
    manifest = read_manifest(path)
    for part in manifest.parts:
        (folder / part.file).write_bytes(read_part(path, part))
    (folder / MANIFEST).write_bytes(archive.read(path, MANIFEST))
    if picture and manifest.runtime == "onnx":
        from holdsteady.sharing.picture import draw_export

        draw_export(folder, folder / PICTURE)
    page = export_card(manifest, repository, license, has_picture=(folder / PICTURE).is_file())
    (folder / "README.md").write_text(page, encoding="utf-8", errors="backslashreplace")


def _stage_adapter(
    shared: Adapter | StabilizedModel | str | Path,
    folder: Path,
    repository: str,
    model: str | Callable[..., Any] | None,
    license: str | None,
    picture: bool,
) -> None:
    records: dict[str, bytes] = {}
    if isinstance(shared, StabilizedModel):
        adapter, model = load_adapter(shared.save(folder)), shared.base if model is None else model
    elif isinstance(shared, Adapter):
        adapter = copy.copy(shared)
    else:
        adapter, records = load_adapter(shared), _records(Path(shared))
    adapter.provenance = {topic: without_folder(text) for topic, text in adapter.provenance.items()}
    save_adapter(adapter, folder)
    if picture:
        from holdsteady.sharing.picture import base_for, draw_adapter

        base = base_for(adapter, model)
        if base is not None:
            draw_adapter(base, adapter, folder / PICTURE)
    page = adapter_card(adapter, records, repository, license, has_picture=(folder / PICTURE).is_file())
    (folder / "README.md").write_text(page, encoding="utf-8", errors="backslashreplace")


def _records(path: Path) -> dict[str, bytes]:
    """What a training left beside its adapter."""
    found = {}
    for name in RECORDS:
        try:
            found[name] = archive.read(path, name)
        except OSError:
            continue
    return found
