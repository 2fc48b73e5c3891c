"""What an adapter is made of: one flat, validated config, and the presets and short names for it."""

from collections.abc import Iterable
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from holdsteady.adapters.layout import LAYOUT_KINDS
from holdsteady.adapters.presets import DEFAULT_PRESET, PRESETS
from holdsteady.errors import ConfigError, near
from holdsteady.flow.dis import FLOWS

Kind = Literal[
    "output-fixed",
    "output-gaussian",
    "simple-fixed",
    "simple-learned",
    "controlled",
    "spatial",
    "motion-fixed",
    "motion",
    "universal",
    "live",
    "statistics-fixed",
    "statistics",
]
KINDS: tuple[str, ...] = get_args(Kind)
OUTPUT_KINDS = ("output-fixed", "output-gaussian", "motion-fixed", "motion", "universal")
#: At the output, or at one map of the network that the output is enlarged from.
LATE_KINDS = ("live",)
HEAD_KINDS = ("controlled", "spatial")
LEARNED_KINDS = ("simple-learned", "controlled", "spatial", "motion", "universal", "statistics")
#: Anywhere, but at the output if nothing is said.
STATISTICS_KINDS = ("statistics-fixed", "statistics")

_ANY = {"kind", "points", "layouts", "grid"}
_OF_OUTPUTS = {"flow_from", "deflicker", "fuse_as"}
_FLOW = {"flow", "flow_from"}
_HEADS = _FLOW | {
    "align",
    "backbone_width",
    "backbone_layers",
    "head_width",
    "head_layers",
    "head_scale",
    "backbone_scale",
    "head_reduction",
    "head_input",
    "shared_kernel",
    "vector_width",
    "initial_logit",
}
_FIELDS: dict[str, set[str]] = {
    "output-fixed": {"beta"},
    "output-gaussian": {"sigma"},
    "simple-fixed": {"beta"},
    "simple-learned": {"initial_a"},
    "controlled": _HEADS,
    "spatial": _HEADS | {"kernel", "initial_centre"},
    "motion-fixed": _FLOW | {"memory_weight", "tolerance", "deflicker", "fuse_as"},
    "motion": _FLOW | {"kernel", "motion_width", "initial_logit", "initial_centre"},
    "universal": _FLOW | {"memory_weight", "tolerance", "deflicker", "fuse_as", "universal_width"},
    "live": _FLOW | {"memory_weight", "tolerance", "fuse_as", "max_height"},
    "statistics-fixed": {"beta"},
    "statistics": {"statistics_width"},
}


