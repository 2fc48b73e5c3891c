"""Order, files and what is left behind, with a real worker and real videos."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.helpers import MODELS

from holdsteady.errors import ConfigError, VideoError
from holdsteady.ui.desk import Desk, Failed, Update, Waiting
from holdsteady.ui.job import Job
from holdsteady.ui.limits import Limits
from holdsteady.ui.work import PREVIEW, STEADY, Outcome, Progress
from holdsteady.video import open_video


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """One worker for all tests: it takes seconds to start."""
    made = Desk(Limits(megabytes=1))
    yield made
    made.close()
    assert not made.root.exists()


@pytest.fixture(autouse=True)
def nothing_is_left(desk: Desk) -> Iterator[None]:
    yield
    for who in ("a", "b", "c"):
        desk.leave(who)
    assert [path for path in desk.root.rglob("*") if path != desk.uploads] == []


@pytest.fixture
def slow(tmp_path: Path) -> str:
    """A model that takes 0.15 s a frame."""
    (tmp_path / "tiny.py").write_text(MODELS)
    return f"{tmp_path / 'tiny.py'}:Slow"


def upload(desk: Desk, source: str) -> Path:
    """As Gradio leaves them."""
    folder = desk.root / "uploads" / "hash"
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(source, folder / "x.mp4"))


async def all_of(desk: Desk, who: str, job: Job) -> list[Update]:
    return [update async for update in desk.run(who, job)]


def test_a_job_from_the_upload_to_its_end(desk: Desk, carphone: str) -> None:
    async def act() -> list[Update]:
        await desk.take("a", upload(desk, carphone), "clip.mp4")
        return await all_of(desk, "a", Job(str(desk.visit("a").file), "clip.mp4", "fix", "motion-fixed", 1.0, "rain:1"))

    updates = asyncio.run(act())
    shares = [update.share for update in updates if isinstance(update, Progress)]
    assert shares == sorted(shares) and shares[-1] == 1
    outcome = updates[-1]
    assert isinstance(outcome, Outcome)
    assert (outcome.labels, outcome.frames, outcome.against) == (["Input", "Steady"], 20, "the clean video")
    assert [row[0] for row in outcome.rows] == outcome.labels and outcome.head[1].startswith("PSNR")
    assert all(len(values) == 20 for values in outcome.series.values())
    folder = desk.visit("a").folder or ""
    kept = {path.name for path in (desk.root / folder).iterdir()}
    assert kept == {STEADY, PREVIEW, *outcome.slices.values()}
    with open_video(str(desk.root / folder / PREVIEW)) as preview:
        width, height = outcome.tile
        assert (preview.info.width, preview.info.height, preview.info.pix_fmt) == (2 * width, height, "yuv420p")
        assert sum(1 for _ in preview) == 20
    assert desk.published(folder, STEADY) == desk.root / folder / STEADY
    assert desk.published(folder, "../secret") is desk.published("0" * 32, STEADY) is None
    # Another job takes the place of this one.
    asyncio.run(all_of(desk, "a", Job(carphone, "clip.mp4", "fix", "nonsense")))
    assert desk.published(folder, STEADY) is None and not (desk.root / folder).exists()


@pytest.mark.slow
def test_one_after_the_other(desk: Desk, slow: str, carphone: str) -> None:
    job = Job(carphone, "clip.mp4", slow, "none", seconds=0.2)
    ended: list[str] = []

    async def one(who: str, after: float) -> list[Update]:
        await asyncio.sleep(after)
        updates = await all_of(desk, who, job)
        ended.append(who)
        return updates

    async def act() -> list[list[Update]]:
        return await asyncio.gather(one("a", 0), one("b", 0.05), one("c", 0.1))

    a, b, c = asyncio.run(act())
    assert ended == ["a", "b", "c"]
    assert not any(isinstance(update, Waiting) for update in a)
    assert b[0] == Waiting(1) and c[0] == Waiting(2) and Waiting(1) in c
    assert all(isinstance(updates[-1], Outcome) for updates in (a, b, c))


def test_cancel_ends_at_once_and_lets_the_next_one_in(desk: Desk, slow: str, carphone: str) -> None:
    job = Job(carphone, "clip.mp4", slow, "none")
    took: list[float] = []

    async def first() -> list[Update]:
        updates: list[Update] = []
        async for update in desk.run("a", job):
            updates.append(update)
            if isinstance(update, Progress) and update.done == 2:
                folder = desk.root / (desk.visit("a").folder or "")
                assert list(folder.iterdir()), "it is writing"
                begun = time.monotonic()
                desk.cancel("a")
                assert not folder.exists()
                took.append(time.monotonic() - begun)
        return updates

    async def second() -> list[Update]:
        await asyncio.sleep(0.05)
        return await all_of(desk, "b", Job(carphone, "clip.mp4", "fix", "output-fixed:0.6"))

    async def waiting() -> list[Update]:
        await asyncio.sleep(0.1)
        updates: list[Update] = []
        async for update in desk.run("c", job):
            updates.append(update)
            desk.cancel("c")
        return updates

    async def act() -> list[list[Update]]:
        return await asyncio.gather(first(), second(), waiting())

    a, b, c = asyncio.run(act())
    assert a[-1] == c[-1] == Failed("")
    assert isinstance(b[-1], Outcome)
    assert took[0] < 2, "and not after the job's own end"


def test_who_leaves_midway_leaves_nothing(desk: Desk, slow: str, carphone: str) -> None:
    async def act() -> None:
        await desk.take("a", upload(desk, carphone), "clip.mp4")
        async for update in desk.run("a", Job(str(desk.visit("a").file), "clip.mp4", slow, "none")):
            if isinstance(update, Progress) and update.done:
                desk.leave("a")

    asyncio.run(act())


@pytest.mark.slow
def test_what_goes_wrong_is_told_in_the_names_of_the_user(desk: Desk, tmp_path: Path, carphone: str) -> None:
    (tmp_path / "tiny.py").write_text(MODELS)
    broken = tmp_path / "broken"
    broken.write_bytes(Path(carphone).read_bytes()[:4000])

    async def act(job: Job) -> Update:
        return (await all_of(desk, "a", job))[-1]

    for job, said in [
        (Job(carphone, "clip.mp4", f"{tmp_path / 'tiny.py'}:RaisesAt3", "none"), "KeyError"),
        (Job(carphone, "clip.mp4", "nonsense", "none"), "nonsense"),
        (Job(str(broken), "holiday.mp4", "fix", "motion-fixed"), "holiday.mp4"),
    ]:
        update = asyncio.run(act(job))
        assert isinstance(update, Failed) and said in update.why
        assert str(desk.root) not in update.why and str(broken) not in update.why


def test_uploads_that_are_refused_are_removed(desk: Desk, carphone: str, tmp_path: Path) -> None:
    async def take(file: Path, name: str = "clip.mp4") -> None:
        await desk.take("a", file, name)

    text = tmp_path / "text"
    text.write_text("no video")
    with pytest.raises(VideoError, match=r"passwd\.mp4: is no video file"):
        asyncio.run(take(upload(desk, str(text)), "../../etc/passwd.mp4"))
    with pytest.raises(VideoError, match="the upload was lost"):
        asyncio.run(take(desk.root / "uploads" / "gone.mp4"))
    with pytest.raises(VideoError, match="the upload was lost"):
        asyncio.run(take(Path(carphone)))
    assert Path(carphone).is_file()


def test_one_job_for_each_page(desk: Desk, slow: str, carphone: str) -> None:
    job = Job(carphone, "clip.mp4", slow, "none")

    async def act() -> None:
        async for update in desk.run("a", job):
            if isinstance(update, Progress) and update.done == 1:
                with pytest.raises(ConfigError, match="at work already"):
                    await all_of(desk, "a", job)
                desk.cancel("a")

    asyncio.run(act())


@pytest.mark.slow
def test_another_file_may_be_chosen_while_one_is_worked_on(desk: Desk, carphone: str, slow: str) -> None:
    async def act() -> Update:
        await desk.take("a", upload(desk, carphone), "one.mp4")
        first = desk.visit("a").file
        assert first is not None
        async for update in desk.run("a", Job(str(first), "one.mp4", slow, "none", seconds=0.2)):
            if isinstance(update, Progress) and update.done == 1 and update.stage == 0:
                await desk.take("a", upload(desk, carphone), "two.mp4")
                assert first.exists()
        assert not first.exists()
        assert desk.visit("a").file is not None
        return update

    assert isinstance(asyncio.run(act()), Outcome)
