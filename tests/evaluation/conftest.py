"""A small graph with every kind of connection, and data that fits it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import nir
import numpy as np
import pytest
import torch

from mpo_snn.data.dataset import Dataset

DT = 1e-4
TIMESTEPS = 5


@dataclass(frozen=True)
class Small:
    graph: Any
    dataset: Dataset


def lif(*shape: int, threshold: float = 0.3) -> nir.LIF:
    one = np.ones(shape)
    return nir.LIF(
        tau=2 * DT * one, r=one, v_leak=0 * one, v_threshold=threshold * one, v_reset=0 * one
    )


def small_graph(classes: int = 3) -> nir.NIRGraph:
    """conv -> lif1 -> pool -> pruned conv -> lif2 (subtractive reset) -> dense -> lif3 -> dense.

    lif3 feeds itself, and lif1 also reaches lif2 through the pool alone.
    """
    rng = np.random.default_rng(5)
    pruned = rng.normal(size=(2, 2, 3, 3))
    pruned[rng.random(pruned.shape) < 0.4] = 0.0
    one = np.ones((2, 3, 3))
    pool = [np.array(pair) for pair in ((2, 2), (2, 2), (0, 0))]
    nodes = {
        "input": nir.Input(np.array([1, 6, 6])),
        "conv1": nir.Conv2d((6, 6), rng.normal(size=(2, 1, 3, 3)), 1, 1, 1, 1, np.zeros(2)),
        "lif1": lif(2, 6, 6),
        "pool": nir.AvgPool2d(*pool),
        "conv2": nir.Conv2d((3, 3), pruned, 1, 1, 1, 1, np.full(2, 0.1)),
        "lif2.membrane": nir.LI(tau=2 * DT * one, r=one, v_leak=0 * one),
        "lif2": nir.Threshold(0.2 * one),
        "lif2.reset": nir.Scale(-0.2 * one),
        "flatten": nir.Flatten({"input": np.array([2, 3, 3])}, start_dim=0),
        "fc": nir.Affine(rng.normal(size=(4, 18)), np.zeros(4)),
        "lif3": lif(4),
        "loop": nir.Linear(0.3 * rng.normal(size=(4, 4))),
        "readout": nir.Affine(rng.normal(size=(classes, 4)), np.zeros(classes)),
        "output": nir.Output(np.array([classes])),
    }
    chains = (
        "input conv1 lif1 pool conv2 lif2.membrane lif2 flatten fc lif3 readout output",
        "lif2 lif2.reset lif2.membrane",
        "pool lif2.membrane",
        "lif3 loop lif3",
    )
    return nir.NIRGraph(nodes, [edge for chain in chains for edge in pairwise(chain.split())])


def small_dataset(
    samples: int = 11, shape: tuple[int, ...] = (1, 6, 6), classes: int = 3
) -> Dataset:
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(samples, *shape, generator=generator)
    y = torch.randint(classes, (samples,), generator=generator)
    names = tuple(f"class {k}" for k in range(classes))
    return Dataset("noise", x, y, x, y, names, "uniform in [0, 1]")


@pytest.fixture
def small() -> Small:
    return Small(small_graph(), small_dataset())


@pytest.fixture
def make_graph():
    return small_graph


@pytest.fixture
def make_dataset():
    return small_dataset
