"""Chains and mixes."""

import torch
from torch import Tensor

from holdsteady.corruptions import Chain, corrupt_clip, make_corruption


def test_a_chain_applies_its_parts_from_left_to_right(clip: Tensor) -> None:
    black_then_salt = make_corruption("frame-drop:p=1+impulse:salt=0.5,pepper=0")
    salt_then_black = make_corruption("impulse:salt=0.5,pepper=0+frame-drop:p=1")
    generator = torch.Generator().manual_seed(0)
    assert abs(float(corrupt_clip(black_then_salt, clip, generator).mean()) - 0.5) < 0.02
    assert float(corrupt_clip(salt_then_black, clip, generator).max()) == 0


def test_the_parts_of_a_chain_are_drawn_independently() -> None:
    frame = torch.full((1, 3, 100, 100), 0.5)
    stream = make_corruption("gaussian:sigma=0.05+gaussian:sigma=0.05").start(torch.Generator().manual_seed(0))
    # Equal draws would add up to 0.1, independent ones to 0.05 √2.
    assert abs(float(stream(frame).std()) - 0.0707) < 0.001


def test_a_chain_of_chains_is_one_chain() -> None:
    inner = make_corruption("gaussian+jpeg")
    chain = Chain(parts=(inner, make_corruption("rain")))
    assert chain == make_corruption("gaussian+jpeg+rain")


def kinds(batch: Tensor) -> list[str]:
    """Which of black, white and grey each item is."""
    return [{0.0: "black", 1.0: "white"}.get(round(float(item.mean()), 1), "grey") for item in batch]


def test_a_mix_draws_one_for_each_clip_and_keeps_it() -> None:
    spec = "mix(frame-drop:p=1|flicker:sigma=0|impulse:salt=0.5,pepper=0+impulse:salt=0.5,pepper=0.5)"
    stream = make_corruption(spec).start(torch.Generator().manual_seed(0))
    frame = torch.full((600, 1, 4, 4), 1.0)
    # Here: black, unchanged (white), and a mixture of salt and pepper (neither).
    first = kinds(stream(frame))
    counts = [first.count(kind) for kind in ("black", "white", "grey")]
    assert all(abs(count - 200) < 45 for count in counts), counts
    assert kinds(stream(frame)) == first


def test_several_of_a_mix_are_different_and_in_the_order_written() -> None:
    # Two of three, in order; the frame is black unless the drop is not drawn.
    stream = make_corruption("mix2(impulse:salt=0.5,pepper=0|frame-drop:p=1|flicker:sigma=0)").start(
        torch.Generator().manual_seed(0)
    )
    means = stream(torch.full((300, 1, 16, 16), 0.5)).mean(dim=(1, 2, 3))
    black, salted = means == 0, (means - 0.75).abs() < 0.1
    assert (black | salted).all()
    assert abs(int(black.sum()) - 200) < 35
