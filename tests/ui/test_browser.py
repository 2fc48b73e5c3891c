"""The page as its users have it, in headless Chromium."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from cli.helpers import MODELS

from holdsteady.video import open_video

pytest.importorskip("gradio", reason="the page takes the extra ui")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

FRAMES, RATE = 40, 25
#: The numbers of the frames that the canvases show at one moment: eight squares in the first rows are its bits.
NUMBERS = """() => [...document.querySelectorAll('hs-player canvas')].map((canvas) => {
  const pixels = canvas.getContext('2d').getImageData(0, canvas.height / 10, canvas.width, 1).data;
  const bit = (at) => pixels[4 * Math.round(canvas.width * (at + 0.5) / 8)] > 127;
  return [0, 1, 2, 3, 4, 5, 6, 7].reduce((sum, at) => sum + (bit(at) << at), 0);
})"""
#: The same for each refresh of the screen within a second and a half.
WHILE_PLAYING = f"""() => new Promise((done) => {{
  const seen = [], begun = performance.now();
  const look = () => {{
    seen.push(({NUMBERS})());
    if (performance.now() - begun < 1500) requestAnimationFrame(look);
    else done(seen);
  }};
  look();
}})"""


@contextmanager
def served(folder: Path, *options: object) -> Iterator[str]:
    """``holdsteady ui`` with these options, its temporary files in a folder; gives its address."""
    environment = {**os.environ, "TMPDIR": str(folder), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "holdsteady", "ui", "--port", "0", *map(str, options)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stderr is not None
        said = server.stderr.readline()
        try:
            address = re.search(r"http://\S+", said)
            assert address is not None, said + server.stderr.read()
            yield address[0]
        finally:
            server.terminate()
            server.wait(20)
    assert not list(folder.glob("holdsteady-ui-*")), "its files go with it"


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny.py"
    path.write_text(MODELS)
    return path


@pytest.fixture(scope="module")
def address(temporary: Path, models: Path) -> Iterator[str]:
    """A page with a model that takes 0.15 s a frame."""
    with served(temporary, "--max-mb", 1, "--max-seconds", 2, "--model", f"{models}:Slow") as one:
        yield one


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    with playwright.sync_playwright() as driver:
        one = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture
def visit(browser: "Browser") -> "Iterator[Callable[[str], Page]]":
    """Opens an address as another user each time; a page may not ask for anything elsewhere, nor fail."""
    contexts, wrong = [], []

    def opened(address: str) -> "Page":
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: request.url.startswith((address, "data:", "blob:")) or wrong.append(request))
        page.on("pageerror", lambda error: wrong.append(error))
        page.goto(address)
        page.locator("#hs-run").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def numbered(path: Path) -> Path:
    """A video whose frames show their numbers, above a picture that moves and flickers."""
    rng = np.random.default_rng(0)
    wall = rng.integers(60, 200, (80, 400, 3), dtype=np.uint8).repeat(2, 0).repeat(2, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = 256, 160, "yuv420p"
        for number in range(FRAMES):
            picture = wall[:160, 2 * number : 2 * number + 256] * (0.9 + 0.1 * (number % 2))
            for bit in range(8):
                picture[:32, 32 * bit : 32 * bit + 32] = 235 if number >> bit & 1 else 20
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def drop(page: "Page", file: Path | dict[str, Any]) -> None:
    page.locator("#hs-upload input[type=file]").set_input_files(file)


def choose(page: "Page", what: str, option: str) -> None:
    page.get_by_label(what, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def files_of(temporary: Path) -> list[Path]:
    return [path for path in temporary.rglob("*") if path.is_file()]


def becomes(what: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.1)
    return what()


@pytest.mark.slow
def test_the_whole_way(
    visit: "Callable[[str], Page]", temporary: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = numbered(tmp_path / "my clip.mp4")
    with served(temporary, "--model", f"{models}:Flicker", "--max-seconds", 1.2) as address:
        page = visit(address)
        drop(page, clip)
        page.locator(".hs-clip").wait_for()
        assert "256×160, 25 frames/s" in page.locator(".hs-clip").inner_text()
        assert "first 1.2 s used" in page.locator(".hs-clip").inner_text()
        choose(page, "Corruption", "jpeg")
        choose(page, "Adapter", "universal")
        page.locator("#hs-run").click()
        page.locator("hs-player[data-frame]").wait_for(timeout=120_000)
        assert page.locator("figcaption").all_inner_texts() == ["Input", "Frame by frame", "Steady"]

        # In step after seeking, by scrubber, by keys and on the plot.
        scrubber = page.get_by_label("Frame", exact=True)
        for frame in (0, 7, 29, 16):
            scrubber.fill(str(frame))
            page.wait_for_function(f"document.querySelector('hs-player').dataset.frame == {frame}")
            assert page.evaluate(NUMBERS) == [frame] * 3
        scrubber.press("ArrowRight")
        page.wait_for_function("document.querySelector('hs-player').dataset.frame == 17")
        assert page.evaluate(NUMBERS) == [17] * 3
        box = page.locator(".hs-plot").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 0.001 * box["width"], box["y"] + 20)
        page.wait_for_function("document.querySelector('hs-player').dataset.frame == 0")

        # In step while playing, and it moves.
        scrubber.press(" ")
        seen = page.evaluate(WHILE_PLAYING)
        page.get_by_label("Pause").click()
        assert all(len(set(numbers)) == 1 for numbers in seen), "never a frame apart"
        assert len({numbers[0] for numbers in seen}) > 3
        assert max(numbers[0] for numbers in seen) <= 29

        # The wipe, by keys and by mouse: a canvas that is one of the two on each side.
        page.get_by_role("button", name="Wipe").click()
        handle = page.get_by_label("Wipe between Frame by frame and Steady")
        handle.focus()
        shares = "getComputedStyle(document.querySelector('.hs-wipe')).getPropertyValue('--share')"
        handle.press("Home")
        assert float(page.evaluate(shares)) == 0
        pixels = "document.querySelector('.hs-wipe canvas').toDataURL()"
        all_steady = page.evaluate(pixels)
        handle.press("End")
        assert page.evaluate(pixels) != all_steady
        box = page.locator(".hs-wipe").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 30)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 30)
        page.mouse.up()
        assert float(page.evaluate(shares)) == pytest.approx(0.25, abs=0.02)

        # Nothing sticks out on a telephone.
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.set_viewport_size({"width": 1280, "height": 900})

        # The table knows the truth, for a corruption was added.
        assert "PSNR" in page.locator(".hs-table").inner_text()
        assert len(page.locator(".hs-slice img").all()) == 3

        # The download is what the commands make.
        with page.expect_download() as coming:
            page.get_by_role("link", name="Download").click()
        assert coming.value.suggested_filename == "my clip-steady.mp4"
        got = tmp_path / "got.mp4"
        coming.value.save_as(got)
        monkeypatch.chdir(tmp_path)
        text = page.locator("hs-copy code").inner_text().replace("\\\n", " ")
        assert len(text.splitlines()) == 2
        for line in text.splitlines():
            words = shlex.split(line)
            assert words[0] == "holdsteady"
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run([sys.executable, "-m", *words], check=True, capture_output=True, env=environment)
        with open_video(str(got)) as one, open_video("my clip-steady.mp4") as other:
            pairs = [(a.pixels, b.pixels) for a, b in zip(one, other, strict=True)]
        assert len(pairs) == 30
        assert all(np.array_equal(a, b) for a, b in pairs)

        assert files_of(temporary)
        page.close()
        assert becomes(lambda: not files_of(temporary)), "files go with the page"


@pytest.mark.slow
def test_cancel_cancels_and_the_second_user_waits(
    visit: "Callable[[str], Page]", address: str, temporary: Path, carphone: str
) -> None:
    first, second = visit(address), visit(address)
    for page in (first, second):
        drop(page, Path(carphone))
        page.locator(".hs-clip").wait_for()
    first.locator("#hs-run").click()
    first.get_by_text("of 20 frames").wait_for(timeout=60_000)
    second.get_by_label("Model", exact=True).click()
    second.get_by_role("option", name="none: the video is processed already").click()
    second.locator("#hs-run").click()
    second.get_by_text("Number 2 in line, after one other").wait_for()
    assert len(files_of(temporary)) >= 3  # two uploads, and what the first job writes
    first.get_by_role("button", name="Cancel").click()
    first.get_by_text("Cancelled. Its files are removed.").wait_for(timeout=10_000)
    second.locator("hs-player[data-frame]").wait_for(timeout=60_000)
    assert second.locator("figcaption").all_inner_texts() == ["Input", "Steady"]
    first.locator("#hs-run").click()
    first.get_by_text("of 20 frames").wait_for(timeout=60_000)
    first.close()  # in the midst of it
    second.locator("#hs-run").click()
    second.locator(".hs-progress").wait_for()
    second.locator("hs-player[data-frame]").wait_for(timeout=60_000)
    second.close()
    assert becomes(lambda: not files_of(temporary))


def test_hostile_files_are_refused_in_words(
    visit: "Callable[[str], Page]", address: str, temporary: Path, carphone: str
) -> None:
    page = visit(address)
    error = page.locator(".hs-error")
    for name, data, said in [
        ("empty.mp4", b"", "empty.mp4: the file is empty (0 bytes)"),
        ("text.mp4", b"this is no video", "text.mp4: is no video file that this page takes"),
        ("list.mp4", b"ffconcat version 1.0\nfile '/etc/passwd'\n", "list.mp4: is no video file that this page takes"),
        ("<img src=x onerror=alert(1)>.mp4", b"#EXTM3U\nfile:///etc/passwd\n", "onerror=alert(1)"),
        ("cut.mp4", Path(carphone).read_bytes()[:3000], "cut.mp4: "),
    ]:
        drop(page, {"name": name, "mimeType": "video/mp4", "buffer": data})
        error.filter(has_text=said).wait_for()
        assert page.locator("#hs-run").is_disabled()
    assert page.locator(".hs-error img").count() == 0
    drop(page, {"name": "large.mp4", "mimeType": "video/mp4", "buffer": bytes(1_500_000)})
    page.get_by_text("exceed the maximum allowed size").wait_for()
    drop(page, Path(carphone))
    page.locator(".hs-clip").wait_for()
    assert not page.locator("#hs-run").is_disabled()
    assert len(files_of(temporary)) == 1
