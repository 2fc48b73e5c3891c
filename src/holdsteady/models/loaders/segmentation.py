"""Models by the names of segmentation-models-pytorch and timm."""

from pathlib import Path
from typing import Any

from holdsteady.errors import ModelError, extra, in_one_line, near
from holdsteady.models.loaders.torchvision import IMAGENET_MEAN, IMAGENET_STD
from holdsteady.models.model import Model
from holdsteady.models.weights import load_weights


def from_smp(name: str, weights: Path | None, classes: int | None, trust: bool) -> Model:
    """A segmentation network, behind the mean and standard deviation of ImageNet.

    Args:
        name: ``ARCHITECTURE:ENCODER``, as in ``unet:resnet18``, for which ``weights`` have to be given; or the folder
            or hub's name of one that was saved with ``save_pretrained``.
        weights: to load into it.
        classes: channels of the output; 1 by default, which is a mask.

    Raises:
        ModelError: there is none of that name, or it can't be loaded.
        MissingExtraError: segmentation-models-pytorch is not installed.
    """
    with extra("segmentation", f"smp:{name}"):
        import segmentation_models_pytorch as smp
    architecture, colon, encoder = name.partition(":")
    if colon and weights is None:
        raise ModelError(f"smp:{name} has no weights of its own; give --weights FILE")
    try:
        if not colon:
            model = smp.from_pretrained(name).eval()
        else:
            model = smp.create_model(architecture, encoder, encoder_weights=None, classes=classes or 1)
    except (KeyError, RuntimeError, ValueError, OSError) as error:
        hint = near(encoder or name, smp.encoders.get_encoder_names())
        raise ModelError(f"smp:{name} can't be made: {in_one_line(error)}{hint}") from error
    if weights is not None:
        load_weights(model, weights, trust)
    (channels,) = {module.out_channels for module in model.segmentation_head if hasattr(module, "out_channels")}
    return Model(
        model.eval(),
        kind="mask" if channels == 1 else "classes",
        multiple=model.encoder.output_stride,
        # What the encoders' published weights were trained with.
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )


def from_timm(name: str, weights: Path | None, trust: bool) -> Model:
    """A network of timm, behind its mean, standard deviation and, if fixed, size.

    Raises:
        ModelError: there is none of that name, or its weights can't be fetched.
        MissingExtraError: timm is not installed.
    """
    with extra("segmentation", f"timm:{name}"):
        import timm
        from timm.data.config import resolve_model_data_config
    if not timm.is_model(name.partition(".")[0]):
        raise ModelError(f"timm has no model '{name}'{near(name, timm.list_models())}")
    try:
        model: Any = timm.create_model(name, pretrained=weights is None)
    except Exception as error:  # the hub's errors have no common base
        raise ModelError(
            f"timm's weights of '{name}' could not be fetched ({in_one_line(error)}); give --weights FILE"
        ) from error
    if weights is not None:
        load_weights(model, weights, trust)
    wanted = resolve_model_data_config(model)
    stated: dict[str, Any] = {"mean": tuple(wanted["mean"]), "std": tuple(wanted["std"])}
    if model.pretrained_cfg.get("fixed_input_size"):
        stated["size"] = tuple(wanted["input_size"][1:])
    return Model(model.eval(), **stated)
