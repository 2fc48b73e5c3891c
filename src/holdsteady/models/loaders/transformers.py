"""Models of transformers: depth, semantic segmentation, image to image, with what their processor does to frames."""

from pathlib import Path
from typing import Any

from holdsteady.errors import HoldsteadyError, ModelError, extra, in_one_line
from holdsteady.models.card import Kind
from holdsteady.models.model import Model

# By the auto class: what the output is, and its name.
_TASKS: dict[str, tuple[Kind, str]] = {
    "AutoModelForDepthEstimation": ("depth", "predicted_depth"),
    "AutoModelForSemanticSegmentation": ("classes", "logits"),
    "AutoModelForImageToImage": ("image", "reconstruction"),
}


def from_transformers(name: str, trust: bool) -> Model:
    """A model of the hub (``ORG/NAME``) or of a folder, behind the size, mean and range of its processor.

    Weights come from safetensors unless ``trust`` is given, which also lets models run code of their own.

    Raises:
        ModelError: there is none of that name, it can't be fetched, or it does none of the three tasks.
        MissingExtraError: transformers is not installed.
    """
    with extra("transformers", f"hf:{name}"):
        import transformers
    options = {"trust_remote_code": trust, "local_files_only": Path(name).is_dir()}
    try:
        config = transformers.AutoConfig.from_pretrained(name, **options)
        auto = _auto_class(transformers, config, name)
        more = {} if trust else {"use_safetensors": True}
        model = getattr(transformers, auto).from_pretrained(name, **options, **more).float().eval()
    except HoldsteadyError:
        raise
    except Exception as error:  # of damaged configurations, and what custom code raises
        text = str(error)
        hint = "; its weights are a pickle: add --trust to load them" if "safetensors" in text else ""
        hint = "; add --trust to run it" if "custom code" in text else hint
        raise ModelError(f"hf:{name} can't be loaded: {in_one_line(error)}{'' if trust else hint}") from error
    kind, output = _TASKS[auto]
    return Model(model, kind=kind, output=output, **_processing(transformers, name, options))


def _auto_class(transformers: Any, config: Any, name: str) -> str:
    stated = set(config.architectures or [])
    for auto in _TASKS:
        mapping = getattr(transformers, auto)._model_mapping
        if type(config) in mapping:
            classes = mapping[type(config)]
            names = {one.__name__ for one in (classes if isinstance(classes, tuple) else (classes,))}
            if not stated or names & stated:
                return auto
    done = ", ".join(config.architectures or [type(config).__name__])
    raise ModelError(f"hf:{name} is a {done}; expected depth estimation, semantic segmentation or image to image")


def _processing(transformers: Any, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The fields of a card that say what a processor does; none where the model comes without one."""
    try:
        with extra("transformers", f"the processor of hf:{name}"):
            processor = transformers.AutoImageProcessor.from_pretrained(name, **options)
    except (OSError, ValueError):
        return {}
    stated: dict[str, Any] = {}
    if not getattr(processor, "do_rescale", True):
        stated["range"] = (0.0, 255.0)
    elif abs(255 * (factor := getattr(processor, "rescale_factor", None) or 1 / 255) - 1) > 1e-3:
        stated["range"] = (0.0, 255 * factor)
    if getattr(processor, "do_flip_channel_order", False):
        stated["channels"] = "bgr"
    if getattr(processor, "do_normalize", False):
        stated["mean"] = tuple(processor.image_mean)
        stated["std"] = tuple(processor.image_std)
    multiple = (
        getattr(processor, "ensure_multiple_of", None)
        or getattr(processor, "size_divisor", None)
        or (getattr(processor, "pad_size", None) or getattr(processor, "size_divisibility", None))
    )
    if isinstance(multiple, int) and multiple > 1:
        stated["multiple"] = multiple
    size = getattr(processor, "size", None)
    if getattr(processor, "do_resize", False) and size is not None:
        stated |= _size(dict(size), bool(getattr(processor, "keep_aspect_ratio", False)), stated.get("multiple", 1))
    return stated


def _size(size: dict[str, Any], keeps_aspect: bool, multiple: int) -> dict[str, Any]:
    height, width = size.get("height"), size.get("width")
    if height and width:
        if keeps_aspect:
            return {"size": multiple * max(1, round(min(height, width) / multiple))}
        return {"size": (height, width)}
    if size.get("shortest_edge"):
        return {"size": size["shortest_edge"]}
    return {}
