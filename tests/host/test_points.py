"""Points: what a model has, what patterns choose, and what is refused."""

import weakref
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from networks import NETWORKS, UNet, image
from torch import Tensor, nn

import holdsteady as hs
from holdsteady.errors import LayoutError, PointError
from holdsteady.host.points import select_points


class Twice(nn.Module):
    """One module is called twice, one gives integers, one no tensor, one regroups the batch, one is never reached."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Conv2d(3, 3, 3, padding=1)
        self.counts = Lambda(lambda x: x.argmax(dim=1))
        self.size = Lambda(lambda x: tuple(x.shape))
        self.windows = Lambda(lambda x: x.unfold(2, 4, 4).flatten(0, 1))
        self.odd = Lambda(lambda x: x.flatten(2)[..., :7].reshape(len(x), -1, 7, 1))
        self.unused = nn.Conv2d(3, 3, 1)
        self.last = nn.Conv2d(3, 3, 1)

    def forward(self, frame: Tensor) -> Tensor:
        x = self.same(self.same(frame))
        self.counts(x), self.size(x), self.windows(x), self.odd(x)
        out: Tensor = self.last(x)
        return out


class Lambda(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def names(model: Any, frame: Tensor, *patterns: Any) -> list[str]:
    return [
        p.name for p in select_points(hs.points(model, frame), hs.make_config("simple-fixed", points=patterns).points)
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_auto_takes_the_blocks_and_the_output(name: str) -> None:
    network = NETWORKS[name]
    assert names(network.base, network.clip(1)[0], "auto") == [*network.auto, "output"]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_table_and_its_shares_of_work(name: str) -> None:
    network = NETWORKS[name]
    table = hs.points(network.base, network.clip(1)[0])
    assert table[0].point.name == "input"
    assert table[-1].point.name == "output"
    assert all(0 <= info.share <= 1 for info in table)
    leaves = [i for i in table if not any(o.point.name.startswith(f"{i.point.name}.") for o in table)]
    assert 0.5 < sum(info.share for info in leaves) <= 1 + 1e-6
    lines = str(table).splitlines()
    assert lines[0].split() == ["name", "type", "shape", "layout", "work"]
    assert [line.split()[0] for line in lines[1:]] == [info.point.name for info in table]
    for info in table:
        if info.point.layout:
            as_map = info.point.layout.to_map(torch.empty(2, *(info.point.shape or ())), network.size)
            assert as_map.shape[:2] == (2, info.point.channels)


def test_shares_are_those_of_multiplications() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.Sequential(nn.Conv2d(6, 6, 1), nn.ReLU()), nn.Conv2d(6, 3, 1)
    )
    shares = {info.point.name: info.share for info in hs.points(model, torch.rand(1, 3, 8, 9))}
    work = {"0": 3 * 6 * 9, "1": 36, "1.0": 36, "1.1": 0, "2": 18}
    total = 3 * 6 * 9 + 36 + 18
    assert {name: shares[name] for name in work} == pytest.approx({name: w / total for name, w in work.items()})


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (["middle.0"], ["middle.0"]),
        (["output"], ["output"]),
        (["input", "output"], ["input", "output"]),
        (["output", "input"], ["input", "output"]),  # in the order in which they are reached
        (["encoders.*.depthwise", "middle.0"], ["encoders.0.0.depthwise", "middle.0"]),
        (["?iddle"], ["middle"]),
        (["NAFBlock"], ["encoders.0.0", "middle.0", "decoders.0.0"]),
        ([nn.PixelShuffle], ["ups.0.1"]),
        ([nn.Sequential], ["encoders.0", "middle", "ups.0", "decoders.0"]),
        (["middle"], ["middle"]),  # a Sequential
        (["auto", "intro"], ["intro", "encoders.0.0", "middle.0", "decoders.0.0", "output"]),
    ],
)
def test_patterns(patterns: list[Any], chosen: list[str]) -> None:
    network = NETWORKS["nafnet"]
    assert names(network.base, network.clip(1)[0], *patterns) == chosen


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("midle.0", "did you mean middle.0"),
        ("NAFBlok", "NAFBlock"),
        ("body.*", "points that can be stabilized: input, intro, "),
    ],
)
def test_nothing_matched(pattern: str, expected: str) -> None:
    network = NETWORKS["nafnet"]
    with pytest.raises(PointError, match="nothing in the model matches point") as caught:
        hs.stabilize(network.base, "simple-fixed", example=network.clip(1)[0], points=pattern)
    assert expected in str(caught.value)
    assert "in all, see holdsteady points" in str(caught.value)


@pytest.mark.parametrize(
    ("point", "why"),
    [
        ("same", "called 2 times per frame"),
        ("counts", "not a floating-point tensor"),
        ("size", "not a floating-point tensor"),
        ("windows", "first axis is 6, not the batch"),
        ("odd", "axes unclear"),
        ("Conv2d", "called 2 times per frame"),  # a type is meant as a whole
    ],
)
def test_what_cannot_be_stabilized(point: str, why: str) -> None:
    frame = torch.rand(2, 3, 8, 10)
    assert why in str(hs.points(Twice(), frame))
    with pytest.raises(PointError, match=rf"can't be stabilized: {why}; points that can: input, last, output"):
        hs.stabilize(Twice(), "simple-fixed", example=frame, points=point)


def test_globs_and_auto_pass_over_what_cannot_be_stabilized() -> None:
    frame = torch.rand(2, 3, 8, 10)
    assert names(Twice(), frame, "*a*") == ["last"]
    assert names(Twice(), frame, "auto") == ["output"]
    with pytest.raises(PointError, match="called 2 times"):
        names(Twice(), frame, "s*me")


def test_an_unreached_module_is_no_point() -> None:
    with pytest.raises(PointError, match="nothing in the model matches point 'unused'"):
        names(Twice(), torch.rand(2, 3, 8, 10), "unused")


def test_axes_that_are_unclear_can_be_stated() -> None:
    frame = torch.rand(2, 3, 8, 10)
    steady = hs.stabilize(Twice(), "simple-fixed", example=frame, points="odd", layouts={"odd": "map"})
    (point,) = steady.adapter(0).points
    assert point.layout is not None
    assert (point.layout.kind, point.shape) == ("map", (3, 7, 1))


class Moody(nn.Module):
    """Reaches its body never, once or twice, as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 3, 1)

    def forward(self, frame: Tensor, times: int = 1) -> Tensor:
        for _ in range(times):
            frame = self.body(frame)
        return frame


