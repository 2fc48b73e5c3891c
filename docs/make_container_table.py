"""Writes the table of docs/containers.md: what a result of each kind keeps of a source, found by trying.

    python docs/make_container_table.py

Sources that have everything between them are made, run through the identity into each kind of result, and read again.
The files come from the makers of the tests, in tests/video/media.py.
"""

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from holdsteady.video import Reader, RunOptions, open_video, run

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from video.media import FONT, Film, jpeg  # noqa: E402

PAGE = ROOT / "docs" / "containers.md"
SINKS = {
    "MP4": "out.mp4",
    "M4V": "out.m4v",
    "MOV": "out.mov",
    "MKV": "out.mkv",
    "WebM": "out.webm",
    "AVI": "out.avi",
    "PNG folder": "out/",
    "y4m (`-`)": "-",
}
BEGIN, END = "<!-- table by make_container_table.py -->", "<!-- end of table -->"
MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
PGS = b"\x16" + bytes(40)


def make_sources(folder: Path) -> dict[str, str]:
    """Paths of the sources by what they have."""
    film = Film(folder / "film.mkv", frames=12, size=(160, 90))
    film.video.codec_context.sample_aspect_ratio = Fraction(4, 3)
    film.sound("aac", seconds=0.48).sound("flac", seconds=0.48).sound("pcm_s16le", seconds=0.48)
    film.text("srt", [(0.1, 0.4, "A line")]).text("ass", [(0.1, 0.4, "A line")])
    film.raw("hdmv_pgs_subtitle", [(PGS, 100, 100)])
    film.chapters((0, 200, "One"), (200, 480, "Two")).attachment("font.ttf", "application/x-truetype-font", FONT)
    film.attachment("cover.jpg", "image/jpeg", jpeg()).tags(title="A film")
    settings = f"log-level=error:master-display={MASTERING}:max-cll=1000,400"
    options = {"x265-params": settings, "chroma_sample_location": "topleft"}
    hdr = Film(folder / "hdr.mp4", codec="libx265", pix_fmt="yuv420p10le", options=options, frames=4)
    clear = Film(folder / "clear.mov", codec="qtrle", pix_fmt="argb", frames=4)
    phone = Film(folder / "phone.mov", frames=4, movflags="use_metadata_tags")
    phone.video.set_display_rotation(90)
    phone.tags(**{"com.apple.quicktime.make": "Apple", "timecode": "01:02:03:04"})
    two = Film(folder / "two.mov", frames=4).second_video()
    return {
        name: made.save()
        for name, made in {"film": film, "hdr": hdr, "clear": clear, "phone": phone, "two": two}.items()
    }


def copy(source: str, sink: str, folder: Path) -> Path:
    """Run the identity; gives what was written."""
    if sink == "-":
        code = "import sys; from holdsteady.video import run; run(sys.argv[1], '-', lambda x: x, on_cut=lambda: None)"
        target = folder / "out.y4m"
        with target.open("wb") as file:
            command = [sys.executable, "-W", "ignore", "-c", code, source]
            subprocess.run(command, stdout=file, stderr=subprocess.DEVNULL, check=True)
        return target
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(source, f"{folder}/{sink}", lambda frame: frame, RunOptions(overwrite=True), on_cut=lambda: None)
    return folder / sink


def streams(path: Path, kind: str) -> list[Any]:
    """The codecs of a file's streams of a kind."""
    if path.is_dir():
        return []
    with av.open(str(path)) as container:
        return [getattr(stream, "name", None) for stream in container.streams if stream.type == kind]


def stream_row(kind: str, number: int, codec: str) -> Callable[[Path], str]:
    """Whether the `number`-th of the source's streams of a kind, which has that codec, is there and how.

    All before it are taken to be there too, converted or not, which the makers of the sources see to.
    """

    def judge(path: Path) -> str:
        found = streams(path, kind)
        if number >= len(found):
            return "left out"
        return "kept" if found[number] == codec else f"→ {found[number]}"

    return judge


def reader_row(check: Callable[[Reader], bool]) -> Callable[[Path], str]:
    def judge(path: Path) -> str:
        with open_video(str(path)) as reader:
            return "kept" if check(reader) else "left out"

    return judge


def file_row(check: Callable[[Any], bool]) -> Callable[[Path], str]:
    def judge(path: Path) -> str:
        if path.is_dir():
            return "left out"
        with av.open(str(path)) as container:
            return "kept" if check(container) else "left out"

    return judge


def codec(path: Path) -> str:
    return "png" if path.is_dir() else streams(path, "video")[0]


def is_upright(path: Path) -> str:
    with open_video(str(path)) as reader:
        return "kept" if reader.info.rotation == 90 else "turned" if reader.info.width < reader.info.height else "lost"


def tags(container: Any) -> dict[str, str]:
    return {**container.streams.video[0].metadata, **container.metadata}


ROWS: list[tuple[str, str, Callable[[Path], str]]] = [
    ("codec of 8 bits, by default", "film", codec),
    ("codec of 10 bits, by default", "hdr", codec),
    ("codec with transparency, by default", "clear", codec),
    ("10 bits", "hdr", reader_row(lambda reader: reader.info.bits >= 10)),
    ("transparency", "clear", reader_row(lambda reader: reader.info.has_alpha)),
    ("shape of pixels", "film", reader_row(lambda reader: reader.info.pixel_aspect == Fraction(4, 3))),
    ("rotation", "phone", is_upright),
    ("HDR10: mastering display, light levels", "hdr", reader_row(lambda reader: len(reader.info.side_data) == 2)),
    ("place of chroma samples", "hdr", reader_row(lambda reader: reader.info.chroma_location == "topleft")),
    ("sound: AAC", "film", stream_row("audio", 0, "aac")),
    ("sound: FLAC", "film", stream_row("audio", 1, "flac")),
    ("sound: PCM", "film", stream_row("audio", 2, "pcm_s16le")),
    ("subtitles: SRT", "film", stream_row("subtitle", 0, "srt")),
    ("subtitles: ASS", "film", stream_row("subtitle", 1, "ssa")),
    ("subtitles: pictures (PGS)", "film", stream_row("subtitle", 2, "pgssub")),
    ("chapters", "film", file_row(lambda container: len(container.chapters()) == 2)),
    ("cover", "film", file_row(lambda container: len(container.streams.video) == 2)),
    ("attached fonts", "film", file_row(lambda container: len(container.streams.attachments) == 1)),
    ("further pictures (H.264)", "two", file_row(lambda container: len(container.streams.video) == 2)),
    ("title", "film", file_row(lambda container: "A film" in tags(container).values())),
    ("timecode", "phone", file_row(lambda container: "01:02:03:04" in tags(container).values())),
    ("phones' tags", "phone", file_row(lambda container: "Apple" in tags(container).values())),
]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = make_sources(folder)
        cells: dict[str, list[str]] = {label: [] for label, _, _ in ROWS}
        for sink in SINKS.values():
            results = {kind: folder / f"of-{kind}" for kind in sources}
            for kind, source in sources.items():
                results[kind].mkdir(exist_ok=True)
                written = copy(source, sink, results[kind])
                for label, of, judge in ROWS:
                    if of == kind:
                        cells[label].append(judge(written))
    head = ["", *SINKS]
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join(['---'] * len(head))} |"]
    lines += [f"| {label} | {' | '.join(row)} |" for label, row in cells.items()]
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    table = "\n".join(lines)
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
