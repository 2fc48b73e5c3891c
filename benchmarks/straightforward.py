"""The paper's adapters written the straightforward way, as one would from the paper, to be compared with.

    python benchmarks/straightforward.py

checks that both ways give the same outputs (to 1e-5) and gradients (to 1e-4 of the largest) from the same weights, and
exits with 1 if not.

Spatial fusion makes k² shifted copies of the memory by ``F.unfold``, a softmax over (0, logits), and a weighted sum;
clones of what is remembered go into the state. There is no care for values that are not finite, which costs our own
path some passes over each map. A training keeps everything for the backward pass, unless the fusion is recomputed
there, as the paper did.
"""

import sys
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from holdsteady import StabilizedModel, stabilize
from holdsteady.adapters.adapter import Adapter, resolve_layout
from holdsteady.adapters.cell import Context
from holdsteady.adapters.config import AdapterConfig
from holdsteady.adapters.method import HeadFusion
from holdsteady.adapters.missing import Memory
from holdsteady.errors import ConfigError
from holdsteady.host.mirror import mirror

# Settings in which an adapter may differ from the paper's and still be run here.
_FREE = ("kind", "points", "layouts", "grid", "kernel", "initial_logit")
_WIDTHS = ("backbone_width", "backbone_layers", "head_width", "head_layers", "vector_width")


class StraightforwardAdapter(Adapter):
    """The weights of an ``Adapter`` of kind ``controlled`` or ``spatial``, run the straightforward way."""

    recompute = False

    def stabilize(
        self, index: int, value: Tensor, memory: Memory | None, context: Context, frame_size: tuple[int, int]
    ) -> tuple[Tensor, Memory, Tensor]:
        """As the method that it replaces, but that nothing is counted as not finite."""
        point = self.points[index]
        layout = point.layout or resolve_layout(point.name, tuple(value.shape), frame_size, self.config)
        z, nothing = layout.to_map(value, frame_size), torch.zeros(len(value), dtype=torch.long, device=value.device)
        if memory is None:
            return value, {"stabilized": z.clone(), "raw": z.clone()[:, None]}, nothing
        assert context.features is not None
        # In the order of the points, as they are made.
        cell = cast(HeadFusion, list(self.cells.values())[index])
        before, size = memory["stabilized"], (z.shape[-2], z.shape[-1])
        seen = cell.head.seen(context.features, [z, before, memory["raw"][:, 0]], size)
        logits = cell.head(seen, size)
        if not cell.kernel:
            fused = controlled(z, before, logits)
        elif self.recompute and torch.is_grad_enabled():
            fused = checkpoint(spatial, z, before, logits, cell.kernel, use_reentrant=False)
        else:
            fused = spatial(z, before, logits, cell.kernel)
        return layout.from_map(fused, value), {"stabilized": fused.clone(), "raw": z.clone()[:, None]}, nothing


def controlled(present: Tensor, memory: Tensor, logits: Tensor) -> Tensor:
    """β ⊙ z_t + (1−β) ⊙ z̃_{t−1}, 1−β = sigmoid(logits), all (B, C, H, W)."""
    weight = torch.sigmoid(logits)
    return (1 - weight) * present + weight * memory


def spatial(present: Tensor, memory: Tensor, logits: Tensor, kernel: int) -> Tensor:
    """Weights (B, 1 + k², C, H, W) from a softmax over (0, logits), on the present and the unfolded memory.

    Args:
        present, memory: (B, C, H, W).
        logits: (B, k²·C, H, W), those of an offset next to each other.
        kernel: k.
    """
    batch, channels, height, width = present.shape
    logits = logits.view(batch, kernel**2, channels, height, width)
    weights = torch.softmax(torch.cat((torch.zeros_like(logits[:, :1]), logits), dim=1), dim=1)
    neighbours = F.unfold(memory, kernel, padding=kernel // 2).view(batch, channels, kernel**2, height, width)
    values = torch.cat((present.unsqueeze(1), neighbours.transpose(1, 2)), dim=1)
    return (weights * values).sum(dim=1)


def make_straightforward(steady: StabilizedModel, *, recompute: bool = False) -> StabilizedModel:
    """The same base and the same weights, run the straightforward way.

    Args:
        steady: a model with one adapter of the paper's form.
        recompute: whether spatial fusion is computed again in the backward pass.

    Raises:
        ConfigError: the adapter has settings that the paper does not know.
    """
    ours = steady.adapter(0)
    unknown = [name for name in _differing(ours.config) if name not in (*_FREE, *_WIDTHS)]
    if unknown or ours.config.kind not in ("controlled", "spatial") or len(steady.adapters) != 1:
        raise ConfigError(
            f"only one controlled or spatial adapter of the paper's form can be run the straightforward way; this "
            f"{ours.config.kind} one differs in {', '.join(unknown) or 'nothing else'}"
        )
    adapter = mirror(ours)  # a copy of the modules that shares the weights
    adapter.__class__ = StraightforwardAdapter
    assert isinstance(adapter, StraightforwardAdapter)
    adapter.recompute = recompute
    return StabilizedModel(steady.base, [adapter], steady.strength)


def _differing(config: AdapterConfig) -> list[str]:
    """Settings whose values are not the defaults, which are the paper's."""
    fields = type(config).model_fields
    return [name for name in config.settings() if getattr(config, name) != fields[name].default]


def compare(kind: str, recompute: bool) -> tuple[float, float]:
    """Largest differences over a clip: of the outputs; of the adapter's gradients, as a share of the largest one."""
    torch.manual_seed(0)
    base = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 3, 3, padding=1)).requires_grad_(False)
    clip = [torch.rand(2, 3, 24, 30) for _ in range(4)]
    steady = stabilize(base, kind, example=clip[0], preset="paper", initial_logit=1.0)
    outputs, gradients = [], []
    for model in (steady, make_straightforward(steady, recompute=recompute)):
        state, shown = None, []
        for frame in clip:
            output, state = model.step(frame, state)
            shown.append(output)
        outputs.append(torch.stack(shown))
        parts = torch.autograd.grad(outputs[-1].square().mean(), list(model.parameters()))
        gradients.append(torch.cat([part.flatten() for part in parts]))
    off = (gradients[0] - gradients[1]).abs().max() / gradients[0].abs().max()
    return (outputs[0] - outputs[1]).abs().max().item(), off.item()


def main() -> None:
    failed = False
    for kind, recompute in (("controlled", False), ("spatial", False), ("spatial", True)):
        output, gradient = compare(kind, recompute)
        way = f"{kind}{', recomputed' if recompute else ''}"
        print(f"{way}: outputs differ by {output:.1e}, gradients by {gradient:.1e} of the largest")
        failed = failed or output > 1e-5 or gradient > 1e-4
    sys.exit(failed)


if __name__ == "__main__":
    main()
