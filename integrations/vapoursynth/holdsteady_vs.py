"""A function for VapourSynth: a clip held steady, with or without the model that made it.

from holdsteady_vs import steady

clip = clip.resize.Bicubic(format=vs.RGBS, matrix_in_s="709")
clip = steady(clip, model="denoise-video", adapter="denoise-video-clean")
clip = clip.resize.Bicubic(format=vs.YUV420P10, matrix_s="709")
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

import holdsteady as hs
from holdsteady.host.resolve import resolve_ready, without_input
from holdsteady.models.runner import FrameRunner

T = TypeVar("T")


def steady(
    clip: Any,
    model: str | Callable[..., Any] | None = None,
    adapter: Any = "motion-fixed",
    *,
    guide: Any = None,
    strength: float = 1.0,
    history: int | None = None,
    device: str = "cpu",
) -> Any:
    """A clip, held steady.

    A frame whose property ``_SceneChangePrev`` is 1 begins anew, as ``misc.SCDetect`` and others set it.

    Args:
        clip: RGBS.
        model: runs on each frame: what ``holdsteady.load`` takes, or a callable; None where the clip was processed
            already.
        adapter: what ``holdsteady.stabilize`` takes.
        guide: without a model, the clip before it was processed, RGBS of the same size; its motion is followed.
        strength: from 0 to 1.
        history: how many frames before it a frame is computed from after a seek, and how far ahead frames may be asked
            for; None for the core's threads, 8 at the least.
        device: of the model and the adapter.

    Raises:
        vapoursynth.Error: the clips are not RGBS, or don't go together.
        holdsteady.errors.HoldsteadyError: the model or the adapter can't be loaded.
    """
    import vapoursynth as vs

    def refuse_unless(fits: bool, message: str) -> None:
        if not fits:
            raise vs.Error(f"holdsteady: {message}")

    for one in (clip, *([] if guide is None else [guide])):
        known = one.format is not None and one.format.id == vs.RGBS and one.width and one.height
        refuse_unless(known, 'clips have to be RGBS: clip.resize.Bicubic(format=vs.RGBS, matrix_in_s="709")')
    refuse_unless(guide is None or model is None, "a guide is for clips that were processed already: leave out model")
    history = max(8, vs.core.num_threads) if history is None else history
    refuse_unless(history >= 0, f"history = {history}: 0 or more")
    run, reset = _runner(model, adapter, strength, device, guide is not None)
    template = clip
    if guide is not None:
        same = (guide.width, guide.height, guide.num_frames) == (clip.width, clip.height, clip.num_frames)
        refuse_unless(same, "the guide has another size or length than the clip")
    if model is not None:  # which may enlarge
        with clip.get_frame(0) as first:
            height, width = run(first, first).shape[-2:]
        template = clip.std.BlankClip(width=width, height=height, keep=True)
        reset()
    order = InOrder(run, reset, lambda frame: frame.props.get("_SceneChangePrev", 0) == 1, history)
    count = history + 1
    frames = [_later(clip, age) for age in range(count)]
    guides = [] if guide is None else [_later(guide, age) for age in range(count)]

    def selector(n: int, f: Any) -> Any:
        given = f if isinstance(f, Sequence) else [f]
        own, others = given[1 : 1 + count], given[1 + count :] or given[1 : 1 + count]
        picture = order.at(n, lambda number: (own[n - number], others[n - number]))
        shown = given[0].copy()
        shown.props.update(own[0].props)
        for plane, values in enumerate(picture):
            np.copyto(np.asarray(shown[plane]), values)
        return shown

    return template.std.ModifyFrame(clips=[template, *frames, *guides], selector=selector)


class InOrder(Generic[T]):
    """Frames by number, computed in order however they are asked for.

    VapourSynth asks several threads for frames, a few ahead of each other. A frame ahead has those before it computed
    first; a frame that was passed is kept for when it is asked for. So a clip that is read from its start comes out as
    in ``holdsteady run``. After a seek, back or further ahead than ``history``, the memory is cleared, and the frame is
    computed from the ``history`` frames before it.

    Args:
        step: the result of a frame, from what ``fetch`` gave for it.
        reset: forgets.
        begins: whether a frame begins a new shot.
        history: how many frames before the one that is asked for can be fetched.
    """

    def __init__(
        self, step: Callable[..., T], reset: Callable[[], None], begins: Callable[[Any], bool], history: int
    ) -> None:
        self._step, self._reset, self._begins, self._history = step, reset, begins, history
        self._last: int | None = None
        self._kept: dict[int, T] = {}

    def at(self, number: int, fetch: Callable[[int], tuple[Any, ...]]) -> T:
        """The result of a frame; ``fetch`` gives that frame and those up to ``history`` before it, by number."""
        if number in self._kept:
            return self._kept[number]
        first = 0 if self._last is None else self._last + 1
        if not first <= number <= first + self._history:
            self._reset()
            self._kept.clear()
            first = max(0, number - self._history)
        for current in range(first, number + 1):
            frames = fetch(current)
            if self._begins(frames[0]):
                self._reset()
            self._kept[current] = self._step(*frames)
            self._last = current
        for old in [kept for kept in self._kept if kept < number - self._history]:
            del self._kept[old]
        return self._kept[number]


def _runner(
    model: str | Callable[..., Any] | None, adapter: Any, strength: float, device: str, follows_guide: bool
) -> tuple[Callable[[Any, Any], Any], Callable[[], None]]:
    """What makes an array (3, H, W) of VapourSynth's frame and guide, and what makes it forget."""
    adapters = resolve_ready(adapter)

    def tensor(frame: Any) -> Tensor:
        return torch.from_numpy(np.stack([np.asarray(frame[plane]) for plane in range(3)]))[None].to(device)

    def array(output: Tensor) -> Any:
        return output[0].expand(3, -1, -1).float().cpu().numpy()

    if model is not None:
        runner = FrameRunner(
            hs.load(model) if isinstance(model, str) else model, adapters, strength=strength, device=device
        )
        return lambda frame, _guide: array(runner.step(tensor(frame))), runner.reset
    processed = [torch.empty(0)]
    if not follows_guide:
        adapters = without_input(adapters)
    settings = {"flow_from": "input"} if follows_guide and adapter == "motion-fixed" else {}
    held = hs.stabilize(lambda _guide: processed[0], adapter if settings else adapters, strength=strength, **settings)
    held.to(device)

    def step(frame: Any, guide: Any) -> Any:
        processed[0] = tensor(frame)
        return array(held(processed[0] if guide is frame else tensor(guide)))

    return step, held.reset


def _later(clip: Any, frames: int) -> Any:
    """The clip, so many frames later; its first frame stands before the start."""
    return clip if frames == 0 else (clip[0] * frames + clip)[: clip.num_frames]
