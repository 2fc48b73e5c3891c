"""The loop of the image networks: it learns, and resumes at the same weights."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

PATH = Path(__file__).parents[2] / "recipes" / "fitting.py"


def fitting() -> Any:
    spec = importlib.util.spec_from_file_location("fitting", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def draw(step: int) -> tuple[Tensor, Tensor]:
    given = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(step))
    return given, 0.5 * given.flip(1)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(3, 3, 1)


def test_a_training_that_was_stopped_ends_at_the_same_weights(tmp_path: Path) -> None:
    module = fitting()
    parser = module.arguments(None, steps=300, batch=2, rate=3e-2)

    def stopping(step: int) -> tuple[Tensor, Tensor]:
        if step == 230:
            raise KeyboardInterrupt
        return draw(step)

    found = {}
    for name, first in (("whole", draw), ("stopped", stopping)):
        args = parser.parse_args(["--out", str(tmp_path / f"{name}.safetensors"), "--device", "cpu"])
        try:
            module.fit(network(), first, F.mse_loss, args)
        except KeyboardInterrupt:
            assert name == "stopped"
            module.fit(network(), draw, F.mse_loss, args)
        found[name] = load_file(args.out)
    assert not list(tmp_path.glob("*.pt"))
    for key, value in found["whole"].items():
        torch.testing.assert_close(found["stopped"][key], value)
    wanted = 0.5 * torch.eye(3).flip(1)
    torch.testing.assert_close(found["whole"]["weight"][:, :, 0, 0], wanted, atol=0.05, rtol=0)


def test_the_average_forgets_the_first_weights() -> None:
    module = fitting()
    average = torch.tensor(100.0)
    for count in range(1, 700):
        average = module.recent(average, torch.tensor(1.0), count)
    assert abs(average.item() - 1) < 1e-3
