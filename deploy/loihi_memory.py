r"""Input axons and synapse memory of a core, as nengo-loihi 1.1.0 lays them out.

A list of n synapses is stored in pieces of 64, each with 10 bits in front and rounded up to words
of 64 bits: :math:`\lceil (n (8 + \text{index}) + 10) / 64 \rceil` words for a piece
(``SynapseConfig.bits_per_axon``).

- Dense: an axon for every source neuron. A list names its targets (index bits) or has one weight
  for every neuron of the core (none), whichever is less in all. Neurons in one pooling window share
  a list.
- Convolution: an axon for every source pixel, its channels told apart by the spike. Pixels with the
  same reach within the kernel share a list, moved by an offset below 256
  (``conv.conv2d_loihi_weights``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .layers import Projection
from .loihi_tiles import Tile, solid

INDEX_BITS = (0, 6, 7, 8, 9, 10, 11, 12)
_PIECE, _WORD, _HEADER, _MOST_OFFSET = 64, 64, 10, 256


@dataclass(frozen=True)
class CoreMemory:
    """What a projection takes of a core.

    Attributes:
        axons: that arrive.
        words: of synapse memory, 64 bits each.
    """

    axons: int
    words: int


def list_words(synapses: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Words that lists of so many synapses take, with so many bits for a synapse."""
    whole, rest = np.divmod(synapses, _PIECE)
    words = whole * -(-(_PIECE * bits + _HEADER) // _WORD)
    last: NDArray[np.int64] = words + np.where(rest > 0, -(-(rest * bits + _HEADER) // _WORD), 0)
    return last


def index_bits(neurons: int) -> int:
    """Bits that name one neuron of a core; 12 at most, also where that is too few."""
    return next((bits for bits in INDEX_BITS if neurons <= 1 << bits), INDEX_BITS[-1])


def core_memory(projection: Projection, tile: Tile, weight_bits: int) -> CoreMemory:
    """What a projection takes of a core that holds a block of its targets."""
    if projection.kind == "dense":
        return _dense(projection, tile, weight_bits)
    return _convolution(projection, tile, weight_bits)


def _dense(projection: Projection, tile: Tile, weight_bits: int) -> CoreMemory:
    shape = solid(projection.output_shape)
    there = (projection.weight != 0).reshape(*shape, -1)[tile.slices].flatten(0, 2)
    counts = there.sum(0).numpy()
    used = int((counts > 0).sum())
    named = int(list_words(counts, weight_bits + index_bits(tile.size)).sum())
    plain = used * int(list_words(np.array(tile.size), weight_bits))
    window = projection.pool[0] * projection.pool[1]
    return CoreMemory(used * window, min(named, plain))


def _convolution(projection: Projection, tile: Tile, weight_bits: int) -> CoreMemory:
    channels, _, width = tile.shape
    row_of, row_masks, rows = _patterns(projection, 0, tile.rows)
    column_of, column_masks, columns = _patterns(projection, 1, tile.columns)
    # Pixels of the pooled map that reach the core, and where their first target is.
    offsets = (rows[:, None] * width + columns) * channels // _MOST_OFFSET
    kinds = np.stack(np.broadcast_arrays(row_of[:, None], column_of, offsets), -1)
    used = (row_of[:, None] >= 0) & (column_of >= 0)
    lists = np.unique(kinds[used], axis=0)
    # Weights that are there, summed over the channels of both sides: (kernel height, width).
    there = (projection.weight[slice(*tile.channels)] != 0).sum((0, 1)).double()
    sizes = row_masks @ there @ column_masks.T
    synapses = sizes.numpy().astype(np.int64)[lists[:, 0], lists[:, 1]]
    high, wide = (masks.sum(1).long().numpy() for masks in (row_masks, column_masks))
    span = ((high[lists[:, 0]] - 1) * width + wide[lists[:, 1]]) * channels
    farthest = int((lists[:, 2] * _MOST_OFFSET + span).max(initial=0))
    words = list_words(synapses, weight_bits + index_bits(farthest))
    window = projection.pool[0] * projection.pool[1]
    return CoreMemory(int(used.sum()) * window, int(words.sum()))


def _patterns(
    projection: Projection, axis: int, part: tuple[int, int]
) -> tuple[NDArray[np.int64], Tensor, NDArray[np.int64]]:
    """Along rows or columns: which kernel lines each source line meets in a block.

    Returns:
        pattern of each line of the pooled map (-1 for none); kernel lines of each pattern, 0 or 1,
        float64 (patterns, side); the first target of each line, from the start of the block.
    """
    side = projection.weight.shape[2 + axis]
    stride, padding = projection.stride[axis], projection.padding[axis]
    lines = np.arange(projection.pooled_shape[1 + axis])[:, None]
    target = lines + padding - np.arange(side)
    meets = (target % stride == 0) & (target // stride >= part[0]) & (target // stride < part[1])
    masks, pattern = np.unique(meets, axis=0, return_inverse=True)
    pattern = np.where(meets.any(1), pattern.reshape(-1), -1)
    first = np.where(meets, target // stride - part[0], part[1]).min(1)
    return pattern, torch.from_numpy(masks.astype(np.float64)), first
