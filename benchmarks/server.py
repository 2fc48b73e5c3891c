"""The page for an hour under three clients: the server's memory, and the files that it keeps.

    python benchmarks/server.py [--minutes 60] [--clients 3]

Chromium opens a page for each client, and all drop a clip and run it at the same time; in every third round one of them
cancels. Each waits until its result is shown, then closes its page and comes anew. Memory is that of the server and of
its worker, every --every minutes. Needs the extra ui, playwright, and Chromium. Linux.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from holdsteady import zoo

PAUSE = 5.0  # seconds between two rounds
LIMIT = 300_000  # ms that anything may take


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, int]]:
    """The page, its files in a folder: its address and its process."""
    environment = {**os.environ, "TMPDIR": str(folder), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "holdsteady", "ui", "--port", "0", "--max-seconds", "1"]
    log = folder / "log.txt"
    with log.open("w") as said, subprocess.Popen(command, stderr=said, env=environment) as server:
        try:
            while (address := re.search(r"http://\S+", log.read_text(encoding="utf-8"))) is None:
                if server.poll() is not None:
                    sys.exit(f"the page did not start: {log.read_text(encoding='utf-8')}")
                time.sleep(0.1)
            yield address[0], server.pid
        finally:
            server.terminate()


def visits(browser: Browser, address: str, clients: int, number: int) -> int:
    """One round of all clients; how many had a result. In every third round the last one cancels."""
    contexts = [browser.new_context() for _ in range(clients)]
    pages = [context.new_page() for context in contexts]
    for page in pages:
        page.set_default_timeout(LIMIT)
        page.goto(address)
        page.locator("#hs-run").wait_for()
        page.locator("#hs-upload input[type=file]").set_input_files(zoo.DEMO_CLIP)
        page.locator(".hs-clip").wait_for()
    for page in pages:
        page.locator("#hs-run").click()
    if number % 3 == 0:
        cancel = pages.pop().locator("#hs-cancel")
        cancel.wait_for()
        cancel.click()
    for page in pages:
        page.locator("hs-player[data-frame]").wait_for()
    for context in contexts:
        context.close()
    return len(pages)


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *(one for child in children for one in family(int(child)))]


def memory(pid: int) -> float:
    """Resident memory of a process, MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def state(pid: int, folder: Path) -> dict[str, Any]:
    """What the server has at this moment."""
    server, *others = family(pid)
    files = [path for path in folder.glob("holdsteady-ui-*/**/*") if path.is_file()]
    return {
        "server, MB": f"{memory(server):.0f}",
        "worker, MB": f"{sum(map(memory, others)):.0f}",
        "open files": len([*Path(f"/proc/{server}/fd").iterdir()]),
        "threads": len([*Path(f"/proc/{server}/task").iterdir()]),
        "files kept": len(files),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--every", type=float, default=5, help="minutes between two lines")
    args = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        parser.error("no Chromium is installed")
    with (
        tempfile.TemporaryDirectory(prefix="holdsteady-benchmark-") as name,
        served(folder := Path(name)) as (address, pid),
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        begun, told, rounds, results = time.monotonic(), 0, 0, 0
        while True:
            minutes = (time.monotonic() - begun) / 60
            if rounds and minutes >= told * args.every:
                found = state(pid, folder)
                if not told:
                    print("| " + " | ".join(("minute", "results", *found)) + " |")
                    print("| " + " | ".join(["---:"] * (2 + len(found))) + " |")
                print("| " + " | ".join(map(str, (round(minutes), results, *found.values()))) + " |", flush=True)
                told += 1
            if minutes >= args.minutes:
                break
            results += visits(browser, address, args.clients, rounds)
            rounds += 1
            time.sleep(PAUSE)
        browser.close()


if __name__ == "__main__":
    main()
