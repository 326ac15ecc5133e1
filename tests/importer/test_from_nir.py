"""Imported networks: values, folds, precision, training, copies, and the way back."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import nir
import numpy as np
import pytest
import torch

import mpo_snn
from interop.paper import LIF_SPIKES, single_lif
from mpo_snn.export.compare import compare
from mpo_snn.export.for_reader import export_for_reader, reader_named
from mpo_snn.export.nir_export import export_nir
from mpo_snn.export.sources import GraphSource, NetworkSource
from mpo_snn.graph.simulate import Simulator
from tests.graph.graphs import DT, affine, chain, full, graph, integrator, lif, ports

T = 8


def convnet(seed: int = 0, r: float | None = None) -> nir.NIRGraph:
    """Two spiking layers with a leak, gain and threshold for every neuron, and a readout."""
    rng = np.random.default_rng(seed)
    shape = (4, 4, 4)

    def neurons(shape: tuple[int, ...]) -> nir.LIF:
        tau = rng.uniform(1.5, 6, shape) * DT
        gain = rng.uniform(0.5, 2, shape) if r is None else full(shape, r)
        threshold = rng.uniform(0.2, 0.6, shape)
        return nir.LIF(tau, gain, full(shape, 0), threshold, full(shape, 0))

    return chain(
        (1, 8, 8),
        (3,),
        conv=nir.Conv2d((8, 8), rng.normal(0, 0.6, (4, 1, 3, 3)), 2, 1, 1, 1, rng.normal(size=4)),
        lif1=neurons(shape),
        flat=nir.Flatten({"input": np.array(shape)}, 0, -1),
        fc=affine(rng.normal(0, 0.5, (16, 64)), rng.normal(size=16)),
        lif2=neurons((16,)),
        head=affine(rng.normal(size=(3, 16))),
    )


def drive(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def outputs(network: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return mpo_snn.Unrolled(network.eval(), len(x))(x)


def test_a_file_with_its_timestep(tmp_path: Path) -> None:
    candidate = convnet()
    candidate.metadata["dt"] = DT
    nir.write(tmp_path / "a.nir", candidate)
    network = mpo_snn.from_nir(tmp_path / "a.nir", dtype=torch.float64)
    assert network.dt == DT and network.input_shape == (1, 8, 8)
    x = drive(T, 2, 1, 8, 8)
    expected = Simulator(candidate, DT, torch.float64).run(x).output
    torch.testing.assert_close(outputs(network, x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_published_lif_fires_where_the_paper_says(dtype: torch.dtype) -> None:
    case = single_lif()
    network = mpo_snn.from_nir(case.graph, dt=case.dt, dtype=dtype)
    spikes = outputs(network, case.x.to(dtype))
    assert tuple(spikes[:, 0, 0].nonzero()[:, 0].tolist()) == LIF_SPIKES


def test_forward_is_one_timestep() -> None:
    network = mpo_snn.from_nir(convnet(), dt=DT, dtype=torch.float64).eval()
    x = drive(T, 2, 1, 8, 8)
    with torch.no_grad():
        steps = torch.stack([network(step) for step in x])
    torch.testing.assert_close(steps, outputs(network, x))
    assert torch.get_default_dtype() == torch.float32


def test_parameters_take_no_more_room_than_they_need() -> None:
    shape = (2, 3, 3)
    tau, thresholds = full(shape, 2 * DT), full(shape, 0.5)
    tau[1], thresholds[1, 2, 2] = 4 * DT, 0.25
    node = nir.LIF(tau, full(shape, 1), full(shape, 0), thresholds, full(shape, 0))
    neuron = mpo_snn.from_nir(chain(shape, n=node), dt=DT).n
    assert neuron.beta.tolist() == [0.5, 0.75]
    assert neuron.threshold.shape == shape and neuron.input_gain == "decay"
    plain = mpo_snn.from_nir(chain((2,), n=lif()), dt=DT).n
    assert plain.beta.shape == () and plain.input_gain == "unit" and plain.membrane_unit is None


def test_a_constant_current_goes_into_the_bias() -> None:
    resting = lif((2,), v_leak=0.3)
    resting.v_leak[1] = -0.2
    for synapse in (affine([[1, 0.5], [0.2, 1]], 0.1), nir.Linear(np.array([[1, 0.5], [0.2, 1]]))):
        candidate = chain((2,), fc=synapse, n=resting)
        network = mpo_snn.from_nir(candidate, dt=DT, dtype=torch.float64)
        bias = getattr(synapse, "bias", np.zeros(2))
        np.testing.assert_allclose(network.fc.bias.detach(), bias + resting.v_leak / resting.r)
        x = drive(30, 4, 2)
        assert torch.equal(
            outputs(network, x), Simulator(candidate, DT, torch.float64).run(x).output
        )


def test_a_leak_that_vanishes_in_the_precision_is_an_integrator() -> None:
    """A LIF that is an IF in disguise, as the files for several readers have it."""
    tau, threshold = full((2,), DT * 2.0**60), full((2,), 0.7 * 2.0**-60)
    hidden = nir.LIF(tau, full((2,), 1), full((2,), 0), threshold, full((2,), 0))
    candidate = chain((2,), n=hidden)
    for dtype in (torch.float32, torch.float64):
        network = mpo_snn.from_nir(candidate, dt=DT, dtype=dtype)
        assert network.n.beta == 1 and network.n.threshold == pytest.approx(0.7)
        x = drive(30, 4, 2).to(dtype)
        assert torch.equal(outputs(network, x), Simulator(candidate, DT, dtype).run(x).output)
    exported = export_nir(network, (2,), DT).graph.nodes["n"]
    assert isinstance(exported, nir.IF)
    np.testing.assert_allclose(exported.v_threshold, threshold)


def test_a_sum_that_counts_twice() -> None:
    inner = chain((2,), a=affine(np.eye(2)))
    inner.edges.append(("input", "output"))
    candidate = graph(
        {**ports((2,)), "g": inner, "n": lif()},
        [("input", "g"), ("g", "n"), ("input", "n"), ("n", "output")],
    )
    network = mpo_snn.from_nir(candidate, dt=DT, dtype=torch.float64)
    x = drive(20, 3, 2)
    assert torch.equal(outputs(network, x), Simulator(candidate, DT, torch.float64).run(x).output)
    exported = export_nir(network, (2,), DT).graph
    again = Simulator(exported, DT, torch.float64).run(x).output
    assert torch.equal(again, outputs(network, x))


@pytest.mark.parametrize("r", [None, 1.0])
def test_float32_differs_by_rounding_alone(r: float | None) -> None:
    candidate = convnet(1, r)
    network = mpo_snn.from_nir(candidate, dt=DT)
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    exported = export_nir(network, network.input_shape, network.dt)
    x = drive(64, 1, 8, 8).float()
    first = NetworkSource(mpo_snn.Unrolled(network, T))
    proof = compare(first, GraphSource(exported.graph, DT, exported.spiking), x, T)
    assert proof.is_equal, proof.first_divergence
    rates = [layer.both / layer.entries for layer in proof.results[1].layers]
    assert all(0.05 < rate < 0.95 for rate in rates)


def test_fine_tuning_and_back(tmp_path: Path) -> None:
    network = mpo_snn.from_nir(
        convnet(2), dt=DT, dtype=torch.float64, learn_leak=True, learn_threshold=True
    )
    before = copy.deepcopy(network.state_dict())
    mpo = mpo_snn.MPO(network)
    unrolled = mpo_snn.Unrolled(network.train(), T)
    optimiser = torch.optim.Adam(network.parameters(), 5e-3)
    x, y = drive(60, 1, 8, 8, seed=3), torch.arange(60) % 3
    losses = []
    for _ in range(25):
        optimiser.zero_grad()
        logits = unrolled(x.expand(T, *x.shape)).mean(0)
        loss = torch.nn.functional.cross_entropy(logits, y) + mpo.regularizer()
        loss.backward()
        optimiser.step()
        mpo.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    moved = {name for name, value in network.state_dict().items() if not value.equal(before[name])}
    assert moved >= {"conv.weight", "fc.bias", "lif1.beta", "lif1.threshold", "lif2.width"}
    assert not any("unit" in name for name in moved)
    exported = export_nir(network, network.input_shape, network.dt)
    source = GraphSource(exported.graph, DT, exported.spiking)
    proof = compare(NetworkSource(unrolled), source, x.float(), T)
    assert proof.is_equal, proof.first_divergence
    again = mpo_snn.from_nir(exported.graph, dt=DT, dtype=torch.float64)
    torch.testing.assert_close(
        outputs(again, x.expand(T, *x.shape)), outputs(network, x.expand(T, *x.shape))
    )


def test_channels_and_learnt_widths() -> None:
    settings = mpo_snn.MPOSettings(
        granularity="channel", width_update="gradient", width_follows="reach"
    )
    network = mpo_snn.from_nir(convnet(), dt=DT)
    mpo = mpo_snn.MPO(network, settings)
    mpo_snn.Unrolled(network.train(), T)(drive(T, 4, 1, 8, 8).float()).mean().backward()
    assert torch.isfinite(mpo.regularizer()) and network.lif1.width.shape == (4,)
    mpo.step()


def test_layers_may_be_called_input_and_output() -> None:
    nodes = {"x": nir.Input(np.array([2])), "input": affine([[1, 2], [3, 4]]), "output": lif()}
    nodes |= {"y": nir.Output(np.array([2]))}
    edges = [("x", "input"), ("input", "output"), ("x", "output"), ("output", "y")]
    candidate = graph(nodes, edges)
    network = mpo_snn.from_nir(candidate, dt=DT, dtype=torch.float64)
    x = drive(20, 3, 2)
    assert torch.equal(outputs(network, x), Simulator(candidate, DT, torch.float64).run(x).output)
    exported = export_nir(network, (2,), DT).graph
    assert set(exported.nodes) == {"input", "input_2", "output_2", "output"}


def test_copies_are_whole() -> None:
    network = mpo_snn.from_nir(convnet(), dt=DT)
    x = drive(T, 2, 1, 8, 8).float()
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(outputs(twin, x), outputs(network, x))
        a, b = (export_nir(n, n.input_shape, n.dt).graph.nodes["lif1"].r for n in (network, twin))
        np.testing.assert_array_equal(a, b)
    other = mpo_snn.from_nir(convnet(5), dt=DT)
    other.load_state_dict(network.state_dict())
    assert torch.equal(outputs(other, x), outputs(network, x))


def test_the_graph_is_not_touched() -> None:
    candidate = chain((2,), fc=affine(np.eye(2)), n=lif(v_leak=0.1), i=integrator(), t=lif())
    candidate.nodes["t"] = nir.Threshold(full((2,), 0.5))
    before = copy.deepcopy(candidate)
    network = mpo_snn.from_nir(candidate, dt=DT, dtype=torch.float64)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    for name, node in before.nodes.items():
        for key, value in vars(node).items():
            np.testing.assert_equal(getattr(candidate.nodes[name], key), value)


def test_the_file_for_three_readers_is_read_like_the_plain_one() -> None:
    """Dense layers as convolutions, gains in thresholds, sums for averages: the same spikes."""
    uniform = lif((4, 4, 4), leak=0.4, threshold=0.3, dt=1e-4)
    candidate = chain(
        (1, 8, 8),
        (5,),
        conv=convnet(3).nodes["conv"],
        lif=uniform,
        pool=nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        flat=nir.Flatten({"input": np.array([4, 2, 2])}, 0, -1),
        fc=affine(np.random.default_rng(0).normal(size=(5, 16)), 0.1),
        out=lif((5,), leak=0.3, dt=1e-4),
    )
    network = mpo_snn.from_nir(candidate, dt=1e-4, dtype=torch.float64)
    plain = export_nir(network, network.input_shape, network.dt)
    portable = export_for_reader(plain, reader_named("portable"), network.dt)
    again = mpo_snn.from_nir(portable.graph, dt=portable.dt, dtype=torch.float64)
    x = drive(20, 4, 1, 8, 8)
    assert 0.02 < outputs(network, x).mean() < 0.98
    assert torch.equal(outputs(again, x).flatten(2), outputs(network, x))
