"""The commands of a job are ones of the command line; choices fit each other."""

import shlex

import pytest
import typer

from holdsteady import zoo
from holdsteady.cli import app
from holdsteady.corruptions import make_corruption
from holdsteady.errors import ConfigError
from holdsteady.host.resolve import resolve_ready
from holdsteady.ui import choices
from holdsteady.ui.choices import FIX, SAMPLES, Own
from holdsteady.ui.job import Job

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def words(line: str) -> list[str]:
    return shlex.split(line.replace("\\\n", " "))


def test_run() -> None:
    job = Job("/tmp/x", "a clip.mov", "denoise", "universal", strength=0.85, seconds=20)
    (line,) = job.commands()
    assert words(line) == words(
        "holdsteady run 'a clip.mov' 'a clip-steady.mp4' --model denoise --adapter universal --strength 0.85 "
        "--duration 20"
    )
    assert job.download == "a clip-steady.mp4"


def test_corrupt_and_fix() -> None:
    job = Job("/tmp/x", "clip.mp4", FIX, "motion-fixed", corruption="rain:2", seconds=5, device="cuda")
    assert [words(line) for line in job.commands()] == [
        words("holdsteady corrupt clip.mp4 clip-corrupted.mp4 --with rain:2 --duration 5"),
        words("holdsteady fix clip-corrupted.mp4 clip-steady.mp4 --adapter motion-fixed --device cuda"),
    ]


@pytest.mark.parametrize("name", ["-rf.mp4", "a'b;c $(d).mp4", "a\\b.mp4"])
def test_names_can_not_be_taken_for_anything_else(name: str) -> None:
    (line,) = Job("/tmp/x", name, "denoise", "none").commands()
    assert words(line)[2].removeprefix("./") == name
    assert not words(line)[2].startswith("-")


def test_options_exist() -> None:
    job = Job("/x", "x.mp4", "m.py:f", "a", 0.5, "rain:1", 3, "w.pth", "cpu")
    for one in (job, Job("/x", "x.mp4", FIX, "a", 0.5, None, 3, None, "cpu")):
        for line in one.commands():
            known = {option for param in COMMANDS[words(line)[1]].params for option in param.opts}
            assert {word for word in words(line) if word.startswith("--")} <= known


@pytest.mark.parametrize("model", [*zoo.MODELS, FIX])
def test_adapters_that_are_offered_are_ready_to_run(model: str) -> None:
    offered = choices.adapters(model, Own())
    assert offered[0] == ("motion-fixed" if model == FIX else f"{model}-clean")
    assert len(offered) == len(set(offered))
    for name in offered:
        resolve_ready(name)


def test_what_the_command_line_brought_comes_first() -> None:
    own = Own("m.py:f", None, "my-adapter")
    assert choices.models(own)[0] == ("m.py:f", "m.py:f")
    assert choices.adapters("m.py:f", own)[:2] == ["my-adapter", "motion-fixed"]
    assert "my-adapter" not in choices.adapters("denoise", own)


@pytest.mark.parametrize(
    ("model", "adapter", "corruption"),
    [
        ("/tmp/evil.py:f", "none", "none"),
        ("hf:someone/something", "motion-fixed", "none"),
        ("denoise", "/tmp/folder", "none"),
        ("denoise", "enhance-clean", "none"),
        (FIX, "denoise-clean", "none"),
        ("denoise", "universal", "mix(rain|snow)"),
    ],
)
def test_what_is_not_offered_is_refused(model: str, adapter: str, corruption: str) -> None:
    choices.check("denoise", "universal", "rain", Own())
    with pytest.raises(ConfigError, match="is not offered"):
        choices.check(model, adapter, corruption, Own())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.title)
def test_samples_fit(sample: choices.Sample) -> None:
    assert sample.file.is_file()
    assert sample.adapter in choices.adapters(sample.model, Own())
    make_corruption(f"{sample.corruption}:{sample.severity}")


@pytest.mark.parametrize("name", choices.corruptions()[1:])
@pytest.mark.parametrize("severity", [1, 5])
def test_every_corruption_has_severities(name: str, severity: int) -> None:
    make_corruption(f"{name}:{severity}")


def test_truth_is_known_for_pictures_alone() -> None:
    assert [choices.truth_of(model) for model in ("denoise", "enhance", "upscale2", "depth", "segment", FIX)] == [
        "frames",
        "self",
        "self",
        None,
        None,
        "frames",
    ]
