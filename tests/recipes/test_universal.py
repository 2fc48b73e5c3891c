"""What the recipe of universal records, and that learning from it works."""

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from holdsteady.adapters.adapter import Adapter, Point
from holdsteady.adapters.config import make_config

PATH = Path(__file__).parents[2] / "recipes" / "universal.py"


def recipe() -> Any:
    spec = importlib.util.spec_from_file_location("universal_recipe", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_learns_from_what_it_records() -> None:
    universal, random = recipe(), torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    still = F.interpolate(torch.rand(2, 3, 6, 6, generator=random), size=32, mode="bicubic")
    truth = still[:, None].expand(-1, 5, -1, -1, -1)
    noisy = truth + 0.1 * torch.randn(truth.shape, generator=random)
    adapter = Adapter(make_config("universal"), [Point("output")])
    cell: Any = next(iter(adapter.cells.values()))
    record, shown = universal.record(cell, {"input": noisy, "output": noisy, "truth": truth}, 0.08)
    assert shown.shape == truth.shape
    assert torch.equal(shown[:, 0], noisy[:, 0])
    assert record.seen.shape[:1] + record.seen.shape[2:] == (8, 16, 16)
    assert record.truth.shape == record.moved.shape == (8, 3, 32, 32)
    assert record.truth.dtype == torch.float16
    torch.testing.assert_close(record.present[:2].float(), noisy[:, 1], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(record.error[:2].float(), (noisy - truth)[:, 0], atol=1e-3, rtol=1e-2)

    drawn = universal.windows([record], 4, 8, random)
    assert drawn.truth.shape == (4, 3, 16, 16)
    assert drawn.seen.shape[2:] == (8, 8)
    with torch.no_grad():  # as if it had learned to refuse the memory
        cell.head.logits.bias.copy_(torch.tensor((3.0, -3.0, -3.0, 0.0)))
    optimizer, losses = torch.optim.Adam(adapter.parameters(), lr=3e-2), []
    for _ in range(30):
        loss = universal.loss_of(cell, universal.windows([record], 4, 16, random), 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < sum(losses[:5]) - 0.5
