"""The page runs models in processes of its own: one thread each, for other work may share the cores."""

import asyncio
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module", autouse=True)
def closed_loops() -> Iterator[None]:
    """Gradio leaves event loops open, which Python would complain of in some later test."""
    make, made = asyncio.new_event_loop, []

    def remembered() -> asyncio.AbstractEventLoop:
        made.append(make())
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "new_event_loop", remembered)
        yield
    asyncio.set_event_loop(None)
    for loop in made:
        loop.close()
