"""Test vectors against loops that have nothing but the files of the deployment directory."""

from __future__ import annotations

import io
from dataclasses import replace

import nir
import numpy as np
import pytest
import torch
from safetensors.numpy import load

from mpo_snn.deploy.deployment import deploy
from mpo_snn.deploy.families import family_of
from mpo_snn.deploy.files import NETWORK, TENSORS, deployment_files
from mpo_snn.deploy.grid_graph import grid_graph
from mpo_snn.deploy.loihi_quantize import quantize_loihi
from mpo_snn.deploy.real_run import with_values
from mpo_snn.deploy.record import report_of
from mpo_snn.deploy.vectors import vectors_file
from mpo_snn.inference import Inference
from mpo_snn.profiles.chip import load_chip_profile

from .chips import CHIPS, T, deployed, network, samples
from .fixed_point_designs import design, events, mixed
from .loihi_graphs import images

K = 6
SPIKER = design()
OTHER = design(
    leak_order="before", rounding="zero", overflow="wrap", compare=">=", reset="subtract",
    weight_bits=6, state_bits=9,
)  # fmt: skip
FACTOR = design(leak="multiply", leak_bits=7, leak_order="after", rounding="half_up", most_spikes=3)


def driven(family, **given):
    """The network of the tests with biases."""
    generator = torch.Generator().manual_seed(9)
    layers = [
        replace(one, bias=0.05 * torch.randn(one.shape, generator=generator).double(), **given)
        for one in network(family)
    ]
    return replace(network(family), layers=tuple(layers))


def written(profile, graph, tmp_path):
    """Tensors, nodes of the graph, and vectors, as the directory has them."""
    few = samples(K + 4)
    some = replace(few, index=torch.arange(100, 100 + len(few.y)))
    deployment = deploy(graph, profile, some, samples(20).x)
    report = report_of(deployment, "a", "b", 1e-4)
    inference = Inference("digits", T, 1e-4, "counts", "spike_count")
    files = deployment_files(deployment, report, inference, None)
    (tmp_path / NETWORK).write_bytes(files[NETWORK])
    tensors = {name: value.astype(np.int64) for name, value in load(files[TENSORS]).items()}
    vectors = dict(np.load(io.BytesIO(vectors_file(deployment, some, K))))
    assert all(np.issubdtype(one.dtype, np.integer) for one in vectors.values())
    assert vectors["index"].tolist() == list(range(100, 100 + K))
    assert vectors["label"].tolist() == few.y[:K].tolist()
    assert vectors["answer"].tolist() == deployment.chip.predicted[:K]
    assert vectors["output"].sum(0).argmax(1).tolist() == vectors["answer"].tolist()
    whole = {name: value.astype(np.int64) for name, value in vectors.items()}
    return tensors, nir.read(tmp_path / NETWORK).nodes, whole


def sources(nodes, layer):
    """Sources of a layer, from the names of its nodes; all are dense behind a flatten at most."""
    start = f"{layer}.from_"
    found = [name.removeprefix(start) for name in nodes if name.startswith(start)]
    return [name for name in found if not name.endswith(".flatten")]


