"""``holdsteady corrupt``: what a user gets from it."""

import av
import numpy as np
import torch
from cli.helpers import Cli, difference, frames_of, info_of, times_of

from holdsteady.corruptions import CORRUPTIONS, corrupt_clip, make_corruption


def test_the_frames_are_those_of_the_corruption_and_its_seed(cli: Cli, carphone: str) -> None:
    options = ("--with", "gaussian:sigma=0.2+patch-drop", "--duration", 0.15)
    for name, seed in (("a", 0), ("b", 0), ("c", 5)):
        done = cli("corrupt", carphone, f"{name}/", *options, "--seed", seed)
        assert done.code == 0, done.err
    before, shown = frames_of(carphone)[:5], frames_of("a")
    clip = torch.from_numpy(np.stack(before)).permute(0, 3, 1, 2) / 255
    expected = corrupt_clip(make_corruption("gaussian:4+patch-drop"), clip, torch.Generator().manual_seed(0))
    for frame, picture in zip((expected * 255).round().permute(0, 2, 3, 1).numpy(), shown, strict=True):
        np.testing.assert_allclose(picture, frame, atol=1)
    for a, b, c in zip(shown, frames_of("b"), frames_of("c"), strict=True):
        np.testing.assert_array_equal(a, b)
        assert difference(a, c) > 10


def test_times_size_and_audio_are_kept(cli: Cli, bunny: str) -> None:
    done = cli("corrupt", bunny, "snow.mp4", "--with", "snow:2")
    assert done.code == 0, done.err
    assert "snow.mp4: 36 frames in " in done.err and "36/36" in done.err
    assert (info_of("snow.mp4").width, info_of("snow.mp4").height) == (320, 180)
    assert times_of("snow.mp4") == times_of(bunny)
    with av.open(bunny) as source, av.open("snow.mp4") as sink:
        packets = [[bytes(p) for p in file.demux(audio=0) if p.size] for file in (source, sink)]
    assert packets[0] == packets[1]


def test_side_by_side_shows_the_clean_frame_first(cli: Cli, carphone: str) -> None:
    options = ("--with", "frame-drop:p=1", "--duration", 0.05, "--side-by-side")
    assert cli("corrupt", carphone, "out/", *options).code == 0
    for frame, shown in zip(frames_of(carphone), frames_of("out"), strict=False):
        np.testing.assert_array_equal(shown, np.concatenate([frame, np.zeros_like(frame)], axis=1))


def test_weather_goes_on_through_cuts(cli: Cli, bikes: str) -> None:
    """The drops on the lens stay where they are when the shot changes at frame 10."""
    options = ("--with", "frame-drop:p=1+spatter:5", "--duration", 0.56)
    assert cli("corrupt", bikes, "out/", *options).code == 0
    frames = frames_of("out")
    assert frames[9].any(), "glints on black"
    assert difference(frames[9], frames[10]) < 0.2 * difference(frames[10], np.zeros_like(frames[10]))


def test_the_list_has_every_corruption_and_setting(cli: Cli) -> None:
    done = cli("corrupt", "--list")
    assert done.code == 0
    for name, cls in CORRUPTIONS.items():
        assert name in done.out
        assert all(setting in done.out for setting in cls.model_fields)
    assert "40  25  15  10  5" in done.out


def test_what_is_said_about_wrong_ones(cli: Cli, carphone: str) -> None:
    done = cli("corrupt", carphone, "out.mp4", "--with", "rian:3")
    assert done.code == 1
    assert done.error.startswith("unknown corruption 'rian' (did you mean rain")
    assert cli("corrupt", carphone, "out.mp4", "--with", "rain:9").error == "'rain:9': a severity is 1, 2, 3, 4 or 5"
    assert cli("corrupt", carphone, "out.mp4").code == 2, "--with is needed"
    assert cli("corrupt", carphone, carphone, "--with", "rain").code == 1
