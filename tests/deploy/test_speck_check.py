"""Every rule of Speck: a network that breaks it, and what is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mpo_snn.deploy.layers import INPUT
from mpo_snn.deploy.speck_check import check_speck

from .speck_graphs import PROFILE, convolution, dense, digits, layer, network


def one(*projections, **other):
    return network(layer("a", *projections, **other))


def square(**other):
    return convolution(INPUT, (2, 12, 12), 4, **other)


def branching(count):
    first = layer("a", square())
    return network(first, *(layer(f"b{k}", convolution("a", (4, 12, 12), 2)) for k in range(count)))


def with_synapse():
    graph = digits()
    first = graph.layers[0]
    return replace(graph, layers=(replace(first, alpha=0.5 * first.beta), *graph.layers[1:]))


def differing(key):
    graph = digits()
    first = graph.layers[0]
    values = getattr(first, key).clone()
    values[0, 0, 0] += 1
    return replace(graph, layers=(replace(first, **{key: values}), *graph.layers[1:]))


def mismatched():
    return network(
        layer("a", square()),
        layer(
            "b", convolution("a", (4, 12, 12), 4), convolution(INPUT, (2, 12, 12), 4, 2, 1, (1, 0))
        ),
    )


BROKEN = [
    (with_synapse, "first", "synapse with leak 0.5", "without a synapse"),
    (lambda: digits(beta=0.9), "first", "beta = 0.9", "beta = 1"),
    (lambda: differing("threshold"), "first", "thresholds of 1 to 2", "one threshold"),
    (lambda: differing("bias"), "first", "bias that differs within a channel", "one bias"),
    (lambda: one(square(kernel=(3, 5), padding=(1, 2))), INPUT, "kernel of 3x5", "16x16"),
    (lambda: one(square(kernel=17, padding=7)), INPUT, "kernel of 17x17", "16x16"),
    (lambda: one(square(stride=3)), INPUT, "stride 3x3", "1, 2, 4 or 8"),
    (lambda: one(square(kernel=16, padding=8)), INPUT, "padding 8x8", "0 to 7"),
    (lambda: one(square(pool=3)), INPUT, "pooling of 3x3", "1, 2 or 4"),
    (lambda: one(square(pool=(2, 4))), INPUT, "pooling of 2x4", "square"),
    (lambda: one(dense(INPUT, (1, 20, 20), 4)), INPUT, "20x20", "up to 16x16"),
    (lambda: one(dense(INPUT, (1, 4, 6), 4)), INPUT, "4x6", "square"),
    (lambda: one(convolution(INPUT, (1, 130, 8), 1, stride=4)), "a", "map of 130x8", "128x128"),
    (lambda: one(convolution(INPUT, (1, 65, 8), 1)), "a", "a map of 65x8", "64x64"),
    (lambda: one(dense(INPUT, (1025,), 2)), "a", "1,025 channels that arrive", "1,024"),
    (lambda: one(dense(INPUT, (2,), 1025)), "a", "1,025 channels of neurons", "1,024"),
    (lambda: branching(3), "a", "3 destinations (b0, b1, b2)", "2 destinations"),
    (lambda: one(square(), convolution("a", (4, 12, 12), 4)), "of a", "come back", "lead on"),
    (mismatched, INPUT, "kernel of 2x2", "one convolution per core"),
    (lambda: one(square(), lower=-1e6), "a", "weights become 0", "one scale"),
    (lambda: one(square(), threshold=1e-4), "a", "a threshold of 0.0001", "one unit"),
    (lambda: one(dense(INPUT, (256, 8, 8), 20)), "a", "kernel memory", "on core 5"),
    (lambda: one(convolution(INPUT, (1, 64, 64), 17)), "a", "neuron memory", "65,536"),
    (lambda: network(layer("l0", square()), *(
        layer(f"l{k + 1}", convolution(f"l{k}", (4, 12, 12), 4)) for k in range(9)
    )), "network", "10 layers", "one layer per core"),
]  # fmt: skip


@pytest.mark.parametrize("make, where, found, allowed", BROKEN, ids=[row[2] for row in BROKEN])
def test_a_broken_rule_is_found(make, where, found, allowed):
    result = check_speck(make(), PROFILE)
    (finding,) = (one for one in result.findings if found in one.found and where in one.where)
    assert allowed in finding.allowed
    assert finding.fix and finding.source and "\n" not in str(finding)


def test_a_digits_network_fits_without_a_word():
    result = check_speck(digits(), PROFILE)
    assert not result.findings and all(usage.share <= 1 for usage in result.usage)
    assert not result.warnings


def test_all_findings_at_once():
    graph = one(square(kernel=(3, 5), stride=3, padding=(8, 2), pool=3), beta=0.5, threshold=1e-4)
    found = " ".join(one.found for one in check_speck(graph, PROFILE).findings)
    for part in (
        "kernel of 3x5",
        "stride 3x3",
        "padding 8x2",
        "pooling of 3x3",
        "beta",
        "threshold",
    ):
        assert part in found


@pytest.mark.parametrize(
    "make, found",
    [
        (lambda: digits(bias=0.1), "a bias of 0.1 in every timestep"),
        (lambda: digits(lower=None), "no lowest membrane"),
        (lambda: digits(most_spikes=1), "at most one spike"),
        (lambda: digits(most_spikes=1), "a spike above the threshold"),
        (lambda: digits(threshold=0.1), "above the threshold"),
        (lambda: digits(lower=-500.0), "a scale that its lowest membrane bounds"),
        (lambda: one(dense(INPUT, (1, 4, 4), 16)), "16 classes"),
        (lambda: one(square(pool=2)), "input events summed over windows of 2x2"),
        (
            lambda: network(
                layer("a", convolution(INPUT, (1, 5, 5), 2)),
                layer("b", convolution("a", (2, 5, 5), 2, pool=2)),
            ),
            "leave a rim",
        ),
    ],
)
def test_what_the_chip_does_otherwise_is_a_warning(make, found):
    result = check_speck(make(), PROFILE)
    assert any(found in warning.found for warning in result.warnings)
    assert not any(found in finding.found for finding in result.findings)


def test_the_advice_on_single_spikes_names_the_setting_of_the_layer():
    """Outputs have one of their own, which is at fault where all others fire several times."""

    def advised(graph):
        warnings = check_speck(graph, PROFILE).warnings
        return {one.where: one.fix for one in warnings if "at most one spike" in one.found}

    every = advised(digits(most_spikes=1))
    assert all("--neuron.most_spikes 16" in fix for fix in every.values())
    graph = digits(most_spikes=16)
    last = replace(graph.output, most_spikes=1)
    (fix,) = advised(replace(graph, layers=(*graph.layers[:-1], last))).values()
    assert "--neuron.output_spikes null" in fix
    assert "--neuron.most_spikes 16" not in fix


def test_neurons_of_several_spikes_fire_at_the_threshold_as_the_chip_does():
    warnings = check_speck(digits(most_spikes=16), PROFILE).warnings
    assert not any("a spike above the threshold" in warning.found for warning in warnings)


def test_weights_of_zero_have_no_scale_to_warn_of():
    graph = one(replace(square(), weight=0 * square().weight))
    assert not any("a scale" in warning.found for warning in check_speck(graph, PROFILE).warnings)


def test_sources_of_unequal_depth_are_fine():
    weight = torch.ones(4, 4, 1, 1, dtype=torch.float64) / 8
    alike = [
        replace(convolution(source, (4, 12, 12), 4, kernel=1, padding=0), weight=weight)
        for source in ("a", "b")
    ]
    graph = network(
        layer("a", square()),
        layer("b", convolution("a", (4, 12, 12), 4)),
        layer("c", *alike),
        layer("d", dense("c", (4, 12, 12), 4, pool=4)),
    )
    assert not check_speck(graph, PROFILE).findings


@pytest.mark.parametrize(("seed", "warned"), [(3, False), (5, True)])
def test_where_no_loading_files_come_out_a_warning_says_so(seed, warned) -> None:
    """Two ways into a layer are sinabs' own where they have one kernel, of seed 3, alone."""
    into = convolution("a", (2, 8, 8), 2, seed=3)
    graph = network(
        layer("a", convolution(INPUT, (1, 8, 8), 2)),
        layer("b", convolution("a", (2, 8, 8), 2)),
        layer("c", into, convolution("b", (2, 8, 8), 2, seed=seed)),
    )
    result = check_speck(graph, PROFILE)
    told = [x.where for x in result.warnings if "speck_sinabs.py are not written" in x.found]
    assert not result.findings
    assert told == (["c"] if warned else [])
