"""Networks that keep things beside their weights: features that hooks collect, functions, locks, earlier results."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import holdsteady as hs
from holdsteady.errors import ModelError

_features: dict[str, Tensor] = {}


class Collects(nn.Module):
    """A head that looks at features which hooks put somewhere, as in many networks for depth."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Conv2d(4, 1, 1)
        self.seen: Any = {}
        self.body.register_forward_hook(self.hook())

    def hook(self) -> Callable[..., None]:
        return lambda _module, _inputs, value: self.seen.update(features=value)

    def forward(self, frame: Tensor) -> Tensor:
        self.body(frame)
        out: Tensor = self.head(self.seen["features"])
        return out


class ByDict(Collects):
    def hook(self) -> Callable[..., None]:
        def note(name: str) -> Callable[..., None]:
            def hook(_module: Any, _inputs: Any, value: Tensor) -> None:
                seen[name] = value

            return hook

        seen = self.seen
        return note("features")


class ByDefault(Collects):
    def hook(self) -> Callable[..., None]:
        def hook(_module: Any, _inputs: Any, value: Tensor, seen: Any = self.seen) -> None:
            seen["features"] = value

        return hook


class ByName(Collects):
    def hook(self) -> Callable[..., None]:
        def hook(_module: Any, _inputs: Any, value: Tensor) -> None:
            _features["features"] = value

        self.seen = _features
        return hook


class ByPartial(Collects):
    def hook(self) -> Callable[..., None]:
        def hook(seen: Any, _module: Any, _inputs: Any, value: Tensor) -> None:
            seen["features"] = value

        return partial(hook, self.seen)


class ByObject(Collects):
    """Features in an object that is no module."""

    class Note:
        def hook(self, _module: Any, _inputs: Any, value: Tensor) -> None:
            self.features = value

        def __getitem__(self, name: str) -> Any:
            return getattr(self, name)

    def hook(self) -> Callable[..., None]:
        self.seen = self.Note()
        return self.seen.hook


class Calls(Collects):
    """A function of its own that runs the layers."""

    def hook(self) -> Callable[..., None]:
        self.run = lambda frame: self.head(self.body(frame))
        return lambda *_: None

    def forward(self, frame: Tensor) -> Tensor:
        out: Tensor = self.run(frame)
        return out


class Wrapped(Calls):
    """Its forward was replaced by one around it, as tools for loading do."""

    def __init__(self) -> None:
        super().__init__()
        old = self.forward
        self.forward = lambda frame: old(frame)  # type: ignore[method-assign]


class CallsFromList(Calls):
    def hook(self) -> Callable[..., None]:
        self.steps: Any = [lambda frame: self.body(frame), lambda features: self.head(features)]
        return lambda *_: None

    def forward(self, frame: Tensor) -> Tensor:
        for step in self.steps:
            frame = step(frame)
        return frame


class CallsFromTuple(CallsFromList):
    def hook(self) -> Callable[..., None]:
        ignored = super().hook()
        self.steps = {"all": (tuple(self.steps), "named")}
        return ignored

    def forward(self, frame: Tensor) -> Tensor:
        for step in self.steps["all"][0]:
            frame = step(frame)
        return frame


class CallsPartial(Calls):
    def hook(self) -> Callable[..., None]:
        self.run: Any = partial(
            lambda last, frame, *, first: last(first(self.body(frame))), self.head, first=nn.Identity()
        )
        return lambda *_: None


class CallsPartialInside(Calls):
    """A function that knows a partial one, in a tuple."""

    def hook(self) -> Callable[..., None]:
        known = (partial(lambda module, frame: module(frame), self.body), self.head)
        self.run = lambda frame: known[1](known[0](frame))
        return lambda *_: None


COLLECTING = [Collects, ByDict, ByDefault, ByName, ByPartial, ByObject, Calls, Wrapped]
COLLECTING += [CallsFromList, CallsFromTuple, CallsPartial, CallsPartialInside]


@pytest.mark.parametrize("kind", ["output-fixed:0.5", "simple-fixed:0.5"])
@pytest.mark.parametrize("build", COLLECTING)
def test_what_hooks_and_functions_see_is_their_own(build: type[Collects], kind: str) -> None:
    torch.manual_seed(0)
    base, frames = build(), torch.rand(2, 1, 3, 8, 10)
    base(torch.rand(2, 3, 6, 7))  # leaves features behind, of another size and with a graph
    mean = base.body[1].running_mean.clone()
    steady = hs.stabilize(base, kind, example=frames[0], points=("output",))
    got = [steady(frame) for frame in frames]
    assert torch.equal(base.body[1].running_mean, mean)
    assert all(module.training for module in base.modules())
    with torch.no_grad():
        first, second = (base.eval()(frame) for frame in frames)
    torch.testing.assert_close(got[0], first)
    torch.testing.assert_close(got[1], (first + second) / 2)


def test_threads_collect_features_of_their_own() -> None:
    torch.manual_seed(0)
    base = ByDict().eval()
    steady = hs.stabilize(base, "output-fixed:0.5")
    clips = torch.rand(2, 12, 1, 3, 16, 20)

    def run(clip: Tensor) -> list[Tensor]:
        state, outputs = None, []
        for frame in clip:
            output, state = steady.step(frame, state)
            outputs.append(output)
        return outputs

    expected = [run(clip) for clip in clips]
    with ThreadPoolExecutor(2) as pool:
        for outputs, others in zip(pool.map(run, clips), expected, strict=True):
            torch.testing.assert_close(outputs, others)


class Locked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 3, 1)
        self.lock = threading.Lock()

    def forward(self, frame: Tensor) -> Tensor:
        with self.lock:
            out: Tensor = self.body(frame)
        return out


class Secret(Locked):
    def __reduce_ex__(self, _protocol: Any) -> Any:
        raise NotImplementedError("not to be copied")


@pytest.mark.parametrize("build", [Locked, Secret])
def test_the_output_of_what_cannot_be_copied_is_held_steady(build: type[Locked]) -> None:
    base, frames = build().eval(), torch.rand(2, 1, 3, 8, 9)
    for kind in ("motion-fixed", "live", "universal"):
        steady = hs.stabilize(base, kind, example=frames[0])
        assert steady.network is base
        torch.testing.assert_close(steady(frames[0]), base(frames[0]))
    with pytest.raises(ModelError, match="can't attach inside"):
        hs.stabilize(base, "simple-fixed", example=frames[0])
    with pytest.raises(ModelError, match="put it in eval mode"):
        hs.stabilize(build(), "motion-fixed")


def test_a_scripted_part_is_run_in_eval_mode_and_has_no_points() -> None:
    torch.manual_seed(0)

    class Partly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enter = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5)))
            self.leave = nn.Conv2d(4, 3, 1)

        def forward(self, frame: Tensor) -> Tensor:
            out: Tensor = self.leave(self.enter(frame))
            return out

    base, frame = Partly(), torch.rand(1, 3, 8, 9)
    assert [info.point.name for info in hs.points(base, frame)] == ["input", "leave", "output"]
    got = hs.stabilize(base, "simple-fixed", example=frame)(frame)
    assert base.enter.training
    with torch.no_grad():
        torch.testing.assert_close(got, base.eval()(frame))
