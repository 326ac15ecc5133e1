"""Windows and convolutions unrolled into matrices, for chips that hold single weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from .layers import ChipGraph, Projection
from .project import project


def dense_matrix(projection: Projection) -> Tensor:
    """Any projection as one matrix over all neurons, (out, in), pooling included.

    Made by sending every unit vector through the map: what a chip without convolutions holds.
    """
    size = int(np.prod(projection.source_shape))
    units = torch.eye(size, dtype=torch.float64).reshape(size, *projection.source_shape)
    return project(projection, projection.weight, units).flatten(1).T.contiguous()


def as_dense(graph: ChipGraph) -> ChipGraph:
    """The same network with a matrix in the place of every pooling and convolution."""
    layers = []
    for layer in graph:
        dense = tuple(
            replace(
                projection,
                kind="dense",
                weight=dense_matrix(projection),
                pool=(1, 1),
                stride=(1, 1),
                padding=(0, 0),
            )
            for projection in layer.projections
        )
        layers.append(replace(layer, projections=dense))
    return replace(graph, layers=tuple(layers))
