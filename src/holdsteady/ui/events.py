"""What happens when the page is used."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr

from holdsteady.errors import ConfigError, HoldsteadyError
from holdsteady.ui import choices, words
from holdsteady.ui.choices import NO_CORRUPTION, Own, Sample
from holdsteady.ui.desk import Desk, Visit, Waiting
from holdsteady.ui.job import Job
from holdsteady.ui.layout import Parts, place
from holdsteady.ui.look import Clip
from holdsteady.ui.work import Outcome, Progress

#: Pages whose lists of choices are remembered, the last ones used.
_REMEMBERED = 100


def make_page(desk: Desk, own: Own, device: str) -> gr.Blocks:
    """The page.

    Args:
        desk: serves it.
        own: what the command line brought.
        device: where models run.
    """
    with gr.Blocks(title="holdsteady", analytics_enabled=False, fill_width=True, delete_cache=(600, 3600)) as page:
        parts = place(desk.limits, own)
        _choose(parts, desk, own)
        _work(parts, desk, own, device)

        async def leave(request: gr.Request) -> None:
            desk.leave(_who(request))

        page.unload(leave)
    # Gradio remembers something of each page that was ever opened, up to 10000 of them unless told otherwise.
    page.state_session_capacity = _REMEMBERED
    # The desk keeps the order, of jobs alone: nothing else has to wait.
    page.queue(default_concurrency_limit=None)
    return page


# Of every event: what it does is shown by the page itself, and nobody else may call it.
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def _choose(parts: Parts, desk: Desk, own: Own) -> None:
    """Uploads, samples, and settings that go together."""

    def taken(clip: Clip) -> tuple[str, Any]:
        return words.clip_in_words(clip, desk.limits), gr.update(interactive=True)

    async def take(given: dict[str, Any], request: gr.Request) -> tuple[Any, ...]:
        file = Path(str(given["path"]))  # from a stranger: the desk takes nothing but uploads
        try:
            clip = await desk.take(_who(request), file, str(given.get("orig_name") or file.name))
        except HoldsteadyError as error:
            return None, words.error_in_words(str(error)), gr.update(interactive=False)
        return None, *taken(clip)

    def take_sample(sample: Sample) -> Any:
        async def handler(request: gr.Request) -> tuple[Any, ...]:
            clip = await desk.take(_who(request), sample.file, sample.file.name, own=True)
            fitting = choices.adapters(sample.model, own)
            return (
                *taken(clip),
                gr.update(value=sample.model, info=choices.about_model(sample.model, own)),
                gr.update(choices=fitting, value=sample.adapter),
                1,
                sample.corruption,
                gr.update(value=sample.severity, visible=True),
            )

        return handler

    def change_model(model: str) -> tuple[Any, Any]:
        fitting = choices.adapters(model, own)
        return gr.update(info=choices.about_model(model, own)), gr.update(choices=fitting, value=fitting[0])

    # Gradio's own way to take a file would leave an empty one for each.
    parts.upload.upload(take, [parts.upload], [parts.upload, parts.card, parts.run], preprocess=False, **_QUIET)
    settings = [parts.model, parts.adapter, parts.strength, parts.corruption, parts.severity]
    for button, sample in parts.samples:
        button.click(take_sample(sample), None, [parts.card, parts.run, *settings], **_QUIET)
    parts.model.input(change_model, [parts.model], [parts.model, parts.adapter], **_QUIET)
    parts.corruption.input(
        lambda corruption: gr.update(visible=corruption != NO_CORRUPTION),
        [parts.corruption],
        [parts.severity],
        **_QUIET,
    )


def _work(parts: Parts, desk: Desk, own: Own, device: str) -> None:
    """Run and cancel."""
    busy = gr.update(interactive=False), gr.update(visible=True)
    free = gr.update(interactive=True), gr.update(visible=False)

    def job_of(visit: Visit, model: str, adapter: str, strength: float, corruption: str, severity: float) -> Job:
        choices.check(model, adapter, corruption, own)
        if visit.file is None or visit.clip is None:
            raise ConfigError("there is no video yet: drop one, or take a sample")
        sample = visit.file.parent != desk.root
        return Job(
            source=str(visit.file),
            shown=_from_here(visit.file) if sample else visit.clip.name,
            model=model,
            adapter=adapter,
            strength=strength,
            corruption=None if corruption == NO_CORRUPTION else f"{corruption}:{severity:g}",
            seconds=desk.limits.part(visit.clip.seconds),
            weights=own.weights if model == own.model else None,
            device=device,
        )

    async def start(
        model: str, adapter: str, strength: float, corruption: str, severity: float, request: gr.Request
    ) -> AsyncIterator[tuple[Any, ...]]:
        who = _who(request)
        visit = desk.visit(who)
        try:
            job = job_of(visit, model, adapter, strength, corruption, severity)
            async for update in desk.run(who, job):
                if isinstance(update, Outcome):
                    yield gr.update(value="", visible=False), words.result_in_words(job, visit, update), *free
                    return
                goes_on = isinstance(update, Waiting | Progress)
                said = gr.update(value=words.update_in_words(update), visible=True)
                yield said, "" if goes_on else words.nothing_yet(), *(busy if goes_on else free)
        except HoldsteadyError as error:
            yield gr.update(value=words.error_in_words(str(error)), visible=True), *[gr.update()] * 3

    async def stop(request: gr.Request) -> None:
        desk.cancel(_who(request))

    settings = [parts.model, parts.adapter, parts.strength, parts.corruption, parts.severity]
    parts.run.click(start, settings, [parts.progress, parts.result, parts.run, parts.cancel], **_QUIET)
    parts.cancel.click(stop, None, None, queue=False, **_QUIET)


def _from_here(file: Path) -> str:
    """A path for a command that is typed where this one was."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def _who(request: gr.Request) -> str:
    if not request.session_hash:
        raise ConfigError("this page is used in a browser")
    return str(request.session_hash)
