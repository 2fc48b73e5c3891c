"""The picture of ``docs/ui.md``: ``python docs/make_ui_picture.py`` (needs the extra ui, playwright and a Chromium).

It starts the page, runs the first sample in headless Chromium, and takes a picture of what is there then.
"""

import argparse
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

_FRAME = 60


def main() -> None:
    """Write ``docs/pictures/ui.webp``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "pictures" / "ui.webp")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--wipe", action="store_true", help="The wipe instead of side by side.")
    given = parser.parse_args()
    command = [sys.executable, "-m", "holdsteady", "ui", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        address = re.search(r"http://\S+", server.stderr.readline())
        assert address is not None
        try:
            taken = picture(address[0], given.width, given.dark, given.wipe)
        finally:
            server.terminate()
    Image.open(io.BytesIO(taken)).convert("RGB").save(given.out, quality=88, method=6)


def picture(address: str, width: int, dark: bool, wipe: bool) -> bytes:
    """The page with a result, as PNG."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
        page.goto(address)
        page.get_by_role("button", name="Night noise").click()
        page.locator(".hs-clip").wait_for()
        page.locator("#hs-run").click()
        page.locator("hs-player[data-frame]").wait_for(timeout=600_000)
        page.get_by_label("Frame", exact=True).fill(str(_FRAME))
        page.wait_for_function(f"document.querySelector('hs-player').dataset.frame == {_FRAME}")
        if wipe:
            page.get_by_role("button", name="Wipe").click()
        page.wait_for_timeout(500)
        return page.screenshot(full_page=True)


if __name__ == "__main__":
    main()
