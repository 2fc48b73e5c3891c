"""hs.run and hs.load: what the commands do, from Python."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from exports.made import make_export
from hostile import zipped
from networks import cnn
from torch import Tensor, nn
from torch.nn import functional as F
from typer.testing import CliRunner

import holdsteady as hs
from holdsteady.cli import app
from holdsteady.errors import ConfigError, LayoutError, VideoError
from holdsteady.video import open_video

MODEL = "import torch\n\ndef blur(frame):\n    return torch.nn.functional.avg_pool2d(frame, 3, 1, 1)\n"


def pixels(path: Path) -> np.ndarray:
    with open_video(str(path)) as reader:
        return np.stack([frame.pixels for frame in reader])


def test_run_is_what_the_command_does(carphone: str, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    spec = f"{tmp_path / 'model.py'}:blur"
    done: list[int] = []
    summary = hs.run(
        carphone, tmp_path / "a.mkv", spec, "nafnet16-light+output-fixed:0.5", duration=0.25, codec="ffv1",
        progress=lambda count, _total: done.append(count),
    )  # fmt: skip
    given = hs.run(carphone, tmp_path / "b.mkv", hs.load(spec), hs.load_adapter("nafnet16-light"), duration=0.25,
                   codec="ffv1")  # fmt: skip
    flags = ["--model", spec, "--adapter", "nafnet16-light+output-fixed:0.5", "--duration", "0.25", "--codec", "ffv1"]
    assert CliRunner().invoke(app, ["run", carphone, str(tmp_path / "c.mkv"), *flags]).exit_code == 0
    assert summary.frames == given.frames == len(done) == 8
    assert np.array_equal(pixels(tmp_path / "a.mkv"), pixels(tmp_path / "c.mkv"))
    assert not np.array_equal(pixels(tmp_path / "a.mkv"), pixels(tmp_path / "b.mkv"))


def test_run_takes_a_network_and_leaves_it(carphone: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(cnn(), nn.Sigmoid())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    hs.run(carphone, tmp_path / "out.mkv", model, "none", duration=0.1, device="cpu", cuts="off")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert len(pixels(tmp_path / "out.mkv")) == 3


class Caching(nn.Module):
    """Weights, a buffer, a tensor that is neither, a network in a script, and a mode of its own inside."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), torch.jit.script(nn.Conv2d(3, 3, 1))
        self.register_buffer("gain", torch.ones(3, 1, 1))
        self.offset = torch.zeros(1)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Caching":
        self.offset = fn(self.offset)
        super()._apply(fn, recurse)
        return self

    def forward(self, frame: Tensor) -> Tensor:
        result: Tensor = self.second(self.first(frame)) * self.gain + self.offset
        return result.sigmoid()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("how", ["run", "batch"])
def test_a_model_that_is_handed_over_comes_back_as_it_was(how: str, dtype: str, carphone: str, tmp_path: Path) -> None:
    model = Caching().double().train()
    model.first.eval()
    adapter = hs.load_adapter("nafnet16-noise-motion").double()
    expected = {name: (id(tensor), tensor.data_ptr(), tensor.stride()) for name, tensor in model.named_parameters()}
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    frame = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    output = model(frame)
    if how == "run":
        hs.run(carphone, tmp_path / "out.mkv", model, adapter, duration=0.1, device="cpu", dtype=dtype)
    else:
        (tmp_path / "in").mkdir()
        hs.run(carphone, tmp_path / "in" / "a.mkv", lambda frame: frame, "none", duration=0.1, device="cpu")
        report = hs.batch([tmp_path / "in"], tmp_path / "out", model, adapter, device="cpu", dtype=dtype)
        assert report.done == ("a.mkv",)
    assert model.training and model.second.training and not model.first.training
    after = {name: (id(tensor), tensor.data_ptr(), tensor.stride()) for name, tensor in model.named_parameters()}
    assert after == expected
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.offset.dtype == model.gain.dtype == next(adapter.parameters()).dtype == torch.float64
    assert torch.equal(model(frame), output)


class Residual(nn.Module):
    """A child by the name under which a card keeps what is behind it, and a layer that is made when first used."""

    def __init__(self) -> None:
        super().__init__()
        self.fn, self.other, self.late = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.LazyConv2d(3, 1)

    def forward(self, frame: Tensor) -> Tensor:
        result: Tensor = self.late(self.other(self.fn(frame)))
        return result


