"""Specs: what they mean, that they come back, and what is said about wrong ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdsteady.corruptions import CORRUPTIONS, Chain, Corruption, Mix, make_corruption
from holdsteady.errors import ConfigError

SINGLE = st.one_of(
    st.sampled_from(sorted(CORRUPTIONS)),
    st.builds(lambda name, level: f"{name}:{level}", st.sampled_from(sorted(CORRUPTIONS)), st.integers(1, 5)),
    st.builds(lambda v: f"gaussian:sigma={v!r}", st.floats(0, 10)),
    st.builds(lambda q, p: f"jpeg:quality={q} + patch-drop:p={p!r},size={q}", st.integers(1, 100), st.floats(0, 1)),
)
SPECS = st.recursive(
    SINGLE,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("+".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda specs: f"mix({'|'.join(specs)})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda specs: f"mix2({' | '.join(specs)})"),
    ),
    max_leaves=6,
)


@given(SPECS)
def test_the_text_of_a_corruption_gives_it_back(spec: str) -> None:
    corruption = make_corruption(spec)
    again = make_corruption(str(corruption))
    assert again == corruption
    assert str(again) == str(corruption)
    assert "." not in str(make_corruption("rain:streaks=300")), "whole numbers are written as such"


def parts(corruption: Corruption) -> list[str]:
    assert isinstance(corruption, Chain)
    return [str(part) for part in corruption.parts]


def test_what_specs_mean() -> None:
    assert make_corruption("rain:5") == CORRUPTIONS["rain"].at(5)
    assert make_corruption("gaussian:4") == make_corruption("gaussian:sigma=0.2")
    assert make_corruption(" rain : 5 , slant = 20 ") == CORRUPTIONS["rain"](
        **CORRUPTIONS["rain"].settings_at(5), slant=20
    )
    assert parts(make_corruption("gaussian:sigma=0.2+patch-drop+mix(fog|snow:1)")) == [
        "gaussian:4",
        "patch-drop",
        "mix(fog|snow:1)",
    ]
    mix = make_corruption("mix2(gaussian|jpeg+flicker|mix(rain|snow))")
    assert isinstance(mix, Mix)
    assert (mix.count, [str(choice) for choice in mix.choices]) == (2, ["gaussian", "jpeg+flicker", "mix(rain|snow)"])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("gausian", r"unknown corruption 'gausian' \(did you mean gaussian"),
        ("", "a corruption is missing"),
        ("rain+", "a corruption is missing"),
        ("mix(rain||snow)", "a corruption is missing"),
        ("rain:7", "'rain:7': a severity is 1, 2, 3, 4 or 5"),
        ("rain:0", "a severity is 1, 2, 3, 4 or 5"),
        ("rain:", "expected a severity from 1 to 5 or streaks=450,veil=0.12,slant=12 after the colon"),
        ("rain:heavy", "got 'heavy'"),
        ("rain:slant=20,3", "got '3'"),
        ("jpeg:qualty=3", r"jpeg has no setting 'qualty' \(did you mean quality\?\); it has quality"),
        ("jpeg:quality=101", "quality = 101: .*less than or equal to 100"),
        ("jpeg:quality=9.5", "quality = 9.5: .*integer"),
        ("gaussian:sigma=nan", "sigma = nan: .*finite"),
        ("gaussian:sigma=much", "sigma = much: .*number"),
        ("impulse:salt=2,pepper=-1", "salt = 2: .*; pepper = -1: "),
        ("mix(rain", "unbalanced brackets"),
        ("rain)+(snow", "unbalanced brackets"),
        ("mix3(rain|snow)", "of 2 corruptions, 1 to 2 can be drawn, not 3"),
        ("mix0(rain|snow)", "1 to 2 can be drawn, not 0"),
        ("rain|snow", "unknown corruption"),
        ("mix", r"or mix\(a\|b"),
    ],
)
def test_what_is_said_about_wrong_ones(spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_corruption(spec)
