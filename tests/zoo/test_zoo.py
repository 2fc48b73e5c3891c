"""What ships with the package is there, small, and does what it says."""

import json
import re
from itertools import islice
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from safetensors import safe_open
from torchmetrics.functional.image import peak_signal_noise_ratio

import holdsteady as hs
from holdsteady import zoo
from holdsteady.corruptions import make_corruption
from holdsteady.data import CLASSES, make_source
from holdsteady.host.resolve import SHIPPED
from holdsteady.metrics import VideoScores
from holdsteady.models.card import ModelCard
from holdsteady.models.detail import enhance_details
from holdsteady.report.variants import run_variant
from holdsteady.video import RunOptions, open_video, run, upright_tensors

FOLDER = Path(zoo.__file__).parent
RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize("name", zoo.MODELS)
def test_every_model_loads_and_gives_what_its_card_says(name: str) -> None:
    entry, model = zoo.MODELS[name], zoo.load(name)
    assert entry.file.stat().st_size < 5e6
    with safe_open(entry.file, "pt") as file:
        assert set(file.keys()) == set(model.state_dict())
    assert not model.training
    torch.manual_seed(0)
    frame = torch.rand(1, 3, 48, 64)
    with torch.inference_mode():
        out = model(frame)
    card = entry.card or ModelCard()
    channels = {None: 3, "image": 3, "depth": 1, "classes": len(CLASSES)}[card.kind]
    larger = int(card.scale or 1)
    assert out.shape == (1, channels, 48 * larger, 64 * larger)
    assert out.isfinite().all()
    # It is trained: what it gives depends on what it sees.
    assert out.std() > 1e-2


def test_every_model_has_its_card_and_an_alias_means_the_same_model() -> None:
    text = (FOLDER / "CARDS.md").read_text(encoding="utf-8")
    for name in (*zoo.MODELS, *SHIPPED):
        assert re.search(rf"^(## .*\b|\| `){name}\b", text, flags=re.MULTILINE), name
    for old, new in zoo.ALIASES.items():
        assert set(zoo.load(old).state_dict()) == set(zoo.load(new).state_dict())


def test_models_do_their_task_on_a_clip_that_none_was_trained_on(tmp_path: Path) -> None:
    with open_video(str(zoo.DEMO_CLIP)) as reader:
        clean = torch.cat(list(islice(upright_tensors(reader), 4)))
    with torch.inference_mode():
        small = torch.nn.functional.avg_pool2d(clean, 2)
        plain = torch.nn.functional.interpolate(small, scale_factor=2, mode="bicubic")
        restored = zoo.load("upscale2")(small)
    assert psnr(restored, clean) > psnr(plain, clean) + 1.5
    filtered = enhance_details(clean)
    with torch.inference_mode():
        assert psnr(zoo.load("enhance")(clean), filtered) > psnr(clean, filtered) + 3
    noise = make_corruption("gaussian:sigma=0.19607843").start(torch.Generator().manual_seed(0))
    how = RunOptions(crf=23, duration=0.14, cuts="off")
    run(str(zoo.DEMO_CLIP), str(tmp_path / "noisy.mp4"), noise, how, on_cut=lambda: None)
    with open_video(str(tmp_path / "noisy.mp4")) as reader, torch.inference_mode():
        noisy = torch.cat(list(islice(upright_tensors(reader), 4)))
        figures = {name: psnr(zoo.load(name)(noisy), clean) for name in ("denoise", "denoise-video")}
    assert figures["denoise-video"] > max(figures["denoise"], psnr(noisy, clean)) + 4


def psnr(image: torch.Tensor, truth: torch.Tensor) -> float:
    return peak_signal_noise_ratio(image.clamp(0, 1), truth, data_range=1.0).item()


def test_scenes_are_understood_of_textures_that_no_training_saw(tmp_path: Path) -> None:
    with open_video(str(zoo.DEMO_CLIP)) as reader:
        for number, frame in enumerate(islice(reader, 0, 120, 40)):
            Image.fromarray(frame.pixels).save(tmp_path / f"{number}.png")
    scene = make_source("scenes", tmp_path, length=8, crop=96).draw(torch.Generator().manual_seed(5))
    with torch.inference_mode():
        depth, logits = zoo.load("depth")(scene["frames"]), zoo.load("segment")(scene["frames"])
    known = scene["classes"] < 255
    assert (logits.argmax(dim=1) == scene["classes"])[known].float().mean() > 0.5
    wrong = (depth / scene["depth"] - 1).abs().nanmean()
    assert wrong < (scene["depth"].nanmedian() / scene["depth"] - 1).abs().nanmean()


