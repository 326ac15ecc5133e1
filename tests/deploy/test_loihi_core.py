"""Loihi's neuron against Python's own integers, rails included."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.deploy.loihi_core import LoihiNeurons, run_loihi


def shr0(x, n):
    return (abs(x) >> n) * (1 if x > 0 else -1)


def wrapped(x, bits):
    x &= (1 << bits) - 1
    return x - (1 << bits) if x >> (bits - 1) else x


def loop(neurons, k, total):
    decay_u, decay_v = int(neurons.decay_u[k]), int(neurons.decay_v[k])
    threshold, bias = int(neurons.threshold[k]), int(neurons.bias[k])
    u = v = 0
    rows, overflows = [], 0
    for q in total:
        overflows += wrapped(q, 22) != q
        q = wrapped(q, 22)
        new = shr0(u * (4096 - 1 - decay_u), 12) + q
        overflows += wrapped(new, 24) != new
        u = wrapped(new, 24)
        overflows += wrapped(u + bias, 24) != u + bias
        v = shr0(v * (4096 - decay_v), 12) + wrapped(u + bias, 24)
        v = min(max(v, neurons.v_min), neurons.v_max)
        s = v > threshold
        v = 0 if s else v
        rows.append((int(s), u, v))
    return rows, overflows


@settings(deadline=None, max_examples=25, derandomize=True)
@given(seed=st.integers(0, 10_000), large=st.booleans())
def test_equals_a_loop_of_integers(seed, large):
    generator = torch.Generator().manual_seed(seed)

    def integers(low, high, *size):
        return torch.randint(low, high, size, generator=generator)

    neurons = LoihiNeurons(
        integers(0, 4096, 5), integers(0, 4096, 5),
        integers(1, 1 << (23 if large else 17), 5), integers(-(1 << 19), 1 << 19, 5),
    )  # fmt: skip
    reach = 1 << (23 if large else 17)
    total = integers(-reach, reach, 40, 2, 5)
    run = run_loihi(neurons, total)
    overflows = 0
    for sample in range(2):
        for k in range(5):
            rows, found = loop(neurons, k, total[:, sample, k].tolist())
            overflows += found
            parts = (run.spikes, run.u, run.v)
            seen = zip(*(part[:, sample, k] for part in parts), strict=True)
            assert [tuple(map(int, row)) for row in seen] == rows
    assert run.overflows == overflows
    assert (overflows > 0) == large


def test_a_full_current_decay_is_a_plain_lif():
    one = torch.ones(1, dtype=torch.int64)
    neurons = LoihiNeurons(4095 * one, 2048 * one, 6400 * one, 0 * one)
    run = run_loihi(neurons, torch.tensor([[[4000]], [[4000]], [[4000]], [[0]]]))
    assert run.u.flatten().tolist() == [4000, 4000, 4000, 0]
    assert run.v.flatten().tolist() == [4000, 6000, 0, 0]
    assert run.spikes.flatten().tolist() == [0, 0, 1, 0]
