"""Blocks of a layer that one core may hold: ranges of channels, rows and columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import mul

from .layers import Layer, Projection

Range = tuple[int, int]
"""First index and the one behind the last."""


@dataclass(frozen=True)
class Tile:
    """A block of neurons; a flat layer has one row and one column.

    Attributes:
        channels: which channels, or which neurons of a flat layer.
        rows: which rows.
        columns: which columns.
    """

    channels: Range
    rows: Range
    columns: Range

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sides."""
        return _length(self.channels), _length(self.rows), _length(self.columns)

    @property
    def size(self) -> int:
        """How many neurons."""
        return reduce(mul, self.shape)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Into a tensor of three axes."""
        return slice(*self.channels), slice(*self.rows), slice(*self.columns)


def solid(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """A shape with three axes: (N,) becomes (N, 1, 1)."""
    channels, height, width = (*shape, 1, 1)[:3]
    return channels, height, width


def tilings(layer: Layer, most: int) -> Iterator[list[Tile]]:
    """Ways to cut a layer into blocks of at most `most` neurons, the fewest blocks first.

    Blocks are alike but for the last of each axis. Columns are cut only where a row is one block.
    """
    channels, height, width = solid(layer.shape)
    sides = [
        (c, h, w)
        for c in _sides(channels)
        for h in _sides(height)
        for w in (_sides(width) if h == 1 else [width])
        if c * h * w <= most
    ]
    sides.sort(key=lambda s: -(-channels // s[0]) * -(-height // s[1]) * -(-width // s[2]))
    for c, h, w in sides:
        yield [
            Tile(a, b, d)
            for a in _ranges(channels, c)
            for b in _ranges(height, h)
            for d in _ranges(width, w)
        ]


def pixels_reached(projection: Projection, target: Tile, source: Tile) -> int:
    """Pixels of a block of the source that reach a block behind a convolution, strides apart."""
    count = 1
    for axis, (wanted, held) in enumerate(
        zip((target.rows, target.columns), (source.rows, source.columns), strict=True)
    ):
        stride, padding = projection.stride[axis], projection.padding[axis]
        pool, side = projection.pool[axis], projection.weight.shape[2 + axis]
        whole = projection.pooled_shape[1 + axis]
        first = max(wanted[0] * stride - padding, 0) * pool
        behind = min((wanted[1] - 1) * stride - padding + side, whole) * pool
        count *= max(min(behind, held[1]) - max(first, held[0]), 0)
    return count


def _sides(length: int) -> list[int]:
    """Sides of blocks that cut a length into 1, 2, 3, ... parts, without repeats."""
    return sorted({-(-length // parts) for parts in range(1, length + 1)}, reverse=True)


def _ranges(length: int, side: int) -> list[Range]:
    return [(first, min(first + side, length)) for first in range(0, length, side)]


def _length(part: Range) -> int:
    return part[1] - part[0]
