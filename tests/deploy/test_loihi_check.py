"""Every rule of Loihi broken once, and layers over cores."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mpo_snn.deploy.layers import INPUT, ChipGraph, Projection
from mpo_snn.deploy.loihi_check import check_loihi
from mpo_snn.deploy.loihi_placement import place_loihi
from mpo_snn.profiles.chip import load_chip_profile

from .loihi_graphs import images, layer, two_layers

LOIHI_1, LOIHI_2 = load_chip_profile("loihi-1"), load_chip_profile("loihi-2")


def limited(**limits):
    """Loihi 1 with other limits."""
    table = dict(LOIHI_1.tables["limit"])
    table |= {name: replace(table[name], value=value) for name, value in limits.items()}
    return replace(LOIHI_1, tables={**LOIHI_1.tables, "limit": table})


def ones(source, node, shape, outputs, **rest):
    projection = Projection(source, node, "dense", torch.zeros(0), shape, (outputs,), **rest)
    inputs = torch.Size(projection.pooled_shape).numel()
    return replace(projection, weight=torch.ones(outputs, inputs, dtype=torch.float64))


def changed(**values):
    graph = two_layers(0)
    return replace(graph, layers=(replace(graph.layers[0], **values), graph.layers[1]))


def skipping():
    graph = two_layers(0)
    output = graph.output
    skip = ones(INPUT, "skip", (5,), 4)
    return replace(
        graph, layers=(graph.layers[0], replace(output, projections=(*output.projections, skip)))
    )


def fed_back():
    graph = two_layers(0)
    hidden = graph.layers[0]
    back = ones("output", "back", (4,), 7)
    return replace(
        graph, layers=(replace(hidden, projections=(*hidden.projections, back)), graph.output)
    )


@pytest.mark.parametrize(
    ("graph", "profile", "where", "found"),
    [
        (changed(reset="subtract"), LOIHI_1, "hidden", "reset 'subtract'"),
        (changed(most_spikes=15), LOIHI_1, "hidden", "up to 15 spikes a step"),
        (changed(lower=-1.0), LOIHI_2, "hidden", "a lowest membrane of -1"),
        (skipping(), LOIHI_1, "output", "a connection ahead from 'input' over 2 layers"),
        (fed_back(), LOIHI_1, "hidden", "a connection back from 'output' over 1 layers"),
        (two_layers(0), limited(in_axons=4), "hidden", "a neuron alone takes 5 input axons, 1 too"),
        (two_layers(0), limited(synapse_memory=4), "hidden",
         "a neuron alone takes 5 synapse memory, 1 too many"),
        (two_layers(0), limited(out_axons=1, neurons_per_core=1), "hidden",
         "a neuron alone takes 4 output axons, 3 too many"),
        (two_layers(0), limited(cores=1), "network",
         "2 cores, of which 'hidden' takes 1, 'output' takes 1"),
        (two_layers(0), limited(neurons=10), "network", "11 neurons"),
        (two_layers(0), limited(synapses=62), "network", "63 synapses"),
    ],
)  # fmt: skip
def test_one_finding_for_each_rule(graph, profile, where, found):
    matching = [f for f in check_loihi(graph, profile).findings if f.found.startswith(found)]
    assert [finding.where for finding in matching] == [where]
    assert matching[0].allowed and matching[0].fix


def test_nothing_is_found_on_what_fits():
    for graph in (two_layers(1, alpha=0.5, recurrent=True), images(1)):
        for profile in (LOIHI_1, LOIHI_2):
            result = check_loihi(graph, profile)
            assert result.findings == ()
            assert all(usage.share <= 1 for usage in result.usage)


def test_all_at_once():
    graph = changed(reset="subtract", most_spikes=2, lower=0.0)
    result = check_loihi(graph, limited(in_axons=1, neurons=3, cores=1))
    assert len(result.findings) == 3 + 1 + 1 + 2  # in-axons of both layers


def test_what_is_not_public_is_said():
    (warning,) = (w for w in check_loihi(images(0), LOIHI_2).warnings if "public" in w.found)
    assert "synapse memory" in warning.found
    assert not any("public" in w.found for w in check_loihi(images(0), LOIHI_1).warnings)


def test_warnings_on_leaks_biases_and_input():
    graph = replace(two_layers(0, bias=0.1), encoding="rows")
    found = " ".join(w.found for w in check_loihi(graph, LOIHI_1).warnings)
    assert "leaks are rounded" in found
    assert "'hidden' 1, 'output' 2" in found
    assert "'rows' may give" in found
    exact = layer("only", (2,), ones(INPUT, "fc", (3,), 2), beta=0.75, alpha=0.5)
    assert check_loihi(ChipGraph((exact,), (3,), 4, "rate"), LOIHI_1).warnings == ()


def test_synapses_are_counted_with_the_neurons_of_a_pooling_window():
    graph = images(0)
    usage = {u.resource: u.used for u in check_loihi(graph, LOIHI_1).usage}
    # Pooled 4x4, kernel 3, stride 2, padding 1: rows meet 2 and 3 kernel lines.
    assert usage["synapses"] == 2 * 3 * 5 * 5 * 4 + 12 * 3


def test_cores_are_as_few_as_memory_allows():
    """784 lists of n weights in 16384 words: 20 words each, so 128 neurons (18 words)."""
    hidden = layer("hidden", (1024,), ones(INPUT, "fc1", (784,), 1024))
    output = layer("output", (10,), ones("hidden", "fc2", (1024,), 10))
    placement = place_loihi(ChipGraph((hidden, output), (784,), 8, "rate"), LOIHI_1)
    blocks = [block for block in placement.blocks if block.layer == "hidden"]
    assert [block.tile.channels for block in blocks] == [(128 * k, 128 * k + 128) for k in range(8)]
    assert {block.uses["synapse memory"] for block in blocks} == {784 * 18}
    assert {block.uses["output axons"] for block in blocks} == {128}


def test_a_source_is_cut_further_where_many_cores_read_it():
    """32 lists in 32 words: 6 neurons of the second layer on a core, and 6 cores read the first."""
    first = layer("first", (32,), ones(INPUT, "fc1", (3,), 32))
    second = layer("second", (32,), ones("first", "fc2", (32,), 32))
    graph = ChipGraph((first, second), (3,), 8, "rate")
    placement = place_loihi(graph, limited(synapse_memory=32, out_axons=40))
    readers = [block for block in placement.blocks if block.layer == "second"]
    sources = [block for block in placement.blocks if block.layer == "first"]
    assert len(readers) == 6  # 6 weights of 8 bits are a word
    assert [block.tile.size for block in sources] == [6, 6, 6, 6, 6, 2]
    assert max(block.uses["output axons"] for block in sources) == 36


@pytest.mark.parametrize("what", ["beta", "threshold"])
def test_a_core_holds_so_many_leaks_and_thresholds(what):
    one = layer("only", (64,), ones(INPUT, "fc", (3,), 64), alpha=0.5)
    getattr(one, what).copy_(torch.linspace(0.5, 0.9, 64))
    placement = place_loihi(ChipGraph((one,), (3,), 8, "rate"), LOIHI_1)
    most = 32 if what == "beta" else 8
    assert [block.tile.size for block in placement.blocks] == [most] * (64 // most)
