"""A model card: what a model takes, and what it returns."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from holdsteady.errors import ConfigError

Kind = Literal["image", "depth", "classes", "mask", "labels"]
Side = Annotated[int, Field(ge=1)]

#: The palettes of classes that go by a name.
PALETTES = ("cityscapes", "ade20k", "voc")

Format = Literal["npy", "png", "exr"]
#: What values can be written as.
FORMATS: tuple[Format, ...] = ("npy", "png", "exr")


class ModelCard(BaseModel):
    """What frames a model takes and what it returns. Whatever is not stated is as for RGB images in [0, 1].

    Attributes:
        range: the values that stand for black and white in what the model takes.
        mean, std: subtracted, and divided by, after that; one number or one for each channel, in the model's order.
        output_range: the values that stand for black and white in the pictures that it returns; None: ``range``.
        channels: the order that the model wants, and gives pictures in; ``gray``: one channel of luma.
        layout: ``bchw``, ``bhwc``, or ``hwc-uint8``: one NumPy array (H, W, C) in 0…255 a call, as OpenCV has them.
        output: which entry of a dict, tuple or dataclass is meant; None: the first that is an image.
        kind: what that is: a picture, a depth map, logits or probabilities of classes, a mask, or class numbers. None:
            to be guessed.
        classes: how many class numbers there are, for ``labels``.
        scale: how much larger than the frame the result is; None: as the model gives it, but no smaller than the frame.
        multiple: what the sides of the frames that it takes are divisible by; frames are padded to it. None: tried out.
        size: (H, W) of the frames that it takes, to which all are resized; or their shorter side, a multiple of
            ``multiple``, with the aspect kept. None: any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    range: tuple[float, float] = (0.0, 1.0)
    mean: float | tuple[float, ...] | None = None
    std: float | tuple[float, ...] | None = None
    output_range: tuple[float, float] | None = None
    channels: Literal["rgb", "bgr", "gray"] = "rgb"
    layout: Literal["bchw", "bhwc", "hwc-uint8"] = "bchw"
    output: str | int | None = None
    kind: Kind | None = None
    classes: int | None = Field(default=None, ge=2, le=65535)
    scale: float | None = Field(default=None, gt=0, le=64)
    multiple: int | None = Field(default=None, ge=1, le=1024)
    size: tuple[Side, Side] | Side | None = None

    @model_validator(mode="after")
    def _fits(self) -> "ModelCard":
        for name in ("range", "output_range"):
            ends = getattr(self, name)
            if ends is not None and ends[0] == ends[1]:
                raise ValueError(f"{name} = {ends[0]:g}..{ends[1]:g}: black and white are the same")
        wanted = 1 if self.channels == "gray" else 3
        for name in ("mean", "std"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) not in (1, wanted):
                raise ValueError(f"{name} has {len(value)} numbers; expected one, or {wanted} for {self.channels}")
        std = self.std if isinstance(self.std, tuple) else (self.std,)
        if any(value is not None and value <= 0 for value in std):
            raise ValueError(f"std = {self.std}: has to be above 0")
        if self.layout == "hwc-uint8" and any(name in self.model_fields_set for name in ("range", "mean", "std")):
            raise ValueError("range, mean and std apply to floating-point frames; hwc-uint8 is 0…255")
        return self

    @property
    def stated(self) -> dict[str, Any]:
        """The fields that were given, by name."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}

    def over(self, other: "ModelCard") -> "ModelCard":
        """Both in one; this card takes precedence."""
        return make_card(**{**other.stated, **self.stated})

    @property
    def changes_values(self) -> bool:
        """True if the model's output has to be changed beyond its size."""
        return any(name not in ("mean", "std", "scale", "multiple", "size") for name in self.stated)


def make_card(**fields: Any) -> ModelCard:
    """A card of these fields.

    Raises:
        ConfigError: a field is unknown or out of range; the text names each.
    """
    try:
        return ModelCard(**fields)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'][:1]))}: ".removeprefix(": ") + fault["msg"].removeprefix("Value error, ")
            for fault in error.errors()
        ]
        raise ConfigError(f"model card: {'; '.join(dict.fromkeys(faults))}") from error


def read_card(text: str) -> ModelCard:
    """A card that was kept as JSON in an adapter.

    Raises:
        ConfigError: it is damaged.
    """
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError(f"the adapter's model card is damaged: {error.errors()[0]['msg']}") from error
