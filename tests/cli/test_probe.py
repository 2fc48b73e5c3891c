"""``probe``: the facts of a source, and that what it says of a result is what `run` then does."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from cli.helpers import Cli, texture, write_clip
from PIL import Image
from video.media import FONT, Film, streams

Model = Callable[[str], str]


@pytest.fixture
def film(tmp_path: Path) -> str:
    """A film with sound of two kinds, subtitles, chapters and a font."""
    film = Film(tmp_path / "film.mkv").sound("aac", language="deu", title="Main").sound("pcm_s16le")
    film.text("srt", language="eng").chapters((0, 700, "One"), (700, 1440, "Two"))
    path: str = film.attachment("a.ttf", "font/ttf", FONT).save()
    return path


def asked(cli: Cli, *arguments: object) -> dict[str, Any]:
    done = cli("probe", *arguments, "--json")
    assert (done.code, done.err) == (0, "")
    found: dict[str, Any] = json.loads(done.out)
    return found


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm", ".avi"])
def test_what_is_said_of_a_result_is_what_run_does(cli: Cli, model: Model, film: str, suffix: str) -> None:
    found = asked(cli, film, "--for", f"out{suffix}")
    done = cli("run", film, f"out{suffix}", "--model", model("Identity"), "--adapter", "none")
    assert done.code == 0
    becomes = {stream["index"]: stream for stream in found["streams"]}
    written = streams(f"out{suffix}")
    kept = [stream for stream in found["streams"] if stream["fate"] != "left out" and stream["kind"] != "chapters"]
    assert sorted(kind for kind, _ in written if kind not in ("video", "data")) == sorted(s["kind"] for s in kept)
    sounds = [codec for kind, codec in written if kind == "audio"]
    for codec, stream in zip(sounds, [s for s in kept if s["kind"] == "audio"], strict=True):
        assert codec in (stream["encoder"] or stream["codec"]).removeprefix("lib")
    with av.open(f"out{suffix}") as container:
        context = container.streams.video[0].codec_context
        encoders = {"h264": "libx264", "vp9": "libvpx-vp9", "mjpeg": "mjpeg"}
        assert (encoders[context.name], context.pix_fmt) == (found["encoder"], found["encoded_as"])
        assert bool(container.chapters()) == (becomes[-1]["fate"] == "copied")
    told = [line for line in done.err.splitlines() if line.startswith("warning: ")]
    assert told == [f"warning: {text}" for text in found["warnings"]]


def test_facts_of_a_film(cli: Cli, film: str) -> None:
    found = asked(cli, film)
    assert (found["container"], found["sink"], found["warnings"]) == ("matroska,webm", "out.mkv", [])
    assert found["duration"] == pytest.approx(1.44, abs=0.05)
    pictures = found["pictures"]
    assert (pictures["codec"], pictures["width"], pictures["height"], pictures["rate"]) == ("h264", 64, 48, "25")
    assert (pictures["variable_rate"], pictures["interlaced"], pictures["alpha"]) == (False, False, False)
    assert [(s["kind"], s["language"], s["title"]) for s in found["streams"]][:3] == [
        ("audio", "deu", "Main"),
        ("audio", "", ""),
        ("subtitle", "eng", ""),
    ]
    assert found["streams"][-1]["codec"] == "2"  # chapters
    done = cli("probe", film, "--for", "a.mp4")
    assert "stream 1    audio aac deu Main: copied" in done.out
    assert "result      a.mp4: libx264, yuv420p" in done.out
    assert "attachment" in next(line for line in done.out.splitlines() if line.startswith("warning: a.mp4: left out"))


def test_facts_of_pictures(cli: Cli, tmp_path: Path) -> None:
    write_clip(tmp_path / "phone.mp4", texture(3, 48, 64), rotation=90)
    pictures = asked(cli, "phone.mp4", "--for", "a.webm")["pictures"]
    shape = [pictures[key] for key in ("width", "height", "shown_width", "shown_height", "rotation", "mirrored")]
    assert shape == [64, 48, 48, 64, 90, False]
    drawn = [Image.new("RGB", (16, 8), (10 * number, 0, 0)) for number in range(14)]
    drawn[0].save(tmp_path / "a.gif", save_all=True, append_images=drawn[1:], duration=[100, 50] * 7)
    assert asked(cli, "a.gif")["pictures"]["variable_rate"]
    (tmp_path / "in").mkdir()
    for number in range(3):
        values = np.full((8, 12, 4), 40 * number, np.uint8)
        Image.fromarray(values).save(tmp_path / "in" / f"{number}.png")
    found = asked(cli, "in")
    assert (found["container"], found["pictures"]["frames"], found["pictures"]["alpha"]) == ("images", 3, True)
    assert (found["sink"], found["encoder"], found["encoded_as"]) == ("out/", "png", "rgba")
    lost = asked(cli, "in", "--for", "a.mp4")["warnings"]
    assert len(lost) == 1
    assert "left out: transparency" in lost[0]


def test_facts_of_hdr(cli: Cli, tmp_path: Path) -> None:
    x265 = (
        "log-level=none:repeat-headers=1:hdr10=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:max-cll=1000,400:"
        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    )
    Film(tmp_path / "h.mp4", codec="libx265", pix_fmt="yuv420p10le", options={"x265-params": x265}, frames=3).save()
    found = asked(cli, "h.mp4")
    pictures = found["pictures"]
    assert (pictures["bits"], pictures["primaries"], pictures["transfer"]) == (10, "bt2020", "smpte2084")
    assert pictures["matrix"] == "bt2020nc"
    assert pictures["light_levels"] == {"brightest": 1000, "average": 400}
    assert pictures["mastering_display"]["brightest"] == 1000
    assert (found["encoder"], found["encoded_as"]) == ("libx265", "yuv420p10le")
    assert "light levels 1000 and 400 cd/m²" in cli("probe", "h.mp4").out


def test_bad_sources_and_odd_names(cli: Cli, carphone: str, tmp_path: Path) -> None:
    for arguments, words in (
        (("none.mp4",), "none.mp4: no such file or folder"),
        ((carphone, "--for", "a.xyz"), "can't write files of type '.xyz'"),
        (("-",), "-: a stream can't be looked at and read again; give a file"),
    ):
        done = cli("probe", *arguments)
        assert done.code == 1
        assert words in done.err
    name = os.fsdecode(b"a\xff[b].mp4")
    shutil.copy(carphone, tmp_path / name)
    done = cli("probe", name)
    assert (done.code, done.err) == (0, "")
    assert r"a\xff[b].mp4" in done.out
    assert asked(cli, name)["pictures"]["frames"] == 20


def test_a_damaged_file(cli: Cli, tmp_path: Path) -> None:
    path = Path(write_clip(tmp_path / "a.mkv", texture(12), options={"g": "4"}))
    with av.open(str(path)) as container:
        place = [packet.pos for packet in container.demux(video=0) if packet.size][6]
    data = bytearray(path.read_bytes())
    data[place + 12 : place + 40] = bytes(28)
    path.write_bytes(data)
    done = cli("probe", "a.mkv")
    assert done.code == 0, done.err
    assert "h264" in done.out
