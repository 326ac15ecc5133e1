"""A network in Loihi's integers against a loop over single neurons and spikes."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.deploy.layers import INPUT
from mpo_snn.deploy.loihi_quantize import quantize_loihi
from mpo_snn.deploy.real_run import run_real, with_values
from mpo_snn.profiles.chip import load_chip_profile

from .loihi_graphs import events, images, two_layers

PROFILE = load_chip_profile("loihi-1")


def shr0(x, n):
    return (abs(x) >> n) * (1 if x > 0 else -1)


def synapses_of(projection, mantissa):
    """(source neuron, target neuron, mantissa), windows and kernels written out."""
    if projection.kind == "dense":
        for target, row in enumerate(mantissa.tolist()):
            for source, m in enumerate(row):
                yield source, target, m
        return
    (channels, height, width), (ph, pw) = projection.source_shape, projection.pool
    outputs, rows, columns = projection.output_shape
    for o in range(outputs):
        for y in range(rows):
            for x in range(columns):
                for c in range(channels):
                    for ky in range(mantissa.shape[2]):
                        for kx in range(mantissa.shape[3]):
                            py = y * projection.stride[0] - projection.padding[0] + ky
                            px = x * projection.stride[1] - projection.padding[1] + kx
                            if 0 <= py < height // ph and 0 <= px < width // pw:
                                for i in range(ph * pw):
                                    sy, sx = py * ph + i // pw, px * pw + i % pw
                                    yield (
                                        (c * height + sy) * width + sx,
                                        (o * rows + y) * columns + x,
                                        int(mantissa[o, c, ky, kx]),
                                    )


def slow_run(network, given):
    """Spikes of every layer at every step of the chip, one sample; synaptic events."""
    tensors, graph = network.tensors(), network.graph
    delay = graph.depth()[graph.output.name]
    u = {one.name: [0] * one.size for one in graph}
    v = {one.name: [0] * one.size for one in graph}
    lists = {
        (one.name, p.source): list(
            synapses_of(p, tensors[f"{one.name}.{p.source}.weight_mantissa"])
        )
        for one in graph
        for p in one.projections
    }
    fired, history, reached = {one.name: [] for one in graph} | {INPUT: []}, [], 0
    for step in range(len(given) + delay):
        now = {}
        for one in graph:
            total = [0] * one.size
            for p in one.projections:
                exponent = int(tensors[f"{one.name}.{p.source}.weight_exponent"])
                for source, target, m in lists[one.name, p.source]:
                    if source in fired[p.source]:
                        total[target] += m * 2 ** (6 + exponent)
            spikes = []
            for k in range(one.size):
                d_u = tensors[f"{one.name}.decay_u"].expand(one.size)[k].item()
                d_v = tensors[f"{one.name}.decay_v"][k].item()
                bias = tensors[f"{one.name}.bias_mantissa"][k].item()
                bias *= 2 ** tensors[f"{one.name}.bias_exponent"][k].item()
                threshold = 64 * tensors[f"{one.name}.threshold_mantissa"][k].item()
                u[one.name][k] = shr0(u[one.name][k] * (4095 - d_u), 12) + total[k]
                v[one.name][k] = shr0(v[one.name][k] * (4096 - d_v), 12) + u[one.name][k] + bias
                if v[one.name][k] > threshold:
                    spikes.append(k)
                    v[one.name][k] = 0
            now[one.name] = spikes
        if step < len(given):
            now[INPUT] = given[step].flatten().nonzero().flatten().tolist()
        fired = now | {INPUT: now.get(INPUT, [])}
        history.append(fired)
        for (_, source), synapses in lists.items():
            reached += sum(1 for s, _, m in synapses if m and s in fired[source])
    return history, reached


@settings(deadline=None, max_examples=8, derandomize=True)
@given(seed=st.integers(0, 999), kind=st.sampled_from(["plain", "synapse", "recurrent", "images"]))
def test_every_spike_is_that_of_a_loop(seed, kind):
    graph = {
        "plain": lambda: two_layers(seed, bias=0.1),
        "synapse": lambda: two_layers(seed, alpha=0.7, bias=0.05),
        "recurrent": lambda: two_layers(seed, alpha=0.3, recurrent=True),
        "images": lambda: images(seed),
    }[kind]()
    given = events(graph, seed, batch=2)
    network = quantize_loihi(graph, PROFILE, given)
    run = network.run(given)
    assert run.events == {"overflows": 0, "clamped": 0, "input events above 1": 0}
    counts, reached = {one.name: 0 for one in graph}, 0
    delay = graph.depth()[graph.output.name]
    for sample in range(2):
        history, one_reached = slow_run(network, given[:, sample])
        reached += one_reached
        for t in range(len(given)):
            fired = run.output[t, sample].nonzero().flatten().tolist()
            assert fired == history[t + delay][graph.output.name]
        for name in counts:
            counts[name] += sum(len(step[name]) for step in history)
    assert run.spikes == counts
    assert run.synaptic_events == reached
    assert run.updates == sum(one.size for one in graph) * 2 * (len(given) + delay)


def test_fires_as_the_network_on_the_grid_without_biases():
    """In real numbers without delays; the rounding of decays towards zero is all that is left."""
    same = whole = 0
    for seed in range(10):
        graph = two_layers(seed, alpha=0.5, size=0.8)
        given = events(graph, seed, timesteps=30, batch=8)
        network = quantize_loihi(graph, PROFILE, given)
        real = run_real(with_values(graph, network.on_grid()), given).output
        found = network.run(given).output
        assert int(found.sum()) > 0
        same += int((found == real).sum())
        whole += found.numel()
    assert same / whole > 0.995


def test_membranes_that_meet_the_threshold_do_not_fire_on_the_grid_either():
    """Without leaks all is whole numbers and ties are common; the grid is the chip all the same."""
    ties = 0
    for seed in range(20):
        graph = two_layers(seed, size=0.8)
        for one in graph:
            one.beta.fill_(1.0)
            for projection in one.projections:
                projection.weight.copy_((3 * projection.weight).round() / 3)
        given = events(graph, seed, timesteps=30, batch=8)
        network = quantize_loihi(graph, PROFILE, given)
        real = run_real(with_values(graph, network.on_grid()), given)
        found = network.run(given)
        assert torch.equal(found.output, real.output)
        exact = network.on_grid()
        scale = network.layers[0].scale
        at = exact["hidden"]
        tied = replace(at, threshold=at.threshold - 0.5 / scale - 1e-12)
        other = run_real(with_values(graph, {**exact, "hidden": tied}), given)
        ties += other.reach["hidden"].spikes != real.reach["hidden"].spikes
    assert ties > 0


def test_overflows_are_counted():
    graph = two_layers(0, size=3.0)
    quiet = torch.zeros(4, 1, 5, dtype=torch.int64)
    quiet[0, 0, 0] = 1
    network = quantize_loihi(graph, PROFILE, quiet)
    loud = torch.full((20, 1, 5), 100, dtype=torch.int64)
    run = network.run(loud)
    assert run.events["overflows"] > 0
    assert run.events["input events above 1"] == loud.numel()


def test_membranes_at_the_rail_are_counted():
    graph = two_layers(1)
    graph.layers[0].projections[0].weight.copy_(-graph.layers[0].projections[0].weight.abs())
    graph.layers[0].beta.fill_(1.0)
    given = torch.ones(900, 1, 5, dtype=torch.int64)
    network = quantize_loihi(graph, PROFILE, None)
    assert network.run(given).events["clamped"] > 0
    assert quantize_loihi(graph, PROFILE, given[:450]).run(given).events["clamped"] == 0