def test_only_shipped_names_load() -> None:
    with pytest.raises(KeyError):
        zoo.load("nafnet99")


def test_demo_clip_is_small_and_readable() -> None:
    assert zoo.DEMO_CLIP.stat().st_size < 1e6
    with open_video(str(zoo.DEMO_CLIP)) as reader:
        assert (reader.info.width, reader.info.height) == (176, 144)
        assert sum(1 for _ in reader) == 120


def test_denoiser_denoises() -> None:
    with open_video(str(zoo.DEMO_CLIP)) as reader:
        clean = next(upright_tensors(reader))
    generator = torch.Generator().manual_seed(0)
    noisy = (clean + 50 / 255 * torch.randn(clean.shape, generator=generator)).clamp(0, 1)
    with torch.inference_mode():
        restored = zoo.load("denoise")(noisy).clamp(0, 1)
    before, after = (peak_signal_noise_ratio(picture, clean, data_range=1.0) for picture in (noisy, restored))
    assert after - before > 8


@pytest.mark.parametrize("name", sorted(set(SHIPPED) - {"universal"}))
def test_shipped_adapters_come_with_their_recipe(name: str) -> None:
    folder = SHIPPED[name]
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    shipped = yaml.safe_load((RECIPES / f"{name}.yaml").read_text())
    assert {key: recipe[key] for key in ("model", "adapter", "corruption", "steps", "seed")} == {
        key: shipped[key] for key in ("model", "adapter", "corruption", "steps", "seed")
    }
    steady = hs.stabilize(zoo.load(recipe["model"]), folder)
    assert steady.adapter(0).provenance["steps"] == str(recipe["steps"])


def test_universal_goes_with_any_model() -> None:
    folder = SHIPPED["universal"]
    assert (folder / "adapter.safetensors").stat().st_size < 200e3
    training = json.loads((folder / "training.json").read_text())
    assert training["files"]
    assert not [file for file in training["files"] if "carphone" in file or "cup" in file]
    generator = torch.Generator().manual_seed(0)
    still = torch.rand(1, 3, 8, 8, generator=generator).repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    for channels in (1, 3, 7):
        weights = torch.rand(channels, 3, 1, 1, generator=generator)
        steady = hs.stabilize(lambda frame, weights=weights: torch.nn.functional.conv2d(frame, weights), "universal")
        noisy = [still + 0.05 * torch.randn(still.shape, generator=generator) for _ in range(6)]
        outputs = [steady(frame) for frame in noisy]
        truth = torch.nn.functional.conv2d(still, weights)
        errors = [(output - truth).square().mean() for output in outputs]
        assert errors[-1] < 0.5 * errors[0]
    assert steady.adapter(0).provenance["recipe"] == "recipes/universal.py"


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("trained", ["nafnet16-noise-motion", "nafnet16-light"])
def test_a_trained_adapter_beats_its_base_and_on_what_it_was_trained_for_the_untrained_one(
    trained: str, holes: bool
) -> None:
    with open_video(str(zoo.DEMO_CLIP)) as reader:
        clean = [frame for frame, _ in zip(upright_tensors(reader), range(12), strict=False)]
    what = "gaussian:sigma=0.19607843" + ("+patch-drop" if holes else "")
    noise = make_corruption(what).start(torch.Generator().manual_seed(0))
    noisy = [noise(frame) for frame in clean]
    figures = {}
    for adapter in ("none", "motion-fixed", trained):
        scores = VideoScores()
        outputs, _ = run_variant(zoo.load("denoise"), adapter, noisy)
        for output, truth in zip(outputs, clean, strict=True):
            scores.update(output.clamp(0, 1), truth)
        figures[adapter] = scores.compute()
    base, fixed, best = figures.values()
    assert min(best["psnr"], fixed["psnr"]) > base["psnr"]
    assert max(best["flicker_error"], fixed["flicker_error"]) < base["flicker_error"]
    if not holes:
        assert best["psnr"] > fixed["psnr"]
    elif trained == "nafnet16-light":
        assert best["psnr"] > max(fixed["psnr"], base["psnr"] + 8), "it was trained for them"
