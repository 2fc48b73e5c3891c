"""``method.py`` is the whole method: every kind runs the same with the tuned formulas deleted."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import torch

import holdsteady

_RUN = """
import sys, torch, holdsteady as hs
from importlib.util import find_spec
torch.manual_seed(0)
frames = [torch.nn.functional.avg_pool2d(torch.rand(2, 3, 44, 52), 5, 1, 2) for _ in range(3)]
base = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 3, 3, padding=1))
outputs = {"has fast": find_spec("holdsteady.adapters.fast") is not None}
learned = {"initial_logit": 0.0}
for name, kind, settings in [
    ("output-fixed", "output-fixed:0.7", {}),
    ("output-gaussian", "output-gaussian:1", {}),
    ("simple-fixed", "simple-fixed:0.6", {}),
    ("simple-learned", "simple-learned", {"initial_a": 0.5}),
    ("controlled", "controlled", {"preset": "paper", **learned}),
    ("spatial", "spatial", {"preset": "paper", **learned}),
    # A search sees eight bits: where outputs round differently, and here one does, it finds another motion.
    ("light", "spatial", {"preset": "light", "flow_from": "input", **learned}),
    ("tiny", "spatial", {"preset": "tiny", **learned}),
    ("motion-fixed", "motion-fixed", {}),
    ("motion", "motion", learned),
    ("universal", "universal", {}),
]:
    torch.manual_seed(1)
    steady, state = hs.stabilize(base, kind, example=frames[0], **settings), None
    with torch.no_grad():
        for frame in frames:
            output, state = steady.step(frame, state)
    outputs[name] = output
torch.save(outputs, sys.argv[1])
"""


def run(source: Path, out: Path) -> dict[str, torch.Tensor]:
    environment = {**os.environ, "PYTHONPATH": str(source)}
    subprocess.run([sys.executable, "-c", _RUN, str(out)], check=True, env=environment, cwd=out.parent)
    outputs: dict[str, torch.Tensor] = torch.load(out, weights_only=True)
    return outputs


def test_every_kind_runs_with_the_tuned_formulas_deleted(tmp_path: Path) -> None:
    package = Path(holdsteady.__file__).parent
    skipped = shutil.ignore_patterns("fast", "__pycache__", "*.mp4")
    shutil.copytree(package, tmp_path / "alone" / "holdsteady", ignore=skipped)
    plain = run(tmp_path / "alone", tmp_path / "plain.pt")
    tuned = run(package.parent, tmp_path / "tuned.pt")
    assert not plain.pop("has fast")
    assert tuned.pop("has fast")
    assert len(plain) == 11
    for name, output in plain.items():
        torch.testing.assert_close(
            output, tuned[name], rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_the_method_fits_on_a_few_pages() -> None:
    lines = Path(holdsteady.__file__).with_name("adapters").joinpath("method.py").read_text("utf-8").splitlines()
    assert len(lines) <= 350
    words = {"strip", "band", "thread", "contiguous", "channels_last", "compil", "cpu", "cache"}
    assert not {word for word in words if word in "\n".join(lines).lower()}
