"""Finding the first frames of new shots."""

import warnings

import numpy as np
import pytest
import torch

from holdsteady.corruptions import make_corruption
from holdsteady.errors import ConfigError
from holdsteady.video import CutDetector, RunOptions, open_cuts, open_video, read_cuts, run, upright_tensors
from holdsteady.video.tensors import to_pixels


@pytest.mark.parametrize("deep", [False, True])
def test_cut_is_reported_at_the_first_frame_of_the_shot(bikes, deep):
    detector = CutDetector()
    found = []
    with open_video(bikes) as reader:
        for number, frame in enumerate(reader):
            pixels = frame.pixels.astype(np.uint16) * 257 if deep else frame.pixels
            if detector.is_cut(pixels):
                found.append(number)
    assert found == [10, 56]  # seen in the pictures


@pytest.mark.parametrize(("clip", "cuts"), [("bikes", [10, 56]), ("carphone", [])])
@pytest.mark.parametrize(
    "spec", ["gaussian:sigma=0.19607843", "gaussian:sigma=0.19607843+patch-drop", "poisson:5", "rain:5", "flicker:4"]
)
def test_noise_holes_weather_and_flicker_are_no_cuts_and_hide_none(clip, cuts, spec, request):
    corruption = make_corruption(spec).start(torch.Generator().manual_seed(0))
    is_new_shot = open_cuts("auto")
    with open_video(request.getfixturevalue(clip)) as reader:
        found = [
            number
            for number, frame in enumerate(upright_tensors(reader))
            if is_new_shot(number, to_pixels(corruption(frame), deep=False)[0])
        ]
    assert found == cuts


def test_no_cut_where_the_camera_only_moves(bunny):
    is_new_shot = open_cuts("auto")
    with open_video(bunny) as reader:
        assert not any(is_new_shot(number, frame.pixels) for number, frame in enumerate(reader))


def test_file_of_cuts(tmp_path, pictures):
    path = tmp_path / "cuts.txt"
    path.write_text("# shots\n10\n\n  56 # the bus\n")
    assert read_cuts(path) == {10, 56}
    is_new_shot = open_cuts(str(path))
    assert [n for n in range(70) if is_new_shot(n, pictures[0])] == [10, 56]
    is_new_shot = open_cuts("off")
    assert not any(is_new_shot(n, picture) for n, picture in enumerate(pictures))


@pytest.mark.parametrize("line", ["ten", "-3", "1.5", "10,20", "٣"])
def test_bad_line_is_named(tmp_path, line):
    path = tmp_path / "cuts.txt"
    path.write_text(f"1\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cuts\.txt, line 2"):
        read_cuts(path)


def test_file_of_cuts_of_an_editor_that_marks_its_encoding(tmp_path):
    path = tmp_path / "cuts.txt"
    path.write_text("3\n7\n", encoding="utf-8-sig")
    assert read_cuts(path) == {3, 7}


def test_numbers_past_the_end_are_told(tmp_path, carphone):
    (tmp_path / "cuts.txt").write_text("3\n12\n99\n")
    for duration, told in ((None, "99: there are 20"), (0.3, "12, 99: there are 9")):
        options = RunOptions(cuts=str(tmp_path / "cuts.txt"), duration=duration, overwrite=True)
        with pytest.warns(UserWarning, match=f"cuts.txt: no frame has the number {told}"):
            run(carphone, str(tmp_path / "b.mkv"), lambda frame: frame, options, on_cut=lambda: None)
    (tmp_path / "cuts.txt").write_text("3\n19\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        options = RunOptions(cuts=str(tmp_path / "cuts.txt"), overwrite=True)
        run(carphone, str(tmp_path / "b.mkv"), lambda frame: frame, options, on_cut=lambda: None)


def test_missing_file_of_cuts(tmp_path):
    with pytest.raises(ConfigError, match="can't be read"):
        open_cuts(str(tmp_path / "nothing.txt"))
