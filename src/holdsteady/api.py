"""The commands as functions; what they need beyond the core is imported when they are called."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdsteady.device import pick_device
from holdsteady.errors import ConfigError, extra, near
from holdsteady.host.resolve import AdapterLike, deflickering, resolve_ready
from holdsteady.loading import card_of_adapters, load
from holdsteady.models.card import ModelCard
from holdsteady.models.model import with_card
from holdsteady.models.weights import load_weights

if TYPE_CHECKING:
    import threading

    from holdsteady.models.display import Style
    from holdsteady.video import Summary


def run(
    source: str | Path,
    sink: str | Path,
    model: str | Callable[..., Any],
    adapter: AdapterLike | Sequence[AdapterLike] = "motion-fixed",
    *,
    weights: str | Path | None = None,
    card: ModelCard | None = None,
    trust: bool = False,
    inside: bool = False,
    style: "Style | None" = None,
    values: str | Path | None = None,
    values_as: str = "npy",
    note: Callable[[str], None] | None = None,
    strength: float = 1.0,
    both_ways: bool = False,
    deflicker: bool = False,
    compile: bool = False,
    device: str = "auto",
    progress: Callable[[int, int | None], None] | None = None,
    stop: "threading.Event | None" = None,
    **options: Any,
) -> "Summary":
    """Run an image model over a video, frame by frame, held steady by an adapter; the command ``holdsteady run``.

    >>> hs.run("noisy.mp4", "clean.mp4", model, "nafnet16-light", start=10, duration=5)

    Takes the extra ``holdsteady[video]``.

    Args:
        source: a video file, a folder or glob of images, a camera's number, a URL, or ``-``.
        sink: a video file, a folder for PNG images, or ``-``.
        model: a name as :func:`holdsteady.load` takes it, or any callable from frames (1, 3, H, W) in [0, 1] to images.
        adapter: as of :func:`holdsteady.stabilize`, ready to run; ``none`` for the model alone.
        weights, card, trust, inside: see :func:`holdsteady.load`. What the card does not say is taken from the adapter,
            which keeps the card that it was trained with.
        style: how depth, classes and masks are shown.
        values: a folder for the values themselves, one file a frame, written as ``values_as``: npy, png or exr.
        note: is told in one line what the model's output was taken for, where no card says it.
        strength: from 0 (the base) to 1 (the adapter).
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
        from holdsteady.models.runner import FrameRunner, LaterTwin
        from holdsteady.models.value_files import ValueWriter
        from holdsteady.video.tensors import dtype_of

    if both_ways and values is not None:
        raise ConfigError("--both-ways averages pictures, and --values keeps what the model gives: take one of them")
    unknown = sorted(options.keys() - video.RunOptions.__dataclass_fields__.keys())
    if unknown:
        known = [name for name in video.RunOptions.__dataclass_fields__ if name != "device"]
        hint = near(unknown[0], [*known, "device", "weights", "strength", "both_ways", "deflicker", "compile"])
        raise ConfigError(f"run has no option {', '.join(unknown)}{hint}; available: {', '.join(known)}")
    how = video.RunOptions(device=pick_device(device), **options)
    source, sink = str(source), str(sink)
    # What can be told at once is told before a model is loaded.
    video.check_sink(source, sink, how.overwrite)
    video.check_codec(sink, how.codec, how.crf)
    video.open_cuts(how.cuts)
    with video.own_stdout() if sink == "-" else nullcontext():  # models may print as they are made
        adapters = deflickering(resolve_ready(adapter)) if deflicker else resolve_ready(adapter)
        kept = card_of_adapters(adapters)
        card = (card or ModelCard()).over(kept or ModelCard())
        if isinstance(model, str):
            loaded = load(model, weights, card=card, trust=trust, inside=inside)
        else:
            loaded = with_card(model, card)
            if weights is not None:
                load_weights(loaded, Path(weights), trust)
    runner = FrameRunner(
        loaded,
        adapters,
        strength=strength,
        device=how.device,
        dtype=dtype_of(how.dtype),
        compile=compile,
        style=style,
        values=None if values is None else ValueWriter(Path(values), values_as, how.overwrite),
        note=note,
        records=both_ways,
    )
    back = None
    if both_ways:
        twin = LaterTwin(runner)
        back = video.Backward(twin.step, twin.reset, lambda: runner.recorded)
    return video.run(source, sink, runner.step, how, on_cut=runner.reset, back=back, progress=progress, stop=stop)
