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

from mpo_snn.graph.by_density import LEAST_CHANNELS, LEAST_OUTPUTS, ByDensity
from mpo_snn.graph.geometry import Window
from mpo_snn.kernels.event_conv import EventConv
from mpo_snn.kernels.event_gradient import is_worth, weight_gradient

WORTH = 2**32
"""Products that a layer does densely before events are tried: numba takes a second to load."""


class SpikingConvolution:
    """An `nn.Conv2d`, dense or by events.

    Args:
        layer: what it computes; parameters and sizes are read at every call.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        """Begin dense."""
        self.layer = layer
        self._ways: dict[tuple[torch.Size, Window], ByDensity] = {}

    @property
    def window(self) -> Window:
        """How the kernel moves."""
        layer = self.layer
        padding: Any = (0, 0) if layer.padding == "valid" else layer.padding
        return Window(layer.kernel_size, layer.stride, padding, layer.dilation, layer.groups)

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve [N, channels, height, width]."""
        if not self._takes(x):
            return self.layer(x)  # type: ignore[no-any-return]
        layer, window = self.layer, self.window
        return _Convolution.apply(x, layer.weight, layer.bias, self, window)  # type: ignore[no-any-return, no-untyped-call]

    def _takes(self, x: Tensor) -> bool:
        layer = self.layer
        if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
            return False
        if torch.is_autocast_enabled("cpu") or _is_watched(layer):
            return False
        window = self.window
        is_even = all(before == behind for before, behind in window.zeros())
        is_plain = layer.padding_mode == "zeros" and max(window.dilation) == 1 and is_even
        channels = layer.in_channels // layer.groups
        outputs = layer.out_channels // layer.groups
        is_wide = channels >= LEAST_CHANNELS and outputs >= LEAST_OUTPUTS
        weight, bias = layer.weight, layer.bias
        shape = (layer.out_channels, channels, *layer.kernel_size)
        fits = weight.shape == shape and (bias is None or bias.shape == shape[:1])
        in_float32 = all(
            value.dtype == torch.float32 and value.device.type == "cpu"
            for value in (x, weight, weight if bias is None else bias)
        )
        is_image = x.dim() == 4 and x.shape[1] == layer.in_channels and x.numel() > 0
        return (
            is_plain
            and is_wide
            and fits
            and in_float32
            and is_image
            and x.is_contiguous(memory_format=torch.channels_last)
        )

    def by_density(self, x: Tensor, window: Window) -> Tensor:
        """Convolve without a graph; dense where the parameters are not finite.

        Events would not see what becomes of a weight times 0 then.
        """
        if not all(bool(p.sum().isfinite()) for p in self.layer.parameters(recurse=False)):
            return self._dense(x)
        case = (x.shape[1:], window)
        way = self._ways.get(case)
        if way is None:
            size = window.output_size(tuple(x.shape[2:]))
            products = self.layer.weight.numel() * math.prod(size)
            way = self._ways[case] = ByDensity(
                self._dense, [lambda x: self._events(x, window)], products, WORTH
            )
        return way(x)

    def _dense(self, x: Tensor) -> Tensor:
        return nn.Conv2d.forward(self.layer, x)

    def _events(self, x: Tensor, window: Window) -> tuple[Tensor, int]:
        weight, bias = self.layer.weight.detach(), self.layer.bias
        bias = weight.new_zeros(len(weight)) if bias is None else bias.detach()
        return EventConv(weight, bias, window)(x)


def _is_watched(layer: nn.Module) -> bool:
    """Whether somebody wants to see, or does in its stead, what the module itself would do."""
    own = (
        layer._forward_hooks,
        layer._forward_pre_hooks,
        layer._backward_hooks,
        layer._backward_pre_hooks,
    )
    everywhere = nn.modules.module._has_any_global_hook()  # type: ignore[no-untyped-call]
    return any(own) or "forward" in vars(layer) or bool(everywhere)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        convolution: SpikingConvolution,
        window: Window,
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.window, ctx.has_bias = window, bias is not None
        return convolution.by_density(x, window)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        window: Window = ctx.window
        needs = list(ctx.needs_input_grad[:3])
        by_weight = None
        # With a graph of its own (create_graph) the gradient is torch's, which has one.
        if needs[1] and not torch.is_grad_enabled() and is_worth(x, len(weight), window):
            if bool(grad.sum().isfinite()):
                by_weight = weight_gradient(x, grad, window)
                needs[1] = False
        found = [None, None, None]
        if any(needs):
            padding = [before for before, _ in window.zeros()]
            moves = (window.stride, padding, window.dilation, False, (0, 0), window.groups)
            sizes = [len(weight)] if ctx.has_bias else None
            found = torch.ops.aten.convolution_backward(grad, x, weight, sizes, *moves, needs)
        return found[0], found[1] if by_weight is None else by_weight, found[2], None, None
