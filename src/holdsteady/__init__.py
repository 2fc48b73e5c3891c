"""holdsteady: turn any frame-wise image model into a steady, robust video model."""

from holdsteady.adapters.adapter import Adapter, Point
from holdsteady.adapters.config import AdapterConfig, make_config
from holdsteady.adapters.files import save_adapter
from holdsteady.adapters.hub import push_adapter
from holdsteady.api import run
from holdsteady.host.attach import stabilize
from holdsteady.host.cost import Cost
from holdsteady.host.points import PointTable, points
from holdsteady.host.resolve import load_adapter
from holdsteady.host.stabilized import StabilizedModel
from holdsteady.host.state import StreamState
from holdsteady.loading import load
from holdsteady.models.card import ModelCard
from holdsteady.models.model import Model

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
    "load",
    "load_adapter",
    "make_config",
    "points",
    "push_adapter",
    "run",
    "save_adapter",
    "stabilize",
]
