"""A recipe: everything that determines a training run, in one validated YAML file.

Paths are relative to the folder that the command runs in.
"""

import copy
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from holdsteady.adapters.config import KINDS, kind_of, make_config
from holdsteady.adapters.presets import DEFAULT_KIND
from holdsteady.corruptions import open_corruption
from holdsteady.data import KINDS as SOURCE_KINDS
from holdsteady.errors import ConfigError, HoldsteadyError, near
from holdsteady.host.resolve import SHIPPED
from holdsteady.models.card import make_card
from holdsteady.objective.distances import DISTANCES


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


_Decay = Annotated[float, Field(ge=0, lt=1)]
_Step = Annotated[int, Field(ge=1)]


class SourceRecipe(_Part):
    """Where clips come from."""

    kind: str = Field("videos", description=f"what the paths hold: {', '.join(SOURCE_KINDS)}")
    paths: tuple[str, ...] = Field(description="files, folders or globs; for a public set, its folder")
    truth: tuple[str, ...] = Field((), description="for pairs: the true frames")
    split: str | None = Field(None, description="for a public set: the part to take, if not its training part")
    weight: float = Field(1.0, gt=0, description="how often it is drawn, relative to the others")
    stride: tuple[_Step, ...] = Field((1,), min_length=1, description="steps between frames to choose from")
    shrink: int = Field(1, ge=1, le=8, description="frames this many times smaller, so that their noise is less")
    part: tuple[float, float] = Field((0.0, 1.0), description="of each video, as shares of its length; for videos")

    @field_validator("paths", "truth", mode="before")
    @classmethod
    def _several(cls, paths: Any) -> Any:
        return (paths,) if isinstance(paths, str) else paths

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        if kind not in SOURCE_KINDS:
            raise ValueError(
                f"unknown kind of source{near(kind, SOURCE_KINDS)}; choose one of {', '.join(SOURCE_KINDS)}"
            )
        return kind

    @field_validator("part")
    @classmethod
    def _in_order(cls, part: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= part[0] < part[1] <= 1:
            raise ValueError("write two shares of a video, the first below the second, as in [0.0, 0.8]")
        return part

    @model_validator(mode="after")
    def _settings_fit_kind(self) -> "SourceRecipe":
        if self.kind != "videos" and (self.shrink > 1 or self.part != (0.0, 1.0)):
            raise ValueError(f"shrink and part are for videos, not for {self.kind}")
        return self

    @field_validator("paths", "truth")
    @classmethod
    def _there(cls, paths: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        missing = [path for path in paths if _needs_files(info) and not _found(path)]
        if missing:
            raise ValueError(f"not found: {', '.join(missing)} (looked in {Path.cwd()})")
        return paths


class DataRecipe(_Part):
    """Clips to train on."""

    sources: tuple[SourceRecipe, ...] = Field(min_length=1, description="drawn from by weight")
    length: int = Field(8, ge=1, description="T, frames of a clip")
    crop: int = Field(96, ge=16, description="side of the random crop, in pixels")
    flip: bool = Field(True, description="mirror half of the clips")
    steadied: bool = Field(False, description="hold the frames steady first, both ways: their own noise is no truth")
    workers: int = Field(1, ge=0, description="processes that prepare clips; 0: the training's own")


class ObjectiveRecipe(_Part):
    """The loss."""

    target: Literal["self", "frames", "truth", "depth", "classes"] = Field(
        "self",
        description="self: the base's output on the clean frame; frames: the clean frame; others: from the source",
    )
    distance: str = Field("rmse", description=f"δ: {', '.join(DISTANCES)}")
    stability: float = Field(0.4, ge=0, description="λ, the weight of the stability term")
    motion_compensated: bool = Field(False, description="compare with the previous output moved along the clean motion")
    fit: Literal["none", "first"] = Field(
        "none", description="first: relative depth, in the scale and shift that fit the first frame of each clip"
    )
    features: dict[str, float] = Field({}, description="points to hold near the base's clean features, with weights")

    @field_validator("distance")
    @classmethod
    def _known(cls, distance: str) -> str:
        if distance not in DISTANCES:
            raise ValueError(f"unknown distance{near(distance, DISTANCES)}; choose one of {', '.join(DISTANCES)}")
        return distance

    @model_validator(mode="after")
    def _fits(self) -> "ObjectiveRecipe":
        if self.target == "classes" and self.distance != "cross-entropy":
            raise ValueError(f"classes are compared by cross-entropy, not by {self.distance}")
        if self.fit == "first" and self.distance == "cross-entropy":
            raise ValueError("fit = first is for depth, and cross-entropy compares classes")
        return self


class OptimizerRecipe(_Part):
    """Adam and its schedule."""

    learning_rate: float = Field(3e-3, gt=0, description="the highest")
    base_learning_rate: float | None = Field(None, gt=0, description="the base's, where it is trained; else a tenth")
    betas: tuple[_Decay, _Decay] = Field((0.9, 0.999), description="Adam's")
    schedule: Literal["cosine", "paper", "constant"] = Field(
        "cosine", description="cosine to 0; paper: ÷10 after 1/2 and after 3/4; or constant"
    )
    warmup: int = Field(50, ge=0, description="steps of linear rise")
    clip: float = Field(1.0, gt=0, description="norm that gradients are clipped to")
    ema: float = Field(0.0, ge=0, lt=1, description="decay of averaged weights, which are then the result; 0: off")


class ValidationRecipe(_Part):
    """How training is watched, with the corruption of the training and a fixed seed."""

    sources: tuple[SourceRecipe, ...] = Field((), description="where clips come from; none: those of the training")
    clips: int = Field(4, ge=1, description="clips, the same each time")
    length: int = Field(16, ge=2, description="frames of a clip")
    crop: int = Field(192, ge=16, description="side of the crop, in pixels")
    every: int = Field(200, ge=1, description="steps between validations")
    patience: int | None = Field(None, ge=1, description="stop after so many validations without a better loss")
    hold: str | None = Field(
        None, description="an adapter: weights count only if they are worse in no clip, or else it is the result"
    )


class Recipe(_Part):
    """A training, whole. Every field has a default but the model and the data."""

    model: str = Field(description="a name shipped here, file.py:name, or any other that holdsteady.load takes")
    weights: str | None = Field(None, description="weights to load into the model: safetensors, or a checkpoint")
    card: dict[str, Any] = Field({}, description="what the model wants and gives, as range, channels, output, kind")
    trust: bool = Field(False, description="unpickle whatever the model's files hold")
    inside: bool = Field(False, description="turn an ONNX file into PyTorch, with points inside")
    adapter: dict[str, Any] | str = Field(
        {"kind": DEFAULT_KIND}, description="a kind's name, its settings, or the folder of an adapter to train on"
    )
    train: Literal["adapter", "base", "both"] = Field("adapter", description="whose weights move")
    recorded: int = Field(0, ge=0, description="steps for each batch, from recordings; for universal; 0: as usual")
    corruption: str = Field("none", description="what is done to the frames: gaussian:sigma=0.2, jpeg:3+flicker, …")
    objective: ObjectiveRecipe = ObjectiveRecipe.model_validate({})
    data: DataRecipe
    validation: ValidationRecipe = ValidationRecipe.model_validate({})
    optimizer: OptimizerRecipe = OptimizerRecipe.model_validate({})

    steps: int = Field(1000, ge=1, description="the budget in steps")
    minutes: float | None = Field(None, gt=0, description="the budget in minutes, if that ends sooner")
    batch: int = Field(2, ge=1, description="clips a step, over all devices")
    precision: Literal["32-true", "bf16-mixed"] = Field("32-true", description="as Fabric names it")
    checkpoint_every: int = Field(200, ge=1, description="steps between checkpoints to resume from")
    seed: int = Field(0, ge=0, lt=2**63, description="of weights, clips and corruption")

    @property
    def read_from(self) -> list[str]:
        """All files and folders that clips come from."""
        sources = (*self.data.sources, *self.validation.sources)
        return [path for source in sources for path in (*source.paths, *source.truth)]

    @field_validator("validation")
    @classmethod
    def _hold_valid(cls, validation: ValidationRecipe, info: ValidationInfo) -> ValidationRecipe:
        name = validation.hold
        if name is not None and name not in SHIPPED and _needs_files(info) and not Path(name).exists():
            raise ValueError(
                f"hold = {name}: neither an adapter that ships here{near(name, SHIPPED)} nor a folder or zip"
            )
        return validation

    @model_validator(mode="after")
    def _holds_an_adapter(self) -> "Recipe":
        if self.validation.hold is not None and self.train != "adapter":
            raise ValueError(
                f"validation.hold is for train = adapter; a base that moves (train = {self.train}) is not held"
            )
        return self

    @model_validator(mode="after")
    def _has_a_second_frame(self) -> "Recipe":
        if self.train != "base" and self.data.length < 2:
            raise ValueError(
                "data.length = 1: an adapter does nothing at the first frame; it learns from clips of 2 or more"
            )
        return self

    @field_validator("card")
    @classmethod
    def _card_makes_sense(cls, card: dict[str, Any]) -> dict[str, Any]:
        make_card(**card)
        return card

    @field_validator("weights")
    @classmethod
    def _weights_there(cls, weights: str | None, info: ValidationInfo) -> str | None:
        if weights is not None and _needs_files(info) and not Path(weights).is_file():
            raise ValueError(f"not found: {weights} (looked in {Path.cwd()})")
        return weights

    @field_validator("adapter")
    @classmethod
    def _adapter_valid(cls, adapter: dict[str, Any] | str, info: ValidationInfo) -> dict[str, Any] | str:
        try:
            if isinstance(adapter, dict):
                settings = dict(adapter)
                make_config(settings.pop("kind", DEFAULT_KIND), **settings)
            elif kind_of(adapter) in KINDS:
                make_config(adapter)
            elif adapter not in SHIPPED and _needs_files(info) and not Path(adapter).exists():
                raise ValueError(f"neither a kind{near(adapter, KINDS)} nor a folder or zip")
        except HoldsteadyError as error:
            raise ValueError(str(error)) from None
        return adapter

    @field_validator("corruption")
    @classmethod
    def _corruption_valid(cls, corruption: str) -> str:
        try:
            open_corruption(corruption)
        except HoldsteadyError as error:
            raise ValueError(str(error)) from None
        return corruption

    def to_yaml(self) -> str:
        """The recipe as it is saved beside its result."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def read_recipe(path: str | Path, overrides: list[str] | None = None, *, files: bool = True) -> Recipe:
    """A recipe from a YAML file.

    Args:
        path: the file.
        overrides: ``key=value`` with dots between levels and the value in YAML: ``optimizer.learning_rate=1e-3``.
        files: whether what the recipe names (data, weights, an adapter) has to be there.

    Raises:
        ConfigError: the file can't be read or parsed; or with every fault of the recipe at once.
    """
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the recipe {path} can't be read: {getattr(error, 'strerror', None) or error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    return make_recipe(data, overrides, name=str(path), files=files)


def make_recipe(
    data: Any, overrides: list[str] | None = None, *, name: str = "the recipe", files: bool = True
) -> Recipe:
    """A recipe from plain data. Arguments and errors as in :func:`read_recipe`."""
    if not isinstance(data, dict):
        raise ConfigError(f"{name} holds {type(data).__name__}, not settings by name")
    data = copy.deepcopy(data)
    for override in overrides or []:
        _override(data, override)
    try:
        return Recipe.model_validate(data, context={"files": files})
    except ValidationError as error:
        found = error.errors()
        # A list is too short for want of what is wrong in it.
        heads = {fault["loc"][:length] for fault in found for length in range(len(fault["loc"]))}
        faults = [_fault(fault) for fault in found if fault["type"] != "too_short" or fault["loc"] not in heads]
        raise ConfigError(f"{name}: {'; '.join(faults)}") from None


def _override(data: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not (key and equals):
        raise ConfigError(f"--set {override}: write key=value, as in optimizer.learning_rate=1e-3")
    *path, last = key.split(".")
    place: Any = data
    for part in path:
        try:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        except (ValueError, IndexError):
            raise ConfigError(f"--set {override}: there is no '{part}' in {key}") from None
        if not isinstance(place, dict | list):
            raise ConfigError(f"--set {override}: '{part}' is a value, nothing can be set inside it")
    try:
        parsed = _number(yaml.safe_load(value))
        place[int(last) if isinstance(place, list) else last] = parsed
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not valid YAML") from error
    except (ValueError, IndexError):
        raise ConfigError(f"--set {override}: there is no '{last}' in the list") from None


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-3, without a point, as text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _needs_files(info: ValidationInfo) -> bool:
    return info.context is None or bool(info.context["files"])


def _found(path: str) -> bool:
    place = Path(path)
    return place.exists() or any(place.parent.glob(place.name))


def _fault(fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown setting '{place}'{near(str(fault['loc'][-1]), _settings_at(fault['loc'][:-1]))}"
    if fault["type"] == "missing":
        return f"'{place}' is missing"
    message = fault["msg"].removeprefix("Value error, ")
    given = "" if isinstance(fault["input"], dict | list) else f" = {fault['input']!r}"
    return f"{place}{given}: {message}" if place else message


def _settings_at(path: tuple[Any, ...]) -> list[str]:
    """The settings that a part of the recipe takes."""
    parts: dict[str, type[BaseModel]] = {
        "objective": ObjectiveRecipe,
        "data": DataRecipe,
        "validation": ValidationRecipe,
        "optimizer": OptimizerRecipe,
        "sources": SourceRecipe,
    }
    named = [part for part in path if part in parts]
    return list((parts[named[-1]] if named else Recipe).model_fields)
