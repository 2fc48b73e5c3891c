"""A base and the models that are stabilized over it: who sees what of whom."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from networks import NETWORKS, attach, image
from torch import Tensor, nn

import holdsteady as hs
from holdsteady.errors import AdapterError, ConfigError, LayoutError, ModelError

SOME = pytest.mark.parametrize("kind", ["simple-fixed", "spatial", "motion-fixed"])


def run(model: Any, clip: list[Tensor]) -> list[Tensor]:
    with torch.no_grad():
        return [image(model(frame)) for frame in clip]


def assert_equal(outputs: list[Tensor], others: list[Tensor]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(outputs, others, strict=True))


@SOME
def test_two_over_one_base_do_not_see_each_other(kind: str) -> None:
    network = NETWORKS["u-net"]
    clip, other = network.clip(4), network.clip(4, seed=1)
    base = network.fresh()
    expected = run(attach(base, kind, clip[0]), clip), run(attach(base, "controlled", clip[0], seed=1), other)
    direct = run(base, clip)
    one, two = attach(base, kind, clip[0]), attach(base, "controlled", clip[0], seed=1)
    got: tuple[list[Tensor], ...] = ([], [], [])
    with torch.no_grad():
        for a, b in zip(clip, other, strict=True):
            got[0].append(one(a))
            got[1].append(two(b))
            got[2].append(base(a))
    for outputs, others in zip(got, (*expected, direct), strict=True):
        assert_equal(outputs, others)
    one.remove()
    two.reset()
    assert_equal(run(two, other), expected[1])


@SOME
def test_two_threads_over_one_base_do_not_see_each_other(kind: str) -> None:
    network = NETWORKS["nafnet"]
    base, clips = network.fresh(), [network.clip(6, seed=seed) for seed in range(2)]
    expected = [run(attach(base, kind, clip[0]), clip) for clip in clips]
    steadies = [attach(base, kind, clip[0]) for clip in clips]
    barrier = Barrier(2)

    def work(number: int) -> list[Tensor]:
        barrier.wait()
        return run(steadies[number], clips[number])

    with ThreadPoolExecutor(2) as pool:
        for outputs, others in zip(pool.map(work, range(2)), expected, strict=True):
            assert_equal(outputs, others)


def test_a_hook_of_the_base_sees_the_stabilized_value() -> None:
    """Else a head that is fed by hooks would get past the stabilization."""
    torch.manual_seed(0)
    collected: list[Tensor] = []
    base = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 3, 1))
    base[0].register_forward_hook(lambda _module, _inputs, value: collected.append(value))
    steady = hs.stabilize(base, "simple-fixed:0.5", example=torch.rand(1, 3, 8, 9), points="0")
    collected.clear()
    frames = [torch.rand(1, 3, 8, 9) for _ in range(2)]
    run(steady, frames)
    with torch.no_grad():
        torch.testing.assert_close(collected[1], (base[0](frames[0]) + base[0](frames[1])) / 2)


def test_the_base_is_followed_when_it_is_loaded_or_moved() -> None:
    network = NETWORKS["u-net"]
    clip, base = network.clip(3), network.fresh()
    steady = attach(base, "simple-fixed", clip[0])
    before = run(steady, clip)

    other = {
        name: tensor + 0.01 if tensor.is_floating_point() else tensor for name, tensor in base.state_dict().items()
    }
    for assign in (False, True):
        fresh = network.fresh()
        late = attach(fresh, "simple-fixed", clip[0])
        fresh.load_state_dict(other, assign=assign)
        assert_equal(run(late, clip), run(attach(fresh, "simple-fixed", clip[0]), clip))
        assert not torch.equal(late(clip[0]), before[0])

    base.to(torch.float64)
    steady.reset()
    after = run(steady, [frame.double() for frame in clip])
    assert after[0].dtype == torch.float64
    torch.testing.assert_close([a.float() for a in after], before)
    with torch.no_grad():
        base.enter.weight.zero_()  # type: ignore[union-attr,operator]
    steady.reset()
    assert not torch.allclose(run(steady, [clip[0].double()])[0], after[0])


def test_moving_the_steady_model_moves_base_adapters_and_state() -> None:
    network = NETWORKS["u-net"]
    clip, base = network.clip(3), network.fresh()
    steady = attach(base, "spatial", clip[0])
    expected = run(steady, clip)
    steady.reset()
    run(steady, clip[:2])
    steady.double()
    assert next(base.parameters()).dtype == torch.float64
    output = steady(clip[2].double())
    assert output.dtype == torch.float64
    torch.testing.assert_close(output.float(), expected[2], rtol=1e-4, atol=1e-5)
    steady.to("meta")
    assert steady.state is not None
    tensors = [*base.parameters(), *base.buffers(), *steady.parameters(), steady.state.non_finite]
    tensors += [t for memory in steady.state.memories.values() for t in memory.values()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}


@SOME
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda steady: pickle.loads(pickle.dumps(steady))])
def test_a_copy_is_the_same_and_goes_its_own_way(kind: str, copied: Any) -> None:
    network = NETWORKS["u-net"]
    clip, base = network.clip(3), network.fresh()
    steady = attach(base, kind, clip[0])
    expected = run(steady, clip)
    steady.reset()
    run(steady, clip[:2])
    twin = copied(steady)
    run(twin, clip[::-1][:1])  # the state was copied as well, and the original's is left alone
    assert torch.equal(run(steady, clip[2:])[0], expected[2])
    twin.reset()
    with torch.no_grad():
        base.leave.weight.zero_()  # type: ignore[union-attr,operator]
    assert_equal(run(twin, clip), expected)


def test_a_base_in_training_mode_stays_in_it_and_is_run_in_eval_mode() -> None:
    network = NETWORKS["u-net"]
    clip, base = network.clip(2), network.fresh()
    expected = run(attach(base, "simple-fixed", clip[0]), clip)
    base.train()
    mean = base.norm.running_mean.clone()  # type: ignore[union-attr,operator]
    steady = attach(base, "simple-fixed", clip[0])
    steady.train()
    assert_equal(run(steady, clip), expected)
    assert base.training
    assert base.norm.training  # type: ignore[union-attr]
    assert torch.equal(base.norm.running_mean, mean)  # type: ignore[union-attr]
    base(clip[0])
    assert not torch.equal(base.norm.running_mean, mean)  # type: ignore[union-attr]


def test_a_base_that_cannot_be_copied_is_told() -> None:
    class Held(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Conv2d(3, 3, 1)
            self.lock = Barrier(2)

        def forward(self, frame: Tensor) -> Tensor:
            out: Tensor = self.body(frame)
            return out

    with pytest.raises(ModelError, match=r"can't attach inside Held.*pass a function that calls it"):
        hs.stabilize(Held(), "output-fixed")
    held = Held()
    assert hs.stabilize(lambda frame: held(frame), "output-fixed")(torch.rand(1, 3, 4, 5)).shape == (1, 3, 4, 5)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_strength_is_checked(strength: float) -> None:
    with pytest.raises(ConfigError, match="strength"):
        hs.stabilize(lambda frame: frame, "output-fixed", strength=strength)


def test_strength_blends_at_the_output() -> None:
    clip = [torch.rand(1, 3, 4, 5) for _ in range(3)]
    full = run(hs.stabilize(lambda frame: frame, "output-fixed:0.5"), clip)
    steady = hs.stabilize(lambda frame: frame, "output-fixed:0.5", strength=0.5)
    torch.testing.assert_close(run(steady, clip), [(a + b) / 2 for a, b in zip(full, clip, strict=True)])


def test_a_composition_applies_its_adapters_in_order() -> None:
    z1, z2, z3 = (torch.rand(1, 3, 4, 5) for _ in range(3))
    outputs = run(hs.stabilize(lambda frame: frame, ["output-fixed:0.5", "output-gaussian:1"]), [z1, z2, z3])
    a2 = (z1 + z2) / 2
    a3 = (a2 + z3) / 2
    w = [1.0, torch.exp(torch.tensor(-0.5)), torch.exp(torch.tensor(-2.0))]
    torch.testing.assert_close(outputs[2], (w[0] * a3 + w[1] * a2 + w[2] * z1) / sum(w))


def test_a_composition_is_saved_one_by_one(tmp_path: Path) -> None:
    steady = hs.stabilize(lambda frame: frame, ["output-fixed:0.5", "output-gaussian:1"])
    with pytest.raises(AdapterError, match=r"2 adapters are attached; save each of them: steady.adapter\(0\)"):
        steady.save(tmp_path / "a")
    assert (
        hs.load_adapter(hs.stabilize(lambda frame: frame, "output-fixed:0.3").save(tmp_path / "b")).config.beta == 0.3
    )


def test_an_adapter_of_another_base_names_each_point_that_differs(tmp_path: Path) -> None:
    frame = torch.rand(1, 3, 8, 9)
    base = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 3, 1))
    folder = hs.stabilize(base, "simple-learned", example=frame, points=["0", "1", "2", "3", "output"]).save(tmp_path)
    other = nn.Sequential(nn.Conv2d(3, 5, 1), nn.ReLU(), nn.ConvTranspose2d(5, 3, 1))
    with pytest.raises(AdapterError) as caught:
        hs.stabilize(other, folder)
    text = str(caught.value)
    assert "this adapter was made for torch.nn.modules.container.Sequential, not for this Sequential" in text
    assert "'0' has parameters of different shapes" in text
    assert "'2' is a ConvTranspose2d, not a Conv2d" in text
    assert "'3' is missing" in text
    assert "'1'" not in text
    assert "'output'" not in text


def test_an_output_adapter_goes_with_every_model_of_pictures(tmp_path: Path) -> None:
    (frame,) = NETWORKS["u-net"].clip(1)
    folder = attach(NETWORKS["u-net"].base, "motion", frame).save(tmp_path)
    other = hs.stabilize(NETWORKS["nafnet"].base, folder)
    assert other(torch.rand(1, 3, 12, 10)).shape == (1, 3, 12, 10)
    assert hs.stabilize(lambda x: x.mean(dim=1, keepdim=True), folder)(frame).shape == (1, 1, *frame.shape[2:])
    two = hs.stabilize(lambda x: x[:, :2], folder)
    with pytest.raises(AdapterError, match=r"point 'output' has 2 channels .*made for 3 there"):
        two(frame)


@pytest.mark.parametrize(
    ("adapter", "options", "error", "message"),
    [
        ("spatail", {}, ConfigError, r"'spatail' is neither a kind, nor an adapter that ships .*did you mean spatial"),
        ("spatial", {}, ConfigError, r"kind 'spatial' at input, output needs example=frame"),
        ("motion", {}, ConfigError, r"kind 'motion' at output needs example=frame"),
        (hs.make_config("output-fixed"), {"beta": 0.5}, ConfigError, r"beta: settings go with the name of a kind"),
        (
            hs.make_config("output-fixed"),
            {"preset": "tiny"},
            ConfigError,
            r"preset: settings go with the name of a kind",
        ),
        ("output-fixed", {"bta": 0.5}, ConfigError, r"'bta' is not a setting \(did you mean beta"),
    ],
)
def test_what_stabilize_refuses(adapter: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        hs.stabilize(NETWORKS["cnn"].base, adapter, **options)


@pytest.mark.parametrize("kind", ["spatial", "motion"])
def test_frames_that_an_adapter_cannot_look_at(kind: str) -> None:
    frame = torch.rand(1, 3, 8, 10)
    steady = hs.stabilize(lambda x: x[:, :3].float(), kind, example=frame, points="output")
    with pytest.raises(AdapterError, match=r"floating-point frames \(B, 3, H, W\); it was given \(1, 4, 8, 10\)"):
        steady(torch.rand(1, 4, 8, 10))
    with pytest.raises(LayoutError, match=r"frames are floats, uint8 or uint16, not torch\.int64"):
        steady((255 * frame).long())