class AdapterConfig(BaseModel):
    """Everything that decides what an adapter is, apart from its weights.

    The defaults of the published kinds are the paper's constants. Settings that a kind does not use are
    refused, so that no setting is without effect.

    Raises:
        ConfigError: from :func:`make_config`, with every fault at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    points: tuple[str, ...] = Field((), description="names, globs, types, 'input', 'output', 'auto' or 'coarse'")
    layouts: dict[str, str] = Field({}, description="layout of a point, where it can't be told from its shape")
    grid: tuple[int, int] | None = Field(None, description="rows and columns of tokens, if not of the frame's shape")

    beta: float = Field(0.9, gt=0, le=1, description="weight of the present; 1 is the base")
    sigma: float = Field(1.0, gt=0, le=64, description="width of the causal Gaussian window, in frames")

    align: Literal["none", "flow"] = Field(
        "none",
        description="how the memory is brought to the present before it is fused: not at all, or along the "
        "flow of the frames",
    )
    backbone_width: int = Field(32, ge=1, le=4096, description="channels of the controller's backbone")
    backbone_layers: int = Field(6, ge=0, le=64, description="layers of the backbone after the first")
    backbone_scale: Literal[1, 2, 4] = Field(1, description="the backbone works at 1/this of the frame's size")
    head_width: int = Field(64, ge=1, le=4096, description="channels of the heads")
    head_layers: int = Field(2, ge=0, le=64, description="layers of a head between the first and the logits")
    head_scale: Literal[1, 2, 4] = Field(1, description="heads work at 1/this of their point's size")
    head_reduction: int = Field(
        0,
        ge=0,
        le=4096,
        description="channels that a 1×1 layer first brings a head's maps to, where they have more; 0: none",
    )
    head_input: Literal["features", "pair", "backbone"] = Field(
        "features",
        description="what heads see beside the backbone's features: z_t, z̃_{t−1} and z_{t−1}; z_t, z̃_{t−1}, their "
        "difference and its mean around; or nothing (for composition)",
    )
    shared_kernel: bool = Field(False, description="one kernel for all channels, not one for each")
    vector_width: int = Field(256, ge=1, le=4096, description="channels of the heads of points without space")
    initial_a: float = Field(4.0, description="a at the start of simple-learned, where β = sigmoid(a)")
    initial_logit: float = Field(-4.0, description="logit of the memory at the start, summed over a window")
    initial_centre: float = Field(
        0.0, ge=0, le=16, description="lead of the logit at a window's centre over the others at the start"
    )
    kernel: int = Field(3, ge=1, le=15, description="side of the window, odd")

    flow: str = Field("dis", description="name of the flow method")
    flow_from: Literal["auto", "output", "input"] = Field(
        "auto",
        description="whose motion is followed: that of the frames ('input') or of the outputs ('output'); auto: if the "
        "output is a picture like the frame its own in the motion kinds, the better of both in the others; else the "
        "frames'",
    )
    memory_weight: float = Field(0.9, ge=0, le=1, description="a, the largest weight of the memory")
    tolerance: float = Field(1.5, gt=0, description="c, tolerated mismatch, in standard deviations of the noise")
    deflicker: bool | None = Field(
        None,
        description="take wide flicker out of outputs like the frame: always, never (nor are the input's own grain "
        "and texture looked for), or (None) by evidence",
    )
    fuse_as: Literal["auto", "values", "classes", "mask"] = Field(
        "auto",
        description="what outputs are: numbers, as pictures and depth; logits or probabilities of classes; masks, or "
        "their logits; auto: by the model's card, or as is plainly visible",
    )
    max_height: int = Field(
        120, ge=16, le=1 << 16, description="lines down to which live shrinks taller values to look at them"
    )
    motion_width: int = Field(24, ge=1, le=4096, description="channels of the head of motion")
    universal_width: int = Field(32, ge=1, le=4096, description="channels of the head of universal")
    statistics_width: int = Field(16, ge=1, le=4096, description="width of the gates of statistics")

    @field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError(f"a window has a centre: {kernel} is even, take {kernel - 1} or {kernel + 1}")
        return kernel

    @field_validator("flow")
    @classmethod
    def _known_flow(cls, flow: str) -> str:
        if flow not in FLOWS:
            raise ValueError(f"unknown flow '{flow}'; available: {', '.join(FLOWS)}")
        return flow

    @field_validator("layouts")
    @classmethod
    def _known_layouts(cls, layouts: dict[str, str]) -> dict[str, str]:
        for point, layout in layouts.items():
            if layout not in LAYOUT_KINDS:
                raise ValueError(f"layout '{layout}' of point '{point}' is none of {', '.join(LAYOUT_KINDS)}")
        return layouts

    @model_validator(mode="before")
    @classmethod
    def _points_of_kind(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("kind") not in KINDS:
            return data
        points = data.get("points") or ()
        if not isinstance(points, Iterable | type):
            return data  # which is told below
        points = (points,) if isinstance(points, str | type) else tuple(points)
        names = tuple(p.__name__ if isinstance(p, type) else p for p in points)
        if not names:
            usual = dict.fromkeys((*OUTPUT_KINDS, *STATISTICS_KINDS), "output") | dict.fromkeys(LATE_KINDS, "coarse")
            names = (usual.get(data["kind"], "auto"),)
        return {**data, "points": names}

    @model_validator(mode="after")
    def _used_by_kind(self) -> "AdapterConfig":
        unused = _unused(self.kind, self.model_fields_set)
        if unused:
            raise ValueError(unused)
        if self.kind == "motion-fixed" and self.points not in (("output",), ("input",)):
            raise ValueError(f"kind '{self.kind}' works at 'output' or 'input' alone, not at {list(self.points)}")
        if self.kind in ("motion", "universal") and self.points != ("output",):
            raise ValueError(f"kind '{self.kind}' works at the point 'output' alone, not at {list(self.points)}")
        if self.kind in LATE_KINDS and len(self.points) > 1:
            raise ValueError(f"kind '{self.kind}' works at one point, not at {list(self.points)}")
        if self.kind in LATE_KINDS and self.points == ("input",):
            raise ValueError(
                f"kind '{self.kind}' works at 'output' or a point inside; for the input take motion-fixed@input"
            )
        idle = sorted(self._idle & self.model_fields_set)
        if idle:
            where = "at the input, where values are frames" if self.is_at_input else f"with align = {self.align}"
            raise ValueError(f"{', '.join(idle)} has no effect {where}")
        if self.align == "flow" and self.flow_from == "output":
            raise ValueError("flow_from = output is for the motion kinds; auto follows the frames and the output")
        if self.kind in OUTPUT_KINDS and set(self.points) - {"output"} and not self.is_at_input:
            raise ValueError(
                f"kind '{self.kind}' works at the point 'output'; for points inside the network take simple-fixed"
            )
        return self

    @property
    def is_at_input(self) -> bool:
        """Whether it is *motion fixed* that holds the frames steady before the model sees them."""
        return self.kind == "motion-fixed" and self.points == ("input",)

    @property
    def learned(self) -> bool:
        """Whether the adapter has parameters."""
        return self.kind in LEARNED_KINDS

    def settings(self) -> dict[str, Any]:
        """The settings that this kind uses, ready for JSON."""
        return self.model_dump(mode="json", include=(_ANY | _FIELDS[self.kind]) - self._idle)

    @property
    def _idle(self) -> set[str]:
        """Settings that the kind could use and does not, without an alignment or at the input."""
        if self.is_at_input:
            return _OF_OUTPUTS
        if self.kind not in HEAD_KINDS:
            return set()
        return set() if self.align == "flow" else _FLOW


_SHORT = {
    "output-fixed": "beta",
    "output-gaussian": "sigma",
    "simple-fixed": "beta",
    "motion-fixed": "memory_weight",
    "live": "memory_weight",
    "statistics-fixed": "beta",
}


def kind_of(spec: str) -> str:
    """What is named before a setting and a point, as ``motion-fixed`` in ``motion-fixed:0.8@input``."""
    return spec.partition("@")[0].partition(":")[0]


def make_config(kind: str, preset: str | None = None, **settings: Any) -> AdapterConfig:
    """A validated config of one kind: a preset's constants, then the settings given.

    Args:
        kind: a kind's name, also with its main setting, ``"output-fixed:0.8"``, and with its point,
            ``"motion-fixed@input"``, ``"simple-fixed:0.9@encoders*"``.
        preset: a name in ``PRESETS``, for the kinds with heads; None for ``DEFAULT_PRESET``.
        settings: fields of :class:`AdapterConfig`.

    Raises:
        ConfigError: the kind or the preset is unknown, the kind takes no preset, or settings are unknown, unused or out
            of range.
    """
    if not isinstance(kind, str) or not isinstance(preset, str | None):
        raise ConfigError(f"kinds and presets are named: kind = {kind!r}, preset = {preset!r}")
    named, at, point = kind.partition("@")
    name, colon, value = named.partition(":")
    if name not in KINDS:
        raise ConfigError(f"unknown kind of adapter '{name}'{near(name, KINDS)}; available: {', '.join(KINDS)}")
    if preset is not None and name not in HEAD_KINDS:
        raise ConfigError(f"kind '{name}' takes no preset ('{preset}'); those that do: {', '.join(HEAD_KINDS)}")
    preset = DEFAULT_PRESET if preset is None else preset
    if preset not in PRESETS:
        raise ConfigError(f"unknown preset '{preset}'{near(preset, PRESETS)}; available: {', '.join(PRESETS)}")
    if colon:
        if name not in _SHORT:
            raise ConfigError(f"'{kind}': {name} has no main setting; those that have: {', '.join(_SHORT)}")
        if _SHORT[name] in settings:
            raise ConfigError(f"{_SHORT[name]} is given twice: in '{kind}' and as {settings[_SHORT[name]]!r}")
        try:
            settings = {_SHORT[name]: float(value), **settings}
        except ValueError:
            raise ConfigError(f"'{kind}': '{value}' is not a number; it sets {_SHORT[name]} of {name}") from None
    if at:
        if not point or "points" in settings:
            what = f"points = {settings['points']!r} as well" if point else "none"
            raise ConfigError(f"'{kind}': a point goes after the @, as in motion-fixed@input; there is {what}")
        settings = {"points": point, **settings}
    # Presets are of the kinds that have heads; where an adapter sits is a preset's choice too.
    taken = _FIELDS[name] | {"points"} if name in HEAD_KINDS else set()
    base = {k: v for k, v in PRESETS[preset].items() if k in taken}
    return validate({"kind": name, **base, **settings})


def validate(data: dict[str, Any]) -> AdapterConfig:
    """A config from plain data, as read from a file. Raises ConfigError with every fault at once."""
    try:
        return AdapterConfig.model_validate(data)
    except ValidationError as error:
        faults = [_fault(fault) for fault in error.errors()]
        # Checks of the whole config do not run where a single setting is faulty already.
        unused = _unused(data.get("kind"), data)
        raise ConfigError("; ".join(faults if unused in ("", *faults) else [*faults, unused])) from None


def _unused(kind: Any, given: Iterable[str]) -> str:
    """What to say about settings that a kind does not use; nothing if there are none."""
    if kind not in KINDS:
        return ""
    unused = sorted((set(given) & AdapterConfig.model_fields.keys()) - _ANY - _FIELDS[kind])
    takes = ", ".join(sorted(_FIELDS[kind]))
    return f"{', '.join(unused)} has no effect on kind '{kind}', which takes {takes}" if unused else ""


def _fault(fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"'{place}' is not a setting{near(place, AdapterConfig.model_fields)}"
    message = fault["msg"].removeprefix("Value error, ")
    return f"{place} = {fault['input']!r}: {message}" if place else message
