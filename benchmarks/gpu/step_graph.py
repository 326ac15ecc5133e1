"""A training step as a CUDA graph: launched as one, where some thousand kernels were launched."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 4
"""Steps that run eagerly first, in which libraries choose and compile their kernels."""


class StepGraph:
    """Captured once, then replayed on other images; what it computes is what the function does.

    Numbers that the function reads from Python (the scale of MPO's width, say) stay what they were
    at the capture. Nothing that is captured may wait for the device.

    Args:
        step: takes images and labels of a batch, and leaves its results in tensors that stay.
        x: images of a batch, for their shape and memory layout.
        label: their labels.
    """

    def __init__(self, step: Callable[[Tensor, Tensor], None], x: Tensor, label: Tensor) -> None:
        """Capture without running."""
        self._x, self._label = x.clone(), label.clone()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=torch.cuda.current_stream()):
            step(self._x, self._label)

    def __call__(self, x: Tensor, label: Tensor) -> None:
        """Run the step on a batch."""
        self._x.copy_(x)
        self._label.copy_(label)
        self._graph.replay()
