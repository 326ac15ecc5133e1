"""Each kind with state against a float64 loop written from its equation."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch

from mpo_snn.errors import GraphError
from mpo_snn.graph.simulate import Simulator
from tests.graph.graphs import DT, chain, full, graph, integrator, lif, ports

T, B, DT_S = 80, 3, 1e-4
SHAPES = [(5,), (2, 3, 2)]


def parameters(kind: str, shape: tuple[int, ...], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    ranges = {
        "tau": (2e-4, 2e-3),
        "tau_syn": (2e-4, 1e-3),
        "tau_mem": (2e-4, 2e-3),
        "r": (1, 6),
        "v_leak": (-0.2, 0.2),
        "v_threshold": (0.5, 1.5),
        "v_reset": (-0.3, 0.3),
        "w_in": (1, 3),
    }
    if kind in ("I", "IF"):
        ranges["r"] = (1e3, 8e3)
    fields = {
        "I": "r",
        "LI": "tau r v_leak",
        "IF": "r v_threshold v_reset",
        "LIF": "tau r v_leak v_threshold v_reset",
        "CubaLI": "tau_syn tau_mem r v_leak w_in",
        "CubaLIF": "tau_syn tau_mem r v_leak v_threshold v_reset w_in",
    }
    return {field: rng.uniform(*ranges[field], shape) for field in fields[kind].split()}


def loop(kind: str, p: dict[str, np.ndarray], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The output and the membrane before reset, step by step."""
    v = np.zeros_like(x[0])
    i = np.zeros_like(x[0])
    outputs, membranes = [], []
    for x_t in x:
        if kind in ("I", "IF"):
            v = v + DT_S * p["r"] * x_t
        elif kind in ("LI", "LIF"):
            v = v + DT_S / p["tau"] * ((p["v_leak"] - v) + p["r"] * x_t)
        else:
            i = i + DT_S / p["tau_syn"] * (-i + p["w_in"] * x_t)
            v = v + DT_S / p["tau_mem"] * (p["v_leak"] - v + p["r"] * i)
        membranes.append(v)
        if "v_threshold" in p:
            spk = v > p["v_threshold"]
            outputs.append(spk.astype(float))
            v = np.where(spk, p["v_reset"], v)
        else:
            outputs.append(v)
    return np.stack(outputs), np.stack(membranes)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["I", "LI", "IF", "LIF", "CubaLI", "CubaLIF"])
def test_neurons_equal_their_equations(kind: str, shape: tuple[int, ...]) -> None:
    p = parameters(kind, shape, seed=1)
    x = np.random.default_rng(2).normal(0.4, 1.0, (T, B, *shape))
    expected, membrane = loop(kind, p, x)
    simulator = Simulator(chain(shape, n=getattr(nir, kind)(**p)), DT_S, torch.float64)
    result = simulator.run(torch.from_numpy(x), record="membrane")
    if "v_threshold" in p:
        assert 0.05 < expected.mean() < 0.9
        np.testing.assert_array_equal(result.output, expected)
        np.testing.assert_allclose(result.v["n"], membrane, atol=1e-12)
    else:
        np.testing.assert_allclose(result.output, expected, atol=1e-12)
        assert result.v == {}


def test_lif_below_threshold_has_the_closed_form() -> None:
    beta, x = 0.9, 0.05
    result = Simulator(chain((1,), n=lif((1,), leak=1 - beta)), DT, torch.float64).run(
        torch.full((40, 1, 1), x, dtype=torch.float64), record="membrane"
    )
    t = np.arange(1, 41)
    np.testing.assert_allclose(result.v["n"].flatten(), x * (1 - beta**t) / (1 - beta), rtol=1e-12)
    assert result.counts["n"].item() == 0


def test_a_spike_needs_more_than_the_threshold() -> None:
    x = torch.tensor([0.5, 1.0, 1.0 + 2**-23, 0.5]).reshape(4, 1, 1)
    neuron = lif((1,), leak=1.0, threshold=1.0)
    assert Simulator(chain((1,), n=neuron), DT).run(x).output.flatten().tolist() == [0, 0, 1, 0]
    gate = nir.Threshold(full((1,), 1.0))
    assert Simulator(chain((1,), n=gate), DT).run(x).output.flatten().tolist() == [0, 0, 1, 0]


