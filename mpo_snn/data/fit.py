"""Samples as a foreign graph takes them: in its shape, times a factor."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mpo_snn.data.dataset import Dataset, Samples
from mpo_snn.errors import DataError


@dataclass(frozen=True)
class Fitted:
    """Samples in another shape, times a factor.

    Attributes:
        samples: as the data set has them.
        features: shape of one of them here, with its time axis if it has one.
        factor: what they are multiplied by.
    """

    samples: Samples
    features: tuple[int, ...]
    factor: float

    @property
    def shape(self) -> torch.Size:
        """(N, *features)."""
        return torch.Size((len(self.samples), *self.features))

    def __len__(self) -> int:
        """N."""
        return len(self.samples)

    def __getitem__(self, which: slice | list[int]) -> Tensor:
        """These samples, (len(which), *features)."""
        x = self.samples[which]
        x = x.reshape(len(x), *self.features)
        return x if self.factor == 1.0 else x * self.factor


SCALES = "a finite number other than 0, from 1e-30 to 1e30 in size"
"""What the samples can be multiplied by."""


def is_scale(factor: float) -> bool:
    """Whether samples can be multiplied by this; float32 holds no more."""
    return 1e-30 <= abs(factor) <= 1e30


def fit_dataset(dataset: Dataset, input_shape: tuple[int, ...], factor: float = 1.0) -> Dataset:
    """The data set with its evaluated samples as a graph takes them.

    They are flattened, channels first, for a graph that takes one axis of as many values, and
    axes of length 1 come and go; any other shape is left for the caller to refuse.

    Args:
        dataset: what is there.
        input_shape: of the graph, without batch and time.
        factor: what all values are multiplied by; the description of the scaling says so.

    Raises:
        DataError: if the factor is 0, NaN or infinite, or leaves what float32 holds.
    """
    if not is_scale(factor):
        raise DataError(f"the input scale is {factor:g}, allowed is {SCALES}.")
    found = dataset.input_shape
    is_flat = len(input_shape) == 1 and math.prod(found) == input_shape[0]
    same_core = [n for n in found if n != 1] == [n for n in input_shape if n != 1]
    shape = input_shape if is_flat or same_core else found
    if shape == found and factor == 1.0:
        return dataset
    values = dataset.input_scaling if factor == 1.0 else f"{factor:g} * ({dataset.input_scaling})"
    words = values if shape == found else f"{values}, {found} as {shape}"
    time = tuple(dataset.test_x.shape[1:2]) if dataset.is_framed else ()
    fitted = Fitted(dataset.test_x, (*time, *shape), factor)
    return replace(dataset, test_x=fitted, input_scaling=words, value_scaling=values)
