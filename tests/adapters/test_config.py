"""The config: what is accepted, what is refused, and how the refusal reads."""

import re
from typing import Any

import pytest
from torch import nn

from holdsteady.adapters.config import KINDS, OUTPUT_KINDS, PRESETS, STATISTICS_KINDS, make_config, validate
from holdsteady.errors import ConfigError


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_needs_no_setting_and_survives_json(kind: str) -> None:
    config = make_config(kind)
    assert config.kind == kind
    usual = dict.fromkeys((*OUTPUT_KINDS, *STATISTICS_KINDS), ("output",)) | {"live": ("coarse",)}
    usual |= dict.fromkeys(("controlled", "spatial"), ("input", "output"))  # the preset's choice
    assert config.points == usual.get(kind, ("auto",))
    assert make_config("spatial", "paper").points == ("auto",)
    assert validate(config.settings()) == config


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("output-fixed:0.8", "beta", 0.8),
        ("simple-fixed:1", "beta", 1.0),
        ("output-gaussian:4", "sigma", 4.0),
        ("motion-fixed:.25", "memory_weight", 0.25),
    ],
)
def test_a_kind_with_its_main_setting(text: str, field: str, value: float) -> None:
    config = make_config(text)
    assert (config.kind, getattr(config, field)) == (text.partition(":")[0], value)


@pytest.mark.parametrize(
    ("text", "points", "memory_weight"),
    [
        ("motion-fixed@input", ("input",), 0.9),
        ("motion-fixed:0.5@input", ("input",), 0.5),
        ("live:0.5@output", ("output",), 0.5),
        ("simple-fixed@body.*", ("body.*",), 0.9),
    ],
)
def test_a_kind_with_its_point(text: str, points: tuple[str, ...], memory_weight: float) -> None:
    config = make_config(text)
    assert (config.points, config.memory_weight) == (points, memory_weight)
    assert validate(config.settings()) == config


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("motion-fixed@", {}, "a point goes after the @, as in motion-fixed@input; there is none"),
        ("motion-fixed@input", {"points": "output"}, "there is points = 'output' as well"),
        ("motion-fixed@body.1", {}, "works at 'output' or 'input' alone"),
        ("motion-fixed", {"points": ["input", "output"]}, "works at 'output' or 'input' alone"),
        ("universal@input", {}, "works at the point 'output' alone"),
        ("output-fixed@input", {}, "works at the point 'output'; for points inside"),
        ("live@input", {}, "works at 'output' or a point inside; for the input take motion-fixed@input"),
        ("motion-fixed@input", {"deflicker": True}, "deflicker has no effect at the input"),
        ("motion-fixed@input", {"fuse_as": "mask", "flow_from": "input"}, "flow_from, fuse_as has no effect"),
    ],
)
def test_where_a_kind_does_not_go(text: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        make_config(text, **settings)


def test_points_by_name_and_by_class() -> None:
    assert make_config("simple-fixed", points="body.*").points == ("body.*",)
    assert make_config("simple-fixed", points=nn.Conv2d).points == ("Conv2d",)
    assert make_config("simple-fixed", points=["input", nn.ReLU]).points == ("input", "ReLU")


def test_the_preset_has_the_constants_of_the_paper() -> None:
    spatial = make_config("spatial", "paper")
    assert {name: getattr(spatial, name) for name in PRESETS["paper"]} == PRESETS["paper"]
    assert (spatial.backbone_width, spatial.backbone_layers, spatial.head_width, spatial.head_layers) == (32, 6, 64, 2)
    assert (spatial.vector_width, spatial.kernel, spatial.initial_logit) == (256, 3, -4)
    assert make_config("simple-learned").initial_a == 4
    assert make_config("spatial", head_width=8).head_width == 8


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("spatail", {}, r"unknown kind of adapter 'spatail' \(did you mean spatial\?\); available: output-fixed, "),
        ("motion-fixd", {}, r"did you mean motion-fixed"),
        ("spatial", {"preset": ""}, r"unknown preset ''; available: paper, light, tiny"),
        ("spatial", {"preset": 3}, r"kinds and presets are named: kind = 'spatial', preset = 3"),
        (["spatial"], {}, r"kind = \['spatial'\], preset = None"),
        ("spatial", {"preset": "papr"}, r"unknown preset 'papr' \(did you mean paper\?\)"),
        (
            "motion",
            {"preset": "tiny"},
            r"kind 'motion' takes no preset \('tiny'\); those that do: controlled, spatial",
        ),
        ("spatial:3", {}, r"'spatial:3': spatial has no main setting; those that have: output-fixed, "),
        ("output-fixed:much", {}, r"'output-fixed:much': 'much' is not a number; it sets beta"),
        ("output-fixed:0", {}, r"beta = 0.0: .*greater than 0"),
        ("output-fixed", {"beta": 1.5}, r"beta = 1\.5: .*less than or equal to 1"),
        ("spatial", {"kernl": 3}, r"'kernl' is not a setting \(did you mean kernel or shared_kernel\?\)"),
        ("spatial", {"align": "none", "flow_from": "input"}, r"flow_from has no effect with align = none"),
        (
            "spatial",
            {"align": "flow", "flow_from": "output"},
            r"flow_from = output is for the motion kinds; auto follows",
        ),
        ("spatial", {"kernel": 4}, r"kernel = 4: a window has a centre: 4 is even, take 3 or 5"),
        ("spatial", {"beta": 0.5}, r"beta has no effect on kind 'spatial', which takes .*kernel"),
        ("controlled", {"kernel": 3}, r"kernel has no effect on kind 'controlled'"),
        ("motion", {"flow": "disc"}, r"flow = 'disc': unknown flow 'disc'; available: dis"),
        ("motion-fixed", {"points": "body"}, r"'motion-fixed' works at 'output' or 'input' alone, not at \['body'\]"),
        ("output-fixed", {"points": "body"}, r"works at the point 'output'.*take simple-fixed"),
        ("spatial", {"layouts": {"body": "cube"}}, r"layout 'cube' of point 'body' is none of map, channels-last, "),
    ],
)
def test_what_is_wrong_is_named_with_the_way_out(kind: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        make_config(kind, **settings)
    assert "pydantic" not in str(caught.value)


def test_all_faults_are_listed_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        make_config("spatial", kernel=4, head_scale=3, head_widht=3, beta=0.5, head_input="none")
    text = str(caught.value)
    for part in (
        "kernel = 4",
        "head_scale = 3",
        "'head_widht' is not a setting",
        "beta has no effect",
        "head_input = 'none'",
    ):
        assert part in text
    assert len(re.findall(";", text)) >= 4


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        make_config("spatial").kernel = 5  # type: ignore[misc]


def test_a_setting_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="beta"):
        make_config("output-fixed:0.8", beta=0.5)
