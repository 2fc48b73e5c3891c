"""holdsteady: turn any frame-wise image model into a steady, robust video model."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdsteady.adapters.adapter import Adapter, Point
    from holdsteady.adapters.config import AdapterConfig, make_config
    from holdsteady.adapters.files import save_adapter
    from holdsteady.api import batch, run
    from holdsteady.exports.write import export
    from holdsteady.host.attach import stabilize
    from holdsteady.host.cost import Cost
    from holdsteady.host.points import PointTable, points
    from holdsteady.host.resolve import load_adapter
    from holdsteady.host.stabilized import StabilizedModel
    from holdsteady.host.state import StreamState
    from holdsteady.loading import load
    from holdsteady.models.card import ModelCard
    from holdsteady.models.model import Model
    from holdsteady.models.placement import points_of
    from holdsteady.sharing.hub import from_pretrained, push_to_hub

__version__ = "0.1.0"

__all__ = [
    "Adapter",
    "AdapterConfig",
    "Cost",
    "Model",
    "ModelCard",
    "Point",
    "PointTable",
    "StabilizedModel",
    "StreamState",
    "batch",
    "export",
    "from_pretrained",
    "load",
    "load_adapter",
    "make_config",
    "points",
    "points_of",
    "push_to_hub",
    "run",
    "save_adapter",
    "stabilize",
]

# Where the names are. They are imported when they are asked for (PEP 562): an export runs without PyTorch.
_PLACES = {
    "adapters.adapter": ("Adapter", "Point"),
    "adapters.config": ("AdapterConfig", "make_config"),
    "adapters.files": ("save_adapter",),
    "api": ("batch", "run"),
    "exports.write": ("export",),
    "host.attach": ("stabilize",),
    "host.cost": ("Cost",),
    "host.points": ("PointTable", "points"),
    "host.resolve": ("load_adapter",),
    "host.stabilized": ("StabilizedModel",),
    "host.state": ("StreamState",),
    "loading": ("load",),
    "models.card": ("ModelCard",),
    "models.model": ("Model",),
    "models.placement": ("points_of",),
    "sharing.hub": ("from_pretrained", "push_to_hub"),
}


def __getattr__(name: str) -> Any:
    for place, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{place}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
