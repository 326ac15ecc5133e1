"""A convolution in training that goes over to events while its input is sparse, on a CPU.

Forward the events' way gives the bits of the dense one (`mpo_snn.graph.by_density`). Backward the
gradient of the weights is that of `mpo_snn.kernels.event_gradient` where this batch alone says so,
equal to float tolerance; what was trained before does not matter, so that a run that is resumed
goes on as it would have. The gradient of the input is dense.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mpo_snn.graph.by_density import LEAST_CHANNELS, LEAST_OUTPUTS, ByDensity
from mpo_snn.graph.geometry import Window
from mpo_snn.kernels.event_conv import EventConv
from mpo_snn.kernels.event_gradient import is_worth, weight_gradient

WORTH = 2**32
"""Products that a layer does densely before events are tried: numba takes a second to load."""


class SpikingConvolution:
    """An `nn.Conv2d` with its own parameters, dense or by events.

    Args:
        layer: what it computes; its parameters are read at every call.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        """Begin dense."""
        self.layer = layer
        padding: Any = (0, 0) if layer.padding == "valid" else layer.padding
        self.window = Window(layer.kernel_size, layer.stride, padding, layer.dilation, layer.groups)
        self._ways: dict[torch.Size, ByDensity] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve [N, channels, height, width]."""
        if not self._takes(x):
            return self.layer(x)  # type: ignore[no-any-return]
        return _Convolution.apply(x, self.layer.weight, self.layer.bias, self)  # type: ignore[no-any-return, no-untyped-call]

    def _takes(self, x: Tensor) -> bool:
        layer = self.layer
        if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
            return False
        if layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks:
            return False
        is_even = all(before == behind for before, behind in self.window.zeros())
        is_plain = layer.padding_mode == "zeros" and max(self.window.dilation) == 1 and is_even
        is_wide = (
            layer.in_channels // layer.groups >= LEAST_CHANNELS
            and layer.out_channels // layer.groups >= LEAST_OUTPUTS
        )
        in_float32 = x.dtype == layer.weight.dtype == torch.float32 and x.device.type == "cpu"
        return (
            is_plain
            and is_wide
            and in_float32
            and x.dim() == 4
            and x.is_contiguous(memory_format=torch.channels_last)
        )

    def by_density(self, x: Tensor) -> Tensor:
        """Convolve without a graph."""
        way = self._ways.get(x.shape[1:])
        if way is None:
            size = self.window.output_size(tuple(x.shape[2:]))
            products = self.layer.weight.numel() * math.prod(size)
            way = self._ways[x.shape[1:]] = ByDensity(self._dense, self._events, products, WORTH)
        return way(x)

    def _dense(self, x: Tensor) -> Tensor:
        return nn.Conv2d.forward(self.layer, x)

    def _events(self, x: Tensor) -> tuple[Tensor, int]:
        weight, bias = self.layer.weight.detach(), self.layer.bias
        bias = weight.new_zeros(len(weight)) if bias is None else bias.detach()
        return EventConv(weight, bias, self.window)(x)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, convolution: SpikingConvolution
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.convolution, ctx.has_bias = convolution, bias is not None
        return convolution.by_density(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        window, layer = ctx.convolution.window, ctx.convolution.layer
        needs = list(ctx.needs_input_grad[:3])
        by_weight = None
        if needs[1] and is_worth(x, len(weight), window):
            by_weight = weight_gradient(x, grad, window)
            needs[1] = False
        found = [None, None, None]
        if any(needs):
            padding = [before for before, _ in window.zeros()]
            moves = (layer.stride, padding, layer.dilation, False, (0, 0), layer.groups)
            sizes = [len(weight)] if ctx.has_bias else None
            found = torch.ops.aten.convolution_backward(grad, x, weight, sizes, *moves, needs)
        return found[0], found[1] if by_weight is None else by_weight, found[2], None
