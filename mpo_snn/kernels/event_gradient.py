r"""The gradient of a convolution's weights that visits only events of its input.

.. math::
    \frac{\partial L}{\partial W_{o c k}} = \sum_{p:\, x_{c p} \ne 0} x_{c p}
    \frac{\partial L}{\partial y_{o, p - k}}

for kernels of 3 x 3 with stride 1: most of a spiking network's work. Sums are in float32, some
images at a time and then over these, in an order that depends on the shapes alone. Compiled by
numba (`event_gradient_loops`), which is optional: `pip install 'mpo-snn[fast]'`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mpo_snn.graph.geometry import Window
from mpo_snn.kernels.event_conv import is_available
from mpo_snn.kernels.numba_threads import share_out

CHANNELS, OUTPUTS = 16, 32
"""Both are multiples of these."""
BELOW = 0.45
"""Density of the input below which this is done: there it takes two thirds of oneDNN's time with
32 channels and half of it with more (benchmarks/README.md)."""
LEAST = 2**28
"""Products, dense: of fewer there is nothing to gain."""
MOST_PIXELS = 2**12
"""Of an image: its events are added up one by one, which in larger ones loses digits."""
AT_ONCE = 56 * 2**10
"""Bytes of the outputs' gradient that are worked on at once: they stay near the processor."""


def is_worth(x: Tensor, outputs: int, window: Window) -> bool:
    """Whether to take events: a function of the input and the shapes, and of nothing before.

    Args:
        x: input, [N, channels, height, width], float32 on the CPU, channels last in memory.
        outputs: of the convolution.
        window: how its kernel moves.
    """
    plain = Window((3, 3), (1, 1), window.padding, (1, 1))
    if window != plain or max(size for pair in window.zeros() for size in pair) > 2:
        return False
    if x.shape[1] % CHANNELS or outputs % OUTPUTS or x.shape[2:].numel() > MOST_PIXELS:
        return False
    if x.numel() * outputs * 9 < LEAST or not is_available():
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False  # the sums of nine taps do not fit the registers of AVX2
    from mpo_snn.kernels.event_gradient_loops import count_events

    flat = x.permute(0, 2, 3, 1).reshape(-1).numpy()
    parts = -(-len(flat) // 2**16)
    found = share_out(
        lambda first, last: count_events(flat[first * 2**16 : last * 2**16]), parts, len(flat)
    )
    return bool(sum(found) < BELOW * len(flat))


def weight_gradient(x: Tensor, grad: Tensor, window: Window) -> Tensor:
    """Return the gradient of the weights, [outputs, channels, 3, 3], channels last in memory.

    Args:
        x: as in `is_worth`, which said yes.
        grad: gradient of the output, [N, outputs, rows, columns], float32.
        window: how the kernel moves.
    """
    from mpo_snn.kernels.event_gradient_loops import weight_gradient as run

    n, channels, height, width = x.shape
    outputs = grad.shape[1]
    images = x.permute(0, 2, 3, 1).contiguous().numpy()
    grads = grad.permute(0, 2, 3, 1).contiguous().numpy()
    (before, _), (left, _) = window.zeros()
    pixels = (height + 2) * (width + 2)
    at_once = max(1, min(n, AT_ONCE // (pixels * OUTPUTS * 4)))
    sums = torch.zeros(outputs // OUTPUTS, channels, 9, OUTPUTS, dtype=torch.float32)
    parts = channels // CHANNELS

    def some(first: int, last: int) -> None:
        own, most = (last - first) * CHANNELS, at_once * height * width
        room = (
            torch.empty(own, most, dtype=torch.int32).numpy(),
            torch.empty(own, most, dtype=torch.float32).numpy(),
            torch.zeros(own, dtype=torch.int64).numpy(),
            torch.zeros(at_once, height + 2, width + 2, OUTPUTS, dtype=torch.float32).numpy(),
        )
        borders = (2 - before, 2 - left)
        run(images, grads, first * CHANNELS, last * CHANNELS, borders, sums.numpy(), room)

    share_out(some, parts, x.numel())
    by_tap = sums.flip(2).permute(0, 3, 2, 1).contiguous()
    return by_tap.view(outputs, 3, 3, channels).permute(0, 3, 1, 2)
