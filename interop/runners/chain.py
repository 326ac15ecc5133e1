"""A NIR file that is one chain of layers, as torch modules; neurons as a library has them."""

from __future__ import annotations

from collections.abc import Callable

import nir
import numpy as np
import torch
from torch import nn


def torch_chain(path: str, neuron: Callable[[float, float], nn.Module], dt: float) -> nn.Sequential:
    """Read a file.

    Args:
        path: the NIR file.
        neuron: makes a layer of neurons from leak and threshold: reset to zero, unit gain.
        dt: seconds.

    Raises:
        ValueError: if the graph is no chain, or holds what this does not know.
    """
    graph = nir.read(path, type_check=False)
    following = dict(graph.edges)
    if len(following) != len(graph.edges):
        raise ValueError(f"{path} is no chain of layers")
    layers, name = nn.Sequential(), following["input"]
    while name != "output":
        layers.add_module(name.replace(".", "_"), _module(graph.nodes[name], neuron, dt))
        name = following[name]
    return layers.eval()


def _module(node: nir.NIRNode, neuron: Callable[[float, float], nn.Module], dt: float) -> nn.Module:
    match node:
        case nir.Conv2d():
            outputs, inputs, *kernel = node.weight.shape
            layer = nn.Conv2d(
                inputs * node.groups,
                outputs,
                tuple(kernel),
                tuple(node.stride),
                tuple(int(n) for n in node.padding),
                tuple(node.dilation),
                node.groups,
                bias=bool(np.any(node.bias)),
            )
            return _filled(layer, node)
        case nir.Affine() | nir.Linear():
            outputs, inputs = node.weight.shape
            has_bias = bool(np.any(getattr(node, "bias", 0.0)))
            return _filled(nn.Linear(inputs, outputs, bias=has_bias), node)
        case nir.AvgPool2d():
            kernel, stride, padding = (
                tuple(int(n) for n in value)
                for value in (node.kernel_size, node.stride, node.padding)
            )
            return nn.AvgPool2d(kernel, stride, padding)
        case nir.Flatten():
            return nn.Flatten()
        case nir.LIF():
            beta = 1.0 - dt / _only(node.tau)
            if abs(_only(node.r) * (1.0 - beta) - 1.0) > 1e-12 or np.any(node.v_reset):
                raise ValueError("only neurons with unit gain that are reset to zero are known")
            return neuron(beta, _only(node.v_threshold))
    raise ValueError(f"{type(node).__name__} is not known")


def _filled(layer: nn.Module, node: nir.NIRNode) -> nn.Module:
    layer.weight.data = torch.tensor(node.weight, dtype=torch.float32)
    if layer.bias is not None:
        layer.bias.data = torch.tensor(node.bias, dtype=torch.float32)
    return layer


def _only(values: np.ndarray) -> float:
    (value,) = set(np.ravel(values).tolist())
    return value
