"""Small graphs as other programs may write them, each with something unusual, drawn by seed.

They are for the predictions: most readers run most of them otherwise than the file says.
"""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np
from numpy.random import Generator, default_rng

from .cases import Case, stimulus
from .graphs import DT, convolution, dense, lif

TWISTS = (
    "v_leak", "v_reset", "r", "scale", "delay", "integrating read-out", "threshold", "branches",
    "names", "dt", "padded pool", "stride", "dilation", "repeated loop", "average pool",
)  # fmt: skip

Nodes = dict[str, nir.NIRNode]
Edges = list[tuple[str, str]]


def wild_cases(seeds: range) -> list[Case]:
    """One graph per twist and seed."""
    return [wild_case(seed, twist) for seed in seeds for twist in TWISTS]


def wild_case(seed: int, twist: str) -> Case:
    """A graph with one twist."""
    rng = default_rng([seed, TWISTS.index(twist)])
    is_image = twist in ("padded pool", "stride", "dilation", "average pool")
    shape = (2, 7, 7) if is_image else (10,)
    stages = _image(rng, twist) if is_image else _chain(rng, twist)
    first, last = ("stimulus", "spikes") if twist == "names" else ("input", "output")
    width = next(n.weight.shape[0] for n in reversed(stages.values()) if hasattr(n, "weight"))
    nodes = {
        first: nir.Input(np.array(shape)),
        **stages,
        last: nir.Output(np.array([width])),
    }
    edges = list(pairwise(nodes))
    dt = 1e-3 if twist == "dt" else DT
    if twist == "branches":
        nodes["side"] = dense(rng, 12, 8, True)
        edges += [("lif1", "side"), ("side", "lif2")]
    if twist == "repeated loop":
        nodes["loop1"], nodes["loop2"] = (dense(rng, 8, 8, True, gain=0.7) for _ in range(2))
        edges += [("lif2", "loop1"), ("loop1", "lif2"), ("lif2", "loop2"), ("loop2", "lif2")]
    graph = nir.NIRGraph(nodes, edges)
    return Case(f"wild {seed}, {twist}", graph, {}, dt, stimulus(shape, seed))


def _chain(rng: Generator, twist: str) -> Nodes:
    stages: Nodes = {
        "fc1": dense(rng, 10, 12, True),
        "lif1": _neuron(rng, 12, twist),
        "fc2": dense(rng, 12, 8, True),
        "lif2": _neuron(rng, 8, twist),
    }
    if twist == "scale":
        stages = _behind(stages, "fc2", "scale", nir.Scale(rng.uniform(0.5, 1.5, 8)))
    if twist == "delay":
        steps = np.full(8, 3) if rng.integers(2) else rng.integers(0, 5, 8)
        stages = _behind(stages, "lif1", "delay", nir.Delay(DT * np.resize(steps, 12)))
    if twist == "threshold":
        stages["lif2"] = nir.Threshold(np.full(8, 0.4))
    if twist == "integrating read-out":
        tau, zero = np.full(5, 5 * DT), np.zeros(5)
        stages["fc3"] = dense(rng, 8, 5, True)
        stages["read_out"] = nir.LI(tau=tau, r=np.ones(5), v_leak=zero)
    return stages


def _image(rng: Generator, twist: str) -> Nodes:
    conv = convolution(rng, (2, 7, 7), 3)
    side = 7
    if twist == "stride":
        conv, side = _altered(conv, stride=2), 4
    if twist == "dilation":
        conv, side = _altered(conv, dilation=2, padding=2), 7
    kind = nir.AvgPool2d if twist == "average pool" or rng.integers(2) else nir.SumPool2d
    padding = 1 if twist == "padded pool" else 0
    pooled = (side + 2 * padding - 2) // 2 + 1
    two, pad = np.array([2, 2]), np.array([padding, padding])
    return {
        "conv1": conv,
        "lif1": lif((3, side, side)),
        "pool": kind(kernel_size=two, stride=two, padding=pad),
        "flat": nir.Flatten({"input": np.array((3, pooled, pooled))}, start_dim=0, end_dim=-1),
        "fc": dense(rng, 3 * pooled**2, 6, True),
        "lif2": lif((6,)),
    }


def _altered(conv: nir.Conv2d, stride: int = 1, dilation: int = 1, padding: int = 1) -> nir.Conv2d:
    return nir.Conv2d(
        input_shape=(7, 7),
        weight=conv.weight,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=1,
        bias=conv.bias,
    )


def _neuron(rng: Generator, width: int, twist: str) -> nir.LIF:
    dt = 1e-3 if twist == "dt" else DT
    tau = np.full(width, dt / rng.uniform(0.1, 0.4))
    return nir.LIF(
        tau=tau,
        r=rng.uniform(2.0, 4.0, width) if twist == "r" else tau / dt,
        v_leak=np.full(width, 0.3 if twist == "v_leak" else 0.0),
        v_threshold=np.full(width, 1.0),
        v_reset=np.full(width, -0.2 if twist == "v_reset" else 0.0),
    )


def _behind(stages: Nodes, name: str, new: str, node: nir.NIRNode) -> Nodes:
    items = list(stages.items())
    at = list(stages).index(name) + 1
    return dict([*items[:at], (new, node), *items[at:]])
