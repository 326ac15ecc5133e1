"""A data set as a graph takes it: with the file's own settings of the data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpo_snn.data import load_dataset
from mpo_snn.data.class_names import refuse_other_classes
from mpo_snn.data.fit import fit_dataset
from mpo_snn.data.settings import settings_shown

if TYPE_CHECKING:
    from torch import Tensor

    from mpo_snn.data.dataset import Dataset
    from mpo_snn.graph.metadata import GraphMetadata
    from mpo_snn.inference import Inference


def load_for_graph(
    inference: Inference,
    metadata: GraphMetadata | None,
    input_shape: tuple[int, ...],
    *,
    path: str | None = None,
    samples: int | None = None,
    normalize: bool = False,
    scale: float = 1.0,
    validation: float | None = None,
    cache: str | None = None,
) -> Dataset:
    """Load what a graph is to be run on.

    Args:
        inference: how it is run, and the name of the data set.
        metadata: what its file says, of this data set or another; None for a foreign file.
        input_shape: of one sample as the graph takes it.
        path: where the data is.
        samples: how many of the split at most, every class in its share; None takes all.
        normalize: as `data.normalize` in a recipe, also where the file does not say so.
        scale: what the samples are multiplied by.
        validation: as `data.validation` in a recipe; None leaves what the file says.
        cache: folder in which shards of an address are kept.

    Raises:
        RecipeError: if a setting is out of range.
        DataError: if the data cannot be had, the scale is out of range, or it is by name the data
            set that the graph was made for and names its classes otherwise.
    """
    stated = (metadata.dataset, metadata.data) if metadata else (None, None)
    settings = settings_shown(inference.dataset, path, *stated).limited(samples)
    settings = replace(settings, cache=cache)
    if validation is not None:
        settings = replace(settings, validation=validation)
    if normalize:
        settings = replace(settings, normalize=True)
    dataset = load_dataset(settings, inference.timesteps, train=False)
    if metadata is not None and metadata.dataset == inference.dataset:
        refuse_other_classes(dataset.name, dataset.class_names, metadata.class_names)
    return fit_dataset(dataset, input_shape, scale)


@dataclass(frozen=True)
class Calibration:
    """Samples of the training split.

    Attributes:
        x: (N, *features), as data has them.
        index: place of each in the training split, from 0, int64, (N,).
    """

    x: Tensor
    index: Tensor


def load_calibration(
    inference: Inference,
    metadata: GraphMetadata | None,
    samples: int,
    *,
    path: str | None = None,
    scale: float = 1.0,
) -> Calibration:
    """Samples of the training split, every class in its share.

    Args:
        inference: how the graph is run, and the name of the data set.
        metadata: what its file says; None for a foreign file.
        samples: how many at most, >= 1.
        path: where the data is.
        scale: what the samples are multiplied by.

    Raises:
        RecipeError: if a setting is out of range.
        DataError: if the data cannot be had.
    """
    stated = (metadata.dataset, metadata.data) if metadata else (None, None)
    settings = settings_shown(inference.dataset, path, *stated)
    dataset = load_dataset(replace(settings, train_limit=samples), inference.timesteps)
    index = dataset.train_index
    assert index is not None, "load_dataset says where its samples lie"
    return Calibration(dataset.train_x[: len(index)] * scale, index)
