"""The streaming shells: the same figures as offline, over streams, cuts and moves."""

import pickle

import pytest
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from holdsteady.errors import MetricError
from holdsteady.flow.dis import DISFlow
from holdsteady.metrics import (
    AbsRel,
    CategoricalInstability,
    ClassFlips,
    ClipAbsRel,
    ClipDeltaAccuracy,
    DeltaAccuracy,
    FlickerError,
    Instability,
    InstabilityRMS,
    MotionIoU,
    StreamMetric,
    WarpError,
    abs_rel,
    categorical_instability,
    class_flips,
    delta_accuracy,
    flicker_error,
    instability,
    instability_rms,
    motion_iou,
    over_clip,
    warp_error,
)
from holdsteady.metrics.modules import AlongMotion


def clip(seed: int, *shape: int) -> Tensor:
    """(B=2, T=6, *shape)."""
    return 0.1 + torch.rand(2, 6, *shape, generator=torch.Generator().manual_seed(seed))


def stream(metric: StreamMetric, *clips: Tensor) -> StreamMetric:
    for t in range(clips[0].shape[1]):
        metric.update(*(c[:, t] for c in clips))
    return metric


def warp_error_between(pred: Tensor, pred_before: Tensor, clean: Tensor, clean_before: Tensor) -> Tensor:
    flow = DISFlow()
    return warp_error(pred, pred_before, flow(clean, clean_before), flow(clean_before, clean))


def flips_between(pred: Tensor, pred_before: Tensor, clean: Tensor, clean_before: Tensor) -> Tensor:
    flow = DISFlow()
    return class_flips(pred, pred_before, flow(clean, clean_before), flow(clean_before, clean))


def iou_between(pred: Tensor, pred_before: Tensor, clean: Tensor, clean_before: Tensor) -> Tensor:
    flow = DISFlow()
    return motion_iou(pred, pred_before, flow(clean, clean_before), flow(clean_before, clean))


PAIRS = [
    (Instability, instability, 1),
    (InstabilityRMS, instability_rms, 1),
    (CategoricalInstability, categorical_instability, 1),
    (FlickerError, flicker_error, 2),
    (WarpError, warp_error_between, 2),
    (ClassFlips, flips_between, 2),
    (MotionIoU, iou_between, 2),
]


@pytest.mark.parametrize(("shell", "function", "inputs"), PAIRS)
def test_streaming_equals_offline(shell, function, inputs: int) -> None:
    # Each clip a moving scene under noise of its own, so that there is motion to follow and places to lose it.
    scene = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(9))
    moving = torch.cat([scene.roll((t, 2 * t), dims=(-2, -1)) for t in range(6)], dim=1)
    clips = [moving + 0.02 * clip(seed, 3, 32, 32) for seed in range(inputs)]
    metric = stream(shell(), *clips)
    expected = over_clip(function, *clips)
    assert expected.isfinite().all() and expected.min() > 0
    torch.testing.assert_close(metric.per_stream(), expected)
    torch.testing.assert_close(metric.compute(), expected.mean())


@pytest.mark.parametrize(("shell", "function"), [(AbsRel, abs_rel), (DeltaAccuracy, delta_accuracy)])
def test_depth_shells_are_means_over_frames(shell, function) -> None:
    pred, truth = clip(0, 5, 6), clip(1, 5, 6)
    truth[:, :, 0] = torch.nan
    expected = torch.stack([function(pred[:, t], truth[:, t]) for t in range(6)]).mean(dim=0)
    torch.testing.assert_close(stream(shell(), pred, truth).per_stream(), expected)


def test_a_cut_is_not_counted_but_the_scores_stay() -> None:
    first, second = clip(0, 8), 100 + clip(1, 8)
    metric = stream(Instability(), first)
    metric.cut()
    stream(metric, second)
    both = (over_clip(instability, first) + over_clip(instability, second)) / 2
    torch.testing.assert_close(metric.per_stream(), both)
    without_cut = stream(stream(Instability(), first), second)
    assert without_cut.compute() > 10 * metric.compute()


def test_a_cut_allows_another_frame_size() -> None:
    metric = stream(InstabilityRMS(), clip(0, 8))
    metric.cut()
    stream(metric, clip(1, 9))
    assert metric.compute().isfinite()


def test_reset_forgets_scores_and_frame() -> None:
    metric = stream(FlickerError(), clip(0, 8), clip(1, 8))
    metric.reset()
    pred, truth = torch.rand(3, 4, 5), torch.rand(3, 4, 5)
    stream(metric, pred, truth)
    torch.testing.assert_close(metric.per_stream(), over_clip(flicker_error, pred, truth))


def test_frames_of_another_shape_are_refused_and_do_not_change_the_scores() -> None:
    metric = stream(Instability(), clip(0, 8))
    before = metric.per_stream()
    with pytest.raises(MetricError, match=r"Instability: a frame of shape \(2, 9\) follows .*reset\(\)"):
        metric.update(torch.zeros(2, 9))
    metric.cut()
    with pytest.raises(MetricError, match=r"Instability: 3 streams follow 2.*reset\(\)"):
        metric.update(torch.zeros(3, 8))
    torch.testing.assert_close(metric.per_stream(), before)


