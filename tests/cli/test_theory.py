"""``holdsteady theory``: the pictures and the exit code."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli.helpers import Cli

from holdsteady.report.theory import marks


@pytest.mark.slow
def test_theory_draws(cli: Cli) -> None:
    done = cli("theory", "--out", "shown")
    assert done.code == 0, done.out + done.err
    assert "the pictures are in shown/" in done.out
    assert sorted(path.name for path in Path("shown").iterdir()) == ["theory-contours.png", "theory-surfaces.png"]
    for path in Path("shown").iterdir():
        picture = cv2.imread(str(path))
        assert picture is not None and picture.shape[1] > 1000
        assert np.unique(picture.reshape(-1, 3), axis=0).shape[0] > 100, "it shows something"


def test_the_computed_minimum_is_the_truth_below_one_half_and_frozen_from_two_on() -> None:
    for lam, expected in ((0.0, (1.0, 0.35)), (0.4, (1.0, 0.35)), (4.0, (0.0, 0.0))):
        truth, collapse, found = [(second, third) for second, third, *_ in marks(lam)]
        assert (truth, collapse) == ((1.0, 0.35), (0.0, 0.0))
        assert found == expected


def test_theory_refuses(cli: Cli) -> None:
    Path("file").touch()
    done = cli("theory", "--out", "file")
    assert done.code == 1
    assert "can't make the folder 'file'" in done.error


def test_help_shows_examples(cli: Cli) -> None:
    done = cli("theory", "--help")
    assert done.code == 0
    assert re.search(r"holdsteady theory --out \S", done.out[done.out.index("Example") :])