def test_children_of_any_name_come_back_and_late_layers_stay(carphone: str, tmp_path: Path) -> None:
    model = Residual().train()
    hs.run(carphone, tmp_path / "out.mkv", model, "none", duration=0.1, device="cpu")
    assert all(module.training for module in model.modules()) and model.other.weight.dtype == torch.float32
    assert model(torch.rand(1, 3, 8, 8)).shape == (1, 3, 8, 8)
    hs.run(carphone, tmp_path / "b.mkv", model, "none", duration=0.1, device="cpu", dtype="bfloat16")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_run_takes_a_model_that_is_steady_already(carphone: str, tmp_path: Path) -> None:
    model = nn.Sequential(cnn(), nn.Sigmoid())
    steady = hs.stabilize(model, "output-fixed:0.3")
    for name in ("a.mkv", "b.mkv"):  # what it remembers of one video is not in the next
        hs.run(carphone, tmp_path / name, steady, duration=0.1, device="cpu", codec="ffv1")
    hs.run(carphone, tmp_path / "c.mkv", model, "output-fixed:0.3", duration=0.1, device="cpu", codec="ffv1")
    first, second, expected = (pixels(tmp_path / name) for name in ("a.mkv", "b.mkv", "c.mkv"))
    assert np.array_equal(first, expected) and np.array_equal(second, expected)
    with pytest.raises(ConfigError, match="held steady already, and an adapter is given"):
        hs.run(carphone, tmp_path / "d.mkv", steady, "motion-fixed")
    with pytest.raises(ConfigError, match="batch needs the base"):
        hs.batch([carphone], tmp_path / "out", steady)
    with pytest.raises(ConfigError, match="held steady already"):
        hs.stabilize(steady)


@pytest.mark.parametrize("kind", ["depth", "classes"])
def test_an_output_of_a_size_of_its_own_is_brought_to_the_frames(kind: str, carphone: str, tmp_path: Path) -> None:
    """As networks give it that know one size alone, whatever the proportions of the frame are."""
    channels = 1 if kind == "depth" else 7

    def square(frame: Tensor) -> Tensor:
        grey = F.interpolate(frame.mean(dim=1, keepdim=True), size=(48, 48))
        return 5 * grey[:, 0] if kind == "depth" else torch.cat([grey * n for n in range(channels)], dim=1)

    model = hs.Model(square, kind=kind)
    hs.run(carphone, tmp_path / "out.mkv", model, "motion-fixed", duration=0.1, device="cpu")
    assert pixels(tmp_path / "out.mkv").shape == (3, 144, 176, 3)


