"""``points --cost``: what an adapter costs, from the command line."""

from collections.abc import Callable
from pathlib import Path

import torch
from cli.helpers import Cli

import holdsteady as hs
from holdsteady.loading import load

Model = Callable[[str], str]
SIZE = ("--cost", "--size", "48x32")


def rows_of(shown: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if "│" in line]


def test_the_rows_are_those_of_the_model(cli: Cli, model: Model) -> None:
    done = cli("points", model("WideBlur"), *SIZE, "--kind", "controlled", "--preset", "paper", "-s", "conv")
    assert done.code == 0, done.err
    frame = torch.rand(1, 3, 32, 48)
    base = load(model("WideBlur"))
    expected = hs.stabilize(base, "controlled", example=frame, points="conv", preset="paper").cost(frame)
    assert rows_of(done.out) == [list(row) for row in expected.cells()]
    head = 9 * ((32 + 9) * 64 + 2 * 64 * 64 + 64 * 3)
    backbone = 9 * (6 * 32 + 6 * 32 * 32)
    assert [row[2] for row in rows_of(done.out)] == [f"{n:,}" for n in (head, backbone, head + backbone, 81)]
    assert done.out.startswith("cost of controlled in ")


def test_without_a_kind_it_is_a_light_spatial_adapter(cli: Cli, model: Model) -> None:
    shown = cli("points", model("Blur"), *SIZE)
    assert [row[0] for row in rows_of(shown.out)] == ["input", "output", "shared", "total", "base"]
    assert shown.out.startswith("cost of spatial in ")
    assert rows_of(cli("points", model("Blur"), *SIZE, "--kind", "spatial", "--preset", "light").out) == rows_of(
        shown.out
    )


def test_adapters_as_in_run(cli: Cli, model: Model, tmp_path: Path) -> None:
    base = load(model("Blur"))
    frame = torch.rand(1, 3, 32, 48)
    hs.stabilize(base, "simple-learned", example=frame, points="input").save(tmp_path / "mine")
    done = cli("points", model("Blur"), *SIZE, "--adapter", "mine/+output-fixed:0.5")
    frame_bytes = f"{4 * 3 * 32 * 48:,}"
    assert rows_of(done.out)[:2] == [
        ["0:input", "3", "0", frame_bytes, "0.000"],
        ["1:output", "0", "0", frame_bytes, "0.000"],
    ]
    alone = cli("points", model("Blur"), *SIZE, "--adapter", "none")
    assert [row[0] for row in rows_of(alone.out)] == ["shared", "total", "base"]


def test_a_function_has_no_ratio(cli: Cli, model: Model) -> None:
    done = cli("points", model("invert"), *SIZE, "--kind", "motion")
    assert done.code == 0, done.err
    assert {row[4] for row in rows_of(done.out)} == {"–"}


def test_refuses(cli: Cli, model: Model) -> None:
    for arguments, words in {
        ("--kind", "motion", "--preset", "paper"): "--kind, --preset: add --cost",
        ("--adapter", "motion-fixed"): "--adapter: add --cost",
        ("--cost", "--adapter", "motion-fixed", "--kind", "motion", "-s", "conv"): "leave out --kind, --select",
        ("--cost", "--adapter", "spatial"): "'spatial' has to be trained first",
        ("--cost", "--kind", "spatia"): "(did you mean spatial",
        ("--cost", "--preset", "papers"): "(did you mean paper",
        ("--cost", "--select", "convv"): "(did you mean conv",
        ("--cost", "--kind", "motion", "--select", "conv"): "works at the point 'output' alone",
    }.items():
        done = cli("points", model("Blur"), *arguments)
        assert done.code == 1
        assert words in done.error
    done = cli("points", model("Stride16"), "--cost", "--size", "250x250")
    assert "the model fails on a frame of --size 250x250: AssertionError: sides have to be" in done.error


def test_a_size_that_the_model_takes_is_named(cli: Cli, model: Model) -> None:
    failed = cli("points", model("Stride16"), "--size", "40x24")
    assert failed.code == 1 and failed.error.endswith("; it takes --size 48x32")
    assert cli("points", model("Stride16"), "--size", "48x32").code == 0


def test_what_a_model_fails_with_is_told(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "failing.py"
    file.write_text(
        "def never(frame):\n    raise RuntimeError('no frame will do')\n\n\ndef two(frame, noise):\n    return frame\n"
    )
    done = cli("points", f"{file}:never", "--multiple", 32)
    assert "RuntimeError: no frame will do (failing.py" in done.error
    assert "it takes more than a frame: wrap it in a function" in cli("points", f"{file}:two").error
