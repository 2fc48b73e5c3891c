"""``holdsteady theory``: the table, the pictures and the exit code."""

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli.helpers import Cli

from holdsteady.objective import theory_checks
from holdsteady.objective.theory_checks import Claim
from holdsteady.report.theory import noisy_steps


def rows_of(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines() if "│" in line]


def test_theory_checks_and_draws(cli: Cli) -> None:
    done = cli("theory", "--out", "shown", "--seed", 1)
    assert done.code == 0, done.out + done.err
    rows = rows_of(done.out)
    assert len(rows) == 10
    for statement, cases, violation, holds in rows:
        assert statement
        assert int(cases) > 0
        assert float(violation) <= 1e-6
        assert holds == "yes"
    assert "seed 1" in done.out
    assert "the pictures are in shown/" in done.out
    assert sorted(path.name for path in Path("shown").iterdir()) == [
        "theory-contours.png",
        "theory-surfaces.png",
        "theory-tv.png",
    ]
    for path in Path("shown").iterdir():
        picture = cv2.imread(str(path))
        assert picture is not None and picture.shape[1] > 1000
        assert np.unique(picture.reshape(-1, 3), axis=0).shape[0] > 100, "it shows something"


def test_a_claim_that_fails_gives_exit_code_1(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def claims(_: int) -> Iterator[Claim]:
        yield Claim("a truth", 3, 1e-9)
        yield Claim("a falsehood", 4, 0.25)

    monkeypatch.setattr(theory_checks, "check_all", claims)
    done = cli("theory")
    assert done.code == 1
    assert rows_of(done.out) == [["a truth", "3", "1.0e-09", "yes"], ["a falsehood", "4", "2.5e-01", "no"]]


def test_theory_refuses(cli: Cli) -> None:
    Path("file").touch()
    done = cli("theory", "--out", "file")
    assert done.code == 1
    assert "can't make the folder 'file'" in done.error
    assert cli("theory", "--seed", -1).code == 2


def test_help_shows_examples(cli: Cli) -> None:
    done = cli("theory", "--help")
    assert done.code == 0
    assert re.search(r"holdsteady theory --out \S", done.out[done.out.index("Example") :])


def test_the_signal_of_the_picture_is_that_of_its_seed() -> None:
    np.testing.assert_array_equal(noisy_steps(3), noisy_steps(3))
    assert np.abs(noisy_steps(3) - noisy_steps(4)).max() > 0.01
    assert noisy_steps(0).shape == (40,)
