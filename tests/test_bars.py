"""The table of bars: its scenarios are what their definitions say, and two small ones go through it end to end."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import bars
import measuring
import outcome
import pytest
import scenarios
import torch
from conftest import CLIPS
from scenarios import Clip, Moment, Scenario

from holdsteady import zoo
from holdsteady.errors import VideoError
from holdsteady.evaluation.contenders import BASE, Contender
from holdsteady.evaluation.evaluate import evaluate
from holdsteady.evaluation.footage import video_footage

CARPHONE = CLIPS / "carphone.mp4"
SMALL = Clip(CARPHONE, 2, 4, stride=3)
DRAWS = 600


def every_scenario(footage: Path) -> list[Scenario]:
    return [scenario for line in bars.lines(footage, footage) for scenario in line.scenarios]


def drawn(kind: str, value: float) -> torch.Tensor:
    """A flat picture of 4×4 pixels under many draws of flicker, (N, 3, 4, 4)."""
    generator = torch.Generator().manual_seed(1)
    flat = torch.full((1, 3, 4, 4), value)
    return torch.cat([scenarios.flicker(flat, kind, generator) for _ in range(DRAWS)])


def test_flicker_has_the_stated_standard_deviations() -> None:
    gains = (drawn("white balance", 0.25) / 0.25).log()
    assert gains.std() == pytest.approx(scenarios.WHITE_BALANCE, rel=0.1)
    assert (gains - gains[:, :, :1, :1]).abs().max() < 1e-5, "one gain per channel"
    assert (gains[:, 0] - gains[:, 1]).std() == pytest.approx(math.sqrt(2) * scenarios.WHITE_BALANCE, rel=0.1)

    exponents = (drawn("gamma", 0.25).log() / math.log(0.25)).log()
    assert exponents.std() == pytest.approx(scenarios.GAMMA, rel=0.1)
    assert (exponents - exponents[:, :1, :1, :1]).abs().max() < 1e-5, "one exponent per frame"

    field = (drawn("field", 0.25) / 0.25).log()
    assert field.std() == pytest.approx(scenarios.FIELD, rel=0.1)
    assert (field - field[:, :1]).abs().max() < 1e-5, "the same for all channels"
    assert (field[:, 0, 0, 0] * field[:, 0, 3, 3]).mean().abs() < 0.1 * scenarios.FIELD**2, "places are independent"


def test_mixed_flicker_is_the_three_in_turn() -> None:
    picture = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    mixed = scenarios.flicker(picture, "mixed", torch.Generator().manual_seed(5))
    generator = torch.Generator().manual_seed(5)
    for kind in ("white balance", "gamma", "field"):
        picture = scenarios.flicker(picture, kind, generator)
    torch.testing.assert_close(mixed, picture)


def test_a_clip_takes_the_frames_it_states() -> None:
    every = list(Clip(CARPHONE, count=20).frames())
    torch.testing.assert_close(torch.cat(list(SMALL.frames())), torch.cat(every[2:14:3]), rtol=0, atol=0)
    middle, half = Clip(CLIPS / "bikes_cuts.mp4", 0, 2, crop=True), Clip(CARPHONE, 0, 2, half=True)
    assert [frame.shape for frame in middle.frames()] == 2 * [(1, 3, 136, 320)]
    assert [frame.shape for frame in half.frames()] == 2 * [(1, 3, 72, 88)]
    with pytest.raises(VideoError, match="ends 1 frames before the 21"):
        list(Clip(CARPHONE, count=21).frames())


def test_a_fade_falls_in_even_steps_and_its_noise_is_as_stated() -> None:
    plain, with_noise = (list(scenarios.fade("fade", SMALL, sigma).play()) for sigma in (0.0, 0.02))
    for moment, frame, light in zip(plain, SMALL.frames(), (1, 0.75, 0.5, 0.25), strict=True):
        torch.testing.assert_close(moment.frame, frame * light)
        assert moment.truth is not None and torch.equal(moment.output, moment.truth)
    noise = torch.cat([one.output - other.output for one, other in zip(with_noise, plain, strict=True)])
    assert noise.std() == pytest.approx(0.02, rel=0.01)


def test_a_switch_and_a_cut_come_at_the_frame_that_is_measured() -> None:
    switched = list(scenarios.light_switch("light", Clip(CARPHONE, count=8)).play())
    levels = [moment.frame.mean().item() for moment in switched]
    assert max(levels[:6]) < 0.5 * min(levels[6:])
    cut = list(scenarios.cut("cut", Clip(CARPHONE, count=8), Clip(CARPHONE, 10, 8)).play())
    assert torch.equal(cut[6].frame, next(Clip(CARPHONE, 10, 1).frames())) and len(cut) == 8
    score = measuring.MomentScore()
    for number, moment in enumerate(cut):
        score.update(moment, moment.output + (0.1 if number == 6 else 0))
    # A little more than 20 dB where the sum is clamped to 1.
    assert score.compute()["psnr"] == pytest.approx(20, abs=0.5)


def test_playing_twice_gives_the_same() -> None:
    for scenario in (
        scenarios.noisy("noise", SMALL, 0.1),
        scenarios.wide_flicker("mixed", SMALL, "mixed"),
        scenarios.wide_flicker("mixed", SMALL, "mixed").blind(),
    ):
        for one, other in zip(scenario.play(), scenario.play(), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))


def test_blind_hides_the_input() -> None:
    scenario = scenarios.wide_flicker("gamma", SMALL, "gamma")
    for known, blind in zip(scenario.play(), scenario.blind().play(), strict=True):
        assert torch.equal(blind.frame, known.output) and not torch.equal(blind.frame, known.frame)


def test_figures_are_those_of_an_evaluation() -> None:
    """The same noise, base and adapter as ``holdsteady eval`` has, and the same PSNR and flicker error."""
    contenders = [BASE, Contender("motion-fixed", "motion-fixed", math.nan, "motion-fixed")]
    spec = f"gaussian:sigma={50 / 255:.8f}"
    network, clip = zoo.load("denoise"), video_footage(str(CARPHONE), 3)
    rows = evaluate(network, contenders, [clip], corruptions=[spec], target="frames")
    scenario = scenarios.denoised("carphone", Clip(CARPHONE, count=3), number=0)
    found, refused = measuring.measure(scenario, ["motion-fixed"], measuring.PictureScore)
    assert not refused
    for row, figures in zip(rows, found.values(), strict=True):
        assert figures["psnr"] == pytest.approx(row.figures["psnr"], abs=1e-3)
        assert figures["flicker"] == pytest.approx(100 * row.figures["flicker_error"], abs=1e-3)


def test_class_flips_of_a_mask_are_counted() -> None:
    frame = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    score = measuring.ClassScore()
    for flipped in (0, 12, 12):  # columns of the mask that are on
        mask = (torch.arange(64) < flipped).float().expand(1, 1, 48, 64)
        score.update(Moment(frame, mask, torch.zeros(1, 48, 64)), mask)
    figures = score.compute()
    assert figures["flips"] == pytest.approx(100 * 12 / 64 / 2, rel=0.15), "in one of two pairs; borders are not seen"
    assert figures["agreement"] == pytest.approx(100 * (1 - 2 / 3 * 12 / 64))


def test_two_small_scenarios_end_to_end(tmp_path: Path) -> None:
    clean = bars.Line("clean", "clean", [scenarios.clean("clean", SMALL)], ("psnr",), (bars.Limit("psnr", 20, 200),))
    flicker = scenarios.wide_flicker("wb", Clip(CARPHONE, count=4), "white balance")
    limits = (bars.at_most("ratio", 0.01, 2), bars.NO_LOSS)
    wide = bars.Line("wide", "wide", [flicker, flicker.blind()], bars.ALL, limits)
    gone = bars.Line("gone", "wide", [scenarios.clean("gone", Clip(tmp_path / "no.mp4"))], ("psnr",))
    adapters = ["motion-fixed", "output-fixed:1"]
    for line in (clean, wide, gone):
        bars.fill(line, adapters, None, {})
    base, steady, none = (wide.figures[name] for name in (measuring.BASE, *adapters))
    assert none["gain"] == 0 and none["ratio"] == 1, "β = 1 is the base"
    assert steady["ratio"] < 1 and steady["flicker"] == pytest.approx(steady["ratio"] * base["flicker"])
    each = [figures["motion-fixed"] for figures in wide.each.values()]
    assert steady["gain"] == pytest.approx((each[0]["gain"] + each[1]["gain"]) / 2)
    assert not gone.figures and "no.mp4" in gone.notes[0]

    rows = [clean, wide, gone, bars.worst([clean, wide, gone], adapters)]
    found = json.loads(json.dumps(bars.as_results(rows, adapters, outcome.facts(1))))
    printed = bars.table(found)
    assert "| wide |" in printed and "| gone |" not in printed and "no.mp4" in printed
    assert bars.cell(wide, "output-fixed:1").endswith("✗"), "a ratio of 1 misses the bar"
    assert rows[-1].figures["output-fixed:1"]["gain"] == 0
    cleared = {row["name"]: row["cleared"] for row in found["rows"]}
    assert cleared["clean"]["output-fixed:1"] and not cleared["wide"]["output-fixed:1"]


def test_an_adapter_that_refuses_is_named() -> None:
    """The denoiser's motion adapter was built for pictures, and not for logits."""

    def play() -> Iterator[Moment]:
        for moment in scenarios.clean("", SMALL).play():
            yield Moment(moment.frame, moment.output.repeat(1, 2, 1, 1), None)

    line = bars.Line("classes", "classes", [Scenario("classes", play)], ("flips",), (), measuring.ClassScore)
    bars.fill(line, ["nafnet16-noise-motion"], None, {})
    assert [*line.figures] == [measuring.BASE]
    assert "nafnet16-noise-motion refuses" in line.notes[0]
    assert bars.cell(line, "nafnet16-noise-motion") == "–"


