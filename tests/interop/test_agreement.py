"""What counts as the same spikes, and what layer replay explains, on recordings made up here."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from interop.agreement import agree
from interop.cases import Case, network_cases
from interop.readers import Recorded
from mpo_snn.export.recording import Recording
from mpo_snn.export.sources import GraphSource


@pytest.fixture(scope="module")
def ties() -> Case:
    return next(case for case in network_cases() if case.name == "mlp, ties")


def recorded(run: Recording) -> Recorded:
    layers = {name.replace(".", "_"): spikes.numpy() for name, spikes in run.spikes.items()}
    return Recorded("made up 1.0", None, run.output.numpy(), layers)


def test_the_reference_agrees_with_itself(ties):
    source, reference = ties.reference()
    agreement = agree(source, ties.x, reference, recorded(reference))
    assert agreement.is_exact
    assert agreement.identical == agreement.jaccard == 1.0
    assert set(agreement.layers) == set(reference.spikes)


def test_a_neuron_that_also_fires_at_threshold_is_ties_and_nothing_else(ties):
    source, reference = ties.reference()
    eager = copy.deepcopy(ties.graph)
    for node in eager.nodes.values():
        if hasattr(node, "v_threshold"):
            node.v_threshold = np.nextafter(node.v_threshold, 0.0)
    run = GraphSource(eager, ties.dt).run(ties.x, torch.float64)
    agreement = agree(source, ties.x, reference, recorded(run))
    assert agreement.is_rounding and not agreement.is_exact
    assert agreement.roots == agreement.ties > 0


def test_a_spike_far_from_threshold_is_not_explained(ties):
    source, reference = ties.reference()
    layer = list(reference.spikes)[-1]
    far = (reference.v[layer] - source.thresholds()[layer]).abs() > 0.3
    place = tuple(far.nonzero()[0].tolist())
    shown = recorded(reference)
    spikes = shown.layers[layer.replace(".", "_")].copy()
    spikes[place] ^= True
    shown = replace(shown, layers={**shown.layers, layer.replace(".", "_"): spikes})
    agreement = agree(source, ties.x, reference, shown)
    assert not agreement.is_exact and not agreement.is_rounding
    assert agreement.differing == 1


def test_a_late_output_is_the_same_once_shifted(ties):
    source, reference = ties.reference()
    late = np.concatenate([np.zeros_like(reference.output[:2]), reference.output[:-2]])
    shown = Recorded("made up 1.0", None, late, {})
    assert agree(source, ties.x, reference, shown, late=2).is_exact
    assert not agree(source, ties.x, reference, shown).is_exact


def test_an_error_of_the_reader_is_the_result(ties):
    source, reference = ties.reference()
    failed = Recorded("made up 1.0", "KeyError: 'pool1'", np.empty(0), {})
    assert agree(source, ties.x, reference, failed).problem == "KeyError: 'pool1'"
