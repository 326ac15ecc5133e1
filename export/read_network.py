"""Reads a trained one-timestep network as a draft: the same trace that training runs."""

from __future__ import annotations

import copy
import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mpo_snn.errors import ExportError
from mpo_snn.neurons import MPONeuron
from mpo_snn.rivals.klif import KLIF
from mpo_snn.scale import Scale
from mpo_snn.synaptic import MPOSynaptic
from mpo_snn.timestep_state import first_of
from mpo_snn.trace import ADDITIONS, trace_timestep
from mpo_snn.unroll import Unrolled

from . import draft as d
from .draft import Array, Draft, Node, Shape
from .sample_shapes import find_shapes, sample_shape, shape_of

_SUPPORTED = (
    "AdaptiveAvgPool2d (whole windows), AvgPool2d (mean, or sum with divisor_override=1),"
    " BatchNorm1d, BatchNorm2d, SyncBatchNorm (behind Conv or Linear), Conv1d, Conv2d,"
    " Dropout, Flatten, Identity, Linear, MPOLeaky, MPOSynaptic, additions, products with a number"
)


def read_network(network: nn.Module, input_shape: Sequence[int] | int) -> Draft:
    """The draft of a network in eval mode, all values in float64; the network is not touched.

    Args:
        network: one timestep, plain torch.nn and MPO neurons (`mpo_snn.trace`), bare or unrolled.
        input_shape: shape of one sample, without batch and time.

    Raises:
        UnrollError: if forward is not one timestep.
        ExportError: naming every layer that has no form in NIR, and what is supported.
    """
    if isinstance(network, Unrolled):
        network = network.network
    input_shape = sample_shape(input_shape)
    graph = trace_timestep(network)
    network = copy.deepcopy(network).cpu().double().eval()
    find_shapes(network, graph, input_shape)
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    names: dict[fx.Node, str] = {}
    findings: list[str] = []
    for node in graph.nodes:
        if node.op == "placeholder":
            if not nodes:
                names[node] = "input"
                nodes["input"] = d.Input(tuple(input_shape))
        elif node.op == "output":
            source = _source(first_of(node.args[0]), nodes, names)
            nodes["output"] = d.Output(nodes[source].shape)
            edges.append((source, "output"))
        elif node.target is operator.getitem:
            if node.args[1] == 0:
                names[node] = names[node.args[0]]
        else:
            name = str(node.target) if node.op == "call_module" else node.name
            name = _free_name(name, nodes)
            inputs = [names[n] for n in node.all_input_nodes if n in names]
            if node.op == "call_module":
                inputs = inputs[:1]
            try:
                nodes[name] = _convert(network, node, nodes[inputs[0]].shape, names)
            except ExportError as error:
                findings.append(str(error))
                nodes[name] = d.Identity(shape_of(node))
            names[node] = name
            edges += [(source, name) for source in inputs]
    if findings:
        raise ExportError(f"cannot export {type(network).__name__} to NIR", findings)
    return Draft(nodes, edges)


def _convert(network: nn.Module, node: fx.Node, shape: Shape, names: dict[fx.Node, str]) -> Node:
    if node.op == "call_module":
        return _convert_layer(
            str(node.target), network.get_submodule(str(node.target)), node, shape
        )
    if node.target in ADDITIONS or node.target in ("add", "add_"):
        terms = node.args
        if node.kwargs or not all(isinstance(term, fx.Node) for term in terms):
            raise ExportError(f"addition '{node.name}' has a constant or scaled term: use a bias.")
        return d.Addition(shape_of(node), tuple(names[term] for term in terms))  # type: ignore[index]
    if node.target in (operator.mul, torch.mul, "mul"):
        numbers = [term for term in node.args if isinstance(term, int | float)]
        if len(numbers) != 1:
            raise ExportError(
                f"product '{node.name}' of two tensors has no form in NIR: only a number times a"
                " tensor has."
            )
        return d.Multiplication(shape_of(node), float(numbers[0]))
    if node.target in (torch.flatten, "flatten"):
        return _flatten(node.name, shape, shape_of(node))
    if node.target is F.avg_pool2d:
        raise ExportError(f"F.avg_pool2d '{node.name}': use the layer nn.AvgPool2d for export.")
    what = getattr(node.target, "__name__", str(node.target))
    raise ExportError(f"operation '{node.name}' ({what}) has no form in NIR.")


