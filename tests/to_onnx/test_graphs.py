"""Any NIR graph as a model, loops and delays included, against the simulator and its equations."""

from __future__ import annotations

import nir
import numpy as np
import onnx
import torch
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from mpo_snn.export.to_onnx.build import build_onnx
from tests.graph.graphs import DT
from tests.graph.test_random_graphs import drive, graphs, simulator_or_none
from tests.to_onnx.run import all_steps, in_reference


@settings(max_examples=150, deadline=None, derandomize=True)
@given(graphs(loops=True), st.integers(0, 9))
def test_one_timestep_of_any_graph(candidate: nir.NIRGraph, seed: int) -> None:
    simulator = simulator_or_none(candidate)
    assume(simulator is not None)
    assert simulator is not None
    event(f"loops: {any(group.is_loop for group in simulator.schedule.groups)}")
    model = build_onnx(candidate, DT, {}, precision="float64")
    onnx.checker.check_model(model, full_check=True)
    x = drive(seed)
    expected = simulator.run(torch.from_numpy(x)).output
    found = all_steps(model, in_reference(model), x)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(graphs(loops=True), st.integers(0, 9), st.booleans())
def test_all_timesteps_of_any_graph(candidate: nir.NIRGraph, seed: int, constant: bool) -> None:
    simulator = simulator_or_none(candidate)
    assume(simulator is not None)
    assert simulator is not None
    x = np.repeat(drive(seed), 3, axis=1) * np.array([1.0, 0.5, 2.0])[:, None]
    x = np.broadcast_to(x[:1], x.shape) if constant else x
    encoding = "direct" if constant else "frames"
    model = build_onnx(
        candidate, DT, {}, timesteps=6, encoding=encoding, readout="sum", precision="float64"
    )
    onnx.checker.check_model(model, full_check=True)
    given = in_reference(model)({"input": x[0] if constant else x})
    expected = simulator.run(torch.from_numpy(x.copy())).output.sum(0)
    np.testing.assert_allclose(given["scores"], expected.numpy(), atol=1e-12)
