"""The scan in one pass gives every spike, membrane and count of the steps one by one."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.graph import fused_scan
from mpo_snn.graph.counts import Counts
from mpo_snn.graph.fan_out import FanOut
from mpo_snn.graph.layer import Layer
from mpo_snn.graph.neurons import layer

pytest.importorskip("numba", reason="numba is optional: pip install 'mpo-snn[fast]'")
CPU = torch.device("cpu")


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(["LIF", "IF"]),
    shape=st.sampled_from([(1,), (7,), (513,), (2, 3, 5)]),
    timesteps=st.integers(1, 4),
    batch=st.integers(1, 3),
    is_constant=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    numbers=st.tuples(st.floats(1.0, 9.0), st.floats(-0.2, 0.7), st.sampled_from([0.0, -0.4, 0.3])),
    most=st.sampled_from([9, 2**31, 2**40]),
    seed=st.integers(0, 999),
)
def test_equal_to_the_steps(kind, shape, timesteps, batch, is_constant, dtype, numbers, most, seed):
    node = neurons(kind, shape, *numbers)
    made = layer(node, 1e-4, shape, dtype, CPU)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(
        1 if is_constant else timesteps, batch, *shape, generator=generator, dtype=dtype
    )
    drive, found = made.drive(x), []
    fan_out = FanOut(torch.randint(most, (2, *shape), generator=generator))
    for way in (type(made).advance_all, Layer.advance_all):
        state, counts = made.start(batch), Counts.zeros(shape, batch, CPU, fan_out)
        out = torch.empty(timesteps, batch, *shape, dtype=dtype)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fused_scan, "WORTH", 0)
            patch.setattr(fused_scan, "MOST_THREADS", 10**6)
            for _ in range(2):  # the second goes on from the state of the first
                way(made, drive, state, out, None, counts)
        sums = (counts.of_neurons, counts.of_samples, counts.driven)
        found.append((out, state.tensors[0], *sums))
    for fused, stepped in zip(*found, strict=True):
        assert torch.equal(fused, stepped)
    assert found[0][2].sum() == found[0][3].sum()


def test_values_that_are_no_numbers_go_the_same_way():
    made = layer(neurons("LIF", (4,), 2.0, 0.3, 0.0), 1e-4, (4,), torch.float32, CPU)
    x = torch.tensor([np.inf, -np.inf, np.nan, -0.0]).expand(3, 1, 4)
    out, state = torch.empty(3, 1, 4), made.start(1)
    fused_scan.fused_scan(x, state.tensors[0], out, made._constants(), None)
    stepped, expected = torch.empty(3, 1, 4), made.start(1)
    Layer.advance_all(made, x, expected, stepped, None, None)
    assert torch.equal(out, stepped)
    assert torch.equal(state.tensors[0].nan_to_num(7.0), expected.tensors[0].nan_to_num(7.0))


@pytest.mark.parametrize(("threads", "is_used"), [(1, True), (64, False)])
def test_it_is_used_where_it_is_faster(monkeypatch, threads, is_used):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    large = torch.zeros(1, 4, fused_scan.WORTH // 16)
    assert fused_scan.is_at_hand(large, timesteps=4) is is_used
    assert not fused_scan.is_at_hand(large, timesteps=3)
    monkeypatch.setattr(fused_scan, "is_installed", lambda package: False)
    assert not fused_scan.is_at_hand(large, timesteps=4)


def neurons(kind, shape, ratio, threshold, reset):
    """Neurons of one value each: tau in steps, and IF without a leak."""
    one = np.ones(shape)
    common = {"r": 0.7 * one, "v_threshold": threshold * one, "v_reset": reset * one}
    if kind == "IF":
        return nir.IF(**common)
    return nir.LIF(tau=ratio * 1e-4 * one, v_leak=0.1 * one, **common)
