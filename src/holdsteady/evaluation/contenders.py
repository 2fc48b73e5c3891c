"""Who takes part in an evaluation: the base, every plain smoothing, and adapters."""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.config import kind_of
from holdsteady.adapters.files import WEIGHTS_NAME
from holdsteady.errors import ConfigError, printable
from holdsteady.host.attach import stabilize
from holdsteady.host.resolve import AdapterLike, resolve_ready
from holdsteady.host.stabilized import StabilizedModel
from holdsteady.models.weights import load_weights
from holdsteady.training.folder import BASE_NAME, RECIPE_NAME

#: The sweeps of the paper (arXiv 2512.03014): weights of the present, and standard deviations in frames.
BETAS = (0.99, 0.98, 0.95, 0.9, 0.8, 0.6)
SIGMAS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0)


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    Attributes:
        label: its name.
        family: what it is one of; the contenders of a family are one curve of the plot.
        setting: where it stands on that curve: β, σ, or λ of a trained adapter; NaN if there is none.
        adapter: what :func:`holdsteady.stabilize` takes; None for the base.
        weights: safetensors of a base that was trained with it, or instead of one.
    """

    label: str
    family: str
    setting: float
    adapter: AdapterLike | Sequence[AdapterLike] | None
    weights: Path | None = None


BASE = Contender("base", "base", float("nan"), None)


def baselines(*, inner: bool = True) -> list[Contender]:
    """The base, output fixed, output Gaussian, motion fixed and, for networks, simple fixed.

    Args:
        inner: whether the model is a network that has points inside.
    """
    swept = [("output-fixed", BETAS), ("output-gaussian", SIGMAS)] + ([("simple-fixed", BETAS)] if inner else [])
    rows = [
        Contender(f"{kind}:{value:g}", kind, value, f"{kind}:{value:g}") for kind, values in swept for value in values
    ]
    return [BASE, *rows, Contender("motion-fixed", "motion-fixed", float("nan"), "motion-fixed")]


def trained(specs: Sequence[str]) -> list[Contender]:
    """Adapters as named on the command line, see ``resolve_ready``; folders of bases that were trained, too.

    Raises:
        AdapterError: a folder holds neither an adapter nor a base.
        ConfigError: a name is nothing known, or is given twice.
    """
    twice = next((spec for spec in specs if specs.count(spec) > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice} is given twice")
    short = ["+".join(Path(part).name or part for part in spec.split("+")) for spec in specs]
    ours = {one.label for one in baselines()}
    # Folders of one name in different places, or of the name of a baseline, are told apart by their paths.
    labels = [spec if short.count(name) > 1 or name in ours else name for name, spec in zip(short, specs, strict=True)]
    labels = [printable(f"./{label}" if label == BASE.label else label) for label in labels]
    return [_contender(spec, label) for spec, label in zip(specs, labels, strict=True)]


def _contender(spec: str, label: str) -> Contender:
    setting = _stability_weight(spec)
    weights = Path(spec, BASE_NAME) if Path(spec, BASE_NAME).is_file() else None
    if weights is not None and not Path(spec, WEIGHTS_NAME).exists():
        return Contender(label, "base (trained)", setting, (), weights)
    adapters = resolve_ready(spec)
    first = adapters[0] if len(adapters) == 1 else None
    if isinstance(first, Adapter):
        both = "with its base, " if weights is not None else ""
        return Contender(label, f"{first.config.kind} ({both}trained)", setting, adapters, weights)
    _, at, point = spec.partition("@")
    family = kind_of(spec) + at + point if first is not None else "composition"
    return Contender(label, family, float("nan"), adapters)


def _stability_weight(folder: str) -> float:
    """λ of the recipe next to an adapter; NaN if there is none."""
    try:
        recipe = yaml.safe_load(Path(folder, RECIPE_NAME).read_text(encoding="utf-8-sig"))
        return float(recipe["objective"]["stability"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return float("nan")


class Run:
    """A contender on one clip. Output kinds share the base's outputs, so that a whole table costs a few networks.

    Args:
        contender: who runs.
        model: the base.
        example: a frame (1, 3, H, W).
    """

    def __init__(self, contender: Contender, model: Callable[..., Any], example: Tensor) -> None:
        self.contender = contender
        self.seconds: list[float] = []
        self._given: Any = None
        self.steady: StabilizedModel | None = None
        self.shares_base = contender.weights is None
        if contender.weights is not None:
            model = copy.deepcopy(model)
            load_weights(model, contender.weights)
        if contender.adapter is not None:
            steady = stabilize(model, contender.adapter, example=example).to(example.device)
            self.shares_base &= set(steady.cells_at) == {"output"}
            attached = [steady.adapter(number) for number in range(len(steady.adapters))]
            self.steady = stabilize(self._base_output, attached) if self.shares_base else steady

    def _base_output(self, _frame: Tensor) -> Any:
        return self._given

    def step(self, frame: Tensor, base_output: Any, base_seconds: float) -> Any:
        """The output on a frame. What the base's part of it took is counted in."""
        if self.steady is None:
            self.seconds.append(base_seconds)
            return base_output
        self._given = base_output
        frame = frame.clone()  # the model may write into it
        begun = now(frame.device)
        with torch.inference_mode():
            output = self.steady(frame)
        taken = now(frame.device) - begun
        self.seconds.append(taken + base_seconds if self.shares_base else taken)
        return output

    def cut(self) -> None:
        """A new shot begins."""
        if self.steady is not None:
            self.steady.reset()


def now(device: torch.device) -> float:
    """Seconds on a clock, when all that a device was given is done."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter()
