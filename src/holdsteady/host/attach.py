"""`stabilize`: from a model and the name of an adapter to a StabilizedModel."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from holdsteady.adapters.adapter import Adapter, Point
from holdsteady.adapters.config import KINDS, AdapterConfig, make_config
from holdsteady.adapters.files import load_adapter
from holdsteady.errors import AdapterError, ConfigError, PointError, near
from holdsteady.host.points import can_mirror, digest, is_channels_last, points, select_points
from holdsteady.host.stabilized import StabilizedModel

AdapterLike = str | Path | AdapterConfig | Adapter


def stabilize(
    model: Callable[..., Any],
    adapter: AdapterLike | Sequence[AdapterLike] = "motion-fixed",
    *,
    example: Tensor | None = None,
    strength: float = 1.0,
    preset: str | None = None,
    **settings: Any,
) -> StabilizedModel:
    """Hold a frame-wise image model steady over a video.

    >>> steady = stabilize(model)                              # no training: motion fixed
    >>> steady = stabilize(model, "spatial", example=frame)    # an untrained adapter, to be trained
    >>> steady = stabilize(model, "my-adapter/")               # a saved adapter
    >>> steady = stabilize(model, ["for-rain/", "for-noise/"])  # a composition

    Args:
        model: any nn.Module; or any callable from a batch of frames to outputs, for the output kinds.
        adapter: a kind (``"spatial"``, ``"output-fixed:0.8"``), the folder of a saved adapter, a config, an
            Adapter, or several of these to be chained at each point.
        example: one batch of frames (B, C, H, W) for the pass that finds points and shapes; needed by kinds that have
            parameters or work inside the network.
        strength: from 0 (the base) to 1 (the adapter).
        preset: constants that ``settings`` then change, for the kinds with heads (``"spatial"``, ``"controlled"``):
            ``"light"``, which is the default, ``"tiny"`` or ``"paper"``.
        settings: fields of :class:`AdapterConfig`, as ``points``, ``beta``, ``kernel``.

    Raises:
        ConfigError: an unknown kind or setting, or a missing example.
        PointError: points that are not there or can't be stabilized.
        AdapterError: a saved adapter that is damaged or belongs to another base.
    """
    wanted = [adapter] if isinstance(adapter, AdapterLike) else list(adapter)
    adapters = [_resolve(model, one, example, preset, settings) for one in wanted]
    return StabilizedModel(model, adapters, strength)


def _resolve(
    model: Callable[..., Any],
    adapter: AdapterLike,
    example: Tensor | None,
    preset: str | None,
    settings: dict[str, Any],
) -> Adapter:
    if isinstance(adapter, str) and adapter.partition(":")[0] in KINDS:
        adapter = make_config(adapter, preset, **settings)
    elif settings or preset is not None:
        given = [*([] if preset is None else ["preset"]), *settings]
        raise ConfigError(f"{', '.join(given)}: settings go with the name of a kind, not with {adapter!r}")
    if isinstance(adapter, AdapterConfig):
        return _new_adapter(model, adapter, example)
    if not isinstance(adapter, Adapter):
        if not Path(adapter).exists():
            raise ConfigError(
                f"'{adapter}' is neither a kind nor the folder of an adapter{near(str(adapter), KINDS)}; "
                f"kinds: {', '.join(KINDS)}"
            )
        adapter = load_adapter(adapter)
    check_base(adapter, model)
    return adapter


def _new_adapter(model: Callable[..., Any], config: AdapterConfig, example: Tensor | None) -> Adapter:
    inside = [name for name in config.points if name not in ("input", "output")]
    if inside and not can_mirror(model):
        raise PointError(
            f"{type(model).__name__} is no nn.Module: only its 'input' and 'output' can be reached, not "
            f"{', '.join(inside)}; take an output kind: output-fixed, output-gaussian, motion-fixed, motion"
        )
    if example is None:
        if inside or config.learned:
            raise ConfigError(
                f"kind '{config.kind}' at {', '.join(config.points)} needs example=frame, a batch (B, C, H, W), "
                "to find the points and their shapes"
            )
        return Adapter(config, [Point(name) for name in config.points])
    chosen = select_points(points(model, example, config=config, count_work=False), config.points)
    channels = example.shape[-1 if is_channels_last(tuple(example.shape)) else 1]
    adapter = Adapter(config, chosen, channels, base_of(model)).eval()
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return adapter if parameter is None else adapter.to(parameter.device)


def base_of(model: Any) -> dict[str, str]:
    """What an adapter remembers of its base: the class, and a digest of the parameters' names and shapes."""
    kind = type(model)
    parameters = digest(model) if isinstance(model, nn.Module) else ""
    return {"class": f"{kind.__module__}.{kind.__qualname__}", "parameters": parameters}


def check_base(adapter: Adapter, model: Any) -> None:
    """Make sure that a model has the points that an adapter was made for.

    Adapters at input and output alone go with any model.

    Raises:
        AdapterError: with the name of every point that is missing or differs, and how.
    """
    modules = dict(model.named_modules()) if can_mirror(model) else {}
    faults = []
    for point in adapter.points:
        if point.name in ("input", "output"):
            continue
        module = modules.get(point.name)
        if module is None:
            faults.append(f"'{point.name}' is missing")
        elif type(module).__name__ != point.type:
            faults.append(f"'{point.name}' is a {type(module).__name__}, not a {point.type}")
        elif digest(module) != point.parameters:
            faults.append(f"'{point.name}' has parameters of other shapes")
    if faults:
        raise AdapterError(
            f"this adapter was made for {adapter.base.get('class', 'another base')}, not for this "
            f"{type(model).__name__}: {'; '.join(faults)}"
        )
