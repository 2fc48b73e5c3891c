"""Training batches: clean clips and what the corruption made of them, fixed by the seed and their number."""

import signal
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from holdsteady.corruptions import Corruption, corrupt_clip
from holdsteady.data import Mixture, Source, make_source
from holdsteady.data.dataset import item_generator
from holdsteady.errors import HoldsteadyError
from holdsteady.host.attach import stabilize
from holdsteady.training.recipe import SourceRecipe

#: Added to a recipe's seed for its validation, which must never see the crops and the noise of the training.
VALIDATION_SEED = 2**31


class CorruptedClips(Dataset[dict[str, Tensor]]):
    """The items of a mixture with ``corrupted`` beside ``frames``; item i depends on the seed and i alone.

    Args:
        clips: the clean clips.
        corruption: what is done to them.
        seed: of the corruption.
        is_noisy: the clips are not clean: what :func:`steadied` makes of them is.
    """

    def __init__(self, clips: Mixture, corruption: Corruption | None, seed: int, is_noisy: bool = False) -> None:
        self._clips, self._corruption, self._seed, self._is_noisy = clips, corruption, seed, is_noisy
        self.keys = clips.keys | {"corrupted"}

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        sample = self._clips[index]
        frames = steadied(sample["frames"]) if self._is_noisy else sample["frames"]
        sample["frames"] = frames
        if self._corruption is None:
            return {**sample, "corrupted": frames}
        # Another seed than the mixture's, or noise and crop would hang together.
        generator = item_generator(self._seed + 2**32, index)
        return {**sample, "corrupted": corrupt_clip(self._corruption, frames, generator)}

    def describe(self) -> list[dict[str, object]]:
        """What the sources say of themselves."""
        return self._clips.describe()


@torch.no_grad()
def steadied(frames: Tensor) -> Tensor:
    """A clip (T, 3, H, W) with less noise: the mean of *motion-fixed* from its beginning and from its end.

    What is left of the noise moves with the picture, as detail does, and neither way's lag is left.
    """
    ways = []
    for way in (frames, frames.flip(0)):
        # A frame is no evidence for itself, which (24) would take its noise for grain by.
        steady = stabilize(lambda frame: frame, "motion-fixed", takes="tensors", deflicker=False)
        ways.append(torch.cat([steady(frame) for frame in way.split(1)]))
    return (ways[0] + ways[1].flip(0)) / 2


def open_sources(recipes: Sequence[SourceRecipe], *, length: int, crop: int, flip: bool) -> list[Source]:
    """The sources of a recipe.

    Raises:
        ConfigError, VideoError: a source can't be opened, or does not fit the length and the crop.
    """
    return [
        make_source(
            recipe.kind,
            (*recipe.paths, *recipe.truth),
            length=length,
            crop=crop,
            stride=recipe.stride,
            flip=flip,
            split=recipe.split,
            part=recipe.part,
            shrink=recipe.shrink,
        )
        for recipe in recipes
    ]


class _Told(Dataset[Any]):
    """Items, or what was wrong with them: raised in a worker, an error would come with its whole traceback as text."""

    def __init__(self, items: Dataset[dict[str, Tensor]]) -> None:
        self._items = items

    def __getitem__(self, index: int) -> Any:
        try:
            return self._items[index]
        except HoldsteadyError as error:
            return error


def _batch(items: list[Any]) -> Any:
    return next((item for item in items if isinstance(item, HoldsteadyError)), None) or default_collate(items)


class _Batches:
    """Numbers of the items of each step from ``first`` on; every rank takes its share of each batch."""

    def __init__(self, first: int, steps: int, batch: int, rank: int, ranks: int) -> None:
        self._steps, self._batch, self._share = range(first, steps), batch, slice(rank, None, ranks)

    def __iter__(self) -> Iterator[list[int]]:
        for step in self._steps:
            yield list(range(step * self._batch, (step + 1) * self._batch))[self._share]

    def __len__(self) -> int:
        return len(self._steps)


def batches(
    clips: Dataset[dict[str, Tensor]],
    *,
    first: int,
    steps: int,
    batch: int,
    rank: int = 0,
    ranks: int = 1,
    workers: int = 0,
) -> DataLoader[Any]:
    """A loader of one batch per step, from ``first`` to ``steps``; batches don't depend on where it starts.

    In place of a batch that can't be read it gives the error.
    """
    return DataLoader(
        _Told(clips),
        collate_fn=_batch,
        batch_sampler=_Batches(first, steps, batch, rank, ranks),
        num_workers=workers,
        worker_init_fn=_prepare_worker if workers else None,
        # A forked process would inherit OpenCV's and OpenMP's locks, but not the threads that hold them.
        multiprocessing_context="spawn" if workers else None,
        pin_memory=torch.cuda.is_available(),
    )


def _prepare_worker(_worker: int) -> None:
    # Ctrl-C and a terminal that is closed are for the training, which ends after its step.
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
