"""The commands as functions; what they need beyond the core is imported when they are called."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from holdsteady.device import pick_device
from holdsteady.errors import ConfigError, extra, near
from holdsteady.exports.manifest import is_export
from holdsteady.exports.step import OnnxStep
from holdsteady.host.resolve import AdapterLike, deflickering, resolve_ready
from holdsteady.host.stabilized import StabilizedModel
from holdsteady.loading import card_of_adapters, load
from holdsteady.models.card import FORMATS, ModelCard
from holdsteady.models.model import with_card
from holdsteady.models.weights import load_weights

if TYPE_CHECKING:
    import threading

    from holdsteady.jobs.batch import Report
    from holdsteady.jobs.manifest import Entry
    from holdsteady.models.display import Style
    from holdsteady.video import Summary


def run(
    source: str | Path,
    sink: str | Path,
    model: str | Path | Callable[..., Any],
    adapter: AdapterLike | Sequence[AdapterLike] | None = None,
    *,
    weights: str | Path | None = None,
    card: ModelCard | None = None,
    trust: bool = False,
    inside: bool = False,
    style: "Style | None" = None,
    values: str | Path | None = None,
    values_as: str | None = None,
    note: Callable[[str], None] | None = None,
    strength: float | None = None,
    both_ways: bool = False,
    deflicker: bool = False,
    compile: bool = False,
    device: str = "auto",
    progress: Callable[[int, int | None], None] | None = None,
    stop: "threading.Event | None" = None,
    **options: Any,
) -> "Summary":
    """Run an image model over a video, frame by frame, held steady by an adapter; the command ``holdsteady run``.

    Examples:
        >>> hs.run("noisy.mp4", "clean.mp4", model, "nafnet16-light", start=10, duration=5)

    Takes the extra ``holdsteady[video]``.

    Args:
        source: a video file, a folder or glob of images, a camera's number, a URL, or ``-``.
        sink: a video file, a folder for PNG images, or ``-``.
        model: a name as :func:`holdsteady.load` takes it, or any callable from frames (1, 3, H, W) in [0, 1] to images
            (a module is moved and cast for the run, and put back as it was); a model that :func:`holdsteady.stabilize`
            gave, whose adapters and strength are then taken; or an export, as a folder, a zip of one or a step, which
            has its adapter, card and strength in it.
        adapter: as of :func:`holdsteady.stabilize`, ready to run; None for ``motion-fixed``, ``none`` for the model
            alone.
        weights, card, trust, inside: see :func:`holdsteady.load`. What the card does not say is taken from the adapter,
            which keeps the card that it was trained with.
        style: how depth, classes and masks are shown.
        values: a folder for the values themselves, one file a frame, written as ``values_as``: npy (the default), png
            or exr.
        note: is told in one line what the model's output was taken for, where no card says it.
        strength: from 0 (the base) to 1 (the adapter), the default; of a model that is steady already, its own.
        both_ways: whether to average with a second pass from the end of each shot; not for classes.
        deflicker: whether *motion-fixed* or *universal* hold the relation of output to input always: exposure, colour
            and tone of whole regions.
        compile: whether to compile the model with its adapter first.
        device: ``auto`` for the first accelerator, ``cpu``, ``cuda``, ….
        progress: called after each frame with the frames done and how many there are, or None.
        stop: set it to end the run after the current frame, as Ctrl-C does.
        options: fields of :class:`holdsteady.video.RunOptions`: ``start``, ``duration``, ``deinterlace``, ``cuts``,
            ``codec``, ``crf``, ``side_by_side``, ``overwrite``, ``dtype``.

    Returns:
        How many frames there were, the seconds they took, the cuts, and whether Ctrl-C ended it early.

    Raises:
        ConfigError, ModelError, AdapterError, VideoError: what was wrong, and where.
        MissingExtraError: something is not installed; the text gives the pip line.
    """
    with extra("video", "reading and writing videos"):
        from holdsteady import video
        from holdsteady.models.place import borrowed
        from holdsteady.models.runner import FrameRunner, LaterTwin
        from holdsteady.models.value_files import ValueWriter
        from holdsteady.video.tensors import dtype_of

    if isinstance(model, StabilizedModel):
        model, adapter, strength = _taken_apart(model, adapter, strength)
    if both_ways and values is not None:
        raise ConfigError("--both-ways averages pictures, and --values keeps what the model gives: take one of them")
    if values is None and values_as is not None:
        warnings.warn(f"--values-as {values_as} has no effect: without --values no values are kept", stacklevel=2)
    _check(options, "run", [name for name in video.RunOptions.__dataclass_fields__ if name != "device"])
    source, sink = str(source), str(sink)
    if isinstance(model, OnnxStep) or (isinstance(model, str | Path) and is_export(model)):
        given: dict[str, Any] = {"adapter": adapter, "weights": weights, "card": card, "style": style, "values": values}
        given |= {"trust": trust, "inside": inside, "both_ways": both_ways, "deflicker": deflicker, "compile": compile}
        given |= {"strength": strength not in (None, 1), "device": device not in ("auto", "cpu")}
        given |= {"dtype": options.get("dtype", "float32") != "float32"}
        if settled := [name for name, value in given.items() if value is not None and value is not False]:
            raise ConfigError(f"{', '.join(settled)}: the model is an export, in which that is settled already")
        from holdsteady.exports.runner import run_export

        return run_export(source, sink, model, video.RunOptions(**options), progress=progress, stop=stop)
    how = video.RunOptions(device=pick_device(device), **options)
    # What can be told at once is told before a model is loaded.
    video.check_sink(source, sink, how.overwrite)
    video.check_codec(sink, how.codec, how.crf)
    video.open_cuts(how.cuts)
    if values is not None:
        video.check_apart(Path(values), source)
        if sink != "-" and Path(values).resolve() == Path(sink).resolve():
            raise ConfigError(f"--values {values}: the pictures go there; take another folder for one of them")
    with video.own_stdout() if sink == "-" else nullcontext():  # models may print as they are made
        adapters = resolve_ready("motion-fixed" if adapter is None else adapter)
        adapters = deflickering(adapters) if deflicker else adapters
        kept = card_of_adapters(adapters)
        card = (card or ModelCard()).over(kept or ModelCard())
        if isinstance(model, str | Path):
            loaded = load(str(model), weights, card=card, trust=trust, inside=inside)
        else:
            loaded = with_card(model, card)
            if weights is not None:
                load_weights(loaded, Path(weights), trust)
    with borrowed(model, *adapters):
        runner = FrameRunner(
            loaded,
            adapters,
            strength=1.0 if strength is None else strength,
            device=how.device,
            dtype=dtype_of(how.dtype),
            compile=compile,
            style=style,
            values=None if values is None else ValueWriter(Path(values), values_as or FORMATS[0], how.overwrite),
            note=note,
            records=both_ways,
        )
        back = None
        if both_ways:
            twin = LaterTwin(runner)
            back = video.Backward(twin.step, twin.reset, lambda: runner.recorded)
        return video.run(source, sink, runner.step, how, on_cut=runner.reset, back=back, progress=progress, stop=stop)


def batch(
    inputs: Iterable[str | Path],
    out: str | Path,
    model: str | Callable[..., Any],
    adapter: AdapterLike | Sequence[AdapterLike] = "motion-fixed",
    *,
    weights: str | Path | None = None,
    card: ModelCard | None = None,
    trust: bool = False,
    inside: bool = False,
    strength: float = 1.0,
    style: "Style | None" = None,
    device: str = "auto",
    engine: Literal["local", "ray"] = "local",
    streams: int = 1,
    workers: int | None = None,
    suffix: str | None = None,
    note: "Callable[[str, Entry | None], None] | None" = None,
    stop: "threading.Event | None" = None,
    **options: Any,
) -> "Report":
    """Run an image model over many videos, held steady by an adapter; the command ``holdsteady batch``.

    Examples:
        >>> report = hs.batch(["archive/"], "steady/", "denoise-video", "denoise-video-clean")
        >>> report.done, report.skipped, report.failed

    Takes the extra ``holdsteady[cli]``.

    Args:
        inputs: video files, globs, folders.
        out: the folder of results and of ``manifest.json``; made if it is missing.
        model, adapter, weights, card, trust, inside, strength, style, device, options: see :func:`holdsteady.run`.
        engine: ``local`` for this process, ``ray`` for a cluster's workers, to which the model is sent by name.
        streams: how many files at a time go through the model as a batch; with ``local``.
        workers: how many processes; with ``ray``.
        suffix: type of the results, as ``.mkv``; None for each file's own.
        note: is told a file's name and what became of it; None where it was stopped.
        stop: set it to end after the current frames; a next run resumes.

    Returns:
        The names of what was done and skipped, what was wrong with what failed, and what is left.

    Raises:
        ConfigError, VideoError: nothing was begun.
        ModelError, AdapterError: the model or the adapter can't be loaded.
        MissingExtraError: something is not installed; the text gives the pip line.
    """
    with extra("cli", "working on many files"):
        from holdsteady.jobs.batch import batch as run_batch
        from holdsteady.jobs.work import Order
        from holdsteady.models.place import borrowed
        from holdsteady.video import RunOptions

    left_out = ("device", "start", "duration", "side_by_side")
    _check(options, "batch", [name for name in RunOptions.__dataclass_fields__ if name not in left_out])
    if isinstance(model, StabilizedModel):
        raise ConfigError("batch needs the base of a model that is held steady, and its adapters beside it")
    order = Order(
        model,
        adapter,
        weights=None if weights is None else Path(weights),
        card=card,
        trust=trust,
        inside=inside,
        strength=strength,
        style=style,
        # On Ray, each worker picks its own.
        options=RunOptions(device=device if engine == "ray" else pick_device(device), **options),
    )
    with borrowed(model, *([adapter] if isinstance(adapter, AdapterLike) else adapter)):
        return run_batch(
            inputs,
            out,
            order,
            engine=engine,
            streams=streams,
            workers=workers,
            suffix=suffix,
            overwrite=order.options.overwrite,
            note=note,
            stop=stop,
        )


def _taken_apart(
    model: StabilizedModel, adapter: AdapterLike | Sequence[AdapterLike] | None, strength: float | None
) -> tuple[Callable[..., Any], list[AdapterLike], float]:
    """The base of a model that is held steady, its adapters, and the strength that it has or that is asked for.

    Raises:
        ConfigError: other adapters are asked for.
    """
    if adapter is not None:
        raise ConfigError("the model is held steady already, and an adapter is given: give the base, or leave it out")
    adapters: list[AdapterLike] = [model.adapter(number) for number in range(len(model.adapters))]
    return model.base, adapters, model.strength if strength is None else strength


def _check(options: dict[str, Any], verb: str, known: list[str]) -> None:
    """Raise ConfigError for options that there are not."""
    if unknown := sorted(options.keys() - set(known)):
        named = ["device", "weights", "strength", *(("both_ways", "deflicker", "compile") if verb == "run" else ())]
        hint = near(unknown[0], [*known, *named])
        raise ConfigError(f"{verb} has no option {', '.join(unknown)}{hint}; available: {', '.join(known)}")
