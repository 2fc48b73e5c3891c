"""The training loop: one readable file on Lightning Fabric, from a recipe to the folder of an adapter."""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file
from torch import Tensor, nn

from holdsteady.errors import ConfigError, HoldsteadyError, TrainingError, in_one_line
from holdsteady.loading import load
from holdsteady.models.card import make_card
from holdsteady.permissions import as_new_files_are
from holdsteady.training.build import make_rivals, make_unroll, names_of_watched, open_clips, open_watched
from holdsteady.training.checkpoint import NAME as CHECKPOINT_NAME
from holdsteady.training.checkpoint import load_checkpoint, save_checkpoint
from holdsteady.training.clips import CorruptedClips, batches
from holdsteady.training.folder import prepare
from holdsteady.training.hold import Held
from holdsteady.training.log import Log
from holdsteady.training.recipe import Recipe
from holdsteady.training.records import Recorder
from holdsteady.training.result import Outcome, write_result
from holdsteady.training.schedule import assign, averaged, make_average, make_scheduler
from holdsteady.training.unroll import Batch, Unroll, check_objective
from holdsteady.training.watch import Figures, mean_figures, measure, validate

#: Called after each step with the step, the share of the budget that is spent, the figures of its batch, those of a
#: validation if there was one, and the clips in which that was worse than what the weights are held to.
Progress = Callable[[int, float, Figures, Figures | None, tuple[str, ...]], None]


def train(
    recipe: Recipe,
    out: Path,
    *,
    accelerator: str = "auto",
    devices: int | list[int] = 1,
    nodes: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
    begin: Callable[[], None] | None = None,
    stop: threading.Event | None = None,
) -> Outcome:
    """Train what a recipe says and write the folder of the adapter; resumes where an earlier run stopped.

    Args:
        recipe: the recipe.
        out: folder for ``adapter.safetensors`` and ``adapter.json`` (or ``base.safetensors``), the recipe, the list of
            data, metrics, log, examples and the checkpoint.
        accelerator, devices, nodes: as Lightning Fabric takes them, devices by number of them or by their numbers;
            several share each batch evenly.
        overwrite: start over where the folder holds a training already.
        progress: see ``Progress``; called on rank 0.
        begin: called before the first step.
        stop: set it to end after the current step, with an adapter and a checkpoint.

    Raises:
        ConfigError: the recipe does not fit the data or the devices.
        ModelError, PointError, AdapterError, VideoError: from the model, the adapter or the data.
        TrainingError: the loss or a gradient is NaN or infinite (the batch is saved), the checkpoint is of another
            recipe, or the folder can't be written any more.
    """
    ranks = nodes * (devices if isinstance(devices, int) else len(devices))
    if recipe.batch % ranks:
        raise ConfigError(f"batch = {recipe.batch} can't be shared evenly by {ranks} devices")
    if isinstance(recipe.adapter, str) and Path(recipe.adapter).resolve() == out.resolve():
        raise ConfigError(f"{out} holds the adapter to train on; take another folder (--out)")
    try:
        fabric = Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy="ddp" if ranks > 1 else "auto",
            precision=recipe.precision,
        )
        fabric.launch()
    except (RuntimeError, ValueError, TypeError) as error:
        raise ConfigError(f"{ranks} device(s) of kind '{accelerator}' can't be used: {error}") from error
    torch.manual_seed(recipe.seed)
    card = make_card(**recipe.card)
    model = load(recipe.model, recipe.weights, card=card, trust=recipe.trust, inside=recipe.inside)
    clips = open_clips(recipe)
    watched = open_watched(recipe)
    unroll = make_unroll(recipe, model, clips[0]["corrupted"][:1])
    check_objective(unroll.objective, clips.keys)

    saved = None if overwrite else load_checkpoint(out, recipe.to_yaml())
    batches_watched = [{key: value[None] for key, value in watched[i].items()} for i in range(len(watched))]
    held = None
    if recipe.validation.hold is not None:
        found = {name: validate(one, batches_watched)[0] for name, one in make_rivals(recipe, model).items()}
        held = Held(names_of_watched(recipe), found.pop(recipe.validation.hold), found)
    loop = _Loop(recipe, out, fabric, unroll, batches_watched, progress, held, stop or threading.Event())
    loop.look(saved)
    # What does not fit was found by now, and an earlier training is still there.
    failure: Exception | None = None
    if fabric.global_rank == 0:
        data = {"training": clips.describe(), "validation": watched.describe()}
        try:
            prepare(out, recipe, data, begin=saved is None, overwrite=overwrite)
        except ConfigError as error:
            failure = error
    # Every rank has to know, or the others would wait for this one for ever.
    failure = fabric.broadcast(failure)
    if failure is not None:
        raise failure
    if begin is not None:
        begin()
    try:
        return loop.run(clips)
    except HoldsteadyError:
        raise
    except OSError as error:
        raise TrainingError(
            f"can't write to {out}: {error.strerror or error}; the same command goes on at the last checkpoint"
        ) from error


