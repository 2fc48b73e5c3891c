"""Torchvision's models, which expect frames normalised by ImageNet's mean and standard deviation."""

import inspect
from collections.abc import Sequence
from typing import Any

from holdsteady.errors import MissingExtraError, ModelError, near
from holdsteady.models.model import Model

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def from_torchvision(name: str, shipped: Sequence[str], pretrained: bool) -> Model:
    """A model of torchvision by name.

    Args:
        shipped: other names, for the text of an error.
        pretrained: whether to fetch its weights.

    Raises:
        ModelError: there is none of that name, or its weights can't be fetched.
        MissingExtraError: torchvision is not installed.
    """
    try:
        from torchvision import models
    except ImportError as error:
        raise MissingExtraError(
            f"'{name}' is not a model that ships here ({', '.join(shipped)}); for torchvision's: "
            "pip install 'holdsteady[models]'"
        ) from error
    known = models.list_models()
    if name not in known:
        raise ModelError(
            f"no model is named '{name}'{near(name, [*shipped, *known])}; give one that ships here "
            f"({', '.join(shipped)}), file.py:name, a model's file, hf:NAME, smp:NAME, timm:NAME, or torchvision's name"
        )
    try:
        options = {"weights": "DEFAULT"} if pretrained else {"weights": None, **_without_download(models, name)}
        model = models.get_model(name, **options)
    except Exception as error:
        raise ModelError(
            f"torchvision's weights of '{name}' could not be fetched ({error}); give --weights FILE"
        ) from error
    return Model(model, mean=IMAGENET_MEAN, std=IMAGENET_STD)


def _without_download(models: Any, name: str) -> dict[str, None]:
    """Segmentation models fetch the weights of their backbone unless told not to."""
    parameters = inspect.signature(models.get_model_builder(name)).parameters
    return {"weights_backbone": None} if "weights_backbone" in parameters else {}
