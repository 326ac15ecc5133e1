"""Graphs of the round trip that are written in NIR directly: loops, and random ones by seed."""

from __future__ import annotations

import nir
import numpy as np
from numpy.random import Generator, default_rng

DT = 1e-4

Shape = tuple[int, ...]


def recurrent(seed: int = 0, cuba: bool = False, bias: bool = True) -> nir.NIRGraph:
    """Input -> dense -> neurons with a dense loop -> dense -> neurons -> output.

    With `cuba` and `bias` it is of the kind of the Braille network of the NIR paper: CubaLIF, and a
    bias inside the loop.
    """
    rng = default_rng(seed)
    neuron = cuba_lif if cuba else lif
    nodes = {
        "input": nir.Input(np.array([12])),
        "fc1": dense(rng, 12, 20, bias),
        "lif1": neuron((20,)),
        "loop": dense(rng, 20, 20, bias, gain=1.0),
        "fc2": dense(rng, 20, 7, bias),
        "lif2": neuron((7,)),
        "output": nir.Output(np.array([7])),
    }
    edges = [
        ("input", "fc1"), ("fc1", "lif1"), ("lif1", "loop"), ("loop", "lif1"),
        ("lif1", "fc2"), ("fc2", "lif2"), ("lif2", "output"),
    ]  # fmt: skip
    return nir.NIRGraph(nodes, edges)


def random_graph(seed: int) -> nir.NIRGraph:
    """A graph drawn by seed: dense or convolutional, with what the draw brings.

    Neurons are LIF (one value a layer, or one a neuron), IF or CubaLIF; stages may be skipped over,
    dense ones may have a loop.
    """
    rng = default_rng(seed)
    is_conv = bool(rng.integers(2))
    shape: Shape = (2, 6, 6) if is_conv else (12,)
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array(shape))}
    edges: list[tuple[str, str]] = []
    last = "input"

    def add(name: str, node: nir.NIRNode) -> None:
        nonlocal last
        nodes[name] = node
        edges.append((last, name))
        last = name

    if is_conv:
        add("conv1", convolution(rng, shape, 4))
        shape = (4, 6, 6)
        add("lif1", random_neuron(rng, shape))
        if rng.integers(2):
            before = last
            add("conv2", convolution(rng, shape, 4))
            add("lif2", random_neuron(rng, shape))
            edges.append((before, "lif2"))
        pool = nir.SumPool2d if rng.integers(2) else nir.AvgPool2d
        two, zero = np.array([2, 2]), np.array([0, 0])
        add("pool", pool(kernel_size=two, stride=two, padding=zero))
        add("flat", nir.Flatten({"input": np.array((4, 3, 3))}, start_dim=0, end_dim=-1))
        shape = (36,)
    for i in range(int(rng.integers(1, 4))):
        width = int(rng.integers(8, 20))
        add(f"fc{i}", dense(rng, shape[0], width, bool(rng.integers(2))))
        shape = (width,)
        add(f"dense_lif{i}", random_neuron(rng, shape))
        if rng.integers(4) == 0:
            nodes[f"loop{i}"] = dense(rng, width, width, bool(rng.integers(2)), gain=1.0)
            edges += [(last, f"loop{i}"), (f"loop{i}", last)]
    nodes["output"] = nir.Output(np.array(shape))
    edges.append((last, "output"))
    return nir.NIRGraph(nodes, edges)


def dense(rng: Generator, n: int, m: int, bias: bool, gain: float = 1.7) -> nir.NIRNode:
    """A dense layer whose neurons get about as much as their thresholds."""
    weight = rng.normal(0.05, gain / np.sqrt(n), (m, n))
    return nir.Affine(weight, rng.normal(0.1, 0.1, m)) if bias else nir.Linear(weight)


def convolution(rng: Generator, shape: Shape, channels: int) -> nir.Conv2d:
    """3 by 3 with padding 1 and a bias."""
    weight = rng.normal(0.05, 1.7 / np.sqrt(9 * shape[0]), (channels, shape[0], 3, 3))
    return nir.Conv2d(
        input_shape=shape[1:],
        weight=weight,
        stride=1,
        padding=1,
        dilation=1,
        groups=1,
        bias=rng.normal(0.1, 0.1, channels),
    )


def lif(shape: Shape, beta: object = 0.8, threshold: object = 1.0, unit: bool = True) -> nir.LIF:
    """A LIF whose input is taken as it is, or times 1 - beta."""
    tau = DT / (1.0 - np.broadcast_to(beta, shape))
    gain = tau / DT
    threshold = np.broadcast_to(threshold, shape) / (1.0 if unit else gain)
    zero = np.zeros(shape)
    return nir.LIF(
        tau=tau,
        r=gain if unit else np.ones(shape),
        v_leak=zero,
        v_threshold=threshold,
        v_reset=zero,
    )


def cuba_lif(
    shape: Shape, alpha: float = 0.5, beta: float = 0.7, threshold: float = 1.5
) -> nir.CubaLIF:
    """A CubaLIF with unit gains."""
    tau_syn, tau_mem = np.full(shape, DT / (1 - alpha)), np.full(shape, DT / (1 - beta))
    zero = np.zeros(shape)
    return nir.CubaLIF(
        tau_syn=tau_syn,
        tau_mem=tau_mem,
        r=tau_mem / DT,
        v_leak=zero,
        v_threshold=np.full(shape, threshold),
        v_reset=zero,
        w_in=tau_syn / DT,
    )


def random_neuron(rng: Generator, shape: Shape) -> nir.NIRNode:
    """One of the kinds, with values of its own."""
    kind = rng.choice(["lif", "per channel", "gain", "if", "cuba"], p=[0.35, 0.2, 0.15, 0.15, 0.15])
    if kind == "if":
        zero = np.zeros(shape)
        threshold = np.full(shape, rng.uniform(1.0, 2.0))
        return nir.IF(r=np.full(shape, 1 / DT), v_threshold=threshold, v_reset=zero)
    if kind == "cuba":
        return cuba_lif(shape, rng.uniform(0.2, 0.7), rng.uniform(0.5, 0.9))
    column = (shape[0], *[1] * (len(shape) - 1)) if kind == "per channel" else ()
    return lif(shape, rng.uniform(0.5, 0.95, column), rng.uniform(0.7, 1.3, column), kind != "gain")
