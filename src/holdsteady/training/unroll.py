"""A clip through a stabilized model and into the loss: everything that gradients flow through."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from holdsteady.errors import ConfigError, PointError
from holdsteady.host.mirror import can_mirror, mirror, named_modules
from holdsteady.host.outputs import open_image
from holdsteady.host.stabilized import StabilizedModel
from holdsteady.models.values import image_of
from holdsteady.objective.distances import IGNORED_CLASS
from holdsteady.objective.fit import fit_by_first
from holdsteady.objective.flow import clean_flow
from holdsteady.objective.loss import LossTerms, unified_loss

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Objective:
    """What a clip is compared with, and how.

    Attributes:
        target: ``self`` for the base's output on the clean frames, ``frames`` for these, or a key of the sample.
        distance: a name of ``holdsteady.objective.distances.DISTANCES``.
        stability: λ.
        motion_compensated: whether the stability term follows the clean clip's motion.
        features: points whose values are held near the base's on clean frames, with weights.
        fit: ``first`` for relative depth, see ``holdsteady.objective.fit``.
    """

    target: str = "self"
    distance: str = "rmse"
    stability: float = 0.4
    motion_compensated: bool = False
    features: tuple[tuple[str, float], ...] = ()
    fit: str = "none"


@dataclass  # not frozen: Fabric would convert its tensors in place
class Unrolled:
    """A clip's outputs and what they cost.

    Attributes:
        terms: the loss; features are in its total.
        outputs: ỹ (B, T, C, H, W); for cross-entropy the softmax of the logits.
        targets: y (B, T, C, H, W), or (B, T, H, W) class numbers.
    """

    terms: LossTerms
    outputs: Tensor
    targets: Tensor


class Unroll(nn.Module):
    """Runs a stabilized model over clips from a fresh state and measures the loss.

    Args:
        steady: the model and its adapter.
        objective: the loss.
        teacher: gives the targets of ``self``; the base, or a frozen copy where the base is trained.
        trains_base: makes the base's parameters those of this module too.
    """

    def __init__(
        self, steady: StabilizedModel, objective: Objective, teacher: Callable[..., Any], *, trains_base: bool = False
    ) -> None:
        super().__init__()
        self.steady, self.objective = steady.train(), objective  # else outputs would carry no gradient
        self.base = steady.base if trains_base else None
        points = [name for name, _ in objective.features]
        # Not registered: its weights are the base's, and are none of this module's.
        own = mirror(teacher) if points and can_mirror(teacher) else teacher
        self._teach: Callable[..., Any]
        object.__setattr__(self, "_teach", own)
        self._student_features = Capture(steady.network, points)
        self._teacher_features = Capture(own, points)

    def forward(self, batch: Batch) -> Unrolled:
        """``frames`` (B, T, 3, H, W), the clean clip, and ``corrupted``, the one that the model sees."""
        frames, corrupted = batch["frames"], batch["corrupted"]
        with torch.no_grad(), self._teacher_features as clean_features:
            targets = self.targets(batch)
        outputs, state = [], None
        with self._student_features as features:
            for t in range(corrupted.shape[1]):
                # Copies: a model may write into what it is given, and again into what it gave.
                output, state = self.steady.step(corrupted[:, t].clone(), state)
                outputs.append(image_of(output).clone())
        result = torch.stack(outputs, dim=1)
        _check_classes(result, targets)
        self._check_size(result, targets)
        if self.objective.fit == "first":
            result = fit_by_first(result, targets)
        flows, valid = self._flows(batch, frames)
        weight, distance = self.objective.stability, self.objective.distance
        terms = unified_loss(result, targets, stability=weight, distance=distance, flows=flows, valid=valid)
        total = terms.total
        for name, share in self.objective.features:
            values = torch.stack(features[name], dim=1)
            wanted = torch.stack(clean_features[name], dim=1)
            total = total + share * unified_loss(values, wanted, stability=weight).total
        shown = torch.softmax(result, dim=2) if distance == "cross-entropy" else result
        return Unrolled(terms._replace(total=total), shown, targets)

    def _check_size(self, outputs: Tensor, targets: Tensor) -> None:
        given, wanted = (_in_words(one) for one in (outputs, targets))
        if targets.is_floating_point() and given != wanted:
            target = self.objective.target
            advice = (
                "" if target == "self" else "; a model that does not restore frames learns from objective.target = self"
            )
            raise ConfigError(f"the model gives {given}, and objective.target = {target} is {wanted}{advice}")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Unroll":
        super()._apply(fn, recurse)
        if isinstance(self._teach, nn.Module):
            self._teach._apply(fn, recurse)
        return self

    def base_outputs(self, frames: Tensor) -> Tensor:
        """What the teacher gives on frames (B, T, C, H, W), frame by frame as the model itself: what folds windows into
        the batch keeps its order.
        """
        return torch.stack([image_of(self._teach(frame.clone())).clone() for frame in frames.unbind(1)], dim=1)

    def targets(self, batch: Batch) -> Tensor:
        """y of a batch; the teacher also runs where its features are wanted."""
        taught = self.objective.target == "self" or self.objective.features
        target = self.base_outputs(batch["frames"]) if taught else batch["frames"]
        if self.objective.target != "self":
            return batch[self.objective.target]
        return torch.softmax(target.float(), dim=2) if self.objective.distance == "cross-entropy" else target

    def _flows(self, batch: Batch, frames: Tensor) -> tuple[Tensor | None, Tensor | None]:
        if not self.objective.motion_compensated:
            return None, None
        if "flow" in batch:
            known = batch["flow"].isfinite().all(dim=2, keepdim=True)
            return batch["flow"].nan_to_num(0.0), known & batch["visible"] if "visible" in batch else known
        return clean_flow(frames)


class Capture:
    """Collects what modules of a network give, call by call, while it is entered.

    Args:
        network: a module tree that belongs to us: hooks are set on it.
        names: of the modules; ``output`` is left to the loss itself.

    Raises:
        PointError: a name is not a module of the network.
    """

    def __init__(self, network: Any, names: Sequence[str]) -> None:
        modules = dict(named_modules(network)) if isinstance(network, nn.Module) else {}
        missing = [name for name in names if name not in modules]
        if missing:
            raise PointError(f"features: the model has no module {', '.join(missing)}; see holdsteady points")
        self._modules = {name: modules[name] for name in names}
        self._handles: list[Any] = []

    def __enter__(self) -> dict[str, list[Tensor]]:
        values: dict[str, list[Tensor]] = {name: [] for name in self._modules}

        def collect(name: str, value: Any) -> None:
            image = open_image(value)
            if image is None:
                raise PointError(f"features: '{name}' returned {type(value).__name__}, not a float tensor")
            values[name].append(image[0])

        for name, module in self._modules.items():
            # After the hooks of adapters: what is collected is stabilized already.
            handle = module.register_forward_hook(lambda _m, _i, value, name=name: collect(name, value))
            self._handles.append(handle)
        return values

    def __exit__(self, *_: object) -> None:
        while self._handles:
            self._handles.pop().remove()


def check_objective(objective: Objective, keys: frozenset[str]) -> None:
    """Make sure that the data has what the loss needs.

    Raises:
        ConfigError: the sources don't give the target.
    """
    if objective.target not in ("self", "frames") and objective.target not in keys:
        raise ConfigError(
            f"objective.target = '{objective.target}': the sources give {', '.join(sorted(keys))} only; "
            "take self or frames, or sources that have it"
        )


def _in_words(clip: Tensor) -> str:
    channels, height, width = clip.shape[2:]
    return f"{channels} channel{'s' if channels > 1 else ''} of {width}x{height}"


def _check_classes(outputs: Tensor, targets: Tensor) -> None:
    """Class numbers that the model has no logit for would end in an index error."""
    if not targets.is_floating_point():
        highest = int(targets[targets != IGNORED_CLASS].amax()) if (targets != IGNORED_CLASS).any() else 0
        if highest >= outputs.shape[2]:
            raise ConfigError(f"the data has class {highest}, and the model gives {outputs.shape[2]} classes, 0 and up")
