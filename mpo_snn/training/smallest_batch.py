"""Batches of one sample, of which batchnorm cannot take a variance."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from mpo_snn.errors import RecipeError
from mpo_snn.training.recipe import Recipe
from mpo_snn.unroll import Unrolled


def refuse_lonely_samples(
    recipe: Recipe, network: nn.Module, step_shape: Sequence[int], samples: int, parts: int = 1
) -> None:
    """Refuse a training whose smallest batch holds too little for the network's batchnorms.

    A batchnorm needs two values of a channel: more than one sample, timestep or place in the image.
    A copy of the network is tried on the smallest batch, if that is a single sample.

    Args:
        recipe: its batch size and timesteps count.
        network: one timestep, in training mode.
        step_shape: shape of its input at one timestep.
        samples: in the training split.
        parts: processes that normalise by their own samples.

    Raises:
        RecipeError: saying which setting to change.
    """
    size = recipe.optimizer.batch_size
    if samples // max(1, -(-samples // size)) // parts != 1:
        return
    steps = min(recipe.timesteps_in(epoch) for epoch in range(recipe.epochs))
    unrolled = Unrolled(copy.deepcopy(network), steps, recipe.batchnorm, events=False)
    x = torch.zeros(1, *step_shape).expand(steps, 1, *step_shape)
    if recipe.encoding != "direct":
        x = x.clone()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            unrolled(x)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        each = f" in each of {parts} processes" if parts > 1 else ""
        raise RecipeError(
            f"cannot train {samples} samples in batches of {size}: the smallest batch has one"
            f" sample{each}, and batchnorm needs two values of a channel. Use an"
            " optimizer.batch_size of 3 or more for each process and a data.train_limit of 2 or"
            " more, or more timesteps."
        ) from error
