"""Cases of the NIR paper (Pedersen et al., Nature Communications 15, 8122, 2024), re-created.

Data and parameters are those of its public repository, neuromorphs/NIR, folder paper.
"""

from __future__ import annotations

import nir
import numpy as np
import torch
from numpy.random import default_rng

from .cases import Case
from .graphs import DT, cuba_lif, dense

LIF_PULSES = (6, 22, 27, 31, 32, 35, 37, 40, 41, *range(43, 54), *range(67, 79), 84, 85)
"""Milliseconds at which the single LIF of 01_lif gets an input of 1, for one step of 0.1 ms."""

LIF_STEPS = 1000
LIF_SPIKES = (460, 510, 710, 760)
"""Steps at which it fires in Norse, snnTorch, Nengo, SpiNNaker2 and the exact solution."""

LIF_MEMBRANE = {60: 0.04, 450: 0.09984423, 500: 0.09602771, 700: 0.09609221, 850: 0.070416406}
"""Some membrane values of the published Norse recording, volt, by step."""


def paper_cases() -> list[Case]:
    """Both."""
    return [single_lif(), braille()]


def single_lif() -> Case:
    """01_lif: tau = 2.5 ms, r = 1, threshold 0.1."""
    one, zero = np.ones(1), np.zeros(1)
    lif = nir.LIF(tau=0.0025 * one, r=one, v_leak=zero, v_threshold=0.1 * one, v_reset=zero)
    nodes = {
        "input": nir.Input(np.array([1])),
        "fc": nir.Affine(weight=np.ones((1, 1)), bias=zero),
        "lif": lif,
        "output": nir.Output(np.array([1])),
    }
    graph = nir.NIRGraph(nodes, [("input", "fc"), ("fc", "lif"), ("lif", "output")])
    x = torch.zeros(LIF_STEPS, 1, 1)
    x[[10 * pulse for pulse in LIF_PULSES]] = 1.0
    return Case("NIR paper, single LIF", graph, {}, DT, x)


def braille(seed: int = 3) -> Case:
    """The kind of 03_rnn: 12 taxels, 38 CubaLIF with a biased loop, 7 letters; 256 steps.

    Sizes and leaks are the published ones of `braille_noDelay_bias_zero`, weights are drawn.
    """
    rng = default_rng(seed)
    nodes = {
        "input": nir.Input(np.array([12])),
        "fc1": dense(rng, 12, 38, True, gain=2.5),
        "lif1": cuba_lif((38,), 0.55, 0.9, threshold=10.0),
        "loop": dense(rng, 38, 38, True, gain=0.8),
        "fc2": dense(rng, 38, 7, True),
        "lif2": cuba_lif((7,), 0.5, 0.55, threshold=1.0),
        "output": nir.Output(np.array([7])),
    }
    edges = [
        ("input", "fc1"), ("fc1", "lif1"), ("lif1", "loop"), ("loop", "lif1"),
        ("lif1", "fc2"), ("fc2", "lif2"), ("lif2", "output"),
    ]  # fmt: skip
    x = (rng.random((256, 16, 12)) < 0.1).astype(np.float32)
    return Case("NIR paper, Braille kind", nir.NIRGraph(nodes, edges), {}, DT, torch.from_numpy(x))
