"""Test vectors hold the run that was measured; `test_cores_page` runs them by the files alone."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from mpo_snn.deploy.families import family_of
from mpo_snn.deploy.grid_graph import grid_graph
from mpo_snn.deploy.loihi_quantize import quantize_loihi
from mpo_snn.deploy.real_run import with_values
from mpo_snn.deploy.vectors import vectors_file
from mpo_snn.profiles.chip import load_chip_profile

from .chips import CHIPS, deployed, network, samples
from .fixed_point_designs import design, events, mixed
from .loihi_graphs import images

SPIKER = design()


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
