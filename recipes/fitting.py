"""The loop that the recipes of image networks share: one device, Adam, a cosine, averaged weights."""

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from holdsteady.permissions import as_new_files_are
from holdsteady.training.schedule import make_scheduler

#: The batch of a step, which depends on the step alone: a training that was stopped resumes at the same weights.
Draw = Callable[[int], tuple[Tensor, Tensor]]
Loss = Callable[[Any, Tensor], Tensor]
Average = Callable[[Tensor, Tensor, Tensor | int], Tensor]

_EVERY = 100  # steps between lines of the log, and checkpoints


def arguments(description: str | None, *, steps: int, batch: int, rate: float) -> argparse.ArgumentParser:
    """A parser with what all of these recipes take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="weights, .safetensors; a checkpoint is kept beside")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--minutes", type=float, default=math.inf, help="the budget, if that ends sooner")
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--lr", type=float, default=rate)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


def fit(network: nn.Module, draw: Draw, loss: Loss, args: argparse.Namespace, average: Average | None = None) -> None:
    """Train a network on pairs of inputs and targets, resume it if it was stopped, and save its averaged weights.

    Args:
        network: trained in place.
        draw: inputs and targets (B, …) of a step from 0 on.
        loss: of outputs and targets.
        args: of :func:`arguments`.
        average: how weights are averaged, as of ``AveragedModel``; None for :func:`recent`.
    """
    checkpoint = args.out.with_suffix(".checkpoint.pt")
    network = network.to(args.device, memory_format=torch.channels_last).train()
    averaged = AveragedModel(network, avg_fn=average or recent, use_buffers=True)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, args.lr, betas=(0.9, 0.99))
    begun, step = time.monotonic(), 0

    def spent() -> float:
        return max(step / args.steps, (time.monotonic() - begun) / 60 / args.minutes)

    schedule = make_scheduler(optimizer, "cosine", warmup=args.steps // 20, spent=spent)
    parts = {"network": network, "average": averaged, "optimizer": optimizer, "schedule": schedule}
    if checkpoint.is_file():
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
        step = saved.pop("step")
        begun -= saved.pop("seconds")
        for name, part in parts.items():
            part.load_state_dict(saved[name])
    mean = 0.0
    while step < args.steps and spent() < 1:
        given, wanted = (tensor.to(args.device) for tensor in draw(step))
        value = loss(network(given.to(memory_format=torch.channels_last)), wanted)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        averaged.update_parameters(network)
        mean += value.item() / _EVERY
        step += 1
        if step % _EVERY == 0 or step == args.steps or spent() >= 1:
            seconds = time.monotonic() - begun
            print(f"step {step}  loss {mean:.4f}  {seconds / step:.3f} s/step", flush=True)
            mean = 0.0
            # The checkpoint first: weights without one are those of a training that has ended.
            part = checkpoint.with_suffix(".part")
            torch.save(
                {"step": step, "seconds": seconds, **{name: part.state_dict() for name, part in parts.items()}}, part
            )
            part.replace(checkpoint)
            weights = averaged.module.state_dict()
            save_file({name: value.cpu().contiguous() for name, value in weights.items()}, args.out)
            as_new_files_are(args.out)
    checkpoint.unlink(missing_ok=True)


def recent(average: Tensor, value: Tensor, count: Tensor | int) -> Tensor:
    """The average of weights with a new one, over the last tenth of ``count``: in short runs the first are far off."""
    return average + (value - average) * max(0.002, 10 / (10 + int(count)))


def psnr_loss(output: Tensor, target: Tensor) -> Tensor:
    """Minus the PSNR up to a constant, the loss of the NAFNet paper: natural log of each picture's MSE."""
    return (output - target).square().mean(dim=(1, 2, 3)).add(1e-6).log().mean()
