"""Random NIR graphs of every kind that an MPO network can express, with random parameters.

Structure is drawn by hypothesis, values come from a seeded generator: no membrane meets its
threshold exactly, so spikes can be compared one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np
from hypothesis import strategies as st

from tests.graph.graphs import DT, full, graph

Shape = tuple[int, ...]


@dataclass
class Builder:
    """A graph that grows from its Input; `made` are nodes that may be read, with their shapes."""

    rng: np.random.Generator
    shape: Shape
    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    made: dict[str, Shape] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    """Nodes of composites by the name that the exporter gives them."""

    def __post_init__(self) -> None:
        self.nodes["input"] = nir.Input(np.array(self.shape))
        self.made["input"] = self.shape
        self.last = "input"

    def add(self, node: nir.NIRNode, shape: Shape, name: str, *skips: str) -> None:
        self.nodes[name] = node
        self.edges += [(source, name) for source in (self.last, *skips)]
        self.last, self.shape = name, shape
        self.made[name] = shape

    def some(self, shape: Shape, low: float, high: float) -> np.ndarray:
        return self.rng.uniform(low, high, shape)

    def finished(self, skips: list[str]) -> nir.NIRGraph:
        self.nodes["output"] = nir.Output(np.array(self.shape))
        self.edges += [(source, "output") for source in (self.last, *skips)]
        return graph(self.nodes, self.edges)


def leak(b: Builder, form: str) -> dict[str, np.ndarray]:
    """tau and r of one equation: NIR's gain, snnTorch's, or any."""
    tau = full(b.shape, b.rng.uniform(1.2, 8) * DT)
    if form != "uniform":
        tau = b.some(b.shape, 1.2, 8) * DT
    r = {"decay": full(b.shape, 1), "unit": tau / DT}.get(form)
    return {"tau": tau, "r": b.some(b.shape, 0.5, 3) if r is None else r}


FORMS = ("decay", "unit", "any", "uniform")
SPIKING = ("LIF", "IF", "CubaLIF", "Threshold", "none", "CubaLI", "step", "next", "synaptic")


def neuron(b: Builder, kind: str, form: str, name: str, skips: list[str]) -> None:
    """A layer of neurons of one kind and reset."""
    shape = b.shape
    threshold = b.some(shape, 0.1, 0.8)
    zero = full(shape, 0)
    one = leak(b, form)
    if kind == "LIF":
        b.add(nir.LIF(**one, v_leak=zero, v_threshold=threshold, v_reset=zero), shape, name, *skips)
    elif kind == "IF":
        r = b.some(shape, 0.2, 2) / DT
        b.add(nir.IF(r=r, v_threshold=threshold, v_reset=zero), shape, name, *skips)
    elif kind == "CubaLIF":
        other = leak(b, form)
        cuba = nir.CubaLIF(
            tau_syn=other["tau"],
            tau_mem=one["tau"],
            r=one["r"],
            v_leak=zero,
            v_threshold=threshold,
            v_reset=zero,
            w_in=other["r"],
        )
        b.add(cuba, shape, name, *skips)
    elif kind == "Threshold":
        b.add(nir.Threshold(threshold), shape, name, *skips)
    else:
        _composite(b, kind, one, threshold, name, skips)


def _composite(
    b: Builder,
    kind: str,
    one: dict[str, np.ndarray],
    threshold: np.ndarray,
    name: str,
    skips: list[str],
) -> None:
    shape, zero = b.shape, full(b.shape, 0)
    membrane: nir.NIRNode = nir.LI(**one, v_leak=zero)
    gain = one["r"] * DT / one["tau"]
    share = 1 - DT / one["tau"]
    if b.rng.random() < 0.3:
        membrane, gain, share = nir.I(b.some(shape, 0.2, 2) / DT), None, full(shape, 1)
        gain = membrane.r * DT
    if kind == "CubaLI":
        other = leak(b, form="any")
        membrane = nir.CubaLI(other["tau"], one["tau"], one["r"], zero, other["r"])
    if kind == "synaptic":
        b.add(nir.LI(**leak(b, "any"), v_leak=zero), shape, f"{name}-s", *skips)
        skips = []
        b.renamed[f"{name}-s"] = f"{name}.synapse"
        del b.made[f"{name}-s"]
    b.add(membrane, shape, f"{name}-m", *skips)
    b.add(nir.Threshold(threshold), shape, name)
    b.renamed[f"{name}-m"] = f"{name}.membrane"
    del b.made[f"{name}-m"]
    if kind not in ("none", "CubaLI"):
        b.nodes[f"{name}-r"] = nir.Scale(-(share if kind == "step" else 1.0) * threshold / gain)
        b.edges += [(name, f"{name}-r"), (f"{name}-r", f"{name}-m")]
        b.renamed[f"{name}-r"] = f"{name}.reset"


def synapse(b: Builder, kind: str, name: str, skips: list[str]) -> None:
    """A stateless node that takes the shape it meets."""
    axes = len(b.shape)
    has_room = axes == 3 and min(b.shape[1:]) >= 2
    if kind == "Scale" or (kind == "pool" and not has_room) or (kind == "Flatten" and axes == 1):
        b.add(nir.Scale(b.some(b.shape, 0.5, 2)), b.shape, name, *skips)
    elif kind == "Flatten":
        start = int(b.rng.integers(0, axes - 1))
        joined = int(np.prod(b.shape[start:]))
        node = nir.Flatten({"input": np.array(b.shape)}, start, -1)
        b.add(node, (*b.shape[:start], joined), name, *skips)
    elif kind == "pool":
        make = nir.AvgPool2d if b.rng.random() < 0.5 else nir.SumPool2d
        padding = b.rng.integers(0, 2, 2)
        placed = [(n + 2 * p - 2) // 1 + 1 for n, p in zip(b.shape[1:], padding, strict=True)]
        pool = make(np.array([2, 2]), np.array([1, 1]), padding)
        b.add(pool, (b.shape[0], *placed), name, *skips)
    elif axes == 1:
        _dense(b, name, skips)
    else:
        _convolution(b, name, skips)


def _dense(b: Builder, name: str, skips: list[str]) -> None:
    out = int(b.rng.integers(1, 6))
    weight = b.rng.normal(0, 2 / np.sqrt(b.shape[0]), (out, b.shape[0]))
    node = nir.Linear(weight)
    if b.rng.random() < 0.7:
        node = nir.Affine(weight, b.rng.normal(0, 0.3, out))
    b.add(node, (out,), name, *skips)


def _convolution(b: Builder, name: str, skips: list[str]) -> None:
    axes = len(b.shape) - 1
    groups = int(b.rng.choice([g for g in (1, 2) if b.shape[0] % g == 0]))
    out = groups * int(b.rng.integers(1, 3))
    kernel = tuple(int(k) for k in b.rng.choice([1, 3], axes))
    stride, dilation = (int(b.rng.integers(1, 3)) for _ in range(2))
    padding = tuple((dilation * (k - 1)) // 2 + int(b.rng.integers(0, 2)) for k in kernel)
    placed = [
        (n + 2 * p - dilation * (k - 1) - 1) // stride + 1
        for n, p, k in zip(b.shape[1:], padding, kernel, strict=True)
    ]
    fan_in = b.shape[0] // groups * int(np.prod(kernel))
    weight = b.rng.normal(0, 2 / np.sqrt(fan_in), (out, b.shape[0] // groups, *kernel))
    fields: dict[str, Any] = {
        "input_shape": b.shape[1:] if axes == 2 else b.shape[1],
        "weight": weight,
        "stride": stride,
        "padding": padding if axes == 2 else padding[0],
        "dilation": dilation,
        "groups": groups,
        "bias": b.rng.normal(0, 0.3, out),
    }
    b.add((nir.Conv2d if axes == 2 else nir.Conv1d)(**fields), (out, *placed), name, *skips)


@dataclass(frozen=True)
class Drawn:
    """A random graph, and what the exporter calls the inner nodes of its composites."""

    graph: nir.NIRGraph
    renamed: dict[str, str]
    input_shape: Shape


def _grown(draw: Any) -> tuple[Builder, Callable[[], list[str]]]:
    """Layers of neurons with what lies between them, and what draws skips to the next node."""
    shape = draw(st.sampled_from([(3,), (5,), (2, 6), (2, 5, 5), (4, 4, 3)]))
    b = Builder(np.random.default_rng(draw(st.integers(0, 2**32 - 1))), shape)

    def skips() -> list[str]:
        same = [n for n, s in b.made.items() if s == b.shape and n != b.last]
        return draw(st.lists(st.sampled_from(same), max_size=2, unique=True)) if same else []

    for i in range(draw(st.integers(1, 3))):
        prefix = draw(st.sampled_from(["n", "block.", "deep.er."]))
        for j in range(draw(st.integers(0, 2))):
            kind = draw(st.sampled_from(["weights", "weights", "pool", "Flatten", "Scale"]))
            synapse(b, kind, f"{prefix}{i}w{j}", skips())
        kind, form = draw(st.sampled_from(SPIKING)), draw(st.sampled_from(FORMS))
        neuron(b, kind, form, f"{prefix}{i}", skips())
    return b, skips


@st.composite
def expressible_graphs(draw: Any) -> Drawn:
    b, skips = _grown(draw)
    if draw(st.booleans()):
        synapse(b, "weights", "readout", skips())
    return Drawn(b.finished(skips()), b.renamed, b.made["input"])


@st.composite
def membrane_graphs(draw: Any) -> Drawn:
    """The output is the membrane of one more layer, called `readout`, of any kind and gain."""
    b, skips = _grown(draw)
    if draw(st.booleans()):
        synapse(b, "weights", "weights", skips())
    zero, one = full(b.shape, 0), leak(b, draw(st.sampled_from(FORMS)))
    kind = draw(st.sampled_from(["LI", "I", "CubaLI", "LI -> LI"]))
    if kind == "LI -> LI":
        b.add(nir.LI(**leak(b, "any"), v_leak=zero), b.shape, "current", *skips())
    membrane = {
        "I": nir.I(b.some(b.shape, 0.2, 2) / DT),
        "CubaLI": nir.CubaLI(2 * one["tau"], one["tau"], one["r"], zero, full(b.shape, 1)),
    }.get(kind, nir.LI(**one, v_leak=zero))
    b.add(membrane, b.shape, "readout", *(skips() if kind != "LI -> LI" else []))
    return Drawn(b.finished([]), b.renamed, b.made["input"])
