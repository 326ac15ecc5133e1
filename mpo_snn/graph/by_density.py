"""A convolution, or a product with a matrix, that goes over to events while its input is sparse.

Which way is faster depends on the share of the input that is not zero. The dense operation is the
definition: it runs first, and events take over only where they have given every bit of what it gave
for an input of the same shape, drawn for that. In which order an operation adds up depends on its
shape and on the processor, not on values, so that results, spikes and counts do not change with the
way. Where there are several orders to choose from, the first that gives the bits is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mpo_snn.kernels.event_conv import EventConv, is_available
from mpo_snn.kernels.event_linear import EventLinear, depths

from .kinds import kind_of
from .ops import Operation, affine, convolution, convolution_kernel, operation, product

ByEvents = Callable[[Tensor], tuple[Tensor, int]]
"""Gives the output and how many events there were."""

ENTER, LEAVE = 0.45, 0.5
"""Densities below which events take over, and above which they give back. They are as fast as the
dense convolution at 0.4 to 0.55 (3x3, 32 to 512 channels; benchmarks/README.md), and as the dense
product above that, in layers of 100 inputs and more."""
LEAST_CHANNELS, LEAST_OUTPUTS = 16, 32
"""Of a group: with fewer, or with dilation, the way through the window costs more than the sums."""
LEAST_INPUTS, LEAST_OF_A_CALL = 128, 2**20
"""Inputs of a product with a matrix, and products of single values in a call: with fewer the dense
one is done before events are found."""
DRAWN = 0.3
"""Density of an input that is drawn to hold both ways against each other."""
LOOKED_AT = 8
"""Of a chunk's samples and timesteps, while dense: enough to tell one density from another."""
WORTH = 2**34
"""Products that a layer has done densely before events are tried: numba takes a second to load."""


class ByDensity:
    """An operation on [N, *features] dense, or by events.

    Args:
        dense: the definition.
        ways: the same by events, in every order in which the dense one may add up.
        products: of one sample, dense.
        worth: products to be done densely before events are tried; None is `WORTH`.
        least: products of a call; one with fewer is dense.
    """

    def __init__(
        self,
        dense: Operation,
        ways: Sequence[ByEvents],
        products: int,
        worth: int | None = None,
        least: int = 0,
    ) -> None:
        """Begin dense."""
        self.worth, self.least = WORTH if worth is None else worth, least
        self.dense = dense
        self.ways = ways
        self.products = products
        self.is_on_events = False
        self.has_run_on_events = False
        self._done = 0
        self._same: dict[tuple[int, ...], ByEvents | None] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """Compute."""
        products = self.products * len(x)
        if products < self.least:
            return self.dense(x)
        case = (*x.shape, torch.get_num_threads(), torch._C._get_mkldnn_enabled())
        by_events = self._same.get(case) if self.is_on_events else None
        if by_events is not None:
            y, found = by_events(x)
            self.has_run_on_events = True
            self.is_on_events = found <= LEAVE * x.numel()
            return y
        y = self.dense(x)
        self._done += products
        if self._done >= self.worth and is_available():
            self.is_on_events = density_of(x) < ENTER
            if self.is_on_events and case not in self._same:
                self._try(x, case)
        return y

    def _try(self, x: Tensor, case: tuple[int, ...]) -> None:
        """Note which way agrees in every bit on a drawn input like x, unless most of that is 0."""
        draw = torch.Generator().manual_seed(0)
        drawn = torch.empty_like(x).uniform_(generator=draw)
        drawn = drawn * (torch.empty_like(x).uniform_(generator=draw) < DRAWN)
        y = self.dense(drawn)
        if 10 * int(torch.count_nonzero(y)) > y.numel():
            same = (way for way in self.ways if torch.equal(way(drawn)[0], y))
            self._same[case] = next(same, None)


def density_of(x: Tensor) -> float:
    """The share that is not zero of some of the samples and timesteps, evenly spread."""
    some = x[:: -(-len(x) // LOOKED_AT)].movedim(1, -1)
    return float((some != 0).float().mean())


def operation_by_density(node: Any, shape: tuple[int, ...]) -> Operation | ByDensity:
    """Make the operation of a stateless node, in float32 on the CPU, as `ops.operation` does.

    Args:
        node: of the graph.
        shape: of its input, without N.
    """
    cpu = torch.device("cpu")
    if kind_of(node) in ("Affine", "Linear"):
        return _product(node, shape, cpu)
    if kind_of(node) not in ("Conv1d", "Conv2d"):
        return operation(node, shape, torch.float32, cpu)
    kernel = convolution_kernel(node, torch.float32, cpu)
    dense, window, weight = convolution(kernel), kernel.window, kernel.weight
    is_small = weight.shape[1] < LEAST_CHANNELS or len(weight) // window.groups < LEAST_OUTPUTS
    if is_small or max(window.dilation) > 1:
        return dense
    size = window.output_size(shape[1:] if len(shape) == 3 else (1, *shape[1:]))
    events = EventConv(weight, kernel.bias, window)
    return ByDensity(dense, [events], weight.numel() * math.prod(size))


def _product(node: Any, shape: tuple[int, ...], device: torch.device) -> Operation | ByDensity:
    weight, bias = affine(node, torch.float32, device)
    dense = product(weight, bias)
    if weight.ndim != 2 or len(weight) < LEAST_OUTPUTS or weight.shape[1] < LEAST_INPUTS:
        return dense
    events = EventLinear(weight, bias)
    ways = [partial(events, depth=depth) for depth in depths(events.inputs)]
    products = weight.numel() * math.prod(shape[:-1])
    return ByDensity(dense, ways, products, least=LEAST_OF_A_CALL)