class _Loop:
    """The state of one training."""

    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        fabric: Fabric,
        unroll: Unroll,
        watched: list[Batch],
        progress: Progress | None,
        held: Held | None,
        stop: threading.Event,
    ) -> None:
        self.recipe, self.out, self.fabric, self.progress, self.held = recipe, out, fabric, progress, held
        self.stop, self.pictures = stop, list[Tensor]()
        self.step, self.seconds, self.waited = 0, 0.0, 0
        self.before: Figures | None = None
        self.latest: Figures | None = None
        self.best, self.best_parameters, self.validated_at = float("inf"), list[Tensor](), -1

        own = [] if recipe.train == "base" else list(unroll.steady.parameters())
        base = [] if unroll.base is None else list(unroll.base.parameters())
        self.parameters: list[nn.Parameter] = own + base
        rates = recipe.optimizer
        base_rate = rates.base_learning_rate or rates.learning_rate / 10
        groups = [{"params": own, "lr": rates.learning_rate}, {"params": base, "lr": base_rate}]
        optimizer = torch.optim.Adam([group for group in groups if group["params"]], betas=rates.betas)
        self.scheduler = make_scheduler(optimizer, rates.schedule, rates.warmup, self._spent_share)
        # Validation calls the bare module: rank 0 is alone there.
        self.bare, self.steady = unroll, unroll.steady
        self.unroll, self.optimizer = fabric.setup(unroll, optimizer)
        self.recorder = Recorder(unroll, recipe.seed) if recipe.recorded else None
        if self.recorder is not None and fabric.world_size > 1:
            raise ConfigError("recordings are learned from on one device; for several, take --set recorded=0")
        # After the parameters have gone to their device.
        self.begun_with = [p.detach().clone() for p in self.parameters] if held is not None else []
        self.average = make_average(self.parameters, rates.ema) if rates.ema else None
        self.watched = [{key: fabric.to_device(value) for key, value in batch.items()} for batch in watched]

    def look(self, saved: dict[str, Any] | None) -> None:
        """Where it begins: at a checkpoint, or with a first validation."""
        if saved is not None:
            self._restore(saved)
        else:
            self.before = self.latest = self._validate(None)

    def run(self, clips: CorruptedClips) -> Outcome:
        """All steps that are left."""
        recipe, fabric = self.recipe, self.fabric
        log = Log(self.out, self.step) if fabric.global_rank == 0 else None
        if log is not None and not self.step:
            log.example(0, self.pictures)
        loader: Any = batches(
            clips,
            first=self.step,
            steps=recipe.steps,
            batch=recipe.batch,
            rank=fabric.global_rank,
            ranks=fabric.world_size,
            workers=recipe.data.workers,
        )
        # The items of each rank are chosen already; a sampler of Fabric's own would choose again.
        loader = fabric.setup_dataloaders(loader, use_distributed_sampler=False)
        begun, earlier, reason = time.monotonic(), self.seconds, None
        for batch in loader:
            if isinstance(batch, HoldsteadyError):
                raise batch
            reason = self._spent()
            if reason is not None:
                break
            figures, values = self._train_step(batch)
            self.step += 1
            self.seconds = earlier + time.monotonic() - begun
            self.scheduler.step()
            checked = None
            if self.step % recipe.validation.every == 0 or self.step == recipe.steps:
                checked = self._validate(log)
            if log is not None:
                log.row(self.step, {"minutes": self.seconds / 60, **values, **_validation_values(checked)})
                if self.progress is not None:
                    worse = () if self.held is None else self.held.worse
                    self.progress(self.step, self._spent_share(), figures, checked, worse)
            if self.step % recipe.checkpoint_every == 0:
                self._save_checkpoint()
            if fabric.broadcast(self.stop.is_set()) and self.step < recipe.steps:
                reason = "interrupted"
                self._save_checkpoint()
                break
        outcome = self._finish(reason or "steps", log)
        if log is not None:
            log.close()
        return outcome

    def _train_step(self, batch: Batch) -> tuple[Figures, dict[str, float]]:
        """One step of the optimizer, the figures of its batch, and what the log says of it."""
        rate = self.optimizer.param_groups[0]["lr"]
        if self.recorder is None:
            unrolled = self.unroll(batch)
            norm = self._update(unrolled.terms.total, batch)
        else:
            unrolled = self.recorder.meet(batch, self.step)
            norm = max(self._update(self.recorder.loss(), batch) for _ in range(self.recipe.recorded))
        figures = measure(unrolled)
        values = {name: value for name, value in asdict(figures).items() if name != "instability_rms"}
        return figures, {"learning_rate": rate, "gradient_norm": norm, **values}

    def _update(self, loss: Tensor, batch: Batch) -> float:
        """One step of the optimizer; the norm of the gradient."""
        self._check_finite("loss", loss.detach(), batch)
        if not loss.requires_grad:
            raise TrainingError("nothing of the adapter is used for these outputs, so there is nothing to learn")
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        limit = self.recipe.optimizer.clip
        norm = self.fabric.clip_gradients(self.unroll, self.optimizer, max_norm=limit, error_if_nonfinite=False)
        assert norm is not None
        self._check_finite("gradient", norm, batch)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(nn.ParameterList(self.parameters))
        return float(norm)

    def _spent_share(self) -> float:
        """Share of the budget that is spent."""
        spent = self.step / self.recipe.steps
        if self.recipe.minutes is None:
            return spent
        return max(spent, self.fabric.broadcast(self.seconds / 60 / self.recipe.minutes))

    def _spent(self) -> str | None:
        """Why to stop before the steps are done."""
        patience = self.recipe.validation.patience
        if patience is not None and self.waited >= patience:
            return "patience"
        if self.recipe.minutes is not None and self._spent_share() >= 1:
            return "minutes"
        return None

    def _validate(self, log: Log | None) -> Figures:
        """Figures on the watched clips, with averaged weights if there are any; the same on every rank."""
        found = None
        with averaged(self.parameters, self.average):
            if self.fabric.global_rank == 0:
                with self.fabric.autocast():
                    found, self.pictures = validate(self.bare, self.watched)
                if log is not None:
                    log.example(self.step, self.pictures)
            found = self.fabric.broadcast(found)
            assert found is not None
            if self.held is not None and not self.held.offer(self.step, found, self.parameters) and self.step:
                self._offer_half()
            figures = mean_figures(found)
            better = figures.loss < self.best
            if better and self.recipe.validation.patience is not None:
                self.best_parameters = [p.detach().clone() for p in self.parameters]
        self.waited = 0 if better else self.waited + 1
        self.best = min(self.best, figures.loss)
        self.latest, self.validated_at = figures, self.step
        return figures

    def _offer_half(self) -> None:
        """Where all of the way is too far in some clip, half of it may not be."""
        assert self.held is not None
        present = [p.detach().clone() for p in self.parameters]
        worse = self.held.worse
        assign(self.parameters, (torch.lerp(a, b, 0.5) for a, b in zip(self.begun_with, present, strict=True)))
        found = validate(self.bare, self.watched)[0] if self.fabric.global_rank == 0 else list[Figures]()
        self.held.offer(self.step, self.fabric.broadcast(found), self.parameters)
        self.held.worse = worse
        assign(self.parameters, present)

    def _check_finite(self, what: str, value: Tensor, batch: Batch) -> None:
        """Stop on all ranks, with the batch saved, if a value is NaN or infinite on any of them."""
        lost = self.fabric.all_reduce((~value.isfinite()).float(), reduce_op="sum")
        assert isinstance(lost, Tensor)
        if not lost.item():
            return
        path = self.out / f"stopped-at-step-{self.step}-rank-{self.fabric.global_rank}.safetensors"
        save_file({key: value.contiguous().cpu() for key, value in batch.items()}, path)
        as_new_files_are(path)
        found = "NaN" if value.isnan() else f"{value.item():g}"
        raise TrainingError(
            f"the {what} is {found} at step {self.step}; the batch is in {path}. Take a lower learning rate "
            "(--set optimizer.learning_rate=...), or look for frames that are not finite"
        )

    def _save_checkpoint(self) -> None:
        if self.fabric.global_rank == 0:
            state = {name: getattr(self, name) for name in ("step", "seconds", "best", "waited", "best_parameters")}
            assert self.before is not None and self.latest is not None
            state |= {"before": asdict(self.before), "latest": asdict(self.latest)}
            state |= {name: part.state_dict() for name, part in self._parts().items()}
            state |= {"recipe": self.recipe.to_yaml(), "parameters": [p.detach() for p in self.parameters]}
            if self.held is not None:
                state["held"] = asdict(self.held)
            save_checkpoint(self.out, state)
        self.fabric.barrier()

    def _restore(self, saved: dict[str, Any]) -> None:
        try:
            self._take(saved)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            path = self.out / CHECKPOINT_NAME
            raise TrainingError(f"{path} does not fit ({in_one_line(error)}); start over with --overwrite") from error

    def _take(self, saved: dict[str, Any]) -> None:
        for name in ("step", "seconds", "best", "waited"):
            setattr(self, name, saved[name])
        self.before, self.latest = Figures(**saved["before"]), Figures(**saved["latest"])
        self.best_parameters = [self.fabric.to_device(value) for value in saved["best_parameters"]]
        if self.held is not None:
            self.held = Held.restored(saved["held"], self.fabric.device)
        assign(self.parameters, saved["parameters"])
        for name, part in self._parts().items():
            part.load_state_dict(saved[name])

    def _parts(self) -> dict[str, Any]:
        """What has a state of its own."""
        parts = {"optimizer": self.optimizer, "scheduler": self.scheduler, "average": self.average}
        return {name: part for name, part in parts.items() if part is not None}

    def _finish(self, reason: str, log: Log | None) -> Outcome:
        """Write the result. The checkpoint stays while there is something left to do."""
        if reason == "patience":
            # What came after the best only cost time.
            assign(self.parameters, self.best_parameters)
            self.average = None
        if reason == "patience" or self.validated_at != self.step:
            self._validate(log)
        if self.held is not None:
            self.average, self.latest = None, mean_figures(self.held.best)
            if self.held.gained:
                assign(self.parameters, self.held.parameters)
        assert self.before is not None and self.latest is not None
        outcome = Outcome(self.out, self.step, self.seconds / 60, self.before, self.latest, reason, self.held)
        if self.fabric.global_rank == 0:
            with averaged(self.parameters, self.average):
                write_result(self.recipe, self.steady, outcome)
            if reason != "interrupted":
                (self.out / CHECKPOINT_NAME).unlink(missing_ok=True)
        self.fabric.barrier()
        return outcome


def _validation_values(figures: Figures | None) -> dict[str, float]:
    if figures is None:
        return {}
    return {f"validation_{name}": getattr(figures, name) for name in ("loss", "psnr", "flicker_error")}