def test_frames_without_a_value_are_left_out_of_the_mean() -> None:
    pred, truth = clip(0, 8), clip(1, 8)
    truth[0, 4:] = torch.nan
    result = stream(FlickerError(), pred, truth).per_stream()
    torch.testing.assert_close(result[0], over_clip(flicker_error, pred[:1, :4], truth[:1, :4])[0])
    truth[0] = torch.nan
    metric = stream(FlickerError(), pred, truth)
    assert metric.per_stream()[0].isnan()
    torch.testing.assert_close(metric.compute(), over_clip(flicker_error, pred[1:], truth[1:])[0])


def test_before_the_first_pair_there_is_no_value() -> None:
    metric = Instability()
    metric.update(torch.zeros(2, 4))
    assert metric.compute().isnan()
    assert metric.per_stream().shape == (2,)


def test_the_remembered_frame_is_not_the_callers_memory() -> None:
    buffer = torch.zeros(1, 4)
    metric = InstabilityRMS()
    metric.update(buffer)
    buffer += 1
    metric.update(buffer)
    assert metric.compute().item() == 1


@pytest.mark.parametrize("carry", [lambda m: pickle.loads(pickle.dumps(m)), lambda m: m.clone(), lambda m: m.to("cpu")])
def test_a_metric_can_be_carried_elsewhere_in_the_middle(carry) -> None:
    pred, truth = clip(0, 8), clip(1, 8)
    metric = stream(carry(stream(FlickerError(), pred[:, :3], truth[:, :3])), pred[:, 3:], truth[:, 3:])
    torch.testing.assert_close(metric.per_stream(), over_clip(flicker_error, pred, truth))


def test_to_moves_the_state() -> None:
    metric = stream(Instability(), clip(0, 8)).to("meta")
    assert metric.per_stream().device.type == "meta"
    metric.update(torch.zeros(2, 8, device="meta"))
    assert metric.per_stream().device.type == "meta"


@pytest.mark.parametrize(("shell", "function", "inputs"), [row for row in PAIRS if not issubclass(row[0], AlongMotion)])
def test_called_in_a_loop_it_gives_the_figure_of_each_frame(shell, function, inputs: int) -> None:
    clips = [clip(seed, 3, 8, 8) for seed in range(inputs)]
    metric = shell()
    for _ in range(2):
        values = torch.stack([metric(*(c[:, t] for c in clips)) for t in range(6)])
        pairs = [[frame for c in clips for frame in (c[:, t], c[:, t - 1])] for t in range(1, 6)]
        assert values[0].isnan()
        torch.testing.assert_close(values[1:], torch.stack([function(*pair).mean() for pair in pairs]))
        torch.testing.assert_close(metric.compute(), over_clip(function, *clips).mean())
        metric.reset()
        assert metric.per_stream().shape == (0,)


def test_called_after_a_cut_there_is_no_figure_once() -> None:
    metric, frames = Instability(), clip(0, 8)
    metric(frames[:, 0])
    metric(frames[:, 1])
    metric.cut()
    assert metric(frames[:, 2]).isnan()
    assert metric(pred=frames[:, 3]).isfinite()


def test_depth_has_a_figure_from_the_first_frame_on() -> None:
    pred, truth = clip(0, 8), clip(1, 8)
    torch.testing.assert_close(AbsRel()(pred[:, 0], truth[:, 0]), abs_rel(pred[:, 0], truth[:, 0]).mean())


@pytest.mark.parametrize(("shell", "function"), [(ClipAbsRel, abs_rel), (ClipDeltaAccuracy, delta_accuracy)])
@pytest.mark.parametrize("disparity", [False, True])
def test_the_clips_fit_is_that_of_all_frames(shell, function, disparity: bool) -> None:
    pred, truth = clip(0, 5, 6), clip(1, 5, 6)
    metric, buffer = shell(disparity=disparity), torch.empty(2, 5, 6)
    for t in range(6):
        value = metric(buffer.copy_(pred[:, t]), truth[:, t])
        torch.testing.assert_close(value, function(pred[:, : t + 1], truth[:, : t + 1], disparity=disparity).mean())
    torch.testing.assert_close(metric.compute(), value)
    metric.reset()
    metric.update(pred[:, 0], truth[:, 0])
    torch.testing.assert_close(metric.compute(), function(pred[:, :1], truth[:, :1], disparity=disparity).mean())


def test_a_collection_keeps_them_apart() -> None:
    pred = clip(0, 8)
    collection = MetricCollection([Instability(), InstabilityRMS()])
    for t in range(6):
        collection(pred[:, t])
    found = collection.compute()
    torch.testing.assert_close(found["Instability"], over_clip(instability, pred).mean())
    torch.testing.assert_close(found["InstabilityRMS"], over_clip(instability_rms, pred).mean())


def test_processes_put_their_streams_together() -> None:
    """torchmetrics' own sync, with a gather that answers for two processes of 2 and 1 streams."""
    here, there = clip(0, 8), clip(1, 8)[:1]
    local, remote = stream(Instability(), here), stream(Instability(), there)
    answers = {id(local.total[0]): remote.total[0], id(local.count[0]): remote.count[0]}

    def gather(state: Tensor, **_: object) -> list[Tensor]:
        return [state, answers[id(state)]]

    local.sync(dist_sync_fn=gather, distributed_available=lambda: True)
    expected = torch.cat([over_clip(instability, here), over_clip(instability, there)])
    torch.testing.assert_close(local.per_stream(), expected)
    local.unsync()
    torch.testing.assert_close(local.per_stream(), expected[:2])
