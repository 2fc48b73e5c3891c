"""From a recipe to its parts: the clips, and the model with its adapter."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from holdsteady.adapters.files import load_adapter
from holdsteady.adapters.presets import DEFAULT_KIND
from holdsteady.corruptions import open_corruption
from holdsteady.data import Mixture
from holdsteady.errors import ConfigError, ModelError
from holdsteady.host.attach import stabilize
from holdsteady.host.stabilized import StabilizedModel
from holdsteady.models.sizes import try_model
from holdsteady.training.clips import VALIDATION_SEED, CorruptedClips, open_sources
from holdsteady.training.recipe import Recipe
from holdsteady.training.unroll import Objective, Unroll


def make_unroll(recipe: Recipe, model: Any, example: torch.Tensor) -> Unroll:
    """The model with its adapter, ready to be run over clips."""
    if isinstance(model, nn.Module):
        model = model.to(memory_format=torch.channels_last)
        for parameter in model.parameters():
            parameter.requires_grad_(recipe.train != "adapter")
    elif recipe.train != "adapter":
        raise ConfigError(f"train = {recipe.train}: {recipe.model} is a function, whose weights can't be trained")
    stride = _stride(model, example)
    for name, side in (("data", recipe.data.crop), ("validation", recipe.validation.crop)):
        if side % stride:
            near = stride * max(1, round(side / stride))
            raise ConfigError(f"{name}.crop = {side}: {recipe.model} takes sides divisible by {stride}; use {near}")
    steady = _attach(recipe, model, example)
    # A base that is trained must not be its own teacher.
    teacher = model if recipe.train == "adapter" else copy.deepcopy(model).requires_grad_(False)
    return Unroll(steady, _objective(recipe), teacher, trains_base=recipe.train != "adapter")


def make_rivals(recipe: Recipe, model: Any) -> dict[str, Unroll]:
    """What the weights are held to, and what anybody has without training: no adapter, and *motion-fixed*."""
    objective = replace(_objective(recipe), features=())
    names = ("none", "motion-fixed", str(recipe.validation.hold))
    return {name: Unroll(stabilize(model, name), objective, model) for name in names}


def _objective(recipe: Recipe) -> Objective:
    asked = recipe.objective
    features = tuple(asked.features.items())
    return Objective(asked.target, asked.distance, asked.stability, asked.motion_compensated, features, asked.fit)


def _stride(model: Any, example: torch.Tensor) -> int:
    try:
        return try_model(model, example).multiple
    except ModelError as error:
        raise ModelError(f"the model can't be trained on crops: {error}") from error


def _attach(recipe: Recipe, model: Any, example: torch.Tensor) -> StabilizedModel:
    if recipe.train == "base":
        return StabilizedModel(model, ())
    if isinstance(recipe.adapter, dict):
        settings = dict(recipe.adapter)
        steady = stabilize(model, settings.pop("kind", DEFAULT_KIND), example=example, **settings)
    elif Path(recipe.adapter).exists():
        steady = stabilize(model, load_adapter(recipe.adapter))
    else:
        steady = stabilize(model, recipe.adapter, example=example)
    if not any(p.numel() for p in steady.parameters()):
        raise ConfigError(f"adapter = {recipe.adapter}: this kind has nothing to learn")
    return steady


def open_clips(recipe: Recipe) -> CorruptedClips:
    data = recipe.data
    sources = open_sources(data.sources, length=data.length, crop=data.crop, flip=data.flip)
    size = recipe.steps * recipe.batch
    mixture = Mixture(sources, [s.weight for s in data.sources], seed=recipe.seed, size=size)
    return CorruptedClips(mixture, open_corruption(recipe.corruption), recipe.seed, data.steadied)


def open_watched(recipe: Recipe) -> CorruptedClips:
    """The clips of the validations, from their sources in turn."""
    watch = recipe.validation
    recipes = watch.sources or recipe.data.sources
    sources = open_sources(recipes, length=watch.length, crop=watch.crop, flip=False)
    seed = recipe.seed + VALIDATION_SEED
    mixture = Mixture(sources, [s.weight for s in recipes], seed=seed, size=watch.clips, in_turn=True)
    return CorruptedClips(mixture, open_corruption(recipe.corruption), seed, recipe.data.steadied)


def names_of_watched(recipe: Recipe) -> tuple[str, ...]:
    """What each clip of the validations is called: by its video, where its source is one."""
    recipes = recipe.validation.sources or recipe.data.sources
    names = [Path(one.paths[0]).name if len(one.paths) == 1 else one.kind for one in recipes]
    return tuple(names[number % len(names)] for number in range(recipe.validation.clips))
