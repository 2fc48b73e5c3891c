"""Train an adapter in a loop of your own, in about a minute on a CPU.

`holdsteady train` does this with validation, checkpoints and recipes; this is the core of it.

python examples/train_an_adapter.py --steps 60
"""

import argparse

import torch

import holdsteady as hs
from holdsteady import zoo
from holdsteady.data import Mixture, make_source
from holdsteady.objective.loss import unified_loss

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--videos", default=str(zoo.DEMO_CLIP), help="clean footage: a video, or a folder of videos")
parser.add_argument("--steps", type=int, default=60)
parser.add_argument("--out", default="my-adapter")
args = parser.parse_args()

torch.manual_seed(0)
clips = Mixture([make_source("videos", args.videos, crop=64)], seed=0, size=args.steps + 1)  # 8 frames each
model = hs.load("denoise")
steady = hs.stabilize(model, "spatial", example=clips[0]["frames"][:1])  # the preset light, untrained
optimizer = torch.optim.Adam(steady.parameters(), lr=5e-3)  # the adapter's parameters: the base is frozen


def corrupted(clean: torch.Tensor) -> torch.Tensor:
    """What the model sees: a clip with noise of σ = 0.2, fresh for each frame."""
    return (clean + 0.2 * torch.randn_like(clean)).clamp(0, 1)


def loss_of(clean: torch.Tensor, noisy: torch.Tensor) -> torch.Tensor:
    """The paper's loss of a clip (1, T, 3, H, W), from an empty memory."""
    steady.reset()
    outputs = torch.stack([steady(frame) for frame in noisy.unbind(1)], dim=1)
    return unified_loss(outputs, clean, stability=0.2).total


def check() -> float:
    """The loss of a clip that is not trained on."""
    with torch.no_grad():
        return loss_of(*watched).item()


unseen = clips[args.steps]["frames"][None]  # (1, T, 3, H, W)
watched = unseen, corrupted(unseen)
print(f"untrained: loss {check():.4f}")
steady.train()
for step in range(args.steps):
    clean = clips[step]["frames"][None]
    optimizer.zero_grad()
    loss_of(clean, corrupted(clean)).backward()
    torch.nn.utils.clip_grad_norm_(steady.parameters(), 1.0)
    optimizer.step()
    if step % 10 == 9:
        print(f"step {step + 1}: loss {check():.4f}")

steady.eval()
print(f"trained: loss {check():.4f}")
print(f"saved: {steady.save(args.out)}; use it with hs.stabilize(model, {args.out!r})")
