"""From layers to a chip, for every family: answers of all three forms, and refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mpo_snn.deploy.deployment import Samples, SilentError, deploy, events_of
from mpo_snn.deploy.grid_graph import grid_graph
from mpo_snn.deploy.read_layers import read_layers
from mpo_snn.deploy.real_run import run_real, with_values
from mpo_snn.errors import DeployError, ShapeError
from mpo_snn.profiles.chip import load_chip_profile

from .chips import CHIPS, T, deployed, deployed_as, network, samples

DT = 1e-4


@pytest.mark.parametrize("chip", CHIPS)
def test_all_forms_answer_alike(chip: str) -> None:
    graph, deployment = deployed(chip)
    assert deployment.check.findings == ()
    real = run_real(graph, events_of(graph, samples().x)).output.sum(0).argmax(1)
    assert deployment.real.predicted == real.tolist()
    assert deployment.real.accuracy == pytest.approx(float((real == samples().y).double().mean()))
    same = [
        sum(a == b for a, b in zip(form.predicted, deployment.real.predicted, strict=True))
        for form in (deployment.rounded, deployment.chip)
    ]
    assert min(same) > 0.7 * len(real), same
    for name in ("a", "b"):
        spikes = deployment.real.spikes[name]
        assert spikes > 100
        assert abs(deployment.chip.spikes[name] - spikes) < 0.2 * spikes
    assert deployment.run.updates >= 35 * T * 70
    assert deployment.run.synaptic_events > deployment.chip.spikes["a"]


@pytest.mark.parametrize("chip", CHIPS)
def test_the_graph_on_the_grid_is_what_the_chip_has(chip: str) -> None:
    _, deployment = deployed(chip)
    integers = deployment.integers
    rounded = with_values(integers.graph, integers.on_grid())
    written, behaviour = grid_graph(rounded, DT)
    read = read_layers(written, DT, T, "counts", behaviour=behaviour).graph
    assert read is not None
    events = events_of(rounded, samples().x)
    assert torch.equal(run_real(read, events).output, run_real(rounded, events).output)


def test_a_layer_that_falls_silent_is_refused() -> None:
    """One weight is so large that the others round to nothing, and it never gets a spike."""
    graph = network("loihi")
    first, second = graph.layers
    (projection,) = second.projections
    weight = projection.weight.clone()
    weight[:, 0] = -1e4  # the scale of the layer
    dead = first.projections[0].weight.clone()
    dead[0] = -1.0  # neuron 0 never fires
    graph = replace(
        graph,
        layers=(
            replace(first, projections=(replace(first.projections[0], weight=dead),)),
            replace(second, projections=(replace(projection, weight=weight),)),
        ),
    )
    with pytest.raises(SilentError, match=r"layer 'b' fires [\d,]+ times before rounding, never"):
        deployed_as("loihi-1", graph)


def test_a_network_that_never_fires_is_refused() -> None:
    graph = network("loihi")
    silent = tuple(
        replace(x, projections=(replace(x.projections[0], weight=0 * x.projections[0].weight),))
        for x in graph
    )
    with pytest.raises(SilentError, match="no neuron of the network fires"):
        deployed_as("loihi-1", replace(graph, layers=silent))


def test_an_output_that_never_fires_is_no_answer() -> None:
    """Layers before it fire: every answer would be class 0."""
    graph = network("loihi")
    first, second = graph.layers
    weight = 0 * second.projections[0].weight
    silent = replace(second, projections=(replace(second.projections[0], weight=weight),))
    with pytest.raises(SilentError, match="the output 'b' never fires, even before rounding"):
        deployed_as("loihi-1", replace(graph, layers=(first, silent)))


def test_what_cannot_be_measured_is_refused() -> None:
    graph, profile = network("loihi"), load_chip_profile("loihi-1")
    some = samples()
    none = Samples(some.x[:0], some.y[:0], "nothing")
    with pytest.raises(DeployError, match="without samples"):
        deploy(graph, profile, none, some.x)
    with pytest.raises(DeployError, match="without samples"):
        deploy(graph, profile, some, some.x[:0])
    with pytest.raises(DeployError, match=r"class 9, counted from 0, .* 5 outputs"):
        deploy(graph, profile, replace(some, y=some.y + 5), some.x)
    with pytest.raises(ShapeError, match=r"\(1, 3, 3\)"):
        deploy(graph, profile, some, torch.rand(4, 1, 3, 3))
    with pytest.raises(DeployError, match="no counts of events"):
        events_of(replace(graph, timesteps=1, encoding="frames"), torch.rand(2, 1, 1, 4, 4))
    with pytest.raises(DeployError, match="no arithmetic"):
        deploy(graph, load_chip_profile("spinnaker2"), some, some.x)
