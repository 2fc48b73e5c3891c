"""Corruptions from short texts, as on the command line and in recipes."""

import re

from pydantic import ValidationError

from holdsteady.corruptions.base import Corruption
from holdsteady.corruptions.combine import Chain, Mix
from holdsteady.corruptions.registry import CORRUPTIONS
from holdsteady.errors import ConfigError, near

_MIX = re.compile(r"mix(\d*)\((.*)\)", re.DOTALL)


def make_corruption(spec: str) -> Corruption:
    """A corruption from its spec; ``str()`` of it is a spec that gives an equal one.

    * ``rain`` is at its default strength, ``rain:3`` at severity 3 of 5;
    * ``jpeg:quality=20`` and ``impulse:salt=0.1,pepper=0`` name settings; ``rain:3,slant=20`` changes a severity's;
    * ``gaussian:sigma=0.2+patch-drop`` applies several from left to right;
    * ``mix(gaussian:2|jpeg:3|flicker+fog)`` draws one for each clip, ``mix2(…)`` two different ones.

    Raises:
        ConfigError: a name or a setting is unknown, a value is out of range, or the text is malformed.
    """
    parts = [_one(part) for part in _split(spec, "+")]
    return parts[0] if len(parts) == 1 else Chain(parts=tuple(parts))


def open_corruption(spec: str) -> Corruption | None:
    """The corruption of a spec as in :func:`make_corruption`; None for ``none``."""
    return None if spec == "none" else make_corruption(spec)


def _one(spec: str) -> Corruption:
    mix = _MIX.fullmatch(spec)
    if mix is None:
        return _named(spec)
    count = int(mix[1] or 1)
    choices = tuple(make_corruption(choice) for choice in _split(mix[2], "|"))
    if not 1 <= count <= len(choices):
        raise ConfigError(f"'{spec}': of {len(choices)} corruptions, 1 to {len(choices)} can be drawn, not {count}")
    return Mix(choices=choices, count=count)


def _named(spec: str) -> Corruption:
    name, colon, rest = (part.strip() for part in spec.partition(":"))
    if name not in CORRUPTIONS:
        known = ", ".join(CORRUPTIONS)
        raise ConfigError(f"unknown corruption '{name}'{near(name, CORRUPTIONS)}; choose one of {known}, or mix(a|b|…)")
    cls = CORRUPTIONS[name]
    settings: dict[str, float | str] = {}
    for number, setting in enumerate(rest.split(",") if colon else ()):
        key, equals, value = (part.strip() for part in setting.partition("="))
        if number == 0 and not equals and re.fullmatch(r"-?\d+", key):
            settings.update(cls.settings_at(int(key)))
        elif not key or not value:
            raise ConfigError(
                f"'{spec}': expected a severity from 1 to 5 or {_example(cls)} after the colon, got '{setting}'"
            )
        else:
            settings[key] = value
    try:
        return cls.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(f"'{spec}': {'; '.join(_fault(cls, fault) for fault in error.errors())}") from None


def _split(spec: str, separator: str) -> list[str]:
    """The parts between separators that stand outside all brackets; none may be empty."""
    parts, depth = [""], 0
    for letter in spec:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            break
        if letter == separator and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    if depth:
        raise ConfigError(f"'{spec}': unbalanced brackets")
    parts = [part.strip() for part in parts]
    if not all(parts):
        raise ConfigError(f"'{spec}': a corruption is missing; write one like rain:3, or several like gaussian+jpeg")
    return parts


def _example(cls: type[Corruption]) -> str:
    return ",".join(f"{key}={str(field.default).removesuffix('.0')}" for key, field in cls.model_fields.items())


def _fault(cls: type[Corruption], fault: object) -> str:
    assert isinstance(fault, dict)
    key = str(fault["loc"][0])
    if fault["type"] == "extra_forbidden":
        return f"{cls.name} has no setting '{key}'{near(key, cls.model_fields)}; it has {', '.join(cls.model_fields)}"
    return f"{key} = {fault['input']}: {fault['msg']}"