def test_every_row_has_scenarios_of_its_own_name(tmp_path: Path) -> None:
    names = [scenario.name for scenario in every_scenario(tmp_path)]
    # The mean of the replays shares its three with their own rows.
    assert len({*names}) == len(names) - len(scenarios.REPLAYS)
    assert {line.group for line in bars.lines(tmp_path, tmp_path)} == {*bars.GROUPS} - {"time"}


def test_steps_are_timed_over_flow_alone() -> None:
    line = bars.time_steps(scenarios.noisy("noise", Clip(CARPHONE, count=5), 0.03), ["motion-fixed"], 1)
    flow, step = (line.figures[name] for name in (measuring.BASE, "motion-fixed"))
    assert flow["ms"] > 0 and step["ratio"] == pytest.approx(step["ms"] / flow["ms"])
    assert "not measured" in bars.time_steps(scenarios.clean("gone", Clip(Path("no.mp4"))), [], 1).notes[0]


def test_tables_are_written_between_their_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    begin, end = outcome.markers("bars.py")
    page.write_text(f"# Bars\n\n{begin}\nold\n{end}\n\nAfter it.\n")
    outcome.write_into(page, "bars.py", "| new |")
    text = page.read_text()
    assert outcome.shown_in(text, "bars.py") == "| new |" and "old" not in text
    assert text.startswith("# Bars\n") and text.endswith("\nAfter it.\n")
    with pytest.raises(ValueError, match=r"<!-- peers.py writes this -->"):
        outcome.write_into(page, "peers.py", "")
    assert page.read_text() == text
