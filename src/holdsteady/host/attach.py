"""`stabilize`: from a model and the name of an adapter to a StabilizedModel."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from holdsteady.adapters.adapter import Adapter, Point
from holdsteady.adapters.config import AdapterConfig
from holdsteady.errors import ConfigError, PointError
from holdsteady.host.border import Takes
from holdsteady.host.frame import form_of
from holdsteady.host.identity import base_of, check_base
from holdsteady.host.mirror import can_mirror, named_parameters
from holdsteady.host.points import points, select_points
from holdsteady.host.resolve import AdapterLike, resolve
from holdsteady.host.stabilized import StabilizedModel

_PRECISIONS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
#: What outputs are fused as, by the kind that a model's card states.
_FUSED_AS = {"image": "values", "depth": "values", "classes": "classes", "labels": "classes", "mask": "mask"}


def stabilize(
    model: Callable[..., Any],
    adapter: AdapterLike | Sequence[AdapterLike] = "motion-fixed",
    *,
    example: Any = None,
    strength: float = 1.0,
    preset: str | None = None,
    takes: Takes = "auto",
    check_finite: bool = True,
    **settings: Any,
) -> StabilizedModel:
    """Hold a frame-wise image model steady over a video.

    Examples:
        >>> steady = stabilize(model)                              # no training: motion fixed
        >>> steady = stabilize(model, "nafnet16-light")            # an adapter that ships here
        >>> steady = stabilize(model, "my-adapter/")               # a folder
        >>> steady = stabilize(model, "me/my-adapter")             # one on the Hugging Face hub
        >>> steady = stabilize(model, "for-holes/+motion-fixed")   # a composition, also as a list
        >>> steady = stabilize(model, "spatial", example=frame)    # an untrained adapter, to be trained

    Args:
        model: any nn.Module; or any callable from a batch of frames to outputs, for the output kinds.
        adapter: a kind (``"spatial"``, ``"output-fixed:0.8"``), the name, folder or hub id of a trained adapter, a
            config, an Adapter, or several of these to be chained at each point: a list, or joined by ``+``.
        example: a frame, as a batch (B, C, H, W), for the pass that finds points and shapes; needed by kinds that have
            parameters or work inside the network.
        strength: from 0 (the base) to 1 (the adapter).
        preset: constants that ``settings`` then change, for the kinds with heads (``"spatial"``, ``"controlled"``):
            ``"light"``, which is the default, ``"tiny"`` or ``"paper"``.
        takes: what the model is given: ``"tensors"`` for float tensors (B, C, H, W) in [0, 1], whatever frames come
            as; ``"frames"`` for frames as they are; ``"auto"``: a module gets tensors, another callable frames as they
            are, or tensors if it refuses the first frame.
        check_finite: False if no frame and no value inside will ever be NaN or infinite, which saves looking for them.
        settings: fields of :class:`AdapterConfig`, as ``points``, ``beta``, ``kernel``.

    Raises:
        ConfigError: an unknown kind, setting or name, a missing example, or a model that is none or steady already.
        PointError: points that are not there or can't be stabilized.
        AdapterError: a trained adapter that is damaged or belongs to another base.
        MissingExtraError: the hub is asked and huggingface_hub is not installed.
    """
    _check_model(model)
    adapters = []
    given = [adapter] if isinstance(adapter, AdapterLike) else list(adapter)
    for one in resolve(adapter, preset, settings):
        if isinstance(one, Adapter):
            check_base(one, model)
            # Of one that was loaded here the weights are as the model's: where it runs, and in its precision.
            adapters.append(one if any(one is other for other in given) else _like(one, model))
        elif isinstance(one, AdapterConfig):
            adapters.append(_new_adapter(model, one, example, takes))
    return StabilizedModel(model, adapters, strength, takes, check_finite)


def _check_model(model: Any) -> None:
    if not callable(model):
        hint = f"; to load a model by its name: hs.load('{model}')" if isinstance(model, str) else ""
        raise ConfigError(f"a model is a module or a function of a frame, not {model!r}{hint}")
    if isinstance(model, StabilizedModel):
        raise ConfigError("the model is held steady already; give its base, or name all adapters at once, as a list")


def _new_adapter(model: Callable[..., Any], config: AdapterConfig, example: Any, takes: Takes) -> Adapter:
    card = getattr(getattr(model, "card", None), "kind", None)
    if card in _FUSED_AS and "fuse_as" not in config.model_fields_set and "fuse_as" in config.settings():
        config = config.model_copy(update={"fuse_as": _FUSED_AS[card]})
    if config.points == ("coarse",) and not can_mirror(model):  # nothing in it can be reached but what it gives
        config = config.model_copy(update={"points": ("output",)})
    inside = [name for name in config.points if name not in ("input", "output")]
    if inside and not can_mirror(model):
        raise PointError(
            f"{type(model).__name__} is not an nn.Module: only its 'input' and 'output' can be reached, not "
            f"{', '.join(inside)}; take an output kind: output-fixed, output-gaussian, motion-fixed, motion"
        )
    if example is None:
        if inside or config.learned:
            raise ConfigError(
                f"kind '{config.kind}' at {', '.join(config.points)} needs example=frame, a batch (B, C, H, W), "
                "to find the points and their shapes"
            )
        return Adapter(config, [Point(name) for name in config.points])
    table = points(model, example, config=config, takes=takes, count_work=False)
    adapter = Adapter(config, select_points(table, config.points), form_of(example).channels, base_of(model)).eval()
    parameters = named_parameters(model) if isinstance(model, nn.Module) else ()
    device = next((parameter.device for _, parameter in parameters), None)
    return adapter if device is None else adapter.to(device)


def _like(adapter: Adapter, model: Callable[..., Any]) -> Adapter:
    """An adapter on the device and in the precision of a model's first weight in floating numbers."""
    weights = named_parameters(model) if isinstance(model, nn.Module) else ()
    first = next((one for _, one in weights if one.dtype in _PRECISIONS), None)
    return adapter if first is None else adapter.to(first.device, first.dtype)