@pytest.mark.parametrize("adapter", ["universal", "nafnet16-light", "nafnet16-noise-motion"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_an_adapter_that_ships_takes_the_precision_of_the_model(dtype: torch.dtype, adapter: str) -> None:
    model = nn.Sequential(cnn(), nn.Sigmoid()).to(dtype).eval()
    steady = hs.stabilize(model, adapter)
    outputs = [steady(torch.rand(1, 3, 32, 48, dtype=dtype)) for _ in range(3)]
    assert all(output.dtype == dtype and output.isfinite().all() for output in outputs)
    own = hs.load_adapter(adapter)
    hs.stabilize(model, own)
    assert next(own.parameters()).dtype == torch.float32  # somebody's own is left as it is
    assert next(hs.stabilize(model.to("meta"), adapter).parameters()).device.type == "meta"


def test_what_a_steady_model_refuses() -> None:
    with pytest.raises(ConfigError, match=r"strength = 0\.5: from 0"):
        hs.stabilize(cnn(), strength="0.5")  # type: ignore[arg-type]
    with pytest.raises(LayoutError, match="the clip has no frames"):
        hs.stabilize(cnn()).clip(torch.zeros(1, 0, 3, 16, 16))


def test_a_twin_is_as_careless_as_the_model() -> None:
    steady = hs.stabilize(lambda frame: frame, "output-fixed:0.5", check_finite=False)
    careful = hs.stabilize(lambda frame: frame, "output-fixed:0.5")
    for one, counted in ((steady, 0), (steady.twin(), 0), (careful.twin(), 3 * 8 * 8)):
        for value in (0.0, torch.nan):
            one(torch.full((1, 3, 8, 8), value))
        assert one.state is not None and bool(one.state.non_finite.sum()) is bool(counted)


@pytest.mark.parametrize(
    ("model", "hint"), [("denoise", r"hs\.load\('denoise'\)"), (5, "a module or a function of a frame, not 5")]
)
def test_stabilize_wants_a_model(model: object, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        hs.stabilize(model)  # type: ignore[arg-type]


def test_what_run_refuses(carphone: str, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    with pytest.raises(ConfigError, match=r"run has no option strat \(did you mean start or .*.*duration"):
        hs.run(carphone, out, cnn(), strat=3)
    with pytest.raises(ConfigError, match="device 'cudda' can't be used here"):
        hs.run(carphone, out, cnn(), device="cudda")
    with pytest.raises(ConfigError, match="has to be trained first"):
        hs.run(carphone, out, cnn(), "spatial")
    with pytest.raises(VideoError):
        hs.run(tmp_path / "none.mp4", out, cnn())
    assert not out.exists()


def test_values_do_not_go_where_the_frames_or_the_results_are(carphone: str, tmp_path: Path) -> None:
    frames, out = tmp_path / "frames", tmp_path / "out.mkv"
    hs.run(carphone, frames, cnn(), "none", duration=0.1)
    before = {path.name: path.read_bytes() for path in frames.iterdir()}
    settings = {"values_as": "png", "overwrite": True}
    for source in (frames, frames / "*.png", frames / "%06d.png", frames / "000000.png"):
        with pytest.raises(VideoError, match="is the source itself"):
            hs.run(source, out, cnn(), "none", values=frames, **settings)
    with pytest.raises(ConfigError, match="the pictures go there"):
        hs.run(carphone, tmp_path / "both", cnn(), "none", values=tmp_path / "both", **settings)
    assert {path.name: path.read_bytes() for path in frames.iterdir()} == before
    (tmp_path / "clip.mp4").write_bytes(Path(carphone).read_bytes())
    hs.run(tmp_path / "clip.mp4", out, cnn(), "none", values=tmp_path, duration=0.1, overwrite=True)
    assert (tmp_path / "000000.npy").exists()
    with pytest.warns(UserWarning, match="--values-as png has no effect"):
        hs.run(carphone, out, cnn(), "none", values_as="png", duration=0.1, overwrite=True)


def test_run_takes_exports_as_the_command_does(carphone: str, tmp_path: Path) -> None:
    folder = make_export(tmp_path / "out")
    path = zipped(folder, tmp_path / "out.zip")
    hs.run(carphone, tmp_path / "a.mkv", folder, duration=0.25, codec="ffv1")
    hs.run(carphone, tmp_path / "b.mkv", str(path), duration=0.25, codec="ffv1")
    flags = ["--model", str(folder), "--duration", "0.25", "--codec", "ffv1"]
    assert CliRunner().invoke(app, ["run", carphone, str(tmp_path / "c.mkv"), *flags]).exit_code == 0
    assert np.array_equal(pixels(tmp_path / "a.mkv"), pixels(tmp_path / "c.mkv"))
    assert np.array_equal(pixels(tmp_path / "b.mkv"), pixels(tmp_path / "c.mkv"))
    with pytest.raises(
        ConfigError, match="adapter, strength: the model is an export, in which that is settled already"
    ):
        hs.run(carphone, tmp_path / "d.mkv", folder, "motion-fixed", strength=0.5)


def test_batch_is_what_the_command_does(carphone: str, tmp_path: Path) -> None:
    source, blur = tmp_path / "clips", nn.AvgPool2d(3, 1, 1)
    source.mkdir()
    hs.run(carphone, source / "one.mkv", nn.Identity(), "none", duration=0.2, codec="ffv1")
    hs.run(carphone, source / "two.mkv", nn.Identity(), "none", start=0.2, duration=0.2, codec="ffv1")
    report = hs.batch([source], tmp_path / "out", blur, "output-fixed:0.5", codec="ffv1")
    assert report.done == ("one.mkv", "two.mkv") and not report.failed
    hs.run(source / "two.mkv", tmp_path / "two.mkv", blur, "output-fixed:0.5", codec="ffv1")
    assert np.array_equal(pixels(tmp_path / "out" / "two.mkv"), pixels(tmp_path / "two.mkv"))
    assert hs.batch([source], tmp_path / "out", blur, "output-fixed:0.5", codec="ffv1").skipped == report.done
    with pytest.raises(ConfigError, match="batch has no option duration"):
        hs.batch([source], tmp_path / "out", blur, duration=1)
    with pytest.raises(ConfigError, match="an export, which holdsteady run takes, a file at a time"):
        hs.batch([source], tmp_path / "out", str(make_export(tmp_path / "export")))


def test_a_size_that_changes_in_mid_stream_is_told_and_what_was_before_is_kept(tmp_path: Path) -> None:
    """Two recordings of a camera that was set anew, one behind the other, as transport streams allow."""
    source = tmp_path / "a.ts"
    for width, height in ((64, 48), (96, 64)):
        with av.open(str(tmp_path / "part.ts"), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for number in range(6):
                picture = np.full((height, width, 3), 40 + number, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
        with source.open("ab") as file:
            file.write((tmp_path / "part.ts").read_bytes())
    with pytest.raises(VideoError, match=r"the size changes from 64x48 to 96x64 after 6 frames; split the file there"):
        hs.run(source, tmp_path / "out.mkv", nn.Identity(), "none")
    assert pixels(tmp_path / "out.mkv").shape == (6, 48, 64, 3)
