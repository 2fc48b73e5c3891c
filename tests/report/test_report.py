"""Pictures, figures and tables of a comparison."""

import json
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor

from holdsteady.errors import VideoError
from holdsteady.metrics import VideoScores
from holdsteady.report.compare import compare, even_times, to_picture
from holdsteady.report.pictures import Picture, save_flicker_plot, save_time_slice, side_by_side
from holdsteady.report.table import markdown_table, rich_table
from holdsteady.video import VideoInfo, open_video, upright_tensors

CARPHONE = Path(__file__).parents[1] / "clips" / "carphone.mp4"


def picture(height: int, width: int, value: int = 200) -> Picture:
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize(
    ("count", "across", "down"), [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 2, 2), (5, 3, 2), (7, 4, 2)]
)
@pytest.mark.parametrize(("height", "width"), [(240, 320), (301, 403)])
def test_side_by_side_of_any_number(count: int, across: int, down: int, height: int, width: int) -> None:
    shown = side_by_side({f"video {n}": picture(height, width, 50 + n) for n in range(count)})
    label = 28
    wanted = down * (height + label), across * width
    assert shown.shape == (*(side + side % 2 for side in wanted), 3)
    for number in range(count):
        row, column = divmod(number, across)
        top, left = row * (height + label) + label, column * width
        assert np.unique(shown[top : top + height, left : left + width]).tolist() == [50 + number]
        assert shown[top - label : top, left : left + width].max() > 150, "a label to read"


def test_side_by_side_enlarges_small_pictures_by_whole_numbers_and_fits_others_to_the_first() -> None:
    small = np.arange(3 * 100 * 60).reshape(100, 60, 3).astype(np.uint8)
    shown = side_by_side({"a": small, "b": picture(7, 9, 90)})
    assert shown.shape == (328, 360, 3)
    np.testing.assert_array_equal(shown[28:, :180], small.repeat(3, 0).repeat(3, 1))
    assert np.unique(shown[28:, 180:]).tolist() == [90]


def test_side_by_side_of_strips_is_no_wider_than_a_video_can_be() -> None:
    shown = side_by_side({name: picture(1, 64) for name in "ab"})
    assert shown.shape[1] == 2 * 1920
    assert side_by_side({name: picture(10, 3000) for name in "ab"}).shape == (38, 6000, 3)


def test_time_slice_shows_the_columns_in_order(tmp_path: Path) -> None:
    red, blue = np.zeros((40, 3), np.uint8), np.zeros((40, 3), np.uint8)
    red[:, 0] = blue[:, 2] = 255
    save_time_slice({"still": [red] * 6, "turns": [red] * 3 + [blue] * 3}, tmp_path / "slice.png")
    image = cv2.imread(str(tmp_path / "slice.png"))
    reds, blues = (np.abs(image.astype(int) - colour).sum(axis=2) < 30 for colour in ([0, 0, 255], [255, 0, 0]))
    assert reds.sum() == pytest.approx(3 * blues.sum(), rel=0.05)
    assert blues.nonzero()[0].min() > image.shape[0] * 0.5, "the second strip is below"
    assert blues.nonzero()[1].min() >= reds[image.shape[0] // 2 :].nonzero()[1].max(), "later is to the right"


def test_flicker_plot_takes_gaps(tmp_path: Path) -> None:
    save_flicker_plot({"a": [float("nan"), 0.1, 0.3], "b [x]": [float("nan")] * 3}, "flicker error", tmp_path / "f.png")
    assert cv2.imread(str(tmp_path / "f.png")).std() > 5


def clip(count: int) -> tuple[VideoInfo, list[Tensor]]:
    with open_video(str(CARPHONE)) as reader:
        return reader.info, [frame for frame, _ in zip(upright_tensors(reader), range(count), strict=False)]


def test_scores_are_those_of_video_scores(tmp_path: Path) -> None:
    info, truth = clip(5)
    torch.manual_seed(0)
    noisy = [(frame + 0.1 * torch.randn_like(frame)).clamp(0, 1) for frame in truth]
    dim = [0.8 * frame for frame in truth]
    done: list[int] = []
    result = compare(
        {"noisy": noisy, "dim": iter(dim[:4])},
        tmp_path,
        info,
        truth=truth,
        extra={"dim": {"ms_per_frame": 2.0}},
        progress=done.append,
    )
    assert (result.frames, result.longer, done) == (4, ("noisy", "truth"), [1, 2, 3, 4])
    for label, frames in {"noisy": noisy, "dim": dim}.items():
        scores = VideoScores()
        for frame, true in zip(frames[:4], truth, strict=False):
            scores.update(frame, true)
        expected = scores.compute() | ({"ms_per_frame": 2.0} if label == "dim" else {})
        assert result.scores[label] == expected
    assert result.scores["truth"].keys() == {"instability", "instability_rms"}
    assert json.loads((tmp_path / "scores.json").read_text()) == result.scores
    assert (tmp_path / "scores.md").read_text() == markdown_table(result.scores)
    with open_video(str(tmp_path / "side-by-side.mp4")) as reader:
        frames = [frame.pixels for frame in reader]
        assert (len(frames), reader.info.pixel_aspect, reader.info.rate) == (4, 1, info.rate)
    wanted = side_by_side({"noisy": to_picture(noisy[0]), "dim": to_picture(dim[0]), "truth": to_picture(truth[0])})
    assert np.abs(frames[0].astype(int) - wanted).mean() < 6


def test_what_can_not_be_compared(tmp_path: Path) -> None:
    info, frames = clip(3)
    with pytest.raises(VideoError, match="a 176×144, b 88×144; scale them first"):
        compare({"a": frames, "b": [frame[..., ::2] for frame in frames]}, tmp_path, info)
    changing = [frames[0], frames[1], frames[2][..., ::2]]
    with pytest.raises(VideoError, match="a 176×144, b 88×144"):
        compare({"a": frames, "b": changing}, tmp_path, info)
    with pytest.raises(VideoError, match="nothing to compare: b has no frames"):
        compare({"a": frames, "b": []}, tmp_path, info)
    assert list(tmp_path.iterdir()) == []


def test_times_are_even() -> None:
    info, _ = clip(1)
    times = even_times(info)
    seconds = [next(times) * info.time_base for _ in range(4)]
    assert seconds == [Fraction(n * 1001, 30000) for n in range(4)]


ROWS = {
    "base": {"psnr": 27.126, "ssim": 0.81234, "instability_rms": 0.01234, "ms_per_frame": 12.34, "other": 1.0},
    "clip [v2]": {"instability_rms": 0.5},
}


def test_markdown_table() -> None:
    assert markdown_table(ROWS).splitlines() == [
        "|  | PSNR dB ↑ | SSIM ↑ | RMS ×100 ↓ | ms per frame |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| base | 27.13 | 0.8123 | 1.23 | 12.3 |",
        "| clip [v2] | – | – | 50.00 | – |",
    ]


def test_table_on_the_terminal_has_the_same_cells() -> None:
    console = Console(width=120, color_system=None)
    with console.capture() as captured:
        console.print(rich_table(ROWS, "results"))
    lines = captured.get().splitlines()
    assert lines[0].strip() == "results"
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert rows == [["base", "27.13", "0.8123", "1.23", "12.3"], ["clip [v2]", "–", "–", "50.00", "–"]]


def test_half_a_comparison_leaves_that_of_before(tmp_path: Path) -> None:
    info, frames = clip(4)
    compare({"a": frames, "b": frames}, tmp_path, info)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def stop(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare({"a": frames, "b": frames}, tmp_path, info, progress=stop)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
