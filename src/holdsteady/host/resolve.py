"""From an adapter's name to the adapter: what ships here, folders, the hub, kinds, compositions."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from holdsteady.adapters import files
from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.config import KINDS, LEARNED_KINDS, AdapterConfig, kind_of, make_config
from holdsteady.adapters.hub import is_hub_id, pull_adapter
from holdsteady.errors import ConfigError, near

AdapterLike = str | Path | AdapterConfig | Adapter

_ZOO = Path(__file__).parents[1] / "zoo"

#: Trained adapters that ship with the package, by name, and their folders. Recipes of the same name made them.
SHIPPED = {path.parent.name: path.parent for path in sorted(_ZOO.glob(f"*/{files.CONFIG_NAME}"))}

#: Kinds that hold the relation of output to input.
_DEFLICKERING = ("motion-fixed", "universal")


def load_adapter(name: str | Path) -> Adapter:
    """Load a trained adapter. Nothing in its files is executed.

    Args:
        name: a folder; an adapter that ships here, as ``"nafnet16-light"``; or one on the Hugging Face hub,
            ``"owner/name"``, which takes the extra ``holdsteady[hub]``. A folder of that name comes first.

    Raises:
        ConfigError: it is none of these.
        AdapterError: a file is missing, damaged or of a newer format, or the hub has no such adapter.
        MissingExtraError: the hub is asked and huggingface_hub is not installed.
    """
    if Path(name).exists():
        return files.load_adapter(name)
    if name in SHIPPED:
        return files.load_adapter(SHIPPED[str(name)])
    if isinstance(name, str) and is_hub_id(name):
        return pull_adapter(name)
    raise ConfigError(
        f"'{name}' is neither a kind, nor an adapter that ships here, nor the folder of one"
        f"{near(str(name), [*KINDS, *SHIPPED])}; kinds: {', '.join(KINDS)}; that ship here: {', '.join(SHIPPED)}"
    )


def resolve(
    wanted: AdapterLike | Sequence[AdapterLike], preset: str | None = None, settings: dict[str, Any] | None = None
) -> list[AdapterLike]:
    """The adapters that a name, several joined by ``+``, or a list of such things stand for, in order.

    Args:
        wanted: what :func:`holdsteady.stabilize` takes; ``none`` for no adapter.
        preset, settings: for a single kind.

    Returns:
        Trained adapters, loaded; for kinds their configs.

    Raises:
        ConfigError, AdapterError, MissingExtraError: see :func:`load_adapter` and ``make_config``.
    """
    given = [*([] if preset is None else ["preset"]), *(settings or {})]
    parts = list(_parts([wanted] if isinstance(wanted, AdapterLike) else wanted))
    if given and not (len(parts) == 1 and _is_kind(parts[0])):
        raise ConfigError(f"{', '.join(given)}: settings go with the name of a kind, not with {wanted!r}")
    return [_resolve_one(part, preset, settings or {}) for part in parts]


def resolve_ready(wanted: AdapterLike | Sequence[AdapterLike]) -> list[AdapterLike]:
    """As :func:`resolve`, for what is to run at once: a kind that has to be trained first is refused.

    Raises:
        ConfigError: also for such a kind.
    """
    for part in _parts([wanted] if isinstance(wanted, AdapterLike) else wanted):
        if _is_kind(part) and part not in SHIPPED and kind_of(str(part)) in LEARNED_KINDS:
            ready = ", ".join(name for name in KINDS if name not in LEARNED_KINDS)
            raise ConfigError(
                f"'{part}' has to be trained first: give the folder of a trained adapter, its name on the hub, "
                f"one that ships here ({', '.join(SHIPPED)}), or a kind without weights ({ready})"
            )
    return resolve(wanted)


def deflickering(adapters: Sequence[AdapterLike]) -> list[AdapterLike]:
    """The adapters with wide flicker taken out always, not by evidence alone.

    Raises:
        ConfigError: none of them can do that.
    """
    configs = [one.config if isinstance(one, Adapter) else one for one in adapters]
    kinds = [config.kind for config in configs if isinstance(config, AdapterConfig) and not config.is_at_input]
    if not set(kinds) & {*_DEFLICKERING}:
        there = ", ".join(kinds) or "no adapter"
        raise ConfigError(f"--deflicker goes with {' or '.join(_DEFLICKERING)}, not with {there} at the output")
    return [_set_deflicker(one, True) for one in adapters]


def without_input(adapters: Sequence[AdapterLike]) -> list[AdapterLike]:
    """The adapters for outputs that are all there is, as in a processed video: no frame says what was in the input."""
    return [_set_deflicker(one, False) for one in adapters]


def _set_deflicker(adapter: AdapterLike, value: bool) -> AdapterLike:
    """The adapter with another ``deflicker``, if it is of a kind that has it."""
    config = adapter.config if isinstance(adapter, Adapter) else adapter
    if not isinstance(config, AdapterConfig) or config.kind not in _DEFLICKERING or config.is_at_input:
        return adapter
    config = config.model_copy(update={"deflicker": value})
    if not isinstance(adapter, Adapter):
        return config
    again = Adapter(config, adapter.points, adapter.frame_channels, adapter.base)
    again.load_state_dict(adapter.state_dict())
    return again.eval()


def _parts(wanted: Iterable[AdapterLike]) -> Iterable[AdapterLike]:
    """The single adapters of a composition. A folder may have a + in its name."""
    for one in wanted:
        if not isinstance(one, str) or Path(one).exists():
            yield one
        elif one != "none":
            yield from (part.strip() for part in one.split("+"))


def _resolve_one(one: AdapterLike, preset: str | None, settings: dict[str, Any]) -> AdapterConfig | Adapter:
    if isinstance(one, AdapterConfig | Adapter):
        return one
    if _is_kind(one) and (one not in SHIPPED or settings or preset is not None):
        return make_config(str(one), preset, **settings)
    return load_adapter(one)  # of a kind and a shipped adapter of one name, the trained one


def _is_kind(one: AdapterLike) -> bool:
    return isinstance(one, str) and kind_of(one) in KINDS