def test_points_are_reached_once_in_every_frame() -> None:
    frame = torch.rand(1, 3, 8, 10)
    steady = hs.stabilize(Moody(), "simple-fixed", example=frame, points="body")
    with pytest.raises(PointError, match="point 'body' was reached twice in one frame"):
        steady(frame, times=2)
    with pytest.raises(PointError, match="did not reach its points body in this frame"):
        steady(frame, 0)
    assert torch.equal(steady(frame), steady.base(frame))  # a failed first frame leaves nothing behind


class TwoParts(nn.Module):
    """Fails between its parts when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, frame: Tensor, fails: bool = False) -> Tensor:
        frame = self.first(frame)
        if fails:
            raise RuntimeError("out of luck")
        out: Tensor = self.second(frame)
        return out


def test_a_frame_that_fails_is_known_to_the_points_that_it_reached() -> None:
    frames = list(torch.rand(3, 1, 3, 8, 10))
    steady = hs.stabilize(TwoParts(), "simple-fixed:0.5", example=frames[0], points=["first", "second"])
    first, second = steady.base.first, steady.base.second
    with torch.no_grad():
        steady(frames[0])
        steady(frames[1])
        with pytest.raises(RuntimeError, match="out of luck"):
            steady(frames[2], fails=True)
        one = first(frames[0])
        two = second(one)
        one = 0.5 * (one + first(frames[1]))
        two = 0.5 * (two + second(one))
        one = 0.5 * (one + first(frames[2]))
    with pytest.raises(RuntimeError, match="out of luck"):
        steady(frames[2], fails=True)  # with gradients on: they are cut between frames all the same
    one = 0.5 * (one + first(frames[2]))
    assert steady.state is not None
    assert not steady.state.memories["0:first"]["stabilized"].requires_grad
    torch.testing.assert_close(steady.state.memories["0:first"]["stabilized"], one)
    torch.testing.assert_close(steady.state.memories["0:second"]["stabilized"], two)


def test_an_old_memory_goes_as_the_new_one_comes() -> None:
    frame, gone = torch.rand(1, 3, 8, 10), []
    model = TwoParts()
    steady = hs.stabilize(model, "simple-fixed", example=frame, points=["first", "second"])
    with torch.no_grad():
        steady(frame)
        assert steady.state is not None
        old = weakref.ref(steady.state.memories["0:first"]["stabilized"])
        hook = steady.network.second.register_forward_pre_hook(lambda *_: gone.append(old() is None))
        steady(frame)
        hook.remove()
        kept = steady.state
        steady(frame)
    assert gone == [True]
    assert kept.memories.keys() == steady.state.memories.keys()  # what somebody else holds stays whole


def test_arguments_are_passed_on() -> None:
    frame = torch.rand(1, 3, 8, 10)
    assert "called 3 times per frame" in str(hs.points(Moody(), frame, 3))
    assert "called 2 times per frame" in str(hs.points(Moody(), frame, times=2))


def test_points_edit_nothing() -> None:
    model = UNet().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    hs.points(model, torch.rand(1, 3, 8, 10))
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


@dataclass(frozen=True)
class Record:
    count: int
    maps: tuple[Tensor, ...]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: x,
        lambda x: (x, "rest"),
        lambda x: [torch.arange(3), x],
        lambda x: {"n": 3, "a": {"b": (None, x)}},
        lambda x: Record(3, (x, x + 1)),
        lambda x: torch.nn.utils.rnn.PackedSequence(x, torch.tensor([1])),  # a named tuple
    ],
)
def test_the_image_is_found_in_what_is_returned(wrap: Any) -> None:
    steady = hs.stabilize(lambda frame: wrap(frame), "output-fixed:0.5")
    first, second = torch.rand(2, 1, 3, 8, 10).unbind()
    steady(first)
    output = steady(second)
    torch.testing.assert_close(image(output), (first + second) / 2)
    assert type(output) is type(wrap(second))
    if isinstance(output, Record):
        assert output.count == 3
        assert torch.equal(output.maps[1], second + 1)


def test_no_image_in_what_is_returned() -> None:
    with pytest.raises(PointError, match="point 'output' returned dict"):
        hs.stabilize(lambda _: {"n": 3}, "output-fixed")(torch.rand(1, 3, 4, 5))


@pytest.mark.parametrize(
    ("shape", "hint"), [((3, 8, 10), r"add the batch axis: frame\[None\]"), ((8, 10), r"\(8, 10\)")]
)
def test_a_frame_is_a_batch(shape: tuple[int, ...], hint: str) -> None:
    with pytest.raises(LayoutError, match=hint):
        hs.stabilize(UNet(), "output-fixed")(torch.rand(shape))
    with pytest.raises(LayoutError, match=hint):
        hs.points(UNet(), torch.rand(shape))
