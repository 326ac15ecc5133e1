"""A convolution that visits only what is not zero: events, with their value.

For every output pixel the weights of the events in its window are added to the sums of a block of
output channels; what is zero is never touched, so that time goes with the density of the input. The
sums are those of a dense convolution over channels-last memory as oneDNN does it (`ORDER`), bit for
bit; `mpo_snn.graph.by_density` makes sure of that before it relies on it. Compiled by numba
(`mpo_snn.kernels.event_loops`), which is optional: `pip install 'mpo-snn[fast]'`.
"""

from __future__ import annotations

from functools import cache, cached_property

import torch
from torch import Tensor

from mpo_snn.graph.geometry import Window
from mpo_snn.kernels import is_installed
from mpo_snn.kernels.numba_threads import share_out

ORDER = "kernel rows, kernel columns, channels; one rounding for product and sum; bias last"
"""In which oneDNN's convolutions add up over channels-last memory with AVX2 or AVX-512."""
BLOCKS = (64, 32, 16)
"""Outputs that are summed up at once: four vector registers of AVX-512, eight of AVX2."""

WHOLE_KERNEL, WHOLE_ROW = 40 * 2**10, 100 * 2**10
"""Bytes of weights of a block up to which a pass over an image takes the whole kernel, or a row of
it: passes cost time, and so do weights that have left the first-level cache."""


class EventConv:
    """A Conv2d for inputs of any density, in float32 on the CPU.

    Args:
        weight: [outputs, channels / groups, *kernel].
        bias: [outputs].
        window: how the kernel moves.
    """

    def __init__(self, weight: Tensor, bias: Tensor, window: Window) -> None:
        """Take them; they are laid out at the first call, which many convolutions never see."""
        self.window = window
        self.outputs = len(bias)
        self._given = weight, bias

    @cached_property
    def _blocks(self) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """Weights and bias with the outputs of a block one after another, and what fits a pass."""
        weight, bias = self._given
        groups, channels = self.window.groups, weight.shape[1]
        of_groups = weight.reshape(groups, -1, *weight.shape[1:])
        rows, biases = in_blocks(of_groups.movedim(2, -1), bias.reshape(groups, -1))
        block = rows.shape[-1]
        at_once = _at_once(self.window, weight.element_size() * channels * block)
        return rows, biases, at_once

    def __call__(self, x: Tensor) -> tuple[Tensor, int]:
        """Return the output [N, outputs, height, width], channels last, and the number of events.

        Args:
            x: [N, channels, height, width]; without the height, it is one line, here and there.
        """
        if x.ndim == 3:
            y, events = self(x.unsqueeze(2))
            return y.squeeze(2), events
        images = x.detach().permute(0, 2, 3, 1).contiguous()
        sizes = self.window.output_size(tuple(images.shape[1:3]))
        out = images.new_empty(len(x), *sizes, self.outputs)
        blocks = self._blocks

        def run(first: int, last: int) -> int:
            return self._run(images[first:last], out[first:last], *blocks)

        events = sum(share_out(run, len(x), x.numel()))
        return out.permute(0, 3, 1, 2), events

    def _run(
        self, images: Tensor, out: Tensor, weights: Tensor, bias: Tensor, at_once: tuple[int, int]
    ) -> int:
        from mpo_snn.kernels.event_loops import convolve, room_for

        arrays = (images.numpy(), weights.numpy())
        room = room_for(*arrays, out.numpy())
        before = tuple(first for first, _ in self.window.zeros())
        geometry = (*self.window.kernel, *self.window.stride, *self.window.dilation)
        return int(convolve(*arrays, bias.numpy(), out.numpy(), geometry, before, at_once, room))


def in_blocks(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Lay weights and bias out as `event_vectors.add_rows` reads them; outputs that fill up are 0.

    Args:
        weight: [groups, outputs, *], with whatever axes an event may come from.
        bias: [groups, outputs].

    Returns:
        [groups, blocks, places of an event, outputs of a block] and
        [groups, blocks, outputs of a block].
    """
    groups, outputs = bias.shape
    block = next((size for size in BLOCKS if size <= outputs), BLOCKS[-1])
    blocks = -(-outputs // block)
    rows = weight.new_zeros(groups, blocks * block, *weight.shape[2:])
    rows[:, :outputs] = weight
    biases = bias.new_zeros(groups, blocks * block)
    biases[:, :outputs] = bias
    rows = rows.reshape(groups, blocks, block, -1).mT.contiguous()
    return rows, biases.reshape(groups, blocks, block)


def _at_once(window: Window, size: int) -> tuple[int, int]:
    """Kernel rows and columns of a pass; `size`: bytes of the weights of one row and column."""
    rows, columns = window.kernel
    if window.dilation[1] > 1:
        return 1, 1
    if rows * columns * size <= WHOLE_KERNEL:
        return rows, columns
    return 1, columns if columns * size <= WHOLE_ROW else 1


@cache
def is_available() -> bool:
    """Whether numba is there, and the processor can round product and sum at once."""
    has_fma = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    return has_fma and is_installed("numba")
