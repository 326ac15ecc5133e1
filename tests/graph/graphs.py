"""Builders of small NIR graphs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import nir
import numpy as np

DT = 2.0**-10

Edges = list[tuple[str, str]]


def ports(shape: tuple[int, ...], output: tuple[int, ...] | None = None) -> dict[str, nir.NIRNode]:
    """An Input and an Output."""
    return {
        "input": nir.Input(np.array(shape)),
        "output": nir.Output(np.array(shape if output is None else output)),
    }


def chain(
    shape: tuple[int, ...], output: tuple[int, ...] | None = None, **nodes: nir.NIRNode
) -> nir.NIRGraph:
    """input -> each of the nodes in turn -> output."""
    names = ["input", *nodes, "output"]
    return graph({**ports(shape, output), **nodes}, list(pairwise(names)))


def graph(nodes: Mapping[str, nir.NIRNode], edges: Edges, **rest: Any) -> nir.NIRGraph:
    return nir.NIRGraph(dict(nodes), list(edges), type_check=False, **rest)


def full(shape: tuple[int, ...], value: float) -> np.ndarray:
    return np.full(shape, float(value))


def lif(
    shape: tuple[int, ...] = (2,),
    *,
    leak: float = 0.5,
    threshold: float = 0.7,
    v_leak: float = 0.0,
    v_reset: float = 0.0,
    dt: float = DT,
) -> nir.LIF:
    """A LIF with v <- (1 - leak) v + x for v_leak = 0."""
    return nir.LIF(
        tau=full(shape, dt / leak),
        r=full(shape, 1 / leak),
        v_leak=full(shape, v_leak),
        v_threshold=full(shape, threshold),
        v_reset=full(shape, v_reset),
    )


def li(shape: tuple[int, ...] = (2,), *, leak: float = 0.5, dt: float = DT) -> nir.LI:
    """A leaky integrator with v <- (1 - leak) v + x."""
    return nir.LI(tau=full(shape, dt / leak), r=full(shape, 1 / leak), v_leak=full(shape, 0))


def integrator(shape: tuple[int, ...] = (2,), dt: float = DT) -> nir.I:
    """An integrator with v <- v + x."""
    return nir.I(r=full(shape, 1 / dt))


def affine(weight: Any, bias: Any = 0.0) -> nir.Affine:
    weight = np.asarray(weight, dtype=float)
    return nir.Affine(weight, np.broadcast_to(np.asarray(bias, float), weight.shape[:1]).copy())


def identity(size: int = 2, bias: float = 0.0) -> nir.Affine:
    return affine(np.eye(size), bias)
