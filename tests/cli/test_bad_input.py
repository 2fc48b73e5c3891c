"""Whatever is wrong with what a user gives: one line that says so, an exit code, and nothing lost."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import av
import pytest
import torch
import yaml
from cli.helpers import Cli, difference, frames_of, texture, write_clip
from safetensors.torch import save_file

import holdsteady as hs
from holdsteady.loading import load

Model = Callable[[str], str]


@pytest.fixture
def untouched(tmp_path: Path) -> Callable[[], None]:
    """Makes sure that a command left no file and changed none."""

    def everything() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".pyc"}

    before: list[dict[Path, bytes]] = []

    def check() -> None:
        if not before:
            before.append(everything())
        assert everything() == before[0]

    return check


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_truncated_file_gives_what_could_be_read(cli: Cli, model: Model, tmp_path: Path, suffix: str) -> None:
    whole = Path(write_clip(tmp_path / f"whole{suffix}", texture(20), options={"g": "1", "bf": "0"}, faststart=True))
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    done = cli("run", cut, "out.mp4", "--model", model("Identity"), "--adapter", "none", "--crf", 4)
    shown = frames_of("out.mp4")
    assert done.code == 1
    assert 5 <= len(shown) < 20
    assert "truncated" in done.error
    assert done.error.endswith(f"the {len(shown)} frames before it are in out.mp4")
    assert max(difference(a, b) for a, b in zip(shown, frames_of(whole), strict=False)) < 3


def write_audio(path: Path) -> str:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate, frame.pts = 48000, 0
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return str(path)


def test_sources_that_are_no_videos(cli: Cli, model: Model, tmp_path: Path, untouched: Callable[[], None]) -> None:
    (tmp_path / "text.mp4").write_text("this is not a video\n" * 100)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder").mkdir()
    write_audio(tmp_path / "song.m4a")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    spec = model("Identity")
    untouched()
    for source, words in {
        "text.mp4": "text.mp4: can't be opened as a video",
        "empty.mp4": "empty.mp4: the file is empty (0 bytes)",
        "missing.mp4": "missing.mp4: no such file or folder",
        "song.m4a": "song.m4a: has no video stream",
        "folder": "folder: no images found",
        "*.jpg": "*.jpg: no images found",
        "broken.png": "broken.png: not an image",
        "97": "97: can't be opened",
    }.items():
        done = cli("run", source, "out.mp4", "--model", spec)
        assert done.code == 1
        assert words in done.error
        assert cli("fix", source, "out.mp4").error == done.error
        untouched()


def test_sinks_that_can_not_be_written(
    cli: Cli, model: Model, carphone: str, tmp_path: Path, untouched: Callable[[], None]
) -> None:
    spec = model("Identity")
    (tmp_path / "clip.mkv").write_bytes(Path(carphone).read_bytes())
    untouched()
    for sink, words in {
        "gone/out.mp4": f"the folder {tmp_path / 'gone'} does not exist; create it first",
        "out.gif": "can't write files of type '.gif'",
        "/proc/out.mp4": "/proc/out.mp4: ",
        "clip.mkv": "clip.mkv: is the source itself",
    }.items():
        done = cli("run", "clip.mkv", sink, "--model", spec, "--overwrite")
        assert done.code == 1
        assert words in done.error
        untouched()


def test_settings_that_make_no_sense(cli: Cli, model: Model, carphone: str, untouched: Callable[[], None]) -> None:
    spec = model("Identity")
    untouched()
    for option, value, code, words in [
        ("--strength", "1.5", 2, "--strength"),
        ("--strength", "much", 2, "--strength"),
        ("--dtype", "float8", 2, "bfloat16"),
        ("--crf", "low", 2, "--crf"),
        ("--device", "cudda", 1, "device 'cudda' can't be used here"),
        ("--start", "-1", 1, "start is -1 s"),
        ("--start", "600", 1, "shorter than that"),
        ("--duration", "0", 1, "duration is 0 s"),
        ("--cuts", "cuts.txt", 1, "cuts.txt: the file of cuts can't be read"),
        ("--codec", "libx246", 1, "did you mean libx26"),
        ("--crf", "99", 1, "libx264 takes 0 (best) to 51"),
    ]:
        done = cli("run", carphone, "out.mp4", "--model", spec, option, value)
        assert done.code == code, option
        assert words in (done.error if code == 1 else done.err)
        assert "Traceback" not in done.err
        untouched()
    done = cli("run", carphone, "out.mp4")
    assert done.code == 2 and "--model denoise-video" in done.err
    assert cli("run", carphone).code == 2
    assert "Did you mean 'run'" in cli("rnu").err


def test_models_that_can_not_be_had(cli: Cli, model: Model, carphone: str, tmp_path: Path) -> None:
    blur = model("Blur")
    (tmp_path / "typo.py").write_text("def model(frame)\n    return frame\n")
    save_file({"conv.weight": torch.zeros(5, 1, 3, 3)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights at all")
    for spec, weights, words in [
        ("gone.py:model", None, "no file 'gone.py'"),
        ("typo.py:model", None, "typo.py can't be imported: SyntaxError: expected ':' (typo.py, line 1)"),
        (model("make_blurr"), None, "defines no 'make_blurr' (did you mean make_blur"),
        ("denoize", None, "(did you mean denoise or denoise-video?)"),
        ("lraspp_mobilenet_v3_larg", None, "(did you mean lraspp_mobilenet_v3_large"),
        (
            blur,
            "other.safetensors",
            "other.safetensors does not fit Blur: conv.weight is (5, 1, 3, 3), not (3, 1, 3, 3)",
        ),
        (blur, "text.safetensors", "text.safetensors"),
        (blur, "gone.safetensors", "no weights file 'gone.safetensors'"),
        (model("invert"), "other.safetensors", "a function has no weights to load"),
    ]:
        done = cli("run", carphone, "out.mp4", "--model", spec, *(["--weights", weights] if weights else []))
        assert done.code == 1
        assert words in done.error
    assert not Path("out.mp4").exists()


def test_models_that_fail(cli: Cli, model: Model, carphone: str, untouched: Callable[[], None], tmp_path: Path) -> None:
    (tmp_path / "classifier.py").write_text("def model(frame):\n    return frame.mean(dim=(2, 3))\n")
    spec = model("RaisesAt3")
    lines = Path(spec.rpartition(":")[0]).read_text().splitlines()
    line = next(number for number, text in enumerate(lines, start=1) if '["gone"]' in text)
    untouched()
    for name, words in {
        spec: f"the model failed at frame 3: KeyError: 'gone' (tiny_models.py, line {line})",
        "classifier.py:model": "the model gives torch.float32 (1, 3), not an image (B, C, H, W) or (B, H, W)",
    }.items():
        done = cli("run", carphone, "out.mp4", "--model", name)
        assert done.code == 1
        assert words in done.error
        untouched()


def test_adapters_that_can_not_be_had(cli: Cli, model: Model, carphone: str) -> None:
    spec = model("Blur")
    steady = hs.stabilize(load(spec), "simple-learned", example=torch.rand(1, 3, 48, 48), points=["conv"])
    for name in ("good", "damaged", "empty", "bad-weights"):
        steady.save(name)
    Path("damaged/adapter.json").write_text("{")
    Path("empty/adapter.json").unlink()
    Path("bad-weights/adapter.safetensors").write_bytes(b"\0" * 40)
    for adapter, words in {
        "spatail": "(did you mean spatial",
        "no/such/folder": "'no/such/folder' is neither a kind, nor an adapter that ships here, nor the folder of one",
        "spatial": "'spatial' has to be trained first: give the folder of a trained adapter",
        "motion": "(output-fixed, output-gaussian, simple-fixed, motion-fixed, live, statistics-fixed)",
        "output-fixed:abc": "'abc' is not a number; it sets beta of output-fixed",
        "output-fixed:1.5": "beta = 1.5: Input should be less than or equal to 1",
        "empty": "'empty' is not an adapter: it lacks adapter.json",
        "damaged": "damaged/adapter.json is damaged",
        "bad-weights": "bad-weights/adapter.safetensors does not hold the weights",
    }.items():
        done = cli("run", carphone, "out.mp4", "--model", spec, "--adapter", adapter)
        assert done.code == 1
        assert words in done.error, adapter
    for other, words in {
        "WideBlur": "'conv' has parameters of different shapes",
        "Identity": "not for this Identity: 'conv' is missing",
        "invert": "'conv' is missing",
    }.items():
        done = cli("run", carphone, "out.mp4", "--model", model(other), "--adapter", "good")
        assert done.code == 1
        assert words in done.error
        assert "Blur" in done.error, "the base that it was made for"
    done = cli("run", carphone, "out.mp4", "--model", model("invert"), "--adapter", "simple-fixed:0.5")
    assert (done.code, "function is not an nn.Module" in done.error) == (1, True)
    assert not Path("out.mp4").exists()
    assert cli("run", carphone, "out.mp4", "--model", spec, "--adapter", "good", "--duration", 0.1).code == 0


def test_debug_shows_where_an_error_comes_from(cli: Cli, model: Model, carphone: str) -> None:
    for arguments in (("--debug", "run"), ("run", "--debug")):
        done = cli(*arguments, carphone, "out.mp4", "--model", model("RaisesAt3"))
        assert done.code == 1
        assert "Traceback" in done.err
        assert 'return {}["gone"]' in done.err
        assert done.err.rstrip().splitlines()[-1].startswith("error: the model failed at frame 3: KeyError: 'gone'")
    Path("--debug.mp4").write_bytes(Path(carphone).read_bytes())
    done = cli("run", "--model", model("Identity"), "--duration", 0.1, "--", "--debug.mp4", "-o.mp4")
    assert done.code == 0, done.err
    assert len(frames_of("-o.mp4")) == 3


def test_errors_of_the_system_are_one_line(cli: Cli, model: Model, carphone: str) -> None:
    done = cli("run", carphone, "x" * 300 + ".mp4", "--model", model("Identity"))
    assert done.code == 1
    assert "File name too long" in done.error


def test_commands_that_come_to_nothing_leave_no_folder(cli: Cli, model: Model, carphone: str, tmp_path: Path) -> None:
    write_clip(tmp_path / "small.mkv", texture(3))
    spec = model("Depth")
    before = {*tmp_path.rglob("*")}
    for words, text in {
        ("compare", carphone, "small.mkv", "--out", "new/a"): "different sizes",
        ("compare", carphone, "gone.mkv", "--out", "new/a"): "gone.mkv: no such file",
        ("eval", "--model", spec, "--clips", carphone, "--target", "frames", "--out", "new/b"): "gives 1 channels",
        ("eval", "--model", spec, "--clips", carphone, "--corrupt", "rian", "--out", "new/b"): "did you mean rain",
        ("check", carphone, "--out", "small.mkv/c"): "can't make the folder",
        ("theory", "--out", "small.mkv/d"): "can't make the folder",
        ("demo", "--frames", 2, "--out", "small.mkv/e"): "can't make the folder",
        ("batch", carphone, "--model", "gone.py:model", "--out", "new/f"): "no file 'gone.py'",
        ("run", carphone, "out.mp4", "--model", model("RaisesAt3"), "--values", "new/v", "--range", "0..0"): "range",
        ("run", carphone, "out.mp4", "--model", "gone.py:model", "--values", "new/v"): "no file 'gone.py'",
        ("run", carphone, "out.mp4", "--model", spec, "--values", "small.mkv/v"): "no folder that can be written",
    }.items():
        assert text in cli(*words).error, words
        assert {path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts} == before, words


@pytest.mark.parametrize("seed", [-1, 2**63, 10**30])
def test_seeds_that_are_none(cli: Cli, carphone: str, seed: int, tmp_path: Path) -> None:
    for words in (
        ("corrupt", carphone, "out.mp4", "--with", "rain"),
        ("demo",),
        ("eval", "--model", "denoise", "--clips", carphone),
    ):
        done = cli(*words, "--seed", seed)
        assert done.code == 2 and "seeds are whole numbers" in " ".join(done.err.split())
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_text(cli: Cli, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As archives of other systems bring them: bytes that are no UTF-8."""
    monkeypatch.setenv("HOLDSTEADY_CACHE", str(tmp_path / "cache"))
    Path("clips").mkdir()
    names = [os.fsdecode(b"clips/" + name) for name in (b"caf\xe9.mkv", b"\xff.mkv")]
    for number, name in enumerate(names):
        write_clip(tmp_path / name, texture(8 + number))
    spec = model("Blur")
    for words in (
        ("batch", "clips", "--model", spec, "--out", "out"),
        ("check", names[0], "--out", "checked"),
        ("compare", *names, "--out", "compared"),
        ("eval", "--model", spec, "--clips", "clips", "--no-baselines", "--out", "measured"),
    ):
        done = cli(*words)
        assert done.code == 0, done.err
    assert json.loads(Path("checked/check.json").read_text())["video"] == names[0]
    assert "2 skipped" in cli("batch", "clips", "--model", spec, "--out", "out").err
    assert {*json.loads(Path("compared/scores.json").read_text())} == {r"caf\xe9", r"\xff"}
    recipe = {"model": spec, "adapter": "motion", "steps": 1}
    recipe |= {"data": {"sources": [{"paths": "clips"}], "length": 2, "crop": 32, "workers": 0}}
    recipe |= {"validation": {"clips": 1, "length": 2, "crop": 32}}
    Path("my.yaml").write_text(yaml.safe_dump(recipe))
    done = cli(
        "train", "my.yaml", "--device", "cpu", "--set", f"validation.sources=[{{paths: {json.dumps(names[0])}}}]"
    )
    assert done.code == 0, done.err
    assert json.loads(Path("trained/my/data.json").read_text())["training"][0]["files"] == names
    assert "is no UTF-8" in cli("train", "my.yaml", "--out", os.fsdecode(b"out\xe9")).error