def wrapped(value, bits):
    return (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


def divided(value, places, rounding):
    if rounding == "zero":
        return abs(value) // 2**places * (1 if value > 0 else -1)
    return (value + (2**places // 2 if rounding == "half_up" else 0)) // 2**places


def leaked(value, tensors, layer, j, chosen):
    if chosen["leak"] == "multiply":
        m = int(tensors[f"{layer}.leak_multiply"][j])
        return divided(value * m, chosen["leak_bits"], chosen["rounding"])
    k = int(tensors[f"{layer}.leak_shift"][j])
    return value if k == -1 else value - divided(value, k, chosen["rounding"])


@pytest.mark.parametrize(
    ("profile", "given"),
    [
        (SPIKER, {}),
        (OTHER, {"reset": "subtract"}),
        (FACTOR, {"most_spikes": 3}),
        (SPIKER, {"beta": torch.ones(1, dtype=torch.float64)}),
    ],
)
def test_fixed_point_is_a_loop_over_single_neurons(profile, given, tmp_path) -> None:
    graph = driven("fixed_point", **{key: given[key] for key in given if key != "beta"})
    if "beta" in given:
        layers = tuple(replace(one, beta=torch.ones_like(one.beta)) for one in graph)
        graph = replace(graph, layers=layers)
    tensors, nodes, vectors = written(profile, graph, tmp_path)
    chosen = {
        name: one.value for t in ("neuron", "format") for name, one in profile.tables[t].items()
    }
    low, high = -(2 ** (chosen["state_bits"] - 1)), 2 ** (chosen["state_bits"] - 1) - 1
    for sample in range(K):
        membranes = {"a": [0] * 30, "b": [0] * 5}
        for t in range(T):
            fired = {"input": vectors["input"][t, sample].flatten()}
            for layer, states in membranes.items():
                spikes = []
                for j, before in enumerate(states):
                    v = before
                    if chosen["leak_order"] == "before":
                        v = leaked(v, tensors, layer, j, chosen)
                    for source in sources(nodes, layer):
                        v += int(tensors[f"{layer}.{source}.weight"][j] @ fired[source])
                    v += int(tensors[f"{layer}.bias"][j])
                    saturates = chosen["overflow"] == "saturate"
                    v = max(low, min(high, v)) if saturates else wrapped(v, chosen["state_bits"])
                    threshold, n = int(tensors[f"{layer}.threshold"][j]), 0
                    at_most = given.get("most_spikes", 1)
                    rest = v
                    while n < at_most and (
                        rest > threshold if chosen["compare"] == ">" else rest >= threshold
                    ):
                        rest, n = rest - threshold, n + 1
                    if n:
                        v = rest if chosen["reset"] == "subtract" else 0
                    if chosen["leak_order"] == "after" or (
                        chosen["leak_order"] == "instead_of_spike" and not n
                    ):
                        v = leaked(v, tensors, layer, j, chosen)
                    states[j] = v
                    spikes.append(n)
                fired[layer] = np.array(spikes)
                assert vectors[f"{layer}.spikes"][t, sample].tolist() == spikes
                assert vectors[f"{layer}.v"][t, sample].tolist() == states
            assert vectors["output"][t, sample].tolist() == fired["b"].tolist()
    assert vectors["a.spikes"].any() and vectors["b.spikes"].any()


@pytest.mark.parametrize("alpha", [None, 0.5])
def test_loihi_is_a_loop_over_single_neurons(alpha, tmp_path) -> None:
    graph = driven("loihi")
    if alpha is not None:
        layers = tuple(replace(one, alpha=torch.full_like(one.beta, alpha)) for one in graph)
        graph = replace(graph, layers=layers)
    tensors, nodes, vectors = written(load_chip_profile("loihi-1"), graph, tmp_path)
    hops = 2
    assert vectors["input"].shape[0] == vectors["output"].shape[0] == T
    assert vectors["a.v"].shape == (T + hops, K, 30)

    def part(layer, name, j):
        return int(np.broadcast_to(tensors[f"{layer}.{name}"], (30 if layer == "a" else 5,))[j])

    def kept(value, share):
        return divided(value * share, 12, "zero")

    for sample in range(K):
        u = {"a": [0] * 30, "b": [0] * 5}
        v = {"a": [0] * 30, "b": [0] * 5}
        arriving = {"input": np.zeros(16, int), "a": np.zeros(30, int), "b": np.zeros(5, int)}
        for t in range(T + hops):
            given = vectors["input"][t, sample].flatten() if t < T else np.zeros(16, int)
            fired = {"input": given}
            for layer in ("a", "b"):
                spikes = []
                for j in range(len(u[layer])):
                    total = 0
                    for source in sources(nodes, layer):
                        name = f"{layer}.{source}.weight"
                        shift = 6 + int(tensors[f"{name}_exponent"])
                        total += int(tensors[f"{name}_mantissa"][j] @ arriving[source]) * 2**shift
                    current = kept(u[layer][j], 4096 - (part(layer, "decay_u", j) + 1))
                    u[layer][j] = wrapped(current + wrapped(total, 22), 24)
                    bias = part(layer, "bias_mantissa", j) << part(layer, "bias_exponent", j)
                    membrane = kept(v[layer][j], 4096 - part(layer, "decay_v", j))
                    membrane += wrapped(u[layer][j] + bias, 24)
                    membrane = max(-(2**23) + 1, min(2**23 - 1, membrane))
                    fires = membrane > part(layer, "threshold_mantissa", j) * 64
                    v[layer][j] = 0 if fires else membrane
                    spikes.append(int(fires))
                fired[layer] = np.array(spikes)
                assert vectors[f"{layer}.spikes"][t, sample].tolist() == spikes
                assert vectors[f"{layer}.u"][t, sample].tolist() == u[layer]
                assert vectors[f"{layer}.v"][t, sample].tolist() == v[layer]
            if t >= hops:
                assert vectors["output"][t - hops, sample].tolist() == fired["b"].tolist()
            arriving = fired
    assert vectors["a.spikes"].any() and vectors["b.spikes"].any()


def decay(x, dash):
    step = x >> dash
    return np.where(step == 0, np.sign(x), step)


def test_xylo_follows_its_equations(tmp_path) -> None:
    """Where nothing saturates, as here."""
    tensors, _, vectors = written(load_chip_profile("xylo-audio3"), network("xylo"), tmp_path)
    shift, late = int(tensors["weight_shift"]), 1
    assert vectors["a.v"].shape[0] == T + late
    events_in = vectors["input"].reshape(T, K, -1)
    zero = np.zeros_like(vectors["a.v"][0])
    i, v = {"a": zero, "b": zero[:, :5]}, {"a": zero, "b": zero[:, :5]}
    before = zero
    for t in range(T + late):
        given = events_in[t].clip(max=15) if t < T else np.zeros_like(events_in[0])
        into = {
            "a": given @ (tensors["weights_in"][:, :, 0] << shift)
            + before @ (tensors["weights_rec"][:, :, 0] << shift),
            "b": before @ (tensors["weights_out"] << shift),
        }
        for name, population, most in (("a", "hidden", 31), ("b", "output", 1)):
            of = {
                key: tensors[f"{population}.{key}"]
                for key in ("dash_mem", "dash_syn", "threshold", "bias")
            }
            i[name] = i[name] + into[name]
            i[name] = i[name] - decay(i[name], of["dash_syn"][:, 0])
            v[name] = v[name] - decay(v[name], of["dash_mem"]) + i[name] + of["bias"]
            n = (v[name] // of["threshold"]).clip(0, most)
            v[name] = v[name] - n * of["threshold"]
            assert (vectors[f"{name}.spikes"][t] == n).all()
            assert (vectors[f"{name}.i"][t] == i[name]).all()
            assert (vectors[f"{name}.v"][t] == v[name]).all()
        before = vectors["a.spikes"][t]
    assert (vectors["output"] == vectors["b.spikes"][late:]).all()


def test_speck_follows_its_equations(tmp_path) -> None:
    tensors, nodes, vectors = written(load_chip_profile("speck-2e"), driven("speck"), tmp_path)
    fired = {"input": vectors["input"].reshape(T, K, -1)}
    for layer in ("a", "b"):
        (source,) = sources(nodes, layer)
        weight = tensors[f"{layer}.weight"].reshape(len(tensors[f"{layer}.bias"]), -1)
        v = np.zeros((K, len(weight)), int)
        for t in range(T):
            v = v + fired[source][t] @ weight.T + tensors[f"{layer}.bias"]
            n = (v // tensors[f"{layer}.threshold"]).clip(0, 1)
            v = (v - n * tensors[f"{layer}.threshold"]).clip(tensors[f"{layer}.lower"])
            assert (vectors[f"{layer}.spikes"][t] == n).all()
            assert (vectors[f"{layer}.v"][t] == v).all()
        fired[layer] = vectors[f"{layer}.spikes"]
    assert (vectors["output"] == fired["b"]).all()


@pytest.mark.parametrize("chip", CHIPS)
def test_all_samples_are_the_run_that_was_measured(chip) -> None:
    """More than a batch, spike for spike."""
    _, deployment = deployed(chip)
    vectors = np.load(io.BytesIO(vectors_file(deployment, samples(), 70)))
    assert vectors["answer"].tolist() == deployment.chip.predicted
    for layer in ("a", "b"):
        assert int(vectors[f"{layer}.spikes"].sum(dtype=np.int64)) == deployment.chip.spikes[layer]


def test_maps_keep_their_shape_and_their_order() -> None:
    """A convolution behind sums over windows, recurrent neurons; (time, samples, *features)."""
    from mpo_snn.deploy.fixed_point_quantize import quantize_fixed_point

    graph = mixed(1)
    integers = quantize_fixed_point(graph, SPIKER)
    kept, run = integers.record(events(graph, 2)), integers.run(events(graph, 2))
    assert kept["maps.v"].shape == kept["maps.spikes"].shape == (8, 2, 3, 3, 3)
    assert {name: int(kept[f"{name}.spikes"].sum()) for name in run.spikes} == run.spikes
    assert torch.equal(kept["last.spikes"].flatten(2), run.output)
    graph = images(3)
    loihi = quantize_loihi(graph, load_chip_profile("loihi-1"))
    kept, run = loihi.record(events(graph, 2, 10)), loihi.run(events(graph, 2, 10))
    assert kept["maps.u"].shape == (12, 2, 3, 2, 2)
    assert torch.equal(kept["output.spikes"].flatten(2)[2:], run.output)


@pytest.mark.parametrize("chip", ["fpga", "loihi-1"])
def test_two_ways_from_one_source_are_two_tensors(chip) -> None:
    """Under the names of their nodes in the graph, next to each other."""
    profile = load_chip_profile(chip)
    graph = network(profile.family)
    first, last = graph.layers
    (way,) = first.projections
    twice = replace(first, projections=(way, replace(way, weight=-0.5 * way.weight)))
    graph = replace(graph, layers=(twice, last))
    integers = family_of(profile).quantize(graph, profile, events(graph, 1))
    nodes, _ = grid_graph(with_values(integers.graph, integers.on_grid()), 1e-4)
    names = integers.tensors()
    end = "weight" if chip == "fpga" else "weight_mantissa"
    for name, weight in (("input", way.weight), ("input.1", -way.weight)):
        assert (names[f"a.{name}.{end}"].sign() * weight.sign() >= 0).all()
        assert f"a.from_{name}" in nodes.nodes
