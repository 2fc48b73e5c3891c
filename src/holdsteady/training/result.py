"""What a training ends with, and the files that hold it."""

from dataclasses import asdict, dataclass
from pathlib import Path

from holdsteady.adapters.files import save_adapter
from holdsteady.folders import whole_file
from holdsteady.host.identity import base_of
from holdsteady.host.resolve import load_adapter
from holdsteady.host.stabilized import StabilizedModel
from holdsteady.models.weights import save_weights
from holdsteady.training.folder import BASE_NAME, write_json
from holdsteady.training.hold import Held
from holdsteady.training.recipe import Recipe
from holdsteady.training.watch import Figures


@dataclass(frozen=True)
class Outcome:
    """Result of a training run.

    Attributes:
        folder: where the adapter is.
        steps: steps done.
        minutes: time taken, over all sittings.
        before, after: validation of the untrained and of the trained model.
        reason: why it ended: ``steps``, ``minutes``, ``patience`` or ``interrupted``.
        held: clip by clip, where the recipe holds the weights to their start; ``after`` is then of those kept.
    """

    folder: Path
    steps: int
    minutes: float
    before: Figures
    after: Figures
    reason: str
    held: Held | None = None


def write_result(recipe: Recipe, steady: StabilizedModel, outcome: Outcome) -> None:
    """Write the adapter, the base or both, as they are in memory, and the metrics to the outcome's folder."""
    out = outcome.folder
    if recipe.train != "base":
        steps = outcome.steps if outcome.held is None else outcome.held.step
        # What was said of the model holds for it, whatever the adapter that training began at was made for.
        said = {name: text for name, text in base_of(steady.base).items() if name == "card"}
        if outcome.held is not None and not outcome.held.gained:
            assert recipe.validation.hold is not None
            start = load_adapter(recipe.validation.hold)
            start.base |= said
            save_adapter(start, out)
        else:
            origin, trained = {"model": recipe.model, "corruption": recipe.corruption}, steady.adapter(0)
            trained.provenance = {**origin, "steps": str(steps), "seed": str(recipe.seed)}
            trained.base |= said
            steady.save(out)
    if recipe.train != "adapter":
        with whole_file(out / BASE_NAME) as part:
            save_weights(steady.base, part)
    facts = {"steps": outcome.steps, "minutes": round(outcome.minutes, 2), "ended": outcome.reason}
    ends = {"before": asdict(outcome.before), "after": asdict(outcome.after)}
    clips = {} if outcome.held is None else {"kept step": outcome.held.step, "clips": outcome.held.clips()}
    write_json(out / "metrics.json", {**facts, **ends, **clips})
