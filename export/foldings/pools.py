r"""Average pools as sum pools, padded pools as convolutions.

mean = sum / (kh kw): the factor becomes a Scale, which `scales` then moves into weights. A pool
with padding, which readers leave out, is the convolution with the weight 1 (1 / (kh kw) for a
mean) between equal channels and 0 between others, and pads with zeros as NIR does.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from mpo_snn.graph.connections import written_out

from .flow import Flow


def write_average_as_sum(flow: Flow) -> Flow:
    """The flow without AvgPool2d."""
    for name in flow.named("AvgPool2d"):
        node = flow.nodes[name]
        kernel = _pair(node.kernel_size)
        pool = nir.SumPool2d(
            kernel_size=np.array(kernel),
            stride=np.array(_pair(node.stride)),
            padding=np.array(_pair(node.padding)),
        )
        scale = nir.Scale(np.full(flow.shapes[name], 1.0 / (kernel[0] * kernel[1])))
        targets = flow.targets(name)
        flow = flow.with_node(name, pool)
        for target in targets:
            flow = flow.inserted((name, target), f"{name}.mean", scale)
        flow = flow.noting(f"mean '{name}' into a sum and a factor")
    return flow


def write_padded_pools_as_convolutions(flow: Flow) -> Flow:
    """The flow without padding in pools."""
    for name in flow.named("AvgPool2d", "SumPool2d"):
        node = flow.nodes[name]
        if not np.any(node.padding):
            continue
        kernel = _pair(node.kernel_size)
        channels, *size = flow.input_shape(name)
        share = 1.0 / (kernel[0] * kernel[1]) if flow.kind(name) == "AvgPool2d" else 1.0
        weight = np.eye(channels)[:, :, None, None] * np.full((1, 1, *kernel), share)
        layer = nir.Conv2d(
            input_shape=tuple(size),
            weight=weight,
            stride=_pair(node.stride),
            padding=_pair(node.padding),
            dilation=(1, 1),
            groups=1,
            bias=np.zeros(channels),
            metadata=written_out(channels, kernel),
        )
        flow = flow.with_node(name, layer).noting(f"padded pool '{name}' into a convolution")
    return flow


def _pair(value: Any) -> tuple[int, int]:
    first, *rest = np.ravel(value).tolist()
    return int(first), int(rest[0] if rest else first)
