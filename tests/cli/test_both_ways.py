"""``run`` and ``fix`` with ``--both-ways``."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from cli.helpers import Cli, frames_of, texture, times_of, write_clip

Model = Callable[[str], str]


def test_run_both_ways_keeps_what_a_plain_run_keeps(cli: Cli, model: Model, tmp_path: Path) -> None:
    frames = texture(8)
    source = write_clip(tmp_path / "in.mkv", frames, times=[0, 1, 2, 4, 5, 6, 9, 10])
    how = ("--model", model("Identity"), "--adapter", "output-fixed:0.5", "--cuts", "off")
    assert cli("run", source, "plain.mkv", *how).code == 0
    assert cli("run", source, "both.mkv", *how, "--both-ways").code == 0
    assert times_of("both.mkv") == times_of("plain.mkv")
    lag = [
        np.abs(a.astype(float) - b).mean() for a, b in zip(frames_of("both.mkv"), frames_of("plain.mkv"), strict=True)
    ]
    assert max(lag) > 1
    # Without memory, both ways are one.
    assert cli("run", source, "none/", *how[:2], "--adapter", "none", "--both-ways").code == 0
    for got, want in zip(frames_of("none"), frames_of(source), strict=True):
        np.testing.assert_array_equal(got, want)


def test_fix_both_ways_mirrors_in_time(cli: Cli, tmp_path: Path) -> None:
    """A video and the same from its end give the same results, which one pass does not."""
    frames = texture(7)
    forth = write_clip(tmp_path / "forth.mkv", frames, codec="ffv1", pix_fmt="bgr0", options={})
    back = write_clip(tmp_path / "back.mkv", frames[::-1], codec="ffv1", pix_fmt="bgr0", options={})
    for extra in ((), ("--original",)):
        for name, source in {"a": forth, "b": back}.items():
            follow = (*extra, source) if extra else ()
            assert cli("fix", source, f"{name}{len(extra)}/", "--both-ways", "--cuts", "off", *follow).code == 0
        pairs = list(zip(frames_of(f"a{len(extra)}"), frames_of(f"b{len(extra)}")[::-1], strict=True))
        assert all(np.abs(x.astype(int) - y).max() <= 1 for x, y in pairs)
    assert cli("fix", forth, "once/", "--cuts", "off").code == 0
    assert any((x != y).any() for x, y in zip(frames_of("once"), frames_of("a0"), strict=True))


def test_what_cannot_be_averaged_is_refused(cli: Cli, model: Model, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", texture(3))
    done = cli("run", source, "out.mkv", "--model", model("Logits"), "--kind", "classes", "--both-ways")
    assert "can't average classes" in done.error
    done = cli("run", source, "out.mkv", "--model", model("Identity"), "--values", "v", "--both-ways")
    assert "take one of them" in done.error
    assert not Path("out.mkv").exists()


CALLS = """

class Costly(nn.Module):
    def forward(self, frame):
        with open("calls", "a") as file:
            file.write(".")
        return 0.9 * frame


class CostlyPair(Costly):
    def forward(self, frame):
        return [super().forward(frame)]
"""


def test_the_model_runs_once_where_its_output_is_all_that_is_steadied(cli: Cli, model: Model, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", texture(6))
    models = Path(model("").rpartition(":")[0])
    models.write_text(models.read_text() + CALLS)

    def calls(out: str, name: str, *how: str) -> int:
        Path("calls").write_text("")
        assert cli("run", source, out, "--model", f"{models}:{name}", "--adapter", "output-fixed:0.5", *how).code == 0
        return len(Path("calls").read_text())

    once = calls("plain/", "Costly")
    assert calls("both/", "Costly", "--both-ways") == once
    again = calls("pair/", "CostlyPair", "--both-ways")
    assert again == calls("plain-pair/", "CostlyPair") + 6, "what is no tensor is not recorded"
    for replayed, run_again in zip(frames_of("both"), frames_of("pair"), strict=True):
        np.testing.assert_array_equal(replayed, run_again)
