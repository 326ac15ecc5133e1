"""A layer as Speck has it: one convolution, whose input events come from one or several sources.

A dense layer is a convolution with a kernel as large as the map. Sources with the same weight share
its input channels, where their events add up; those with other weights get channels of their own
(the chip shifts channels on the way), and smaller kernels get rims of zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mpo_snn.errors import MpoError

from .layers import Layer, Projection
from .speck_core import SpeckSource

Map = tuple[int, int, int]
"""Channels, height, width."""


class NoConvolution(MpoError):
    """A layer that is no single convolution; `fix` says what would help."""

    def __init__(self, where: str, found: str, allowed: str, fix: str) -> None:
        """Keep the parts of a finding."""
        super().__init__(f"{where}: {found}; allowed is {allowed}: {fix}.")
        self.where, self.found, self.allowed, self.fix = where, found, allowed, fix


@dataclass(frozen=True)
class Convolution:
    """What drives a layer.

    Attributes:
        sources: one for every projection of the layer, in their order.
        weight: float64, (out, in, height, width), in the layer's own units.
        stride: (height, width).
        padding: (height, width).
        input_shape: of the events that arrive, behind pooling and shift.
        output_shape: of the neurons; (N,) is (N, 1, 1).
    """

    sources: tuple[SpeckSource, ...]
    weight: Tensor
    stride: tuple[int, int]
    padding: tuple[int, int]
    input_shape: Map
    output_shape: Map


def as_convolution(layer: Layer) -> Convolution:
    """All projections of a layer in one.

    Raises:
        NoConvolution: if their strides, maps or kernels do not go together.
    """
    kernels = [_kernel(projection) for projection in layer.projections]
    if not kernels:
        raise NoConvolution(
            layer.name, "a layer without a source", "one source or more", "connect or remove it"
        )
    weights = [kernel.weight for kernel in kernels]
    sides = max((tuple(w.shape[2:]) for w in weights), key=lambda side: side[0] * side[1])
    first = next(k for k in kernels if tuple(k.weight.shape[2:]) == sides)
    for projection, kernel in zip(layer.projections, kernels, strict=True):
        _require_alike(projection, kernel, first, sides)
    blocks: list[tuple[int, Tensor]] = []
    sources = []
    for projection, kernel in zip(layer.projections, kernels, strict=True):
        weight = _with_rim(kernel.weight, sides)
        shift = next((at for at, block in blocks if torch.equal(block, weight)), None)
        if shift is None:
            shift = sum(block.shape[1] for _, block in blocks)
            blocks.append((shift, weight))
        sources.append(SpeckSource(projection.source, projection.pool, shift))
    weight = torch.cat([block for _, block in blocks], dim=1)
    return Convolution(
        tuple(sources),
        weight,
        first.stride,
        first.padding,
        (weight.shape[1], *first.pooled[1:]),
        map_of(layer.shape),
    )


def weights_of(layer: Layer, convolution: Convolution, weight: Tensor) -> tuple[Tensor, ...]:
    """The weight of every projection, in its own shape, out of that of the convolution."""
    found = []
    for source, projection in zip(convolution.sources, layer.projections, strict=True):
        own = _kernel(projection).weight
        part = weight[:, source.shift : source.shift + own.shape[1]]
        top, left = ((part.shape[axis] - own.shape[axis]) // 2 for axis in (2, 3))
        part = part[:, :, top : top + own.shape[2], left : left + own.shape[3]]
        found.append(part.reshape(projection.weight.shape))
    return tuple(found)


def map_of(shape: tuple[int, ...]) -> Map:
    """A shape as channels, height, width: N neurons are channels of one pixel."""
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    size = 1
    for side in shape:
        size *= side
    return size, 1, 1


@dataclass(frozen=True)
class _Kernel:
    weight: Tensor
    stride: tuple[int, int]
    padding: tuple[int, int]
    pooled: Map


def _kernel(projection: Projection) -> _Kernel:
    pooled = map_of(projection.pooled_shape)
    if projection.kind == "convolution":
        return _Kernel(projection.weight, projection.stride, projection.padding, pooled)
    weight = projection.weight.reshape(-1, *pooled)
    return _Kernel(weight, (1, 1), (0, 0), pooled)


def _with_rim(weight: Tensor, sides: tuple[int, ...]) -> Tensor:
    down, across = ((side - own) // 2 for side, own in zip(sides, weight.shape[2:], strict=True))
    return functional.pad(weight, (across, across, down, down))


def _require_alike(
    projection: Projection, kernel: _Kernel, first: _Kernel, sides: tuple[int, ...]
) -> None:
    """Whether a kernel with a rim of zeros does what it did without."""
    own, rims = tuple(kernel.weight.shape[2:]), []
    for axis in (0, 1):
        rim = first.padding[axis] - kernel.padding[axis]
        rims.append(sides[axis] - own[axis] == 2 * rim and rim >= 0)
    if kernel.pooled[1:] != first.pooled[1:] or kernel.stride != first.stride or not all(rims):
        raise NoConvolution(
            projection.node,
            f"a kernel of {_by(own)}, stride {_by(kernel.stride)}, padding {_by(kernel.padding)} on"
            f" {_by(kernel.pooled[1:])} pixels, beside one of {_by(sides)}, {_by(first.stride)},"
            f" {_by(first.padding)} on {_by(first.pooled[1:])} into the same layer",
            "one convolution per core: equal strides, equal maps, and kernels about one centre",
            "make the branches alike, or put neurons behind each",
        )


def _by(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))
