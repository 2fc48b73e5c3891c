"""Who is here, whose turn it is, and which files are whose."""

import asyncio
import contextlib
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from holdsteady.errors import ConfigError, VideoError
from holdsteady.ui.limits import Limits, safe_name
from holdsteady.ui.look import Clip, look_at
from holdsteady.ui.work import PREVIEW, STEADY, Outcome, Progress
from holdsteady.ui.worker import Worker

if TYPE_CHECKING:
    from holdsteady.ui.job import Job

_TICK = 0.1
#: Seconds after which the files of someone who is not heard of are removed.
_PATIENCE = 3600.0


@dataclass
class Visit:
    """One open page.

    Attributes:
        clip, file: what was chosen.
        old: uploads that a job may still need.
        folder: the name of the folder of its result, which nobody can guess; or None.
        outcome: of its last job.
        seen: when it was last heard of.
    """

    clip: Clip | None = None
    file: Path | None = None
    old: list[Path] = field(default_factory=list)
    folder: str | None = None
    outcome: Outcome | None = None
    seen: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Waiting:
    """A job waits for so many others."""

    ahead: int


@dataclass(frozen=True)
class Failed:
    """A job ended without a result, for this reason; an empty one if it was cancelled."""

    why: str


Update = Waiting | Progress | Outcome | Failed


class Desk:
    """Serves visits in order, one job at a time, and keeps their files in a folder that goes with it.

    All but ``close`` is called from one event loop.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.root = Path(tempfile.mkdtemp(prefix="holdsteady-ui-"))
        self.uploads = self.root / "uploads"
        self.worker = Worker()
        self._visits: dict[str, Visit] = {}
        self._line: list[str] = []

    def visit(self, who: str) -> Visit:
        """The visit of that name."""
        one = self._visits.setdefault(who, Visit())
        one.seen = time.monotonic()
        return one

    async def take(self, who: str, file: Path, name: str, *, own: bool = False) -> Clip:
        """Choose a file: an upload, which is taken away from where it is, or one of our ``own``, which stays.

        Raises:
            VideoError: it is not taken; the visit then has no file.
        """
        self._sweep()
        visit = self.visit(who)
        self._forget_file(visit)
        if who not in self._line:
            self._forget_old(visit)
        name = safe_name(name)
        if own:
            visit.clip = await asyncio.to_thread(look_at, file, name)
            visit.file = file
            return visit.clip
        kept = self.root / secrets.token_hex(8)
        try:
            file.resolve(strict=True).relative_to(self.uploads.resolve())
            file.rename(kept)
        except (OSError, ValueError) as error:
            kept.unlink(missing_ok=True)
            raise VideoError(f"{name}: the upload was lost on the way; choose it again") from error
        with contextlib.suppress(OSError):
            file.parent.rmdir()
        try:
            self.limits.check_file(kept, name)
            clip = await asyncio.to_thread(look_at, kept, name)
        except BaseException:
            kept.unlink(missing_ok=True)
            raise
        if self._visits.get(who) is not visit:  # left in the meantime
            kept.unlink(missing_ok=True)
        visit.clip, visit.file = clip, kept
        return clip

    async def run(self, who: str, job: "Job") -> AsyncIterator[Update]:
        """Wait for one's turn, then do a job; the last update is an ``Outcome`` or ``Failed``.

        Raises:
            ConfigError: that visit has a job already.
        """
        if who in self._line:
            raise ConfigError("a job of this page is at work already; cancel it first")
        visit = self.visit(who)
        self._forget_result(visit)
        visit.folder = secrets.token_hex(16)
        folder = self.root / visit.folder
        folder.mkdir()
        self._line.append(who)
        begun = False
        try:
            while who in self._line and self._line[0] != who:
                yield Waiting(self._line.index(who))
                await asyncio.sleep(5 * _TICK)
            if who in self._line:
                begun = True
                self.worker.begin(job, folder)
            while who in self._line:
                visit.seen = time.monotonic()
                for message in self.worker.heard():
                    if isinstance(message, Progress):
                        yield message
                        continue
                    begun = False
                    if isinstance(message, Outcome):
                        visit.outcome = message
                        yield message
                    else:
                        self._forget_result(visit)
                        yield Failed(message.replace(job.source, Path(job.shown).name).replace(f"{folder}/", ""))
                    return
                await asyncio.sleep(_TICK)
            yield Failed("")
        finally:
            # Also when the page is closed, which ends this generator where it is.
            if begun and who in self._line:
                self.cancel(who)
            if who in self._line:
                self._line.remove(who)
            self._forget_old(visit)

    def cancel(self, who: str) -> None:
        """End a job, whether it waits or is at work, and remove its files."""
        if who not in self._line:
            return
        if self._line[0] == who:
            self.worker.stop()
            self.worker.start()
        self._line.remove(who)
        self._forget_result(self.visit(who))

    def leave(self, who: str) -> None:
        """End a visit: its job, its file and its result."""
        self.cancel(who)
        visit = self._visits.pop(who, None)
        if visit is not None:
            self._forget_result(visit)
            self._forget_file(visit)
            self._forget_old(visit)

    def published(self, folder: str, name: str) -> Path | None:
        """A file of a result that may be fetched by whoever knows the name of its folder."""
        for visit in self._visits.values():
            if visit.folder == folder and visit.outcome is not None:
                if name in (STEADY, PREVIEW, *visit.outcome.slices.values()):
                    return self.root / folder / name
                return None
        return None

    def close(self) -> None:
        """End all work and remove all files."""
        self.worker.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def _forget_result(self, visit: Visit) -> None:
        if visit.folder is not None:
            shutil.rmtree(self.root / visit.folder, ignore_errors=True)
        visit.folder = visit.outcome = None

    def _forget_file(self, visit: Visit) -> None:
        if visit.file is not None and visit.file.is_relative_to(self.root):
            visit.old.append(visit.file)
        visit.file = visit.clip = None

    def _forget_old(self, visit: Visit) -> None:
        while visit.old:
            visit.old.pop().unlink(missing_ok=True)

    def _sweep(self) -> None:
        late = time.monotonic() - _PATIENCE
        for who in [who for who, visit in self._visits.items() if visit.seen < late and who not in self._line]:
            self.leave(who)