def test_the_synapse_moves_first() -> None:
    """An input spike reaches the membrane of a CubaLI in the same step."""
    node = nir.CubaLI(full((1,), 2 * DT), full((1,), 4 * DT), full((1,), 1), full((1,), 0))
    x = torch.tensor([1.0, 0, 0], dtype=torch.float64).reshape(3, 1, 1)
    output = Simulator(chain((1,), n=node), DT, torch.float64).run(x).output.flatten().tolist()
    assert output == [0.5 / 4, 0.75 * 0.125 + 0.25 / 4, 0.75 * 0.15625 + 0.125 / 4]


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_single_value_holds_for_all_neurons(shape: tuple[int, ...]) -> None:
    x = torch.randn(T, B, 2, 3, generator=torch.Generator().manual_seed(0))
    one = Simulator(chain((2, 3), n=lif(shape, v_leak=0.1, v_reset=-0.1)), DT)
    all_ = Simulator(chain((2, 3), n=lif((2, 3), v_leak=0.1, v_reset=-0.1)), DT)
    assert one.node_shapes["n"] == (2, 3)
    assert torch.equal(one.run(x).output, all_.run(x).output)


def test_tau_of_one_step_has_no_memory() -> None:
    x = torch.randn(T, B, 2, generator=torch.Generator().manual_seed(0))
    output = Simulator(chain((2,), n=lif((2,), leak=1.0, threshold=0.5)), DT).run(x).output
    assert torch.equal(output, (x > 0.5).float())


def test_delay_is_counted_in_steps_for_each_element() -> None:
    steps = [0, 1, 3, 90]
    x = torch.randn(T, B, 4, generator=torch.Generator().manual_seed(0))
    node = nir.Delay(np.array(steps) * 1e-4)
    simulator = Simulator(chain((4,), n=node), 1e-4)
    for chunk in (None, 1, 7):
        output = simulator.run(x, chunk=chunk).output
        for j, k in enumerate(steps):
            assert not output[:k, :, j].any()
            assert torch.equal(output[k:, :, j], x[: T - k, :, j] if k < T else x[:0, :, j])


def test_delay_in_a_loop_comes_on_top_of_the_loops_step() -> None:
    nodes = {**ports((1,)), "i": integrator((1,)), "d": nir.Delay(full((1,), 2 * DT))}
    looped = graph(nodes, [("input", "i"), ("i", "output"), ("i", "d"), ("d", "i")])
    x = torch.tensor([1.0, 0, 0, 0, 0, 0, 0]).reshape(7, 1, 1)
    # v[t] = v[t-1] + x[t] + v[t-3]
    assert Simulator(looped, DT).run(x).output.flatten().tolist() == [1, 1, 1, 2, 3, 4, 6]


@pytest.mark.parametrize("delay", [1.5e-4, 1.001e-4, 4e-5])
def test_delay_between_two_steps_is_refused(delay: float) -> None:
    with pytest.raises(GraphError, match=r"not a whole number of steps of dt = 0.0001 s.*'n'"):
        Simulator(chain((2,), n=nir.Delay(np.array([1e-4, delay]))), 1e-4)


def test_float32_rounds_each_coefficient_once() -> None:
    beta = np.float32(0.3)
    dt = 1e-4
    node = nir.LIF(
        tau=full((1,), dt / (1 - float(beta))),
        r=full((1,), 1 / (1 - float(beta))),
        v_leak=full((1,), 0),
        v_threshold=full((1,), 10),
        v_reset=full((1,), 0),
    )
    x = torch.rand(20, 1, 1, generator=torch.Generator().manual_seed(3))
    v, expected = np.float32(0), []
    for x_t in x.flatten().numpy():
        v = np.float32(np.float32(v * beta) + x_t)
        expected.append(v)
    result = Simulator(chain((1,), n=node), dt).run(x, record="membrane")
    np.testing.assert_array_equal(result.v["n"].flatten(), expected)
