"""The whole step as one compiled graph: no break in it, the same numbers, and no compilation once a video runs."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from networks import EVERY_KIND, NETWORKS, attach, image
from torch import Tensor, nn
from torch._dynamo.config import patch as settings

import holdsteady as hs

pytestmark = pytest.mark.slow  # compiling takes most of it

FRAMES = 4


CASES = [("cnn", kind) for kind in EVERY_KIND] + [("nafnet", kind) for kind in ("spatial", "light along the frames")]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_compiled_step_is_the_same(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A compiler can't look at values. Where both don't, they round alike, nearly: a flow is searched for on 8 bits, and
    # is another one where the last digit of a value changes a grey, as it does in nafnet's outputs.
    for module in (
        "adapters.choose",
        "adapters.missing",
        "adapters.relation",
        "adapters.fade",
        "flow.opencv",
        "flow.warp",
    ):
        monkeypatch.setattr(f"holdsteady.{module}.can_look", lambda _: False)
    network = NETWORKS[name]
    clip = network.clip(FRAMES)
    steady = attach(network.base, kind, clip[0])
    torch._dynamo.reset()
    step = torch.compile(steady.step, fullgraph=True, backend="aot_eager")
    state, compiled_state = None, steady.new_state(clip[0])
    with torch.no_grad():
        for number, frame in enumerate(clip):
            output, state = steady.step(frame, state)
            # One graph for all frames, the first among them.
            with settings(error_on_recompile=number > 0):
                compiled, compiled_state = step(frame, compiled_state)
            torch.testing.assert_close(image(compiled), image(output), rtol=1e-5, atol=1e-5)
            assert compiled_state.nbytes == state.nbytes


def test_a_compiled_step_can_be_disabled_and_follows_the_strength() -> None:
    network = NETWORKS["cnn"]
    first, second = network.clip(2)
    steady = attach(network.base, "simple-fixed", first)
    torch._dynamo.reset()
    step = torch.compile(steady.step, fullgraph=True, backend="aot_eager")
    state = steady.new_state(first)
    with torch.no_grad():
        base = network.base(second)
        state = step(first, state)[1]
        held = step(second, state)[0]
        with steady.disabled():
            torch.testing.assert_close(step(second, state)[0], base)
        torch.testing.assert_close(step(second, state)[0], held)
        steady.strength = 0.0
        torch.testing.assert_close(step(second, state)[0], base)
    assert not torch.allclose(held, base)


@dataclass
class Prediction:
    depth: Tensor


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: {"count": 1, "out": y},
        lambda y: OrderedDict(out=y, aux=y),
        lambda y: {"stages": [(None, y)]},
        lambda y: [y, y],
        Prediction,
        lambda y: SimpleNamespace(out=y),
    ],
)
def test_whatever_an_image_is_returned_in(wrap: Callable[[Tensor], Any]) -> None:
    class Wrapped(nn.Module):
        def forward(self, frame: Tensor) -> Any:
            return wrap(0.5 * frame)

    first, second = torch.rand(2, 1, 3, 8, 10)
    steady = hs.stabilize(Wrapped().eval(), "output-fixed:0.5")
    torch._dynamo.reset()
    is_object = isinstance(wrap(first), SimpleNamespace)
    step = torch.compile(steady.step, fullgraph=not is_object, backend="eager")
    _, state = step(first, steady.new_state(first))
    output, _ = step(second, state)
    assert type(output) is type(wrap(first))
    torch.testing.assert_close(image(output), 0.25 * (first + second))