def _convert_layer(name: str, layer: nn.Module, node: fx.Node, shape: Shape) -> Node:
    out = shape_of(node)
    if isinstance(layer, KLIF):
        raise ExportError(
            f"layer '{name}' (KLIF) has no form in NIR: no neuron there scales and rectifies its"
            " membrane. Train with another method than klif to export."
        )
    if isinstance(layer, MPONeuron):
        beta, threshold = layer.values()
        alpha = _array(layer.synapse_leak()) if isinstance(layer, MPOSynaptic) else None
        return d.Neuron(
            out,
            _array(beta),
            _array(threshold),
            layer.reset_kind,
            layer.reset_timing,
            layer.input_gain,
            alpha,
            _optional(layer.membrane_unit),
            _optional(layer.synapse_unit),
            layer.most_spikes,
            layer.lower,
        )
    if isinstance(layer, nn.Linear):
        if len(shape) != 1:
            raise ExportError(
                f"layer '{name}' (Linear) gets shape {shape}: NIR's Affine takes one axis; put"
                " nn.Flatten in front."
            )
        return d.Dense(out, _array(layer.weight), _optional(layer.bias))
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        return _convolution(name, layer, shape, out)
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.SyncBatchNorm):
        return _batchnorm(name, layer, out)
    if isinstance(layer, nn.AvgPool2d):
        return _pool(name, layer, out)
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        kernel = tuple(a // b for a, b in zip(shape[1:], out[1:], strict=True))
        if any(a % b for a, b in zip(shape[1:], out[1:], strict=True)):
            raise ExportError(
                f"layer '{name}' (AdaptiveAvgPool2d) splits {shape[1:]} into {out[1:]}, which are"
                " not whole windows: use nn.AvgPool2d."
            )
        return d.AveragePool(out, kernel, kernel, (0, 0))
    if isinstance(layer, nn.Flatten):
        return _flatten_layer(name, layer, shape, out)
    if isinstance(layer, Scale):
        return d.Multiplication(out, _array(layer.factor))
    if isinstance(layer, nn.Identity | nn.Dropout | nn.Dropout2d):
        return d.Identity(out)
    if isinstance(layer, nn.MaxPool2d):
        raise ExportError(
            f"layer '{name}' (MaxPool2d): NIR has no maximum, and the maximum of spikes over time"
            " is not what a chip computes; train with nn.AvgPool2d (network.pooling average or sum)"
            " or a strided convolution."
        )
    raise ExportError(
        f"layer '{name}' ({type(layer).__name__}) has no form in NIR. Supported: {_SUPPORTED}."
    )


def _convolution(name: str, layer: nn.Conv1d | nn.Conv2d, shape: Shape, out: Shape) -> Node:
    if layer.padding_mode != "zeros":
        raise ExportError(
            f"layer '{name}' pads with '{layer.padding_mode}': NIR's convolutions pad with zeros."
        )
    padding: Any = layer.padding
    if padding == "valid":
        padding = tuple(0 for _ in layer.kernel_size)
    elif padding == "same":
        total = [dil * (k - 1) for dil, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        if any(t % 2 for t in total):
            raise ExportError(
                f"layer '{name}' pads '{padding}' unevenly for kernel {layer.kernel_size}: use an"
                " odd kernel."
            )
        padding = tuple(t // 2 for t in total)
    return d.Convolution(
        out,
        _array(layer.weight),
        _optional(layer.bias),
        shape[1:],
        tuple(layer.stride),
        tuple(padding),
        tuple(layer.dilation),
        layer.groups,
    )


def _batchnorm(name: str, layer: _BatchNorm, out: Shape) -> Node:
    if layer.running_mean is None or layer.running_var is None:
        raise ExportError(
            f"layer '{name}' keeps no running statistics (track_running_stats=False): it cannot"
            " be folded, for it has no fixed effect in eval mode."
        )
    mean, var = _array(layer.running_mean), _array(layer.running_var)
    weight = np.ones_like(mean) if layer.weight is None else _array(layer.weight)
    bias = np.zeros_like(mean) if layer.bias is None else _array(layer.bias)
    scale = weight / np.sqrt(var + layer.eps)
    return d.BatchNorm(out, scale, bias - scale * mean)


def _pool(name: str, layer: nn.AvgPool2d, out: Shape) -> Node:
    kernel, stride, padding = (_pair(v) for v in (layer.kernel_size, layer.stride, layer.padding))
    if layer.ceil_mode or layer.divisor_override not in (None, 1):
        raise ExportError(
            f"layer '{name}' uses ceil_mode or a divisor_override other than 1 (a sum): NIR has"
            " neither."
        )
    if layer.divisor_override == 1:
        return d.SumPool(out, kernel, stride, padding)
    if any(padding) and not layer.count_include_pad:
        raise ExportError(
            f"layer '{name}' leaves padding out of its mean (count_include_pad=False): NIR's"
            " AvgPool2d counts it."
        )
    return d.AveragePool(out, kernel, stride, padding)


def _flatten(name: str, shape: Shape, out: Shape) -> Node:
    if out != (int(np.prod(shape)),):
        raise ExportError(
            f"'{name}' flattens {shape} to {out}: only flattening all features is supported,"
            " start_dim=1."
        )
    return d.Flatten(out, shape)


def _flatten_layer(name: str, layer: nn.Flatten, shape: Shape, out: Shape) -> Node:
    axes = len(shape) + 1
    start, end = layer.start_dim % axes, layer.end_dim % axes
    if start == 0:
        return _flatten(name, shape, out)
    return d.Flatten(out, shape, start - 1, -1 if end == len(shape) else end - 1)


def _source(output: fx.Node, nodes: dict[str, Node], names: dict[fx.Node, str]) -> str:
    """Name of the node that the network is read out by; a neuron may be by its membrane."""
    if output in names:
        return names[output]
    name = names[output.args[0]]  # type: ignore[index]
    neuron = nodes[name]
    if isinstance(neuron, d.Neuron):  # else it was refused, and stands for another
        nodes[name] = replace(neuron, gives="membrane")
    return name


def _free_name(name: str, taken: dict[str, Node]) -> str:
    candidates = [name, *(f"{name}_{i}" for i in range(2, len(taken) + 3))]
    return next(c for c in candidates if c not in taken and c not in ("input", "output"))


def _array(value: Tensor) -> Array:
    return value.detach().cpu().double().numpy()


def _optional(value: Tensor | None) -> Array | None:
    return None if value is None else _array(value)


def _pair(value: int | tuple[int, int]) -> Shape:
    return (value, value) if isinstance(value, int) else tuple(value)
