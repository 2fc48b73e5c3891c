"""What can be chosen on the page: models, the adapters that fit them, corruptions, samples."""

from dataclasses import dataclass
from pathlib import Path

from holdsteady import zoo
from holdsteady.corruptions import CORRUPTIONS
from holdsteady.errors import ConfigError

#: In place of a model: the video is one's output already.
FIX = "fix"
FIX_IN_WORDS = "none: the video is processed already"
NO_CORRUPTION = "none"

#: Models whose best result is the frame itself, without what a corruption did to it.
_RESTORING = ("denoise", "denoise-video")
#: For the output of any model.
_ANY = ("motion-fixed", "live", "output-fixed:0.6", "output-gaussian:2")


@dataclass(frozen=True)
class Own:
    """What the command line brought: a model, its weights, and an adapter for it; each may be None."""

    model: str | None = None
    weights: str | None = None
    adapter: str | None = None


@dataclass(frozen=True)
class Sample:
    """A video to try, with settings that show something: see ``Job``."""

    title: str
    what: str
    file: Path
    model: str
    adapter: str
    corruption: str
    severity: int


SAMPLES = (
    Sample("Night noise", "denoised", zoo.DEMO_CLIP, "denoise-video", "denoise-video-clean", "poisson-gaussian", 4),
    Sample("Bad JPEG", "with details brought out", zoo.DEMO_CLIP, "enhance", "enhance-robust", "jpeg", 4),
    Sample("Grain", "fixed without a model", zoo.DEMO_CLIP, FIX, "motion-fixed", "gaussian", 1),
)


def models(own: Own) -> list[tuple[str, str]]:
    """Names to show, and values."""
    mine = [] if own.model is None else [(own.model, own.model)]
    return [*mine, *((name, name) for name in zoo.MODELS), (FIX_IN_WORDS, FIX)]


def about_model(model: str, own: Own) -> str:
    """A model in a line."""
    if model == FIX:
        return "Steadies what another tool has made of a video, as holdsteady fix does."
    if model == own.model:
        return "As given on the command line."
    task = zoo.MODELS[model].task
    return f"{task[0].upper()}{task[1:]}."


def adapters(model: str, own: Own) -> list[str]:
    """The adapters that fit a model, the best guess first."""
    shipped = zoo.adapters()
    fitting = [one.name for one in shipped if one.model == model]
    general = [one.name for one in shipped if one.model is None]
    mine = [own.adapter] if own.adapter is not None and model == own.model else []
    return [*mine, *fitting, _ANY[0], *general, *_ANY[1:]]


def corruptions() -> list[str]:
    """Those to choose from, none first."""
    return [NO_CORRUPTION, *CORRUPTIONS]


def check(model: str, adapter: str, corruption: str, own: Own) -> None:
    """Refuse what is not offered: names of models may be those of files to run.

    Raises:
        ConfigError: it is not.
    """
    if model not in [value for _, value in models(own)]:
        raise ConfigError(f"the model '{model}' is not offered here")
    if adapter not in adapters(model, own):
        raise ConfigError(f"the adapter '{adapter}' is not offered for the model '{model}'")
    if corruption not in corruptions():
        raise ConfigError(f"the corruption '{corruption}' is not offered here")


def truth_of(model: str) -> str | None:
    """What a result is measured against where a corruption was added: ``frames``, the clean ones; ``self``, what the
    model makes of these; None for models that don't give pictures."""
    if model == FIX or model in _RESTORING:
        return "frames"
    card = zoo.MODELS[model].card if model in zoo.MODELS else None
    return "self" if card is None or card.kind in (None, "image") else None
